"""Ionisation of matter by a fast charge: the dielectric (photo-absorption ionisation) formula.

Allison and Cobb, Ann. Rev. Nucl. Part. Sci. 30 (1980) 253 (per electron, and 1 for |eps|^2). The form that was read:
Geant4 Physics Reference Manual, "Photoabsorption Ionization Model", eq. 1. With eps = eps_1 + i eps_2 of the medium,
sigma the photoabsorption cross section and N the number of formula units per volume, a charge of q e and speed beta
transfers an energy T with

    dsigma/dT = q^2 alpha / (pi beta^2) { L [ln(1/|1 - beta^2 eps|) + ln(2 m beta^2 / T)] + P + Theta }
    L = sigma / (T |eps|^2),  P = 1/T^2 integral of sigma from 0 to T,
    Theta = (beta^2 - eps_1/|eps|^2) arg(1 - beta^2 eps_1 + i beta^2 eps_2) / (N hbar c),
    eps_2 = N hbar c sigma / T,  eps_1 = 1 + 2/pi (principal value) integral of x eps_2(x) / (x^2 - T^2) dx.

The first logarithm and Theta are the transverse field, cut off by the medium (density effect); the second logarithm
and P are the longitudinal (Coulomb) field on bound electrons and on electrons as good as free. Nothing here interferes
with the weak amplitude: in this approximation the rate is quadratic in the charge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray

STRENGTH: Final = 2 * np.pi**2 * units.ALPHA * units.HBARC**2 / units.ELECTRON_MASS
"""Integral of the photoabsorption cross section over all energies, per electron [area x energy]: the sum rule."""

_STEP: Final = 0.005
"""Largest step of the logarithm of the energy between nodes, between which cross sections are taken as linear."""
_SPACING: Final = 0.02
"""The same between the energies at which the dispersion integral is done."""
_END: Final = 1e3
"""Up to this times its last energy a table is continued, with steps that are larger by the next number."""
_COARSER: Final = 10
_ASIDE: Final = 1e-7
"""Relative distance from a node at which the dispersion integral is taken: the logarithms of both sides cancel."""


def dispersion(energies: FloatArray, cross_section: FloatArray, at: npt.ArrayLike) -> FloatArray:
    """Principal value of the integral of sigma(x) / (x^2 - T^2) dx, exact for sigma linear between its nodes.

    energies : rising nodes [energy];  cross_section : at the nodes [area], zero outside;
    at : the T [energy], shape (n,);  result : [area / energy], shape (n,).  eps_1 - 1 is 2/pi N hbar c times this.
    """
    wanted = np.asarray(at, dtype=float)
    return np.asarray(_weights(energies.tobytes(), wanted.tobytes()) @ cross_section)


@lru_cache(maxsize=16)
def _weights(nodes: bytes, wanted: bytes) -> FloatArray:
    """What each node contributes to the integral at each T, shape (n, nodes); it knows no cross section."""
    energies, at = np.frombuffer(nodes), np.frombuffer(wanted)
    a, width = energies[:-1], np.diff(energies)
    found = np.zeros((at.size, energies.size))
    for row, T in zip(found, np.where(np.isin(at, energies), at * (1 + _ASIDE), at), strict=True):
        # 1/(x^2 - T^2) = [1/(x - T) - 1/(x + T)] / 2T, and sigma continues its segment's line to T and to -T.
        near, far = _logarithm(width / (a - T)), _logarithm(width / (a + T))
        to_near, to_far = (T - a) / width, (T + a) / width
        row[:-1] += (1 - to_near) * near - (1 + to_far) * far
        row[1:] += to_near * near + to_far * far
        row /= 2 * T
    return found


def _logarithm(excess: FloatArray) -> FloatArray:
    """ln|1 + u|, with all digits for small u."""
    inside = excess > -0.5
    return np.where(inside, np.log1p(np.where(inside, excess, 0.0)), np.log(np.abs(1 + np.where(inside, 0.0, excess))))


@dataclass(frozen=True, eq=False)
class Absorber:
    """Photoabsorption of one atom over all energies: a table, a power law above it, nothing below.

    energies : rising [energy];  cross_section : there [area];  electrons : their number, which the sum rule wants.

    Raises
    ------
    ModelError : a table that does not rise or is not above 0, or whose last points do not fall fast enough to be
    continued.
    """

    energies: FloatArray
    cross_section: FloatArray
    electrons: float

    def __post_init__(self) -> None:
        rising = self.energies.size > 1 and bool(np.all(np.diff(self.energies) > 0))
        if not rising or np.any(self.cross_section <= 0):
            raise ModelError("photoabsorption: two or more rising energies with cross sections above 0 are expected")
        if self._last_power >= -1:
            found = f"{self._last_power:.2g}"
            raise ModelError(f"photoabsorption: ends with the power {found} of the energy; one below -1 is expected")

    @property
    def _last_power(self) -> float:
        x, y = np.log(self.energies[-2:]), np.log(self.cross_section[-2:])
        return float((y[1] - y[0]) / (x[1] - x[0]))

    @cached_property
    def _nodes(self) -> tuple[FloatArray, FloatArray]:
        """The table and its continuation by power laws, at steps so small that straight lines do."""
        ends = np.append(self.energies, self.energies[-1] * _END)
        x = np.log(ends)
        y = np.append(np.log(self.cross_section), np.log(self.cross_section[-1]) + self._last_power * np.log(_END))
        steps = [_STEP] * (x.size - 2) + [_COARSER * _STEP]
        pieces = [
            np.linspace(a, b, int((b - a) / step) + 1, endpoint=False)
            for (a, b), step in zip(pairwise(x), steps, strict=True)
        ]
        fine = np.concatenate([*pieces, x[-1:]])
        energies = np.exp(fine)
        energies[np.searchsorted(fine, x)] = ends
        return energies, np.exp(np.interp(fine, x, y))

    @cached_property
    def _sums(self) -> FloatArray:
        """Integral of the cross section from the first node to each node [area x energy]."""
        energies, sigma = self._nodes
        return np.concatenate([[0.0], np.cumsum(np.diff(energies) * (sigma[1:] + sigma[:-1]) / 2)])

    @cached_property
    def missing(self) -> float:
        """Electrons without oscillator strength in the table and above; below 0 where the table has too much."""
        return self.electrons - float(self._sums[-1]) / STRENGTH

    @cached_property
    def _dispersion(self) -> tuple[FloatArray, FloatArray]:
        """Logarithms of energies, and T^2 times the dispersion integral there [area x energy]."""
        energies, sigma = self._nodes
        ends = np.append(self.energies, self.energies[-1] * _END**0.5)
        gaps = [np.geomspace(a, b, int(np.log(b / a) / _SPACING) + 1, endpoint=False) for a, b in pairwise(ends)]
        at = np.concatenate([*gaps, ends[-1:]])[1:]  # at the very first node the integral diverges
        return np.log(at), at**2 * dispersion(energies, sigma, at)

    def sigma(self, energy: FloatArray) -> FloatArray:
        """The cross section [area] at energies [energy], 0 below the table."""
        energies, sigma = self._nodes
        inside = energy >= energies[0]
        log = np.log(np.where(inside, energy, energies[0]))
        return np.where(inside, np.exp(np.interp(log, np.log(energies), np.log(sigma))), 0.0)

    def below(self, energy: FloatArray) -> FloatArray:
        """Integral of the cross section up to energies [energy], without what is missing [area x energy]."""
        energies, _ = self._nodes
        return np.interp(energy, energies, self._sums)

    def real(self, energy: FloatArray) -> FloatArray:
        """T^2 times the dispersion integral [area x energy], interpolated; tends to minus the whole strength."""
        log, values = self._dispersion
        return np.interp(np.log(energy), log, values)


@dataclass(frozen=True, eq=False)
class Constituent:
    """One kind of atom of a medium: how many of it a formula unit has, and how it absorbs.

    longitudinal : a factor on its part of the longitudinal field at energies [energy], 1 when left out.
    """

    number: float
    absorber: Absorber
    longitudinal: Callable[[FloatArray], FloatArray] | None = None

    def factor(self, energy: FloatArray) -> FloatArray:
        """The factor on its longitudinal field, with the number per formula unit."""
        one = np.ones(energy.shape) if self.longitudinal is None else self.longitudinal(energy)
        return self.number * one


@dataclass(frozen=True, eq=False)
class Medium:
    """Formula units of atoms, so many per volume.

    density : formula units per volume [1 / length^3];  constituents : of a formula unit;
    missing_energy : where the oscillator strength that the tables do not have is placed [energy]. Where they have too
    much, the excess is taken off there, so that far above all energies the medium is the plasma of its electrons.
    """

    density: float
    constituents: tuple[Constituent, ...]
    missing_energy: float

    def sigma(self, energy: FloatArray) -> FloatArray:
        """Photoabsorption cross section per formula unit [area]."""
        return np.asarray(sum(part.number * part.absorber.sigma(energy) for part in self.constituents))

    def eps2(self, energy: FloatArray) -> FloatArray:
        """Imaginary part of the dielectric constant [1]: N hbar c sigma / T."""
        return self.density * units.HBARC * self.sigma(energy) / energy

    def chi1(self, energy: FloatArray) -> FloatArray:
        """Real part of the dielectric constant less 1 [1], by the Kramers-Kronig relation."""
        table = sum(part.number * part.absorber.real(energy) for part in self.constituents) / energy**2
        missing = STRENGTH * sum(part.number * part.absorber.missing for part in self.constituents)
        placed = missing / (self.missing_energy**2 - energy**2)
        return np.asarray(2 / np.pi * self.density * units.HBARC * (table + placed))

    def bound(self, energy: FloatArray) -> FloatArray:
        """sigma / T as the longitudinal field sees it [area / energy]."""
        return np.asarray(sum(p.factor(energy) * p.absorber.sigma(energy) for p in self.constituents) / energy)

    def free(self, energy: FloatArray) -> FloatArray:
        """P, the integral of sigma from 0 to T over T^2 [area / energy]: electrons as good as free."""
        above = energy > self.missing_energy
        parts = (
            p.factor(energy) * (p.absorber.below(energy) + np.where(above, STRENGTH * p.absorber.missing, 0.0))
            for p in self.constituents
        )
        return np.asarray(sum(parts) / energy**2)

    @property
    def plasma_energy(self) -> float:
        """hbar omega_p of all electrons [energy]."""
        electrons = self.density * sum(part.number * part.absorber.electrons for part in self.constituents)
        return float((2 / np.pi * units.HBARC * STRENGTH * electrons) ** 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The four terms of the formula [area / energy], each over q^2 alpha / (pi beta^2).

    logarithm : L ln(1/|1 - beta^2 eps|), and angle : Theta, of the transverse field;
    bound : L times the second logarithm, and free : P without kinematics, of the longitudinal field.
    """

    logarithm: FloatArray
    angle: FloatArray
    bound: FloatArray
    free: FloatArray

    @property
    def total(self) -> FloatArray:
        """Their sum."""
        return self.logarithm + self.angle + self.bound + self.free


def terms(medium: Medium, energy: npt.ArrayLike, *, gamma: float = np.inf) -> Terms:
    """The terms of the formula at energy transfers.

    energy : above 0 [energy], any shape;  gamma : of the charge, infinite for beta = 1, as neutrinos have it.
    1 - beta^2 eps is taken as 1/gamma^2 + beta^2 (1 - eps), which keeps its digits. The second logarithm ends at 0.
    """
    T = np.asarray(energy, dtype=float)
    slow = 1 / gamma**2  # 1 - beta^2
    beta2 = 1 - slow
    imaginary, chi = medium.eps2(T), medium.chi1(T)
    square = (1 + chi) ** 2 + imaginary**2  # |eps|^2
    transverse, bound = medium.sigma(T) / T / square, medium.bound(T) / square
    real, absorbed = slow - beta2 * chi, beta2 * imaginary
    # beta^2 - eps_1/|eps|^2, where eps_1 and |eps|^2 are both close to 1
    difference = ((1 + chi) * chi + imaginary**2) / square - slow
    return Terms(
        -transverse * np.log(np.hypot(real, absorbed)),
        difference * np.arctan2(absorbed, real) / (medium.density * units.HBARC),
        bound * np.maximum(np.log(2 * units.ELECTRON_MASS * beta2 / T), 0.0),
        medium.free(T),
    )
