"""Variants of a model: overlays chosen by name, and numbers of a model file set by their path.

An overlay is a JSON merge patch (RFC 7386): its keys replace those of the model, null removes a key.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from nuemstat.errors import ModelError, suggestion
from nuemstat.physics.electron import EQUIVALENT_PHOTONS


def groups(raw: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The variant groups of a raw model and their options, the default first."""
    return {group: tuple(options) for group, options in (raw.get("variants") or {}).items()}


def choose(name: str, available: Mapping[str, tuple[str, ...]], options: Iterable[str]) -> dict[str, str]:
    """One option per group: the named ones, and the first of every other group.

    Raises
    ------
    ModelError : an option that no group has, or two of one group.
    """
    chosen: dict[str, str] = {}
    for option in options:
        group = next((group for group, known in available.items() if option in known), None)
        if group is None:
            known = [o for group in available.values() for o in group]
            listing = "; ".join(f"{g}: {', '.join(o)}" for g, o in available.items()) or "none"
            raise ModelError(f"{name}: no variant {option!r}; it has {listing}{suggestion(option, known)}")
        if group in chosen and chosen[group] != option:
            raise ModelError(f"{name}: variants {chosen[group]!r} and {option!r} are both of group {group!r}; name one")
        chosen[group] = option
    return {group: chosen.get(group, known[0]) for group, known in available.items()}


def describing(raw: Mapping[str, Any], choice: str) -> dict[str, str]:
    """The options that make a choice of the model's, by the value that they take; empty where no group does.

    raw : the model with its default options.
    """
    default = str((raw.get("describes") or {}).get(choice))
    for options in (raw.get("variants") or {}).values():
        overlays = {name: (overlay or {}).get("describes") or {} for name, overlay in options.items()}
        found = {str(described.get(choice, default)): name for name, described in overlays.items()}
        if len(found) > 1:
            return found
    return {}


def merge(base: Any, patch: Any) -> Any:
    """`base` with a JSON merge patch applied; neither is changed. Another `type` replaces the whole part."""
    if not isinstance(patch, dict) or not isinstance(base, dict):
        return copy.deepcopy(patch)
    if "type" in patch and patch["type"] != base.get("type"):
        return copy.deepcopy(patch)
    merged = {key: value for key, value in base.items() if key not in patch or patch[key] is not None}
    for key, value in patch.items():
        if value is not None:
            merged[key] = merge(merged.get(key), value)
    return merged


def apply(raw: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, Any]:
    """The raw model with the chosen overlays, and only the nuisances of the chosen pulls.

    The pulls of `paper` are always local: a published analysis shares them with nobody. Processes and responses that an
    overlay removed are taken out of the rows that name them, and rows that are left with nothing fall away.
    """
    model: dict[str, Any] = dict(raw)
    for group, option in chosen.items():
        model = merge(model, raw["variants"][group][option] or {})
    pulls = chosen.get("pulls", "full")
    gone = _sections(raw) - _sections(model)
    rows: dict[str, Any] = {}
    for name, row in (model.get("nuisances") or {}).items():
        kept = _without(row, gone)
        if kept is not None and pulls in row.get("pulls", (pulls,)):
            rows[name] = kept | {"scope": "local"} if pulls == "paper" else kept
    model["nuisances"] = rows
    free = {name: _without(row, gone) for name, row in (model.get("free") or {}).items()}
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


def _without(row: Any, gone: set[tuple[str, str]]) -> Any:
    """A row without the processes and paths that are gone, None where one of its lists is then empty."""
    if not isinstance(row, dict):
        return row
    processes = {name for kind, name in gone if kind != "responses"}
    kept = dict(row)
    if isinstance(row.get("varies"), str | list):
        paths = [row["varies"]] if isinstance(row["varies"], str) else row["varies"]
        left = [path for path in paths if tuple(str(path).split(".")[:2]) not in gone]
        kept["varies"] = left[0] if isinstance(row["varies"], str) and left else left
    if isinstance(row.get("processes"), list):
        kept["processes"] = [process for process in row["processes"] if process not in processes]
    if isinstance(row.get("only"), dict) and isinstance(row["only"].get("processes"), list):
        kept["only"] = row["only"] | {"processes": [p for p in row["only"]["processes"] if p not in processes]}
    emptied = [kept.get("varies"), kept.get("processes"), (kept.get("only") or {}).get("processes")]
    return None if [] in emptied and kept != row else kept


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
