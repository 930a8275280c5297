"""Stock pyhf as the judge of the likelihood: every shipped workspace, exported and evaluated by pyhf alone."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import fit
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.to_pyhf import PyhfExport, pyhf_parameters, to_pyhf
from nuemstat.workspace.to_pyhf import stock as stock_model

pyhf = pytest.importorskip("pyhf")
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf

PEDESTAL = 1e8
POINTS = 4


@cache
def shipped(name: str) -> tuple[Workspace, Likelihood, PyhfExport, Any, list[float]]:
    workspace = compile_model(load_model(name))
    return workspace, Likelihood(workspace), to_pyhf(workspace), *stock_model(workspace)


def many_anchors(workspace: Workspace) -> set[str]:
    """Nuisances whose interpolation is not pyhf's own: exact there at 0 and at +-1 of one at a time."""
    return {
        modifier.parameter
        for channel in workspace.channels
        for sample in channel.samples
        for modifier in sample.modifiers
        if modifier.type == "shape"
        and (modifier.interpolation == "multiplicative" or [a.alpha for a in modifier.anchors] != [-1.0, 1.0])
    }


@cache
def best_fit(name: str) -> dict[str, float]:
    """Parameters at the best fit, with the nuisances of `many_anchors` back at 0."""
    workspace, likelihood, *_ = shipped(name)
    result = fit(workspace)
    values = dict(zip(likelihood.parameters, likelihood.defaults, strict=True))
    for parameter in workspace.parameters:
        if parameter.name in result.nuisances and parameter.name not in many_anchors(workspace):
            entry = result.nuisances[parameter.name]
            constrained = parameter.kind == "constrained"
            centre, scale = (parameter.centre, parameter.sigma) if constrained else (0.0, parameter.scale)
            values[parameter.name] = (entry.value - centre) / scale
    return values


def random_points(name: str) -> list[dict[str, float]]:
    """Points around the best fit: couplings at a size that changes the counts by about their errors."""
    workspace, likelihood, *_ = shipped(name)
    generator = np.random.default_rng(20221)
    start = best_fit(name)
    x = np.array([start[p] for p in likelihood.parameters])
    base = likelihood.counts(x)
    points = []
    for _ in range(POINTS):
        values = dict(start)
        for parameter in workspace.parameters:
            if parameter.kind == "constrained" and parameter.name not in many_anchors(workspace):
                low = parameter.bounds[0]
                values[parameter.name] += max(0.3 * generator.normal(), -0.5 if low is not None else -np.inf)
            elif parameter.kind == "coupling":
                step = reach(likelihood, x, base, likelihood.index(parameter.name))
                values[parameter.name] += step * generator.uniform(0.2, 1.0)
        points.append(values)
    return points


def reach(likelihood: Likelihood, x: FloatArray, base: FloatArray, index: int) -> float:
    """The step of one coupling that changes the most sensitive bin by a quarter of its error."""
    step = 1e3
    while step > 1e-9:
        moved = x.copy()
        moved[index] += step
        change = np.abs(likelihood.counts(moved) - base) / likelihood.errors(base)
        if np.max(change) < 0.25:
            return step
        step /= 1.5
    return step


@pytest.mark.parametrize("name", shipped_models())
def test_differences_of_2nll_are_those_of_stock_pyhf(name: str) -> None:
    """To 1e-8 where all channels are Poisson; pseudo-counts of Gaussian channels to 2e-3 per bin within 3 sigma."""
    workspace, likelihood, export, stock, data = shipped(name)
    gaussian = sum(channel.size for channel in workspace.channels if channel.statistic == "gaussian")

    def both(values: dict[str, float]) -> tuple[float, float]:
        ours = likelihood(np.array([values[p] for p in likelihood.parameters]))
        theirs = stock.logpdf(pyhf_parameters(export, stock.config, values), data)
        return ours, -2 * float(np.asarray(theirs).ravel()[0])

    reference = both(best_fit(name))
    for values in random_points(name):
        ours, theirs = both(values)
        difference = (ours - reference[0]) - (theirs - reference[1])
        assert abs(ours - reference[0]) > 1e-3
        assert abs(difference) < (2e-3 * gaussian if gaussian else 1e-8)


@pytest.mark.parametrize("name", shipped_models())
def test_expected_counts_are_those_of_stock_pyhf(name: str) -> None:
    """At the random points, and at -1, 0 and +1 of each nuisance alone that pyhf interpolates in its own way."""
    workspace, likelihood, export, stock, _ = shipped(name)
    constrained = {p.name for p in workspace.parameters if p.kind == "constrained"}
    start = {p: 0.0 if p in constrained else value for p, value in best_fit(name).items()}
    points = [*random_points(name), start]
    points += [start | {nuisance: at} for nuisance in sorted(many_anchors(workspace)) for at in (-1.0, 1.0)]
    for values in points:
        counts = likelihood.counts(np.array([values[p] for p in likelihood.parameters]))
        theirs = np.asarray(stock.expected_actualdata(pyhf_parameters(export, stock.config, values))).ravel()
        first = 0
        for channel in sorted(workspace.channels, key=lambda c: c.name):
            ours = counts[channel_slice(workspace, channel.name)]
            found = theirs[first : first + channel.size]
            if channel.statistic == "gaussian":
                gain = np.sqrt(PEDESTAL) / np.array(channel.errors)
                ours = PEDESTAL + gain * (ours - np.array(channel.observed))
            np.testing.assert_allclose(found, ours, rtol=1e-9, atol=1e-9)
            first += channel.size


def channel_slice(workspace: Workspace, name: str) -> slice:
    start = 0
    for channel in workspace.channels:
        if channel.name == name:
            return slice(start, start + channel.size)
        start += channel.size
    raise AssertionError(name)
