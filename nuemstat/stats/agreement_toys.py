"""Toys of the agreement between experiments: thrown at their joint best fit, fitted with shared and with own couplings.

Auxiliary measurements fluctuate too. Toy number i has the seed SeedSequence(seed, spawn_key=(kind, i)) and tasks have
a fixed size, so who computes them does not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nuemstat.polynomial import FloatArray
from nuemstat.stats.batch import BatchFit, fit_batch
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.parts import Index, Part, part_of
from nuemstat.stats.separate import Comparison, Group
from nuemstat.stats.starts import reach, starts
from nuemstat.stats.toys import KINDS, TIE, Thrower, best_of
from nuemstat.stats.valley import Table

PER_TASK = 50
"""Toys of one task; part of the seed scheme."""
_TOLERANCE = 1e-6
"""In 2 NLL: how exactly toys are fitted."""
_SHALLOW = 20.0
"""In 2 NLL, with nuisances at the truth: second basins up to there above the first are followed."""
_LADDER = (0.3, 0.7, 1.2, 2.0, 3.0, 4.5, 7.0)
"""In natural sizes from the default: where couplings are looked up. The default of an even coupling, where 2 NLL is
stationary, is not among them."""


@dataclass(frozen=True, slots=True, eq=False)
class AgreementTask:
    """Some toys: of one comparison, thrown at its joint best fit; numbers from `first` on."""

    comparison: Comparison
    seed: int
    first: int
    size: int = PER_TASK


def agreement_toys(task: AgreementTask) -> FloatArray:
    """The statistic of each toy of a task: its joint minimum above that with separate couplings; NaN where a fit does
    not converge. Shape (size,)."""
    common, truth = task.comparison.common, task.comparison.best.x
    kind = KINDS.index("agreement")
    seeds = [np.random.SeedSequence(task.seed, spawn_key=(kind, task.first + i)) for i in range(task.size)]
    counts, centres = Thrower(common)(truth, seeds)
    whole = Part(common, np.arange(counts.shape[1]), np.arange(truth.size))
    joint = _minima(common, [_Lookup(whole, task.comparison.couplings, truth)], counts, centres, truth)
    groups = task.comparison.groups
    own = [_separate(group, counts, centres, truth) for group in groups]
    above = np.flatnonzero(sum(fits.values for fits in own) > joint.values + TIE)
    if above.size:  # separate couplings describe no toy worse than shared ones do: start from these
        for i, (group, fits) in enumerate(zip(groups, own, strict=True)):
            data = (counts[np.ix_(above, group.part.bins)], centres[np.ix_(above, group.part.columns)])
            start = joint.x[np.ix_(above, group.part.columns)]
            again = fit_batch(group.part.likelihood, *data, start, tolerance=_TOLERANCE)
            own[i] = fits.lower(best_of(again, above, len(counts)))
    converged = np.all([joint.converged, *(fits.converged for fits in own)], axis=0)
    return np.where(converged, np.maximum(joint.values - sum(fits.values for fits in own), 0.0), np.nan)


def _separate(group: Group, counts: FloatArray, centres: FloatArray, truth: FloatArray) -> BatchFit:
    """Minima of one group with couplings of each experiment's own."""
    part, likelihood = group.part, group.part.likelihood
    truth = truth[part.columns]
    lookups = []
    for experiment in dict.fromkeys(e for _, e in group.copies.values()):
        own = tuple(copied for copied, (_, e) in group.copies.items() if e == experiment)
        lookups.append(_Lookup(part_of(likelihood, [experiment]), own, truth))
    return _minima(likelihood, lookups, counts[:, part.bins], centres[:, part.columns], truth)


def _minima(
    likelihood: Likelihood, lookups: Sequence["_Lookup"], counts: FloatArray, centres: FloatArray, truth: FloatArray
) -> BatchFit:
    """Minima from where every lookup says is lowest, and from there with one after the other in its second basin."""
    ranked = [lookup(counts, centres) for lookup in lookups]
    preferred = np.tile(truth, (len(counts), 1))
    for lookup, (first, _, _) in zip(lookups, ranked, strict=True):
        preferred[:, lookup.columns] = first
    toys, points = [np.arange(len(counts))], [preferred]
    for lookup, (_, second, is_there) in zip(lookups, ranked, strict=True):
        point = preferred[is_there]
        point[:, lookup.columns] = second[is_there]
        toys.append(np.flatnonzero(is_there))
        points.append(point)
    owners = np.concatenate(toys)
    found = fit_batch(likelihood, counts[owners], centres[owners], np.concatenate(points), tolerance=_TOLERANCE)
    return best_of(found, owners, len(counts))


class _Lookup:
    """Where couplings of some experiments are best for each toy, with nuisances at the truth: a table of their bins.

    columns : where the couplings stand among the parameters of the fit.
    """

    def __init__(self, part: Part, names: Sequence[str], truth: FloatArray) -> None:
        self._part, small, own = part, part.likelihood, truth[part.columns]
        places = [small.index(name) for name in names]
        self.columns: Index = part.columns[places]
        self._values = _values(small, names, own)
        points = np.tile(own, (len(self._values), 1))
        points[:, places] = self._values
        self._table = Table(small, points)

    def __call__(self, counts: FloatArray, centres: FloatArray) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
        """Values in the lowest and in the second basin, shapes (n_toys, n_couplings), and whether there is one."""
        q = self._table(counts[:, self._part.bins], centres[:, self._part.columns])
        if self.columns.size == 1:
            padded = np.pad(q, ((0, 0), (1, 1)), constant_values=np.inf)
            q = np.where((q < padded[:, :-2]) & (q <= padded[:, 2:]), q, np.inf)
        order = q.argsort(axis=1, kind="stable")
        second = order[:, min(1, q.shape[1] - 1)]
        rows = np.arange(len(q))
        is_there = (q[rows, second] < q[rows, order[:, 0]] + _SHALLOW) & (second != order[:, 0])
        return self._values[order[:, 0]], self._values[second], is_there


def _values(likelihood: Likelihood, names: Sequence[str], truth: FloatArray) -> FloatArray:
    """Values of couplings that are looked up, shape (n_values, n_couplings); those of one coupling are sorted."""
    places = [likelihood.index(name) for name in names]
    if len(names) > 1:
        return np.array([truth[places], *(point[places] for point in starts(likelihood, names))])
    found, (low, high) = reach(likelihood, names[0]), likelihood.bounds[places[0]]
    ladder = [found.base + sign * step * found.size for step in _LADDER for sign in (1, -1)]
    values = {*ladder, *found.minima, float(truth[places[0]])} - {found.base}
    return np.array(sorted(value for value in values if low < value < high))[:, None]
