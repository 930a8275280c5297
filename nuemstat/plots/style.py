"""What all pictures share: colours, styles, how couplings are written, and files.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers; line styles differ as well.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nuemstat.errors import FitError
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
STYLES: Final = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
JOINT_COLOUR: Final = "#000000"

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
FORMATS: Final = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
"""Endings of picture files, and what is left out of them so that equal results are equal files."""
GREY: Final = "#7F7F7F"


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


def wide(axes: "Axes", linear: float, far: float) -> None:
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


def figure(width: float = 5.4, height: float = 4.0, columns: int = 1, **options: Any) -> "tuple[Figure, list[Axes]]":
    """A figure with `columns` axes beside each other, outside of matplotlib's global state; sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made, list(made.subplots(1, columns, squeeze=False, **options)[0])


def save(made: "Figure", path: Path) -> None:
    """Write a figure to a file.

    Raises
    ------
    FitError : a file of another ending than .png, .pdf or .svg.
    """
    check_ending(path)
    made.savefig(path, dpi=120, metadata=FORMATS[path.suffix.lower()])


def check_ending(path: Path) -> None:
    """A FitError unless pictures can be written to a file of this name."""
    if path.suffix.lower() not in FORMATS:
        raise FitError(f"{path}: found the ending {path.suffix!r}; allowed are {', '.join(FORMATS)}")
