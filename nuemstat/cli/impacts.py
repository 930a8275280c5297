"""``nuemstat impacts``: what the error of a coupling is made of."""

from pathlib import Path
from typing import Literal

import click

from nuemstat.cli import options, pictures
from nuemstat.cli.output import emit, open_together


@click.command("impacts", short_help="Pulls, impacts of nuisances, shares of experiments.")
@options.coupling
@options.level
@click.option(
    "--information",
    type=click.Choice(["expected", "observed"]),
    default="expected",
    show_default=True,
    help="Whose inverse is the covariance.",
)
@pictures.plot
@options.inference
def impacts_command(
    workspaces: tuple[str, ...],
    coupling: str,
    cl: float,
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
    """Pulls, constraints, and impacts of nuisances and their groups on a coupling; joint when several W are given.

    Impacts are given by refits, by the covariance, and by holding groups; --cl is that of the limits with a group
    held, and of the place at which the share of each experiment is told. --plot draws pulls and impacts.
    """
    held = options.unique(fixed, "--fix")
    workspace = open_together(workspaces, mixed, overlap=overlap)
    from nuemstat.stats.impacts import impacts

    found = impacts(workspace, coupling, cl=cl, data=data, free=free, fixed=held, information=information)
    if picture is not None:
        from nuemstat.plots import impacts_picture, use_style

        with use_style(look):
            impacts_picture(picture, found)
    emit(found, as_json=as_json, output=output)
