"""Neutrino spectra: piecewise-linear densities plus lines, and their exact moments.

Every cross section of this package is a sum of powers 0, -1 and -2 (and the logarithm) of the neutrino energy, so
its integral over a spectrum is a sum of the moments below. They are exact for the piecewise-linear density: no
result depends on an integration grid.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Integrals over neutrino energies above each of the minimum energies, arrays shaped like these.

    m0, m1, m2 : integral of density x E^-n dE for n = 0, 1, 2 [density x energy^(1-n)];
    log : integral of density x ln(E / reference) dE;  reference : the energy that log refers to [energy].
    """

    m0: FloatArray
    m1: FloatArray
    m2: FloatArray
    log: FloatArray
    reference: float

    def logarithm(self, mass: float) -> FloatArray:
        """Integral of density x ln(E / mass) dE, for a mass [energy]."""
        return np.asarray(self.log + self.m0 * np.log(self.reference / mass))


def _empty() -> FloatArray:
    return np.empty(0)


_MOST_KEPT = 6
"""Arrays of minimum energies whose moments a spectrum keeps."""


@dataclass(frozen=True, slots=True, eq=False)
class Flux:
    """A spectrum of neutrinos, in whatever normalisation its maker chose (per area and time, per fission ...).

    energies : nodes [energy], ascending; an energy that occurs twice is a step;
    density : values at the nodes [normalisation / energy], linear in between and zero outside;
    lines : pairs of energy [energy] and weight [normalisation].

    Raises
    ------
    ModelError : nodes of the two arrays that do not match, descend, are negative or not finite.
    """

    energies: FloatArray = field(default_factory=_empty)
    density: FloatArray = field(default_factory=_empty)
    lines: tuple[tuple[float, float], ...] = ()
    _kept: dict[tuple[bytes, tuple[int, ...]], Moments] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.energies.shape != self.density.shape or self.energies.ndim != 1 or self.energies.size == 1:
            found = f"{self.energies.shape} and {self.density.shape}"
            raise ModelError(f"flux: nodes and densities of shapes {found}; two equal lists of none or 2+ are expected")
        if not (np.all(np.isfinite(self.energies)) and np.all(np.isfinite(self.density))):
            raise ModelError("flux: a node is not finite; finite numbers are expected")
        if self.energies.size and (self.energies[0] < 0 or np.any(np.diff(self.energies) < 0)):
            raise ModelError("flux: the energies are negative or descend; ascending energies from 0 on are expected")
        if self.energies.size and self.energies[-1] == self.energies[0]:
            raise ModelError("flux: all nodes lie at one energy; two energies, or a line, are expected")
        if any(not (energy > 0 and np.isfinite(weight)) for energy, weight in self.lines):
            raise ModelError(f"flux: a line of {self.lines}; energies above 0 and finite weights are expected")

    @classmethod
    def line(cls, energy: float, weight: float = 1.0) -> "Flux":
        """Neutrinos of a single energy [energy]; with weight 1 a rate becomes a cross section."""
        return cls(lines=((float(energy), float(weight)),))

    def scaled(self, factor: float) -> "Flux":
        """The same spectrum times a number."""
        return Flux(self.energies, self.density * factor, tuple((e, w * factor) for e, w in self.lines))

    def above(self, energy: float) -> "Flux":
        """The part above an energy [energy], lines at it left out; empty where nothing is above."""
        lines = tuple((at, weight) for at, weight in self.lines if at > energy)
        if not self.energies.size or energy >= self.energies[-1]:
            return Flux(lines=lines)
        kept = self.energies > energy
        start = max(energy, float(self.energies[0]))
        nodes = np.concatenate(([start], self.energies[kept]))
        return Flux(nodes, np.concatenate(([float(self(start))], self.density[kept])), lines)

    def below(self, energy: float) -> "Flux":
        """The part below an energy [energy], lines at it left out; empty where nothing is below."""
        lines = tuple((at, weight) for at, weight in self.lines if at < energy)
        if not self.energies.size or energy <= self.energies[0]:
            return Flux(lines=lines)
        kept = self.energies < energy
        if kept.all():
            return Flux(self.energies, self.density, lines)
        nodes = np.append(self.energies[kept], energy)
        end = float(self._limit(np.array([float(energy)]), "left")[0])
        return Flux(nodes, np.append(self.density[kept], end), lines)

    def __add__(self, other: "Flux") -> "Flux":
        """The exact sum, on the union of both sets of nodes; an end at a finite density becomes a step."""
        nodes = np.unique(np.concatenate([self.energies, other.energies]))
        if not nodes.size:
            return Flux(lines=self.lines + other.lines)
        below = self._limit(nodes, "left") + other._limit(nodes, "left")
        above = self._limit(nodes, "right") + other._limit(nodes, "right")
        # The outer ends need no second node: a density is zero outside of its nodes anyhow.
        below[0], above[-1] = above[0], below[-1]
        doubled = np.where(below != above, 2, 1)
        density = np.repeat(below, doubled)
        density[np.cumsum(doubled) - 1] = above
        return Flux(np.repeat(nodes, doubled), density, self.lines + other.lines)

    def _limit(self, at: FloatArray, side: Any) -> FloatArray:
        """The density just below (side "left") or just above (side "right") each energy, exact at nodes."""
        last = self.energies.size - 1
        upper = np.searchsorted(self.energies, at, side=side)
        inside = (upper > 0) & (upper <= last)
        if not inside.any():
            return np.zeros(at.shape)
        high = np.where(inside, upper, np.flatnonzero(np.diff(self.energies))[0] + 1)
        low_energy, high_energy = self.energies[high - 1], self.energies[high]
        weight = (at - low_energy) / (high_energy - low_energy)
        return np.where(inside, self.density[high - 1] * (1 - weight) + self.density[high] * weight, 0.0)

    def __call__(self, energies: npt.ArrayLike) -> FloatArray:
        """The density (without the lines) at these energies; at a step the value above it."""
        return self._limit(np.asarray(energies, dtype=float), "right")

    def total(self) -> float:
        """Integral over all energies, lines included [normalisation]."""
        area = float(np.sum(np.diff(self.energies) * (self.density[1:] + self.density[:-1]))) / 2
        return area + sum(weight for _, weight in self.lines)

    @property
    def maximum(self) -> float:
        """The highest energy with neutrinos [energy]; 0 for an empty spectrum."""
        highest = [energy for energy, _ in self.lines]
        return max([*highest, *self.energies[-1:].tolist()], default=0.0)

    def moments(self, minimum: npt.ArrayLike) -> Moments:
        """Moments above each minimum energy [energy], any shape.

        A line counts where its energy lies above the minimum. Sums run from the highest energy down, so the
        moments near the end of a spectrum keep their relative precision. The last few are kept: a model asks for the
        same ones again whenever a number moves that is not of its source.

        Raises
        ------
        ModelError : a minimum that is not above 0, where the moments diverge.
        """
        least = np.asarray(minimum, dtype=float)
        if least.size and not np.min(least) > 0:
            raise ModelError(f"flux: moments above {np.min(least)}; energies above 0 are expected")
        key = (least.tobytes(), least.shape)
        if key not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = self._moments(least)
        return self._kept[key]

    def _moments(self, least: FloatArray) -> Moments:
        # Logarithms refer to an energy of the spectrum itself, which keeps them small whatever the units are.
        reference = self.maximum or 1.0
        parts = [np.zeros((4, *least.shape))]
        if self.energies.size:
            parts.append(self._continuum(least, reference))
        for energy, weight in self.lines:
            powers = np.array([1.0, 1 / energy, 1 / energy**2, np.log(energy / reference)])
            parts.append(np.multiply.outer(weight * powers, energy > least))
        m0, m1, m2, log = reduce(add, parts)
        return Moments(m0, m1, m2, log, reference)

    def _continuum(self, least: FloatArray, reference: float) -> FloatArray:
        """The four moments of the density, shape (4, ...)."""
        nodes, density = self.energies, self.density
        # A segment that starts at zero energy is never taken whole, as every minimum lies above zero.
        start = np.where(nodes[:-1] > 0, nodes[:-1], nodes[1:] / 2)
        whole = _segment(np.where(start > 0, start, reference), nodes[1:], density[:-1], density[1:], reference)
        above = np.zeros((4, nodes.size + 1))
        above[:, : nodes.size - 1] = np.cumsum(whole[:, ::-1], axis=1)[:, ::-1]
        upper = np.searchsorted(nodes, least, side="right")
        cut = (upper > 0) & (upper < nodes.size)
        end = np.where(cut, upper, nodes.size - 1)
        partial = _segment(
            np.where(cut, least, nodes[-1]), nodes[end], np.where(cut, self(least), 0.0), density[end], reference
        )
        return np.asarray(above[:, upper] + np.where(cut, partial, 0.0))


_SERIES = np.arange(1, 9)
_SIGNS = -((-1.0) ** _SERIES)


def _stable(u: FloatArray, closed: Callable[[FloatArray], FloatArray], coefficients: FloatArray) -> FloatArray:
    """A closed form in u, or its power series where u is so small that the closed form cancels."""
    small = u < 0.02
    series = np.zeros_like(u)
    safe = np.where(small, u, 0.0)
    for coefficient in coefficients[::-1]:
        series = (series + coefficient) * safe
    return np.where(small, series, closed(np.where(small, 1.0, u)))


def _segment(a: FloatArray, b: FloatArray, at_a: FloatArray, at_b: FloatArray, reference: float) -> FloatArray:
    """The four moments of a density linear from (a, at_a) to (b, at_b), with 0 < a <= b; shape (4, ...).

    With E = a (1 + t u), u = b/a - 1 and t from 0 to 1 the density is at_a + (at_b - at_a) t, and each moment is
    at_a times an integral over t of E^-n or ln(1 + t u) plus the difference times the same integral with t.
    """
    n = _SERIES
    u = np.maximum(b - a, 0.0) / a
    rise = at_b - at_a
    log1p = np.log1p(u)
    width = a * u
    # integrals over t of u t / (1 + t u), u t / (1 + t u)^2, ln(1 + t u) and t ln(1 + t u)
    first = _stable(u, lambda x: 1 - np.log1p(x) / x, _SIGNS / (n + 1))
    second = _stable(u, lambda x: (np.log1p(x) - x / (1 + x)) / x, _SIGNS * n / (n + 1))
    plain = _stable(u, lambda x: ((1 + x) * np.log1p(x) - x) / x, _SIGNS / (n * (n + 1)))
    slanted = _stable(
        u, lambda x: (np.log1p(x) * (x - 1) * (x + 1) - x * x / 2 + x) / (2 * x * x), _SIGNS / (n * (n + 2))
    )
    m0 = width * (at_a + at_b) / 2
    m1 = at_a * log1p + rise * first
    m2 = (at_a * u / (1 + u) + rise * second) / a
    log = m0 * np.log(a / reference) + width * (at_a * plain + rise * slanted)
    return np.stack([m0, m1, m2, log])
