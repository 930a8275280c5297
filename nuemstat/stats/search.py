"""Where to throw toys: few at values that are plainly in or out, many where the answer hangs on them.

The score of a value is its distance, in standard deviations, from the threshold: below 0 it belongs to the set.
Between values the difference to the asymptotic score, which is known exactly, is interpolated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, inf, log10, sqrt

from scipy.optimize import brentq

from nuemstat.stats.execution import Piece
from nuemstat.stats.results import End

Range = tuple[float, float]

_DOUBT = 3.0
"""Errors of its score that decide whether a value is in or out."""
_STEP = 0.35
"""In score: the two values around an end of the set are not farther apart ..."""
_FINEST = 0.004
"""... unless they are this share of the whole range apart: there the score jumps, as in counting experiments."""
_OUTWARDS = 40
"""How often the range may grow."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What toys say of one value; score and error in standard deviations."""

    toys: int
    score: float
    error: float


class Search:
    """Decides which values want more toys until the ends of the set are known."""

    def __init__(
        self,
        values: Sequence[float],
        *,
        measure: Callable[[float], Measured],
        reference: Callable[[float], float],
        limits: Range,
        bounds: Range,
        pilot: int,
        full: int,
    ) -> None:
        """values : first ones to look at, at least two; measure, reference : score by toys, and asymptotically;
        limits : nothing is looked at beyond; bounds : of the coupling, where the set may end;
        pilot, full : toys of a value at first, and near the threshold."""
        self.values = sorted(values)
        span = self.values[-1] - self.values[0]
        self._digits = 5 - floor(log10(span))
        self._finest = _FINEST * span
        self.values = sorted({self._inside(value, limits) for value in self.values})
        self._measure, self._reference = measure, reference
        self._limits, self._bounds = limits, bounds
        self._pilot, self._full, self._grown = min(pilot, full), full, 0

    def wanted(self) -> dict[float, int]:
        """Toys that each value should have before the next call; empty when all is known."""
        measured = {value: self._measure(value) for value in self.values}
        first = {value: self._pilot for value, m in measured.items() if m.toys < self._pilot}
        if first:
            return first
        doubtful = {
            value: min(self._full, 4 * m.toys)
            for value, m in measured.items()
            if m.toys < self._full and abs(m.score) < _DOUBT * m.error
        }
        return doubtful or self._outwards(measured) or self._between(measured)

    def pieces(self) -> list[Piece]:
        """The set: disjoint intervals, rising."""
        measured = {value: self._measure(value) for value in self.values}
        first, last = self.values[0], self.values[-1]
        inside = measured[first].score < 0
        start: tuple[End, float] = (first if first <= self._bounds[0] else None, 0.0)
        found = []
        for a, b in pairwise(self.values):
            if (measured[a].score < 0) != (measured[b].score < 0):
                end = self._crossing(a, b, measured)
                if inside:
                    found.append(Piece(start[0], end[0], start[1], end[1]))
                start, inside = end, not inside
        if inside:
            found.append(Piece(start[0], last if last >= self._bounds[1] else None, start[1], 0.0))
        return found

    def _inside(self, value: float, limits: Range) -> float:
        """Rounded, so that a checkpoint finds it again although the last digits of a fit have changed."""
        return min(max(round(value, self._digits), limits[0]), limits[1])

    def _outwards(self, measured: dict[float, Measured]) -> dict[float, int]:
        if self._grown >= _OUTWARDS:
            return {}
        width, more = self.values[-1] - self.values[0], {}
        for end, sign in ((self.values[0], -1), (self.values[-1], 1)):
            value = self._inside(end + 0.15 * sign * width, self._limits)
            if measured[end].score < 0 and value not in measured:
                more[value] = self._pilot
        self._grown += 1
        return self._add(more)

    def _between(self, measured: dict[float, Measured]) -> dict[float, int]:
        more: dict[float, int] = {}
        for a, b in pairwise(self.values):
            left, right = measured[a], measured[b]
            if (left.score < 0) == (right.score < 0):
                continue
            if abs(left.score - right.score) > _STEP:
                guess = self._crossing(a, b, measured)[0]
                value = round(min(max(guess, a + 0.25 * (b - a)), b - 0.25 * (b - a)), self._digits)
                if b - a > self._finest and value not in measured:
                    more[value] = self._pilot
                continue
            more |= {value: self._full for value in (a, b) if measured[value].toys < self._full}
        return self._add(more)

    def _add(self, more: dict[float, int]) -> dict[float, int]:
        self.values = sorted({*self.values, *more})
        return more

    def _crossing(self, a: float, b: float, measured: dict[float, Measured]) -> tuple[float, float]:
        """Where the score is 0 between two values, and the error of that place."""
        left, right = measured[a], measured[b]
        excess = (left.score - self._reference(a), right.score - self._reference(b))

        def score(value: float) -> float:
            share = (value - a) / (b - a)
            return self._reference(value) + (1 - share) * excess[0] + share * excess[1]

        place = float(brentq(score, a, b, xtol=1e-6 * (b - a)))
        step = 0.02 * (b - a)
        low, high = max(a, place - step), min(b, place + step)
        slope = abs(score(high) - score(low)) / (high - low)
        share = (place - a) / (b - a)
        error = sqrt(((1 - share) * left.error) ** 2 + (share * right.error) ** 2)
        return place, min(error / slope if slope else inf, b - a)
