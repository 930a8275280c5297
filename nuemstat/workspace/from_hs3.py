"""Reads HS3 files that this package wrote, and makes sure that they still say what they said.

The workspace is put together from the HS3 parts and from `misc.nuemstat`, written again, and compared: a file
whose distributions, functions or data were changed by hand is refused, not half believed.
"""

import math
import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from nuemstat.errors import WorkspaceError
from nuemstat.strict import one_line, tupled
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.hs3_memo import SCHEMA, told_by
from nuemstat.workspace.reading import parse_json, read_bytes
from nuemstat.workspace.to_hs3 import HS3_VERSION, to_hs3

_TOLERANCE = 1e-12  # relative: numbers may have been printed and read again
_COMPARED = ("distributions", "functions", "data", "likelihoods")


def read_hs3(path: str | os.PathLike[str]) -> Workspace:
    """The workspace in an HS3 file of ours.

    Raises
    ------
    WorkspaceError : unreadable, not HS3, not written by this package, or changed since it was written.
    """
    return from_hs3(parse_json(read_bytes(path), where=str(path)), where=str(path))


def from_hs3(document: Any, where: str = "HS3 document") -> Workspace:
    """The workspace in a parsed HS3 document of ours; `where` names it in messages.

    Raises
    ------
    WorkspaceError : as `read_hs3`.
    """
    kept = _memo(document, where)
    try:
        workspace = Workspace.model_validate(tupled(_native(document, kept)))
        options = {key: kept[key] for key in ("dialect", "floating", "native", "pedestal")}
        again, observed = to_hs3(workspace, **options), _observed(document)
    except ValidationError as error:
        raise WorkspaceError(f"{where}: {one_line(error)}") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        reason = str(error) if isinstance(error, WorkspaceError) else f"{type(error).__name__}: {error}"
        raise WorkspaceError(f"{where}: damaged since it was written ({reason})") from None
    places = [_difference(document.get(part), again.document[part], part) for part in _COMPARED]
    for place in [*places, _difference(observed, _observed(again.document), "parameter_points")]:
        if place:
            raise WorkspaceError(f"{where}: {place} was changed since the file was written; export it anew")
    if workspace.digest != kept.get("digest"):
        raise WorkspaceError(f"{where}: digest: found {kept.get('digest')}; the content gives {workspace.digest}")
    return workspace


def _observed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The data of Gaussian channels, which are constants."""
    points = [p for group in document.get("parameter_points", ()) for p in group["parameters"]]
    return {point["name"]: point["value"] for point in points if point["name"].endswith(("__observed", "__sigma"))}


def _memo(document: Any, where: str) -> dict[str, Any]:
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        raise WorkspaceError(f"{where}: found no HS3 document; metadata with an hs3_version is required")
    if "hs3_version" not in document["metadata"]:
        raise WorkspaceError(f"{where}: metadata.hs3_version: this key is required and is not there")
    version = document["metadata"]["hs3_version"]
    if version != HS3_VERSION:
        raise WorkspaceError(
            f"{where}: metadata.hs3_version: found {version!r:.40}; this version reads {HS3_VERSION!r}"
        )
    misc = document.get("misc")
    kept = misc.get("nuemstat") if isinstance(misc, dict) else None
    if not isinstance(kept, dict):
        raise WorkspaceError(f"{where}: misc.nuemstat is not there; only HS3 files that nuemstat wrote can be read")
    if kept.get("schema") != SCHEMA:
        raise WorkspaceError(
            f"{where}: misc.nuemstat.schema: found {kept.get('schema')!r}; this version reads {SCHEMA!r}"
        )
    _check_options(kept, where)
    return kept


def _check_options(kept: Mapping[str, Any], where: str) -> None:
    """A WorkspaceError if the file cannot have been written in the way that it says."""
    pedestal, floating = kept.get("pedestal"), kept.get("floating")
    number = isinstance(pedestal, int | float) and not isinstance(pedestal, bool) and 0 < pedestal < math.inf
    names = isinstance(floating, list | tuple) and all(isinstance(name, str) for name in floating)
    for key, fits, wanted in (
        ("pedestal", number, "a positive number"),
        ("floating", names, "a list of couplings"),
        ("native", isinstance(kept.get("native"), bool), "true or false"),
    ):
        if not fits:
            raise WorkspaceError(f"{where}: misc.nuemstat.{key}: found {kept.get(key)!r:.40}; {wanted} is allowed")


def _native(document: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The native document: what was kept, completed by what HS3 says."""
    distributions = {d["name"]: d for d in document["distributions"]}
    data = {d["name"]: d["contents"] for d in document["data"]}
    channels = []
    for channel in kept["channels"]:
        if "observed" not in channel:
            written = {s["name"]: s for s in distributions[channel["name"]]["samples"]}
            samples = [told_by(written[s["name"]], s.get("monomial", {})) | s for s in channel["samples"]]
            channel = channel | {"observed": data[f"{channel['name']}_data"], "samples": samples}
        channels.append(channel)
    parts = {key: kept[key] for key in ("parameters", "folded", "choices", "provenance") if key in kept}
    return {"schema": "nuemstat/workspace/1", "name": kept["workspace"], "channels": channels, **parts}


def _difference(found: Any, wanted: Any, where: str) -> str:
    """Where two parsed documents differ, or ''."""
    if isinstance(wanted, dict) and isinstance(found, dict) and wanted.keys() == found.keys():
        places = (_difference(found[key], value, f"{where}.{key}") for key, value in wanted.items())
    elif isinstance(wanted, list) and isinstance(found, list | tuple) and len(wanted) == len(found):
        places = (_difference(a, b, f"{where}.{i}") for i, (a, b) in enumerate(zip(found, wanted, strict=True)))
    elif isinstance(wanted, float) and isinstance(found, int | float) and not isinstance(found, bool):
        return "" if math.isclose(found, wanted, rel_tol=_TOLERANCE, abs_tol=1e-300) else where
    else:
        return "" if type(found) is type(wanted) and found == wanted else where
    return next(filter(None, places), "")
