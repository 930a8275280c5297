"""A workspace as rows of numbers: each template with the functions of parameters that scale it.

Samples whose monomial is constant zero are dropped, and factors of constant parameters are multiplied in, so
that what is left holds only what a fit can move.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import Channel, Sample, Workspace
from nuemstat.workspace.interpolation import (
    Function,
    anchor_weights,
    code1,
    code4,
    histosys_weights,
    linear_norm,
    power,
)
from nuemstat.workspace.modifiers import HistoSys, Modifier, Norm, NormSys, Shape

NOT_EVALUATED = ("shapesys", "staterror", "shapefactor", "lumi")


@dataclass(frozen=True, slots=True, eq=False)
class LogRatio:
    """A multiplicative shape: logarithms of the ratios at the anchors, over some axes of a channel.

    axes : positions of the axes, rising; values : shape (n_anchors, n_bins along these axes).
    """

    axes: tuple[int, ...]
    weights: tuple[Function, ...]
    values: FloatArray


@dataclass(slots=True, eq=False)
class Template:
    """One sample with constants folded in: rows of contents, each scaled by the product of its functions.

    rows : (contents of shape (n_bins,), functions); their sum is what the log ratios then multiply.
    """

    process: str
    rows: list[tuple[FloatArray, tuple[Function, ...]]]
    ratios: list[LogRatio] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class FlatChannel:
    """What is left of a channel."""

    name: str
    shape: tuple[int, ...]
    templates: tuple[Template, ...]
    processes: tuple[str, ...]


def flatten(workspace: Workspace, constants: Mapping[str, float]) -> tuple[FlatChannel, ...]:
    """All channels of a workspace, with the parameters in `constants` held at these numbers (workspace units).

    Raises
    ------
    WorkspaceError : a modifier or constraint that is not evaluated yet, or a ratio that has no logarithm.
    """
    for parameter in workspace.parameters:
        if parameter.kind == "constrained" and parameter.constraint == "poisson":
            raise WorkspaceError(f"{workspace.name}: {parameter.name}: poisson constraints are not evaluated yet")
    return tuple(_channel(channel, constants) for channel in workspace.channels)


def _channel(channel: Channel, constants: Mapping[str, float]) -> FlatChannel:
    found = (_template(channel, sample, constants) for sample in channel.samples)
    templates = tuple(template for template in found if template.rows)
    processes = tuple(dict.fromkeys(sample.process for sample in channel.samples))
    return FlatChannel(channel.name, channel.shape, templates, processes)


def _template(channel: Channel, sample: Sample, constants: Mapping[str, float]) -> Template:
    for modifier in sample.modifiers:
        if modifier.type in NOT_EVALUATED:
            raise WorkspaceError(
                f"channel {channel.name}, sample {sample.name}: {modifier.type} {modifier.parameter!r} is not "
                "evaluated yet; norm, shape, normfactor, normsys and histosys are"
            )
    factors = [power(name, exponent) for name, exponent in sample.monomial.items()]
    factors += [function for m in sample.modifiers if (function := _factor(m)) is not None]
    scale, kept = _split(factors, constants)
    contents = scale * np.array(sample.contents)
    if scale == 0 or not (contents.any() or any(m.type in ("shape", "histosys") for m in sample.modifiers)):
        return Template(sample.process, [])
    rows = _additive(channel, sample, scale, contents)
    template = Template(sample.process, [])
    for values, functions in rows:
        constant, free = _split(functions, constants)
        if constant * values.any():
            template.rows.append((constant * values, (*kept, *free)))
    _merge(template)
    _multiplicative(template, channel, sample, constants)
    return template


def _factor(modifier: Modifier) -> Function | None:
    match modifier:
        case NormSys(parameter=name, hi=hi, lo=lo):
            return code4(name, hi, lo) if modifier.interpolation == "code4" else code1(name, hi, lo)
        case Norm(interpolation="lognormal", parameter=name, size=size):
            return code4(name, 1 + size, 1 / (1 + size))
        case _:
            return power(modifier.parameter, 1) if modifier.type == "normfactor" else None


def _split(functions: list[Function], constants: Mapping[str, float]) -> tuple[float, list[Function]]:
    """The product of the constant functions, and the others."""
    scale = 1.0
    for function in functions:
        if function.parameter in constants:
            scale *= function(constants[function.parameter])
    return scale, [function for function in functions if function.parameter not in constants]


def _additive(
    channel: Channel, sample: Sample, scale: float, contents: FloatArray
) -> list[tuple[FloatArray, list[Function]]]:
    """Contents and additive changes as rows with at most one function each."""
    changes: list[tuple[FloatArray, list[Function]]] = []
    sizes: list[tuple[str, float]] = []
    for modifier in sample.modifiers:
        match modifier:
            case Norm(interpolation="linear"):
                sizes.append((modifier.parameter, modifier.size))
            case HistoSys():
                low, high = histosys_weights(modifier.parameter, modifier.interpolation)
                changes.append((scale * np.array(modifier.lo_data) - contents, [low]))
                changes.append((scale * np.array(modifier.hi_data) - contents, [high]))
            case Shape(interpolation="additive"):
                weights = anchor_weights(modifier.parameter, tuple(a.alpha for a in modifier.anchors))
                for anchor, weight in zip(modifier.anchors, weights, strict=True):
                    changes.append((scale * _spread(channel, modifier, np.array(anchor.values)), [weight]))
            case _:
                pass
    if len(sizes) == 1 and not changes:
        return [(contents, [linear_norm(*sizes[0])])]
    norms = [(size * contents, [power(name, 1)]) for name, size in sizes]
    return [(contents, []), *norms, *changes]


def _merge(template: Template) -> None:
    """Join rows that are scaled by the same functions."""
    merged: dict[tuple[Function, ...], FloatArray] = {}
    for values, functions in template.rows:
        merged[functions] = merged[functions] + values if functions in merged else values
    template.rows = [(values, functions) for functions, values in merged.items()]


def _axes(channel: Channel, shape: Shape) -> tuple[int, ...]:
    """Positions of a shape's axes in its channel, in the order in which the shape lists them."""
    names = [axis.name for axis in channel.axes]
    return tuple(names.index(name) for name in shape.axes) if shape.axes is not None else tuple(range(len(names)))


def _ordered(channel: Channel, axes: tuple[int, ...], values: FloatArray) -> FloatArray:
    """Values over some axes in the order of the channel, flattened in C order."""
    block = values.reshape([channel.shape[axis] for axis in axes])
    return block.transpose(np.argsort(axes)).ravel()


def _spread(channel: Channel, shape: Shape, values: FloatArray) -> FloatArray:
    """Values over some axes as values over all bins."""
    axes = _axes(channel, shape)
    lengths = [n if i in axes else 1 for i, n in enumerate(channel.shape)]
    return np.broadcast_to(_ordered(channel, axes, values).reshape(lengths), channel.shape).ravel()


def _multiplicative(template: Template, channel: Channel, sample: Sample, constants: Mapping[str, float]) -> None:
    """Attach the log ratios of a sample, those of constant nuisances multiplied into its rows."""
    for modifier in sample.modifiers:
        if not isinstance(modifier, Shape) or modifier.interpolation != "multiplicative" or not template.rows:
            continue
        values = np.array([anchor.values for anchor in modifier.anchors])
        if not (values > 0).all():
            raise WorkspaceError(
                f"channel {channel.name}, sample {sample.name}: multiplicative shape {modifier.parameter!r} has a "
                f"ratio of {values.min():g}; above 0 is allowed"
            )
        weights = anchor_weights(modifier.parameter, tuple(a.alpha for a in modifier.anchors))
        logs = np.log(values)
        if modifier.parameter in constants:
            total = sum(w(constants[modifier.parameter]) * row for w, row in zip(weights, logs, strict=True))
            ratio = np.exp(_spread(channel, modifier, np.asarray(total)))
            template.rows = [(contents * ratio, functions) for contents, functions in template.rows]
        elif logs.any():
            axes = _axes(channel, modifier)
            ordered = np.array([_ordered(channel, axes, row) for row in logs])
            template.ratios.append(LogRatio(tuple(sorted(axes)), weights, ordered))


def grouped(template: Template) -> list[tuple[tuple[int, ...], list[LogRatio]]]:
    """The log ratios of a template by the axes over which they vary."""
    ordered = sorted(template.ratios, key=lambda ratio: ratio.axes)
    return [(axes, list(ratios)) for axes, ratios in groupby(ordered, key=lambda ratio: ratio.axes)]
