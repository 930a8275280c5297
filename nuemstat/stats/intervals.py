"""Limits, scans and significances from the profile likelihood: all minima, all crossings, a list of intervals."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from math import sqrt

import numpy as np
from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.minimise import floating, global_minimum, verified
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.profile import Point, Profile
from nuemstat.stats.results import End, Limit, Minimum, Scan, Significance
from nuemstat.stats.starts import reach, starts
from nuemstat.workspace.document import Workspace

Range = tuple[float, float]
_MARGIN = 2.0
"""In 2 NLL: how far above the threshold a profile is followed."""


def limit(
    workspace: Workspace,
    coupling: str,
    *,
    cl: float = 0.90,
    method: str = "profile",
    data: str = "observed",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    scan_range: Range | None = None,
    executor: Executor | None = None,
) -> Limit:
    """The confidence set of one coupling: where the profile stands below the chi2 quantile above its global minimum.

    coupling : held by the workspace, or universal; free : other couplings that float;
    fixed : parameters at physical values; scan_range : physical values outside which nothing is said;
    executor : for methods with toys; the profile needs none.

    Raises
    ------
    WorkspaceError : the coupling is not held; FitError : another method, or no fit that can be trusted.
    """
    _check_method(method, cl, executor)
    problem = prepare(workspace, couplings=(coupling,), free=free, fixed=fixed, data=data)
    scale, unit = problem.scale(coupling)
    threshold = float(chi2.ppf(cl, 1))
    profile, minima = _explored(problem, threshold + _MARGIN)
    best = minima[0]
    pieces = _intervals(profile, best.q + threshold)
    failures = profile.failures((scale, unit))
    ends = [(low if low is None else low * scale, high if high is None else high * scale) for low, high in pieces]
    bounds = (profile.bounds[0] * scale, profile.bounds[1] * scale)
    kept = ends if scan_range is None else [cut for piece in ends if (cut := _cut(piece, scan_range, bounds))]
    is_open = len(kept) < len(ends) or any(None in piece for piece in kept)
    values = np.array([point.value for point in profile.points]) * scale
    heights = np.array([point.q for point in profile.points]) - best.q
    seen = (
        (heights < 4 * threshold + 10) & (values >= (scan_range or bounds)[0]) & (values <= (scan_range or bounds)[1])
    )
    return Limit(
        **problem.origin,
        valid=not failures,
        warnings=(*failures, *(["the set goes on outside the values that were looked at"] if is_open else [])),
        coupling=coupling,
        unit=unit,
        cl=cl,
        method=method,
        data=data,
        best_fit=best.value * scale,
        minima=tuple(Minimum(point.value * scale, point.q - best.q) for point in minima),
        intervals=tuple(kept),
        upper_limit=None if is_open else max(abs(end) for piece in kept for end in piece if end is not None),
        q_min=best.q,
        profile_values=values[seen],
        profile_q=heights[seen],
    )


def significance(
    workspace: Workspace,
    coupling: str,
    at: float,
    *,
    data: str = "observed",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
) -> Significance:
    """How far one physical value of a coupling is from the global best fit.

    The p-value is that of chi2 with one degree of freedom; for the value 0 of an even coupling, which is a
    bound, half of it applies.

    Raises
    ------
    WorkspaceError : the coupling is not held; FitError : the value is out of bounds, or no fit can be trusted.
    """
    problem = prepare(workspace, couplings=(coupling,), free=free, fixed=fixed, data=data)
    scale, unit = problem.scale(coupling)
    profile, minima = _explored(problem, chi2.ppf(0.9, 1) + _MARGIN)
    warnings = profile.failures((scale, unit))
    if not profile.bounds[0] <= at / scale <= profile.bounds[1]:
        low, high = (bound * scale for bound in profile.bounds)
        raise FitError(f"{coupling}: found {at:g} {unit}; allowed is {low:g} to {high:g}")
    point = profile.precisely(at / scale)
    if not point.solution.converged:
        warnings.append(f"the fit at {coupling} = {at:g} {unit} did not converge")
    q = max(point.q - minima[0].q, 0.0)
    return Significance(
        **problem.origin,
        valid=not warnings,
        warnings=tuple(warnings),
        coupling=coupling,
        unit=unit,
        data=data,
        at=at,
        q=q,
        sigma=sqrt(q),
        p_value=float(chi2.sf(q, 1)),
        best_fit=minima[0].value * scale,
        q_min=minima[0].q,
    )


def scan(
    workspace: Workspace,
    couplings: Sequence[str],
    *,
    ranges: Mapping[str, Range] | None = None,
    points: int = 41,
    data: str = "observed",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
) -> Scan:
    """The profile over a grid of one or two couplings, relative to the global minimum found.

    ranges : physical (low, high) by name, by default what a 90 % limit on each one looks at; points : along each.

    Raises
    ------
    WorkspaceError : a coupling is not held; FitError : not one or two couplings, an empty range, or no fit.
    """
    names = (couplings,) if isinstance(couplings, str) else tuple(couplings)
    if len(names) not in (1, 2) or len(set(names)) != len(names) or points < 2:
        raise FitError(f"scan: found {len(names)} couplings and {points} points; 1 or 2 and at least 2 are allowed")
    problem = prepare(workspace, couplings=names, free=free, fixed=fixed, data=data)
    scales = [problem.scale(name)[0] for name in names]
    warnings: list[str] = []
    grids = []
    for name, scale in zip(names, scales, strict=True):
        low, high = (ranges or {}).get(name) or _automatic_range(problem, name, scale)
        if not low < high:
            raise FitError(f"scan: {name}: found the range {low:g} to {high:g}; a rising one is allowed")
        grids.append(np.linspace(low, high, points))
    solutions = _grid(problem, names, [grid / scale for grid, scale in zip(grids, scales, strict=True)])
    flat = list(solutions.values())
    failed = sum(not solution.converged for solution in flat)
    if failed:
        warnings.append(f"{failed} of {len(flat)} fits did not converge")
    lowest = min(flat, key=lambda solution: (not solution.converged, solution.value))
    best = global_minimum(problem.likelihood, [*starts(problem.likelihood, floating(problem)), lowest.x])
    q = np.array([solution.value for solution in flat]).reshape([grid.size for grid in grids]) - best.value
    places = [problem.likelihood.index(name) for name in names]
    return Scan(
        **problem.origin,
        valid=not warnings,
        warnings=tuple(warnings),
        couplings=names,
        units=tuple(problem.scale(name)[1] for name in names),
        data=data,
        values=tuple(grids),
        q=q,
        best_fit={n: float(best.x[i]) * s for n, i, s in zip(names, places, scales, strict=True)},
        q_min=best.value,
    )


def _check_method(method: str, cl: float, executor: Executor | None) -> None:
    if method in ("cls", "fc"):
        raise FitError(f"method {method!r} is not there yet; allowed is 'profile'")
    if method != "profile":
        raise FitError(f"method: found {method!r}; allowed is 'profile'")
    if not 0 < cl < 1:
        raise FitError(f"cl: found {cl:g}; between 0 and 1 is allowed")
    if executor is not None and not isinstance(executor, Executor):
        raise FitError(f"executor: found {type(executor).__name__}; a concurrent.futures.Executor is allowed")


def _explored(problem: Problem, height: float) -> tuple[Profile, list[Point]]:
    """The profile sampled up to `height`, its minima, the lowest first and verified."""
    likelihood, name = problem.likelihood, problem.couplings[0]
    profile = Profile(likelihood, name)
    profile.explore(height)
    minima = sorted((profile.minimum(*pair) for pair in list(profile.brackets())), key=lambda point: point.q)
    if not minima:
        raise FitError(f"{problem.workspace.name}: the profile of {name} falls towards its ends; no minimum is found")
    likelihood.expected(minima[0].solution.x)
    point = likelihood.vector({name: minima[0].value + 0.3 * profile.reach.size})
    best = verified(likelihood, minimise(likelihood, point), point)
    if best.value < minima[0].q - 1e-6:
        raise FitError(
            f"{problem.workspace.name}: a fit reaches 2 NLL = {best.value:.6f}, below the lowest point "
            f"{minima[0].q:.6f} of the profile of {name}"
        )
    return profile, minima


def _intervals(profile: Profile, level: float) -> list[tuple[End, End]]:
    """Where the profile is below the level: disjoint, rising; None where it ends before it rises."""
    points = list(profile.points)
    inside = points[0].q <= level
    start = points[0].value if inside and points[0].value == profile.bounds[0] else None
    pieces: list[tuple[End, End]] = []
    for low, high in pairwise(points):
        if (low.q <= level) != (high.q <= level):
            value = profile.crossing(low, high, level)
            if inside:
                pieces.append((start, value))
            start, inside = value, not inside
    if inside:
        pieces.append((start, points[-1].value if points[-1].value == profile.bounds[1] else None))
    return pieces


def _cut(piece: tuple[End, End], allowed: Range, bounds: Range) -> tuple[End, End] | None:
    """The part of an interval inside a range; an end that is cut becomes None, unless it is a bound."""
    low = -np.inf if piece[0] is None else piece[0]
    high = np.inf if piece[1] is None else piece[1]
    if high < allowed[0] or low > allowed[1]:
        return None
    return (
        piece[0] if low >= allowed[0] or low == bounds[0] else None,
        piece[1] if high <= allowed[1] or high == bounds[1] else None,
    )


def _automatic_range(problem: Problem, name: str, scale: float) -> Range:
    """What a 90 % limit on one coupling looks at, the other ones floating."""
    profile = Profile(problem.likelihood, name)
    profile.explore(chi2.ppf(0.9, 1) + 2 * _MARGIN)
    near = [point.value for point in profile.points if point.q < profile.q_min + chi2.ppf(0.9, 1) + 2 * _MARGIN]
    found = reach(problem.likelihood, name)
    low, high = min(near, default=found.base - found.size), max(near, default=found.base + found.size)
    width = 0.1 * (high - low) or found.size
    low, high = max(low - width, profile.bounds[0]), min(high + width, profile.bounds[1])
    return low * scale, high * scale


def _grid(problem: Problem, names: Sequence[str], grids: Sequence[FloatArray]) -> dict[tuple[int, ...], Solution]:
    """Conditional fits on a grid, in C order, each started from its solved neighbours, then again from the far end."""
    likelihood = problem.likelihood
    places = [likelihood.index(name) for name in names]
    held = np.isin(np.arange(len(likelihood.parameters)), places)
    others = [name for name in floating(problem) if name not in names]
    first = starts(likelihood, others) if others else [likelihood.defaults]
    cells = list(np.ndindex(*(grid.size for grid in grids)))
    solved: dict[tuple[int, ...], Solution] = {}
    for order, step in ((cells, -1), (cells[::-1], 1)):
        for cell in order:
            near = [(*cell[:i], cell[i] + step, *cell[i + 1 :]) for i in range(len(cell))]
            candidates = [solved[other].x for other in near[::step] if other in solved][: 2 if others else 1]
            if step < 0 and (others or not candidates):
                candidates += first
            for candidate in candidates:
                x = candidate.copy()
                x[places] = [grid[k] for grid, k in zip(grids, cell, strict=True)]
                found = minimise(likelihood, x, held=held)
                old = solved.get(cell)
                if old is None or (not found.converged, found.value) < (not old.converged, old.value):
                    solved[cell] = found
    return {cell: solved[cell] for cell in cells}
