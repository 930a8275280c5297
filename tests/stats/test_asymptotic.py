"""Expected ends without toys: closed forms, and toys."""

import numpy as np
import pytest
from conftest import toy_workspace
from scipy.stats import chi2, norm

from nuemstat.stats import asymptotic
from nuemstat.stats.asymptotic import expected_ends
from nuemstat.stats.intervals import limit

HEIGHT = float(chi2.ppf(0.9, 1))
FREE = np.array([-np.inf, np.inf])


def ends(moments, limits=FREE):
    return asymptotic._ends(np.array(moments, dtype=float), asymptotic._gaussian_pairs(4096), HEIGHT, limits)


def test_one_linear_coupling_is_a_gaussian_of_unit_width():
    # q(t) = (t - z)^2 / s^2: both ends move with z, and the largest |value| is |z| + 1.645.
    sigma = 3.0
    low, high = ends([[sigma**-2, 0], [0, 0]]).T
    root = np.sqrt(HEIGHT)
    np.testing.assert_allclose(high - low, 2 * root * sigma, rtol=1e-6)
    np.testing.assert_allclose(
        np.quantile(high / sigma, norm.cdf([-2, -1, 0, 1, 2])), root + np.arange(-2, 3), atol=0.02
    )
    assert np.median(np.maximum(-low, high)) == pytest.approx(sigma * (root + norm.ppf(0.75)), rel=0.01)


def test_an_even_coupling_stops_at_its_bound():
    # q = (t^2 - z)^2 with t >= 0: the upper end squared is z + 1.645, or z + sqrt(z^2 + 2.706) below the bound.
    low, high = ends([[0, 0], [0, 1]], np.array([0.0, np.inf])).T
    z = norm.ppf([0.025, 0.16, 0.5, 0.84, 0.975])
    with np.errstate(invalid="ignore"):
        wanted = np.sqrt(np.where(z > 0, z + np.sqrt(HEIGHT), z + np.sqrt(z**2 + HEIGHT)))
    np.testing.assert_allclose(np.quantile(high, norm.cdf(z)), wanted, rtol=0.01)
    excluded = low > 0
    np.testing.assert_allclose(excluded.mean(), norm.sf(np.sqrt(HEIGHT)), atol=2e-3)


def test_interference_makes_two_minima_that_both_count():
    # Adding t + t^2 / 10 counts with a large weight: t = 0 and t = -10 cannot be told apart.
    low, high = ends(100 * np.array([[1, 0.1], [0.1, 0.01]]))[0]
    assert low == pytest.approx(-10, abs=0.4)
    assert high == pytest.approx(0, abs=0.4)


@pytest.mark.parametrize("coupling", ["millicharge", "magnetic_moment_e", "millicharge_ee"])
def test_toys_agree(coupling):
    workspace = toy_workspace("alpha", "e")
    found = expected_ends(workspace, coupling)
    toys = limit(workspace, coupling, expected=True, toys=300, seed=1).expected
    assert found.fitted
    # The Asimov ends of both come from the same truth; those of toys are read off an interpolated profile.
    np.testing.assert_allclose(found.asimov[1], toys["asimov"]["upper"], rtol=0.01)
    middle = toys["median"]["upper"]
    spread = (toys["band68"]["upper"][1] - toys["band68"]["upper"][0]) / 2
    # The Gaussian approximation of a few hundred counts, and the error of quantiles of 300 toys: a fifth of a sigma.
    np.testing.assert_allclose(found.upper68, toys["band68"]["upper"], atol=0.25 * spread)
    assert abs(found.asimov[1] - middle) < 0.25 * spread


def test_bands_are_nested():
    found = expected_ends(toy_workspace("alpha", "e"), "millicharge_ee")
    for narrow, broad in ((found.lower68, found.lower95), (found.upper68, found.upper95), (found.size68, found.size95)):
        assert broad[0] <= narrow[0] < narrow[1] <= broad[1]
    assert found.size68[0] < found.size < found.size68[1]
    assert found.asimov[0] < 0 < found.asimov[1]


def test_equal_questions_have_equal_answers():
    workspace = toy_workspace("alpha", "mu")
    assert expected_ends(workspace, "millicharge_mumu") == expected_ends(workspace, "millicharge_mumu")
