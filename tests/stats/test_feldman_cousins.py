"""The Feldman-Cousins construction against the tables of PRD 57 (1998) 3873 and against exact sums."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, poisson
from test_toys import double_well
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.errors import FitError
from nuemstat.stats.hypotest import boundary_threshold
from nuemstat.stats.intervals import limit
from nuemstat.stats.search import Measured, Search
from nuemstat.workspace.modifiers import Norm

UNIT = 1e-12


def bounded_mean(x0):
    samples = [sample("nu", [1.0], millicharge_ee=1)]
    model = [channel(samples, [x0], statistic="gaussian", errors=(1.0,))]
    return workspace(model, [coupling("millicharge_ee", bounds=(0.0, None))])


def counting(observed, background):
    samples = [sample("bkg", [background]), sample("nu", [1.0], millicharge_ee=1)]
    return workspace([channel(samples, [observed])], [coupling("millicharge_ee", bounds=(0.0, None))])


# Table X of PRD 57 (1998) 3873, 90 %; status: memory.
GAUSSIAN = {-1.0: (0.0, 0.81), 0.0: (0.0, 1.64), 1.0: (0.0, 2.64), 2.0: (0.58, 3.64)}


@pytest.mark.parametrize("x0", GAUSSIAN)
def test_bounded_gaussian_mean_without_toys(x0):
    """The boundary-aware thresholds are exact here: the published table to its two digits."""
    found = limit(bounded_mean(x0), "millicharge_ee", method="fc", toys=0)
    assert np.array(found.intervals) / UNIT == pytest.approx(np.array([GAUSSIAN[x0]]), abs=0.0061)


@pytest.mark.parametrize("x0", [-1.0, *(pytest.param(x0, marks=pytest.mark.slow) for x0 in (1.0, 2.0))])
def test_bounded_gaussian_mean_by_toys(x0):
    found = limit(bounded_mean(x0), "millicharge_ee", method="fc", toys=2000, seed=7)
    exact = limit(bounded_mean(x0), "millicharge_ee", method="fc", toys=0).intervals[0]
    for end, error, wanted in zip(found.intervals[0], found.errors[0], exact, strict=True):
        assert error < 0.06 * UNIT
        assert abs(end - wanted) <= 3.5 * error
    for row in found.critical:
        assert abs(row.critical - boundary_threshold(0.9, row.value / UNIT)) < 4.5 * row.error + 1e-3
        assert row.toys >= 200


def acceptance(mean, background, cl=0.9, most=60):
    """Counts accepted at one mean, by the ordering of likelihood ratios."""
    n = np.arange(most)
    probability = poisson.pmf(n, mean + background)
    ratio = probability / poisson.pmf(n, np.maximum(n, background))
    order = np.lexsort((n, -ratio))
    last = np.searchsorted(np.cumsum(probability[order]), cl)
    return {int(k) for k in n[order[: last + 1]]}


# Table IV of PRD 57 (1998) 3873, 90 %, background 3; status: memory. The table lengthens intervals until they do not
# shrink with a smaller background: its ends are the largest over all backgrounds from 3 on.
PUBLISHED = {0: 1.08, 4: 5.60}


@pytest.mark.parametrize("observed", PUBLISHED)
def test_counts_over_known_background(observed):
    grid = np.arange(0.0, 7.0, 0.005)
    inside = [mean for mean in (*grid[:3], *grid[160:240], *grid[1000:1200]) if observed in acceptance(mean, 3.0)]
    found = limit(counting(float(observed), 3.0), "millicharge_ee", method="fc", toys=2000, seed=11)
    low, high = (end / UNIT for end in found.intervals[0])
    error = found.errors[0][1] / UNIT
    assert low == 0.0
    assert min(inside) == 0.0
    assert abs(high - max(inside)) < 3.5 * error + 0.04  # the search stops at 0.4 % of its range where p jumps
    if observed == 0:
        ends = [max(m for m in grid[140:240] if 0 in acceptance(m, b)) for b in np.arange(3.4, 3.5, 0.01)]
        assert max(ends) == pytest.approx(PUBLISHED[0], abs=0.01)
    else:
        assert abs(high - PUBLISHED[observed]) < 3.5 * error + 0.04


@pytest.mark.slow
def test_gaussian_limit_has_the_chi2_quantile():
    """Many counts, far from any bound, nuisances profiled: critical values are those of chi2."""
    flux = Norm(parameter="flux", interpolation="linear", size=0.03)
    samples = [sample("bkg", [4e4, 3e4], flux), sample("nu", [900.0, 100.0], millicharge_ee=1)]
    model = workspace([channel(samples, [4.05e4, 3.01e4])], [coupling("millicharge_ee"), nuisance("flux")])
    found = limit(model, "millicharge_ee", method="fc", toys=1000, seed=2)
    exact = limit(model, "millicharge_ee")
    for row in found.critical:
        assert abs(row.critical - chi2.ppf(0.9, 1)) < 4 * row.error
        assert abs(row.p_value - chi2.sf(row.q, 1)) < 4.5 * row.p_error
    for end, error, wanted in zip(found.intervals[0], found.errors[0], exact.intervals[0], strict=True):
        assert abs(end - wanted) < 3.5 * error


@pytest.mark.slow
def test_two_islands_with_critical_values_of_their_own():
    found = limit(double_well(), "charge_radius_ee", method="fc", toys=400, seed=1)
    plain = limit(double_well(), "charge_radius_ee")
    assert len(found.intervals) == len(plain.intervals) == 2
    critical = np.array([row.critical for row in found.critical])
    assert critical.max() - critical.min() > 4 * min(row.error for row in found.critical)
    assert found.toys == sum(row.toys for row in found.critical)
    content = found.to_dict()
    assert set(content["critical"][0]) == {"value", "q", "critical", "error", "p_value", "p_error", "toys"}
    assert (content["seed"], content["method"]) == (1, "fc")


def test_a_range_leaves_open_ends():
    free = limit(bounded_mean(1.0), "millicharge_ee", method="fc", toys=200).intervals[0]
    found = limit(bounded_mean(1.0), "millicharge_ee", method="fc", toys=200, scan_range=(0.0, 1.5e-12))
    assert free[1] > 1.5e-12
    assert found.intervals == ((0.0, None),)
    assert found.upper_limit is None


def test_a_crossing_is_interpolated_with_the_asymptotic_shape():
    """The search on an exact, noiseless score ends at its zeros."""
    thrown = {}

    def score(value):
        return abs(value) * (1.3 if value < 0 else 0.9) - 1.6

    search = Search(
        [-2.0, 0.0, 2.5],
        measure=lambda v: Measured(thrown.get(v, 0), score(v), 0.5 / max(thrown.get(v, 1), 1) ** 0.5),
        reference=lambda v: abs(v) - 1.6,
        limits=(-50.0, 50.0),
        bounds=(-np.inf, np.inf),
        pilot=100,
        full=1600,
    )
    while wanted := search.wanted():
        thrown.update(wanted)
    (piece,) = search.pieces()
    for place, share in ((piece.low, 1.3), (piece.high, 0.9)):
        assert abs(place) == pytest.approx(brentq(lambda v: share * v - 1.6, 0, 9), rel=0.01)  # noqa: B023
    assert max(thrown.values()) == 1600
    assert min(thrown.values()) == 100


def test_too_few_toys_are_told():
    with pytest.raises(FitError, match="toys: found 50; at least 100 are allowed"):
        limit(bounded_mean(1.0), "millicharge_ee", method="fc", toys=50)
    with pytest.raises(FitError, match="toys: found -1; 0 or more are allowed"):
        limit(bounded_mean(1.0), "millicharge_ee", method="fc", toys=-1)
