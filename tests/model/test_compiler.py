"""Workspaces of the shipped models: samples, folding, morphs and free shapes against exact calculations."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from nuemstat.model.accuracy import LIMIT, bin_errors
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version, split_quantity
from nuemstat.model.loader import Model, load_model, shipped_models
from nuemstat.model.schema import Range
from nuemstat.model.templates import Bench, signal_templates
from nuemstat.model.variants import with_value
from nuemstat.model.world import why_outside
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.polynomial import FloatArray
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.document import MayOverlap, Workspace

WITHOUT_MORPHS = {"connie_2020", "conus_2020", "miner_2020", "red100_2020", "texono_2020", "gemma", "borexino_moment"}
STANDARD = {name: default_value(name, scheme("set_A")) for name in COUPLINGS}


@cache
def compiled(spec: str) -> Workspace:
    return compile_model(load_model(spec))


def counts(model: Model, couplings: dict[str, float]) -> FloatArray:
    templates = signal_templates(model.document, Bench(model.files))
    return np.concatenate([poly.evaluate(couplings) for _, poly in sorted(templates.items())])


@pytest.mark.parametrize("name", shipped_models())
def test_round_trip_and_determinism(name: str) -> None:
    first = compiled(name)
    assert Workspace.from_json(first.to_json().encode()) == first
    assert compile_model(load_model(name)).to_json() == first.to_json()


@pytest.mark.parametrize("name", shipped_models())
def test_nine_digits(name: str) -> None:
    for channel in compiled(name).channels:
        for sample in channel.samples:
            assert all(value == float(f"{value:.9g}") for value in sample.contents)


@pytest.mark.parametrize("name", shipped_models())
def test_samples_are_named_by_process_and_monomial(name: str) -> None:
    workspace = compiled(name)
    for channel in workspace.channels:
        names = [sample.name for sample in channel.samples]
        assert len(set(names)) == len(names)
        assert all(sample.name.startswith(sample.process) for sample in channel.samples)
    assert set(workspace.couplings) == set(load_model(name).couplings)


@pytest.mark.parametrize("name", shipped_models())
def test_twice_as_fine_a_grid_changes_no_count(name: str) -> None:
    """Each bin of each monomial, by 1e-4 of itself (of the largest bin where it is empty)."""
    model = load_model(name)
    raw = dict(model.raw)
    for response, spec in model.document.responses.items():
        assert spec.recoil is not None
        raw = with_value(raw, f"responses.{response}.recoil.per_decade", 2 * spec.recoil.per_decade)
    fine = Version(raw, model.path, Bench(model.files)).templates
    coarse = Version(model.raw, model.path, Bench(model.files)).templates
    for key, poly in coarse.items():
        for term, values in poly.terms.items():
            floor = 1e-6 * np.max(np.abs(values))
            assert np.allclose(fine[key].terms[term], values, rtol=1e-4, atol=floor), (key, term)


def test_folded_couplings_keep_the_standard_prediction() -> None:
    full, restricted = compiled("lz_sr1"), compile_model(load_model("lz_sr1"), ["millicharge_ee"])
    assert restricted.couplings == ("millicharge_ee",)
    assert {entry.name for entry in restricted.folded} == set(full.couplings) - {"millicharge_ee"}

    def predicted(workspace: Workspace) -> FloatArray:
        total = np.zeros(workspace.channels[0].size)
        for sample in workspace.channels[0].samples:
            factor = np.prod([STANDARD[name] ** power for name, power in sample.monomial.items()])
            total += factor * np.array(sample.contents)
        return total

    np.testing.assert_allclose(predicted(restricted), predicted(full), rtol=1e-7)


def test_total_radius_is_not_counted_twice() -> None:
    """At the radii of the scheme the prediction is that of the scheme without new physics: 27 solar counts in LZ."""
    model = load_model("lz_sr1")
    standard = counts(model, STANDARD).sum()
    without_radius = counts(model, {}).sum()
    assert standard == pytest.approx(27.3, abs=1.6)
    assert abs(without_radius - standard) > 0.1


@pytest.mark.parametrize("name", shipped_models())
def test_morphs_are_within_their_limit(name: str) -> None:
    notes = [note for note in compiled(name).provenance[0].notes if note.startswith("morph ")]
    rows = [row for row in load_model(name).document.nuisances.values() if row.varies is not None]
    assert len(notes) == len(rows)
    assert (not rows) == (name in WITHOUT_MORPHS)
    beyond = [note for note in notes if float(note.split("within ")[1].split()[0]) > LIMIT]
    allowed = [row.deviation.reason for row in rows if row.deviation]
    assert [note.rpartition(" is allowed: ")[2] for note in beyond] == allowed
    assert len(allowed) == (name == "xenonnt_s2only")  # straight lines between anchors that were released so


def test_norms_are_bounded_where_counts_would_be_negative() -> None:
    workspace = compiled("coherent_csi")
    assert workspace.parameter("coherent_csi__brn_norm").bounds[0] == pytest.approx(-18.4 / 4.6)
    assert workspace.parameter("sns_flux").bounds == (None, None)


def test_pulls_of_the_published_analysis_are_local() -> None:
    names = {p.name for p in compiled("coherent_csi:paper").parameters if p.kind == "constrained"}
    assert names == {f"coherent_csi__{name}" for name in ("signal_norm", "brn_norm", "nin_pull", "ss_pull")}


def test_variants_change_what_they_name() -> None:
    assert {s.process for s in compiled("dresden2:cevns_only").channels[0].samples}.isdisjoint({"electron"})
    assert "coherent_csi__cevns_norm" in {p.name for p in compiled("coherent_csi:free").parameters}
    fea = {s.name for s in compiled("lz_sr1:fea").channels[0].samples}
    epa = {s.name for s in compiled("lz_sr1:epa").channels[0].samples}
    assert fea - epa >= {"electron__x__millicharge_ee", "electron__x__charge_radius_ee__x__millicharge_ee"}
    assert epa < fea


def exact_background(shifts: dict[str, float]) -> FloatArray:
    """Dresden-II's epithermal and L-shell components, written out independently of the model code."""
    edges = np.linspace(0.2, 1.5, 131)
    slope = 0.243 + 0.01 * shifts.get("dresden2__epithermal_slope", 0.0)
    falling = np.exp(-edges[:-1] / slope) - np.exp(-edges[1:] / slope)
    width = 0.0692 + 0.001 * shifts.get("dresden2__l_width", 0.0)
    first = 1.2922 + 0.001 * shifts.get("dresden2__l_position", 0.0)
    lines = [(first, 1.0), (1.142, 0.008)]
    peaks = sum(500 * area * np.diff(norm.cdf(edges, position, width)) for position, area in lines)
    return np.asarray(2400 * falling / falling.sum() + peaks)


@pytest.mark.parametrize(
    "shifts",
    [
        {},
        {"dresden2__epithermal_slope": 3.5},
        {"dresden2__epithermal_slope": -3.5},
        {"dresden2__l_position": 4.0},
        {"dresden2__l_position": -4.0, "dresden2__l_width": 4.0},
        {"dresden2__l_position": 2.0, "dresden2__l_width": -4.0, "dresden2__epithermal_slope": 2.0},
    ],
)
def test_free_background_shapes_against_the_exact_parametric_form(shifts: dict[str, float]) -> None:
    channel = compiled("dresden2").channels[0]
    total = np.zeros(channel.size)
    for sample in channel.samples:
        if sample.process in ("epithermal", "l_shell"):
            factor = np.prod([shifts.get(name, 0.0) ** power for name, power in sample.monomial.items()])
            total += factor * np.array(sample.contents)
    assert np.max(np.abs(total - exact_background(shifts)) / bin_errors(channel)) < 0.05


def test_equal_bins() -> None:
    axis = load_model("dresden2").document.channels["dresden2"].axes[0]
    assert isinstance(axis.edges, Range)
    assert np.allclose(np.diff(axis.values), 0.01)


@pytest.mark.parametrize(
    ("text", "expected"), [("0.1 keV", (0.1, "keV")), ("5 %", (0.05, "")), (0.3, (0.3, "")), ("-2 1/s", (-2.0, "1/s"))]
)
def test_split_quantity(text: str | float, expected: tuple[float, str]) -> None:
    assert split_quantity(text, "here") == expected


def test_a_member_out_of_the_default_fit_carries_the_reason_and_a_copy_does_not(tmp_path: Path) -> None:
    outside = compiled("lz_sr1").provenance[0].outside
    assert outside is not None
    assert outside.startswith("shares the data set lz_ws2022")
    assert compiled("lz_er2025").provenance[0].outside is None
    folder = shutil.copytree(load_model("lz_sr1").path.parent, tmp_path / "lz_sr1")
    assert why_outside("lz_sr1", folder / "model.yaml") is None


def test_what_may_overlap_goes_from_the_model_to_each_channel(edited: Callable[..., Path]) -> None:
    entry = "may_overlap: [{dataset: elsewhere, reason: one run}]"
    path = edited("lz_sr1", ("datasets:", f"{entry}\ndatasets:"))
    workspace = compile_model(load_model(str(path)), ["millicharge_ee"])
    assert [c.may_overlap for c in workspace.channels] == [(MayOverlap(dataset="elsewhere", reason="one run"),)]
