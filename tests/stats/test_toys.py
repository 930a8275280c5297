"""Toys: their moments, their seeds, their global minima, and the sums that are kept of them."""

import numpy as np
import pytest
from scipy.stats import chi2, kstest
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.errors import FitError
from nuemstat.stats.execution import Task
from nuemstat.stats.newton import minimise
from nuemstat.stats.problem import prepare
from nuemstat.stats.profile import Profile
from nuemstat.stats.starts import reach
from nuemstat.stats.tails import Tail, summary, two_sided_score
from nuemstat.stats.toys import Toys, seeds_of
from nuemstat.stats.valley import places_along
from nuemstat.workspace.modifiers import Norm


def double_well(observed=(46.0, 38.0, 33.0, 29.0)):
    """Interference: a second solution near 1.2, told apart from 0 by 1 in 2 NLL or so."""
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.1)
    bins = np.arange(4.0)
    samples = [
        sample("bkg", 40 * np.exp(-bins / 6)),
        sample("nu", 6 * np.exp(-bins / 3), flux),
        sample("nu", -40 * np.exp(-bins / 3), flux, charge_radius_ee=1),
        sample("nu", 33 * np.exp(-bins / 2.5), flux, charge_radius_ee=2),
    ]
    return workspace([channel(samples, observed)], [coupling("charge_radius_ee"), nuisance("flux")])


def toys_of(model, name, height=12.0):
    problem = prepare(model, couplings=(name,))
    profile = Profile(problem.likelihood, name)
    profile.explore(height)
    return Toys(problem, places_along(profile))


def seeds(n, seed=1):
    return seeds_of(Task("fc", 0.5, 0, (), 0.0, seed), n)


def test_counts_and_centres_fluctuate_about_the_truth():
    covariance = ((4.0, 1.5), (1.5, 2.0))
    flux = Norm(parameter="flux", interpolation="linear", size=0.1)
    model = workspace(
        [
            channel([sample("nu", [3.0, 80.0], flux, millicharge_ee=1)], [3.0, 80.0], name="counts"),
            channel([sample("nu", [5.0, 7.0], millicharge_ee=1)], [5.0, 7.0], name="rates", statistic="gaussian",
                    covariance=covariance),
            channel([sample("nu", [1.0], millicharge_ee=1)], [1.0], name="one", statistic="gaussian", errors=(3.0,)),
        ],
        [coupling("millicharge_ee"), nuisance("flux")],
    )  # fmt: skip
    toys = toys_of(model, "millicharge_ee")
    truth = toys.likelihood.vector({"millicharge_ee": 2.0, "flux": 1.5})
    n = 20000
    counts, centres = toys.throw(truth, seeds(n))
    mean, spread = counts.mean(axis=0), np.cov(counts.T)
    wanted = [6.0 * 1.15, 160 * 1.15, 10.0, 14.0, 2.0]
    variances = np.array([*wanted[:2], 4.0, 2.0, 9.0])
    assert (np.abs(mean - wanted) < 4 * np.sqrt(variances / n)).all()
    assert (np.abs(spread.diagonal() / variances - 1) < 5 * np.sqrt(2.2 / n)).all()
    assert spread[2, 3] == pytest.approx(1.5, abs=5 * np.sqrt((8 + 1.5**2) / n))
    place = toys.likelihood.index("flux")
    assert kstest(centres[:, place] - 1.5, "norm").pvalue > 1e-3
    assert (centres[:, toys.index] == 0).all()


def test_a_toy_depends_on_its_own_seed_only():
    toys = toys_of(double_well(), "charge_radius_ee")
    truth = toys.likelihood.vector({"charge_radius_ee": 0.3})
    many = toys.throw(truth, seeds(30))
    few = toys.throw(truth, seeds(30)[10:12])
    assert (many[0][10:12] == few[0]).all()
    assert (many[1][10:12] == few[1]).all()
    task = Task("fc", 0.5, 1, (), 0.0, 1)
    assert toys.throw(truth, seeds_of(task, 10)[:2])[0].tolist() == few[0].tolist()
    others = [Task("fc", 0.5, 1, (), 0.0, 2), Task("fc", 0.25, 1, (), 0.0, 1), Task("signal", 0.5, 1, (), 0.0, 1)]
    for other in others:
        assert toys.throw(truth, seeds_of(other, 10)[:2])[0].tolist() != few[0].tolist()


def test_negative_expectations_are_told():
    model = workspace(
        [channel([sample("bkg", [5.0]), sample("nu", [4.0], millicharge_ee=1)], [5.0])], [coupling("millicharge_ee")]
    )
    toys = toys_of(model, "millicharge_ee")
    with pytest.raises(FitError, match=r"channel sr, bin 0: -3 counts are expected at millicharge_ee = -2e-12 e"):
        toys.throw(toys.likelihood.vector({"millicharge_ee": -2.0}), seeds(1))


def test_every_toy_finds_its_global_minimum():
    """Against many starts of each toy: the statistic is the same, and two basins do occur."""
    toys = toys_of(double_well(), "charge_radius_ee")
    truth = toys.likelihood.vector({"charge_radius_ee": 0.5})
    counts, centres = toys.throw(truth, seeds(60))
    fitted = toys.fit(counts, centres, truth)
    assert fitted.usable.all()
    assert (fitted.q >= 0).all()
    held = np.arange(truth.size) == toys.index
    for row, centre, q, best in zip(counts, centres, fitted.q, fitted.best, strict=True):
        own = toys.likelihood.with_data(row, centre)
        starts = [truth, *(own.vector({"charge_radius_ee": v}) for v in (-1.0, -0.2, 0.2, 0.9, 1.3, 2.0))]
        found = [s for s in (minimise(own, start) for start in starts) if s.converged]
        lowest = min(found, key=lambda s: s.value)
        conditional = min(minimise(own, s, held=held).value for s in (truth, own.vector({"charge_radius_ee": 0.5})))
        assert q == pytest.approx(conditional - lowest.value, abs=1e-6)
        assert best == pytest.approx(lowest.x[toys.index], abs=1e-3) or len(found) > 1
    middle = reach(toys.likelihood, "charge_radius_ee").base + 0.6
    assert 5 < (fitted.best > middle).sum() < 55


def test_tails_add_up_and_know_their_quantiles():
    statistics = chi2.rvs(1, size=40000, random_state=np.random.default_rng(5))
    usable = np.ones(statistics.size, dtype=bool)
    usable[7] = False
    whole, parts = Tail(), Tail()
    whole.add(summary(statistics, usable, 2.0))
    for i in range(0, statistics.size, 100):
        parts.add(summary(statistics[i : i + 100], usable[i : i + 100], 2.0))
    assert (parts.toys, parts.beyond, parts.failed) == (whole.toys, whole.beyond, 1) == (39999, parts.beyond, 1)
    assert (parts.histogram == whole.histogram).all()
    assert parts.beyond == int((statistics[usable] >= 2.0).sum())
    for cl in (0.68, 0.9, 0.95):
        critical, error = parts.critical(cl)
        exact = chi2.ppf(cl, 1)
        between = 4 * np.sqrt(cl * (1 - cl) * 39999)  # toys from which the density is read
        wanted = np.sqrt(cl * (1 - cl) / 39999) / chi2.pdf(exact, 1)
        assert error == pytest.approx(wanted, rel=3.5 / np.sqrt(between))
        assert abs(critical - exact) < 3.5 * error
    assert parts.p_value == pytest.approx(chi2.sf(2.0, 1), abs=3.5 * parts.p_error)


def test_ties_with_the_data_count():
    assert summary(np.array([0.0, 1.0 - 1e-9, 1.0, 0.5]), np.ones(4, dtype=bool), 1.0)["beyond"] == 2
    assert summary(np.zeros(3), np.ones(3, dtype=bool), 0.0)["beyond"] == 3


def test_a_two_sided_p_value_is_deviations_from_the_threshold():
    score, error = two_sided_score(0.1, 0.003, 0.9)
    assert score == pytest.approx(0.0, abs=1e-12)
    moved, _ = two_sided_score(0.103, 0.003, 0.9)
    assert -moved == pytest.approx(error, rel=0.03)
