"""What the commands print: results to standard output, everything else to standard error."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from nuemstat.workspace.document import Workspace

Step = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is being done."""


class Result(Protocol):
    """What every result can do."""

    def to_json(self) -> str:
        """One JSON object."""
        ...


def note(text: str) -> None:
    """One line on standard error."""
    click.echo(f"nuemstat: {text}", err=True)


def emit(result: Result, *, as_json: bool, output: Path | None) -> None:
    """Write a result to the file asked for, then print it as JSON or as its short table."""
    if output is not None:
        from nuemstat.workspace.document import write_whole

        write_whole(output, result.to_json().rstrip("\n") + "\n")
    click.echo(result.to_json().rstrip("\n") if as_json else str(result))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, err: bool = False, title: str = "") -> None:
    """A table as wide as it needs where nothing limits it, else as wide as the terminal."""
    from io import StringIO
    from shutil import get_terminal_size

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = (sys.stderr if err else sys.stdout).isatty()
    console = Console(file=StringIO(), width=get_terminal_size().columns if on_terminal else 1000)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    with console.capture() as captured:
        console.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    click.echo("\n".join([title, *lines] if title else lines), err=err)


@contextmanager
def progress(total_text: str) -> Iterator[Step]:
    """A progress bar on standard error; nothing at all where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
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


def open_together(specs: Sequence[str]) -> "Workspace":
    """The workspace of all `specs`; says who shares what when they are several."""
    from nuemstat.study import joined

    workspace, members = joined(specs)
    share_table(members)
    return workspace
