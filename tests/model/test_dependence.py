"""A nuisance moves everything that depends on what it stands for, or says why not."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuemstat.errors import ModelError
from nuemstat.explain import explain
from nuemstat.model.compiler import compile_model
from nuemstat.model.dependence import dependents_of
from nuemstat.model.expansion import Version
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.model.templates import Bench
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import Workspace

Edit = Callable[..., Path]
EDGE = "varies: responses.electronic.efficiency.shift,"


@cache
def compiled(spec: str) -> Workspace:
    return compile_model(load_model(spec))


def moved_by(workspace: Workspace) -> dict[str, set[str]]:
    """Nuisance -> processes, as the modifiers of the document have it."""
    found: dict[str, set[str]] = {}
    for channel in workspace.channels:
        for sample in channel.samples:
            for modifier in sample.modifiers:
                found.setdefault(modifier.parameter, set()).add(sample.process)
    return found


def counts_at(version: Version, process: str) -> FloatArray:
    """Every number of a process' templates, all terms of all channels in a fixed order."""
    parts = [
        values
        for (_, name), poly in sorted(version.templates.items())
        if name == process
        for _, values in sorted(poly.terms.items())
    ]
    return np.concatenate([np.ravel(part) for part in parts])


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_models())
def test_nothing_is_left_out_without_a_reason(name: str) -> None:
    model, workspace = load_model(name), compiled(name)
    version = Version(model.raw, model.path, Bench(model.files))
    moves = moved_by(workspace)
    reasons = {(e.nuisance, e.process): e.reason for e in workspace.provenance[0].left_out}
    for row_name, row in model.document.nuisances.items():
        parameter = row_name if row_name in moves else f"{name}__{row_name}"
        moved = version
        for path in row.paths:
            number, unit = moved.number_at(path)
            sigma = float(str(row.sigma).split()[0]) * (0.01 if "%" in str(row.sigma) else 1.0)
            moved = moved.moved(path, number + sigma, unit)
        known = {name for name, background in model.document.backgrounds.items() if background.free is None}
        for process in {*model.document.signals, *known}:
            depends = process in dependents_of(model.document, row.cause)
            if row.paths:
                before, after = counts_at(version, process), counts_at(moved, process)
                depends = bool(np.max(np.abs(after - before)) > 1e-9 * np.max(np.abs(before)))
            if depends and process not in moves[parameter]:
                assert reasons.get((parameter, process)), f"{row_name} leaves out {process}"


@pytest.mark.parametrize("name", ["pandax4t_run0", "xenonnt_sr0", "lz_sr1"])
def test_the_edge_of_an_efficiency_moves_main_backgrounds(name: str) -> None:
    model = load_model(name)
    version = Version(model.raw, model.path, Bench(model.files))
    moved = version.moved("responses.electronic.efficiency.shift", 0.1, "keV")
    main = max(
        (n for n, b in model.document.backgrounds.items() if b.response),
        key=lambda n: float(counts_at(version, n).sum()),
    )
    before, after = counts_at(version, main), counts_at(moved, main)
    assert after[np.argmax(before > 0)] < before[np.argmax(before > 0)]  # fewer at the edge


def test_counts_after_the_selection_keep_their_sum() -> None:
    model = load_model("lz_sr1")
    version = Version(model.raw, model.path, Bench(model.files))
    moved = version.moved("responses.electronic.efficiency.shift", 0.2, "keV")
    assert counts_at(moved, "beta").sum() == pytest.approx(counts_at(version, "beta").sum(), rel=1e-12)
    assert counts_at(moved, "electron").sum() < counts_at(version, "electron").sum()


def test_a_measured_table_moves_with_the_selection_it_has_passed() -> None:
    model = load_model("lz_er2025:fitted_sum")
    raw: dict[str, Any] = {**model.raw, "backgrounds": {n: dict(b) for n, b in model.raw["backgrounds"].items()}}
    for background in raw["backgrounds"].values():
        background.pop("less", None)  # the table alone
    version = Version(raw, model.path, Bench(model.files))
    moved = version.moved("responses.ws2022.efficiency.shift", 0.3, "keV")
    before, after = counts_at(version, "rest_ws2022"), counts_at(moved, "rest_ws2022")
    assert after.sum() == pytest.approx(before.sum(), rel=1e-12)
    assert after[0] < 0.95 * before[0]
    assert np.array_equal(counts_at(version, "rest_ws2024"), counts_at(moved, "rest_ws2024"))
    # Far above the edge the efficiency is flat: all of these bins take up what the edge lost, alike.
    ratio = (after / before)[-10:]
    assert np.ptp(ratio) < 0.01


def test_another_flux_does_not_change_what_a_table_holds_besides() -> None:
    model = load_model("lz_er2025:fitted_sum")
    version = Version(model.raw, model.path, Bench(model.files))
    brighter = version.moved("source.scale.pp", 1.5, "")
    assert np.array_equal(counts_at(brighter, "rest_ws2024"), counts_at(version, "rest_ws2024"))
    assert counts_at(brighter, "electron").sum() > 1.2 * counts_at(version, "electron").sum()


def test_one_piece_of_hardware_is_one_cause() -> None:
    moves = moved_by(compiled("coherent_csi"))
    assert moves["coherent_csi__energy_efficiency"] == {"cevns", "electron"}
    assert moved_by(compiled("dresden2"))["dresden2__resolution"] == {"cevns", "electron"}


BAD = [
    ("lz_sr1", [(EDGE, f"{EDGE} processes: [electron],")],
     "nuisances.efficiency_edge: processes: found electron beside varies; every process that depends on the number"),
    ("lz_sr1", [(EDGE, f'{EDGE} only: {{processes: [electron], reason: ""}},')],
     "nuisances.efficiency_edge.only.reason"),
    ("lz_sr1", [(EDGE, f"{EDGE} only: {{processes: [electrn], reason: r}},")],
     "nuisances.efficiency_edge.only.processes: found 'electrn'; this model has"),
    ("lz_sr1", [("varies: source.scale.pp,", "varies: source.scale.pp, only: {processes: [beta], reason: r},")],
     "nuisances.solar_pp.only: found 'beta', which does not depend on source.scale.pp; electron do"),
    ("lz_sr1", [("norm: linear, cause: flux,", "norm: linear, only: {processes: [electron], reason: r},")],
     "nuisances.solar_norm: only: narrows what depends on a varied number; found no varies"),
    ("lz_sr1", [("varies: source.scale.pp,", "varies: source.scale.pp, cause: flux,")],
     "nuisances.solar_pp: cause and reason: belong to a norm"),
    ("lz_sr1", [("processes: [beta],", "")],
     "nuisances.beta_norm: processes: found none; one or more are needed without varies"),
    ("dresden2", [("[responses.nuclear.resolution.scale, responses.electronic.resolution.scale]",
                   "responses.nuclear.resolution.scale")],
     "nuisances.resolution: responses.electronic.resolution stands there in the same words as "
     "responses.nuclear.resolution and would not move electron; name both paths in varies"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "pairs", "words"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_refused(edited: Edit, model: str, pairs: list[tuple[str, str]], words: str) -> None:
    path = edited(model, *pairs)
    with pytest.raises(ModelError) as caught:
        compile_model(load_model(str(path)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_nuisance_that_moves_nothing(edited: Edit) -> None:
    spare = "responses:\n  spare: {recoil: {minimum: 1 keV, maximum: 2 keV}, scale_offset: {value: 0 keV, source: s}}\n"
    path = edited(
        "lz_sr1",
        ("responses:\n", spare),
        ("nuisances:\n", "nuisances:\n  idle:\n    {quantity: q, group: detector, centre: 0 keV, sigma: 1 keV, "
                         "varies: responses.spare.scale_offset, source: s}\n"),
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"nuisances.idle: responses.spare.scale_offset changes no count"):
        compile_model(load_model(str(path)))


def test_a_cause_acts_on_all_that_depends_on_it(edited: Edit) -> None:
    plateau = (
        "nuisances:\n",
        "nuisances:\n  plateau:\n    {quantity: q, group: detector, norm: linear, cause: efficiency, centre: 1, "
        "sigma: 0.05, processes: [electron], source: s}\n",
    )
    with pytest.raises(
        ModelError, match=r"nuisances.plateau: cause 'efficiency' acts on ar37, beta, xe124, xe127, xe136 too"
    ):
        compile_model(load_model(str(edited("lz_sr1", plateau))))


def test_reasons_stand_in_the_explanation(edited: Edit) -> None:
    plateau = (
        "nuisances:\n",
        "nuisances:\n  plateau:\n    {quantity: q, group: detector, norm: linear, cause: efficiency, centre: 1, "
        'sigma: 0.05, processes: [electron], source: s, reason: "counts are given after the selection"}\n',
    )
    edge = (EDGE, f"{EDGE} only: {{processes: [electron, beta], reason: a test}},")
    workspace = compile_model(load_model(str(edited("lz_sr1", plateau, edge))))
    found = {entry.name: entry for entry in explain(workspace).systematics}
    left = {entry.process: entry.reason for entry in found["lz_sr1__plateau"].left_out}
    assert left == dict.fromkeys(("ar37", "beta", "xe124", "xe127", "xe136"), "counts are given after the selection")
    assert found["lz_sr1__plateau"].moves == ("electron",)
    assert found["lz_sr1__efficiency_edge"].moves == ("electron", "beta")
    assert {entry.reason for entry in found["lz_sr1__efficiency_edge"].left_out} == {"a test"}
    text = str(explain(workspace))
    assert "lz_sr1__plateau: beta left out because counts are given after the selection" in text


def test_a_row_that_a_variant_leaves_nothing_to_falls_away() -> None:
    # Spectra below 2 MeV give electron recoils above threshold, and no nuclear ones.
    assert "reactor_low_energy" in compiled("conus_plus").model_dump_json()
    alone = compile_model(load_model("conus_plus:cevns_only"))
    assert "reactor_low_energy" not in {p.name for p in alone.parameters}
    assert "nuisance reactor_low_energy: moves nothing with these options" in alone.provenance[0].notes
