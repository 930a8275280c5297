"""The tables of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

from nuemstat.published_limits import PublishedLimit, names
from nuemstat.report import html
from nuemstat.report.content import LimitEntry, Results
from nuemstat.report.history import Theirs
from nuemstat.report.html import Row, cell, number
from nuemstat.report.joint import written
from nuemstat.stats.results import FitResult
from nuemstat.workspace.bins import expanded
from nuemstat.workspace.combine import sharing
from nuemstat.workspace.document import Workspace

Rows = Sequence[Mapping[str, Any]]
_FAR = 0.1
"""From 1: ratios of ours to published ones that are remarked on."""


def limits(results: Results, published: Mapping[tuple[str, str], Theirs]) -> str:
    """Every limit: observed, expected with its band and the distance from it, published and their ratio.

    published : from the same data, by experiment and coupling. Where the ratio is far from 1, the remark says what is
    known of the reason.
    """
    rows = []
    for entry in results.limits:
        key = (entry.experiment, entry.coupling)
        theirs = published.get(key)
        ratio = None if theirs is None else theirs.ratio(entry.intervals)
        remark = "; ".join(entry.warnings) if entry.warnings else ("" if entry.valid else "not valid")
        if theirs is not None and (ratio is None or abs(ratio - 1) > _FAR):
            remark = "; ".join(part for part in (remark, _reason(entry.experiment, theirs)) if part)
        cells = (
            cell(entry.experiment),
            cell(entry.coupling),
            cell(entry.unit),
            number(entry.upper_limit, missing="open"),
            *_expected(entry),
            number(None if theirs is None else theirs.size),
            number(ratio),
            number(entry.best_fit),
            cell(written(entry.intervals), style="set"),
            cell(remark, style="remark"),
        )
        rows.append(Row(cells, entry.experiment, entry.coupling))
    level = results.limits[0].cl
    columns = ("experiment", "coupling", "unit", "largest |value|", "expected", "expected, 68 %", "z",
               "knowing the bound", "published", "ratio", "best fit", "observed set", "remarks")  # fmt: skip
    return html.table(f"Limits at {100 * level:g} %", columns, rows, identity="limits-table")


def _reason(experiment: str, theirs: Theirs) -> str:
    """Why ours and theirs differ, as far as known."""
    variant = "" if theirs.workspace == experiment else f"compared like for like by `{theirs.workspace}`"
    return "; ".join(part for part in (theirs.note, variant) if part)


def _expected(entry: LimitEntry) -> tuple[html.Cell, ...]:
    """Largest |value| of the median (of Asimov data where no more is known), its 68 % band by the outer end, how far
    the observed one is off in sigma, and the largest |value| with thresholds that know of the bound."""
    known = entry.expected or {}
    middle, spread, z = known.get("median") or known.get("asimov"), known.get("band68"), known.get("z")
    aware = entry.boundary_aware or {}
    at_bound = number(aware["upper_limit"], missing="open") if aware else cell("")
    if middle is None:
        return cell(""), cell(""), cell(""), at_bound
    side = max(("upper", "lower"), key=lambda name: _last(middle[name]))
    band = None if spread is None else sorted((None if e is None else abs(e) for e in spread[side]), key=_last)
    return (
        number(None if middle[side] is None else abs(middle[side]), missing="open"),
        cell("") if band is None else _band(band),
        cell("" if z is None else f"{z:+.2f}", z, "number"),
        at_bound,
    )


def _last(end: float | None) -> float:
    """The size of an end, an open one last."""
    return float("inf") if end is None else abs(end)


def _band(ends: Sequence[float | None]) -> html.Cell:
    low, high = ("open" if end is None else f"{end:.3g}" for end in ends)
    return html.Cell(f"{low} … {high}", ends[1], "number")


def history(published: Sequence[PublishedLimit]) -> str:
    """The published limits behind the pictures by year, radii in our convention."""
    known = names(published)
    rows = [
        Row(
            (
                cell(row.experiment),
                cell(row.year, row.year),
                cell(row.coupling),
                cell(row.flavour),
                cell(row.written, row.size, "set"),
                cell(row.unit),
                cell(row.cl + (" %" if row.cl[0].isdigit() else "")),
                cell(row.kind.replace("_", " ")),
                cell(row.origin),
                cell(row.status, style="quoted" if row.status == "quoted" else ""),
                cell(row.read_in, style="remark"),
                cell(row.source, style="remark"),
                cell(row.remarks(known), style="remark"),
            )
        )
        for row in published
    ]
    columns = ("experiment", "year", "coupling", "flavour", "limit", "unit", "level", "kind", "by", "status", "read in",
               "source", "remarks")  # fmt: skip
    return html.table("Published limits by year", columns, rows, identity="history-table")


def pulls(fit: FitResult, workspace: Workspace) -> str:
    """Nuisances at the best fit."""
    rows, workspace = [], expanded(workspace)
    for name, item in fit.nuisances.items():
        parameter = workspace.parameter(name)
        error = None if item.error is None or item.pull is None else item.error / parameter.sigma
        rows.append(
            Row(
                (
                    cell(name),
                    cell(parameter.quantity),
                    number(item.value, 4),
                    number(item.error),
                    cell("" if item.pull is None else f"{item.pull:+.2f}", item.pull, "number"),
                    number(error, 2),
                    cell(getattr(parameter, "group", "free")),
                )
            )
        )
    columns = ("nuisance", "quantity", "best fit", "error", "pull", "error / sigma", "group")
    return html.table("Nuisances at the best fit", columns, rows, identity="pulls-table")


def shared(members: Sequence[Workspace]) -> str:
    """Who shares which nuisance."""
    rows = []
    for item in sharing(members):
        first = next(w for w in members if w.name == item.workspaces[0]).parameter(item.name)
        rows.append(
            Row(
                (
                    cell(item.name),
                    cell(item.quantity),
                    cell(", ".join(item.workspaces)),
                    cell(len(item.workspaces), len(item.workspaces), "number"),
                    cell(getattr(first, "source", "")),
                )
            )
        )
    columns = ("parameter", "quantity", "experiments", "how many", "source")
    if not rows:
        return html.paragraph("The experiments share no parameter besides the couplings.")
    return html.table("Shared parameters", columns, rows, identity="shared-table")


def validation(rows_found: Rows) -> str:
    """Ours against published, with reasons."""
    from nuemstat.published import written as as_published

    rows = []
    for row in rows_found:
        ours, deviation = row.get("ours"), row.get("deviation")
        verdict = str(row.get("verdict", ""))
        still = f"open: {row['open']}" if row.get("open") else ""
        reason = "; ".join(text for text in (row.get("reason"), still, row.get("note")) if text)
        rows.append(
            Row(
                (
                    cell(row["experiment"]),
                    cell(row["quantity"]),
                    cell(as_published(tupled(row["published"]))),
                    cell("" if ours is None else as_published(tupled(ours))),
                    cell(row["unit"]),
                    cell("" if deviation is None else f"{deviation:+.1%}", deviation, "number"),
                    cell(row.get("tolerance") or ""),
                    cell(verdict, style=f"verdict {verdict}"),
                    cell(row.get("counts_as") or ""),
                    cell(row["workspace"]),
                    cell(f"{row['source']} ({row['status']})"),
                    cell(reason, style="remark"),
                ),
                experiment=str(row["experiment"]),
            )
        )
    columns = ("experiment", "quantity", "published", "ours", "unit", "deviation", "tolerance", "verdict",
               "counts as", "computed with", "source (status)", "reason")  # fmt: skip
    return html.table("Ours against published", columns, rows, identity="validation-table")


def tupled(value: Any) -> Any:
    """Intervals as JSON has them, as the validation writes them."""
    return tuple(tupled(item) for item in value) if isinstance(value, list | tuple) else float(value)


def provenance(members: Sequence[Workspace]) -> str:
    """Where each workspace comes from."""
    rows = []
    for workspace in members:
        for entry in workspace.provenance:
            variants = ", ".join(f"{group}={option}" for group, option in entry.variants.items())
            schemes = ", ".join(f"{key}: {value}" for key, value in (entry.schemes | workspace.choices).items())
            inputs = ", ".join(f"{name} {digest[:12]}" for name, digest in entry.inputs.items())
            rows.append(
                Row(
                    (
                        cell(workspace.name),
                        cell(variants or "none"),
                        cell(schemes),
                        cell(f"nuemstat {entry.version}"),
                        cell(workspace.digest.removeprefix("sha256:")[:16]),
                        cell(inputs, style="remark"),
                        cell("; ".join(entry.notes), style="remark"),
                    ),
                    workspace.name,
                )
            )
    columns = ("workspace", "variants", "schemes", "made with", "digest", "inputs (sha256)", "notes")
    return html.table("Workspaces and their inputs", columns, rows, identity="provenance-table")
