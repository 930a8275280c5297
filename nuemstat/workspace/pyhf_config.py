"""The measurement of an exported pyhf document: starts, bounds, what is fixed, and what has to be constrained."""

from collections.abc import Iterator, Mapping
from typing import Any

from nuemstat.workspace.bins import shape_factors
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.pyhf_samples import Ledger

COUPLING_RANGE = 1e3
"""Bounds of what has none, for pyhf asks for finite ones; couplings are of order one."""
NUISANCE_RANGE = 10.0
"""The same for nuisances, in sigma."""
DEFAULT_CODES = {"normsys": "code4", "histosys": "code4p"}


def carry_constraints(channels: list[dict[str, Any]], ledger: Ledger) -> None:
    """A norm of 1 for every nuisance that has no modifier of its own, so that it is constrained all the same."""
    held = ledger.constrained | set(ledger.places) | {ledger.lumi}
    for parameter in ledger.workspace.parameters:
        if parameter.kind == "constrained" and parameter.constraint == "normal" and parameter.name not in held:
            neutral = {"name": parameter.name, "type": "normsys", "data": {"hi": 1.0, "lo": 1.0}}
            channels[0]["samples"][0]["modifiers"].append(neutral)
            ledger.constrained.add(parameter.name)


def check_luminosity(ledger: Ledger) -> None:
    """A WorkspaceError where the luminosity drives anything but lumi modifiers."""
    if ledger.lumi is not None and ledger.lumi in ledger.constrained:
        raise ledger.impossible(ledger.lumi, "pyhf's luminosity cannot drive other modifiers")


def modifier_settings(ledger: Ledger) -> dict[str, dict[str, str]]:
    """pyhf's ``modifier_settings`` of the document."""
    return {kind: {"interpcode": code} for kind, code in (DEFAULT_CODES | ledger.codes).items()}


def factor_settings(ledger: Ledger, poi: str) -> Iterator[dict[str, Any]]:
    """Settings of normfactors, couplings other than `poi` and powers fixed at their default, and of shape factors."""
    numbers = resolved(ledger.workspace, {})
    for label, (name, power) in ledger.ties.items():
        definition = ledger.workspace.parameter(name)
        low, high = definition.bounds if definition.kind != "derived" else (None, None)
        reach = COUPLING_RANGE * max(1.0, abs(numbers[name]))
        low, high = -reach if low is None else low, reach if high is None else high
        corners = sorted((low**power, high**power, *([0.0] if power % 2 == 0 and low < 0 < high else [])))
        yield {
            "name": label,
            "inits": [numbers[name] ** power],
            "bounds": [[corners[0], corners[-1]]],
            "fixed": label != poi and not (definition.kind == "free" and power == 1),
        }
    yield from _shape_settings(ledger)


def _shape_settings(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """Settings of shape factors, one value per bin; pyhf's own bounds of 0 and 10 would be others."""
    for name, size in shape_factors(ledger.workspace).items():
        definition = ledger.workspace.parameter(name)
        low, high = definition.bounds
        reach = COUPLING_RANGE * max(1.0, abs(definition.default))
        pair = [-reach if low is None else low, reach if high is None else high]
        yield {"name": name, "inits": [definition.default] * size, "bounds": [pair] * size, "fixed": False}


def nuisance_settings(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """Settings of the constrained parameters with one value each."""
    for parameter in ledger.workspace.parameters:
        if parameter.kind != "constrained":
            continue
        low, high = parameter.bounds
        low = -NUISANCE_RANGE if low is None else max(low, -NUISANCE_RANGE)
        high = NUISANCE_RANGE if high is None else min(high, NUISANCE_RANGE)
        if parameter.name in ledger.constrained:
            yield {"name": parameter.name, "inits": [0.0], "bounds": [[low, high]], "fixed": False}
        elif parameter.name == ledger.lumi:
            centre, sigma = parameter.centre, parameter.sigma
            yield {
                "name": "lumi",
                "inits": [centre],
                "auxdata": [centre],
                "sigmas": [sigma],
                "bounds": [[max(0.0, centre + low * sigma), centre + high * sigma]],
                "fixed": False,
            }


def resolved(workspace: Workspace, values: Mapping[str, float]) -> dict[str, float]:
    """A number for every parameter: given, default or derived."""
    numbers = {
        p.name: values.get(p.name, 0.0 if p.kind == "constrained" else p.default)
        for p in workspace.parameters
        if p.kind != "derived"
    }
    for parameter in workspace.parameters:
        if parameter.kind == "derived":
            terms = parameter.terms.items()
            numbers[parameter.name] = parameter.offset + sum(c * numbers[name] for name, c in terms)
    return numbers
