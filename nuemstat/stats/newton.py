"""The engine of fits and profiles: damped Newton steps with the expected Hessian, and with bounds.

Twice the expected Fisher matrix F is the Hessian, save that it neglects second derivatives of the expected counts.
For constrained nuisances that is what makes it robust (Fisher scoring). For couplings, whose interference can
make F vanish at a minimum, the neglected part is added to their rows, as long as the whole stays positive
definite. Damping is relative to the diagonal, so units do not matter.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotrs

from nuemstat.polynomial import FloatArray

BoolArray = npt.NDArray[np.bool_]


class Objective(Protocol):
    """What is minimised: `Likelihood`, or anything that offers as much of it."""

    bounds: FloatArray
    constrained: BoolArray

    def value_gradient_fisher(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """2 NLL, its gradient, and half its expected Hessian."""
        ...

    def curvature(self, x: FloatArray, i: int, step: float) -> FloatArray:
        """What half the expected Hessian leaves out of row i, from central differences of this step."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Where a minimisation ended.

    value, gradient, fisher : of the likelihood there; distance : expected drop of 2 NLL to the minimum;
    converged : the distance is below the tolerance.
    """

    x: FloatArray
    value: float
    gradient: FloatArray
    fisher: FloatArray
    distance: float
    iterations: int
    converged: bool


def minimise(
    likelihood: Objective,
    start: FloatArray,
    *,
    held: BoolArray | None = None,
    tolerance: float = 1e-9,
    iterations: int = 100,
) -> Solution:
    """The local minimum of 2 NLL downhill of `start`, inside the bounds; parameters in `held` stay.

    tolerance : in 2 NLL. A solution that is not converged says so; nothing is raised.
    """
    lower, upper = likelihood.bounds.T
    movable = np.ones(start.size, dtype=bool) if held is None else ~held
    curved = np.flatnonzero(movable & ~likelihood.constrained)
    x = np.where(movable, np.minimum(np.maximum(start, lower), upper), start)
    value, gradient, fisher = likelihood.value_gradient_fisher(x)
    largest = fisher.diagonal()[curved].copy()
    hessian = _hessian(likelihood, x, fisher, curved, largest)
    damping, count, stuck = 0.0, 0, False
    while True:
        free = movable & ~((x <= lower) & (gradient > 0)) & ~((x >= upper) & (gradient < 0))
        matrix = hessian if _is_positive(hessian, free) else 2 * fisher
        full, distance = _step(gradient, matrix, free, 0.0)
        if distance < tolerance or count >= iterations or stuck:
            return Solution(x, value, gradient, fisher, distance, count, distance < (1e-6 if stuck else tolerance))
        step = full if damping == 0.0 else _step(gradient, matrix, free, damping)[0]
        trial = _inside(x, step, gradient, matrix, free, damping, likelihood.bounds)
        new_value, new_gradient, new_fisher = likelihood.value_gradient_fisher(trial)
        count += 1
        slope = min(float((trial - x) @ gradient), 0.0)
        if np.isfinite(new_value) and new_value <= value + 1e-4 * slope + 1e-13 * abs(value):
            x, value, gradient, fisher = trial, new_value, new_gradient, new_fisher
            largest = np.maximum(largest, fisher.diagonal()[curved])
            hessian = _hessian(likelihood, x, fisher, curved, largest)
            damping = 0.0 if damping < 1e-2 else 0.1 * damping
        else:
            damping = max(1e-2, 5 * damping)
            stuck = damping > 1e12


def _hessian(
    likelihood: Objective, x: FloatArray, fisher: FloatArray, curved: npt.NDArray[np.intp], largest: FloatArray
) -> FloatArray:
    """2 F, with the second derivatives of the expected counts by curved parameters added."""
    hessian = 2 * fisher
    for i, size in zip(curved, largest, strict=True):
        if size > 0:
            row = likelihood.curvature(x, int(i), 1e-2 / np.sqrt(size))
            others = np.setdiff1d(np.arange(x.size), curved)
            hessian[i] += row
            hessian[others, i] += row[others]
    return hessian


def _is_positive(hessian: FloatArray, free: BoolArray) -> bool:
    rows = np.flatnonzero(free & (hessian.diagonal() != 0))
    diagonal = hessian.diagonal()[rows]
    if (diagonal < 0).any():
        return False
    scale = 1 / np.sqrt(diagonal)
    return bool(dpotrf(hessian[np.ix_(rows, rows)] * scale * scale[:, None], lower=1)[1] == 0)


def _step(gradient: FloatArray, hessian: FloatArray, free: BoolArray, damping: float) -> tuple[FloatArray, float]:
    """The damped step, 0 where not free, and half its product with the gradient: the expected drop."""
    step = np.zeros_like(gradient)
    diagonal = hessian.diagonal()
    rows = np.flatnonzero(free & (diagonal > 0))
    if not rows.size:
        return step, 0.0
    scale = 1 / np.sqrt(diagonal[rows])
    matrix = hessian[np.ix_(rows, rows)] * (scale * scale[:, None])
    right = -gradient[rows] * scale
    ridge = max(damping, 1e-13)
    while True:
        matrix.flat[:: rows.size + 1] = 1 + ridge
        factor, info = dpotrf(matrix, lower=1)
        if info == 0:
            break
        ridge = max(1e-11, 30 * ridge)
    solution = dpotrs(factor, right, lower=1)[0]
    step[rows] = solution * scale
    return step, float(0.5 * solution @ right)


def _inside(
    x: FloatArray,
    step: FloatArray,
    gradient: FloatArray,
    hessian: FloatArray,
    free: BoolArray,
    damping: float,
    bounds: FloatArray,
) -> FloatArray:
    """The step's end inside the bounds; parameters that hit one stay there and the others step anew."""
    trial = x + step
    for _ in range(3):
        inside = np.minimum(np.maximum(trial, bounds[:, 0]), bounds[:, 1])
        hit = free & (inside != trial)
        if not hit.any():
            return trial
        free = free & ~hit
        shift = np.where(inside != trial, inside - x, np.where(free, 0.0, trial - x))
        trial = x + shift + _step(gradient + hessian @ shift, hessian, free, damping)[0]
    return np.minimum(np.maximum(trial, bounds[:, 0]), bounds[:, 1])
