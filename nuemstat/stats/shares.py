"""How much each experiment adds to 2 NLL, bins and own nuisances, so that the parts sum to the whole."""

from collections.abc import Mapping, Sequence

import numpy as np

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.diagnostics import Shares
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import floating, global_minimum
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.starts import starts
from nuemstat.workspace.document import Workspace


def shares(
    workspace: Workspace,
    coupling: str,
    at: float,
    *,
    data: str = "observed",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
) -> Shares:
    """2 NLL of each experiment at one physical value of a coupling, minus that at the global best fit.

    Each experiment counts its bins and the constraints of nuisances that no other one uses; a share is negative
    where an experiment prefers the value. All nuisances are fitted, jointly.

    Raises
    ------
    WorkspaceError : the coupling is not held; FitError : the value is out of bounds, or no fit can be trusted.
    """
    problem = prepare(workspace, couplings=(coupling,), free=free, fixed=fixed, data=data)
    best = global_minimum(problem.likelihood, starts(problem.likelihood, floating(problem)))
    return shares_between(problem, coupling, at, best)


def shares_between(problem: Problem, coupling: str, at: float, best: Solution) -> Shares:
    """The same with the best fit known already."""
    likelihood, (scale, unit) = problem.likelihood, problem.scale(coupling)
    index = likelihood.index(coupling)
    value = problem.place(coupling, at)
    held = np.arange(best.x.size) == index
    candidates = [best.x, *starts(likelihood, [name for name in problem.floated if name != coupling])]
    found = []
    for candidate in candidates:
        x = candidate.copy()
        x[index] = value
        found.append(minimise(likelihood, x, held=held))
    there = min(found, key=lambda solution: (not solution.converged, solution.value))
    if not there.converged:
        raise FitError(f"{problem.workspace.name}: the fit at {coupling} = {at:g} {unit} does not converge")
    before, after = parts(likelihood, best.x), parts(likelihood, there.x)
    change = {name: after[name] - before[name] for name in before}
    shared = change.pop("")
    return Shares(
        **problem.origin,
        warnings=problem.warnings(),
        coupling=coupling,
        unit=unit,
        data=likelihood.data,
        at=at,
        q=there.value - best.value,
        experiments=change,
        shared=shared,
        best_fit=float(best.x[index]) * scale,
    )


def parts(likelihood: Likelihood, x: FloatArray) -> dict[str, float]:
    """2 NLL by experiment, with its own nuisances; under the empty name constraints that several share.

    Fixed nuisances count for nobody: their constraints do not change.
    """
    found = dict.fromkeys(experiments(likelihood.workspace), 0.0)
    for name, part in channel_terms(likelihood, x).items():
        found[experiment_of(likelihood.workspace)[name]] += part
    found[""] = 0.0
    owners = users(likelihood.workspace)
    for name, pull, constrained in zip(likelihood.parameters, x, likelihood.constrained, strict=True):
        if constrained:
            using = owners.get(name, ())
            found[using[0] if len(using) == 1 else ""] += float(pull) ** 2
    return found


def channel_terms(likelihood: Likelihood, x: FloatArray) -> dict[str, float]:
    """2 NLL of the bins of each channel, without constraints."""
    counts, terms = likelihood.counts(x), likelihood.terms
    found: dict[str, float] = {}
    for k, channel in enumerate(likelihood.workspace.channels):
        found[channel.name] = float(terms.only(k).value(counts))
    return found


def experiments(workspace: Workspace) -> tuple[str, ...]:
    """Names of the experiments, in order of appearance."""
    return tuple(dict.fromkeys(channel.experiment for channel in workspace.channels))


def experiment_of(workspace: Workspace) -> dict[str, str]:
    """Channel -> experiment."""
    return {channel.name: channel.experiment for channel in workspace.channels}


def users(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    """Parameter -> the experiments whose samples hang on it, directly or through derived parameters."""
    found: dict[str, dict[str, None]] = {}
    derived = {p.name: tuple(p.terms) for p in workspace.parameters if p.kind == "derived"}
    for channel in workspace.channels:
        for sample in channel.samples:
            for name in (*sample.monomial, *(modifier.parameter for modifier in sample.modifiers)):
                for independent in derived.get(name, (name,)):
                    found.setdefault(independent, {})[channel.experiment] = None
    return {name: tuple(names) for name, names in found.items()}
