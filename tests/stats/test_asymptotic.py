"""Expected ends without toys: closed forms, and toys."""

import numpy as np
import pytest
from conftest import toy_workspace
from scipy.stats import chi2, norm
from toy_workspaces import channel, coupling, sample, workspace

from nuemstat.errors import FitError
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


@pytest.mark.slow
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


def counting(bounds):
    """10 counts, and a radius that adds one for each 1e-32 cm^2: Asimov data reach from -4.3 to 6.1 at 90 %."""
    part = channel([sample("background", [10.0]), sample("nu", [1.0], charge_radius_ee=1)], [10.0])
    return workspace([part], [coupling("charge_radius_ee", bounds=bounds)])


def test_ends_at_a_bound_stay_there_and_none_goes_beyond():
    free = expected_ends(counting((None, None)), "charge_radius_ee")
    assert free.asimov[1] == pytest.approx(6.1e-32, abs=0.1e-32)
    found = expected_ends(counting((-7.0, 5.5)), "charge_radius_ee")
    assert found.fitted
    assert found.asimov == (pytest.approx(free.asimov[0], rel=1e-3), pytest.approx(5.5e-32, rel=1e-12))
    assert found.upper95[1] == pytest.approx(5.5e-32, rel=1e-12)
    assert free.lower95[0] < -7.05e-32
    assert found.lower95[0] == pytest.approx(-7e-32, rel=1e-12)


@pytest.mark.parametrize("limit_below", [-0.1, -1 / 3, -0.7])
def test_a_limit_comes_back_to_the_last_bit(limit_below):
    low, _ = ends([[7.3, 0], [0, 0.01]], np.array([limit_below, np.inf])).T
    assert (low == limit_below).any()
    assert (low >= limit_below).all()


def test_a_coupling_that_changes_nothing_is_refused():
    part = channel([sample("background", [10.0]), sample("nu", [0.0], charge_radius_ee=1)], [10.0])
    with pytest.raises(FitError, match="charge_radius_ee changes nothing that is fitted"):
        expected_ends(workspace([part], [coupling("charge_radius_ee")]), "charge_radius_ee")
