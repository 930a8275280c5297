"""A folder of results that is there whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nuemstat.errors import NuemstatError

MARK = "limits.json"
"""The file by which a former folder of results is known; nothing else is ever replaced."""


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, which takes the name `target` once the block has ended well.

    What stood there is replaced only if it is empty or a former folder of results, and then only the entries
    that are written anew; if the block fails, everything is as before.

    Raises
    ------
    NuemstatError : `target` is a file or holds other things, or cannot be written.
    """
    _check(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise NuemstatError(f"{target}: cannot be written ({error.strerror})") from None
    try:
        new = work / "new"
        new.mkdir()
        yield new
        _move(new, target, work)
    except OSError as error:
        raise NuemstatError(f"{target}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise NuemstatError(f"{target}: found a file; a folder that is new, empty or of former limits is allowed")
    if any(target.iterdir()) and not _former_results(target):
        raise NuemstatError(
            f"{target}: found a folder with other things in it; one that is new, empty or of former limits is allowed"
        )


def _former_results(target: Path) -> bool:
    try:
        content = json.loads((target / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, list) and all(
        isinstance(item, dict) and str(item.get("schema", "")).startswith("nuemstat/limit/") for item in content
    )


def _move(new: Path, target: Path, work: Path) -> None:
    """Give the new entries their names; those they replace go into `work`, to be deleted with it."""
    if not target.exists():
        os.replace(new, target)
        return
    old = work / "old"
    old.mkdir()
    for entry in sorted(new.iterdir(), key=lambda path: path.name == MARK):
        if (target / entry.name).exists():
            os.replace(target / entry.name, old / entry.name)
        os.replace(entry, target / entry.name)
