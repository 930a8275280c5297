"""Canvases that draw a figure once, also in other colours: these are exchanged on their way to the pixels."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgba
from matplotlib.mathtext import MathTextParser

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_Agg: Any = RendererAgg  # its methods have no types


class _Renderer(RendererAgg):
    """Draws with colours exchanged; images keep theirs."""

    def __init__(self, width: float, height: float, dpi: float, colours: Mapping[str, str]) -> None:
        _Agg.__init__(self, width, height, dpi)
        self._colours = {key.lower(): to_rgba(value)[:3] for key, value in colours.items()}
        for name in ("draw_markers", "draw_path_collection"):
            setattr(self, name, getattr(self, f"_{name}"))

    def exchanged(self, colour: Any) -> Any:
        """The colour that takes the place of this one, with the transparency of this one."""
        if colour is None:
            return None
        red, green, blue, alpha = to_rgba(colour)
        found = self._colours.get(to_hex((red, green, blue)))
        return tuple(colour) if found is None else (*found, alpha)

    def _exchanged_line(self, gc: Any) -> Any:
        other = self.new_gc()
        other.copy_properties(gc)
        other.set_foreground(self.exchanged(gc.get_rgb()), isRGBA=True)
        return other

    def draw_path(self, gc: Any, path: Any, transform: Any, rgbFace: Any = None) -> None:
        """One path."""
        _Agg.draw_path(self, self._exchanged_line(gc), path, transform, self.exchanged(rgbFace))

    def draw_text(self, gc: Any, *arguments: Any, **options: Any) -> None:
        """One line of text."""
        _Agg.draw_text(self, self._exchanged_line(gc), *arguments, **options)

    def draw_mathtext(self, gc: Any, *arguments: Any, **options: Any) -> None:
        """One formula."""
        _Agg.draw_mathtext(self, self._exchanged_line(gc), *arguments, **options)

    def _draw_markers(self, gc: Any, path: Any, transform: Any, *arguments: Any) -> None:
        *places, face = arguments if len(arguments) > 2 else (*arguments, None)
        self._renderer.draw_markers(self._exchanged_line(gc), path, transform, *places, self.exchanged(face))

    def _draw_path_collection(self, *arguments: Any, **options: Any) -> None:
        given = list(arguments)
        for place in (6, 7):  # faces and edges, each an array of colours
            given[place] = np.array([self.exchanged(colour) for colour in given[place]]).reshape(-1, 4)
        self._renderer.draw_path_collection(*given, **options)


class _Canvas(FigureCanvasAgg):
    """A canvas whose renderer exchanges colours, and that remembers formulae from one picture to the next."""

    colours: Mapping[str, str]

    def get_renderer(self) -> RendererAgg:
        """A renderer of the figure's size."""
        width, height = self.figure.bbox.size
        plain: Any = _Agg(width, height, self.figure.dpi) if not self.colours else None
        renderer = plain or _Renderer(width, height, self.figure.dpi, self.colours)
        renderer.mathtext_parser = _formulae()
        return cast(RendererAgg, renderer)


@cache
def _formulae() -> "MathTextParser[Any]":
    """What turns formulae into shapes: it keeps the last ones, and would otherwise start afresh for every picture."""
    return MathTextParser("path")


def canvas_of(figure: "Figure", colours: Mapping[str, str]) -> Any:
    """A canvas that draws the figure once, with `colours` (hexadecimal, old -> new) exchanged."""
    canvas = _Canvas(figure)
    canvas.colours = colours
    return canvas


def vectors_of(figure: "Figure") -> Any:
    """A canvas that draws the figure once as SVG."""
    return FigureCanvasSVG(figure)
