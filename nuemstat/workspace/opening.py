"""Opens a workspace of whatever kind a file holds: native, pyhf (JSON, or XML and ROOT), HS3, or our ROOT files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuemstat.workspace.document import Workspace
from nuemstat.workspace.from_hs3 import from_hs3
from nuemstat.workspace.from_pyhf import from_pyhf, named, read_pyhf
from nuemstat.workspace.from_root import read_root
from nuemstat.workspace.reading import Kind, kind_of, parse_json, read_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A workspace, and the kind and version of the document from which it was read."""

    kind: Kind
    version: str
    workspace: Workspace


def open_workspace(path: str | os.PathLike[str]) -> Opened:
    """Read and check a workspace document; the content, not the name of the file, says of which kind it is.

    HistFactory's top-level XML (``.xml``) goes through pyhf's own converter.

    Raises
    ------
    WorkspaceError : unreadable, of no known kind, or not what its kind asks for.
    """
    where = str(path)
    if Path(path).suffix == ".xml":
        return Opened("pyhf", "XML and ROOT", read_pyhf(path))
    raw = read_bytes(path)
    if raw.startswith(b"root"):  # the first four bytes of every ROOT file
        workspace = read_root(path)
        return Opened("root", f"histograms of {workspace.schema_}", workspace)
    content = parse_json(raw, where)
    kind = kind_of(content, where)
    if kind == "pyhf":
        workspace = from_pyhf(content, name=named(Path(path).stem), where=where)
    else:
        workspace = from_hs3(content, where) if kind == "hs3" else Workspace.from_content(content, where)
    return Opened(kind, _version(kind, content), workspace)


def _version(kind: Kind, content: Any) -> str:
    if kind == "native":
        return str(content["schema"])
    return f"HS3 {content['metadata']['hs3_version']}" if kind == "hs3" else f"HistFactory JSON {content['version']}"
