"""Where the ends of a set lie when the estimate of a coupling fluctuates: a Gaussian mean at a bound.

The coupling enters by the root r of 2 NLL of Asimov data above its minimum, its distance from the truth in standard
deviations. An estimate shifted by k of them gives (r - k)^2, kept at its minimum above the bound where k < 0: the set
is where 2 NLL stays below the threshold (Cowan, Cranmer, Gross, Vitells, EPJC 71 (2011) 1554, secs. 2.5 and 4.3).
"""

from dataclasses import dataclass
from math import sqrt

from scipy.optimize import brentq
from scipy.stats import chi2

from nuemstat.stats.hypotest import boundary_threshold


@dataclass(frozen=True, slots=True)
class Shifted:
    """The set of a coupling whose truth is at its bound, by the shift k of the estimate in standard deviations.

    cl : confidence level; aware : thresholds know of the bound, those of chi2 otherwise.
    """

    cl: float
    aware: bool = False

    def threshold(self, root: float) -> float:
        """Critical value of 2 NLL where the root is so large."""
        return boundary_threshold(self.cl, root) if self.aware else float(chi2.ppf(self.cl, 1))

    def upper(self, shift: float) -> float:
        """Root at the upper end: k + c for k >= 0 and k + sqrt(k^2 + c^2) below, with c^2 the threshold there."""
        if not self.aware:
            return shift + sqrt(min(shift, 0.0) ** 2 + self.threshold(0.0))
        start = max(shift, 0.0)
        return float(brentq(lambda root: self._above(root, shift), start, start + 10.0, xtol=1e-10))

    def lower(self, shift: float) -> float:
        """Root at the lower end, 0 where the set reaches the bound."""
        if shift <= 0 or self._above(0.0, shift) <= 0:
            return 0.0
        return float(brentq(lambda root: self._above(root, shift), 0.0, shift, xtol=1e-10))

    def shift(self, root: float) -> float:
        """The shift whose set ends at this root: the inverse of `upper`; minus infinity at the bound."""
        square = self.threshold(root)
        if root >= sqrt(square):
            return root - sqrt(square)
        return (root * root - square) / (2 * root) if root > 0 else -float("inf")

    def _above(self, root: float, shift: float) -> float:
        """2 NLL at a root above its minimum, less the threshold."""
        return (root - shift) ** 2 - min(shift, 0.0) ** 2 - self.threshold(root)
