"""Pictures of a report as files, and as SVG that stands inside the page and follows its colours."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nuemstat.plots import COLOURS, JOINT_COLOUR
from nuemstat.plots.style import DOTS
from nuemstat.report.canvas import canvas_of, vectors_of
from nuemstat.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VARIABLES: Final = {
    JOINT_COLOUR.lower(): "ink",
    "#ffffff": "paper",
    "#d0d0d0": "band1",
    "#ebebeb": "band2",
    **{colour.lower(): f"c{number}" for number, colour in enumerate(COLOURS)},
}
"""Colours of the files -> variables of the page's style sheet, which has them once for light and once for dark."""

DARK: Final = {
    JOINT_COLOUR.lower(): "#e8e8e8",
    "#ffffff": "#15181c",
    "#d0d0d0": "#3a4149",
    "#ebebeb": "#262c32",
    **dict(
        zip(
            (colour.lower() for colour in COLOURS),
            ("#5ab4f0", "#f5894a", "#3fd1a4", "#e5a6cb", "#8fd0f5", "#f2b736", "#a8a8a8"),
            strict=False,
        )
    ),
}
"""The same colours on a dark ground."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the report.

    name : of its files; title, alt : what it is, and what it shows, in words; csv : the data, as text;
    draw : fills a figure of `size` inches; lines that carry a gid ``who:NAME`` can be picked in the page, and
    a gid ``tip:TEXT`` is shown as a hint; experiment, coupling : what the picture belongs to, '' for all.
    """

    name: str
    title: str
    alt: str
    csv: str
    draw: Callable[["Figure"], None]
    size: tuple[float, float] = (4.6, 3.6)
    experiment: str = ""
    coupling: str = ""


def render(task: tuple[Path, Picture]) -> str:
    """Write NAME.svg, NAME.png, both again as NAME-dark, and NAME.csv into a folder; returns the SVG for the page."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    folder, picture = task
    figure = Figure(figsize=picture.size, layout="constrained", dpi=DOTS)
    canvas = canvas_of(figure, {})
    picture.draw(figure)
    # Not savefig(), which draws everything once more to find the layout.
    light, dark, svg = BytesIO(), BytesIO(), StringIO()
    canvas.print_png(light, metadata={"Software": None})
    # The layout is settled: the other files need not find it again. The salt makes equal pictures equal files.
    figure.set_layout_engine("none")
    with rc_context({"svg.hashsalt": picture.name}):
        unsaid = dict.fromkeys(("Date", "Creator", "Type", "Format"))
        vectors_of(figure).print_svg(svg, metadata=unsaid | {"Title": picture.title})
    figure.set_dpi(DOTS)  # SVG has its own
    canvas_of(figure, DARK).print_png(dark, metadata={"Software": None})
    text = _shortened(svg.getvalue())
    (folder / f"{picture.name}.png").write_bytes(light.getvalue())
    (folder / f"{picture.name}-dark.png").write_bytes(dark.getvalue())
    write_whole(folder / f"{picture.name}.svg", text)
    write_whole(folder / f"{picture.name}-dark.svg", _coloured(text, DARK))
    write_whole(folder / f"{picture.name}.csv", picture.csv)
    return inline(text, picture)


def inline(text: str, picture: Picture) -> str:
    """A drawing as part of a page: colours by variables, own ids, a title, and curves that can be picked."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = _coloured(body, {colour: f"var(--{name})" for colour, name in VARIABLES.items()})
    body = re.sub(r'<g id="(?:who|tip):([^"]*)">', _group, body)
    used = set(re.findall(r'href="#([^"]+)"', body)) | set(re.findall(r"url\(#([^)]+)\)", body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{picture.name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'href="#', f'href="#{picture.name}-', body)
    body = re.sub(r"url\(#", f"url(#{picture.name}-", body)
    head, _, rest = body.partition(">")
    view = re.search(r'viewBox="[^"]+"', head)
    size = re.search(r'width="([\d.]+)pt"', head)
    width = f' style="--width:{float(size[1]) * 4 / 3:.0f}px"' if size else ""
    label = _attribute(f"{picture.title}. {picture.alt}")
    opening = f'<svg class="plot" role="img" aria-label="{label}" {view[0] if view else ""}{width}'
    return re.sub(r"\s*\n\s*", "\n", f"{opening}>{rest}").strip()


def _group(match: re.Match[str]) -> str:
    kind, _, text = match[0].removeprefix('<g id="').removesuffix('">').partition(":")
    return f'<g data-experiment="{text}">' if kind == "who" else f"<g><title>{text}</title>"


def _coloured(text: str, colours: dict[str, str]) -> str:
    return re.sub(r"#[0-9a-f]{6}\b", lambda m: colours.get(m[0], m[0]), text)


def _shortened(text: str) -> str:
    """Coordinates with two decimals: a hundredth of a point is not seen."""

    def cut(match: re.Match[str]) -> str:
        return re.sub(r"(\.\d\d)\d+", r"\1", match[0])

    return re.sub(r' (?:d|x|y|transform)="[^"(]*(?:translate\([^)]*\))?', cut, text)


def _attribute(text: str) -> str:
    from html import escape

    return escape(text, quote=True)
