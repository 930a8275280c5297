"""What is fitted: observed or Asimov counts, and the terms of 2 NLL that compare them with expected ones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag

from nuemstat.errors import FitError, WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.kernels import Kernel
from nuemstat.vocabulary import UNIVERSAL
from nuemstat.workspace.document import Workspace

FLOOR = 1e-9
"""Expected counts of a Poisson bin below which 2 NLL is continued by a barrier; above it nothing is changed."""


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
    expected = kernel.expected(np.zeros(0))
    for channel in workspace.channels:
        counts = expected[kernel.slices[channel.name]]
        if channel.statistic == "poisson" and counts.min() < 0:
            raise FitError(f"{workspace.name}: channel {channel.name}, bin {counts.argmin()}: {data} expects "
                           f"{counts.min():.4g} counts; 0 or more are allowed")  # fmt: skip
    return expected


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Observed counts and their statistic, all channels in one array.

    observed : shape (n_bins,); poisson, gaussian : numbers of the bins of each statistic;
    precision : inverse covariance of the gaussian bins, or its diagonal where it has no other elements.
    """

    observed: FloatArray
    poisson: npt.NDArray[np.intp]
    gaussian: npt.NDArray[np.intp]
    precision: FloatArray

    @classmethod
    def of(cls, workspace: Workspace, counts: FloatArray) -> "Data":
        """The data of a workspace with these counts.

        Raises
        ------
        WorkspaceError : a covariance that is not positive definite.
        """
        poisson, blocks = [], []
        for channel in workspace.channels:
            poisson.append(np.full(channel.size, channel.statistic == "poisson"))
            if channel.statistic == "gaussian":
                blocks.append(_precision(channel.name, channel.errors, channel.covariance))
        mask = np.concatenate(poisson)
        plain = all(block.ndim == 1 for block in blocks)
        squares = [block if block.ndim == 2 else np.diag(block) for block in blocks]
        precision = np.concatenate([np.zeros(0), *blocks]) if plain else np.asarray(block_diag(*squares))
        return cls(counts, np.flatnonzero(mask), np.flatnonzero(~mask), precision)

    def replaced(self, counts: FloatArray) -> "Data":
        """The same bins with other counts."""
        return replace(self, observed=counts)

    def without(self, bins: npt.NDArray[np.intp]) -> "Data":
        """The same data with some Poisson bins left out of every sum."""
        return replace(self, poisson=np.setdiff1d(self.poisson, bins))

    def value(self, expected: FloatArray) -> float:
        """2 NLL relative to the saturated model, without constraints."""
        total = 0.0
        if self.poisson.size:
            total += _deviance(self.observed[self.poisson], expected[self.poisson])
        if self.gaussian.size:
            residual = (expected - self.observed)[self.gaussian]
            total += float(residual @ self._weighted(residual))
        return total

    def weights(self, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivative of 2 NLL by each expected count, and the Fisher weight of each bin, both of shape (n_bins,).

        The Fisher weight of gaussian bins with a covariance is in `precision` and here 0.
        """
        slope, weight = np.zeros_like(expected), np.zeros_like(expected)
        slope[self.poisson], weight[self.poisson] = _weights(self.observed[self.poisson], expected[self.poisson])
        if self.gaussian.size:
            slope[self.gaussian] = 2 * self._weighted((expected - self.observed)[self.gaussian])
            weight[self.gaussian] = self.precision if self.precision.ndim == 1 else 0.0
        return slope, weight

    def seen(self, expected: FloatArray, weight: FloatArray) -> FloatArray:
        """Observed instead of expected weights: n / expected^2 of Poisson bins above the floor, shape (n_bins,)."""
        result = weight.copy()
        above = self.poisson[expected[self.poisson] >= FLOOR]
        result[above] = self.observed[above] * weight[above] ** 2
        return result

    def fisher(self, weight: FloatArray, jacobian: FloatArray) -> FloatArray:
        """J W J^T, shape (n_parameters, n_parameters), the expected Fisher information of the bins."""
        matrix: FloatArray = (jacobian * weight) @ jacobian.T
        if self.precision.ndim == 2:
            part = jacobian[:, self.gaussian]
            matrix += part @ self.precision @ part.T
        return matrix

    def _weighted(self, residual: FloatArray) -> FloatArray:
        return self.precision * residual if self.precision.ndim == 1 else self.precision @ residual


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


def _deviance(observed: FloatArray, expected: FloatArray) -> float:
    """Twice the Poisson log-likelihood ratio to the saturated model (Baker, Cousins, NIM 221 (1984) 437)."""
    if expected.min() < FLOOR:
        return _guarded_deviance(observed, expected)
    counted = observed > 0
    ratio = np.divide(expected, observed, out=np.ones_like(expected), where=counted)
    return float(2 * np.where(counted, observed * (ratio - 1 - np.log(ratio)), expected).sum())


def _weights(observed: FloatArray, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
    """First derivative of the deviance by the expected counts, and 1 / expected."""
    if expected.size and expected.min() < FLOOR:
        return _guarded_weights(observed, expected)
    inverse = 1 / expected
    return 2 * (1 - observed * inverse), inverse


# Below the floor the deviance goes on as its own Taylor polynomial of second order plus a wall u^3 of the depth
# u = (floor - expected) / floor, itself continued by its Taylor polynomial above u = 1. Both join with two
# continuous derivatives, and the wall keeps an empty bin from being rewarded for negative counts.


def _guarded_deviance(observed: FloatArray, expected: FloatArray) -> float:
    safe = np.maximum(expected, FLOOR)
    depth = (safe - expected) / FLOOR
    wall = np.where(depth < 1, depth**3, 3 * depth * (depth - 1) + 1)
    slope = 2 * (FLOOR - observed)
    return _deviance(observed, safe) + float((wall - slope * depth + observed * depth**2).sum())


def _guarded_weights(observed: FloatArray, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
    safe = np.maximum(expected, FLOOR)
    depth = (safe - expected) / FLOOR
    wall = np.where(depth < 1, 3 * depth**2, 6 * depth - 3)
    slope, inverse = _weights(observed, safe)
    curvature = np.where(depth < 1, 6 * depth, 6.0) + 2 * observed
    below = depth > 0
    slope = slope - np.where(below, wall + 2 * observed * depth, 0.0) / FLOOR
    return slope, np.where(below, 0.5 * curvature / FLOOR**2, inverse)
