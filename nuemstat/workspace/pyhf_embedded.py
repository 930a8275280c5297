"""Writes a workspace as stock pyhf JSON in which one coupling is a parameter of the file: limits by pyhf alone.

The coupling q stands behind a histosys with q = Q x alpha and Q so large that alpha stays tiny: there HistFactory's
code 4p is S alpha + 15/8 A alpha^2, with S and A half the difference and half the sum of the changes at +1 and -1,
so that S = Q x (linear term) and A = 8/15 Q^2 x (quadratic term) make an exact quadratic, and the unit normal
constraint of alpha, which no stock file can drop, is below 1e-8.

HistFactory adds the changes of histosys modifiers, so a shape systematic on the coupling's own terms has no place:
it is frozen at the best fit, and what that changes is measured with this package and said. Norms of these terms, and
everything on the terms without the coupling, are kept.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log10
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.data import default, to_workspace
from nuemstat.stats.intervals import limit
from nuemstat.stats.minimise import fit
from nuemstat.stats.results import Limit
from nuemstat.vocabulary import UNIVERSAL
from nuemstat.workspace.document import Channel, Parameter, Sample, Workspace
from nuemstat.workspace.modifiers import HistoSys, Modifier, Norm, NormFactor, Shape
from nuemstat.workspace.pyhf_config import carry_constraints, check_luminosity, factor_settings, nuisance_settings
from nuemstat.workspace.pyhf_samples import Basis, Ledger, sample_document, varied, with_data
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
    full = limit(workspace, coupling, fixed=fixed)
    work = _Freezer(workspace, coupling, _values(workspace, coupling, fixed or {}, full), tuple(fixed or ()))
    frozen = workspace.model_copy(
        update={"channels": tuple(map(work.channel, workspace.channels)), "parameters": work.parameters()}
    )
    kept = limit(frozen, coupling)
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
        f"A pyhf workspace made from {export.workspace.digest}, embedded form: its parameter of interest is the coupling.",
        f"`{coupling}` = 1 in this file is {export.unit:.9g} {export.workspace.parameter(coupling).unit}.",
        "",
        "## What the file cannot say",
        "",
        *(f"- {note}" for note in export.notes),
        "",
    ]
    return write_export(export.document, lines, Path(folder), name, force=force)


def _values(workspace: Workspace, coupling: str, fixed: Mapping[str, float], full: Limit) -> dict[str, float]:
    """Every parameter at the best fit, in workspace numbers."""
    best = fit(workspace, free=(coupling,), fixed=fixed, start={coupling: full.best_fit / workspace.parameter(coupling).scale})
    physical = {name: entry.value for name, entry in best.nuisances.items()}
    physical |= {name: entry.value for name, entry in best.couplings.items()} | dict(fixed)
    held = {p.name for p in workspace.parameters if p.kind != "derived"}
    numbers = {p.name: default(p) for p in workspace.parameters if p.kind != "derived"}
    numbers |= to_workspace(workspace, {name: value for name, value in physical.items() if name in held})
    return numbers


@dataclass(slots=True, eq=False)
class _Freezer:
    """Makes the native workspace that the embedded form can hold.

    values : the best fit; fixed : couplings and factors that the caller set;
    frozen : nuisance -> processes on whose coupling terms its shape is frozen;
    constants : what is held at its value, `bent` those of them that are so because they occur in powers.
    """

    workspace: Workspace
    coupling: str
    values: Mapping[str, float]
    fixed: Collection[str] = ()
    frozen: dict[str, list[str]] = field(default_factory=dict)
    constants: dict[str, float] = field(init=False)
    bent: list[str] = field(init=False)
    _channels: list[Channel] = field(default_factory=list)

    def __post_init__(self) -> None:
        powers: dict[str, int] = {}
        for channel in self.workspace.channels:
            for sample in channel.samples:
                for name, power in _powers(sample).items():
                    powers[name] = max(power, powers.get(name, 0))
        kinds = {p.name: p.kind for p in self.workspace.parameters}
        others = {name: kind for name, kind in kinds.items() if name != self.coupling and kind != "derived"}
        self.bent = [name for name, kind in others.items()
                     if kind != "coupling" and name not in self.fixed and powers.get(name, 0) > 1]  # fmt: skip
        held = [name for name, kind in others.items() if kind == "coupling" or name in self.fixed or name in self.bent]
        self.constants = {name: self.values[name] for name in held}

    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that are left; derived ones that only couplings drive went into the samples."""
        used = {m.parameter for c in self._channels for s in c.samples for m in s.modifiers}
        used |= {name for c in self._channels for s in c.samples for name in s.monomial}
        return tuple(p for p in self.workspace.parameters if p.name not in self.constants and (p.kind != "derived" or p.name in used))

    def channel(self, channel: Channel) -> Channel:
        """A channel with samples free of the coupling, and one for each of its powers and set of norms."""
        plain: list[Sample] = []
        terms: dict[tuple[str, int, tuple[tuple[str, int], ...], tuple[Modifier, ...]], FloatArray] = {}
        for sample in channel.samples:
            rest, polynomial = self._polynomial(channel, sample)
            for power, coefficient in polynomial.items():
                if power == 0:
                    plain.append(_scaled(sample, coefficient, rest))
                elif coefficient:
                    contents, factors = self._freeze(channel, sample)
                    key = (sample.process, power, tuple(sorted(rest.items())), factors)
                    terms[key] = terms.get(key, np.zeros(channel.size)) + coefficient * contents
        kept = [s for s in plain if any(s.contents) or any(m.type in ("shape", "histosys") for m in s.modifiers)]
        made = [
            Sample.model_construct(
                name=f"{process}__x__{self.coupling}", process=process, monomial={self.coupling: power, **dict(rest)},
                contents=tuple(contents.tolist()), errors=None, modifiers=factors,
            )
            for (process, power, rest, factors), contents in terms.items()
        ]  # fmt: skip
        result = channel.model_copy(update={"samples": (*kept, *made)})
        self._channels.append(result)
        return result

    def _polynomial(self, channel: Channel, sample: Sample) -> tuple[dict[str, int], dict[int, float]]:
        """Powers of what is neither the coupling nor constant, and the rest as a polynomial in the coupling."""
        rest: dict[str, int] = {}
        polynomial = np.polynomial.Polynomial([1.0])
        for name, power in _powers(sample).items():
            linear = self._linear(name)
            if linear is None:
                rest[name] = power
            else:
                polynomial = polynomial * np.polynomial.Polynomial(linear) ** power
        coefficients = {power: float(c) for power, c in enumerate(polynomial.coef) if c or power == 0}
        if max(coefficients) > 2:
            raise WorkspaceError(
                f"channel {channel.name}, sample {sample.name}: it grows as power {max(coefficients)} of {self.coupling}; "
                "the embedded form holds first and second powers"
            )
        return rest, coefficients

    def _linear(self, name: str) -> tuple[float, float] | None:
        """Constant and slope in the coupling, or None for what floats beside it."""
        if name == self.coupling:
            return 0.0, 1.0
        if name in self.constants:
            return self.constants[name], 0.0
        definition = self.workspace.parameter(name)
        if definition.kind != "derived" or not all(t == self.coupling or t in self.constants for t in definition.terms):
            return None
        offset = definition.offset + sum(c * self.constants[t] for t, c in definition.terms.items() if t != self.coupling)
        return float(offset), float(definition.terms.get(self.coupling, 0.0))

    def _freeze(self, channel: Channel, sample: Sample) -> tuple[FloatArray, tuple[Modifier, ...]]:
        """Contents of a coupling's term with its shapes at the best fit, and the factors that stay."""
        contents = np.array(sample.contents)
        shapes = [m for m in sample.modifiers if isinstance(m, HistoSys | Shape) or _linear_norm(m)]
        factors = [m for m in sample.modifiers if m not in shapes and m.type != "normfactor"]
        if not shapes:
            return contents, tuple(sorted(factors, key=repr))
        change, ratio = np.zeros(channel.size), np.ones(channel.size)
        for modifier in shapes:
            self._note(modifier.parameter, sample.process)
            value = self._value(modifier.parameter)
            moved = varied(channel, sample, [(modifier, 1.0)], value)
            if isinstance(modifier, Shape) and modifier.interpolation == "multiplicative":
                unit = sample.model_copy(update={"contents": (1.0,) * channel.size})
                ratio *= varied(channel, unit, [(modifier, 1.0)], value)
            else:
                change += moved - contents
        return (contents + change) * ratio, tuple(sorted(factors, key=repr))

    def _note(self, name: str, process: str) -> None:
        processes = self.frozen.setdefault(name, [])
        if process not in processes:
            processes.append(process)

    def _value(self, name: str) -> float:
        definition = self.workspace.parameter(name)
        if definition.kind == "derived":
            return float(definition.offset + sum(c * self.values[base] for base, c in definition.terms.items()))
        return float(self.values[name])


def _powers(sample: Sample) -> dict[str, int]:
    powers = dict(sample.monomial)
    for modifier in sample.modifiers:
        if modifier.type == "normfactor":
            powers[modifier.parameter] = powers.get(modifier.parameter, 0) + 1
    return powers


def _linear_norm(modifier: Modifier) -> bool:
    return isinstance(modifier, Norm) and modifier.interpolation == "linear"


def _scaled(sample: Sample, scale: float, rest: Mapping[str, int]) -> Sample:
    """A sample without coupling, times what its coupling factors are worth."""
    modifiers: list[Modifier] = []
    for modifier in sample.modifiers:
        match modifier:
            case NormFactor():
                continue
            case HistoSys():
                data = {key: tuple(scale * v for v in getattr(modifier, key)) for key in ("hi_data", "lo_data")}
                modifiers.append(modifier.model_copy(update=data))
            case Shape(interpolation="additive"):
                anchors = tuple(a.model_copy(update={"values": tuple(scale * v for v in a.values)}) for a in modifier.anchors)
                modifiers.append(modifier.model_copy(update={"anchors": anchors}))
            case _:
                modifiers.append(modifier)
    contents = tuple(scale * value for value in sample.contents)
    return sample.model_copy(update={"contents": contents, "monomial": dict(rest), "modifiers": tuple(modifiers)})


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
    setting = {
        "name": coupling,
        "inits": [start / scale],
        "bounds": [[-reach if low is None else max(low / scale, -reach), reach if high is None else min(high / scale, reach)]],
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


def _notes(work: _Freezer, definition: Any, unit: float, full: Limit, kept: Limit) -> list[str]:
    notes = [
        f"{work.coupling} = 1 is {unit:.9g} {definition.unit}, {unit / definition.scale:.9g} times the number of the "
        f"native workspace; the form holds for |{work.coupling}| < {_FREE * _SMALL:g}, and adds its square to 2 NLL."
    ]
    constants = [f"{name} = {value:.6g}" for name, value in work.constants.items() if name not in work.bent]
    if constants:
        notes.append(f"Held constant, in workspace numbers: {', '.join(constants)}.")
    if work.bent:
        notes.append(f"Frozen at the best fit, for they occur in powers: {', '.join(work.bent)}.")
    for name, processes in work.frozen.items():
        notes.append(
            f"The shape of {name} on the terms of {work.coupling} in {', '.join(processes)} is frozen at the best fit "
            f"({name} = {work._value(name):.4g}); its effect on all other terms is kept."
        )
    if work.bent or work.frozen:
        notes.append(f"What freezing changes, measured by nuemstat: {_told(full)} becomes {_told(kept)}.")
    else:
        notes.append(f"Nothing is frozen; by nuemstat: {_told(full)}.")
    return notes


def _told(found: Limit) -> str:
    pieces = " u ".join(f"[{low if low is None else format(low, '.4g')}, {high if high is None else format(high, '.4g')}]"
                        for low, high in found.intervals)  # fmt: skip
    return f"best fit {found.best_fit:.4g} {found.unit} with the 90 % set {pieces}"
