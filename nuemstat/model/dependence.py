"""Which processes depend on what a nuisance or a free parameter stands for.

A number of the model moves every process whose counts it changes, found by computing the templates anew. A norm scales
the processes that it names; what else depends on its cause follows from how the model is written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nuemstat.errors import ModelError
from nuemstat.model.schema import ModelDocument
from nuemstat.model.schema_nuisance import Cause, NuisanceField, Only
from nuemstat.model.templates import Templates
from nuemstat.polynomial import CouplingPolynomial

_UNCHANGED = 1e-10
"""Of the largest bin of a term: smaller changes are rounding."""


class MovesNothing(ModelError):
    """A parameter that changes no count: a mistake in a model, and nothing odd where a variant took away its object."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a parameter moves, and what depends on the same cause and is left out, with the reason."""

    moves: frozenset[str]
    left_out: Mapping[str, str]


def norm_reach(document: ModelDocument, name: str, row: NuisanceField) -> Reach:
    """The reach of a norm.

    Raises
    ------
    ModelError : a process that depends on the cause is left out, and no reason is given.
    """
    moves = frozenset(row.processes or ())
    missing = sorted(dependents_of(document, row.cause) - moves)
    if missing and row.reason is None:
        raise ModelError(
            f"nuisances.{name}: cause {row.cause!r} acts on {', '.join(missing)} too; add them to processes, or say "
            "why not in reason"
        )
    return Reach(moves, dict.fromkeys(missing, row.reason or ""))


def dependents_of(document: ModelDocument, cause: Cause) -> frozenset[str]:
    """Processes whose expected counts are computed from a cause.

    Exposure, flux and theory make the signals; counts of backgrounds are measured numbers. An efficiency acts on all
    that passes a response, whatever their counts were taken from.
    """
    if cause == "own":
        return frozenset()
    found = set(document.signals)
    if cause == "efficiency":
        found |= {name for name, b in document.backgrounds.items() if b.response is not None or b.selection is not None}
    return frozenset(found)


def varied_reach(
    document: ModelDocument, where: str, paths: tuple[str, ...], only: Only | None, changed: frozenset[str]
) -> Reach:
    """The reach of a number that is varied: `changed` are the processes whose templates it changes.

    Raises
    ------
    MovesNothing : it changes no count;
    ModelError : `only` names a process that does not depend on it; the same part of another
    response stands there in the same words and stays behind, without a reason.
    """
    if not changed:
        raise MovesNothing(
            f"{where}: {', '.join(paths)} changes no count; a number that some process depends on is allowed"
        )
    behind = _equal_parts(document, paths)
    if only is None:
        for process, parts in behind.items():
            if process not in changed:
                raise ModelError(
                    f"{where}: {parts[1]} stands there in the same words as {parts[0]} and would not move "
                    f"{process}; name both paths in varies, or narrow with only: {{processes: [...], reason: ...}}"
                )
        return Reach(changed, {})
    dependent = changed | set(behind)
    for process in only.processes:
        if process not in changed:
            known = ", ".join(sorted(changed))
            raise ModelError(f"{where}.only: found {process!r}, which does not depend on {paths[0]}; {known} do")
    return Reach(frozenset(only.processes), dict.fromkeys(sorted(dependent - set(only.processes)), only.reason))


def changed_processes(nominal: Templates, moved: Iterable[Templates]) -> frozenset[str]:
    """Processes with a bin that any of the moved templates changes."""
    return frozenset(key[1] for found in moved for key, poly in nominal.items() if _differs(poly, found[key]))


def _differs(one: CouplingPolynomial, other: CouplingPolynomial) -> bool:
    if one is other:
        return False
    for term in {**one.terms, **other.terms}:
        a, b = one.terms.get(term, 0.0), other.terms.get(term, 0.0)
        if a is not b and np.max(np.abs(np.subtract(a, b))) > _UNCHANGED * max(np.max(np.abs(a)), np.max(np.abs(b))):
            return True
    return False


def _equal_parts(document: ModelDocument, paths: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Processes behind a response that repeats a varied part of another one without being varied, with both parts.

    One piece of hardware is often written for nuclear and electron recoils in the same words: an error of one is an
    error of both.
    """
    found: dict[str, tuple[str, str]] = {}
    varied = [tuple(path.split(".")[:3]) for path in paths if path.startswith("responses.")]
    for part in varied:
        if len(part) < 3:
            continue
        _, name, kind = part
        spec = getattr(document.responses.get(name), kind, None)
        for process, other in _responses_of(document):
            repeated = ("responses", other, kind)
            if spec is not None and repeated not in varied and getattr(document.responses[other], kind) == spec:
                found[process] = (".".join(part), ".".join(repeated))
    return found


def _responses_of(document: ModelDocument) -> Iterable[tuple[str, str]]:
    """Processes with each response they pass."""
    for process, signal in document.signals.items():
        for channel in signal.channels:
            yield process, signal.response_in(channel)
    for process, background in document.backgrounds.items():
        if background.response is not None:
            yield process, background.response
