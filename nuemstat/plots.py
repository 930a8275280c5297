"""Pictures of results, drawn on an `Axes` that the caller owns; no state of matplotlib is touched.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers; line styles differ as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nuemstat.polynomial import FloatArray
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
STYLES: Final = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
JOINT_COLOUR: Final = "#000000"
TOP: Final = 1.8
"""How far above the line of the confidence level the Delta chi2 axis goes: profiles are followed a little further."""

_SYMBOLS: Final = {
    "magnetic_moment": (r"\mu_\nu", r"\mu_{\nu_%s}", r"\mu_\mathrm{B}"),
    "millicharge": (r"q_\nu", r"q_{\nu_{%s}}", "e"),
    "charge_radius": (
        r"\Delta\langle r^2\rangle",
        r"\langle r^2_{\nu_{%s}}\rangle",
        r"\mathrm{cm}^2",
    ),
}
_FLAVOUR_SYMBOLS: Final = {"e": "e", "mu": r"\mu", "tau": r"\tau"}


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


def symbol(coupling: str) -> str:
    """A coupling as papers write it, with its unit, for an axis label."""
    if coupling in UNIVERSAL:
        universal, _, unit = _SYMBOLS[coupling]
        return rf"${universal}$  [${unit}$]"
    if coupling not in COUPLINGS:
        return coupling
    known = COUPLINGS[coupling]
    _, flavoured, unit = _SYMBOLS[known.kind]
    flavours = known.flavours[:1] if known.kind == "magnetic_moment" else known.flavours
    return rf"${flavoured % ' '.join(_FLAVOUR_SYMBOLS[f] for f in flavours)}$  [${unit}$]"


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
    axes.axhline(threshold, color="#7F7F7F", linewidth=0.9, label=f"{100 * level:.3g} %", zorder=1)
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
        _wide(axes, float(f"{min(reaches):.1g}"), max(reaches))
    if high > low:
        axes.set_xlim(low, high)


def _wide(axes: "Axes", linear: float, far: float) -> None:
    """An axis linear around 0 that turns logarithmic beyond `linear`; ticks at 0, there, and at decades well beyond."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("asinh", linear_width=linear / 2)
    first = int(np.ceil(np.log10(8 * linear)))
    decades = [10.0**power for power in range(first, int(np.floor(np.log10(far))) + 1)]
    step = 1 + len(decades) // 4
    places = [linear, *reversed(decades[::-step])]
    axes.xaxis.set_major_locator(FixedLocator([-place for place in reversed(places)] + [0.0, *places]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _power_of_ten(value)))


def _power_of_ten(value: float) -> str:
    if value == 0:
        return "0"
    digits, _, power = f"{value:.0e}".partition("e")
    front = {"1": "", "-1": "-"}.get(digits, rf"{digits} \cdot ")
    return rf"${front}10^{{{int(power)}}}$"


def profile_picture(path: Path, curves: Sequence[Curve], *, coupling: str, threshold: float, level: float) -> None:
    """Write the profile of one coupling as a PNG file of its own."""
    figure, axes = _figure()
    profile(axes, curves, coupling=coupling, threshold=threshold, level=level)
    # No date or version inside, so that equal results are equal files.
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _figure() -> "tuple[Figure, Axes]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()
