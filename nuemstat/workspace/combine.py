"""Joint fits: several workspaces as one, parameters shared by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from nuemstat.errors import WorkspaceError, suggestion
from nuemstat.workspace.document import Folded, Parameter, Workspace

_LONGEST = 100  # characters of a name; file systems take 255, endings among them
_JOINT = "__x__"


@dataclass(frozen=True, slots=True)
class Shared:
    """One row of the sharing table: a nuisance and the workspaces that share it."""

    name: str
    kind: str
    quantity: str
    workspaces: tuple[str, ...]


def combine(
    workspaces: Sequence[Workspace], *, name: str | None = None, mixed: Sequence[str] = (), overlap: bool = False
) -> Workspace:
    """One workspace with the channels of all; equal names of parameters mean one parameter.

    A member may be insensitive to a coupling that another holds. `name` defaults to the members' names
    joined with ``__x__``, or to ``joint_of_15`` where that would be too long for the name of a file.
    mixed : choices, such as ``ge_quenching``, of which the members may have made different ones; the joint workspace
    then holds them all, joined with ``__x__``, and every result names them.
    overlap : take members that may share events, which every result then says.

    Raises
    ------
    WorkspaceError : nothing to combine, one name with two definitions, a data set or channel used twice, or a
        coupling that one member folded and another holds or folded elsewhere; members with different choices, or
        `mixed` with a choice that none of them made; members that may share events, without `overlap`.
    """
    members = list(workspaces)
    if not members:
        raise WorkspaceError("combine: found no workspace; one or more are needed")
    made = _choices(members, mixed)
    if len(members) == 1 and name is None:
        return members[0]
    for a, b in combinations(members, 2):
        _refuse_shared_data(a, b)
        if not overlap:
            _refuse_overlap(a, b)
    parameters = _joined_parameters(members)
    folded = _joined_folded(members)
    return Workspace(
        name=name or _name(members),
        channels=tuple(channel for member in members for channel in member.channels),
        parameters=parameters,
        folded=folded,
        choices=_joined_choices(made, mixed),
        provenance=tuple(entry for member in members for entry in member.provenance),
    )


def _name(members: Sequence[Workspace]) -> str:
    joined = _JOINT.join(member.name for member in members)
    return joined if len(joined) <= _LONGEST else f"joint_of_{len(members)}"


def sharing(workspaces: Iterable[Workspace]) -> tuple[Shared, ...]:
    """Which nuisance stands in two or more workspaces, in order of first appearance; couplings are left out."""
    users: dict[str, list[str]] = {}
    first: dict[str, Parameter] = {}
    for workspace in workspaces:
        for parameter in workspace.parameters:
            if parameter.kind != "coupling":
                first.setdefault(parameter.name, parameter)
                users.setdefault(parameter.name, []).append(workspace.name)
    return tuple(
        Shared(name, first[name].kind, getattr(first[name], "quantity", ""), tuple(members))
        for name, members in users.items()
        if len(members) > 1
    )


def taken(choices: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What the members of a workspace chose, several values where they differ."""
    return {choice: tuple(value.split(_JOINT)) for choice, value in choices.items()}


def mixture(workspace: Workspace) -> tuple[str, ...]:
    """In words, each choice in which the members of a joint workspace differ."""
    found = {choice: values for choice, values in taken(workspace.choices).items() if len(values) > 1}
    return tuple(f"{choice}: the members differ, {' and '.join(values)}" for choice, values in found.items())


def overlaps(workspace: Workspace) -> tuple[str, ...]:
    """In words, each pair of data sets in a joint workspace that may share events, and why that is not known."""
    held = set(workspace.datasets)
    found: dict[frozenset[str], str] = {}
    for channel in workspace.channels:
        for other in channel.may_overlap:
            if other.dataset in held:
                pair = frozenset((*channel.datasets, other.dataset))
                text = f"{', '.join(channel.datasets)} and {other.dataset} may share events: {other.reason}"
                found.setdefault(pair, text)
    return tuple(found.values())


def _choices(members: Sequence[Workspace], mixed: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Who made which choice: names of members by choice and value."""
    made: dict[str, dict[str, list[str]]] = {}
    for member in members:
        for choice, value in member.choices.items():
            for part in value.split(_JOINT):
                made.setdefault(choice, {}).setdefault(part, []).append(member.name)
    for choice in mixed:
        if choice not in made:
            known = f"theirs are {', '.join(made)}" if made else "they make none"
            raise WorkspaceError(f"combine: no member makes choice {choice!r}; {known}{suggestion(choice, list(made))}")
    return made


def _joined_choices(made: Mapping[str, Mapping[str, Sequence[str]]], mixed: Sequence[str]) -> dict[str, str]:
    """One value of every choice, or all of them joined where they may be mixed."""
    for choice, users in made.items():
        if len(users) > 1 and choice not in mixed:
            found = ", ".join(f"{value} in {' and '.join(names)}" for value, names in users.items())
            raise WorkspaceError(
                f"combine: {choice}: found {found}; one for all is allowed, or to ask for --mixed {choice} "
                f'(mixed=("{choice}",) in Python)'
            )
    return {choice: _JOINT.join(sorted(users)) for choice, users in made.items()}


def _refuse_shared_data(a: Workspace, b: Workspace) -> None:
    for dataset in a.datasets:
        if dataset in b.datasets:
            raise WorkspaceError(
                f"combine: {a.name} and {b.name} both use dataset {dataset}; each may enter a joint fit once"
            )
    names = {channel.name for channel in a.channels}
    for channel in b.channels:
        if channel.name in names:
            raise WorkspaceError(f"combine: {a.name} and {b.name} both have a channel {channel.name}; names are unique")


def _refuse_overlap(a: Workspace, b: Workspace) -> None:
    for one, other in ((a, b), (b, a)):
        for entry in dict.fromkeys(entry for channel in one.channels for entry in channel.may_overlap):
            if entry.dataset in other.datasets:
                raise WorkspaceError(
                    f"combine: {a.name} and {b.name} may share events ({entry.dataset}): {entry.reason}; one of them "
                    "is allowed, or to ask for --overlap (overlap=True in Python)"
                )


def _joined_parameters(members: Sequence[Workspace]) -> tuple[Parameter, ...]:
    known: dict[str, tuple[Parameter, str]] = {}
    for member in members:
        for parameter in member.parameters:
            if parameter.name not in known:
                known[parameter.name] = (parameter, member.name)
                continue
            other, owner = known[parameter.name]
            if other != parameter:
                raise WorkspaceError(
                    f"combine: {owner} and {member.name} define {parameter.name} differently: "
                    f"{_difference(other, parameter)}; shared names need one definition"
                )
    return tuple(parameter for parameter, _ in known.values())


def _difference(a: Parameter, b: Parameter) -> str:
    """What differs, as ``sigma: 0.1 against 0.2``."""
    left, right = a.model_dump(), b.model_dump()
    keys = ["kind"] if a.kind != b.kind else [key for key in left if left[key] != right[key]]
    return ", ".join(f"{key}: {left[key]!r} against {right[key]!r}" for key in keys)


def _joined_folded(members: Sequence[Workspace]) -> tuple[Folded, ...]:
    known: dict[str, tuple[Folded, str]] = {}
    for member in members:
        for folded in member.folded:
            for other in members:
                if any(parameter.name == folded.name for parameter in other.parameters):
                    raise WorkspaceError(
                        f"combine: {member.name} folded {folded.name} at {folded.value:g} and {other.name} holds it; "
                        "compile all members with the same couplings"
                    )
            first, owner = known.setdefault(folded.name, (folded, member.name))
            if first != folded:
                raise WorkspaceError(
                    f"combine: {folded.name} was folded at {first.value:g} in {owner} and at {folded.value:g} in "
                    f"{member.name}; folded couplings need one value"
                )
    return tuple(folded for folded, _ in known.values())
