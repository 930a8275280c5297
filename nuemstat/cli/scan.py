"""``nuemstat scan``: the profile of one coupling, or of two with their contours."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nuemstat.cli import options, pictures
from nuemstat.cli.output import emit, open_together
from nuemstat.cli.over import refuse_beside, run_over, show_over

if TYPE_CHECKING:
    from nuemstat.stats.results import Scan
    from nuemstat.workspace.document import Workspace


@click.command("scan", short_help="Profile over couplings, or limits over a number of a model.")
@click.option("--coupling", "couplings", multiple=True, required=True, metavar="NAME", help="One coupling, or two.")
@options.ranges
@click.option("--points", type=click.IntRange(min=2), help="Points along each coupling.")
@click.option("--over", metavar="PATH=VALUES", help="Limits over a number of the model: PATH=LOW:HIGH:POINTS UNIT.")
@click.option("--log", "logarithmic", is_flag=True, help="Of --over: values with equal ratios.")
@options.level
@click.option(
    "--method", type=click.Choice(["profile", "cls"]), default="profile", show_default=True, help="Of --over."
)
@click.option("--executor", "kind", type=click.Choice(["local", "processes", "dask"]), default="local",
              show_default=True, help="Of --over: where limits are found; the numbers are the same.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Of --over: processes to start.")
@pictures.plot
@options.inference
@click.pass_context
def scan_command(
    context: click.Context,
    /,
    workspaces: tuple[str, ...],
    couplings: tuple[str, ...],
    over: str | None,
    picture: Path | None,
    look: str,
    free: tuple[str, ...],
    fixed: tuple[tuple[str, float], ...],
    data: str,
    as_json: bool,
    output: Path | None,
    **more: Any,
) -> None:
    """Profile likelihood along one coupling, or over two with all contours at 68, 90 and 95 %.

    Joint when several W are given. A range must hold the best fit. --plot draws the profile, or the contours.
    --over: instead, limits on one coupling over the values of one number of a model (of one coupling and one W), on
    Asimov data unless --data says otherwise: --over "target.exposure=10:1000:20 t yr" --log. Numbers that follow it
    (backgrounds, errors) are changed with it. -o FILE.csv writes a table of numbers.
    """
    refuse_beside(context, over)
    most = 1 if over else 2
    if len(couplings) > most or len(set(couplings)) != len(couplings):
        allowed = "one coupling" if over else "one coupling or two different ones"
        raise click.UsageError(f"--coupling: found {', '.join(couplings)}; {allowed}")
    held = options.unique(fixed, "--fix")
    if over:
        if len(workspaces) > 1:
            raise click.UsageError(f"--over: found {len(workspaces)} workspaces; one model is allowed")
        told = context.get_parameter_source("data") == click.core.ParameterSource.COMMANDLINE
        found = run_over(
            over, workspaces[0], logarithmic=more["logarithmic"], kind=more["kind"], workers=more["workers"],
            coupling=couplings[0], cl=more["cl"], method=more["method"], data=data if told else "asimov", free=free,
            fixed=held,
        )  # fmt: skip
        show_over(found, picture=picture, look=look, logarithmic=more["logarithmic"], as_json=as_json, output=output)
        return
    spans = options.range_table(more["ranges"], couplings)
    workspace = open_together(workspaces, more["mixed"], overlap=more["overlap"])
    points = {} if more["points"] is None else {"points": more["points"]}
    profile = _scan(workspace, couplings, ranges=spans, data=data, free=free, fixed=held, **points)
    if picture is not None:
        from nuemstat.plots import use_style

        with use_style(look):
            _draw(profile, picture)
    emit(profile, as_json=as_json, output=output)


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
