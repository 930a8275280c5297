"""Fits: closed forms, pulls, covariances, the verifier, and failures that are seen."""

import json
import math

import numpy as np
import pytest
from scipy.stats import chi2
from toy_workspaces import channel, coupling, nuisance, numbers, sample, workspace

from nuemstat.errors import FitError
from nuemstat.stats import minimise as module
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import fit, migrad
from nuemstat.stats.newton import minimise
from nuemstat.workspace.modifiers import Norm

RNG = np.random.default_rng(11)


def linear(n=8):
    """A linear Gaussian model, for which least squares is the whole truth."""
    bins = np.arange(float(n))
    pull = Norm(parameter="rate", interpolation="linear", size=0.2)
    samples = [sample("bkg", 20 + bins, pull), sample("nu", 3 * np.exp(-bins / 3), millicharge_ee=1)]
    observed = 21 + bins + RNG.normal(size=n)
    errors = numbers(np.full(n, 1.3))
    return workspace(
        [channel(samples, observed, statistic="gaussian", errors=errors)],
        [coupling("millicharge_ee"), nuisance("rate", centre=5.0, sigma=0.5)],
    )


def curved(observed=(33.0, 28.0, 21.0)):
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.3)
    samples = [
        sample("bkg", [30, 25, 20]),
        sample("nu", [-9, -5, -2], flux, millicharge_ee=1),
        sample("nu", [7, 4.5, 3], flux, millicharge_ee=2),
    ]
    return workspace([channel(samples, observed)], [coupling("millicharge_ee"), nuisance("flux")])


def test_linear_gaussian_fit_is_least_squares():
    model = linear()
    found = fit(model, free=("millicharge_ee",))
    bins = np.arange(8.0)
    design = np.vstack([3 * np.exp(-bins / 3), 0.2 * (20 + bins)]) / 1.3
    target = (np.array(model.channels[0].observed) - 20 - bins) / 1.3
    matrix = design @ design.T + np.diag([0.0, 1.0])
    best = np.linalg.solve(matrix, design @ target)
    errors = np.sqrt(np.linalg.inv(matrix).diagonal())
    charge, rate = found.couplings["millicharge_ee"], found.nuisances["rate"]
    assert charge.value == pytest.approx(best[0] * 1e-12, rel=1e-7)
    assert charge.error == pytest.approx(errors[0] * 1e-12, rel=1e-9)
    assert rate.pull == pytest.approx(best[1], rel=1e-7)
    assert rate.value == pytest.approx(5.0 + 0.5 * best[1], rel=1e-9)
    assert rate.error == pytest.approx(0.5 * errors[1], rel=1e-9)
    q = ((target - best @ design) ** 2).sum() + best[1] ** 2
    assert found.q_min == pytest.approx(q, rel=1e-9)
    assert found.ndof == 7
    assert found.p_value == pytest.approx(chi2.sf(q, 7), rel=1e-8)
    assert found.covariance[0, 1] == pytest.approx(np.linalg.inv(matrix)[0, 1] * 1e-12 * 0.5, rel=1e-9)
    assert found.yields["sr"]["nu"] == pytest.approx(best[0] * 3 * np.exp(-bins / 3).sum(), rel=1e-7)


def test_nothing_floats_but_nuisances():
    found = fit(curved())
    assert found.couplings == {}
    assert found.floated == ()
    assert set(found.nuisances) == {"flux"}
    assert found.nuisances["flux"].pull == pytest.approx(0.0, abs=1e-9)


def test_fixed_values_are_physical():
    model = linear()
    found = fit(model, fixed={"millicharge_ee": 2e-12, "rate": 5.25})
    likelihood = Likelihood(model, fixed={"millicharge_ee": 2.0, "rate": 0.5})
    assert found.q_min == pytest.approx(likelihood(np.zeros(0)), rel=1e-12)
    assert found.fixed == {"millicharge_ee": 2e-12, "rate": 5.25}


@pytest.mark.parametrize("seed", range(6))
def test_both_minimisers_agree_from_one_start(seed):
    rng = np.random.default_rng(seed)
    likelihood = Likelihood(curved(rng.poisson([31, 26, 20]).astype(float)))
    start = likelihood.vector({"millicharge_ee": rng.uniform(-3, 3)})
    x, value = migrad(likelihood, start)
    polished = minimise(likelihood, x)
    assert polished.converged
    assert value == pytest.approx(polished.value, abs=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_newton_ends_at_a_stationary_point(seed):
    rng = np.random.default_rng(seed)
    likelihood = Likelihood(curved(rng.poisson([31, 26, 20]).astype(float)))
    found = minimise(likelihood, likelihood.vector({"millicharge_ee": rng.uniform(-3, 3)}))
    assert found.converged
    assert found.iterations < 25
    np.testing.assert_allclose(found.gradient, 0, atol=3e-3)
    for _ in range(20):
        assert likelihood(found.x + 0.02 * rng.normal(size=2)) > found.value


def test_held_parameters_and_bounds_are_kept():
    samples = [sample("bkg", [9.0]), sample("nu", [2.0], magnetic_moment_e=2)]
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.5)
    samples.append(sample("more", [3.0], flux))
    model = workspace([channel(samples, [5.0])], [coupling("magnetic_moment_e", bounds=(0.0, None)), nuisance("flux")])
    found = minimise(Likelihood(model), np.array([2.0, 0.0]))
    assert found.converged
    assert found.x[0] == pytest.approx(0.0, abs=1e-3)
    held = minimise(Likelihood(model), np.array([2.0, 0.0]), held=np.array([True, False]))
    assert held.x[0] == 2.0
    result = fit(model, free=("magnetic_moment_e",))
    assert result.couplings["magnetic_moment_e"].value == pytest.approx(0.0, abs=1e-14)


def test_a_fit_may_start_where_counts_are_negative():
    likelihood = Likelihood(curved())
    negative = curved()
    samples = (sample("bkg", [30, 25, 20]), sample("nu", [-20, -4, 1], millicharge_ee=1))
    negative = workspace([channel(samples, [33, 28, 21])], [coupling("millicharge_ee")])
    likelihood = Likelihood(negative)
    assert likelihood.counts(np.array([6.0])).min() < 0
    found = minimise(likelihood, np.array([6.0]))
    assert found.converged
    assert found.value == pytest.approx(minimise(likelihood, np.array([0.1])).value, abs=1e-8)


def test_disagreement_is_an_error_that_shows_both(monkeypatch):
    monkeypatch.setattr(module, "migrad", lambda likelihood, x: (likelihood.defaults + 0.7, 99.0))
    with pytest.raises(FitError, match=r"Fisher scoring ends at 2 NLL = .* and MIGRAD at 99\.0"):
        fit(curved(), free=("millicharge_ee",))


def test_no_convergence_is_an_error(monkeypatch):
    def stopped(likelihood, start, **options):
        return minimise(likelihood, start, iterations=0)

    monkeypatch.setattr(module, "minimise", stopped)
    with pytest.raises(FitError, match="no fit converges from"):
        fit(curved(), free=("millicharge_ee",))


def test_negative_best_fit_is_an_error():
    """A deficit that only interference can make, past zero in an empty bin."""
    samples = [sample("bkg", [50.0, 2.0]), sample("nu", [-10.0, -1.0], millicharge_ee=1)]
    model = workspace([channel(samples, [20.0, 0.0])], [coupling("millicharge_ee")])
    with pytest.raises(FitError, match="channel sr, bin 1"):
        fit(model, free=("millicharge_ee",))


def test_start_is_one_more_start():
    a = fit(curved(), free=("millicharge_ee",))
    b = fit(curved(), free=("millicharge_ee",), start={"millicharge_ee": -2.5})
    assert b.q_min == pytest.approx(a.q_min, abs=1e-9)


def test_json_and_table():
    found = fit(curved(), free=("millicharge_ee",))
    content = json.loads(found.to_json())
    assert set(content) == {
        "schema", "workspaces", "schemes", "fixed", "floated", "digest", "valid", "warnings",
        "q_min", "ndof", "p_value", "couplings", "nuisances", "yields",
    }  # fmt: skip
    assert set(content["couplings"]["millicharge_ee"]) == {"value", "error", "unit"}
    assert set(content["nuisances"]["flux"]) == {"value", "error", "pull"}
    assert math.isfinite(content["q_min"])
    assert "millicharge_ee" in str(found)
