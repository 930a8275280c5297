"""Resolution: the probability that a visible energy is reconstructed in each bin."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import log, sqrt
from typing import Final, final

import numpy as np
from scipy import special

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray


@dataclass(frozen=True)
class Width(ABC):
    """Standard deviation of the reconstructed energy as a function of the visible one."""

    @abstractmethod
    def __call__(self, visible: FloatArray) -> FloatArray:
        """Sigma [MeV] at visible energies [MeV]."""


@final
@dataclass(frozen=True)
class NoiseFanoWidth(Width):
    """Electronic noise and charge statistics of a semiconductor: sigma^2 = noise^2 + E fano pair_energy.

    noise : [MeV]; fano : Fano factor; pair_energy : energy per electron-hole pair [MeV], 2.96 eV in germanium.
    """

    noise: float
    fano: float = 0.0
    pair_energy: float = 0.0

    def __call__(self, visible: FloatArray) -> FloatArray:
        """Sigma [MeV] at visible energies [MeV]."""
        return np.sqrt(self.noise**2 + np.maximum(visible, 0.0) * self.fano * self.pair_energy)


@final
@dataclass(frozen=True)
class SquareRootWidth(Width):
    """sigma = a sqrt(E/keV) + b E/keV + c; all three are energies [MeV], the parts of sigma at 1 keV."""

    a: float
    b: float = 0.0
    c: float = 0.0

    def __call__(self, visible: FloatArray) -> FloatArray:
        """Sigma [MeV] at visible energies [MeV]."""
        energy = np.maximum(visible, 0.0) / units.keV
        return np.asarray(self.a * np.sqrt(energy) + self.b * energy + self.c)


FWHM: Final = 2 * sqrt(2 * log(2))
"""Full width at half maximum of a normal distribution over its standard deviation, 2.3548."""


@final
@dataclass(frozen=True)
class FullWidth(Width):
    """FWHM = constant + root sqrt(E/keV (1 + quadratic E)), as line widths of germanium are fitted.

    constant, root : [MeV], root is its part at 1 keV without the quadratic term; quadratic : [1/MeV].
    """

    constant: float
    root: float
    quadratic: float = 0.0

    def __call__(self, visible: FloatArray) -> FloatArray:
        """Sigma [MeV] at visible energies [MeV]."""
        energy = np.maximum(visible, 0.0)
        bent = energy / units.keV * (1 + self.quadratic * energy)
        return np.asarray((self.constant + self.root * np.sqrt(bent)) / FWHM)


@final
@dataclass(frozen=True)
class PolynomialWidth(Width):
    """sigma = c_0 + c_1 (E/keV) + c_2 (E/keV)^2 + ...; the coefficients are energies [MeV]."""

    coefficients: tuple[float, ...]

    def __call__(self, visible: FloatArray) -> FloatArray:
        """Sigma [MeV] at visible energies [MeV]."""
        values = np.polynomial.polynomial.polyval(visible / units.keV, np.array(self.coefficients, dtype=float))
        return np.asarray(values, dtype=float)


@final
@dataclass(frozen=True)
class PowerWidth(Width):
    """sigma = width (E/reference)^exponent; width and reference [MeV]."""

    width: float
    reference: float
    exponent: float

    def __call__(self, visible: FloatArray) -> FloatArray:
        """Sigma [MeV] at visible energies [MeV]."""
        return np.asarray(self.width * (np.maximum(visible, 0.0) / self.reference) ** self.exponent)


@dataclass(frozen=True)
class Resolution(ABC):
    """What all resolutions share.

    scale : relative factor on the width, neutral 1.
    """

    scale: float = field(default=1.0, kw_only=True)

    @abstractmethod
    def cumulative(self, visible: FloatArray, edges: FloatArray) -> FloatArray:
        """Probability to be reconstructed below each edge, shape (n, m + 1)."""

    def probability(self, visible: FloatArray, edges: FloatArray) -> FloatArray:
        """Probability to be reconstructed in each bin.

        visible : visible energies [MeV], shape (n,); edges : of the bins, in the observable's unit, shape (m + 1,).
        Returns shape (n, m); a row sums to what falls between the first and the last edge.
        """
        return np.diff(self.cumulative(visible, edges), axis=1)


@final
@dataclass(frozen=True)
class PerfectResolution(Resolution):
    """What is visible is what is reconstructed; an energy on an edge belongs to the bin above it."""

    def cumulative(self, visible: FloatArray, edges: FloatArray) -> FloatArray:
        """Probability to be reconstructed below each edge, 0 or 1."""
        return np.asarray(visible[:, None] < edges[None, :], dtype=float)


@final
@dataclass(frozen=True)
class GaussianResolution(Resolution):
    """A normal distribution around the visible energy.

    width : sigma as a function of the visible energy;
    truncated : the density is restricted to positive energies and renormalised by 2/(1 + erf(E/(sqrt2 sigma))),
        as in the analyses of Dresden-II (arXiv:2202.10829).
    """

    width: Width
    truncated: bool = False

    def cumulative(self, visible: FloatArray, edges: FloatArray) -> FloatArray:
        """Probability to be reconstructed below each edge [MeV], shape (n, m + 1)."""
        sigma = self.scale * self.width(visible)
        if np.any(sigma < 0):
            worst = visible[np.argmin(sigma)] / units.keV
            raise ModelError(f"resolution: sigma is negative at {worst:g} keV; positive widths are allowed")
        sigma = np.maximum(sigma, np.finfo(float).tiny * units.MeV)[:, None]
        with np.errstate(over="ignore"):  # a width of zero: the step function
            below = special.ndtr((edges[None, :] - visible[:, None]) / sigma)
            if not self.truncated:
                return below
            lost = special.ndtr(-visible / sigma[:, 0])[:, None]
        return np.asarray(np.where(edges > 0, (below - lost) / (1 - lost), 0.0))


@final
@dataclass(frozen=True)
class GammaResolution(Resolution):
    """Light smeared by a Gamma distribution in photo-electrons, as COHERENT describes its CsI.

    P(x|E) = [A(1+B)]^(1+B)/Gamma(1+B) x^B exp(-A(1+B)x) with A = a/E and B = b E: the mean is E/a and the
    standard deviation E/a/sqrt(1+B); `scale` multiplies the latter.
    a : energy per photo-electron [MeV]; b : [1/MeV]. Source: arXiv:2110.07730, ancillary files.
    """

    a: float
    b: float

    def cumulative(self, visible: FloatArray, edges: FloatArray) -> FloatArray:
        """Probability to be reconstructed below each edge [PE], shape (n, m + 1); no light counts as 0 PE."""
        lit = np.maximum(visible, np.finfo(float).tiny * units.MeV)[:, None]
        shape = (1 + self.b * lit) / self.scale**2
        scaled = np.maximum(edges, 0.0)[None, :] * self.a / lit * shape
        below = np.zeros(scaled.shape)
        spread = 9 * np.sqrt(shape) + 40  # beyond it the tail is below 1e-16: gammainc is slow, so it is left out
        inside = np.abs(scaled - shape) < spread
        below[scaled > shape] = 1.0
        below[inside] = special.gammainc(np.broadcast_to(shape, scaled.shape)[inside], scaled[inside])
        return below
