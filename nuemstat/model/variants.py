"""Variants of a model: overlays chosen by name, and numbers of a model file set by their path.

An overlay is a JSON merge patch (RFC 7386): its keys replace those of the model, null removes a key. How the overlays
of several groups meet stands in `nuemstat.model.overlays`.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from nuemstat.errors import ModelError, suggestion
from nuemstat.model.overlays import Key, Overlays, at, edits, put
from nuemstat.physics.electron import EQUIVALENT_PHOTONS


def choose(name: str, overlays: Overlays, options: Iterable[str]) -> dict[str, str]:
    """One option per group: the named ones, those that they take with them, and the first of every other group.

    Raises
    ------
    ModelError : an option that no group has, two of one group, or one that another one excludes.
    """
    available = overlays.groups
    named: dict[str, str] = {}
    for option in options:
        group = next((group for group, known in available.items() if option in known), None)
        if group is None:
            known = [o for group in available.values() for o in group]
            listing = "; ".join(f"{g}: {', '.join(o)}" for g, o in available.items()) or "none"
            raise ModelError(f"{name}: no variant {option!r}; it has {listing}{suggestion(option, known)}")
        if group in named and named[group] != option:
            raise ModelError(f"{name}: variants {named[group]!r} and {option!r} are both of group {group!r}; name one")
        named[group] = option
    taken = _taken(name, overlays, named)
    _refuse_undone(name, overlays, named, taken)
    return {group: taken.get(group, known[0]) for group, known in available.items()}


def _taken(name: str, overlays: Overlays, named: Mapping[str, str]) -> dict[str, str]:
    """The named options and those that they take with them, in turn."""
    taken, takers, waiting = dict(named), dict[str, str](), list(named.items())
    while waiting:
        group, option = waiting.pop(0)
        for other, wanted in overlays.sets(group, option).items():
            found = taken.setdefault(other, wanted)
            if found != wanted and other in named:
                raise ModelError(f"{name}: {option!r} takes {other}={wanted}; {found!r} was asked for")
            if found != wanted:
                raise ModelError(f"{name}: {option!r} takes {other}={wanted}; {takers[other]!r} takes {other}={found}")
            if other not in takers and other not in named:
                waiting.append((other, wanted))
            takers.setdefault(other, option)
    return taken


def _refuse_undone(name: str, overlays: Overlays, named: Mapping[str, str], taken: Mapping[str, str]) -> None:
    """A named option that leaves a key of its group alone, where an option of another group sets it all the same."""
    for group, option in named.items():
        for guest in taken:
            if guest == group or group in overlays.sets(guest, taken[guest]):
                continue
            owned = {key for _, (key, _) in overlays.owned(group, guest)}
            for key, value in overlays.edits_of(guest, taken).items():
                stands = overlays.edits[group, option].get(key, at(overlays.raw, key))
                if key in owned and stands != value and not overlays.ordered(group, guest, key):
                    raise ModelError(f"{name}: {taken[guest]!r} sets {'.'.join(key)}; {option!r} was asked for")


def describing(raw: Mapping[str, Any], choice: str) -> dict[str, str]:
    """The options that make a choice of the model's, by the value that they take; empty where no group does.

    raw : the model with its default options.
    """
    default = (raw.get("describes") or {}).get(choice)
    for options in (raw.get("variants") or {}).values():
        overlays = {name: (overlay or {}).get("describes") or {} for name, overlay in options.items()}
        values = {name: described.get(choice, default) for name, described in overlays.items()}
        found = {str(value): name for name, value in values.items() if value is not None}
        if len(found) > 1:
            return found
    return {}


def merge(base: Any, patch: Any) -> Any:
    """`base` with a JSON merge patch applied; neither is changed. Another `type` replaces the whole part."""
    for key, value in edits(patch, base):
        base = put(base, key, value)
    return base


def apply(raw: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, Any]:
    """The raw model with the chosen overlays, and only the nuisances of the chosen pulls.

    The pulls of `paper` are always local: a published analysis shares them with nobody. Processes, responses and parts
    that an overlay removed are taken out of the rows that name them, and rows that are left with nothing fall away.
    """
    model = Overlays("", raw).composed(chosen)
    pulls = chosen.get("pulls", "full")
    gone, vanished = _sections(raw) - _sections(model), partial(_vanished, raw, model)
    rows: dict[str, Any] = {}
    for name, row in (model.get("nuisances") or {}).items():
        kept = _without(row, gone, vanished)
        if kept is not None and pulls in row.get("pulls", (pulls,)):
            rows[name] = kept | {"scope": "local"} if pulls == "paper" else kept
    model["nuisances"] = rows
    free = {name: _without(row, gone, vanished) for name, row in (model.get("free") or {}).items()}
    model["free"] = {name: row for name, row in free.items() if row is not None}
    return _without_idle_mass(model, raw)


def _without_idle_mass(model: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out what an overlay says of the logarithm of equivalent photons where another took the photons away."""
    signals = dict(model.get("signals") or {})
    for name, signal in signals.items():
        stated = (raw.get("signals") or {}).get(name) or {}
        idle = isinstance(signal, dict) and signal.get("approximation") not in EQUIVALENT_PHOTONS
        if idle and "neutrino_mass" not in stated:
            signals[name] = {key: value for key, value in signal.items() if key != "neutrino_mass"}
    return {**model, "signals": signals} if signals else model


def _sections(raw: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Processes, and the responses that any of them passes."""
    found: set[tuple[str, str]] = set()
    for kind in ("signals", "backgrounds"):
        for name, process in (raw.get(kind) or {}).items():
            found.add((kind, name))
            named = process.get("response") if isinstance(process, dict) else None
            for response in named.values() if isinstance(named, dict) else [named]:
                found.add(("responses", str(response)))
    return found


def _without(row: Any, gone: set[tuple[str, str]], vanished: Callable[[str], bool]) -> Any:
    """A row without the processes and paths that are gone, None where one of its lists is then empty."""
    if not isinstance(row, dict):
        return row
    processes = {name for kind, name in gone if kind != "responses"}
    kept = dict(row)
    if isinstance(row.get("varies"), str | list):
        paths = [row["varies"]] if isinstance(row["varies"], str) else row["varies"]
        left = [path for path in paths if tuple(str(path).split(".")[:2]) not in gone and not vanished(path)]
        kept["varies"] = left[0] if isinstance(row["varies"], str) and left else left
    if isinstance(row.get("processes"), list):
        kept["processes"] = [process for process in row["processes"] if process not in processes]
    if isinstance(row.get("only"), dict) and isinstance(row["only"].get("processes"), list):
        kept["only"] = row["only"] | {"processes": [p for p in row["only"]["processes"] if p not in processes]}
    emptied = [kept.get("varies"), kept.get("processes"), (kept.get("only") or {}).get("processes")]
    return None if [] in emptied and kept != row else kept


def _vanished(raw: Mapping[str, Any], model: Mapping[str, Any], path: str) -> bool:
    """Whether the file has what stands on the way to a number, and the model with its variants no longer has it."""
    way: Key = tuple(str(path).split("."))
    while way and at(raw, way) is None:
        way = way[:-1]
    return at(model, way) is None


def remarks(name: str, overlays: Overlays, chosen: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each option that changes the model alone and, beside the others, has nothing left to act on."""
    default = {group: options[0] for group, options in overlays.groups.items()}
    active = {group: option for group, option in chosen.items() if option != default[group]}
    if len(active) < 2:
        return ()
    found = []
    for group, option in active.items():
        if not _idle(overlays, dict(chosen), group) or _idle(overlays, default | {group: option}, group):
            continue
        others = {other: taken for other, taken in active.items() if other != group}
        by = {o: t for o, t in others.items() if _idle(overlays, default | {group: option, o: t}, group)} or others
        found.append(
            f"{name}: variant {option!r} has nothing left to act on beside {' and '.join(map(repr, by.values()))}"
        )
    return tuple(found)


def _idle(overlays: Overlays, chosen: dict[str, str], group: str) -> bool:
    """Whether the option of a group makes no difference to its default, and not because both say the same."""
    model = _in_use(apply(overlays.raw, chosen))
    if model != _in_use(apply(overlays.raw, chosen | {group: overlays.groups[group][0]})):
        return False
    return any(at(model, key) != value for key, value in overlays.edits_of(group, chosen).items())


def _in_use(model: dict[str, Any]) -> dict[str, Any]:
    """A model without the responses that none of its processes passes."""
    used = {name for kind, name in _sections(model) if kind == "responses"}
    return model | {"responses": {name: row for name, row in (model.get("responses") or {}).items() if name in used}}


def with_value(raw: Mapping[str, Any], path: str, value: str | float) -> dict[str, Any]:
    """The raw model with the number at a dotted path set to `value`.

    Raises
    ------
    ModelError : the path leads through something that is not there.
    """
    model: dict[str, Any] = dict(raw)
    node: Any = model
    *way, last = path.split(".")
    for part in way:
        key: Any = int(part) if isinstance(node, list) else part
        try:
            child = node[key]
        except (KeyError, IndexError):
            child = {}
        child = copy.copy(child)
        if not isinstance(child, dict | list):
            raise ModelError(f"varies: {path!r}: {part!r} is a plain value; a path to a number is allowed")
        node[key] = child
        node = child
    key = int(last) if isinstance(node, list) else last
    old = node.get(last) if isinstance(node, dict) else node[int(last)]
    node[key] = old | {"value": value} if isinstance(old, dict) else value
    return model
