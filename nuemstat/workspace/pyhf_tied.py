"""A stock pyhf model in which the powers of one parameter move together.

pyhf lets a model bring modifiers of its own. Here they are powers of normfactors, so that ``millicharge_ee`` drives
its own first and second power, and fits and hypothesis tests run on the coupling. The file itself stays stock.
"""

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

_POWER = re.compile(r"(?P<base>.+)__pow(?P<power>\d+)")


@dataclass(frozen=True, slots=True)
class Tie:
    """A normfactor that stands for (offset + slope x base) ** power; constrained : whether pyhf constrains the base."""

    base: str
    power: int
    offset: float = 0.0
    slope: float = 1.0
    constrained: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is its base."""
        return (self.power, self.offset, self.slope) == (1, 0.0, 1.0)


def ties_by_name(document: Mapping[str, Any]) -> dict[str, Tie]:
    """The ties that the names of an exported file tell: ``a__pow2`` is a^2."""
    parts = [(s, m) for c in document["channels"] for s in c["samples"] for m in s["modifiers"]]
    constrained = {m["name"] for _, m in parts if m["type"] in ("normsys", "histosys")}
    found: dict[str, Tie] = {}
    for _, modifier in parts:
        match = _POWER.fullmatch(modifier["name"])
        if modifier["type"] == "normfactor" and match:
            base = match["base"]
            found[modifier["name"]] = Tie(base, int(match["power"]), constrained=base in constrained)
    return found


def tied_model(
    document: Mapping[str, Any], ties: Mapping[str, Tie], settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Any:
    """The `pyhf.Model` of a document with these ties.

    settings : pyhf's ``modifier_settings``; defaults : (start, lower, upper) of each base that the document does not
    set.
    """
    import pyhf

    kinds: dict[tuple[Any, ...], str] = {}
    channels = deepcopy(document["channels"])
    for channel in channels:
        for sample in channel["samples"]:
            sample["modifiers"] = [_tied(modifier, ties, kinds) for modifier in sample["modifiers"]]
    config = document["measurements"][0]["config"]
    poi = ties[config["poi"]].base if config["poi"] in ties else config["poi"]
    parameters = [dict(p) for p in config["parameters"] if p["name"] not in ties or ties[p["name"]].plain]
    known = {parameter["name"] for parameter in parameters}
    for base in dict.fromkeys(tie.base for tie in ties.values()):
        if base not in known:
            start, low, high = defaults[base]
            parameters.append({"name": base, "inits": [start], "bounds": [[low, high]], "fixed": True})
    for parameter in parameters:
        parameter["fixed"] = parameter.get("fixed", False) and parameter["name"] != poi
    used = {m["name"] for c in channels for s in c["samples"] for m in s["modifiers"]}
    modifiers = dict(pyhf.modifiers.histfactory_set) | {label: _classes(label, *key) for key, label in kinds.items()}
    return pyhf.Model(
        {"channels": channels, "parameters": [p for p in parameters if p["name"] in used]},
        modifier_set=modifiers,
        poi_name=poi,
        validate=False,
        modifier_settings=dict(settings),
    )


def powers_of_defaults(document: Mapping[str, Any], ties: Mapping[str, Tie]) -> dict[str, tuple[float, float, float]]:
    """Start and bounds of bases as the settings of their powers tell them, positive where the sign is lost."""
    found: dict[str, tuple[float, float, float]] = {}
    for setting in document["measurements"][0]["config"]["parameters"]:
        if (tie := ties.get(setting["name"])) is not None:
            ends = (setting["inits"][0], setting["bounds"][0][1])
            start, high = (max(value, 0.0) ** (1 / tie.power) for value in ends)
            found.setdefault(tie.base, (start, 0.0, high))
    return found


def _tied(modifier: Mapping[str, Any], ties: Mapping[str, Tie], kinds: dict[tuple[Any, ...], str]) -> dict[str, Any]:
    tie = ties.get(modifier["name"])
    if modifier["type"] != "normfactor" or tie is None:
        return dict(modifier)
    if tie.plain:
        return {**modifier, "name": tie.base}
    key = (tie.power, tie.offset, tie.slope, tie.constrained)
    label = kinds.setdefault(key, f"power_{len(kinds)}")
    return {"name": tie.base, "type": label, "data": None}


def _classes(label: str, power: int, offset: float, slope: float, constrained: bool) -> tuple[Any, Any]:
    """Builder and applier of a modifier, as pyhf wants them."""
    from pyhf.modifiers import histosys, normfactor
    from pyhf.tensor.manager import get_backend

    class Builder(normfactor.normfactor_builder):  # type: ignore[misc]
        def finalize(self) -> Any:
            for name in self.required_parsets if constrained else ():
                self.required_parsets[name] = [histosys.required_parset([], {})]
            return super().finalize()

    class Applier(normfactor.normfactor_combined):  # type: ignore[misc]
        name = label

        def apply(self, pars: Any) -> Any:
            factors = super().apply(pars)
            if factors is None:
                return None
            moved = (offset + slope * factors) ** power
            tensorlib, _ = get_backend()
            return tensorlib.where(self.normfactor_mask_bool, moved, self.normfactor_default)

    return Builder, Applier
