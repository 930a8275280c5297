"""Writes the shipped workspaces, and tells whether those that are there are what the models give.

``python -m nuemstat.release`` writes ``workspaces/<name>.json`` and ``<name>.checkpoints.json`` for every shipped
model; with ``--forms`` the pyhf and HS3 files of a release besides. It writes nothing and exits with 1 with ``--check``
if a file differs from its model, and with ``--judge pyhs3`` or ``--judge roofit`` if that program does not give the
check points of an HS3 form.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nuemstat import resources
from nuemstat.errors import NuemstatError, WorkspaceError
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.workspace.checkpoints import CheckPoints, check_points, verify
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.judges import TOLERANCES, judge
from nuemstat.workspace.to_hs3 import write_hs3
from nuemstat.workspace.to_pyhf import write_pyhf

TOLERANCE = 1e-7
"""By how much numbers may differ between machines, times the largest of their list."""
BUDGET = 20_000_000
"""Bytes of all shipped workspaces with their check points."""


def shipped_folder() -> Path:
    """The folder of the shipped workspaces, beside that of the models."""
    return resources.models_folder().parent / "workspaces"


def write_shipped(folder: Path, names: Iterable[str], *, forms: bool = False) -> None:
    """Compile models and write their workspaces and check points into a folder.

    forms : the pyhf and HS3 files too, in folders of their own.

    Raises
    ------
    NuemstatError : a model does not compile, a form cannot hold it, or a file cannot be written.
    """
    for name in names:
        workspace = compile_model(load_model(name))
        workspace.write(folder / f"{name}.json")
        check_points(workspace).write(folder / f"{name}.checkpoints.json")
        if forms:
            write_pyhf(workspace, folder / "pyhf", force=True)
            write_hs3(workspace, folder / "hs3", floating=workspace.couplings, force=True)


def difference(folder: Path, name: str, workspace: Workspace | None = None) -> str:
    """What differs between a shipped workspace and its model, in one line; '' if they are the same.

    workspace : what the model gives, compiled here when None.

    Raises
    ------
    WorkspaceError : the file or its check points are missing or damaged, or the check points do not hold.
    """
    path = folder / f"{name}.json"
    shipped = Workspace.read(path)
    verify(shipped, CheckPoints.read(folder / f"{name}.checkpoints.json"), where=f"{name}.checkpoints.json")
    made = workspace or compile_model(load_model(name))
    place = _difference(_content(shipped), _content(made), name)
    return f"{path}: {place}; write it anew with python -m nuemstat.release {name}" if place else ""


def _content(workspace: Workspace) -> dict[str, Any]:
    """All but what names the version that wrote it or says numbers in words."""
    content = workspace.model_dump(mode="json", by_alias=True)
    for entry in content["provenance"]:
        del entry["version"], entry["notes"]
    return content


def _difference(found: Any, wanted: Any, where: str) -> str:
    """Where two documents differ beyond the tolerance, or ''."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        if found.keys() != wanted.keys():
            return f"{where} has the keys {', '.join(found)}; the model gives {', '.join(wanted)}"
        return next(filter(None, (_difference(found[k], wanted[k], f"{where}.{k}") for k in found)), "")
    if isinstance(found, list) and isinstance(wanted, list):
        if len(found) != len(wanted):
            return f"{where} has {len(found)} entries; the model gives {len(wanted)}"
        if all(_is_number(value) for value in (*found, *wanted)):
            return _numbers_differ(found, wanted, where)
        pairs = enumerate(zip(found, wanted, strict=True))
        return next(filter(None, (_difference(f, w, f"{where}.{i}") for i, (f, w) in pairs)), "")
    if _is_number(found) and _is_number(wanted):
        return _numbers_differ([found], [wanted], where)
    return "" if found == wanted else f"{where} is {found!r}; the model gives {wanted!r}"


def _numbers_differ(found: Sequence[float], wanted: Sequence[float], where: str) -> str:
    largest = max((abs(value) for value in wanted), default=0.0)
    for number, (a, b) in enumerate(zip(found, wanted, strict=True)):
        if not math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE * largest):
            return f"{where}.{number} is {a:.9g}; the model gives {b:.9g}"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m nuemstat.release", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MODEL", help="shipped models; all of them by default")
    parser.add_argument("-o", "--output", type=Path, help="folder; workspaces/ beside the models by default")
    parser.add_argument("--forms", action="store_true", help="write the pyhf and HS3 files too")
    parser.add_argument("--check", action="store_true", help="write nothing; compare with what the models give")
    parser.add_argument("--judge", choices=TOLERANCES, help="write nothing; ask this program for the check points")
    options = parser.parse_args(arguments)
    try:
        folder = options.output or shipped_folder()
        names = options.names or shipped_models()
        if options.judge:
            return max([_judged(folder, name, options.judge) for name in names])
        if not options.check:
            write_shipped(folder, names, forms=options.forms)
            return 0
        problems = [problem for name in names if (problem := _problem(folder, name))]
        sys.stderr.writelines(f"{problem}\n" for problem in problems)
        return 1 if problems else 0
    except NuemstatError as error:
        sys.stderr.write(f"nuemstat: error: {error}\n")
        return 2


def _problem(folder: Path, name: str) -> str:
    try:
        return difference(folder, name)
    except WorkspaceError as error:
        return str(error)


def _judged(folder: Path, name: str, by: str) -> int:
    """1 if another program does not give the check points of a shipped workspace, else 0."""
    start = time.process_time()
    points = CheckPoints.read(folder / f"{name}.checkpoints.json")
    verdict = judge(Workspace.read(folder / f"{name}.json"), points, by)
    word = "holds" if verdict.holds else "DIFFERS"
    sys.stdout.write(
        f"{name}: {by} {word}: {len(points.points)} differences of 2 NLL up to {verdict.largest:.4g} to "
        f"{verdict.deviation:.1e} ({verdict.allowed:.1e} is allowed), {time.process_time() - start:.0f} s\n"
    )
    sys.stdout.flush()
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
