"""A measured axis that is not an energy: numbers of hits or photo-electrons with a calibration curve."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import special

from nuemstat.detector.quenching import check_points
from nuemstat.detector.resolution import Resolution, Width
from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray


@final
@dataclass(frozen=True)
class CalibratedResolution(Resolution):
    """A normal distribution in visible energy, which a curve turns into what is counted.

    counts, energies : points of the curve, rising [1], [MeV]; linear in between;
    width : sigma as a function of the deposited energy;
    gain, offset : the visible energy is gain x deposited + offset [MeV].
    """

    counts: tuple[float, ...]
    energies: tuple[float, ...]
    width: Width
    gain: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        check_points("calibration", self.counts, self.energies)
        if np.any(np.diff(self.energies) <= 0):
            raise ModelError("calibration: the energies do not rise with the counts; a rising curve is allowed")

    def cumulative(self, visible: FloatArray, edges: FloatArray) -> FloatArray:
        """Probability to be counted below each edge, shape (n, m + 1); edges within the curve.

        Raises
        ------
        ModelError : an edge outside of the curve.
        """
        low, high = self.counts[0], self.counts[-1]
        if edges[0] < low or edges[-1] > high:
            raise ModelError(
                f"calibration: the axis goes from {edges[0]:g} to {edges[-1]:g}; the curve from {low:g} to {high:g}"
            )
        at = np.interp(edges, self.counts, self.energies)
        mean, sigma = self.gain * visible + self.offset, self.scale * self.width(visible)
        return np.asarray(special.ndtr((at[None, :] - mean[:, None]) / sigma[:, None]))
