"""A joint limit taken apart: who makes it, whether its members agree, and what it is without each of them in turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.stats.agreement import between_experiments
from nuemstat.stats.diagnostics import ParameterGoodness
from nuemstat.stats.intervals import limit, profiled_set
from nuemstat.stats.minimise import floating, global_minimum
from nuemstat.stats.newton import Solution
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.results import End, Limit, Result, columns, expected_rows, written
from nuemstat.stats.shares import shares_between
from nuemstat.stats.starts import starts
from nuemstat.vocabulary import UNIVERSAL
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace

CUT = 0.01
"""Share of Delta chi2 at the ends of the set below which leaving a member out would not show."""
_AT_LEVEL = 0.01
"""An end where Delta chi2 differs by more than this share from its level is a bound of the coupling."""

Intervals = tuple[tuple[End, End], ...]


@dataclass(frozen=True, slots=True)
class EndShares:
    """Delta chi2 at one end of the joint set, as shares of the level: by member, and by constraints of nuisances that
    several of them use. The sum is 1."""

    at: float
    members: Mapping[str, float]
    shared: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class JointLimit(Result):
    """A joint limit, and what it is made of.

    intervals, best_fit, q_min : of all members together, as in `Limit`;
    ends : shares at the two outermost ends of the set where Delta chi2 reaches its level; shares : their mean;
    compatibility : parameter goodness of fit; None where fewer than two members are sensitive, or with a warning;
    without : the set without each member; None where its largest share is below `cut`, or where a warning says that
    it cannot be given; empty where no other holds the coupling;
    expected, boundary_aware : as in `Limit`, left out of the JSON when None.
    """

    SCHEMA: ClassVar[str] = "nuemstat/joint_limit/1"
    FIELDS: ClassVar[tuple[str, ...]] = (
        "coupling", "unit", "cl", "data", "best_fit", "intervals", "q_min", "ends", "shares", "compatibility",
        "without", "cut",
    )  # fmt: skip
    OPTIONAL: ClassVar[tuple[str, ...]] = ("expected", "boundary_aware")

    coupling: str
    unit: str
    cl: float
    data: str
    best_fit: float
    intervals: Intervals
    q_min: float
    ends: tuple[EndShares, ...]
    shares: Mapping[str, float]
    compatibility: ParameterGoodness | None
    without: Mapping[str, Intervals | None]
    cut: float
    expected: Mapping[str, Any] | None = None
    boundary_aware: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        head = f"{self.coupling} at {100 * self.cl:g} % [{self.unit}] from {', '.join(self.workspaces)}"
        rows: list[tuple[str, ...]] = [("left out", "share", "set"), ("none", "", written(self.intervals))]
        for name, share in sorted(self.shares.items(), key=lambda pair: -abs(pair[1])):
            left = self.without.get(name)
            missing = "not found" if _largest_share(self.ends, name) >= self.cut else "as above"
            said = missing if left is None else written(left) if left else "no other holds it"
            rows.append((name, f"{100 * share:.1f} %", said))
        if self.compatibility is not None:
            match = self.compatibility
            members = f"{len(match.members)} sensitive members"
            rows.append(("agreement", match.stated, f"Delta chi2 = {match.q:.2f} of {members}"))
        stated = columns(expected_rows(self.expected, self.boundary_aware, self.unit))
        return "\n".join([head, *columns(rows), *stated, *self.warnings])


def joint_limit(
    members: Sequence[Workspace],
    coupling: str,
    *,
    cl: float = 0.90,
    cut: float = CUT,
    mixed: Sequence[str] = (),
    overlap: bool = False,
    expected: bool | None = None,
    seed: int = 0,
) -> JointLimit:
    """The limit of all members together, the share of each, their agreement, and the limit without each in turn.

    members : two or more workspaces that `combine` takes; nuisances of one name are one nuisance;
    cut : members with a smaller share at every end of the set are not left out;
    mixed, overlap : choices in which members may differ, and whether they may share events, as `combine` takes them;
    expected : as `limit` takes it;
    seed : of the toys of agreement.

    Raises
    ------
    WorkspaceError : the coupling is held by none, or the workspaces cannot be combined;
    FitError : fewer than two members, or no fit that can be trusted.
    """
    found = limit(combine(members, mixed=mixed, overlap=overlap), coupling, cl=cl, expected=expected)
    return taken_apart(members, found, cut=cut, seed=seed)


def taken_apart(members: Sequence[Workspace], found: Limit, *, cut: float = CUT, seed: int = 0) -> JointLimit:
    """The same for a limit of all members that is known already, of their observed data and of one floating coupling.

    Raises
    ------
    WorkspaceError, FitError : as `joint_limit`, or a limit of another question.
    """
    _check(members, found)
    mixed = [choice for member in members for choice in member.choices]  # whoever found the limit has agreed to it
    together = combine([_named(member) for member in members], mixed=mixed, overlap=True)
    problem = prepare(together, couplings=(found.coupling,))
    best = global_minimum(problem.likelihood, starts(problem.likelihood, floating(problem)))
    ends, compatibility = _at_ends(problem, best, found), None
    shares = {m.name: sum(end.members.get(m.name, 0.0) for end in ends) / max(len(ends), 1) for m in members}
    without: dict[str, Intervals | None] = {}
    warnings = list(found.warnings)
    try:
        compatibility = between_experiments(problem, best, seed=seed)
    except FitError as error:
        warnings.append(f"agreement: {error}")
    for member in members:
        without[member.name] = None
        if _largest_share(ends, member.name) < cut:
            continue
        try:
            without[member.name] = _set_without(together, members, member, found)
        except FitError as error:
            warnings.append(f"without {member.name}: {error}")
    return JointLimit(
        **problem.origin | {"workspaces": tuple(m.name for m in members), "digest": found.digest},
        valid=found.valid and len(warnings) == len(found.warnings),
        warnings=tuple(warnings),
        coupling=found.coupling,
        unit=found.unit,
        cl=found.cl,
        data=found.data,
        best_fit=found.best_fit,
        intervals=found.intervals,
        q_min=found.q_min,
        ends=ends,
        shares=shares,
        compatibility=compatibility,
        without=without,
        cut=cut,
        expected=found.expected,
        boundary_aware=found.boundary_aware,
    )


def _check(members: Sequence[Workspace], found: Limit) -> None:
    names = [member.name for member in members]
    if len(members) < 2:
        raise FitError(f"joint limit: found {len(members)} members; 2 or more are needed")
    if len(set(names)) < len(names):
        raise FitError(f"joint limit: found members {', '.join(names)}; different names are needed")
    if (found.method, found.data) != ("profile", "observed") or found.fixed or found.floated != (found.coupling,):
        others = ", ".join(name for name in (*found.floated, *found.fixed) if name != found.coupling) or "nothing"
        raise FitError(
            f"joint limit: found a limit by {found.method} of {found.data} data, {others} floating or fixed besides; "
            "one by profile of observed data with nothing besides is allowed"
        )


def _largest_share(ends: Sequence[EndShares], name: str) -> float:
    """Of one member at any end, 1 where there is no end to tell by."""
    return max((abs(end.members.get(name, 0.0)) for end in ends), default=1.0)


def _named(member: Workspace) -> Workspace:
    """The member with its own name as the experiment of all its channels: members are told apart, not experiments."""
    channels = tuple(channel.model_copy(update={"experiment": member.name}) for channel in member.channels)
    return member.model_copy(update={"channels": channels})


def _at_ends(problem: Problem, best: Solution, found: Limit) -> tuple[EndShares, ...]:
    """Shares at the outermost ends of the set."""
    level = float(chi2.ppf(found.cl, 1))
    outermost = [found.intervals[0][0], found.intervals[-1][1]] if found.intervals else []
    ends = []
    for at in outermost:
        if at is None:
            continue
        apart = shares_between(problem, found.coupling, at, best)
        if abs(apart.q - level) < _AT_LEVEL * level:
            fractions = {name: part / apart.q for name, part in apart.experiments.items()}
            ends.append(EndShares(at, fractions, apart.shared / apart.q))
    return tuple(ends)


def _set_without(together: Workspace, members: Sequence[Workspace], left_out: Workspace, found: Limit) -> Intervals:
    """The set of all members but one; empty where none of them holds the coupling."""
    others = [member for member in members if member is not left_out]
    flavours = set(UNIVERSAL.get(found.coupling, (found.coupling,)))
    if not any(flavours & set(member.couplings) for member in others):
        return ()
    names = {parameter.name for member in others for parameter in member.parameters}
    kept = {
        "channels": tuple(channel for channel in together.channels if channel.experiment != left_out.name),
        "parameters": tuple(parameter for parameter in together.parameters if parameter.name in names),
    }
    problem = prepare(together.model_copy(update=kept), couplings=(found.coupling,))
    return profiled_set(problem, found.cl)


def summary(members: Sequence[str], found: Sequence[JointLimit]) -> dict[str, Any]:
    """What joint.json holds: the joint limits of all couplings, taken apart."""
    entries = []
    for item in found:
        content = item.to_dict()
        match = item.compatibility
        entries.append(
            {
                "coupling": item.coupling,
                "unit": item.unit,
                "joint": content["intervals"],
                "best_fit": content["best_fit"],
                "minimum_2nll": item.q_min,
                "shares": content["shares"],
                "ends": content["ends"],
                "compatibility": None
                if match is None
                else {
                    "chi2": match.q,
                    "ndf": match.ndof,
                    "p_value": match.p_value,
                    "p_error": match.p_error,
                    "at_least": match.at_least,
                    "at_most": match.at_most,
                    "method": match.method,
                    "toys": match.toys,
                    "seed": match.seed,
                    "zero_share": match.zero_share,
                    "members": list(match.members),
                },
                "without": content["without"],
                **{name: content[name] for name in JointLimit.OPTIONAL if name in content},
                "warnings": list(item.warnings),
            }
        )
    level = found[0].cl if found else None
    cut = found[0].cut if found else CUT
    return {
        "schema": "nuemstat/joint/1",
        "members": list(members),
        "level": level,
        "share_cut": cut,
        "couplings": entries,
    }
