"""Files of other hands: JSON read with suspicion, and which kind of workspace it is."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from nuemstat.errors import WorkspaceError
from nuemstat.strict import tupled

LARGEST = 100_000_000
"""Bytes of the largest document that is read."""

Kind = Literal["native", "pyhf", "hs3", "root", "hepdata"]


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a document.

    Raises
    ------
    WorkspaceError : it cannot be read, or is larger than `LARGEST`.
    """
    check_size(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be read ({error.strerror})") from None


def check_size(path: str | os.PathLike[str]) -> None:
    """A WorkspaceError if a file is not there, or larger than `LARGEST`."""
    try:
        size = Path(path).stat().st_size
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be read ({error.strerror})") from None
    if size > LARGEST:
        raise WorkspaceError(f"{path}: found {size} bytes; documents of up to {LARGEST} bytes are read")


def parse_json(raw: bytes, where: str = "workspace") -> Any:
    """The content of a JSON document, with tuples for lists; `where` names it in messages.

    Numbers that are not finite are left to the vocabularies, which can say where they stand.

    Raises
    ------
    WorkspaceError : not JSON or cut short, a key that stands twice, or brackets nested deeper than any workspace.
    """
    try:
        return tupled(json.loads(raw, object_pairs_hook=_unique_keys))
    except RecursionError:
        raise WorkspaceError(f"{where}: brackets are nested deeper than any workspace's") from None
    except WorkspaceError as error:
        raise WorkspaceError(f"{where}: {error}") from None
    except ValueError as error:
        raise WorkspaceError(f"{where}: not JSON, or cut short ({error})") from None


def kind_of(content: Any, where: str = "workspace") -> Kind:
    """Which kind of workspace a JSON content claims to be; whether it keeps the promise is not looked at.

    Raises
    ------
    WorkspaceError : none that is known.
    """
    keys = set(content) if isinstance(content, dict) else set()
    if "schema" in keys:
        return "native"
    if {"distributions", "metadata"} <= keys:
        return "hs3"
    if {"channels", "measurements"} <= keys or {"channels", "observations"} <= keys:
        return "pyhf"
    if "patches" in keys:
        raise WorkspaceError(f"{where}: found a pyhf patch set; apply a patch with pyhf first, then give the workspace")
    found = (
        f"keys {', '.join(sorted(map(str, keys))[:8])}"
        if keys
        else "a list"
        if isinstance(content, tuple | list)
        else f"a {type(content).__name__}"
    )
    raise WorkspaceError(
        f"{where}: found {found}; a native workspace (schema), one of pyhf (channels, observations, measurements) or "
        "of HS3 (distributions, metadata) is allowed"
    )


def _unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise WorkspaceError(f"key {key!r} stands twice in one object; once is allowed")
        found[key] = value
    return found
