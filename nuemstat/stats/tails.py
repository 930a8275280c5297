"""What is kept of toys: how many lie beyond the data, and a histogram; both simply add up.

Memory does not grow with the number of toys.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from nuemstat.polynomial import FloatArray
from nuemstat.stats.checkpoint import Outcome
from nuemstat.stats.toys import at_least

_BINS = 5000
_WIDTH = 0.002
"""Of a bin, in the square root of the statistic; what lies beyond the last bin counts as in it."""


def summary(statistics: FloatArray, usable: npt.NDArray[np.bool_], observed: float) -> Outcome:
    """The outcome of one task: toys, those at or beyond the observed statistic, failed ones, filled bins."""
    kept = statistics[usable]
    bins = np.minimum(np.sqrt(kept) / _WIDTH, _BINS - 1).astype(int)
    places, counts = np.unique(bins, return_counts=True)
    return {
        "toys": int(kept.size),
        "beyond": int(at_least(kept, observed).sum()),
        "failed": int(statistics.size - kept.size),
        "bins": np.stack([places, counts], axis=1).tolist(),
    }


@dataclass(slots=True, eq=False)
class Tail:
    """Sums over toys of one value."""

    toys: int = 0
    beyond: int = 0
    failed: int = 0
    histogram: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(_BINS, dtype=np.int32))

    def add(self, outcome: Outcome) -> None:
        """Take in the outcome of one task."""
        self.toys += outcome["toys"]
        self.beyond += outcome["beyond"]
        self.failed += outcome["failed"]
        bins: Sequence[Any] = outcome["bins"]
        if len(bins):
            places, counts = np.array(bins).T
            self.histogram[places] += counts.astype(np.int32)

    @property
    def p_value(self) -> float:
        """Share of toys at or beyond the data, kept off 0 and 1 by half a toy."""
        return (self.beyond + 0.5) / (self.toys + 1)

    @property
    def p_error(self) -> float:
        """Its binomial error."""
        return sqrt(self.p_value * (1 - self.p_value) / max(self.toys, 1))

    def critical(self, cl: float) -> tuple[float, float]:
        """The quantile `cl` of the statistic, and its error: a quarter of what two binomial errors of `cl` span."""
        error = 2 * sqrt(cl * (1 - cl) / max(self.toys, 1))
        low, high = (self._quantile(min(max(cl + shift, 0.0), 1.0)) for shift in (-error, error))
        return self._quantile(cl), 0.25 * (high - low)

    def _quantile(self, share: float) -> float:
        total = np.cumsum(self.histogram)
        wanted = share * total[-1]
        place = int(np.searchsorted(total, wanted))
        if place >= _BINS:
            return float((_BINS * _WIDTH) ** 2)
        before = total[place] - self.histogram[place]
        if place == 0:
            return 0.0
        within = (wanted - before) / max(int(self.histogram[place]), 1)
        return float(((place + within) * _WIDTH) ** 2)


def two_sided_score(p: float, p_error: float, cl: float) -> tuple[float, float]:
    """A two-sided p-value as standard deviations above the threshold, with its error."""
    deviations = float(norm.isf(p / 2))
    return deviations - float(norm.isf((1 - cl) / 2)), p_error / (2 * float(norm.pdf(deviations)))
