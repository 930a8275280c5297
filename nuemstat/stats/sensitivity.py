"""What an experiment expects: the ends of the set for Asimov data, and their median and bands over toys.

The truth is every coupling at its default, nuisances where the data want them. A set of several intervals counts
with its lowest and its highest end.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from nuemstat.polynomial import FloatArray
from nuemstat.stats.checkpoint import Outcome
from nuemstat.stats.data import default
from nuemstat.stats.execution import Runner, Task
from nuemstat.stats.hypotest import OneSided, asimov_counts
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

Ends = tuple[float, float]
Bands = dict[str, Any]


def truth_of(problem: Problem) -> FloatArray:
    """All parameters: couplings at their defaults, the rest at the conditional best fit of the data."""
    likelihood = problem.likelihood
    names = [*problem.couplings, *problem.floated]
    held = np.isin(np.array(likelihood.parameters), names)
    start = likelihood.vector({name: default(problem.workspace.parameter(name)) for name in names})
    return minimise(likelihood, start, held=held).x


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
    problem: Problem, truth: FloatArray, *, cl: float, runner: Runner, toys: int, belt: FloatArray | None, scale: float
) -> Bands:
    """Median and bands of both ends over toys, and the ends for Asimov data (physical units).

    Raises
    ------
    FitError : too few toys; Interrupted : from the keyboard.
    """
    require_toys(toys, 20)
    name = problem.couplings[0]
    critical, height = critical_values(cl, belt)
    asimov = problem.likelihood.with_data(asimov_counts(problem, truth), truth)
    ends = set_ends(asimov, name, critical, height)
    value = float(truth[problem.likelihood.index(name)])
    count = -(-toys // PER_TASK)
    tasks = [Task(f"expected:{cl!r}", value, n, tuple(truth.tolist()), 0.0, runner.plan.seed) for n in range(count)]
    found: dict[int, Sequence[Ends]] = {}
    runner(tasks, lambda task, outcome: found.update({task.number: outcome["ends"]}), "expected")
    table = np.array([pair for number in sorted(found) for pair in found[number]]) * scale
    bands: Bands = {"toys": len(table), "seed": runner.plan.seed, "asimov": _pair(*(end * scale for end in ends))}
    for label, shares in SHARES.items():
        low, high = (np.quantile(column, shares, method="closest_observation").tolist() for column in table.T)
        bands[label] = _pair(*(low + high)) if len(shares) == 1 else _pair(low, high)
    return bands


def expected_upper(one_sided: OneSided, scale: float) -> Bands:
    """Median and bands of the CLs limit, by the asymptotic formulae."""
    low = one_sided.background.value * scale

    def end(deviations: float) -> float:
        found = one_sided.expected_end(deviations)
        return np.inf if found is None else found * scale

    bands: Bands = {"asimov": _pair(low, end(0.0))}
    for label, sizes in {"median": (0.0,), "band68": (-1.0, 1.0), "band95": (-2.0, 2.0)}.items():
        high = [end(size) for size in sizes]
        bands[label] = _pair(low, high[0]) if len(sizes) == 1 else _pair([low, low], high)
    return bands


def _pair(lower: Any, upper: Any) -> Mapping[str, Any]:
    return {"lower": lower, "upper": upper}
