import numpy as np
import pytest

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.resources import data_file
from nuemstat.sources.timing import PION_LIFETIME, PlateauDecay, TimeProfile
from nuemstat.tables import read_table

EDGES = np.array([0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 2, 4, 6]) * units.us
EFFICIENCY = (0.52 * units.us, 0.0494 / units.us)  # arXiv:2110.07730, supplement

# The flux histograms released with arXiv:2110.07730, integrated over the bins of the analysis, onset 0:
# prompt, delayed, prompt with the time efficiency, delayed with it.
RELEASED = np.array(
    [
        [0.00140202, 1.29769e-05, 0.00140202, 1.29769e-05],
        [0.0396795, 0.000819755, 0.0396795, 0.000819755],
        [0.16573, 0.00615155, 0.16573, 0.00615155],
        [0.299372, 0.0191328, 0.299372, 0.0191328],
        [0.29436, 0.0353408, 0.293766, 0.0352568],
        [0.153028, 0.0459821, 0.151846, 0.0456002],
        [0.0405773, 0.0483525, 0.0400303, 0.0476592],
        [0.00411746, 0.0466258, 0.00403842, 0.0456753],
        [0.000816362, 0.291726, 0.000783162, 0.278486],
        [0.000655033, 0.302442, 0.000584032, 0.26966],
        [0.000263579, 0.121699, 0.0002129, 0.0982997],
    ]
).T


def released(column: str) -> TimeProfile:
    table = read_table(data_file("pion_decay/csi_arrival_2021.csv"))
    lifetime = units.MUON_LIFETIME if column == "delayed" else None
    return TimeProfile.from_bins(
        table.numbers("start", units.TIME),
        table.numbers("stop", units.TIME),
        table.numbers(column),
        tail_lifetime=lifetime,
    )


PROFILES = {
    "table_prompt": released("prompt"),
    "table_delayed": released("delayed"),
    "pulse_prompt": TimeProfile.from_pulse(0.44 * units.us, 0.15 * units.us, delayed=False),
    "pulse_delayed": TimeProfile.from_pulse(0.44 * units.us, 0.15 * units.us, delayed=True),
}
profiles = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


@pytest.mark.parametrize(("column", "row"), [("prompt", 0), ("delayed", 1)])
def test_release_in_the_analysis_bins(column: str, row: int) -> None:
    profile = PROFILES[f"table_{column}"]
    np.testing.assert_allclose(profile.fractions(EDGES), RELEASED[row], atol=3e-6)
    np.testing.assert_allclose(profile.fractions(EDGES, efficiency=EFFICIENCY), RELEASED[row + 2], atol=3e-6)


def test_seen_fractions_of_the_release() -> None:
    # 0.9974 and 0.8468 between 0 and 6 us, re-analyses of arXiv:2110.07730
    assert PROFILES["table_prompt"].fractions(EDGES, efficiency=EFFICIENCY).sum() == pytest.approx(0.9974, abs=5e-5)
    assert PROFILES["table_delayed"].fractions(EDGES, efficiency=EFFICIENCY).sum() == pytest.approx(0.8468, abs=5e-5)


@profiles
def test_all_arrivals_are_counted_once(profile: TimeProfile) -> None:
    edges = np.array([-5, 0.1, 0.5, 0.83, 3.7, 70.0]) * units.us
    for shift in (-0.25, 0.0, 0.1234):
        assert profile.fractions(edges, onset_shift=shift * units.us).sum() == pytest.approx(1.0, abs=2e-7)


@profiles
def test_shift_moves_the_edges(profile: TimeProfile) -> None:
    shift = 0.0837 * units.us
    np.testing.assert_allclose(
        profile.fractions(EDGES, onset_shift=shift), profile.fractions(EDGES - shift), rtol=1e-12, atol=1e-15
    )


@profiles
def test_efficiency_of_one_changes_nothing(profile: TimeProfile) -> None:
    def everything(time: np.ndarray) -> np.ndarray:
        return np.ones_like(time)

    np.testing.assert_allclose(
        profile.fractions(EDGES, onset_shift=3e-8 * units.s, efficiency=everything),
        profile.fractions(EDGES, onset_shift=3e-8 * units.s),
        rtol=1e-11,
        atol=1e-14,
    )


def test_efficiency_stays_with_the_detector() -> None:
    """Prompt arrivals moved beyond the plateau are seen less, by the efficiency at their new time."""
    profile, shift = PROFILES["pulse_prompt"], 3 * units.us
    edges = np.array([0, 8.0]) * units.us
    decay = EFFICIENCY[1]
    middle = 0.44 * units.us + PION_LIFETIME + shift
    # exp(-rate t) averaged over a Gauss and an exponential
    expected = np.exp(-decay * (middle - PION_LIFETIME - EFFICIENCY[0]) + (decay * 0.15 * units.us) ** 2 / 2)
    expected /= 1 + decay * PION_LIFETIME
    found = profile.fractions(edges, onset_shift=shift, efficiency=EFFICIENCY)
    assert found[0] == pytest.approx(expected, rel=1e-7)


@profiles
def test_bins_are_smooth_in_the_shift(profile: TimeProfile) -> None:
    """The slope in the shift is continuous: no jump between neighbouring steps of 1 ns across the 10 ns knots."""
    shifts = np.arange(-20, 21) * units.ns
    contents = np.array([profile.fractions(EDGES, onset_shift=s, efficiency=EFFICIENCY) for s in shifts])
    slopes = np.diff(contents, axis=0)
    assert np.abs(np.diff(slopes, axis=0)).max() < 0.05 * np.abs(slopes).max()


def test_pulse_prompt_has_the_moments_of_its_parts() -> None:
    profile = PROFILES["pulse_prompt"]
    edges = np.linspace(-1, 3, 4001) * units.us
    content, centre = profile.fractions(edges), (edges[1:] + edges[:-1]) / 2
    mean = content @ centre
    assert mean == pytest.approx(0.44 * units.us + PION_LIFETIME, rel=1e-6)
    variance = (0.15 * units.us) ** 2 + PION_LIFETIME**2
    assert content @ (centre - mean) ** 2 == pytest.approx(variance, rel=1e-4)


def test_pulse_delayed_is_the_prompt_one_decayed() -> None:
    edges = np.arange(-0.2, 9, 0.05) * units.us
    again = PROFILES["pulse_prompt"].decayed()
    np.testing.assert_allclose(again.fractions(edges), PROFILES["pulse_delayed"].fractions(edges), atol=1e-6)


def test_decayed_box_is_the_closed_form() -> None:
    box = TimeProfile.from_bins(np.array([0.0]), np.array([units.us]), np.array([1.0])).decayed(2 * units.us)
    edges = np.array([0, 1.0]) * units.us
    assert box.fractions(edges)[0] == pytest.approx(1 - 2 * (1 - np.exp(-0.5)), rel=1e-12)
    assert box.cumulative[-1] == pytest.approx(1.0, abs=1e-8)


def test_delayed_table_is_the_decayed_prompt_peak() -> None:
    """The shipped delayed column leaves out the flat prompt tail behind 1.06 us, and nothing else above 1e-4."""
    table = read_table(data_file("pion_decay/csi_arrival_2021.csv"))
    peak = table.numbers("stop") < 1.065 * units.us
    prompt = table.numbers("prompt")[peak]
    profile = TimeProfile.from_bins(table.numbers("start")[peak], table.numbers("stop")[peak], prompt / prompt.sum())
    np.testing.assert_allclose(profile.decayed().fractions(EDGES), RELEASED[1], rtol=0, atol=1e-4)


def test_plateau_decay() -> None:
    efficiency = PlateauDecay(*EFFICIENCY)
    np.testing.assert_allclose(efficiency(np.array([0.1, 0.52, 1.52]) * units.us), [1, 1, np.exp(-0.0494)])


def test_bad_tables_are_refused() -> None:
    start, stop = np.array([0.0, 2.0]), np.array([1.0, 3.0])
    with pytest.raises(ModelError, match="gaps"):
        TimeProfile.from_bins(start, stop, np.array([0.5, 0.5]))
    with pytest.raises(ModelError, match="negative probability"):
        TimeProfile.from_bins(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([0.5, -0.5]))
    with pytest.raises(ModelError, match=r"sums to 1\.5"):
        TimeProfile.from_bins(np.array([0.0]), np.array([1.0]), np.array([1.5]), tail_lifetime=1.0)
    with pytest.raises(ModelError, match="must increase"):
        TimeProfile(np.array([0.0, 0.0]), np.array([0.0, 1.0]))
