"""Options that several commands share, checked before any work is done."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from nuemstat.cli.completion import complete_couplings, complete_workspaces

Command = TypeVar("Command", bound=Callable[..., Any])


def number(value: str | float) -> float:
    """A finite number."""
    try:
        found = float(value)
    except ValueError:
        raise click.BadParameter(f"found {value!r}; a number is allowed") from None
    if not math.isfinite(found):
        raise click.BadParameter(f"found {value!r}; a finite number is allowed")
    return found


def assignment(value: str) -> tuple[str, float]:
    """NAME=VALUE."""
    name, equals, text = value.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"found {value!r}; NAME=VALUE is allowed, such as millicharge_ee=1e-13")
    return name, number(text)


def data_set(value: str) -> str:
    """observed, asimov, or asimov:NAME=VALUE (several, separated by commas)."""
    kind, colon, text = value.partition(":")
    if kind not in ("observed", "asimov") or (colon and kind == "observed"):
        raise click.BadParameter(f"found {value!r}; allowed are observed, asimov, asimov:NAME=VALUE")
    for item in text.split(",") if colon else ():
        assignment(item)
    return value


def between_0_and_1(value: str | float) -> float:
    """A confidence level, strictly between 0 and 1."""
    found = number(value)
    if not 0 < found < 1:
        raise click.BadParameter(f"found {value!r}; a number between 0 and 1 is allowed, such as 0.90")
    return found


def _former_result(context: click.Context, option: click.Parameter, value: Path | None) -> Path | None:  # noqa: ARG001
    """Refuses, before anything is computed, to replace a file that is no result."""
    if value is not None:
        from nuemstat.writing import check_former

        begins = r'\{\s*"schema": "nuemstat/(?!workspace|checkpoints|limits|joint)'
        check_former(value, begins + (r"|# title: scan of " if value.suffix == ".csv" else ""), "nuemstat's results")
    return value


workspaces = click.argument("workspaces", nargs=-1, required=True, metavar="W...", shell_complete=complete_workspaces)
coupling = click.option(
    "--coupling",
    required=True,
    metavar="NAME",
    shell_complete=complete_couplings,
    help="Coupling, universal ones included.",
)
free = click.option(
    "--float",
    "free",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_couplings,
    help="Let this coupling float too.",
)
fixed = click.option(
    "--fix", "fixed", multiple=True, type=assignment, metavar="NAME=VALUE", help="Hold this parameter at VALUE."
)
data = click.option(
    "--data", type=data_set, metavar="DATA", default="observed", help="observed, asimov or asimov:NAME=VALUE."
)
level = click.option(
    "--cl", type=between_0_and_1, metavar="LEVEL", default=0.90, show_default=True, help="Confidence level."
)
_by_toys = click.option(
    "--expected",
    "expected",
    flag_value=True,
    type=bool,
    default=None,
    help="Expected ends by toys, for all couplings. Without it by formulas: median and bands of even couplings, Asimov "
    "ends of signed ones.",
)
_left_out = click.option(
    "--no-expected", "expected", flag_value=False, type=bool, default=None, help="Leave out what is expected."
)
ranges = click.option(
    "--range",
    "ranges",
    multiple=True,
    type=(str, number, number),
    metavar="NAME LO HI",
    help="Range of a coupling, in mu_B, e or cm^2.",
)
mixed = click.option(
    "--mixed",
    multiple=True,
    metavar="CHOICE",
    help="Members may differ in this, such as ge_quenching.",
)
overlap = click.option(
    "--overlap",
    is_flag=True,
    help="Members that may share events are allowed; the result says so.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
output_file = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_former_result,
    help="Write the JSON to this file as well; a former result there is replaced.",
)


def expected(command: Command) -> Command:
    """--expected and --no-expected, the last one named counts: True, False, or None without either."""
    return _by_toys(_left_out(command))


def inference(command: Command) -> Command:
    """The arguments and options of every question put to one or several workspaces."""
    for option in (output_file, as_json, data, overlap, mixed, fixed, free, workspaces):
        command = option(command)
    return command


def unique(pairs: Iterable[tuple[str, Any]], option: str) -> dict[str, Any]:
    """The pairs as a dictionary; naming one twice is a mistake."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise click.UsageError(f"{option} names {name!r} twice; once is allowed")
        found[name] = value
    return found


def range_table(ranges: Iterable[tuple[str, float, float]], names: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Ranges by coupling; each must rise and belong to one of `names`."""
    allowed = list(names)
    found: dict[str, tuple[float, float]] = unique(((name, (lo, hi)) for name, lo, hi in ranges), "--range")
    for name, (lo, hi) in found.items():
        if name not in allowed:
            raise click.UsageError(f"--range names {name!r}; allowed are the couplings asked for, {', '.join(allowed)}")
        if not lo < hi:
            raise click.UsageError(f"--range {name}: found {lo:g} to {hi:g}; a lower end below the upper is allowed")
    return found
