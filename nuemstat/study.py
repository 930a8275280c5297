"""Opens what a user names, and the main job: limits of the shipped experiments and of their joint fit."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuemstat.errors import ModelError, WorkspaceError, suggestion
from nuemstat.folder import whole_folder
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL
from nuemstat.workspace.bins import expanded
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace
from nuemstat.writing import write_whole

if TYPE_CHECKING:
    from nuemstat.stats.results import Limit

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what was done last."""

FORMATS = ("pyhf", "hs3", "root", "hepdata")
JOINT = "joint"


def resolve(
    spec: str, couplings: Sequence[str] | None = None, *, progress: Callable[[str], None] | None = None
) -> Workspace:
    """The workspace that `spec` names.

    spec : a workspace file (native, pyhf or HS3) or a HEPData bundle if there is one of that name, which is then
        verified, else a shipped model with variants
        (``lz_sr1:epa,paper``) or the path of a model.yaml; models are compiled.
    couplings : those that a model keeps; all when None. progress : told in words what is being computed.

    Raises
    ------
    WorkspaceError, ModelError : no such file or model, or one that does not fit.
    """
    path = Path(spec)
    if path.is_file() and path.suffix not in (".yaml", ".yml"):
        from nuemstat.workspace.opening import open_workspace

        return open_workspace(path).workspace
    if (path / "submission.yaml").is_file():
        from nuemstat.workspace.hepdata import read_bundle

        return read_bundle(path)
    if path.suffix == ".json":
        raise WorkspaceError(f"{spec}: no such file; a workspace file or a shipped model is allowed")
    from nuemstat.model.compiler import compile_model
    from nuemstat.model.loader import load_model

    return compile_model(load_model(spec), couplings=couplings, progress=progress)


def joined(specs: Sequence[str]) -> tuple[Workspace, list[Workspace]]:
    """The workspace of all `specs` together, and its members one by one."""
    members = [resolve(spec) for spec in specs]
    return (members[0] if len(members) == 1 else combine(members)), members


def sensitive_couplings(workspace: Workspace) -> tuple[str, ...]:
    """Couplings a workspace can limit: universal, diagonal, then transition ones."""
    held = set(workspace.couplings)
    folded = {item.name for item in workspace.folded}
    universal = [name for name, f in UNIVERSAL.items() if held & set(f) and not folded & set(f)]
    diagonal = [c.name for c in COUPLINGS.values() if c.name in held and c.flavours[0] == c.flavours[1]]
    transition = [c.name for c in COUPLINGS.values() if c.name in held and c.flavours[0] != c.flavours[1]]
    return (*universal, *diagonal, *transition)


def nominal_yields(workspace: Workspace, at: Mapping[str, float] | None = None) -> dict[str, dict[str, float]]:
    """Expected counts by channel and process, nuisances at their centres.

    at : values of couplings, universal ones included, in mu_B, e, cm^2 or 1; the rest stay at their defaults.
    """
    for name in at or {}:
        workspace = workspace.substitute(name) if name in UNIVERSAL else workspace
    workspace = expanded(workspace)
    values: dict[str, float] = {}
    for parameter in workspace.parameters:
        if parameter.kind in ("coupling", "free"):
            values[parameter.name] = parameter.default
    for name, value in (at or {}).items():
        parameter = workspace.parameter(name)
        if parameter.kind not in ("coupling", "free"):
            raise WorkspaceError(f"{workspace.name}: {name} is {parameter.kind}; couplings and free ones can be set")
        values[name] = value / parameter.scale
    for parameter in workspace.parameters:
        if parameter.kind == "derived":
            terms = (coefficient * values.get(name, 0.0) for name, coefficient in parameter.terms.items())
            values[parameter.name] = parameter.offset + sum(terms)
    yields: dict[str, dict[str, float]] = {}
    for channel in workspace.channels:
        counts = yields.setdefault(channel.name, {})
        for sample in channel.samples:
            factor = 1.0
            for name, power in sample.monomial.items():
                factor *= values.get(name, 0.0) ** power
            for modifier in sample.modifiers:
                factor *= values.get(modifier.parameter, 1.0) if modifier.type == "normfactor" else 1.0
            counts[sample.process] = counts.get(sample.process, 0.0) + factor * sum(sample.contents)
    return yields


def export(
    workspace: Workspace,
    format: str,
    path: str | os.PathLike[str],
    *,
    couplings: Sequence[str] = (),
    dialect: str = "implicit",
    force: bool = False,
) -> None:
    """Write the workspace for another program, into the folder `path`.

    format : pyhf, hs3, root or hepdata;
    couplings : pyhf writes one file in each of them (the embedded form) instead of the tied one, hs3 floats them,
        root adds a datacard of Combine in one or two of them;
    dialect : of HS3, see `nuemstat.workspace.to_hs3`; force : replace files that are there already.

    Raises
    ------
    WorkspaceError : a format that is not written, a workspace that it cannot hold, or a file that is there already.
    """
    check_format(format)
    folder = Path(path)
    if format == "hepdata":
        from nuemstat.workspace.hepdata import write_bundle

        write_bundle(workspace, folder, force=force)
    elif format == "hs3":
        from nuemstat.workspace.to_hs3 import write_hs3

        write_hs3(workspace, folder, dialect=dialect, floating=couplings or None, force=force)
    elif format == "root":
        from nuemstat.workspace.to_root import write_root

        write_root(workspace, folder / f"{workspace.name}.root", force=force)
        if couplings:
            from nuemstat.workspace.combine_datacard import write_datacard

            write_datacard(workspace, folder, couplings, force=force)
    else:
        _export_pyhf(workspace, folder, couplings, force)


def _export_pyhf(workspace: Workspace, folder: Path, couplings: Sequence[str], force: bool) -> None:
    from nuemstat.workspace.pyhf_embedded import write_embedded
    from nuemstat.workspace.to_pyhf import write_pyhf

    for coupling in couplings:
        write_embedded(workspace, coupling, folder, force=force)
    if not couplings:
        write_pyhf(workspace, folder, force=force)


def check_format(format: str) -> None:
    """A WorkspaceError unless `export` writes this format."""
    if format not in FORMATS:
        hint = suggestion(format, list(FORMATS))
        raise WorkspaceError(f"format: found {format!r}; allowed are {', '.join(FORMATS)}{hint}")


def world_models() -> tuple[str, ...]:
    """The shipped data models of the main job, as models/world.yaml lists them."""
    from nuemstat import resources
    from nuemstat.model.loader import read_yaml

    path = resources.models_folder() / "world.yaml"
    content, _ = read_yaml(path)
    names = content.get("models") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ModelError(f"{path}: models: found {names!r}; a list of model names is allowed")
    return tuple(names)


@dataclass(frozen=True, slots=True)
class _Task:
    """One limit to compute: a coupling in the workspace of an experiment or of the joint fit."""

    workspace: Workspace
    members: tuple[str, ...]
    coupling: str
    level: float


def _compute(task: _Task) -> "Limit":
    from nuemstat.stats.intervals import limit

    found = limit(task.workspace, task.coupling, cl=task.level)
    return replace(found, workspaces=task.members)


def run(
    models: Sequence[str] | None = None,
    couplings: Sequence[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    level: float = 0.90,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> "list[Limit]":
    """The main job: limits on every coupling, for each experiment and for the joint fit.

    models : what `resolve` takes; the shipped data models when None.
    couplings : restrict to these; everything the experiments are sensitive to when None.
    output : folder for limits.json, the workspaces and one profile picture per coupling; written whole or not at all.
    executor : where the work is done; here, one step after the other, when None. The numbers are the same.

    Returns the limits ordered by coupling, then experiment, the joint fit last; `workspaces` of the joint
    ones names all members.

    Raises
    ------
    NuemstatError : a model or coupling that does not exist, or an output folder that holds other things.
    """
    with nullcontext() if output is None else whole_folder(Path(output)) as folder:
        steps = _Steps(progress, executor)
        specs = list(models or world_models())
        members = steps.through(resolve, specs, [f"compiled {spec}" for spec in specs], more=1)
        workspaces = members if len(members) == 1 else [*members, combine(members, name=JOINT)]
        asked = _couplings(workspaces, couplings)
        tasks = [
            _Task(workspace, tuple(m.name for m in members) if workspace.name == JOINT else (workspace.name,), c, level)
            for c in asked
            for workspace in workspaces
            if c in sensitive_couplings(workspace)
        ]
        more = len(asked) if folder else 0
        found: list[Limit] = steps.through(_compute, tasks, [f"{t.coupling}, {t.workspace.name}" for t in tasks], more)
        if folder is not None:
            _write_documents(folder, workspaces, found)
            pictures = [(folder, tuple(f for f in found if f.coupling == name)) for name in asked]
            steps.through(_draw, pictures, [f"drew {name}" for name in asked])
    return found


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


def _write_documents(folder: Path, workspaces: Sequence[Workspace], found: "Sequence[Limit]") -> None:
    for workspace in workspaces:
        workspace.write(folder / "workspaces" / f"{workspace.name}.json")
    (folder / "profiles").mkdir()
    write_whole(folder / "limits.json", json.dumps([item.to_dict() for item in found], indent=1) + "\n")


def _draw(picture: "tuple[Path, tuple[Limit, ...]]") -> None:
    """The profile of one coupling, as a picture and as the table it shows."""
    from scipy.stats import chi2

    from nuemstat.plots import Curve, profile_picture

    folder, found = picture
    first = found[0]
    curves = [Curve(label(item), item.profile_values, item.profile_q, joint=len(item.workspaces) > 1) for item in found]
    threshold = float(chi2.ppf(first.cl, 1))
    path = folder / "profiles" / first.coupling
    profile_picture(path.with_suffix(".png"), curves, coupling=first.coupling, threshold=threshold, level=first.cl)
    rows = [f"{c.label},{value:.9g},{q:.6g}" for c in curves for value, q in zip(c.values, c.delta, strict=True)]
    header = [
        f"# title: profile of {first.coupling}, 2 NLL above its minimum; {threshold:.4f} is {100 * first.cl:g} %",
        "# source: nuemstat limits",
        f"experiment,{first.coupling} [{first.unit}],delta_chi2",
    ]
    write_whole(path.with_suffix(".csv"), "\n".join([*header, *rows]) + "\n")
