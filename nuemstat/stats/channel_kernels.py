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
    contents : shape (n_rows, n_bins), rows with ratios first; sample : which sample each of those belongs to;
    factors : numbers of each row's functions, shape (n_factors, n_rows), padded by -1;
    scalar_parameters : local numbers of their parameters; owner : which of these each belongs to, flattened.
    """

    def __init__(self, flat: FlatChannel, functions: Functions, index: Mapping[str, int]) -> None:
        self.name, self.shape, self.size = flat.name, flat.shape, prod(flat.shape)
        self.processes = flat.processes
        templates = sorted(flat.templates, key=lambda t: (not t.ratios, len(t.rows)))
        shaped = [template for template in templates if template.ratios]
        rows = [(t.process, *row) for t in templates for row in t.rows]
        self.contents = np.array([contents for _, contents, _ in rows]).reshape(len(rows), self.size)
        self._process = np.array([flat.processes.index(process) for process, _, _ in rows], dtype=np.intp)
        used = [functions for *_, functions in rows] + [r.weights for t in shaped for r in t.ratios]
        self.parameters = np.unique([index[f.parameter] for fs in used for f in fs]).astype(np.intp)
        local = {number: i for i, number in enumerate(self.parameters.tolist())}
        places = {name: local[number] for name, number in index.items() if number in local}
        self._compile_factors([functions for *_, functions in rows], functions, places)
        counts = [len(template.rows) for template in shaped]
        self.shaped_rows = sum(counts)
        self.sample = np.repeat(np.arange(len(shaped)), counts)
        self._one_to_one = self.shaped_rows == len(shaped)
        self._groups = [(k, counts.count(k)) for k in sorted(set(counts))]
        axes = sorted({ratio.axes for template in shaped for ratio in template.ratios})
        self.ratios = [_compile_ratios(self.shape, key, shaped, functions, places) for key in axes]
        self._plain = np.ascontiguousarray(self.contents[self.shaped_rows :])

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
        self.owner, self._target = owner.ravel(), (owner * n + np.arange(n)).ravel()
        same = [(owner[k] == owner[j]) & (owner[k] < len(names)) for k in range(length) for j in range(k)]
        pairs = [(k, j) for k in range(length) for j in range(k)]
        self._twice = [(k, j, np.flatnonzero(rows)) for (k, j), rows in zip(pairs, same, strict=True) if rows.any()]

    @property
    def fillable(self) -> npt.NDArray[np.bool_]:
        """Whether any row has contents in a bin, shape (n_bins,)."""
        return np.asarray((self.contents != 0).any(axis=0))

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

    def counts(self, state: ChannelState) -> FloatArray:
        """Expected counts of every row and bin at the first point, shape (n_rows, n_bins)."""
        return np.asarray(state.factor[0][:, None] * np.concatenate([state.templates[0], self._plain]))

    def yields(self, state: ChannelState) -> dict[str, float]:
        """Expected counts by process at the first point."""
        total = np.bincount(self._process, self.counts(state).sum(axis=1), len(self.processes))
        return {name: float(count) for name, count in zip(self.processes, total, strict=True)}

    def expected(self, state: ChannelState) -> FloatArray:
        """Expected counts, shape (n_points, n_bins)."""
        return np.asarray(self._times(state.factor[:, None, :], state)[:, 0])

    def jacobian(self, state: ChannelState) -> FloatArray:
        """Derivatives of the counts by the local parameters, shape (n_points, n_local, n_bins)."""
        left, _ = self._factor_gradient(state)
        if not self.ratios and self.scalar_parameters.size == self.parameters.size:
            return self._times(left, state)
        gradient = np.zeros((left.shape[0], self.parameters.size, self.size))
        gradient[:, self.scalar_parameters] = self._times(left, state)
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
        left, _ = self._factor_gradient(state)
        each, spread = self._row_sums(state, slope)
        matrix = np.zeros((slope.shape[0], self.parameters.size, self.parameters.size))
        scalar = self.scalar_parameters
        matrix[:, scalar[:, None], scalar] = self._scalar_curvature(state, left, each)
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

    def _scalar_curvature(self, state: ChannelState, left: FloatArray, each: FloatArray) -> FloatArray:
        """Sum over rows of `each` x second derivatives of the row's factor, (n_points, n_scalar, n_scalar)."""
        safe = np.where(state.factor == 0, np.inf, state.factor)
        matrix = np.asarray((left * (each / safe)[:, None, :]) @ left.transpose(0, 2, 1))
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
        return np.concatenate([spread.sum(axis=2), plain], axis=1), spread

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
        """Derivatives of each row's factor by the scalar parameters, shape (n_points, n_scalar, n_rows), if `whole`;
        and by each of its functions times the function's own, shape (n_points, n_factors, n_rows)."""
        points, n, m = state.factor.shape[0], self.factors.shape[1], self.scalar_parameters.size
        others = self._products(state)
        others *= np.take(state.slopes, self.factors, axis=1)
        left = np.zeros((points, m, n))
        if whole and m:
            for t in range(points):
                left[t] = np.bincount(self._target, others[t].ravel(), (m + 1) * n)[: m * n].reshape(m, n)
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
