"""The profile of 2 NLL along one parameter: sampled until nothing can hide between two points.

Each point is a fit of all other parameters, started from its neighbours; its slope is the partial derivative
at the conditional minimum (envelope theorem), so neighbours predict what lies between them.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.starts import Reach, reach, starts, unconstrained

_ACCURACY = 0.03
"""In 2 NLL, plus the same share of its height: how well neighbours have to predict a point between them."""
_DEEPEST = 9
"""How often a gap may be halved."""
_CERTAIN = 100.0
"""In 2 NLL: what bins past their cancellations have to add before nothing further out can be a solution."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """The conditional minimum at one value (workspace units) of the profiled parameter."""

    value: float
    q: float
    slope: float
    solution: Solution


class Profile:
    """The profile along one parameter, growing as it is asked; points stay sorted."""

    def __init__(self, likelihood: Likelihood, name: str, known: Reach | None = None) -> None:
        """known : reach of the parameter, where it was found already."""
        self.likelihood, self.name = likelihood, name
        self.index = likelihood.index(name)
        self.bounds = (float(likelihood.bounds[self.index, 0]), float(likelihood.bounds[self.index, 1]))
        self.reach: Reach = known or reach(likelihood, name)
        self._held = np.arange(len(likelihood.parameters)) == self.index
        others = [other for other in unconstrained(likelihood) if other != name]
        floated = [other for other in others if likelihood.workspace.parameter(other).kind == "coupling"]
        self._floated = bool(floated)
        self._starts = starts(likelihood, floated) if floated else [likelihood.defaults]
        self._several = bool((likelihood.curved & ~self._held).any())
        self._height = np.inf
        self.points: list[Point] = []

    @property
    def q_min(self) -> float:
        """The lowest value seen."""
        return min(point.q for point in self.points)

    def failures(self, unit: tuple[float, str]) -> list[str]:
        """A warning that names where the fit of the other parameters did not converge; none if all did."""
        failed = [point.value * unit[0] for point in self.points if not point.solution.converged]
        text = ", ".join(f"{value:.4g}" for value in failed[:3])
        return [f"{len(failed)} fits did not converge, at {self.name} = {text} {unit[1]}"] if failed else []

    def at(self, value: float, *, thorough: bool = False) -> Point:
        """The profile at one value; `thorough` adds starts for other floating couplings."""
        place = bisect_left(self.points, value, key=lambda point: point.value)
        if place < len(self.points) and self.points[place].value == value:
            return self.points[place]
        candidates = list(self._near(value, place))
        if not self._floated:
            candidates = candidates[:1]
        if not candidates or (thorough and self._floated):
            candidates += self._starts
        point = self._lowest(value, candidates)
        insort(self.points, point, key=lambda p: p.value)
        return point

    def started(self, x: FloatArray) -> Point:
        """The profile at the value in x, which is where its fit starts; kept as a point."""
        point = self._lowest(float(x[self.index]), [x])
        insort(self.points, point, key=lambda p: p.value)
        return point

    def precisely(self, value: float) -> Point:
        """The profile at one value, to full precision however high it is there."""
        point = self.at(value, thorough=True)
        best = minimise(self.likelihood, point.solution.x, held=self._held)
        return Point(value, best.value, float(best.gradient[self.index]), best)

    def _near(self, value: float, place: int) -> Iterator[FloatArray]:
        """Predictions from the neighbours, the nearer one first."""
        near = sorted(self.points[max(place - 1, 0) : place + 1], key=lambda point: abs(point.value - value))
        for point in near:
            yield self._predicted(point, value)

    def _predicted(self, point: Point, value: float) -> FloatArray:
        """The other parameters moved along the valley of the Fisher matrix."""
        x, fisher = point.solution.x.copy(), point.solution.fisher
        lower, upper = self.likelihood.bounds.T
        rows = np.flatnonzero(~self._held & (fisher.diagonal() > 0) & (x > lower) & (x < upper))
        if rows.size:
            scale = 1 / np.sqrt(fisher.diagonal()[rows])
            matrix = fisher[np.ix_(rows, rows)] * scale * scale[:, None] + 1e-9 * np.eye(rows.size)
            drift = -scale * np.linalg.solve(matrix, scale * fisher[rows, self.index])
            x[rows] += np.clip(drift * (value - point.value), -3 * scale, 3 * scale)
        x[self.index] = value
        return x

    def _lowest(self, value: float, candidates: Sequence[FloatArray]) -> Point:
        found = []
        ceiling = self.q_min + self._height if self.points else np.inf
        for candidate in candidates:
            x = candidate.copy()
            x[self.index] = value
            found.append(minimise(self.likelihood, x, held=self._held, ceiling=ceiling))
        if not any(solution.converged for solution in found):
            x = self.likelihood.defaults.copy()
            x[self.index] = value
            found.append(minimise(self.likelihood, x, held=self._held, ceiling=ceiling))
        best = min(found, key=lambda solution: (not solution.converged, solution.value))
        return Point(value, best.value, float(best.gradient[self.index]), best)

    def explore(self, height: float) -> None:
        """Sample outwards until the profile stands `height` above its minimum beyond every cancellation, then inwards
        until neighbours predict each other wherever it is lower than that."""
        base, size = self.reach.base, self.reach.size
        self._height = height
        self.at(min(max(base, self.bounds[0]), self.bounds[1]), thorough=True)
        for sign in (1.0, -1.0):
            for factor in (0.01, 0.25, 0.5, 1.0, 2.0):
                self._inside(base + sign * factor * size)
            self._outwards(sign, height)
        for value in self.reach.minima:
            if self.points[0].value < value < self.points[-1].value:
                self._inside(value)
        if self._several:
            self._sweep()
        for low, high in list(pairwise(self.points)):
            self._refine(low, high, height, _DEEPEST)

    def _inside(self, value: float) -> Point | None:
        return self.at(value, thorough=True) if self.bounds[0] <= value <= self.bounds[1] else None

    def _outwards(self, sign: float, height: float) -> None:
        shift = 2.0 * self.reach.size
        for _ in range(120):
            last = self.points[-1 if sign > 0 else 0]
            if last.q > self.q_min + height and (
                (shift >= self.reach.far and sign * last.slope > 0) or self._excluded(last, shift, height)
            ):
                return
            shift *= 1.6
            value = self.reach.base + sign * shift
            end = self.bounds[1 if sign > 0 else 0]
            if sign * (value - end) >= 0:
                self.at(end, thorough=True)
                return
            self.at(value, thorough=True)
            if shift > 1e8 * self.reach.size:
                return

    def _excluded(self, point: Point, shift: float, height: float) -> bool:
        """Whether the bins that only grow from here on rule out all that lies further out, whatever the others do."""
        growing = self.reach.cancels <= shift
        counts = np.where(growing, self.likelihood.counts(point.solution.x), self.likelihood.terms.observed)
        return self.likelihood.value_at(counts) > self.q_min + height + _CERTAIN

    def _sweep(self) -> None:
        """Offer every point the basin of its neighbours, from both sides, and keep the lower one."""
        for places in (range(1, len(self.points)), range(len(self.points) - 2, -1, -1)):
            step = places.step
            for i in places:
                point, neighbour = self.points[i], self.points[i - step]
                offered = self._predicted(neighbour, point.value)
                apart = offered - point.solution.x
                if apart @ point.solution.fisher @ apart < 1:  # the same basin
                    continue
                found = self._lowest(point.value, [offered])
                if found.solution.converged and found.q < point.q - 1e-7:
                    self.points[i] = found

    def _refine(self, low: Point, high: Point, height: float, depth: int) -> None:
        middle = 0.5 * (low.value + high.value)
        predicted = hermite(low, high, middle)
        lowest = min(low.q, high.q, predicted)
        turning = low.slope < 0 < high.slope
        if depth < _DEEPEST and lowest > self.q_min + height and not turning:
            return
        if lowest > self.q_min + 30 * height and not turning:
            return
        point = self.at(middle)
        tolerance = _ACCURACY * (1 + point.q - self.q_min)
        if depth > 0 and abs(point.q - predicted) > tolerance:
            self._refine(low, point, height, depth - 1)
            self._refine(point, high, height, depth - 1)

    def brackets(self) -> Iterator[tuple[Point, Point]]:
        """Neighbours between which the profile has a local minimum; both the same point at a bound."""
        points, slopes = self.points, [point.slope for point in self.points]
        start = 0
        if points[0].value == self.bounds[0]:
            first = self._slope_at_bound()
            if first >= 0:
                yield points[0], points[0]
                start = 1 if slopes[0] == 0 else 0
            slopes[0] = first
        for i in range(start, len(points) - 1):
            if slopes[i] < 0 < slopes[i + 1] or (slopes[i] == 0 < slopes[i + 1]):
                yield points[i], points[i + 1]
        if points[-1].value == self.bounds[1] and slopes[-1] <= 0:
            yield points[-1], points[-1]

    def _slope_at_bound(self) -> float:
        """Slope at the lower bound; for an even coupling, where it is 0, that a hundredth of a size above."""
        first = self.points[0]
        scale = abs(self.points[-1].q - first.q) / (self.points[-1].value - first.value)
        return first.slope if abs(first.slope) > 1e-9 * scale else self.points[1].slope

    def minimum(self, low: Point, high: Point) -> Point:
        """The local minimum between two points: a fit with the parameter free, or bisection on the slope."""
        if low is high:
            return low
        start = low if low.q < high.q else high
        solution = minimise(self.likelihood, start.solution.x)
        value = float(solution.x[self.index])
        if solution.converged and low.value <= value <= high.value and solution.value <= start.q + 1e-9:
            point = Point(value, solution.value, float(solution.gradient[self.index]), solution)
            if all(other.value != value for other in self.points):
                insort(self.points, point, key=lambda p: p.value)
            return point
        return self._bisected(low, high)

    def _bisected(self, low: Point, high: Point) -> Point:
        for _ in range(60):
            middle = self.at(0.5 * (low.value + high.value))
            if middle in (low, high) or abs(middle.slope) * (high.value - low.value) < 1e-9:
                break
            low, high = (middle, high) if middle.slope < 0 else (low, middle)
        return min((low, middle, high), key=lambda point: point.q)

    def crossing(self, low: Point, high: Point, level: float) -> float:
        """Where the profile passes `level` between two points on either side of it: Newton inside a bracket."""
        tolerance = max(1e-8 * min(high.value - low.value, self.reach.size), 4e-16 * abs(low.value))
        rising, guess, before = high.q > level, low.value, np.inf
        while True:
            nearest = min((low, high), key=lambda point: abs(point.q - level))
            miss = nearest.q - level
            guess = nearest.value - miss / nearest.slope if nearest.slope else np.inf
            if (abs(guess - nearest.value) < tolerance and abs(miss) < 1e-6) or high.value - low.value < tolerance:
                return float(min(max(guess, low.value), high.value))
            if not low.value < guess < high.value or abs(miss) > 0.5 * before:
                guess, before = 0.5 * (low.value + high.value), np.inf
            else:
                before = abs(miss)
            point = self.at(guess)
            low, high = (low, point) if (point.q > level) == rising else (point, high)


def hermite(low: Point, high: Point, value: float) -> float:
    """The cubic through two points with their slopes, at a value between them."""
    width = high.value - low.value
    t = (value - low.value) / width
    a, b = low.slope * width - (high.q - low.q), -high.slope * width + (high.q - low.q)
    return (1 - t) * low.q + t * high.q + t * (1 - t) * ((1 - t) * a + t * b)
