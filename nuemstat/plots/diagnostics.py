"""Pulls, impacts and correlations."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nuemstat.plots.looks import COLOURS
from nuemstat.plots.style import GREY, figure, save, symbol
from nuemstat.polynomial import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nuemstat.stats.diagnostics import Impacts
    from nuemstat.stats.results import FitResult
    from nuemstat.workspace.document import Workspace

MOST: Final = 30
"""Nuisances of one picture."""
_ROW: Final = 0.24
"""Height of a row [inch]."""


@dataclass(frozen=True, slots=True)
class Pull:
    """A nuisance after the fit: (value - centre) and error, both in sigma of its constraint; None if not known."""

    name: str
    pull: float
    constraint: float | None


def pulls_of_fit(result: "FitResult", workspace: "Workspace") -> list[Pull]:
    """The pulls of a fit; the workspace that was fitted knows the constraints' widths."""
    found = []
    for name, nuisance in result.nuisances.items():
        if nuisance.pull is not None:
            sigma = workspace.parameter(name).sigma
            found.append(Pull(name, nuisance.pull, None if nuisance.error is None else nuisance.error / sigma))
    return found


def pulls_of_impacts(result: "Impacts") -> list[Pull]:
    """The pulls beside impacts, in their order."""
    return [Pull(row.nuisance, row.pull, row.constraint) for row in result.impacts if row.pull is not None]


def pulls(axes: "Axes", rows: Sequence[Pull]) -> None:
    """One point for each nuisance with its error after the fit; shaded is what the constraints allow at 1 and 2 sigma.

    An error bar shorter than the dark band means that the data know more than the constraint.
    """
    for width, colour in ((2.0, "#EBEBEB"), (1.0, "#D0D0D0")):
        axes.axvspan(-width, width, color=colour, linewidth=0, zorder=0)
    axes.axvline(0.0, color=GREY, linewidth=0.8, zorder=1)
    places = np.arange(len(rows))
    errors = [row.constraint or 0.0 for row in rows]
    axes.errorbar([row.pull for row in rows], places, xerr=errors, fmt="o", color=COLOURS[0], markersize=4, zorder=3)
    reach = max([2.2, *(abs(row.pull) + error + 0.2 for row, error in zip(rows, errors, strict=True))])
    axes.set_xlim(-reach, reach)
    axes.set_xlabel(r"(value $-$ centre) / $\sigma$")
    _name_rows(axes, [row.name for row in rows])


def impacts(axes: "Axes", result: "Impacts", *, most: int = MOST, names: bool = True) -> None:
    """Shift of the coupling by one error of each nuisance: bars from refits, ticks from the covariance.

    most : rows that are drawn; names : whether to write the nuisances' names beside the rows.
    """
    rows = result.impacts[:most]
    places = np.arange(len(rows))
    for side, label, colour in ((0, r"$-1\sigma$, refit", COLOURS[4]), (1, r"$+1\sigma$, refit", COLOURS[1])):
        axes.barh(places, [row.refit[side] or 0.0 for row in rows], height=0.7, color=colour, label=label, zorder=2)
    known = [(place, row.fisher) for place, row in zip(places, rows, strict=True) if row.fisher is not None]
    if known:
        heights = [place for place, _ in known]
        shifts = [sign * shift for sign in (1, -1) for _, shift in known]
        label = r"$\pm1\sigma$, covariance"
        axes.scatter(shifts, 2 * heights, marker="|", s=60, color="#000000", label=label, zorder=3)
    axes.axvline(0.0, color=GREY, linewidth=0.8, zorder=1)
    reach = max((abs(v) for row in rows for v in (*row.refit, row.fisher) if v is not None), default=0.0)
    if reach > 0:
        axes.set_xlim(-1.15 * reach, 1.15 * reach)
    axes.set_xlabel("shift of " + symbol(result.coupling))
    axes.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    _name_rows(axes, [row.nuisance for row in rows], names)


def correlation(axes: "Axes", parameters: Sequence[str], matrix: FloatArray) -> None:
    """The correlation matrix, blue to red; numbers where there is room; hatched where it is not known (NaN)."""
    axes.set_facecolor("#E0E0E0")
    shown = np.ma.masked_invalid(matrix)
    image = axes.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(parameters)), labels=parameters, rotation=90, fontsize=7)
    axes.set_yticks(range(len(parameters)), labels=parameters, fontsize=7)
    if len(parameters) <= 16:
        for i, j in np.argwhere(np.isfinite(matrix)):
            value = float(matrix[i, j])
            colour = "#FFFFFF" if abs(value) > 0.6 else "#000000"
            text = f"{value:.2f}".replace("0.", ".").replace("1.00", "1").replace("-.00", ".00")
            axes.text(j, i, text, ha="center", va="center", fontsize=6, color=colour)
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("correlation")


def _name_rows(axes: "Axes", names: Sequence[str], shown: bool = True) -> None:
    """One row for each name, the first on top."""
    axes.set_yticks(range(len(names)) if shown else [], labels=names if shown else [], fontsize=8)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)


def pulls_picture(path: Path, rows: Sequence[Pull]) -> None:
    """Write pulls as a picture of their own."""
    made, (axes,) = figure(5.4, 1.0 + _ROW * max(len(rows), 4))
    pulls(axes, rows)
    save(made, path)


def impacts_picture(path: Path, result: "Impacts", *, most: int = MOST) -> None:
    """Write impacts, with the pulls of the same nuisances beside them."""
    rows = result.impacts[:most]
    made, (left, right) = figure(8.4, 1.3 + _ROW * max(len(rows), 4), columns=2, width_ratios=[1, 1.25])
    table = {row.nuisance: row for row in rows}
    pulls(left, [Pull(name, np.nan if row.pull is None else row.pull, row.constraint) for name, row in table.items()])
    impacts(right, result, most=most, names=False)
    save(made, path)


def correlation_picture(path: Path, parameters: Sequence[str], matrix: FloatArray) -> None:
    """Write a correlation matrix as a picture of its own."""
    size = 2.2 + 0.22 * len(parameters)
    made, (axes,) = figure(size + 1.0, size)
    correlation(axes, parameters, matrix)
    save(made, path)
