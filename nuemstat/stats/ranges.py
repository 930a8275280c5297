"""Ranges of couplings that a caller names, checked."""

from collections.abc import Mapping

from nuemstat.errors import FitError
from nuemstat.stats.problem import Problem

Range = tuple[float, float]


def in_workspace(problem: Problem, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Physical ranges in workspace units.

    Raises
    ------
    FitError : one that does not rise, or of a coupling that is not asked about.
    """
    found = {}
    for name, (low, high) in ranges.items():
        if name not in problem.couplings:
            raise FitError(f"ranges: found {name}; allowed are {', '.join(problem.couplings)}")
        if not low < high:
            raise FitError(f"{name}: found the range {low:g} to {high:g}; a rising one is allowed")
        scale = problem.scale(name)[0]
        found[name] = (low / scale, high / scale)
    return found


def check_range(problem: Problem, name: str, best: float, span: Range | None) -> None:
    """Nothing, if a range holds the best fit, both in workspace units.

    Raises
    ------
    FitError : it does not, so that nothing above the minimum is known inside.
    """
    slack = 0.0 if span is None else 1e-6 * (span[1] - span[0])
    if span is None or span[0] - slack <= best <= span[1] + slack:
        return
    scale, unit = problem.scale(name)
    raise FitError(
        f"{problem.workspace.name}: {name}: the range {span[0] * scale:.4g} to {span[1] * scale:.4g} {unit} excludes "
        f"the minimum at {best * scale:.4g} {unit}; a range that holds it is allowed"
    )
