"""The best fit: Fisher scoring from several starts, verified by MIGRAD."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from iminuit import Minuit
from scipy.stats import chi2

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.data import to_physical
from nuemstat.stats.information import Information, covariance_of
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.results import FitResult, FittedCoupling, FittedNuisance
from nuemstat.stats.starts import starts
from nuemstat.workspace.document import Workspace

AGREEMENT = 1e-3
"""In 2 NLL: what the two minimisers may differ by from one start."""


def fit(
    workspace: Workspace,
    *,
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    data: str = "observed",
    start: Mapping[str, float] | None = None,
    information: Information = "expected",
) -> FitResult:
    """The global best fit.

    free : couplings that float (universal ones are substituted); all others stay at their default;
    fixed : parameters at physical values (mu_B, e, cm^2, 1, or a nuisance's own unit);
    data : observed, asimov, or asimov:NAME=VALUE; start : one more start, in workspace units;
    information : whose inverse is the covariance, the expected (Fisher) one or the observed one.

    Raises
    ------
    WorkspaceError : a parameter that is not held;
    FitError : nothing converges, the two minimisers disagree, or the best fit expects a negative count.
    """
    problem = prepare(workspace, free=free, fixed=fixed, data=data)
    likelihood = problem.likelihood
    points = starts(likelihood, floating(problem))
    if start is not None:
        points.insert(0, likelihood.vector(start))
    best = global_minimum(likelihood, points)
    likelihood.expected(best.x)
    return _result(problem, best, information)


def floating(problem: Problem) -> tuple[str, ...]:
    """The parameters to start on both sides: floating couplings, and free parameters that are asked about."""
    return tuple(dict.fromkeys([*problem.couplings, *problem.floated]))


def global_minimum(likelihood: Likelihood, points: Sequence[FloatArray]) -> Solution:
    """The lowest minimum downhill of any of the points, verified.

    Raises
    ------
    FitError : no start converges, or MIGRAD disagrees.
    """
    found = [(minimise(likelihood, point), point) for point in points]
    converged = [pair for pair in found if pair[0].converged]
    if not converged:
        least = min(found, key=lambda pair: pair[0].value)[0]
        raise FitError(
            f"{likelihood.workspace.name}: no fit converges from {len(found)} starts; the best stops at 2 NLL = "
            f"{least.value:.6g}, {least.distance:.2g} above its expected minimum"
        )
    best, point = min(converged, key=lambda pair: pair[0].value)
    return verified(likelihood, best, point)


def verified(likelihood: Likelihood, solution: Solution, point: FloatArray) -> Solution:
    """The solution, once MIGRAD from the same point agrees with it; the lower one of two basins.

    Raises
    ------
    FitError : they differ by more than `AGREEMENT` in 2 NLL although one of them is not at a minimum, or a bin is
    expected to hold no counts there.
    """
    x, value = migrad(likelihood, point)
    if abs(value - solution.value) <= AGREEMENT:
        return solution
    polished = minimise(likelihood, x)
    if polished.converged and abs(polished.value - value) <= AGREEMENT:  # two basins are legal
        return polished if polished.value < solution.value else solution
    _, again = migrad(likelihood, solution.x)
    if abs(again - solution.value) <= AGREEMENT and abs(polished.value - solution.value) <= AGREEMENT:
        return solution  # MIGRAD gave up early on the way to the same place
    likelihood.expected(solution.x)  # a best fit without counts in a bin is the likelier cause, and says so
    raise FitError(
        f"{likelihood.workspace.name}: from the same start Fisher scoring ends at 2 NLL = {solution.value:.6f} and "
        f"MIGRAD at {value:.6f}; {AGREEMENT:g} of difference is allowed"
    )


def migrad(likelihood: Likelihood, point: FloatArray) -> tuple[FloatArray, float]:
    """Where MIGRAD ends (strategy 0, analytic gradient and curvature), and 2 NLL there."""
    end = np.array(point, dtype=float)
    if not likelihood.fisher(end).any():
        return end, likelihood(end)
    minuit, active, scale = scaled_minuit(likelihood, point)
    with np.errstate(all="ignore"):
        minuit.migrad()
        if not minuit.valid:
            minuit.migrad()
    end[active] = np.array(minuit.values) * scale
    return end, likelihood(end)


def scaled_minuit(likelihood: Likelihood, point: FloatArray) -> tuple[Minuit, npt.NDArray[np.intp], FloatArray]:
    """MINUIT at a point, the numbers of the parameters that move anything there, and its unit of each of them."""
    x = np.array(point, dtype=float)
    diagonal = likelihood.fisher(x).diagonal()
    active = np.flatnonzero(diagonal > 0)
    scale = 1 / np.sqrt(diagonal[active])

    def whole(y: FloatArray) -> FloatArray:
        x[active] = y * scale
        return x

    def value(y: FloatArray) -> float:
        found = likelihood(whole(y))
        return found if np.isfinite(found) else 1e100

    def hessian(y: FloatArray) -> FloatArray:
        return np.asarray(2 * likelihood.fisher(whole(y))[np.ix_(active, active)] * scale * scale[:, None])

    minuit = Minuit(
        value,
        x[active] / scale,
        grad=lambda y: likelihood.gradient(whole(y))[active] * scale,
        hessian=hessian,
    )
    minuit.limits = list(likelihood.bounds[active] / scale[:, None])
    minuit.errordef, minuit.strategy, minuit.tol = 1, 0, 1e-3
    return minuit, active, scale


def _result(problem: Problem, best: Solution, information: Information) -> FitResult:
    likelihood = problem.likelihood
    matrix = covariance_of(likelihood, best, information)
    sizes = np.array([p.sigma if p.kind == "constrained" else p.scale for p in likelihood.definitions])
    errors = np.sqrt(matrix.diagonal())
    couplings: dict[str, FittedCoupling] = {}
    nuisances: dict[str, FittedNuisance] = {}
    warnings: list[str] = []
    for p, number, size, error in zip(likelihood.definitions, best.x, sizes, errors, strict=True):
        value, width = to_physical(p, number), float(error * size) if np.isfinite(error) else None
        if width is None:
            warnings.append(f"{p.name}: no parabolic error (at a bound or a stationary point); ask for a limit")
        if p.kind == "coupling":
            couplings[p.name] = FittedCoupling(value, width, p.unit)
        else:
            nuisances[p.name] = FittedNuisance(value, width, float(number) if p.kind == "constrained" else None)
    ndof = likelihood.n_bins - int((~likelihood.constrained).sum())
    return FitResult(
        **problem.origin,
        warnings=problem.warnings(warnings),
        q_min=best.value,
        ndof=ndof,
        p_value=float(chi2.sf(best.value, ndof)) if ndof > 0 else float("nan"),
        couplings=couplings,
        nuisances=nuisances,
        yields=likelihood.yields(best.x),
        data=likelihood.data,
        parameters=likelihood.parameters,
        covariance=matrix * np.outer(sizes, sizes),
    )
