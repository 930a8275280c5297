"""What an experiment expects: the ends of the set for Asimov data, and their median and bands.

The truth is every coupling at its default, nuisances where the data want them. A set of several intervals counts
with its lowest and its highest end. Where the truth is at a bound (even couplings) one profile of Asimov data gives
median and bands; elsewhere toys do.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.asimov import Asimov
from nuemstat.stats.asymptotic import Shifted
from nuemstat.stats.checkpoint import Outcome
from nuemstat.stats.data import default
from nuemstat.stats.execution import Expectation, Runner, Task
from nuemstat.stats.hypotest import OneSided
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import minimise
from nuemstat.stats.problem import Problem
from nuemstat.stats.profile import Profile, hermite
from nuemstat.stats.toys import opened, require_toys, seeds_of

TOYS = 200
PER_TASK = 5
"""Toys of one task, each with a whole profile; part of the seed scheme."""
SHARES = {"median": (0.5,), "band68": (norm.cdf(-1), norm.cdf(1)), "band95": (norm.cdf(-2), norm.cdf(2))}
"""Quantiles: the median, and the bands of one and two standard deviations."""

FIELDS = ("method", "asimov", "median", "band68", "band95", "z")
"""What every expectation states."""

Ends = tuple[float, float]
Bands = dict[str, Any]


def truth_of(problem: Problem, start: FloatArray | None = None) -> FloatArray:
    """All parameters: couplings at their defaults, the rest at the conditional best fit of the data.

    start : all parameters, where the fit of the rest starts.

    Raises
    ------
    FitError : that fit did not converge.
    """
    likelihood = problem.likelihood
    names = [*problem.couplings, *problem.floated]
    held = np.isin(np.array(likelihood.parameters), names)
    x = likelihood.defaults.copy() if start is None else start.copy()
    for name in names:
        x[likelihood.index(name)] = default(problem.workspace.parameter(name))
    found = minimise(likelihood, x, held=held)
    if not found.converged:
        raise FitError("the fit with couplings at their defaults did not converge")
    return found.x


def expected_by_formula(
    asimov: Asimov, *, cl: float, aware: bool, scale: float, minima: Sequence[float] = ()
) -> Expectation:
    """Median and bands of a coupling whose truth is at its bound, from the Asimov profile; Asimov ends of others.

    aware : thresholds know of the bound; scale : size of 1 in the workspace; minima : of the data's profile, where
    Asimov data may have one too.

    Raises
    ------
    FitError : a fit to Asimov data that did not converge.
    """
    if not asimov.at_bound:
        threshold = float(chi2.ppf(cl, 1))
        try:
            ends = asimov.ends(threshold, minima)
        except FitError:  # far from what the polynomial says: the whole profile tells
            ends = set_ends(asimov.profile.likelihood, asimov.profile.name, lambda _: threshold, threshold + 1.0)
        return Expectation(bands=_stated("asimov", _pair(*(end * scale for end in ends))))
    shifted, low, high = Shifted(cl, aware), {}, {}
    for shift in (0, -2, -1, 2, 1):  # the later ones start between the former
        high[shift] = scale * asimov.reach(shifted.upper(shift))
        low[shift] = scale * asimov.read(shifted.lower(shift))
    middle = _pair(low[0], high[0])
    bands = {f"band{share}": _pair([low[-n], low[n]], [high[-n], high[n]]) for n, share in ((1, 68), (2, 95))}
    return Expectation(
        bands=_stated("asymptotic", middle, median=middle, **bands),
        quantile=lambda upper: shifted.shift(asimov.root(upper)),
    )


def unknown() -> Expectation:
    """What is stated where nothing can be expected."""
    return Expectation(bands=_stated(None, None))


def _stated(method: str | None, asimov: Any, **more: Any) -> Bands:
    """The fields of an expectation in their order, None where nothing is known."""
    known = {"method": method, "asimov": asimov} | more
    return {name: known.get(name) for name in FIELDS} | {name: v for name, v in more.items() if name not in FIELDS}


def set_ends(likelihood: Likelihood, name: str, critical: Callable[[float], float], height: float) -> Ends:
    """The lowest and the highest value whose profile is below a critical value, infinite where the set is open.

    Between the points of the profile its interpolation is used, which is good to a few hundredths of 2 NLL.
    """
    profile = Profile(likelihood, name)
    profile.explore(height)
    q_min = min((profile.minimum(*pair).q for pair in list(profile.brackets())), default=profile.q_min)
    points = profile.points
    values = [point.value for point in points]
    inside = [point.q - q_min <= critical(point.value) for point in points]
    ends = []
    if inside[0]:
        ends.append(values[0] if values[0] <= profile.bounds[0] else -np.inf)
    for i, (low, high) in enumerate(pairwise(points)):
        if inside[i] != inside[i + 1]:

            def excess(value: float, low: Any = low, high: Any = high) -> float:
                return hermite(low, high, value) - q_min - critical(value)

            ends.append(float(brentq(excess, low.value, high.value, xtol=1e-4 * (high.value - low.value))))
    if inside[-1]:
        ends.append(values[-1] if values[-1] >= profile.bounds[1] else np.inf)
    return ends[0], ends[-1]


def throw_sets(common: bytes, task: Task) -> Outcome:
    """The work of one task: a few toys at the truth, and the ends of the set of each."""
    toys, truth = opened(common), np.array(task.truth)
    counts, centres = toys.throw(truth, seeds_of(task, PER_TASK))
    name, cl = toys.likelihood.parameters[toys.index], float(task.kind.split(":")[1])
    critical, height = critical_values(cl, toys.belt)
    likelihoods = [toys.likelihood.with_data(*toy) for toy in zip(counts, centres, strict=True)]
    found = [set_ends(likelihood, name, critical, height) for likelihood in likelihoods]
    return {"ends": found}


def critical_values(cl: float, belt: FloatArray | None) -> tuple[Callable[[float], float], float]:
    """Critical values along the coupling (chi2's where there is no belt), and how high profiles are followed."""
    threshold = float(chi2.ppf(cl, 1))
    if belt is None:
        return lambda _: threshold, threshold + 1.0
    return lambda value: float(np.interp(value, belt[0], belt[1])), max(float(belt[1].max()), threshold) + 1.0


def expected_sets(
    asimov: Asimov,
    *,
    cl: float,
    runner: Runner,
    toys: int,
    belt: FloatArray | None,
    scale: float,
    minima: Sequence[float] = (),
) -> Expectation:
    """Median and bands of both ends over toys thrown at the truth of Asimov data, and the ends for these data.

    Raises
    ------
    FitError : too few toys; Interrupted : from the keyboard.
    """
    require_toys(toys, 20)
    if belt is None:
        middle = expected_by_formula(asimov, cl=cl, aware=False, scale=scale, minima=minima).bands["asimov"]
    else:
        profile = asimov.profile
        ends = set_ends(profile.likelihood, profile.name, *critical_values(cl, belt))
        middle = _pair(*(end * scale for end in ends))
    truth, count = tuple(asimov.truth.tolist()), -(-toys // PER_TASK)
    tasks = [Task(f"expected:{cl!r}", asimov.value, n, truth, 0.0, runner.plan.seed) for n in range(count)]
    found: dict[int, Sequence[Ends]] = {}
    runner(tasks, lambda task, outcome: found.update({task.number: outcome["ends"]}), "expected")
    table = np.array([pair for number in sorted(found) for pair in found[number]])
    bands: Bands = {}
    for label, shares in SHARES.items():
        low, high = (np.quantile(c, shares, method="closest_observation").tolist() for c in table.T * scale)
        bands[label] = _pair(*(low + high)) if len(shares) == 1 else _pair(low, high)
    sizes = np.abs(table).max(axis=1)
    return Expectation(
        bands=_stated("toys", middle, **bands, toys=len(table), seed=runner.plan.seed),
        quantile=lambda upper: deviations_among(sizes, upper),
    )


def deviations_among(sizes: FloatArray, observed: float) -> float:
    """The normal quantile of the share of toys below the observed number, half of those that equal it; the share is
    kept half a toy away from none and from all."""
    equal = np.isclose(sizes, observed, rtol=1e-6, atol=0.0)
    share = (float((sizes[~equal] < observed).sum()) + 0.5 * float(equal.sum())) / len(sizes)
    return float(norm.ppf(min(max(share, 0.5 / len(sizes)), 1 - 0.5 / len(sizes))))


def expected_upper(one_sided: OneSided, scale: float) -> Expectation:
    """Median and bands of the CLs limit, by the asymptotic formulae."""
    low = one_sided.background.value * scale

    def end(deviations: float) -> float:
        found = one_sided.expected_end(deviations)
        return np.inf if found is None else found * scale

    high = {shift: end(float(shift)) for shift in (0, -1, 1, -2, 2)}
    middle = _pair(low, high[0])
    bands = {f"band{share}": _pair([low, low], [high[-n], high[n]]) for n, share in ((1, 68), (2, 95))}
    return Expectation(
        bands=_stated("asymptotic", middle, median=middle, **bands), quantile=one_sided.expected_deviations
    )


def _pair(lower: Any, upper: Any) -> Mapping[str, Any]:
    return {"lower": lower, "upper": upper}
