"""CEvNS against formulas written out in natural units with constants of CODATA.

Cross sections are of order 1e-38: every comparison switches the absolute tolerance of pytest.approx off.
"""

from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest
import scipy.constants as codata
from scipy.integrate import quad

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics import cevns, couplings
from nuemstat.physics.flux import Flux
from nuemstat.physics.kinematics import maximum_recoil, minimum_energy
from nuemstat.physics.nucleus import FORM_FACTORS, helm, isotopes
from nuemstat.polynomial import CouplingPolynomial
from nuemstat.vocabulary import COUPLINGS, FLAVOURS

ALPHA = codata.alpha
FERMI = codata.physical_constants["Fermi coupling constant"][0] * 1e-6  # MeV^-2
HBARC = codata.hbar * codata.c / codata.e * 1e-6 * 1e2  # MeV cm
M_E = codata.physical_constants["electron mass energy equivalent in MeV"][0]

SCHEME = couplings.scheme("set_A")
GERMANIUM = isotopes("Ge72")[0][0]
CESIUM = isotopes("Cs133")[0][0]


def polynomial(T, E, *, flavour="mu", antineutrino=False, nucleus=CESIUM, scheme=SCHEME, form_factor="helm"):
    return cevns.rate(
        np.atleast_1d(T),
        Flux.line(E),
        flavour=flavour,
        antineutrino=antineutrino,
        nucleus=nucleus,
        scheme=scheme,
        form_factor=form_factor,
    )


def written_out(T, E, values, *, flavour, nucleus):
    """dsigma/dT [cm^2/MeV] for set A, couplings in mu_B, e and cm^2, without help of the package but F."""
    gvp = {"e": 0.0382, "mu": 0.0300, "tau": 0.0256}[flavour]
    sm_radius = {"e": -0.83e-32, "mu": -0.48e-32, "tau": -0.30e-32}[flavour]
    M = nucleus.mass
    q = sqrt(2 * M * T)
    fp, fn = (float(helm(q, radius)) for radius in (nucleus.proton_radius, nucleus.neutron_radius))

    def get(kind, other):
        pair = "".join(sorted((flavour, other), key=FLAVOURS.index))
        return values.get(f"{kind}_{pair}", 0.0)

    def amplitude(other):
        x, r2 = get("millicharge", other), get("charge_radius", other) / HBARC**2
        return 2 * sqrt(2) * pi * ALPHA / FERMI * (x / (-(q**2)) + r2 / 6)

    sm = 2 * sqrt(2) * pi * ALPHA / FERMI * sm_radius / HBARC**2 / 6
    weak = (gvp + sm - amplitude(flavour)) * nucleus.Z * fp - 0.5117 * nucleus.N * fn
    total = weak**2 + sum((nucleus.Z * fp * amplitude(other)) ** 2 for other in FLAVOURS if other != flavour)
    kinematic = FERMI**2 * M / pi * (1 - M * T / (2 * E**2))
    moment = values.get(f"magnetic_moment_{flavour}", 0.0)
    magnetic = pi * ALPHA**2 / M_E**2 * (1 / T - 1 / E) * (nucleus.Z * fp * moment) ** 2
    return (kinematic * total + magnetic) * HBARC**2


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(("T", "E"), [(1e-5, 30.0), (1e-2, 30.0), (2.5e-4, 5.0), (1e-7, 2.0)])
def test_random_couplings_against_the_squared_amplitude(flavour: str, T: float, E: float) -> None:
    rate = polynomial(T, E, flavour=flavour)
    random = np.random.default_rng(20240611)
    for _ in range(20):
        couplings_now = {name: float(random.normal(scale=30.0)) for name in COUPLINGS}
        physical = {name: value * COUPLINGS[name].scale for name, value in couplings_now.items()}
        expected = written_out(T, E, physical, flavour=flavour, nucleus=CESIUM)
        # hbar c has ten digits and enters to the fourth power, beside cancelling amplitudes
        assert float(rate.evaluate(couplings_now)[0]) == pytest.approx(expected, rel=1e-7, abs=0)


def test_the_radius_of_the_scheme_gives_its_weak_rate() -> None:
    """At the SM radius the rate is that of gVp as printed: the radius is counted once."""
    T, E = 5e-3, 40.0
    for flavour in FLAVOURS:
        radius = f"charge_radius_{flavour}{flavour}"
        found = polynomial(T, E, flavour=flavour).evaluate({radius: couplings.default_value(radius, SCHEME)})
        q = sqrt(2 * CESIUM.mass * T)
        weak = SCHEME.gvp[flavour] * 55 * helm(q, CESIUM.proton_radius) - 0.5117 * 78 * helm(q, CESIUM.neutron_radius)
        expected = FERMI**2 * CESIUM.mass / pi * (1 - CESIUM.mass * T / (2 * E**2)) * weak**2 * HBARC**2
        assert float(found[0]) == pytest.approx(float(expected), rel=1e-8, abs=0)


@pytest.mark.parametrize("T", [1e-6, 3e-4, 3e-3])
def test_quadratic_charge_term_has_alpha_squared(T: float) -> None:
    """2 pi alpha^2 Z^2 F^2 x^2 (1 - M T / 2 E^2) / (M T^2)."""
    E, M = 30.0, CESIUM.mass
    form = float(helm(sqrt(2 * M * T), CESIUM.proton_radius))
    expected = 2 * pi * ALPHA**2 * (55 * form * 1e-12) ** 2 * (1 - M * T / (2 * E**2)) / (M * T**2) * HBARC**2
    found = polynomial(T, E).terms
    for name in ("millicharge_mumu", "millicharge_emu", "millicharge_mutau"):
        assert float(found[((name, 2),)][0]) == pytest.approx(expected, rel=1e-8, abs=0)


def test_monomials_are_those_of_the_flavour() -> None:
    assert set(polynomial(1e-3, 30.0, flavour="e").terms) == {
        (),
        (("magnetic_moment_e", 2),),
        (("millicharge_ee", 1),),
        (("millicharge_ee", 2),),
        (("charge_radius_ee", 1),),
        (("charge_radius_ee", 2),),
        (("charge_radius_ee", 1), ("millicharge_ee", 1)),
        (("millicharge_emu", 2),),
        (("charge_radius_emu", 2),),
        (("charge_radius_emu", 1), ("millicharge_emu", 1)),
        (("millicharge_etau", 2),),
        (("charge_radius_etau", 2),),
        (("charge_radius_etau", 1), ("millicharge_etau", 1)),
    }


def test_signs_of_the_interference() -> None:
    """The weak amplitude is negative: a positive charge repels less, a positive radius adds to it."""
    terms = polynomial(1e-4, 30.0).terms
    assert terms[(("millicharge_mumu", 1),)][0] < 0
    assert terms[(("charge_radius_mumu", 1),)][0] > 0
    assert terms[(("charge_radius_mumu", 1), ("millicharge_mumu", 1))][0] < 0


def test_antineutrinos_have_the_same_rate_and_signs() -> None:
    one, other = polynomial(1e-4, 8.0, antineutrino=False), polynomial(1e-4, 8.0, antineutrino=True)
    for term, values in one.terms.items():
        np.testing.assert_array_equal(values, other.terms[term])


def test_pointlike_limit() -> None:
    """T -> 0: the coherent rate G_F^2 M / pi (gVp Z + gVn N)^2 and no form factor."""
    scheme = couplings.scheme("tree")
    found = polynomial(1e-12, 5.0, nucleus=GERMANIUM, scheme=scheme).terms[()][0]
    weak = 0.02286 * 32 - 0.5 * 40
    assert float(found) == pytest.approx(FERMI**2 * GERMANIUM.mass / pi * weak**2 * HBARC**2, rel=1e-7, abs=0)


def test_total_cross_section_of_a_pointlike_nucleus() -> None:
    """Integral over recoils: G_F^2 Q^2 E^2 / pi up to E/M (tiny radii switch the form factor off)."""
    E, M = 10.0, GERMANIUM.mass
    point = replace(GERMANIUM, mass=M * 1e6, proton_radius=1.6 * units.fm, neutron_radius=1.6 * units.fm)
    end = float(maximum_recoil(E, point.mass))
    scheme = couplings.scheme("tree")

    def integrand(T: float) -> float:
        q = sqrt(2 * point.mass * T)
        return float(polynomial(T, E, nucleus=point, scheme=scheme).terms[()][0] / helm(q, 1.6 * units.fm) ** 2)

    weak = 0.02286 * 32 - 0.5 * 40
    expected = FERMI**2 * weak**2 * E**2 / pi * HBARC**2
    assert quad(integrand, 0, end, epsrel=1e-9, epsabs=0)[0] == pytest.approx(expected, rel=1e-6, abs=0)


def test_endpoint() -> None:
    E = 30.0
    end = 2 * E**2 / (CESIUM.mass + 2 * E)
    assert maximum_recoil(E, CESIUM.mass) == pytest.approx(end)
    assert minimum_energy(end, CESIUM.mass) == pytest.approx(E, rel=1e-12, abs=0)
    below, above = (polynomial(end * factor, E) for factor in (1 - 1e-9, 1 + 1e-9))
    assert below.terms[()][0] > 0
    assert all(values[0] == 0 for values in above.terms.values())


def test_form_factor_enters_squared_and_by_radius() -> None:
    T, E = 1e-2, 50.0
    tight, wide = (replace(GERMANIUM, neutron_radius=r, proton_radius=r) for r in (3 * units.fm, 4 * units.fm))
    found = [polynomial(T, E, nucleus=target).terms[()][0] for target in (tight, wide)]
    q = sqrt(2 * GERMANIUM.mass * T)
    ratio = helm(q, 4 * units.fm) / helm(q, 3 * units.fm)
    assert found[1] / found[0] == pytest.approx(float(ratio) ** 2, rel=1e-12, abs=0)


def test_form_factors_by_name_agree_at_low_recoil() -> None:
    values = [polynomial(1e-6, 8.0, form_factor=name).terms[()][0] for name in FORM_FACTORS]
    np.testing.assert_allclose(values, values[0], rtol=1e-5)
    with pytest.raises(ModelError, match="no form factor 'gauss'"):
        polynomial(1e-6, 8.0, form_factor="gauss")


def test_a_spectrum_is_the_integral_of_its_lines() -> None:
    """Every monomial of a spectrum by quadrature over single energies."""
    energies, density = np.array([1.0, 6.0, 20.0, 52.8]), np.array([0.0, 0.7, 1.3, 0.0])
    flux = Flux(energies, density)
    for T in (1e-4, 1.1e-2):
        rate = cevns.rate(np.array([T]), flux, flavour="mu", antineutrino=True, nucleus=CESIUM, scheme=SCHEME)
        least = max(1.0, float(minimum_energy(T, CESIUM.mass)))
        for term in ((), (("magnetic_moment_mu", 2),), (("millicharge_mumu", 1),), (("charge_radius_emu", 2),)):

            def integrand(E: float, term=term, T=T) -> float:
                return float(flux(E)) * float(polynomial(T, E).terms[term][0])

            inner = [point for point in (6.0, 20.0) if point > least]
            expected = quad(integrand, least * (1 + 1e-12), 52.8, points=inner, epsrel=1e-9, epsabs=0)[0]
            assert float(rate.terms[term][0]) == pytest.approx(expected, rel=1e-7, abs=0)


def test_rates_are_finite_and_even_terms_never_negative() -> None:
    recoil = np.geomspace(1e-15, 1e4, 400) * units.MeV
    flux = Flux(np.array([0.0, 10.0, 52.8]), np.array([0.0, 1.0, 0.0])) + Flux.line(29.79)
    rate = cevns.rate(recoil, flux, flavour="e", antineutrino=False, nucleus=GERMANIUM, scheme=SCHEME)
    for term, values in rate:
        assert values.shape == recoil.shape
        assert np.all(np.isfinite(values))
        if all(power == 2 for _, power in term):
            assert np.all(values >= 0), term
    dark = rate.evaluate({"millicharge_ee": 3.0, "charge_radius_ee": -40.0, "millicharge_emu": 2.0})
    assert np.all(dark >= -1e-12 * rate.terms[()])


def test_result_is_a_polynomial_and_zero_recoil_is_refused() -> None:
    assert isinstance(polynomial(1e-3, 20.0), CouplingPolynomial)
    with pytest.raises(ModelError, match="above 0"):
        polynomial(0.0, 20.0)


def test_scheme_without_tau_is_an_error_only_for_tau() -> None:
    older = couplings.scheme("set_B")
    assert polynomial(1e-3, 20.0, flavour="mu", scheme=older).terms[()][0] > 0
    with pytest.raises(ModelError, match="tau"):
        polynomial(1e-3, 20.0, flavour="tau", scheme=older)
