"""Expected counts of a whole workspace and their derivatives: its channels, and what joins them."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nuemstat.polynomial import FloatArray
from nuemstat.stats.channel_kernels import ChannelKernel, Functions, IndexArray
from nuemstat.stats.flatten import flatten
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.interpolation import FunctionTable

TINY = 1e-100
"""What functions that are exactly 0 are set to, so that a row's second derivatives are quotients of its first ones."""


class Engine(Protocol):
    """What evaluates one channel: `ChannelKernel`, or a compiled stand-in that keeps its own states."""

    parameters: IndexArray

    def state(self, values: FloatArray, slopes: FloatArray, bends: FloatArray) -> Any:
        """What the other calls share at some points."""

    def expected(self, state: Any) -> FloatArray:
        """Expected counts, shape (n_points, n_bins)."""

    def jacobian(self, state: Any) -> FloatArray:
        """Their derivatives by the local parameters, shape (n_points, n_local, n_bins)."""

    def pullback(self, state: Any, slope: FloatArray) -> FloatArray:
        """The Jacobian times `slope`, shape (n_points, n_local)."""

    def curvature(self, state: Any, slope: FloatArray) -> FloatArray:
        """`slope` times second derivatives, shape (n_points, n_local, n_local)."""


class Kernel:
    """A whole workspace, compiled for a given set of constant parameters.

    parameters : names of the independent parameters that are left, the vector x of the calls;
    slices : where each channel's bins stand, by name; n_bins : of all channels.
    Points have shape (n_points, n_parameters); channels keep to the parameters that move them.
    """

    def __init__(self, workspace: Workspace, constants: Mapping[str, float]) -> None:
        self.parameters = tuple(p.name for p in workspace.parameters if p.kind != "derived" and p.name not in constants)
        derived, fixed = _derived(workspace, self.parameters, constants)
        names = [*self.parameters, *derived]
        index = {name: i for i, name in enumerate(names)}
        numbers = Functions()
        flat = flatten(workspace, {**constants, **fixed})
        self.channels = tuple(ChannelKernel(channel, numbers, index) for channel in flat)
        self.engines: tuple[Engine, ...] = self.channels
        self.functions = FunctionTable(tuple(numbers.numbers), index)
        self._map = np.array([row for row, _ in derived.values()]).reshape(len(derived), len(self.parameters))
        self._offset = np.array([offset for _, offset in derived.values()])
        ends = np.cumsum([0, *(channel.size for channel in self.channels)]).tolist()
        self.slices = {c.name: slice(a, b) for c, a, b in zip(self.channels, ends[:-1], ends[1:], strict=True)}
        self.n_bins = int(ends[-1])
        self._n = len(self.parameters)

    def run_by(self, engines: Sequence[Engine]) -> "Kernel":
        """The same kernel with other engines of its channels."""
        other = copy(self)
        other.engines = tuple(engines)
        return other

    def states(self, points: FloatArray) -> list[Any]:
        """What value and derivatives share, channel by channel."""
        functions = self.evaluate(points)
        return [engine.state(*functions) for engine in self.engines]

    def expected(self, states: Sequence[Any]) -> FloatArray:
        """Expected counts of all bins, shape (n_points, n_bins)."""
        pairs = zip(self.engines, states, strict=True)
        return np.concatenate([engine.expected(state) for engine, state in pairs], axis=1)

    def jacobians(self, states: Sequence[Any]) -> list[FloatArray]:
        """Derivatives by the parameters that move each channel, shapes (n_points, n_local, n_bins)."""
        return [engine.jacobian(state) for engine, state in zip(self.engines, states, strict=True)]

    def pullback(self, states: Sequence[Any], slope: FloatArray) -> FloatArray:
        """The Jacobian times `slope` of shape (n_points, n_bins), without the Jacobian; (n_points, n_parameters)."""
        parts = [
            engine.pullback(state, slope[:, part])
            for engine, state, part in zip(self.engines, states, self.slices.values(), strict=True)
        ]
        return self.joined(parts)

    def curvature(self, states: Sequence[Any], slope: FloatArray) -> FloatArray:
        """Sum over bins of `slope` (n_points, n_bins) x second derivatives of the counts, as `joined_squares`."""
        trios = zip(self.engines, states, self.slices.values(), strict=True)
        return self.joined_squares([engine.curvature(state, slope[:, part]) for engine, state, part in trios])

    def joined(self, parts: Sequence[FloatArray]) -> FloatArray:
        """Sum of vectors over local parameters, as one over all, shape (n_points, n_parameters)."""
        whole = np.zeros((parts[0].shape[0], self._n + self._offset.size))
        for channel, part in zip(self.channels, parts, strict=True):
            whole[:, channel.parameters] += part
        if not self._offset.size:
            return whole
        return np.asarray(whole[:, : self._n] + (whole[:, None, self._n :] @ self._map)[:, 0])

    def joined_squares(self, parts: Sequence[FloatArray]) -> FloatArray:
        """Sum of matrices over local parameters, shape (n_points, n_parameters, n_parameters)."""
        n, size = self._n, self._n + self._offset.size
        whole = np.zeros((parts[0].shape[0], size, size))
        for channel, part in zip(self.channels, parts, strict=True):
            whole[:, channel.parameters[:, None], channel.parameters] += part
        if not self._offset.size:
            return whole
        left = whole[:, :n] + self._map.T @ whole[:, n:]
        return np.asarray(left[:, :, :n] + left[:, :, n:] @ self._map)

    def dense(self, blocks: Sequence[FloatArray]) -> FloatArray:
        """Jacobians of the channels as one, shape (n_points, n_parameters, n_bins)."""
        whole = np.zeros((blocks[0].shape[0], self._n + self._offset.size, self.n_bins))
        for channel, block, part in zip(self.channels, blocks, self.slices.values(), strict=True):
            whole[:, channel.parameters, part] = block
        return whole[:, : self._n] + self._map.T @ whole[:, self._n :] if self._offset.size else whole

    @property
    def curved(self) -> npt.NDArray[np.bool_]:
        """Whether second derivatives of the counts by a parameter go beyond interpolation, shape (n_parameters,).

        True for couplings that occur squared, false for norms and for nuisances whose functions have ends.
        """
        bent = np.zeros(self._n + self._offset.size, dtype=bool)
        bent[self.functions.polynomial_of_degree_2] = True
        mapped = (self._map[bent[self._n :]] != 0).any(axis=0)
        return np.asarray(bent[: self._n] | mapped)

    def yields(self, x: FloatArray) -> dict[str, dict[str, float]]:
        """Expected counts by channel and process at one place."""
        functions = self.evaluate(x[None])
        return {channel.name: channel.yields(channel.state(*functions)) for channel in self.channels}

    def evaluate(self, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """All functions, first and second derivatives, and behind them the 1 that pads the factors of rows."""
        if self._offset.size:
            points = np.concatenate([points, (self._map @ points[:, :, None])[:, :, 0] + self._offset], axis=1)
        table = np.empty((3, points.shape[0], self.functions.parameter.size + 1))
        table[:, :, -1] = ((1.0,), (0.0,), (0.0,))
        for part, found in zip(table, self.functions.derivatives(points), strict=True):
            part[:, :-1] = found
        values, slopes, bends = table
        values[values == 0] = TINY
        return values, slopes, bends


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
