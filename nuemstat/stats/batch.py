"""Many data sets fitted at once: the searches of all toys advance in step, and share each evaluation.

Every toy follows the search of `newton` on its own; only the likelihood is evaluated together, in plain numpy along
an axis of toys. One toy's row does not depend on the rest (see `kernels`), so results are the same to the last bit
whatever is fitted together, in whatever order, in chunks of whatever size.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Evaluation, Likelihood
from nuemstat.stats.newton import BoolArray, Search, Solution, Wanted, minimise, search
from nuemstat.stats.starts import starts, unconstrained

CHUNK_BYTES = 1e6
"""What one array of templates or Jacobians of all toys of a chunk may take; more would leave the caches."""
LARGEST_CHUNK = 256


class BatchFit(NamedTuple):
    """Where the fits of many data sets ended.

    values : 2 NLL, shape (n_toys,); x : shape (n_toys, n_parameters); converged : shape (n_toys,).
    """

    values: FloatArray
    x: FloatArray
    converged: BoolArray

    def lower(self, other: "BatchFit") -> "BatchFit":
        """Toy by toy the lower of two fits, the converged one where only one is."""
        takes = np.where(self.converged == other.converged, other.values < self.values, other.converged)
        return BatchFit(
            np.where(takes, other.values, self.values),
            np.where(takes[:, None], other.x, self.x),
            self.converged | other.converged,
        )


def fit_batch(
    likelihood: Likelihood,
    counts: FloatArray,
    centres: FloatArray,
    start: FloatArray,
    *,
    fixed: Mapping[str, float] | None = None,
    chunk: int | None = None,
    tolerance: float = 1e-9,
) -> BatchFit:
    """The minimum of 2 NLL of each data set downhill of its start, inside the bounds.

    counts : shape (n_toys, n_bins), bins in the order of `Likelihood.counts`;
    centres : auxiliary measurements of constrained parameters, others are not looked at, (n_toys, n_parameters);
    start : shape (n_parameters,) or (n_toys, n_parameters), in workspace units;
    fixed : parameters held at numbers in workspace units; chunk : toys at once, chosen by memory if None;
    tolerance : in 2 NLL.

    A toy that does not converge is fitted again from other starts. Nothing is raised; `converged` says how it went.
    """
    likelihood = likelihood.run_by("numpy")
    counts, centres = np.ascontiguousarray(counts, dtype=float), np.ascontiguousarray(centres, dtype=float)
    begin = np.array(np.broadcast_to(start, centres.shape), dtype=float)
    held = np.zeros(begin.shape[1], dtype=bool)
    for name, value in (fixed or {}).items():
        held[likelihood.index(name)] = True
        begin[:, likelihood.index(name)] = value
    size = chunk or chunk_size(likelihood)
    values, x, converged = np.full(len(begin), np.inf), begin.copy(), np.zeros(len(begin), dtype=bool)
    for first in range(0, len(begin), size):
        part = slice(first, first + size)
        found = _in_step(likelihood, counts[part], centres[part], begin[part], held, tolerance)
        for toy, solution in enumerate(found, first):
            if not solution.converged:
                solution = _again(likelihood.with_data(counts[toy], centres[toy]), solution, held)
            values[toy], x[toy], converged[toy] = solution.value, solution.x, solution.converged
    return BatchFit(values, x, converged)


def chunk_size(likelihood: Likelihood) -> int:
    """How many toys are evaluated together, so that memory stays bounded."""
    return int(min(max(CHUNK_BYTES / (8 * likelihood.width), 1), LARGEST_CHUNK))


def _in_step(
    likelihood: Likelihood,
    counts: FloatArray,
    centres: FloatArray,
    begin: FloatArray,
    held: BoolArray,
    tolerance: float,
) -> list[Solution]:
    """The searches of a chunk, each round of their wishes fulfilled together."""
    found: dict[int, Solution] = {}
    searches = {toy: search(likelihood, start, held=held, tolerance=tolerance) for toy, start in enumerate(begin)}
    with np.errstate(all="ignore"):  # what overflows is not finite, and stepped back from
        wishes = {toy: next(steps) for toy, steps in searches.items()}
        while wishes:
            wishes = dict(_advanced(searches, _evaluated(likelihood, counts, centres, wishes), found))
    return [found[toy] for toy in range(len(begin))]


def _evaluated(
    likelihood: Likelihood, counts: FloatArray, centres: FloatArray, wishes: Mapping[int, Wanted]
) -> Iterator[tuple[int, Evaluation]]:
    toys = list(wishes)
    points = np.array([wish.x for wish in wishes.values()])
    seen = np.array([wish.seen for wish in wishes.values()], dtype=bool)
    lift = np.array([wish.lift for wish in wishes.values()])
    together = likelihood.with_data(counts[toys], centres[toys])
    yield from zip(toys, together.evaluate_many(points, seen, lift), strict=True)


def _advanced(
    searches: Mapping[int, Search], answers: Iterator[tuple[int, Evaluation]], found: dict[int, Solution]
) -> Iterator[tuple[int, Wanted]]:
    """The next wishes; searches that end leave their solution in `found`."""
    for toy, answer in answers:
        try:
            yield toy, searches[toy].send(answer)
        except StopIteration as end:
            found[toy] = end.value


def _again(likelihood: Likelihood, failed: Solution, held: BoolArray) -> Solution:
    """One data set from other starts: the centre of everything, and around it where couplings float."""
    points: list[FloatArray] = [failed.x, likelihood.defaults]
    for name in unconstrained(likelihood):
        if not held[likelihood.index(name)]:
            with suppress(FitError):  # a parameter that moves nothing where the others stand has no start of its own
                points += starts(likelihood, [name])
    found = [failed]
    for point in points:
        found.append(minimise(likelihood, np.where(held, failed.x, point), held=held, iterations=300))
    return min(found, key=lambda solution: (not solution.converged, solution.value))
