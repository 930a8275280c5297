"""Standard Model couplings of neutrinos at zero momentum transfer, as named schemes, and the scale of the new ones.

Public analyses differ by some 10 % in the rate on germanium through these numbers alone, so every model names its
scheme. Conventions: Giunti and Studenikin, RMP 87 (2015) 531; the SM charge radii are negative.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import pi, sqrt
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from nuemstat import units
from nuemstat.errors import ModelError, suggestion
from nuemstat.polynomial import CouplingPolynomial, FloatArray, Monomial
from nuemstat.resources import data_file
from nuemstat.tables import read_table
from nuemstat.vocabulary import COUPLINGS, coupling_name

_CHARGE_SCALE: Final = COUPLINGS["millicharge_ee"].scale
_RADIUS_SCALE: Final = COUPLINGS["charge_radius_ee"].scale * units.cm**2
_MAGNETIC_SCALE: Final = COUPLINGS["magnetic_moment_e"].scale

CHARGE_AMPLITUDE: Final = 2 * sqrt(2) * pi * units.ALPHA / units.FERMI * _CHARGE_SCALE
"""Q = CHARGE_AMPLITUDE x / q2 [energy^2] for a millicharge x in workspace units; q2 = -2 m T."""

RADIUS_AMPLITUDE: Final = sqrt(2) * pi * units.ALPHA / (3 * units.FERMI * units.HBARC**2) * _RADIUS_SCALE
"""Shift of a vector coupling [1] by a charge radius of 1 in workspace units, up to its sign."""

MAGNETIC_AREA: Final = pi * (units.ALPHA * units.HBARC / units.ELECTRON_MASS * _MAGNETIC_SCALE) ** 2
"""The factor of (1/T - 1/E) mu^2 Z^2 F^2 [area] for a magnetic moment mu in workspace units."""


@dataclass(frozen=True, slots=True)
class CouplingScheme:
    """The couplings of one scheme; entries that a scheme does not define are absent.

    gvp : proton vector coupling by neutrino flavour;  gvn : neutron vector coupling (all flavours);
    gv, ga : vector and axial coupling to electrons by flavour, ga of neutrinos (antineutrinos: the opposite);
    charge_radius : SM charge radius by flavour in workspace units (1e-32 cm^2), **contained** in gvp and gv.
    """

    name: str
    gvp: Mapping[str, float]
    gvn: float
    gv: Mapping[str, float]
    ga: Mapping[str, float]
    charge_radius: Mapping[str, float]

    def proton(self, flavour: str) -> float:
        """gvp without the SM charge radius, which is a coupling of its own here."""
        return self._value("gvp", flavour) + RADIUS_AMPLITUDE * self._value("charge_radius", flavour)

    def electron(self, flavour: str) -> float:
        """gv without the SM charge radius."""
        return self._value("gv", flavour) - RADIUS_AMPLITUDE * self._value("charge_radius", flavour)

    def axial(self, flavour: str, *, antineutrino: bool) -> float:
        """ga with the sign for neutrinos or antineutrinos."""
        return self._value("ga", flavour) * (-1.0 if antineutrino else 1.0)

    def with_muon_tau(self, factor: float) -> "CouplingScheme":
        """With the weak cross section of nu_mu and nu_tau on electrons times a factor, that of nu_e as it is."""
        size = {flavour: 1.0 if flavour == "e" else sqrt(factor) for flavour in (*self.gv, *self.ga)}
        gv, ga = ({f: value * size[f] for f, value in kind.items()} for kind in (self.gv, self.ga))
        return replace(self, gv=MappingProxyType(gv), ga=MappingProxyType(ga))

    def _value(self, kind: str, flavour: str) -> float:
        values: Mapping[str, float] = getattr(self, kind)
        if flavour not in values:
            known = ", ".join(values) or "no flavour"
            raise ModelError(f"coupling scheme {self.name!r} has no {kind} of flavour {flavour!r}; it has {known}")
        return values[flavour]


@cache
def _schemes() -> Mapping[str, CouplingScheme]:
    path = data_file("couplings/schemes.csv")
    table = read_table(path)
    rows = zip(
        table.words("scheme"), table.words("coupling"), table.words("flavour"), table.numbers("value"), strict=True
    )
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, kind, flavour, value in rows:
        found.setdefault(name, {}).setdefault(kind, {})[flavour] = float(value)

    def frozen(kinds: Mapping[str, dict[str, float]], kind: str) -> Mapping[str, float]:
        return MappingProxyType(kinds.get(kind, {}))

    return {
        name: CouplingScheme(
            name,
            frozen(kinds, "proton"),
            kinds["neutron"]["all"],
            frozen(kinds, "electron_vector"),
            frozen(kinds, "electron_axial"),
            frozen(kinds, "charge_radius"),
        )
        for name, kinds in found.items()
    }


def scheme(name: str = "set_A") -> CouplingScheme:
    """A scheme by name: ``set_A`` (radiative corrections by flavour, the default), ``set_B``, ``tree``.

    Raises
    ------
    ModelError : no scheme of this name.
    """
    known = _schemes()
    if name not in known:
        listed = ", ".join(known)
        raise ModelError(f"no coupling scheme {name!r}; known are {listed}{suggestion(name, list(known))}")
    return known[name]


def default_value(coupling: str, scheme: CouplingScheme) -> float:
    """What a coupling is in the Standard Model, in workspace units: the scheme's radius, or 0."""
    radii = {coupling_name("charge_radius", flavour, flavour): value for flavour, value in scheme.charge_radius.items()}
    return radii.get(coupling, 0.0)


def transition(flavour: str, other: str, charge: npt.ArrayLike, radius: npt.ArrayLike) -> CouplingPolynomial:
    """Squared amplitude of a change of flavour: no weak part, so nothing but two squares and one product.

    charge, radius : the amplitudes of a transition charge and a transition radius of 1 in workspace units.
    """
    slopes = {
        coupling_name("millicharge", flavour, other): charge,
        coupling_name("charge_radius", flavour, other): radius,
    }
    terms: dict[Monomial, FloatArray] = {((name, 1),): np.asarray(slope, dtype=float) for name, slope in slopes.items()}
    return CouplingPolynomial(terms).squared()
