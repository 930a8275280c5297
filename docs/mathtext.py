"""Formulas as SVG drawn by matplotlib while the pages are built: no LaTeX, no script, no network."""

import re
from html import escape
from io import StringIO
from typing import Any


def _svg(latex: str, size: float) -> str:
    """One formula as an SVG that takes the colour of the text."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    with rc_context({"mathtext.fontset": "cm", "svg.hashsalt": latex}):
        figure = Figure(figsize=(0.01, 0.01))
        FigureCanvasSVG(figure)
        figure.text(0, 0, f"${latex}$", fontsize=size)
        target = StringIO()
        figure.savefig(
            target, format="svg", bbox_inches="tight", pad_inches=0.01, transparent=True, metadata={"Date": None}
        )
    depth = MathTextParser("path").parse(f"${latex}$", dpi=72, prop=FontProperties(size=size))[2] / size
    text = target.getvalue()
    body = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    body = re.sub(r' id="(?:figure|axes|text|patch)_\d+"', "", body)
    width, height = (float(re.search(rf'{side}="([\d.]+)pt"', body)[1]) / size for side in ("width", "height"))
    opening = (
        f'<svg role="img" aria-label="{escape(latex, quote=True)}" '
        f'style="width:{width:.2f}em;height:{height:.2f}em;vertical-align:{-depth:.2f}em;fill:currentColor" '
    )
    body = re.sub(r'(?:width|height)="[\d.]+pt" ?', "", body, count=2)
    return body.replace("<svg ", opening, 1).strip()


def _inline(self: Any, node: Any) -> None:
    from docutils.nodes import SkipNode

    self.body.append(_svg(node.astext().strip(), 10))
    raise SkipNode


def _block(self: Any, node: Any) -> None:
    from docutils.nodes import SkipNode

    lines = [line for line in re.split(r"\\\\", node.astext().strip()) if line.strip()]
    drawn = "<br>".join(_svg(" ".join(line.split()).replace(r"\frac", r"\dfrac"), 11) for line in lines)
    self.body.append(f'<div class="math" style="overflow-x:auto;margin:0.8em 0 0.8em 1.5em">{drawn}</div>')
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_html_math_renderer("mathtext", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
