"""The dielectric formula: its limits, a Lorentz oscillator, free electrons, equivalent photons, Hartree-Fock."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.constants as codata

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.atom import atom
from nuemstat.physics.dielectric import STRENGTH, Absorber, Constituent, Medium, dispersion, terms
from nuemstat.physics.media import absorber, choose_medium, medium
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.tables import read_table

ALPHA = codata.alpha
HBARC = codata.hbar * codata.c / codata.e * 1e-6 * 1e2  # MeV cm
M_E = codata.physical_constants["electron mass energy equivalent in MeV"][0]
ELEMENTS = ("Xe", "Ge", "Si", "Ar", "CsI")


def target(name: str) -> Medium:
    formula = {"Cs": 1.0, "I": 1.0} if name == "CsI" else {name: 1.0}
    return medium(formula, choose_medium(formula, None, None))


def thin(name: str, factor: float = 1e-9) -> Medium:
    return replace(target(name), density=target(name).density * factor)


# The dispersion relation.


def test_kramers_kronig_of_a_lorentz_oscillator() -> None:
    """eps = 1 + w_p^2 / (w_0^2 - w^2 - i g w): its real part from its imaginary part, on both sides of the line."""
    centre, width, plasma = 1.0, 0.1, 2.0
    x = np.concatenate([[1e-6], np.geomspace(1e-4, 1e4, 20000)])
    absorbed = x * plasma**2 * width * x / ((centre**2 - x**2) ** 2 + width**2 * x**2)  # x eps_2
    at = np.array([0.1, 0.5, 0.9, 0.98, 1.02, 1.1, 2.0, 20.0, 500.0])
    expected = plasma**2 * (centre**2 - at**2) / ((centre**2 - at**2) ** 2 + width**2 * at**2)
    np.testing.assert_allclose(
        2 / np.pi * dispersion(x, absorbed, at), expected, rtol=2e-4
    )  # the line is 0.1 wide, steps 0.001


def test_the_dispersion_integral_is_the_same_at_a_node_and_beside_it() -> None:
    x = np.geomspace(0.1, 100.0, 400)
    sigma = 1 / (1 + x**3)
    node = x[200]
    at, beside = dispersion(x, sigma, [node, node * (1 + 1e-5)])
    assert at == pytest.approx(beside, rel=1e-4)


@pytest.mark.parametrize("name", ELEMENTS)
def test_the_sum_rule_holds_with_what_is_missing(name: str) -> None:
    """1 - eps is (hbar omega_p / T)^2 of all electrons far above all edges; 2 pi^2 alpha (hbar c)^2 / m for each."""
    assert pytest.approx(2 * np.pi**2 * ALPHA * HBARC**2 / M_E, rel=1e-8, abs=0) == STRENGTH
    matter = target(name)
    T = np.array([0.3, 1.0]) * units.MeV
    np.testing.assert_allclose(-matter.chi1(T), (matter.plasma_energy / T) ** 2, rtol=0.03)
    np.testing.assert_allclose(
        matter.free(T) * T**2, STRENGTH * sum(p.number * p.absorber.electrons for p in matter.constituents), rtol=0.01
    )


def test_what_the_tables_hold() -> None:
    """0.97, 0.95 and 0.85 of the electrons of xenon, germanium and silicon; argon has a little too much."""
    for element, held in (("Xe", 0.967), ("Ge", 0.952), ("Si", 0.853), ("Ar", 1.007)):
        found = absorber(element)
        assert 1 - found.missing / found.electrons == pytest.approx(held, abs=1e-3)


def test_where_the_missing_strength_is_placed_changes_nothing_above_50_ev() -> None:
    T = np.geomspace(50, 1e4, 60) * units.eV
    for name, lower, higher in (("Xe", 7, 12), ("Ge", 2, 8), ("Si", 3, 9)):
        low, high = (terms(replace(target(name), missing_energy=e * units.eV), T).total for e in (lower, higher))
        np.testing.assert_allclose(low, high, rtol=0.012)


@pytest.mark.parametrize("name", ELEMENTS)
def test_the_medium_is_nearly_vacuum_where_the_formula_is_claimed(name: str) -> None:
    matter = target(name)
    T = np.geomspace(100, 1e5, 300) * units.eV
    assert np.max(np.hypot(matter.chi1(T), matter.eps2(T))) < (0.11 if name == "CsI" else 0.08)


# Limits of the formula.


@pytest.mark.parametrize("name", ["Xe", "Ge", "Si", "CsI"])
def test_a_thin_medium_at_finite_gamma_has_the_logarithm_of_gamma(name: str) -> None:
    """N -> 0: (sigma/T) (2 ln gamma - 1), the transverse field of a charge in vacuum."""
    gamma, T = 50.0, np.array([0.06, 0.2, 1.1, 3.0, 12.0]) * units.keV
    matter = thin(name)
    found = terms(matter, T, gamma=gamma)
    expected = matter.sigma(T) / T * (2 * np.log(gamma) - 1)
    np.testing.assert_allclose(found.logarithm + found.angle, expected, rtol=1e-3)


@pytest.mark.parametrize(("name", "energy"), [("Xe", 60.0), ("Ge", 20.0), ("Si", 6.0)])
def test_above_all_edges_the_logarithm_ends_at_the_plasma_energy(name: str, energy: float) -> None:
    """(sigma/T) (2 ln(T / hbar omega_p) - 1), to what inner shells still add to the plasma."""
    matter, T = target(name), np.array([energy, 2 * energy]) * units.keV
    found = terms(matter, T)
    expected = matter.sigma(T) / T * (2 * np.log(T / matter.plasma_energy) - 1)
    np.testing.assert_allclose(found.logarithm + found.angle, expected, rtol=0.01)


def test_one_shell_reaches_the_plasma_limit_exactly() -> None:
    """A single absorption line of mean square 100^2 + 5^2 x 2 eV^2: w_p^2 / (w_0^2 - T^2), to the next order."""
    x = np.geomspace(50, 150, 200) * units.eV
    line = np.exp(-(((x / units.eV - 100) / 10) ** 2)) + 1e-30 * (x / x[-1]) ** -4.0
    matter = Medium(
        1e22 / units.cm**3, (Constituent(1.0, Absorber(x, line / np.trapezoid(line, x) * STRENGTH, 1.0)),), 1 * units.eV
    )
    T = np.array([4.0]) * units.keV
    assert matter.constituents[0].absorber.missing == pytest.approx(0, abs=1e-3)
    plasma = float((-matter.chi1(T) * (T**2 - (100**2 + 50) * units.eV**2))[0]) ** 0.5
    assert plasma == pytest.approx(matter.plasma_energy, rel=1e-5)


@pytest.mark.parametrize(("name", "energy"), [("Xe", 300.0), ("Ge", 150.0), ("Si", 30.0)])
def test_far_above_all_edges_electrons_are_free(name: str, energy: float) -> None:
    """2 pi alpha^2 (hbar c)^2 / (m T^2) for each, without kinematics."""
    T = energy * units.keV
    found = ALPHA / np.pi * float(terms(target(name), T).total)
    free = 2 * np.pi * ALPHA**2 * HBARC**2 / (M_E * T**2) * atom(name).Z
    assert found == pytest.approx(free, rel=0.02, abs=0)


def test_a_denser_medium_screens_more() -> None:
    """Where eps_1 is below 1; in resonances of the outer shells a medium can do the opposite."""
    T = np.geomspace(0.3, 30, 50) * units.keV
    for name in ELEMENTS:
        one, other = (terms(thin(name, factor), T).total for factor in (1.0, 2.0))
        assert np.all(other < one)


def test_the_second_logarithm_ends_at_zero() -> None:
    found = terms(target("Xe"), np.array([0.9, 1.1, 3.0]) * units.MeV)
    assert found.bound[0] > 0 == found.bound[1] == found.bound[2]


# Against other calculations.


@pytest.mark.parametrize(
    ("name", "energy", "transfers", "ratios"),
    [
        ("Xe", 0.3, (0.5, 1, 1.5, 2, 3, 4, 5), (0.72, 0.59, 0.66, 0.74, 0.93, 1.16, 0.86)),
        ("Ge", 1.5, (0.2, 0.3, 0.5, 1, 1.5, 3), (0.46, 0.48, 0.55, 0.83, 0.54, 0.78)),
        ("Si", 1.5, (0.2, 0.5, 1), (0.47, 0.62, 1.08)),
    ],
)
def test_over_equivalent_photons_of_1_ev(
    name: str, energy: float, transfers: tuple[float, ...], ratios: tuple[float, ...]
) -> None:
    """Neutrino energy in MeV, transfers in keV; an independent calculation gave the ratios."""
    matter, T = target(name), np.array(transfers) * units.keV
    photons = 2 * matter.sigma(T) / T * np.log(energy / 1e-6)
    np.testing.assert_allclose(terms(matter, T).total / photons, ratios, rtol=0.02)


def hartree_fock(element: str) -> tuple[FloatArray, FloatArray]:
    """Energies [keV], and the longitudinal field by Hartree-Fock over that of the formula in a thin medium."""
    table = read_table(data_file("atomic/hartree_fock.csv"))
    listed = np.array([word == element for word in table.words("element")])
    T, electrons = table.numbers("energy", units.ENERGY)[listed], table.numbers("charge")[listed]
    found = terms(thin(element), T)
    return T / units.keV, 2 * np.pi**2 * ALPHA * HBARC**2 / (M_E * T**2) * electrons / (found.bound + found.free)


@pytest.mark.parametrize(
    ("element", "low", "high", "smallest", "largest"),
    [
        ("Xe", 0.3, 0.61, 0.96, 0.985),
        ("Xe", 0.7, 1.2, 0.74, 0.94),
        ("Xe", 1.35, 11.3, 0.98, 1.065),
        ("Ge", 0.14, 1.1, 0.89, 1.095),
        ("Ge", 1.5, 7, 0.99, 1.09),
    ],
)
def test_the_longitudinal_field_by_hartree_fock(
    element: str, low: float, high: float, smallest: float, largest: float
) -> None:
    energies, ratio = hartree_fock(element)
    inside = (energies > low) & (energies < high)
    assert inside.sum() > 2
    assert smallest < ratio[inside].min() < ratio[inside].max() < largest


@pytest.mark.parametrize("element", ["Xe", "Ge"])
def test_the_error_of_charges_is_that_difference(element: str) -> None:
    """Smoothed over three points inside of the range; 25 % outside of it and for the other elements."""
    energies, ratio = hartree_fock(element)
    smooth = np.convolve(ratio - 1, [0.25, 0.5, 0.25], mode="same")
    found = atom(element).hartree_fock_difference(energies * units.keV)
    low, high = {"Xe": (0.3, 11.3), "Ge": (0.2, 7.0)}[element]
    inside = (energies > low) & (energies < high)
    np.testing.assert_allclose(found[inside], smooth[inside], atol=6e-4)
    outside = atom(element).hartree_fock_difference(np.array([0.1, 15.0]) * units.keV)
    np.testing.assert_array_equal(outside, [-0.25, -0.25])
    assert np.all(atom("Si").hartree_fock_difference(np.geomspace(1e-4, 0.1, 9)) == -0.25)


def test_a_pull_of_it_moves_the_longitudinal_field_alone() -> None:
    T, formula = np.array([0.8, 3.0]) * units.keV, {"Xe": 1.0}
    nominal, up, down = (
        terms(medium(formula, choose_medium(formula, None, None), longitudinal={"Xe": p}), T) for p in (0.0, 1.0, -1.0)
    )
    factor = 1 + atom("Xe").hartree_fock_difference(T)
    for kind in ("bound", "free"):
        np.testing.assert_allclose(getattr(up, kind), getattr(nominal, kind) * factor, rtol=1e-12)
        np.testing.assert_allclose(getattr(down, kind), getattr(nominal, kind) / factor, rtol=1e-12)
    for kind in ("logarithm", "angle"):
        np.testing.assert_array_equal(getattr(up, kind), getattr(nominal, kind))


def test_a_pull_of_photoabsorption_goes_through_all_of_it() -> None:
    """As if the table were another one, the sum rule kept: the same electrons, elsewhere."""
    formula, T = {"Ge": 1.0}, np.array([0.15, 0.3, 2.0]) * units.keV
    chosen = choose_medium(formula, None, None)
    matter, pulled = medium(formula, chosen), medium(formula, chosen, photoabsorption={"Ge": 1.0})
    error = pulled.sigma(T) / matter.sigma(T) - 1
    assert np.all((error > 0.02) & (error < 0.25))
    far = 5 * units.MeV
    assert float(pulled.chi1(far)) == pytest.approx(float(matter.chi1(far)), rel=1e-3)
    one, other = terms(matter, T), terms(pulled, T)
    for kind in ("logarithm", "bound"):
        assert np.all(getattr(other, kind) > getattr(one, kind) * (1 + 0.5 * error))


# Per formula unit, and mistakes.


def test_a_compound_absorbs_as_its_atoms_and_screens_as_one() -> None:
    T = np.geomspace(0.1, 20, 40) * units.keV
    salt = target("CsI")
    parts = sum(absorber(element).sigma(T) for element in ("Cs", "I"))
    np.testing.assert_allclose(salt.sigma(T), parts, rtol=1e-12)
    per_atom = salt.density * units.cm**3
    assert per_atom == pytest.approx(4.51 / 259.81 * 6.02214076e23, rel=1e-4)
    once = Medium(salt.density, (replace(salt.constituents[0], number=2.0), salt.constituents[1]), salt.missing_energy)
    assert once.plasma_energy == pytest.approx(salt.plasma_energy * ((2 * 55 + 53) / (55 + 53)) ** 0.5, rel=1e-12)


def test_the_integral_below_is_that_of_the_cross_section() -> None:
    found = absorber("Si")
    x = np.geomspace(0.2, 1.5, 200001) * units.keV
    total = float(found.below(x[-1]) - found.below(x[0]))
    assert total == pytest.approx(float(np.trapezoid(found.sigma(x), x)), rel=3e-5, abs=0)


def test_media_by_formula_phase_and_density() -> None:
    g = units.gram / units.cm**3
    assert choose_medium({"I": 1, "Cs": 1}, None, None).density == pytest.approx(4.51 * g)
    assert choose_medium({"Xe": 1}, None, None).phase == "liquid"
    assert choose_medium({"Xe": 1}, "gas", None).density == pytest.approx(0.0055 * g)
    assert choose_medium({"Xe": 1}, None, 2.95 * g).density == 2.95 * g
    foreign = choose_medium({"Na": 1, "I": 1}, "solid", 3.67 * g)
    assert (foreign.density, foreign.missing_energy) == (3.67 * g, 5 * units.eV)
    for formula, phase, density, told in (
        ({"Na": 1, "I": 1}, None, None, "target.density: found none for NaI; it is required but for liquid Xe"),
        ({"C": 1, "F": 4}, "gas", None, "target.density: found none for gas CF4"),
        ({"Ge": 1}, "liquid", None, "target.density: found none for liquid Ge"),
        (
            {"Xe": 1},
            "liquid",
            0.0055 * g,
            r"target.phase: found liquid with a density of 0.0055 g/cm\^3, which is that of a gas",
        ),
        ({"Ar": 1}, None, 0.0018 * g, "target.phase: found liquid with a density of 0.0018"),
    ):
        with pytest.raises(ModelError, match=told):
            choose_medium(formula, phase, density)


def test_tables_that_cannot_be_used() -> None:
    x = np.array([1.0, 2.0, 3.0])
    for energies, sigma, told in (
        (x[::-1], x, "rising energies"),
        (x, np.array([1.0, 0.0, 1.0]), "cross sections above 0"),
        (x, np.array([1.0, 1.0, 0.9]), "ends with the power"),
    ):
        with pytest.raises(ModelError, match=told):
            Absorber(energies, sigma, 1.0)
    with pytest.raises(ModelError, match="atom C: no photoabsorption"):
        absorber("C")
