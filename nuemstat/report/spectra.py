"""Each experiment's best fit, and what its spectrum becomes with a coupling at its limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nuemstat.errors import NuemstatError
from nuemstat.polynomial import FloatArray
from nuemstat.report.content import LimitEntry
from nuemstat.stats.kernels import Kernel
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import global_minimum
from nuemstat.stats.newton import minimise
from nuemstat.stats.problem import prepare
from nuemstat.stats.starts import starts
from nuemstat.vocabulary import UNIVERSAL
from nuemstat.workspace.document import Channel, Workspace


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """One channel along one of its axes, summed over the others.

    edges : in `unit`, shape (n + 1,); observed, errors (above and below), total : shape (n,);
    processes, at_limit : name -> shape (n,);
    at_limit : best fits with that coupling held at its limit.
    """

    experiment: str
    channel: str
    axis: str
    unit: str
    edges: FloatArray
    observed: FloatArray
    errors: FloatArray
    errors_below: FloatArray
    total: FloatArray
    processes: Mapping[str, FloatArray]
    at_limit: Mapping[str, FloatArray]


def spectra(limits: Sequence[LimitEntry], workspace: Workspace) -> tuple[Spectrum, ...]:
    """All channels of one experiment along each of their axes; limits : its own, for the lines with couplings at them.

    Raises
    ------
    FitError : the best fit cannot be trusted.
    """
    problem = prepare(workspace)
    workspace, likelihood = problem.workspace, problem.likelihood  # with a parameter for each bin that has its own
    best = global_minimum(likelihood, starts(likelihood, ()))
    total = _by_channel(likelihood, best.x)
    parts = {name: _part(workspace, likelihood, name, best.x) for name in _processes(workspace)}
    pushed = _at_limits(limits, workspace)
    found = []
    for channel in workspace.channels:
        values = {name: part[channel.name] for name, part in parts.items() if channel.name in part}
        at_limit = {name: counts[channel.name] for name, counts in pushed.items()}
        found += [
            _along(workspace.name, channel, number, total[channel.name], values, at_limit)
            for number in range(len(channel.axes))
        ]
    return tuple(found)


def _at_limits(limits: Sequence[LimitEntry], workspace: Workspace) -> dict[str, dict[str, FloatArray]]:
    """Expected counts with each universal coupling at the end of its set that is furthest from 0."""
    found = {}
    for entry in limits:
        ends = [end for pair in entry.intervals for end in pair if end is not None]
        if entry.coupling not in UNIVERSAL or not ends:
            continue
        try:
            likelihood = prepare(workspace, fixed={entry.coupling: max(ends, key=abs)}).likelihood
        except NuemstatError:  # a set of couplings that this workspace holds only in part
            continue
        found[entry.coupling] = _by_channel(likelihood, minimise(likelihood, likelihood.defaults).x)
    return found


def _by_channel(likelihood: Likelihood, x: FloatArray) -> dict[str, FloatArray]:
    counts, start, found = likelihood.counts(x), 0, {}
    for channel in likelihood.workspace.channels:
        found[channel.name] = counts[start : start + channel.size]
        start += channel.size
    return found


def _processes(workspace: Workspace) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sample.process for channel in workspace.channels for sample in channel.samples))


def _part(workspace: Workspace, likelihood: Likelihood, process: str, x: FloatArray) -> dict[str, FloatArray]:
    """Expected counts of one process, in the channels that have it."""
    channels = []
    for channel in workspace.channels:
        samples = tuple(sample for sample in channel.samples if sample.process == process)
        if samples:
            channels.append(channel.model_copy(update={"samples": samples}))
    kernel = Kernel(workspace.model_copy(update={"channels": tuple(channels)}), likelihood.fixed)
    values = dict(zip(likelihood.parameters, x, strict=True))
    point = np.array([[values[name] for name in kernel.parameters]])
    counts = kernel.expected(kernel.states(point))[0]
    return {name: counts[part] for name, part in kernel.slices.items()}


def _along(
    experiment: str,
    channel: Channel,
    number: int,
    total: FloatArray,
    values: Mapping[str, FloatArray],
    limits: Mapping[str, FloatArray],
) -> Spectrum:
    others = tuple(i for i in range(len(channel.axes)) if i != number)

    def projected(counts: FloatArray) -> FloatArray:
        return np.asarray(np.reshape(counts, channel.shape).sum(axis=others))

    axis = channel.axes[number]
    return Spectrum(
        experiment=experiment,
        channel=channel.name,
        axis=axis.name,
        unit=axis.unit,
        edges=np.array(axis.edges),
        observed=projected(np.array(channel.observed)),
        errors=np.sqrt(projected(_variances(channel, channel.errors))),
        errors_below=np.sqrt(projected(_variances(channel, channel.errors_below or channel.errors))),
        total=projected(total),
        processes={name: projected(counts) for name, counts in values.items()},
        at_limit={name: projected(counts) for name, counts in limits.items()},
    )


def _variances(channel: Channel, errors: tuple[float, ...] | None) -> FloatArray:
    if errors is not None:
        return np.array(errors) ** 2
    if channel.covariance is not None:
        return np.array(channel.covariance).diagonal()
    return np.array(channel.observed)
