"""What a channel observed: counts or rates with errors from its table, whose binning is checked."""

from typing import Any

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.model.fields import Column
from nuemstat.model.loader import ModelFiles
from nuemstat.model.schema import AxisField, ChannelField
from nuemstat.polynomial import FloatArray
from nuemstat.tables import Table
from nuemstat.workspace.document import Axis, rounded


def channel_data(spec: ChannelField, files: ModelFiles) -> dict[str, Any]:
    """Axes, observed, statistic and errors of a channel, as its document wants them.

    Raises
    ------
    ModelError : a column of another length, a binning that is not that of the axes, counts that are no counts.
    """
    observed = _column(spec, spec.observed, files)
    if spec.statistic == "poisson" and (np.any(observed < 0) or np.any(observed != np.round(observed))):
        wrong = observed[(observed < 0) | (observed != np.round(observed))][0]
        path = files.folder / spec.observed.table
        raise ModelError(
            f"{path}: column {spec.observed.column!r}: found {wrong:g}; whole counts of 0 or more are allowed"
        )
    errors = None
    if spec.errors is not None:
        errors = _column(spec, spec.errors, files)
        if np.any(errors <= 0):
            path = files.folder / spec.errors.table
            raise ModelError(f"{path}: column {spec.errors.column!r}: an error is not above 0")
    return {
        "axes": tuple(Axis(name=axis.name, unit=axis.unit, edges=rounded(axis.values)) for axis in spec.axes),
        "statistic": spec.statistic,
        "observed": rounded(observed),
        "errors": None if errors is None else rounded(errors),
    }


def _column(spec: ChannelField, column: Column, files: ModelFiles) -> FloatArray:
    table = files.table(column.table)
    values = table.numbers(column.column)
    shape = [len(axis.values) - 1 for axis in spec.axes]
    if len(values) != np.prod(shape):
        bins = " x ".join(str(n) for n in shape)
        raise ModelError(f"{table.path}: column {column.column!r} has {len(values)} rows; the channel has {bins} bins")
    for index, axis in enumerate(spec.axes):
        _check_binning(table, axis, index, shape)
    return values


def _check_binning(table: Table, axis: AxisField, index: int, shape: list[int]) -> None:
    """Columns `<axis>_low` and `<axis>_high`, or bin centres `<axis>`, must be those of the axis, where they stand."""
    edges = axis.internal
    wanted = {
        f"{axis.name}_low": edges[:-1],
        f"{axis.name}_high": edges[1:],
        axis.name: (edges[1:] + edges[:-1]) / 2,
    }
    for name, expected in wanted.items():
        if name not in table.columns:
            continue
        place = [1] * len(shape)
        place[index] = shape[index]
        full = np.broadcast_to(expected.reshape(place), shape).ravel()
        found = table.numbers(name)
        width = float(np.min(np.diff(edges)))
        if np.any(np.abs(found - full) > 1e-3 * width):
            row = int(np.argmax(np.abs(found - full) > 1e-3 * width))
            scale = units.unit(axis.unit).scale
            raise ModelError(
                f"{table.path}: column {name!r}, row {row + 1}: found {found[row] / scale:g} {axis.unit}; "
                f"the axis has {full[row] / scale:g} there"
            )
