"""Goodness of fit: against the saturated model, asymptotically or by toys, and between experiments."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray, monomial_name
from nuemstat.stats.batch import fit_batch
from nuemstat.stats.data import to_physical
from nuemstat.stats.diagnostics import Goodness, ParameterGoodness
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import floating, global_minimum
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.shares import channel_terms, experiment_of, experiments, users
from nuemstat.stats.starts import starts
from nuemstat.stats.toys import KINDS, TASK_SIZE, Thrower, at_least
from nuemstat.workspace.document import CouplingParameter, DerivedParameter, Parameter, Sample, Workspace

_FEW = 5.0
"""Expected counts of a bin below which its term of 2 NLL does not follow chi2 well."""
_SHALLOW = 20.0
"""In 2 NLL above the best fit: minima up to there are starts of toys."""


def goodness(
    workspace: Workspace,
    *,
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    data: str = "observed",
    toys: int = 0,
    seed: int = 0,
    executor: Executor | None = None,
) -> Goodness:
    """How well the best fit describes the data, and whether the experiments agree on the floating couplings.

    free, fixed, data : as in `fit`; toys : how many to throw for the p-value, none for the asymptotic one only.

    Raises
    ------
    WorkspaceError, FitError : as `fit`.
    """
    problem = prepare(workspace, free=free, fixed=fixed, data=data)
    likelihood = problem.likelihood
    best = global_minimum(likelihood, starts(likelihood, floating(problem)))
    likelihood.expected(best.x)
    ndof = likelihood.n_bins - int((~likelihood.constrained).sum())
    terms, owner = channel_terms(likelihood, best.x), experiment_of(problem.workspace)
    sizes = bins(likelihood)
    found: dict[str, dict[str, float]] = {name: {"q": 0.0, "bins": 0} for name in experiments(problem.workspace)}
    for channel, term in terms.items():
        found[owner[channel]]["q"] += term
        found[owner[channel]]["bins"] += sizes[channel]
    return Goodness(
        **problem.origin,
        warnings=problem.warnings([] if toys else sparse(likelihood, best)),
        data=data,
        q_min=best.value,
        ndof=ndof,
        p_value=float(chi2.sf(best.value, ndof)) if ndof > 0 else float("nan"),
        experiments=found,
        constraints=best.value - sum(terms.values()),
        toys=by_toys(problem, best, toys, seed, executor) if toys else None,
        parameters=between_experiments(problem, best),
    )


def bins(likelihood: Likelihood) -> dict[str, int]:
    """Bins that carry information, by channel."""
    found: dict[str, int] = {}
    for channel, part in zip(likelihood.workspace.channels, likelihood.terms.slices, strict=True):
        poisson = likelihood.terms.poisson
        counted = int(((poisson >= part.start) & (poisson < part.stop)).sum())
        found[channel.name] = counted if channel.statistic == "poisson" else channel.size
    return found


def sparse(likelihood: Likelihood, best: Solution) -> list[str]:
    """A warning where many Poisson bins expect few counts, none otherwise."""
    counts = likelihood.counts(best.x)[likelihood.terms.poisson]
    few = int((counts < _FEW).sum())
    if 5 * few <= counts.size:
        return []
    return [f"{few} of {counts.size} Poisson bins expect fewer than {_FEW:g} counts: chi2 describes 2 NLL badly there; "
            "toys do better"]  # fmt: skip


def by_toys(problem: Problem, best: Solution, number: int, seed: int, executor: Executor | None) -> dict[str, float]:
    """The p-value as the share of toys, thrown at the best fit, that fit worse, with its binomial error.

    Tasks have a fixed size and toys seeds of their own, so who computes them does not matter.

    Raises
    ------
    FitError : fewer toys than one, or none that can be fitted.
    """
    if number < 1:
        raise FitError(f"toys: found {number}; 1 or more are allowed")
    places = _basins(problem.likelihood, best, starts(problem.likelihood, floating(problem)))
    sizes = [min(TASK_SIZE, number - first) for first in range(0, number, TASK_SIZE)]
    tasks = [_Task(problem, places, best.value, seed, k * TASK_SIZE, size) for k, size in enumerate(sizes)]
    counts = np.sum(list((map if executor is None else executor.map)(_toys, tasks)), axis=0)
    fitted, worse = int(counts[0]), int(counts[1])
    if not fitted:
        raise FitError(f"{problem.workspace.name}: none of {number} toys could be fitted")
    p = worse / fitted
    error = float(np.sqrt(max(p * (1 - p), 1 / fitted) / fitted))
    return {"p_value": p, "error": error, "number": fitted, "seed": seed}


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """Some toys: thrown at the first of `places`, and fitted from all of them; value : 2 NLL of the data."""

    problem: Problem
    places: FloatArray
    value: float
    seed: int
    first: int
    size: int


def _toys(task: _Task) -> tuple[int, int]:
    """How many toys of a task were fitted, and how many of these fit no better than the data."""
    likelihood = task.problem.likelihood
    kind = KINDS.index("goodness")
    seeds = [np.random.SeedSequence(task.seed, spawn_key=(kind, task.first + i)) for i in range(task.size)]
    counts, centres = Thrower(likelihood)(task.places[0], seeds)
    fits = fit_batch(likelihood, counts, centres, task.places[0])
    for place in task.places[1:]:
        fits = fits.lower(fit_batch(likelihood, counts, centres, place))
    return int(fits.converged.sum()), int((fits.converged & at_least(fits.values, task.value)).sum())


def _basins(likelihood: Likelihood, best: Solution, points: Sequence[FloatArray]) -> FloatArray:
    """The best fit, and other minima where toys may have their lowest one; shape (n, n_parameters)."""
    found = [best]
    for solution in (minimise(likelihood, point) for point in points):
        apart = [solution.x - other.x for other in found]
        new = all(d @ o.fisher @ d > 1 for d, o in zip(apart, found, strict=True))
        if solution.converged and new and solution.value < best.value + _SHALLOW:
            found.append(solution)
    return np.array([solution.x for solution in found[:4]])


def between_experiments(problem: Problem, best: Solution) -> ParameterGoodness | None:
    """Joint fit against couplings of each experiment's own; None where fewer than two experiments share a coupling."""
    workspace = _filled(problem.workspace)
    names, sensitive = experiments(workspace), users(workspace)
    asked = [name for name in problem.floated if len(sensitive.get(name, ())) > 1]
    if not asked:
        return None
    separate, copies = split(workspace, asked, names)
    likelihood = problem.likelihood
    fixed = {name: value for name, value in likelihood.fixed.items() if name not in asked}
    alone = Likelihood(separate, fixed=fixed, data="observed").with_data(likelihood.terms.observed)
    for copied, (name, _) in copies.items():
        alone.bounds[alone.index(copied)] = likelihood.bounds[likelihood.index(name)]
    joint = {name: float(value) for name, value in zip(likelihood.parameters, best.x, strict=True) if name not in asked}
    joint |= {copied: float(best.x[likelihood.index(name)]) for copied, (name, _) in copies.items()}
    lowest = _lowest(alone, copies, joint)
    result: dict[str, dict[str, float]] = {name: {} for name in names if any(e == name for _, e in copies.values())}
    for copied, (name, experiment) in copies.items():
        i = alone.index(copied)
        result[experiment][name] = to_physical(alone.definitions[i], float(lowest.x[i]))
    q, ndof = max(best.value - lowest.value, 0.0), len(copies) - len(asked)
    return ParameterGoodness(q, ndof, float(chi2.sf(q, ndof)), result)


def _filled(workspace: Workspace) -> Workspace:
    """The workspace without samples that are empty: who holds a coupling in these alone has no say in it."""
    channels = []
    for channel in workspace.channels:
        kept = tuple(sample for sample in channel.samples if any(sample.contents) or _is_changed(sample))
        channels.append(channel.model_copy(update={"samples": kept or channel.samples}))
    return workspace.model_copy(update={"channels": tuple(channels)})


def _is_changed(sample: Sample) -> bool:
    """Whether modifiers add counts to a sample."""
    return any(m.type == "histosys" or (m.type == "shape" and m.interpolation == "additive") for m in sample.modifiers)


def _lowest(alone: Likelihood, copies: Mapping[str, tuple[str, str]], joint: Mapping[str, float]) -> Solution:
    """The lowest minimum with separate couplings: from the joint fit, from where each experiment has its own minimum,
    and from there with one experiment after the other in each of its basins."""
    start = alone.vector(joint)
    moves: list[tuple[list[int], list[FloatArray]]] = []
    for experiment in dict.fromkeys(e for _, e in copies.values()):
        own = [copied for copied, (_, e) in copies.items() if e == experiment]
        places = [alone.index(copied) for copied in own]
        moves.append((places, [basin[places] for basin in _own_basins(alone, experiment, own)]))
    preferred = start.copy()
    for places, basins in moves:
        preferred[places] = basins[0] if basins else start[places]
    best = min((minimise(alone, x) for x in (preferred, start)), key=lambda found: (not found.converged, found.value))
    for places, basins in moves:
        for basin in basins:
            trial = best.x.copy()
            trial[places] = basin
            found = minimise(alone, trial)
            if found.converged and (not best.converged or found.value < best.value):
                best = found
    if not best.converged:
        raise FitError(f"{alone.workspace.name}: the fit with couplings of each experiment's own does not converge")
    return best


def _own_basins(alone: Likelihood, experiment: str, own: Sequence[str]) -> list[FloatArray]:
    """Minima of one experiment's data alone, which cost little to find; the lowest first."""
    kept = [channel.experiment == experiment for channel in alone.workspace.channels]
    channels = tuple(channel for channel, is_kept in zip(alone.workspace.channels, kept, strict=True) if is_kept)
    slices = [part for part, is_kept in zip(alone.terms.slices, kept, strict=True) if is_kept]
    counts = np.concatenate([alone.terms.observed[part] for part in slices])
    small = Likelihood(alone.workspace.model_copy(update={"channels": channels}), fixed=alone.fixed).with_data(counts)
    small.bounds = alone.bounds
    found: list[Solution] = []
    for solution in sorted((minimise(small, start) for start in starts(small, own)), key=lambda s: s.value):
        apart = [solution.x - other.x for other in found]
        if solution.converged and all(d @ o.fisher @ d > 0.1 for d, o in zip(apart, found, strict=True)):
            found.append(solution)
    return [solution.x for solution in found]


def split(
    workspace: Workspace, couplings: Sequence[str], names: Sequence[str]
) -> tuple[Workspace, dict[str, tuple[str, str]]]:
    """The workspace with copies of some couplings for each experiment, and copy -> (coupling, experiment)."""
    moved = _following(workspace, couplings)
    renamed = [{name: f"{name}__at{k}" for name in (*couplings, *moved)} for k in range(len(names))]
    channels, used = [], set()
    for channel in workspace.channels:
        table = renamed[names.index(channel.experiment)]
        samples = tuple(_renamed(sample, table) for sample in channel.samples)
        used |= {name for sample in samples for name in sample.monomial}
        channels.append(channel.model_copy(update={"samples": samples}))
    parameters: list[Parameter] = []
    copies: dict[str, tuple[str, str]] = {}
    for parameter in workspace.parameters:
        if parameter.name not in renamed[0]:
            parameters.append(parameter)
            continue
        for table, experiment in zip(renamed, names, strict=True):
            copied = _copy(parameter, table)
            hangs = any(copied.name in {table[t] for t in moved[m] if t in table} for m in moved if table[m] in used)
            if copied.name in used or hangs:
                parameters.append(copied)
                if parameter.name in couplings:
                    copies[copied.name] = (parameter.name, experiment)
    made = Workspace(name=workspace.name, channels=tuple(channels), parameters=tuple(parameters),
                     folded=workspace.folded, choices=workspace.choices, provenance=workspace.provenance)  # fmt: skip
    return made, copies


def _following(workspace: Workspace, couplings: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Derived parameters that follow any of the couplings, with what they follow."""
    derived = {p.name: tuple(p.terms) for p in workspace.parameters if p.kind == "derived"}
    return {name: terms for name, terms in derived.items() if set(terms) & set(couplings)}


def _renamed(sample: Sample, table: Mapping[str, str]) -> Sample:
    if not set(sample.monomial) & set(table):
        return sample
    powers = {table.get(name, name): power for name, power in sample.monomial.items()}
    term = monomial_name(tuple(sorted(powers.items())))
    return Sample(name=f"{sample.process}__x__{term}", process=sample.process, monomial=powers,
                  contents=sample.contents, errors=sample.errors, modifiers=sample.modifiers)  # fmt: skip


def _copy(parameter: Any, table: Mapping[str, str]) -> CouplingParameter | DerivedParameter:
    changes: dict[str, Any] = {"name": table[parameter.name]}
    if parameter.kind == "derived":
        changes["terms"] = {table.get(name, name): value for name, value in parameter.terms.items()}
    copied = parameter.model_copy(update=changes)
    assert isinstance(copied, CouplingParameter | DerivedParameter)
    return copied
