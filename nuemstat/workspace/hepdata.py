"""A likelihood as a HEPData submission: the workspace in three forms, tables, checksums and check points.

The folder is flat, as HEPData asks: `submission.yaml`, one table per channel and one of check points, and as
additional resources the native, pyhf and HS3 documents, the check points, a README and checksums.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.checkpoints import CheckPoints, check_points, verify, verify_histfactory
from nuemstat.workspace.document import Channel, Workspace
from nuemstat.workspace.from_hs3 import read_hs3
from nuemstat.workspace.reading import parse_json, read_bytes
from nuemstat.workspace.to_hs3 import write_hs3
from nuemstat.workspace.to_pyhf import write_pyhf
from nuemstat.writing import write_whole

CHECKSUMS = "checksums.txt"
_CONTENT = {
    "{name}.json": "The likelihood in the native form of nuemstat, with everything it knows (JSON).",
    "{name}.pyhf.json": "The likelihood for pyhf (HistFactory JSON); powers of couplings are tied by hand.",
    "{name}.pyhf.notes.md": "What the pyhf form cannot say, its ties and units.",
    "{name}.hs3.json": "The likelihood in the HEP Statistics Serialization Standard, for pyhs3 and RooFit.",
    "{name}.hs3.notes.md": "What the HS3 form cannot say, and its units.",
    "{name}.checkpoints.json": "Parameter values with 2 NLL, to check that a form was read right.",
    "README.md": "What the files are and how to use them.",
    CHECKSUMS: "sha256 of all other files.",
}


def write_bundle(workspace: Workspace, folder: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a submission folder, whole or not at all; returns its path.

    Raises
    ------
    WorkspaceError : a form that cannot hold the workspace, no check points, or a folder that cannot be written, or is
        there already and not empty: only one of ours is replaced, and only with `force`.
    """
    target, name = Path(folder), workspace.name
    with _whole_folder(target, force=force) as new:
        for path, kind in zip(write_pyhf(workspace, new, force=True), ("json", "notes.md"), strict=True):
            path.rename(new / f"{name}.pyhf.{kind}")
        workspace.write(new / f"{name}.json")
        write_hs3(workspace, new, floating=workspace.couplings)
        points = check_points(workspace)
        points.write(new / f"{name}.checkpoints.json")
        _write_tables(workspace, points, new)
        write_whole(new / "README.md", _readme(workspace))
        files = sorted(path for path in new.iterdir())
        write_whole(new / CHECKSUMS, "".join(f"{_sha256(path)}  {path.name}\n" for path in files))
    return target


def read_bundle(folder: str | os.PathLike[str]) -> Workspace:
    """The workspace of a submission folder, once its checksums and the check points of all forms are found right.

    Raises
    ------
    WorkspaceError : a file is missing, was changed, or does not give the 2 NLL of its check points.
    """
    where = Path(folder)
    names = _checked_files(where)
    natives = [n.removesuffix(".checkpoints.json") for n in names if n.endswith(".checkpoints.json")]
    if len(natives) != 1:
        raise WorkspaceError(f"{where}: found {len(natives)} files of check points; one is expected")
    (name,) = natives
    workspace = Workspace.read(where / f"{name}.json")
    points = CheckPoints.read(where / f"{name}.checkpoints.json")
    verify(workspace, points, where=str(where / f"{name}.checkpoints.json"))
    if read_hs3(where / f"{name}.hs3.json").digest != workspace.digest:
        raise WorkspaceError(f"{where / f'{name}.hs3.json'}: it is not the workspace of {name}.json")
    pyhf_file = where / f"{name}.pyhf.json"
    verify_histfactory(workspace, points, parse_json(read_bytes(pyhf_file), str(pyhf_file)), where=str(pyhf_file))
    return workspace


@contextmanager
def _whole_folder(target: Path, *, force: bool) -> Iterator[Path]:
    """A folder that takes the name `target` once the block has ended well."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        if not is_bundle(target):
            raise WorkspaceError(f"{target}: found other things; a folder that is new, empty or a bundle is allowed")
        if not force:
            raise WorkspaceError(f"{target}: is there already; it is kept unless --force is given")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise WorkspaceError(f"{target}: cannot be written ({error.strerror})") from None
    try:
        (work / "new").mkdir()
        yield work / "new"
        if target.exists():
            target.rename(work / "old")
        (work / "new").rename(target)
    except OSError as error:
        raise WorkspaceError(f"{target}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def is_bundle(folder: str | os.PathLike[str]) -> bool:
    """Whether this is a submission folder of ours."""
    return (Path(folder) / "submission.yaml").is_file() and (Path(folder) / CHECKSUMS).is_file()


def _checked_files(folder: Path) -> list[str]:
    """Names of the files whose checksums hold."""
    names = []
    for line in read_bytes(folder / CHECKSUMS).decode(errors="replace").splitlines():
        checksum, _, name = line.partition("  ")
        path = folder / name
        if not name or path.name != name:
            raise WorkspaceError(f"{folder / CHECKSUMS}: found {line!r}; a sha256, two blanks and a name are allowed")
        if not path.is_file():
            raise WorkspaceError(f"{path}: is missing; {CHECKSUMS} names it")
        if _sha256(path) != checksum:
            raise WorkspaceError(f"{path}: was changed since {CHECKSUMS} was written")
        names.append(name)
    return names


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _write_tables(workspace: Workspace, points: CheckPoints, folder: Path) -> None:
    """The tables, and submission.yaml that lists them."""
    tables = dict(_tables(workspace, points))
    head = {
        "comment": f"Binned likelihood of {workspace.name} ({workspace.digest}); see README.md.",
        "additional_resources": [_resource(file.format(name=workspace.name), text) for file, text in _CONTENT.items()],
    }
    documents: list[dict[str, Any]] = [head]
    for number, (title, (description, table)) in enumerate(tables.items(), start=1):
        file = f"table_{number}.yaml"
        write_whole(folder / file, yaml.safe_dump(table, sort_keys=False))
        keywords = [{"name": "phrases", "values": ["likelihood", "neutrino electromagnetic properties"]}]
        documents.append({"name": title, "description": description, "keywords": keywords, "data_file": file})
    write_whole(folder / "submission.yaml", yaml.safe_dump_all(documents, sort_keys=False))


def _resource(file: str, text: str) -> dict[str, str]:
    return {"location": file, "description": text} | ({"type": "HistFactory"} if file.endswith(".pyhf.json") else {})


def _tables(workspace: Workspace, points: CheckPoints) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    likelihood = Likelihood(workspace)
    expected = likelihood.counts(likelihood.vector(points.reference))
    first = 0
    for number, channel in enumerate(workspace.channels, start=1):
        counts = expected[first : first + channel.size]
        text = f"{channel.experiment}, channel {channel.name}: observed, and expected at the reference point."
        yield f"Channel {number}", (text, channel_table(channel, counts))
        first += channel.size
    text = "2 NLL above the reference point at the check points, whose values are in the file of check points."
    yield "Check points", (text, _points_table(points))


def channel_table(channel: Channel, expected: FloatArray) -> dict[str, Any]:
    """What was observed with its errors, and expected, bin by bin; expected : shape (n_bins,)."""
    places = np.unravel_index(np.arange(channel.size), channel.shape)
    independent = [
        {
            "header": {"name": axis.name, "units": axis.unit},
            "values": [{"low": axis.edges[i], "high": axis.edges[i + 1]} for i in place.tolist()],
        }
        for axis, place in zip(channel.axes, places, strict=True)
    ]
    variances = None if channel.covariance is None else np.diag(np.array(channel.covariance))
    errors = channel.errors if variances is None else tuple(np.sqrt(variances).tolist())
    observed: list[dict[str, Any]] = [{"value": value} for value in channel.observed]
    for cell, error, below in zip(observed, errors or (), channel.errors_below or errors or (), strict=False):
        cell["errors"] = [{"symerror": error} if error == below else {"asymerror": {"plus": error, "minus": -below}}]
    return {
        "independent_variables": independent,
        "dependent_variables": [
            {"header": {"name": "observed"}, "values": observed},
            {"header": {"name": "expected"}, "values": [{"value": float(f"{v:.6g}")} for v in expected]},
        ],
    }


def _points_table(points: CheckPoints) -> dict[str, Any]:
    columns: Mapping[str, list[float]] = {
        "2 NLL, native form": [point.native for point in points.points],
        "2 NLL, pyhf form": [point.histfactory for point in points.points],
        "2 NLL, HS3 form": [point.hs3 for point in points.points],
    }
    numbers = [{"value": number} for number in range(len(points.points))]
    return {
        "independent_variables": [{"header": {"name": "check point"}, "values": numbers}],
        "dependent_variables": [
            {"header": {"name": name}, "values": [{"value": value} for value in values]}
            for name, values in columns.items()
        ],
    }


def _readme(workspace: Workspace) -> str:
    name = workspace.name
    files = [f"| `{file.format(name=name)}` | {text} |" for file, text in _CONTENT.items()]
    units = [f"| `{p.name}` | {p.scale:g} {p.unit} |" for p in workspace.parameters if p.kind in ("coupling", "free")]
    lines = [
        f"# {name}",
        "",
        f"A binned likelihood, {workspace.digest}.",
        "",
        "| file | content |",
        "|---|---|",
        *files,
        "",
        "Parameters are numbers of order one; 1 is",
        "",
        "| parameter | 1 is |",
        "|---|---|",
        *units,
        "",
        "```",
        "pip install nuemstat",
        "nuemstat fit .       # checksums and check points are verified first",
        "```",
        "",
        "Each check point is a set of parameter values (what is not named stands at its default, nuisances at 0) with",
        "2 NLL above the point called `reference`: `native` for the native form, `histfactory` for the pyhf form,",
        "`hs3` for the HS3 form.",
        "",
    ]
    return "\n".join(lines)
