"""Ours against published: computes every row of validation/<experiment>.yaml and says what breaks a tolerance.

The format of the files is in `nuemstat.published`.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nuemstat.errors import ModelError, NuemstatError, suggestion
from nuemstat.published import (
    Document,
    ExpectedOf,
    FitOf,
    LimitOf,
    Row,
    SignificanceOf,
    Value,
    YieldOf,
    as_intervals,
    read,
)
from nuemstat.workspace.document import Workspace

if TYPE_CHECKING:
    from nuemstat.stats.results import FitResult, Limit

Verdict = Literal["agrees", "differs", "broken", "shown", "failed"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours beside published.

    deviation : the largest (ours - published) of an end, relative to it (half the interval's width where the end
        is near zero); None when they cannot be compared. reason : what broke, or why ours is missing.
    """

    experiment: str
    title: str
    quantity: str
    workspace: str
    published: Value
    ours: Value | None
    unit: str
    deviation: float | None
    tolerance: str
    gated: bool
    verdict: Verdict
    reason: str
    source: str
    status: str
    note: str

    def cells(self) -> tuple[str, ...]:
        """The row of the table that the command line prints."""
        deviation = "" if self.deviation is None else f"{self.deviation:+.1%}"
        tolerance = self.tolerance + ("" if self.gated or not self.tolerance else ", not gated")
        ours = "-" if self.ours is None else written(self.ours)
        published = written(self.published)
        return (self.experiment, self.quantity, published, ours, self.unit, deviation, tolerance, self.verdict)


def shipped() -> dict[str, Path]:
    """The shipped files of published numbers by experiment."""
    from nuemstat import resources

    return {path.stem: path for path in sorted(resources.validation_folder().glob("*.yaml"))}


def run(
    names: Sequence[str] | None = None, *, progress: Callable[[int, int, str], None] | None = None
) -> list[Comparison]:
    """Compute every row of the named experiments (or files); all shipped ones when None.

    Raises
    ------
    ModelError : no published numbers of that name, or a file that does not fit.
    """
    documents = [read(_path(name)) for name in (shipped() if names is None else names)]
    engine = _Engine()
    total = sum(len(document.rows) for document in documents)
    found: list[Comparison] = []
    for document in documents:
        for row in document.rows:
            found.append(_compare(document, row, engine))
            if progress is not None:
                progress(len(found), total, f"{document.experiment}, {row.quantity}")
    return found


def _path(name: str) -> Path:
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    known = shipped()
    if name not in known:
        hint = suggestion(name, list(known))
        raise ModelError(f"no published numbers for {name!r}; there are {', '.join(known)}{hint}")
    return known[name]


class _Engine:
    """Computes what rows ask for; what several rows share is computed once."""

    def __init__(self) -> None:
        self.workspace = cache(self._workspace)
        self._fits: dict[str, FitResult] = {}
        self._limits: dict[str, Limit] = {}

    @staticmethod
    def _workspace(specs: tuple[str, ...]) -> Workspace:
        from nuemstat.study import joined

        return joined(specs)[0]

    def value(self, row: Row) -> Value:
        """Our number for a row."""
        specs = (row.workspace,) if isinstance(row.workspace, str) else row.workspace
        compute, workspace = row.compute, self.workspace(specs)
        if isinstance(compute, ExpectedOf):
            from nuemstat.study import nominal_yields

            return _counts(nominal_yields(workspace, compute.at), compute)
        if isinstance(compute, LimitOf):
            return _of_limit(self._limit(workspace, compute), compute, row.published)
        if isinstance(compute, SignificanceOf):
            return self._significance(workspace, compute)
        result = self._fit(workspace, compute)
        return _counts(result.yields, compute) if isinstance(compute, YieldOf) else _of_fit(result, compute)

    def _limit(self, workspace: Workspace, compute: LimitOf) -> "Limit":
        from nuemstat.stats.intervals import limit

        key = workspace.digest + compute.model_dump_json(exclude={"take", "times"})
        if key not in self._limits:
            self._limits[key] = limit(
                workspace,
                compute.coupling,
                cl=compute.cl,
                method=compute.method,
                data=compute.data,
                free=compute.free,
                fixed=compute.fixed,
            )
        return self._limits[key]

    def _fit(self, workspace: Workspace, compute: FitOf | YieldOf) -> "FitResult":
        from nuemstat.stats.minimise import fit

        key = workspace.digest + compute.model_dump_json(include={"data", "free", "fixed"})
        if key not in self._fits:
            self._fits[key] = fit(workspace, free=compute.free, fixed=compute.fixed, data=compute.data)
        return self._fits[key]

    @staticmethod
    def _significance(workspace: Workspace, compute: SignificanceOf) -> float:
        from nuemstat.stats.intervals import significance

        found = significance(
            workspace, compute.coupling, compute.at, data=compute.data, free=compute.free, fixed=compute.fixed
        )
        return found.sigma


def _of_limit(found: "Limit", compute: LimitOf, published: Value) -> Value:
    if compute.take == "best_fit":
        return found.best_fit * compute.times
    if compute.take == "upper_limit":
        if found.upper_limit is None:
            raise ModelError("the limit lies outside the scanned range")
        return found.upper_limit * compute.times
    times = compute.times
    closed = [(lo * times, hi * times) for lo, hi in found.intervals if lo is not None and hi is not None]
    if len(closed) != len(found.intervals) or not closed:
        raise ModelError("an end of our interval lies outside the scanned range")
    if compute.take == "intervals":
        return tuple(closed)
    (lo, hi), *_ = as_intervals(published)
    return min(closed, key=lambda interval: abs(interval[0] - lo) + abs(interval[1] - hi))


def _of_fit(result: "FitResult", compute: FitOf) -> float:
    if compute.take == "q_min":
        return result.q_min
    if compute.take == "p_value":
        if not math.isfinite(result.p_value):
            raise ModelError("this fit has no p-value")
        return result.p_value
    nuisance = compute.take in ("nuisance", "pull")
    group: Mapping[str, Any] = result.nuisances if nuisance else result.couplings
    if compute.name is None or compute.name not in group:
        raise ModelError(f"no {compute.name!r} in the fit; it has {', '.join(group)}")
    entry = group[compute.name]
    return float(
        entry.error if compute.take == "coupling_error" else entry.pull if compute.take == "pull" else entry.value
    )


def _counts(yields: Mapping[str, Mapping[str, float]], compute: YieldOf | ExpectedOf) -> float:
    for channel in compute.channels or ():
        if channel not in yields:
            raise ModelError(f"no channel {channel!r}; there are {', '.join(yields)}")
    chosen = [counts for name, counts in yields.items() if compute.channels is None or name in compute.channels]
    if not any(compute.process in counts for counts in chosen):
        known = sorted({process for counts in chosen for process in counts})
        raise ModelError(f"no process {compute.process!r}; there are {', '.join(known)}")
    return sum(counts.get(compute.process, 0.0) for counts in chosen)


def _compare(document: Document, row: Row, engine: _Engine) -> Comparison:
    ours: Value | None = None
    try:
        ours = engine.value(row)
        deviation, within, reason = _judge(row, ours)
        verdict = _verdict(row, within)
    except NuemstatError as error:
        deviation, reason = None, str(error)
        verdict = "broken" if row.gated else "failed"
    return Comparison(
        experiment=document.experiment,
        title=document.title,
        quantity=row.quantity,
        workspace=row.workspace if isinstance(row.workspace, str) else " + ".join(row.workspace),
        published=row.published,
        ours=ours,
        unit=row.unit,
        deviation=deviation,
        tolerance=str(row.tolerance or ""),
        gated=row.gated,
        verdict=verdict,
        reason=reason if verdict in ("broken", "failed", "differs") else "",
        source=row.source,
        status=row.status + (f", conditional: {row.conditional}" if row.conditional else ""),
        note=row.note or "",
    )


def _verdict(row: Row, within: bool) -> Verdict:
    if row.tolerance is None:
        return "shown"
    return "agrees" if within else "broken" if row.gated else "differs"


def _judge(row: Row, ours: Value) -> tuple[float | None, bool, str]:
    """Largest relative deviation over the ends, whether all are within the tolerance, and the reason if not."""
    published, found = as_intervals(row.published), as_intervals(ours)
    if len(published) != len(found):
        return None, False, f"{len(found)} intervals where {len(published)} are published"
    largest, within = 0.0, True
    for (lo, hi), ends in zip(published, found, strict=True):
        half_width = (hi - lo) / 2
        for end, (theirs, mine) in enumerate(zip((lo, hi), ends, strict=True)):
            difference = mine - theirs
            size = abs(theirs) if abs(theirs) >= half_width / 5 else half_width
            relative = difference / size if size else 0.0
            largest = max(largest, relative, key=abs)
            within &= _inside(row, difference, size, end)
    return largest, within, f"ours {written(ours)}, published {written(row.published)} {row.unit}, {row.tolerance}"


def _inside(row: Row, difference: float, size: float, end: int) -> bool:
    if row.tolerance is None:
        return True
    if row.tolerance.absolute is not None:
        return abs(difference) <= row.tolerance.absolute
    return abs(difference) <= (row.tolerance.at(end) or 0.0) * size


def written(value: Value) -> str:
    """A number, an interval or several, with four digits."""
    if not isinstance(value, tuple):
        return f"{value:.4g}"
    return " u ".join(f"[{lo:.4g}, {hi:.4g}]" for lo, hi in as_intervals(value))


def to_json(rows: Sequence[Comparison]) -> str:
    """All rows as one JSON object."""
    broken = sum(row.verdict == "broken" for row in rows)
    content = {"schema": "nuemstat/comparison/1", "broken": broken, "rows": [asdict(row) for row in rows]}
    return json.dumps(content, indent=1)


def markdown(rows: Sequence[Comparison]) -> str:
    """The report, one table per experiment."""
    lines = ["# Ours against published", "", "Written by `nuemstat validate --report FILE`; do not edit.", ""]
    lines += ["Gated rows fail the command when their tolerance is broken; the others are shown.", ""]
    for title in dict.fromkeys(row.title for row in rows):
        lines += [f"## {title}", "", "| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
        for row in rows:
            if row.title == title:
                why = "; ".join(text for text in (row.reason if row.verdict == "failed" else "", row.note) if text)
                source = f"{row.source} ({row.status})"
                cells = (*row.cells()[1:], f"`{row.workspace}`", source, why)
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


_COLUMNS = (
    "quantity",
    "published",
    "ours",
    "unit",
    "deviation",
    "tolerance",
    "verdict",
    "computed with",
    "source (status)",
    "note",
)
