"""Stepping, photoabsorption and the many-body ratio."""

from dataclasses import replace
from pathlib import Path

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
    """A fifth and more up to 0.6 keV, a few per cent from 1 keV on; it never turns the cross section negative."""
    germanium = atom("Ge")
    energies = np.array([0.05, 0.2, 0.245, 0.387, 0.592, 1.225]) * units.keV
    error = np.array([0.22, 0.22, 0.22, 0.23, 0.18, 0.04])
    nominal = germanium.photoabsorption(energies)
    np.testing.assert_allclose(germanium.photoabsorption(energies, pull=1.0), (1 + error) * nominal, rtol=1e-12)
    np.testing.assert_allclose(germanium.photoabsorption(energies, pull=-2.0), nominal / (1 + error) ** 2, rtol=1e-12)
    assert germanium.photoabsorption(5 * units.eV, pull=1.0) == 0
    np.testing.assert_array_equal(germanium.photoabsorption(energies, pull=0.0), nominal)


@pytest.mark.parametrize("element", TABULATED)
def test_every_element_has_errors_of_equivalent_photons(element: str) -> None:
    """Photoabsorption is known to a few per cent above 1 keV, to some ten per cent below; energies are in order."""
    target = atom(element)
    assert np.all(np.diff(target.photo_error_energy) > 0)
    above = target.photo_error_energy > 1 * units.keV
    assert np.all((target.photo_error[above] > 0.005) & (target.photo_error[above] < 0.1))
    assert np.all((target.photo_error[~above] > 0.03) & (target.photo_error[~above] < 0.3))
    ratio = target.longitudinal(np.geomspace(1e-5, 30, 200) * units.keV)
    assert np.all((ratio > 3) & (ratio < 22))


def test_the_longitudinal_field_on_xenon() -> None:
    """Against its own limits: a hydrogen-like estimate, the jump at an edge, and the largest value where none is known.

    Dipole absorption holds up to momenta of sqrt(2 m T), where the photon picture has ln(sqrt(2 m/T)): 3.5 at 1 keV.
    """
    xenon = atom("Xe")
    estimate = np.log(np.sqrt(2 * units.ELECTRON_MASS / (1 * units.keV)))
    assert xenon.longitudinal(1 * units.keV) == pytest.approx(estimate, rel=0.1)
    below, above = xenon.longitudinal(np.array([4.6, 5.0]) * units.keV)
    assert 1.7 < below / above < 2.3
    largest = max(float(np.max(atom(element).longitudinal_ratio[1:-1])) for element in ("Xe", "I"))
    for element, energy in (("Xe", 0.1), ("Xe", 20.0), ("Ge", 0.3), ("Cs", 5.0), ("Si", 1.0)):
        assert atom(element).longitudinal(energy * units.keV) == pytest.approx(largest, rel=2e-3)


def test_errors_of_elements_without_tables() -> None:
    carbon = atom("C")
    with pytest.raises(ModelError, match="atom C: no error of equivalent photons"):
        carbon.longitudinal(1.0)
    bare = replace(atom("Xe"), photo_error_energy=np.empty(0), photo_error=np.empty(0))
    with pytest.raises(ModelError, match="atom Xe: no error of the photoabsorption is tabulated"):
        bare.photoabsorption(1.0, pull=1.0)


def documented(head: str) -> tuple[list[float], dict[str, list[str]]]:
    """Energies [keV] and the rows by element of one table of docs/physics.md: the first that follows `head`."""
    text = (Path(__file__).parents[2] / "docs" / "physics.md").read_text().partition(head)[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    energies = [float(cell) for cell in rows[0][1:]]
    here = rows[2 : next((i for i, row in enumerate(rows) if i and row[0] in ("keV", "")), None)]
    return energies, {element: row[1:] for row in here for element in row[0].split(", ")}


def test_the_tables_of_the_documentation_are_those_of_the_package() -> None:
    energies, rows = documented("`xe_photoabsorption`")
    at = np.array(energies) * units.keV
    assert set(rows) == set(TABULATED)
    for element, cells in rows.items():
        target = atom(element)
        error = target.photoabsorption(at, pull=1.0) / target.photoabsorption(at) - 1
        assert cells == [f"{100 * value:.0f}" for value in error], element
    energies, rows = documented("$$L(T)")
    assert set(rows) == set(TABULATED)
    for element, cells in rows.items():
        found = atom(element).longitudinal(np.array(energies) * units.keV)
        assert [cell.strip("*") for cell in cells] == [f"{value:.1f}" for value in found], element
        marked = [cell.startswith("*") for cell in cells]
        outside = [element in ("Ge", "Cs", "Si") or not 0.3 <= energy <= 10 for energy in energies]
        assert marked == outside, element
