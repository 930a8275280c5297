"""Released templates: what they make of a signal, and their alternatives as anchors of a nuisance."""

from collections.abc import Mapping

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.model.loader import ModelFiles
from nuemstat.model.schema import ChannelField, ModelDocument, Signal
from nuemstat.model.schema_released import Alternatives, Released
from nuemstat.polynomial import CouplingPolynomial, FloatArray

_EMPTY = 1e-9  # of the largest bin: below it our own prediction cannot carry a released one


def axis_shares(signal: Signal, channel: ChannelField, files: ModelFiles) -> FloatArray:
    """How counts in each bin of the first axis spread over the axes that are not predicted, shape of the channel.

    Axes of time and of the zenith angle are predicted, and have length 1 here. Where the released table is empty the
    sum over the first axis stands in.

    Raises
    ------
    ModelError : such an axis, and no released table for it.
    """
    kinds = [units.unit(axis.unit).dimension for axis in channel.axes]
    other = tuple(i for i, kind in enumerate(kinds) if i and kind != units.TIME and not channel.axes[i].is_zenith)
    if not other:
        return np.ones((1,) * len(kinds))
    if signal.released is None:
        name = channel.axes[other[0]].name
        raise ModelError(f"axis {name!r} is neither energy nor time; the signal needs a released table that spreads it")
    times = tuple(i for i in range(1, len(kinds)) if i not in other)
    table = released_numbers(signal.released, channel, files).sum(axis=times, keepdims=True)
    everywhere = np.broadcast_to(table.sum(axis=0, keepdims=True), table.shape)
    filled = np.where(table.sum(axis=other, keepdims=True) > 0, table, everywhere)
    return np.asarray(filled / filled.sum(axis=other, keepdims=True))


def released_factor(
    released: Released, channel: ChannelField, files: ModelFiles, own: FloatArray, name: str = ""
) -> FloatArray:
    """Released over own counts per bin, 0 where the release has none; name : as for `released_numbers`.

    Raises
    ------
    ModelError : the release has counts where our own prediction has none.
    """
    counts = released_numbers(released, channel, files, name).ravel()
    missed = float(counts[own <= _EMPTY * own.max()].sum() / counts.sum())
    if missed > 1e-4:
        raise ModelError(
            f"{files.folder / released.table_of(name)}: column {released.column!r}: {missed:.2g} of its counts lie "
            "where our own prediction has none; its response must reach as far as the release"
        )
    return np.divide(counts, own, out=np.zeros_like(counts), where=own > _EMPTY * own.max())


def released_numbers(released: Released, channel: ChannelField, files: ModelFiles, name: str = "") -> FloatArray:
    """The numbers of a released table, in the shape of the channel; name : of the channel, where each has a table."""
    return _column(released.table_of(name), released.column, channel, files)


def alternative_anchors(
    alternatives: Alternatives,
    templates: Mapping[tuple[str, str], CouplingPolynomial],
    channels: Mapping[str, ChannelField],
    files: ModelFiles,
) -> dict[float, dict[tuple[str, str], CouplingPolynomial]]:
    """Templates at plus and minus one sigma of released alternatives."""
    found: dict[float, dict[tuple[str, str], CouplingPolynomial]] = {-1.0: {}, 1.0: {}}
    for key, poly in templates.items():
        channel = channels[key[0]]
        base = _shape(alternatives.table, alternatives.nominal, channel, files)
        plus = _ratio(_shape(alternatives.table, alternatives.plus, channel, files), base)
        found[1.0][key] = poly * plus
        if alternatives.minus is None:
            found[-1.0][key] = poly * (2 - plus)
        else:
            found[-1.0][key] = poly * _ratio(_shape(alternatives.table, alternatives.minus, channel, files), base)
    return found


def _ratio(varied: FloatArray, base: FloatArray) -> FloatArray:
    return np.divide(varied, base, out=np.ones_like(base), where=base > 0)


def _shape(table: str, column: str, channel: ChannelField, files: ModelFiles) -> FloatArray:
    values = _column(table, column, channel, files).ravel()
    return np.asarray(values / values.sum())


def _column(table: str, column: str, channel: ChannelField, files: ModelFiles) -> FloatArray:
    values = files.table(table).numbers(column)
    shape = tuple(len(axis.values) - 1 for axis in channel.axes)
    if len(values) != np.prod(shape) or np.any(values < 0) or not np.any(values > 0):
        bins = " x ".join(str(n) for n in shape)
        path = files.folder / table
        raise ModelError(
            f"{path}: column {column!r}: found {len(values)} numbers from {values.min():g}; "
            f"{bins} of 0 or more, not all 0, are allowed"
        )
    return values.reshape(shape)


def spread(document: ModelDocument, name: str, signal: Signal, files: ModelFiles) -> FloatArray:
    """`axis_shares` of a signal in one of its channels, errors with the channel's name."""
    try:
        return axis_shares(signal, document.channels[name], files)
    except ModelError as error:
        raise ModelError(f"{document.name}: channels.{name}: {error}") from None
