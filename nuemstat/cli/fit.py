"""``nuemstat fit``: the best fit."""

from pathlib import Path
from typing import Literal

import click

from nuemstat.cli import options, pictures
from nuemstat.cli.output import emit, open_together


@click.command("fit", short_help="Best fit and pulls.")
@click.option(
    "--information",
    type=click.Choice(["expected", "observed"]),
    default="expected",
    show_default=True,
    help="Whose inverse is the covariance.",
)
@pictures.plot
@options.inference
def fit_command(
    workspaces: tuple[str, ...],
    information: Literal["expected", "observed"],
    picture: Path | None,
    look: str,
    free: tuple[str, ...],
    fixed: tuple[tuple[str, float], ...],
    mixed: tuple[str, ...],
    overlap: bool,
    data: str,
    as_json: bool,
    output: Path | None,
) -> None:
    """Best fit with pulls, yields and goodness of fit; joint when several W are given. --plot draws the pulls."""
    held = options.unique(fixed, "--fix")
    workspace = open_together(workspaces, mixed, overlap=overlap)
    from nuemstat.stats.minimise import fit

    found = fit(workspace, free=free, fixed=held, data=data, information=information)
    if picture is not None:
        from nuemstat.plots import pulls_of_fit, pulls_picture, use_style

        with use_style(look):
            pulls_picture(picture, pulls_of_fit(found, workspace))
    emit(found, as_json=as_json, output=output)
