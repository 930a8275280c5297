"""``nuemstat fit``: the best fit."""

from pathlib import Path

import click

from nuemstat.cli import options
from nuemstat.cli.output import emit, open_together


@click.command("fit", short_help="Best fit and pulls.")
@options.inference
def fit_command(
    workspaces: tuple[str, ...],
    free: tuple[str, ...],
    fixed: tuple[tuple[str, float], ...],
    data: str,
    as_json: bool,
    output: Path | None,
) -> None:
    """Best fit with pulls, yields and goodness of fit; joint when several W are given."""
    held = options.unique(fixed, "--fix")
    workspace = open_together(workspaces)
    from nuemstat.stats.minimise import fit

    emit(fit(workspace, free=free, fixed=held, data=data), as_json=as_json, output=output)
