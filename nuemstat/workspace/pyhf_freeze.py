"""Brings a workspace into the form that one coupling as a histosys of pyhf can hold.

Terms of the coupling keep their norms; their shapes are frozen at given values. A free parameter that occurs in powers
(the position of a line) becomes its first-order shift from the best fit. All other terms stay as they are.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import Channel, FreeParameter, Parameter, Sample, Workspace
from nuemstat.workspace.modifiers import HistoSys, Modifier, Norm, NormFactor, NormSys, Shape
from nuemstat.workspace.pyhf_samples import varied

_WIDEST = 0.3
"""Width of the widest linear norm that is written as a normsys."""
SHIFT = "__shift"
"""Ending of the parameters that are shifts from the best fit."""
_FARTHEST = 5.0  # errors of the best fit


@dataclass(slots=True, eq=False)
class Freezer:
    """Makes the native workspace that the embedded form can hold.

    values, errors : of the best fit; fixed : couplings and factors that the caller set;
    frozen : nuisance -> processes on whose coupling terms its shape is frozen; linear : nuisance -> width of its
    linear norm, written as a normsys;
    constants : what is held at its value; `bent` those of them that occur in powers, `moved` those of these that are
    free and keep their first order.
    """

    workspace: Workspace
    coupling: str
    values: Mapping[str, float]
    errors: Mapping[str, float] = field(default_factory=dict)
    fixed: Collection[str] = ()
    frozen: dict[str, list[str]] = field(default_factory=dict)
    linear: dict[str, float] = field(default_factory=dict)
    constants: dict[str, float] = field(init=False)
    bent: list[str] = field(init=False)
    moved: list[str] = field(init=False)
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
        self.moved = [name for name in self.bent if kinds[name] == "free"]

    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that are left; derived ones that only couplings drive went into the samples."""
        used = {m.parameter for c in self._channels for s in c.samples for m in s.modifiers}
        used |= {name for c in self._channels for s in c.samples for name in s.monomial}
        left = (p for p in self.workspace.parameters if p.name not in self.constants)
        shifts = (self._shift(name) for name in self.moved)
        return (*(p for p in left if p.kind != "derived" or p.name in used), *shifts)

    def _shift(self, name: str) -> FreeParameter:
        """What a parameter that occurs in powers becomes, held to where the first order has a meaning."""
        definition, value = self.workspace.parameter(name), self.values[name]
        reach = _FARTHEST * self.errors[name] if name in self.errors else np.inf
        ends = [-reach if definition.bounds[0] is None else max(definition.bounds[0] - value, -reach),
                reach if definition.bounds[1] is None else min(definition.bounds[1] - value, reach)]  # fmt: skip
        low, high = (None if np.isinf(end) else float(end) for end in ends)
        update = {"name": f"{name}{SHIFT}", "default": 0.0, "bounds": (low, high)}
        return FreeParameter.model_validate({**definition.model_dump(), **update})

    def channel(self, channel: Channel) -> Channel:
        """A channel with samples free of the coupling, and one for each of its powers and set of norms."""
        plain: list[Sample] = []
        terms: dict[tuple[str, int, tuple[tuple[str, int], ...], tuple[Modifier, ...]], FloatArray] = {}
        for sample, along in ((s, name) for s in channel.samples for name in ("", *self.moved)):
            rest, polynomial = self._polynomial(channel, sample, along)
            for power, coefficient in polynomial.items():
                if power == 0 and (coefficient or not along):
                    plain.append(_scaled(sample, coefficient, rest, along))
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

    def _polynomial(self, channel: Channel, sample: Sample, along: str) -> tuple[dict[str, int], dict[int, float]]:
        """Powers of what is neither the coupling nor constant, and the rest as a polynomial in the coupling.

        along : a parameter by whose shift the sample is multiplied, with its derivative in the polynomial.
        """
        rest: dict[str, int] = {}
        powers = _powers(sample)
        polynomial = np.polynomial.Polynomial([1.0 if not along or along in powers else 0.0])
        for name, power in powers.items():
            if name == along:
                rest[f"{name}{SHIFT}"] = 1
                polynomial = polynomial * (power * self.values[name] ** (power - 1))
                continue
            linear = self._linear(name)
            if linear is None:
                rest[name] = power
            else:
                polynomial = polynomial * np.polynomial.Polynomial(linear) ** power
        coefficients = {power: float(c) for power, c in enumerate(polynomial.coef) if c or power == 0}
        if max(coefficients) > 2:
            raise WorkspaceError(
                f"channel {channel.name}, sample {sample.name}: it grows as power {max(coefficients)} of "
                f"{self.coupling}; the embedded form holds first and second powers"
            )
        return rest, coefficients

    def _linear(self, name: str) -> tuple[float, float] | None:
        """Constant and slope in the coupling, or None for what floats beside it."""
        if name == self.coupling:
            return 0.0, 1.0
        if name in self.constants:
            return self.constants[name], 0.0
        definition = self.workspace.parameter(name)
        terms = dict(definition.terms) if definition.kind == "derived" else {name: 1.0}
        slope = terms.pop(self.coupling, 0.0)
        if any(term not in self.constants for term in terms):
            return None
        return float(definition.offset + sum(c * self.constants[term] for term, c in terms.items())), slope

    def _freeze(self, channel: Channel, sample: Sample) -> tuple[FloatArray, tuple[Modifier, ...]]:
        """Contents of a coupling's term with its shapes at the best fit, and the factors that stay."""
        contents = np.array(sample.contents)
        shapes = [m for m in sample.modifiers if isinstance(m, HistoSys | Shape) or _wide(m)]
        factors = [self._factor(m) for m in sample.modifiers if m not in shapes and m.type != "normfactor"]
        if not shapes:
            return contents, tuple(sorted(factors, key=repr))
        change, ratio = np.zeros(channel.size), np.ones(channel.size)
        for modifier in shapes:
            self._note(modifier.parameter, sample.process)
            value = self.value(modifier.parameter)
            moved = varied(channel, sample, [(modifier, 1.0)], value)
            if isinstance(modifier, Shape) and modifier.interpolation == "multiplicative":
                unit = sample.model_copy(update={"contents": (1.0,) * channel.size})
                ratio *= varied(channel, unit, [(modifier, 1.0)], value)
            else:
                change += moved - contents
        return (contents + change) * ratio, tuple(sorted(factors, key=repr))

    def _factor(self, modifier: Modifier) -> Modifier:
        """The modifier, or the normsys that stands for a linear norm."""
        if isinstance(modifier, Norm) and modifier.interpolation == "linear":
            self.linear[modifier.parameter] = max(modifier.size, self.linear.get(modifier.parameter, 0.0))
            return NormSys(parameter=modifier.parameter, hi=1 + modifier.size, lo=1 - modifier.size)
        return modifier

    def _note(self, name: str, process: str) -> None:
        processes = self.frozen.setdefault(name, [])
        if process not in processes:
            processes.append(process)

    def value(self, name: str) -> float:
        """A parameter at the best fit, derived ones included, in workspace numbers."""
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


def _wide(modifier: Modifier) -> bool:
    """Whether it is a linear norm too wide to be written as a factor."""
    return isinstance(modifier, Norm) and modifier.interpolation == "linear" and modifier.size > _WIDEST


def _scaled(sample: Sample, scale: float, rest: Mapping[str, int], along: str) -> Sample:
    """A sample without coupling, times what its coupling factors are worth, or by which it moves along a parameter."""
    modifiers: list[Modifier] = []
    for modifier in sample.modifiers:
        match modifier:
            case NormFactor():
                continue
            case HistoSys():
                data = {key: tuple(scale * v for v in getattr(modifier, key)) for key in ("hi_data", "lo_data")}
                modifiers.append(modifier.model_copy(update=data))
            case Shape(interpolation="additive"):
                values = [tuple(scale * v for v in anchor.values) for anchor in modifier.anchors]
                pairs = zip(modifier.anchors, values, strict=True)
                anchors = tuple(anchor.model_copy(update={"values": numbers}) for anchor, numbers in pairs)
                modifiers.append(modifier.model_copy(update={"anchors": anchors}))
            case _:
                modifiers.append(modifier)
    contents = tuple(scale * value for value in sample.contents)
    update = {"contents": contents, "monomial": dict(rest), "modifiers": tuple(modifiers)}
    return sample.model_copy(update=update | ({"name": f"{sample.name}__d__{along}"} if along else {}))
