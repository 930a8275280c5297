"""Compiled workspaces on disk, so that a model that has not changed is read and not compiled.

The name of a file is a digest of what the compiler is given: the model with its variants, the couplings asked for, and
all code and tables of this package. The tables beside the model are held against the digests that the file names.
Whatever differs, is damaged or cannot be told (a release in a folder of the user's, code that changed on disk while
this process had it loaded) is compiled anew.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import scipy

import nuemstat
from nuemstat.detector.cache import cache_folder, digest, tidy, used
from nuemstat.errors import WorkspaceError
from nuemstat.model.loader import Model, ModelFiles
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.reading import parse_json
from nuemstat.writing import write_whole

PARTS = (
    *("data", "physics", "sources", "detector", "model"),
    *(f"{name}.py" for name in ("errors", "polynomial", "resources", "strict", "tables", "units", "vocabulary")),
    *(
        f"workspace/{name}.py"
        for name in ("document", "interpolation", "modifiers", "reading", "shapes", "spectrum_end")
    ),
)
"""Folders and modules of this package that decide what a compiled workspace holds; a test holds them against those
that compiling loads."""
_LOADED = time.time()
"""When this process took in its code: files that changed since do not say what it runs."""


def kept(model: Model, couplings: tuple[str, ...] | None, compute: Callable[[], Workspace]) -> Workspace:
    """The workspace that `compute` gives, from the cache folder where it was computed before from the same things."""
    folder = cache_folder()
    if folder is None or _changed():
        return compute()
    versions = (_package(), np.__version__, scipy.__version__)
    given: tuple[object, ...] = (model.raw, model.digest, dict(model.variants), couplings, *versions)
    if model.unchanged is not None:
        given += (model.unchanged, [str(change) for change in model.changes], sorted(model.given))
    path = folder / f"{digest(('workspace', given))}.workspace"
    workspace = _read(path, model.files)
    if workspace is None:
        workspace = compute()
        if not model.files.elsewhere and not _changed():
            _write(path, workspace, model.files)
            tidy(folder)
    else:
        used(path)
    return workspace


@cache
def _package() -> str:
    """Digest of the code and the tables that a workspace is made with."""
    home = Path(nuemstat.__file__).parent
    state = hashlib.sha256(nuemstat.__version__.encode())
    for path in _files(home):
        content = path.read_bytes()
        state.update(f"{path.relative_to(home).as_posix()}:{len(content)}:".encode())
        state.update(content)
    return state.hexdigest()


def _files(home: Path) -> Iterator[Path]:
    for part in PARTS:
        for path in [home / part] if part.endswith(".py") else sorted((home / part).rglob("*")):
            if path.suffix in (".py", ".csv"):
                yield path


def _changed() -> bool:
    """Whether code or tables on disk may be others than those of this process."""
    try:
        states = [path.stat() for path in _files(Path(nuemstat.__file__).parent)]
    except OSError:  # taken away while it was looked at
        return True
    return any(max(state.st_mtime, state.st_ctime) > _LOADED for state in states)


def _write(path: Path, workspace: Workspace, files: ModelFiles) -> None:
    text = json.dumps(files.digests) + "\n" + workspace.to_json()
    with contextlib.suppress(WorkspaceError):  # a folder that cannot be written to costs nothing but time
        write_whole(path, f"{_sum(text)}\n{text}")


def _read(path: Path, files: ModelFiles) -> Workspace | None:
    try:
        total, _, text = path.read_text(encoding="utf-8").partition("\n")
        inputs, _, document = text.partition("\n")
        if total != _sum(text) or any(files.digest(name) != known for name, known in json.loads(inputs).items()):
            return None
        return Workspace.from_content(parse_json(document.encode(), str(path)), str(path))
    except (OSError, ValueError):
        return None


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
