"""CLs against closed forms and pyhf; thresholds near a bound."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, norm, poisson
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.errors import FitError
from nuemstat.stats.hypotest import asymptotic_cls, boundary_threshold, expected_cls
from nuemstat.stats.intervals import limit
from nuemstat.workspace.modifiers import Norm


def counting(observed=12.0, background=8.0, slope=2.0, size=None):
    """Background, with a pull if it has a size, plus slope x moment^2."""
    pull = () if size is None else (Norm(parameter="back", interpolation="lognormal", size=size),)
    samples = [sample("bkg", [background], *pull), sample("nu", [slope], magnetic_moment_e=2)]
    parameters = [coupling("magnetic_moment_e", bounds=(0.0, None)), *([nuisance("back")] if size else [])]
    return workspace([channel(samples, [observed])], parameters)


def bounded_mean(x0):
    """A measured mean with unit error that cannot be negative."""
    samples = [sample("nu", [1.0], millicharge_emu=2)]
    model = [channel(samples, [x0], statistic="gaussian", errors=(1.0,))]
    return workspace(model, [coupling("millicharge_emu", bounds=(0.0, None))])


@pytest.mark.parametrize("cl", [0.68, 0.9, 0.95])
def test_boundary_threshold_between_its_limits(cl):
    assert boundary_threshold(cl, 0.0) == pytest.approx(norm.ppf(cl) ** 2)
    assert boundary_threshold(cl, 8.0) == pytest.approx(chi2.ppf(cl, 1), rel=1e-9)
    near = [boundary_threshold(cl, d) for d in (0.0, 1e-4, 0.3, 1.0, 2.0, 4.0)]
    assert near[1] == pytest.approx(near[0], rel=1e-3)
    assert all(a <= b + 1e-12 for a, b in pairwise(near))


@pytest.mark.parametrize("distance", [0.2, 0.8, 1.7])
def test_boundary_threshold_is_the_quantile_of_a_bounded_mean(distance):
    """x ~ N(mu, 1), statistic (x - mu)^2 - min over m >= 0 of (x - m)^2; its distribution by integration."""
    x = distance + np.linspace(-9, 9, 400001)
    statistic = (x - distance) ** 2 - np.minimum(x, 0) ** 2
    inside = statistic <= boundary_threshold(0.9, distance)
    assert np.trapezoid(norm.pdf(x - distance) * inside, x) == pytest.approx(0.9, abs=1e-4)


@pytest.mark.parametrize("x0", [-1.0, 0.0, 0.7, 2.5])
def test_cls_of_a_bounded_mean_is_the_closed_form(x0):
    """CLs = (1 - Phi(mu - x0)) / Phi(x0): the limit is x0 + Phi^-1(1 - 0.1 Phi(x0)), exactly."""
    found = limit(bounded_mean(x0), "millicharge_emu", method="cls")
    upper = x0 + norm.ppf(1 - 0.1 * norm.cdf(x0))
    assert found.intervals == ((0.0, pytest.approx(math.sqrt(upper) * 1e-12, rel=2e-5)),)
    assert found.upper_limit == found.intervals[0][1]
    assert found.seed is None


def test_expected_cls_is_the_closed_form():
    """With the background fluctuating up by N: mu = N + Phi^-1(1 - 0.1 Phi(N))."""
    bands = limit(bounded_mean(0.3), "millicharge_emu", method="cls", expected=True).expected

    def end(n):
        return pytest.approx(math.sqrt(n + norm.ppf(1 - 0.1 * norm.cdf(n))) * 1e-12, rel=1e-4)

    assert bands["median"] == {"lower": 0.0, "upper": end(0)}
    assert bands["band68"]["upper"] == [end(-1), end(1)]
    assert bands["band95"]["upper"] == [end(-2), end(2)]


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf
@pytest.mark.parametrize("observed", [3.0, 8.0, 15.0])
def test_asymptotic_cls_agrees_with_pyhf(observed):
    """An independent code on the same counts; its parameter is the square of the moment."""
    import pyhf

    spec = {
        "channels": [{"name": "sr", "samples": [
            {"name": "nu", "data": [2.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
            {"name": "bkg", "data": [8.0],
             "modifiers": [{"name": "back", "type": "normsys", "data": {"hi": 1.2, "lo": 1 / 1.2}}]}]}],
        "parameters": [{"name": "mu", "bounds": [[0, 60]], "inits": [1.0]}],
    }  # fmt: skip
    model = pyhf.Model(spec, poi_name="mu")
    data = [observed, *model.config.auxdata]
    found = limit(counting(observed, size=0.2), "magnetic_moment_e", method="cls", expected=True)
    upper = (found.upper_limit / 1e-11) ** 2
    bounds = [(0, 10 * upper), (-5, 5)]
    cls = pyhf.infer.hypotest(upper, data, model, test_stat="qtilde", par_bounds=bounds)
    assert float(cls) == pytest.approx(0.1, abs=4e-4)
    for label, place in (("median", 2),):
        upper = (found.expected[label]["upper"] / 1e-11) ** 2
        _, bands = pyhf.infer.hypotest(upper, data, model, test_stat="qtilde", return_expected_set=True,
                                       par_bounds=[(0, 10 * upper), (-5, 5)])  # fmt: skip
        assert float(bands[place]) == pytest.approx(0.1, abs=4e-4)


def test_formulae_meet_where_they_change():
    for q_asimov in (0.5, 2.0, 7.0):
        assert asymptotic_cls(q_asimov * (1 + 1e-9), q_asimov) == pytest.approx(asymptotic_cls(q_asimov, q_asimov))
        assert asymptotic_cls(0.0, q_asimov) == pytest.approx(0.5 / norm.cdf(math.sqrt(q_asimov)))
        assert expected_cls(q_asimov, 0.0) == pytest.approx(asymptotic_cls(q_asimov, q_asimov), rel=1e-9)


@pytest.mark.slow
def test_cls_by_toys_is_that_of_counting():
    """One Poisson bin: CLs = P(n <= observed | s + b) / P(n <= observed | b)."""
    observed, background, slope = 6, 5.0, 1.0
    found = limit(counting(float(observed), background, slope), "magnetic_moment_e", method="cls", toys=2000, seed=3)

    def excess(m):
        return poisson.cdf(observed, background + slope * m * m) / poisson.cdf(observed, background) - 0.1

    exact = brentq(excess, 0.1, 10) * 1e-11
    error = found.errors[0][1]
    assert error < 0.03 * exact
    assert abs(found.upper_limit - exact) < 3.5 * error
    for row in found.critical:
        if row.q > 0:
            assert abs(row.cls - excess(row.value / 1e-11) - 0.1) < 4.5 * row.error
    assert found.seed == 3


def test_signed_couplings_are_refused_by_name():
    samples = [sample("bkg", [50.0]), sample("nu", [4.0], millicharge_ee=1), sample("nu", [3.0], millicharge_ee=2)]
    model = workspace([channel(samples, [52.0])], [coupling("millicharge_ee")])
    with pytest.raises(FitError, match=r"millicharge_ee has both signs.*'profile' and 'fc'"):
        limit(model, "millicharge_ee", method="cls")
