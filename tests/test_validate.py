"""The comparison with published numbers: its vocabulary, its verdicts, and that all shipped rows hold."""

import json
from pathlib import Path

import pytest
import yaml
from conftest import toy_workspace
from scipy.stats import chi2

from nuemstat import fit, validate
from nuemstat.errors import FitError, ModelError
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.ours import Engine
from nuemstat.published import as_intervals, read
from nuemstat.sidebyside import standard_fit


def row(workspace: str, **more) -> dict:
    return {
        "quantity": "counts of the background",
        "workspace": workspace,
        "compute": {"kind": "expected", "process": "background"},
        "published": 165.0,
        "unit": "counts",
        "source": "made up for this test",
        "status": "read",
        "tolerance": {"relative": 0.01},
        "gated": True,
    } | more


def written(folder: Path, *rows: dict) -> str:
    content = {"schema": "nuemstat/validation/1", "experiment": "toy", "title": "A toy", "rows": list(rows)}
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def one(folder: Path, **more) -> validate.Comparison:
    (found,) = validate.run([written(folder, row(str(folder / "alpha.json"), **more))])
    return found


@pytest.mark.parametrize(
    ("published", "tolerance", "gated", "verdict", "deviation"),
    [
        (165.0, {"relative": 0.001}, True, "agrees", 0.0),
        (150.0, {"relative": 0.11}, True, "agrees", 0.1),
        (150.0, {"relative": 0.09}, True, "broken", 0.1),
        (150.0, {"relative": 0.09}, False, "differs", 0.1),
        (180.0, {"absolute": 15.5}, True, "agrees", -15 / 180),
        (180.0, {"absolute": 14.5}, True, "broken", -15 / 180),
        (150.0, None, False, "shown", 0.1),
    ],
)
def test_verdicts(toys, tmp_path, published, tolerance, gated, verdict, deviation):
    found = one(tmp_path, published=published, tolerance=tolerance, gated=gated)
    assert found.ours == 165.0
    assert found.verdict == verdict
    assert found.deviation == pytest.approx(deviation)
    assert bool(found.reason) == (verdict in ("broken", "differs"))


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"quantety": "x"}, "rows.0: unknown key 'quantety'.*did you mean 'quantity'"),
        ({"status": "recalled"}, "rows.0.status: found 'recalled'"),
        ({"status": "memory"}, "rows.0: gated: found true on a row that is of status memory"),
        ({"conditional": "other priors"}, "rows.0: gated: found true on a row"),
        ({"tolerance": None}, "rows.0: gated: true needs a tolerance"),
        ({"tolerance": {"relative": 0.1, "absolute": 1.0}}, "rows.0.tolerance: relative or absolute, one of the two"),
        ({"tolerance": {"relative": -0.1}}, "rows.0.tolerance.relative"),
        ({"published": [1.0, 2.0]}, "rows.0: published: one number"),
        ({"compute": {"kind": "limit", "coupling": "millicharge_ee", "take": "interval"}}, "published: an interval"),
        ({"compute": {"kind": "limitt", "coupling": "millicharge_ee"}}, "rows.0.compute: .*'limitt'"),
        ({"compute": {"kind": "fit", "take": "pull"}}, "rows.0.compute.*take: pull needs a name"),
        ({"compute": {"kind": "expected", "proces": "x"}}, "rows.0.compute.*unknown key 'proces'"),
    ],
)
def test_a_row_that_does_not_fit_is_one_clear_line(tmp_path, change, pattern):
    path = written(tmp_path, row("alpha.json") | change)
    with pytest.raises(ModelError, match=pattern) as caught:
        read(Path(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_interval_the_wrong_way_round_is_refused(tmp_path):
    compute = {"kind": "limit", "coupling": "millicharge_ee", "take": "interval"}
    with pytest.raises(ModelError, match="lower end comes first"):
        read(Path(written(tmp_path, row("x", compute=compute, published=[2.0, 1.0]))))


def test_two_rows_of_one_name_are_refused(tmp_path):
    with pytest.raises(ModelError, match="'counts of the background' stands twice"):
        read(Path(written(tmp_path, row("x"), row("x"))))


def test_numbers_with_an_exponent_alone_are_numbers(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(Path(written(tmp_path, row("x"))).read_text().replace("published: 165.0", "published: 2e-12"))
    assert read(path).rows[0].published == 2e-12


def test_what_cannot_be_computed_breaks_a_gate_and_only_that(toys, tmp_path):
    compute = {"kind": "expected", "process": "cevns"}
    gated = one(tmp_path, compute=compute)
    assert gated.verdict == "broken"
    assert gated.reason == "no process 'cevns'; there are background, electron"
    shown = one(tmp_path, compute=compute, gated=False)
    assert shown.verdict == "failed"
    assert shown.ours is None
    assert "-" in shown.cells()


def test_intervals_are_compared_end_by_end(toys, tmp_path):
    from nuemstat.stats.intervals import limit
    from nuemstat.workspace.document import Workspace

    (interval,) = limit(Workspace.read(toys[0]), "millicharge_ee").intervals
    low, high = interval
    compute = {"kind": "limit", "coupling": "millicharge_ee", "take": "interval"}
    moved = [low, 0.8 * high]
    found = one(tmp_path, compute=compute, published=moved, unit="e", tolerance={"relative": 0.26})
    assert found.ours == interval
    assert found.verdict == "agrees"
    assert found.deviation == pytest.approx(0.25)
    for relative, verdict in ((0.24, "broken"), ([0.1, 0.26], "agrees"), ([0.26, 0.1], "broken")):
        row = one(tmp_path, compute=compute, published=moved, unit="e", tolerance={"relative": relative})
        assert row.verdict == verdict
    several = one(tmp_path, compute=compute | {"take": "intervals"}, published=[moved, [1.0, 2.0]], unit="e")
    assert several.verdict == "broken"
    assert several.reason == "1 intervals where 2 are published"


def test_every_kind_gives_what_the_library_gives(toys, tmp_path):
    from nuemstat.stats.intervals import limit, significance
    from nuemstat.stats.minimise import fit
    from nuemstat.workspace.document import Workspace

    toy = Workspace.read(toys[0])
    best, charge = fit(toy, free=("millicharge_ee",)), {"free": ["millicharge_ee"]}
    upper = limit(toy, "magnetic_moment", cl=0.95).upper_limit
    expected = [
        ({"kind": "limit", "coupling": "magnetic_moment", "cl": 0.95}, upper),
        (
            {"kind": "limit", "coupling": "magnetic_moment_e", "take": "best_fit"},
            limit(toy, "magnetic_moment_e").best_fit,
        ),
        (
            {"kind": "significance", "coupling": "millicharge_ee", "at": 3e-12},
            significance(toy, "millicharge_ee", 3e-12).sigma,
        ),
        ({"kind": "fit", "take": "q_min"} | charge, best.q_min),
        ({"kind": "fit", "take": "p_value"} | charge, best.p_value),
        (
            {"kind": "fit", "take": "coupling", "name": "millicharge_ee"} | charge,
            best.couplings["millicharge_ee"].value,
        ),
        ({"kind": "fit", "take": "pull", "name": "beam"} | charge, best.nuisances["beam"].pull),
        ({"kind": "fit", "take": "nuisance", "name": "beam"} | charge, best.nuisances["beam"].value),
        ({"kind": "yield", "process": "background"} | charge, best.yields["alpha_counts"]["background"]),
        (
            {"kind": "yield", "process": "electron", "channels": ["alpha_counts"]} | charge,
            best.yields["alpha_counts"]["electron"],
        ),
    ]
    rows = [
        row(toys[0], quantity=f"row {i}", compute=compute, published=1.0, gated=False)
        for i, (compute, _) in enumerate(expected)
    ]
    found = validate.run([written(tmp_path, *rows)])
    assert [item.ours for item in found] == pytest.approx([value for _, value in expected])


def test_observed_counts_and_sums_over_processes(toys, tmp_path):
    from nuemstat.workspace.document import Workspace

    toy = Workspace.read(toys[0])
    assert one(tmp_path, compute={"kind": "observed"}).ours == sum(toy.channels[0].observed)
    compute = {"kind": "expected", "process": ["background", "electron"]}
    single = [one(tmp_path, compute=compute | {"process": name}).ours for name in compute["process"]]
    assert one(tmp_path, compute=compute).ours == pytest.approx(sum(single))
    lost = one(tmp_path, compute=compute | {"process": ["background", "cevns"]}, gated=False)
    assert lost.reason == "no process 'cevns'; there are background, electron"


def test_a_joint_fit_can_be_compared(toys, tmp_path):
    (found,) = validate.run([written(tmp_path, row(list(toys), published=330.0))])  # type: ignore[arg-type]
    assert found.ours == 330.0
    assert found.workspace == " + ".join(toys)


def test_report_and_json_show_every_row(toys, tmp_path):
    rows = [row(toys[0]), row(toys[0], quantity="a | b", published=100.0, gated=False, note="other cuts")]
    found = validate.report([written(tmp_path, *rows)])
    text = validate.markdown(found)
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == 3
    assert "a \\| b" in table[2]
    assert "other cuts" in table[2]
    assert "made up for this test (read)" in table[1]
    content = json.loads(validate.to_json(found))
    assert content["broken"] == 0
    assert [item["verdict"] for item in content["rows"]] == ["agrees", "differs"]
    assert content["side_by_side"] == content["standard_model"] == []


def question(**more) -> dict:
    return {
        "quantity": "background of both",
        "compute": {"kind": "expected", "process": "background"},
        "unit": "counts",
    } | more


def document(folder: Path, experiment: str, *questions: dict) -> str:
    content = {"schema": "nuemstat/validation/1", "experiment": experiment, "title": "Two toys"}
    path = folder / "beside.yaml"
    path.write_text(yaml.safe_dump(content | {"side_by_side": list(questions)}, sort_keys=False))
    return str(path)


def test_one_question_to_several_workspaces_is_one_row(toys, tmp_path):
    asked = question(
        workspaces={"one": toys[0], "both": list(toys), "lost": str(tmp_path / "no.json")},
        absent={"exact": "nobody tabulated it"},
        published=160.0,
        source="made up for this test",
        note="twice the same toy",
    )
    found = validate.report([document(tmp_path, "toy", asked)])
    (answer,) = found.beside
    assert (answer.ours["one"], answer.ours["both"]) == (165.0, 330.0)
    assert "no such file" in str(answer.ours["lost"])
    cells = ("background of both", "counts", "160", "165", "330", answer.ours["lost"], "nobody tabulated it")
    text = validate.markdown(found)
    assert "| quantity | unit | published | one | both | lost | exact | note |" in text
    assert "| " + " | ".join(cells) + " |" in text
    assert "twice the same toy; published: made up for this test |" in text
    (row,) = json.loads(validate.to_json(found))["side_by_side"]
    assert row["workspaces"]["both"] == " + ".join(toys)
    assert validate.run([document(tmp_path, "toy", asked)]) == []


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"workspaces": {}}, "side_by_side.0.workspaces"),
        ({"workspaces": {"a": "x"}, "absent": {"a": "no"}}, "column 'a' stands in workspaces and in absent"),
        ({"workspaces": {"a": "x"}, "published": 1.0}, "published and source go together"),
        ({"workspaces": {"a": "x"}, "gated": True}, "unknown key 'gated'"),
    ],
)
def test_a_question_that_does_not_fit_is_one_clear_line(tmp_path, change, pattern):
    with pytest.raises(ModelError, match=pattern):
        read(Path(document(tmp_path, "toy", question(**change))))


def test_a_file_with_neither_rows_nor_questions_is_refused(tmp_path):
    with pytest.raises(ModelError, match="neither rows nor side_by_side"):
        read(Path(document(tmp_path, "toy")))


def test_counts_have_the_error_of_their_norm(toys, tmp_path):
    compute = {"kind": "yield", "process": "background", "channels": ["alpha_counts"]}
    counts = one(tmp_path, compute=compute, gated=False)
    error = one(tmp_path, compute=compute | {"error_of": "alpha__background"}, gated=False)
    norm = one(tmp_path, compute={"kind": "fit", "take": "nuisance", "name": "alpha__background"}, gated=False)
    width = one(tmp_path, compute={"kind": "fit", "take": "nuisance_error", "name": "alpha__background"}, gated=False)
    assert error.ours == pytest.approx(counts.ours * width.ours / norm.ours, rel=1e-12)
    assert 0.03 < width.ours < 0.1
    lost = one(tmp_path, compute=compute | {"error_of": "beam_"}, gated=False)
    assert lost.verdict == "failed"
    assert "no 'beam_' in the fit" in lost.reason


def test_an_error_that_a_fit_does_not_have_is_said(toys, tmp_path):
    compute = {"kind": "fit", "take": "coupling_error", "name": "magnetic_moment_e", "free": ["magnetic_moment_e"]}
    toy_workspace("gamma", "e", excess=-4.0).write(tmp_path / "gamma.json")
    (found,) = validate.run([written(tmp_path, row(str(tmp_path / "gamma.json"), compute=compute, gated=False))])
    assert found.verdict == "failed"
    assert found.reason == "magnetic_moment_e has no coupling error in this fit"


def test_a_standard_model_that_cannot_be_fitted_is_said(monkeypatch):
    def fails(*_, **__):
        raise FitError("no luck")

    monkeypatch.setattr("nuemstat.stats.goodness.goodness", fails)
    found = standard_fit("pandax4t_run1", Engine())
    assert found is not None
    assert str(found) == "goodness of fit of the standard model, pandax4t_run1: no fit (no luck)"
    whole = validate.Report((), (), (found,))
    assert json.loads(validate.to_json(whole))["standard_model"][0]["q_min"] is None
    assert "| pandax4t_run1 | - | - | - | no luck |" in validate.markdown(whole)


def test_the_standard_model_is_fitted_to_models_with_data_only():
    engine = Engine()
    found = standard_fit("pandax4t_run1", engine)
    assert found is not None
    assert found.p_value == pytest.approx(chi2.sf(found.q_min, found.ndof))
    assert (found.ndof, found.error, found.remark) == (29, None, "")
    best = fit(engine.workspace(("pandax4t_run1",)))
    assert (found.q_min, found.ndof) == (pytest.approx(best.q_min, abs=1e-6), best.ndof)
    assert str(found).startswith("goodness of fit of the standard model, pandax4t_run1: 2 NLL = 29.7 for 29 degrees")
    sparse = standard_fit("lz_sr1", engine)
    assert sparse is not None
    assert sparse.error is not None
    assert 0.3 < (sparse.p_value or 0) < 0.8
    assert "toys" in sparse.remark
    gemma = standard_fit("gemma", engine)
    assert gemma is not None
    assert gemma.p_value is None
    assert "no p-value" in str(gemma)
    assert standard_fit("miner_2020", engine) is None
    assert standard_fit("electron_recoils", engine) is None


def test_unknown_names_are_met_with_a_suggestion():
    if not validate.shipped():
        pytest.skip("no published numbers are shipped yet")
    known = next(iter(validate.shipped()))
    with pytest.raises(ModelError, match=f"no published numbers for '{known}x'.*did you mean '{known}'"):
        validate.run([f"{known}x"])


@pytest.mark.parametrize(
    ("value", "intervals"),
    [(2.0, ((2.0, 2.0),)), ((1.0, 2.0), ((1.0, 2.0),)), (((1.0, 2.0), (3.0, 4.0)), ((1.0, 2.0), (3.0, 4.0)))],
)
def test_numbers_and_intervals_have_one_form(value, intervals):
    assert as_intervals(value) == intervals


@pytest.mark.slow
def test_shipped_published_numbers_hold():
    report = validate.report()
    found = report.rows
    assert [
        f"{item.experiment}, {item.quantity}: {item.reason}" for item in found if item.verdict in ("broken", "failed")
    ] == []
    assert {item.experiment for item in (*found, *report.beside)} == set(validate.shipped())
    assert {fit.experiment for fit in report.fits} == {m for m in shipped_models() if load_model(m).kind == "data"}
    for answer in report.beside:
        assert not any(isinstance(answer.ours[name], str) for name in answer.workspaces), answer
    for fitted in report.fits:
        assert fitted.p_value is None or fitted.p_value > 0.01, str(fitted)
