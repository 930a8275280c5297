"""Measured reactor spectra: they give the published yields back, move as their covariance says, and only there."""

from dataclasses import replace

import numpy as np
import pytest

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux
from nuemstat.physics.inverse_beta import inverse_beta_cross_section
from nuemstat.sources import measured
from nuemstat.sources.fission import ISOTOPES, fission_spectra
from nuemstat.sources.measured import FUEL, MEASURED, MODES, PULLS, in_bins, outside_fuel, unfolded
from nuemstat.sources.reactor import ReactorSource

PURE = {"U235": 1.0}
BURNT = {"U235": 0.53, "U238": 0.08, "Pu239": 0.32, "Pu241": 0.07}


def core(spectrum: str, fuel: dict[str, float] | None = None, **change: object) -> ReactorSource:
    settings = {"normalisation": "per_fission", "captures_per_fission": 0.0, "fission_fractions": fuel or dict(FUEL)}
    return ReactorSource(**{**settings, "spectrum": spectrum, **change})


def yields(flux: Flux, name: str) -> np.ndarray:
    return in_bins(unfolded(name), flux)


@pytest.mark.parametrize("name", MEASURED)
def test_the_covariance_is_symmetric_and_positive(name: str) -> None:
    covariance = unfolded(name).covariance
    np.testing.assert_allclose(covariance, covariance.T, rtol=1e-5)
    assert np.linalg.eigvalsh(covariance)[0] > 0


def test_the_mean_fuel_gives_the_published_total_back() -> None:
    data = unfolded("daya_bay")
    found = yields(core("daya_bay").per_fission(), "daya_bay")
    np.testing.assert_allclose(found, data.yields["total"], rtol=1e-9)
    widths = np.diff(data.edges)
    total = found @ widths
    assert total / 1e-43 == pytest.approx(5.847, abs=0.001)  # sum over the published bins
    error = data.covariance[50:, 50:]
    assert np.sqrt(widths @ error @ widths) / total == pytest.approx(0.0150, abs=2e-4)


def test_another_fuel_follows_the_published_formula() -> None:
    """S + (f235 - 0.564) S235 + (f239 - 0.304) S_combo, and 238U and 241Pu by 0.004 and 0.011."""
    data = unfolded("daya_bay")
    found = yields(core("daya_bay", BURNT).per_fission(), "daya_bay")
    spectra = {name: fission_spectra(name) for name in ("huber_ve", "mueller_ve")}
    pu241 = in_bins(data, Flux(spectra["huber_ve"].energies, spectra["huber_ve"].densities["Pu241"]))
    u238 = in_bins(data, Flux(spectra["mueller_ve"].energies, spectra["mueller_ve"].densities["U238"]))
    formula = data.yields["total"] + (0.53 - 0.564) * data.yields["U235"] + (0.32 - 0.304) * data.yields["PuCombo"]
    formula += (0.08 - 0.076) * u238 + (0.07 - 0.056 - 0.183 * (0.32 - 0.304)) * pu241
    np.testing.assert_allclose(found, formula, rtol=2e-3)  # 238U is Haag's between 3 and 7.5 MeV


def test_the_naive_sum_over_isotopes_is_too_high() -> None:
    """PuCombo holds 241Pu: adding it again gives 2 to 7 % too much."""
    data = unfolded("daya_bay")
    parts = fission_spectra("huber_ve"), fission_spectra("mueller_ve")
    pu241 = in_bins(data, Flux(parts[0].energies, parts[0].densities["Pu241"]))
    u238 = in_bins(data, Flux(parts[1].energies, parts[1].densities["U238"]))
    naive = FUEL["U235"] * data.yields["U235"] + FUEL["Pu239"] * data.yields["PuCombo"]
    naive = naive + FUEL["U238"] * u238 + FUEL["Pu241"] * pu241
    ratio = naive / data.yields["total"]
    assert 1.02 < naive @ np.diff(data.edges) / (data.yields["total"] @ np.diff(data.edges)) < 1.07
    assert np.all(ratio[2:20] > 1)


def test_mean_over_the_bin_against_the_value_at_its_centre() -> None:
    """Of the cross section, weighted with the spectrum: 0.96 in the first bin, 0.89 in the last, 1 between."""
    data, flux = unfolded("daya_bay"), core("bestiole").per_fission()
    counted = np.array([flux.above(low).total() - flux.above(high).total() for low, high in
                        zip(data.edges[:-1], data.edges[1:], strict=True)])  # fmt: skip
    mean = yields(flux, "daya_bay") * np.diff(data.edges) / counted
    ratio = mean / inverse_beta_cross_section((data.edges[1:] + data.edges[:-1]) / 2)
    assert ratio[0] == pytest.approx(0.963, abs=0.002)
    assert ratio[-1] == pytest.approx(0.886, abs=0.002)
    np.testing.assert_allclose(ratio[1:-1], 1.0, atol=0.005)


def test_below_huber_and_mueller_and_above_them_in_the_bump() -> None:
    data = unfolded("daya_bay")
    converted = {n: fission_spectra(n) for n in ("huber_ve", "mueller_ve")}
    density = sum(FUEL[i] * converted["huber_ve"].densities[i] for i in ISOTOPES)
    ratio = data.yields["total"] / in_bins(data, Flux(converted["huber_ve"].energies, density))
    sum_ratio = (data.yields["total"] @ np.diff(data.edges)) / (
        in_bins(data, Flux(converted["huber_ve"].energies, density)) @ np.diff(data.edges)
    )
    assert sum_ratio == pytest.approx(0.952, abs=0.008)  # published: 0.952 +- 0.014 (memory)
    assert 1.01 < ratio[14:18].max() < 1.08


@pytest.mark.parametrize("name", MEASURED)
def test_below_the_first_bin_it_is_the_summation_spectrum_and_not_scaled_to_meet(name: str) -> None:
    spectra, below = fission_spectra(name), fission_spectra("bestiole")
    assert spectra.seam == measured.START
    for isotope, density in spectra.densities.items():
        expected = np.interp(spectra.energies[spectra.low], below.energies, below.densities[isotope])
        np.testing.assert_allclose(density[spectra.low], expected, rtol=1e-12)


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("fuel", [dict(FUEL), BURNT, PURE])
def test_components_keep_the_variance_of_rates_that_detectors_see(name: str, fuel: dict[str, float]) -> None:
    """Nuclear recoils above thresholds that neutrinos of 2, 4 and 6 MeV reach, electrons above 1 and 3 MeV.

    At the mean fuel seven components keep 99.7 %; all fifteen keep 99 % for every fuel.
    """
    data, source = unfolded(name), core(name, fuel)
    nominal = source.per_fission()
    centres = (data.edges[1:] + data.edges[:-1]) / 2
    per_yield = 1 / inverse_beta_cross_section(centres)
    weights = data.weights(fuel)
    rates = [np.where(centres > k, (centres**2 - k**2) ** 2 / centres**2, 0.0) * per_yield for k in (2.0, 4.0, 6.0)]
    rates += [np.where(centres > k, centres - k, 0.0) * per_yield for k in (1.0, 3.0)]
    theory = measured_theory()
    modes = measured.components(name, theory)
    for rate in rates:
        seen = np.concatenate([weights[part] * rate for part in data.yields])
        exact, kept = seen @ data.covariance @ seen, (modes @ seen) ** 2
        assert kept.sum() <= exact * (1 + 1e-9)
        assert kept.sum() / exact > 0.99
        if fuel == dict(FUEL):
            assert kept[:7].sum() / exact > 0.997
    assert nominal.total() > 0


def measured_theory() -> measured.Theory:
    from nuemstat.sources.fission import theory_of_measured

    return theory_of_measured()


@pytest.mark.parametrize("name", MEASURED)
def test_a_component_moves_the_yields_by_what_it_says(name: str) -> None:
    data = unfolded(name)
    modes = data.as_parts(measured.components(name, measured_theory()))
    weights = data.weights(BURNT)
    base = yields(core(name, BURNT).per_fission(), name)
    for index in (0, 6, 12):
        moved = yields(core(name, BURNT, pulls={PULLS[index]: 1.0}).per_fission(), name)
        expected = sum(weights[part] * modes[part][index] for part in weights)
        np.testing.assert_allclose(moved - base, expected, rtol=1e-6, atol=1e-9 * base.max())


@pytest.mark.parametrize("name", MEASURED)
def test_components_leave_the_part_below_alone_and_go_on_above(name: str) -> None:
    base, moved = (core(name, pulls=p).per_fission() for p in ({}, {"measured_pc2": 1.0}))
    low, end = base.energies < measured.START, unfolded(name).edges[-1]
    np.testing.assert_array_equal(moved.density[low], base.density[low])
    above = base.energies >= end
    ratio = moved.density[above] / base.density[above]
    np.testing.assert_allclose(ratio, ratio[0], atol=0.02)


def test_the_alternative_acts_below_the_first_bin_only() -> None:
    settings = {"alternative": "mueller_ve", "pulls": {"alternative": 1.0}}
    base, moved = core("daya_bay").per_fission(), core("daya_bay", **settings).per_fission()
    at = np.array([2.0, 5.0, 9.0, 11.0]) * units.MeV
    np.testing.assert_allclose(moved(at), base(at), rtol=1e-12)
    low = np.array([0.3, 1.0, 1.7]) * units.MeV
    np.testing.assert_allclose(moved(low), core("mueller_ve").per_fission()(low), rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pulls": {"huber_z": 1.0}}, "'daya_bay' has its own covariance; huber pulls do not apply"),
        (
            {"spectrum": "bestiole", "pulls": {"measured_pc0": 1.0}},
            "'bestiole' has no measured covariance; daya_bay, daya_bay_prospect have one",
        ),
    ],
)
def test_pulls_of_another_spectrum_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        replace(core("daya_bay"), **change)


def test_fuel_beyond_what_the_spectra_cover_is_named() -> None:
    assert outside_fuel(FUEL) is None
    assert outside_fuel(PURE) == "100 % of the fissions in U235; the measured spectra cover 51.1 to 63.1 %"
    assert len(PULLS) == MODES
