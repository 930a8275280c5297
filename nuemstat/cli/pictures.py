"""The option that draws a result, and what each command draws."""

from pathlib import Path

import click


def _picture(context: click.Context, option: click.Parameter, value: Path | None) -> Path | None:  # noqa: ARG001
    if value is not None:
        from nuemstat.plots import FORMATS

        if value.suffix.lower() not in FORMATS:
            raise click.BadParameter(f"found {str(value)!r}; a file that ends in {', '.join(FORMATS)} is allowed")
        if not value.absolute().parent.is_dir():
            raise click.BadParameter(f"found {str(value)!r}; a file in a folder that exists is allowed")
    return value


plot = click.option(
    "--plot",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_picture,
    metavar="FILE",
    help="Draw the result to this file (.png, .pdf, .svg).",
)
