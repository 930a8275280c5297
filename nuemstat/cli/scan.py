"""``nuemstat scan``: the profile of one coupling, or of two."""

from pathlib import Path

import click

from nuemstat.cli import options
from nuemstat.cli.output import emit, open_together


@click.command("scan", short_help="Profile over one or two couplings.")
@click.option("--coupling", "couplings", multiple=True, required=True, metavar="NAME", help="One coupling, or two.")
@options.ranges
@click.option("--points", type=click.IntRange(min=2), help="Points along each coupling.")
@options.inference
def scan_command(
    workspaces: tuple[str, ...],
    couplings: tuple[str, ...],
    ranges: tuple[tuple[str, float, float], ...],
    points: int | None,
    free: tuple[str, ...],
    fixed: tuple[tuple[str, float], ...],
    data: str,
    as_json: bool,
    output: Path | None,
) -> None:
    """Profile likelihood along one coupling or over two; joint when several W are given."""
    if len(couplings) > 2 or len(set(couplings)) != len(couplings):
        raise click.UsageError(f"--coupling: found {', '.join(couplings)}; one coupling or two different ones")
    spans = options.range_table(ranges, couplings)
    held = options.unique(fixed, "--fix")
    workspace = open_together(workspaces)
    from nuemstat.stats.intervals import scan

    more = {} if points is None else {"points": points}
    found = scan(workspace, couplings, ranges=spans, data=data, free=free, fixed=held, **more)
    emit(found, as_json=as_json, output=output)
