"""Reads the ROOT files that this package wrote back into workspaces."""

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import ValidationError

from nuemstat.errors import WorkspaceError
from nuemstat.strict import one_line, tupled
from nuemstat.workspace.document import SCHEMA, Workspace
from nuemstat.workspace.reading import check_size, parse_json
from nuemstat.workspace.to_root import TEXT

Lookup = Callable[[Any], Any]


def read_root(path: str | os.PathLike[str]) -> Workspace:
    """The workspace in a ROOT file of ours, with the numbers that its histograms hold now.

    Raises
    ------
    WorkspaceError : unreadable, too large, without our document, or with a histogram missing or of another size.
    """
    import uproot

    check_size(path)
    try:
        file = uproot.open(path)
    except Exception as error:  # uproot raises what the damage brings about, of many types
        raise WorkspaceError(f"{path}: cannot be read as ROOT ({type(error).__name__})") from None
    with file:
        known = {key.partition(";")[0]: kind for key, kind in file.classnames().items()}
        if known.get(TEXT) != "TObjString":
            raise WorkspaceError(f"{path}: found no text {TEXT!r}; only ROOT files that nuemstat wrote can be read")
        document = json.loads(json.dumps(parse_json(str(file[TEXT]).encode(), where=str(path))))

        def values(name: Any) -> Any:
            if not isinstance(name, str) or not known.get(name, "").startswith("TH"):
                raise WorkspaceError(f"{path}: found no histogram {name!r}, which the document {TEXT!r} names")
            return np.asarray(file[name].values(), dtype=float)

        try:
            _fill(document, values)
            return Workspace.model_validate(tupled(document))
        except ValidationError as error:
            raise WorkspaceError(f"{path}: {one_line(error)}") from None
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise WorkspaceError(f"{path}: {TEXT} is damaged ({type(error).__name__}: {error})") from None


def _fill(document: Any, values: Lookup) -> None:
    """Put the numbers of the histograms into the places that name them."""
    if document["schema"] != SCHEMA:
        raise WorkspaceError(f"schema: found {document['schema']!r}; this version reads {SCHEMA!r}")
    for channel in document["channels"]:
        for part in ("observed", "errors", "errors_below"):
            if part in channel:
                channel[part] = values(channel[part]).ravel().tolist()
        if "covariance" in channel:
            channel["covariance"] = values(channel["covariance"]).tolist()
        for sample in channel["samples"]:
            for part in ("contents", "errors"):
                if part in sample:
                    sample[part] = values(sample[part]).ravel().tolist()
            for modifier in sample["modifiers"]:
                _fill_modifier(modifier, values)


def _fill_modifier(modifier: dict[str, Any], values: Lookup) -> None:
    if modifier["type"] == "shape":
        alphas, rows = modifier.pop("alphas"), values(modifier["anchors"]).T.tolist()
        if len(alphas) != len(rows):
            raise WorkspaceError(f"{modifier['parameter']}: found {len(rows)} anchors; {len(alphas)} are named")
        modifier["anchors"] = [{"alpha": a, "values": row} for a, row in zip(alphas, rows, strict=True)]
    elif modifier["type"] == "histosys":
        modifier["hi_data"], modifier["lo_data"] = values(modifier.pop("data")).T.tolist()
    elif modifier["type"] in ("shapesys", "staterror"):
        modifier["data"] = values(modifier["data"]).ravel().tolist()
