"""MINOS beside the profile: right on its own interval, silent about the other one."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.stats.intervals import limit
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minos import minos
from nuemstat.workspace.modifiers import Norm

THRESHOLD = chi2.ppf(0.9, 1)


def one_bin(observed=100.0, linear=-60.0, quadratic=50.0, background=100.0):
    """Standard expectation plus a linear and a quadratic term: it comes back at -linear / quadratic."""
    samples = [sample("bkg", [background]), sample("nu", [linear], millicharge_ee=1),
               sample("nu", [quadratic], millicharge_ee=2)]  # fmt: skip
    return workspace([channel(samples, [observed])], [coupling("millicharge_ee")])


def two_islands():
    """The same in six bins with nuisances, the second solution not quite as good as the first."""
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.05)
    back = Norm(parameter="back", interpolation="linear", size=0.05)
    bins = np.arange(6.0)
    standard, shape = 60 * np.exp(-bins / 5), 40 * np.exp(-bins / 3)
    samples = [sample("bkg", standard, back), sample("nu", 0.5 * shape, flux),
               sample("nu", -1.2 * shape, flux, millicharge_ee=1),
               sample("nu", 1.1 * shape * (1 + 0.02 * bins), flux, millicharge_ee=2)]  # fmt: skip
    observed = np.round(standard + 0.5 * shape)
    return workspace([channel(samples, observed)], [coupling("millicharge_ee"), nuisance("flux"), nuisance("back")])


def test_both_islands_are_the_closed_form_and_minos_knows_one():
    """Where the count's deviance passes the threshold, each side of the parabola; degenerate, so q is 0 twice."""
    found = limit(one_bin(), "millicharge_ee")

    def deviance(mean):
        return 2 * (mean - 100 + 100 * math.log(100 / mean)) - THRESHOLD

    high = brentq(deviance, 100, 200)
    low = brentq(deviance, 1, 100)
    outer = [(60 - math.sqrt(3600 + 200 * (high - 100))) / 100, (60 + math.sqrt(3600 + 200 * (high - 100))) / 100]
    assert 100 - 60**2 / 200 > 0
    if 3600 + 200 * (low - 100) > 0:  # the valley between the solutions is deep enough to part them
        root = math.sqrt(3600 + 200 * (low - 100))
        wanted = [(outer[0], (60 - root) / 100), ((60 + root) / 100, outer[1])]
    else:
        wanted = [tuple(outer)]
    np.testing.assert_allclose(np.array(found.intervals) / 1e-12, wanted, rtol=1e-6)
    assert len(found.intervals) == 2
    assert [m.q for m in found.minima] == pytest.approx([0.0, 0.0], abs=1e-7)
    check = minos(one_bin(), "millicharge_ee")
    assert check.agrees
    assert check.interval == pytest.approx(check.own, rel=1e-3)
    assert len(check.others) == 1  # MINOS is content, and half of the set is missing


def test_minos_alone_misses_the_second_island():
    found = limit(two_islands(), "millicharge_ee")
    assert len(found.intervals) == 2
    check = minos(two_islands(), "millicharge_ee")
    assert check.interval is not None
    assert check.agrees
    assert check.warnings == ()
    low, high = check.interval
    (missed,) = check.others
    assert not low < found.minima[1].value < high
    assert missed[0] < found.minima[1].value < missed[1]
    assert found.minima[1].q < THRESHOLD
    assert found.upper_limit > 2 * max(abs(low), abs(high))  # the limit by MINOS alone would be wrong by that
    assert "not mentioned" in str(check)


def test_minos_agrees_on_an_ordinary_interval():
    flat = workspace(
        [channel([sample("bkg", [400.0, 300.0]), sample("nu", [30.0, 10.0], millicharge_ee=1)], [420.0, 300.0])],
        [coupling("millicharge_ee")],
    )
    for cl in (0.68, 0.9, 0.95):
        check = minos(flat, "millicharge_ee", cl=cl)
        found = limit(flat, "millicharge_ee", cl=cl)
        assert check.agrees
        assert check.others == ()
        assert check.interval == pytest.approx(found.intervals[0], rel=1e-3)


def test_the_deepest_minimum_of_pyhf_issue_2352_is_at_negative_values():
    """A quadratic signal strength: best fit below 0, a second minimum above it that a bounded fit takes for the best.

    The test statistic at 0 must be the height above the deepest minimum, and the set must hold both basins.
    """
    samples = [sample("bkg", [100.0, 80.0]), sample("nu", [-22.0, -9.0], millicharge_ee=1),
               sample("nu", [30.0, 16.0], millicharge_ee=2)]  # fmt: skip
    model = workspace([channel(samples, [123.0, 92.0])], [coupling("millicharge_ee")])
    found = limit(model, "millicharge_ee")
    likelihood = Likelihood(model)
    grid = np.linspace(-3, 3, 6001)
    values = np.array([likelihood(np.array([x])) for x in grid])
    inner = np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])) + 1
    assert len(inner) == 2
    assert grid[values.argmin()] < 0 < grid[inner[values[inner].argmax()]]
    assert found.best_fit / 1e-12 == pytest.approx(grid[values.argmin()], abs=2e-3)
    assert found.q_min == pytest.approx(values.min(), abs=1e-5)
    second = values[inner].max() - values.min()
    assert second > 0.05, "the basins must differ for the denominator to matter"
    assert found.minima[1].value > 0
    assert found.minima[1].q == pytest.approx(second, abs=1e-5)
    below = values - values.min() < THRESHOLD
    edges = grid[np.flatnonzero(np.diff(below.astype(int)))]
    np.testing.assert_allclose(np.array(found.intervals).ravel() / 1e-12, edges, atol=2e-3)


def test_a_range_that_excludes_the_minimum_is_told():
    from nuemstat.errors import FitError
    from nuemstat.stats.intervals import scan

    span = (2e-12, 3e-12)
    with pytest.raises(FitError, match=r"millicharge_ee: the range 2e-12 to 3e-12 e excludes the minimum"):
        limit(two_islands(), "millicharge_ee", scan_range=span)
    with pytest.raises(FitError, match="excludes the minimum"):
        scan(two_islands(), "millicharge_ee", ranges={"millicharge_ee": span})
