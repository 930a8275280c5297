"""Results of finished tasks in a file: one line of JSON each, behind a line that says what they belong to.

A line is there whole or not at all as far as readers are concerned: one that was cut short by a crash is dropped,
and its task is done again.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nuemstat.errors import FitError
from nuemstat.writing import write_whole

SCHEMA = "nuemstat/checkpoint/1"
Outcome = Mapping[str, Any]
"""What a task gives: plain numbers and lists, as JSON holds them exactly."""


class Checkpoint:
    """Finished tasks of one question, kept in a file; nothing is kept without a path."""

    def __init__(self, path: Path | None, header: Mapping[str, Any]) -> None:
        """Open the file, or begin it.

        Raises
        ------
        FitError : it cannot be read or written, is damaged, or belongs to another workspace or question.
        """
        self.path = path
        self._header = json.loads(json.dumps({"schema": SCHEMA, **header}))  # lists for tuples, as the file has them
        self._kept: dict[str, Outcome] = {}
        self._count = 0
        if path is None:
            return
        if path.exists() and (path.stat().st_size or not path.is_file()):
            found, self._kept = _read(path)
            _compare(path, found, self._header)
            self._count = len(self._kept)
        else:
            self._append(self._header)

    def kept(self, key: str) -> Outcome | None:
        """The outcome of a task that was finished before; it is handed out once."""
        return self._kept.pop(key, None)

    def add(self, key: str, outcome: Outcome) -> None:
        """Write down the outcome of a task."""
        if self.path is not None:
            self._append({"task": key, "outcome": outcome})
            self._count += 1

    def how_to_resume(self, reason: str) -> str:
        """One line: why it stopped, what is kept, how to go on."""
        if self.path is None:
            return f"{reason}; nothing is kept without a checkpoint (--checkpoint FILE)"
        return f"{reason}; {self._count} finished tasks are kept in {self.path}; the same command resumes"

    def _append(self, line: Mapping[str, Any]) -> None:
        assert self.path is not None
        try:
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FitError(f"{self.path}: the checkpoint cannot be written ({error.strerror})") from None


def merge_checkpoints(paths: Iterable[str | os.PathLike[str]], output: str | os.PathLike[str]) -> int:
    """Write the tasks of several checkpoints of one question into one; returns their number.

    Raises
    ------
    FitError : a file cannot be read, they belong to different questions, or a task stands in two of them differently.
    """
    header: Mapping[str, Any] | None = None
    merged: dict[str, Outcome] = {}
    for path in map(Path, paths):
        found, tasks = _read(path)
        if header is not None:
            _compare(path, found, header)
        header = found
        for key, outcome in tasks.items():
            if merged.setdefault(key, outcome) != outcome:
                raise FitError(f"{path}: task {key!r} has another outcome than in the files before it")
    if header is None:
        raise FitError("merge: no checkpoint is given; one or more are allowed")
    lines = [json.dumps(header), *(json.dumps({"task": key, "outcome": merged[key]}) for key in sorted(merged))]
    write_whole(Path(output), "\n".join(lines) + "\n")
    return len(merged)


def _read(path: Path) -> tuple[Mapping[str, Any], dict[str, Outcome]]:
    """Header and tasks; a last line without its end is cut off the file, once it is known to be a checkpoint."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise FitError(f"{path}: the checkpoint cannot be read ({error.strerror})") from None
    whole = raw.rfind(b"\n") + 1
    kept: dict[str, Outcome] = {}
    header: Mapping[str, Any] = {}
    for number, line in enumerate(raw[:whole].splitlines(), start=1):
        try:
            content = json.loads(line)
            if number == 1:
                header = dict(content)
            else:
                kept[content["task"]] = content["outcome"]
        except (ValueError, KeyError, TypeError):
            raise FitError(f"{path}: line {number} is damaged; it is no line of a checkpoint") from None
    if header.get("schema") != SCHEMA:
        raise FitError(f"{path}: schema: found {header.get('schema')!r}; {SCHEMA!r} is allowed, or a new file")
    if whole < len(raw):
        os.truncate(path, whole)
    return header, kept


def _compare(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in (*wanted, *found):
        if found.get(key) != wanted.get(key):
            what = "another workspace" if key == "digest" else "another question"
            raise FitError(
                f"{path}: the checkpoint is of {what}: {key}: found {found.get(key)!r}, asked is {wanted.get(key)!r}; "
                "name another file"
            )
