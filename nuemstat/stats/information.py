"""Covariances: from the expected (Fisher) information, or from the observed one, the full Hessian of 2 NLL."""

from typing import Literal

import numpy as np

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import Solution

Information = Literal["expected", "observed"]


def covariance(likelihood: Likelihood, solution: Solution) -> FloatArray:
    """Inverse Fisher matrix in external coordinates.

    NaN at a bound, and where the expectation is stationary so that 2 NLL is not parabolic: there the Fisher
    information is less than a tenth of the curvature of 2 NLL.
    """
    n = solution.x.size
    matrix = np.full((n, n), np.nan)
    lower, upper = likelihood.bounds.T
    inside = (solution.x > lower) & (solution.x < upper)
    sensitive = solution.fisher.diagonal() > 0
    seen = likelihood.evaluate(solution.x, seen=True).seen.diagonal()
    for i in np.flatnonzero(likelihood.curved & sensitive & inside):
        missing = _slope_of_gradient(likelihood, solution.x, int(i), 1e-3 * max(abs(solution.x[i]), 1e-3))[i]
        sensitive[i] = abs(missing - 2 * seen[i]) < 20 * solution.fisher[i, i]
    rows = np.flatnonzero(sensitive & inside)
    scale = np.sqrt(solution.fisher.diagonal()[rows])
    reduced = solution.fisher[np.ix_(rows, rows)] / scale / scale[:, None]
    if rows.size and np.linalg.cond(reduced) < 1e13:
        matrix[np.ix_(rows, rows)] = np.linalg.inv(reduced) / scale / scale[:, None]
    return matrix


def hessian(likelihood: Likelihood, x: FloatArray, fisher: FloatArray) -> FloatArray:
    """Second derivatives of 2 NLL, shape (n, n), from differences of the analytic gradient, two steps extrapolated.

    fisher : sets the steps, a hundredth of the error with all else fixed; 0 where nothing depends on a parameter.
    """
    n = x.size
    matrix = np.zeros((n, n))
    lower, upper = likelihood.bounds.T
    for i in np.flatnonzero(fisher.diagonal() > 0):
        step = min(1e-2 / np.sqrt(fisher[i, i]), 0.5 * max(abs(x[i]), 1.0))
        room = min(x[i] - lower[i], upper[i] - x[i])
        step = min(step, 0.5 * room) if room > 0 else step
        near, far = (_slope_of_gradient(likelihood, x, int(i), size) for size in (step, 2 * step))
        matrix[i] = (4 * near - far) / 3
    return np.asarray(0.5 * (matrix + matrix.T))


def _slope_of_gradient(likelihood: Likelihood, x: FloatArray, i: int, step: float) -> FloatArray:
    """Row i of the Hessian of 2 NLL, from a central difference."""
    shift = np.zeros_like(x)
    shift[i] = step
    return np.asarray((likelihood.gradient(x + shift) - likelihood.gradient(x - shift)) / (2 * step))


def observed_covariance(likelihood: Likelihood, solution: Solution) -> FloatArray:
    """Twice the inverse Hessian in external coordinates; NaN at bounds, and everywhere if it is not positive there."""
    n = solution.x.size
    matrix = np.full((n, n), np.nan)
    lower, upper = likelihood.bounds.T
    second = hessian(likelihood, solution.x, solution.fisher)
    rows = np.flatnonzero((solution.x > lower) & (solution.x < upper) & (second.diagonal() > 0))
    scale = np.sqrt(second.diagonal()[rows])
    reduced = second[np.ix_(rows, rows)] / scale / scale[:, None]
    if rows.size and np.linalg.eigvalsh(reduced)[0] > 1e-12:
        matrix[np.ix_(rows, rows)] = 2 * np.linalg.inv(reduced) / scale / scale[:, None]
    return matrix


def covariance_of(likelihood: Likelihood, solution: Solution, information: Information) -> FloatArray:
    """The covariance from the information asked for.

    Raises
    ------
    FitError : another kind of information.
    """
    if information == "observed":
        return observed_covariance(likelihood, solution)
    if information == "expected":
        return covariance(likelihood, solution)
    raise FitError(f"information: found {information!r}; allowed is 'expected' or 'observed'")
