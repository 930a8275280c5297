"""Constants against CODATA as in scipy, and the reader of quantities."""

import pytest
import scipy.constants as codata

from nuemstat import units
from nuemstat.errors import UnitError

MEV = codata.mega * codata.e  # J


def value(name: str) -> float:
    return float(codata.physical_constants[name][0])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (units.ALPHA, codata.alpha),
        (units.HBARC / (units.MeV * units.fm), codata.hbar * codata.c / MEV * 1e15),
        (units.FERMI * units.GeV**2, value("Fermi coupling constant")),
        (units.ELECTRON_MASS / units.MeV, value("electron mass energy equivalent in MeV")),
        (units.MUON_MASS / units.MeV, value("muon mass energy equivalent in MeV")),
        (units.ATOMIC_MASS / units.MeV, value("atomic mass constant energy equivalent in MeV")),
        (units.AVOGADRO, codata.N_A),
        (units.joule / units.MeV, 1 / MEV),
        (units.MOLAR_GRAM / units.kg, 1e-3 / codata.N_A),
        (units.FERMI_AREA / (units.cm / units.MeV), value("Fermi coupling constant") * 1.973269804e-11 * 1e-6),
        (units.year / units.s, codata.Julian_year),
    ],
)
def test_constants(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, rel=1e-8, abs=0)


def test_particle_data() -> None:
    """PDG 2022: charged pion mass 139.57039(18) MeV, muon lifetime 2.1969811(22) us."""
    assert units.PION_MASS / units.MeV == pytest.approx(139.57039, abs=18e-5)
    assert units.MUON_LIFETIME / units.us == pytest.approx(2.1969811, abs=22e-7)


def test_a_cross_section_in_natural_units() -> None:
    """1 GeV^-2 is 0.3893793721 millibarn; hbar c rounded to three digits would be off by 0.33 %."""
    assert (units.HBARC / units.GeV) ** 2 / units.cm**2 == pytest.approx(0.3893793721e-27, rel=1e-9, abs=0)


@pytest.mark.parametrize(
    ("text", "dimension", "expected"),
    [
        ("2.96 GW", units.POWER, 2.96e9 * units.joule / units.s),
        ("59.5 keV", units.ENERGY, 0.0595 * units.MeV),
        ("-1.5e-3 eVee", units.ENERGY, -1.5e-9 * units.MeV),
        ("6.5e12 /cm^2/s", units.FLUX, 6.5e12 / units.cm**2 / units.s),
        ("5 1/keV", (-1, 0, 0, 0), 5e3 / units.MeV),
        ("2 kg*day", (0, 0, 1, 1), 2 * 86400 * units.kg * units.s),
        ("20.5 m", units.LENGTH, 2050 * units.cm),
        ("12 %", units.DIMENSIONLESS, 0.12),
        ("0.5", units.DIMENSIONLESS, 0.5),
        (3, units.DIMENSIONLESS, 3.0),
        (".5 t", units.MASS, 500 * units.kg),
    ],
)
def test_parse(text: str | float, dimension: units.Dimension, expected: float) -> None:
    assert units.parse(text, dimension) == pytest.approx(expected, rel=1e-14, abs=0)


@pytest.mark.parametrize(
    ("text", "dimension", "message"),
    [
        ("many keV", units.ENERGY, "is not a quantity; write a number and a unit, energy"),
        ("3 furlong", units.LENGTH, "unit 'furlong' is not known; known names are"),
        ("3 keV", units.MASS, "'3 keV' is energy; expected mass"),
        ("3", units.ENERGY, "'3' is a pure number; expected energy"),
        ("3 keV^", units.ENERGY, "unit 'keV\\^' is not known"),
        ("3 /cm^2", units.FLUX, "is length\\^-2; expected length\\^-2 time\\^-1"),
    ],
)
def test_wrong_quantities_say_what_is_expected(text: str, dimension: units.Dimension, message: str) -> None:
    with pytest.raises(UnitError, match=message):
        units.parse(text, dimension)


def test_units_multiply_and_divide() -> None:
    assert units.unit("PE/keVee").dimension == (-1, 0, 0, 0)
    assert units.unit("").scale == 1.0
    assert units.unit("1/keV").scale == pytest.approx(1 / units.keV)
    assert units.describe(units.unit("kg day keV").dimension) == "energy time mass"
