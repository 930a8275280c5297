"""How often intervals hold the truth: pseudo-experiments, each tested as if it were the data.

For the Feldman-Cousins interval each experiment gets toys of its own, thrown at its own conditional best fit. The
test with M toys rejects when fewer than (1 - cl)(M + 1) of them lie at or beyond the experiment; with that product
an integer, its level is exact for any M (Besag, Clifford, Biometrika 78 (1991) 301), so few toys do not bias the
coverage. Toys stop as soon as the answer cannot change any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
from scipy.stats import chi2, norm

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.checkpoint import Outcome
from nuemstat.stats.execution import Plan, Runner, Task
from nuemstat.stats.hypotest import asimov_counts, boundary_threshold
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.profile import Profile
from nuemstat.stats.results import Result, columns, number
from nuemstat.stats.toys import Setup, Toys, at_least, opened, require_toys, seeds_of, too_many_failed
from nuemstat.stats.valley import places_along
from nuemstat.workspace.document import Workspace

EXPERIMENTS = 500
PER_TASK = 5
"""Experiments of one task; part of the seed scheme."""
_BLOCK = 25
"""Toys of one experiment between two looks at whether it is decided."""


@dataclass(frozen=True, slots=True)
class Covered:
    """Share of experiments whose interval holds the truth, and its binomial error."""

    coverage: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Coverage(Result):
    """Coverage of the intervals of one coupling at one true value.

    intervals : by method: `profile` (chi2 threshold), `boundary` (its threshold aware of the coupling's bound, where
    there is one), `fc` (Feldman-Cousins); experiments : that were fitted; toys : of each experiment, at most.
    """

    SCHEMA: ClassVar[str] = "nuemstat/coverage/1"
    FIELDS: ClassVar[tuple[str, ...]] = (
        "coupling", "unit", "cl", "data", "true", "intervals", "experiments", "toys", "seed",
    )  # fmt: skip

    coupling: str
    unit: str
    cl: float
    data: str
    true: float
    intervals: Mapping[str, Covered]
    experiments: int
    toys: int
    seed: int

    def __str__(self) -> str:
        head = (
            f"coverage of {100 * self.cl:g} % intervals of {self.coupling} at {number(self.true)} {self.unit} "
            f"({self.experiments} experiments) from {', '.join(self.workspaces)}"
        )
        rows = [(name, f"{c.coverage:.4f}", f"+- {c.error:.4f}") for name, c in self.intervals.items()]
        return "\n".join([head, *columns(rows), *self.warnings])


def coverage(
    workspace: Workspace,
    coupling: str,
    true: float,
    *,
    cl: float = 0.90,
    experiments: int = EXPERIMENTS,
    data: str = "observed",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    plan: Plan | None = None,
) -> Coverage:
    """Coverage of the profile and of the Feldman-Cousins interval when `true` (physical units) is the truth.

    Nuisances are where the data want them at that value. plan : toys of each experiment (about 20 beyond the
    threshold if not given; 0 leaves Feldman-Cousins out), seed, executor, checkpoint.

    Raises
    ------
    WorkspaceError : the coupling is not held; FitError : a value out of bounds, too few toys, or no fit.
    """
    plan = plan or Plan()
    require_toys(experiments, 1)
    problem = prepare(workspace, couplings=(coupling,), free=free, fixed=fixed, data=data, kernel="numpy")
    scale, unit = problem.scale(coupling)
    truth, profiles, distance = _truth(problem, true / scale)
    inner = _inner_toys(plan.toys, cl)
    setup = Setup(workspace, (coupling,), tuple(free), dict(fixed or {}), data, places_along(*profiles))
    header = {
        "digest": problem.workspace.digest, "question": "coverage", "coupling": coupling, "true": true, "cl": cl,
        "data": data, "free": list(free), "fixed": dict(fixed or {}), "seed": plan.seed, "toys": inner,
    }  # fmt: skip
    threshold = boundary_threshold(cl, distance) if np.isfinite(distance) else float(chi2.ppf(cl, 1))
    runner = Runner(run_experiments, setup.pack(), plan, header)
    numbers = range(-(-experiments // PER_TASK))
    kind = f"coverage:{cl!r}:{inner}:{threshold!r}"
    tasks = [Task(kind, true / scale, n, tuple(truth.tolist()), 0.0, plan.seed) for n in numbers]
    total = dict.fromkeys(("experiments", "failed", "profile", "boundary", "fc"), 0)

    def merge(_: Task, outcome: Outcome) -> None:
        for key in total:
            total[key] += outcome[key]

    runner(tasks, merge, "experiments")
    names = ["profile", *(["boundary"] if np.isfinite(distance) else []), *(["fc"] if inner else [])]
    warning = too_many_failed(total["failed"], total["experiments"] + total["failed"])
    return Coverage(
        **problem.origin,
        valid=warning is None,
        warnings=problem.warnings(() if warning is None else (warning,)),
        coupling=coupling,
        unit=unit,
        cl=cl,
        data=data,
        true=true,
        intervals={name: _covered(total[name], total["experiments"]) for name in names},
        experiments=total["experiments"],
        toys=inner,
        seed=plan.seed,
    )


def run_experiments(common: bytes, task: Task) -> Outcome:
    """The work of one task: experiments at the truth, and how many intervals hold it."""
    toys, truth = opened(common), np.array(task.truth)
    _, level, most, aware = task.kind.split(":")
    cl, inner, threshold = float(level), int(most), float(aware)
    counts, centres = toys.throw(truth, seeds_of(task, PER_TASK))
    fitted = toys.fit(counts, centres, truth)
    usable = np.flatnonzero(fitted.usable)
    q = fitted.q[usable]
    accepted = [
        _accepted(toys, task, int(i), fitted.conditional.x[i], float(fitted.q[i]), inner, cl) for i in usable if inner
    ]
    return {
        "experiments": int(usable.size),
        "failed": int(len(counts) - usable.size),
        "profile": int((q <= chi2.ppf(cl, 1)).sum()),
        "boundary": int((q <= threshold).sum()),
        "fc": sum(accepted),
    }


def _accepted(toys: Toys, task: Task, experiment: int, truth: FloatArray, q: float, inner: int, cl: float) -> bool:
    """Whether enough of an experiment's own toys lie at or beyond it."""
    enough = round((1 - cl) * (inner + 1))
    beyond = thrown = 0
    number = task.number * PER_TASK + experiment
    while thrown < inner and beyond < enough <= beyond + inner - thrown:
        size = min(_BLOCK, inner - thrown)
        block = Task(task.kind, task.value, 0, task.truth, q, task.seed)
        seeds = seeds_of(block, _BLOCK, (1 + number, thrown // _BLOCK))[:size]
        fitted = toys.fit(*toys.throw(truth, seeds), truth)
        beyond += int((at_least(fitted.q, q) & fitted.usable).sum())
        thrown += size
    return beyond >= enough


def _inner_toys(asked: int | None, cl: float) -> int:
    """Toys of each experiment so that (1 - cl)(toys + 1) is, as nearly as can be, an integer."""
    if asked == 0:
        return 0
    if asked is not None:
        require_toys(asked, 19)
    wanted = 20 if asked is None else max(1, round((1 - cl) * (asked + 1)))
    return round(wanted / (1 - cl)) - 1


def _truth(problem: Problem, value: float) -> tuple[FloatArray, list[Profile], float]:
    """All parameters at the truth, profiles whose valleys hold the minima of experiments, distance from the bound.

    The distance is that of the true value from the lower bound, in standard deviations; infinite without a bound.
    """
    name = problem.couplings[0]
    height = float(norm.isf(1e-3) ** 2)
    data = Profile(problem.likelihood, name)
    low, high = data.bounds
    if not low <= value <= high:
        scale, unit = problem.scale(name)
        raise FitError(f"{name}: found {value * scale:g} {unit}; allowed is {low * scale:g} to {high * scale:g}")
    data.explore(height)
    truth = data.precisely(value).solution.x
    likelihood = problem.likelihood.with_data(asimov_counts(problem, truth), truth)
    asimov = Profile(likelihood, name)
    asimov.explore(height)
    distance = float("inf")
    if np.isfinite(low):
        distance = sqrt(max(asimov.precisely(low).q - asimov.precisely(value).q, 0.0))
    return truth, [data, asimov], distance


def _covered(held: int, experiments: int) -> Covered:
    share = held / max(experiments, 1)
    smooth = (held + 0.5) / (experiments + 1)
    return Covered(share, sqrt(smooth * (1 - smooth) / max(experiments, 1)))
