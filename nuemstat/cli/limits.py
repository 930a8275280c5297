"""``nuemstat limits``: the main job."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nuemstat.cli.options import as_json as json_option
from nuemstat.cli.options import level
from nuemstat.cli.output import note, print_table, progress

if TYPE_CHECKING:
    from nuemstat.stats.joint import Intervals, JointLimit
    from nuemstat.stats.results import Limit


@click.command("limits", short_help="The main job: every limit and the joint fit.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for limits.json, joint.json, workspaces/ and profiles/.",
)
@click.option("--model", "models", multiple=True, metavar="M", help="Only these; all shipped data models without it.")
@click.option("--coupling", "couplings", multiple=True, metavar="C", help="Only these; all couplings without it.")
@click.option("--processes", type=click.IntRange(min=1), default=lambda: min(2, os.cpu_count() or 1),
              show_default="2", help="Worker processes.")  # fmt: skip
@click.option("--no-shares", is_flag=True, help="Leave out shares, agreement, and the joint limits without each.")
@level
@json_option
def limits_command(
    output: Path,
    models: tuple[str, ...],
    couplings: tuple[str, ...],
    processes: int,
    no_shares: bool,
    cl: float,
    as_json: bool,
) -> None:
    """Limits of the shipped experiments and of their joint fit, as tables, pictures, limits.json and joint.json.

    The joint limits are taken apart: the share of each experiment in Delta chi2 at the ends of the set, whether the
    experiments agree (parameter goodness of fit), and the limits without each experiment in turn.
    """
    from nuemstat.main_job import JOINT, label, run
    from nuemstat.stats.execution import open_executor

    with (
        open_executor("local" if processes == 1 else "processes", workers=processes) as executor,
        progress("compiling") as step,
    ):
        found = run(
            models or None, couplings or None, output, level=cl, apart=not no_shares, progress=step, executor=executor
        )
    if as_json:
        content = {"limits": [item.to_dict() for item in found.limits], "joint": [i.to_dict() for i in found.joint]}
        click.echo(json.dumps({"schema": "nuemstat/limits/1"} | content, indent=1))
    else:
        _print(found.limits, cl)
        _print_joint(found.joint)
    warned = [(item.coupling, label(item), text) for item in found.limits for text in item.warnings]
    warned += [(item.coupling, JOINT, text) for item in found.joint for text in item.warnings]
    for coupling, who, text in dict.fromkeys(warned):
        note(f"warning: {coupling}, {who}: {text}")
    note(f"wrote {output}")


def _print(found: "Sequence[Limit]", cl: float) -> None:
    from nuemstat.main_job import label

    labels = list(dict.fromkeys(label(item) for item in found))
    cells = {(item.coupling, label(item)): _cell(item.coupling, item.intervals) for item in found}
    first = {item.coupling: item for item in found}
    rows = [(name, _unit(item), *(cells.get((name, who), "-") for who in labels)) for name, item in first.items()]
    print_table(("coupling", "unit", *labels), rows, title=f"{100 * cl:g} % limits")


def _print_joint(found: "Sequence[JointLimit]") -> None:
    """The joint limits taken apart: one row for all, then one for each experiment that matters."""
    if not found:
        return
    rows = []
    for item in found:
        match = item.compatibility
        agreement = "" if match is None else match.stated
        rows.append((item.coupling, _unit(item), "nobody", "", _cell(item.coupling, item.intervals), agreement))
        for name, share in sorted(item.shares.items(), key=lambda pair: -pair[1]):
            left = item.without[name]
            if left is not None:
                cell = _cell(item.coupling, left) if left else "no other holds it"
                rows.append((item.coupling, "", name, f"{100 * share:.1f} %", cell, ""))
    title = f"joint limits with one experiment left out (shares of Delta chi2 below {100 * found[0].cut:g} % not shown)"
    print_table(("coupling", "unit", "left out", "share", "limits", "agreement"), rows, title=f"\n{title}")


def _unit(item: "Limit | JointLimit") -> str:
    scale = _scale(item.coupling)
    return item.unit if scale == 1 else f"{scale:.0e} {item.unit}"


def _scale(coupling: str) -> float:
    from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

    name = UNIVERSAL[coupling][0] if coupling in UNIVERSAL else coupling
    return COUPLINGS[name].scale if name in COUPLINGS else 1.0


def _cell(coupling: str, intervals: "Intervals") -> str:
    """The set in units of the coupling's scale; an even coupling that reaches down to 0 is '< upper end'."""
    scale = _scale(coupling)
    ends = [["open" if end is None else f"{end / scale:.3g}" for end in pair] for pair in intervals]
    if len(ends) == 1 and intervals[0][0] == 0 and intervals[0][1] is not None:
        return f"< {ends[0][1]}"
    return " u ".join(f"[{low}, {high}]" for low, high in ends) or "empty"
