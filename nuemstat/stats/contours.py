"""Contours of two couplings: every connected piece of the confidence region, its holes included.

First a coarse survey out to where interference can no longer cancel finds all minima; then a grid over what lies
below the highest level is refined where fits show that the sheet between its nodes is off, near the lines only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
from contourpy import FillType, contour_generator
from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.diagnostics import Component, Contour, ContourScan, Minimum2, Region
from nuemstat.stats.intervals import scanned
from nuemstat.stats.problem import prepare
from nuemstat.stats.ranges import Range, in_workspace
from nuemstat.stats.surface import Place, Sheet, finer
from nuemstat.stats.survey import MARGIN, Survey, grid_lines, sheet_over, squeezed, survey, tightened
from nuemstat.workspace.document import Workspace

Lines = tuple[list[FloatArray], list[npt.NDArray[np.uint32]]]
Cells = npt.NDArray[np.intp]
LEVELS = (0.68, 0.90, 0.95)
_ACCURACY = 0.04
"""In 2 NLL: how well the sheet has to predict a fit in the middle of a cell that a line crosses."""
_ROUNDS = 4
"""How often the grid is refined."""
_DRAWN = 6
"""Steps of the drawn lines to a cell."""
_MOST = 300
"""Drawn steps along a coupling, where the grid is that fine."""
_CHECKS = 8
"""Fits along each line that check it."""


def contour(
    workspace: Workspace,
    couplings: Sequence[str],
    *,
    cl: Sequence[float] = LEVELS,
    data: str = "observed",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    ranges: Mapping[str, Range] | None = None,
) -> Contour:
    """The confidence regions of two couplings together: 2 NLL below the chi2 quantile of two parameters.

    cl : confidence levels; free, fixed, data : as in `fit`; ranges : physical (low, high) by name outside of which
    nothing is said, by default as far as the region goes.

    Raises
    ------
    WorkspaceError : a coupling is not held; FitError : not two couplings, a range that excludes the minimum, or no
    fit that can be trusted.
    """
    pair, heights = _pair_of(couplings), _heights(cl)
    problem = prepare(workspace, couplings=pair, free=free, fixed=fixed, data=data)
    return traced(survey(problem, pair, max(heights), in_workspace(problem, ranges or {})), cl, heights)


def contour_scan(
    workspace: Workspace,
    couplings: Sequence[str],
    *,
    ranges: Mapping[str, Range] | None = None,
    points: int = 41,
    cl: Sequence[float] = LEVELS,
    data: str = "observed",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
) -> ContourScan:
    """The profile over a grid of two couplings and its contours, which do not depend on the grid.

    Raises
    ------
    WorkspaceError, FitError : as `scan` and `contour`.
    """
    pair, heights = _pair_of(couplings), _heights(cl)
    problem = prepare(workspace, couplings=pair, free=free, fixed=fixed, data=data)
    spans = in_workspace(problem, ranges or {})
    plan = survey(problem, pair, max(heights), spans)
    found = traced(plan, cl, heights)
    grid = scanned(problem, spans, points, plan)
    content = {field.name: getattr(grid, field.name) for field in fields(grid)}
    content |= {
        "valid": grid.valid and found.valid,
        "warnings": tuple(dict.fromkeys((*grid.warnings, *found.warnings))),
    }
    return ContourScan(**content, minima=found.minima, regions=found.regions, accuracy=found.accuracy, contour=found)


def _pair_of(couplings: Sequence[str]) -> tuple[str, str]:
    if isinstance(couplings, str) or len(couplings) != 2 or couplings[0] == couplings[1]:
        names = couplings if isinstance(couplings, str) else ", ".join(couplings)
        raise FitError(f"contour: found couplings {names}; two different ones are allowed")
    return couplings[0], couplings[1]


def _heights(cl: Sequence[float]) -> list[float]:
    """Delta chi2 of the levels, for two parameters."""
    if not cl or not all(0 < level < 1 for level in cl):
        raise FitError(f"contour: cl: found {', '.join(f'{level:g}' for level in cl)}; between 0 and 1 is allowed")
    return [float(chi2.ppf(level, 2)) for level in cl]


def traced(plan: Survey, cl: Sequence[float], heights: Sequence[float]) -> Contour:
    """The contours in a surveyed box; heights : of the levels, in 2 NLL."""
    plan = tightened(plan)
    problem, surface, q_min = plan.problem, plan.surface, plan.minima[0].value
    names = surface.names
    sheet = _refined(plan, [q_min + height for height in heights])
    scales = np.array([problem.scale(name)[0] for name in names])
    regions, misses = [], [0.0]
    for level, height in zip(cl, heights, strict=True):
        pieces, missed = _components(plan, sheet, q_min + height, scales)
        regions.append(Region(level, height, pieces))
        misses.append(missed)
    minima = tuple(
        Minimum2(_pair(m.x[surface.indices] * scales), m.value - q_min)
        for m in plan.minima
        if m.value - q_min <= max(heights)
    )
    warnings = [f"{len(surface.failures)} of {len(surface.nodes)} fits did not converge"] if surface.failures else []
    failed = bool(warnings)
    if any(not piece.closed for region in regions for piece in region.components):
        warnings.append("the region goes on outside the values that were looked at")
    return Contour(
        **problem.origin,
        valid=not failed,
        warnings=problem.warnings(warnings),
        couplings=names,
        units=(problem.scale(names[0])[1], problem.scale(names[1])[1]),
        data=problem.likelihood.data,
        best_fit=dict(zip(names, minima[0].values, strict=True)),
        minima=minima,
        regions=tuple(regions),
        q_min=q_min,
        accuracy=max(misses),
        fits=len(surface.nodes),
    )


def _refined(plan: Survey, levels: Sequence[float]) -> Sheet:
    """The sheet over the box, refined until it predicts the fits in the middle of all cells that lines cross."""
    surface, top = plan.surface, plan.minima[0].value + plan.top + MARGIN
    xs, ys = grid_lines(plan, 0), grid_lines(plan, 1)
    surface.fill(xs, ys)
    sheet = sheet_over(plan, xs, ys, None)
    for _ in range(_ROUNDS):
        crossed = _crossed(sheet, levels, top)
        missing = [(i, j) for i, j in crossed if _complete(plan, xs, ys, int(i), int(j))]
        if missing:
            sheet = sheet_over(plan, xs, ys, sheet)
            crossed = _crossed(sheet, levels, top)
        middles = np.array([(0.5 * (xs[i] + xs[i + 1]), 0.5 * (ys[j] + ys[j + 1])) for i, j in crossed])
        if not middles.size:
            break
        predicted = sheet.at(middles)[0]
        exact = np.array([squeezed(plan, surface.at(_pair(place)).q) for place in middles])
        bad = crossed[np.abs(exact - predicted) > _ACCURACY]
        if not bad.size:
            break
        xs, ys = _split(xs, bad[:, 0]), _split(ys, bad[:, 1])
        sheet = sheet_over(plan, xs, ys, sheet)
    return sheet


def _split(lines: FloatArray, gaps: Cells) -> FloatArray:
    chosen = np.unique(gaps)
    return np.sort(np.concatenate([lines, 0.5 * (lines[chosen] + lines[chosen + 1])]))


def _complete(plan: Survey, xs: FloatArray, ys: FloatArray, i: int, j: int) -> bool:
    """Fit the corners of a cell that are not fitted yet; whether there were any."""
    corners = [(float(xs[i + a]), float(ys[j + b])) for a in (0, 1) for b in (0, 1)]
    missing = [corner for corner in corners if corner not in plan.surface.nodes]
    for corner in missing:
        plan.surface.at(corner)
    return bool(missing)


def _crossed(sheet: Sheet, levels: Sequence[float], top: float) -> Cells:
    """Cells (i, j) that a level crosses, or nearly; shape (k, 2)."""
    n, m = sheet.xs.size - 1, sheet.ys.size - 1
    fine = sheet.on_grid(finer(sheet.xs, 4), finer(sheet.ys, 4))
    blocks = np.stack([fine[a : a + 4 * n : 4, b : b + 4 * m : 4] for a in range(5) for b in range(5)])
    low, high = blocks.min(axis=0), blocks.max(axis=0)
    near = 0.25 * min(MARGIN, np.diff([0.0, *sorted(levels - sheet.height.min())]).min())
    crossed = np.any([(low <= level + near) & (high >= level - near) for level in levels], axis=0)
    return np.argwhere(crossed & (low <= top))


def _components(plan: Survey, sheet: Sheet, level: float, scales: FloatArray) -> tuple[tuple[Component, ...], float]:
    """The pieces below a level in physical units, and how far 2 NLL is off the level on their lines."""
    xs, ys = (finer(lines, int(np.clip(_MOST // lines.size, 2, _DRAWN))) for lines in (sheet.xs, sheet.ys))
    fine = sheet.on_grid(xs, ys)
    pieces, missed = [], 0.0
    for rings in _outlines(xs, ys, fine, level):
        place = _lowest(rings, xs, ys, fine)
        known = [m for m in plan.minima if m.value <= level and _inside(rings, m.x[plan.surface.indices][None])[0]]
        q = known[0].value if known else plan.surface.at(place).q
        if q > level:
            continue
        place = _pair(known[0].x[plan.surface.indices]) if known else place
        rings = [_polished(sheet, ring, level, plan.box) for ring in rings]
        missed = max(missed, *(_missed(plan, ring, level) for ring in rings))
        pieces.append(
            Component(rings[0] * scales, tuple(ring * scales for ring in rings[1:]), _closed(plan, rings),
                      _pair(np.array(place) * scales), q - plan.minima[0].value)
        )  # fmt: skip
    return tuple(sorted(pieces, key=lambda piece: piece.q)), missed


def _outlines(xs: FloatArray, ys: FloatArray, fine: FloatArray, level: float) -> list[list[FloatArray]]:
    """Closed lines around everything below a level: of each piece the outer one, then its holes."""
    generator = contour_generator(xs, ys, fine.T, fill_type=FillType.OuterOffset)
    points, offsets = cast(Lines, generator.filled(min(float(fine.min()), level) - 1.0, level))
    return [[np.asarray(line[a:b]) for a, b in pairwise(offset)] for line, offset in zip(points, offsets, strict=True)]


def _lowest(rings: Sequence[FloatArray], xs: FloatArray, ys: FloatArray, fine: FloatArray) -> Place:
    """The lowest place of the fine grid inside the rings, or a vertex where none is inside."""
    low, high = rings[0].min(axis=0), rings[0].max(axis=0)
    i = np.flatnonzero((xs >= low[0]) & (xs <= high[0]))
    j = np.flatnonzero((ys >= low[1]) & (ys <= high[1]))
    grid = np.array([(xs[a], ys[b]) for a in i for b in j]).reshape(-1, 2)
    heights = fine[np.ix_(i, j)].ravel()
    order = np.argsort(heights)
    for first in range(0, order.size, 20):  # the lowest ones are inside, save where another piece is lower
        some = grid[order[first : first + 20]]
        inside = _inside(rings, some)
        if inside.any():
            return _pair(some[inside][0])
    return _pair(rings[0].mean(axis=0))


def _inside(rings: Sequence[FloatArray], points: FloatArray) -> FloatArray:
    """Whether points of shape (k, 2) are inside the first ring and none of the others (even-odd rule)."""
    crossings = np.zeros(len(points), dtype=int)
    for ring in rings:
        (ax, ay), (bx, by) = ring[:-1].T, ring[1:].T
        x, y = points[:, :1], points[:, 1:]
        straddles = (ay > y) != (by > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            crossings += (straddles & (x < ax + (y - ay) * (bx - ax) / (by - ay))).sum(axis=1)
    return np.asarray(crossings % 2 == 1)


def _polished(sheet: Sheet, ring: FloatArray, level: float, box: FloatArray) -> FloatArray:
    """Vertices moved onto the level of the sheet, along its slope; those on the box's edge stay."""
    free = ~_on_edge(ring, box).any(axis=(1, 2))
    size = box[:, 1] - box[:, 0]
    moved = ring.copy()
    for _ in range(3):
        if not free.any():
            break
        height, slopes = sheet.at(moved[free])
        scaled = slopes * size
        shift = ((level - height) / np.maximum((scaled**2).sum(axis=1), 1e-300))[:, None] * scaled * size
        shift *= np.minimum(1.0, 0.01 / np.maximum(np.abs(shift / size).max(axis=1), 1e-300))[:, None]
        moved[free] = np.clip(moved[free] + shift, box[:, 0], box[:, 1])
    return moved


def _on_edge(ring: FloatArray, box: FloatArray) -> FloatArray:
    """Which vertices touch which end of the box, shape (n, 2, 2)."""
    return np.asarray(np.abs(ring[:, :, None] - box) <= 1e-9 * (box[:, 1] - box[:, 0])[:, None])


def _missed(plan: Survey, ring: FloatArray, level: float) -> float:
    """Largest |2 NLL - level| of fits at a few vertices."""
    inner = ring[:-1][~_on_edge(ring[:-1], plan.box).any(axis=(1, 2))]
    chosen = inner[:: max(1, len(inner) // _CHECKS)][:_CHECKS]
    return max((abs(plan.surface.at(_pair(place)).q - level) for place in chosen), default=0.0)


def _closed(plan: Survey, rings: Sequence[FloatArray]) -> bool:
    """Whether the rings touch no end of the box but physical bounds."""
    touched = np.any([_on_edge(ring, plan.box).any(axis=0) for ring in rings], axis=0)
    return not (touched & (plan.box != plan.surface.bounds)).any()


def _pair(values: FloatArray | Sequence[float]) -> Place:
    return float(values[0]), float(values[1])
