"""Nuclei: natural isotopes, masses, radii and weak form factors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import pi, sqrt
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from nuemstat import units
from nuemstat.errors import ModelError, suggestion
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.tables import read_table

NEUTRON_CHARGE_RADIUS_SQUARED: Final = -0.1161 * units.fm**2  # PDG: -0.1161(22) fm^2
SKIN: Final = 0.9 * units.fm  # Helm's surface thickness
YUKAWA_RANGE: Final = 0.7 * units.fm  # Klein and Nystrand
FERMI_THICKNESS: Final = 2.3 * units.fm  # 90 % to 10 % of a Fermi density: 4 a ln 3


@dataclass(frozen=True, slots=True)
class Nucleus:
    """One isotope.

    symbol : such as "Ge76";  Z, N : protons and neutrons;
    mass : of the nucleus (atom minus Z electrons, their binding neglected) [energy];
    proton_radius, neutron_radius : root-mean-square radii of the two distributions with the finite size of the
    nucleon inside [length]; replace them (dataclasses.replace) to move a radius.
    """

    symbol: str
    Z: int
    N: int
    mass: float
    proton_radius: float
    neutron_radius: float


@cache
def _isotopes() -> dict[str, dict[str, tuple[Nucleus, float, float]]]:
    """Element -> isotope -> nucleus, mole fraction, atomic mass [u]."""
    table = read_table(data_file("nuclear/isotopes.csv"))
    charge_table = read_table(data_file("nuclear/charge_radii.csv"))
    charge = dict(zip(charge_table.words("isotope"), charge_table.numbers("charge_radius", units.LENGTH), strict=True))
    radii_table = read_table(data_file("nuclear/nucleon_radii.csv"))
    protons, neutrons = (
        dict(zip(radii_table.words("isotope"), radii_table.numbers(name, units.LENGTH), strict=True))
        for name in ("proton_radius", "neutron_radius")
    )
    columns = (table.numbers(name) for name in ("Z", "A", "abundance", "atomic_mass"))
    found: dict[str, dict[str, tuple[Nucleus, float, float]]] = {}
    for symbol, element, z, a, abundance, mass in zip(
        table.words("isotope"), table.words("element"), *columns, strict=True
    ):
        Z, N = int(z), int(a) - int(z)
        # Cadeddu et al. arXiv:2005.01645: the charge radius without the charge of the neutrons. The convention is
        # that of the tabulated radii: it turns 4.804 fm of Cs133 into 4.821 fm.
        proton = protons.get(symbol, sqrt(charge[symbol] ** 2 - N / Z * NEUTRON_CHARGE_RADIUS_SQUARED))
        nucleus = Nucleus(
            symbol,
            Z,
            N,
            float(mass) * units.ATOMIC_MASS - Z * units.ELECTRON_MASS,
            float(proton),
            float(neutrons.get(symbol, proton)),
        )
        found.setdefault(element, {})[symbol] = (nucleus, float(abundance), float(mass))
    return found


def isotopes(element: str) -> tuple[tuple[Nucleus, float], ...]:
    """The isotopes of an element with their mole fractions, or one isotope such as ``Ge76`` with fraction 1.

    Radii are tabulated for Cs133, I127 and Ar40. For all others the proton radius follows from the charge radius
    (Angeli and Marinova 2013) and the neutron radius is **set equal to it**: no neutron skin is assumed where none
    was measured. Models give the neutron radius a nuisance.

    Raises
    ------
    ModelError : an element or isotope without a table.
    """
    known = _isotopes()
    if element in known:
        return tuple((nucleus, fraction) for nucleus, fraction, _ in known[element].values())
    single = {symbol: nucleus for family in known.values() for symbol, (nucleus, _, _) in family.items()}
    if element in single:
        return ((single[element], 1.0),)
    listed = ", ".join(known)
    raise ModelError(f"no isotopes of {element!r}; known are {listed} and their isotopes such as Ge76")


@cache
def _atomic_weights() -> dict[str, float]:
    table = read_table(data_file("nuclear/elements.csv"))
    weights = dict(zip(table.words("element"), table.numbers("atomic_weight").tolist(), strict=True))
    for element, family in _isotopes().items():
        weights[element] = sum(fraction * mass for _, fraction, mass in family.values())
        weights |= {symbol: mass for symbol, (_, _, mass) in family.items()}
    return weights


def molar_mass(element: str) -> float:
    """Molar mass of an element (natural mixture) or an isotope as a pure number, in g/mol.

    One atom weighs ``molar_mass(element) * units.MOLAR_GRAM`` [mass].

    Raises
    ------
    ModelError : an element without a table.
    """
    weights = _atomic_weights()
    if element not in weights:
        raise ModelError(f"no molar mass of {element!r}; known are {', '.join(weights)}")
    return weights[element]


def _radius(squared: float, model: str, rms: float) -> float:
    if not squared > 0:
        raise ModelError(f"{model} form factor: an rms radius of {rms / units.fm:g} fm is below its surface term")
    return sqrt(squared)


def _sphere(x: FloatArray) -> FloatArray:
    """3 j1(x) / x with the spherical Bessel function, 1 at x = 0; its series where the closed form cancels."""
    small = x < 0.1
    safe = np.where(small, 1.0, x)
    series = 1 - x**2 / 10 * (1 - x**2 / 28 * (1 - x**2 / 54))
    return np.where(small, series, 3 * (np.sin(safe) - safe * np.cos(safe)) / safe**3)


def helm(q: npt.ArrayLike, rms: float) -> FloatArray:
    """Helm form factor F (not squared) at momentum transfer q [energy] for an rms radius [length].

    Helm, Phys. Rev. 104 (1956) 1466: F = 3 j1(q R0)/(q R0) exp(-q^2 s^2 / 2), R0^2 = 5/3 (rms^2 - 3 s^2).
    """
    wavenumber = np.asarray(q, dtype=float) / units.HBARC
    sphere = _radius(5 / 3 * (rms**2 - 3 * SKIN**2), "helm", rms)
    return _sphere(wavenumber * sphere) * np.exp(-((wavenumber * SKIN) ** 2) / 2)


def klein_nystrand(q: npt.ArrayLike, rms: float) -> FloatArray:
    """Klein-Nystrand form factor F at q [energy] for an rms radius [length].

    Klein and Nystrand, PRC 60 (1999) 014903: F = 3 j1(q R)/(q R) / (1 + q^2 a^2), rms^2 = 3/5 R^2 + 6 a^2.
    """
    wavenumber = np.asarray(q, dtype=float) / units.HBARC
    sphere = _radius(5 / 3 * (rms**2 - 6 * YUKAWA_RANGE**2), "klein_nystrand", rms)
    return _sphere(wavenumber * sphere) / (1 + (wavenumber * YUKAWA_RANGE) ** 2)


def symmetrised_fermi(q: npt.ArrayLike, rms: float) -> FloatArray:
    """Symmetrised Fermi form factor F at q [energy] for an rms radius [length].

    Sprung and Martorell, J. Phys. A 30 (1997) 6525, with 4 a ln 3 = 2.3 fm and rms^2 = 3/5 c^2 + 7/5 (pi a)^2.
    """
    surface = pi * FERMI_THICKNESS / (4 * np.log(3.0))
    half = _radius(5 / 3 * (rms**2 - 7 / 5 * surface**2), "symmetrised_fermi", rms)
    wavenumber = np.asarray(q, dtype=float) / units.HBARC
    # The closed form cancels at small q; there the first two terms of the series are exact to 1e-11.
    small = wavenumber * half < 3e-3
    x = np.where(small, 1.0, wavenumber * half)
    y = np.minimum(x * surface / half, 300.0)  # beyond, F is below 1e-120 and sinh would overflow
    closed = 3 / (x * (x**2 + y**2)) * y / np.sinh(y) * (y * np.sin(x) / np.tanh(y) - x * np.cos(x))
    return np.where(small, 1 - (wavenumber * rms) ** 2 / 6, closed)


def point(q: npt.ArrayLike, rms: float) -> FloatArray:
    """F = 1 at any momentum transfer: a nucleus without extent, as some sensitivity studies assume."""
    del rms
    return np.ones_like(np.asarray(q, dtype=float))


FormFactor = Callable[[npt.ArrayLike, float], FloatArray]

FORM_FACTORS: Final = MappingProxyType[str, FormFactor](
    {"helm": helm, "klein_nystrand": klein_nystrand, "symmetrised_fermi": symmetrised_fermi}
)


def find_form_factor(name: str) -> FormFactor:
    """A form factor by name: those of extended nuclei, or ``point``.

    Raises
    ------
    ModelError : no form factor of this name.
    """
    known = {**FORM_FACTORS, "point": point}
    if name not in known:
        raise ModelError(f"no form factor {name!r}; known are {', '.join(known)}{suggestion(name, list(known))}")
    return known[name]
