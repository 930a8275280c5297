"""Goodness of fit against chi2, toys, and the compatibility of measurements in closed form."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import chi2
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.errors import FitError
from nuemstat.stats.goodness import goodness
from nuemstat.stats.separate import split
from nuemstat.workspace.combine import combine
from nuemstat.workspace.modifiers import Norm


def measurement(name, observed, error, slope=2.0, *modifiers, parameter="charge_radius_ee", power=1):
    samples = [sample("bkg", [10.0], *modifiers), sample("nu", [slope], **{parameter: power})]
    return channel(samples, [observed], name=name, statistic="gaussian", errors=(error,))


def test_saturated_model_is_chi2():
    observed = [11.0, 14.0, 7.5]
    samples = [sample("bkg", [10.0, 10.0, 10.0]), sample("nu", [1.0, 1.0, 1.0], millicharge_ee=1)]
    model = workspace([channel(samples, observed, statistic="gaussian", errors=(1.0, 2.0, 0.5))],
                      [coupling("millicharge_ee")])  # fmt: skip
    found = goodness(model, free=("millicharge_ee",))
    weight = 1 / np.array([1.0, 4.0, 0.25])
    mean = np.sum(weight * observed) / weight.sum()
    wanted = np.sum(weight * (observed - mean) ** 2)
    assert found.q_min == pytest.approx(wanted, rel=1e-9)
    assert found.ndof == 2
    assert found.p_value == pytest.approx(chi2.sf(wanted, 2), rel=1e-9)
    assert found.experiments == {"sr": {"q": pytest.approx(wanted), "bins": 3}}
    assert found.constraints == pytest.approx(0.0, abs=1e-9)
    assert found.parameters is None
    assert found.warnings == ()


def test_parts_sum_to_the_whole():
    pull = Norm(parameter="shared", interpolation="linear", size=0.2)
    model = workspace(
        [measurement("one", 14.0, 1.0, 2.0, pull), measurement("two", 8.0, 2.0, 3.0, pull)],
        [coupling("charge_radius_ee"), nuisance("shared")],
    )
    found = goodness(model, free=("charge_radius_ee",))
    assert sum(part["q"] for part in found.experiments.values()) + found.constraints == pytest.approx(found.q_min)


def test_few_counts_are_warned_of():
    samples = [sample("bkg", [2.0, 3.0, 50.0]), sample("nu", [1.0, 1.0, 1.0], magnetic_moment_e=2)]
    model = workspace([channel(samples, [1.0, 4.0, 52.0])], [coupling("magnetic_moment_e", bounds=(0.0, None))])
    found = goodness(model)
    assert "2 of 3 Poisson bins expect fewer than 5 counts" in found.warnings[0]


def test_toys_agree_with_chi2_where_it_holds():
    """With Gaussian bins and a Gaussian constraint 2 NLL is exactly chi2 distributed."""
    pull = Norm(parameter="pull", interpolation="linear", size=0.1)
    samples = [sample("bkg", [10.0, 20.0, 30.0, 5.0], pull), sample("nu", [1.0, 2.0, 1.0, 4.0], millicharge_ee=1)]
    gauss = channel(samples, [11.0, 18.0, 33.5, 5.0], statistic="gaussian", errors=(1.0, 2.0, 1.5, 1.0))
    model = workspace([gauss], [coupling("millicharge_ee"), nuisance("pull")])
    found = goodness(model, free=("millicharge_ee",), toys=1500, seed=4)
    assert found.toys["number"] == 1500
    assert 0.02 < found.p_value < 0.98
    assert found.toys["p_value"] == pytest.approx(found.p_value, abs=3.5 * found.toys["error"])
    assert found.toys["error"] == pytest.approx(np.sqrt(found.p_value * (1 - found.p_value) / 1500), rel=0.1)
    assert found.toys["error"] < 0.2 * found.p_value, "the test needs a p-value that toys can tell from another one"
    again = goodness(model, free=("millicharge_ee",), toys=250, seed=4)
    with ThreadPoolExecutor(2) as executor:
        assert goodness(model, free=("millicharge_ee",), toys=250, seed=4, executor=executor).toys == again.toys
    assert goodness(model, free=("millicharge_ee",), toys=250, seed=5).toys != again.toys
    with pytest.raises(FitError, match="1 or more are allowed"):
        goodness(model, toys=-1)


def test_agreement_of_two_measurements_is_the_closed_form():
    """(x1 - x2)^2 / (s1^2 + s2^2) with one degree of freedom."""
    model = workspace([measurement("one", 14.0, 1.0, 2.0), measurement("two", 8.0, 2.0, 3.0)],
                      [coupling("charge_radius_ee")])  # fmt: skip
    found = goodness(model, free=("charge_radius_ee",)).parameters
    first, second = (14.0 - 10) / 2, (8.0 - 10) / 3
    wanted = (first - second) ** 2 / (0.5**2 + (2 / 3) ** 2)
    assert found.q == pytest.approx(wanted, rel=1e-7)
    assert found.ndof == 1
    assert found.p_value == pytest.approx(chi2.sf(wanted, 1), rel=1e-6)
    assert found.experiments["one"]["charge_radius_ee"] == pytest.approx(first * 1e-32, rel=1e-5)
    assert found.experiments["two"]["charge_radius_ee"] == pytest.approx(second * 1e-32, rel=1e-5)


def test_agreement_with_a_shared_nuisance_counts_its_constraint_once():
    """The shared pull moves both measurements: their difference has the covariance of y1/2 - y2/3."""
    pull = Norm(parameter="shared", interpolation="linear", size=0.2)  # 2 of the 10 in each bin
    model = workspace(
        [measurement("one", 14.0, 1.0, 2.0, pull), measurement("two", 8.0, 2.0, 3.0, pull)],
        [coupling("charge_radius_ee"), nuisance("shared")],
    )
    found = goodness(model, free=("charge_radius_ee",)).parameters
    difference = 4 / 2 - (-2) / 3
    variance = (1 / 2) ** 2 + (2 / 3) ** 2 + (2 / 2 - 2 / 3) ** 2
    assert found.q == pytest.approx(difference**2 / variance, rel=1e-6)
    assert found.q > 0


def test_agreement_of_universal_couplings_and_insensitive_experiments():
    channels = [
        measurement("one", 14.0, 1.0, 2.0, parameter="millicharge_ee"),
        measurement("two", 8.0, 2.0, 3.0, parameter="millicharge_mumu"),
        measurement("three", 10.0, 1.0, 1.0, parameter="magnetic_moment_e", power=2),
    ]
    model = workspace(channels, [coupling("millicharge_ee"), coupling("millicharge_mumu"),
                                 coupling("magnetic_moment_e", bounds=(0.0, None))])  # fmt: skip
    found = goodness(model, free=("millicharge",)).parameters
    assert found.ndof == 1
    assert found.q == pytest.approx((4 / 2 + 2 / 3) ** 2 / (0.5**2 + (2 / 3) ** 2), rel=1e-6)
    assert set(found.experiments) == {"one", "two"}
    assert goodness(model, free=("millicharge_ee",)).parameters is None
    separate, copies = split(model.substitute("millicharge"), {"millicharge": ["one", "two"]})
    assert copies == {"millicharge__at0": ("millicharge", "one"), "millicharge__at1": ("millicharge", "two")}
    derived = {p.name for p in separate.parameters if p.kind == "derived"}
    assert derived == {"millicharge_ee__at0", "millicharge_mumu__at1"}


def test_each_experiment_is_followed_into_its_own_basin():
    """Quadratic terms: the joint fit sits in one basin, an experiment alone prefers the other one."""

    def bins(name, linear, quadratic, observed):
        samples = [sample("bkg", [50.0, 50.0]), sample("nu", linear, charge_radius_ee=1),
                   sample("nu", quadratic, charge_radius_ee=2)]  # fmt: skip
        return channel(samples, observed, name=name, statistic="gaussian", errors=(1.0, 1.0))

    # "one" is right at 0 and better still at 2; "two" knows only of 0
    one = bins("one", [-20.0, -10.0], [10.0, 5.2], [50.0, 50.6])
    two = bins("two", [9.0, 3.0], [0.1, 0.1], [50.0, 50.0])
    model = workspace([one, two], [coupling("charge_radius_ee")])
    found = goodness(model, free=("charge_radius_ee",)).parameters
    assert found.experiments["one"]["charge_radius_ee"] == pytest.approx(2e-32, abs=0.1e-32)
    assert found.experiments["two"]["charge_radius_ee"] == pytest.approx(0.0, abs=0.05e-32)


def test_negative_counts_at_the_best_fit_are_told():
    samples = [sample("bkg", [3.0]), sample("nu", [-3.0], charge_radius_ee=1)]
    model = workspace([channel(samples, [0.0])], [coupling("charge_radius_ee")])
    with pytest.raises(FitError, match=r"channel sr, bin 0: .* counts are expected at charge_radius_ee"):
        goodness(model, free=("charge_radius_ee",))


def test_json():
    model = workspace([measurement("one", 14.0, 1.0)], [coupling("charge_radius_ee")])
    content = json.loads(goodness(model).to_json())
    assert content["schema"] == "nuemstat/goodness/1"
    assert content["toys"] is None
    assert {"workspaces", "digest", "valid", "warnings", "q_min", "ndof", "p_value"} <= set(content)


def test_a_radius_that_its_transition_charge_makes_signed_is_so_in_each_experiment():
    """Counts (q + b r)^2 of three bins: each experiment is described without rest, one of them by a negative radius."""
    slopes = np.array([1.0, -1.0, 0.5])

    def member(name, charge, radius):
        samples = [
            sample("bkg", [10.0] * 3),
            sample("nu", [1.0] * 3, millicharge_emu=2),
            sample("nu", 2 * slopes, millicharge_emu=1, charge_radius_emu=1),
            sample("nu", slopes**2, charge_radius_emu=2),
        ]
        observed = 10.0 + (charge + slopes * radius) ** 2
        part = channel(samples, observed, name=name, statistic="gaussian", errors=(1.0,) * 3)
        return workspace(
            [part], [coupling(c, bounds=(0.0, None)) for c in ("millicharge_emu", "charge_radius_emu")], name
        )

    found = goodness(
        combine([member("one", 2, -2.5), member("two", 1, 3)]), free=("millicharge_emu", "charge_radius_emu")
    )
    assert found.parameters.q == pytest.approx(found.q_min, abs=1e-6)
    assert found.parameters.ndof == 2
    assert found.parameters.experiments["one"]["charge_radius_emu"] == pytest.approx(-2.5e-32)
    assert found.parameters.experiments["two"]["charge_radius_emu"] == pytest.approx(3e-32)
