"""Efficiencies of the xenon detectors: what their edges and plateaus move, how runs of one detector are correlated."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nuemstat import units
from nuemstat.errors import ModelError, WorkspaceError
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version
from nuemstat.model.loader import load_model
from nuemstat.model.templates import Bench
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.resources import models_folder
from nuemstat.tables import read_table
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.combine import combine, sharing
from nuemstat.workspace.document import Workspace

STANDARD = {name: default_value(name, scheme("set_A")) for name in COUPLINGS}


@cache
def workspace(spec: str) -> Workspace:
    return compile_model(load_model(spec))


def moved_by(made: Workspace, parameter: str) -> set[str]:
    """Processes with a modifier of a parameter."""
    samples = [sample for channel in made.channels for sample in channel.samples]
    return {sample.process for sample in samples if any(m.parameter == parameter for m in sample.modifiers)}


def correlation(made: Workspace, one: str, other: str) -> float:
    """Of two sums of independent parameters of unit width."""
    terms = {p.name: p.terms for p in made.parameters if p.kind == "derived"}
    assert sum(w * w for w in terms[one].values()) == pytest.approx(1, abs=1e-8)
    return sum(weight * terms[other].get(name, 0.0) for name, weight in terms[one].items())


def test_two_runs_of_one_detector_are_correlated_as_stated() -> None:
    joint = combine([workspace("pandax4t_run0"), workspace("pandax4t_run1")])
    shared = {row.name for row in sharing([workspace("pandax4t_run0"), workspace("pandax4t_run1")])}
    for kind in ("edge", "plateau"):
        found = correlation(joint, f"pandax4t_run0__efficiency_{kind}", f"pandax4t_run1__efficiency_{kind}")
        assert found == pytest.approx(0.7, abs=1e-8)
        assert f"pandax4t_efficiency_{kind}" in shared


def test_two_rows_of_one_model_are_correlated_as_stated() -> None:
    made = workspace("lz_er2025")
    edges = [f"lz_er2025__efficiency_edge_ws{year}" for year in (2022, 2024)]
    assert correlation(made, *edges) == pytest.approx(0.7, abs=1e-8)
    assert [p.name for p in made.parameters].count("lz_efficiency_edge") == 1


def test_correlated_rows_may_differ_in_width() -> None:
    """The common part is in standard deviations of each: a shift of 1 moves the curves by 0.1 and 0.17 keV."""
    rows = [load_model(name).document.nuisances["efficiency_edge"] for name in ("pandax4t_run0", "pandax4t_run1")]
    assert [row.sigma for row in rows] == ["0.1 keV", "0.17 keV"]
    (common,) = (p for p in workspace("pandax4t_run1").parameters if p.name == "pandax4t_efficiency_edge")
    assert common in workspace("pandax4t_run0").parameters


def test_what_is_shared_needs_a_correlation(tmp_path: Path) -> None:
    text = (models_folder() / "pandax4t_run1" / "model.yaml").read_text()
    (tmp_path / "model.yaml").write_text(text.replace("scope: global, correlation: 0.7, ", "", 1))
    with pytest.raises(ModelError, match="shared: found 'pandax4t_efficiency_edge' without a correlation") as caught:
        load_model(str(tmp_path / "model.yaml"))
    assert "\n" not in str(caught.value)


def test_the_edge_moves_all_that_is_folded_and_the_plateau_what_a_flux_predicts() -> None:
    for name, folded in (  # the one line of 127Xe has nowhere to move its given counts
        ("pandax4t_run0", {"electron", "flat", "tritium", "xe124"}),
        ("pandax4t_run1", {"electron", "tritium", "rest"}),
    ):
        assert moved_by(workspace(name), f"{name}__efficiency_edge") == folded
        assert moved_by(workspace(name), f"{name}__efficiency_plateau") == {"electron"}


def test_a_higher_edge_empties_the_first_bins_and_keeps_counts_that_were_given() -> None:
    model = load_model("pandax4t_run0")
    plain = Version(model.raw, model.path, Bench(model.files))
    moved = plain.moved("responses.electronic.efficiency.shift", 0.1, "keV")
    before, after = (
        {key[1]: poly.evaluate(STANDARD) for key, poly in version.templates.items()} for version in (plain, moved)
    )
    for process in ("electron", "flat", "tritium"):
        assert np.all(after[process][:2] < before[process][:2]), process
    assert after["tritium"].sum() == pytest.approx(before["tritium"].sum(), rel=1e-12)
    total = [found["flat"].sum() + found["electron"].sum() for found in (before, after)]
    assert total == pytest.approx([504, 504], rel=1e-9)


def test_the_list_of_events_is_the_published_number_of_them() -> None:
    observed = read_table(models_folder() / "pandax4t_run0" / "counts.csv").numbers("observed")
    assert (len(observed), observed.sum()) == (26, 1117)


def test_the_curve_is_the_published_one_and_begins_where_it_does() -> None:
    """Not scaled; half at the energy that its points say; nothing below 0.2 keV, moved down by two widths or not."""
    table = read_table(models_folder() / "pandax4t_run0" / "efficiency.csv")
    energy, efficiency = table.numbers("energy") / units.keV, table.numbers("efficiency")
    assert efficiency.max() == pytest.approx(0.946, abs=5e-4)
    first = next(i for i, pair in enumerate(pairwise(efficiency)) if pair[0] <= 0.5 < pair[1])
    assert energy[first] < 1.43 < energy[first + 1]
    assert (energy[0], efficiency[0]) == (0.19, 0.0)
    assert load_model("pandax4t_run0").document.responses["electronic"].recoil.minimum == "0.2 keV"  # type: ignore[union-attr]


def test_the_counts_of_2022_never_meet_the_others() -> None:
    with pytest.raises(WorkspaceError, match="both use dataset pandax4t_run0_er"):
        combine([workspace("pandax4t_run0:statistical"), workspace("pandax4t_run0:data_2022,statistical")])
    made = workspace("pandax4t_run0:data_2022,statistical")
    assert made.channels[0].observed[:3] == (3.0, 39.0, 67.0)
    assert load_model("pandax4t_run0:data_2022").document.nuisances["efficiency_edge"].centre == "0.35 keV"


def test_a_released_flat_rate_is_free() -> None:
    made = workspace("pandax4t_run0:flat_free,statistical")
    kinds = {p.name: p.kind for p in made.parameters}
    assert kinds["pandax4t_run0__flat_rate"] == "free"
    assert "pandax4t_run0__flat_norm" not in kinds
