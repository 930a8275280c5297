"""Efficiency: the probability to be selected, as a function of a true or of a reconstructed energy."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
from scipy import special
from scipy.interpolate import PchipInterpolator

from nuemstat.detector.quenching import check_points
from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray


@final
@dataclass(frozen=True)
class GaussianEdge:
    """A roll-off at high energy, 0.5 erfc((E - centre)/(sqrt2 width)); both in the unit of the abscissa."""

    centre: float
    width: float

    def __call__(self, energy: FloatArray) -> FloatArray:
        """The factor between 1 (below) and 0 (above)."""
        return np.asarray(special.ndtr((self.centre - energy) / self.width))


@dataclass(frozen=True)
class Efficiency(ABC):
    """What all efficiencies share; calling one gives the probability at each energy (or number of PE).

    scale : relative factor, neutral 1; roll_off : optional edge at high energy.
    """

    scale: float = field(default=1.0, kw_only=True)
    roll_off: GaussianEdge | None = field(default=None, kw_only=True)

    def __call__(self, energy: FloatArray) -> FloatArray:
        """Efficiency at energies in the unit of its abscissa, same shape."""
        energy = np.asarray(energy, dtype=float)
        values = self.scale * self._curve(energy)
        return values if self.roll_off is None else values * self.roll_off(energy)

    @property
    def knots(self) -> tuple[float, ...]:
        """Where the curve has a corner or a step; integrals are split there."""
        return ()

    @abstractmethod
    def _curve(self, energy: FloatArray) -> FloatArray:
        """The efficiency for a scale of 1 and without roll-off."""


@final
@dataclass(frozen=True)
class ConstantEfficiency(Efficiency):
    """The same at every energy."""

    value: float = 1.0

    def _curve(self, energy: FloatArray) -> FloatArray:
        return np.full(energy.shape, self.value)


@final
@dataclass(frozen=True)
class TableEfficiency(Efficiency):
    """A tabulated efficiency.

    energies : rising, in the unit of the abscissa; values : as many numbers;
    interpolation : `linear` between the points, or `monotone_cubic` for points that are coarse against the curve
        (Fritsch and Carlson, SIAM J. Numer. Anal. 17 (1980) 238): no overshoot, and no chord over a bend;
    shift : moves the curve along the abscissa, to higher energies where positive;
    outside : beyond the first and the last point, `clamp` keeps their values, `zero` selects nothing.
    """

    energies: tuple[float, ...]
    values: tuple[float, ...]
    shift: float = field(default=0.0, kw_only=True)
    outside: Literal["clamp", "zero"] = field(default="clamp", kw_only=True)
    interpolation: Literal["linear", "monotone_cubic"] = field(default="linear", kw_only=True)

    def __post_init__(self) -> None:
        check_points("efficiency", self.energies, self.values)
        if min(self.values) < 0:
            raise ModelError(f"efficiency: found {min(self.values):g}; values of 0 or more are allowed")

    @property
    def knots(self) -> tuple[float, ...]:
        """The tabulated points, moved by the shift."""
        return tuple(energy + self.shift for energy in self.energies)

    def _curve(self, energy: FloatArray) -> FloatArray:
        ends = 0.0 if self.outside == "zero" else None
        at = energy - self.shift
        if self.interpolation == "linear":
            return np.interp(at, self.energies, self.values, left=ends, right=ends)
        low, high = self.energies[0], self.energies[-1]
        curve = PchipInterpolator(self.energies, self.values)(np.clip(at, low, high))
        return np.where((at >= low) & (at <= high), curve, 0.0 if self.outside == "zero" else curve)


@final
@dataclass(frozen=True)
class LogisticEfficiency(Efficiency):
    """a/(1 + exp(-b (x - c))) + d, zero where that is negative (COHERENT CsI, arXiv:2110.07730, ancillary files).

    parameters : (a, b, c, d), b and c in the unit of the abscissa;
    plus, minus : the parameters at +1 and -1 sigma; pull : in sigma, linear from nominal to plus or to minus.
    """

    parameters: tuple[float, float, float, float]
    plus: tuple[float, float, float, float] | None = None
    minus: tuple[float, float, float, float] | None = None
    pull: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if self.pull and (self.plus is None or self.minus is None):
            raise ModelError(f"efficiency: a pull of {self.pull:g} needs the parameters at +1 and at -1 sigma")

    @property
    def pulled(self) -> tuple[float, ...]:
        """(a, b, c, d) at the pull."""
        other = self.plus if self.pull > 0 else self.minus
        if not self.pull or other is None:
            return self.parameters
        return tuple(p + abs(self.pull) * (q - p) for p, q in zip(self.parameters, other, strict=True))

    @property
    def knots(self) -> tuple[float, ...]:
        """Where the curve reaches zero, if it does."""
        a, b, c, d = self.pulled
        return (float(c - np.log(-a / d - 1) / b),) if d < 0 < a + d else ()

    def _curve(self, energy: FloatArray) -> FloatArray:
        a, b, c, d = self.pulled
        return np.maximum(a * special.expit(b * (energy - c)) + d, 0.0)
