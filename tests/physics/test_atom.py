"""Stepping, photoabsorption and the many-body ratio."""

import numpy as np
import pytest

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.atom import atom

TABULATED = {"Si": 14, "Ar": 18, "Ge": 32, "I": 53, "Cs": 55, "Xe": 54}


@pytest.mark.parametrize(("element", "Z"), TABULATED.items())
def test_all_electrons_are_free_above_the_k_edge_and_steps_never_fall(element: str, Z: int) -> None:
    target = atom(element)
    assert target.Z == Z
    assert target.z_eff(50 * units.keV) == Z
    assert np.all(np.diff(target.z_eff(np.geomspace(1e-6, 1e-1, 500) * units.MeV)) >= 0)


def test_germanium_steps_of_the_published_function() -> None:
    recoil = np.array([0.001, 0.0292, 0.0297, 0.0298, 0.15, 0.5, 1.217, 1.3, 2.0, 11.102, 11.103, 20.0]) * units.keV
    np.testing.assert_array_equal(atom("Ge").z_eff(recoil), [4, 10, 10, 14, 20, 22, 26, 28, 30, 30, 32, 32])


def test_noble_gases_are_not_ionised_below_their_first_threshold() -> None:
    assert atom("Xe").z_eff(12.0 * units.eV) == 0
    assert atom("Xe").z_eff(12.1 * units.eV) == 4
    assert atom("Ar").z_eff(15.6 * units.eV) == 0


@pytest.mark.parametrize("element", TABULATED)
def test_photoabsorption_is_the_table_at_its_points_and_a_power_law_between(element: str) -> None:
    target = atom(element)
    energies, values = target.photo_energy, target.photo_cross_section
    assert np.all(np.diff(energies) > 0)
    assert np.all(values > 0)
    np.testing.assert_allclose(target.photoabsorption(energies), values, rtol=1e-11)
    middle = np.sqrt(energies[1:] * energies[:-1])
    np.testing.assert_allclose(target.photoabsorption(middle), np.sqrt(values[1:] * values[:-1]), rtol=1e-9)


def test_photoabsorption_outside_of_the_table() -> None:
    germanium = atom("Ge")
    assert germanium.photoabsorption(9.9 * units.eV) == 0
    slope = np.log(germanium.photoabsorption(200 * units.keV) / germanium.photoabsorption(100 * units.keV)) / np.log(2)
    assert slope == pytest.approx(-3.05, abs=0.1)  # the photoelectric effect falls with about the third power


def test_photoabsorption_shows_the_k_edges() -> None:
    for element, edge in (("Ge", 11.103), ("Xe", 34.561), ("Ar", 3.2059), ("Si", 1.839)):
        below, above = atom(element).photoabsorption(np.array([0.97, 1.03]) * edge * units.keV)
        assert above > 4 * below


def test_thomas_reiche_kuhn_sum_rule() -> None:
    """The integral of photoabsorption is 2 pi^2 r_e hbar c per electron, short of what lies outside of the table.

    The four valence electrons of the semiconductors absorb below its first point, 10 eV.
    """
    radius = units.ALPHA * units.HBARC / units.ELECTRON_MASS
    for element, Z in TABULATED.items():
        target = atom(element)
        energies = np.geomspace(target.photo_energy[0], target.photo_energy[-1], 40000)
        area = np.trapezoid(target.photoabsorption(energies), energies)
        valence = 4 if element in ("Si", "Ge") else 0
        assert 0.9 * (Z - valence) < area / (2 * np.pi**2 * radius * units.HBARC) < 1.02 * Z, element


def test_many_body_ratio_where_tabulated_and_one_elsewhere() -> None:
    xenon = atom("Xe")
    recoil = np.array([0.2, 0.265, 10.0, 29.0, 30.0]) * units.keV
    np.testing.assert_allclose(xenon.rrpa_ratio("e", recoil), [1, 1.17432, 1.18396, 1.3312, 1])
    for flavour in ("mu", "tau"):
        np.testing.assert_allclose(xenon.rrpa_ratio(flavour, recoil), [1, 1.48923, 1.31192, 1.09797, 1])
    np.testing.assert_array_equal(atom("Ge").rrpa_ratio("e", recoil), 1)


def test_light_elements_are_free_electrons_only() -> None:
    carbon = atom("C")
    assert carbon.Z == 6
    with pytest.raises(ModelError, match="atom C: no binding energies"):
        carbon.z_eff(1.0)
    with pytest.raises(ModelError, match="atom C: no photoabsorption"):
        carbon.photoabsorption(1.0)
    with pytest.raises(ModelError, match="no isotopes of 'Og'"):
        atom("Og")


def test_error_of_photoabsorption_in_germanium() -> None:
    """20 % up to 0.6 keV; it never turns the cross section negative, and other elements have none."""
    energies = np.array([0.05, 0.2, 0.3, 0.6]) * units.keV
    germanium = atom("Ge")
    nominal = germanium.photoabsorption(energies)
    np.testing.assert_allclose(germanium.photoabsorption(energies, pull=1.0), 1.2 * nominal, rtol=1e-12)
    np.testing.assert_allclose(germanium.photoabsorption(energies, pull=-2.0), nominal / 1.2**2, rtol=1e-12)
    above = germanium.photoabsorption(5 * units.keV, pull=1.0) / germanium.photoabsorption(5 * units.keV)
    assert above == pytest.approx(1.03)
    assert germanium.photoabsorption(5 * units.eV, pull=1.0) == 0
    np.testing.assert_array_equal(atom("Xe").photoabsorption(energies, pull=0.0), atom("Xe").photoabsorption(energies))
    with pytest.raises(ModelError, match="atom Xe: no error of the photoabsorption is tabulated"):
        atom("Xe").photoabsorption(energies, pull=1.0)
