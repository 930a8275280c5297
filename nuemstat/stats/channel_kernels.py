"""Expected counts of one channel and their derivatives, in a few array operations.

A channel is a matrix of rows: contents, times a product of functions of one parameter each, times the
exponential of log ratios that are kept over their own axes until the last contraction. Every array has a leading
axis of points (toys, or one fit), and every product is one call of fixed shape per point, so what comes out for
one point does not depend on which others are evaluated with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from nuemstat.polynomial import FloatArray
from nuemstat.stats.flatten import FlatChannel, Template
from nuemstat.workspace.interpolation import Function

IndexArray = npt.NDArray[np.intp]
Row = tuple[str, FloatArray, tuple[Function, ...]]
"""Process, contents and functions."""
_MANY = 16
"""Bins of a channel from which rows that fill one bin alone are kept as numbers, if there is one for each bin."""


class Functions:
    """Gives every distinct function a number."""

    def __init__(self) -> None:
        self.numbers: dict[Function, int] = {}

    def __getitem__(self, function: Function) -> int:
        return self.numbers.setdefault(function, len(self.numbers))


@dataclass(frozen=True, slots=True, eq=False)
class Ratios:
    """All log ratios of one channel over the same axes.

    weights : numbers of the weight functions, shape (n_weights,);
    owner : which of `parameters` each weight belongs to, shape (n_nuisances, n_weights), 1 or 0;
    parameters : local numbers, shape (n_nuisances,);
    lengths : of the channel's axes, 1 where the ratios are constant;
    logs : shape (n_weights, n_samples x product of lengths).
    """

    weights: IndexArray
    owner: FloatArray
    parameters: IndexArray
    lengths: tuple[int, ...]
    logs: FloatArray

    def factors(self, values: FloatArray) -> FloatArray:
        """The ratios, shape (n_points, n_samples, *lengths)."""
        log = np.take(values, self.weights, axis=1)[:, None, :] @ self.logs
        return np.exp(log).reshape(values.shape[0], -1, *self.lengths)

    def slopes(self, slopes: FloatArray) -> FloatArray:
        """Derivatives of the logarithm by the nuisances, shape (n_points, n_nuisances, n_samples, *lengths)."""
        left = self.owner * np.take(slopes, self.weights, axis=1)[:, None, :]
        return np.asarray(left @ self.logs).reshape(slopes.shape[0], self.parameters.size, -1, *self.lengths)

    def summed(self, counts: FloatArray) -> FloatArray:
        """Counts of shape (n_points, n, n_samples, *axes) summed over the axes along which the ratios are constant;
        (n_points, n, n_samples x product of lengths)."""
        over = tuple(3 + i for i, length in enumerate(self.lengths) if length < counts.shape[3 + i])
        return (counts.sum(axis=over) if over else counts).reshape(*counts.shape[:2], -1)


@dataclass(frozen=True, slots=True, eq=False)
class ChannelState:
    """What value and derivatives of a channel share at some points.

    values, slopes, bends : of all functions and their derivatives, shape (n_points, n_functions + 1);
    factor : of each row, shape (n_points, n_rows); templates : of the rows with ratios, (n_points, n_shaped, n_bins).
    """

    values: FloatArray
    slopes: FloatArray
    bends: FloatArray
    factor: FloatArray
    templates: FloatArray


class ChannelKernel:
    """One channel, compiled.

    parameters : numbers (in the kernel's vector) of the parameters that move it, shape (n_local,);
    contents : shape (n_dense, n_bins), rows with ratios first; sample : which sample each of those belongs to;
    cells : bin of each row behind them that fills one bin alone (where bins have factors of their own), shape
    (n_cells,), with `cell_contents`, so that their cost grows with their number and not with its square;
    factors : numbers of each row's functions, shape (n_factors, n_dense + n_cells), padded by -1;
    scalar_parameters : local numbers of their parameters; owner : which of these each belongs to, flattened.
    """

    def __init__(self, flat: FlatChannel, functions: Functions, index: Mapping[str, int]) -> None:
        self.name, self.shape, self.size = flat.name, flat.shape, prod(flat.shape)
        self.processes = flat.processes
        templates = sorted(flat.templates, key=lambda t: (not t.ratios, len(t.rows)))
        shaped = [template for template in templates if template.ratios]
        rows = [(t.process, *row) for t in templates for row in t.rows]
        counts = [len(template.rows) for template in shaped]
        self.shaped_rows = sum(counts)
        rows = self._keep_contents(rows)
        self._process = np.array([flat.processes.index(process) for process, _, _ in rows], dtype=np.intp)
        used = [functions for *_, functions in rows] + [r.weights for t in shaped for r in t.ratios]
        self.parameters = np.unique([index[f.parameter] for fs in used for f in fs]).astype(np.intp)
        local = {number: i for i, number in enumerate(self.parameters.tolist())}
        places = {name: local[number] for name, number in index.items() if number in local}
        self._compile_factors([functions for *_, functions in rows], functions, places)
        self.sample = np.repeat(np.arange(len(shaped)), counts)
        self._one_to_one = self.shaped_rows == len(shaped)
        self._groups = [(k, counts.count(k)) for k in sorted(set(counts))]
        axes = sorted({ratio.axes for template in shaped for ratio in template.ratios})
        self.ratios = [_compile_ratios(self.shape, key, shaped, functions, places) for key in axes]
        self._plain = np.ascontiguousarray(self.contents[self.shaped_rows :])

    def _keep_contents(self, rows: Sequence[Row]) -> list[Row]:
        """Set contents and cells, and return the rows in their order."""
        plain = range(self.shaped_rows, len(rows))
        alone = [i in plain and np.count_nonzero(contents) == 1 for i, (_, contents, _) in enumerate(rows)]
        if sum(alone) < max(self.size, _MANY):
            alone = [False] * len(rows)
        dense = [row for row, single in zip(rows, alone, strict=True) if not single]
        single = [row for row, single in zip(rows, alone, strict=True) if single]
        self.contents = np.array([contents for _, contents, _ in dense]).reshape(len(dense), self.size)
        self.cells = np.array([np.flatnonzero(contents)[0] for _, contents, _ in single], dtype=np.intp)
        self.cell_contents = np.array([contents.sum() for _, contents, _ in single], dtype=float)
        return [*dense, *single]

    def _compile_factors(
        self, rows: Sequence[tuple[Function, ...]], functions: Functions, places: Mapping[str, int]
    ) -> None:
        """Numbers of each row's functions, padded; and where their derivatives go."""
        n, length = len(rows), max((len(row) for row in rows), default=0)
        names = sorted({f.parameter for row in rows for f in row}, key=lambda name: places[name])
        self.scalar_parameters = np.array([places[name] for name in names], dtype=np.intp)
        order = {name: i for i, name in enumerate(names)}
        self.factors = np.full((length, n), -1, dtype=np.intp)
        owner = np.full((length, n), len(names), dtype=np.intp)
        for i, row in enumerate(rows):
            for k, function in enumerate(row):
                self.factors[k, i] = functions[function]
                owner[k, i] = order[function.parameter]
        dense = len(self.contents)
        self.owner, self._target = owner.ravel(), (owner[:, :dense] * dense + np.arange(dense)).ravel()
        same = [(owner[k] == owner[j]) & (owner[k] < len(names)) for k in range(length) for j in range(k)]
        pairs = [(k, j) for k in range(length) for j in range(k)]
        self._twice = [(k, j, np.flatnonzero(rows)) for (k, j), rows in zip(pairs, same, strict=True) if rows.any()]

    @property
    def fillable(self) -> npt.NDArray[np.bool_]:
        """Whether any row has contents in a bin, shape (n_bins,)."""
        found = (self.contents != 0).any(axis=0)
        found[self.cells] = True
        return np.asarray(found)

    def state(self, values: FloatArray, slopes: FloatArray, bends: FloatArray) -> ChannelState:
        """Factors and shaped templates at some points."""
        factor = np.take(values, self.factors, axis=1).prod(axis=1)
        templates = np.empty((values.shape[0], self.shaped_rows, self.size))
        head = templates.reshape(values.shape[0], self.shaped_rows, *self.shape)
        contents = self.contents[: self.shaped_rows].reshape(-1, *self.shape)
        for i, ratios in enumerate(self.ratios):
            ratio = ratios.factors(values)
            ratio = ratio if self._one_to_one else np.take(ratio, self.sample, axis=1)
            np.multiply(head if i else contents, ratio, out=head)
        return ChannelState(values, slopes, bends, factor, templates)

    def yields(self, state: ChannelState) -> dict[str, float]:
        """Expected counts by process at the first point."""
        rows = np.concatenate([state.templates[0].sum(axis=1), self._plain.sum(axis=1), self.cell_contents])
        total = np.bincount(self._process, state.factor[0] * rows, len(self.processes))
        return {name: float(count) for name, count in zip(self.processes, total, strict=True)}

    def expected(self, state: ChannelState) -> FloatArray:
        """Expected counts, shape (n_points, n_bins)."""
        found = self._times(state.factor[:, None, : len(self.contents)], state)[:, 0]
        return np.asarray(found + self._filled(state) if self.cells.size else found)

    def jacobian(self, state: ChannelState) -> FloatArray:
        """Derivatives of the counts by the local parameters, shape (n_points, n_local, n_bins)."""
        left, others = self._factor_gradient(state)
        scalar = self._times(left, state)
        if self.cells.size:
            scalar += self._cell_gradient(others)
        if not self.ratios and self.scalar_parameters.size == self.parameters.size:
            return scalar
        gradient = np.zeros((left.shape[0], self.parameters.size, self.size))
        gradient[:, self.scalar_parameters] = scalar
        counts = self._sample_counts(state.factor, state.templates).reshape(left.shape[0], -1, *self.shape)
        for ratios in self.ratios:
            slopes = ratios.slopes(state.slopes)
            for j, parameter in enumerate(ratios.parameters):
                gradient[:, parameter] += (slopes[:, j] * counts).sum(axis=1).reshape(left.shape[0], -1)
        return gradient

    def pullback(self, state: ChannelState, slope: FloatArray) -> FloatArray:
        """The Jacobian times `slope` of shape (n_points, n_bins), without the Jacobian; (n_points, n_local)."""
        _, others = self._factor_gradient(state, whole=False)
        each, spread = self._row_sums(state, slope)
        gradient = np.zeros((slope.shape[0], self.parameters.size))
        gradient[:, self.scalar_parameters] = self._owned(others * each[:, None, :])
        if self.ratios:
            counts = self._sample_counts(state.factor, spread).reshape(slope.shape[0], 1, -1, *self.shape)
            for ratios in self.ratios:
                right = (ratios.logs @ ratios.summed(counts).transpose(0, 2, 1))[:, :, 0]
                right *= np.take(state.slopes, ratios.weights, axis=1)
                gradient[:, ratios.parameters] += (ratios.owner @ right[:, :, None])[:, :, 0]
        return gradient

    def curvature(self, state: ChannelState, slope: FloatArray) -> FloatArray:
        """Sum over bins of `slope` (n_points, n_bins) x second derivatives of the counts by the local parameters,
        shape (n_points, n_local, n_local)."""
        left, others = self._factor_gradient(state)
        each, spread = self._row_sums(state, slope)
        matrix = np.zeros((slope.shape[0], self.parameters.size, self.parameters.size))
        scalar = self.scalar_parameters
        matrix[:, scalar[:, None], scalar] = self._scalar_curvature(state, left, others, each)
        if not self.ratios:
            return matrix
        points = slope.shape[0]
        counts = self._sample_counts(state.factor, spread).reshape(points, 1, -1, *self.shape)
        for ratios in self.ratios:
            slopes = ratios.slopes(state.slopes)
            moments = self._moments(ratios, slopes, spread)
            cross = left[:, :, : self.shaped_rows] @ moments.transpose(0, 2, 1)
            matrix[:, scalar[:, None], ratios.parameters] += cross
            matrix[:, ratios.parameters[:, None], scalar] += cross.transpose(0, 2, 1)
            flat = ratios.summed(counts)
            bends = (ratios.logs @ flat.transpose(0, 2, 1))[:, :, 0] * np.take(state.bends, ratios.weights, axis=1)
            matrix[:, ratios.parameters, ratios.parameters] += (ratios.owner @ bends[:, :, None])[:, :, 0]
            for other in self.ratios:
                right = other.slopes(state.slopes) if other is not ratios else slopes
                flat_right = right.reshape(points, right.shape[1], -1)
                if other is ratios:
                    both = (slopes.reshape(flat_right.shape) * flat) @ flat_right.transpose(0, 2, 1)
                else:
                    both = other.summed(slopes * counts) @ flat_right.transpose(0, 2, 1)
                matrix[:, ratios.parameters[:, None], other.parameters] += both
        return matrix

    def _moments(self, ratios: Ratios, slopes: FloatArray, spread: FloatArray) -> FloatArray:
        """Sum over bins of `spread` x derivative of the log ratio, shape (n_points, n_nuisances, n_shaped)."""
        points = spread.shape[0]
        flat = ratios.summed(spread.reshape(points, 1, -1, *self.shape)).reshape(points, self.shaped_rows, -1)
        result = np.empty((points, slopes.shape[1], self.shaped_rows))
        for j in range(slopes.shape[1]):
            each = slopes[:, j].reshape(points, -1, flat.shape[2])
            result[:, j] = (flat * (each if self._one_to_one else np.take(each, self.sample, axis=1))).sum(axis=2)
        return result

    def _scalar_curvature(
        self, state: ChannelState, left: FloatArray, others: FloatArray, each: FloatArray
    ) -> FloatArray:
        """Sum over rows of `each` x second derivatives of the row's factor, (n_points, n_scalar, n_scalar)."""
        ratio = each / np.where(state.factor == 0, np.inf, state.factor)
        dense = len(self.contents)
        matrix = np.asarray((left * ratio[:, None, :dense]) @ left.transpose(0, 2, 1))
        if self.cells.size:
            matrix += self._cell_curvature(others[:, :, dense:], ratio[:, dense:])
        bends = np.take(state.bends, self.factors, axis=1)
        diagonal = self._owned(bends * self._products(state) * each[:, None, :])
        factors, slopes = np.take(state.values, self.factors, axis=1), np.take(state.slopes, self.factors, axis=1)
        for k, j, rows in self._twice:  # two functions of one parameter on the same row
            rest = np.prod([factors[:, i, rows] for i in range(len(self.factors)) if i not in (k, j)], axis=0)
            mixed = np.zeros_like(factors)
            mixed[:, k, rows] = 2 * slopes[:, k, rows] * slopes[:, j, rows] * rest * each[:, rows]
            diagonal += self._owned(mixed)
        places = np.arange(left.shape[1])
        matrix[:, places, places] = diagonal
        return matrix

    def _row_sums(self, state: ChannelState, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Templates times `slope`: summed over bins (n_points, n_rows); and of shaped rows, bin by bin."""
        spread = state.templates * slope[:, None, :]
        plain = (self._plain @ slope[:, :, None])[:, :, 0]
        single = np.take(slope, self.cells, axis=1) * self.cell_contents
        return np.concatenate([spread.sum(axis=2), plain, single], axis=1), spread

    def _filled(self, state: ChannelState) -> FloatArray:
        """What the cells put into the bins, shape (n_points, n_bins)."""
        each = state.factor[:, len(self.contents) :] * self.cell_contents
        return np.array([np.bincount(self.cells, row, self.size) for row in each], dtype=float)

    def _cell_gradient(self, others: FloatArray) -> FloatArray:
        """Derivatives of what the cells put into the bins, shape (n_points, n_scalar, n_bins)."""
        m, dense = self.scalar_parameters.size, len(self.contents)
        target = (self.owner.reshape(self.factors.shape)[:, dense:] * self.size + self.cells).ravel()
        each = (others[:, :, dense:] * self.cell_contents).reshape(len(others), -1)
        found = [np.bincount(target, row, (m + 1) * self.size)[: m * self.size] for row in each]
        return np.array(found, dtype=float).reshape(len(others), m, self.size)

    def _cell_curvature(self, others: FloatArray, ratio: FloatArray) -> FloatArray:
        """The cells' sum of `ratio` x products of first derivatives, (n_points, n_scalar, n_scalar)."""
        m = self.scalar_parameters.size
        owner = self.owner.reshape(self.factors.shape)[:, len(self.contents) :]
        found = np.zeros((len(others), (m + 1) ** 2))
        for k in range(len(owner)):
            for j in range(len(owner)):
                target = owner[k] * (m + 1) + owner[j]
                for t in range(len(others)):
                    found[t] += np.bincount(target, others[t, k] * others[t, j] * ratio[t], (m + 1) ** 2)
        return found.reshape(len(others), m + 1, m + 1)[:, :m, :m]

    def _owned(self, each: FloatArray) -> FloatArray:
        """Numbers of all factors (n_points, n_factors, n_rows), summed by the parameter of the factor."""
        m = self.scalar_parameters.size
        rows = [np.bincount(self.owner, row.ravel(), m + 1)[:m] for row in each]
        return np.array(rows, dtype=float).reshape(len(each), m)

    def _times(self, left: FloatArray, state: ChannelState) -> FloatArray:
        """Rows combined with `left` of shape (n_points, n, n_rows), shape (n_points, n, n_bins)."""
        plain = left[:, :, self.shaped_rows :]
        if not self.shaped_rows:
            return np.asarray(plain @ self._plain)
        head = left[:, :, : self.shaped_rows] @ state.templates
        return np.asarray(head + plain @ self._plain if plain.shape[2] else head)

    def _sample_counts(self, factor: FloatArray, templates: FloatArray) -> FloatArray:
        """Factor x template summed over the rows of each sample with ratios, shape (n_points, n_samples, n_bins)."""
        head = factor[:, : self.shaped_rows, None] * templates
        if self._one_to_one:
            return head
        parts, first = [], 0
        for length, samples in self._groups:
            block = head[:, first : first + length * samples]
            parts.append(block.reshape(head.shape[0], samples, length, -1).sum(axis=2))
            first += length * samples
        return np.concatenate(parts, axis=1)

    def _products(self, state: ChannelState) -> FloatArray:
        """Products of all factors of a row but one, without dividing by what may be 0.

        Shape (n_points, n_factors, n_rows).
        """
        factors = np.take(state.values, self.factors, axis=1)
        others = np.ones_like(factors)
        if factors.shape[1] > 1:
            np.multiply.accumulate(factors[:, :-1], axis=1, out=others[:, 1:])
            others[:, :-1] *= np.multiply.accumulate(factors[:, :0:-1], axis=1)[:, ::-1]
        return others

    def _factor_gradient(self, state: ChannelState, *, whole: bool = True) -> tuple[FloatArray, FloatArray]:
        """Derivatives of each dense row's factor by the scalar parameters, shape (n_points, n_scalar, n_dense), if
        `whole`; and of every row's by each of its functions times the function's own, (n_points, n_factors, n_rows)."""
        points, n, m = state.factor.shape[0], len(self.contents), self.scalar_parameters.size
        others = self._products(state)
        others *= np.take(state.slopes, self.factors, axis=1)
        left = np.zeros((points, m, n))
        if whole and m:
            for t in range(points):
                left[t] = np.bincount(self._target, others[t, :, :n].ravel(), (m + 1) * n)[: m * n].reshape(m, n)
        return left, others


def _compile_ratios(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    shaped: Sequence[Template],
    functions: Functions,
    places: Mapping[str, int],
) -> Ratios:
    used = {w: None for t in shaped for r in t.ratios if r.axes == axes for w in r.weights}
    column = {function: i for i, function in enumerate(used)}
    logs = np.zeros((len(column), len(shaped), prod(shape[i] for i in axes)))
    for s, template in enumerate(shaped):
        for ratio in template.ratios:
            if ratio.axes == axes:
                for weight, values in zip(ratio.weights, ratio.values, strict=True):
                    logs[column[weight], s] += values
    names = list(dict.fromkeys(function.parameter for function in column))
    return Ratios(
        np.array([functions[function] for function in column], dtype=np.intp),
        np.array([[float(function.parameter == name) for function in column] for name in names]),
        np.array([places[name] for name in names], dtype=np.intp),
        tuple(n if i in axes else 1 for i, n in enumerate(shape)),
        logs.reshape(len(column), -1),
    )
