"""Profiles: Delta chi2 along one coupling."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nuemstat.plots.style import COLOURS, GREY, JOINT_COLOUR, STYLES, figure, save, symbol, wide
from nuemstat.polynomial import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP: Final = 1.8
"""How far above the line of the confidence level the Delta chi2 axis goes: profiles are followed a little further."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A profile: Delta chi2 along one coupling.

    values : the coupling in its unit, rising, shape (n,); delta : 2 NLL above its minimum, shape (n,);
    joint : drawn last, thick and black.
    """

    label: str
    values: FloatArray
    delta: FloatArray
    joint: bool = False

    def dense(self) -> "tuple[FloatArray, FloatArray]":
        """The curve drawn through its points, smoothly, with 20 steps between two of them."""
        from scipy.interpolate import CubicSpline

        if self.values.size < 3:
            return self.values, self.delta
        # Two points on top of each other (the end of a search for a crossing) have no slope between them to speak of.
        apart = np.append(True, np.diff(self.values) > 1e-3 * np.ptp(self.values))
        places, heights = self.values[apart], self.delta[apart]
        steps = np.linspace(0, 1, 20, endpoint=False)
        inner = (places[:-1, None] + steps * np.diff(places)[:, None]).ravel()
        values = np.append(inner, places[-1])
        return values, CubicSpline(places, heights)(values)


def profile(axes: "Axes", curves: Sequence[Curve], *, coupling: str, threshold: float, level: float) -> None:
    """Delta chi2 along one coupling: one curve per experiment, the joint fit, and the line of the confidence level.

    threshold : Delta chi2 of the confidence level `level` (2.706 at 90 % for one parameter).
    Where the reaches of the curves differ by far, the horizontal axis turns logarithmic outside the narrowest.
    """
    for curve in curves:
        if curve.joint:
            axes.plot(*curve.dense(), color=JOINT_COLOUR, linewidth=3.0, label=curve.label, zorder=2)
    # On top of the joint curve, which is theirs where one experiment decides it.
    for index, curve in enumerate(curve for curve in curves if not curve.joint):
        colour, style = COLOURS[index % len(COLOURS)], STYLES[index % len(STYLES)]
        axes.plot(*curve.dense(), color=colour, linestyle=style, linewidth=1.7, label=curve.label, zorder=3)
    axes.axhline(threshold, color=GREY, linewidth=0.9, label=f"{100 * level:.3g} %", zorder=1)
    axes.set_ylim(0, threshold + TOP)
    axes.set_xlabel(symbol(coupling))
    axes.set_ylabel(r"$\Delta\chi^2$")
    _horizontal(axes, curves, threshold + TOP)
    axes.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


def _horizontal(axes: "Axes", curves: Sequence[Curve], top: float) -> None:
    """Limits of the horizontal axis, and logarithmic far out where one curve would hide the others."""
    seen = [values[delta <= top] for values, delta in (curve.dense() for curve in curves)]
    seen = [values for values in seen if values.size]
    if not seen:
        return
    low, high = min(float(v.min()) for v in seen), max(float(v.max()) for v in seen)
    reaches = [float(np.abs(values).max()) for values in seen]
    if max(reaches) > 8 * min(reaches) > 0:
        wide(axes, float(f"{min(reaches):.1g}"), max(reaches))
    if high > low:
        axes.set_xlim(low, high)


def profile_picture(path: Path, curves: Sequence[Curve], *, coupling: str, threshold: float, level: float) -> None:
    """Write the profile of one coupling as a picture of its own."""
    made, (axes,) = figure()
    profile(axes, curves, coupling=coupling, threshold=threshold, level=level)
    save(made, path)
