"""Text files that are there whole or not at all, and JSON that people can read."""

import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from nuemstat.errors import WorkspaceError


def write_whole(path: Path, text: str) -> None:
    """Write a text file (UTF-8) through a neighbour that then takes its name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with suppress(OSError):  # what has taken its name is not there any more; what was interrupted goes
            Path(temporary).unlink(missing_ok=True)


def check_former(path: Path, begins: str, what: str) -> None:
    """An error where something stands at `path` that is not a former file of the kind that is to be written.

    begins : regular expression for how such a file begins; what : words for one, in the plural.

    Raises
    ------
    WorkspaceError : another file, or something that is no file; nothing is lost unasked.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise WorkspaceError(f"{path}: found something that is no file; a file is allowed")
    try:
        with path.open("rb") as file:
            start = file.read(400).decode("latin-1")
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be read ({error.strerror})") from None
    if start and not re.match(begins, start):
        raise WorkspaceError(f"{path}: found a file that is none of {what}; a new file, or a former one, is allowed")


def pretty(value: Any, indent: str = "") -> str:
    """JSON text with one array of numbers per line."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        rows = (f"{inner}{json.dumps(key)}: {pretty(item, inner)}" for key, item in value.items())
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(inner + pretty(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value)
