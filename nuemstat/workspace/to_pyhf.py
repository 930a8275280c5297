"""Writes a workspace as stock pyhf JSON, valid under pyhf's own schema (pyhf 0.7, schema 1.0.0).

pyhf has no powers, so each power of a parameter is a normfactor of its own: ``millicharge_ee`` and
``millicharge_ee__pow2``. Set both together and every number agrees with this package; the tie stays outside the
file (`PyhfExport.ties`, `pyhf_parameters`). Higher powers are fixed at their default in the measurement. Floated
freely beside the first power they make a larger model, whose limits mean something else.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import Workspace, write_whole
from nuemstat.workspace.pyhf_samples import Ledger, channel_document

PSEUDO_COUNTS = 1e8
"""Pedestal of Gaussian channels: larger ones are closer to a Gaussian but defeat pyhf's minimisers."""

_COUPLING_RANGE = 1e3  # pyhf asks for finite bounds; couplings are of order one
_NUISANCE_RANGE = 10.0  # sigma

Values = Mapping[str, float | Sequence[float]]


@dataclass(frozen=True, slots=True, eq=False)
class PyhfExport:
    """A workspace in pyhf's words.

    document : the JSON document; workspace : what it was made from;
    ties : normfactor -> (workspace parameter, power), the first powers among them;
    notes : what the file cannot say, one sentence or two each.
    """

    document: dict[str, Any]
    ties: Mapping[str, tuple[str, int]]
    notes: tuple[str, ...]
    workspace: Workspace


def to_pyhf(workspace: Workspace, *, pedestal: float = PSEUDO_COUNTS) -> PyhfExport:
    """The workspace as a pyhf document, tied by hand.

    pedestal : pseudo-counts of a bin of a Gaussian channel.

    Raises
    ------
    WorkspaceError : pyhf has no form for a parameter's use; names the parameter and says why.
    """
    ledger = Ledger(workspace)
    written = [channel_document(channel, ledger, pedestal) for channel in workspace.channels]
    channels = [channel for channel, _ in written]
    _carry_constraints(channels, ledger)
    _check_lumi(ledger)
    config = _config(ledger)
    document = {
        "channels": channels,
        "observations": [observation for _, observation in written],
        "measurements": [{"name": workspace.name, "config": config}],
        "version": "1.0.0",
    }
    notes = tuple(dict.fromkeys([*_general_notes(ledger, str(config["poi"])), *ledger.notes]))
    return PyhfExport(document, dict(ledger.ties), notes, workspace)


def pyhf_parameters(export: PyhfExport, model_config: Any, values: Values) -> FloatArray:
    """pyhf's parameter vector at given values of the workspace's parameters, in workspace numbers.

    model_config : `pyhf.Model.config`; values : numbers by name, or one number per bin for a shapesys, staterror
        or shapefactor (factors around 1). What is not given stands at its default.

    Raises
    ------
    WorkspaceError : a name that the workspace does not hold, or a derived parameter.
    """
    for name in values:
        if export.workspace.parameter(name).kind == "derived":
            raise WorkspaceError(f"{export.workspace.name}: {name} follows other parameters; set these instead")
    numbers = _resolved(export.workspace, {n: float(v) for n, v in values.items() if isinstance(v, int | float)})
    vector = np.array(model_config.suggested_init(), dtype=float)
    luminosity = _luminosity(export.workspace)
    for name in model_config.par_order:
        place = model_config.par_slice(name)
        if name in export.ties:
            parameter, power = export.ties[name]
            vector[place] = numbers[parameter] ** power
        elif name == "lumi" and luminosity is not None:
            definition = export.workspace.parameter(luminosity)
            vector[place] = definition.centre + definition.sigma * numbers[luminosity]
        elif name in values:
            vector[place] = values[name]
    return vector


def model(workspace: Workspace) -> tuple[Any, list[float]]:
    """The stock pyhf model of the exported document, and its data with auxiliary measurements."""
    import pyhf

    stock = pyhf.Workspace(to_pyhf(workspace).document)
    made = stock.model()
    return made, stock.data(made)


def write_pyhf(workspace: Workspace, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write ``<name>.json`` and ``<name>.notes.md`` (what the file cannot say, how to tie), and return both paths.

    Raises
    ------
    WorkspaceError : as `to_pyhf`, or the folder cannot be written.
    """
    export = to_pyhf(workspace)
    paths = Path(folder) / f"{workspace.name}.json", Path(folder) / f"{workspace.name}.notes.md"
    write_whole(paths[0], json.dumps(export.document, indent=1) + "\n")
    write_whole(paths[1], _explanation(export))
    return paths


def _carry_constraints(channels: list[dict[str, Any]], ledger: Ledger) -> None:
    """A norm of 1 for every nuisance that has no modifier of its own, so that it is constrained all the same."""
    held = ledger.constrained | set(ledger.places) | {ledger.lumi}
    for parameter in ledger.workspace.parameters:
        if parameter.kind == "constrained" and parameter.constraint == "normal" and parameter.name not in held:
            neutral = {"name": parameter.name, "type": "normsys", "data": {"hi": 1.0, "lo": 1.0}}
            channels[0]["samples"][0]["modifiers"].append(neutral)
            ledger.constrained.add(parameter.name)


def _check_lumi(ledger: Ledger) -> None:
    if ledger.lumi is not None and ledger.lumi in ledger.constrained:
        raise ledger.impossible(ledger.lumi, "pyhf's luminosity cannot drive other modifiers")


def _luminosity(workspace: Workspace) -> str | None:
    names = (m.parameter for c in workspace.channels for s in c.samples for m in s.modifiers if m.type == "lumi")
    return next(names, None)


def _config(ledger: Ledger) -> dict[str, Any]:
    """The measurement: parameter of interest, starts, bounds, what is fixed."""
    poi = _interest(ledger)
    parameters = [*_factor_configs(ledger, poi), *_nuisance_configs(ledger)]
    return {"poi": poi, "parameters": parameters}


def _interest(ledger: Ledger) -> str:
    """The first coupling, in its first power where there is one; '' (no such parameter) in a model without."""
    for name in ledger.workspace.couplings:
        labels = sorted((power, label) for label, (parameter, power) in ledger.ties.items() if parameter == name)
        if labels:
            return labels[0][1]
    return ""


def _factor_configs(ledger: Ledger, poi: str) -> Iterator[dict[str, Any]]:
    numbers = _resolved(ledger.workspace, {})
    for label, (name, power) in ledger.ties.items():
        definition = ledger.workspace.parameter(name)
        low, high = definition.bounds if definition.kind != "derived" else (None, None)
        reach = _COUPLING_RANGE * max(1.0, abs(numbers[name]))
        low, high = -reach if low is None else low, reach if high is None else high
        corners = sorted((low**power, high**power, *([0.0] if power % 2 == 0 and low < 0 < high else [])))
        yield {
            "name": label,
            "inits": [numbers[name] ** power],
            "bounds": [[corners[0], corners[-1]]],
            "fixed": label != poi and not (definition.kind == "free" and power == 1),
        }


def _nuisance_configs(ledger: Ledger) -> Iterator[dict[str, Any]]:
    for parameter in ledger.workspace.parameters:
        if parameter.kind != "constrained":
            continue
        low, high = parameter.bounds
        low = -_NUISANCE_RANGE if low is None else max(low, -_NUISANCE_RANGE)
        high = _NUISANCE_RANGE if high is None else min(high, _NUISANCE_RANGE)
        if parameter.name in ledger.constrained:
            yield {"name": parameter.name, "inits": [0.0], "bounds": [[low, high]], "fixed": False}
        elif parameter.name == ledger.lumi:
            centre, sigma = parameter.centre, parameter.sigma
            bounds = [[max(0.0, centre + low * sigma), centre + high * sigma]]
            yield {
                "name": "lumi",
                "inits": [centre],
                "auxdata": [centre],
                "sigmas": [sigma],
                "bounds": bounds,
                "fixed": False,
            }


def _resolved(workspace: Workspace, values: Mapping[str, float]) -> dict[str, float]:
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


def _general_notes(ledger: Ledger, poi: str) -> Iterator[str]:
    tied = [label for label, (_, power) in ledger.ties.items() if power > 1 and label != poi]
    if tied:
        yield (
            f"Powers are parameters of their own ({', '.join(tied)}), fixed at their default; they follow the first "
            "power only where you set them. Floating them freely is a larger model."
        )
    derived = [p for p in ledger.workspace.parameters if p.kind == "derived"]
    for parameter in derived:
        if any(name == parameter.name for name, _ in ledger.ties.values()):
            terms = " + ".join(f"{c:g} x {name}" for name, c in parameter.terms.items())
            yield f"{parameter.name} = {parameter.offset:g} + {terms}; this, too, is for you to keep."
    for folded in ledger.workspace.folded:
        yield f"{folded.name} was kept at {folded.value:g} when the workspace was made."
    if poi:
        yield f"The parameter of interest is {poi}; the other couplings are fixed at their default."
    yield "pyhf gives no number where a bin is expected to hold less than nothing; stay where all bins are positive."


def _explanation(export: PyhfExport) -> str:
    """The text beside the document."""
    rows = [f"| `{label}` | `{name}` | {power} |" for label, (name, power) in export.ties.items()]
    units = [
        f"| `{p.name}` | {p.scale:g} {p.unit} | {p.default:g} |"
        for p in export.workspace.parameters
        if p.kind in ("coupling", "free")
    ]
    lines = [
        f"# {export.workspace.name}.json",
        "",
        f"A pyhf workspace made from {export.workspace.digest}.",
        "",
        "## What the file cannot say",
        "",
        *(f"- {note}" for note in export.notes),
        "",
        "## Ties",
        "",
        "Set every factor to this power of its parameter before each evaluation:",
        "",
        *(["| factor | parameter | power |", "|---|---|---|", *rows] if rows else ["None."]),
        "",
        "```python",
        "from nuemstat.workspace.to_pyhf import model, pyhf_parameters, to_pyhf",
        "",
        "export = to_pyhf(workspace)",
        "stock, data = model(workspace)",
        'stock.logpdf(pyhf_parameters(export, stock.config, {"NAME": 1.5}), data)',
        "```",
        "",
        "## Units of 1",
        "",
        *(["| parameter | 1 is | default |", "|---|---|---|", *units] if units else ["No free parameters."]),
        "",
    ]
    return "\n".join(lines)
