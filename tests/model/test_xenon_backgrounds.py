"""Xenon backgrounds from published tables: LZ WS2024 by components, XENONnT SR1b, released priors of XENONnT 8B."""

from functools import cache

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr

from nuemstat import units
from nuemstat.membership import listed
from nuemstat.model.backgrounds import beta_spectrum
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version
from nuemstat.model.loader import load_model
from nuemstat.model.templates import Bench
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.polynomial import FloatArray
from nuemstat.resources import models_folder
from nuemstat.stats.minimise import fit
from nuemstat.tables import read_table
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.document import Workspace

STANDARD = {name: default_value(name, scheme("set_A")) for name in COUPLINGS}
ENERGY = np.linspace(0.02, 40, 4000)
"""True energies [keV] of the integrals below."""


@cache
def workspace(spec: str) -> Workspace:
    return compile_model(load_model(spec))


def expected(spec: str) -> dict[tuple[str, str], FloatArray]:
    model = load_model(spec)
    found = Version(model.raw, model.path, Bench(model.files)).templates
    return {key: poly.evaluate(STANDARD) for key, poly in found.items()}


def moved_by(made: Workspace, parameter: str) -> set[tuple[str, str]]:
    """Channel and process of every sample with a modifier of a parameter."""
    return {
        (channel.name, sample.process)
        for channel in made.channels
        for sample in channel.samples
        if any(modifier.parameter == parameter for modifier in sample.modifiers)
    }


def curve(model: str, name: str) -> FloatArray:
    """An efficiency at the energies above; its last number beyond its end."""
    rows = read_table(models_folder() / model / name)
    energy, values = rows.numbers("energy") / units.keV, rows.numbers("efficiency")
    return np.asarray(PchipInterpolator(energy, values)(np.clip(ENERGY, energy[0], energy[-1])))


def spectrum(process: str) -> FloatArray:
    """True spectra up to a factor; of double beta decays the sum of both electrons far below Q (Primakoff-Rosen)."""
    if process in ("tritium", "c14"):
        endpoint, charge = {"tritium": (18.59, 2), "c14": (156.48, 7)}[process]
        return beta_spectrum(ENERGY * units.keV, endpoint * units.keV, charge)
    if process == "xe136":
        t = ENERGY / 511.0
        return np.asarray(ENERGY * (2457.8 - ENERGY) ** 5 * (1 + 2 * t + 4 / 3 * t**2 + t**3 / 3 + t**4 / 30))
    return np.ones_like(ENERGY)


TABLE_I = {  # arXiv:2410.17036, expected: counts and error in the region S1c < 80 phd
    "pb214": (743.0, 88.0),
    "kr85": (162.0, 22.0),
    "pb212": (62.7, 7.5),
    "tritium": (58.3 * 8 / 9, 3.3 * 8 / 9),
    "c14": (58.3 / 9, 3.3 / 9),
    "xe136": (55.6, 8.3),
}


@pytest.mark.parametrize("process", TABLE_I)
def test_counts_of_the_other_region_are_those_of_table_1(process: str) -> None:
    """What the model states, brought back by an integral of its own over both published efficiencies."""
    shape = np.nan_to_num(spectrum(process))
    width = 0.323 * np.sqrt(ENERGY)
    bins = ndtr((20 - ENERGY) / width) - ndtr((1 - ENERGY) / width)
    ours = np.sum(shape * curve("lz_er2025", "efficiency_ws2024.csv") * bins)
    theirs = np.sum((shape * curve("lz_er2025", "efficiency_ws2024_region.csv"))[ENERGY < 20])
    row = load_model("lz_er2025").document.backgrounds[process].counts
    assert row is not None
    assert row.number * theirs / ours == pytest.approx(TABLE_I[process][0], rel=2e-3)


def test_the_errors_are_those_of_table_1() -> None:
    rows = load_model("lz_er2025").document.nuisances
    for process, (counts, error) in TABLE_I.items():
        name = "tritium" if process == "c14" else process
        found = float(rows[f"{name}_norm"].sigma) / float(rows[f"{name}_norm"].centre)
        assert found == pytest.approx(error / counts, rel=1e-9)
    assert rows["tritium_norm"].processes == ("tritium", "c14")


def test_solar_neutrinos_of_ws2024_are_those_of_table_1() -> None:
    """102 +- 6, in its region: our bins times what the two efficiencies have of one another at their centres."""
    counts = expected("lz_er2025")["lz_ws2024", "electron"]
    whole, region = (curve("lz_er2025", f"efficiency_ws2024{end}.csv") for end in ("", "_region"))
    centres = np.arange(1.5, 20)
    share = np.interp(centres, ENERGY, region) / np.interp(centres, ENERGY, whole)
    assert float(counts @ share) == pytest.approx(102, abs=6)


def test_one_common_factor_is_free_and_near_one() -> None:
    """The rule for the components: else the sum that the collaboration fitted returns."""
    made = workspace("lz_er2025:fea,statistical")
    kinds = {p.name: p.kind for p in made.parameters}
    assert kinds["lz_er2025__ws2024_rate"] == "free"
    channel = next(c for c in made.channels if c.name == "lz_ws2024")
    assert moved_by(made, "lz_er2025__ws2024_rate") == {
        ("lz_ws2024", s.process) for s in channel.samples if s.process != "electron"
    }
    assert fit(made).nuisances["lz_er2025__ws2024_rate"].value == pytest.approx(1, abs=0.1)


def test_the_fitted_sum_has_no_components() -> None:
    made = workspace("lz_er2025:fitted_sum,fea,statistical")
    assert not {"lz_er2025__ws2024_rate", "lz_er2025__pb214_norm"} & {p.name for p in made.parameters}
    assert ("lz_ws2024", "rest_ws2024") in moved_by(made, "lz_er2025__norm_ws2024")


# XENONnT SR1b.


def test_both_readings_of_the_gain_are_columns() -> None:
    rows = read_table(models_folder() / "xenonnt_sr1b" / "counts.csv")
    assert [int(rows.numbers(name).sum()) for name in ("observed", "observed_tuned")] == [199, 195]
    for spec, column in (
        ("xenonnt_sr1b:fea,statistical", "observed"),
        ("xenonnt_sr1b:fea,statistical,tuned_gain", "observed_tuned"),
    ):
        np.testing.assert_array_equal(workspace(spec).channels[0].observed, rows.numbers(column))


@pytest.mark.parametrize(
    ("spec", "end", "spread"), [("xenonnt_sr1b", 13.47, 0.62), ("xenonnt_sr1b:tuned_gain", 13.71, 0.67)]
)
def test_counts_of_the_whole_region_are_those_of_its_table(spec: str, end: float, spread: float) -> None:
    """Region cS1 < 100 PE: it ends where the 42 events above 80 PE, brought to 100 PE, lie in energy [keV]."""
    rows = read_table(models_folder() / "xenonnt_sr1b" / "efficiency.csv")
    seen = np.linspace(0.05, 29.95, 1000)
    efficiency = np.interp(seen, rows.numbers("energy") / units.keV, rows.numbers("efficiency"), left=0.0)
    width = 0.310 * np.sqrt(ENERGY) + 0.0037 * ENERGY
    kernel = np.exp(-0.5 * ((seen[:, None] - ENERGY) / width) ** 2) / width
    bins, region = (seen > 1) & (seen < 11), ndtr((end - seen) / spread)
    for process, counts in (("flat", 151.0), ("tritium", 101.0)):
        density = efficiency * (kernel @ np.nan_to_num(spectrum(process)))
        share = density[bins].sum() / (density * region).sum()
        row = load_model(spec).document.backgrounds[process].counts
        assert row is not None
        assert row.number == pytest.approx(counts * share, rel=2e-3)


def test_the_flat_rate_holds_the_solar_neutrinos_once() -> None:
    found = expected("xenonnt_sr1b:fea")
    both = found["xenonnt_sr1b", "flat"] + found["xenonnt_sr1b", "electron"]
    assert both.sum() == pytest.approx(119.0, rel=1e-9)


def test_edge_and_plateau_of_an_assumed_efficiency() -> None:
    rows = load_model("xenonnt_sr1b").document.nuisances
    assert (rows["efficiency_edge"].sigma, rows["efficiency_plateau"].sigma) == ("0.1 keV", 0.05)
    made = workspace("xenonnt_sr1b:fea")
    of = {kind: {p for _, p in moved_by(made, f"xenonnt_sr1b__efficiency_{kind}")} for kind in ("edge", "plateau")}
    assert of == {"edge": {"electron", "flat", "tritium"}, "plateau": {"electron"}}
    own, sr0 = (
        read_table(models_folder() / name / "efficiency.csv").numbers("efficiency")
        for name in ("xenonnt_sr1b", "xenonnt_sr0")
    )
    np.testing.assert_array_equal(own, sr0[: len(own)])


def test_it_stands_beside_the_world_fit() -> None:
    place = listed()["xenonnt_sr1b"]
    assert (place.default, place.reason) == (False, "assumed efficiency")


# Priors of XENONnT 8B.


def test_the_released_priors() -> None:
    rows = load_model("xenonnt_b8").document.nuisances
    names = ("accidental_norm_sr0", "accidental_norm_sr1", "electronic_norm", "neutron_norm", "signal_efficiency")
    assert [rows[name].sigma for name in names] == [0.0904, 0.0576, 1, 0.58, 0.25]
    assert {rows[name].status for name in names} == {"release"}
    assert rows["accidental_norm_sr2"].sigma == rows["accidental_norm_sr1"].sigma
    assert rows["accidental_norm_sr2"].status == "chosen"


def test_one_efficiency_of_all_runs_moves_cevns_alone() -> None:
    made = workspace("xenonnt_b8")
    found = moved_by(made, "xenonnt_b8__signal_efficiency")
    assert found == {(f"xenonnt_b8_sr{run}", "cevns") for run in range(3)}
    without = workspace("xenonnt_b8:yields_alone")
    assert {p.name for p in made.parameters} - {p.name for p in without.parameters} == {"xenonnt_b8__signal_efficiency"}


# The reading of the figure behind PandaX-4T run 0, on run 1, whose counts another figure has.


def test_the_list_of_run_1_against_the_counts_of_its_other_analysis() -> None:
    folder = models_folder() / "pandax4t_run1"
    read, counts = (read_table(folder / name).numbers("observed") for name in ("counts_2025.csv", "counts.csv"))
    assert read.sum() == 1373
    inside = slice(1, 24)  # the first bin is empty in the one analysis, the region of the other ends above
    assert read[inside].sum() / counts[inside].sum() == pytest.approx(1, abs=0.03)
    assert np.max(np.abs(read - counts)[inside] / np.sqrt(counts[inside])) < 1.5
