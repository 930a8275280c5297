"""What an experiment expects, without toys: where the ends of the set lie when there is no new physics, and how much.

With the nuisances followed linearly, 2 NLL along one coupling is a polynomial of fourth order, since the counts are one
of second order; the data move two of its coefficients, as two correlated Gaussian numbers. The ends of many such
sets cost no fit. Their middle is put where fits to Asimov data have it (Cowan et al., EPJC 71 (2011) 1554, sec. 3.2).
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, norm

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.hypotest import asimov_counts
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import minimise
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.sensitivity import truth_of
from nuemstat.workspace.document import Workspace

_DRAWS = 1024
_STEPS = 12
_CLOSE = 1e-3
"""Of the root of 2 NLL: how near to the threshold a fitted end has to come."""

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedEnds:
    """Expected ends of a set, physical values; a set of several intervals counts with its lowest and highest end.

    asimov : lower and upper end for Asimov data; lower68, lower95, upper68, upper95 : bands of each end;
    size, size68, size95 : median and bands of the largest absolute value; fitted : whether fits found both Asimov ends.
    """

    asimov: Pair
    lower68: Pair
    lower95: Pair
    upper68: Pair
    upper95: Pair
    size: float
    size68: Pair
    size95: Pair
    fitted: bool


def expected_ends(workspace: Workspace, coupling: str, *, cl: float = 0.90) -> ExpectedEnds:
    """The ends that data without new physics would give: Asimov ones by fits, bands in the Gaussian approximation.

    The truth is every coupling at its default, nuisances where the data want them.

    Raises
    ------
    WorkspaceError : the coupling is not held;
    FitError : it cannot float, changes nothing, or the data cannot be described.
    """
    problem = prepare(workspace, couplings=(coupling,))
    likelihood, (scale, _) = problem.likelihood, problem.scale(coupling)
    truth, index, height = truth_of(problem), likelihood.index(coupling), float(chi2.ppf(cl, 1))
    limits = likelihood.bounds[index] - truth[index]
    moments = _moments(likelihood, truth, index)
    if not moments.diagonal().max() > 0:
        raise FitError(f"{workspace.name}: {coupling} changes nothing that is fitted; nothing can be expected of it")
    rough = _ends(moments, np.zeros((1, 2)), height, limits)[0]
    exact = _fitted_ends(problem, truth, index, rough, height)
    stretch = np.divide(exact, rough, out=np.ones(2), where=(rough != 0) & np.isfinite(exact))
    fitted = bool(np.isfinite(exact).all())
    exact = np.where(np.isfinite(exact), exact, rough)
    moved = _stretched(_ends(moments, _gaussian_pairs(_DRAWS), height, limits), stretch, limits)
    ends, middle = (moved + truth[index]) * scale, (exact + truth[index]) * scale
    sizes = np.abs(ends).max(axis=1)
    low, high = ends.T
    return ExpectedEnds(
        asimov=_pair(middle),
        lower68=_band(low, 1),
        lower95=_band(low, 2),
        upper68=_band(high, 1),
        upper95=_band(high, 2),
        size=float(np.median(sizes)),
        size68=_band(sizes, 1),
        size95=_band(sizes, 2),
        fitted=fitted,
    )


def _stretched(ends: FloatArray, stretch: FloatArray, limits: FloatArray) -> FloatArray:
    """Ends brought to the scale of the fitted ones; one at a limit stays there, and none goes beyond."""
    return np.where(np.isin(ends, limits), ends, np.clip(ends * stretch, *limits))


def _pair(values: FloatArray) -> Pair:
    return float(values[0]), float(values[1])


def _band(values: FloatArray, deviations: int) -> Pair:
    return _pair(np.asarray(np.quantile(values, norm.cdf([-deviations, deviations]))))


def _moments(likelihood: Likelihood, x: FloatArray, index: int) -> FloatArray:
    """How strongly the data see what the coupling adds to the counts in first and second order, shape (2, 2).

    Entry (i, j) is the product of both additions in the metric of the data, with the nuisances' directions projected
    out; away from `x` the coupling t adds t (first) + t^2 (second) counts.
    """
    counts, jacobian = likelihood.jacobian(x)
    step = np.zeros(x.size)
    step[index] = 1.0
    above, below = likelihood.counts(x + step), likelihood.counts(x - step)
    others = np.arange(x.size) != index
    n = int(others.sum())
    rows = np.concatenate([jacobian[others], [(above - below) / 2, (above + below) / 2 - counts]])
    weight = likelihood.terms.weights(counts[None])[1]
    parts = [rows[None, :, part] for part in likelihood.terms.slices]
    matrix = np.sum(likelihood.terms.fisher(weight, parts), axis=0)[0]
    nuisances = matrix[:n, :n] + np.diag(likelihood.constrained[others].astype(float))
    size = np.sqrt(np.maximum(nuisances.diagonal(), 1e-300))
    inverse = np.linalg.pinv(nuisances / np.outer(size, size), hermitian=True) / np.outer(size, size)
    return np.asarray(matrix[n:, n:] - matrix[n:, :n] @ inverse @ matrix[:n, n:])


def _ends(moments: FloatArray, draws: FloatArray, height: float, limits: FloatArray) -> FloatArray:
    """Lowest and highest t within `limits` whose 2 NLL is less than `height` above its minimum, shape (n, 2).

    draws : normal numbers, shape (n, 2); zeros stand for Asimov data.
    """
    scale = 1 / np.sqrt(max(moments[0, 0], np.sqrt(max(moments[1, 1], 0.0)), 1e-300))  # 2 NLL is of order one there
    powers = np.array([scale, scale**2])
    scaled, (low, high) = moments * np.outer(powers, powers), limits / scale
    values, vectors = np.linalg.eigh(scaled)
    first, second = ((draws * np.sqrt(np.maximum(values, 0.0))) @ vectors.T).T
    ones = np.ones(len(draws))
    # 2 NLL(t) - 2 NLL(0), the highest power first; one with a vanishing highest power has roots far out at worst.
    quartic = np.stack([max(scaled[1, 1], 1e-12) * ones, 2 * scaled[0, 1] * ones, scaled[0, 0] - 2 * second,
                        -2 * first, 0 * ones], axis=1)  # fmt: skip
    places = _within(_real_roots(quartic[:, :4] * [4, 3, 2, 1]), low, high)
    line = height + np.nanmin(_at(quartic, places), axis=1)
    lowered = quartic - line[:, None] * [0, 0, 0, 0, 1]
    crossings = _within(_real_roots(lowered), low, high)
    inside = np.where(_at(lowered, crossings) <= 1e-6, crossings, np.nan)  # a finite limit counts if it is in the set
    found: FloatArray = np.stack([np.nanmin(inside, axis=1), np.nanmax(inside, axis=1)], axis=1)
    # Limits are given back as they came, to the last bit: they are told from other ends by that.
    return np.asarray(np.where(found == low, limits[0], np.where(found == high, limits[1], found * scale)))


def _real_roots(polynomials: FloatArray) -> FloatArray:
    """Real roots of each row (highest power first), NaN for the others."""
    degree = polynomials.shape[1] - 1
    companions = np.zeros((len(polynomials), degree, degree))
    companions[:, 0] = -polynomials[:, 1:] / polynomials[:, :1]
    companions[:, np.arange(1, degree), np.arange(degree - 1)] = 1.0
    roots = np.linalg.eigvals(companions)
    return np.where(np.abs(roots.imag) < 1e-6 * (1 + np.abs(roots.real)), roots.real, np.nan)


def _within(places: FloatArray, low: float, high: float) -> FloatArray:
    """Places inside of the limits, NaN for the others; finite limits are added to each row."""
    ends = [np.full((len(places), 1), end) for end in (low, high) if np.isfinite(end)]
    return np.concatenate([np.where((places >= low) & (places <= high), places, np.nan), *ends], axis=1)


def _at(polynomials: FloatArray, places: FloatArray) -> FloatArray:
    """Each row's polynomial at its places."""
    found: FloatArray = np.zeros(places.shape)
    for column in polynomials.T:
        found = found * places + column[:, None]
    return found


def _gaussian_pairs(count: int) -> FloatArray:
    """Pairs of normal numbers that fill the plane evenly, always the same: Roberts' sequence, shape (count, 2)."""
    root = 1.32471795724474602596  # of x^3 = x + 1
    steps = np.arange(1, count + 1)[:, None] / np.array([root, root**2])
    return np.asarray(norm.ppf((0.5 + steps) % 1))


def _fitted_ends(problem: Problem, truth: FloatArray, index: int, rough: FloatArray, height: float) -> FloatArray:
    """Both ends for Asimov data as distances from the truth, by fits that start at the rough ones; NaN where none is.

    A rough end at a bound stays there.
    """
    likelihood = problem.likelihood
    asimov = likelihood.with_data(asimov_counts(problem, truth), truth)
    limits = likelihood.bounds[index] - truth[index]
    found = [end if end in limits else _crossing(asimov, truth, index, float(end), height) for end in rough]
    return np.array(found, dtype=float)


def _crossing(asimov: Likelihood, truth: FloatArray, index: int, start: float, height: float) -> float:
    """Where 2 NLL of Asimov data crosses `height` near `start`, by the secant of its root; NaN if it is not found.

    The bound of the coupling, where 2 NLL stays below `height` up to it.
    """
    held, x, goal = np.arange(truth.size) == index, truth.copy(), np.sqrt(height)
    limits = asimov.bounds[index] - truth[index]
    former, step = (0.0, -goal), start
    for _ in range(_STEPS):
        step = float(np.clip(step, *limits))
        x[index] = truth[index] + step
        solution = minimise(asimov, x, held=held)
        if not solution.converged:
            return np.nan
        x = solution.x.copy()
        miss = float(np.sqrt(max(solution.value, 0.0)) - goal)
        if abs(miss) < _CLOSE * goal:
            return step
        if miss < 0 and step in limits:
            return step
        if miss == former[1]:
            return np.nan
        following = step - miss * (step - former[0]) / (miss - former[1])
        former = (step, miss)
        step = min(max(following, min(0.5 * step, 2 * step)), max(0.5 * step, 2 * step))
    return np.nan
