"""Options of the commands that throw toys, and what they stand for."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nuemstat.cli.output import progress

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from nuemstat.cli.output import Step

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--toys", type=click.IntRange(min=0), metavar="N", help="Toys, of what the method says."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all toys."),
    click.option(
        "--executor",
        "kind",
        type=click.Choice(["local", "processes", "dask"]),
        default="local",
        show_default=True,
        help="Where toys are thrown; the numbers are the same.",
    ),
    click.option(
        "--workers", type=click.IntRange(min=1), metavar="N", help="Processes to start, by default one per core."
    ),
    click.option("--scheduler", metavar="ADDRESS", help="Running dask scheduler, tcp://HOST:PORT."),
    click.option(
        "--checkpoint",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Finished tasks are kept here, and read if it is there.",
    ),
)


def toy_options(command: Command) -> Command:
    """--toys, --seed, --executor, --workers, --scheduler, --checkpoint."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def toys_for_expected(toys: int | None, thrown: bool | None) -> None:
    """A usage error where a number of toys is given and nothing throws them."""
    if toys is not None and not thrown:
        raise click.UsageError("--toys: they are thrown for expected ends by toys only here; --expected asks for them")


@contextmanager
def throwing(
    kind: str, workers: int | None, scheduler: str | None, checkpoint: Path | None, **question: Any
) -> "Iterator[tuple[Executor | None, Path | None, Step]]":
    """Executor, checkpoint and progress bar of one run.

    Without a checkpoint of the user's own, finished tasks are kept in the cache until the run is complete, under a
    name that belongs to the question: the same command finds them after an interrupt.
    """
    from nuemstat.detector.cache import cache_folder
    from nuemstat.stats.execution import open_executor

    folder, own = cache_folder(), checkpoint is None
    if own and folder is not None:
        name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
        checkpoint = folder / "toys" / f"{name}.jsonl"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with progress("toys") as step, open_executor(kind, workers=workers, scheduler=scheduler) as executor:
        yield executor, checkpoint, step
    if own and checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
