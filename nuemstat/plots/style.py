"""What all pictures share: how couplings are written, axes, styles, and files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nuemstat.errors import FitError, suggestion
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
DOTS: Final = 120
"""Per inch, of PNG files."""
STYLES: Final = ("plain", "mplhep")
"""Names that `use_style` takes."""
_NARROW_SHARE: Final = 0.28
"""Of a wide axis on either side of 0: what its linear part takes."""
_GAP: Final = 0.015
"""Of an axis: how far labels have to be apart."""


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


def wide(axes: "Axes", linear: float, low: float, high: float) -> None:
    """An axis from `low` to `high` that is linear up to `linear` on both sides of 0, and logarithmic beyond.

    Ticks stand at 0, at `linear` and at decades, as many as have room for their labels.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    far = max(abs(low), abs(high))
    decades = max(np.log10(far / linear), 1.0)
    axes.set_xscale("symlog", linthresh=linear, linscale=0.9 * decades * _NARROW_SHARE / (1 - _NARROW_SHARE))
    axes.set_xlim(low, high)
    place = axes.xaxis.get_transform().transform
    start, end = place(np.array([low, high]))
    powers = 10.0 ** np.arange(np.floor(np.log10(far)), np.log10(linear), -1)
    first = 10.0 ** np.floor(np.log10(far))
    kept = [0.0]
    # 0 and the end of the linear part come first, then decades from the outside inwards, then the end of the axis.
    for size in (linear, *powers, float(np.floor(far / first) * first)):
        pair = [value for value in (-size, size) if low <= value <= high]
        apart = np.abs(np.subtract.outer(place(np.array(pair)), place(np.array(kept)))) / (end - start)
        room = np.add.outer([_label_width(v) / 2 for v in pair], [_label_width(v) / 2 for v in kept]) + _GAP
        if pair and (apart > room).all():
            kept += pair
    axes.xaxis.set_major_locator(FixedLocator(sorted(kept)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _power_of_ten(value)))


def _label_width(value: float) -> float:
    """Rough width of the label of a tick, as a part of the axis of a picture 4.6 inches wide."""
    text = _power_of_ten(value)
    return 0.03 if value == 0 else 0.11 + 0.06 * ("cdot" in text) + 0.03 * (value < 0)


def _power_of_ten(value: float) -> str:
    if value == 0:
        return "0"
    digits, _, power = f"{value:.0e}".partition("e")
    front = {"1": "", "-1": "-"}.get(digits, rf"{digits} \cdot ")
    return rf"${front}10^{{{int(power)}}}$"


@contextmanager
def use_style(name: str = "plain") -> Iterator[None]:
    """Pictures drawn inside look so: `plain` is matplotlib's own look, `mplhep` that of high energy physics.

    `mplhep` stands for its experiment-neutral style, `mplhep:CMS` and the like for another one; sizes are brought to
    those of our pictures. The package is optional: ``pip install 'nuemstat[hep]'``.

    Raises
    ------
    FitError : no style of that name, or mplhep is not installed.
    """
    from matplotlib import rc_context

    settings: Any = _settings(name)
    with rc_context(settings):
        yield


def check_style(name: str) -> None:
    """A FitError unless `use_style` takes this name here."""
    _settings(name)


def _settings(name: str) -> dict[str, Any]:
    package, _, wanted = name.partition(":")
    if package not in STYLES or (wanted and package != "mplhep"):
        hint = suggestion(name, list(STYLES))
        raise FitError(f"style: found {name!r}; allowed are plain, mplhep, mplhep:CMS ...{hint}")
    if package == "plain":
        return {}
    try:
        from mplhep import styles
    except ImportError:
        raise FitError(f"style: {name!r} needs the package mplhep: pip install 'nuemstat[hep]'") from None
    known = sorted(key for key in dir(styles) if isinstance(getattr(styles, key), dict) and "Tex" not in key)
    found = getattr(styles, wanted or "ROOT", None)
    if not isinstance(found, dict):
        hint = suggestion(wanted, known)
        raise FitError(f"style: mplhep has no {wanted!r}; allowed are {', '.join(known)}{hint}")
    return _resized(found)


def _resized(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings made for figures of 10 inches, brought to a text of 10 points; what is empty is left out."""
    ratio = 10.0 / float(settings.get("font.size") or 10.0)
    sized = ("size", "width", "pad")
    found = {}
    for key, value in settings.items():
        scales = isinstance(value, int | float) and not isinstance(value, bool) and key.endswith(sized)
        # Labels stay in the middle: at the right end they would cover the power of ten.
        if value is not None and not key.startswith(("figure.", "savefig.")) and "labellocation" not in key:
            found[key] = value * ratio if scales else value
    return found


def figure(
    width: float = 5.4, height: float = 4.0, columns: int = 1, rows: int = 1, **options: Any
) -> "tuple[Figure, list[Axes]]":
    """A figure with `columns` axes beside and `rows` below each other, outside of matplotlib's global state; sizes in
    inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made, list(made.subplots(rows, columns, squeeze=False, **options).flat)


def save(made: "Figure", path: Path) -> None:
    """Write a figure to a file.

    Raises
    ------
    FitError : a file of another ending than .png, .pdf or .svg.
    """
    check_ending(path)
    metadata = FORMATS[path.suffix.lower()]
    if path.suffix.lower() == ".png":  # savefig() would draw everything twice to find the layout
        made.set_dpi(DOTS)
        canvas: Any = made.canvas
        canvas.print_png(path, metadata=metadata)
        return
    made.savefig(path, metadata=metadata)


def check_ending(path: Path) -> None:
    """A FitError unless pictures can be written to a file of this name."""
    if path.suffix.lower() not in FORMATS:
        raise FitError(f"{path}: found the ending {path.suffix!r}; allowed are {', '.join(FORMATS)}")
