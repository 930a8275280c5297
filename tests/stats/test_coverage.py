"""Coverage: the closed form of a bounded mean, and Feldman-Cousins within the error of its experiments."""

import json

import numpy as np
import pytest
from scipy.stats import norm
from test_feldman_cousins import bounded_mean
from test_hypotest import counting
from test_toys import double_well

from nuemstat.errors import FitError
from nuemstat.stats.coverage import coverage
from nuemstat.stats.execution import Plan


def agrees(covered, wanted, errors=3.5):
    return abs(covered.coverage - wanted) < errors * covered.error


def test_profile_coverage_of_a_bounded_mean_is_the_closed_form():
    """At the bound the profile's interval misses only upward fluctuations: 95 % at 90 %; far above, 90 %."""
    z = norm.ppf(0.95)
    for true, wanted in ((0.0, norm.cdf(z)), (1.0, norm.cdf(z) - norm.cdf((1 - z * z) / 2 - 1)), (4.0, 0.9)):
        found = coverage(bounded_mean(1.0), "millicharge_ee", true * 1e-12, experiments=400, plan=Plan(toys=0))
        assert found.experiments == 400
        assert agrees(found.intervals["profile"], wanted)
        assert agrees(found.intervals["boundary"], 0.9)
        assert set(found.intervals) == {"profile", "boundary"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "coupling", "true"),
    [(counting(12.0, 10.0, 2.0, size=0.2), "magnetic_moment_e", 0.5e-11), (double_well(), "charge_radius_ee", 0.5e-32)],
    ids=["bounded magnetic moment", "double-well charge radius"],
)
def test_feldman_cousins_covers(model, coupling, true):
    """90 % within the error of the experiments, plus what a discrete count may cover more."""
    found = coverage(model, coupling, true, experiments=150, plan=Plan(toys=99, seed=1))
    print(found)
    low = found.intervals["fc"].coverage + 3.0 * found.intervals["fc"].error
    high = found.intervals["fc"].coverage - 3.0 * found.intervals["fc"].error
    assert high < 0.9 < low
    assert 0.5 < found.intervals["profile"].coverage <= 1.0


def test_experiments_resume(tmp_path):
    path = tmp_path / "coverage.jsonl"
    plan = Plan(toys=19, seed=5, checkpoint=path)
    whole = coverage(bounded_mean(1.0), "millicharge_ee", 0.5e-12, experiments=20, plan=plan)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]))
    assert (
        coverage(bounded_mean(1.0), "millicharge_ee", 0.5e-12, experiments=20, plan=plan).to_json() == whole.to_json()
    )
    content = json.loads(whole.to_json())
    assert content["schema"] == "nuemstat/coverage/1"
    assert content["toys"] == 19
    assert set(content["intervals"]) == {"profile", "boundary", "fc"}
    assert set(content["intervals"]["fc"]) == {"coverage", "error"}
    assert "coverage of 90 % intervals of millicharge_ee at 5e-13 e (20 experiments)" in str(whole)
    with pytest.raises(FitError, match="another question: true"):
        coverage(bounded_mean(1.0), "millicharge_ee", 0.6e-12, experiments=20, plan=plan)


def test_the_level_is_exact_for_few_toys():
    """No nuisances, a continuous statistic: the interval rejects one in ten whatever the number of toys."""
    found = coverage(bounded_mean(1.0), "millicharge_ee", 0.0, experiments=300, plan=Plan(toys=19, seed=8))
    assert agrees(found.intervals["fc"], 0.9)


def test_mistakes_are_told():
    with pytest.raises(FitError, match="found -1e-11 mu_B; allowed is 0 to inf"):
        coverage(counting(), "magnetic_moment_e", -1e-11)
    with pytest.raises(FitError, match="toys: found 5; at least 19"):
        coverage(counting(), "magnetic_moment_e", 1e-11, plan=Plan(toys=5))
    assert np.isfinite(coverage(counting(), "magnetic_moment_e", 1e-11, experiments=5, plan=Plan(toys=0)).true)
