"""Spectra above their last tabulated point: how they go on, and the error of it."""

import numpy as np
import pytest

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux
from nuemstat.sources.end_point import MEASURED_END, beyond, continuation, spread
from nuemstat.sources.fission import (
    ISOTOPES,
    SPECTRA,
    SUMMATION,
    end_point_error,
    fission_spectra,
    spectrum_files,
    summation_flux,
    tabulated_spectra,
)
from nuemstat.sources.measured import MEASURED
from nuemstat.sources.reactor import ReactorSource

LAST = {
    "bestiole": 12.5,
    "mueller_ve": 8.0,
    "mueller_polynomial_ve": 8.0,
    "huber_ve": 8.0,
    "kopeikin2021": 8.0,
    "silaeva2020": 10.0,
    "estienne2019": 10.05,
    "kopeikin2012": 9.0,
    "daya_bay": 9.5,
    "daya_bay_prospect": 8.5,
}
CONTINUED = tuple(name for name in SPECTRA if name != "bestiole")
FUEL = {"U235": 0.56, "U238": 0.08, "Pu239": 0.30, "Pu241": 0.06}


def reactor(spectrum: str, **change: object) -> ReactorSource:
    settings = {"fission_fractions": FUEL, "normalisation": "per_fission", "captures_per_fission": 0.0}
    return ReactorSource(**{**settings, "spectrum": spectrum, **change})


@pytest.mark.parametrize("name", SPECTRA)
def test_every_spectrum_reaches_the_end_of_the_summation_spectra(name: str) -> None:
    spectra = fission_spectra(name)
    assert spectra.last_point == pytest.approx(LAST[name] * units.MeV)
    assert spectra.energies[-1] == pytest.approx(12.5 * units.MeV)
    assert any(path.name == "bestiole_2023.csv" for path in spectrum_files(name))


@pytest.mark.parametrize("name", CONTINUED)
def test_table_below_and_scaled_summation_spectrum_above(name: str) -> None:
    """Continuous at the join; above it the ratio to BESTIOLE is one number; nothing changes below."""
    table, spectra = tabulated_spectra(name), fission_spectra(name)
    size = table.energies.size
    np.testing.assert_array_equal(spectra.energies[:size], table.energies)
    for part, density in spectra.densities.items():
        np.testing.assert_array_equal(density[:size], table.densities[part])
        above = spectra.energies >= spectra.last_point
        shape = summation_flux("bestiole", part)
        ratio = density[above] / np.interp(spectra.energies[above], shape.energies, shape.density)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
        flux, last = Flux(spectra.energies, density), spectra.last_point
        assert flux(last + 1e-9) == pytest.approx(float(flux(last - 1e-9)), rel=1e-6)


@pytest.mark.parametrize("name", SPECTRA)
def test_positive_and_falling_up_to_the_end(name: str) -> None:
    spectra = fission_spectra(name)
    # Measured ones have steps at the edges of their bins.
    high = spectra.energies >= (8.0 if name in MEASURED else 7.0) * units.MeV
    for density in spectra.densities.values():
        assert density.min() >= 0
        assert density[high].min() > 0
        assert np.all(np.diff(density[high]) <= 0)


@pytest.mark.parametrize("name", [name for name in SPECTRA if name != "kopeikin2012"])
def test_order_of_the_isotopes_above_eight_mev(name: str) -> None:
    """238U gives most and 239Pu least; 235U and 241Pu change places between the tables."""
    spectra = fission_spectra(name)
    high = spectra.energies >= MEASURED_END
    at = {isotope: density[high] for isotope, density in spectra.densities.items()}
    assert np.all(at["U238"] > np.maximum(at["U235"], at["Pu241"]))
    assert np.all(at["Pu239"] < np.minimum(at["U235"], at["Pu241"]))


def test_antineutrinos_above_eight_mev_per_fission() -> None:
    """Some 1e-4 of all, in every spectrum; the part that a table at 8 MeV would lose."""
    shares = {}
    for name in SPECTRA:
        flux = reactor(name).per_fission()
        shares[name] = flux.above(MEASURED_END).total() / flux.total()
    assert 5e-5 < min(shares.values()) < max(shares.values()) < 3e-4


@pytest.mark.parametrize("isotope", ISOTOPES)
def test_one_sigma_encloses_the_summation_tables(isotope: str) -> None:
    """Every table, scaled to join at 8 MeV, lies within the error around the one that is used; one touches it."""
    energies = np.linspace(8.0, 10.0, 401) * units.MeV
    reference, *others = (summation_flux(name, isotope) for name in SUMMATION)
    sigma = end_point_error(isotope, energies)
    distances = []
    for other in others:
        at, base = (np.interp(energies, f.energies, f.density) for f in (other, reference))
        distances.append(np.abs(at / at[0] - base / base[0]) / (base / base[0]))
    for distance in distances:
        assert np.all(distance <= sigma + 1e-12)
    np.testing.assert_allclose(np.max(distances, axis=0), sigma, atol=1e-12)
    assert sigma[0] == 0
    assert 0.2 < sigma[-1] < 0.9


def test_the_error_vanishes_below_and_stays_above_the_tables() -> None:
    energies = np.array([2.0, 7.9, 8.0, 10.1, 11.0, 12.4]) * units.MeV
    sigma = end_point_error("U235", energies)
    np.testing.assert_array_equal(sigma[:3], 0.0)
    assert sigma[3] == sigma[4] == sigma[5] > 0


@pytest.mark.parametrize("name", SPECTRA)
def test_the_pull_moves_what_lies_above_eight_mev_and_keeps_it_positive(name: str) -> None:
    base, up, down = (reactor(name, pulls={"end_point": pull}).per_fission() for pull in (0.0, 1.0, -1.0))
    start = fission_spectra(name).measured_end
    low = base.energies <= start
    np.testing.assert_array_equal(up.density[low], base.density[low])
    np.testing.assert_allclose(up.density + down.density, 2 * base.density, rtol=1e-12)
    assert down.density.min() >= 0
    ratio = (up.above(start).total()) / base.above(start).total()
    assert 1.05 < ratio < 1.4
    files = {path.name for path in reactor(name, pulls={"end_point": 1.0}).data_files()}
    assert {"estienne_2019.csv", "silaeva_2020.csv"} <= files


def test_the_other_spectrum_is_complete_too() -> None:
    """pulls.alternative at 1 gives the other spectrum above 8 MeV as well, not its missing end."""
    moved = reactor("bestiole", alternative="mueller_ve", pulls={"alternative": 1.0}).per_fission()
    other = reactor("mueller_ve").per_fission()
    energies = np.linspace(8.1, 12.4, 50) * units.MeV
    np.testing.assert_allclose(moved(energies), other(energies), rtol=1e-9)
    assert np.all(other(energies) > 0)


def test_components_say_what_is_continued_and_what_is_beyond() -> None:
    (mueller,), (bestiole,) = (reactor(name).components() for name in ("mueller_ve", "bestiole"))
    flux = mueller.flux
    assert mueller.continued.total() == pytest.approx(float(flux.moments(8.0 * units.MeV).m0), rel=1e-12)
    assert not bestiole.continued.maximum
    for component in (mueller, bestiole):
        tail = component.beyond
        assert tail.energies[0] == component.flux.maximum
        assert tail.density[0] == pytest.approx(component.flux.density[-1])
        assert 0 < tail.total() < 1e-3 * component.flux.above(MEASURED_END).total()


# The pieces, on spectra whose answer is known.


def test_an_exponential_goes_on_as_it_fell() -> None:
    energies = np.linspace(1.0, 8.0, 141)
    tail = beyond(Flux(energies, np.exp(-energies / 0.5)))
    assert tail.total() == pytest.approx(0.5 * np.exp(-16), rel=0.01)
    np.testing.assert_allclose(tail(np.array([8.5, 9.0])), np.exp(-np.array([17.0, 18.0])), rtol=0.01)


@pytest.mark.parametrize("density", [[1.0, 0.5, 0.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
def test_nothing_is_beyond_a_physical_end_nor_where_no_fall_is_known(density: list[float]) -> None:
    assert beyond(Flux(np.array([1.0, 2.0, 3.0]), np.array(density))).maximum == 0


def test_a_flat_last_bin_does_not_hide_the_fall() -> None:
    tail = beyond(Flux(np.array([1.0, 2.0, 2.5]), np.array([np.e, 1.0, 1.0])))
    assert tail.energies[0] == 2.5
    assert tail.density[0] == 1.0
    assert tail(3.5) == pytest.approx(np.exp(-1), rel=0.01)


def test_continuation_of_a_spectrum_by_a_longer_one() -> None:
    nodes, density = continuation(
        np.array([0.0, 1.0]), np.array([4.0, 2.0]), Flux(np.array([0.0, 2.0, 3.0]), np.array([3.0, 1.0, 0.0]))
    )
    np.testing.assert_allclose(nodes, [2.0, 3.0])
    np.testing.assert_allclose(density, [1.0, 0.0])  # the shape is 2 at the join, as is the spectrum
    assert continuation(np.array([0.0, 4.0]), np.ones(2), Flux(np.array([0.0, 3.0]), np.ones(2)))[0].size == 0


def test_nothing_to_continue_with_is_said() -> None:
    shape = Flux(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0, 1.0]))
    with pytest.raises(ModelError, match=r"nothing to continue with at 1\.5 MeV"):
        continuation(np.array([0.0, 1.5]), np.ones(2), shape)


def test_spread_of_one_table_with_itself_is_nothing() -> None:
    energies = np.linspace(7.0, 12.0, 20)
    reference = Flux(np.linspace(1.0, 12.0, 50), np.exp(-np.linspace(1.0, 12.0, 50)))
    np.testing.assert_allclose(spread(energies, reference, [reference.scaled(3.0)]), 0.0, atol=1e-12)
