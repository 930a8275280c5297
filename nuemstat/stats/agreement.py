"""Whether experiments agree on couplings: the parameter goodness of fit, as a p-value.

The statistic is the joint minimum of 2 NLL above that with couplings of each sensitive experiment's own (Maltoni,
Schwetz, PRD 68 (2003) 033020). It follows chi2 where all couplings can go both ways. Where one is bounded or enters
even it does not, and toys thrown at the joint best fit tell its distribution.
"""

from concurrent.futures import Executor
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.agreement_toys import PER_TASK, AgreementTask, agreement_toys
from nuemstat.stats.binomial import binomial_error, lower_bound, upper_bound
from nuemstat.stats.data import to_physical
from nuemstat.stats.diagnostics import ParameterGoodness
from nuemstat.stats.newton import Solution
from nuemstat.stats.problem import Problem
from nuemstat.stats.sensitive import sensitive_experiments
from nuemstat.stats.separate import Comparison, compare
from nuemstat.stats.toys import at_least
from nuemstat.workspace.document import Workspace

TOYS = 300
"""Toys in all: the binomial error of p = 0.1 is 0.017."""
LOOKS = (0, 50, 150, TOYS)
"""Toys after which it is asked whether more are needed; multiples of the size of a task."""
CLEAR = 0.3
"""Above this p-value experiments agree, and the first toys are enough to say so."""
ZERO = 1e-4
"""Statistics below this are 0 within the precision of the fits."""
_SURE = 0.99
"""Confidence of the first toys' statement that p is above `CLEAR`."""
_BOUND = 0.95
"""Confidence of the upper bound where no toy lies beyond the data."""
_FITTED = 0.9
"""Share of the toys that has to be fitted."""


def between_experiments(
    problem: Problem, best: Solution, *, seed: int = 0, executor: Executor | None = None
) -> ParameterGoodness | None:
    """Whether experiments agree on the couplings that float; None where fewer than two are sensitive to any of these.

    best : the joint best fit; seed : of toys, where they are thrown; executor : where, here when None.

    Raises
    ------
    FitError : a fit does not converge, or too many of those of toys.
    """
    sensitive = sensitive_experiments(problem)
    comparison = compare(problem, best, sensitive)
    if comparison is None:
        return None
    lowest, values = comparison.lowest()
    q = max(comparison.best.value - lowest, 0.0)
    copies = {name: owner for group in comparison.groups for name, owner in group.copies.items()}
    order = tuple(dict.fromkeys(channel.experiment for channel in problem.workspace.channels))
    members = tuple(name for name in order if any(name == e for _, e in copies.values()))
    preferred: dict[str, dict[str, float]] = {name: {} for name in members}
    for copied, (name, experiment) in copies.items():
        preferred[experiment][name] = to_physical(problem.workspace.parameter(name), values[copied])
    ndof = len(copies) - len(comparison.couplings)
    if _is_two_sided(comparison, problem.workspace):
        return ParameterGoodness(q, ndof, float(chi2.sf(q, ndof)), preferred, members=members)
    stated = by_toys(comparison, q, seed, executor)
    return ParameterGoodness(q, ndof, experiments=preferred, members=members, method="toys", seed=seed, **stated)


def _is_two_sided(comparison: Comparison, workspace: Workspace) -> bool:
    """Whether every coupling that is compared can go both ways, and not to the same effect."""
    for name in comparison.couplings:
        if np.isfinite(comparison.common.bounds[comparison.common.index(name)]).any():
            return False
        following = {name, *(p.name for p in workspace.parameters if p.kind == "derived" and name in p.terms)}
        powers = {sum(power for other, power in sample.monomial.items() if other in following)
                  for channel in workspace.channels for sample in channel.samples}  # fmt: skip
        if not any(power % 2 for power in powers):
            return False
    return True


def by_toys(comparison: Comparison, q: float, seed: int, executor: Executor | None) -> dict[str, Any]:
    """The fields of a result that toys decide.

    The share of toys whose statistic is not below the observed one, toys and data counted together, so that it is
    never 0 and P(p <= a) <= a. Where the first toys exclude p <= `CLEAR`, no more are thrown. A statistic of 0 needs
    none: no toy lies below it.

    Raises
    ------
    FitError : too many fits of toys that do not converge.
    """
    if q < ZERO:
        return {"p_value": 1.0, "p_error": 0.0, "toys": 0}
    found: FloatArray = np.zeros(0)
    for start, stop in pairwise(LOOKS):
        tasks = [AgreementTask(comparison, seed, k) for k in range(start, stop, PER_TASK)]
        found = np.concatenate([found, _thrown(tasks, executor)])
        beyond, number = int(at_least(found, q).sum()), found.size
        common = {"toys": number, "zero_share": float((found < ZERO).mean())}
        if stop < TOYS and lower_bound(beyond, number, _SURE) > CLEAR:
            return common | {"p_value": None, "at_least": CLEAR}
    p = (beyond + 1) / (number + 1)
    bound = None if beyond else upper_bound(0, number, _BOUND)
    return common | {"p_value": p, "p_error": binomial_error(p, number), "at_most": bound}


def _thrown(tasks: list[AgreementTask], executor: Executor | None) -> FloatArray:
    """Statistics of the toys of some tasks that were fitted."""
    found = np.concatenate(list((map if executor is None else executor.map)(agreement_toys, tasks)))
    fitted: FloatArray = found[np.isfinite(found)]
    if fitted.size < _FITTED * found.size:
        raise FitError(f"{found.size - fitted.size} of {found.size} toys could not be fitted")
    return fitted
