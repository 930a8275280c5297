"""The compiled kernel of one channel (extra ``nuemstat[fast]``), and whether it can be had without waiting.

numba needs some ten seconds to compile, once for each machine, so nothing is compiled unasked: until

    python -m nuemstat.stats.compiled

has filled numba's cache, likelihoods use the numpy kernel; afterwards large ones load the compiled one, which takes
about a second. Toys always use the numpy kernel, so that their results do not hang on what is installed where.
"""

import hashlib
import importlib
import json
import platform
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.channel_kernels import ChannelKernel, IndexArray

LARGEST_LOGS = 4_000_000
"""Numbers of log ratios over the axes of all nuisances together; what is larger stays with the numpy kernel."""


@dataclass(frozen=True, slots=True, eq=False)
class CompiledState:
    """What value and derivatives share at some points; arrays as in `compiled_functions`."""

    values: FloatArray
    slopes: FloatArray
    bends: FloatArray
    factor: FloatArray
    ratio: FloatArray


class CompiledChannel:
    """A channel kernel whose loops are compiled; the same calls as `ChannelKernel`, its arrays rearranged.

    Bins are ordered so that the axes over which ratios vary come first.
    """

    def __init__(self, plain: ChannelKernel) -> None:
        self._loops = loops()
        self.parameters = plain.parameters
        outer = [i for i in range(len(plain.shape)) if any(r.lengths[i] > 1 for r in plain.ratios)]
        inner = [i for i in range(len(plain.shape)) if i not in outer] if plain.ratios else []
        outer = outer if plain.ratios else list(range(len(plain.shape)))
        numbers = np.arange(plain.size).reshape(plain.shape).transpose(outer + inner).ravel()
        self._order = None if (numbers == np.arange(plain.size)).all() else numbers
        self._back = np.argsort(numbers)
        lengths = [plain.shape[i] for i in outer]
        self._outer = int(np.prod(lengths, dtype=int))
        contents = plain.contents[:, numbers].reshape(len(plain.contents), self._outer, -1)
        self._contents = np.ascontiguousarray(contents)
        self._factors, self._sample = np.ascontiguousarray(plain.factors), plain.sample.astype(np.intp)
        self._owner = np.ascontiguousarray(plain.owner.reshape(plain.factors.shape))
        self._scalar = plain.scalar_parameters
        self._join_ratios(plain, outer, lengths)

    def _join_ratios(self, plain: ChannelKernel, outer: list[int], lengths: list[int]) -> None:
        """All log ratios over the same axes, those of all nuisances together."""
        weights: list[IndexArray] = []
        logs: list[FloatArray] = []
        samples = int(plain.sample[-1]) + 1 if plain.sample.size else 0
        self._nuisances = np.unique(np.concatenate([np.zeros(0, np.intp), *(r.parameters for r in plain.ratios)]))
        owner: list[FloatArray] = []
        for ratios in plain.ratios:
            weights.append(ratios.weights)
            axes = [ratios.lengths[i] for i in outer]
            block = ratios.logs.reshape(ratios.weights.size, samples, *axes)
            full = np.broadcast_to(block, (ratios.weights.size, samples, *lengths))
            logs.append(full.reshape(ratios.weights.size, -1))
            rows = np.searchsorted(self._nuisances, ratios.parameters)
            part = np.zeros((self._nuisances.size, ratios.weights.size))
            part[rows] = ratios.owner
            owner.append(part)
        empty = np.zeros((0, samples * self._outer))
        self._weights = np.concatenate([np.zeros(0, np.intp), *weights])
        self._logs = np.concatenate([empty, *logs])
        self._weight_owner = np.concatenate([np.zeros((self._nuisances.size, 0)), *owner], axis=1)
        self._samples = samples

    @staticmethod
    def suits(plain: ChannelKernel) -> bool:
        """Whether no bin has rows of its own, which the numpy kernel keeps apart, and the log ratios over the axes of
        all nuisances together are few enough to be held."""
        samples = int(plain.sample[-1]) + 1 if plain.sample.size else 0
        weights = sum(ratios.weights.size for ratios in plain.ratios)
        return not plain.cells.size and weights * samples * plain.size <= LARGEST_LOGS

    def state(self, values: FloatArray, slopes: FloatArray, bends: FloatArray) -> CompiledState:
        """Factors and ratios at some points."""
        factor = self._loops.products(values, self._factors)
        log = np.take(values, self._weights, axis=1)[:, None, :] @ self._logs
        ratio = np.exp(log).reshape(values.shape[0], self._samples, self._outer)
        return CompiledState(values, slopes, bends, factor, ratio)

    def expected(self, state: CompiledState) -> FloatArray:
        """Expected counts, shape (n_points, n_bins)."""
        found = self._loops.expected(state.factor, state.ratio, self._contents, self._sample)
        return self._restored(found.reshape(state.factor.shape[0], -1))

    def jacobian(self, state: CompiledState) -> FloatArray:
        """Derivatives of the counts by the local parameters, shape (n_points, n_local, n_bins)."""
        found = self._loops.jacobian(
            state.values, state.slopes, self._factors, self._owner, self._scalar, state.factor, state.ratio,
            self._contents, self._sample, self._change(state.slopes), self._nuisances, self.parameters.size,
        )  # fmt: skip
        return self._restored(found)

    def pullback(self, state: CompiledState, slope: FloatArray) -> FloatArray:
        """The Jacobian times `slope` of shape (n_points, n_bins), without the Jacobian; (n_points, n_local)."""
        spread, each = self._sums(state, slope)
        found: FloatArray = self._loops.pullback(
            state.values, state.slopes, self._factors, self._owner, self._scalar, state.factor, spread, each,
            self._sample, self._change(state.slopes), self._nuisances, self.parameters.size,
        )  # fmt: skip
        return found

    def curvature(self, state: CompiledState, slope: FloatArray) -> FloatArray:
        """Sum over bins of `slope` x second derivatives of the counts, shape (n_points, n_local, n_local)."""
        spread, each = self._sums(state, slope)
        found: FloatArray = self._loops.curvature(
            state.values, state.slopes, state.bends, self._factors, self._owner, self._scalar, state.factor, spread,
            each, self._sample, self._change(state.slopes), self._change(state.bends), self._nuisances,
            self.parameters.size,
        )  # fmt: skip
        return found

    def _sums(self, state: CompiledState, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
        ordered = slope if self._order is None else slope[:, self._order]
        blocks = np.ascontiguousarray(ordered).reshape(slope.shape[0], self._outer, -1)
        spread, each = self._loops.sums(blocks, state.ratio, self._contents, self._sample)
        return spread, each

    def _change(self, slopes: FloatArray) -> FloatArray:
        """Derivatives of the log ratios, shape (n_points, n_nuisances, n_samples, n_outer)."""
        left = self._weight_owner * np.take(slopes, self._weights, axis=1)[:, None, :]
        return np.asarray(left @ self._logs).reshape(len(slopes), self._nuisances.size, self._samples, self._outer)

    def _restored(self, found: FloatArray) -> FloatArray:
        return found if self._order is None else found[..., self._back]


@cache
def loops() -> ModuleType:
    """The compiled functions.

    Raises
    ------
    FitError : numba is not installed.
    """
    try:
        return importlib.import_module("nuemstat.stats.compiled_functions")
    except ImportError as error:
        raise FitError(f"kernel compiled: {error}; pip install 'nuemstat[fast]', or take the numpy kernel") from None


def is_ready() -> bool:
    """Whether the compiled kernel is in its cache, so that it can be had without waiting; imports nothing."""
    try:
        found = json.loads(_note().read_text())
        return bool(found["key"] == _key() and any(Path(found["cache"]).glob("compiled_functions.*.nbi")))
    except (OSError, ValueError, KeyError, TypeError, PackageNotFoundError):
        return False


def precompile() -> Path:
    """Compile everything into numba's cache and note where; returns the folder of the cache.

    Raises
    ------
    FitError : numba is not installed.
    """
    module = loops()
    one, two = np.ones((1, 2)), np.ones((1, 1, 1))
    factors, owner = np.zeros((1, 2), dtype=np.intp), np.zeros((1, 2), dtype=np.intp)
    places: npt.NDArray[np.intp] = np.zeros(1, dtype=np.intp)
    contents, change = np.ones((2, 1, 1)), np.ones((1, 1, 1, 1))
    factor = module.products(one, factors)
    module.expected(factor, two, contents, places)
    spread, each = module.sums(two, two, contents, places)
    head = (one, one, factors, owner, places, factor)
    module.jacobian(*head, two, contents, places, change, places, 2)
    module.pullback(*head, spread, each, places, change, places, 2)
    module.curvature(one, one, *head[1:], spread, each, places, change, change, places, 2)
    folder = Path(module.expected.stats.cache_path)
    _note().parent.mkdir(parents=True, exist_ok=True)
    _note().write_text(json.dumps({"key": _key(), "cache": str(folder)}))
    return folder


def _note() -> Path:
    return user_cache_path("nuemstat") / "compiled.json"


@cache
def _key() -> str:
    """What the cache hangs on: numba, python, numpy, the machine and the source."""
    source = (Path(__file__).parent / "compiled_functions.py").read_bytes()
    parts = [version("numba"), version("numpy"), sys.version, platform.node(), platform.machine()]
    return hashlib.sha256(source + "|".join(parts).encode()).hexdigest()


if __name__ == "__main__":
    importlib.import_module("nuemstat.stats.compiled").precompile()
