"""Quenching: how much of a nuclear recoil's energy becomes visible as ionisation or light.

Each class is a frozen set of numbers; a nuisance acts by changing one of them (``dataclasses.replace``). A visible
energy of exactly 0 means that there is no signal at all; the response has an empty row there.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import final

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray


@dataclass(frozen=True)
class Quenching(ABC):
    """What all quenchings share; calling one turns recoil energies into visible energies.

    scale : relative factor on the visible energy, neutral 1;
    ionisation_cut : visible energies below it [MeV] give no signal.
    """

    scale: float = field(default=1.0, kw_only=True)
    ionisation_cut: float = field(default=0.0, kw_only=True)

    def __call__(self, recoil: FloatArray) -> FloatArray:
        """Visible energy [MeV] at recoil energies [MeV]; 0 where there is no signal."""
        visible = self.uncut(recoil)
        return np.where(visible >= self.ionisation_cut, np.maximum(visible, 0.0), 0.0)

    def uncut(self, recoil: FloatArray) -> FloatArray:
        """Visible energy [MeV] before the ionisation cut; may be negative where a fitted curve is."""
        return self.scale * self._curve(np.asarray(recoil, dtype=float))

    @abstractmethod
    def _curve(self, recoil: FloatArray) -> FloatArray:
        """Visible energy [MeV] at recoil energies [MeV] for a scale of 1."""


@final
@dataclass(frozen=True)
class NoQuenching(Quenching):
    """All of the energy is visible: recoiling electrons, or spectra already in recoil energy."""

    def _curve(self, recoil: FloatArray) -> FloatArray:
        return recoil


@final
@dataclass(frozen=True)
class TotalEnergy(Quenching):
    """Of a recoiling electron the total energy, mass included, is measured: the scale of water Cherenkov detectors."""

    def _curve(self, recoil: FloatArray) -> FloatArray:
        return recoil + units.ELECTRON_MASS


@final
@dataclass(frozen=True)
class LindhardQuenching(Quenching):
    """Lindhard's theory: T k g/(1 + k g), eps = 11.5 Z^(-7/3) T/keV, g = 3 eps^0.15 + 0.7 eps^0.6 + eps.

    k : strength of electronic stopping, about 0.16 in germanium; Z : charge of the nucleus.
    Source: Lindhard et al., Mat. Fys. Medd. 33 (1963) no. 10; Lewin and Smith, Astropart. Phys. 6 (1996) 87, sec. 3.
    """

    k: float
    Z: int

    def _curve(self, recoil: FloatArray) -> FloatArray:
        reduced = 11.5 * self.Z ** (-7 / 3) * recoil / units.keV
        stopping = self.k * (3 * reduced**0.15 + 0.7 * reduced**0.6 + reduced)
        return np.asarray(recoil * stopping / (1 + stopping))


@final
@dataclass(frozen=True)
class PolynomialQuenching(Quenching):
    """A polynomial without constant, E_ee = c_1 T + c_2 T^2 + ..., both energies counted in MeV.

    coefficients : c_1, c_2, ... (the first number multiplies T);
    components : independent directions of its uncertainty, each a pair (coefficients at +1 sigma, at -1 sigma);
    pulls : one number per component, in sigma; the coefficients are nominal + sum of pull x (plus - minus)/2.
    """

    coefficients: tuple[float, ...]
    components: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()
    pulls: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.pulls) > len(self.components):
            raise ModelError(f"quenching: {len(self.pulls)} pulls; it has {len(self.components)} components")
        for pair in self.components:
            if any(len(curve) != len(self.coefficients) for curve in pair):
                lengths = [len(curve) for curve in pair]
                raise ModelError(
                    f"quenching: a component with {lengths} coefficients; {len(self.coefficients)} are expected"
                )

    def _curve(self, recoil: FloatArray) -> FloatArray:
        coefficients = np.array(self.coefficients, dtype=float)
        for pull, (plus, minus) in zip(self.pulls, self.components, strict=False):
            coefficients = coefficients + pull * (np.array(plus) - np.array(minus)) / 2
        values = np.polynomial.polynomial.polyval(recoil / units.MeV, np.append(0.0, coefficients))
        return np.asarray(values * units.MeV, dtype=float)


@final
@dataclass(frozen=True)
class LinearQuenching(Quenching):
    """A factor that rises linearly, E_ee = T (constant + slope T); slope [1/MeV]."""

    constant: float
    slope: float = 0.0

    def _curve(self, recoil: FloatArray) -> FloatArray:
        return recoil * (self.constant + self.slope * recoil)


@final
@dataclass(frozen=True)
class TableQuenching(Quenching):
    """A tabulated factor E_ee/T, linear between its points and constant beyond the first and the last.

    energies : recoil energies [MeV], rising; factors : as many numbers.
    """

    energies: tuple[float, ...]
    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        check_points("quenching", self.energies, self.factors)

    def _curve(self, recoil: FloatArray) -> FloatArray:
        return np.asarray(recoil * np.interp(recoil, self.energies, self.factors))


def check_points(what: str, energies: tuple[float, ...], values: tuple[float, ...]) -> None:
    """Refuse points that cannot be interpolated: unequal lengths, fewer than two, energies that do not rise."""
    if len(energies) != len(values) or len(energies) < 2:
        raise ModelError(f"{what}: {len(energies)} energies and {len(values)} values; equal numbers, two or more")
    if np.any(np.diff(energies) <= 0):
        raise ModelError(f"{what}: the energies do not rise; strictly rising energies are allowed")
