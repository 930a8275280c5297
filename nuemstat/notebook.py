"""How results show themselves in a notebook: the short table that they print, as HTML."""

import re
from html import escape


class AsHtml:
    """Gives a printable object its notebook form.

    What `str` gives is a title, then lines that are indented and whose cells stand two or more blanks apart, then
    remarks; the form is a table with the same title, rows and remarks.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        title, *lines = str(self).splitlines() or [""]
        rows = [re.split(r"\s{2,}", line.strip()) for line in lines if line.startswith("  ")]
        remarks = [line for line in lines if line.strip() and not line.startswith("  ")]
        width = max((len(row) for row in rows), default=1)
        body = "".join(_row(row, width) for row in rows)
        notes = "".join(f"<p>{escape(remark)}</p>" for remark in remarks)
        return f"<table><caption>{escape(title)}</caption><tbody>{body}</tbody></table>{notes}"


def _row(cells: list[str], width: int) -> str:
    """The first cell heads the row; the last one reaches to the right end."""
    first, *others = cells
    parts = [f'<th scope="row" style="text-align:left">{escape(first)}</th>']
    for index, cell in enumerate(others):
        missing = width - len(cells) + 1 if index == len(others) - 1 else 1
        span = f' colspan="{missing}"' if missing > 1 else ""
        parts.append(f'<td{span} style="text-align:left">{escape(cell)}</td>')
    return f"<tr>{''.join(parts)}</tr>"
