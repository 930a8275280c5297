"""Impacts, pulls and the observed information against the closed forms of linear Gaussian models."""

import json
import math

import numpy as np
import pytest
from scipy.stats import chi2
from toy_workspaces import channel, coupling, free, nuisance, sample, workspace

from nuemstat.errors import FitError
from nuemstat.stats.impacts import ONE_SIGMA, impacts
from nuemstat.stats.information import hessian
from nuemstat.stats.intervals import limit
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import fit
from nuemstat.workspace.modifiers import Norm, NormFactor

SIGNAL = np.array([5.0, 3.0, 1.0])
FLUX = np.array([4.0, 4.0, 4.0])
BACK = np.array([1.0, 2.0, 6.0])
FREE = np.array([2.0, 7.0, 3.0])
OBSERVED = np.array([60.0, 90.0, 75.0])


def linear():
    """Gaussian bins, linear in a coupling, in two pulls and in a free norm."""
    samples = [
        sample("one", 10 * FLUX, Norm(parameter="flux", interpolation="linear", size=0.1)),
        sample("two", 10 * BACK, Norm(parameter="back", interpolation="linear", size=0.1)),
        sample("three", FREE, NormFactor(parameter="rate")),
        sample("nu", SIGNAL, millicharge_ee=1),
    ]
    gauss = channel(samples, OBSERVED, statistic="gaussian", errors=(2.0, 3.0, 2.5))
    named = nuisance("back").model_copy(update={"group": "background"})
    return workspace([gauss], [coupling("millicharge_ee"), nuisance("flux"), named, free("rate")])


def solution():
    """Best fit and covariance of (charge, flux, back, rate): least squares."""
    jacobian = np.stack([SIGNAL, FLUX, BACK, FREE])
    weight = 1 / np.array([2.0, 3.0, 2.5]) ** 2
    information = (jacobian * weight) @ jacobian.T + np.diag([0.0, 1.0, 1.0, 0.0])
    residual = OBSERVED - 10 * FLUX - 10 * BACK
    covariance = np.linalg.inv(information)
    return covariance @ ((jacobian * weight) @ residual), covariance, information


def test_refit_and_covariance_are_the_closed_form():
    best, covariance, _ = solution()
    found = impacts(linear(), "millicharge_ee")
    error = math.sqrt(covariance[0, 0])
    assert found.best_fit == pytest.approx(best[0] * 1e-12, rel=1e-6)
    assert found.error == pytest.approx(error * 1e-12, rel=1e-6)
    assert found.interval == pytest.approx(((best[0] - error) * 1e-12, (best[0] + error) * 1e-12), rel=1e-5)
    assert found.minos == pytest.approx(found.interval, rel=1e-3)
    rows = {row.nuisance: row for row in found.impacts}
    assert set(rows) == {"flux", "back", "rate"}
    for k, name in enumerate(("flux", "back", "rate"), start=1):
        wanted = covariance[0, k] / math.sqrt(covariance[k, k]) * 1e-12
        assert rows[name].fisher == pytest.approx(wanted, rel=1e-6)
        assert rows[name].refit == pytest.approx((-wanted, wanted), rel=1e-5)
        assert rows[name].constraint == (pytest.approx(math.sqrt(covariance[k, k])) if k < 3 else None)
        assert rows[name].pull == (pytest.approx(best[k], rel=1e-6) if k < 3 else None)
    assert [row.size for row in found.impacts] == sorted((row.size for row in found.impacts), reverse=True)
    assert rows["flux"].value == pytest.approx(1 + 0.1 * best[1])
    assert rows["rate"].group == "free"
    errors = np.sqrt(covariance.diagonal())
    np.testing.assert_allclose(found.correlation, covariance / np.outer(errors, errors), atol=1e-9)


def test_groups_are_what_holding_them_takes_away():
    _, covariance, information = solution()
    found = impacts(linear(), "millicharge_ee")
    groups = {group.group: group for group in found.groups}
    assert set(groups) == {"test", "background", "free", "all"}
    assert groups["all"].nuisances == ("flux", "back", "rate")
    for name, held in (("test", [1]), ("background", [2]), ("free", [3]), ("all", [1, 2, 3])):
        left = np.setdiff1d(np.arange(4), held)
        variance = np.linalg.inv(information[np.ix_(left, left)])[0, 0]
        wanted = math.sqrt(covariance[0, 0] - variance) * 1e-12
        assert groups[name].fisher == pytest.approx(wanted, rel=1e-6)
        assert groups[name].refit == pytest.approx((wanted, wanted), rel=1e-4)
    best, width = solution()[0][0], math.sqrt(1 / information[0, 0]) * math.sqrt(chi2.ppf(0.9, 1))
    assert groups["all"].upper_limit == pytest.approx(max(abs(best - width), abs(best + width)) * 1e-12, rel=1e-4)
    assert found.upper_limit == pytest.approx(limit(linear(), "millicharge_ee").upper_limit, rel=1e-6)


def test_a_coupling_at_its_bound_says_so():
    samples = [sample("bkg", [100.0], Norm(parameter="back", interpolation="linear", size=0.1)),
               sample("nu", [10.0], magnetic_moment_e=2)]  # fmt: skip
    model = workspace([channel(samples, [90.0])], [coupling("magnetic_moment_e", bounds=(0.0, None)), nuisance("back")])
    found = impacts(model, "magnetic_moment_e")
    assert found.best_fit == 0.0
    assert found.error is None
    assert found.impacts[0].fisher is None
    row = found.impacts[0]
    held = row.pull - row.constraint  # less background leaves room for 90 - 100 - 10 a = 10 x^2
    assert held < -1
    assert row.refit == pytest.approx((math.sqrt((-10 - 10 * held) / 10) * 1e-11, 0.0), rel=1e-4)
    assert found.groups[-1].upper_limit < found.upper_limit
    assert any("at its bound" in text for text in found.warnings)
    assert json.loads(found.to_json())["error"] is None


def test_a_failed_refit_is_seen(monkeypatch):
    from dataclasses import replace

    from nuemstat.stats import impacts as module

    original = module.minimise

    def failing(likelihood, start, **options):
        return replace(original(likelihood, start, **options), converged=False)

    monkeypatch.setattr(module, "minimise", failing)
    found = impacts(linear(), "millicharge_ee")
    assert not found.valid
    assert "refits did not converge" in found.warnings[0]
    assert {row.refit for row in found.impacts} == {(None, None)}


def test_json_and_table():
    found = impacts(linear(), "millicharge_ee", cl=0.95)
    content = json.loads(found.to_json())
    assert content["schema"] == "nuemstat/impacts/1"
    assert {"workspaces", "schemes", "fixed", "floated", "digest", "valid", "warnings"} <= set(content)
    assert set(content["impacts"][0]) == {
        "nuisance", "group", "value", "error", "unit", "pull", "constraint", "refit", "fisher",
    }  # fmt: skip
    assert content["experiments"].keys() == {"sr"}
    assert content["experiments"]["sr"] == pytest.approx(chi2.ppf(0.95, 1), abs=1e-4)
    assert "limit at 95 %" in str(found)
    assert pytest.approx(0.682689492) == ONE_SIGMA


def curved():
    """Poisson bins far from what is expected, so expected and observed information differ."""
    bins = np.arange(4.0)
    samples = [sample("bkg", 20 - 3 * bins, Norm(parameter="back", interpolation="lognormal", size=0.2)),
               sample("nu", 6 - bins, millicharge_ee=1), sample("nu", 1 + bins, millicharge_ee=2)]  # fmt: skip
    return workspace([channel(samples, [35.0, 14.0, 30.0, 8.0])], [coupling("millicharge_ee"), nuisance("back")])


def test_observed_information_is_the_hessian():
    likelihood = Likelihood(curved())
    x = np.array([1.3, -0.4])
    found = hessian(likelihood, x, likelihood.fisher(x))
    step = 1e-3
    wanted = np.zeros((2, 2))
    for i in (0, 1):
        for j in (0, 1):
            a, b = step * np.eye(2)[i], step * np.eye(2)[j]
            wanted[i, j] = (likelihood(x + a + b) - likelihood(x + a - b) - likelihood(x - a + b)
                            + likelihood(x - a - b)) / (4 * step**2)  # fmt: skip
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_observed_covariance_where_asked():
    expected = fit(curved(), free=("millicharge_ee",))
    observed = fit(curved(), free=("millicharge_ee",), information="observed")
    likelihood = Likelihood(curved())
    x = likelihood.vector({"millicharge_ee": observed.couplings["millicharge_ee"].value / 1e-12})
    x[1] = observed.nuisances["back"].pull
    matrix = np.linalg.inv(hessian(likelihood, x, likelihood.fisher(x)) / 2)
    assert observed.couplings["millicharge_ee"].error == pytest.approx(math.sqrt(matrix[0, 0]) * 1e-12, rel=1e-6)
    assert abs(observed.couplings["millicharge_ee"].error / expected.couplings["millicharge_ee"].error - 1) > 0.02
    assert observed.q_min == expected.q_min
    # where data are as expected and nothing is curved, both are one
    same = [fit(linear(), free=("millicharge_ee",), information=kind).covariance for kind in ("expected", "observed")]
    np.testing.assert_allclose(same[0], same[1], rtol=1e-6)
    with pytest.raises(FitError, match="allowed is 'expected' or 'observed'"):
        fit(curved(), information="both")
