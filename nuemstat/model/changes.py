"""Numbers and words of a model set by their path: ``{"target.exposure": "20 t yr"}``.

A path is the way through the model file with its variants: names and, in lists, places from 0, with dots between them.
It leads to a number with its unit (of which the value is set), a plain number, or a word that is a choice. What
depends on a number follows it: counts and errors that say so, exposures of channels, centres of nuisances.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from nuemstat import units
from nuemstat.errors import ModelError, UnitError, suggestion
from nuemstat.model.fields import Quantity
from nuemstat.model.follows import growth, norm_growth
from nuemstat.model.schema import ModelDocument

Value = str | float | int | bool
SECTIONS: Final = (
    *("conventions", "source", "timing", "target", "responses", "channels", "signals", "backgrounds"),
    *("nuisances", "free"),
)
"""Sections of a model whose numbers can be set."""
_TEXTS: Final = frozenset(
    {"source", "status", "note", "uncertainty", "quantity", "reason", "table", "column", "file", "varies", "as"}
)
"""Keys that say where a number comes from or what it is."""
MEASURED: Final = (
    *("target.*", "channels.*", "source.thermal_power", "source.distance", "source.total_flux", "source.flux.*"),
    "source.scale.*",
    *("source.protons_on_target", "source.neutrinos_per_proton", "source.normalisation", "source.energy_per_fission"),
    *("signals.*.standard_model_counts", "backgrounds.*.counts", "backgrounds.*.area"),
)
"""Numbers that the observed counts depend on: the size of the experiment, its flux, its bins, its counts."""
_CLOSE: Final = 1e-9
"""Relative difference below which a nuisance's centre is the number that it varies."""


@dataclass(frozen=True, slots=True)
class Change:
    """One number that was set, with what stood there before."""

    path: str
    old: Value
    new: Value

    def __str__(self) -> str:
        return f"{self.path} = {self.new} (was {self.old})"


def changed(
    origin: Mapping[str, Any],
    raw: Mapping[str, Any],
    file: Path,
    changes: Mapping[str, Value],
    set_before: Set[str],
    *,
    validate: Callable[[Mapping[str, Any], Path], ModelDocument],
) -> tuple[dict[str, Any], tuple[Change, ...]]:
    """The raw model with numbers set at their paths, and which of them are others than before.

    origin : the raw model with its variants before anything was set; raw : with what was set before, at the paths
    `set_before`; validate : makes a checked document of a raw model and the path of its file.

    Raises
    ------
    ModelError : a path that is not in the model, a value that does not fit, counts that do not say what they follow.
    """
    before = validate(raw, file)
    known = dict(leaves(before))
    found: dict[str, Any] = dict(raw)
    made: list[Change] = []
    for written, value in changes.items():
        path = _known_path(before, known, written)
        new = _fitting(f"{before.name}: {path}", known[path], value)
        if not _equal(known[path], new):
            made.append(Change(path, _plain(known[path]), new))
            found = put(found, tuple(path.split(".")), _entry(raw, path, known[path], new))
    if not made:
        return dict(raw), ()
    given = {change.path for change in made}
    found = _with_shares(before, found, given, set_before)
    found = _with_centres(before, validate(found, file), found, given)
    after = validate(found, file)
    growth(validate(origin, file), after, given | set_before)
    return _with_norms(before, after, found, given | set_before), tuple(made)


def of_measurement(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """The changes that the observed counts depend on: with them it is another experiment."""
    return tuple(c for c in changes if any(fnmatch(c.path, pattern) for pattern in MEASURED))


# The paths.


def leaves(document: ModelDocument) -> Iterator[tuple[str, Any]]:
    """Every number and choice of a model that can be set, by its path."""
    for section in SECTIONS:
        yield from _below(getattr(document, section), section)


def _below(node: Any, at: str) -> Iterator[tuple[str, Any]]:
    if node is None or (at.startswith("channels.") and at.endswith(".observed")):
        return
    if isinstance(node, Quantity) or not isinstance(node, BaseModel | dict | tuple):
        yield at, node
    elif isinstance(node, tuple):
        for place, item in enumerate(node):
            yield from _below(item, f"{at}.{place}")
    elif isinstance(node, dict):
        for name, item in node.items():
            yield from _below(item, f"{at}.{name}")
    else:
        for name, info in type(node).model_fields.items():
            key = info.alias or name
            if key not in _TEXTS:
                yield from _below(getattr(node, name), f"{at}.{key}")


def _known_path(document: ModelDocument, known: Mapping[str, Any], written: str) -> str:
    path = written.removesuffix(".value")
    if path in known:
        return path
    where = f"{document.name}: {written}"
    below = [other for other in known if other.startswith(f"{path}.")]
    if below:
        more = ", ..." if len(below) > 6 else ""
        raise ModelError(f"{where}: found a part of the model; numbers of it are allowed: {', '.join(below[:6])}{more}")
    if ".observed" in path:
        raise ModelError(f"{where}: observed counts are data and cannot be set")
    if path.split(".")[0] not in SECTIONS:
        hint = suggestion(path.split(".")[0], list(SECTIONS)) or _same_end(path, known)
        raise ModelError(f"{where}: no such section; numbers of {', '.join(SECTIONS)} can be set{hint}")
    if path in ("target.exposure", "target.mass", "target.live_time"):
        stated = [other for other in ("target.exposure", "target.mass", "target.live_time") if other in known]
        raise ModelError(f"{where}: not in this model, which states {' and '.join(stated) or 'a single target'}")
    hint = _same_end(path, known) or suggestion(path, list(known))
    raise ModelError(f"{where}: no such number in this model with its variants{hint}")


def _same_end(path: str, known: Mapping[str, Any]) -> str:
    """Numbers of the same name that stand elsewhere, as a suggestion."""
    for end in (path, path.rpartition(".")[2]):
        found = [other for other in known if other.endswith(f".{end}")]
        if found:
            return f"; did you mean {' or '.join(repr(other) for other in found[:3])}?"
    return ""


# The values.


def _plain(leaf: Any) -> Value:
    return leaf.value if isinstance(leaf, Quantity) else leaf


def _fitting(where: str, leaf: Any, value: Value) -> Value:
    """The value as the model file would have it there."""
    old = _plain(leaf)
    if isinstance(old, bool) or isinstance(value, bool):
        if isinstance(old, bool) and isinstance(value, bool):
            return value
        allowed = "true or false" if isinstance(old, bool) else "a number or a word"
        raise ModelError(f"{where}: found {value!r}; {allowed} is allowed")
    try:
        dimension = type(leaf).dimension if isinstance(leaf, Quantity) else _dimension(old)
        if dimension is None:
            return str(value)
        number = units.parse(value, dimension)
    except UnitError as error:
        raise ModelError(f"{where}: {error}") from None
    if isinstance(leaf, Quantity) or isinstance(old, str):
        return _number(value)
    return int(number) if isinstance(old, int) and number == int(number) else number


def _number(value: Value) -> Value:
    """A text that is a plain number as that number."""
    try:
        return float(value)
    except ValueError:
        return value


def _dimension(old: Value) -> units.Dimension | None:
    """Of a number that may be written with its unit, None of a word."""
    if not isinstance(old, str):
        return units.DIMENSIONLESS
    number, _, unit = old.strip().partition(" ")
    try:
        float(number)
        return units.unit(unit).dimension
    except (UnitError, ValueError):
        return None


def _equal(leaf: Any, new: Value) -> bool:
    if isinstance(leaf, Quantity):
        return bool(leaf.number == units.parse(new, leaf.dimension))
    dimension = _dimension(leaf) if isinstance(leaf, str) else None
    return units.parse(leaf, dimension) == units.parse(str(new), dimension) if dimension else bool(leaf == new)


def _entry(raw: Mapping[str, Any], path: str, leaf: Any, new: Value) -> Any:
    """What stands in the model file then."""
    if not isinstance(leaf, Quantity):
        return new
    node = raw_at(raw, path)
    kept = {key: item for key, item in node.items() if key != "uncertainty"} if isinstance(node, dict) else {}
    return kept | {"value": new, "source": f"set by hand; {leaf.value} in the model", "status": "chosen"}


def raw_at(raw: Any, path: str) -> Any:
    """What stands at a path of a raw model, None where nothing does."""
    for part in path.split("."):
        if isinstance(raw, list | tuple):
            raw = raw[int(part)] if part.isdigit() and int(part) < len(raw) else None
        else:
            raw = raw.get(part) if isinstance(raw, dict) else None
    return raw


def put(node: Any, way: tuple[str, ...], value: Any) -> Any:
    """A raw part with a value at the end of a way; the part itself is not changed."""
    if not way:
        return value
    head, *rest = way
    if isinstance(node, list | tuple):
        found = list(node)
        found[int(head)] = put(found[int(head)], tuple(rest), value)
        return found
    below = node.get(head) if isinstance(node, dict) else None
    return {**(node if isinstance(node, dict) else {}), head: put(below, tuple(rest), value)}


# What follows.


def _with_shares(before: ModelDocument, raw: dict[str, Any], given: Set[str], set_before: Set[str]) -> dict[str, Any]:
    """Channels with an exposure of their own keep their share of that of the target."""
    old = before.target.exposure
    if old is None or "target.exposure" not in given:
        return raw
    ratio = units.parse(raw["target"]["exposure"]["value"], old.dimension) / old.number
    for name, channel in before.channels.items():
        path = f"channels.{name}.exposure"
        if channel.exposure is not None and path not in given | set_before:
            number, _, unit = str(channel.exposure.value).partition(" ")
            row = raw["channels"][name]["exposure"] | {"value": f"{float(number) * ratio!r} {unit}"}
            raw = put(raw, tuple(path.split(".")), row)
    return raw


def _with_centres(before: ModelDocument, after: ModelDocument, raw: dict[str, Any], given: Set[str]) -> dict[str, Any]:
    """The centre of a nuisance is the number that it varies."""
    now = dict(leaves(after))
    for name, row in before.nuisances.items():
        moved = [path for path in row.paths if path in given]
        if not moved or f"nuisances.{name}.centre" in given:
            continue
        other = next((path for path in row.paths if not _equal(now[path], _plain(now[moved[0]]))), None)
        if other is not None:
            raise ModelError(
                f"{before.name}: {moved[0]} is one number with {other} in nuisance {name!r}; set both alike"
            )
        unit = str(row.centre).partition(" ")[2]
        leaf = now[moved[0]]
        number = leaf.number / units.unit(unit).scale if isinstance(leaf, Quantity) else leaf
        raw = put(raw, ("nuisances", name, "centre"), f"{number:.12g} {unit}" if unit else number)
    return raw


def _with_norms(before: ModelDocument, after: ModelDocument, raw: dict[str, Any], given: Set[str]) -> dict[str, Any]:
    """Centres and widths of norms that follow the size of the experiment."""
    for name, row in after.nuisances.items():
        for key, factor in zip(("centre", "sigma"), norm_growth(before, after, row), strict=True):
            if factor != 1.0 and f"nuisances.{name}.{key}" not in given:
                number, _, unit = str(getattr(row, key)).partition(" ")
                value = float(number) * factor
                raw = put(raw, ("nuisances", name, key), f"{value!r} {unit}" if unit else value)
    return raw
