"""Opens what a user names, and gives it to others: workspaces, their couplings and yields, exports."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nuemstat.errors import WorkspaceError, suggestion
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL
from nuemstat.workspace.bins import expanded
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace

FORMATS = ("pyhf", "hs3", "root", "hepdata")


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


def joined(
    specs: Sequence[str], mixed: Sequence[str] = (), *, overlap: bool = False
) -> tuple[Workspace, list[Workspace]]:
    """The workspace of all `specs` together, and its members one by one; mixed, overlap : as `combine` takes them."""
    members = [resolve(spec) for spec in specs]
    return combine(members, mixed=mixed, overlap=overlap), members


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
        from nuemstat.workspace.combine_datacard import write_datacard
        from nuemstat.workspace.to_root import check_new, write_root

        path = folder / f"{workspace.name}.root"
        check_new([path], force=force)
        if couplings:  # first, for it may be refused
            write_datacard(workspace, folder, couplings, force=force)
        write_root(workspace, path, force=force)
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
