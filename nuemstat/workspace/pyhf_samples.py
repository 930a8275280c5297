"""One channel of a workspace in pyhf's words: samples, modifiers, and Gaussian data as pseudo-counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import Channel, Sample, Workspace
from nuemstat.workspace.interpolation import code1, code4, histosys_weights
from nuemstat.workspace.modifiers import HistoSys, Modifier, Norm, NormSys, Shape
from nuemstat.workspace.shapes import interpolated

PEDESTAL = "gaussian_pedestal"
_PER_BIN = ("shapesys", "staterror", "shapefactor")


@dataclass(slots=True, eq=False)
class Ledger:
    """What is found out while channels are written.

    workspace : the document; ties : normfactor -> (parameter, power); constrained : scalar nuisances that pyhf
    constrains, because a modifier of theirs is there; lumi : the parameter behind pyhf's `lumi`;
    places : channel and sample of each modifier with one factor per bin; notes : what the file cannot say;
    codes : interpolation of normsys and histosys, for which pyhf has settings and its files no place.
    """

    workspace: Workspace
    ties: dict[str, tuple[str, int]] = field(default_factory=dict)
    constrained: set[str] = field(default_factory=set)
    lumi: str | None = None
    places: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)

    def interpolate(self, kind: str, code: str) -> None:
        """Note the interpolation of a normsys or histosys; a pyhf model has one code for each."""
        if self.codes.setdefault(kind, code) != code:
            raise WorkspaceError(
                f"{self.workspace.name}: {kind} interpolates by {self.codes[kind]} and by {code}; a pyhf model has one "
                "code for all"
            )

    def factor(self, name: str, power: int) -> dict[str, Any]:
        """The normfactor of a power of a parameter; a mere alias goes by the name of what it stands for."""
        definition = self.workspace.parameter(name)
        if definition.kind == "derived" and definition.offset == 0 and list(definition.terms.values()) == [1.0]:
            (name,) = definition.terms
        label = name if power == 1 else f"{name}__pow{power}"
        self.ties[label] = (name, power)
        return {"name": label, "type": "normfactor", "data": None}

    def nuisances(self, name: str) -> Mapping[str, float]:
        """The constrained parameters behind a modifier's parameter, with their coefficients."""
        definition = self.workspace.parameter(name)
        terms = dict(definition.terms) if definition.kind == "derived" else {name: 1.0}
        for base in terms:
            found = self.workspace.parameter(base)
            if found.kind != "constrained" or found.constraint != "normal":
                raise self.impossible(name, "pyhf constrains what interpolates by a normal distribution")
        if definition.kind == "derived":
            if definition.offset:
                raise self.impossible(name, f"its offset of {definition.offset:g} has no place in pyhf")
            self.notes.append(
                f"{name} = {' + '.join(f'{c:g} x {base}' for base, c in terms.items())} is written as one modifier for "
                "each of these: exact for any one of them at 0 and +-1, elsewhere norms differ by one to a few percent "
                "of their width."
            )
        return terms

    def impossible(self, name: str, why: str) -> WorkspaceError:
        """The error for a parameter that pyhf cannot take."""
        kind = self.workspace.parameter(name).kind
        return WorkspaceError(f"{self.workspace.name}: {name} ({kind}) cannot be exported to pyhf: {why}")


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """How the bins of a channel become pyhf's: not at all, or rotated and multiplied by a gain.

    rotation : shape (n_bins, n_bins), rows are eigenvectors of the covariance; gain : shape (n_bins,);
    pedestal : pseudo-counts of each bin.
    """

    rotation: FloatArray | None = None
    gain: FloatArray | None = None
    pedestal: float = 0.0

    @classmethod
    def of(cls, channel: Channel, pedestal: float) -> "Basis":
        """The basis in which a Poisson distribution around the pedestal has the channel's errors."""
        if channel.statistic == "poisson":
            return cls()
        if channel.wider_errors is not None:
            return cls(None, np.sqrt(pedestal) / np.array(channel.wider_errors), pedestal)
        variances, vectors = np.linalg.eigh(np.array(channel.covariance))
        if variances[0] <= 0:
            raise WorkspaceError(f"channel {channel.name}: covariance: it is not positive definite")
        return cls(vectors.T, np.sqrt(pedestal / variances), pedestal)

    def __call__(self, values: Iterable[float] | FloatArray) -> list[float]:
        """Contents of the channel's bins as pyhf's."""
        array = np.asarray(values, dtype=float)
        array = array if self.rotation is None else self.rotation @ array
        array = array if self.gain is None else self.gain * array
        return [float(value) for value in array + 0.0]


def channel_document(channel: Channel, ledger: Ledger, pedestal: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """A channel and its observation for pyhf."""
    basis = Basis.of(channel, pedestal)
    return with_data(channel, [sample_document(channel, s, basis, ledger) for s in channel.samples], basis, ledger)


def with_data(
    channel: Channel, samples: list[dict[str, Any]], basis: Basis, ledger: Ledger
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A channel of these written samples and its observation; Gaussian data become pseudo-counts."""
    observed, pedestal = list(channel.observed), basis.pedestal
    if channel.statistic == "gaussian":
        below = [pedestal - value for value in basis(observed)]
        samples.append({"name": PEDESTAL, "data": below, "modifiers": []})
        observed = [pedestal] * channel.size
        turned = "" if basis.rotation is None else " in the eigenbasis of its covariance"
        ledger.notes.append(
            f"channel {channel.name} is Gaussian: it is written{turned} as Poisson bins around {pedestal:g} "
            "pseudo-counts. Within three sigma 2 NLL is right to 2e-3 per bin (1e8 pseudo-counts); expected values "
            "are exact."
        )
        if channel.errors_below is not None:
            ledger.notes.append(
                f"channel {channel.name} has errors that differ on both sides; both are written as the wider one: "
                "limits from this file are no stronger than those of the workspace."
            )
    return {"name": channel.name, "samples": samples}, {"name": channel.name, "data": observed}


def sample_document(channel: Channel, sample: Sample, basis: Basis, ledger: Ledger) -> dict[str, Any]:
    """A sample and its modifiers for pyhf."""
    where = f"channel {channel.name}, sample {sample.name}"
    contents = np.array(sample.contents)
    modifiers: list[dict[str, Any]] = []
    linear: list[str] = []
    for name, power in _powers(sample).items():
        if ledger.workspace.parameter(name).kind == "constrained" and power == 1:
            linear.append(name)
        else:
            modifiers.append(ledger.factor(name, power))
    by_nuisance = _by_nuisance(sample, ledger)
    for name, parts in by_nuisance.items():
        modifiers += _interpolated(channel, sample, basis, name, parts, ledger)
    if linear:
        contents = _as_change(contents, linear, modifiers, basis, ledger, where)
    for modifier in sample.modifiers:
        if modifier.type in _PER_BIN:
            modifiers.append(_per_bin(channel, sample, modifier, basis, ledger))
        elif modifier.type == "lumi":
            modifiers.append(_lumi(modifier.parameter, ledger))
    return {"name": sample.name, "data": basis(contents), "modifiers": modifiers}


def _powers(sample: Sample) -> dict[str, int]:
    """Powers of parameters, normfactors counted in: pyhf takes a name twice for a name once."""
    powers = dict(sample.monomial)
    for modifier in sample.modifiers:
        if modifier.type == "normfactor":
            powers[modifier.parameter] = powers.get(modifier.parameter, 0) + 1
    return powers


def _by_nuisance(sample: Sample, ledger: Ledger) -> dict[str, list[tuple[Modifier, float]]]:
    """For each constrained parameter, the modifiers that hang on it and by which coefficient."""
    found: dict[str, list[tuple[Modifier, float]]] = {}
    for modifier in sample.modifiers:
        if modifier.type in ("norm", "shape", "normsys", "histosys"):
            if modifier.type in ("normsys", "histosys"):
                ledger.interpolate(modifier.type, modifier.interpolation)
            for base, coefficient in ledger.nuisances(modifier.parameter).items():
                found.setdefault(base, []).append((modifier, coefficient))
    return found


def _interpolated(
    channel: Channel, sample: Sample, basis: Basis, name: str, parts: Sequence[tuple[Modifier, float]], ledger: Ledger
) -> list[dict[str, Any]]:
    """All that one nuisance does to one sample: one normsys for its norms, one histosys for the rest."""
    ledger.constrained.add(name)
    modifiers: list[dict[str, Any]] = []
    norms = [(m, c) for m, c in parts if isinstance(m, NormSys) or _lognormal(m)]
    rest = [(m, c) for m, c in parts if not isinstance(m, NormSys) and not _lognormal(m)]
    if norms:
        hi, lo = (float(np.prod([_norm(m, sign * c) for m, c in norms])) for sign in (1, -1))
        modifiers.append({"name": name, "type": "normsys", "data": {"hi": hi, "lo": lo}})
    if len(norms) > 1:
        ledger.notes.append(f"sample {sample.name} has {len(norms)} norms of {name}; they are multiplied at +-1.")
    if rest:
        hi_data, lo_data = (basis(varied(channel, sample, rest, sign)) for sign in (1.0, -1.0))
        modifiers.append({"name": name, "type": "histosys", "data": {"hi_data": hi_data, "lo_data": lo_data}})
        _note_shapes(rest, name, ledger)
    return modifiers


def _lognormal(modifier: Modifier) -> bool:
    return isinstance(modifier, Norm) and modifier.interpolation == "lognormal"


def _norm(modifier: Modifier, alpha: float) -> float:
    """The factor of a norm at one value of its parameter."""
    hi, lo = (modifier.hi, modifier.lo) if isinstance(modifier, NormSys) else (0.0, 0.0)
    if isinstance(modifier, Norm):
        hi, lo = 1 + modifier.size, 1 / (1 + modifier.size)
    if abs(alpha) == 1:
        return hi if alpha > 0 else lo
    function = code1 if isinstance(modifier, NormSys) and modifier.interpolation == "code1" else code4
    return function(modifier.parameter, hi, lo)(alpha)


def varied(channel: Channel, sample: Sample, parts: Sequence[tuple[Modifier, float]], value: float) -> FloatArray:
    """Contents with one nuisance at a value and every other at 0."""
    contents = np.array(sample.contents)
    change, ratio = np.zeros(channel.size), np.ones(channel.size)
    for modifier, coefficient in parts:
        alpha = coefficient * value
        match modifier:
            case Norm():
                change += alpha * modifier.size * contents
            case HistoSys():
                low, high = (w(alpha) for w in histosys_weights(modifier.parameter, modifier.interpolation))
                change += low * (np.array(modifier.lo_data) - contents)
                change += high * (np.array(modifier.hi_data) - contents)
            case Shape(interpolation="additive"):
                change += interpolated(channel, modifier, alpha)
            case Shape():
                ratio *= np.exp(interpolated(channel, modifier, alpha))
    return np.asarray((contents + change) * ratio)


def _note_shapes(parts: Sequence[tuple[Modifier, float]], name: str, ledger: Ledger) -> None:
    for modifier, _ in parts:
        if not isinstance(modifier, Shape):
            continue
        alphas = [anchor.alpha for anchor in modifier.anchors]
        if modifier.interpolation == "additive" and alphas == [-1.0, 1.0]:
            continue
        kept = "" if {-1.0, 1.0} <= set(alphas) else " The templates at +-1 are interpolated."
        ledger.notes.append(
            f"the {modifier.interpolation} shape of {name} with anchors at {', '.join(f'{a:g}' for a in alphas)} is "
            f"written as a histosys between -1 and +1: expected counts agree with {name} at 0 and +-1 and the other "
            f"shapes of a sample at 0, and differ elsewhere.{kept}"
        )


def _as_change(
    contents: FloatArray, names: list[str], modifiers: list[dict[str, Any]], basis: Basis, ledger: Ledger, where: str
) -> FloatArray:
    """A sample in the first power of a constrained nuisance: nothing, changed by contents x nuisance.

    A normfactor would lose the constraint; a symmetric histosys is exactly linear and keeps it.
    """
    if len(names) > 1 or any(m["type"] == "histosys" for m in modifiers) or any(m["name"] in names for m in modifiers):
        raise WorkspaceError(
            f"{where}: cannot be exported to pyhf: it is linear in {', '.join(names)} and has other additive changes"
        )
    (name,) = names
    ledger.constrained.add(name)
    data = {"hi_data": basis(contents), "lo_data": basis(-contents)}
    modifiers.append({"name": name, "type": "histosys", "data": data})
    return np.zeros_like(contents)


def _per_bin(channel: Channel, sample: Sample, modifier: Any, basis: Basis, ledger: Ledger) -> dict[str, Any]:
    """One factor per bin: pyhf's own, where the bins are the workspace's."""
    name, kind = modifier.parameter, modifier.type
    if basis.rotation is not None:
        raise ledger.impossible(name, f"channel {channel.name} is written in the eigenbasis of its covariance")
    place = (kind, "" if kind == "shapefactor" else channel.name, sample.name if kind == "shapesys" else "")
    if ledger.places.setdefault(name, place) != place:
        raise ledger.impossible(name, f"a {kind} belongs to one {'sample' if kind == 'shapesys' else 'channel'} only")
    if kind == "shapesys" and min(sample.contents) <= 0:
        ledger.notes.append(f"pyhf fixes the factors of {name} in bins where {sample.name} is not positive.")
    return {"name": name, "type": kind, "data": None if kind == "shapefactor" else basis(modifier.data)}


def _lumi(name: str, ledger: Ledger) -> dict[str, Any]:
    """pyhf knows one luminosity, named `lumi`, whose value is the quantity itself."""
    if ledger.lumi not in (None, name):
        raise ledger.impossible(name, f"pyhf holds one luminosity, here {ledger.lumi}")
    if ledger.workspace.parameter(name).kind != "constrained":
        raise ledger.impossible(name, "a luminosity is constrained")
    ledger.lumi = name
    return {"name": "lumi", "type": "lumi", "data": None}
