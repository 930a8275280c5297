"""What the error of a coupling is made of: each nuisance by refits and by the covariance, groups by holding them."""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from scipy.stats import chi2

from nuemstat.polynomial import FloatArray
from nuemstat.stats.data import to_physical
from nuemstat.stats.diagnostics import GroupImpact, Impact, Impacts, correlation
from nuemstat.stats.information import Information, covariance_of
from nuemstat.stats.intervals import explored, intervals_below
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import floating, global_minimum
from nuemstat.stats.minos import interval, own_interval
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.results import End
from nuemstat.stats.shares import shares_between
from nuemstat.stats.starts import reach, starts
from nuemstat.workspace.document import Workspace

Piece = tuple[End, End]
ONE_SIGMA = float(chi2.cdf(1.0, 1))
ALL = "all"
"""Name of the group of all nuisances; what is left of the error without it is statistical."""


def impacts(
    workspace: Workspace,
    coupling: str,
    *,
    cl: float = 0.90,
    data: str = "observed",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    information: Information = "expected",
    most: int | None = None,
) -> Impacts:
    """Pulls, constraints and impacts of all nuisances on one coupling, of their groups, and shares of experiments.

    cl : of the upper limit given for each held group; free, fixed, data, information : as in `fit`;
    most : only so many nuisances, those with the largest impacts by the covariance, or, where that says nothing of
        the coupling, by refits; groups, shares and the set are then left out, which is where most of the time goes.

    Raises
    ------
    WorkspaceError : the coupling is not held; FitError : no fit can be trusted.
    """
    problem = prepare(workspace, couplings=(coupling,), free=free, fixed=fixed, data=data)
    likelihood, (scale, unit) = problem.likelihood, problem.scale(coupling)
    best = global_minimum(likelihood, starts(likelihood, floating(problem)))
    likelihood.expected(best.x)
    index = likelihood.index(coupling)
    best = _at_bound(likelihood, best, index)
    covariance = covariance_of(likelihood, best, information)
    centre = float(best.x[index]) * scale
    rows = _impacts(likelihood, best, index, covariance, scale, most)
    groups, whole, ends = _groups(problem, best, rows, cl, covariance) if most is None else ((), [], (None, None))
    said = interval(likelihood, best.x, coupling, ONE_SIGMA) if most is None else None
    high = own_interval(whole, centre)[1]
    share = None if high is None else shares_between(problem, coupling, high, best)
    variance = covariance[index, index]
    warnings = _warnings(rows, problem, best.x[index], index)
    return Impacts(
        **problem.origin,
        valid=not any(None in row.refit for row in rows),
        warnings=problem.warnings(warnings),
        coupling=coupling,
        unit=unit,
        cl=cl,
        data=data,
        best_fit=centre,
        error=sqrt(variance) * scale if np.isfinite(variance) else None,
        interval=ends,
        minos=None if said is None else (said[0] * scale, said[1] * scale),
        upper_limit=_upper_limit(whole),
        impacts=tuple(sorted(rows, key=lambda row: -row.size))[:most],
        groups=groups,
        at=None if share is None else share.at,
        experiments={} if share is None else share.experiments,
        shared=None if share is None else share.shared,
        parameters=likelihood.parameters,
        correlation=correlation(covariance),
        q_min=best.value,
    )


def _warnings(rows: Sequence[Impact], problem: Problem, number: float, index: int) -> list[str]:
    failed = [row.nuisance for row in rows if None in row.refit]
    found = [f"{len(failed)} refits did not converge, of {', '.join(failed[:3])}"] if failed else []
    if number in problem.likelihood.bounds[index]:
        name = problem.couplings[0]
        found.append(f"{name} is at its bound: nuisances move it to one side only; see the groups' limits")
    return found


def _largest(likelihood: Likelihood, best: Solution, index: int, covariance: FloatArray, most: int | None) -> list[int]:
    """Where the nuisances stand that have the largest impacts by the covariance.

    A coupling that is stationary has none; then that of the expected information at half its reach decides.
    """
    nuisances = [j for j, p in enumerate(likelihood.definitions) if p.kind != "coupling" and j != index]
    if most is None or most >= len(nuisances):
        return nuisances
    if not np.isfinite(covariance[index, index]):
        x = best.x.copy()
        x[index] += _inwards(likelihood, best, index)
        fisher = likelihood.fisher(x)
        size = np.sqrt(np.maximum(fisher.diagonal(), 1e-300))
        covariance = np.linalg.pinv(fisher / np.outer(size, size), hermitian=True) / np.outer(size, size)
    with np.errstate(invalid="ignore"):
        sizes = np.nan_to_num(np.abs(covariance[index]) / np.sqrt(covariance.diagonal()))
    return sorted(sorted(nuisances, key=lambda j: -sizes[j])[:most])


def _inwards(likelihood: Likelihood, best: Solution, index: int) -> float:
    """Half the reach of the coupling, away from the bound that it may be at."""
    size = 0.5 * reach(likelihood, likelihood.parameters[index]).size
    return -size if best.x[index] == likelihood.bounds[index, 1] else size


def _impacts(
    likelihood: Likelihood, best: Solution, index: int, covariance: FloatArray, scale: float, most: int | None
) -> list[Impact]:
    """One row for each nuisance, constrained or free; `most` : only for those with the largest impacts."""
    at_bound = best.x[index] in likelihood.bounds[index]
    inwards = _inwards(likelihood, best, index) if at_bound else None
    rows = []
    for j in _largest(likelihood, best, index, covariance, most):
        definition = likelihood.definitions[j]
        error, shared = float(np.sqrt(covariance[j, j])), float(covariance[index, j])
        known = bool(np.isfinite(error))
        refit: tuple[float | None, float | None] = (None, None)
        if known:
            below, above = (_shift(likelihood, best, index, j, step, scale, inwards) for step in (-error, error))
            refit = (below, above)
        constrained = definition.kind == "constrained"
        size = definition.sigma if constrained else definition.scale
        rows.append(
            Impact(
                nuisance=definition.name,
                group=definition.group if constrained else "free",
                value=to_physical(definition, float(best.x[j])),
                error=error * size if known else None,
                unit=definition.unit,
                pull=float(best.x[j]) if constrained else None,
                constraint=error if constrained and known else None,
                refit=refit,
                fisher=shared / error * scale if known and np.isfinite(shared) else None,
            )
        )
    return rows


def _shift(
    likelihood: Likelihood, best: Solution, index: int, j: int, step: float, scale: float, inwards: float | None
) -> float | None:
    """How far the coupling moves with nuisance j held a step away; None where the fit fails.

    inwards : of a coupling at its bound, where it may be stationary: it is also tried from so far inside.
    """
    x = best.x.copy()
    x[j] = np.clip(x[j] + step, *likelihood.bounds[j])
    held = np.arange(x.size) == j
    found = minimise(likelihood, x, held=held)
    if inwards is not None:
        x[index] += inwards
        other = minimise(likelihood, x, held=held)
        found = min(found, other, key=lambda solution: (not solution.converged, solution.value))
    return float(found.x[index] - best.x[index]) * scale if found.converged else None


def _at_bound(likelihood: Likelihood, best: Solution, index: int) -> Solution:
    """The best fit, with the coupling at its bound where that is no worse: a stationary bound is only approached."""
    held = np.arange(best.x.size) == index
    for bound in likelihood.bounds[index]:
        if np.isfinite(bound):
            x = best.x.copy()
            x[index] = bound
            there = minimise(likelihood, x, held=held)
            if there.converged and there.value <= best.value + 1e-8:
                return there
    return best


def _groups(
    problem: Problem, best: Solution, rows: Sequence[Impact], cl: float, covariance: FloatArray
) -> tuple[tuple[GroupImpact, ...], list[Piece], Piece]:
    """All groups; with nothing held, the set at `cl` and the interval of Delta chi2 = 1 around the best fit."""
    members: dict[str, list[str]] = {}
    for row in rows:
        members.setdefault(row.group, []).append(row.nuisance)
    members[ALL] = [row.nuisance for row in rows]
    whole, full, centre = _limits(problem, best, (), cl)
    found = []
    for group, names in members.items():
        pieces, ends, lowest = _limits(problem, best, names, cl)
        refit = tuple(_taken(full[k], ends[k], centre, lowest) for k in (0, 1))
        fisher = _fisher_share(problem, names, covariance)
        found.append(GroupImpact(group, tuple(names), (refit[0], refit[1]), fisher, _upper_limit(pieces)))
    order = sorted(found[:-1], key=lambda row: -max((end for end in row.refit if end is not None), default=0.0))
    return (*order, found[-1]), whole, full


def _limits(problem: Problem, best: Solution, names: Sequence[str], cl: float) -> tuple[list[Piece], Piece, float]:
    """With these nuisances held at the best fit: the set at `cl`, the interval of Delta chi2 = 1, its minimum."""
    likelihood, coupling = problem.likelihood, problem.couplings[0]
    if names:
        held = {name: _held(likelihood, name, best) for name in names}
        free = [name for name in problem.floated if name != coupling]
        fixed = {**problem.fixed, **held}
        problem = prepare(problem.workspace, couplings=(coupling,), free=free, fixed=fixed, data=likelihood.data)
    threshold, scale = float(chi2.ppf(cl, 1)), problem.scale(coupling)[0]
    profile, minima = explored(problem, max(threshold, 1.0) + 1.0)
    lowest = minima[0]
    wide, narrow = (intervals_below(profile, lowest.q + height) for height in (threshold, 1.0))
    centre = lowest.value * scale
    own = own_interval([_scaled(piece, scale) for piece in narrow], centre)
    return [_scaled(piece, scale) for piece in wide], own, centre


def _scaled(piece: Piece, scale: float) -> Piece:
    low, high = piece
    return None if low is None else low * scale, None if high is None else high * scale


def _upper_limit(pieces: Sequence[Piece]) -> float | None:
    ends = [end for piece in pieces for end in piece]
    return None if None in ends or not ends else max(abs(end) for end in ends if end is not None)


def _held(likelihood: Likelihood, name: str, best: Solution) -> float:
    i = likelihood.index(name)
    return to_physical(likelihood.definitions[i], float(best.x[i]))


def _taken(full: End, held: End, centre: float, held_centre: float) -> float | None:
    """What holding a group takes away from the distance to one end, in quadrature."""
    if full is None or held is None:
        return None
    return sqrt(max((full - centre) ** 2 - (held - held_centre) ** 2, 0.0))


def _fisher_share(problem: Problem, names: Sequence[str], covariance: FloatArray) -> float | None:
    """The same from the covariance: conditional on the group, the variance is that of the inverse's other block."""
    likelihood = problem.likelihood
    index = likelihood.index(problem.couplings[0])
    finite = np.flatnonzero(np.isfinite(covariance.diagonal()))
    group = [likelihood.index(name) for name in names if likelihood.index(name) in finite]
    if index not in finite or not group:
        return None
    block = covariance[np.ix_(group, group)]
    scale = np.sqrt(block.diagonal())
    reduced = np.linalg.pinv(block / np.outer(scale, scale))
    along = covariance[index, group] / scale
    return sqrt(max(float(along @ reduced @ along), 0.0)) * problem.scale(problem.couplings[0])[0]
