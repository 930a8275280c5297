"""Bands: every observed limit beside the one expected without new physics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from nuemstat.plots.style import figure, save, symbol, wide

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NARROW_AND_WIDE: Final = ("#61D04F", "#F5C710")
"""Colours of the bands of one and of two standard deviations."""
_ROW: Final = 0.42
"""Height of a row [inch]."""
Ends = tuple[float | None, float | None]


class Stated(Protocol):
    """What a row needs of a limit."""

    @property
    def intervals(self) -> tuple[Ends, ...]:
        """The observed set."""
        ...

    @property
    def expected(self) -> Mapping[str, Any] | None:
        """As `Limit.expected`."""
        ...


@dataclass(frozen=True, slots=True)
class Band:
    """One row: observed intervals, and what is expected of their outer ends; None is an end that is open or unknown.

    median : expected (lower, upper) end, of Asimov data where no more is known; band68, band95 : of each of the two
    ends, (low, high).
    """

    label: str
    observed: tuple[Ends, ...]
    median: Ends
    band68: tuple[Ends | None, Ends | None]
    band95: tuple[Ends | None, Ends | None]

    @classmethod
    def of(cls, label: str, found: Stated) -> "Band":
        """The row of a limit, with its expectation where it has one."""
        expected: Mapping[str, Any] = found.expected or {}
        middle = expected.get("median") or expected.get("asimov")
        return cls(label, found.intervals, _pair(middle), _ends(expected.get("band68")),
                   _ends(expected.get("band95")))  # fmt: skip


def _pair(value: Any) -> Ends:
    low, high = (value["lower"], value["upper"]) if isinstance(value, Mapping) else (value or (None, None))
    return _closed(low), _closed(high)


def _closed(end: Any) -> float | None:
    return None if end is None or not np.isfinite(end) else float(end)


def _ends(value: Any) -> tuple[Ends | None, Ends | None]:
    sides = (value["lower"], value["upper"]) if isinstance(value, Mapping) else (value or (None, None))
    lower, upper = (None if side is None else _pair(side) for side in sides)
    return lower, upper


def bands(
    axes: "Axes", rows: Sequence[Band], *, coupling: str, level: float, colours: tuple[str, str] = NARROW_AND_WIDE
) -> None:
    """Observed intervals as black bars on the 1 and 2 sigma bands of both expected ends, one row for each.

    level : confidence level of the limits; colours : of the bands of 1 and of 2 sigma. An open end is drawn as an arrow
    head at the end of the axis, which turns logarithmic outside the narrowest row where the reaches of the rows differ
    by far.
    """
    shown = [v for row in rows for v in _finite(row)]
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    margin = 0.06 * (high - low) or 1.0
    span = (low - margin if low < 0 else min(low, 0.0), high + margin)
    for place, row in enumerate(rows):
        for sides, colour, half in ((row.band95, colours[1], 0.34), (row.band68, colours[0], 0.34)):
            for side, median in zip(sides, row.median, strict=True):
                if side is not None and (median is None or side[0] != median):  # one that rests at a bound has none
                    ends = [limit if end is None else end for end, limit in zip(side, span, strict=True)]
                    axes.fill_between(ends, place - half, place + half, color=colour, linewidth=0, zorder=1)
        for median in row.median:
            if median is not None:
                axes.plot([median, median], [place - 0.34, place + 0.34], color="#000000", linestyle=":", zorder=2)
        for interval in row.observed:
            ends = [limit if end is None else end for end, limit in zip(interval, span, strict=True)]
            axes.plot(ends, [place, place], color="#000000", linewidth=2.2, solid_capstyle="butt", zorder=3)
            for end, at, marker in zip(interval, ends, ("<", ">"), strict=True):
                axes.plot(at, place, marker="|" if end is not None else marker, color="#000000", markersize=9, zorder=3)
    reaches = [max(np.abs(_finite(row)), default=0.0) for row in rows]
    if reaches and max(reaches) > 8 * min(reaches) > 0:
        wide(axes, float(f"{min(reaches):.1g}"), *span)
    else:
        axes.set_xlim(*span)
    axes.set_yticks(range(len(rows)), labels=[row.label for row in rows])
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_xlabel(symbol(coupling))
    _legend(axes, level, colours if any(row.band68 != (None, None) for row in rows) else ())


def _finite(row: Band) -> list[float]:
    pairs = [*row.observed, row.median, *(side for side in (*row.band68, *row.band95) if side is not None)]
    return [v for pair in pairs for v in pair if v is not None and np.isfinite(v)]


def _legend(axes: "Axes", level: float, colours: Sequence[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color="#000000", linewidth=2.2, label=f"observed, {100 * level:.3g} %"),
        Line2D([], [], color="#000000", linestyle=":", label="expected ends"),
        *(Patch(color=colour, label=rf"$\pm{n}\sigma$") for n, colour in enumerate(colours, 1)),
    ]
    axes.legend(handles=handles, frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0),
                ncols=4)  # fmt: skip


def bands_picture(path: Path, rows: Sequence[Band], *, coupling: str, level: float) -> None:
    """Write observed and expected limits as a picture of their own."""
    made, (axes,) = figure(6.4, 1.2 + _ROW * max(len(rows), 2))
    bands(axes, rows, coupling=coupling, level=level)
    save(made, path)
