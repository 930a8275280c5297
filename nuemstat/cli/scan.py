"""``nuemstat scan``: the profile of one coupling, or of two with their contours."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nuemstat.cli import options, pictures
from nuemstat.cli.output import emit, open_together

if TYPE_CHECKING:
    from nuemstat.stats.results import Scan
    from nuemstat.workspace.document import Workspace


@click.command("scan", short_help="Profile over one or two couplings, with contours.")
@click.option("--coupling", "couplings", multiple=True, required=True, metavar="NAME", help="One coupling, or two.")
@options.ranges
@click.option("--points", type=click.IntRange(min=2), help="Points along each coupling.")
@pictures.plot
@options.inference
def scan_command(
    workspaces: tuple[str, ...],
    couplings: tuple[str, ...],
    ranges: tuple[tuple[str, float, float], ...],
    points: int | None,
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
    """Profile likelihood along one coupling, or over two with all contours at 68, 90 and 95 %.

    Joint when several W are given. A range must hold the best fit. --plot draws the profile, or the contours.
    """
    if len(couplings) > 2 or len(set(couplings)) != len(couplings):
        raise click.UsageError(f"--coupling: found {', '.join(couplings)}; one coupling or two different ones")
    spans = options.range_table(ranges, couplings)
    held = options.unique(fixed, "--fix")
    workspace = open_together(workspaces, mixed, overlap=overlap)
    more = {} if points is None else {"points": points}
    found = _scan(workspace, couplings, ranges=spans, data=data, free=free, fixed=held, **more)
    if picture is not None:
        from nuemstat.plots import use_style

        with use_style(look):
            _draw(found, picture)
    emit(found, as_json=as_json, output=output)


def _scan(workspace: "Workspace", couplings: tuple[str, ...], **more: Any) -> "Scan":
    from nuemstat.stats.contours import contour_scan
    from nuemstat.stats.intervals import scan

    return scan(workspace, couplings, **more) if len(couplings) == 1 else contour_scan(workspace, couplings, **more)


def _draw(found: "Scan", picture: Path) -> None:
    from scipy.stats import chi2

    from nuemstat.plots import Curve, contours_picture, profile_picture
    from nuemstat.stats.diagnostics import ContourScan

    label = ", ".join(found.workspaces)
    if isinstance(found, ContourScan):
        contours_picture(picture, {label: found.contour})
    else:
        curve = Curve(label, found.values[0], found.q)
        profile_picture(picture, [curve], coupling=found.couplings[0], threshold=float(chi2.ppf(0.9, 1)), level=0.9)
