"""Membership of the world fit: the list, and the rule that it follows."""

import json
from itertools import permutations
from math import sqrt

import pytest

from nuemstat import main_job, membership
from nuemstat.cli import main
from nuemstat.errors import ModelError
from nuemstat.membership import Assessment, Standing
from nuemstat.model import world
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.sidebyside import StandardFit


def fitted(p: float | None, **pulls: float) -> Assessment:
    return Assessment("toy", StandardFit("toy", 30.0, 25, p, None, ""), pulls)


def test_every_data_model_is_listed_once_and_no_other():
    assert set(world.listed()) == {name for name in shipped_models() if load_model(name).has_data}


def test_the_main_job_fits_the_default_members():
    assert main_job.world_models() == tuple(n for n, member in world.listed().items() if member.default)


def test_no_two_default_members_share_data_or_may_share_events():
    members = [load_model(name).document for name in main_job.world_models()]
    for one, other in permutations(members, 2):
        shared = {*one.datasets, *(entry.dataset for entry in one.may_overlap)} & set(other.datasets)
        assert not shared, (one.name, other.name)


def test_what_may_overlap_is_a_data_set_of_another_shipped_model():
    models = [load_model(name).document for name in shipped_models()]
    owners = {dataset: model.name for model in models for dataset in model.datasets}
    for model in models:
        for entry in model.may_overlap:
            assert owners[entry.dataset] != model.name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: {}", "models: found none with default: true"),
        ("models: [a]", r"models: .*dict"),
        ("model: {a: {default: true, reason: b}}", "top level: unknown key 'model'; allowed are models"),
        ("models: {a: {default: yes, reason: b}}", r"models.a.default: found 'yes'"),
        ("models: {a: {default: true}}", r"models.a.reason"),
        ("- a", "top level"),
    ],
)
def test_a_damaged_list_is_one_clear_line(text, words, tmp_path, monkeypatch):
    import nuemstat.model.loader  # noqa: F401 - which keeps the name that it finds when it is imported

    (tmp_path / "world.yaml").write_text(text)
    monkeypatch.setattr("nuemstat.resources.models_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match=rf"world.yaml: {words}") as caught:
        world.listed()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("found", "stays"),
    [
        (fitted(0.5), True),
        (fitted(0.011, edge=2.49), True),
        (fitted(0.009), False),
        (fitted(0.5, edge=0.1, quenching=-2.51), False),
        (fitted(None), True),
        (Assessment("toy", StandardFit("toy", None, None, None, None, "does not converge"), {}), False),
    ],
)
def test_the_rule(found, stays):
    assert found.stays is stays
    assert bool(found.failures) is not stays


def test_what_fails_is_named():
    found = fitted(0.002, edge=0.3, quenching=-3.0)
    assert found.largest == "quenching"
    assert found.failures == ("p = 0.002 below 0.01", "quenching pulled by -3.00, beyond 2.5")
    assert fitted(0.5).largest is None


def test_the_list_contradicts_the_rule_only_where_a_failing_model_is_in_the_fit():
    good, bad = fitted(0.5), fitted(0.001)
    inside, outside = world.Membership(default=True, reason="a"), world.Membership(default=False, reason="b")
    assert [Standing(a, m).agrees for a in (good, bad) for m in (inside, outside)] == [True, True, False, True]


def test_which_pulls_the_rule_looks_at():
    assert membership.efficiency_rows(load_model("pandax4t_run0")) == ("efficiency_edge", "efficiency_plateau")
    assert membership.efficiency_rows(load_model("pandax4t_run0:statistical")) == ()
    assert membership.efficiency_rows(load_model("xenonnt_b8")) == ("light_yield", "charge_yield", "signal_efficiency")
    assert membership.efficiency_rows(load_model("rovno")) == ()


def test_the_pull_of_a_correlated_row_is_that_of_its_sum():
    """Against the fit itself: shared and local part in their own standard deviations."""
    from nuemstat.model.compiler import compile_model
    from nuemstat.stats.minimise import fit

    pulls = fit(compile_model(load_model("pandax4t_run0"))).nuisances
    shared, local = (pulls[n].pull for n in ("pandax4t_efficiency_edge", "pandax4t_run0__efficiency_edge_local"))
    found = membership.assess("pandax4t_run0").pulls["efficiency_edge"]
    assert found == pytest.approx(sqrt(0.7) * shared + sqrt(0.3) * local, rel=1e-9)
    # A sum that alone is constrained shares its pull in the ratio of the weights.
    assert shared / local == pytest.approx(sqrt(0.7 / 0.3), rel=1e-3)


def test_the_command_prints_the_rule(capsys):
    assert main(["members", "rovno", "gemma"]) == 0
    text = capsys.readouterr().out
    assert "rovno" in text
    assert "stays" in text
    assert main(["members", "rovno", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["smallest_p"], found["largest_pull"]) == ("nuemstat/members/1", 0.01, 2.5)
    assert [row["model"] for row in found["members"]] == ["rovno"]


def test_a_failing_member_is_exit_1(monkeypatch, capsys):
    monkeypatch.setattr(membership, "assess", lambda name, _: fitted(0.001))
    assert main(["members", "rovno"]) == 1
    assert "rovno is in the default world fit" not in capsys.readouterr().out


def test_no_data_model_of_that_name(capsys):
    assert main(["members", "rovna"]) == 2
    assert "did you mean 'rovno'" in capsys.readouterr().err
    with pytest.raises(ModelError, match="no data model 'miner_2020'"):
        membership.assess("miner_2020")


@pytest.mark.slow
def test_the_outcome_of_the_rule_is_what_the_list_has():
    for row in membership.standings():
        assert row.agrees, row.cells()
        if row.member.reason.startswith("outcome of the rule"):
            assert row.assessment.stays is row.member.default, row.cells()
