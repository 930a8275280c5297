"""CLs upper limits and boundary-aware thresholds, from asymptotic formulae and from toys.

The statistic of CLs is one-sided: 2 NLL at the tested value above the global minimum, and 0 where that minimum
lies above the tested value (Cowan, Cranmer, Gross, Vitells, EPJC 71 (2011) 1554, eq. 16). All formulae below are
theirs; a coupling enters them only by its distance from 0 in standard deviations, so it need not enter linearly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.checkpoint import Outcome
from nuemstat.stats.execution import Piece, Runner, Task
from nuemstat.stats.newton import Solution
from nuemstat.stats.problem import Problem
from nuemstat.stats.profile import Point, Profile
from nuemstat.stats.search import Measured, Range, Search
from nuemstat.stats.tails import Tail, summary
from nuemstat.stats.toys import TASK_SIZE, opened, require_toys, seeds_of, too_many_failed

BANDS = (-2, -1, 0, 1, 2)
"""Standard deviations of the background's fluctuation at which expected limits are given."""


def boundary_threshold(cl: float, distance: float) -> float:
    """Critical value of the likelihood ratio at a value that lies `distance` standard deviations above a bound.

    1.64 at the bound and 2.71 far above it, for cl = 0.9 (EPJC 71 (2011) 1554, eq. 44: the distribution of the
    two-sided statistic with the estimate kept above the bound).
    """
    if distance <= 0:
        return float(norm.ppf(cl) ** 2) if cl > 0.5 else 0.0

    def excess(root: float) -> float:
        if root <= distance:
            return float(2 * ndtr(root) - 1 - cl)
        return float(ndtr(root) + ndtr(0.5 * (root * root / distance + distance)) - 1 - cl)

    return float(brentq(excess, 0.0, 40.0, xtol=1e-12) ** 2)


def asymptotic_cls(q: float, q_asimov: float) -> float:
    """CLs of the one-sided statistic; `q_asimov` is that of the background's Asimov data (eqs. 66 and 67)."""
    root, away = sqrt(max(q, 0.0)), sqrt(max(q_asimov, 1e-300))
    if root <= away:
        signal, background = norm.sf(root), norm.sf(root - away)
    else:
        signal, background = norm.sf((q + q_asimov) / (2 * away)), norm.sf((q - q_asimov) / (2 * away))
    return float(signal / background) if background > 0 else 0.0


def expected_cls(q_asimov: float, deviations: float) -> float:
    """CLs when the background fluctuates up by so many standard deviations (eq. 89)."""
    away = sqrt(max(q_asimov, 0.0))
    return float(norm.sf(away - deviations) / norm.cdf(deviations))


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The hypothesis without the coupling: the data's conditional best fit there, and the profile of its Asimov data.

    one-sided questions are about how far a value is from it.
    """

    value: float
    solution: Solution
    asimov: Profile

    def q_asimov(self, value: float) -> float:
        """2 NLL of the Asimov data at a value above the background."""
        return max(self.asimov.at(value).q - self.asimov.at(self.value).q, 0.0)


def background_of(problem: Problem, profile: Profile, *, height: float) -> Background:
    """The background of a coupling with a lower bound; its Asimov profile is explored up to `height`.

    Raises
    ------
    FitError : the coupling has both signs.
    """
    name, (low, _) = problem.couplings[0], profile.bounds
    if not np.isfinite(low):
        raise FitError(
            f"{problem.workspace.name}: {name} has both signs, and CLs is one-sided: even couplings and norms are "
            "allowed; the methods 'profile' and 'fc' give intervals of signed ones"
        )
    solution = profile.precisely(low).solution
    likelihood = problem.likelihood.with_data(asimov_counts(problem, solution.x), solution.x)
    asimov = Profile(likelihood, name)
    asimov.explore(height)
    return Background(low, solution, asimov)


def asimov_counts(problem: Problem, x: FloatArray) -> FloatArray:
    """The expected counts of all bins at x, as data.

    Raises
    ------
    FitError : a Poisson bin is expected to hold a negative count.
    """
    likelihood = problem.likelihood
    counts = likelihood.counts(x)
    if (counts[likelihood.terms.poisson] < 0).any():
        likelihood.expected(x)  # raises, and says where
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """CLs of one value of the coupling (physical units), its binomial error, and the toys of both hypotheses."""

    value: float
    q: float
    cls: float
    error: float
    toys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperLimit:
    """A CLs limit: [bound, upper end]; rows of what toys said, none where the formulae did."""

    pieces: tuple[Piece, ...]
    tested: tuple[Tested, ...] = ()
    toys: int = 0
    warnings: tuple[str, ...] = ()


class OneSided:
    """The one-sided statistic of the data, and its asymptotic CLs."""

    def __init__(self, profile: Profile, minima: Sequence[Point], background: Background, cl: float) -> None:
        self.profile, self.minima, self.background, self.cl = profile, minima, background, cl
        self.threshold = float(norm.isf(1 - cl))

    def q(self, value: float) -> float:
        """2 NLL at a value above the global minimum; 0 where that lies above the value."""
        best = self.minima[0]
        return 0.0 if best.value > value else max(self.profile.precisely(value).q - best.q, 0.0)

    def score(self, value: float) -> float:
        """The asymptotic CLs as standard deviations beyond the threshold."""
        best = self.minima[0]
        q = 0.0 if best.value > value else max(self.profile.at(value).q - best.q, 0.0)
        return _deviations(asymptotic_cls(q, self.background.q_asimov(value))) - self.threshold

    def upper_end(self) -> float | None:
        """Where the asymptotic score rises through 0; None where it never does."""
        return rising_end(self.score, max(self.minima[0].value, self.background.value), self.profile)

    def expected_end(self, deviations: float) -> float | None:
        """The upper end when the background fluctuates up by so many standard deviations."""

        def score(value: float) -> float:
            return _deviations(expected_cls(self.background.q_asimov(value), deviations)) - self.threshold

        return rising_end(score, self.background.value, self.background.asimov)

    def expected_deviations(self, value: float) -> float:
        """By how much the background has to fluctuate for the limit to be at a value: the inverse of `expected_end`."""
        away = self.background.q_asimov(value)

        def excess(deviations: float) -> float:
            return expected_cls(away, deviations) - (1 - self.cl)

        return -np.inf if excess(-8.0) >= 0 else float(brentq(excess, -8.0, sqrt(away) + 8.0, xtol=1e-9))


def rising_end(score: Callable[[float], float], start: float, profile: Profile) -> float | None:
    """Where a score rises through 0 above `start`, None where it does not."""
    low, step = start, 0.5 * profile.reach.size
    for _ in range(80):
        high = min(low + step, profile.bounds[1])
        if score(high) >= 0:
            return float(brentq(score, low, high, xtol=1e-7 * (high - start))) if score(low) < 0 else low
        if high == profile.bounds[1]:
            return None
        low, step = high, 1.3 * step
    return None


def throw_one_sided(common: bytes, task: Task) -> Outcome:
    """The work of one task: toys of one hypothesis ("signal value" or "background value"), tested at a value."""
    toys = opened(common)
    thrown_at = np.array(task.truth)
    counts, centres = toys.throw(thrown_at, seeds_of(task))
    tested = thrown_at.copy()
    tested[toys.index] = task.value
    fitted = toys.fit(counts, centres, tested)
    q = np.where(fitted.best > task.value, 0.0, fitted.q)
    return summary(q, fitted.usable, task.observed)


def cls_by_formula(one_sided: OneSided) -> UpperLimit:
    """The asymptotic CLs limit."""
    return UpperLimit(pieces=(Piece(one_sided.background.value, one_sided.upper_end(), 0.0, 0.0),))


def cls_by_toys(one_sided: OneSided, *, runner: Runner, scale: float, scan_range: Range | None) -> UpperLimit:
    """The CLs limit with toys of both hypotheses.

    Raises
    ------
    FitError : too few toys; Interrupted : from the keyboard.
    """
    full = runner.plan.toys or 0
    require_toys(full, TASK_SIZE)
    ratios = _Ratios(one_sided, runner)
    bounds, start = one_sided.profile.bounds, max(one_sided.minima[0].value, one_sided.background.value)
    limits = (start, bounds[1] if scan_range is None else min(scan_range[1], bounds[1]))
    end = one_sided.upper_end() or start + 4 * one_sided.profile.reach.size
    search = Search(
        [start, *(start + factor * (end - start) for factor in (0.6, 0.85, 1.1, 1.4))],
        measure=ratios.measured,
        reference=one_sided.score,
        limits=limits,
        bounds=bounds,
        pilot=max(2 * TASK_SIZE, full // 20),
        full=full,
    )
    while wanted := search.wanted():
        ratios.sharpen(wanted)
    pieces = search.pieces()
    last = pieces[-1] if pieces else Piece(bounds[0], bounds[0], 0.0, 0.0)
    toys, failed = ratios.thrown()
    warning = too_many_failed(failed, toys)
    return UpperLimit(
        pieces=(Piece(one_sided.background.value, last.high, 0.0, last.high_error),),
        tested=ratios.rows(scale),
        toys=toys,
        warnings=() if warning is None else (warning,),
    )


class _Ratios:
    """Tails of both hypotheses at each tested value."""

    def __init__(self, one_sided: OneSided, runner: Runner) -> None:
        self.one_sided, self.runner = one_sided, runner
        self._tails: dict[tuple[str, float], Tail] = {}
        self._asked: dict[float, int] = {}

    def sharpen(self, wanted: dict[float, int]) -> None:
        tasks = []
        for value, toys in wanted.items():
            first, last = self._asked.get(value, 0), -(-toys // TASK_SIZE)
            truths = {
                "signal": self.one_sided.profile.precisely(value).solution.x,
                "background": self.one_sided.background.solution.x,
            }
            for kind, truth in truths.items():
                self._tails.setdefault((kind, value), Tail())
                tasks += [
                    Task(kind, value, n, tuple(truth.tolist()), self.one_sided.q(value), self.runner.plan.seed)
                    for n in range(first, last)
                ]
            self._asked[value] = max(first, last)
        self.runner(tasks, lambda task, outcome: self._tails[task.kind, task.value].add(outcome), "toys")

    def cls(self, value: float) -> tuple[float, float]:
        """CLs and its binomial error."""
        signal, background = self._tails["signal", value], self._tails["background", value]
        ratio = min(signal.p_value / background.p_value, 1.0)
        parts = (signal.p_error / signal.p_value, background.p_error / background.p_value)
        return ratio, ratio * sqrt(parts[0] ** 2 + parts[1] ** 2)

    def measured(self, value: float) -> Measured:
        tail = self._tails.get(("signal", value))
        if tail is None or not tail.toys:
            return Measured(0, 0.0, 0.0)
        ratio, error = self.cls(value)
        deviations = _deviations(ratio)
        return Measured(
            self._asked[value] * TASK_SIZE,
            deviations - self.one_sided.threshold,
            error / float(norm.pdf(deviations)),
        )

    def thrown(self) -> tuple[int, int]:
        """Toys, and how many failed."""
        return sum(t.toys for t in self._tails.values()), sum(t.failed for t in self._tails.values())

    def rows(self, scale: float) -> tuple[Tested, ...]:
        found = []
        for value in sorted(self._asked):
            ratio, error = self.cls(value)
            toys = sum(self._tails[kind, value].toys for kind in ("signal", "background"))
            found.append(Tested(value=value * scale, q=self.one_sided.q(value), cls=ratio, error=error, toys=toys))
        return tuple(found)


def _deviations(ratio: float) -> float:
    """A CLs as standard deviations."""
    return float(norm.isf(min(max(ratio, 1e-12), 1 - 1e-6)))
