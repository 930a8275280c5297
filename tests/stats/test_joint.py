"""A joint limit taken apart: closed forms for measurements with Gaussian errors, and the bookkeeping around them."""

import json
from math import sqrt

import pytest
from scipy.stats import chi2
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.errors import FitError, WorkspaceError
from nuemstat.stats.goodness import goodness
from nuemstat.stats.intervals import limit
from nuemstat.stats.joint import joint_limit, summary, taken_apart
from nuemstat.workspace.combine import combine
from nuemstat.workspace.modifiers import Norm

LEVEL = float(chi2.ppf(0.9, 1))
NAME, SCALE = "charge_radius_ee", 1e-32


def member(name, observed, error, *modifiers, parameter=NAME, power=1, slope=1.0, experiment="same"):
    """An experiment that measures the coupling as observed +- error (slope 1)."""
    samples = [sample("bkg", [10.0], *modifiers), sample("nu", [slope], **{parameter: power})]
    part = channel(samples, [10.0 + observed], name=f"{name}_rate", statistic="gaussian", errors=(error,))
    bounds = (0.0, None) if power == 2 else (None, None)
    shared = [nuisance("shared")] if modifiers else []
    return workspace(
        [part.model_copy(update={"experiment": experiment})], [coupling(parameter, bounds=bounds), *shared], name
    )


MEASURED = {"one": (1.0, 2.0), "two": (4.0, 1.0), "three": (2.5, 40.0)}


def members():
    return [member(name, *numbers) for name, numbers in MEASURED.items()]


def mean_of(names):
    weights = {name: MEASURED[name][1] ** -2 for name in names}
    total = sum(weights.values())
    return sum(weights[name] * MEASURED[name][0] for name in names) / total, 1 / sqrt(total)


def test_measurements_with_gaussian_errors():
    """Members that all name the same experiment are told apart by their workspaces."""
    found = joint_limit(members(), NAME)
    mean, error = mean_of(MEASURED)
    ends = [mean + sign * sqrt(LEVEL) * error for sign in (-1, 1)]
    assert found.intervals[0] == pytest.approx([end * SCALE for end in ends])
    for end, at in zip(found.ends, ends, strict=True):
        assert end.at == pytest.approx(at * SCALE)
        assert end.shared == 0.0
        for name, (value, sigma) in MEASURED.items():
            wanted = ((at - value) ** 2 - (mean - value) ** 2) / sigma**2 / LEVEL
            assert end.members[name] == pytest.approx(wanted, rel=1e-5)
    for name, share in found.shares.items():
        assert share == pytest.approx(sum(end.members[name] for end in found.ends) / 2)
        assert share == pytest.approx(error**2 / MEASURED[name][1] ** 2, rel=1e-5)
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_without_each_in_turn():
    found = joint_limit(members(), NAME)
    assert found.without["three"] is None, "its share is below the cut"
    for name, others in (("one", ["two", "three"]), ("two", ["one", "three"])):
        mean, error = mean_of(others)
        ends = [(mean + sign * sqrt(LEVEL) * error) * SCALE for sign in (-1, 1)]
        assert found.without[name][0] == pytest.approx(ends)
    everything = joint_limit(members(), NAME, cut=0.0)
    mean, error = mean_of(["one", "two"])
    assert everything.without["three"][0][1] == pytest.approx((mean + sqrt(LEVEL) * error) * SCALE)


def test_without_is_the_limit_of_the_others_combined():
    pull = Norm(parameter="shared", interpolation="lognormal", size=0.2)
    three = [
        member("one", 1.0, 2.0, pull),
        member("two", 4.0, 1.0, pull),
        member("three", 2.0, 3.0, pull, parameter="charge_radius_mumu", experiment="other"),
    ]
    found = joint_limit(three, "charge_radius", cut=0.0)
    for k, left_out in enumerate(three):
        others = combine([other for i, other in enumerate(three) if i != k])
        wanted = limit(others, "charge_radius").intervals
        assert [end for pair in found.without[left_out.name] for end in pair] == pytest.approx(
            [end for pair in wanted for end in pair], rel=1e-6
        )
    assert sum(found.shares.values()) + sum(end.shared for end in found.ends) / 2 == pytest.approx(1.0)


def test_agreement_is_the_parameter_goodness_of_fit():
    found = joint_limit(members()[:2], NAME).compatibility
    assert found.q == pytest.approx((4.0 - 1.0) ** 2 / (2.0**2 + 1.0**2))
    assert found.ndof == 1
    assert found.p_value == pytest.approx(chi2.sf(found.q, 1))
    separate = [part.model_copy(update={"channels": (c.model_copy(update={"experiment": part.name}),)})
                for part in members()[:2] for c in part.channels]  # fmt: skip
    assert goodness(combine(separate), free=(NAME,)).parameters.q == pytest.approx(found.q)


def test_an_even_coupling_has_one_end():
    two = [
        member(n, v, e, parameter="magnetic_moment_e", power=2) for n, v, e in (("one", 0.5, 1.0), ("two", 0.1, 2.0))
    ]
    found = joint_limit(two, "magnetic_moment_e")
    assert found.intervals[0][0] == 0.0
    assert len(found.ends) == 1
    assert found.ends[0].at == found.intervals[0][1]
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_agreement_of_even_couplings_is_found_from_their_stationary_zero():
    """Both prefer a moment of their own; a search that starts at 0 and stays there would not see it."""
    two = [
        member(n, v, e, parameter="magnetic_moment_e", power=2)
        for n, v, e in (("one", -3.0, 1.0), ("two", 2.0, 1.0), ("three", -3.0, 1.0))
    ]
    found = joint_limit(two, "magnetic_moment_e").compatibility
    assert found.q == pytest.approx(2.0**2, abs=1e-6)
    assert found.experiments["two"]["magnetic_moment_e"] == pytest.approx(sqrt(2.0) * 1e-11, rel=1e-5)


def test_the_only_holder_of_a_coupling():
    two = [member("one", 1.0, 2.0), member("two", 4.0, 1.0, parameter="charge_radius_mumu")]
    found = joint_limit(two, NAME)
    assert found.compatibility is None
    assert found.without == {"one": (), "two": None}
    assert "no other holds it" in str(found)


def test_printed_and_written():
    found = joint_limit(members(), NAME)
    lines = str(found).splitlines()
    assert lines[0] == "charge_radius_ee at 90 % [cm^2] from one, two, three"
    assert [line.split()[0] for line in lines[1:]] == ["left", "none", "two", "one", "three", "agreement", "expected"]
    assert "as above" in lines[-3]
    assert lines[-1].endswith("(asimov)")
    assert json.loads(found.to_json())["schema"] == "nuemstat/joint_limit/1"
    assert "<table>" in found._repr_html_()
    written = summary(["one", "two", "three"], [found])
    assert written["couplings"][0]["joint"] == [list(found.intervals[0])]
    assert written["couplings"][0]["compatibility"]["members"] == ["one", "two"], "three is not sensitive"
    assert json.loads(json.dumps(written)) == written


def test_what_cannot_be_taken_apart():
    with pytest.raises(FitError, match="joint limit: found 1 members; 2 or more are needed"):
        taken_apart(members()[:1], limit(members()[0], NAME))
    with pytest.raises(WorkspaceError, match="millicharge_ee"):
        joint_limit(members(), "millicharge_ee")
    twice = members()[0]
    with pytest.raises(WorkspaceError, match="both use dataset"):
        joint_limit([twice, twice.model_copy(update={"name": "again"})], NAME)


def test_who_holds_a_coupling_without_counts_has_no_say_in_it():
    empty = member("empty", 0.0, 1.0, slope=0.0)
    found = joint_limit([*members()[:2], empty], NAME)
    wanted = joint_limit(members()[:2], NAME).compatibility
    assert found.compatibility.q == pytest.approx(wanted.q)
    assert found.compatibility.ndof == 1
    assert set(found.compatibility.experiments) == {"one", "two"}
    assert joint_limit([members()[0], empty], NAME).compatibility is None


def test_what_fails_is_a_warning_and_the_rest_is_there(monkeypatch):
    def fails(*_, **__):
        raise FitError("no luck")

    monkeypatch.setattr("nuemstat.stats.joint.between_experiments", fails)
    monkeypatch.setattr("nuemstat.stats.joint.profiled_set", fails)
    found = joint_limit(members()[:2], NAME)
    assert found.warnings == ("agreement: no luck", "without one: no luck", "without two: no luck")
    assert not found.valid
    assert (found.compatibility, found.without) == (None, {"one": None, "two": None})
    assert str(found).count("not found") == 2
    assert sum(found.shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("question", [{"data": "asimov"}, {"free": ("millicharge_ee",)}, {"fixed": {"shared": 1.0}}])
def test_a_limit_of_another_question_is_refused(question):
    pull = Norm(parameter="shared", interpolation="lognormal", size=0.2)
    two = [member("one", 1.0, 2.0, pull), member("two", 4.0, 1.0, parameter="millicharge_ee")]
    with pytest.raises(FitError, match="observed data with nothing besides is allowed"):
        taken_apart(two, limit(combine(two), NAME, **question))


def test_members_of_one_name_are_refused():
    two = [members()[0], members()[1].model_copy(update={"name": "one"})]
    with pytest.raises(FitError, match="found members one, one; different names are needed"):
        joint_limit(two, NAME)


def test_a_set_that_ends_at_a_bound_has_shares_at_its_other_end():
    """1.7e-32 over 1e-32 is more than 1.7, to the last bit."""
    bounded = [coupling(NAME, bounds=(None, 1.7))]
    two = [part.model_copy(update={"parameters": tuple(bounded)}) for part in members()[:2]]
    found = joint_limit(two, NAME)
    assert found.intervals[0][1] == pytest.approx(1.7e-32)
    assert [end.at for end in found.ends] == [found.intervals[0][0]]
    assert sum(found.shares.values()) == pytest.approx(1.0)
