"""``nuemstat significance``: how far the data are from one value of a coupling."""

from pathlib import Path

import click

from nuemstat.cli import options
from nuemstat.cli.output import emit, open_together


@click.command("significance", short_help="How far the data are from one value.")
@options.coupling
@click.option("--at", type=options.number, required=True, metavar="VALUE", help="Value tested, in mu_B, e or cm^2.")
@options.inference
def significance_command(
    workspaces: tuple[str, ...],
    coupling: str,
    at: float,
    free: tuple[str, ...],
    fixed: tuple[tuple[str, float], ...],
    mixed: tuple[str, ...],
    overlap: bool,
    data: str,
    as_json: bool,
    output: Path | None,
) -> None:
    """Significance at which the data reject one value of a coupling."""
    held = options.unique(fixed, "--fix")
    workspace = open_together(workspaces, mixed, overlap=overlap)
    from nuemstat.stats.intervals import significance

    emit(significance(workspace, coupling, at, data=data, free=free, fixed=held), as_json=as_json, output=output)
