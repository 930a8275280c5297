"""What a folder of results holds, read back: limits, profiles, workspaces."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat.errors import NuemstatError, suggestion
from nuemstat.main_job import JOINT
from nuemstat.plots import Curve, group_of
from nuemstat.report.joint import Joint, read_joint
from nuemstat.workspace.document import Workspace

SCHEMA = "nuemstat/limit/1"
End = float | None


@dataclass(frozen=True, slots=True)
class LimitEntry:
    """One limit as limits.json holds it; `experiment` is the workspace's name, or joint.

    expected, boundary_aware : as in `Limit`, None where the results do not hold them;
    members : names of the workspaces that were fitted.
    """

    experiment: str
    coupling: str
    unit: str
    cl: float
    method: str
    best_fit: float
    intervals: tuple[tuple[End, End], ...]
    upper_limit: End
    valid: bool
    warnings: tuple[str, ...]
    expected: Mapping[str, Any] | None
    boundary_aware: Mapping[str, Any] | None
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """A folder of results.

    limits : in the order of the file; profiles : coupling -> one curve per experiment;
    members : the workspaces of the experiments; joint : of all of them, None when there is one;
    shares : what was written of the joint fit, None where it was not.
    """

    limits: tuple[LimitEntry, ...]
    profiles: Mapping[str, tuple[Curve, ...]]
    members: tuple[Workspace, ...]
    joint: Workspace | None
    shares: Joint | None = None

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments, the joint fit last."""
        found = dict.fromkeys(entry.experiment for entry in self.limits)
        return tuple(sorted(found, key=lambda name: name == JOINT))

    @property
    def couplings(self) -> tuple[str, ...]:
        """The couplings that have limits."""
        return tuple(dict.fromkeys(entry.coupling for entry in self.limits))

    @property
    def groups(self) -> dict[str, str]:
        """Experiment -> kind of its source, '' where it is not known; the joint fit left out."""
        return {workspace.name: group_of(workspace.couplings) for workspace in self.members}


def read(folder: Path, *, models: Sequence[str] = (), couplings: Sequence[str] = ()) -> Results:
    """The results in a folder that `nuemstat limits` wrote.

    models, couplings : restrict to these, the joint fit always included; everything when empty.

    Raises
    ------
    NuemstatError : no such folder, results of another version, or without what was asked for.
    """
    limits = _limits(folder / "limits.json")
    known = list(dict.fromkeys(entry.experiment for entry in limits))
    _check(models, [name for name in known if name != JOINT], folder, "experiment")
    _check(couplings, list(dict.fromkeys(entry.coupling for entry in limits)), folder, "coupling")
    chosen = tuple(
        entry
        for entry in limits
        if (not models or entry.experiment in (*models, JOINT)) and (not couplings or entry.coupling in couplings)
    )
    if not chosen:
        raise NuemstatError(f"{folder}: found no limit of what was asked for; an experiment that has one is allowed")
    wanted = {entry.experiment for entry in chosen}
    members = tuple(_workspace(folder, name) for name in sorted(wanted - {JOINT}, key=known.index))
    joint = _workspace(folder, JOINT) if JOINT in wanted and len(known) > 2 else None
    found = dict.fromkeys(entry.coupling for entry in chosen)
    groups = {workspace.name: group_of(workspace.couplings) for workspace in members}
    profiles = {name: _profile(folder / "profiles" / f"{name}.csv", wanted, groups) for name in found}
    return Results(chosen, profiles, members, joint, read_joint(folder))


def _check(asked: Sequence[str], known: list[str], folder: Path, what: str) -> None:
    for name in asked:
        if name not in known:
            hint = suggestion(name, known)
            raise NuemstatError(f"{folder}: no {what} {name!r} in these results; they hold {', '.join(known)}{hint}")


def _limits(path: Path) -> list[LimitEntry]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NuemstatError(
            f"{path}: cannot be read ({error.strerror}); a folder written by `nuemstat limits` is allowed"
        ) from None
    except (ValueError, RecursionError):
        raise NuemstatError(f"{path}: not JSON, or cut short; write it anew with `nuemstat limits`") from None
    if not isinstance(content, list) or not content:
        raise NuemstatError(f"{path}: found no list of limits; a file written by `nuemstat limits` is allowed")
    for item in content:
        found = item.get("schema") if isinstance(item, dict) else type(item).__name__
        if found != SCHEMA:
            raise NuemstatError(f"{path}: schema: found {found!r}; this version reads {SCHEMA!r}")
    try:
        return [_entry(item) for item in content]
    except (KeyError, TypeError, ValueError) as error:
        raise NuemstatError(f"{path}: a limit is damaged ({error}); write it anew with `nuemstat limits`") from None


def _entry(item: Mapping[str, Any]) -> LimitEntry:
    members = tuple(item["workspaces"])
    return LimitEntry(
        experiment=members[0] if len(members) == 1 else JOINT,
        coupling=item["coupling"],
        unit=item["unit"],
        cl=float(item["cl"]),
        method=item["method"],
        best_fit=float(item["best_fit"]),
        intervals=tuple((low, high) for low, high in item["intervals"]),
        upper_limit=item["upper_limit"],
        valid=bool(item["valid"]),
        warnings=tuple(item["warnings"]),
        expected=None if item.get("expected") is None else _expected(item["expected"]),
        boundary_aware=item.get("boundary_aware"),
        members=members,
    )


def _expected(known: Mapping[str, Any]) -> Mapping[str, Any]:
    """An expectation, its parts checked as far as they are read here."""
    for name in ("asimov", "median", "band68", "band95"):
        if known.get(name) is not None and not {"lower", "upper"} <= set(known[name]):
            raise ValueError(f"expected: {name}: no lower and upper end")
    return known


def _workspace(folder: Path, name: str) -> Workspace:
    return Workspace.read(folder / "workspaces" / f"{name}.json")


def _profile(path: Path, wanted: set[str], groups: Mapping[str, str]) -> tuple[Curve, ...]:
    """The curves of one coupling; none where the results were written without them."""
    if not path.is_file():
        return ()
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    points: dict[str, list[tuple[float, float]]] = {}
    try:
        for name, value, height in list(csv.reader(lines))[1:]:
            points.setdefault(name, []).append((float(value), float(height)))
    except ValueError as error:
        raise NuemstatError(f"{path}: not a table of a profile ({error}); write it anew") from None
    found = []
    for name, rows in points.items():
        if name in wanted:
            values, heights = np.array(rows).T
            found.append(Curve(name, values, heights, joint=name == JOINT, group=groups.get(name, "")))
    return tuple(found)
