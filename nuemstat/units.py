"""Internal units and physical constants, and the reader of quantities such as ``"2.96 GW"``.

Every number is multiplied by its unit on entry and divided by a unit on exit, so no result may depend on
the four base values below; a test changes them and expects the same counts.
"""

import re
from dataclasses import dataclass
from typing import Final

from nuemstat.errors import UnitError

MeV: Final = 1.0
cm: Final = 1.0
s: Final = 1.0
kg: Final = 1.0

GeV: Final = 1e3 * MeV
keV: Final = 1e-3 * MeV
eV: Final = 1e-6 * MeV
joule: Final = MeV / 1.602176634e-13  # exact since the SI revision of 2019
m: Final = 100 * cm
fm: Final = 1e-13 * cm
us: Final = 1e-6 * s
ns: Final = 1e-9 * s
hour: Final = 3600 * s
day: Final = 86400 * s
year: Final = 365.25 * day
gram: Final = 1e-3 * kg
tonne: Final = 1e3 * kg

# CODATA 2018 and PDG 2022; tests/test_units.py compares them with scipy.constants.
ALPHA: Final = 7.2973525693e-3  # fine-structure constant at q2 = 0
HBARC: Final = 197.3269804593 * MeV * fm
FERMI: Final = 1.1663787e-5 / GeV**2  # Fermi constant, natural units
FERMI_AREA: Final = FERMI * HBARC  # G_F (hbar c) [length/energy]: squared, a cross section per energy^2
ELECTRON_MASS: Final = 0.51099895 * MeV
MUON_MASS: Final = 105.6583755 * MeV
PION_MASS: Final = 139.57039 * MeV
ATOMIC_MASS: Final = 931.49410242 * MeV  # one unified atomic mass unit, as energy
AVOGADRO: Final = 6.02214076e23  # per mol
MOLAR_GRAM: Final = gram / AVOGADRO  # mass of one particle whose molar mass is 1 g/mol
MUON_LIFETIME: Final = 2.1969811 * us

Dimension = tuple[int, int, int, int]
"""Powers of (energy, length, time, mass)."""

DIMENSIONLESS: Final[Dimension] = (0, 0, 0, 0)
ENERGY: Final[Dimension] = (1, 0, 0, 0)
LENGTH: Final[Dimension] = (0, 1, 0, 0)
AREA: Final[Dimension] = (0, 2, 0, 0)
TIME: Final[Dimension] = (0, 0, 1, 0)
MASS: Final[Dimension] = (0, 0, 0, 1)
MASS_DENSITY: Final[Dimension] = (0, -3, 0, 1)
POWER: Final[Dimension] = (1, 0, -1, 0)
FLUX: Final[Dimension] = (0, -2, -1, 0)

_UNITS: Final[dict[str, tuple[float, Dimension]]] = {
    "1": (1.0, DIMENSIONLESS),
    "%": (0.01, DIMENSIONLESS),
    "PE": (1.0, DIMENSIONLESS),
    "phd": (1.0, DIMENSIONLESS),
    "count": (1.0, DIMENSIONLESS),
    "mu_B": (1.0, DIMENSIONLESS),
    "e": (1.0, DIMENSIONLESS),
    "u": (1.0, DIMENSIONLESS),
    "GeV": (GeV, ENERGY),
    "MeV": (MeV, ENERGY),
    "keV": (keV, ENERGY),
    "keVee": (keV, ENERGY),
    "keVnr": (keV, ENERGY),
    "eV": (eV, ENERGY),
    "eVee": (eV, ENERGY),
    "J": (joule, ENERGY),
    "km": (1e3 * m, LENGTH),
    "m": (m, LENGTH),
    "cm": (cm, LENGTH),
    "fm": (fm, LENGTH),
    "s": (s, TIME),
    "us": (us, TIME),
    "ns": (ns, TIME),
    "h": (hour, TIME),
    "d": (day, TIME),
    "day": (day, TIME),
    "yr": (year, TIME),
    "year": (year, TIME),
    "kg": (kg, MASS),
    "g": (gram, MASS),
    "t": (tonne, MASS),
    "tonne": (tonne, MASS),
    "W": (joule / s, POWER),
    "kW": (1e3 * joule / s, POWER),
    "MW": (1e6 * joule / s, POWER),
    "GW": (1e9 * joule / s, POWER),
}

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")
_FACTOR = re.compile(r"([*/]?)\s*([A-Za-z_%]+|1)(?:\^(-?\d+))?\s*")


@dataclass(frozen=True, slots=True)
class Unit:
    """A product of unit names: its size in internal units and its dimension."""

    scale: float
    dimension: Dimension


def unit(text: str) -> Unit:
    """Read a unit such as ``"keV"``, ``"1/keV"``, ``"/cm^2/s"`` or ``"PE/keVee"``.

    Raises
    ------
    UnitError : an unknown name, or text that is no product of names.
    """
    scale, dimension, rest = 1.0, DIMENSIONLESS, text.strip()
    while rest:
        match = _FACTOR.match(rest)
        if match is None or match[2] not in _UNITS:
            raise UnitError(f"unit {text!r} is not known; known names are {', '.join(sorted(_UNITS))}")
        power = int(match[3] or 1) * (-1 if match[1] == "/" else 1)
        size, powers = _UNITS[match[2]]
        scale *= size**power
        dimension = tuple(d + power * p for d, p in zip(dimension, powers, strict=True))  # type: ignore[assignment]
        rest = rest[match.end() :]
    return Unit(scale, dimension)


def describe(dimension: Dimension) -> str:
    """A dimension in words, for messages: ``"energy / time"``."""
    names = ("energy", "length", "time", "mass")
    parts = [f"{n}^{p}" if p != 1 else n for n, p in zip(names, dimension, strict=True) if p]
    return " ".join(parts) or "a pure number"


def parse(text: str | float, dimension: Dimension) -> float:
    """A quantity such as ``"2.96 GW"`` in internal units; a bare number where a pure number is asked for.

    Raises
    ------
    UnitError : no number, an unknown unit, or a unit of another dimension than asked for.
    """
    match = _NUMBER.match(str(text))
    if match is None:
        raise UnitError(f"{text!r} is not a quantity; write a number and a unit, {describe(dimension)}")
    found = unit(match[2])
    if found.dimension != dimension:
        raise UnitError(f"{text!r} is {describe(found.dimension)}; expected {describe(dimension)}")
    return float(match[1]) * found.scale
