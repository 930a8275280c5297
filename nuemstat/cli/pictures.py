"""The options that draw a result, and how it looks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _picture(context: click.Context, option: click.Parameter, value: Path | None) -> Path | None:  # noqa: ARG001
    if value is not None:
        from nuemstat.plots import FORMATS
        from nuemstat.writing import check_former

        if value.suffix.lower() not in FORMATS:
            raise click.BadParameter(f"found {str(value)!r}; a file that ends in {', '.join(FORMATS)} is allowed")
        if not value.absolute().parent.is_dir():
            raise click.BadParameter(f"found {str(value)!r}; a file in a folder that exists is allowed")
        check_former(value, r"\x89PNG|%PDF|<\?xml|<svg", "pictures (PNG, PDF, SVG)")
    return value


def _style(context: click.Context, option: click.Parameter, value: str) -> str:  # noqa: ARG001
    if value != "plain":
        from nuemstat.errors import FitError
        from nuemstat.plots import check_style

        try:
            check_style(value)
        except FitError as error:
            raise click.BadParameter(str(error).removeprefix("style: ")) from None
    return value


_plot = click.option(
    "--plot",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_picture,
    metavar="FILE",
    help="Draw the result to this file (.png, .pdf, .svg); a former picture there is replaced.",
)
_look = click.option(
    "--style",
    "look",
    default="plain",
    show_default=True,
    callback=_style,
    metavar="STYLE",
    help="Of the picture: plain, mplhep, or one of mplhep's such as mplhep:CMS.",
)


def plot(command: Command) -> Command:
    """--plot and --style."""
    return _plot(_look(command))
