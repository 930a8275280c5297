"""The profile of 2 NLL over two parameters: conditional fits that start from each other, and a smooth sheet on them.

Each fit gives the height and, by the envelope theorem, both slopes; the sheet is the bicubic Hermite surface of
these, so it follows a quadratic or cubic profile exactly.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.starts import starts, unconstrained

Place = tuple[float, float]
_TOLERANCE = 1e-5
"""In 2 NLL: of a conditional fit; what is drawn needs no more."""
_SPARSE = 4
"""Every how many places along each parameter other floating couplings start anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """The conditional minimum at one place (workspace units): 2 NLL and its slopes along the two parameters."""

    place: Place
    q: float
    slopes: tuple[float, float]
    solution: Solution


class Surface:
    """Conditional minima over two parameters, remembered; `nodes` grows as it is asked.

    ceiling : in 2 NLL above the lowest node: what is higher may be rough; q_min : the lowest value seen.
    """

    def __init__(self, likelihood: Likelihood, names: tuple[str, str], *, ceiling: float = np.inf) -> None:
        self.names, self.ceiling = names, ceiling
        self.indices = np.array([likelihood.index(name) for name in names])
        self.bounds: FloatArray = likelihood.bounds[self.indices]
        self.nodes: dict[Place, Node] = {}
        self._held = np.isin(np.arange(len(likelihood.parameters)), self.indices)
        others = [name for name in unconstrained(likelihood) if name not in names]
        floated = [name for name in others if likelihood.workspace.parameter(name).kind == "coupling"]
        self._starts = starts(likelihood, floated) if floated else []
        self._several = bool((likelihood.curved & ~self._held).any())
        self._swept = False
        # Starts from neighbours are so good that second derivatives by shape parameters are not worth their time.
        self.likelihood = copy(likelihood)
        self.likelihood.curved = likelihood.curved & np.isin(likelihood.parameters, floated)
        self.q_min = np.inf
        self._places: list[Place] = []
        self._scale = np.ones(2)

    @property
    def failures(self) -> list[Place]:
        """Where the fit of the other parameters did not converge."""
        return [place for place, node in self.nodes.items() if not node.solution.converged]

    def at(self, place: Place, near: Iterable[Node] = ()) -> Node:
        """The node at a place; `near` are nodes to start from, the nearest ones where there are none."""
        if place not in self.nodes:
            candidates = [self._predicted(node, place) for node in near or self._nearest(place)]
            if not candidates:
                candidates = [*self._starts, self.likelihood.defaults]
            self.nodes[place] = self._lowest(place, candidates)
            self._places.append(place)
        return self.nodes[place]

    def precisely(self, place: Place) -> Solution:
        """The fit at a place, to full precision however high it is there."""
        return minimise(self.likelihood, self.at(place).solution.x, held=self._held)

    def fill(self, xs: Sequence[float] | FloatArray, ys: Sequence[float] | FloatArray) -> None:
        """All places of a grid, along a serpentine; the first time, curved parameters are offered all basins around,
        floating couplings every time."""
        self._scale = np.maximum([np.ptp(xs), np.ptp(ys)], 1e-300)
        for i, x in enumerate(xs):
            for j in range(len(ys)) if i % 2 == 0 else reversed(range(len(ys))):
                place = (float(x), float(ys[j]))
                fresh = place not in self.nodes
                self.at(place)
                if self._starts and fresh and i % _SPARSE == 0 and j % _SPARSE == 0:
                    self._offer(place, self._starts)
        if self._starts or (self._several and not self._swept):
            self._sweep(xs, ys)
            self._swept = True

    def _sweep(self, xs: Sequence[float] | FloatArray, ys: Sequence[float] | FloatArray) -> None:
        """Offer every node below the ceiling the basins of its neighbours, there and back, where these differ."""
        cells = [(i, j) for i in range(len(xs)) for j in range(len(ys))]
        for order, step in ((cells, -1), (cells[::-1], 1)):
            for i, j in order:
                place = (float(xs[i]), float(ys[j]))
                if self.nodes[place].q > self.q_min + self.ceiling:
                    continue
                for k, m in ((i + step, j), (i, j + step)):
                    if 0 <= k < len(xs) and 0 <= m < len(ys):
                        neighbour, node = self.nodes[float(xs[k]), float(ys[m])], self.nodes[place]
                        offered = self._predicted(neighbour, place)
                        apart = offered - node.solution.x
                        if apart @ node.solution.fisher @ apart > 1:
                            self._offer(place, [offered])

    def _offer(self, place: Place, candidates: Sequence[FloatArray]) -> None:
        """Keep the lowest of a node and what these starts lead to."""
        found, node = self._lowest(place, candidates), self.nodes[place]
        if found.solution.converged and found.q < node.q - 1e-7:
            self.nodes[place] = found

    def _nearest(self, place: Place) -> list[Node]:
        """The nearest node, two where several basins are there."""
        if not self.nodes:
            return []
        apart = (np.array(self._places) - place) / self._scale
        order = np.argsort((apart * apart).sum(axis=1), kind="stable")
        return [self.nodes[self._places[k]] for k in order[: 2 if self._starts else 1]]

    def _predicted(self, node: Node, place: Place) -> FloatArray:
        """The other parameters moved along the valley of the Fisher matrix."""
        x, fisher = node.solution.x.copy(), node.solution.fisher
        lower, upper = self.likelihood.bounds.T
        rows = np.flatnonzero(~self._held & (fisher.diagonal() > 0) & (x > lower) & (x < upper))
        shift = np.subtract(place, node.place)
        if rows.size:
            scale = 1 / np.sqrt(fisher.diagonal()[rows])
            matrix = fisher[np.ix_(rows, rows)] * scale * scale[:, None] + 1e-9 * np.eye(rows.size)
            drift = -scale * np.linalg.solve(matrix, scale * (fisher[np.ix_(rows, self.indices)] @ shift))
            x[rows] += np.clip(drift, -3 * scale, 3 * scale)
        x[self.indices] = place
        return x

    def _lowest(self, place: Place, candidates: Sequence[FloatArray]) -> Node:
        ceiling = self.q_min + self.ceiling
        found = []
        for candidate in candidates:
            x = candidate.copy()
            x[self.indices] = place
            found.append(minimise(self.likelihood, x, held=self._held, tolerance=_TOLERANCE, ceiling=ceiling))
        if not any(solution.converged for solution in found):
            x = self.likelihood.defaults.copy()
            x[self.indices] = place
            found.append(minimise(self.likelihood, x, held=self._held, tolerance=_TOLERANCE, ceiling=ceiling))
        best = min(found, key=lambda solution: (not solution.converged, solution.value))
        self.q_min = min(self.q_min, best.value)
        slopes = best.gradient[self.indices]
        return Node(place, best.value, (float(slopes[0]), float(slopes[1])), best)


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """The bicubic Hermite surface over a rectilinear grid.

    xs, ys : lines, shapes (n,), (m,); height, along_x, along_y : values and slopes, shape (n, m).
    """

    xs: FloatArray
    ys: FloatArray
    height: FloatArray
    along_x: FloatArray
    along_y: FloatArray

    @property
    def _twist(self) -> FloatArray:
        return np.asarray(
            0.5 * (np.gradient(self.along_y, self.xs, axis=0) + np.gradient(self.along_x, self.ys, axis=1))
        )

    def on_grid(self, xs: FloatArray, ys: FloatArray) -> FloatArray:
        """Heights at all places of another grid, shape (xs.size, ys.size)."""
        return self.parts_on_grid(xs, ys)[0]

    def parts_on_grid(self, xs: FloatArray, ys: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Heights and both slopes at all places of another grid, each of shape (xs.size, ys.size)."""
        values = CubicHermiteSpline(self.xs, self.height, self.along_x, axis=0)
        across = CubicHermiteSpline(self.xs, self.along_y, self._twist, axis=0)
        lines = CubicHermiteSpline(self.ys, values(xs), across(xs), axis=1)
        slopes = CubicHermiteSpline(self.ys, values(xs, 1), across(xs, 1), axis=1)
        return lines(ys), slopes(ys), lines(ys, 1)

    def at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Heights, shape (k,), and slopes, shape (k, 2), at points of shape (k, 2)."""
        (a, da), (b, db) = _basis(self.xs, points[:, 0]), _basis(self.ys, points[:, 1])
        blocks = np.block([[self.height, self.along_y], [self.along_x, self._twist]])
        height = np.einsum("ki,ij,kj->k", a, blocks, b, optimize=True)
        slopes = [np.einsum("ki,ij,kj->k", da, blocks, b, optimize=True),
                  np.einsum("ki,ij,kj->k", a, blocks, db, optimize=True)]  # fmt: skip
        return height, np.stack(slopes, axis=1)


def _basis(lines: FloatArray, places: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Hermite basis functions (values first, then slopes) and their derivatives, each of shape (k, 2 n)."""
    one, none = np.eye(lines.size), np.zeros((lines.size, lines.size))
    spline = CubicHermiteSpline(lines, np.hstack([one, none]), np.hstack([none, one]), axis=0)
    return spline(places), spline(places, 1)


def finer(lines: FloatArray, factor: int) -> FloatArray:
    """The lines with every gap cut into `factor` equal parts."""
    steps = np.arange(factor) / factor
    inner = (lines[:-1, None] + steps * np.diff(lines)[:, None]).ravel()
    return np.append(inner, lines[-1])
