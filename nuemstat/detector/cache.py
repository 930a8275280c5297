"""A cache of arrays on disk, so that a second compilation does not compute its integrals again.

The key is a digest of everything that enters, so there is nothing to invalidate. The folder is the user's cache
folder, or what the environment variable ``NUEMSTAT_CACHE`` names (``off``: no cache). A damaged file is computed
anew; a folder that cannot be written to costs nothing but time. Files that nobody has used for `KEPT_DAYS` are removed.
"""

import contextlib
import dataclasses
import hashlib
import os
import re
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray

FORMAT = 1
"""Raised whenever the meaning of a cached array changes."""

KEPT_DAYS = 90
_OURS = re.compile(r"[0-9a-f]{64}\.(npz|workspace)|.*\.part")
"""Names of the files that are written here; nothing else in the folder is touched."""

Arrays = Mapping[str, FloatArray]


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None:
        """Take these bytes in."""


def cached(key: object, compute: Callable[[], Arrays]) -> Arrays:
    """The arrays that `compute` gives, from disk where the same key was computed before.

    key : numbers, words, arrays, dataclasses, and tuples, lists, sets or mappings of these.

    Raises
    ------
    ModelError : the key holds something whose content cannot be told (a function, an open file).
    """
    name = digest(key)  # before the folder is asked for: a wrong key is an error with and without a cache
    folder = cache_folder()
    if folder is None:
        return compute()
    path = folder / f"{name}.npz"
    arrays = _read(path)
    if arrays is None:
        arrays = {key: np.asarray(values, dtype=float) for key, values in compute().items()}
        _write(path, arrays)
        tidy(folder)
    else:
        used(path)
    return arrays


def used(path: Path) -> None:
    """Note that a file of the cache was used today."""
    with contextlib.suppress(OSError):
        os.utime(path)


@cache
def tidy(folder: Path) -> None:
    """Remove files of the cache that were not used for `KEPT_DAYS`; once in a process."""
    oldest = time.time() - 86400 * KEPT_DAYS
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name) and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


def cache_folder() -> Path | None:
    """Where the files are, None when the cache is off."""
    import platformdirs

    chosen = os.environ.get("NUEMSTAT_CACHE", "")
    if chosen.strip().lower() == "off":
        return None
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("nuemstat"))


def digest(key: object) -> str:
    """sha256 of the content of a key and of the format number; the same in every process and on every day."""
    state = hashlib.sha256(f"nuemstat/cache/{FORMAT}".encode())
    _feed(state, key)
    return state.hexdigest()


def _feed(state: _Hash, value: object) -> None:
    if value is None or isinstance(value, bool | int | float | str | bytes):
        _word(state, type(value).__name__, value if isinstance(value, bytes) else str(value).encode())
    elif isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        if array.dtype.kind not in "biufSU":
            raise ModelError(f"cache key: an array of {array.dtype}; numbers and words are allowed")
        _word(state, f"array {array.dtype.newbyteorder('<').str} {array.shape}", _little(array).tobytes())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        _word(state, f"{kind.__module__}.{kind.__qualname__}", b"")
        _feed(state, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    elif isinstance(value, Mapping):
        _word(state, f"mapping {len(value)}", b"")
        for key in sorted(value, key=digest):
            _feed(state, key)
            _feed(state, value[key])
    elif isinstance(value, tuple | list | set | frozenset):
        items: list[Any] = sorted(value, key=digest) if isinstance(value, set | frozenset) else list(value)
        _word(state, f"sequence {len(items)}", b"")
        for item in items:
            _feed(state, item)
    elif isinstance(value, Path):
        _word(state, "path", str(value).encode())
    else:
        raise ModelError(f"cache key: found a {type(value).__name__}; numbers, words, arrays, dataclasses are allowed")


def _little(array: Any) -> Any:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _word(state: _Hash, kind: str, content: bytes) -> None:
    """Kind and length go before the content, so that no two keys spell the same bytes."""
    state.update(f"{kind}:{len(content)}:".encode())
    state.update(content)


def _read(path: Path) -> Arrays | None:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: np.asarray(file[name], dtype=float) for name in file.files}
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return None


def _write(path: Path, arrays: Arrays) -> None:
    """Through a neighbour that then takes the name, so that no reader sees half a file."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **{name: np.asarray(values) for name, values in arrays.items()})  # type: ignore[arg-type]
        os.replace(temporary, path)
    except OSError:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)
