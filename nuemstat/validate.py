"""Ours against published: computes every row of validation/<experiment>.yaml and says what breaks a tolerance.

The format of the files is in `nuemstat.published`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from nuemstat.errors import ModelError, NuemstatError, suggestion
from nuemstat.ours import Engine
from nuemstat.published import Counted, Document, Row, Value, as_intervals, read, scales, written
from nuemstat.sidebyside import Beside, StandardFit, beside, standard_fit, tables

Verdict = Literal["agrees", "differs", "broken", "shown", "failed"]

FAR = 0.25
"""Relative; a larger difference names a number that was varied and what it did, or is listed as open."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours beside published.

    deviation : the largest (ours - published) of an end, relative to it (half the interval's width where the end
        is near zero); None when they cannot be compared. reason : what broke, or why ours is missing.
    counts_as, same_as : what the row is in the count of published numbers, and the row that holds the same number.
    open : what is not understood of a difference beyond `FAR`, "" where a cause is named or none is needed.
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
    tolerance_from: str = ""
    counts_as: Counted = "shown"
    same_as: str = ""
    open: str = ""

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


@dataclass(frozen=True, slots=True)
class Report:
    """All that is computed: rows against published numbers, ours beside ours, fits of the Standard Model."""

    rows: tuple[Comparison, ...]
    beside: tuple[Beside, ...]
    fits: tuple[StandardFit, ...]


def run(
    names: Sequence[str] | None = None, *, progress: Callable[[int, int, str], None] | None = None
) -> list[Comparison]:
    """The rows of `report` alone.

    Raises
    ------
    ModelError : no published numbers of that name, or a file that does not fit.
    """
    return list(report(names, beside_too=False, progress=progress).rows)


def report(
    names: Sequence[str] | None = None,
    *,
    beside_too: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Compute every row of the named experiments (or files); all shipped ones when None.

    beside_too : compute as well what stands side by side, and how well the Standard Model fits each experiment.

    Raises
    ------
    ModelError : no published numbers of that name, or a file that does not fit.
    """
    documents = [read(_path(name)) for name in (shipped() if names is None else names)]
    engine = Engine()
    rows = [(document, row) for document in documents for row in document.rows]
    pairs = [(document, row) for document in documents for row in document.side_by_side if beside_too]
    tested = [document.experiment for document in documents if beside_too]
    done, total = 0, len(rows) + len(pairs) + len(tested)

    def step(text: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total, text)

    compared: list[Comparison] = []
    for document, row in rows:
        compared.append(_compare(document, row, engine))
        step(f"{document.experiment}, {row.quantity}")
    answers: list[Beside] = []
    for document, question in pairs:
        answers.append(beside(document, question, engine))
        step(f"{document.experiment}, {question.quantity}")
    fits: list[StandardFit] = []
    for experiment in tested:
        fits += [found] if (found := standard_fit(experiment, engine)) is not None else []
        step(f"{experiment}, goodness of fit")
    return Report(tuple(compared), tuple(answers), tuple(fits))


def _path(name: str) -> Path:
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    known = shipped()
    if name not in known:
        hint = suggestion(name, list(known))
        raise ModelError(f"no published numbers for {name!r}; there are {', '.join(known)}{hint}")
    return known[name]


def _compare(document: Document, row: Row, engine: Engine) -> Comparison:
    ours: Value | None = None
    try:
        ours = engine.value(row.workspace, row.compute, row.published)
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
        status=_status(row),
        note="; ".join(text for text in (row.varied, row.note) if text),
        tolerance_from=row.tolerance_from or "",
        counts_as=row.counts_as,
        same_as=row.same_as or row.input or "",
        open=_open(row, deviation, verdict),
    )


def _status(row: Row) -> str:
    """The status with where the number was read and the condition that it holds under."""
    parts = (row.status, row.read_at, f"conditional: {row.conditional}" if row.conditional else None)
    return ", ".join(part for part in parts if part)


def _open(row: Row, deviation: float | None, verdict: Verdict) -> str:
    """What is not understood of a row: its own words, or that a far number names no cause."""
    if row.open is not None:
        return row.open
    far = deviation is not None and abs(deviation) > FAR and row.status != "memory"
    far &= row.tolerance is None or row.tolerance.factor is None or verdict != "agrees"
    return "no cause is named" if far and row.varied is None else ""


def _verdict(row: Row, within: bool) -> Verdict:
    if row.tolerance is None:
        return "shown"
    return "agrees" if within else "broken" if row.gated else "differs"


def _judge(row: Row, ours: Value) -> tuple[float | None, bool, str]:
    """Largest relative deviation over the ends, whether all are within the tolerance, and the reason if not."""
    meant = _meant(row.published, ours)
    published, found = as_intervals(meant), as_intervals(ours)
    if len(published) != len(found):
        return None, False, f"{len(found)} intervals where {len(published)} are published"
    largest, within = 0.0, True
    for ends, mines, sizes in zip(published, found, scales(meant), strict=True):
        for end, (theirs, mine, size) in enumerate(zip(ends, mines, sizes, strict=True)):
            largest = max(largest, (mine - theirs) / size if size else 0.0, key=abs)
            within &= row.tolerance is None or row.tolerance.allows(mine, theirs, size, end)
    return largest, within, f"ours {written(ours)}, published {written(row.published)} {row.unit}, {row.tolerance}"


def _meant(published: Value, ours: Value) -> Value:
    """What is published; of a printed range beside one number of ours, the number in it that is nearest."""
    if isinstance(ours, tuple) or len(as_intervals(published)) != 1:
        return published
    ((lo, hi),) = as_intervals(published)
    return min(max(ours, lo), hi)


def counts(rows: Sequence[Comparison]) -> dict[str, int]:
    """How many published numbers stand behind the rows; an interval is one.

    rows = independent + repeated + input + memory; independent = gated + shown; agree: gated ones within their
    tolerance; open: rows with a difference that no named cause explains.
    """
    found = {name: sum(row.counts_as == name for row in rows) for name in get_args(Counted)}
    return {
        "rows": len(rows),
        "independent": found["gated"] + found["shown"],
        **found,
        "agree": sum(row.counts_as == "gated" and row.verdict == "agrees" for row in rows),
        "open": sum(bool(row.open) for row in rows),
    }


def summary(rows: Sequence[Comparison]) -> str:
    """`counts` in one sentence."""
    n = counts(rows)
    return (
        f"{n['rows']} rows, {n['independent']} independent published numbers: {n['gated']} gated ({n['agree']} agree), "
        f"{n['shown']} shown; {n['repeated']} repeat another row, {n['input']} are inputs, {n['memory']} from memory "
        f"count as nothing; {n['open']} open"
    )


def to_json(found: Report) -> str:
    """All of it as one JSON object."""
    content = {
        "schema": "nuemstat/comparison/1",
        "broken": sum(row.verdict == "broken" for row in found.rows),
        "counts": counts(found.rows),
        "rows": [asdict(row) for row in found.rows],
        "side_by_side": [asdict(row) for row in found.beside],
        "standard_model": [asdict(fit) for fit in found.fits],
    }
    return json.dumps(content, indent=1)


def markdown(found: Report) -> str:
    """The report: one table per experiment, what stands side by side, and the fits of the Standard Model."""
    lines = ["# Ours against published", "", "Written by `nuemstat validate --report FILE`; do not edit.", ""]
    lines += ["Gated rows fail the command when their tolerance is broken; the others are shown.", ""]
    lines += [f"{summary(found.rows)}.", "", *_HOW_COUNTED, ""]
    for title in dict.fromkeys(row.title for row in found.rows):
        lines += [f"## {title}", "", *_table(_COLUMNS, (_line(row) for row in found.rows if row.title == title)), ""]
    shown = set()
    for title, columns, cells in tables(found.beside):
        lines += [] if title in shown else [f"## {title}, side by side", ""]
        shown.add(title)
        remarks = {row.quantity: row.remarks for row in found.beside if row.title == title}
        lines += [*_table((*columns, "note"), ((*row, remarks[row[0]]) for row in cells)), ""]
    unsolved = [row for row in found.rows if row.open]
    if unsolved:
        lines += ["## Open differences", "", *_table(_OPEN_COLUMNS, (_open_line(row) for row in unsolved)), ""]
    if found.fits:
        lines += ["## Goodness of fit of the Standard Model", ""]
        lines += [*_table(_FIT_COLUMNS, (_fit_line(fit) for fit in found.fits)), ""]
    return "\n".join(lines)


def _line(row: Comparison) -> tuple[str, ...]:
    still = f"open: {row.open}" if row.open else ""
    why = "; ".join(text for text in (row.reason if row.verdict == "failed" else "", still, row.note) if text)
    counted = row.counts_as + (f": {row.same_as}" if row.same_as else "")
    return (*row.cells()[1:], row.tolerance_from, counted, f"`{row.workspace}`", f"{row.source} ({row.status})", why)


def _open_line(row: Comparison) -> tuple[str, ...]:
    deviation = "-" if row.deviation is None else f"{row.deviation:+.1%}"
    return (row.experiment, row.quantity, deviation, row.open)


def _fit_line(fit: StandardFit) -> tuple[str, ...]:
    size = "-" if fit.q_min is None else f"{fit.q_min:.1f}"
    return (fit.experiment, size, "-" if fit.ndof is None else str(fit.ndof), fit.p_text, fit.remark)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for cells in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_COLUMNS = (
    "quantity",
    "published",
    "ours",
    "unit",
    "deviation",
    "tolerance",
    "verdict",
    "tolerance from",
    "counts as",
    "computed with",
    "source (status)",
    "note",
)
_OPEN_COLUMNS = ("experiment", "quantity", "deviation", "what is not understood")
_HOW_COUNTED = (
    "A row counts as one published number, whether number or interval. It does not count if it repeats the number",
    "of another row (over alpha, half a radius, another variant), if the model holds the number as an input, or",
    "if the number is from memory; those are compared with nothing. A tolerance is one unit of the last printed",
    "digit, at most the printed error, or follows from a stated difference of inputs; no gate is wider than 25 %,",
    "except a factor beside a number that was printed as an order of magnitude. Where ours differs by more than",
    "25 %, the row names a number that was varied and what that did, or is listed as open.",
)
_FIT_COLUMNS = ("experiment", "2 NLL", "degrees of freedom", "p", "remark")
