"""Writes a workspace as stock pyhf JSON in which one coupling is a parameter of the file: limits by pyhf alone.

The coupling q stands behind a histosys with q = Q x alpha and Q so large that alpha stays tiny: there HistFactory's
code 4p is S alpha + 15/8 A alpha^2, with S and A half the difference and half the sum of the changes at +1 and -1,
so that S = Q x (linear term) and A = 8/15 Q^2 x (quadratic term) make an exact quadratic, and the unit normal
constraint of alpha, which no stock file can drop, is below 1e-8.

HistFactory adds the changes of histosys modifiers, so a shape systematic on the coupling's own terms has no place:
it is frozen at the best fit, and what that changes is measured with this package and said. Norms of these terms, and
everything on the terms without the coupling, are kept; a linear norm becomes a normsys, right to its width squared, and
a free parameter that occurs in powers becomes its shift from the best fit, in first order.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log10
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.stats.data import default, to_workspace
from nuemstat.stats.intervals import limit
from nuemstat.stats.minimise import fit
from nuemstat.stats.results import Limit
from nuemstat.vocabulary import UNIVERSAL
from nuemstat.workspace.document import Channel, Sample, Workspace
from nuemstat.workspace.pyhf_config import carry_constraints, check_luminosity, factor_settings, nuisance_settings
from nuemstat.workspace.pyhf_freeze import SHIFT, Freezer
from nuemstat.workspace.pyhf_samples import Basis, Ledger, sample_document, with_data
from nuemstat.workspace.to_pyhf import PSEUDO_COUNTS, write_export

_SMALL = 1e-4
"""Largest alpha at the ends of the 90 % interval: the form is then right to (2/3) alpha^2 of the quadratic term."""
_FREE = 20.0
"""Bounds of the coupling, in units of the largest end."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedExport:
    """A workspace in pyhf's words, with one coupling as a parameter.

    document : the JSON document; coupling, unit : name of the parameter and physical size of its 1 [mu_B, e, cm^2, 1];
    notes : what the file cannot say, and what was frozen; workspace : what it was made from;
    frozen : the native workspace with the same likelihood, for checks (its samples bear no document's names);
    full, kept : the 90 % intervals by this package of `workspace` and of `frozen`.
    """

    document: dict[str, Any]
    coupling: str
    unit: float
    notes: tuple[str, ...]
    workspace: Workspace
    frozen: Workspace
    full: Limit
    kept: Limit


def embedded(
    workspace: Workspace, coupling: str, *, fixed: Mapping[str, float] | None = None, pedestal: float = PSEUDO_COUNTS
) -> EmbeddedExport:
    """The workspace as a pyhf document in one coupling, the others at their defaults or `fixed` (physical values).

    coupling : held by the workspace, or universal; pedestal : pseudo-counts of a bin of a Gaussian channel.

    Raises
    ------
    WorkspaceError : the coupling is not held, occurs in a power above 2, or pyhf has no form for something else;
    FitError : no best fit at which to freeze.
    """
    if coupling in UNIVERSAL:
        workspace = workspace.substitute(coupling)
    definition = workspace.parameter(coupling)
    if definition.kind not in ("coupling", "free"):
        raise WorkspaceError(f"{workspace.name}: {coupling} is {definition.kind}; a coupling or free factor is allowed")
    for name in fixed or {}:
        if workspace.parameter(name).kind not in ("coupling", "free"):
            raise WorkspaceError(f"{workspace.name}: {name} is a nuisance; couplings and free factors can be fixed")
    full = limit(workspace, coupling, fixed=fixed, expected=False)
    values, errors = _values(workspace, coupling, fixed or {}, full)
    work = Freezer(workspace, coupling, values, errors, tuple(fixed or ()))
    frozen = workspace.model_copy(
        update={"channels": tuple(map(work.channel, workspace.channels)), "parameters": work.parameters()}
    )
    kept = limit(frozen, coupling, expected=False)
    scale = _scale([*full.intervals, *kept.intervals, (full.best_fit, kept.best_fit)], definition.scale)
    document, ledger = _document(frozen, coupling, scale, kept.best_fit / definition.scale, pedestal)
    unit = scale * definition.scale
    notes = (*_notes(work, definition, unit, full, kept), *dict.fromkeys(ledger.notes))
    return EmbeddedExport(document, coupling, unit, notes, workspace, frozen, full, kept)


def write_embedded(
    workspace: Workspace,
    coupling: str,
    folder: str | os.PathLike[str],
    *,
    fixed: Mapping[str, float] | None = None,
    force: bool = False,
) -> tuple[Path, Path]:
    """Write ``<name>.<coupling>.json`` and ``<name>.<coupling>.notes.md``, and return both paths.

    Raises
    ------
    WorkspaceError, FitError : as `embedded`, or a file is there already and `force` is not set.
    """
    export = embedded(workspace, coupling, fixed=fixed)
    name = f"{export.workspace.name}.{coupling}"
    lines = [
        f"# {name}.json",
        "",
        f"A pyhf workspace made from {export.workspace.digest}; its parameter of interest is the coupling itself.",
        f"`{coupling}` = 1 in this file is {export.unit:.9g} {export.workspace.parameter(coupling).unit}.",
        "",
        "## What the file cannot say",
        "",
        *(f"- {note}" for note in export.notes),
        "",
    ]
    return write_export(export.document, lines, Path(folder), name, force=force)


def _values(
    workspace: Workspace, coupling: str, fixed: Mapping[str, float], full: Limit
) -> tuple[dict[str, float], dict[str, float]]:
    """Every parameter at the best fit, in workspace numbers, and the errors of free ones."""
    start = {coupling: full.best_fit / workspace.parameter(coupling).scale}
    best = fit(workspace, free=(coupling,), fixed=fixed, start=start)
    physical = {name: entry.value for name, entry in best.nuisances.items()}
    physical |= {name: entry.value for name, entry in best.couplings.items()} | dict(fixed)
    held = {p.name: p for p in workspace.parameters if p.kind != "derived"}
    numbers = {name: default(p) for name, p in held.items()}
    numbers |= to_workspace(workspace, {name: value for name, value in physical.items() if name in held})
    free = {p.name: p.scale for p in workspace.parameters if p.kind == "free"}
    found = {name: best.nuisances[name].error for name in free if name in best.nuisances}
    return numbers, {name: error / free[name] for name, error in found.items() if error}


def _scale(intervals: Sequence[tuple[float | None, float | None]], size: float) -> float:
    """Q, a power of ten: the largest end is at most `_SMALL` of it, in workspace numbers."""
    largest = max((abs(end) / size for pair in intervals for end in pair if end), default=1.0)
    return float(10.0 ** ceil(log10(largest / _SMALL)))


def _document(
    frozen: Workspace, coupling: str, scale: float, start: float, pedestal: float
) -> tuple[dict[str, Any], Ledger]:
    ledger = Ledger(frozen)
    written = [_channel_document(channel, coupling, scale, ledger, pedestal) for channel in frozen.channels]
    channels = [channel for channel, _ in written]
    carry_constraints(channels, ledger)
    check_luminosity(ledger)
    low, high = frozen.parameter(coupling).bounds
    reach = _FREE * _SMALL
    bottom = -reach if low is None else max(low / scale, -reach)
    top = reach if high is None else min(high / scale, reach)
    setting = {
        "name": coupling,
        "inits": [start / scale],
        "bounds": [[bottom, top]],
        "fixed": False,
    }
    parameters = [setting, *factor_settings(ledger, coupling), *nuisance_settings(ledger)]
    document = {
        "channels": channels,
        "observations": [observation for _, observation in written],
        "measurements": [{"name": frozen.name, "config": {"poi": coupling, "parameters": parameters}}],
        "version": "1.0.0",
    }
    return document, ledger


def _channel_document(
    channel: Channel, coupling: str, scale: float, ledger: Ledger, pedestal: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    basis = Basis.of(channel, pedestal)
    plain = [s for s in channel.samples if coupling not in s.monomial]
    groups: dict[Any, list[Sample]] = {}
    for sample in channel.samples:
        if coupling in sample.monomial:
            rest = tuple((name, power) for name, power in sample.monomial.items() if name != coupling)
            groups.setdefault((sample.process, rest, sample.modifiers), []).append(sample)
    samples = [sample_document(channel, sample, basis, ledger) for sample in plain]
    names = [sample["name"] for sample in samples]
    for (_, rest, _), terms in groups.items():
        sums = {power: np.zeros(channel.size) for power in (1, 2)}
        for term in terms:
            sums[term.monomial[coupling]] += np.array(term.contents)
        empty = terms[0].model_copy(update={"contents": (0.0,) * channel.size, "monomial": dict(rest)})
        document = sample_document(channel, empty, basis, ledger)
        while document["name"] in names:
            document["name"] += "_"
        names.append(document["name"])
        even, odd = 8 / 15 * scale**2 * sums[2], scale * sums[1]
        data = {"hi_data": basis(even + odd), "lo_data": basis(even - odd)}
        document["modifiers"].append({"name": coupling, "type": "histosys", "data": data})
        samples.append(document)
    return with_data(channel, samples, basis, ledger)


def _notes(work: Freezer, definition: Any, unit: float, full: Limit, kept: Limit) -> list[str]:
    notes = [
        f"{work.coupling} = 1 is {unit:.9g} {definition.unit}, {unit / definition.scale:.9g} times the number of the "
        f"native workspace; the form holds for |{work.coupling}| < {_FREE * _SMALL:g}, and adds its square to 2 NLL."
    ]
    constants = [f"{name} = {value:.6g}" for name, value in work.constants.items() if name not in work.bent]
    if constants:
        notes.append(f"Held constant, in workspace numbers: {', '.join(constants)}.")
    frozen = [name for name in work.bent if name not in work.moved]
    if frozen:
        notes.append(f"Frozen at the best fit, for they occur in powers: {', '.join(frozen)}.")
    if work.moved:
        told = ", ".join(f"{name} (from {work.values[name]:.6g})" for name in work.moved)
        notes.append(
            f"In first order around the best fit, for they occur in powers; `{work.moved[0]}{SHIFT}` is the shift in "
            f"workspace numbers: {told}."
        )
    for name, processes in work.frozen.items():
        notes.append(
            f"The shape of {name} on the terms of {work.coupling} in {', '.join(processes)} is frozen at the best fit "
            f"({name} = {work.value(name):.4g}); its effect on all other terms is kept."
        )
    for name, size in work.linear.items():
        notes.append(
            f"The linear norm of {name} on the terms of {work.coupling} is written as a normsys of 1 +- {size:g}: "
            f"right to {size**2:.1g} of these terms at two sigma."
        )
    if work.bent or work.frozen or work.linear:
        return [f"What the rest changes, measured by nuemstat: {_told(full)} becomes {_told(kept)}.", *notes]
    return [f"Nothing is lost; by nuemstat: {_told(full)}.", *notes]


def _told(found: Limit) -> str:
    ends = [["open" if end is None else f"{end:.4g}" for end in pair] for pair in found.intervals]
    pieces = " u ".join(f"[{low}, {high}]" for low, high in ends)
    return f"best fit {found.best_fit:.4g} {found.unit} with the 90 % set {pieces}"
