"""Toys: pseudo-data thrown at one place of the parameters, and the profile likelihood ratio of each.

Counts and the auxiliary measurements behind the constraints fluctuate. Toy number i at a value has a seed of its
own, SeedSequence(seed, spawn_key=(kind, value, i)), and tasks have a fixed size: who computes them does not matter.
"""

import pickle
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.batch import BatchFit, fit_batch
from nuemstat.stats.execution import Task
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.problem import Problem, prepare
from nuemstat.stats.valley import Valley
from nuemstat.workspace.document import Workspace

TASK_SIZE = 100
"""Toys of one task; part of the seed scheme."""
TIE = 1e-6
"""Statistics closer than this, relative to one more than their size, are equal: fits do not end more exactly."""

KINDS = ("fc", "signal", "background", "expected", "coverage", "goodness", "agreement")
"""What toys are thrown for; the place in this list is part of their seed."""


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What workers need to know once.

    places : where minima may lie, shape (n, n_parameters); belt : values and critical values, shape (2, n).
    """

    workspace: Workspace
    couplings: tuple[str, ...]
    free: tuple[str, ...]
    fixed: Mapping[str, float]
    data: str
    places: FloatArray
    belt: FloatArray | None = None

    def pack(self) -> bytes:
        """As few bytes."""
        return zlib.compress(pickle.dumps(self), 1)


class Toys:
    """Throws toys of one problem and fits them."""

    def __init__(self, problem: Problem, places: FloatArray, belt: FloatArray | None = None) -> None:
        """places : vectors of all parameters along the valley of the profile, sorted by the coupling;
        belt : critical values by value of the coupling, where a task needs them."""
        self.belt = belt
        self.likelihood = problem.likelihood
        self.index = self.likelihood.index(problem.couplings[0])
        self.valley = Valley(self.likelihood, self.index, places)
        self._throw = Thrower(self.likelihood)

    def throw(self, truth: FloatArray, seeds: Sequence[np.random.SeedSequence]) -> tuple[FloatArray, FloatArray]:
        """Counts, shape (n_toys, n_bins), and centres of the constraints, shape (n_toys, n_parameters)."""
        return self._throw(truth, seeds)

    def fit(self, counts: FloatArray, centres: FloatArray, truth: FloatArray) -> "Fitted":
        """Conditional (coupling held at its value in `truth`) and global minima of toys.

        The conditional fit starts at the truth; the free one at every basin that a toy has along the valley, and
        at the conditional minimum where that is lower than all of them, so the statistic is never negative.
        """
        held = {self.likelihood.parameters[self.index]: float(truth[self.index])}
        conditional = fit_batch(self.likelihood, counts, centres, truth, fixed=held)
        toys, points = self.valley.conditional_starts(counts, centres, truth)
        if toys.size:
            found = fit_batch(self.likelihood, counts[toys], centres[toys], points, fixed=held)
            conditional = conditional.lower(best_of(found, toys, len(counts)))
        toys, points = self.valley.starts(counts, centres, truth)
        best = best_of(fit_batch(self.likelihood, counts[toys], centres[toys], points), toys, len(counts))
        worse = np.flatnonzero(~best.converged | (best.values > conditional.values))
        if worse.size:
            again = fit_batch(self.likelihood, counts[worse], centres[worse], conditional.x[worse])
            best = best.lower(best_of(again, worse, len(counts)))
        q = np.maximum(conditional.values - best.values, 0.0)
        return Fitted(q, best.x[:, self.index], conditional, best)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Toys after their fits.

    q : 2 NLL at the tested value above the global minimum; best : the coupling at the global minimum;
    conditional, free : the fits themselves. All of shape (n_toys,) or (n_toys, n_parameters).
    """

    q: FloatArray
    best: FloatArray
    conditional: BatchFit
    free: BatchFit

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Toys whose fits both converged."""
        return self.conditional.converged & self.free.converged


class Thrower:
    """Draws counts of every bin and centres of every constraint."""

    def __init__(self, likelihood: Likelihood) -> None:
        self._likelihood = likelihood
        channels = likelihood.workspace.channels
        self._poisson = np.concatenate([np.full(c.size, c.statistic == "poisson") for c in channels])
        self._roots = []
        below: dict[int, FloatArray] = {}
        for channel in channels:
            if channel.covariance is not None:
                self._roots.append(np.linalg.cholesky(np.array(channel.covariance)))
            elif channel.errors is not None and channel.statistic == "gaussian":
                self._roots.append(np.diag(np.array(channel.errors)))
                if channel.errors_below is not None:
                    below[len(self._roots) - 1] = np.array(channel.errors_below)
        self._below = below

    def __call__(self, truth: FloatArray, seeds: Sequence[np.random.SeedSequence]) -> tuple[FloatArray, FloatArray]:
        """Toys at a vector of all parameters, one for each seed.

        Raises
        ------
        FitError : a Poisson bin is expected to hold a negative count there.
        """
        likelihood, poisson = self._likelihood, self._poisson
        expected = likelihood.counts(truth)
        if (expected[poisson] < 0).any():
            likelihood.expected(truth)  # raises, and says where
        rates = np.maximum(expected[poisson], 0.0)
        constrained = np.flatnonzero(likelihood.constrained)
        counts, centres = np.tile(expected, (len(seeds), 1)), np.zeros((len(seeds), truth.size))
        places = np.flatnonzero(~poisson)
        for i, seed in enumerate(seeds):
            random = np.random.Generator(np.random.PCG64(seed))
            counts[i, poisson] = random.poisson(rates)
            start = 0
            for k, root in enumerate(self._roots):
                part = places[start : start + root.shape[0]]
                pull = random.standard_normal(root.shape[0])
                # A datum below what is expected has the error of expectations above it, and the other way round.
                side = np.where(pull > 0, self._below[k] * pull, root @ pull) if k in self._below else root @ pull
                counts[i, part] += side
                start += root.shape[0]
            centres[i, constrained] = truth[constrained] + random.standard_normal(constrained.size)
        return counts, centres


def seeds_of(task: Task, size: int = TASK_SIZE, stream: tuple[int, ...] = ()) -> list[np.random.SeedSequence]:
    """One seed for each toy of a task."""
    value = [int(word) for word in np.array([task.value]).view(np.uint32)]
    key = (KINDS.index(task.kind.split(":")[0]), *value, *stream)
    first = task.number * size
    return [np.random.SeedSequence(task.seed, spawn_key=(*key, first + i)) for i in range(size)]


@lru_cache(maxsize=2)
def opened(common: bytes) -> Toys:
    """The toys that packed bytes are about, compiled once for each process."""
    setup: Setup = pickle.loads(zlib.decompress(common))
    problem = prepare(
        setup.workspace,
        couplings=setup.couplings,
        free=setup.free,
        fixed=setup.fixed,
        data=setup.data,
        kernel="numpy",  # which gives the same last bit wherever it runs
    )
    return Toys(problem, setup.places, setup.belt)


def at_least(statistics: FloatArray, observed: float) -> npt.NDArray[np.bool_]:
    """Which statistics are as large as the observed one, ties included."""
    return np.asarray(statistics >= observed - TIE * (1 + observed))


def too_many_failed(failed: int, toys: int) -> str | None:
    """A warning when more than one toy in a hundred could not be fitted."""
    if failed > 0.01 * toys:
        return f"{failed} of {toys} toys could not be fitted"
    return None


def require_toys(toys: int, least: int) -> None:
    """A FitError unless there are enough of them."""
    if toys < least:
        raise FitError(f"toys: found {toys}; at least {least} are allowed")


def best_of(fits: BatchFit, toys: npt.NDArray[np.intp], n_toys: int) -> BatchFit:
    """The best of several fits of each toy: converged ones first, then the lowest; none did not converge.

    toys : which toy each fit is of, shape (n_fits,).
    """
    order = np.lexsort((fits.values, ~fits.converged, toys))
    owners, first = np.unique(toys[order], return_index=True)
    rows = order[first]
    found = BatchFit(np.full(n_toys, np.inf), np.zeros((n_toys, fits.x.shape[1])), np.zeros(n_toys, dtype=bool))
    for mine, others in zip(found, fits, strict=True):
        mine[owners] = others[rows]
    return found
