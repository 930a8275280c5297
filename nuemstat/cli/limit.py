"""``nuemstat limit``: the interval of one coupling."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nuemstat.cli import options, pictures
from nuemstat.cli.output import emit, open_together
from nuemstat.cli.toys import throwing, toy_options, toys_for_expected

if TYPE_CHECKING:
    from nuemstat.stats.results import Limit


@click.command("limit", short_help="All intervals of one coupling.")
@options.coupling
@options.level
@click.option(
    "--method",
    type=click.Choice(["profile", "cls", "fc"]),
    default="profile",
    show_default=True,
    help="Profile likelihood with chi2 thresholds; one-sided CLs; Feldman-Cousins by toys.",
)
@options.expected
@pictures.plot
@toy_options
@options.ranges
@options.inference
def limit_command(
    workspaces: tuple[str, ...],
    coupling: str,
    cl: float,
    method: str,
    expected: bool | None,
    picture: Path | None,
    look: str,
    toys: int | None,
    seed: int,
    kind: str,
    workers: int | None,
    scheduler: str | None,
    checkpoint: Path | None,
    ranges: tuple[tuple[str, float, float], ...],
    free: tuple[str, ...],
    fixed: tuple[tuple[str, float], ...],
    mixed: tuple[str, ...],
    overlap: bool,
    data: str,
    as_json: bool,
    output: Path | None,
) -> None:
    """All intervals of a coupling at a confidence level; joint when several W are given.

    --toys: for fc at each value near an end (5000 without it; 0 for asymptotic critical values that know of a
    bound); for cls of each hypothesis (asymptotic without it); for profile those behind --expected (200).
    --plot draws the profile with the set shaded, and the set beside what is expected of it.
    """
    toys_for_expected(toys, expected or method != "profile")
    span = options.range_table(ranges, [coupling]).get(coupling)
    held = options.unique(fixed, "--fix")
    workspace = open_together(workspaces, mixed, overlap=overlap)
    from nuemstat.stats.intervals import limit

    question = {
        "command": "limit", "digest": workspace.digest, "coupling": coupling, "cl": cl, "method": method,
        "seed": seed, "free": free, "fixed": held, "data": data,
    }  # fmt: skip
    with throwing(kind, workers, scheduler, checkpoint, **question) as (executor, path, step):
        found = limit(
            workspace, coupling, cl=cl, method=method, data=data, free=free, fixed=held, scan_range=span,
            expected=expected, toys=toys, seed=seed, executor=executor, checkpoint=path, progress=step,
        )  # fmt: skip
    if picture is not None:
        _draw(picture, look, found)
    emit(found, as_json=as_json, output=output)


def _draw(picture: Path, look: str, found: "Limit") -> None:
    from nuemstat.plots import limit_picture, use_style

    with use_style(look):
        limit_picture(picture, found)
