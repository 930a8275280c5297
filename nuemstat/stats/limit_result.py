"""A set in workspace units as the result in physical units, with its warnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.stats.execution import Answer, Piece
from nuemstat.stats.goodness import sparse
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import Solution
from nuemstat.stats.problem import Problem
from nuemstat.stats.profile import Point, Profile
from nuemstat.stats.ranges import Range
from nuemstat.stats.results import End, Limit, Minimum

_BAD = 1e-3
"""p-value of the best fit below which a limit is warned of."""


@dataclass(frozen=True, slots=True)
class _Set:
    """A set in physical units; is_open : whether it goes on outside the values that were looked at."""

    intervals: tuple[tuple[End, End], ...]
    is_open: bool

    @property
    def upper_limit(self) -> float | None:
        """The largest |value|, None where the set is open or empty."""
        return None if self.is_open else max((abs(e) for p in self.intervals for e in p if e is not None), default=None)


def limit_of(
    problem: Problem,
    profile: Profile,
    minima: Sequence[Point],
    answer: Answer,
    scan_range: Range | None,
    *,
    cl: float,
    method: str,
) -> Limit:
    """The result, in physical units, of a set in workspace units.

    minima : of the profile, the lowest first; scan_range : physical values outside which nothing is said.
    """
    coupling, best = problem.couplings[0], minima[0]
    scale, unit = problem.scale(coupling)
    bounds = (profile.bounds[0] * scale, profile.bounds[1] * scale)
    found = _physical(answer.pieces, scale, scan_range, bounds)
    failures = profile.failures((scale, unit))
    values = np.array([point.value for point in profile.points]) * scale
    heights = np.array([point.q for point in profile.points]) - best.q
    near = heights < 4 * float(chi2.ppf(cl, 1)) + 10
    seen = near & (values >= (scan_range or bounds)[0]) & (values <= (scan_range or bounds)[1])
    return Limit(
        **problem.origin,
        valid=not failures and not answer.warnings,
        warnings=(
            *failures,
            *answer.warnings,
            *(["the set goes on outside the values that were looked at"] if found.is_open else []),
            *_bad_fit(problem.likelihood, best.solution),
            *problem.warnings(),
            *answer.notes,
        ),
        coupling=coupling,
        unit=unit,
        cl=cl,
        method=method,
        data=problem.likelihood.data,
        best_fit=best.value * scale,
        minima=tuple(Minimum(point.value * scale, point.q - best.q) for point in minima),
        intervals=found.intervals,
        upper_limit=found.upper_limit,
        q_min=best.q,
        expected=_expected(answer, found.upper_limit, scale),
        boundary_aware=_boundary_aware(answer, scale, scan_range, bounds),
        profile_values=values[seen],
        profile_q=heights[seen],
        **answer.fields,
    )


def _physical(pieces: Sequence[Piece], scale: float, scan_range: Range | None, bounds: Range) -> _Set:
    def sized(end: End) -> End:
        return None if end is None else end * scale

    ends = [(sized(piece.low), sized(piece.high)) for piece in pieces]
    kept = ends if scan_range is None else [cut for piece in ends if (cut := _cut(piece, scan_range, bounds))]
    return _Set(tuple(kept), len(kept) < len(ends) or any(None in piece for piece in kept))


def _expected(answer: Answer, upper: float | None, scale: float) -> Mapping[str, Any] | None:
    """The expectation, with how far the observed limit lies from its middle, in standard deviations."""
    known = answer.expected
    if known is None:
        return None
    if known.quantile is None or upper is None:
        return known.bands
    try:
        z = known.quantile(upper / scale)
    except FitError:
        return known.bands
    return {**known.bands, "z": z if np.isfinite(z) else None}


def _boundary_aware(answer: Answer, scale: float, scan_range: Range | None, bounds: Range) -> Mapping[str, Any] | None:
    """The set with thresholds that know of the bound, and the threshold at its upper limit."""
    aware = answer.aware
    if aware is None:
        return None
    found = _physical(aware.pieces, scale, scan_range, bounds)
    upper = found.upper_limit
    threshold = None if upper is None else aware.threshold(upper / scale)
    return {"intervals": found.intervals, "upper_limit": upper, "threshold": threshold}


def _bad_fit(likelihood: Likelihood, best: Solution) -> list[str]:
    """A warning where chi2 describes 2 NLL and says that the best fit does not describe the data."""
    ndof = likelihood.n_bins - int((~likelihood.constrained).sum())
    p = float(chi2.sf(best.value, ndof)) if ndof > 0 else 1.0
    if p >= _BAD or sparse(likelihood, best):
        return []
    return [
        f"the best fit describes the data badly: 2 NLL = {best.value:.1f} for {ndof} degrees of freedom, p = {p:.1g}"
    ]


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
