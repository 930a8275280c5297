"""Agreement between experiments as a p-value: closed forms, uniform p-values, and who enters."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import chi2
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.stats.agreement import TOYS, between_experiments
from nuemstat.stats.binomial import binomial_error, lower_bound, upper_bound, written_p
from nuemstat.stats.minimise import floating, global_minimum
from nuemstat.stats.parts import linked, part_of
from nuemstat.stats.problem import prepare
from nuemstat.stats.sensitive import sensitive_experiments
from nuemstat.stats.starts import starts
from nuemstat.workspace.modifiers import Norm

SIGNED, EVEN = "charge_radius_ee", "magnetic_moment_e"
BACKGROUNDS, SIGNALS = np.array([400.0, 900.0, 100.0]), np.array([20.0, 25.0, 6.0])


def measured(numbers, name=EVEN, modifiers=()):
    """Experiments that measure the coupling (its square if even) with Gaussian errors: name -> (value, error)."""
    power, bounds = (2, (0.0, None)) if name == EVEN else (1, (None, None))
    channels = [
        channel([sample("bkg", [50.0], *modifiers), sample("nu", [1.0], **{name: power})], [50.0 + value],
                name=experiment, statistic="gaussian", errors=(error,))
        for experiment, (value, error) in numbers.items()
    ]  # fmt: skip
    return workspace(channels, [coupling(name, bounds=bounds), *(nuisance(m.parameter) for m in modifiers)])


def counted(observed, name):
    """Three counting experiments."""
    power, bounds = (2, (0.0, None)) if name == EVEN else (1, (None, None))
    channels = [
        channel([sample("bkg", [b]), sample("nu", [s], **{name: power})], [n], name=f"number{i}")
        for i, (b, s, n) in enumerate(zip(BACKGROUNDS, SIGNALS, observed, strict=True))
    ]
    return workspace(channels, [coupling(name, bounds=bounds)])


def agreement(model, *, seed=0, executor=None, **more):
    problem = prepare(model, free=tuple(model.couplings), **more)
    best = global_minimum(problem.likelihood, starts(problem.likelihood, floating(problem)))
    return between_experiments(problem, best, seed=seed, executor=executor)


def two_at_a_bound(x, errors):
    """The statistic of two Gaussian measurements (..., 2) of a number that is not negative, in closed form."""
    weights = np.asarray(errors, dtype=float) ** -2
    mean = np.maximum((x * weights).sum(axis=-1) / weights.sum(), 0.0)
    return ((x - mean[..., None]) ** 2 * weights - np.minimum(x, 0.0) ** 2 * weights).sum(axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize(("x", "errors"), [((1.2, -2.0), (1.0, 1.0)), ((-0.1, 0.95), (0.1, 1.0))])
def test_two_measurements_at_a_bound(x, errors):
    """Independent throws of the closed form; in the second case p is about half that of chi2."""
    found = agreement(measured({"one": (x[0], errors[0]), "two": (x[1], errors[1])}), seed=3)
    assert found.q == pytest.approx(two_at_a_bound(np.array(x), errors), abs=1e-5)
    thrown = two_at_a_bound(np.random.default_rng(1).normal(0.0, errors, (400_000, 2)), errors)
    p = float((thrown >= found.q).mean())
    assert (found.method, found.toys, found.seed) == ("toys", TOYS, 3)
    assert found.p_value == pytest.approx(p, abs=3 * binomial_error(p, TOYS))
    zero = float((thrown < 1e-6).mean())
    assert found.zero_share == pytest.approx(zero, abs=3 * binomial_error(zero, TOYS))
    assert found.stated == f"p = {found.p_value:.2g} +- 0.02 (toys)"
    if errors[0] < errors[1]:
        assert chi2.sf(found.q, 1) > 0.3
        assert p == pytest.approx(0.5 * chi2.sf(found.q, 1), abs=0.02)
        assert found.p_value < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("truth", [0.0, 1.5])
def test_p_values_of_a_bounded_coupling_are_uniform(truth):
    """At the bound joint best fits above it make p a little larger than it should be, well within the errors."""
    random, number, found = np.random.default_rng(7), 150, []
    for i in range(number):
        found.append(agreement(counted(random.poisson(BACKGROUNDS + SIGNALS * truth**2).astype(float), EVEN), seed=i))
    p = np.array([1.0 if f.p_value is None else f.p_value for f in found])
    zero = float(np.mean([f.q < 1e-4 for f in found]))
    assert {f.method for f in found} == {"toys"}
    assert all(f.at_least == 0.3 for f in found if f.p_value is None)
    for level in (0.05, 0.1, 0.3):
        assert level < 1 - zero
        assert (p <= level).mean() == pytest.approx(level, abs=3 * binomial_error(level, number)), level


@pytest.mark.slow
def test_p_values_of_an_unbounded_coupling_are_uniform():
    random, number, found = np.random.default_rng(8), 300, []
    for _ in range(number):
        found.append(agreement(counted(random.poisson(BACKGROUNDS + 0.5 * SIGNALS).astype(float), SIGNED)))
    assert {f.method for f in found} == {"chi2"}
    assert {f.ndof for f in found} == {2}
    for level in (0.05, 0.1, 0.3):
        share = float(np.mean([f.p_value <= level for f in found]))
        assert share == pytest.approx(level, abs=3 * binomial_error(level, number)), level


@pytest.mark.slow
def test_another_truth_of_one_member_is_seen():
    """5 +- 1 against 0 +- 0.1 at its bound."""
    found = agreement(measured({"one": (5.0, 1.0), "two": (0.0, 0.1)}))
    assert found.q == pytest.approx(25 / 1.01, rel=1e-4)
    assert found.p_value == pytest.approx(1 / (TOYS + 1))
    assert found.at_most == pytest.approx(1 - 0.05 ** (1 / TOYS))
    assert found.stated == "p < 0.0099 (toys)"
    signed = agreement(measured({"one": (5.0, 1.0), "two": (0.0, 0.1)}, SIGNED))
    assert signed.p_value == pytest.approx(chi2.sf(25 / 1.01, 1), rel=1e-4)
    assert signed.stated.endswith("(chi2, 1 dof)")
    assert (signed.toys, signed.zero_share, signed.seed) == (0, None, None)


@pytest.mark.slow
def test_members_that_are_not_sensitive_change_nothing():
    two = {"one": (1.5, 1.0), "two": (-1.0, 0.8)}
    for name in (EVEN, SIGNED):
        alone, more = agreement(measured(two, name)), agreement(measured(two | {"three": (300.0, 100.0)}, name))
        assert more.members == ("one", "two")
        assert more.ndof == 1
        assert more.q == pytest.approx(alone.q, rel=1e-2, abs=1e-3), "three moves the joint fit by 1e-4 of an error"
        assert more.p_value == pytest.approx(alone.p_value, abs=0.01)


@pytest.mark.parametrize("seen", [-30.0, 0.0, 30.0, 800.0])
def test_sensitivity_does_not_depend_on_what_is_seen(seen):
    for name in (EVEN, SIGNED):
        model = measured({"one": (seen, 1.0), "two": (2.0, 1.5), "three": (-seen, 40.0)}, name)
        found = sensitive_experiments(prepare(model, free=(name,)))
        assert found == {name: ("one", "two")}


def test_the_threshold_of_sensitivity():
    """Signed and linear: the own 2 NLL of an experiment at an end of the set is 2.71 times its share of the weight."""
    for share, is_sensitive in ((0.0030, False), (0.0045, True)):  # 0.01 / 2.71 = 0.0037
        error = np.sqrt((1 - share) / share)
        model = measured({"one": (0.0, np.sqrt(2)), "two": (0.0, np.sqrt(2)), "three": (0.0, error)}, SIGNED)
        found = sensitive_experiments(prepare(model, free=(SIGNED,)))
        assert ("three" in found[SIGNED]) is is_sensitive


def test_without_tension_there_is_nothing_to_throw():
    found = agreement(measured({"one": (-1.0, 1.0), "two": (-0.2, 0.5)}))
    assert (found.p_value, found.p_error, found.toys, found.stated) == (1.0, 0.0, 0, "p = 1 (toys)")


def test_the_first_toys_are_enough_where_experiments_agree():
    found = agreement(measured({"one": (2.0, 1.0), "two": (2.2, 1.0), "three": (1.9, 1.0)}))
    assert (found.p_value, found.at_least, found.toys) == (None, 0.3, 50)
    assert found.stated == "p > 0.3 (toys)"


def test_only_one_sensitive_member():
    assert agreement(measured({"one": (2.0, 1.0), "two": (3.0, 90.0)})) is None


@pytest.mark.slow
def test_who_computes_toys_does_not_matter():
    model = measured(
        {"one": (2.5, 1.0), "two": (-0.5, 0.5)}, modifiers=[Norm(parameter="pull", interpolation="linear", size=0.02)]
    )
    here = agreement(model, seed=5)
    with ThreadPoolExecutor(2) as executor:
        assert asdict(agreement(model, seed=5, executor=executor)) == asdict(here)
    assert here.toys == TOYS
    assert agreement(model, seed=6).p_value != here.p_value


def test_a_fixed_nuisance_counts_once():
    pull = Norm(parameter="pull", interpolation="linear", size=0.02)
    found = agreement(measured({"one": (3.0, 1.0), "two": (1.0, 1.0)}, SIGNED, [pull]), fixed={"pull": 1.3})
    assert found.q == pytest.approx(2.0, rel=1e-6)


def test_parts_and_what_links_them():
    pull = Norm(parameter="pull", interpolation="linear", size=0.02)
    channels = [
        channel([sample("bkg", [50.0], *mods), sample("nu", [1.0], **{name: 1})], [52.0 + i], name=f"part{i}")
        for i, (mods, name) in enumerate([((pull,), SIGNED), ((), "charge_radius_mumu"), ((pull,), "millicharge_ee")])
    ]
    names = (SIGNED, "charge_radius_mumu", "millicharge_ee")
    model = workspace(channels, [*(coupling(name) for name in names), nuisance("pull")])
    whole = prepare(model, free=names).likelihood
    assert linked(whole) == [("part0", "part2"), ("part1",)]
    x, total = np.array([0.3, -0.2, 0.4, 0.7]), 0.0
    for group in linked(whole):
        part = part_of(whole, group)
        total += part.likelihood(x[part.columns])
    assert total == pytest.approx(whole(x), rel=1e-12)


def test_binomial_statements():
    assert upper_bound(0, 100, 0.95) == pytest.approx(1 - 0.05**0.01)
    assert upper_bound(100, 100, 0.95) == 1.0
    assert lower_bound(0, 50, 0.99) == 0.0
    assert lower_bound(50, 50, 0.99) == pytest.approx(0.01**0.02)
    assert binomial_error(0.1, 300) == pytest.approx(0.01732, abs=1e-5)
    assert written_p(0.1234, 0.0191) == "p = 0.12 +- 0.02"
    assert written_p(0.5) == "p = 0.5"
    assert written_p(None, at_least=0.3) == "p > 0.3"
    assert written_p(0.003, 0.003, at_most=0.0099) == "p < 0.0099"
