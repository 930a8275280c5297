"""The comparison with published numbers: its vocabulary, its verdicts, and that all shipped rows hold."""

import json
from pathlib import Path

import pytest
import yaml
from conftest import toy_workspace
from scipy.stats import chi2

from nuemstat import fit, validate
from nuemstat.cli import main
from nuemstat.errors import FitError, ModelError
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.ours import Engine
from nuemstat.published import as_intervals, read
from nuemstat.sidebyside import standard_fit


def row(workspace: str, **more) -> dict:
    usual: dict = {
        "quantity": "counts of the background",
        "workspace": workspace,
        "compute": {"kind": "expected", "process": "background"},
        "published": 165.0,
        "unit": "counts",
        "source": "made up for this test",
        "status": "read",
        "tolerance": {"relative": 0.01},
        "tolerance_from": "digits",
        "gated": True,
    }
    if "tolerance" in more and more["tolerance"] is None:
        usual |= {"tolerance_from": None}
    return usual | more


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
        (60.0, {"factor": 3.0}, True, "agrees", 1.75),
        (50.0, {"factor": 3.0}, True, "broken", 2.3),
        (400.0, {"factor": 3.0}, True, "agrees", -0.5875),
    ],
)
def test_verdicts(toys, tmp_path, published, tolerance, gated, verdict, deviation):
    found = one(tmp_path, published=published, tolerance=tolerance, gated=gated)
    assert found.ours == 165.0
    assert found.verdict == verdict
    assert found.deviation == pytest.approx(deviation)
    assert bool(found.reason) == (verdict in ("broken", "differs"))


@pytest.mark.parametrize(
    ("published", "verdict", "deviation"),
    [
        ([5.0, 20.0], "agrees", 0.0),
        ([1.0, 4.5], "agrees", 5.058 / 4.5 - 1),
        ([1.0, 4.0], "broken", 5.058 / 4.0 - 1),
        ([8.0, 20.0], "broken", 5.058 / 8.0 - 1),
        (5.0, "agrees", 5.058 / 5.0 - 1),
    ],
)
def test_a_prediction_beside_a_number_and_beside_a_printed_range(tmp_path, published, verdict, deviation):
    """Of a range the nearest number counts; 30 kg and 365 d of MINER at 2 m from 1 MW give 5.06 per kg and day."""
    compute = {"kind": "predicted", "process": "cevns", "times": 1 / (30 * 365)}
    change = {"compute": compute, "published": published, "tolerance": {"relative": 0.15}}
    (found,) = validate.run([written(tmp_path, row("miner_2020:triga", **change))])
    assert found.verdict == verdict
    assert found.deviation == pytest.approx(deviation, abs=1e-3)


def test_a_prediction_is_that_of_one_model(tmp_path):
    both = row("munu", compute={"kind": "predicted", "process": "electron"}) | {"workspace": ["munu", "rovno"]}
    (found,) = validate.run([written(tmp_path, both)])
    assert found.verdict == "broken"
    assert "a prediction is that of one" in found.reason


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"quantety": "x"}, "rows.0: unknown key 'quantety'.*did you mean 'quantity'"),
        ({"status": "recalled"}, "rows.0.status: found 'recalled'"),
        ({"status": "memory"}, "rows.0: gated: found true on a row that is of status memory"),
        (
            {"status": "quoted", "read_at": "a list"},
            "rows.0: gated: found true on a row that is of status memory or quoted",
        ),
        ({"conditional": "other priors"}, "rows.0: gated: found true on a row"),
        ({"tolerance": None}, "rows.0: gated: true needs a tolerance"),
        ({"tolerance": {"relative": 0.1, "absolute": 1.0}}, "rows.0.tolerance: relative, absolute or factor, one of"),
        ({"tolerance": {"factor": 0.5}}, "rows.0.tolerance.factor"),
        ({"tolerance": {"relative": 0.26}}, "rows.0: gated: found true with a tolerance of 26%; 25 % is the widest"),
        ({"tolerance": {"absolute": 50.0}}, "rows.0: gated: found true with a tolerance of 30%"),
        ({"gated": False, "status": "memory"}, "rows.0: tolerance: found one on a row of status memory"),
        ({"tolerance_from": None}, "rows.0: tolerance and tolerance_from go together"),
        ({"tolerance_from": "it fits"}, "rows.0: tolerance_from: found 'it fits'; digits, error or 'stated difference"),
        ({"status": "listed"}, "rows.0: read_at: a number that is listed says where"),
        ({"varied": "a", "open": "b"}, "rows.0: varied or open, one of the two"),
        ({"same_as": "no such row"}, "rows: same_as: found 'no such row', which is no row that counts by itself"),
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


def test_a_row_that_repeats_a_repetition_is_refused(tmp_path):
    rows = [row("x"), row("x", quantity="b", same_as="counts of the background"), row("x", quantity="c", same_as="b")]
    with pytest.raises(ModelError, match="same_as: found 'b', which is no row that counts by itself"):
        read(Path(written(tmp_path, *rows)))


def test_a_gate_beside_an_interval_near_zero_is_measured_by_half_its_width(tmp_path):
    interval = {
        "compute": {"kind": "limit", "coupling": "millicharge_ee", "take": "interval"},
        "published": [-1.0, 99.0],
    }
    assert read(Path(written(tmp_path, row("x", tolerance={"absolute": 12.0}, **interval)))).rows[0].gated
    with pytest.raises(ModelError, match="tolerance of 26%"):
        read(Path(written(tmp_path, row("x", tolerance={"absolute": 13.0}, **interval))))


def test_what_counts_as_a_published_number(toys, tmp_path):
    bare = {"tolerance": None, "gated": False}
    rows = [
        row(toys[0]),
        row(toys[0], quantity="another unit", same_as="counts of the background"),
        row(toys[0], quantity="recalled", status="memory", published=1.0, **bare),
        row(toys[0], quantity="held", input="the model has it", **bare),
        row(toys[0], quantity="shown", published=150.0, **bare),
        row(toys[0], quantity="far", published=100.0, **bare),
        row(toys[0], quantity="far, and why", published=100.0, varied="half the exposure: 82", **bare),
        row(toys[0], quantity="far, and not why", published=160.0, open="nobody knows", **bare),
        row(toys[0], quantity="wrong", published=150.0),
    ]
    found = validate.report([written(tmp_path, *rows)])
    assert [item.counts_as for item in found.rows] == [
        *("gated", "repeated", "memory", "input", "shown", "shown", "shown", "shown", "gated")
    ]
    assert {item.quantity: item.open for item in found.rows if item.open} == {
        "far": "no cause is named",
        "far, and not why": "nobody knows",
    }
    wanted = {"rows": 9, "independent": 6, "gated": 2, "shown": 4, "repeated": 1, "input": 1, "memory": 1}
    assert validate.counts(found.rows) == wanted | {"agree": 1, "open": 2}
    content = json.loads(validate.to_json(found))
    assert content["counts"] == validate.counts(found.rows)
    assert content["rows"][1]["same_as"] == "counts of the background"
    text = validate.markdown(found)
    assert validate.summary(found.rows) in text
    assert "| toy | far | +65.0% | no cause is named |" in text
    assert "repeated: counts of the background" in text


def test_the_command_ends_with_the_count(toys, tmp_path, capsys):
    far = row(toys[0], quantity="far", published=100.0, tolerance=None, gated=False)
    assert main(["validate", written(tmp_path, row(toys[0]), far)]) == 0
    *_, opened, last = capsys.readouterr().out.strip().splitlines()
    assert opened == "open: toy, far: no cause is named"
    assert last.startswith("2 rows, 2 independent published numbers: 1 gated (1 agree), 1 shown; 0 repeat")


def test_the_upper_end_is_the_positive_one(toys, tmp_path):
    from nuemstat.stats.intervals import limit
    from nuemstat.workspace.document import Workspace

    (interval,) = limit(Workspace.read(toys[0]), "millicharge_ee").intervals
    compute = {"kind": "limit", "coupling": "millicharge_ee", "take": "upper_end", "times": 2.0}
    assert one(tmp_path, compute=compute, published=1.0, gated=False).ours == pytest.approx(2 * interval[1], rel=1e-12)


def test_shipped_rows_name_what_they_repeat():
    documents = {name: read(path) for name, path in validate.shipped().items()}
    for document in documents.values():
        for item in document.rows:
            experiment, colon, quantity = (item.same_as or "").partition(": ")
            if colon:
                (first,) = [r for r in documents[experiment].rows if r.quantity == quantity]
                assert first.counts_as in ("gated", "shown", "input"), item
                assert as_intervals(first.published) == as_intervals(item.published), item


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
    moved = [low, 0.85 * high]
    found = one(tmp_path, compute=compute, published=moved, unit="e", tolerance={"relative": 0.18})
    assert found.ours == interval
    assert found.verdict == "agrees"
    assert found.deviation == pytest.approx(1 / 0.85 - 1)
    for relative, verdict in ((0.17, "broken"), ([0.1, 0.18], "agrees"), ([0.18, 0.1], "broken")):
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
    rows = [row(toys[0]), row(toys[0], quantity="a | b", published=140.0, gated=False, note="other cuts")]
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
    assert str(found).startswith("goodness of fit of the standard model, pandax4t_run1: 2 NLL = 29.6 for 29 degrees")
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
    found = validate.report(beside_too=False).rows
    assert [
        f"{item.experiment}, {item.quantity}: {item.reason}" for item in found if item.verdict in ("broken", "failed")
    ] == []
    assert [f"{item.experiment}, {item.quantity}" for item in found if item.open == "no cause is named"] == []


@pytest.mark.full
def test_what_stands_beside_them_is_computed_and_the_standard_model_fits():
    report = validate.report()
    found = report.rows
    assert [
        f"{item.experiment}, {item.quantity}: {item.reason}" for item in found if item.verdict in ("broken", "failed")
    ] == []
    assert {item.experiment for item in (*found, *report.beside)} == set(validate.shipped())
    assert [f"{item.experiment}, {item.quantity}" for item in found if item.open == "no cause is named"] == []
    assert {fit.experiment for fit in report.fits} == {m for m in shipped_models() if load_model(m).has_data}
    for answer in report.beside:
        assert not any(isinstance(answer.ours[name], str) for name in answer.workspaces), answer
    for fitted in report.fits:
        assert fitted.p_value is None or fitted.p_value > 0.01, str(fitted)
