"""Limits over the values of one number of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nuemstat.plots.looks import COLOURS
from nuemstat.plots.style import GREY, figure, save, symbol

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class LimitCurve:
    """The ends of an interval over a number, None where they are open.

    label : the number with its unit; values : in that unit; nominal : what the model has, if it is shown.
    """

    label: str
    values: Sequence[float]
    lower: Sequence[float | None]
    upper: Sequence[float | None]
    nominal: float | None = None


def number_scan(axes: "Axes", curve: LimitCurve, *, coupling: str, level: float, logarithmic: bool = False) -> None:
    """Both ends over the number, the lower one only where it is not 0; the model's own value is dotted.

    level : confidence level of the limits; logarithmic : both axes, where the ends have one sign.
    """
    order = np.argsort(np.asarray(curve.values, dtype=float))
    values = np.asarray(curve.values, dtype=float)[order]
    shown = []
    for ends in (curve.upper, curve.lower):
        heights = np.array([np.nan if end is None else end for end in ends], dtype=float)[order]
        if np.any(np.nan_to_num(heights) != 0):
            shown.append(heights)
            axes.plot(
                values, heights, marker=".", color=COLOURS[0], label=None if shown[1:] else f"{100 * level:.3g} %"
            )
    if curve.nominal is not None and values[0] <= curve.nominal <= values[-1]:
        axes.axvline(curve.nominal, color=GREY, linewidth=0.9, linestyle=":", label="the model", zorder=1)
    if logarithmic:
        axes.set_xscale("log")
        if shown and all(np.nanmin(heights) > 0 for heights in shown):
            axes.set_yscale("log")
    elif not shown[1:]:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(curve.label)
    axes.set_ylabel(symbol(coupling))
    axes.legend(frameon=False, fontsize="small")


def number_scan_picture(
    path: Path, curve: LimitCurve, *, coupling: str, level: float, logarithmic: bool = False
) -> None:
    """Write the limits over a number as a picture of their own."""
    made, (axes,) = figure()
    number_scan(axes, curve, coupling=coupling, level=level, logarithmic=logarithmic)
    save(made, path)
