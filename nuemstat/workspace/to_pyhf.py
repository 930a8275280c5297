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
from nuemstat.vocabulary import UNIVERSAL
from nuemstat.workspace.bins import bin_name, shape_factors
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.pyhf_config import (
    COUPLING_RANGE,
    DEFAULT_CODES,
    carry_constraints,
    check_luminosity,
    factor_settings,
    modifier_settings,
    nuisance_settings,
    resolved,
)
from nuemstat.workspace.pyhf_samples import Ledger, channel_document
from nuemstat.workspace.pyhf_schema import pyhf_document
from nuemstat.workspace.pyhf_tied import Tie, powers_of_defaults, tied_model, ties_by_name
from nuemstat.workspace.reading import parse_json, read_bytes
from nuemstat.writing import pretty, write_whole

PSEUDO_COUNTS = 1e8
"""Pedestal of Gaussian channels: larger ones are closer to a Gaussian but defeat pyhf's minimisers."""

Values = Mapping[str, float | Sequence[float]]


@dataclass(frozen=True, slots=True, eq=False)
class PyhfExport:
    """A workspace in pyhf's words.

    document : the JSON document; workspace : what it was made from;
    ties : normfactor -> (workspace parameter, power), the first powers among them;
    notes : what the file cannot say, one sentence or two each;
    settings : pyhf's ``modifier_settings``, which no file holds.
    """

    document: dict[str, Any]
    ties: Mapping[str, tuple[str, int]]
    notes: tuple[str, ...]
    workspace: Workspace
    settings: Mapping[str, Mapping[str, str]]


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
    carry_constraints(channels, ledger)
    check_luminosity(ledger)
    config = _config(ledger)
    document = {
        "channels": channels,
        "observations": [observation for _, observation in written],
        "measurements": [{"name": workspace.name, "config": config}],
        "version": "1.0.0",
    }
    notes = tuple(dict.fromkeys([*_general_notes(ledger, str(config["poi"])), *ledger.notes]))
    return PyhfExport(document, dict(ledger.ties), notes, workspace, modifier_settings(ledger))


def pyhf_parameters(export: PyhfExport, model_config: Any, values: Values) -> FloatArray:
    """pyhf's parameter vector at given values of the workspace's parameters, in workspace numbers.

    model_config : `pyhf.Model.config`; values : numbers by name, or one number per bin for a shapesys, staterror
        or shapefactor (factors around 1); single bins of the latter by the names that fits have for them. What is not
        given stands at its default.

    Raises
    ------
    WorkspaceError : a name that the workspace does not hold, or a derived parameter.
    """
    bins = {bin_name(n, i): (n, i) for n, size in shape_factors(export.workspace).items() for i in range(size)}
    single = {bins[name]: value for name, value in values.items() if name in bins}
    values = {name: value for name, value in values.items() if name not in bins}
    for name in values:
        if export.workspace.parameter(name).kind == "derived":
            raise WorkspaceError(f"{export.workspace.name}: {name} follows other parameters; set these instead")
    numbers = resolved(export.workspace, {n: float(v) for n, v in values.items() if isinstance(v, int | float)})
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
        elif name in numbers and export.workspace.parameter(name).kind == "coupling":
            vector[place] = numbers[name]  # of a tied model, where a coupling of even powers has its own name
    for (name, number), value in single.items():
        if name in model_config.par_order:
            vector[model_config.par_slice(name).start + number] = value
    return vector


def stock(workspace: Workspace) -> tuple[Any, list[float]]:
    """The pyhf model of the exported document as it stands, powers untied, and its data with auxiliary measurements."""
    import pyhf

    export = to_pyhf(workspace)
    file = pyhf.Workspace(export.document)
    made = file.model(modifier_settings=dict(export.settings))
    return made, file.data(made)


def model(source: Workspace | PyhfExport | Mapping[str, Any] | str | os.PathLike[str], coupling: str = "") -> Any:
    """A stock `pyhf.Model` in which the powers of a coupling move with it: fits and tests run on the coupling itself.

    source : a workspace, its export, or a tied file that this package wrote (parsed, or its path). Of a file, the
        names tell the powers; universal couplings with an offset need the workspace.
    coupling : the parameter of interest; the file's own when left out. Universal ones need the workspace.

    Its data are ``pyhf.Workspace(document).data(model)``.

    Raises
    ------
    WorkspaceError : `coupling` is not there, or the file cannot be read.
    """
    if isinstance(source, Workspace):
        source = to_pyhf(source.substitute(coupling) if coupling in UNIVERSAL else source)
    if isinstance(source, PyhfExport):
        document, settings = source.document, source.settings
        ties, defaults = _exact_ties(source)
    else:
        document = dict(source) if isinstance(source, Mapping) else _document(source)
        ties = ties_by_name(document)
        defaults = powers_of_defaults(document, ties)
        settings = {kind: {"interpcode": code} for kind, code in DEFAULT_CODES.items()}
    if coupling:
        document = _with_interest(document, coupling, ties)
    return tied_model(document, ties, settings, defaults)


def _document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A pyhf file, checked, with lists as pyhf wants them."""
    raw = read_bytes(path)
    pyhf_document(parse_json(raw, str(path)), str(path))
    return dict(json.loads(raw))


def _exact_ties(export: PyhfExport) -> tuple[dict[str, Tie], dict[str, tuple[float, float, float]]]:
    """The ties of an export, derived parameters included, and start and bounds of what they hang on."""
    ties: dict[str, Tie] = {}
    for label, (name, power) in export.ties.items():
        definition = export.workspace.parameter(name)
        if definition.kind == "derived":
            if len(definition.terms) != 1:
                raise WorkspaceError(f"{export.workspace.name}: {name} follows {', '.join(definition.terms)}; a tied "
                                     "pyhf model follows one parameter")  # fmt: skip
            ((base, slope),) = definition.terms.items()
            ties[label] = Tie(base, power, definition.offset, slope)
        else:
            ties[label] = Tie(name, power, constrained=definition.kind == "constrained")
    defaults = {}
    for tie in ties.values():
        definition = export.workspace.parameter(tie.base)
        if definition.kind != "constrained":
            low, high = (COUPLING_RANGE if end is None else end for end in definition.bounds)
            low = -COUPLING_RANGE if definition.bounds[0] is None else low
            defaults[tie.base] = (definition.default, low, high)
        else:
            defaults[tie.base] = (0.0, -10.0, 10.0)
    return ties, defaults


def _with_interest(document: Mapping[str, Any], coupling: str, ties: Mapping[str, Tie]) -> dict[str, Any]:
    """The document with another parameter of interest, the former one fixed as the other couplings are."""
    names = {m["name"] for c in document["channels"] for s in c["samples"] for m in s["modifiers"]}
    known = dict.fromkeys([*(tie.base for tie in ties.values()), *sorted(names - set(ties))])
    if coupling not in known:
        raise WorkspaceError(f"coupling: found {coupling!r}; this file holds {', '.join(known)}")
    first, *others = document["measurements"]
    before = first["config"]["poi"]
    parameters = [{**p, "fixed": p.get("fixed", False) or p["name"] == before} for p in first["config"]["parameters"]]
    config = {"poi": coupling, "parameters": parameters}  # the model frees the new one
    return {**document, "measurements": [{**first, "config": config}, *others]}


def write_pyhf(workspace: Workspace, folder: str | os.PathLike[str], *, force: bool = False) -> tuple[Path, Path]:
    """Write ``<name>.json`` and ``<name>.notes.md`` (what the file cannot say, how to tie), and return both paths.

    Raises
    ------
    WorkspaceError : as `to_pyhf`, the folder cannot be written, or a file is there already and `force` is not set.
    """
    export = to_pyhf(workspace)
    return write_export(export.document, _explanation(export), Path(folder), workspace.name, force=force)


def write_export(
    document: Mapping[str, Any], notes: Sequence[str], folder: Path, name: str, *, force: bool
) -> tuple[Path, Path]:
    """Write a document and its notes (lines of text); neither where one is there already and `force` is not set."""
    paths = folder / f"{name}.json", folder / f"{name}.notes.md"
    for path in paths:
        if path.exists() and not force:
            raise WorkspaceError(f"{path}: is there already; it is kept unless --force is given")
    write_whole(paths[0], pretty(document) + "\n")
    write_whole(paths[1], "\n".join(notes))
    return paths


def _luminosity(workspace: Workspace) -> str | None:
    names = (m.parameter for c in workspace.channels for s in c.samples for m in s.modifiers if m.type == "lumi")
    return next(names, None)


def _config(ledger: Ledger) -> dict[str, Any]:
    """The measurement: parameter of interest, starts, bounds, what is fixed."""
    poi = _interest(ledger)
    parameters = [*factor_settings(ledger, poi), *nuisance_settings(ledger)]
    return {"poi": poi, "parameters": parameters}


def _interest(ledger: Ledger) -> str:
    """The first coupling, in its first power where there is one; '' (no such parameter) in a model without."""
    for name in ledger.workspace.couplings:
        labels = sorted((power, label) for label, (parameter, power) in ledger.ties.items() if parameter == name)
        if labels:
            return labels[0][1]
    return ""


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
    for choice, value in ledger.workspace.choices.items():
        yield f"{choice} is {value} here: of members of a joint fit, which pyhf cannot check, all have to be the same."
    if poi:
        yield f"The parameter of interest is {poi}; the other couplings are fixed at their default."
    yield "pyhf gives no number where a bin is expected to hold less than nothing; stay where all bins are positive."


def _explanation(export: PyhfExport) -> list[str]:
    """The text beside the document."""
    rows = [f"| `{label}` | `{name}` | {power} |" for label, (name, power) in export.ties.items()]
    units = [
        f"| `{p.name}` | {p.scale:g} {p.unit} | {p.default:g} |"
        for p in export.workspace.parameters
        if p.kind in ("coupling", "free")
    ]
    codes = [] if export.settings == modifier_settings(Ledger(export.workspace)) else [
        f"- Interpolation codes stand in no file: build the model with `modifier_settings={dict(export.settings)}`."
    ]  # fmt: skip
    return [
        f"# {export.workspace.name}.json",
        "",
        f"A pyhf workspace made from {export.workspace.digest}.",
        "",
        "## What the file cannot say",
        "",
        *(f"- {note}" for note in export.notes),
        *codes,
        "",
        "## Ties",
        "",
        "Set every factor to this power of its parameter before each evaluation:",
        "",
        *(["| factor | parameter | power |", "|---|---|---|", *rows] if rows else ["None."]),
        "",
        "```python",
        "import json",
        "",
        "import pyhf",
        "",
        "from nuemstat.workspace.to_pyhf import model",
        "",
        f'file = pyhf.Workspace(json.load(open("{export.workspace.name}.json")))',
        f'tied = model("{export.workspace.name}.json")  # a stock pyhf.Model whose powers move together',
        "pyhf.infer.mle.fit(file.data(tied), tied)",
        "```",
        "",
        "## Units of 1",
        "",
        *(["| parameter | 1 is | default |", "|---|---|---|", *units] if units else ["No free parameters."]),
        "",
    ]
