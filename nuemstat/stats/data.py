"""What is fitted: observed or Asimov counts, and the terms of 2 NLL that compare them with expected ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nuemstat.errors import FitError, WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.kernels import Kernel
from nuemstat.vocabulary import UNIVERSAL
from nuemstat.workspace.document import Workspace

FLOOR = 1e-9
"""Expected counts of a Poisson bin below which 2 NLL is continued by a barrier; above it nothing is changed."""

EDGE = 1e-2
"""Expected counts below which an empty bin may have been pushed there by interference."""


def to_workspace(workspace: Workspace, values: Mapping[str, float]) -> dict[str, float]:
    """Physical values (mu_B, e, cm^2, a nuisance's own unit) as the numbers that the workspace holds.

    Raises
    ------
    WorkspaceError : a parameter that is not held; FitError : one that follows others, or is out of its bounds.
    """
    numbers: dict[str, float] = {}
    for name, value in values.items():
        parameter = workspace.parameter(name)
        if parameter.kind == "derived":
            raise FitError(f"{workspace.name}: {name} follows {', '.join(parameter.terms)}; set these instead")
        if parameter.kind == "constrained":
            numbers[name] = (value - parameter.centre) / parameter.sigma
        else:
            numbers[name] = value / parameter.scale
    return numbers


def to_physical(parameter: Any, number: float) -> float:
    """The physical value of a coupling, free or constrained parameter."""
    if parameter.kind == "constrained":
        return float(parameter.centre + parameter.sigma * number)
    return float(number * parameter.scale)


def default(parameter: Any) -> float:
    """Where a parameter stands unless told otherwise: its default, or the centre of its constraint."""
    return 0.0 if parameter.kind == "constrained" else float(parameter.default)


def substituted(workspace: Workspace, *names: str) -> Workspace:
    """The workspace with every universal coupling among `names` in place."""
    for name in names:
        if name in UNIVERSAL:
            workspace = workspace.substitute(name)
    return workspace


def asimov_values(data: str) -> dict[str, float]:
    """The physical values in ``asimov:NAME=VALUE,...``; none in ``observed`` or ``asimov``.

    Raises
    ------
    FitError : text of another form.
    """
    kind, _, rest = data.partition(":")
    if kind not in ("observed", "asimov") or (rest and kind == "observed"):
        raise FitError(f"data: found {data!r}; allowed are observed, asimov and asimov:NAME=VALUE")
    values: dict[str, float] = {}
    for item in filter(None, rest.split(",")):
        name, _, value = item.partition("=")
        try:
            values[name.strip()] = float(value)
        except ValueError:
            raise FitError(f"data: found {item!r} in {data!r}; allowed is NAME=VALUE with a number") from None
    return values


def observed(workspace: Workspace, data: str, fixed: Mapping[str, float]) -> FloatArray:
    """The counts to fit, all channels in order; Asimov ones with couplings at `fixed`, named values above it.

    Raises
    ------
    FitError : the text is not understood, or the Asimov counts of a Poisson bin are negative.
    """
    values = asimov_values(data)
    if data == "observed":
        return np.concatenate([np.array(channel.observed) for channel in workspace.channels])
    constants = {p.name: default(p) for p in workspace.parameters if p.kind != "derived"}
    constants |= {**fixed, **to_workspace(workspace, values)}
    kernel = Kernel(workspace, constants)
    expected: FloatArray = kernel.expected(kernel.states(np.zeros((1, 0))))[0]
    for channel in workspace.channels:
        counts = expected[kernel.slices[channel.name]]
        if channel.statistic == "poisson" and counts.min() < 0:
            raise FitError(f"{workspace.name}: channel {channel.name}, bin {counts.argmin()}: {data} expects "
                           f"{counts.min():.4g} counts; 0 or more are allowed")  # fmt: skip
    return expected


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Observed counts and their statistic, all channels in one array; calls take expected counts (..., n_bins).

    observed : shape (n_bins,), or (n_points, n_bins) where every point has its own;
    poisson : numbers of the Poisson bins that count; slices : where each channel's bins stand;
    precision : of each channel, inverse variances or inverse covariance, None where it is Poisson;
    below : of each channel with two-sided errors, inverse variances where less is expected than observed, else None.
    """

    observed: FloatArray
    poisson: npt.NDArray[np.intp]
    slices: tuple[slice, ...]
    precision: tuple[FloatArray | None, ...]
    below: tuple[FloatArray | None, ...]

    @classmethod
    def of(cls, workspace: Workspace, counts: FloatArray) -> "Data":
        """The data of a workspace with these counts.

        Raises
        ------
        WorkspaceError : a covariance that is not positive definite.
        """
        ends = np.cumsum([0, *(channel.size for channel in workspace.channels)]).tolist()
        mask, precision, below = np.ones(ends[-1], dtype=bool), [], []
        slices = tuple(slice(a, b) for a, b in pairwise(ends))
        for channel, part in zip(workspace.channels, slices, strict=True):
            gaussian = channel.statistic == "gaussian"
            mask[part] = not gaussian
            precision.append(_precision(channel.name, channel.errors, channel.covariance) if gaussian else None)
            two_sided = gaussian and channel.errors_below is not None
            below.append(_precision(channel.name, channel.errors_below, None) if two_sided else None)
        return cls(counts, np.flatnonzero(mask), slices, tuple(precision), tuple(below))

    def replaced(self, counts: FloatArray) -> "Data":
        """The same bins with other counts, shape (n_bins,) or (n_points, n_bins)."""
        return replace(self, observed=counts)

    def without(self, bins: npt.NDArray[np.intp]) -> "Data":
        """The same data with some Poisson bins left out of every sum."""
        return replace(self, poisson=np.setdiff1d(self.poisson, bins))

    def lifted(self, counts: FloatArray) -> "Data":
        """Data of as many points as `counts` has, whose empty Poisson bins hold so many counts."""
        observed = np.array(np.broadcast_to(self.observed, (len(counts), self.observed.shape[-1])))
        observed[:, self.poisson] = np.maximum(observed[:, self.poisson], counts[:, None])
        return self.replaced(observed)

    def at_edge(self, expected: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether an empty Poisson bin is expected to hold less than a hundredth of a count, shape (...)."""
        low = (self._counted(expected) < EDGE) & (self._counted(self.observed) == 0)
        return np.asarray(low.any(axis=-1))

    @property
    def n_bins(self) -> int:
        """Bins that count."""
        return int(self.poisson.size + sum(part.stop - part.start for part, _, _ in self._gaussian()))

    def value(self, expected: FloatArray) -> FloatArray:
        """2 NLL relative to the saturated model, without constraints, shape (...)."""
        total: FloatArray = np.zeros(expected.shape[:-1])
        if self.poisson.size:
            total = total + _deviance(self._counted(self.observed), self._counted(expected))
        for part, precision, below in self._gaussian():
            residual = expected[..., part] - self.observed[..., part]
            total = total + (residual * _weighted(precision, below, residual)).sum(axis=-1)
        return total

    def weights(self, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivative of 2 NLL by each expected count, and the Fisher weight of each bin, both of shape (..., n_bins).

        The Fisher weight of gaussian bins with a covariance is in `precision` and here 0.
        """
        if self.poisson.size == expected.shape[-1]:
            return _weights(self.observed, expected)
        slope, weight = np.zeros_like(expected), np.zeros_like(expected)
        bins = self.poisson
        slope[..., bins], weight[..., bins] = _weights(self._counted(self.observed), self._counted(expected))
        for part, precision, below in self._gaussian():
            residual = expected[..., part] - self.observed[..., part]
            slope[..., part] = 2 * _weighted(precision, below, residual)
            weight[..., part] = _of_side(precision, below, residual) if precision.ndim == 1 else 0.0
        return slope, weight

    def seen(self, expected: FloatArray, weight: FloatArray) -> FloatArray:
        """Observed instead of expected weights: n / expected^2 of Poisson bins above the floor, (..., n_bins)."""
        result = np.where(expected >= FLOOR, self.observed * weight**2, weight)
        for part, _, _ in self._gaussian():
            result[..., part] = weight[..., part]
        return result

    def fisher(self, weight: FloatArray, jacobians: Sequence[FloatArray]) -> list[FloatArray]:
        """J W J^T of each channel, shapes (n_points, n_local, n_local): the expected Fisher information.

        weight : shape (n_points, n_bins); jacobians : of each channel, shapes (n_points, n_local, n_bins).
        """
        found = []
        for part, precision, jacobian in zip(self.slices, self.precision, jacobians, strict=True):
            if precision is None or precision.ndim == 1:
                left = jacobian * weight[:, None, part]
            else:
                left = jacobian @ precision
            found.append(left @ jacobian.transpose(0, 2, 1))
        return found

    def only(self, channel: int) -> "Data":
        """The same bins, of which only those of one channel count."""
        part = self.slices[channel]
        inside = self.poisson[(self.poisson >= part.start) & (self.poisson < part.stop)]
        precision = tuple(own if i == channel else None for i, own in enumerate(self.precision))
        return replace(self, poisson=inside, precision=precision)

    def _gaussian(self) -> Iterator[tuple[slice, FloatArray, FloatArray | None]]:
        for part, precision, below in zip(self.slices, self.precision, self.below, strict=True):
            if precision is not None:
                yield part, precision, below

    def _counted(self, counts: FloatArray) -> FloatArray:
        """The Poisson bins that count, contiguous."""
        return counts if self.poisson.size == counts.shape[-1] else np.take(counts, self.poisson, axis=-1)


def _of_side(precision: FloatArray, below: FloatArray | None, residual: FloatArray) -> FloatArray:
    """Inverse variances of the side on which each expectation lies; both sides join with value and slope at 0."""
    return precision if below is None else np.where(residual < 0, below, precision)


def _weighted(precision: FloatArray, below: FloatArray | None, residual: FloatArray) -> FloatArray:
    if precision.ndim == 1:
        return _of_side(precision, below, residual) * residual
    return np.asarray((precision @ residual[..., None])[..., 0])


def _precision(
    name: str, errors: tuple[float, ...] | None, covariance: tuple[tuple[float, ...], ...] | None
) -> FloatArray:
    if errors is not None:
        if min(errors) <= 0:
            raise WorkspaceError(f"channel {name}: errors: found {min(errors):g}; above 0 is allowed")
        return 1 / np.array(errors) ** 2
    matrix = np.array(covariance)
    if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix)[0] <= 0:
        raise WorkspaceError(f"channel {name}: covariance: it is not symmetric and positive definite")
    return np.asarray(np.linalg.inv(matrix))


def _deviance(observed: FloatArray, expected: FloatArray) -> FloatArray:
    """Twice the Poisson log-likelihood ratio to the saturated model (Baker, Cousins, NIM 221 (1984) 437)."""
    if expected.size and expected.min() < FLOOR:
        return _guarded_deviance(observed, expected)
    counted = observed > 0
    ratio = np.divide(expected, observed, out=np.ones(expected.shape), where=counted)
    return np.asarray(2 * np.where(counted, observed * (ratio - 1 - np.log(ratio)), expected).sum(axis=-1))


def _weights(observed: FloatArray, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
    """First derivative of the deviance by the expected counts, and 1 / expected."""
    if expected.size and expected.min() < FLOOR:
        return _guarded_weights(observed, expected)
    inverse = 1 / expected
    return 2 * (1 - observed * inverse), inverse


# Below the floor the deviance goes on as its own Taylor polynomial of second order plus a wall u^3 of the depth
# u = (floor - expected) / floor, itself continued by its Taylor polynomial above u = 1. Both join with two
# continuous derivatives, and the wall keeps an empty bin from being rewarded for negative counts.


def _guarded_deviance(observed: FloatArray, expected: FloatArray) -> FloatArray:
    safe = np.maximum(expected, FLOOR)
    depth = (safe - expected) / FLOOR
    wall = np.where(depth < 1, depth**3, 3 * depth * (depth - 1) + 1)
    slope = 2 * (FLOOR - observed)
    return np.asarray(_deviance(observed, safe) + (wall - slope * depth + observed * depth**2).sum(axis=-1))


def _guarded_weights(observed: FloatArray, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
    safe = np.maximum(expected, FLOOR)
    depth = (safe - expected) / FLOOR
    wall = np.where(depth < 1, 3 * depth**2, 6 * depth - 3)
    slope, inverse = _weights(observed, safe)
    curvature = np.where(depth < 1, 6 * depth, 6.0) + 2 * observed
    below = depth > 0
    slope = slope - np.where(below, wall + 2 * observed * depth, 0.0) / FLOOR
    return slope, np.where(below, 0.5 * curvature / FLOOR**2, inverse)
