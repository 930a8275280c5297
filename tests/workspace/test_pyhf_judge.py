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
from nuemstat.workspace.document import Channel, Workspace
from nuemstat.workspace.to_pyhf import PyhfExport, pyhf_parameters, to_pyhf
from nuemstat.workspace.to_pyhf import stock as stock_model

pyhf = pytest.importorskip("pyhf")
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf

PEDESTAL = 1e8
POINTS = 20


def one_error(channel: Channel) -> Channel:
    """Errors that differ on both sides as pyhf has them: the wider one on both."""
    return channel.model_copy(update={"errors": channel.wider_errors, "errors_below": None})


@cache
def shipped(name: str) -> tuple[Workspace, Likelihood, PyhfExport, Any, list[float]]:
    made = compile_model(load_model(name))
    workspace = made.model_copy(update={"channels": tuple(map(one_error, made.channels))})
    return workspace, Likelihood(workspace), to_pyhf(workspace), *stock_model(workspace)


def many_anchors(workspace: Workspace) -> set[str]:
    """Nuisances whose interpolation is not pyhf's own: exact there at 0 and at +-1 of one at a time.

    Of a sum of two, a shared and a local one, both.
    """
    derived = {p.name: tuple(p.terms) for p in workspace.parameters if p.kind == "derived"}
    return {
        name
        for channel in workspace.channels
        for sample in channel.samples
        for modifier in sample.modifiers
        if modifier.type == "shape"
        and (modifier.interpolation == "multiplicative" or [a.alpha for a in modifier.anchors] != [-1.0, 1.0])
        for name in derived.get(modifier.parameter, (modifier.parameter,))
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
    """Points around the best fit: couplings on both sides at a size that changes the counts by about their errors,
    nuisances within three sigma; drawn in where a bin would be expected to hold less than nothing."""
    workspace, likelihood, *_ = shipped(name)
    generator = np.random.default_rng(20221)
    start = best_fit(name)
    x = np.array([start[p] for p in likelihood.parameters])
    couplings = [p for p in workspace.parameters if p.kind == "coupling"]
    steps = {p.name: reach(likelihood, x, likelihood.index(p.name)) for p in couplings}
    nuisances = [p for p in workspace.parameters if p.kind == "constrained" and p.name not in many_anchors(workspace)]
    points = []
    for _ in range(POINTS):
        directions = {p.name: generator.choice([-1, 1]) * generator.uniform(0.2, 1.0) for p in couplings}
        pulls = {p.name: generator.uniform(-3.0, 3.0) for p in nuisances}
        size = 1.0
        while not_allowed(likelihood, values := moved(workspace, start, steps, directions, pulls, size)):
            size *= 0.7
        points.append(values)
    return points


def moved(
    workspace: Workspace,
    start: dict[str, float],
    steps: dict[str, float],
    directions: dict[str, float],
    pulls: dict[str, float],
    size: float,
) -> dict[str, float]:
    """The best fit with couplings and nuisances moved, within their bounds."""
    values = dict(start)
    for name, direction in directions.items():
        values[name] += size * steps[name] * direction
    for name, pull in pulls.items():
        values[name] = (1 - size) * start[name] + size * pull
    for name in [*directions, *pulls]:
        low, high = workspace.parameter(name).bounds
        if low is not None and values[name] < low:
            values[name] = 2 * low - values[name] if name in directions else low
        values[name] = values[name] if high is None else min(values[name], high)
    return values


def not_allowed(likelihood: Likelihood, values: dict[str, float]) -> bool:
    counts = likelihood.counts(np.array([values[p] for p in likelihood.parameters]))
    return bool(counts[likelihood.terms.poisson].min(initial=np.inf) <= 0)


def reach(likelihood: Likelihood, x: FloatArray, index: int) -> float:
    """The step of one coupling that changes the most sensitive bin by its error."""
    step, base = 1e3, likelihood.counts(x)
    while step > 1e-9:
        there = x.copy()
        there[index] += step
        if np.max(np.abs(likelihood.counts(there) - base) / likelihood.errors(base)) < 1:
            return step
        step /= 1.5
    return step


def pseudo_count_error(workspace: Workspace, counts: FloatArray) -> float:
    """The first term by which 2 NLL of pseudo-counts misses the Gaussian, 2/3 |r|^3 / sqrt(N) per bin, and rounding."""
    total, first = 0.0, 0
    for channel in workspace.channels:
        residual = counts[first : first + channel.size] - np.array(channel.observed)
        first += channel.size
        if channel.statistic == "gaussian":
            pulls = in_errors(channel, residual)
            total += float(2 / 3 * (np.abs(pulls) ** 3).sum() / np.sqrt(PEDESTAL)) + 1e-4 * channel.size
    return total


def in_errors(channel: Channel, residual: FloatArray) -> FloatArray:
    """Residuals of a Gaussian channel in its errors, where it has a covariance in the eigenbasis of that."""
    if channel.errors is not None:
        return residual / np.array(channel.errors)
    variances, vectors = np.linalg.eigh(np.array(channel.covariance))
    return np.asarray((vectors.T @ residual) / np.sqrt(variances))


LARGE = {"borexino_phase2", "coherent_csi", "coherent_lar", "dresden2", "superk_solar", "xenonnt_b8"}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in shipped_models()]


@pytest.mark.parametrize("name", NAMES)
def test_differences_of_2nll_are_those_of_stock_pyhf(name: str) -> None:
    """To 1e-8 where all channels are Poisson; pseudo-counts of Gaussian channels to their known error."""
    workspace, likelihood, export, stock, data = shipped(name)

    def all_three(values: dict[str, float]) -> tuple[float, float, float]:
        x = np.array([values[p] for p in likelihood.parameters])
        theirs = stock.logpdf(pyhf_parameters(export, stock.config, values), data)
        tolerance = pseudo_count_error(workspace, likelihood.counts(x))
        return likelihood(x), -2 * float(np.asarray(theirs).ravel()[0]), tolerance

    reference = all_three(best_fit(name))
    heights = []
    for values in random_points(name):
        ours, theirs, tolerance = all_three(values)
        heights.append(ours - reference[0])
        difference = heights[-1] - (theirs - reference[1])
        assert abs(difference) < 1e-8 + tolerance + reference[2]
    assert np.ptp(heights) > 0.1


@pytest.mark.parametrize("name", NAMES)
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
                ours = PEDESTAL + np.sqrt(PEDESTAL) * in_errors(channel, ours - np.array(channel.observed))
            np.testing.assert_allclose(found, ours, rtol=1e-9, atol=1e-9)
            first += channel.size


def channel_slice(workspace: Workspace, name: str) -> slice:
    start = 0
    for channel in workspace.channels:
        if channel.name == name:
            return slice(start, start + channel.size)
        start += channel.size
    raise AssertionError(name)
