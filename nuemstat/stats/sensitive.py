"""Which experiments have a say in the value of a coupling, decided on what is expected and never on what is seen."""

from itertools import pairwise

import numpy as np
from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.hypotest import asimov_counts
from nuemstat.stats.newton import minimise
from nuemstat.stats.parts import part_of
from nuemstat.stats.problem import Problem
from nuemstat.stats.profile import Profile
from nuemstat.stats.sensitivity import truth_of
from nuemstat.stats.shares import users

CHANGE = 0.01
"""In 2 NLL: an experiment whose own 2 NLL changes by more over the expected set is sensitive."""
LEVEL = 0.90
"""Confidence level of the expected set."""
_MOST = 9
"""Values at which an experiment is looked at between the ends of the set."""


def sensitive_experiments(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Floating coupling -> the experiments that are sensitive to it, for couplings that several experiments hold.

    Asimov data are those of couplings at their defaults and nuisances at their conditional best fit. An experiment
    is sensitive where its own 2 NLL of these data, profiled over its nuisances with other couplings at their
    defaults, changes by more than `CHANGE` over the set of confidence `LEVEL` that all experiments expect together.

    Raises
    ------
    FitError : a fit to Asimov data does not converge.
    """
    holders = users(problem.workspace)
    shared = [name for name in problem.floated if len(holders.get(name, ())) > 1]
    if not shared:
        return {}
    truth = truth_of(problem)
    counts = asimov_counts(problem, truth)
    found = {}
    for name in shared:
        values = _expected_set(problem, name, counts, truth)
        changes = {e: _change(problem, name, e, counts, truth, values) for e in holders[name]}
        found[name] = tuple(e for e, change in changes.items() if change > CHANGE)
    return found


def _expected_set(problem: Problem, name: str, counts: FloatArray, truth: FloatArray) -> FloatArray:
    """Values of a coupling in the set of Asimov data: its ends, and some between; none where nothing depends on it."""
    level = float(chi2.ppf(LEVEL, 1))
    try:
        profile = Profile(problem.likelihood.with_data(counts, truth), name)
    except FitError:
        return np.zeros(0)
    profile.explore(level + 1.0)
    top, points = profile.q_min + level, list(profile.points)
    inside = [point.value for point in points if point.q <= top]
    if len(inside) > _MOST:
        inside = [inside[round(i)] for i in np.linspace(0, len(inside) - 1, _MOST)]
    ends = [profile.crossing(a, b, top) for a, b in pairwise(points) if (a.q > top) != (b.q > top)]
    return np.array(sorted({*inside, *ends}))


def _change(
    problem: Problem, name: str, experiment: str, counts: FloatArray, truth: FloatArray, values: FloatArray
) -> float:
    """By how much the own 2 NLL of one experiment changes over some values of a coupling."""
    part = part_of(problem.likelihood, [experiment])
    if name not in part.likelihood.parameters or not values.size:
        return 0.0
    own, start = part.with_data(counts, truth), truth[part.columns]
    held = np.isin(np.array(own.parameters), [*problem.couplings, *problem.floated])
    found = []
    for value in values:
        start[own.index(name)] = value
        solution = minimise(own, start, held=held)
        if not solution.converged:
            scale, unit = problem.scale(name)
            raise FitError(f"{experiment}: the fit of Asimov data at {name} = {value * scale:.4g} {unit} "
                           "does not converge")  # fmt: skip
        found.append(solution.value)
    return max(found) - min(found)
