"""Goodness of fit: against the saturated model, asymptotically or by toys, and between experiments."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.agreement import between_experiments
from nuemstat.stats.batch import fit_batch
from nuemstat.stats.diagnostics import Goodness
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import floating, global_minimum
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.shares import channel_terms, experiment_of, experiments
from nuemstat.stats.starts import starts
from nuemstat.stats.toys import KINDS, TASK_SIZE, Thrower, at_least
from nuemstat.workspace.document import Workspace

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

    free, fixed, data : as in `fit`; toys : how many to throw for the p-value, none for the asymptotic one only;
    agreement throws its own, with the same seed, where a coupling is bounded or even.

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
        parameters=between_experiments(problem, best, seed=seed, executor=executor),
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
