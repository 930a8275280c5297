"""Gaussian channels in HS3's own words: one `gaussian_dist` per bin, whose mean is a formula of the parameters.

Nothing is lost: all interpolations of this package are polynomials between two ends that go on as lines or
exponentials, and these can be said with `abs`, `exp` and products. A covariance is written in its eigenbasis. Errors
that differ on both sides become the upper one, around a mean that is stretched where less is expected than observed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isinf
from typing import Any

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import Channel, Sample, Workspace
from nuemstat.workspace.interpolation import Function, anchor_weights, code1, code4, histosys_weights
from nuemstat.workspace.modifiers import HistoSys, Norm, NormSys, Shape
from nuemstat.workspace.shapes import over_all_axes

_PER_BIN = ("shapesys", "staterror", "shapefactor")
Terms = list[tuple[FloatArray, str]]
"""Numbers of all bins with the formula that multiplies them."""


def is_native(channel: Channel) -> bool:
    """Whether a channel is written by this module: it is Gaussian and no bin has a factor of its own."""
    kinds = {modifier.type for sample in channel.samples for modifier in sample.modifiers}
    return channel.statistic == "gaussian" and not kinds.intersection(_PER_BIN)


@dataclass(slots=True, eq=False)
class Formulas:
    """Writes Gaussian channels, and keeps what they need.

    functions : expression by name; distributions : one for each bin; data : constants, observed values and errors.
    """

    workspace: Workspace
    functions: dict[str, str] = field(default_factory=dict)
    distributions: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, float] = field(default_factory=dict)
    _weights: dict[Function, str] = field(default_factory=dict)

    def channel(self, channel: Channel) -> None:
        """Add the bins of a Gaussian channel.

        Raises
        ------
        WorkspaceError : its covariance is not positive definite.
        """
        parts = [self._sample(channel, sample) for sample in channel.samples]
        means = [self._named(f"{channel.name}__bin{i}__expected", " + ".join(_bin(i, *part) for part in parts))
                 for i in range(channel.size)]  # fmt: skip
        observed = np.array(channel.observed)
        if channel.covariance is None:
            sigmas = np.array(channel.errors)
        else:
            variances, vectors = np.linalg.eigh(np.array(channel.covariance))
            if variances[0] <= 0:
                raise WorkspaceError(f"channel {channel.name}: covariance: it is not positive definite")
            sums = [" + ".join(f"{_number(v)}*{m}" for v, m in zip(row, means, strict=True)) for row in vectors.T]
            means = [self._named(f"{channel.name}__mode{i}__expected", text) for i, text in enumerate(sums)]
            observed, sigmas = vectors.T @ observed, np.sqrt(variances)
        names = [mean.removesuffix("__expected") for mean in means]
        if channel.errors_below is not None:
            sides = zip(names, means, observed.tolist(), sigmas / np.array(channel.errors_below), strict=True)
            means = [self._named(f"{name}__bent", _bent(mean, value, ratio)) for name, mean, value, ratio in sides]
        for name, mean, value, sigma in zip(names, means, observed.tolist(), sigmas.tolist(), strict=True):
            self.data |= {f"{name}__observed": value, f"{name}__sigma": sigma}  # RooFit reads mere numbers to 6 digits
            self.distributions.append(gaussian(name, f"{name}__observed", mean, f"{name}__sigma"))

    def _named(self, name: str, expression: str) -> str:
        self.functions[name] = expression
        return name

    def _sample(self, channel: Channel, sample: Sample) -> tuple[list[str], Terms, Terms]:
        """Factors of all bins, additive terms, and logarithms of ratios."""
        contents = np.array(sample.contents)
        factors = [self.power(name, power) for name, power in sample.monomial.items()]
        added: Terms = [(contents, "")]
        ratios: Terms = []
        for modifier in sample.modifiers:
            match modifier:
                case Norm(interpolation="linear", parameter=name, size=size):
                    added.append((size * contents, self._parameter(name)))
                case Norm(parameter=name, size=size):
                    factors.append(self._weight(code4(name, 1 + size, 1 / (1 + size))))
                case NormSys(parameter=name, hi=hi, lo=lo):
                    function = code1 if modifier.interpolation == "code1" else code4
                    factors.append(self._weight(function(name, hi, lo)))
                case HistoSys(parameter=name):
                    low, high = histosys_weights(name, modifier.interpolation)
                    added.append((np.array(modifier.lo_data) - contents, self._weight(low)))
                    added.append((np.array(modifier.hi_data) - contents, self._weight(high)))
                case Shape():
                    (added if modifier.interpolation == "additive" else ratios).extend(self._shape(channel, modifier))
                case _:  # normfactors and luminosities
                    factors.append(self._factor(modifier.parameter, modifier.type))
        return factors, added, ratios

    def _shape(self, channel: Channel, shape: Shape) -> Terms:
        weights = anchor_weights(shape.parameter, tuple(anchor.alpha for anchor in shape.anchors))
        found: Terms = []
        for anchor, weight in zip(shape.anchors, weights, strict=True):
            values = over_all_axes(channel, shape, np.array(anchor.values))
            found.append((values if shape.interpolation == "additive" else np.log(values), self._weight(weight)))
        return found

    def _factor(self, name: str, kind: str) -> str:
        definition = self.workspace.parameter(name)
        if kind == "lumi" and definition.kind == "constrained":
            return f"({_number(definition.centre)} + {_number(definition.sigma)}*{name})"
        return self._parameter(name)

    def power(self, name: str, power: int) -> str:
        """The name of a power of a parameter, which becomes a function where it is above 1."""
        self._parameter(name)
        return name if power == 1 else self._named(f"{name}__pow{power}", f"pow({name},{power})")

    def _parameter(self, name: str) -> str:
        """The name of a parameter; one that follows others becomes a function."""
        definition = self.workspace.parameter(name)
        if definition.kind == "derived":
            self.functions[name] = follows(definition)
        return name

    def _weight(self, function: Function) -> str:
        """The name of an interpolation, which becomes a function."""
        if function not in self._weights:
            number = sum(known.parameter == function.parameter for known in self._weights)
            name = f"{function.parameter}__weight{number}"
            inner = self._parameter(function.parameter)
            if not (isinf(function.lower) and isinf(function.upper)):
                text = _between(inner, function.lower, function.upper)
                inner = next((k for k, v in self.functions.items() if v == text), f"{name}__inner")
                self.functions[inner] = text
            self._weights[function] = self._named(name, _expression(function, inner))
        return self._weights[function]


def gaussian(name: str, x: str, mean: str, sigma: str | float) -> dict[str, Any]:
    """A gaussian_dist."""
    return {"name": name, "type": "gaussian_dist", "x": x, "mean": mean, "sigma": sigma}


def follows(definition: Any) -> str:
    """The expression of a derived parameter."""
    return f"({definition.offset!r})" + "".join(f" + ({c!r})*{name}" for name, c in definition.terms.items())


def _bin(place: int, factors: Sequence[str], added: Terms, ratios: Terms) -> str:
    """What one sample puts into one bin."""
    terms = [_term(values[place], name) for values, name in added if values[place]]
    grown = [_term(values[place], name) for values, name in ratios if values[place]]
    if not terms:
        return "0"
    powers = [f"exp({' + '.join(grown)})"] if grown else []
    return "*".join([*factors, f"({' + '.join(terms)})", *powers])


def _bent(mean: str, observed: float, ratio: float) -> str:
    """A mean whose distance below the observed value is stretched, so that the error above holds there, too.

    ratio : of the error above to that below.
    """
    away = f"({mean} - {_number(observed)})"
    return f"{_number(observed)} + {_number(0.5 + 0.5 * ratio)}*{away} + {_number(0.5 - 0.5 * ratio)}*abs{away}"


def _term(value: float, name: str) -> str:
    return f"{_number(value)}*{name}" if name else _number(value)


def _number(value: float) -> str:
    text = repr(float(value))
    return f"({text})" if text.startswith("-") else text


def _between(name: str, lower: float, upper: float) -> str:
    """The parameter, held between two ends, one of which may be infinite."""
    low, high = _number(lower), _number(upper)
    if isinf(upper):
        return f"0.5*({name} + {low} + abs({name} - {low}))"
    if isinf(lower):
        return f"0.5*({name} + {high} - abs({name} - {high}))"
    return f"0.5*({_number(lower + upper)} + abs({name} - {low}) - abs({name} - {high}))"


def _expression(function: Function, inner: str) -> str:
    """A polynomial of the parameter between its ends, and how it goes on beyond them."""
    name, coefficients = function.parameter, list(function.coefficients)
    value = _polynomial(coefficients, inner)
    if inner == name:
        return value
    beyond = f"({name} - {inner})"
    if function.up or function.down:
        above, below = f"0.5*({beyond} + abs{beyond})", f"0.5*(abs{beyond} - {beyond})"
        return f"({value})*exp({_number(function.up)}*{above} + {_number(function.down)}*{below})"
    slope = [power * c for power, c in enumerate(coefficients)][1:] or [0.0]
    return f"{value} + {beyond}*({_polynomial(slope, inner)})"


def _polynomial(coefficients: Sequence[float], name: str) -> str:
    """Horner's form."""
    *rest, text = [_number(c) for c in coefficients]
    for coefficient in reversed(rest):
        text = f"({text})*{name}"
        text = text if float(coefficient.strip("()")) == 0 else f"{text} + {coefficient}"
    return text
