"""The Feldman-Cousins construction with profiled nuisances.

A value belongs to the set when more than 1 - cl of the toys thrown at it, nuisances at their conditional best fit,
have a likelihood ratio as large as that of the data (Feldman, Cousins, PRD 57 (1998) 3873).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.checkpoint import Outcome
from nuemstat.stats.execution import Piece, Runner, Task
from nuemstat.stats.profile import Point, Profile, hermite
from nuemstat.stats.search import Measured, Range, Search
from nuemstat.stats.tails import Tail, summary, two_sided_score
from nuemstat.stats.toys import TASK_SIZE, opened, require_toys, seeds_of, too_many_failed

TOYS = 5000
"""At each value near an end of the set, unless asked otherwise."""
_SPACING = 0.7
"""In standard deviations: between the first values looked at."""
_MARGIN = 1.2
"""In standard deviations: how far beyond the asymptotic threshold they reach."""
_LEVEL = 1e-5
"""In 2 NLL: how near to its critical value an end by a formula has to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Critical:
    """What toys say of one value of the coupling (physical units).

    q : 2 NLL of the data above the global minimum; critical : quantile cl of the toys' q, with its binomial error;
    p_value : share of toys with a q as large as the data, with its binomial error.
    """

    value: float
    q: float
    critical: float
    error: float
    p_value: float
    p_error: float
    toys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Construction:
    """The set (workspace units), and what is to be said of its toys."""

    pieces: tuple[Piece, ...]
    warnings: tuple[str, ...]


def throw(common: bytes, task: Task) -> Outcome:
    """The work of one task: toys at one value."""
    toys = opened(common)
    truth = np.array(task.truth)
    fitted = toys.fit(*toys.throw(truth, seeds_of(task)), truth)
    return summary(fitted.q, fitted.usable, task.observed)


class Belt:
    """Critical values along one coupling, sharpened where asked."""

    def __init__(self, profile: Profile, q_min: float, *, cl: float, runner: Runner) -> None:
        self.profile, self.q_min, self.cl, self.runner = profile, q_min, cl, runner
        self.tails: dict[float, Tail] = {}
        self._points: dict[float, Point] = {}
        self._asked: dict[float, int] = {}
        self.full = TOYS if runner.plan.toys is None else runner.plan.toys
        require_toys(self.full, TASK_SIZE)
        self.pilot = max(2 * TASK_SIZE, self.full // 20)

    def point(self, value: float) -> Point:
        """The conditional best fit of the data at one value."""
        if value not in self._points:
            self._points[value] = self.profile.precisely(value)
        return self._points[value]

    def q(self, value: float) -> float:
        """2 NLL of the data above the global minimum."""
        return max(self.point(value).q - self.q_min, 0.0)

    def sharpen(self, wanted: dict[float, int]) -> None:
        """Throw toys until each value has at least as many as wanted, in whole tasks."""
        tasks = []
        for value, toys in wanted.items():
            self.tails.setdefault(value, Tail())
            first, last = self._asked.get(value, 0), -(-toys // TASK_SIZE)
            truth = tuple(self.point(value).solution.x.tolist())
            observed = self.q(value)
            tasks += [Task("fc", value, n, truth, observed, self.runner.plan.seed) for n in range(first, last)]
            self._asked[value] = max(first, last)
        self.runner(tasks, lambda task, outcome: self.tails[task.value].add(outcome), "toys")

    def measured(self, value: float) -> Measured:
        """The score of one value by its toys."""
        tail = self.tails.get(value)
        if tail is None or not tail.toys:
            return Measured(0, 0.0, 0.0)
        asked = self._asked[value] * TASK_SIZE
        return Measured(asked, *two_sided_score(tail.p_value, tail.p_error, self.cl))

    def asymptotic(self, value: float) -> float:
        """The score of one value by chi2 with one degree of freedom."""
        return sqrt(max(self.profile.at(value).q - self.q_min, 0.0)) - float(norm.isf((1 - self.cl) / 2))

    @property
    def toys(self) -> int:
        """All toys that were thrown and fitted."""
        return sum(tail.toys for tail in self.tails.values())

    def curve(self, values: Sequence[float]) -> FloatArray:
        """Critical values, sharpened at these values and taken wherever they are known, shape (2, n)."""
        self.sharpen({value: max(self.pilot, self.full // 3) for value in values})
        known = sorted(self.tails)
        return np.array([known, [self.tails[value].critical(self.cl)[0] for value in known]])

    def rows(self, scale: float) -> tuple[Critical, ...]:
        """What is known, by value."""
        found = []
        for value in sorted(self.tails):
            tail = self.tails[value]
            critical, error = tail.critical(self.cl)
            found.append(
                Critical(
                    value=value * scale,
                    q=self.q(value),
                    critical=critical,
                    error=error,
                    p_value=tail.p_value,
                    p_error=tail.p_error,
                    toys=tail.toys,
                )
            )
        return tuple(found)


def construct(belt: Belt, minima: Sequence[Point], *, scan_range: Range | None) -> Construction:
    """The Feldman-Cousins set of one coupling.

    belt : of a profile explored well above the threshold; minima : of it, the global one first;
    scan_range : in workspace units, nothing is said outside.

    Raises
    ------
    FitError : too few toys; Interrupted : from the keyboard.
    """
    profile, cl = belt.profile, belt.cl
    limits = profile.bounds if scan_range is None else _overlap(scan_range, profile.bounds)
    search = Search(
        first_values(profile, minima, limits, float(norm.isf((1 - cl) / 2)) + _MARGIN),
        measure=belt.measured,
        reference=belt.asymptotic,
        limits=limits,
        bounds=profile.bounds,
        pilot=belt.pilot,
        full=belt.full,
    )
    while wanted := search.wanted():
        belt.sharpen(wanted)
    failed = too_many_failed(sum(tail.failed for tail in belt.tails.values()), belt.toys)
    return Construction(pieces=tuple(search.pieces()), warnings=() if failed is None else (failed,))


def by_formula(profile: Profile, minima: Sequence[Point], threshold: Callable[[float], float]) -> tuple[Piece, ...]:
    """The set with critical values of a formula, which vary along the coupling.

    threshold : the critical value at a value of the coupling.
    """
    q_min, points = minima[0].q, list(profile.points)
    inside = [point.q - q_min <= threshold(point.value) for point in points]
    start = points[0].value if points[0].value <= profile.bounds[0] else None
    found = []
    for i, (low, high) in enumerate(pairwise(points)):
        if inside[i] != inside[i + 1]:
            end = _crossing(profile, low, high, lambda value: q_min + threshold(value))
            if inside[i]:
                found.append(Piece(start, end, 0.0, 0.0))
            start = end
    if inside[-1]:
        found.append(Piece(start, points[-1].value if points[-1].value >= profile.bounds[1] else None, 0.0, 0.0))
    return tuple(found)


def _crossing(profile: Profile, low: Point, high: Point, level: Callable[[float], float]) -> float:
    """Where the profile passes a level between two points on either side of it: the cubic, sharpened by fits."""
    rising = high.q > level(high.value)
    while True:

        def excess(value: float, low: Point = low, high: Point = high) -> float:
            return hermite(low, high, value) - level(value)

        guess = float(brentq(excess, low.value, high.value, xtol=1e-9 * (high.value - low.value)))
        point = profile.at(guess)
        miss = point.q - level(guess)
        if abs(miss) < _LEVEL or point is low or point is high:
            return guess
        low, high = (low, point) if (miss > 0) == rising else (point, high)


def first_values(profile: Profile, minima: Sequence[Point], limits: Range, highest: float) -> list[float]:
    """Values about `_SPACING` standard deviations apart where the profile is lower than `highest` of them; its minima.

    Raises
    ------
    FitError : the limits lie outside the values that the profile was followed to.
    """
    q_min = minima[0].q
    low = [p for p in profile.points if limits[0] <= p.value <= limits[1]]
    heights = np.sqrt(np.maximum([p.q - q_min for p in low], 0.0))
    highest = max(highest, float(heights.min(initial=np.inf)) + _SPACING)
    chosen: list[float] = []
    walked = _SPACING
    for i, point in enumerate(low):
        if i:
            walked += abs(heights[i] - heights[i - 1])
        if heights[i] < highest and walked >= _SPACING:
            chosen.append(point.value)
            walked = 0.0
    inner = [p.value for p in minima if limits[0] <= p.value <= limits[1] and p.q < q_min + highest**2]
    points = profile.points
    ends = [end for end in limits if points[0].value <= end <= points[-1].value]
    found = sorted({*chosen, *inner, *ends})
    if len(found) < 2:
        found = [max(limits[0], points[0].value), min(limits[1], points[-1].value)]
    if found[0] >= found[-1]:
        raise FitError(
            f"{profile.name}: the range lies outside the values that the profile was followed to, "
            f"{points[0].value:.4g} to {points[-1].value:.4g} in workspace units"
        )
    return [float(value) for value in found]


def _overlap(a: Range, b: Range) -> Range:
    return max(a[0], b[0]), min(a[1], b[1])
