"""``nuemstat limits``: the main job."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from nuemstat.cli.options import as_json as json_option
from nuemstat.cli.options import expected as expected_option
from nuemstat.cli.options import level
from nuemstat.cli.options import mixed as mixed_option
from nuemstat.cli.options import overlap as overlap_option
from nuemstat.cli.output import note, print_table, progress
from nuemstat.cli.toys import toys_for_expected

if TYPE_CHECKING:
    from nuemstat.choices import ChoiceLimit
    from nuemstat.stats.joint import Intervals, JointLimit
    from nuemstat.stats.results import Limit

WIDTH = 110
"""Columns that no line of the tables and warnings exceeds."""


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
@click.option("--choices", is_flag=True, help="Compare joint limits for every choice, such as ge_quenching; a minute.")
@mixed_option
@overlap_option
@expected_option
@click.option("--toys", type=click.IntRange(min=20), metavar="N", help="Toys behind --expected, 200 without it.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of these toys.")
@level
@json_option
def limits_command(
    output: Path,
    models: tuple[str, ...],
    couplings: tuple[str, ...],
    processes: int,
    no_shares: bool,
    choices: bool,
    mixed: tuple[str, ...],
    overlap: bool,
    expected: bool | None,
    toys: int | None,
    seed: int,
    cl: float,
    as_json: bool,
) -> None:
    """Limits of the shipped experiments and of their joint fit, as tables, pictures, limits.json and joint.json.

    The joint limits are taken apart: the share of each experiment in Delta chi2 at the ends of the set, whether the
    experiments agree (parameter goodness of fit), and the limits without each experiment in turn. --choices adds the
    joint limits for each description that experiments take from several, on the couplings of the electron flavour or
    those asked for.
    Beside each limit stands what data without new physics would give: the median with its 68 % band and the distance
    z of the observed limit from it in sigma for even couplings, and the set with thresholds that know of their bound;
    the Asimov set for signed ones.
    """
    toys_for_expected(toys, expected)
    from nuemstat.main_job import JOINT, label, run
    from nuemstat.stats.execution import open_executor

    with (
        open_executor("local" if processes == 1 else "processes", workers=processes) as executor,
        progress("compiling") as step,
    ):
        found = run(
            models or None, couplings or None, output, level=cl, apart=not no_shares, mixed=mixed, overlap=overlap,
            choices=choices, expected=expected, toys=toys, seed=seed, progress=step, executor=executor,
        )  # fmt: skip
    if as_json:
        content = {"limits": [item.to_dict() for item in found.limits], "joint": [i.to_dict() for i in found.joint]}
        content |= {"choices": [item.to_dict() for item in found.choices]} if choices else {}
        click.echo(json.dumps({"schema": "nuemstat/limits/1"} | content, indent=1))
    else:
        _print(found.limits, cl)
        _print_joint(found.joint)
        _print_choices(found.choices)
    if choices and not found.choices:
        note("none of the experiments makes a choice; there is nothing to compare")
    _warn([*((label(item), item) for item in found.limits), *((JOINT, item) for item in found.joint)])
    note(f"wrote {output}")


def _warn(found: "Sequence[tuple[str, Limit | JointLimit]]") -> None:
    """Each warning of each set of limits in one line, without the couplings where all of them have it."""
    having: dict[tuple[str, str], list[str]] = {}
    for who, item in found:
        for text in item.warnings:
            having.setdefault((who, text), []).append(item.coupling)
    for (who, text), names in having.items():
        every = {item.coupling for other, item in found if other == who}
        couplings = "" if set(names) == every and len(every) > 1 else f"{', '.join(dict.fromkeys(names))}, "
        line = f"warning: {couplings}{who}: {text}"
        note("\n".join(wrap(line, WIDTH - len("nuemstat: "), subsequent_indent="  ")))


def _print(found: "Sequence[Limit]", cl: float) -> None:
    """One block for each coupling, experiments as rows; columns that nobody fills are left out."""
    heads = ("experiment", "observed", "expected", "expected 68 %", "z", "knowing the bound")
    for name in dict.fromkeys(item.coupling for item in found):
        own = [item for item in found if item.coupling == name]
        rows = [_row(item) for item in own]
        kept = [i for i in range(len(heads)) if i < 2 or any(row[i] for row in rows)]
        title = f"{name} [{_unit(own[0])}], {100 * cl:g} % limits"
        if own[0] is not found[0]:
            click.echo()
        print_table([heads[i] for i in kept], [[row[i] for i in kept] for row in rows], title=title, most=WIDTH)


def _row(item: "Limit") -> tuple[str, ...]:
    from nuemstat.main_job import label

    known = item.expected or {}
    middle, z = known.get("median") or known.get("asimov"), known.get("z")
    expected = "" if middle is None else _cell(item.coupling, ((middle["lower"], middle["upper"]),))
    aware = "" if item.boundary_aware is None else _cell(item.coupling, item.boundary_aware["intervals"])
    return (
        label(item), _cell(item.coupling, item.intervals), expected, _band(item.coupling, known.get("band68")),
        "" if z is None else f"{z:+.2f}", aware,
    )  # fmt: skip


def _band(coupling: str, band: "Mapping[str, Any] | None") -> str:
    """The band of each end that moves, in units of the coupling's scale."""
    if band is None:
        return ""
    pairs = [band[side] for side in ("lower", "upper") if band[side][0] != band[side][1]]
    return "\n".join(" to ".join(_end(end, _scale(coupling)) for end in pair) for pair in pairs)


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
    print_table(("coupling", "unit", "left out", "share", "limits", "agreement"), rows, title=f"\n{title}", most=WIDTH)


def _print_choices(found: "Sequence[ChoiceLimit]") -> None:
    """The joint limits for every value of a choice, and without those that make it."""
    rows = [
        (f.coupling, _unit(f), f.choice, f.members, _cell(f.coupling, f.intervals), f"{f.q_min:.1f}", f.remark)
        for f in found
    ]  # fmt: skip
    if rows:
        head = ("coupling", "unit", "choice", "members", "limits", "2 NLL", "")
        print_table(head, rows, title="\njoint limits for every choice", most=WIDTH)


def _unit(item: "Limit | JointLimit | ChoiceLimit") -> str:
    scale = _scale(item.coupling)
    return item.unit if scale == 1 else f"{scale:.0e} {item.unit}"


def _scale(coupling: str) -> float:
    from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

    name = UNIVERSAL[coupling][0] if coupling in UNIVERSAL else coupling
    return COUPLINGS[name].scale if name in COUPLINGS else 1.0


def _cell(coupling: str, intervals: "Intervals") -> str:
    """The set in units of the coupling's scale, a line for each interval; one that reaches down to the bound 0 of an
    even coupling is '< upper end'."""
    scale = _scale(coupling)
    ends = [[_end(end, scale) for end in pair] for pair in intervals]
    if len(ends) == 1 and intervals[0][0] == 0 and intervals[0][1] is not None:
        return f"< {ends[0][1]}"
    return " u\n".join(f"[{low}, {high}]" for low, high in ends) or "empty"


def _end(end: float | None, scale: float) -> str:
    return "open" if end is None or math.isinf(end) else f"{end / scale:.3g}"
