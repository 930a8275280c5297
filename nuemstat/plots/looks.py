"""How curves of many experiments are told apart: a family of colours for each kind of source, dashes within it.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers; dashes differ as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nuemstat.vocabulary import COUPLINGS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
JOINT_COLOUR: Final = "#000000"
DASHES: Final = ("solid", (0, (6, 2)), (0, (6, 2, 1.5, 2)), (0, (1.5, 1.5)))
FAMILIES: Final = {
    "solar": ("#0072B2", "#56B4E9"),
    "spallation source": ("#D55E00", "#E69F00"),
    "reactor": ("#009E73", "#CC79A7", "#7F7F7F"),
}
"""Colours of the experiments with one kind of neutrinos."""
_FLAVOURS: Final = {
    frozenset({"e", "mu", "tau"}): "solar",
    frozenset({"e", "mu"}): "spallation source",
    frozenset({"e"}): "reactor",
}
_FEW: Final = 7
"""Curves up to which a legend needs no headings."""


@dataclass(frozen=True, slots=True)
class Look:
    """Colour, dashes and width of a curve."""

    colour: str
    dashes: Any
    width: float


JOINT_LOOK: Final = Look(JOINT_COLOUR, "solid", 3.0)


def group_of(couplings: Iterable[str]) -> str:
    """The kind of neutrinos that show diagonal couplings of these flavours: solar, spallation source or reactor.

    '' for any other set.
    """
    known = [COUPLINGS[name].flavours for name in couplings if name in COUPLINGS]
    return _FLAVOURS.get(frozenset(first for first, second in known if first == second), "")


def looks(groups: Mapping[str, str]) -> dict[str, Look]:
    """A look for each name, all different up to 28; groups : name -> its group, '' where there is none.

    Colours are those of the group as long as they last; names without a group take what is left.
    """
    taken: dict[str, tuple[str, int]] = {}
    for name in sorted(groups, key=lambda name: groups[name] not in FAMILIES):
        choices = [*_combinations(FAMILIES.get(groups[name], COLOURS)), *_combinations(COLOURS)]
        taken[name] = next((pair for pair in choices if pair not in taken.values()), choices[0])
    return {name: Look(taken[name][0], DASHES[taken[name][1]], 1.7) for name in groups}


def _combinations(colours: Sequence[str]) -> list[tuple[str, int]]:
    """Colours and numbers of dashes; neighbours differ in both."""
    n = len(colours)
    return [(colours[i % n], (i // n + i % n) % len(DASHES)) for i in range(n * len(DASHES))]


def legend_above(axes: "Axes", handles: Sequence[Any], groups: Mapping[str, str]) -> None:
    """A legend outside, above the axes: of many lines with a column for each group under its name.

    groups : label -> group; handles whose label has none stand together in the shortest column.
    """
    style: dict[str, Any] = {"frameon": False, "fontsize": "small", "loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    columns: dict[str, list[Any]] = {}
    for handle in handles:
        columns.setdefault(groups.get(str(handle.get_label()), ""), []).append(handle)
    rest = columns.pop("", [])
    if len(handles) <= _FEW or len(columns) < 2:
        axes.legend(handles=list(handles), ncols=3, **style)
        return
    order = [name for name in dict.fromkeys([*FAMILIES, *columns]) if name in columns]
    table = [[_heading(name), *columns[name]] for name in order]
    min(table, key=len).extend(rest)
    height = max(len(column) for column in table)
    entries = [entry for column in table for entry in [*column, *(_heading(" ") for _ in range(height - len(column)))]]
    made = axes.legend(handles=entries, ncols=len(table), handlelength=2.6, **style)
    for text in made.get_texts():
        if text.get_text() in columns:
            text.set_fontweight("bold")


def _heading(text: str) -> "Artist":
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", label=text)
