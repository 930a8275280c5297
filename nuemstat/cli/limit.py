"""``nuemstat limit``: the interval of one coupling."""

from pathlib import Path

import click

from nuemstat.cli import options
from nuemstat.cli.output import emit, open_together


@click.command("limit", short_help="All intervals of one coupling.")
@options.coupling
@options.level
@click.option("--method", type=click.Choice(["profile", "cls", "fc"]), default="profile", show_default=True)
@click.option("--expected", is_flag=True, help="Expected bands (not in this version).")
@options.ranges
@options.inference
def limit_command(
    workspaces: tuple[str, ...],
    coupling: str,
    cl: float,
    method: str,
    expected: bool,
    ranges: tuple[tuple[str, float, float], ...],
    free: tuple[str, ...],
    fixed: tuple[tuple[str, float], ...],
    data: str,
    as_json: bool,
    output: Path | None,
) -> None:
    """All intervals of a coupling at a confidence level; joint when several W are given."""
    if expected:
        raise click.UsageError("--expected is not in this version; --data asimov gives the limit of the median data")
    span = options.range_table(ranges, [coupling]).get(coupling)
    held = options.unique(fixed, "--fix")
    workspace = open_together(workspaces)
    from nuemstat.stats.intervals import limit

    found = limit(workspace, coupling, cl=cl, method=method, data=data, free=free, fixed=held, scan_range=span)
    emit(found, as_json=as_json, output=output)
