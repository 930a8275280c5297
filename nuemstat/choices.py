"""What a joint limit owes to a choice: the same fit with each description that its members could have taken.

A choice, such as ``ge_quenching``, is made by the members whose models have it under ``describes``. What it does to a
limit is seen by making it differently in all of them at once, and by leaving out those that make it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuemstat.study import resolve, sensitive_couplings
from nuemstat.workspace.combine import combine, taken
from nuemstat.workspace.document import Workspace

if TYPE_CHECKING:
    from nuemstat.stats.joint import Intervals

COUPLINGS = ("magnetic_moment_e", "millicharge_ee", "charge_radius_ee")
"""Computed where no couplings are asked for: one of each kind, of the flavour that reactors emit."""

Through = Callable[[Callable[[Any], Any], Sequence[Any], Sequence[str]], list[Any]]
"""Runs a function over items, which labels describe, and gives the answers in order."""
Versions = Mapping[tuple[str, str, str], Workspace]
"""Members compiled with another value of a choice, by choice, value and name."""


@dataclass(frozen=True, slots=True)
class ChoiceLimit:
    """A joint limit with one value of a choice, or without members that make it.

    value : what the members chose, several joined by commas; without : members left out; taken : whether the joint fit
    itself is this one; intervals : the set, in physical units; q_min : 2 NLL at its best fit, relative to the saturated
    model, by which to tell a strong limit from a bad fit; valid, warnings : as of any limit.
    """

    choice: str
    value: str
    without: tuple[str, ...]
    taken: bool
    coupling: str
    unit: str
    intervals: "Intervals"
    q_min: float
    valid: bool = True
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The entry under `choices` in joint.json."""
        names = ("choice", "value", "without", "taken", "coupling", "unit", "valid", "warnings")
        return {name: getattr(self, name) for name in names} | {"joint": self.intervals, "minimum_2nll": self.q_min}

    @property
    def members(self) -> str:
        """Which fit it is, in words."""
        return self.value if not self.without else f"without {', '.join(self.without)}"

    @property
    def remark(self) -> str:
        """What to know of it in a table."""
        return "; ".join(["the joint fit"] * self.taken + ["not valid"] * (not self.valid))


@dataclass(frozen=True, slots=True)
class _Alternative:
    choice: str
    value: str
    workspace: Workspace
    without: tuple[str, ...] = ()
    taken: bool = False


@dataclass(frozen=True, slots=True)
class _Task:
    alternative: _Alternative
    coupling: str
    level: float


def limits_of_choices(
    specs: Sequence[str], members: Sequence[Workspace], couplings: Sequence[str], *, level: float, through: Through
) -> tuple[ChoiceLimit, ...]:
    """The joint limits for every value of every choice that members make, and without these members.

    specs : what the members were resolved from, in the same order; one that is a workspace file keeps its choice, and
    values that it has not are left out. through : runs the steps.
    """
    wanted = {key: spec for pair in zip(specs, members, strict=True) for key, spec in _other_versions(*pair)}
    compiled = through(resolve, list(wanted.values()), [f"compiled {spec}" for spec in wanted.values()])
    versions = dict(zip(wanted, compiled, strict=True))
    found = list(_alternatives(members, versions))
    tasks = [_Task(a, name, level) for name in couplings for a in found if name in sensitive_couplings(a.workspace)]
    labels = [f"{t.coupling}, {t.alternative.choice} {t.alternative.value}" for t in tasks]
    return tuple(through(_computed, tasks, labels))


def _other_versions(spec: str, member: Workspace) -> Iterator[tuple[tuple[str, str, str], str]]:
    """The specs of a member with each other value of its choices."""
    path = Path(spec)
    if path.exists() and not (path.suffix in (".yaml", ".yml") or (path / "model.yaml").is_file()):
        return
    from nuemstat.model.loader import load_model
    from nuemstat.model.variants import describing

    head, _, tail = spec.partition(":")
    model = load_model(head)
    for choice, made in member.choices.items():
        options = describing(model.raw, choice)
        named = [option for option in tail.split(",") if option.strip() and option.strip() not in options.values()]
        for value, option in options.items():
            if value != made:
                yield (choice, value, member.name), f"{head}:{','.join([*named, option])}"


def _alternatives(members: Sequence[Workspace], versions: Versions) -> Iterator[_Alternative]:
    """The fits with each value that all who make a choice can take, then without these, one by one and all together."""
    for choice in dict.fromkeys(choice for member in members for choice in member.choices):
        mixed = tuple(dict.fromkeys(c for m in members for c in m.choices))
        makers = {member.name: member.choices[choice] for member in members if choice in member.choices}
        for value in dict.fromkeys([*makers.values(), *(v for c, v, _ in versions if c == choice)]):
            held = [m if makers.get(m.name, value) == value else versions.get((choice, value, m.name)) for m in members]
            if None not in held:
                together = combine([m for m in held if m is not None], mixed=mixed, overlap=True)
                yield _Alternative(choice, value, together, taken=set(makers.values()) == {value})
        for left_out in dict.fromkeys([*((name,) for name in makers), tuple(makers)]):
            rest = [member for member in members if member.name not in left_out]
            if rest:
                together = combine(rest, mixed=[c for c in mixed if any(c in m.choices for m in rest)], overlap=True)
                value = ", ".join(taken(together.choices).get(choice, ("none",)))
                yield _Alternative(choice, value, together, left_out)


def _computed(task: _Task) -> ChoiceLimit:
    from nuemstat.stats.intervals import limit

    of = task.alternative
    found = limit(of.workspace, task.coupling, cl=task.level, expected=False)
    return ChoiceLimit(of.choice, of.value, of.without, of.taken, found.coupling, found.unit, found.intervals,
                       found.q_min, found.valid, found.warnings)  # fmt: skip
