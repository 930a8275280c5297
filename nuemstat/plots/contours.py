"""Contours: confidence regions of two couplings, one colour for each result and one line style for each level."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from nuemstat.plots.looks import COLOURS
from nuemstat.plots.style import figure, save, symbol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path as Line

    from nuemstat.polynomial import FloatArray
    from nuemstat.stats.diagnostics import Contour

_LEVEL_STYLES: Final[tuple[Literal["-", "--", ":", "-."], ...]] = ("-", "--", ":", "-.")
_FILL: Final = 0.18


def contours(axes: "Axes", results: "Mapping[str, Contour]") -> None:
    """The regions of each result with their holes, filled lightly, and a cross at each best fit.

    results : label -> contour, all of the same two couplings; the first level is drawn solid, then dashed, dotted.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import PathPatch

    if not results:
        return
    first = next(iter(results.values()))
    handles = []
    for index, (label, result) in enumerate(results.items()):
        colour = COLOURS[index % len(COLOURS)]
        handles.append(Line2D([], [], color=colour, linewidth=1.6, label=label))
        for k, region in enumerate(result.regions):
            style = _LEVEL_STYLES[k % len(_LEVEL_STYLES)]
            for piece in region.components:
                path = _path([piece.outline, *piece.holes])
                axes.add_patch(PathPatch(path, facecolor=colour, alpha=_FILL, edgecolor="none", zorder=2))
                axes.add_patch(PathPatch(path, fill=False, edgecolor=colour, linestyle=style, linewidth=1.6, zorder=3))
        values = [result.best_fit[name] for name in first.couplings]
        axes.plot(*values, marker="+", color=colour, markersize=9, linestyle="none", zorder=4)
        for other in result.minima[1:]:
            axes.plot(*other.values, marker="x", color=colour, markersize=6, linestyle="none", zorder=4)
    for k, region in enumerate(first.regions):
        style = _LEVEL_STYLES[k % len(_LEVEL_STYLES)]
        handles.append(Line2D([], [], color="#000000", linestyle=style, label=f"{100 * region.cl:.3g} %"))
    handles.append(Line2D([], [], color="#000000", marker="+", markersize=9, linestyle="none", label="best fit"))
    if any(len(result.minima) > 1 for result in results.values()):
        handles.append(Line2D([], [], color="#000000", marker="x", linestyle="none", label="other minima"))
    axes.autoscale_view()
    axes.margins(0.06)
    axes.set_xlabel(symbol(first.couplings[0]))
    axes.set_ylabel(symbol(first.couplings[1]))
    axes.legend(handles=handles, frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.06),
                ncols=3)  # fmt: skip


def _path(rings: "list[FloatArray]") -> "Line":
    """Closed rings as one path, holes left out of the filling."""
    from matplotlib.path import Path as Line

    return Line.make_compound_path(*(Line(ring, closed=True) for ring in rings))


def contours_picture(path: Path, results: "Mapping[str, Contour]") -> None:
    """Write contours as a picture of their own."""
    made, (axes,) = figure(5.4, 4.6)
    contours(axes, results)
    save(made, path)
