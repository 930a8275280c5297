"""Pieces of HTML: every text is escaped here, every table gets its headers here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what is shown, what it is sorted by (the text itself when None), and a CSS class."""

    text: str
    key: float | None = None
    style: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table; experiment, coupling : what it belongs to when things are picked, '' for all."""

    cells: tuple[Cell, ...]
    experiment: str = ""
    coupling: str = ""


def cell(text: object, key: float | None = None, style: str = "") -> Cell:
    """A cell of any text."""
    return Cell(str(text), key, style)


def number(value: float | None, digits: int = 3, missing: str = "") -> Cell:
    """A number with its digits, sorted by its value; `missing` for None."""
    return Cell(missing) if value is None else Cell(f"{value:.{digits}g}", value, "number")


def belonging(experiment: str = "", coupling: str = "") -> str:
    """Attributes by which the script picks what an element belongs to."""
    pairs = (("experiment", experiment), ("coupling", coupling))
    return "".join(f' data-{key}="{escape(value)}"' for key, value in pairs if value)


def table(caption: str, columns: Sequence[str], rows: Iterable[Row], *, identity: str) -> str:
    """A table that can be sorted and filtered, in a box that scrolls where it is too wide; columns without any text
    are left out."""
    rows = list(rows)
    used = [i for i in range(len(columns)) if not rows or any(row.cells[i].text for row in rows)]
    columns = [columns[i] for i in used]
    rows = [replace(row, cells=tuple(row.cells[i] for i in used)) for row in rows]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "\n".join(_row(row) for row in rows)
    return (
        f'<div class="tools"><label>Filter <input type="search" data-filter="{identity}"></label> '
        f'<output data-count="{identity}"></output></div>\n'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table id="{identity}"><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _row(row: Row) -> str:
    first, *others = row.cells
    cells = f'<th scope="row"{_attributes(first)}>{escape(first.text)}</th>'
    cells += "".join(f"<td{_attributes(item)}>{escape(item.text)}</td>" for item in others)
    return f"<tr{belonging(row.experiment, row.coupling)}>{cells}</tr>"


def _attributes(item: Cell) -> str:
    key = "" if item.key is None else f' data-key="{item.key:.9g}"'
    return key + (f' class="{item.style}"' if item.style else "")


def section(identity: str, title: str, *parts: str) -> str:
    """A section of the page under a heading of the second level."""
    body = "\n".join(part for part in parts if part)
    return f'<section id="{identity}" aria-labelledby="{identity}-title">\n' \
           f'<h2 id="{identity}-title">{escape(title)}</h2>\n{body}\n</section>'  # fmt: skip


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def heading(text: str) -> str:
    """A heading of the third level."""
    return f"<h3>{escape(text)}</h3>"
