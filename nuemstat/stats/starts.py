"""Where fits start: the natural size of each coupling, and the places where its interference cancels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Likelihood

_DEGREE = 4
"""Highest power of one parameter that templates are expanded to; more is seen by the profile itself."""
_LARGEST = 1e6
"""How many natural sizes away cancellations are followed."""
_MOST = 24
"""Combinations of starts of several couplings."""


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How far one parameter has to be looked at.

    base : its default; size : the shift that moves the expectation by one standard deviation;
    cancels : shift of each bin beyond which its linear and quadratic templates cannot cancel any more, shape (n_bins,);
    far : the largest of them;
    minima : values at which 2 NLL with all else at its default has local minima.
    """

    base: float
    size: float
    cancels: FloatArray
    far: float
    minima: tuple[float, ...]


def reach(likelihood: Likelihood, name: str) -> Reach:
    """Natural size, cancellations and rough minima of one parameter.

    Raises
    ------
    FitError : nothing in the data depends on it.
    """
    i, x = likelihood.index(name), likelihood.defaults.copy()
    base, nominal = float(x[i]), likelihood.counts(x)
    errors = likelihood.errors(nominal)

    def counts(shift: float) -> FloatArray:
        x[i] = base + shift
        return likelihood.counts(x)

    def separation(size: float) -> float:
        return max(float(np.sum(((counts(sign * size) - nominal) / errors) ** 2)) for sign in (1, -1))

    size = 1.0
    while separation(size) < 1 and size < 1e15:
        size *= 2
    while separation(size) > 4 and size > 1e-15:
        size /= 2
    if not 1e-15 < size < 1e15:
        raise FitError(f"{likelihood.workspace.name}: {name} changes nothing that is fitted; it cannot be determined")
    terms = _expansion(counts, size)
    cancels = _cancellations(terms, size, errors)
    far = float(cancels.max(initial=0.0))
    return Reach(base, size, cancels, far, _rough_minima(likelihood, terms, base, size, far, likelihood.bounds[i]))


def starts(likelihood: Likelihood, names: Sequence[str]) -> list[FloatArray]:
    """Starting points on both sides of the defaults of the named parameters, never at a stationary default alone."""
    choices: list[list[float]] = []
    for name in names:
        found, (low, high) = reach(likelihood, name), likelihood.bounds[likelihood.index(name)]
        near = [found.base + sign * factor * found.size for factor in (0.7, 4.0) for sign in (1, -1)]
        kept = dict.fromkeys(value for value in [*found.minima, *near] if low < value < high)
        choices.append(list(kept))
    combinations = list(product(*choices))
    if len(combinations) > _MOST:
        picks = np.random.default_rng(0).choice(len(combinations), _MOST, replace=False)
        combinations = [combinations[pick] for pick in sorted(picks)]
    return [likelihood.vector(dict(zip(names, values, strict=True))) for values in combinations]


def unconstrained(likelihood: Likelihood) -> list[str]:
    """Floating parameters without a constraint."""
    return [name for name, is_constrained in zip(likelihood.parameters, likelihood.constrained, strict=True)
            if not is_constrained]  # fmt: skip


def _expansion(counts: Callable[[float], FloatArray], size: float) -> FloatArray:
    """Coefficients of the counts in powers of shift / size, shape (degree + 1, n_bins)."""
    nodes = np.arange(_DEGREE + 1) - _DEGREE // 2
    table = np.array([counts(node * size) for node in nodes])
    return np.asarray(np.linalg.solve(np.vander(nodes.astype(float), increasing=True), table))


def _cancellations(terms: FloatArray, size: float, errors: FloatArray) -> FloatArray:
    """The shift at which each bin's linear and quadratic terms cancel, doubled.

    A bin whose largest interference (half way to the cancellation) stays a thousandth of its error counts
    for nothing.
    """
    lin, quad = np.abs(terms[1]), np.abs(terms[2])
    real = (lin * lin > 4e-3 * quad * errors) & (quad * _LARGEST > lin) & (quad > 1e-12 * errors)
    ratio = np.divide(lin, quad, out=np.zeros_like(lin), where=real)
    return np.asarray(size * np.minimum(2 * ratio, _LARGEST))


def _rough_minima(
    likelihood: Likelihood, terms: FloatArray, base: float, size: float, far: float, bounds: FloatArray
) -> tuple[float, ...]:
    ladder = np.geomspace(0.05, max(8.0, far / size), 60)
    shifts = np.concatenate([-ladder[::-1], [0.0], ladder])
    shifts = shifts[(base + size * shifts >= bounds[0]) & (base + size * shifts <= bounds[1])]
    table = np.vander(shifts, _DEGREE + 1, increasing=True) @ terms
    values = np.array([likelihood.value_at(row) for row in table])
    inner = np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:])) + 1
    return tuple(float(base + size * shifts[k]) for k in inner if shifts[k] != 0)
