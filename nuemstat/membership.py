"""Which data models the world fit holds: the list in models/world.yaml, and the rule that the list follows.

The rule was written down before the joint fit was looked at: a member leaves the default world fit if, with all
couplings at the Standard Model, its goodness of fit has a p-value below `SMALLEST_P`, or the pull of an efficiency or
of a quenching lies beyond `LARGEST_PULL` standard deviations. Widths of these pulls come from public curves alone, and
centres are never moved to what the data prefer.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from nuemstat.errors import ModelError, suggestion
from nuemstat.model.world import Membership, listed

if TYPE_CHECKING:
    from nuemstat.model.loader import Model
    from nuemstat.ours import Engine
    from nuemstat.sidebyside import StandardFit

SMALLEST_P = 0.01
"""Of the goodness of fit with all couplings at the Standard Model."""
LARGEST_PULL = 2.5
"""Of an efficiency or a quenching, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the rule says of one data model.

    fit : with all couplings at the Standard Model;
    pulls : of its efficiencies and quenchings in that fit, by row, in standard deviations.
    """

    model: str
    fit: "StandardFit"
    pulls: Mapping[str, float]

    @property
    def largest(self) -> str | None:
        """The row with the largest pull; None without any."""
        return max(self.pulls, key=lambda name: abs(self.pulls[name]), default=None)

    @property
    def failures(self) -> tuple[str, ...]:
        """What makes it leave the world fit, in words; none where it stays."""
        found = []
        if self.fit.q_min is None:
            found.append(self.fit.remark)
        if self.fit.p_value is not None and self.fit.p_value < SMALLEST_P:
            found.append(f"p = {self.fit.p_text} below {SMALLEST_P:g}")
        for name, pull in self.pulls.items():
            if abs(pull) > LARGEST_PULL:
                found.append(f"{name} pulled by {pull:+.2f}, beyond {LARGEST_PULL:g}")
        return tuple(found)

    @property
    def stays(self) -> bool:
        """The outcome of the rule."""
        return not self.failures


def assess(name: str, engine: "Engine | None" = None) -> Assessment:
    """The rule applied to a data model.

    Raises
    ------
    ModelError : no data model of that name; FitError : the fit of the Standard Model does not converge.
    """
    from nuemstat.model.loader import load_model
    from nuemstat.ours import Engine
    from nuemstat.sidebyside import standard_fit

    engine = engine or Engine()
    fit = standard_fit(name, engine)
    if fit is None:
        known = list(listed())
        raise ModelError(f"no data model {name!r}; there are {', '.join(known)}{suggestion(name, known)}")
    rows = efficiency_rows(load_model(name)) if fit.ndof else ()
    return Assessment(name, fit, {row: _pull(name, row, engine) for row in rows})


def efficiency_rows(model: "Model") -> tuple[str, ...]:
    """The nuisances of a model that move an efficiency, a quenching, or yields of recoils in a supplied response."""
    found = []
    for name, row in model.document.nuisances.items():
        parts = [path.split(".") for path in row.paths]
        varied = any(p[0] == "responses" and p[2] in ("efficiency", "quenching", "tensor") for p in parts)
        if varied or (row.norm is not None and row.cause == "efficiency"):
            found.append(name)
    return tuple(found)


def _pull(name: str, row: str, engine: "Engine") -> float:
    """The pull of a row in the fit of the Standard Model; of a correlated one that of its shared and local part."""
    from nuemstat.model.loader import load_model
    from nuemstat.published import FitOf

    def of(parameter: str) -> float:
        found = engine.value(name, FitOf(kind="fit", take="pull", name=parameter))
        assert isinstance(found, float)
        return found

    document = load_model(name).document
    spec, local = document.nuisances[row], f"{name}__{row}"
    if spec.correlation is not None and spec.scope == "global":
        return sqrt(spec.correlation) * of(spec.shared or row) + sqrt(1 - spec.correlation) * of(f"{local}_local")
    return of(row if spec.scope == "global" else local)


@dataclass(frozen=True, slots=True)
class Standing:
    """A data model in the list beside the outcome of the rule."""

    assessment: Assessment
    member: Membership

    @property
    def agrees(self) -> bool:
        """Whether no member of the default fit fails the rule."""
        return self.assessment.stays or not self.member.default

    def cells(self) -> tuple[str, ...]:
        """The row of the table that the command line prints."""
        found = self.assessment
        pull = "-" if found.largest is None else f"{found.largest} {found.pulls[found.largest]:+.2f}"
        outcome = "stays" if found.stays else "leaves: " + "; ".join(found.failures)
        place = "yes" if self.member.default else "no"
        return (found.model, place, found.fit.p_text, pull, outcome, self.member.reason)


def standings(
    names: Sequence[str] | None = None, *, progress: Callable[[int, int, str], None] | None = None
) -> tuple[Standing, ...]:
    """The rule applied to data models, all listed ones when None, in the order of the list.

    Raises
    ------
    ModelError : a name that is not listed.
    """
    from nuemstat.ours import Engine

    members, engine = listed(), Engine()
    for name in names or ():
        if name not in members:
            known = list(members)
            raise ModelError(f"no data model {name!r}; there are {', '.join(known)}{suggestion(name, known)}")
    found = []
    for number, name in enumerate(names or members, 1):
        found.append(Standing(assess(name, engine), members[name]))
        if progress is not None:
            progress(number, len(names or members), name)
    return tuple(found)


def to_json(found: Sequence[Standing]) -> str:
    """The table as one JSON object."""
    rows = [
        {
            "model": row.assessment.model,
            "default": row.member.default,
            "reason": row.member.reason,
            "q_min": row.assessment.fit.q_min,
            "ndof": row.assessment.fit.ndof,
            "p_value": row.assessment.fit.p_value,
            "p_error": row.assessment.fit.error,
            "pulls": dict(row.assessment.pulls),
            "stays": row.assessment.stays,
            "failures": list(row.assessment.failures),
        }
        for row in found
    ]
    limits = {"smallest_p": SMALLEST_P, "largest_pull": LARGEST_PULL}
    return json.dumps({"schema": "nuemstat/members/1", **limits, "members": rows}, indent=1)
