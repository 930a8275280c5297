"""What a channel observed: numbers with errors from a table whose binning is checked, or from the model itself."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.stats import chi2

from nuemstat import units
from nuemstat.errors import ModelError, suggestion
from nuemstat.model.fields import Column
from nuemstat.model.loader import ModelFiles
from nuemstat.model.schema import AxisField, ChannelField
from nuemstat.model.schema_observed import ErrorColumn, ErrorValues, PublishedLimit, SidedErrors, Values
from nuemstat.polynomial import FloatArray
from nuemstat.tables import Table
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL
from nuemstat.workspace.document import Axis, rounded

Expected = Callable[[Mapping[str, float]], FloatArray]
"""The prediction per bin with some couplings [workspace units] moved from their defaults."""

_CARRIED = {name: (name,) for name in COUPLINGS} | {
    name: flavours for name, flavours in UNIVERSAL.items() if name != "charge_radius"
}
"""A coupling whose limit a channel may carry -> the flavours that have it; a common radius is a shift, not a value."""


def channel_data(
    spec: ChannelField,
    files: ModelFiles,
    expected: Expected,
    *,
    stood: Expected | None = None,
    growth: tuple[float, float] = (1.0, 1.0),
) -> dict[str, Any]:
    """Axes, observed, statistic and errors of a channel, as its document wants them.

    expected : the prediction, for observations that are taken from it; stood : that of the model before numbers were
    set, for errors that a published limit makes; growth : factors on stated and on systematic errors.

    Raises
    ------
    ModelError : a column of another length, a binning that is not that of the axes, counts that are no counts.
    """
    observed = _observed(spec, files, expected)
    wrong = observed[(observed < 0) | (observed != np.round(observed))]
    if spec.statistic == "poisson" and spec.observed != "asimov" and wrong.size:
        where = f"channel of axis {spec.axes[0].name!r}: observed"
        if isinstance(spec.observed, Column):
            where = f"{files.folder / spec.observed.table}: column {spec.observed.column!r}"
        raise ModelError(f"{where}: found {wrong[0]:g}; whole counts of 0 or more are allowed")
    return {
        "axes": tuple(Axis(name=axis.name, unit=axis.unit, edges=rounded(axis.values)) for axis in spec.axes),
        "statistic": spec.statistic,
        "observed": rounded(observed),
        **_errors(spec, files, stood or expected, observed, growth),
    }


def _observed(spec: ChannelField, files: ModelFiles, expected: Expected) -> FloatArray:
    if isinstance(spec.observed, Column):
        return read_column(spec, spec.observed, files)
    if isinstance(spec.observed, Values):
        return _listed(spec, spec.observed.values, "observed")
    return expected({})


def _errors(
    spec: ChannelField, files: ModelFiles, expected: Expected, observed: FloatArray, growth: tuple[float, float]
) -> dict[str, Any]:
    """`errors` or `covariance` of a gaussian channel; nothing of a poisson one."""
    if spec.errors is None:
        return {}
    if isinstance(spec.errors, ErrorColumn | ErrorValues):
        errors, common, alone = _parts(spec, spec.errors, files)
        return _with_systematic(errors, common, alone, growth, _shared(spec, spec.errors.along))
    if isinstance(spec.errors, SidedErrors):
        up, down = (_listed(spec, side, "errors") * growth[0] for side in (spec.errors.up, spec.errors.down))
        return {"errors": rounded(up), "errors_below": rounded(down)}
    if isinstance(spec.errors, PublishedLimit):
        return {"errors": rounded(_error_of_limit(spec.errors, expected) * growth[0])}
    grown = 1.0 if spec.observed == "asimov" else growth[0]
    return {"errors": rounded(np.sqrt(observed) * grown)}


def _listed(spec: ChannelField, values: tuple[float, ...], what: str) -> FloatArray:
    bins = int(np.prod([len(axis.values) - 1 for axis in spec.axes]))
    if len(values) != bins:
        raise ModelError(f"channel {spec.axes[0].name}: {what}: found {len(values)} values; it has {bins} bins")
    return np.array(values)


def _parts(
    spec: ChannelField, given: ErrorColumn | ErrorValues, files: ModelFiles
) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """Stated errors, systematic ones that are common to the bins, and those of each bin alone."""
    if isinstance(given, ErrorValues):
        rows = {"systematic": given.systematic, "uncorrelated": given.uncorrelated}
        common, alone = (_listed(spec, v, f"errors.{name}") if v else None for name, v in rows.items())
        return _listed(spec, given.values, "errors"), common, alone
    names = (given.column, given.systematic, given.uncorrelated)
    errors, common, alone = (
        read_column(spec, Column(table=given.table, column=name), files) if name else None for name in names
    )
    if errors is None or np.any(errors <= 0):
        raise ModelError(f"{files.folder / given.table}: column {given.column!r}: an error is not above 0")
    return errors, common, alone


def _shared(spec: ChannelField, along: tuple[str, ...] | None) -> FloatArray:
    """1 where two bins share their systematic error, 0 elsewhere: they differ along axes of `along` alone."""
    names = [axis.name for axis in spec.axes]
    for name in along or ():
        if name not in names:
            raise ModelError(f"errors.along: found {name!r}; the channel has the axes {', '.join(names)}")
    places = np.indices([len(axis.values) - 1 for axis in spec.axes]).reshape(len(names), -1)
    apart = places[[i for i, name in enumerate(names) if along is not None and name not in along]]
    return np.asarray(np.all(apart[:, :, None] == apart[:, None, :], axis=0), dtype=float)


def _with_systematic(
    errors: FloatArray,
    common: FloatArray | None,
    alone: FloatArray | None,
    growth: tuple[float, float],
    shared: FloatArray,
) -> dict[str, Any]:
    errors = errors * growth[0]
    if alone is not None:
        errors = np.hypot(errors, alone * growth[1])
    if common is None:
        return {"errors": rounded(errors)}
    common = common * growth[1]
    if len(errors) == 1:
        return {"errors": rounded(np.hypot(errors, common))}
    return {"covariance": tuple(rounded(row) for row in np.diag(errors**2) + np.outer(common, common) * shared)}


def _error_of_limit(given: PublishedLimit, expected: Expected) -> FloatArray:
    """Change of the prediction at the limit, over its number of standard deviations."""
    if given.coupling not in _CARRIED:
        hint = suggestion(given.coupling, list(_CARRIED))
        raise ModelError(f"errors.coupling: found {given.coupling!r}; allowed are {', '.join(_CARRIED)}{hint}")
    at_limit = {name: given.limit / COUPLINGS[name].scale for name in _CARRIED[given.coupling]}
    change = expected(at_limit) - expected({})
    if change.size != 1 or not change[0]:
        raise ModelError(f"errors: a limit on {given.coupling} is the error of one bin that it changes")
    return np.asarray(np.abs(change) / np.sqrt(chi2.ppf(given.confidence, 1)))


def read_column(spec: ChannelField, column: Column, files: ModelFiles) -> FloatArray:
    """A column with one number per bin of a channel.

    Raises
    ------
    ModelError : another number of rows, or columns of bin edges that are not those of the axes.
    """
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
