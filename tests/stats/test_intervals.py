"""Limits against closed forms and brute force, two minima, open ends, bounds."""

import json
import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2
from toy_workspaces import channel, coupling, free, nuisance, sample, workspace

from nuemstat.errors import FitError, WorkspaceError
from nuemstat.stats.intervals import limit, scan, significance
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.document import Folded
from nuemstat.workspace.modifiers import Norm, NormFactor

THRESHOLD = chi2.ppf(0.9, 1)


def counting(observed=12.0, background=8.0, slope=2.0, **more):
    """One bin: background + slope x charge^2, so everything is known in closed form."""
    samples = [sample("bkg", [background]), sample("nu", [slope], magnetic_moment_e=2)]
    return workspace([channel(samples, [observed], **more)], [coupling("magnetic_moment_e", bounds=(0.0, None))])


def interference(far):
    """Two bins with interference: the total comes back to the standard one near charge = `far`."""
    samples = [
        sample("bkg", [400.0, 400.0]),
        sample("nu", [-100.0, -40.0], millicharge_ee=1),
        sample("nu", [100.0 / far, 40.0 / (far + 0.1)], millicharge_ee=2),
    ]
    return workspace([channel(samples, [397.0, 401.0])], [coupling("millicharge_ee")])


def with_nuisances(observed):
    """Six bins, interference in two shapes, a shared background norm and a signal norm."""
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.1)
    back = Norm(parameter="back", interpolation="linear", size=0.05)
    bins = np.arange(6.0)
    samples = [
        sample("bkg", 60 * np.exp(-bins / 5), back),
        sample("nu", 6 * np.exp(-bins / 3), flux),
        sample("nu", -40 * np.exp(-bins / 3), flux, millicharge_ee=1),
        sample("nu", 33 * np.exp(-bins / 2.5), flux, millicharge_ee=2),
        sample("nu", 0.6 + 0 * bins, flux, magnetic_moment_e=2),
    ]
    parameters = [coupling("millicharge_ee"), coupling("magnetic_moment_e", bounds=(0.0, None)),
                  nuisance("flux"), nuisance("back")]  # fmt: skip
    return workspace([channel(samples, observed)], parameters)


OBSERVED = (66.0, 53.0, 43.0, 35.0, 29.0, 23.0)


def brute_force(model, name, grid, others=()):
    """The profile on a grid by a minimiser of scipy, from several starts of the other parameters."""
    from scipy.optimize import minimize

    likelihood = Likelihood(model, fixed={n: 0.0 for n in model.couplings if n not in (name, *others)})
    i = likelihood.index(name)
    values = []
    for value in grid:
        best = math.inf
        for start in (0.0, 1.5) if others else (0.0,):

            def objective(y, value=value):
                return likelihood(np.insert(y, i, value)), np.delete(likelihood.gradient(np.insert(y, i, value)), i)

            y0 = np.delete(likelihood.vector(dict.fromkeys(others, start)), i)
            found = minimize(objective, y0, jac=True, method="BFGS", options={"gtol": 1e-7})
            best = min(best, found.fun)
        values.append(best)
    return np.array(values)


@pytest.mark.parametrize("observed", [0.0, 5.0, 8.0, 12.0, 40.0])
def test_counting_experiment_is_the_closed_form(observed):
    """2 NLL of one Poisson bin in closed form; its crossings by scipy's root finding."""
    background, slope = 8.0, 2.0

    def deviance(value):
        mean = background + slope * value**2
        return 2 * (mean - observed + (observed * math.log(observed / mean) if observed else 0.0))

    best = math.sqrt(max(observed - background, 0.0) / slope)
    found = limit(counting(observed), "magnetic_moment_e")
    high = brentq(lambda v: deviance(v) - deviance(best) - THRESHOLD, best, best + 30, xtol=1e-13)
    low = 0.0
    if deviance(0.0) - deviance(best) > THRESHOLD:
        low = brentq(lambda v: deviance(v) - deviance(best) - THRESHOLD, 0.0, best, xtol=1e-13)
    assert found.valid
    assert found.best_fit == pytest.approx(best * 1e-11, rel=1e-5, abs=1e-16)
    assert found.q_min == pytest.approx(deviance(best), abs=1e-8)
    assert len(found.intervals) == 1
    assert found.intervals[0][0] == pytest.approx(low * 1e-11, rel=1e-6, abs=1e-18)
    assert found.intervals[0][1] == pytest.approx(high * 1e-11, rel=1e-6)
    assert found.upper_limit == found.intervals[0][1]
    assert found.unit == "mu_B"


def test_gaussian_bin_profiled_over_a_linear_pull_is_the_closed_form():
    """min over pull of (n - N (1 + p a))^2 / s^2 + a^2 = (n - N)^2 / (s^2 + (p N)^2)."""
    width, error, observed, scale = 0.3, 2.0, 17.0, 5.0
    pull = Norm(parameter="pull", interpolation="linear", size=width)
    model = workspace(
        [channel([sample("nu", [scale], pull, millicharge_ee=1)], [observed], statistic="gaussian", errors=(error,))],
        [coupling("millicharge_ee"), nuisance("pull")],
    )
    best = observed / scale
    for value in (0.5, 2.0, 3.4, 5.0, 9.0):
        count = scale * value
        wanted = (observed - count) ** 2 / (error**2 + (width * count) ** 2)
        found = significance(model, "millicharge_ee", value * 1e-12)
        assert found.q == pytest.approx(wanted, rel=1e-6)
        assert found.best_fit == pytest.approx(best * 1e-12, rel=1e-6)
        assert found.sigma == pytest.approx(math.sqrt(wanted), rel=1e-6)
        assert found.p_value == pytest.approx(chi2.sf(wanted, 1), rel=1e-5)


def test_a_pull_can_leave_the_set_open():
    """The same bin: q stays below 1 / width^2, so a wide pull never excludes large couplings."""
    pull = Norm(parameter="pull", interpolation="linear", size=0.8)
    model = workspace(
        [channel([sample("nu", [5.0], pull, millicharge_ee=1)], [17.0], statistic="gaussian", errors=(2.0,))],
        [coupling("millicharge_ee"), nuisance("pull")],
    )
    found = limit(model, "millicharge_ee")
    # (17 - N)^2 = THRESHOLD (4 + 0.64 N^2) at N = 5 x charge: excluded between the roots, nowhere else
    roots = np.roots([1 - 0.64 * THRESHOLD, -34.0, 17.0**2 - 4 * THRESHOLD]) / 5 * 1e-12
    (first, low), (high, last) = found.intervals
    assert first is None
    assert last is None
    assert sorted(roots) == pytest.approx([low, high], rel=1e-6)
    assert found.upper_limit is None
    assert any("goes on" in text for text in found.warnings)


def test_two_disjoint_intervals_agree_with_brute_force():
    model = with_nuisances(OBSERVED)
    found = limit(model, "millicharge_ee")
    grid = np.linspace(-1, 2, 601)
    profile = brute_force(model, "millicharge_ee", grid)
    inside = profile - profile.min() < THRESHOLD
    edges = grid[1:][inside[1:] != inside[:-1]]
    assert len(found.intervals) == 2
    assert len(found.minima) == 2
    ends = np.array(found.intervals).ravel() / 1e-12
    np.testing.assert_allclose(ends, edges, atol=0.0051)  # the step of the grid
    assert found.q_min == pytest.approx(profile.min(), abs=1e-3)
    assert found.q_min <= profile.min() + 1e-9
    assert found.minima[0].q == 0.0
    assert found.best_fit == found.minima[0].value
    likelihood = Likelihood(model, fixed={"magnetic_moment_e": 0.0})
    for end in ends:
        exact = brute_force(model, "millicharge_ee", [end])[0]
        assert exact - found.q_min == pytest.approx(THRESHOLD, abs=1e-5)
    assert likelihood.parameters[0] == "millicharge_ee"


@pytest.mark.parametrize("far", [2.0, 30.0, 3000.0, -1000.0])
def test_a_far_second_solution_is_found(far):
    """The second basin may lie many natural sizes away, behind a wall thousands of units high."""
    found = limit(interference(far=far), "millicharge_ee")
    assert len(found.minima) == 2
    assert found.valid
    model = Likelihood(interference(far=far))
    for end in np.array(found.intervals).ravel():
        assert model(np.array([end / 1e-12])) - found.q_min == pytest.approx(THRESHOLD, abs=1e-4)
    last = max(abs(v) for piece in found.intervals for v in piece)
    assert last == pytest.approx(abs(far) * 1e-12, abs=0.5e-12)
    assert len(found.intervals) == 2
    grid = np.concatenate([np.linspace(-2, 2, 4001), far * np.linspace(0.8, 1.2, 4001)])
    lowest = min(model(np.array([value])) for value in grid)
    assert found.q_min <= lowest + 1e-9


def test_the_global_minimum_is_in_the_other_basin():
    """A fit from the default alone ends in the wrong basin (the shape of pyhf issue 2352): not here."""
    model = with_nuisances((66.0, 51.0, 40.0, 32.0, 25.0, 21.0))
    found = limit(model, "millicharge_ee")
    likelihood = Likelihood(model, fixed={"magnetic_moment_e": 0.0})
    from scipy.optimize import minimize

    local = minimize(likelihood, likelihood.defaults, jac=likelihood.gradient, method="BFGS")
    profile = brute_force(model, "millicharge_ee", np.linspace(-1, 2, 151))
    assert found.q_min <= profile.min() + 1e-6
    assert {m.value > 0.6e-12 for m in found.minima} == {True, False}
    assert local.fun > found.q_min + 0.1, "the test needs a basin that the local fit does not see"
    assert abs(local.x[0] - found.best_fit / 1e-12) > 0.3
    assert found.minima[1].q == pytest.approx(local.fun - found.q_min, abs=1e-5)


def test_another_floating_coupling_is_profiled_over_all_its_basins():
    model = with_nuisances(OBSERVED)
    found = limit(model, "magnetic_moment_e", free=("millicharge_ee",))
    grid = np.linspace(0, 8, 41)
    profile = brute_force(model, "magnetic_moment_e", grid, others=("millicharge_ee",))
    assert found.floated == ("millicharge_ee", "magnetic_moment_e")
    assert found.q_min <= profile.min() + 1e-7
    high = found.intervals[-1][1]
    end = brute_force(model, "magnetic_moment_e", [high / 1e-11], others=("millicharge_ee",))[0]
    assert end - found.q_min == pytest.approx(THRESHOLD, abs=1e-4)


def test_even_couplings_stay_above_zero_and_may_exclude_it():
    found = limit(counting(40.0), "magnetic_moment_e")
    assert found.intervals[0][0] > 0
    low = limit(counting(5.0), "magnetic_moment_e")
    assert low.best_fit == 0.0
    assert low.intervals[0][0] == 0.0
    assert low.minima[0].q == 0.0


def test_a_range_cuts_with_open_ends():
    whole = limit(with_nuisances(OBSERVED), "millicharge_ee")
    (a, b), (c, d) = whole.intervals
    inside = 0.5 * (a + min(whole.best_fit, b))
    cut = limit(with_nuisances(OBSERVED), "millicharge_ee", scan_range=(inside, 0.5 * (c + d)))
    assert cut.intervals == ((None, b), (c, None))
    assert cut.upper_limit is None
    part = limit(with_nuisances(OBSERVED), "millicharge_ee", scan_range=(a - 1e-13, b + 1e-15))
    assert part.intervals == ((a, b),)
    assert part.upper_limit is None
    same = limit(with_nuisances(OBSERVED), "millicharge_ee", scan_range=(2 * a - b, 2 * d))
    assert same.intervals == whole.intervals
    assert same.upper_limit == whole.upper_limit
    even = limit(counting(5.0), "magnetic_moment_e", scan_range=(0.0, 1e-13))
    assert even.intervals == ((0.0, None),)


def test_the_same_question_has_the_same_answer():
    first, second = (limit(with_nuisances(OBSERVED), "millicharge_ee") for _ in range(2))
    assert first.to_json() == second.to_json()
    np.testing.assert_array_equal(first.profile_q, second.profile_q)


def test_odd_units_are_harmless():
    """A coupling a million times larger in the document's numbers gives the same physical set."""
    model = with_nuisances(OBSERVED)
    big = coupling("millicharge_ee").model_copy(update={"scale": 1e-18})
    channels = []
    for c in model.channels:
        samples = []
        for s in c.samples:
            factor = 1e-6 ** s.monomial.get("millicharge_ee", 0)
            samples.append(s.model_copy(update={"contents": tuple(v * factor for v in s.contents)}))
        channels.append(c.model_copy(update={"samples": tuple(samples)}))
    other = workspace(channels, [big, *model.parameters[1:]])
    a, b = limit(model, "millicharge_ee"), limit(other, "millicharge_ee")
    np.testing.assert_allclose(np.array(a.intervals), np.array(b.intervals), rtol=1e-6)


def test_free_parameters_float_and_may_be_limited():
    norm = NormFactor(parameter="norm")
    model = workspace(
        [
            channel(
                [sample("bkg", [50.0, 50.0]), sample("nu", [30.0, 5.0], norm),
                 sample("nu", [0.0, 8.0], norm, magnetic_moment_e=2)],
                [95.0, 70.0],
            )
        ],
        [coupling("magnetic_moment_e", bounds=(0.0, None)), free("norm")],
    )  # fmt: skip
    found = limit(model, "magnetic_moment_e")
    # two counts, two parameters: norm = 1.5, and 50 + 7.5 + 12 mu^2 = 70
    assert found.best_fit == pytest.approx(math.sqrt(12.5 / 12) * 1e-11, rel=1e-4)
    assert found.q_min == pytest.approx(0.0, abs=1e-8)
    norm_limit = limit(model, "norm", fixed={"magnetic_moment_e": 0.0})
    assert norm_limit.unit == "1"
    assert norm_limit.fixed == {"magnetic_moment_e": 0.0}
    assert norm_limit.intervals[0][0] < 1.5 < norm_limit.intervals[0][1]


def test_scan_agrees_with_the_limit_and_brute_force():
    model = with_nuisances(OBSERVED)
    found = scan(model, "millicharge_ee", ranges={"millicharge_ee": (-2e-12, 4e-12)}, points=25)
    profile = brute_force(model, "millicharge_ee", found.values[0] / 1e-12)
    reference = limit(model, "millicharge_ee")
    np.testing.assert_allclose(found.q, profile - reference.q_min, atol=1e-6)
    assert found.best_fit["millicharge_ee"] == pytest.approx(reference.best_fit, rel=1e-4)
    assert found.q.shape == (25,)


def test_scan_of_two_couplings():
    model = with_nuisances(OBSERVED)
    found = scan(model, ("millicharge_ee", "magnetic_moment_e"), points=9)
    assert found.q.shape == (9, 9)
    assert found.q.min() > -1e-7
    assert found.values[1][0] == 0.0
    along = found.q[:, 0] + found.q_min
    alone = brute_force(model, "millicharge_ee", found.values[0] / 1e-12)
    np.testing.assert_allclose(along, alone, atol=1e-6)
    assert json.loads(found.to_json())["schema"] == "nuemstat/scan/1"


def test_universal_couplings_are_substituted():
    samples = [sample("bkg", [8.0])]
    names = ("magnetic_moment_e", "magnetic_moment_mu")
    samples += [sample("nu", [1.2], magnetic_moment_e=2), sample("nu", [0.8], magnetic_moment_mu=2)]
    model = workspace([channel(samples, [12.0])], [coupling(name, bounds=(0.0, None)) for name in names])
    assert limit(model, "magnetic_moment").intervals == pytest.approx(
        np.array(limit(counting(), "magnetic_moment_e").intervals), rel=1e-6
    )
    with pytest.raises(FitError, match="follows magnetic_moment"):
        limit(model, "magnetic_moment", free=("magnetic_moment_e",))


def test_asimov_limits():
    model = with_nuisances(OBSERVED)
    found = limit(model, "millicharge_ee", data="asimov")
    assert found.q_min == pytest.approx(0.0, abs=1e-9)
    assert found.best_fit == pytest.approx(0.0, abs=1e-16)
    shifted = limit(model, "millicharge_ee", data="asimov:millicharge_ee=-1e-12")
    assert shifted.best_fit == pytest.approx(-1e-12, rel=1e-4)


def test_json_has_the_promised_fields():
    content = json.loads(limit(counting(), "magnetic_moment_e").to_json())
    assert set(content) == {
        "schema", "workspaces", "schemes", "fixed", "floated", "digest", "valid", "warnings",
        "coupling", "unit", "cl", "method", "data", "best_fit", "minima", "intervals", "upper_limit", "q_min",
        "expected", "boundary_aware",
    }  # fmt: skip
    assert set(content["expected"]) == {"method", "asimov", "median", "band68", "band95", "z"}
    assert set(content["boundary_aware"]) == {"intervals", "upper_limit", "threshold"}
    assert content["schema"] == "nuemstat/limit/1"


def test_mistakes_are_told():
    model = counting()
    with pytest.raises(FitError, match=r"method: found 'bayes'; allowed are 'profile', 'cls', 'fc'"):
        limit(model, "magnetic_moment_e", method="bayes")
    with pytest.raises(FitError, match="executor: found int"):
        limit(model, "magnetic_moment_e", method="fc", executor=2)
    with pytest.raises(FitError, match="between 0 and 1"):
        limit(model, "magnetic_moment_e", cl=90)
    with pytest.raises(WorkspaceError, match=r"no parameter 'magnetic_moment_x'.*did you mean 'magnetic_moment_e'"):
        limit(model, "magnetic_moment_x")
    with pytest.raises(FitError, match="one of the two"):
        limit(model, "magnetic_moment_e", fixed={"magnetic_moment_e": 0.0})
    with pytest.raises(FitError, match="allowed there is"):
        limit(with_nuisances(OBSERVED), "millicharge_ee", fixed={"magnetic_moment_e": -1e-11})
    folded = workspace(model.channels, model.parameters, folded=(Folded(name="millicharge_ee", value=0.0),))
    with pytest.raises(WorkspaceError, match="was folded at 0"):
        limit(folded, "millicharge_ee")
    idle = workspace(model.channels, [*model.parameters, coupling("millicharge_ee")])
    with pytest.raises(FitError, match="changes nothing that is fitted"):
        limit(idle, "millicharge_ee")


def test_a_failed_inner_fit_is_seen(monkeypatch):
    from dataclasses import replace

    from nuemstat.stats import profile as module

    original = module.minimise

    def failing(likelihood, start, **options):
        found = original(likelihood, start, **options)
        return replace(found, converged=False) if options and start[0] > 1.0 else found

    monkeypatch.setattr(module, "minimise", failing)
    found = limit(with_nuisances(OBSERVED), "millicharge_ee")
    assert not found.valid
    assert any("fits did not converge, at millicharge_ee = 1" in text for text in found.warnings)


def test_tables_are_short_and_say_what_they_are():
    model = with_nuisances(OBSERVED)
    table = str(limit(model, "millicharge_ee"))
    assert "millicharge_ee at 90 % (profile, observed) from toy" in table
    assert " u [" in table
    assert len(table.splitlines()) < 8
    assert "sigma" in str(significance(model, "millicharge_ee", 1e-12))
    assert "21 points" in str(scan(model, "millicharge_ee", points=21))


def test_significance_out_of_bounds_is_told():
    with pytest.raises(FitError, match="allowed is 0 to inf"):
        significance(counting(), "magnetic_moment_e", -1e-11)


@pytest.mark.parametrize(("observed", "warned"), [([101.0, 99.0, 103.0], False), ([150.0, 60.0, 103.0], True)])
def test_a_limit_from_a_bad_fit_says_so(observed, warned):
    samples = [sample("bkg", [100.0] * 3), sample("nu", [1.0, 1.0, 1.0], magnetic_moment_e=2)]
    found = limit(workspace([channel(samples, observed)], [coupling("magnetic_moment_e", bounds=(0.0, None))]),
                  "magnetic_moment_e")  # fmt: skip
    assert found.valid
    assert bool(found.warnings) is warned
    if warned:
        assert "the best fit describes the data badly: 2 NLL = " in found.warnings[0]
        assert "for 2 degrees of freedom" in found.warnings[0]
