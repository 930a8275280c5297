"""Expected counts of every bin and their derivatives, in one pass of array operations.

A channel is a matrix of rows: contents, times a product of functions of one parameter each, times the
exponential of log ratios that are kept over their own axes until the last contraction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from nuemstat.polynomial import FloatArray
from nuemstat.stats.flatten import FlatChannel, Template, flatten
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.interpolation import Function, FunctionTable

IndexArray = npt.NDArray[np.intp]


class _Functions:
    """Gives every distinct function a number."""

    def __init__(self) -> None:
        self.numbers: dict[Function, int] = {}

    def __getitem__(self, function: Function) -> int:
        return self.numbers.setdefault(function, len(self.numbers))


@dataclass(frozen=True, slots=True, eq=False)
class _Ratios:
    """All log ratios of one channel over the same axes.

    weights : numbers of the weight functions, shape (n_weights,);
    owner : which of `parameters` each weight belongs to; parameters : local numbers, shape (n_nuisances,);
    logs : shape (n_weights, n_axis_bins x n_samples).
    """

    axes: tuple[int, ...]
    weights: IndexArray
    owner: IndexArray
    parameters: IndexArray
    logs: FloatArray

    def evaluate(self, values: FloatArray, slopes: FloatArray, gradient: bool) -> FloatArray:
        """The logarithm and its derivatives, shape (1 + n_nuisances or 1, n_axis_bins x n_samples)."""
        if not gradient:
            return values[self.weights] @ self.logs[None]
        left = np.zeros((1 + self.parameters.size, self.weights.size))
        left[0] = values[self.weights]
        left[1 + self.owner, np.arange(self.weights.size)] = slopes[self.weights]
        return left @ self.logs


class ChannelKernel:
    """One channel, compiled.

    parameters : numbers (in the kernel's vector) of the parameters that move it, shape (n_local,).
    """

    def __init__(self, flat: FlatChannel, functions: _Functions, index: Mapping[str, int]) -> None:
        self.name, self.shape, self.size = flat.name, flat.shape, prod(flat.shape)
        self.processes = flat.processes
        templates = sorted(flat.templates, key=lambda template: not template.ratios)
        shaped = [template for template in templates if template.ratios]
        rows = [(t.process, *row) for t in templates for row in t.rows]
        self._contents = np.array([contents for _, contents, _ in rows]).reshape(len(rows), self.size)
        self._process = np.array([flat.processes.index(process) for process, _, _ in rows], dtype=np.intp)
        used = [functions for *_, functions in rows] + [r.weights for t in shaped for r in t.ratios]
        self.parameters = np.unique([index[f.parameter] for fs in used for f in fs]).astype(np.intp)
        local = {number: i for i, number in enumerate(self.parameters.tolist())}
        places = {name: local[number] for name, number in index.items() if number in local}
        self._compile_factors([functions for *_, functions in rows], functions, places)
        counts = [len(template.rows) for template in shaped]
        self._shaped_rows = sum(counts)
        self._starts = np.cumsum([0, *counts[:-1]])[: len(counts)]
        self._sample = np.repeat(np.arange(len(shaped)), counts)
        self._one_to_one = self._shaped_rows == len(shaped)
        axes = sorted({ratio.axes for template in shaped for ratio in template.ratios})
        self._ratios = [_compile_ratios(self.shape, key, shaped, functions, places) for key in axes]

    def _compile_factors(
        self, rows: Sequence[tuple[Function, ...]], functions: _Functions, places: Mapping[str, int]
    ) -> None:
        """Numbers of each row's functions, padded; and where their derivatives go."""
        n, self._length = len(rows), max((len(row) for row in rows), default=0)
        names = sorted({f.parameter for row in rows for f in row}, key=lambda name: places[name])
        self._scalar_parameters = np.array([places[name] for name in names], dtype=np.intp)
        order = {name: i for i, name in enumerate(names)}
        self._factors = np.full((self._length, n), -1, dtype=np.intp)
        target = np.full((self._length, n), len(names), dtype=np.intp)
        for i, row in enumerate(rows):
            for k, function in enumerate(row):
                self._factors[k, i] = functions[function]
                target[k, i] = order[function.parameter]
        self._target = (target * n + np.arange(n)).ravel()

    @property
    def fillable(self) -> npt.NDArray[np.bool_]:
        """Whether any row has contents in a bin, shape (n_bins,)."""
        return np.asarray((self._contents != 0).any(axis=0))

    def counts(self, values: FloatArray, slopes: FloatArray) -> FloatArray:
        """Expected counts of every row and bin, shape (n_rows, n_bins)."""
        templates, _ = self._templates(values, slopes, gradient=False)
        return np.asarray(values[self._factors].prod(axis=0)[:, None] * templates)

    def yields(self, values: FloatArray, slopes: FloatArray) -> dict[str, float]:
        """Expected counts by process."""
        total = np.bincount(self._process, self.counts(values, slopes).sum(axis=1), len(self.processes))
        return {name: float(count) for name, count in zip(self.processes, total, strict=True)}

    def expected(self, values: FloatArray, slopes: FloatArray) -> FloatArray:
        """Expected counts, shape (n_bins,)."""
        templates, _ = self._templates(values, slopes, gradient=False)
        return np.asarray(values[self._factors].prod(axis=0) @ templates)

    def expected_gradient(self, values: FloatArray, slopes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Expected counts, and their derivatives by the local parameters, shape (n_local, n_bins)."""
        left = self._factor_gradient(values, slopes)
        templates, logs = self._templates(values, slopes, gradient=True)
        product = left @ templates
        gradient = np.zeros((self.parameters.size, self.size))
        gradient[self._scalar_parameters] = product[:-1]
        if self._ratios:
            head = left[-1, : self._shaped_rows, None] * templates[: self._shaped_rows]
            counts = head if self._one_to_one else np.add.reduceat(head, self._starts, axis=0)
            for ratios, log in zip(self._ratios, logs, strict=True):
                gradient[ratios.parameters] += self._contract(ratios, log[1:], counts)
        return product[-1], gradient

    def _factor_gradient(self, values: FloatArray, slopes: FloatArray) -> FloatArray:
        """Each row's factor (last) and its derivatives by the scalar parameters, shape (n_scalar + 1, n_rows)."""
        n, m = self._contents.shape[0], self._scalar_parameters.size
        if self._length == 0:
            return np.ones((1, n))
        factors = values[self._factors]
        if self._length == 1:
            others = np.ones_like(factors)
        else:  # products of all but one, without dividing by what may be 0
            others = np.empty_like(factors)
            others[0] = 1.0
            np.multiply.accumulate(factors[:-1], axis=0, out=others[1:])
            behind = np.multiply.accumulate(factors[:0:-1], axis=0)[::-1]
            others[:-1] *= behind
        whole = others[0] * factors[0]
        others *= slopes[self._factors]
        left: FloatArray = np.bincount(self._target, others.ravel(), (m + 1) * n).astype(float).reshape(m + 1, n)
        left[-1] = whole
        return left

    def _templates(
        self, values: FloatArray, slopes: FloatArray, *, gradient: bool
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Contents times shapes, shape (n_rows, n_bins), and the log ratios with their derivatives."""
        if not self._ratios:
            return self._contents, []
        templates = self._contents.copy()
        head = templates[: self._shaped_rows].reshape(-1, *self.shape)
        logs = []
        for ratios in self._ratios:
            log = ratios.evaluate(values, slopes, gradient)
            logs.append(log)
            lengths = [n if i in ratios.axes else 1 for i, n in enumerate(self.shape)]
            factor = np.exp(log[0]).reshape(prod(lengths), -1).T.reshape(-1, *lengths)
            head *= factor if self._one_to_one else factor[self._sample]
        return templates, logs

    def _contract(self, ratios: _Ratios, slopes: FloatArray, counts: FloatArray) -> FloatArray:
        """Sum over samples of counts x derivative of the log ratio, shape (n_nuisances, n_bins)."""
        n, samples = slopes.shape[0], counts.shape[0]
        rest = [i for i in range(len(self.shape)) if i not in ratios.axes]
        if not rest:
            return np.asarray((slopes.reshape(n, self.size, samples) * counts.T).sum(axis=2))
        order = [1 + i for i in ratios.axes] + [0] + [1 + i for i in rest]
        inner = prod(self.shape[i] for i in rest)
        block = counts.reshape(samples, *self.shape).transpose(order).reshape(-1, samples, inner)
        result = slopes.reshape(n, -1, samples).transpose(1, 0, 2) @ block
        spread = result.reshape(*(self.shape[i] for i in ratios.axes), n, *(self.shape[i] for i in rest))
        places = [*ratios.axes, -1, *rest]
        return spread.transpose([places.index(i) for i in range(-1, len(self.shape))]).reshape(n, self.size)


def _compile_ratios(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    shaped: Sequence[Template],
    functions: _Functions,
    places: Mapping[str, int],
) -> _Ratios:
    used = {w: None for t in shaped for r in t.ratios if r.axes == axes for w in r.weights}
    column = {function: i for i, function in enumerate(used)}
    logs = np.zeros((len(column), prod(shape[i] for i in axes), len(shaped)))
    for s, template in enumerate(shaped):
        for ratio in template.ratios:
            if ratio.axes == axes:
                for weight, values in zip(ratio.weights, ratio.values, strict=True):
                    logs[column[weight], :, s] += values
    names = list(dict.fromkeys(function.parameter for function in column))
    return _Ratios(
        axes,
        np.array([functions[function] for function in column], dtype=np.intp),
        np.array([names.index(function.parameter) for function in column], dtype=np.intp),
        np.array([places[name] for name in names], dtype=np.intp),
        logs.reshape(len(column), -1),
    )


class Kernel:
    """A whole workspace, compiled for a given set of constant parameters.

    parameters : names of the independent parameters that are left, the vector x of the calls;
    slices : where each channel's bins stand, by name; n_bins : of all channels.
    """

    def __init__(self, workspace: Workspace, constants: Mapping[str, float]) -> None:
        self.parameters = tuple(p.name for p in workspace.parameters if p.kind != "derived" and p.name not in constants)
        derived, fixed = _derived(workspace, self.parameters, constants)
        names = [*self.parameters, *derived]
        index = {name: i for i, name in enumerate(names)}
        functions = _Functions()
        flat = flatten(workspace, {**constants, **fixed})
        self.channels = tuple(ChannelKernel(channel, functions, index) for channel in flat)
        self._functions = FunctionTable(tuple(functions.numbers), index)
        self._map = np.array([row for row, _ in derived.values()]).reshape(len(derived), len(self.parameters))
        self._offset = np.array([offset for _, offset in derived.values()])
        ends = np.cumsum([0, *(channel.size for channel in self.channels)]).tolist()
        self.slices = {c.name: slice(a, b) for c, a, b in zip(self.channels, ends[:-1], ends[1:], strict=True)}
        self.n_bins = int(ends[-1])
        self._n = len(self.parameters)

    def expected(self, x: FloatArray) -> FloatArray:
        """Expected counts of all bins, shape (n_bins,), at parameters of shape (n_parameters,)."""
        values, slopes = self._evaluate(x)
        return np.concatenate([channel.expected(values, slopes) for channel in self.channels])

    def expected_gradient(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Expected counts and their Jacobian of shape (n_parameters, n_bins)."""
        values, slopes = self._evaluate(x)
        expected = np.empty(self.n_bins)
        jacobian = np.zeros((self._n + self._offset.size, self.n_bins))
        for channel in self.channels:
            part = self.slices[channel.name]
            expected[part], gradient = channel.expected_gradient(values, slopes)
            jacobian[channel.parameters, part] = gradient
        if self._offset.size:
            return expected, jacobian[: self._n] + self._map.T @ jacobian[self._n :]
        return expected, jacobian

    @property
    def curved(self) -> npt.NDArray[np.bool_]:
        """Whether second derivatives of the counts by a parameter go beyond interpolation, shape (n_parameters,).

        True for couplings that occur squared, false for norms and for nuisances whose functions have ends.
        """
        bent = np.zeros(self._n + self._offset.size, dtype=bool)
        bent[self._functions.polynomial_of_degree_2] = True
        mapped = (self._map[bent[self._n :]] != 0).any(axis=0)
        return np.asarray(bent[: self._n] | mapped)

    def yields(self, x: FloatArray) -> dict[str, dict[str, float]]:
        """Expected counts by channel and process."""
        values, slopes = self._evaluate(x)
        return {channel.name: channel.yields(values, slopes) for channel in self.channels}

    def _evaluate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """All functions and their derivatives, and behind them the 1 that pads the factors of rows."""
        parameters = np.concatenate((x, self._map @ x + self._offset)) if self._offset.size else x
        values, slopes = self._functions(parameters)
        return np.append(values, 1.0), np.append(slopes, 0.0)


def _derived(
    workspace: Workspace, independent: Sequence[str], constants: Mapping[str, float]
) -> tuple[dict[str, tuple[FloatArray, float]], dict[str, float]]:
    """Derived parameters that move (their row of the linear map and offset), and those that are constant."""
    moving: dict[str, tuple[FloatArray, float]] = {}
    fixed: dict[str, float] = {}
    for parameter in workspace.parameters:
        if parameter.kind != "derived":
            continue
        row, offset = np.zeros(len(independent)), parameter.offset
        for name, coefficient in parameter.terms.items():
            if name in constants:
                offset += coefficient * constants[name]
            else:
                row[list(independent).index(name)] = coefficient
        if row.any():
            moving[parameter.name] = (row, offset)
        else:
            fixed[parameter.name] = offset
    return moving, fixed
