"""Shares of experiments in the joint 2 NLL: what is whose, and that it sums up."""

import numpy as np
import pytest
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.errors import FitError
from nuemstat.stats.intervals import limit, significance
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.shares import channel_terms, shares, users
from nuemstat.workspace.modifiers import Norm


def model():
    common = Norm(parameter="common", interpolation="linear", size=0.1)
    own = Norm(parameter="own", interpolation="linear", size=0.1)
    one = [sample("bkg", [50.0, 40.0], own), sample("nu", [10.0, 3.0], common, millicharge_ee=1)]
    two = [sample("bkg", [80.0], common), sample("nu", [5.0], millicharge_ee=1)]
    gauss = channel([sample("nu", [1.0, 2.0], common, millicharge_ee=1)], [2.0, 1.0], name="three",
                    statistic="gaussian", covariance=((1.0, 0.3), (0.3, 2.0)))  # fmt: skip
    return workspace(
        [channel(one, [55.0, 38.0], name="one"), channel(two, [95.0], name="two"), gauss],
        [coupling("millicharge_ee"), nuisance("common"), nuisance("own")],
    )


def test_shares_sum_to_the_whole():
    at = limit(model(), "millicharge_ee").intervals[0][1]
    found = shares(model(), "millicharge_ee", at)
    assert set(found.experiments) == {"one", "two", "three"}
    assert sum(found.experiments.values()) + found.shared == pytest.approx(found.q, abs=1e-9)
    assert found.q == pytest.approx(significance(model(), "millicharge_ee", at).q, abs=1e-7)
    assert found.shared != 0.0
    assert min(found.experiments.values()) < max(found.experiments.values())


def test_who_uses_what():
    assert users(model())["common"] == ("one", "two", "three")
    assert users(model())["own"] == ("one",)
    substituted = model().substitute("millicharge")
    assert users(substituted)["millicharge"] == ("one", "two", "three")


def test_channel_terms_are_the_likelihood_of_each_alone():
    whole = Likelihood(model())
    x = np.array([0.7, 0.3, -0.4])
    terms = channel_terms(whole, x)
    for part in model().channels:
        alone = Likelihood(workspace([part], model().parameters))
        wanted = alone(x) - 0.3**2 - 0.4**2
        assert terms[part.name] == pytest.approx(wanted, rel=1e-9)


def test_an_experiment_alone_has_it_all():
    alone = workspace(model().channels[:1], model().parameters)
    found = shares(alone, "millicharge_ee", 3e-12)
    assert found.experiments["one"] == pytest.approx(found.q)
    assert found.shared == 0.0


def test_out_of_bounds_is_told():
    samples = [sample("bkg", [50.0]), sample("nu", [5.0], magnetic_moment_e=2)]
    even = workspace([channel(samples, [52.0])], [coupling("magnetic_moment_e", bounds=(0.0, None))])
    with pytest.raises(FitError, match="allowed is 0 to inf"):
        shares(even, "magnetic_moment_e", -1e-11)
