"""What the commands print: results to standard output, everything else to standard error."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from nuemstat.workspace.document import Workspace

_NARROW = 12
"""Columns of a terminal for each column of a table; with fewer, the table is printed as blocks."""

Step = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is being done."""


class Result(Protocol):
    """What every result can do."""

    def to_json(self) -> str:
        """One JSON object."""
        ...


def loudness() -> int:
    """1 with -v, -1 with -q, else 0."""
    from nuemstat.cli.group import LOUDNESS

    context = click.get_current_context(silent=True)
    return 0 if context is None else int(context.find_root().meta.get(LOUDNESS, 0))


def note(text: str) -> None:
    """One line on standard error, unless -q."""
    if loudness() >= 0:
        click.echo(f"nuemstat: {text}", err=True)


def emit(result: Result, *, as_json: bool, output: Path | None) -> None:
    """Write a result to the file asked for, then print it as JSON or as its short table."""
    if output is not None:
        from nuemstat.writing import write_whole

        write_whole(output, result.to_json().rstrip("\n") + "\n")
    click.echo(result.to_json().rstrip("\n") if as_json else str(result))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, err: bool = False, title: str = "", most: int = 1000
) -> None:
    """A table as wide as it needs where nothing limits it, else as wide as the terminal; never wider than `most`."""
    from io import StringIO
    from shutil import get_terminal_size

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if err and loudness() < 0:
        return
    on_terminal = (sys.stderr if err else sys.stdout).isatty()
    width = min(get_terminal_size().columns, most) if on_terminal else most
    if width < _NARROW * len(columns):
        click.echo(
            "\n".join([title, *_records(columns, rows, width)] if title else _records(columns, rows, width)), err=err
        )
        return
    console = Console(file=StringIO(), width=width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    with console.capture() as captured:
        console.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    click.echo("\n".join([title, *lines] if title else lines), err=err)


def _records(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """A table too wide for the terminal: every row as a block of lines, one for each column."""
    from textwrap import wrap

    lines: list[str] = []
    for first, *others in rows:
        lines += wrap(first, max(width, 20)) or [""]
        for name, cell in zip(columns[1:], others, strict=True):
            if cell:
                lines += wrap(f"{name}: {cell}", max(width, 20), initial_indent="  ", subsequent_indent="    ")
    return lines


@contextmanager
def progress(total_text: str) -> Iterator[Step]:
    """A progress bar with an estimate on standard error; where that is no terminal, lines with -v, else nothing."""
    if loudness() < 0 or not sys.stderr.isatty():
        said: list[str] = []

        def say(_: int, __: int, text: str) -> None:
            if loudness() > 0 and text not in said[-1:]:
                said.append(text)
                note(text)

        yield say
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(total_text, total=None)
        yield lambda done, total, text: bar.update(task, completed=done, total=total, description=text)


def share_table(opened: "Sequence[Workspace]") -> None:
    """Who shares which parameter, on standard error, when there are several workspaces."""
    if len(opened) < 2:
        return
    from nuemstat.workspace.combine import sharing

    rows = [(row.name, row.quantity, ", ".join(row.workspaces)) for row in sharing(opened)]
    if rows:
        print_table(("shared parameter", "quantity", "in"), rows, err=True)
    else:
        note(f"{', '.join(workspace.name for workspace in opened)} share no nuisance parameter")


def open_together(specs: Sequence[str], mixed: Sequence[str] = (), *, overlap: bool = False) -> "Workspace":
    """The workspace of all `specs`, with progress while they compile; says who shares what when they are several.

    mixed, overlap : as `combine` takes them.
    """
    from functools import partial

    from nuemstat.study import resolve
    from nuemstat.workspace.combine import combine

    members = []
    with progress("opening") as step:
        for done, spec in enumerate(specs):
            step(done, len(specs), f"opening {spec}")
            members.append(resolve(spec, progress=partial(step, done, len(specs))))
    together = members[0] if len(members) == 1 and not mixed else combine(members, mixed=mixed, overlap=overlap)
    share_table(members)
    return together
