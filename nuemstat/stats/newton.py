"""The engine of fits and profiles: damped Newton steps with the expected Hessian, and with bounds.

Twice the expected Fisher matrix F is the Hessian, save that it neglects second derivatives of the expected counts.
For constrained nuisances that is what makes it robust (Fisher scoring). For couplings, whose interference can
make F vanish at a minimum, the neglected part is added to their rows, as long as the whole stays positive
definite. Damping is relative to the diagonal, so units do not matter.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotrs

from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Evaluation, Likelihood

BoolArray = npt.NDArray[np.bool_]

_LONGEST = 8.0
"""In sigma of a constrained nuisance: the longest step."""
_CLOSE = 1.0
"""In 2 NLL to the minimum: where observed weights converge faster than expected ones, which are safer from afar."""

_PATIENCE = 25
"""Steps after which another way is tried."""
_FLAT = 1e-7
"""In 2 NLL: couplings that do the same to every bin leave a valley that is flat to rounding. What a step along it still
promises is noise, and after all steps this is near enough; MIGRAD has to agree in any case."""
_LIFTS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""Counts that empty bins are given in turn on the way to the edge of what is positive."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What the search asks for next: the likelihood at a place, and with the observed information if `seen`.

    lift : empty Poisson bins are taken to hold as many counts.
    """

    x: FloatArray
    seen: bool
    lift: float = 0.0


Search = Generator[Wanted, Evaluation, Solution]


def minimise(
    likelihood: Likelihood,
    start: FloatArray,
    *,
    held: BoolArray | None = None,
    tolerance: float = 1e-9,
    iterations: int = 100,
    ceiling: float = np.inf,
) -> Solution:
    """The local minimum of 2 NLL downhill of `start`, inside the bounds; parameters in `held` stay.

    tolerance : in 2 NLL; ceiling : above this value, a tolerance of 1e-4 will do.
    A solution that is not converged says so; nothing is raised.
    """
    steps = search(likelihood, start, held=held, tolerance=tolerance, iterations=iterations, ceiling=ceiling)
    with np.errstate(all="ignore"):  # what overflows is not finite, and stepped back from
        wanted = next(steps)
        while True:
            try:
                wanted = steps.send(likelihood.evaluate(wanted.x, seen=wanted.seen, lift=wanted.lift))
            except StopIteration as end:
                solution: Solution = end.value
                return solution


def search(
    likelihood: Likelihood,
    start: FloatArray,
    *,
    held: BoolArray | None = None,
    tolerance: float = 1e-9,
    iterations: int = 100,
    ceiling: float = np.inf,
) -> Search:
    """The steps of `minimise`, which asks for evaluations and is sent them, so that many can be made at once.

    Where an empty bin is expected to hold next to nothing, the minimum may lie on the curved edge of what is
    positive, along which steps are short. It is then approached from inside: empty bins are given a few counts,
    ever fewer, whose logarithms are the barriers of an interior-point method (Boyd, Vandenberghe, Convex
    Optimization, section 11.3); counts of 1e-8 are 2e-8 in 2 NLL from the minimum for each bin at the edge.
    """
    movable = np.ones(start.size, dtype=bool) if held is None else ~held
    shared = (likelihood, movable)
    first = min(iterations, _PATIENCE)
    found = yield from _descent(*shared, start, tolerance, first, ceiling)
    if found.converged or iterations <= first:
        return found
    if (yield Wanted(found.x, False)).at_edge:
        inside = found
        for lift in _LIFTS:
            inside = yield from _descent(*shared, inside.x, tolerance, iterations, np.inf, lift)
        here = yield Wanted(inside.x, False)
        if inside.converged and here.value < found.value + tolerance:
            count = found.iterations + inside.iterations
            return Solution(here.x, here.value, here.gradient, here.fisher, inside.distance, count, True)
    last = yield from _descent(*shared, found.x, tolerance, iterations - first, ceiling)
    return replace(last, converged=last.converged or last.distance < _FLAT)


def _descent(
    likelihood: Likelihood,
    movable: BoolArray,
    start: FloatArray,
    tolerance: float,
    iterations: int,
    ceiling: float,
    lift: float = 0.0,
) -> Search:
    """Damped steps downhill, until the expected drop is below the tolerance."""
    strict, (lower, upper) = tolerance, likelihood.bounds.T
    curved = movable & likelihood.curved
    x = np.where(movable, np.minimum(np.maximum(start, lower), upper), start)
    here: Evaluation = yield Wanted(x, False, lift)
    damping, count, distance, moved, stuck = 0.0, 0, np.inf, True, False
    secant = (np.zeros_like(x), np.zeros_like(x))
    while True:
        if moved:
            x, gradient = here.x, here.gradient
            free = movable & ~((x <= lower) & (gradient > 0)) & ~((x >= upper) & (gradient < 0))
            matrix, exact = _hessian(here, curved, free, close=distance < _CLOSE)
            if distance < _CLOSE and not exact:
                matrix = _updated(matrix, *secant)
            step, distance = _step(gradient, matrix, free, 0.0)
            tolerance = max(tolerance, 1e-4) if here.value - 10 * distance > ceiling else strict
        if distance < tolerance or count >= iterations or stuck:
            done = distance < (1e-6 if stuck else tolerance)
            return Solution(x, here.value, gradient, here.fisher, distance, count, done)
        if damping > 0.0:
            step, _ = _step(gradient, matrix, free, damping)
        step *= min(1.0, _LONGEST / np.abs(step[likelihood.constrained]).max(initial=_LONGEST))
        trial = _inside(x, step, gradient, matrix, free, damping, likelihood.bounds)
        there: Evaluation = yield Wanted(trial, distance < _CLOSE, lift)
        count += 1
        slope = min(float((there.x - x) @ gradient), 0.0)
        moved = bool(there.value <= here.value + 1e-4 * slope + 1e-13 * abs(here.value))
        if moved:
            secant = (there.x - here.x, there.gradient - here.gradient)
            here = there
            damping = 0.0 if damping < 1e-2 else 0.1 * damping
        else:
            damping = max(1e-2, 5 * damping)
            stuck = damping > 1e12


def _hessian(here: Evaluation, curved: BoolArray, free: BoolArray, *, close: bool) -> tuple[FloatArray, bool]:
    """The best positive definite Hessian, and whether it is exact.

    Exact if close, with its negative eigenvalues turned round where it has any; from afar the expected one with the
    rows of curved parameters exact, or without. There a curved parameter whose interference leaves next to no
    information still has the scale of its own curvature, lest it step out of all proportion.
    """
    bare = 2 * here.seen
    if close:
        whole = bare + here.curvature
        return (whole, True) if _is_positive(whole, free) else (_turned(whole, bare, free), False)
    whole = bare + np.where(curved | curved[:, None], here.curvature, 0.0)
    if _is_positive(whole, free):
        return whole, False
    least = np.where(curved, np.abs(here.curvature.diagonal()), 0.0)
    scaled = bare + np.diag(np.maximum(least - bare.diagonal(), 0.0))
    return (scaled if _is_positive(scaled, free) else 2 * here.fisher), False


def _turned(whole: FloatArray, bare: FloatArray, free: BoolArray) -> FloatArray:
    """The matrix with absolute values of its eigenvalues, in units of what is positive for sure (Dauphin et al.,
    arXiv:1406.2572): away from saddle points in a straight line."""
    rows = np.flatnonzero(free)
    size = np.sqrt(np.maximum(bare.diagonal()[rows], np.abs(whole.diagonal()[rows])))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(_square(whole, rows) / size / size[:, None])
    lengths = np.maximum(np.abs(values), 1e-3)
    result = bare.copy()
    result[rows[:, None], rows] = (vectors * lengths @ vectors.T) * size * size[:, None]
    return result


def _updated(matrix: FloatArray, moved: FloatArray, change: FloatArray) -> FloatArray:
    """The matrix with the curvature seen along the last step (one BFGS update, which keeps it positive definite)."""
    along = matrix @ moved
    expected, seen = float(moved @ along), float(moved @ change)
    if seen <= 0.05 * expected or expected <= 0:
        return matrix
    return np.asarray(matrix - np.outer(along, along / expected) + np.outer(change, change / seen))


def _is_positive(hessian: FloatArray, free: BoolArray) -> bool:
    rows = np.flatnonzero(free & (hessian.diagonal() != 0))
    diagonal = hessian.diagonal()[rows]
    if (diagonal < 0).any():
        return False
    scale = 1 / np.sqrt(diagonal)
    return bool(dpotrf(_square(hessian, rows) * scale * scale[:, None], lower=1)[1] == 0)


def _square(matrix: FloatArray, rows: npt.NDArray[np.intp]) -> FloatArray:
    return matrix if rows.size == matrix.shape[0] else matrix[rows[:, None], rows]


def _step(gradient: FloatArray, hessian: FloatArray, free: BoolArray, damping: float) -> tuple[FloatArray, float]:
    """The damped step, 0 where not free, and half its product with the gradient: the expected drop."""
    step = np.zeros_like(gradient)
    diagonal = hessian.diagonal()
    rows = np.flatnonzero(free & (diagonal > 0))
    if not rows.size:
        return step, 0.0
    scale = 1 / np.sqrt(diagonal[rows])
    matrix = _square(hessian, rows) * (scale * scale[:, None])
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
