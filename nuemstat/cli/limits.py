"""``nuemstat limits``: the main job."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nuemstat.cli.options import as_json as json_option
from nuemstat.cli.options import level
from nuemstat.cli.output import note, print_table, progress

if TYPE_CHECKING:
    from nuemstat.stats.results import Limit


@click.command("limits", short_help="The main job: every limit and the joint fit.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for limits.json, workspaces/ and profiles/.",
)
@click.option("--model", "models", multiple=True, metavar="M", help="Only these; all shipped data models without it.")
@click.option("--coupling", "couplings", multiple=True, metavar="C", help="Only these; all couplings without it.")
@click.option("--processes", type=click.IntRange(min=1), default=lambda: min(2, os.cpu_count() or 1), help="[2]")
@level
@json_option
def limits_command(
    output: Path, models: tuple[str, ...], couplings: tuple[str, ...], processes: int, cl: float, as_json: bool
) -> None:
    """Limits of the shipped experiments and of their joint fit, as a table, pictures and limits.json."""
    from nuemstat.study import run

    with _executor(processes) as executor, progress("compiling") as step:
        found = run(models or None, couplings or None, output, level=cl, progress=step, executor=executor)
    if as_json:
        click.echo(json.dumps({"schema": "nuemstat/limits/1", "limits": [item.to_dict() for item in found]}, indent=1))
    else:
        _print(found, cl)
    for item in found:
        for text in item.warnings:
            note(f"warning: {item.coupling}, {', '.join(item.workspaces)}: {text}")
    note(f"wrote {output}")


@contextmanager
def _executor(processes: int) -> Iterator[Executor | None]:
    """Worker processes, started afresh so that no thread of ours is copied; none for one process.

    An interrupt from the keyboard reaches every process of the terminal: the workers ignore it from their start
    and are ended by us, so that nobody answers it with a traceback.
    """
    if processes == 1:
        yield None
        return
    import multiprocessing

    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        with _interrupts_ignored():
            for _ in range(processes):
                pool.submit(os.getpid)
        yield pool
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _print(found: "Sequence[Limit]", cl: float) -> None:
    from nuemstat.study import label

    labels = list(dict.fromkeys(label(item) for item in found))
    cells = {(item.coupling, label(item)): _cell(item) for item in found}
    first = {item.coupling: item for item in found}
    rows = [(name, _unit(item), *(cells.get((name, who), "-") for who in labels)) for name, item in first.items()]
    print_table(("coupling", "unit", *labels), rows, title=f"{100 * cl:g} % limits")


def _unit(item: "Limit") -> str:
    scale = _scale(item.coupling)
    return item.unit if scale == 1 else f"{scale:.0e} {item.unit}"


def _scale(coupling: str) -> float:
    from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

    name = UNIVERSAL[coupling][0] if coupling in UNIVERSAL else coupling
    return COUPLINGS[name].scale if name in COUPLINGS else 1.0


def _cell(item: "Limit") -> str:
    """The set in units of the coupling's scale; an even coupling that reaches down to 0 is '< upper end'."""
    scale = _scale(item.coupling)
    ends = [["open" if end is None else f"{end / scale:.3g}" for end in pair] for pair in item.intervals]
    if len(ends) == 1 and item.intervals[0][0] == 0 and item.intervals[0][1] is not None:
        return f"< {ends[0][1]}"
    return " u ".join(f"[{low}, {high}]" for low, high in ends) or "empty"
