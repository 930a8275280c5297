"""The engine of fits and profiles: Fisher scoring with damping and bounds, for least squares with Poisson weights.

Steps solve (2 F + damping) step = -gradient with the expected Fisher matrix F, as Levenberg and Marquardt do,
on the parameters that no bound stops; damping is relative to the diagonal, so units do not matter.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotrs

from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Likelihood

BoolArray = npt.NDArray[np.bool_]


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
    likelihood: Likelihood,
    start: FloatArray,
    *,
    held: BoolArray | None = None,
    tolerance: float = 1e-9,
    iterations: int = 200,
) -> Solution:
    """The local minimum of 2 NLL downhill of `start`, inside the bounds; parameters in `held` stay.

    tolerance : in 2 NLL. A solution that is not converged says so; nothing is raised.
    """
    lower, upper = likelihood.bounds.T
    movable = np.ones(start.size, dtype=bool) if held is None else ~held
    x = np.where(movable, np.minimum(np.maximum(start, lower), upper), start)
    value, gradient, fisher = likelihood.value_gradient_fisher(x)
    damping, stretch, count, stuck = 0.0, 1.0, 0, False
    while True:
        free = movable & ~((x <= lower) & (gradient > 0)) & ~((x >= upper) & (gradient < 0))
        full, distance = _step(gradient, fisher, free, 0.0)
        if distance < tolerance or count >= iterations or stuck:
            return Solution(x, value, gradient, fisher, distance, count, distance < max(tolerance, 1e-6 * stuck))
        step = full if damping == 0.0 else _step(gradient, fisher, free, damping)[0]
        trial = _project(x + stretch * step, gradient, fisher, free, damping, lower, upper, x)
        new_value, new_gradient, new_fisher = likelihood.value_gradient_fisher(trial)
        count += 1
        moved = trial - x
        slope = float(moved @ gradient)
        if np.isfinite(new_value) and new_value <= value + 1e-4 * min(slope, 0.0) + 1e-14 * abs(value):
            stretch = _stretch(moved, slope, new_gradient, fisher)
            x, value, gradient, fisher = trial, new_value, new_gradient, new_fisher
            damping = 0.0 if damping < 1e-3 else 0.1 * damping
        else:
            stretch, damping = 1.0, max(1e-3, 10 * damping)
            stuck = damping > 1e12


def _stretch(moved: FloatArray, slope: float, new_gradient: FloatArray, fisher: FloatArray) -> float:
    """Expected over observed curvature along the last step: the length of the next one.

    Fisher scoring neglects second derivatives of the expected counts; where they matter it would converge
    slowly along one direction, and this is its length there.
    """
    expected = 2 * float(moved @ fisher @ moved)
    seen = float(moved @ new_gradient) - slope
    return min(max(expected / seen, 0.5), 3.0) if seen > 0 and expected > 0 else 1.0


def _step(gradient: FloatArray, fisher: FloatArray, free: BoolArray, damping: float) -> tuple[FloatArray, float]:
    """The damped step, 0 where not free, and half its product with the gradient: the expected drop."""
    step = np.zeros_like(gradient)
    diagonal = fisher.diagonal()
    rows = np.flatnonzero(free & (diagonal > 0))
    if not rows.size:
        return step, 0.0
    scale = 1 / np.sqrt(diagonal[rows])
    matrix = fisher[np.ix_(rows, rows)] * (2 * scale * scale[:, None])
    right = -gradient[rows] * scale
    ridge = 2 * damping
    while True:
        matrix.flat[:: rows.size + 1] = 2 * (1 + 1e-13) + ridge
        factor, info = dpotrf(matrix, lower=1)
        if info == 0:
            break
        ridge = max(1e-12, 100 * ridge)
    solution = dpotrs(factor, right, lower=1)[0]
    step[rows] = solution * scale
    return step, float(0.5 * solution @ right)


def _project(
    trial: FloatArray,
    gradient: FloatArray,
    fisher: FloatArray,
    free: BoolArray,
    damping: float,
    lower: FloatArray,
    upper: FloatArray,
    x: FloatArray,
) -> FloatArray:
    """The trial point inside the bounds; parameters that hit one stay there and the others step anew."""
    for _ in range(3):
        inside = np.minimum(np.maximum(trial, lower), upper)
        hit = free & (inside != trial)
        if not hit.any():
            return trial
        free = free & ~hit
        shift = np.where(hit, inside - x, 0.0)
        step, _ = _step(gradient + 2 * fisher @ shift, fisher, free, damping)
        trial = x + shift + step
    return np.minimum(np.maximum(trial, lower), upper)
