"""``nuemstat check``: whether files are valid workspaces, and of which kind."""

import json
from pathlib import Path
from typing import Any

import click

from nuemstat.cli.options import as_json as json_option


@click.command("check", short_help="Whether a file is a valid workspace.")
@click.argument("files", nargs=-1, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--schema", is_flag=True, help="Print the JSON schema of native workspaces instead.")
@json_option
def check_command(files: tuple[Path, ...], schema: bool, as_json: bool) -> None:
    """Validate workspaces and say of which kind they are: native, pyhf (JSON or XML), HS3, root or hepdata.

    The content decides, not the name. Check points are verified where they are: beside a native file, and for all
    forms in the folder of a HEPData submission. The first file that is not valid is one line, and exit code 2.
    """
    if schema == bool(files):
        raise click.UsageError("FILE... or --schema is needed, one of the two")
    if schema:
        from nuemstat.workspace.schema import json_schema

        click.echo(json.dumps(json_schema(), indent=1))
        return
    found = [_checked(path) for path in files]
    if as_json:
        click.echo(json.dumps({"schema": "nuemstat/check/1", "files": found}, indent=1))
        return
    for entry in found:
        counts = ", ".join(f"{entry[key]} {key}" for key in ("channels", "bins", "couplings", "nuisances", "free"))
        click.echo(f"{entry['file']}: valid {entry['kind']} workspace ({entry['version']}), {entry['name']}: {counts}")
        for note in entry["notes"]:
            click.echo(f"  {note}")


def _checked(path: Path) -> dict[str, Any]:
    from nuemstat.stats.likelihood import Likelihood
    from nuemstat.workspace.opening import Opened, open_workspace

    if path.is_dir():
        opened, points = Opened("hepdata", "HEPData submission", _bundle(path)), True
    else:
        opened = open_workspace(path)
        points = opened.kind == "native" and _verified(path, opened.workspace)
    workspace = opened.workspace
    Likelihood(workspace)  # what no schema says: covariances, bins that nothing fills, factors that do not fit
    kinds = [parameter.kind for parameter in workspace.parameters]
    notes = [note for entry in workspace.provenance for note in entry.notes] if opened.kind == "pyhf" else []
    return {
        "file": str(path),
        "kind": opened.kind,
        "version": opened.version,
        "name": workspace.name,
        "digest": workspace.digest,
        "channels": len(workspace.channels),
        "bins": sum(channel.size for channel in workspace.channels),
        "couplings": kinds.count("coupling"),
        "nuisances": kinds.count("constrained"),
        "free": kinds.count("free"),
        "notes": [*notes, *(["the check points hold"] if points else [])],
    }


def _bundle(path: Path) -> Any:
    """The workspace of a submission folder, whose check points are verified on reading."""
    from nuemstat.errors import WorkspaceError
    from nuemstat.workspace.hepdata import is_bundle, read_bundle

    if not is_bundle(path):
        raise WorkspaceError(
            f"{path}: found a folder without submission.yaml and checksums.txt; a file or a HEPData submission of ours "
            "is allowed"
        )
    return read_bundle(path)


def _verified(path: Path, workspace: Any) -> bool:
    """Whether there are check points beside a native file; they are verified."""
    from nuemstat.workspace.checkpoints import CheckPoints, verify

    beside = path.with_name(f"{path.stem}.checkpoints.json")
    if not beside.is_file():
        return False
    verify(workspace, CheckPoints.read(beside), where=str(beside))
    return True
