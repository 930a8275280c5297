import math
from dataclasses import replace

import numpy as np
import pytest

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux
from nuemstat.sources.component import with_number
from nuemstat.sources.fission import SPECTRA, capture_flux, energy_per_fission, fission_spectra
from nuemstat.sources.measured import MEASURED
from nuemstat.sources.reactor import ReactorSource

FRACTIONS = {"U235": 0.58, "U238": 0.08, "Pu239": 0.29, "Pu241": 0.05}
DRESDEN = ReactorSource(
    thermal_power=2.96e9 * units.joule / units.s, distance=10.39 * units.m, fission_fractions=FRACTIONS
)
LEIBSTADT = ReactorSource(
    thermal_power=3.6e9 * units.joule / units.s,
    distance=20.7 * units.m,
    fission_fractions={"U235": 0.53, "U238": 0.08, "Pu239": 0.32, "Pu241": 0.07},
)
PER_AREA_TIME = units.cm**2 * units.s
SPLIT = tuple(name for name in SPECTRA if name != "kopeikin2012")


def source(spectrum: str, **change: object) -> ReactorSource:
    captures = 0.0 if spectrum == "kopeikin2012" else 0.6
    return replace(DRESDEN, **{"spectrum": spectrum, "captures_per_fission": captures, **change})


def above(flux: Flux, energy: float) -> float:
    return float(flux.moments(energy * units.MeV).m0)


@pytest.mark.parametrize(
    ("spectrum", "total", "above_two"),
    [("mueller_ve", 5.63, 1.60), ("bestiole", 6.01, 1.54)],  # published integrals per fission
)
def test_integrals_per_fission(spectrum: str, total: float, above_two: float) -> None:
    flux = source(spectrum, captures_per_fission=0.0).per_fission()
    assert flux.total() == pytest.approx(total, abs=0.006)
    assert above(flux, 2.0) == pytest.approx(above_two, abs=0.006)


def test_total_of_kopeikin_2012() -> None:
    assert source("kopeikin2012").per_fission().total() == pytest.approx(6.67, abs=0.005)  # its table 3


def test_capture_adds_two_antineutrinos_per_capture() -> None:
    assert capture_flux().total() == pytest.approx(2.0, abs=1e-6)
    assert capture_flux().maximum < 1.4 * units.MeV  # 239U ends at 1.26 MeV
    without = replace(DRESDEN, captures_per_fission=0.0).per_fission()
    assert DRESDEN.per_fission().total() - without.total() == pytest.approx(1.2, abs=1e-6)
    assert above(DRESDEN.per_fission(), 2.0) == pytest.approx(above(without, 2.0), rel=1e-13)


def test_quoted_fluxes() -> None:
    """Dresden-II 4.8e13 (arXiv:2202.09672) and CONUS+ 1.5e13 per cm^2 and s, quoted with two digits."""
    assert DRESDEN.components()[0].flux.total() * PER_AREA_TIME == pytest.approx(4.8e13, abs=0.05e13)
    assert LEIBSTADT.components()[0].flux.total() * PER_AREA_TIME == pytest.approx(1.5e13, abs=0.05e13)


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_all_spectra_are_positive_and_similar(spectrum: str) -> None:
    flux = source(spectrum).per_fission()
    assert flux.density.min() >= 0
    assert flux.energies.size < 800
    assert flux.total() == pytest.approx(6.9, rel=0.05)
    # Measured ones lie 5 % below the models (arXiv:2102.04614).
    assert above(flux, 2.0) == pytest.approx(1.575 * (0.95 if spectrum in MEASURED else 1.0), rel=0.03)


@pytest.mark.parametrize("spectrum", ["mueller_ve", "huber_ve", "kopeikin2021", "silaeva2020"])
def test_table_nodes_are_kept(spectrum: str) -> None:
    spectra = fission_spectra(spectrum)
    # U235 at 3 MeV and Vogel-Engel at 0.5 MeV, as printed in the papers
    node = {"mueller_ve": 0.651, "huber_ve": 0.650506, "kopeikin2021": 0.618, "silaeva2020": 0.6097}[spectrum]
    flux = Flux(spectra.energies, spectra.densities["U235"])
    assert flux(3.0 * units.MeV) == pytest.approx(node / units.MeV, rel=1e-12)
    assert flux(0.5 * units.MeV) == pytest.approx(2.66 / units.MeV, rel=1e-12)


def test_step_where_two_tables_meet() -> None:
    spectra = fission_spectra("mueller_ve")
    at_two = spectra.densities["U235"][spectra.energies == 2.0 * units.MeV]
    np.testing.assert_allclose(at_two, np.array([1.26, 1.31]) / units.MeV)  # Vogel-Engel below, Mueller above
    assert np.all(spectra.energies[spectra.low] <= 2 * units.MeV)
    assert np.all(spectra.energies[~spectra.low] >= 2 * units.MeV)


def test_interpolation_between_nodes_is_good_to_half_a_percent() -> None:
    """Against Mueller's polynomial for 235U (its table VI), sampled every 250 keV as the tables are."""
    spectra = fission_spectra("mueller_polynomial_ve")
    energies = np.linspace(2.01, 7.99, 1000)
    exact = np.exp(np.polyval([-0.002053, 0.04445, -0.369, 1.395, -3.111, 3.217], energies))
    found = Flux(spectra.energies, spectra.densities["U235"])(energies * units.MeV) * units.MeV
    np.testing.assert_allclose(found, exact, rtol=5e-3)
    assert np.trapezoid(found, energies) == pytest.approx(np.trapezoid(exact, energies), rel=1e-3)


def test_bin_centred_tables_keep_the_sum_over_bins() -> None:
    spectra = fission_spectra("estienne2019")
    flux = Flux(spectra.energies, spectra.densities["Pu239"])
    centres = (np.arange(101) + 0.5) * 0.1 * units.MeV
    # The continuation begins at the last centre, in the middle of its bin.
    bins = 0.1 * units.MeV * (flux(centres).sum() - flux(centres[-1]) / 2)
    assert flux.total() - flux.above(centres[-1]).total() == pytest.approx(bins, rel=1e-12)


def test_fission_rate_and_inverse_square() -> None:
    mean = 0.58 * 201.92 + 0.08 * 205.52 + 0.29 * 209.99 + 0.05 * 213.6  # hep-ph/0410100, table 4
    assert DRESDEN.fission_rate() * units.s == pytest.approx(2.96e9 / (mean * 1.602176634e-13), rel=1e-12)
    flux, far = (s.components()[0].flux.total() for s in (DRESDEN, replace(DRESDEN, distance=20.78 * units.m)))
    assert flux == pytest.approx(4 * far, rel=1e-12)
    rate = flux * 4 * math.pi * DRESDEN.distance**2
    assert rate == pytest.approx(DRESDEN.fission_rate() * DRESDEN.per_fission().total(), rel=1e-12)


def test_energies_per_fission_by_name() -> None:
    assert energy_per_fission("ma2013")["Pu241"] == pytest.approx((214.26 * units.MeV, 0.33 * units.MeV))
    changed = replace(DRESDEN, energy_per_fission="james1969").fission_rate() / DRESDEN.fission_rate()
    assert changed == pytest.approx(1.001, abs=1e-3)
    assert changed != 1


def test_flux_normalisation() -> None:
    total = 4.8e13 / PER_AREA_TIME
    paper = ReactorSource(
        fission_fractions=FRACTIONS,
        spectrum="mueller_ve",
        captures_per_fission=0.0,
        normalisation="flux",
        total_flux=total,
    )
    assert paper.components()[0].flux.total() == pytest.approx(total, rel=1e-12)
    by_fissions = source("mueller_ve").components()[0].flux
    # the trap: 20 to 28 percent more neutrinos where CEvNS sees them
    assert 1.20 < above(paper.components()[0].flux, 2.0) / above(by_fissions, 2.0) < 1.30
    # pulls act after the normalisation
    moved = with_number(paper, "pulls.low_energy", 0.1).components()[0].flux
    assert above(moved, 2.0) == pytest.approx(above(paper.components()[0].flux, 2.0), rel=1e-12)
    assert moved.total() > total


def test_fractions_are_rescaled_to_one() -> None:
    doubled = {isotope: 1.02 * share for isotope, share in FRACTIONS.items()}
    moved = replace(DRESDEN, fission_fractions=doubled)
    assert moved.components()[0].flux.total() == pytest.approx(DRESDEN.components()[0].flux.total(), rel=1e-12)


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_low_energy_pull_acts_below_the_seam_only(spectrum: str) -> None:
    base = source(spectrum, captures_per_fission=0.0).per_fission()
    moved = source(spectrum, captures_per_fission=0.0, pulls={"low_energy": 0.1}).per_fission()
    seam = fission_spectra(spectrum).seam / units.MeV
    assert above(moved, seam) == pytest.approx(above(base, seam), rel=1e-9)
    below = base.total() - above(base, seam)
    assert moved.total() - base.total() == pytest.approx(0.1 * below, rel=1e-9)


def test_capture_pull() -> None:
    moved = with_number(DRESDEN, "pulls.capture", -0.5).per_fission().total()
    assert DRESDEN.per_fission().total() - moved == pytest.approx(0.6, abs=1e-6)


def test_tilt_turns_about_four_mev() -> None:
    base, moved = (replace(DRESDEN, pulls=p, captures_per_fission=0.0).per_fission() for p in ({}, {"tilt": 0.02}))
    ratio = moved(np.array([3.0, 4.0, 7.0]) * units.MeV) / base(np.array([3.0, 4.0, 7.0]) * units.MeV)
    np.testing.assert_allclose(ratio, [0.98, 1.0, 1.06], atol=1e-3)


def test_alternative_is_reached_at_one() -> None:
    moved = replace(DRESDEN, alternative="huber_ve", pulls={"alternative": 1.0}).per_fission()
    energies = np.linspace(0.02, 7.9, 300) * units.MeV
    np.testing.assert_allclose(moved(energies), source("huber_ve").per_fission()(energies), rtol=1e-9)


def test_fission_energy_pull_moves_the_rate() -> None:
    moved = with_number(DRESDEN, "pulls.fission_energy", 1.0).fission_rate() / DRESDEN.fission_rate()
    assert moved == pytest.approx(1 - 0.0027, abs=2e-4)


@pytest.mark.parametrize("pull", ["huber_z", "huber_wm", "huber_norm", "huber_pc0", "huber_pc3"])
def test_huber_pulls_are_linear_and_leave_low_energies(pull: str) -> None:
    base, plus, minus = (
        replace(DRESDEN, spectrum="huber_ve", pulls={pull: value}).per_fission() for value in (0.0, 1.0, -1.0)
    )
    np.testing.assert_allclose(plus.density + minus.density, 2 * base.density, rtol=1e-13)
    low = base.energies < 2 * units.MeV
    np.testing.assert_array_equal(plus.density[low], base.density[low])
    assert above(plus, 2.0) != above(base, 2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spectrum": "schreckenbach"}, "bestiole, mueller_ve"),
        ({"spectrum": "kopeikin2012"}, "only 0 is allowed"),
        ({"energy_per_fission": "kopeikin2012"}, "james1969, kopeikin2004, ma2013"),
        ({"fission_fractions": {"U235": 0.5}}, "sum is 0.5"),
        ({"fission_fractions": {"U236": 1.0}}, "found 'U236'"),
        ({"pulls": {"colour": 1.0}}, "found 'colour'"),
        ({"distance": 0.0}, "thermal_power and distance"),
        ({"normalisation": "flux"}, "total_flux above 0"),
        ({"normalisation": "power"}, "allowed are fissions, flux"),
        ({"pulls": {"alternative": 1.0}}, "name the alternative"),
        ({"alternative": "kopeikin2012"}, "differ in the capture"),
        ({"spectrum": "kopeikin2012", "captures_per_fission": 0.0, "pulls": {"huber_z": 1.0}}, "not split by isotope"),
    ],
)
def test_bad_inputs_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        replace(DRESDEN, **change)


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_data_files_and_determinism(spectrum: str) -> None:
    reactor = source(spectrum)
    assert all(path.is_file() for path in reactor.data_files())
    a, b = reactor.components()[0], reactor.components()[0]
    np.testing.assert_array_equal(a.flux.density, b.flux.density)
    assert (a.name, a.flavour, a.antineutrino, a.per_time) == ("reactor", "e", True, True)


def test_order_of_the_isotopes_at_high_energy() -> None:
    """At 6 MeV the order of the isotopes is 238U, 235U, 241Pu, 239Pu in every spectrum that is split."""
    for spectrum in SPLIT:
        spectra = fission_spectra(spectrum)
        at_six = {name: Flux(spectra.energies, d)(6.0 * units.MeV) for name, d in spectra.densities.items()}
        assert at_six["U238"] > at_six["U235"] > at_six["Pu241"] > at_six["Pu239"]


def test_neutral_pulls_are_no_pulls() -> None:
    neutral = source("kopeikin2012", pulls={"huber_z": 0.0, "low_energy": 0.0, "alternative": 0.0})
    np.testing.assert_array_equal(neutral.per_fission().density, source("kopeikin2012").per_fission().density)
