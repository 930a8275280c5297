"""Limits, scans and significances from the profile likelihood: all minima, all crossings, a list of intervals."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from math import sqrt
from os import PathLike
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.execution import Piece, Plan, Progress
from nuemstat.stats.likelihood import KernelName
from nuemstat.stats.limit_result import limit_of
from nuemstat.stats.minimise import floating, global_minimum, verified
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.profile import Point, Profile
from nuemstat.stats.ranges import Range, check_range, in_workspace
from nuemstat.stats.results import End, Limit, Scan, Significance
from nuemstat.stats.starts import reach, starts
from nuemstat.stats.survey import Survey, survey, tightened
from nuemstat.workspace.document import Workspace

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
    expected: bool | None = None,
    toys: int | None = None,
    seed: int = 0,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Limit:
    """The confidence set of one coupling.

    coupling : held by the workspace, or universal; free : other couplings that float;
    fixed : parameters at physical values; scan_range : physical values outside which nothing is said;
    method : `profile`, where the profile stands below the chi2 quantile above its global minimum; `fc`, the
        Feldman-Cousins construction; `cls`, a one-sided limit for even couplings and norms;
    expected : what data without new physics would give. By formulas if None: median and bands of even couplings,
        and the set with thresholds that know of their bound; Asimov ends of signed ones. By toys if True; no if False;
    toys : for `fc` at each value near an end (5000 if None; 0 for asymptotic critical values that know of the
        coupling's bound), for `cls` likewise of each hypothesis (asymptotic if None), else for
        `expected` by toys (200 if None);
    seed : of all toys; executor : where they are thrown, here if None; checkpoint : file to resume from.

    Raises
    ------
    WorkspaceError : the coupling is not held;
    FitError : another method, no fit that can be trusted, a checkpoint of another question, lost workers;
    KeyboardInterrupt : with a line that says what is kept.
    """
    _check_method(method, cl)
    path = None if checkpoint is None else Path(checkpoint)
    plan = Plan(toys=toys, seed=seed, executor=executor, checkpoint=path, progress=progress)
    kernel: KernelName = "auto" if method == "profile" and not expected else "numpy"  # toys agree to the last bit
    problem = prepare(workspace, couplings=(coupling,), free=free, fixed=fixed, data=data, kernel=kernel)
    profile, minima = explored(problem, _height(cl, method))
    span = None if scan_range is None else in_workspace(problem, {coupling: scan_range})[coupling]
    if span is not None:
        check_range(problem, coupling, minima[0].value, span)
    from nuemstat.stats.methods import Question, answer

    question = Question(workspace, problem, tuple(free), cl, method, span, plan, profile, minima)
    found = answer(question, expected, _pieces(profile, minima, cl))
    return limit_of(problem, profile, minima, found, scan_range, cl=cl, method=method)


def profiled_set(problem: Problem, cl: float) -> tuple[tuple[End, End], ...]:
    """What `limit` gives as intervals (physical values, disjoint and rising) of a problem's coupling, and no more.

    Raises
    ------
    FitError : no fit that can be trusted.
    """
    scale, _ = problem.scale(problem.couplings[0])
    pieces = _pieces(*explored(problem, _height(cl, "profile")), cl)
    return tuple((None if p.low is None else p.low * scale, None if p.high is None else p.high * scale) for p in pieces)


def _height(cl: float, method: str) -> float:
    """In 2 NLL: how far up the profile is followed; sets by toys may reach beyond the asymptotic ones."""
    threshold = float(chi2.ppf(cl, 1))
    return threshold + _MARGIN if method == "profile" else (sqrt(threshold) + 1.4) ** 2


def _pieces(profile: Profile, minima: Sequence[Point], cl: float) -> tuple[Piece, ...]:
    ends = intervals_below(profile, minima[0].q + float(chi2.ppf(cl, 1)))
    return tuple(Piece(low, high) for low, high in ends)


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
    profile, minima = explored(problem, chi2.ppf(0.9, 1) + _MARGIN)
    warnings = profile.failures((scale, unit))
    point = profile.precisely(problem.place(coupling, at))
    if not point.solution.converged:
        warnings.append(f"the fit at {coupling} = {at:g} {unit} did not converge")
    q = max(point.q - minima[0].q, 0.0)
    return Significance(
        **problem.origin,
        valid=not warnings,
        warnings=problem.warnings(warnings),
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
    if len(names) not in (1, 2) or len(set(names)) != len(names):
        raise FitError(f"scan: found couplings {', '.join(names) or 'none'}; one or two different ones are allowed")
    if points < 2:
        raise FitError(f"scan: found {points} points; 2 or more are allowed")
    problem = prepare(workspace, couplings=names, free=free, fixed=fixed, data=data)
    return scanned(problem, in_workspace(problem, ranges or {}), points)


def scanned(problem: Problem, spans: Mapping[str, Range], points: int, plan: Survey | None = None) -> Scan:
    """The scan of a problem's couplings; spans : in workspace units; plan : of two couplings, if there is one."""
    names = problem.couplings
    scales = [problem.scale(name)[0] for name in names]
    warnings: list[str] = []
    flat, numbers = _grid(problem, spans, points, plan)
    grids = [grid * scale for grid, scale in zip(numbers, scales, strict=True)]
    failed = sum(not solution.converged for solution in flat)
    if failed:
        warnings.append(f"{failed} of {len(flat)} fits did not converge")
    lowest = min(flat, key=lambda solution: (not solution.converged, solution.value))
    best = global_minimum(problem.likelihood, [*starts(problem.likelihood, floating(problem)), lowest.x])
    q = np.array([solution.value for solution in flat]).reshape([grid.size for grid in grids]) - best.value
    places = [problem.likelihood.index(name) for name in names]
    for name, place in zip(names, places, strict=True):
        check_range(problem, name, float(best.x[place]), spans.get(name))
    return Scan(
        **problem.origin,
        valid=not warnings,
        warnings=problem.warnings(warnings),
        couplings=names,
        units=tuple(problem.scale(name)[1] for name in names),
        data=problem.likelihood.data,
        values=tuple(grids),
        q=q,
        best_fit={n: float(best.x[i]) * s for n, i, s in zip(names, places, scales, strict=True)},
        q_min=best.value,
    )


def _check_method(method: str, cl: float) -> None:
    if method not in ("profile", "cls", "fc"):
        raise FitError(f"method: found {method!r}; allowed are 'profile', 'cls', 'fc'")
    if not 0 < cl < 1:
        raise FitError(f"cl: found {cl:g}; between 0 and 1 is allowed")


def explored(problem: Problem, height: float) -> tuple[Profile, list[Point]]:
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


def intervals_below(profile: Profile, level: float) -> list[tuple[End, End]]:
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


def _automatic_range(problem: Problem, name: str) -> Range:
    """What a 90 % limit on one coupling looks at, the other ones floating."""
    profile = Profile(problem.likelihood, name)
    profile.explore(chi2.ppf(0.9, 1) + 2 * _MARGIN)
    near = [point.value for point in profile.points if point.q < profile.q_min + chi2.ppf(0.9, 1) + 2 * _MARGIN]
    found = reach(problem.likelihood, name)
    low, high = min(near, default=found.base - found.size), max(near, default=found.base + found.size)
    width = 0.1 * (high - low) or found.size
    return max(low - width, profile.bounds[0]), min(high + width, profile.bounds[1])


def _grid(
    problem: Problem, spans: Mapping[str, Range], points: int, plan: Survey | None
) -> tuple[list[Solution], list[FloatArray]]:
    """Conditional fits over one or two couplings in C order, and the lines of the grid, in workspace units."""
    names = problem.couplings
    if len(names) == 1:
        low, high = spans.get(names[0]) or _automatic_range(problem, names[0])
        grid = np.linspace(low, high, points)
        return _line(problem, names[0], grid), [grid]
    plan = tightened(plan or survey(problem, (names[0], names[1]), chi2.ppf(0.95, 2), spans))
    ends = [spans.get(name, (low, high)) for name, (low, high) in zip(names, plan.box, strict=True)]
    lines = [np.linspace(low, high, points) for low, high in ends]
    plan.surface.fill(*lines)
    return [plan.surface.precisely((float(x), float(y))) for x in lines[0] for y in lines[1]], lines


def _line(problem: Problem, name: str, grid: FloatArray) -> list[Solution]:
    """Conditional fits along one coupling, each started from its solved neighbour, there and back."""
    likelihood, index = problem.likelihood, problem.likelihood.index(name)
    held = np.arange(len(likelihood.parameters)) == index
    others = [other for other in floating(problem) if other != name]
    first = starts(likelihood, others) if others else [likelihood.defaults]
    solved: list[Solution | None] = [None] * grid.size
    for order, step in ((range(grid.size), -1), (range(grid.size - 1, -1, -1), 1)):
        for k in order:
            near = solved[k + step] if 0 <= k + step < grid.size else None
            candidates = [] if near is None else [near.x]
            if step < 0 and (others or near is None):
                candidates += first
            for candidate in candidates:
                x = candidate.copy()
                x[index] = grid[k]
                found, old = minimise(likelihood, x, held=held), solved[k]
                if old is None or (not found.converged, found.value) < (not old.converged, old.value):
                    solved[k] = found
    return [solution for solution in solved if solution is not None]
