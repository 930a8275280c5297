"""Neutrino-electron scattering against formulas written out in natural units with constants of CODATA."""

from dataclasses import replace
from math import log, pi, sqrt

import numpy as np
import pytest
import scipy.constants as codata
from scipy.integrate import quad

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics import couplings, electron
from nuemstat.physics.atom import atom
from nuemstat.physics.flux import Flux
from nuemstat.physics.kinematics import maximum_recoil, minimum_energy
from nuemstat.vocabulary import COUPLINGS, FLAVOURS

ALPHA = codata.alpha
FERMI = codata.physical_constants["Fermi coupling constant"][0] * 1e-6  # MeV^-2
HBARC = codata.hbar * codata.c / codata.e * 1e-6 * 1e2  # MeV cm
M_E = codata.physical_constants["electron mass energy equivalent in MeV"][0]

SCHEME = couplings.scheme("set_A")
XENON = atom("Xe")
MASS = 1 * units.eV


def polynomial(T, E, *, flavour="e", antineutrino=False, target=XENON, scheme=SCHEME, approximation="fea", **pulls):
    return electron.rate(
        np.atleast_1d(T),
        Flux.line(E),
        flavour=flavour,
        antineutrino=antineutrino,
        atom=target,
        scheme=scheme,
        approximation=approximation,
        neutrino_mass=MASS,
        **pulls,
    )


def written_out(T, E, values, *, flavour, antineutrino):
    """dsigma/dT per free electron [cm^2/MeV] for set A, couplings in mu_B, e and cm^2."""
    gv = {"e": 0.9521, "mu": -0.0397, "tau": -0.0353}[flavour]
    ga = {"e": 0.4938, "mu": -0.5062, "tau": -0.5062}[flavour] * (-1 if antineutrino else 1)
    sm_radius = {"e": -0.83e-32, "mu": -0.48e-32, "tau": -0.30e-32}[flavour]

    def get(kind, other):
        pair = "".join(sorted((flavour, other), key=FLAVOURS.index))
        return values.get(f"{kind}_{pair}", 0.0)

    def amplitude(other):
        x, r2 = get("millicharge", other), get("charge_radius", other) / HBARC**2
        return 2 * sqrt(2) * pi * ALPHA / FERMI * (x / (-2 * M_E * T) + r2 / 6)

    def spin_sum(vector, axial):
        return (
            (vector + axial) ** 2 + (vector - axial) ** 2 * (1 - T / E) ** 2 - (vector**2 - axial**2) * M_E * T / E**2
        )

    vector = gv - sqrt(2) * pi * ALPHA / (3 * FERMI) * sm_radius / HBARC**2 + amplitude(flavour)
    total = spin_sum(vector, ga) + sum(spin_sum(amplitude(other), 0.0) for other in FLAVOURS if other != flavour)
    moment = values.get(f"magnetic_moment_{flavour}", 0.0)
    magnetic = pi * ALPHA**2 / M_E**2 * (1 / T - 1 / E) * moment**2
    return (FERMI**2 * M_E / (2 * pi) * total + magnetic) * HBARC**2


@pytest.mark.parametrize("antineutrino", [False, True])
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(("T", "E"), [(0.005, 0.3), (0.2, 0.4), (0.6, 0.862), (3.0, 6.0), (5e-4, 0.2)])
def test_random_couplings_against_the_squared_amplitude(flavour, antineutrino, T, E) -> None:
    free = polynomial(T, E, flavour=flavour, antineutrino=antineutrino, approximation="free")
    stepped = polynomial(T, E, flavour=flavour, antineutrino=antineutrino, approximation="fea")
    random = np.random.default_rng(20240612)
    for _ in range(10):
        now = {name: float(random.normal(scale=20.0)) for name in COUPLINGS}
        physical = {name: value * COUPLINGS[name].scale for name, value in now.items()}
        expected = written_out(T, E, physical, flavour=flavour, antineutrino=antineutrino)
        assert float(free.evaluate(now)[0]) == pytest.approx(54 * expected, rel=1e-8, abs=0)
        assert float(stepped.evaluate(now)[0]) == pytest.approx(float(XENON.z_eff(T)) * expected, rel=1e-8, abs=0)


def test_the_radius_of_the_scheme_gives_its_weak_rate() -> None:
    for flavour, gv, ga in (("e", 0.9521, 0.4938), ("mu", -0.0397, -0.5062), ("tau", -0.0353, -0.5062)):
        radius = f"charge_radius_{flavour}{flavour}"
        value = {radius: couplings.default_value(radius, SCHEME)}
        found = polynomial(0.1, 0.862, flavour=flavour, approximation="free").evaluate(value)[0]
        y = 0.1 / 0.862
        spin = (gv + ga) ** 2 + (gv - ga) ** 2 * (1 - y) ** 2 - (gv**2 - ga**2) * M_E * 0.1 / 0.862**2
        assert float(found) == pytest.approx(54 * FERMI**2 * M_E / (2 * pi) * spin * HBARC**2, rel=1e-8, abs=0)


def test_known_total_cross_sections() -> None:
    """G_F^2 m E / 2 pi [(gV+gA)^2 + (gV-gA)^2 / 3] at E >> m, tree level, and antineutrinos exchanged."""
    E, tree = 2000.0, couplings.scheme("tree")
    end = float(maximum_recoil(E, M_E))
    for flavour in ("e", "mu"):
        left = tree.gv[flavour] + tree.ga[flavour]
        right = tree.gv[flavour] - tree.ga[flavour]
        for antineutrino, (one, other) in ((False, (left, right)), (True, (right, left))):

            def integrand(T: float, flavour=flavour, antineutrino=antineutrino) -> float:
                rate = polynomial(T, E, flavour=flavour, antineutrino=antineutrino, scheme=tree, approximation="free")
                return float(rate.terms[()][0]) / 54

            expected = FERMI**2 * M_E * E / (2 * pi) * (one**2 + other**2 / 3) * HBARC**2
            assert quad(integrand, 1e-9, end, epsrel=1e-9, epsabs=0)[0] == pytest.approx(expected, rel=2e-3, abs=0)


def test_a_positive_charge_lowers_the_vector_coupling() -> None:
    """nu_e: gV and the interference are positive, so the linear charge term is negative, the radius positive."""
    for antineutrino in (False, True):
        terms = polynomial(0.01, 2.0, antineutrino=antineutrino).terms
        assert terms[(("millicharge_ee", 1),)][0] < 0
        assert terms[(("charge_radius_ee", 1),)][0] > 0
        assert terms[(("charge_radius_ee", 1), ("millicharge_ee", 1))][0] < 0


def test_transition_charges() -> None:
    """Z_eff pi alpha^2 / (m T^2) [1 + (1-T/E)^2 - m T/E^2] x^2, the same as the square of a diagonal charge."""
    T, E = 0.02, 0.3
    expected = pi * ALPHA**2 / (M_E * T**2) * (1 + (1 - T / E) ** 2 - M_E * T / E**2) * 1e-24 * HBARC**2
    terms = polynomial(T, E).terms
    for name in ("millicharge_emu", "millicharge_etau", "millicharge_ee"):
        assert float(terms[((name, 2),)][0]) == pytest.approx(float(XENON.z_eff(T)) * expected, rel=1e-8, abs=0)
    assert (("millicharge_emu", 1),) not in terms


def test_endpoint() -> None:
    E = 0.862
    end = 2 * E**2 / (units.ELECTRON_MASS + 2 * E)
    assert minimum_energy(end, units.ELECTRON_MASS) == pytest.approx(E, rel=1e-12, abs=0)
    below, above = (polynomial(end * factor, E) for factor in (1 - 1e-9, 1 + 1e-9))
    assert below.terms[()][0] > 0
    assert all(values[0] == 0 for values in above.terms.values())


def test_equivalent_photons_value_and_missing_interference() -> None:
    T, E = 2e-3, 0.5
    terms = polynomial(T, E, approximation="epa").terms
    expected = 2 * ALPHA / pi * float(XENON.photoabsorption(T)) / T * log(E / 1e-6) * 1e-24
    for name in ("millicharge_ee", "millicharge_emu", "millicharge_etau"):
        assert float(terms[((name, 2),)][0]) == pytest.approx(expected, rel=1e-8, abs=0)
    fea = polynomial(T, E, approximation="fea").terms
    charged = {term for term in fea if any(name.startswith("millicharge") for name, _ in term)}
    assert set(terms) == set(fea) - charged | {((f"millicharge_e{o}", 2),) for o in FLAVOURS}
    for term in set(fea) - charged:
        np.testing.assert_array_equal(terms[term], fea[term])


def test_equivalent_photons_reach_to_the_neutrino_energy() -> None:
    """T < E, beyond the endpoint of free electrons; the mass enters by its logarithm."""
    E = 0.02
    beyond = float(maximum_recoil(E, M_E)) * 2
    assert beyond < E
    terms = polynomial(np.array([beyond, E * 1.001]), E, approximation="epa").terms
    assert terms[(("millicharge_ee", 2),)][0] > 0 == terms[(("millicharge_ee", 2),)][1]
    assert terms[()][0] == 0
    lighter = electron.rate(
        np.array([beyond]),
        Flux.line(E),
        flavour="e",
        antineutrino=False,
        atom=XENON,
        scheme=SCHEME,
        approximation="epa",
        neutrino_mass=0.1 * MASS,
    )
    ratio = lighter.terms[(("millicharge_ee", 2),)][0] / terms[(("millicharge_ee", 2),)][0]
    assert ratio == pytest.approx(log(E / 1e-7) / log(E / 1e-6))


def test_equivalent_photons_exceed_free_electrons_in_germanium() -> None:
    """Published: limits from Dresden-II are about three times stronger, so the rate is about nine times larger."""
    T = np.geomspace(2e-4, 1.2e-3, 30)
    epa, fea = (
        polynomial(T, 4.0, target=atom("Ge"), approximation=a, antineutrino=True).terms[(("millicharge_ee", 2),)]
        for a in ("epa", "fea")
    )
    assert 2 < np.sqrt(np.mean(epa / fea)) < 5


def charged(term) -> bool:
    return any(name.startswith("millicharge") for name, _ in term)


@pytest.mark.parametrize("approximation", electron.EQUIVALENT_PHOTONS)
def test_a_pull_of_photoabsorption_moves_charges_only(approximation: electron.Approximation) -> None:
    T, germanium = np.array([2.45e-4, 3.87e-4]), atom("Ge")
    nominal, pulled = (
        polynomial(T, 4.0, target=germanium, approximation=approximation, photoabsorption_pull=pull).terms
        for pull in (0.0, -1.0)
    )
    for term in nominal:
        factor = np.array([1.22, 1.23]) if charged(term) else 1.0
        np.testing.assert_allclose(pulled[term] * factor, nominal[term], rtol=1e-9)


@pytest.mark.parametrize("approximation", electron.EQUIVALENT_PHOTONS)
def test_one_sigma_of_equivalent_photons_adds_the_longitudinal_field(approximation: electron.Approximation) -> None:
    """At +1 ln(E/m) becomes ln(E/m) + L, at -1 the ratio is turned round; nothing else moves."""
    T, E = np.array([1e-3, 3e-3, 2e-2]), 0.4
    nominal, up, down = (
        polynomial(T, E, approximation=approximation, equivalent_photons_pull=pull).terms for pull in (0.0, 1.0, -1.0)
    )
    logarithm = log(E / MASS)
    factor = (logarithm + XENON.longitudinal(T)) / logarithm
    for term in nominal:
        expected = factor if charged(term) else 1.0
        np.testing.assert_allclose(up[term], nominal[term] * expected, rtol=1e-12)
        np.testing.assert_allclose(down[term] * expected, nominal[term], rtol=1e-12)


def test_one_sigma_of_equivalent_photons_is_exact_for_a_spectrum() -> None:
    """The longitudinal field does not know the neutrino energy: what it adds is in proportion to their number."""
    flux = Flux(np.array([0.05, 0.2, 0.423]), np.array([0.1, 1.0, 0.0])) + Flux.line(0.862, 0.3)
    T, term = np.array([2e-3]), (("millicharge_mumu", 2),)
    common = {"flavour": "mu", "antineutrino": False, "atom": XENON, "scheme": SCHEME, "approximation": "epa"}
    nominal, up = (
        electron.rate(T, flux, neutrino_mass=MASS, equivalent_photons_pull=pull, **common).terms[term]
        for pull in (0.0, 1.0)
    )
    number = 0.5 * 0.15 * 1.1 + 0.5 * 0.223 + 0.3
    photons = 2 * ALPHA / pi * XENON.photoabsorption(T) / T * 1e-24
    np.testing.assert_allclose(up - nominal, photons * XENON.longitudinal(T) * number, rtol=1e-7)


def test_the_mass_of_the_neutrino_is_in_the_logarithm_alone() -> None:
    T, E = 2e-3, 0.4
    at = {mass: polynomial_with(T, E, mass) for mass in (0.45, 1.0)}
    for term, values in at[1.0].items():
        ratio = log(E / 0.45e-6) / log(E / 1e-6) if charged(term) else 1.0
        np.testing.assert_allclose(at[0.45][term], values * ratio, rtol=1e-12)


def polynomial_with(T, E, mass_in_ev):
    return electron.rate(
        np.array([T]),
        Flux.line(E),
        flavour="e",
        antineutrino=False,
        atom=XENON,
        scheme=SCHEME,
        approximation="rrpa",
        neutrino_mass=mass_in_ev * units.eV,
    ).terms


def test_pulls_without_equivalent_photons_and_photons_without_a_mass() -> None:
    for name in ("photoabsorption_pull", "equivalent_photons_pull"):
        with pytest.raises(ModelError, match="'fea' has no equivalent photons to be pulled"):
            polynomial(1e-3, 0.4, approximation="fea", **{name: 1.0})
    common = {"flavour": "e", "antineutrino": False, "atom": XENON, "scheme": SCHEME}
    with pytest.raises(ModelError, match="'epa' needs a neutrino mass"):
        electron.rate(np.array([1e-3]), Flux.line(0.4), approximation="epa", **common)


def test_rrpa_divides_weak_and_radius_terms_only() -> None:
    T, E = np.array([1e-3, 1e-2, 0.1]), 0.6
    for flavour in FLAVOURS:
        rrpa, epa = (polynomial(T, E, flavour=flavour, approximation=a).terms for a in ("rrpa", "epa"))
        assert set(rrpa) == set(epa)
        for term in epa:
            radius_or_weak = all(name.startswith("charge_radius") for name, _ in term)
            ratio = XENON.rrpa_ratio(flavour, T) if radius_or_weak else 1.0
            np.testing.assert_allclose(rrpa[term] * ratio, epa[term], rtol=1e-13)
        assert rrpa[()][0] < epa[()][0]
        assert rrpa[()][2] == epa[()][2]


def test_rrpa_without_a_many_body_table_is_epa() -> None:
    T = np.geomspace(1e-4, 1e-1, 20)
    rrpa, epa = (polynomial(T, 1.0, target=atom("Ge"), approximation=a).terms for a in ("rrpa", "epa"))
    for term in epa:
        np.testing.assert_array_equal(rrpa[term], epa[term])


def test_a_spectrum_is_the_integral_of_its_lines() -> None:
    flux = Flux(np.array([0.05, 0.2, 0.423]), np.array([0.1, 1.0, 0.0]))
    T = 0.01
    for approximation in ("fea", "rrpa"):
        rate = electron.rate(
            np.array([T]),
            flux,
            flavour="e",
            antineutrino=False,
            atom=XENON,
            scheme=SCHEME,
            approximation=approximation,
            neutrino_mass=MASS,
        )
        for term, values in rate:
            cut = T if approximation == "rrpa" and term and term[0][0].startswith("millicharge") else 0.0
            least = max(0.05, cut or float(minimum_energy(T, M_E)))

            def integrand(E: float, term=term, approximation=approximation) -> float:
                return float(flux(E)) * float(polynomial(T, E, approximation=approximation).terms[term][0])

            expected = quad(integrand, least * (1 + 1e-12), 0.423, points=[0.2], epsrel=1e-8, epsabs=0)[0]
            assert float(values[0]) == pytest.approx(expected, rel=1e-6, abs=0), term


@pytest.mark.parametrize("approximation", electron.APPROXIMATIONS)
@pytest.mark.parametrize("element", ["Si", "Ar", "Ge", "I", "Cs", "Xe"])
def test_rates_are_finite_and_even_terms_never_negative(element: str, approximation: electron.Approximation) -> None:
    recoil = np.geomspace(1e-12, 1e3, 300)
    flux = Flux(np.array([0.0, 0.3, 12.0]), np.array([0.0, 1.0, 0.0])) + Flux.line(0.862)
    rate = electron.rate(
        recoil,
        flux,
        flavour="mu",
        antineutrino=True,
        atom=atom(element),
        scheme=SCHEME,
        approximation=approximation,
        neutrino_mass=MASS,
    )
    for term, values in rate:
        assert values.shape == recoil.shape
        assert np.all(np.isfinite(values))
        if all(power == 2 for _, power in term):
            assert np.all(values >= 0), term


def test_light_elements_and_wrong_words() -> None:
    assert polynomial(1.0, 4.0, target=atom("F"), approximation="free").terms[()][0] > 0
    with pytest.raises(ModelError, match="atom F: no binding energies"):
        polynomial(1.0, 4.0, target=atom("F"))
    with pytest.raises(ModelError, match="'rpa'; allowed are free, fea, epa, rrpa, best"):
        polynomial(1.0, 4.0, approximation="rpa")
    with pytest.raises(ModelError, match="no photoabsorption"):
        polynomial(
            1.0,
            4.0,
            target=replace(XENON, photo_energy=np.empty(0), photo_cross_section=np.empty(0)),
            approximation="epa",
        )
