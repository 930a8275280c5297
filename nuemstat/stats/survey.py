"""A first look at the profile over two couplings: all its minima, and a box around what is worth drawing.

A lattice grows in widening steps out to where interference can no longer cancel, and on until it is enclosed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.minimise import floating, verified
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.problem import Problem
from nuemstat.stats.ranges import Range, check_range
from nuemstat.stats.starts import reach, starts
from nuemstat.stats.surface import Sheet, Surface, finer

MARGIN = 1.0
"""In 2 NLL: how far above the highest level the sheet has to be right."""
_LINES = 11
"""Lines of the first grid along each coupling."""
_BORDER = 0.1
"""Of the region's width: what is left free around it."""


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What a coarse look found: the surface, all minima (the lowest first), and the box to draw.

    given : whether the ends of each coupling's range are the caller's;
    box : lower and upper end of each coupling, shape (2, 2); top : highest level of interest above the minimum.
    """

    problem: Problem
    surface: Surface
    minima: tuple[Solution, ...]
    given: tuple[bool, bool]
    box: FloatArray
    top: float


def survey(problem: Problem, names: tuple[str, str], top: float, ranges: Mapping[str, Range]) -> Survey:
    """All minima of the profile over two couplings, and the box outside of which it stands above `top`.

    Raises
    ------
    FitError : a range is empty or excludes the minimum, or no fit can be trusted.
    """
    likelihood = problem.likelihood
    surface = Surface(likelihood, names, ceiling=top + 10)
    lines = [_lattice(problem, name, ranges.get(name)) for name in names]
    surface.fill(*lines)
    for _ in range(8):
        if not _grow(surface, lines, top + MARGIN, [name in ranges for name in names]):
            break
        surface.fill(*lines)
    minima = _minima(problem, surface, lines, top)
    likelihood.expected(minima[0].x)
    for name, place in zip(names, minima[0].x[surface.indices], strict=True):
        check_range(problem, name, float(place), ranges.get(name))
    box = _box(surface, lines, minima, top)
    return Survey(problem, surface, minima, (names[0] in ranges, names[1] in ranges), box, top)


def tightened(plan: Survey) -> Survey:
    """The same with a box that just encloses the region, and an even margin; ends that the caller gave stay."""
    xs, ys = grid_lines(plan, 0), grid_lines(plan, 1)
    plan.surface.fill(xs, ys)
    lines = finer(xs, 4), finer(ys, 4)
    inside = sheet_over(plan, xs, ys, None).on_grid(*lines) <= plan.minima[0].value + plan.top + MARGIN
    box = plan.box.copy()
    for axis in (0, 1):
        kept = lines[axis][inside.any(axis=1 - axis)]
        margin = _BORDER * np.ptp(kept)
        if not plan.given[axis] and kept.size and np.ptp(kept) < 0.8 * np.ptp(plan.box[axis]):
            box[axis] = np.clip([kept[0] - margin, kept[-1] + margin], *plan.box[axis])
    return replace(plan, box=box)


def _lattice(problem: Problem, name: str, span: Range | None) -> FloatArray:
    """Lines that go outwards in growing steps, and through the rough minima."""
    likelihood = problem.likelihood
    found, (low, high) = reach(likelihood, name), likelihood.bounds[likelihood.index(name)]
    low, high = (low, high) if span is None else (max(low, span[0]), min(high, span[1]))
    end = max(4.0, 1.1 * found.far / found.size)
    count = int(np.clip(np.ceil(np.log(2 * end) / np.log(2.0)), 4, 10))
    steps = found.size * np.concatenate([[0.0], np.geomspace(0.5, end, count)])
    places = np.concatenate([found.base - steps[:0:-1], found.base + steps, found.minima])
    inside = np.unique(places[(places >= low) & (places <= high)])
    ends = [end for end in (low, high) if np.isfinite(end) and (span is not None or not inside.size)]
    merged = np.unique([*inside, *ends])
    if span is not None and merged.size < _LINES:
        merged = np.unique([*merged, *np.linspace(low, high, _LINES // 2)])
    gap = 1e-3 * max(found.size, np.ptp(merged) / merged.size)
    return np.asarray(merged[np.append(True, np.diff(merged) > gap)])


def _grow(surface: Surface, lines: list[FloatArray], top: float, given: Sequence[bool]) -> bool:
    """Put more lines outside where the region is not yet enclosed; whether any was put."""
    heights = _heights(surface, lines)
    level, grown = heights.min() + top, False
    for axis in (0, 1):
        rim = heights if axis == 0 else heights.T
        for side, k in ((-1, 0), (1, -1)):
            bound, at = surface.bounds[axis, 0 if side < 0 else 1], float(lines[axis][k])
            if given[axis] or at == bound or rim[k].min() > level:
                continue
            width = float(np.ptp(lines[axis]))
            new = at + side * 0.5 * width * np.array([0.5, 1.0])
            new = np.unique(np.clip(new, *surface.bounds[axis]))
            lines[axis] = np.unique(np.concatenate([lines[axis], new]))
            grown = True
    return grown


def _heights(surface: Surface, lines: Sequence[FloatArray]) -> FloatArray:
    return np.array([[surface.nodes[float(x), float(y)].q for y in lines[1]] for x in lines[0]])


def _minima(problem: Problem, surface: Surface, lines: Sequence[FloatArray], top: float) -> tuple[Solution, ...]:
    """All minima downhill of the lattice's own low places and of the usual starts, the lowest first and verified."""
    likelihood, heights = problem.likelihood, _heights(surface, lines)
    padded = np.pad(heights, 1, constant_values=np.inf)
    n, m = heights.shape
    around = np.min([padded[i : i + n, j : j + m] for i in range(3) for j in range(3) if (i, j) != (1, 1)], axis=0)
    low = np.argwhere((heights <= around) & (heights < heights.min() + top + 30))
    points = [surface.nodes[float(lines[0][i]), float(lines[1][j])].solution.x.copy() for i, j in low]
    for point in points:  # away from a bound, where an even coupling is stationary
        for k, index in enumerate(surface.indices):
            if point[index] in surface.bounds[k] or point[index] == likelihood.defaults[index]:
                gap = 0.3 * reach(likelihood, surface.names[k]).size
                point[index] += gap if point[index] + gap <= surface.bounds[k, 1] else -gap
    points += starts(likelihood, floating(problem))
    found: list[Solution] = []
    for point in points:
        solution = minimise(likelihood, point)
        if solution.converged and not any(_same(solution, other) for other in found):
            found.append(solution)
    if not found:
        raise FitError(f"{problem.workspace.name}: no fit converges from {len(points)} starts")
    found.sort(key=lambda solution: solution.value)
    shifted = found[0].x.copy()
    shifted[surface.indices] += [0.3 * reach(likelihood, name).size for name in surface.names]
    best = verified(likelihood, minimise(likelihood, shifted), shifted)
    if best.converged and best.value < found[0].value - 1e-6:
        found.insert(0, best)
    return tuple(found)


def _same(a: Solution, b: Solution) -> bool:
    apart = a.x - b.x
    return bool(abs(a.value - b.value) < 1e-4 and apart @ (a.fisher + b.fisher) @ apart < 0.1)


def _box(surface: Surface, lines: Sequence[FloatArray], minima: Sequence[Solution], top: float) -> FloatArray:
    """What encloses all lattice nodes below the top level, and all minima that are below it."""
    level = minima[0].value + top + MARGIN
    inside = _heights(surface, lines) <= level
    box = np.empty((2, 2))
    for axis in (0, 1):
        along, places = inside.any(axis=1 - axis), lines[axis]
        kept = [places[k] for k in np.flatnonzero(along)]
        kept += [float(m.x[surface.indices[axis]]) for m in minima if m.value <= level]
        below, above = places[places < min(kept)], places[places > max(kept)]
        box[axis] = below[-1] if below.size else min(kept), above[0] if above.size else max(kept)
    return box


def grid_lines(plan: Survey, axis: int) -> FloatArray:
    """Even lines over the box, one through each minimum, and close ones around minima narrower than these."""
    low, high = plan.box[axis]
    even = np.linspace(low, high, _LINES)
    lines, gap = list(even), even[1] - even[0]
    index = plan.surface.indices[axis]
    for minimum in plan.minima:
        if minimum.value > plan.minima[0].value + plan.top:
            continue
        centre, information = float(minimum.x[index]), float(minimum.fisher[index, index])
        width = np.sqrt(plan.top / information) if information > 0 else np.inf
        steps = np.array([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]) * width if width < 0.3 * gap else np.zeros(1)
        lines += [centre + step for step in steps if low <= centre + step <= high]
    merged = np.unique(lines)
    return np.asarray(merged[np.append(True, np.diff(merged) > 1e-3 * gap)])


def squeezed(plan: Survey, q: float) -> float:
    """2 NLL, growing only like a logarithm far above everything of interest, where a barrier may stand."""
    cap, height = 4 * (plan.top + MARGIN), q - plan.minima[0].value
    return q if height <= cap else plan.minima[0].value + cap * (1 + float(np.log(height / cap)))


def sheet_over(plan: Survey, xs: FloatArray, ys: FloatArray, before: Sheet | None) -> Sheet:
    """The sheet through fitted nodes; where none was fitted, through the sheet before."""
    shape = (xs.size, ys.size)
    parts = np.zeros((3, *shape)) if before is None else np.array(before.parts_on_grid(xs, ys))
    cap, base = 4 * (plan.top + MARGIN), plan.minima[0].value
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            node = plan.surface.nodes.get((float(x), float(y)))
            if node is not None:
                factor = min(1.0, cap / max(node.q - base, cap))
                parts[:, i, j] = squeezed(plan, node.q), factor * node.slopes[0], factor * node.slopes[1]
    return Sheet(xs, ys, *parts)
