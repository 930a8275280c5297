"""Gaussian channels as formulas: the text itself, read by Python, expects what the likelihood expects."""

import math

import numpy as np
import pytest
from interop_workspaces import CHARGE, channel, flux, gaussian, many, numbers, sample, signal, tilt, workspace

from nuemstat.errors import WorkspaceError
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.document import DerivedParameter, FreeParameter, Workspace
from nuemstat.workspace.hs3_gaussian import Formulas, is_native
from nuemstat.workspace.modifiers import Anchor, HistoSys, Lumi, Norm, NormFactor, NormSys, Shape, ShapeFactor
from nuemstat.workspace.to_hs3 import to_hs3

WORDS = {"abs": abs, "exp": math.exp, "pow": pow}


def read(functions: dict[str, str], name: str, values: dict[str, float]) -> float:
    """What an expression is worth, its names looked up among functions and values."""

    class Names(dict):
        def __missing__(self, key):
            return read(functions, key, values) if key in functions else values[key]

    return eval(functions[name], {"__builtins__": {}}, Names(WORDS))


def spread(contents):
    """A shape along the second axis alone, with three anchors."""
    anchors = tuple(Anchor(alpha=a, values=(1 + 0.1 * a, 1 - 0.05 * a * a)) for a in (-2.0, 1.0, 2.0))
    return Shape(parameter="place", interpolation="multiplicative", axes=("time",), anchors=anchors)


def every_kind() -> Workspace:
    """All modifiers that a Gaussian channel can have, with a parameter that follows others."""
    base = np.array([6.0, 5, 4, 3])
    background = sample(
        "background",
        base,
        {"position": 2},
        NormFactor(parameter="size"),
        Norm(parameter="slope", interpolation="linear", size=0.2),
        HistoSys(parameter="bent", hi_data=numbers(base * 1.2), lo_data=numbers(base * 0.7)),
        HistoSys(parameter="kinked", hi_data=numbers(base + 1), lo_data=numbers(base - 2), interpolation="code0"),
        HistoSys(parameter="curved", hi_data=numbers(base + 1), lo_data=numbers(base - 2), interpolation="code2"),
        NormSys(parameter="steep", hi=1.3, lo=0.8),
        NormSys(parameter="even", hi=1.1, lo=0.8, interpolation="code1"),
        Norm(parameter="common", interpolation="linear", size=0.1),
        spread(None),
    )
    factors = (FreeParameter(name="size", quantity="norm", unit="1", default=1.0),
               FreeParameter(name="position", quantity="shift", unit="1", default=0.9))  # fmt: skip
    common = DerivedParameter(name="common", terms={"flux": 0.6, "slope": 0.8})
    made = channel("rates", (2, 2), [9.0, 8, 7, 6], [background, *signal(base, flux, tilt, many)],
                   statistic="gaussian", errors=(1.5, 1.2, 1.4, 1.1))  # fmt: skip
    found = workspace(made, extra=(*factors, common))
    assert {m.type for s in made.samples for m in s.modifiers} == {"normfactor", "norm", "histosys", "normsys", "shape"}
    return found


@pytest.mark.parametrize("seed", range(30))
def test_formulas_expect_what_the_likelihood_expects(seed):
    """Within the ends of the anchors and beyond them."""
    made = every_kind()
    formulas = Formulas(made)
    formulas.channel(made.channels[0])
    likelihood, generator = Likelihood(made), np.random.default_rng(seed)
    values = {
        name: generator.choice([generator.uniform(-0.9, 0.9), generator.uniform(-4, 4), 0.0, -1.0, 1.0])
        for name in likelihood.parameters
    }
    values |= {"size": generator.uniform(0.5, 2), "position": generator.uniform(0.2, 2)}
    expected = likelihood.counts(likelihood.vector(values))
    found = [read(formulas.functions, f"rates__bin{i}__expected", values) for i in range(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    pulls = (expected - np.array(made.channels[0].observed)) / np.array(made.channels[0].errors)
    terms = [((formulas.data[d["x"]] - read(formulas.functions, d["mean"], values)) / formulas.data[d["sigma"]]) ** 2
             for d in formulas.distributions]  # fmt: skip
    assert sum(terms) == pytest.approx(float(pulls @ pulls), rel=1e-11)


def test_a_covariance_is_written_in_its_eigenbasis():
    made = gaussian()
    formulas = Formulas(made)
    formulas.channel(made.channels[0])
    values = {p.name: 0.0 for p in made.parameters} | {CHARGE: 1.3, "flux": -1.7}
    likelihood = Likelihood(made)
    rest = likelihood.counts(likelihood.vector(values))[:3] - np.array(made.channels[0].observed)
    terms = [((formulas.data[d["x"]] - read(formulas.functions, d["mean"], values)) / formulas.data[d["sigma"]]) ** 2
             for d in formulas.distributions]  # fmt: skip
    wanted = rest @ np.linalg.inv(np.array(made.channels[0].covariance)) @ rest
    assert sum(terms) == pytest.approx(float(wanted), rel=1e-10)
    bad = made.channels[0].model_copy(update={"covariance": ((1.0, 2, 0), (2.0, 1, 0), (0.0, 0, 1))})
    with pytest.raises(WorkspaceError, match="channel rates: covariance: it is not positive definite"):
        Formulas(made).channel(bad)


def test_a_luminosity_is_its_quantity():
    made = channel("rates", (2,), [9.0, 8], [sample("background", [6.0, 5], {}, Lumi(parameter="beam"))],
                   statistic="gaussian", errors=(1.5, 1.2))  # fmt: skip
    formulas = Formulas(workspace(made))
    formulas.channel(made)
    assert read(formulas.functions, "rates__bin1__expected", {"beam": 2.0}) == pytest.approx(5 * (1 + 0.1 * 2))


def test_channels_with_factors_of_single_bins_are_pseudo_counts():
    factor = FreeParameter(name="shape", quantity="factor", unit="1", default=1.0)
    made = channel("rates", (2,), [9.0, 8], [sample("background", [6.0, 5], {}, ShapeFactor(parameter="shape"))],
                   statistic="gaussian", errors=(1.5, 1.2))  # fmt: skip
    assert not is_native(made)
    document = to_hs3(workspace(made, extra=(factor,))).document
    assert [d["type"] for d in document["distributions"]] == ["histfactory_dist"]
    assert document["data"][0]["contents"] == [1e8, 1e8]


def test_pseudo_counts_are_written_where_asked():
    export = to_hs3(gaussian(), native=False)
    assert {d["type"] for d in export.document["distributions"]} == {"histfactory_dist"}
    assert any("pseudo-counts" in note for note in export.notes)
    exact = to_hs3(gaussian())
    assert {d["type"] for d in exact.document["distributions"]} == {"gaussian_dist"}
    assert not any("pseudo-counts" in note for note in exact.notes)
    assert sum("Nothing of it is lost" in note for note in exact.notes) == 2
