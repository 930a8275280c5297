"""Ours beside ours: one question put to several variants, and how well the Standard Model fits each experiment."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nuemstat.errors import NuemstatError
from nuemstat.ours import Engine
from nuemstat.published import Document, SideBySide, Value, written
from nuemstat.workspace.document import Workspace

TOYS = 400
"""Thrown for the p-value where chi2 does not describe 2 NLL."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The answers to one question by column; a text says why there is none."""

    experiment: str
    title: str
    quantity: str
    unit: str
    published: Value | None
    ours: dict[str, Value | str]
    workspaces: dict[str, str]
    source: str
    note: str

    @property
    def remarks(self) -> str:
        """The note, and where the published number comes from."""
        return "; ".join(text for text in (self.note, f"published: {self.source}" if self.source else "") if text)

    def cells(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The row of a table with these columns."""
        published = "-" if self.published is None else written(self.published)
        return (self.quantity, self.unit, published, *(_cell(self.ours.get(name, "-")) for name in columns))


@dataclass(frozen=True, slots=True)
class StandardFit:
    """2 NLL of the best fit without new physics, relative to the saturated model.

    q_min, ndof : that, and bins minus unconstrained parameters, None where there is no fit;
    p_value : None where it has no meaning, `error` that of a share of toys (None for the asymptotic p-value).
    """

    experiment: str
    q_min: float | None
    ndof: int | None
    p_value: float | None
    error: float | None
    remark: str

    @property
    def p_text(self) -> str:
        """The p-value with its error, '-' where there is none."""
        if self.p_value is None:
            return "-"
        return f"{self.p_value:.2g}" + ("" if self.error is None else f" +- {self.error:.1g}")

    def __str__(self) -> str:
        p = "no p-value" if self.p_value is None else f"p = {self.p_text}"
        remark = f" ({self.remark})" if self.remark else ""
        fit = "no fit" if self.q_min is None else f"2 NLL = {self.q_min:.1f} for {self.ndof} degrees of freedom, {p}"
        return f"goodness of fit of the standard model, {self.experiment}: {fit}{remark}"


def beside(document: Document, row: SideBySide, engine: Engine) -> Beside:
    """The answers of all columns of a row."""
    ours: dict[str, Value | str] = {}
    for name, specs in row.workspaces.items():
        try:
            ours[name] = engine.value(specs, row.compute, row.published)
        except NuemstatError as error:
            ours[name] = str(error)
    return Beside(
        experiment=document.experiment,
        title=document.title,
        quantity=row.quantity,
        unit=row.unit,
        published=row.published,
        ours=ours | row.absent,
        workspaces={n: s if isinstance(s, str) else " + ".join(s) for n, s in row.workspaces.items()},
        source=row.source or "",
        note=row.note or "",
    )


def standard_fit(experiment: str, engine: Engine) -> StandardFit | None:
    """How well the Standard Model describes the data of a shipped model; None where `experiment` is not one with data.

    The p-value is asymptotic, or the share of toys where too many bins expect few counts for that; what the notes of
    the model say of it stands in the remark, or why there is no fit.
    """
    from nuemstat.model.loader import load_model, shipped_models

    if experiment not in shipped_models():
        return None
    model = load_model(experiment)
    if not model.has_data:
        return None
    if any(channel.observed == "asimov" for channel in model.document.channels.values()):
        return StandardFit(experiment, 0.0, 0, None, None, "its observation is the prediction itself")
    remarks = [note.rstrip(".") for note in model.document.notes if "goodness of fit" in note]
    try:
        return _tested(experiment, engine.workspace((experiment,)), remarks)
    except NuemstatError as error:
        return StandardFit(experiment, None, None, None, None, str(error))


def _tested(experiment: str, workspace: Workspace, remarks: Sequence[str]) -> StandardFit:
    from nuemstat.stats.goodness import goodness

    found = goodness(workspace)
    if not set(found.warnings) - set(workspace.warnings):
        p = found.p_value if math.isfinite(found.p_value) else None
        return StandardFit(experiment, found.q_min, found.ndof, p, None, "; ".join(remarks))
    toys = goodness(workspace, toys=TOYS).toys or {}
    remark = "; ".join([f"{TOYS} toys, as many bins expect fewer than 5 counts", *remarks])
    return StandardFit(experiment, found.q_min, found.ndof, toys.get("p_value"), toys.get("error"), remark)


def tables(rows: Sequence[Beside]) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Title, heads and cells of one table per title and set of columns."""
    keys = dict.fromkeys((row.title, tuple(row.ours)) for row in rows)
    for title, columns in keys:
        cells = [row.cells(columns) for row in rows if (row.title, tuple(row.ours)) == (title, columns)]
        yield title, ("quantity", "unit", "published", *columns), cells


def _cell(value: Value | str) -> str:
    return value if isinstance(value, str) else written(value)
