"""Expected limits against the closed form of a Gaussian mean."""

import numpy as np
import pytest
from scipy.stats import norm
from test_feldman_cousins import UNIT, bounded_mean
from test_toys import double_well
from toy_workspaces import channel, coupling, sample, workspace

from nuemstat.errors import FitError
from nuemstat.stats.intervals import limit

Z = norm.ppf(0.95)


def mean(x0):
    model = [channel([sample("nu", [1.0], millicharge_ee=1)], [x0], statistic="gaussian", errors=(1.0,))]
    return workspace(model, [coupling("millicharge_ee")])


def test_bands_of_a_gaussian_mean():
    """Ends are x -+ 1.645 with x ~ N(0, 1): medians -+ 1.645, bands one and two deviations about them."""
    n = 200
    found = limit(mean(1.0), "millicharge_ee", expected=True, toys=n, seed=4)
    assert found.intervals[0] == pytest.approx([(1 - Z) * UNIT, (1 + Z) * UNIT], rel=1e-5, abs=0.0)
    bands = found.expected
    assert bands["asimov"] == {
        "lower": pytest.approx(-Z * UNIT, rel=2e-3, abs=0.0),
        "upper": pytest.approx(Z * UNIT, rel=2e-3, abs=0.0),
    }
    assert (bands["toys"], bands["seed"]) == (n, 4)
    for side, centre in (("lower", -Z), ("upper", Z)):
        ends = [bands["median"][side], *bands["band68"][side], *bands["band95"][side]]
        for end, deviations in zip(ends, (0, -1, 1, -2, 2), strict=True):
            share = norm.cdf(deviations)
            error = np.sqrt(share * (1 - share) / n) / norm.pdf(deviations)
            assert abs(end / UNIT - centre - deviations) < 3.5 * error
    assert "expected" in str(found)
    assert set(found.to_dict()["expected"]) == {
        "method", "asimov", "median", "band68", "band95", "z", "toys", "seed",
    }  # fmt: skip
    # x = 1: its largest |value| is 1 + 1.645, that of toys |x| + 1.645, below which lies P(|x| < 1).
    assert bands["z"] == pytest.approx(norm.ppf(2 * norm.cdf(1) - 1), abs=0.35)


@pytest.mark.slow
def test_feldman_cousins_bands_of_a_bounded_mean():
    """The median upper end of x ~ N(0, 1) is that of x = 0, 1.64 (PRD 57 (1998) 3873, table X)."""
    found = limit(bounded_mean(1.0), "millicharge_ee", method="fc", toys=1000, expected=True, seed=2)
    bands, near = found.expected, [row for row in found.critical if 1.0 < row.value / UNIT < 2.3]
    belt = max(row.error for row in near) / (2 * 1.64)  # of the end, from a critical value beside it
    assert bands["asimov"]["upper"] / UNIT == pytest.approx(1.64, abs=3.5 * belt)
    assert bands["median"]["upper"] / UNIT == pytest.approx(
        1.64, abs=3.5 * np.hypot(belt, 1.25 / np.sqrt(bands["toys"]))
    )
    assert bands["median"]["lower"] == 0.0


def test_ends_of_several_intervals_are_the_outermost():
    found = limit(double_well(), "charge_radius_ee", data="asimov", expected=True, toys=20)
    low, high = found.intervals[0][0], found.intervals[-1][1]
    scale = 1e-32
    assert found.expected["asimov"]["lower"] == pytest.approx(low, abs=0.01 * scale)
    assert found.expected["asimov"]["upper"] == pytest.approx(high, abs=0.01 * scale)


def test_what_cannot_be_expected_is_told():
    with pytest.raises(FitError, match="toys: found 5; at least 20"):
        limit(mean(0.0), "millicharge_ee", expected=True, toys=5)
    with pytest.raises(FitError, match="need toys; 0 are asked for"):
        limit(bounded_mean(0.0), "millicharge_ee", method="fc", expected=True, toys=0)
