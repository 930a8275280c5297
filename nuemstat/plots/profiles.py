"""Profiles: Delta chi2 along one coupling."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nuemstat.plots.bands import Band, bands
from nuemstat.plots.looks import JOINT_LOOK, legend_above, looks
from nuemstat.plots.style import GREY, figure, save, symbol, wide
from nuemstat.polynomial import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nuemstat.stats.results import End, Limit

TOP: Final = 1.8
"""How far above the line of the confidence level the Delta chi2 axis goes: profiles are followed a little further."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A profile: Delta chi2 along one coupling.

    values : the coupling in its unit, rising, shape (n,); delta : 2 NLL above its minimum, shape (n,);
    joint : thick and black; group : kind of source, which has colours of its own and a column in the legend;
    expected : lower and upper end of the set that is expected without new physics, None where it is not known.
    """

    label: str
    values: FloatArray
    delta: FloatArray
    joint: bool = False
    group: str = ""
    expected: "tuple[End, End]" = (None, None)

    def dense(self) -> "tuple[FloatArray, FloatArray]":
        """The curve drawn through its points, smoothly, with 10 steps between two of them."""
        from scipy.interpolate import CubicSpline

        if self.values.size < 3:
            return self.values, self.delta
        # Two points on top of each other (the end of a search for a crossing) have no slope between them to speak of.
        apart = np.append(True, np.diff(self.values) > 1e-3 * np.ptp(self.values))
        places, heights = self.values[apart], self.delta[apart]
        steps = np.linspace(0, 1, 10, endpoint=False)
        inner = (places[:-1, None] + steps * np.diff(places)[:, None]).ravel()
        values = np.append(inner, places[-1])
        return values, CubicSpline(places, heights)(values)


def profile(axes: "Axes", curves: Sequence[Curve], *, coupling: str, threshold: float, level: float) -> None:
    """Delta chi2 along one coupling: one curve per experiment, the joint fit, and the line of the confidence level.

    threshold : Delta chi2 of the confidence level `level` (2.706 at 90 % for one parameter).
    Triangles on that line mark the expected ends of the curves that have them.
    Where the reaches of the curves differ by far, the horizontal axis turns logarithmic outside the narrowest.
    """
    chosen = looks({curve.label: curve.group for curve in curves if not curve.joint})
    # The others on top of the joint curve, which is theirs where one experiment decides it.
    lines = []
    for curve in sorted(curves, key=lambda curve: not curve.joint):
        look = JOINT_LOOK if curve.joint else chosen[curve.label]
        lines += axes.plot(*curve.dense(), color=look.colour, linestyle=look.dashes, linewidth=look.width,
                           label=curve.label, zorder=2 if curve.joint else 3)  # fmt: skip
    lines.append(axes.axhline(threshold, color=GREY, linewidth=0.9, label=f"{100 * level:.3g} %", zorder=1))
    for curve in curves:
        ends = [end for end in curve.expected if end]  # the bound 0 of an even coupling is no end of its own
        if not ends:
            continue
        look = JOINT_LOOK if curve.joint else chosen[curve.label]
        axes.plot(ends, [threshold] * len(ends), linestyle="none", marker="v", markersize=6, color=look.colour,
                  markeredgecolor="#FFFFFF", markeredgewidth=0.5, zorder=4)  # fmt: skip
    if any(end for curve in curves for end in curve.expected):
        lines += axes.plot([], [], linestyle="none", marker="v", markersize=6, color=GREY, label="expected ends")
    axes.set_ylim(0, threshold + TOP)
    axes.set_xlabel(symbol(coupling))
    axes.set_ylabel(r"$\Delta\chi^2$")
    _horizontal(axes, curves, threshold + TOP)
    legend_above(axes, lines, {curve.label: curve.group for curve in curves})


def limit_picture(path: Path, found: "Limit") -> None:
    """Write a limit: its profile with the set shaded; below it the set beside what is expected, where that is known."""
    from scipy.stats import chi2

    row = Band.of(", ".join(found.workspaces), found)
    curve = Curve(row.label, found.profile_values, found.profile_q)
    threshold, stated = float(chi2.ppf(found.cl, 1)), row.median != (None, None)
    if stated:
        made, (axes, below) = figure(5.4, 5.6, rows=2, height_ratios=(3, 1))
    else:
        made, (axes,) = figure()
    profile(axes, [curve], coupling=found.coupling, threshold=threshold, level=found.cl)
    if stated:
        bands(below, [row], coupling=found.coupling, level=found.cl)
        low, high = zip(axes.get_xlim(), below.get_xlim(), strict=True)
        for panel in (axes, below):
            panel.set_xlim(min(low), max(high))
        axes.set_xlabel("")
    shade(axes, found.intervals)
    save(made, path)


def shade(axes: "Axes", intervals: "Sequence[tuple[End, End]]") -> None:
    """A light ground behind every interval of a set; open ends reach to the end of the axis."""
    limits = axes.get_xlim()
    for low, high in intervals:
        axes.axvspan(limits[0] if low is None else low, limits[1] if high is None else high, color="#EBEBEB", zorder=0)
    axes.set_xlim(limits)


def _horizontal(axes: "Axes", curves: Sequence[Curve], top: float) -> None:
    """Limits of the horizontal axis, and logarithmic far out where one curve would hide the others."""
    seen = [values[delta <= top] for values, delta in (curve.dense() for curve in curves)]
    seen = [values for values in seen if values.size]
    if not seen:
        return
    low, high = min(float(v.min()) for v in seen), max(float(v.max()) for v in seen)
    reaches = [float(np.abs(values).max()) for values in seen]
    if max(reaches) > 8 * min(reaches) > 0:
        wide(axes, float(f"{min(reaches):.1g}"), low, high)
    elif high > low:
        axes.set_xlim(low, high)


def profile_picture(path: Path, curves: Sequence[Curve], *, coupling: str, threshold: float, level: float) -> None:
    """Write the profile of one coupling as a picture of its own."""
    made, (axes,) = figure(height=4.0 + 0.1 * max(len(curves) - 6, 0))
    profile(axes, curves, coupling=coupling, threshold=threshold, level=level)
    save(made, path)
