"""Isotopes, radii and form factors."""

from dataclasses import replace
from math import cos, exp, pi, sin, sinh, sqrt

import numpy as np
import pytest
from scipy.integrate import quad

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics import nucleus

ELEMENTS = ("Si", "Ar", "Ge", "I", "Cs", "Xe")
ATOMIC_WEIGHTS = {"Si": 28.085, "Ar": 39.95, "Ge": 72.63, "I": 126.904, "Cs": 132.905, "Xe": 131.29}  # IUPAC
RMS = 4.8 * units.fm


@pytest.mark.parametrize("element", ELEMENTS)
def test_abundances_are_complete(element: str) -> None:
    fractions = [fraction for _, fraction in nucleus.isotopes(element)]
    assert min(fractions) > 0
    assert sum(fractions) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("element", ELEMENTS)
def test_molar_mass_is_the_standard_atomic_weight(element: str) -> None:
    assert nucleus.molar_mass(element) == pytest.approx(ATOMIC_WEIGHTS[element], rel=3e-4, abs=0)


def test_one_isotope_by_name() -> None:
    ((germanium, fraction),) = nucleus.isotopes("Ge76")
    assert (germanium.Z, germanium.N, fraction) == (32, 44, 1.0)
    assert nucleus.molar_mass("Ge76") == pytest.approx(75.9214)
    assert germanium.mass / units.MeV == pytest.approx(75.9214 * 931.494 - 32 * 0.511, rel=1e-6, abs=0)
    assert nucleus.molar_mass("C") == pytest.approx(12.011)


def test_unknown_targets_are_refused() -> None:
    with pytest.raises(ModelError, match="no isotopes of 'Ge75'"):
        nucleus.isotopes("Ge75")
    with pytest.raises(ModelError, match="no molar mass of 'Unobtainium'"):
        nucleus.molar_mass("Unobtainium")


def test_tabulated_radii_are_used_where_given() -> None:
    for symbol, proton, neutron in (("Cs133", 4.821, 5.09), ("I127", 4.766, 5.03), ("Ar40", 3.448, 3.55)):
        ((target, _),) = nucleus.isotopes(symbol)
        assert target.proton_radius / units.fm == pytest.approx(proton)
        assert target.neutron_radius / units.fm == pytest.approx(neutron)


def test_derived_proton_radii_follow_the_convention_of_the_tabulated_ones() -> None:
    for charge, Z, N, tabulated in ((4.804, 55, 78, 4.821), (3.4274, 18, 22, 3.448), (4.749, 53, 74, 4.766)):
        assert sqrt(charge**2 + 0.1161 * N / Z) == pytest.approx(tabulated, abs=6e-4)
    ((xenon, _),) = nucleus.isotopes("Xe132")
    assert xenon.proton_radius / units.fm == pytest.approx(sqrt(4.7859**2 + 0.1161 * 78 / 54), rel=1e-12, abs=0)


def test_neutron_radius_is_the_proton_radius_where_none_is_tabulated_and_can_be_moved() -> None:
    ((xenon, _),) = nucleus.isotopes("Xe132")
    assert xenon.neutron_radius == xenon.proton_radius
    assert replace(xenon, neutron_radius=5 * units.fm).neutron_radius == 5 * units.fm


@pytest.mark.parametrize("name", nucleus.FORM_FACTORS)
def test_form_factor_starts_at_one_and_falls_with_the_rms_radius(name: str) -> None:
    shape = nucleus.find_form_factor(name)
    assert shape(0.0, RMS) == 1.0
    for x in (1e-4, 2.9e-3, 3.1e-3, 2e-2):  # across the switch to the series
        q = x / RMS * units.HBARC
        assert float(1 - shape(q, RMS)) == pytest.approx(x**2 / 6, rel=2e-4, abs=1e-11)


@pytest.mark.parametrize("name", ["klein_nystrand", "symmetrised_fermi"])
def test_form_factors_agree_where_only_the_radius_matters(name: str) -> None:
    q = np.linspace(0, 60, 50) * units.MeV
    np.testing.assert_allclose(nucleus.find_form_factor(name)(q, RMS), nucleus.helm(q, RMS), atol=4e-3)


@pytest.mark.parametrize("q_fm", [0.1, 0.4, 0.8, 1.5])
def test_helm_is_a_folded_sphere_with_spherical_bessel_and_damping(q_fm: float) -> None:
    radius = sqrt(5 / 3 * (4.8**2 - 3 * 0.81))
    x = q_fm * radius
    expected = 3 * (sin(x) - x * cos(x)) / x**3 * exp(-(q_fm**2) * 0.81 / 2)
    assert float(nucleus.helm(q_fm / units.fm * units.HBARC, RMS)) == pytest.approx(expected, rel=1e-12, abs=0)


def test_helm_changes_sign_beyond_its_first_zero() -> None:
    """F and not F^2: the sign is there."""
    radius = sqrt(5 / 3 * (4.8**2 - 3 * 0.81))
    below, above = (float(nucleus.helm(x / radius / units.fm * units.HBARC, RMS)) for x in (4.48, 4.51))
    assert below > 0 > above


def test_klein_nystrand_closed_form() -> None:
    radius = sqrt(5 / 3 * (4.8**2 - 6 * 0.49))
    x = 0.7 * radius
    expected = 3 * (sin(x) - x * cos(x)) / x**3 / (1 + 0.49 * 0.49)
    assert float(nucleus.klein_nystrand(0.7 / units.fm * units.HBARC, RMS)) == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("q_fm", [0.05, 0.5, 1.2])
def test_symmetrised_fermi_is_the_transform_of_its_density(q_fm: float) -> None:
    a = 2.3 / (4 * np.log(3))
    half = sqrt(5 / 3 * (4.8**2 - 7 / 5 * (pi * a) ** 2))

    def density(r: float) -> float:
        return sinh(half / a) / (np.cosh(r / a) + np.cosh(half / a))

    norm = quad(lambda r: r**2 * density(r), 0, 40, epsrel=1e-11, epsabs=0)[0]
    transform = quad(lambda r: r * sin(q_fm * r) / q_fm * density(r), 0, 40, epsrel=1e-11, limit=200)[0]
    found = float(nucleus.symmetrised_fermi(q_fm / units.fm * units.HBARC, RMS))
    assert found == pytest.approx(transform / norm, rel=1e-8, abs=0)


def test_form_factors_are_finite_at_any_momentum() -> None:
    q = np.geomspace(1e-9, 1e6, 200) * units.MeV
    for shape in nucleus.FORM_FACTORS.values():
        values = shape(q, RMS)
        assert np.all(np.isfinite(values))
        assert np.max(np.abs(values)) == pytest.approx(1, abs=1e-12)


def test_impossible_radius_and_unknown_name_are_refused() -> None:
    with pytest.raises(ModelError, match="helm form factor: an rms radius of 1 fm"):
        nucleus.helm(1.0, 1 * units.fm)
    with pytest.raises(ModelError, match="did you mean 'helm'"):
        nucleus.find_form_factor("helmm")
