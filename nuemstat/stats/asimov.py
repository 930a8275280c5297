"""2 NLL of Asimov data along one coupling, followed by as few fits as the ends of sets need.

Its root above the minimum is a power of the distance s from the truth, or nearly so: ln root is a cubic of ln s
between fits, whose slopes are known exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, isfinite, log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.hypotest import asimov_counts
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.problem import Problem
from nuemstat.stats.profile import Point, Profile
from nuemstat.stats.starts import Reach

Pair = tuple[float, float]

_STEPS = 16
_NEAR = 0.03
"""In ln root: how near to a level a fit has to come before its slope leads to it."""
_CLOSE = 0.01
"""Of a step: the last correction by the slope."""
_NOTHING = 1e-9
"""Of what the coupling adds: less is the rounding of what nuisances take up."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A fit: distance from the truth, root of 2 NLL above its minimum, and d ln root / d ln distance."""

    distance: float
    root: float
    power: float


class Asimov:
    """Asimov data of one truth, and the root of 2 NLL along a problem's coupling.

    profile : of these data, holding what was fitted; value : the coupling at the truth; bounds : of the coupling;
    moments : what the coupling adds to the counts in first and second order, as the data see it, shape (2, 2).
    """

    def __init__(self, problem: Problem, truth: FloatArray, reach: Reach | None = None) -> None:
        """truth : all parameters, workspace units; reach : of the coupling, if it is known.

        Raises
        ------
        FitError : a negative count is expected, or the coupling changes nothing.
        """
        likelihood, name = problem.likelihood, problem.couplings[0]
        index = likelihood.index(name)
        self.truth, self.value, self.bounds = truth, float(truth[index]), likelihood.bounds[index]
        self.profile = Profile(likelihood.with_data(asimov_counts(problem, truth), truth), name, reach)
        self.moments = moments(likelihood, truth, index)
        if not self.moments.diagonal().max() > 0:
            raise FitError(f"{name} changes nothing that is fitted")
        self._zero = self.profile.started(truth).q

    @property
    def at_bound(self) -> bool:
        """Whether the truth is the lower bound of the coupling, as that of an even one."""
        return bool(self.value <= self.bounds[0])

    def excess(self, value: float) -> float:
        """2 NLL above that of the truth, by a fit."""
        return max(self._fitted(value).q - self._zero, 0.0)

    def _fitted(self, value: float) -> Point:
        point = self.profile.at(value, thorough=True)
        if not point.solution.converged:
            raise FitError(f"a fit to Asimov data did not converge, at {self.profile.name} = {value:.4g} (workspace)")
        return point

    def _node(self, distance: float) -> _Node | None:
        """A fit above the truth; None where nothing is seen of it."""
        point = self._fitted(self.value + distance)
        rise = point.q - self._zero
        return _Node(distance, sqrt(rise), 0.5 * distance * point.slope / rise) if rise > 1e-9 else None

    def _nodes(self) -> list[_Node]:
        distances = [point.value - self.value for point in self.profile.points]
        found = [self._node(distance) for distance in distances if distance > 0]
        return [node for node in found if node is not None]

    def _rough(self, level: float) -> float:
        """Where the root would be so large if the counts' errors stayed what they are at the truth."""
        return rough_ends(self.moments, level**2, np.array([0.0, inf]))[1]

    def _guess(self, level: float) -> float:
        """The distance at which the fits known so far put a level of the root, which has a slope there."""
        nodes = self._nodes()
        if not nodes:
            return self._rough(level)
        for low, high in pairwise(nodes):
            if low.root < level <= high.root:
                ends = (log(low.distance), log(high.distance))
                return exp(brentq(lambda x, a=low, b=high: _between(a, b, x) - log(level), *ends, xtol=1e-9))
        end = nodes[0] if level <= nodes[0].root else nodes[-1]
        return end.distance * exp(float(np.clip(log(level / end.root) / max(end.power, 0.3), -1.4, 1.4)))

    def reach(self, level: float) -> float:
        """The value above the truth at which the root is `level`, followed by fits; infinite where it never is."""
        far, flat = float(self.bounds[1] - self.value), 0.0
        for _ in range(_STEPS):
            distance = min(self._guess(level), far)
            if not isfinite(distance):
                break
            if distance <= flat:  # free parameters take all up to there
                distance = min(sqrt(flat * min((n.distance for n in self._nodes()), default=4 * flat)), far)
            node = self._node(distance)
            flat = flat if node is not None else max(flat, distance)
            if node is not None and abs(miss := log(level / node.root)) < _NEAR and node.power > 0.1:
                return self.value + min(distance * exp(miss / node.power), far)
            if distance == far and (node is None or node.root < level):
                return self.value + far
        return inf

    def cover(self, level: float) -> None:
        """Sees to it that fits reach to a level of the root, or to about the level where they end already."""
        nodes = self._nodes()
        if not nodes or not 0.8 * nodes[0].root <= level <= 1.2 * nodes[-1].root:
            self.reach(level)

    def read(self, level: float) -> float:
        """The value above the truth at which the root is `level`, read off the fits on either side."""
        return self.value + min(self._guess(level), float(self.bounds[1] - self.value)) if level > 0 else self.value

    def root(self, value: float) -> float:
        """The root at a value above the truth, read off the fits on either side; outside of all by a fit."""
        distance, nodes = value - self.value, self._nodes()
        if distance <= 0:
            return 0.0
        place = log(distance)
        for low, high in pairwise(nodes):
            if low.distance <= distance <= high.distance:
                return exp(_between(low, high, place))
        if nodes and distance < nodes[0].distance:
            return nodes[0].root * exp(nodes[0].power * (place - log(nodes[0].distance)))
        return sqrt(self.excess(value))

    def ends(self, height: float, minima: Sequence[float] = ()) -> Pair:
        """Lowest and highest value at which 2 NLL stays less than `height` above its minimum, by fits.

        Infinite where it never rises so far. The fits start where the polynomial of fourth order puts the ends.
        minima : values further out are looked at, too.

        Raises
        ------
        FitError : no end is found near there, or one of the minima further out belongs to the set as well.
        """
        limits = self.bounds - self.value
        rough = rough_ends(self.moments, height, limits)
        low, high = (self.value + self._crossing(end, sqrt(height), limits) for end in rough)
        for value in minima:
            if not low <= value <= high and self.excess(value) < height:
                raise FitError(f"the set goes on beyond {low:.4g} to {high:.4g}, at {value:.4g} (workspace)")
        return low, high

    def _crossing(self, start: float, goal: float, limits: FloatArray) -> float:
        """The step from the truth at which the root rises through `goal`, near `start`.

        A bound, where it stays below up to there.
        """
        step = start
        for _ in range(_STEPS):
            if step in limits and not isfinite(step):
                return step
            point = self._fitted(self.value + step)
            root = sqrt(max(point.q - self._zero, 0.0))
            if root < goal and step in limits:
                return step
            slope = 0.5 * point.slope / max(root, 1e-9)
            if slope * step <= 0:
                break
            following = float(np.clip(step - (root - goal) / slope, *limits))
            if abs(following - step) < _CLOSE * abs(step):
                return following
            step = min(max(following, min(0.5 * step, 2 * step)), max(0.5 * step, 2 * step))
        raise FitError(f"no end is found near {self.profile.name} = {self.value + start:.4g} (workspace)")


def moments(likelihood: Likelihood, x: FloatArray, index: int) -> FloatArray:
    """How strongly the data see what the coupling adds to the counts in first and second order, shape (2, 2).

    Entry (i, j) is the product of both additions in the metric of the data, with the nuisances' directions projected
    out; away from `x` the coupling t adds t (first) + t^2 (second) counts. Parameters at a bound do not move. Where
    free ones take all that the coupling adds, as a background does that is free in each bin, they do so up to their
    bounds only: then the constrained ones alone are projected out, for the scale.
    """
    counts, jacobian = likelihood.jacobian(x)
    step = np.zeros(x.size)
    step[index] = 1.0
    above, below = likelihood.counts(x + step), likelihood.counts(x - step)
    others = np.arange(x.size) != index
    n = int(others.sum())
    rows = np.concatenate([jacobian[others], [(above - below) / 2, (above + below) / 2 - counts]])
    weight = likelihood.terms.weights(counts[None])[1]
    parts = [rows[None, :, part] for part in likelihood.terms.slices]
    matrix = np.sum(likelihood.terms.fisher(weight, parts), axis=0)[0]
    matrix[np.arange(n), np.arange(n)] += likelihood.constrained[others]
    inside = ((x > likelihood.bounds[:, 0]) & (x < likelihood.bounds[:, 1]))[others]
    seen = _left(matrix, inside)
    if seen.diagonal().max() > _NOTHING * matrix.diagonal()[n:].max():
        return seen
    return _left(matrix, inside & likelihood.constrained[others])


def _left(matrix: FloatArray, movable: npt.NDArray[np.bool_]) -> FloatArray:
    """What is left of the last two rows and columns with movable parameters projected out, shape (2, 2)."""
    n, kept = len(movable), np.flatnonzero(movable)
    nuisances, mixed = matrix[np.ix_(kept, kept)], matrix[kept, n:]
    size = np.sqrt(np.maximum(nuisances.diagonal(), 1e-300))
    inverse = np.linalg.pinv(nuisances / np.outer(size, size), hermitian=True) / np.outer(size, size)
    return np.asarray(matrix[n:, n:] - mixed.T @ inverse @ mixed)


def rough_ends(seen: FloatArray, height: float, limits: Sequence[float] | FloatArray) -> Pair:
    """Lowest and highest step from the truth within `limits` where 2 NLL of Asimov data stays below `height`.

    seen : what `moments` gives. With linear nuisances and constant errors 2 NLL is a polynomial of fourth order.
    """
    scale = 1 / np.sqrt(max(seen[0, 0], np.sqrt(max(seen[1, 1], 0.0)), 1e-300))  # 2 NLL is of order one there
    powers = np.array([scale, scale**2])
    first, mixed, second = (seen * np.outer(powers, powers))[[0, 0, 1], [0, 1, 1]]
    polynomial = np.array([max(second, 1e-12), 2 * mixed, first, 0.0, -height])
    roots = np.roots(polynomial)
    places = roots.real[np.abs(roots.imag) < 1e-6 * (1 + np.abs(roots.real))] * scale
    inside = [float(p) for p in places if limits[0] <= p <= limits[1]]
    inside += [float(end) for end in limits if np.isfinite(end) and np.polyval(polynomial, end / scale) <= 0]
    return min(inside, default=-inf), max(inside, default=inf)


def _between(low: _Node, high: _Node, place: float) -> float:
    """ln root at ln distance = `place`, by the cubic through two fits."""
    width = log(high.distance / low.distance)
    t = (place - log(low.distance)) / width
    rise = log(high.root / low.root)
    a, b = low.power * width - rise, -high.power * width + rise
    return log(low.root) + t * rise + t * (1 - t) * ((1 - t) * a + t * b)
