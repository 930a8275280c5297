"""The schemes of Standard Model couplings, and the scales of the new ones against CODATA."""

from math import pi, sqrt

import pytest
import scipy.constants as codata

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics import couplings
from nuemstat.vocabulary import COUPLINGS, FLAVOURS

FERMI = codata.physical_constants["Fermi coupling constant"][0] * 1e-6  # MeV^-2
HBARC = codata.hbar * codata.c / codata.e * 1e-6 * 1e2  # MeV cm


def test_radius_amplitude_from_codata() -> None:
    expected = sqrt(2) * pi * codata.alpha / (3 * FERMI) * 1e-32 / HBARC**2
    assert pytest.approx(expected, rel=1e-8, abs=0) == couplings.RADIUS_AMPLITUDE


def test_charge_amplitude_from_codata() -> None:
    expected = 2 * sqrt(2) * pi * codata.alpha / FERMI * 1e-12
    assert pytest.approx(expected, rel=1e-8, abs=0) == couplings.CHARGE_AMPLITUDE / units.MeV**2


def test_magnetic_area_is_that_of_the_classical_electron_radius() -> None:
    expected = pi * (codata.physical_constants["classical electron radius"][0] * 100) ** 2 * 1e-22
    assert pytest.approx(expected, rel=1e-8, abs=0) == couplings.MAGNETIC_AREA / units.cm**2


def test_without_the_radius_the_flavours_of_set_a_agree() -> None:
    """The flavour dependence of the default scheme is its charge radii, in sign and in size."""
    scheme = couplings.scheme()
    protons = [scheme.proton(flavour) for flavour in FLAVOURS]
    assert max(protons) - min(protons) < 2e-4
    electrons = [scheme.electron("e") - 1, scheme.electron("mu"), scheme.electron("tau")]
    assert max(electrons) - min(electrons) < 3e-4


def test_the_radius_is_contained_once() -> None:
    scheme = couplings.scheme("set_A")
    for flavour in FLAVOURS:
        shift = couplings.RADIUS_AMPLITUDE * scheme.charge_radius[flavour]
        assert scheme.proton(flavour) - shift == pytest.approx(scheme.gvp[flavour], rel=1e-14, abs=0)
        assert scheme.electron(flavour) + shift == pytest.approx(scheme.gv[flavour], rel=1e-14, abs=0)


def test_tree_level_is_the_weak_angle_and_has_no_radius() -> None:
    tree, sin2 = couplings.scheme("tree"), 0.23857
    assert tree.gvn == -0.5
    for flavour in FLAVOURS:
        assert tree.proton(flavour) == pytest.approx(0.5 - 2 * sin2)
        charged = 1.0 if flavour == "e" else 0.0
        assert tree.electron(flavour) == pytest.approx(charged - 0.5 + 2 * sin2)
        assert tree.axial(flavour, antineutrino=False) == charged - 0.5
        assert couplings.default_value(f"charge_radius_{flavour}{flavour}", tree) == 0


def test_only_the_axial_coupling_changes_sign_for_antineutrinos() -> None:
    scheme = couplings.scheme()
    for flavour in FLAVOURS:
        assert scheme.axial(flavour, antineutrino=True) == -scheme.axial(flavour, antineutrino=False)


def test_defaults_are_the_radii_of_the_scheme_and_zero() -> None:
    scheme = couplings.scheme("set_A")
    radii = {"charge_radius_ee": -0.83, "charge_radius_mumu": -0.48, "charge_radius_tautau": -0.30}
    for name in COUPLINGS:
        assert couplings.default_value(name, scheme) == pytest.approx(radii.get(name, 0.0))


def test_missing_entries_are_errors_and_not_filled() -> None:
    older = couplings.scheme("set_B")
    assert older.gvp["mu"] == 0.0318
    with pytest.raises(ModelError, match="'set_B' has no gvp of flavour 'tau'; it has e, mu"):
        older.proton("tau")
    with pytest.raises(ModelError, match="no gv of flavour 'e'; it has no flavour"):
        older.electron("e")
    with pytest.raises(ModelError, match="no ga"):
        older.axial("mu", antineutrino=True)


def test_unknown_scheme() -> None:
    with pytest.raises(ModelError, match=r"known are set_A, set_B, tree; did you mean 'set_[AB]'"):
        couplings.scheme("set_a")
