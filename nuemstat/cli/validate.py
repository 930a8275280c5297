"""``nuemstat validate``: ours against published."""

from pathlib import Path

import click

from nuemstat.cli.options import as_json as json_option
from nuemstat.cli.output import note, print_table, progress


def _former_report(context: click.Context, option: click.Parameter, value: Path | None) -> Path | None:  # noqa: ARG001
    if value is not None:
        from nuemstat.writing import check_former

        check_former(value, "# Ours against published", "reports of nuemstat validate")
    return value


@click.command("validate", short_help="Ours against published numbers.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_former_report,
    help="Write the Markdown report here; a former one is replaced.",
)
@json_option
def validate_command(names: tuple[str, ...], report: Path | None, as_json: bool) -> int:
    """Compare with published numbers, and say how well the Standard Model fits.

    Exit 1 if a gated tolerance is broken.

    NAME is an experiment with shipped published numbers, or the path of such a file; all shipped ones without it.
    """
    from nuemstat.sidebyside import tables
    from nuemstat.validate import markdown, summary, to_json
    from nuemstat.validate import report as compute

    with progress("validating") as step:
        found = compute(names or None, progress=step)
    if report is not None:
        from nuemstat.writing import write_whole

        write_whole(report, markdown(found))
        note(f"wrote {report}")
    if as_json:
        click.echo(to_json(found))
    else:
        columns = ("experiment", "quantity", "published", "ours", "unit", "deviation", "tolerance", "verdict")
        if found.rows:
            print_table(columns, [row.cells() for row in found.rows])
        for title, heads, cells in tables(found.beside):
            print_table(heads, cells, title=f"{title}, side by side")
        for fit in found.fits:
            click.echo(str(fit))
        for row in found.rows:
            if row.open:
                click.echo(f"open: {row.experiment}, {row.quantity}: {row.open}")
        if found.rows:
            click.echo(summary(found.rows))
    broken = [row for row in found.rows if row.verdict == "broken"]
    for row in broken:
        note(f"broken: {row.experiment}, {row.quantity}: {row.reason}")
    return 1 if broken else 0
