"""Modifiers with one factor per bin, and luminosities, as parameters that a likelihood knows.

A shapefactor becomes a free parameter per bin; a staterror a factor 1 + error x nuisance per bin and channel; a
luminosity the factor centre + sigma x nuisance. The Poisson constraint of a shapesys is what it stands for in
HistFactory: an auxiliary measurement, a channel of its own with (contents / error)^2 counts per bin, so that fits,
goodness of fit and toys treat it as the data it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import (
    Axis,
    Channel,
    ConstrainedParameter,
    DerivedParameter,
    FreeParameter,
    Parameter,
    Sample,
    Workspace,
)
from nuemstat.workspace.modifiers import HistoSys, Modifier, NormFactor, Shape
from nuemstat.workspace.shapes import over_all_axes

_PER_BIN = ("shapesys", "staterror", "shapefactor")
LOWEST = 1e-10
"""The lowest factor of a bin, as in pyhf; 0 would make a filled bin impossible."""


def expanded(workspace: Workspace) -> Workspace:
    """The same likelihood without shapesys, staterror, shapefactor and lumi; `workspace` itself if it has none.

    Samples are split by bins, so their names in the result are no document's; the digest stays that of `workspace`.
    Bins of a shapesys or staterror in which contents or error are not positive keep their factor at 1, as in pyhf.

    Raises
    ------
    WorkspaceError : one of these modifiers hangs on a parameter that does not fit it, or that drives other ones.
    """
    kinds = {m.type for c in workspace.channels for s in c.samples for m in s.modifiers}
    if not kinds & {*_PER_BIN, "lumi"}:
        return workspace
    digest = workspace.digest
    work = _Expansion(workspace)
    channels = [work.channel(channel) for channel in workspace.channels]
    parameters = tuple(work.parameters())
    result = workspace.model_copy(
        update={"channels": (*channels, *work.auxiliary), "parameters": (*parameters, *work.derived)}
    )
    result.__dict__["digest"] = digest  # the content is the same, said in other words
    return result


@dataclass(slots=True, eq=False)
class _Expansion:
    """What has been made so far.

    workspace : the document; replaced : parameters by the name of the one that they stand for;
    derived : factors that are linear in a nuisance; auxiliary : channels that constrain factors.
    """

    workspace: Workspace
    replaced: dict[str, list[Parameter]] = field(default_factory=dict)
    derived: list[DerivedParameter] = field(default_factory=list)
    auxiliary: list[Channel] = field(default_factory=list)
    _known: set[tuple[str, str]] = field(default_factory=set)

    def channel(self, channel: Channel) -> Channel:
        """A channel with its samples split where bins have factors of their own."""
        errors = relative_errors(channel)
        samples: list[Sample] = []
        for sample in channel.samples:
            factors: list[list[str]] = [[] for _ in range(channel.size)]
            kept: list[Modifier] = []
            for modifier in sample.modifiers:
                if modifier.type in _PER_BIN:
                    for names, name in zip(factors, self._factors(channel, sample, modifier, errors), strict=True):
                        names += [name] if name else []
                elif modifier.type == "lumi":
                    kept.append(NormFactor(parameter=self._luminosity(modifier.parameter)))
                else:
                    kept.append(modifier)
            samples += split(channel, sample.model_copy(update={"modifiers": tuple(kept)}), factors)
        return channel.model_copy(update={"samples": tuple(samples)})

    def parameters(self) -> Iterator[Parameter]:
        """The parameters, those of single bins in the place of the one they stand for."""
        drivers = {m.parameter for c in self.workspace.channels for s in c.samples for m in s.modifiers
                   if m.type not in _PER_BIN}  # fmt: skip
        drivers |= {name for c in self.workspace.channels for s in c.samples for name in s.monomial}
        for parameter in self.workspace.parameters:
            if parameter.name in self.replaced and parameter.name in drivers:
                raise self._misfit(parameter.name, "it has one value per bin and cannot drive other modifiers as well")
            yield from self.replaced.get(parameter.name, [parameter])

    def _factors(self, channel: Channel, sample: Sample, modifier: Any, errors: dict[str, FloatArray]) -> list[str]:
        """Name of the factor of each bin, '' where it is 1."""
        name = modifier.parameter
        if modifier.type == "shapefactor":
            return [self._free(name, i) for i in range(channel.size)]
        if modifier.type == "staterror":
            return [self._normal(name, channel, i, error) if error else "" for i, error in enumerate(errors[name])]
        return self._poisson(name, channel, sample, np.array(modifier.data))

    def _add(self, name: str, parameter: Parameter) -> str:
        parts = self.replaced.setdefault(name, [])
        if (name, parameter.name) not in self._known:
            self._known.add((name, parameter.name))
            parts.append(parameter)
        return parameter.name

    def _free(self, name: str, place: int) -> str:
        found = self.workspace.parameter(name)
        if found.kind != "free":
            raise self._misfit(name, "a shapefactor needs a free parameter")
        return self._add(name, found.model_copy(update={"name": bin_name(name, place)}))

    def _normal(self, name: str, channel: Channel, place: int, error: float) -> str:
        found = self._constrained(name, "normal")
        several = sum(_has(c, name) for c in self.workspace.channels) > 1
        label = f"{name}__{channel.name}__bin{place}" if several else f"{name}__bin{place}"
        low, high = _factor_bounds(found)
        bounds = ((low - 1) / error, None if high is None else (high - 1) / error)
        self._add(name, found.model_copy(update={"name": label, "centre": 1.0, "sigma": error, "bounds": bounds}))
        return self._linear(f"{label}__factor", 1.0, label, error)

    def _poisson(self, name: str, channel: Channel, sample: Sample, errors: FloatArray) -> list[str]:
        found = self._constrained(name, "poisson")
        if name in self.replaced:
            raise self._misfit(name, "a shapesys belongs to one sample only")
        contents = np.array(sample.contents)
        valid = (contents > 0) & (errors > 0)
        counts = np.divide(contents, errors, out=np.zeros_like(contents), where=valid) ** 2
        names = [f"{name}__bin{i}" if valid[i] else "" for i in range(channel.size)]
        self.replaced[name] = []
        for label in filter(None, names):
            free = FreeParameter(name=label, quantity=found.quantity, unit="1", default=1.0,
                                 bounds=_factor_bounds(found))  # fmt: skip
            self._add(name, free)
        if valid.any():
            self.auxiliary.append(_auxiliary(channel, name, [n for n in names if n], counts[valid]))
        return names

    def _luminosity(self, name: str) -> str:
        found = self.workspace.parameter(name)
        if found.kind in ("free", "coupling"):
            return name
        found = self._constrained(name, "normal")
        return self._linear(f"{name}__factor", found.centre, name, found.sigma)

    def _linear(self, label: str, offset: float, name: str, slope: float) -> str:
        if ("", label) not in self._known:
            self._known.add(("", label))
            self.derived.append(DerivedParameter(name=label, terms={name: slope}, offset=offset))
        return label

    def _constrained(self, name: str, constraint: str) -> ConstrainedParameter:
        found = self.workspace.parameter(name)
        if not isinstance(found, ConstrainedParameter) or found.constraint != constraint:
            raise self._misfit(name, f"its modifier needs a {constraint} constraint")
        return found

    def _misfit(self, name: str, why: str) -> WorkspaceError:
        return WorkspaceError(f"{self.workspace.name}: {name} ({self.workspace.parameter(name).kind}): {why}")


def bin_name(name: str, place: int) -> str:
    """Name of the factor of one bin."""
    return f"{name}__bin{place}"


def shape_factors(workspace: Workspace) -> dict[str, int]:
    """The parameters of shape factors, and how many bins each has."""
    return {
        modifier.parameter: channel.size
        for channel in workspace.channels
        for sample in channel.samples
        for modifier in sample.modifiers
        if modifier.type == "shapefactor"
    }


def relative_errors(channel: Channel) -> dict[str, FloatArray]:
    """Relative error of each bin for every staterror: the samples that have it, added in quadrature.

    0 where they hold nothing.
    """
    names = dict.fromkeys(m.parameter for s in channel.samples for m in s.modifiers if m.type == "staterror")
    found: dict[str, FloatArray] = {}
    for name in names:
        pairs = [(s.contents, m.data) for s in channel.samples for m in s.modifiers
                 if m.type == "staterror" and m.parameter == name]  # fmt: skip
        total = np.sum([contents for contents, _ in pairs], axis=0)
        squares = np.sum([np.square(data) for _, data in pairs], axis=0)
        found[name] = np.divide(np.sqrt(squares), total, out=np.zeros(channel.size), where=total > 0)
    return found


def split(channel: Channel, sample: Sample, factors: list[list[str]]) -> list[Sample]:
    """A sample as one for each set of factors, every one empty outside of its bins."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, names in enumerate(factors):
        groups.setdefault(tuple(names), []).append(place)
    if list(groups) == [()]:
        return [sample]
    found = []
    for group, places in groups.items():
        modifiers = (
            *(_masked(channel, m, places) for m in sample.modifiers),
            *(NormFactor(parameter=n) for n in group),
        )
        update = {
            "name": f"{sample.name}__bin{places[0]}",
            "contents": _kept(sample.contents, places),
            "modifiers": modifiers,
        }
        found.append(sample.model_copy(update=update))
    return found


def _masked(channel: Channel, modifier: Modifier, places: Sequence[int]) -> Modifier:
    """A modifier for a sample that is empty outside of some bins."""
    if isinstance(modifier, HistoSys):
        update = {"hi_data": _kept(modifier.hi_data, places), "lo_data": _kept(modifier.lo_data, places)}
        return modifier.model_copy(update=update)
    if isinstance(modifier, Shape) and modifier.interpolation == "additive":
        anchors = tuple(
            anchor.model_copy(
                update={"values": _kept(over_all_axes(channel, modifier, np.array(anchor.values)), places)}
            )
            for anchor in modifier.anchors
        )
        return modifier.model_copy(update={"anchors": anchors, "axes": None})
    return modifier


def _kept(values: Any, places: Sequence[int]) -> tuple[float, ...]:
    """Values in some bins, the one 0 in all others: every bin of a channel makes such a tuple for each sample."""
    found = [0.0] * len(values)
    for place in places:
        found[place] = float(values[place])
    return tuple(found)


def _has(channel: Channel, name: str) -> bool:
    return any(m.type == "staterror" and m.parameter == name for s in channel.samples for m in s.modifiers)


def _factor_bounds(found: ConstrainedParameter) -> tuple[float, float | None]:
    """Bounds of a factor from those of centre 1 and sigma 1 that the document holds."""
    low, high = found.bounds
    return max(LOWEST, LOWEST if low is None else 1 + low), None if high is None else 1 + high


def _auxiliary(channel: Channel, name: str, labels: list[str], counts: FloatArray) -> Channel:
    """The measurement that constrains one factor for each label: counts, expected to be counts x factor."""
    axis = Axis(name="bin", unit="1", edges=tuple(float(i) for i in range(len(labels) + 1)))
    sample = Sample(name="constraint", process="constraint", contents=tuple(counts.tolist()))
    made = Channel(
        name=f"{name}__constraint",
        experiment=channel.experiment,
        datasets=channel.datasets,
        may_overlap=channel.may_overlap,
        axes=(axis,),
        observed=sample.contents,
        samples=(sample,),
    )
    return made.model_copy(update={"samples": tuple(split(made, sample, [[label] for label in labels]))})
