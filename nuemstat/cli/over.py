"""``nuemstat scan MODEL --over``: limits over the values of one number of a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nuemstat.cli.output import emit, progress

if TYPE_CHECKING:
    from nuemstat.number_scan import NumberScan


def run_over(
    over: str, spec: str, *, logarithmic: bool, kind: str, workers: int | None, **question: Any
) -> "NumberScan":
    """The limits over the values that ``--over`` names.

    kind, workers : of the executor; question : what `scan_over` is asked beside model and values.
    """
    from nuemstat.number_scan import read_over, scan_over
    from nuemstat.stats.execution import open_executor

    path, values = read_over(over, logarithmic=logarithmic)
    with open_executor(kind, workers=workers) as executor, progress("limits") as step:
        return scan_over(spec, path, values, executor=executor, progress=step, **question)


def show_over(
    found: "NumberScan", *, picture: Path | None, look: str, logarithmic: bool, as_json: bool, output: Path | None
) -> None:
    """Print the table, and write picture and file; a file that ends in .csv is a table of numbers, else JSON."""
    if picture is not None:
        _draw(found, picture, look, logarithmic)
    if output is not None and output.suffix.lower() == ".csv":
        from nuemstat.writing import write_whole

        write_whole(output, found.to_csv())
        output = None
    emit(found, as_json=as_json, output=output)


def _draw(found: "NumberScan", picture: Path, look: str, logarithmic: bool) -> None:
    from nuemstat.plots import LimitCurve, number_scan_picture, use_style

    ends = [found.ends(point) for point in found.points]
    label = f"{found.path}  [{found.number_unit}]" if found.number_unit else found.path
    number, _, unit = str(found.nominal).partition(" ")
    nominal = float(number) if unit.strip() == found.number_unit else None
    curve = LimitCurve(label, found.values, [low for low, _ in ends], [high for _, high in ends], nominal)
    with use_style(look):
        number_scan_picture(picture, curve, coupling=found.coupling, level=found.cl, logarithmic=logarithmic)


def refuse_beside(context: click.Context, over: str | None) -> None:
    """A usage error for options that belong to the other way of scanning."""
    told = click.core.ParameterSource.COMMANDLINE
    names = ("points", "ranges", "mixed", "overlap") if over else ("logarithmic", "cl", "method", "kind", "workers")
    for name in names:
        if context.get_parameter_source(name) == told:
            option = next(p.opts[0] for p in context.command.params if p.name == name)
            which = "is not used with --over" if over else "belongs to --over"
            raise click.UsageError(f"{option}: {which}")
