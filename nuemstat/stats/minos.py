"""MINOS, as a cross-check of the one interval it knows of.

MINOS walks from its minimum to the nearest crossings and never mentions a second solution, so it judges nothing here.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from nuemstat.stats.diagnostics import Minos
from nuemstat.stats.intervals import limit
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import floating, global_minimum, scaled_minuit
from nuemstat.stats.problem import prepare
from nuemstat.stats.results import End, Limit
from nuemstat.stats.starts import starts
from nuemstat.workspace.document import Workspace

_AGREEMENT = 1e-3
"""Of the interval's length: what the ends may differ by."""


def minos(
    workspace: Workspace,
    coupling: str,
    *,
    cl: float = 0.90,
    data: str = "observed",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
) -> Minos:
    """MINOS (James, Roos, CPC 10 (1975) 343) beside the profile: the same interval around the best fit, or not.

    Raises
    ------
    WorkspaceError : the coupling is not held; FitError : no fit can be trusted.
    """
    found = limit(workspace, coupling, cl=cl, data=data, free=free, fixed=fixed, expected=False)
    return compared(found, workspace, free)


def compared(found: Limit, workspace: Workspace, free: Sequence[str] = ()) -> Minos:
    """What MINOS says where a limit of the profile was found already; `free` as it was there."""
    problem = prepare(workspace, couplings=(found.coupling,), free=free, fixed=found.fixed, data=found.data)
    likelihood, scale = problem.likelihood, problem.scale(found.coupling)[0]
    near = likelihood.vector({found.coupling: found.best_fit / scale})
    best = global_minimum(likelihood, [near, *starts(likelihood, floating(problem))])
    said = interval(likelihood, best.x, found.coupling, found.cl)
    span = None if said is None else (said[0] * scale, said[1] * scale)
    own = own_interval(found.intervals, found.best_fit)
    others = tuple(piece for piece in found.intervals if piece != own)
    difference = _difference(span, own)
    warnings = []
    if span is None:
        warnings.append(f"MINOS finds no valid interval of {found.coupling}")
    elif difference > _AGREEMENT:
        warnings.append(f"MINOS and the profile differ by {difference:.2g} of the interval of {found.coupling}")
    return Minos(
        **problem.origin,
        warnings=problem.warnings(warnings),
        coupling=found.coupling,
        unit=found.unit,
        cl=found.cl,
        data=found.data,
        best_fit=float(best.x[likelihood.index(found.coupling)]) * scale,
        interval=span,
        own=own,
        others=others,
        difference=difference,
        agrees=difference <= _AGREEMENT,
    )


def interval(likelihood: Likelihood, x: np.ndarray, name: str, cl: float) -> tuple[float, float] | None:
    """MINOS from the minimum at x, in workspace units; ends at a bound where it is met, None where it fails."""
    minuit, active, scale = scaled_minuit(likelihood, x)
    place = np.flatnonzero(active == likelihood.index(name))
    if not place.size:
        return None
    parameter = minuit.parameters[int(place[0])]
    try:
        with np.errstate(all="ignore"):
            minuit.migrad()
            minuit.minos(parameter, cl=cl)
    except RuntimeError:  # what MINOS says to a minimum that it does not trust
        return None
    errors, size, centre = minuit.merrors[parameter], float(scale[place[0]]), float(minuit.values[parameter])
    if errors.at_lower_limit or not errors.lower_valid:
        low = float(likelihood.bounds[likelihood.index(name), 0]) if errors.at_lower_limit else np.nan
    else:
        low = (centre + errors.lower) * size
    if errors.at_upper_limit or not errors.upper_valid:
        high = float(likelihood.bounds[likelihood.index(name), 1]) if errors.at_upper_limit else np.nan
    else:
        high = (centre + errors.upper) * size
    return (low, high) if np.isfinite([low, high]).all() else None


def own_interval(pieces: Sequence[tuple[End, End]], best: float) -> tuple[End, End]:
    """The interval that holds the best fit."""
    for low, high in pieces:
        if (low is None or low <= best) and (high is None or best <= high):
            return low, high
    return None, None


def _difference(said: tuple[float, float] | None, own: tuple[End, End]) -> float:
    if said is None or own[0] is None or own[1] is None:
        return float("inf")
    return max(abs(said[0] - own[0]), abs(said[1] - own[1])) / (own[1] - own[0])
