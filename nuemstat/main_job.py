"""The main job: limits of the data models, each alone and all together, and what the joint ones are made of."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuemstat.errors import WorkspaceError, suggestion
from nuemstat.folder import whole_folder
from nuemstat.model.world import listed
from nuemstat.study import resolve, sensitive_couplings
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace
from nuemstat.writing import write_whole

if TYPE_CHECKING:
    from nuemstat.choices import ChoiceLimit
    from nuemstat.stats.joint import JointLimit
    from nuemstat.stats.results import Limit

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what was done last."""

JOINT = "joint"


@dataclass(frozen=True, slots=True)
class MainResult:
    """What the main job found.

    limits : ordered by coupling, then experiment, the joint fit last, whose `workspaces` name all members;
    joint : the joint limits taken apart, one for each coupling; empty for one experiment, or when not asked for;
    choices : the joint limits for every value of a choice, such as ``ge_quenching``; empty when not asked for.
    """

    limits: "tuple[Limit, ...]"
    joint: "tuple[JointLimit, ...]"
    choices: "tuple[ChoiceLimit, ...]" = ()


def world_models() -> tuple[str, ...]:
    """The shipped data models of the main job, those of models/world.yaml with default: true."""
    return tuple(name for name, member in listed().items() if member.default)


@dataclass(frozen=True, slots=True)
class _Task:
    """One limit to compute: a coupling in the workspace of an experiment or of the joint fit."""

    workspace: Workspace
    members: tuple[str, ...]
    coupling: str
    level: float
    expected: bool | None
    toys: int | None
    seed: int


def _compute(task: _Task) -> "Limit":
    from nuemstat.stats.intervals import limit

    found = limit(task.workspace, task.coupling, cl=task.level, expected=task.expected, toys=task.toys, seed=task.seed)
    return replace(found, workspaces=task.members)


def run(
    models: Sequence[str] | None = None,
    couplings: Sequence[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    level: float = 0.90,
    apart: bool = True,
    mixed: Sequence[str] = (),
    overlap: bool = False,
    choices: bool = False,
    expected: bool | None = None,
    toys: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> MainResult:
    """Limits on every coupling, for each experiment and for the joint fit, which is then taken apart.

    models : what `study.resolve` takes; the shipped data models when None.
    couplings : restrict to these; everything the experiments are sensitive to when None.
    output : folder for limits.json, joint.json, the workspaces and one profile picture per coupling; written whole
        or not at all.
    apart : with shares of the experiments, their agreement, and the joint limits without each in turn.
    mixed, overlap : choices in which the experiments may differ, and whether they may share events;
    choices : with the joint limits for every value of a choice, on `couplings` or, without these, on those of
        `nuemstat.choices.COUPLINGS`.
    expected, toys, seed : what data without new physics would give, as `limit` takes them: by formulas, by toys if
        True, not at all if False.
    executor : where the work is done; here, one step after the other, when None. The numbers are the same.

    Raises
    ------
    NuemstatError : a model or coupling that does not exist, or an output folder that holds other things.
    """
    with nullcontext() if output is None else whole_folder(Path(output)) as folder:
        steps = _Steps(progress, executor)
        specs = list(models or world_models())
        members = steps.through(resolve, specs, [f"compiled {spec}" for spec in specs], more=1)
        workspaces = members if len(members) == 1 else [*members, _combined(members, mixed, overlap)]
        asked = _couplings(workspaces, couplings)
        together = tuple(m.name for m in members)
        tasks = [
            _Task(workspace, together if workspace.name == JOINT else (workspace.name,), c, level, expected, toys, seed)
            for c in asked
            for workspace in workspaces
            if c in sensitive_couplings(workspace)
        ]
        several = len(members) > 1 and apart
        more = len(asked) * (several + (folder is not None))
        found: list[Limit] = steps.through(_compute, tasks, [f"{t.coupling}, {t.workspace.name}" for t in tasks], more)
        joined = [(tuple(members), item) for item in found if several and len(item.workspaces) > 1]
        more = len(asked) if folder is not None else 0
        joint = steps.through(_take_apart, joined, [f"{item.coupling}, one left out" for _, item in joined], more)
        compared = _compared(specs, members, asked if couplings else None, level, steps) if choices else ()
        result = MainResult(tuple(found), tuple(joint), compared)
        if folder is not None:
            _write_documents(folder, members, workspaces, result)
            _draw_profiles(folder, members, found, asked, steps)
    return result


def _compared(
    specs: Sequence[str], members: Sequence[Workspace], couplings: Sequence[str] | None, level: float, steps: "_Steps"
) -> "tuple[ChoiceLimit, ...]":
    from nuemstat.choices import COUPLINGS as FEW
    from nuemstat.choices import limits_of_choices

    return limits_of_choices(specs, members, couplings or FEW, level=level, through=steps.through)


def _combined(members: Sequence[Workspace], mixed: Sequence[str], overlap: bool) -> Workspace:
    names = [member.name for member in members]
    for name in names:
        if name == JOINT or names.count(name) > 1:
            raise WorkspaceError(
                f"found {', '.join(names)}; models of different names, none of them {JOINT!r}, are allowed"
            )
    return combine(members, name=JOINT, mixed=mixed, overlap=overlap)


def _take_apart(joint: "tuple[tuple[Workspace, ...], Limit]") -> "JointLimit":
    from nuemstat.stats.joint import taken_apart

    return taken_apart(*joint)


def label(found: "Limit") -> str:
    """Whose limit it is: the experiment's workspace, or the joint fit."""
    return found.workspaces[0] if len(found.workspaces) == 1 else JOINT


def _couplings(workspaces: Sequence[Workspace], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The couplings to limit, in the order of `sensitive_couplings` over all workspaces."""
    held = {name for workspace in workspaces for name in sensitive_couplings(workspace)}
    order = (*UNIVERSAL, *sorted(COUPLINGS, key=lambda name: len(set(COUPLINGS[name].flavours))))
    known = [name for name in order if name in held]
    for name in wanted or ():
        if name not in known:
            hint = suggestion(name, known)
            raise WorkspaceError(f"no model holds coupling {name!r}; allowed are {', '.join(known)}{hint}")
    return tuple(name for name in known if wanted is None or name in wanted)


class _Steps:
    """Runs the steps of the job in order, here or in an executor, and tells who wants to know."""

    def __init__(self, progress: Progress | None, executor: Executor | None) -> None:
        self._progress, self._map = progress, map if executor is None else executor.map
        self._done = 0

    def through(
        self, function: Callable[[Any], Any], items: Sequence[Any], labels: Sequence[str], more: int = 0
    ) -> list[Any]:
        """The results in order; `more` is how many steps are known to follow."""
        found, total = [], self._done + len(items) + more
        for result, text in zip(self._map(function, items), labels, strict=True):
            found.append(result)
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, total, text)
        return found


def _write_documents(
    folder: Path, members: Sequence[Workspace], workspaces: Sequence[Workspace], found: MainResult
) -> None:
    from nuemstat.stats.joint import summary

    for workspace in workspaces:
        workspace.write(folder / "workspaces" / f"{workspace.name}.json")
    (folder / "profiles").mkdir()
    write_whole(folder / "limits.json", json.dumps([item.to_dict() for item in found.limits], indent=1) + "\n")
    content = summary([member.name for member in members], found.joint)
    if found.choices:
        content["choices"] = [item.to_dict() for item in found.choices]
    write_whole(folder / "joint.json", json.dumps(content, indent=1) + "\n")


def _draw_profiles(
    folder: Path, members: Sequence[Workspace], found: "Sequence[Limit]", asked: Sequence[str], steps: _Steps
) -> None:
    """One picture for each coupling asked for."""
    held = {member.name: tuple(member.couplings) for member in members}
    pictures = [_Picture(folder, tuple(f for f in found if f.coupling == name), held) for name in asked]
    steps.through(_draw, pictures, [f"drew {name}" for name in asked])


@dataclass(frozen=True, slots=True)
class _Picture:
    """The limits on one coupling, to be drawn in a folder; held : experiment -> its couplings."""

    folder: Path
    found: "tuple[Limit, ...]"
    held: Mapping[str, tuple[str, ...]]


def _draw(picture: _Picture) -> None:
    """The profile of one coupling, as a picture and as the table it shows."""
    from scipy.stats import chi2

    from nuemstat.plots import Band, Curve, group_of, profile_picture

    first = picture.found[0]
    curves = []
    for item in picture.found:
        name, together = label(item), len(item.workspaces) > 1
        group = "" if together else group_of(picture.held[name])
        ends = Band.of(name, item).median
        curves.append(Curve(name, item.profile_values, item.profile_q, joint=together, group=group, expected=ends))
    threshold = float(chi2.ppf(first.cl, 1))
    path = picture.folder / "profiles" / first.coupling
    profile_picture(path.with_suffix(".png"), curves, coupling=first.coupling, threshold=threshold, level=first.cl)
    rows = [f"{c.label},{value:.9g},{q:.6g}" for c in curves for value, q in zip(c.values, c.delta, strict=True)]
    header = [
        f"# title: profile of {first.coupling}, 2 NLL above its minimum; {threshold:.4f} is {100 * first.cl:g} %",
        "# source: nuemstat limits",
        f"experiment,{first.coupling} [{first.unit}],delta_chi2",
    ]
    write_whole(path.with_suffix(".csv"), "\n".join([*header, *rows]) + "\n")
