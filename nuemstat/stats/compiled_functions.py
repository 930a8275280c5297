"""The loops of a channel, compiled by numba on first use and kept in numba's cache; imports numba.

Shapes as in `kernels`, with bins ordered as (n_outer, n_inner), ratios constant along the inner ones. Every function
takes one axis of points in front, and nothing allocates per row.
"""

from functools import partial

import numba
import numpy as np

from nuemstat.polynomial import FloatArray
from nuemstat.stats.channel_kernels import IndexArray

njit = partial(numba.njit, cache=True, fastmath={"reassoc", "contract"})
"""Sums may be vectorised; NaN and infinity keep their meaning."""


@njit()
def products(values: FloatArray, factors: IndexArray) -> FloatArray:  # pragma: no cover
    """Product of the functions of each row, shape (n_points, n_rows)."""
    result = np.ones((values.shape[0], factors.shape[1]))
    for t in range(values.shape[0]):
        for k in range(factors.shape[0]):
            for r in range(factors.shape[1]):
                result[t, r] *= values[t, factors[k, r]]
    return result


@njit()
def expected(
    factor: FloatArray, ratio: FloatArray, contents: FloatArray, sample: IndexArray
) -> FloatArray:  # pragma: no cover
    """Expected counts, shape (n_points, n_outer, n_inner)."""
    rows, outer, inner = contents.shape
    result = np.zeros((factor.shape[0], outer, inner))
    for t in range(factor.shape[0]):
        for r in range(rows):
            shaped = r < sample.size
            if inner == 1:
                if shaped:
                    for u in range(outer):
                        result[t, u, 0] += factor[t, r] * ratio[t, sample[r], u] * contents[r, u, 0]
                else:
                    for u in range(outer):
                        result[t, u, 0] += factor[t, r] * contents[r, u, 0]
                continue
            for u in range(outer):
                weight = factor[t, r] * ratio[t, sample[r], u] if shaped else factor[t, r]
                for i in range(inner):
                    result[t, u, i] += weight * contents[r, u, i]
    return result


@njit()
def others(row: int, k: int, values: FloatArray, factors: IndexArray) -> float:  # pragma: no cover
    """Product of all functions of a row but the k-th."""
    result = 1.0
    for j in range(factors.shape[0]):
        if j != k:
            result *= values[factors[j, row]]
    return result


@njit()
def sums(
    slope: FloatArray, ratio: FloatArray, contents: FloatArray, sample: IndexArray
) -> tuple[FloatArray, FloatArray]:  # pragma: no cover
    """Templates times slope, summed over inner bins for shaped rows (n_points, n_shaped, n_outer), and over all bins
    (n_points, n_rows)."""
    rows, outer, inner = contents.shape
    spread = np.zeros((slope.shape[0], sample.size, outer))
    each = np.zeros((slope.shape[0], rows))
    for t in range(slope.shape[0]):
        for r in range(rows):
            total = 0.0
            for u in range(outer):
                part = 0.0
                for i in range(inner):
                    part += contents[r, u, i] * slope[t, u, i]
                if r < sample.size:
                    part *= ratio[t, sample[r], u]
                    spread[t, r, u] = part
                total += part
            each[t, r] = total
    return spread, each


@njit()
def pullback(
    values: FloatArray,
    slopes: FloatArray,
    factors: IndexArray,
    owner: IndexArray,
    places: IndexArray,
    factor: FloatArray,
    spread: FloatArray,
    each: FloatArray,
    sample: IndexArray,
    change: FloatArray,
    nuisances: IndexArray,
    size: int,
) -> FloatArray:  # pragma: no cover
    """Jacobian times slope, shape (n_points, n_local), from the sums of every row.

    change : derivative of the log ratios, shape (n_points, n_nuisances, n_samples, n_outer).
    """
    result = np.zeros((values.shape[0], size))
    counts = np.zeros((change.shape[2], change.shape[3]))
    for t in range(values.shape[0]):
        counts[:] = 0.0
        for r in range(factors.shape[1]):
            for k in range(factors.shape[0]):
                if owner[k, r] < places.size and slopes[t, factors[k, r]] != 0.0:
                    part = others(r, k, values[t], factors) * slopes[t, factors[k, r]]
                    result[t, places[owner[k, r]]] += part * each[t, r]
            if r < sample.size:
                for u in range(counts.shape[1]):
                    counts[sample[r], u] += factor[t, r] * spread[t, r, u]
        for j in range(nuisances.size):
            total = 0.0
            for s in range(counts.shape[0]):
                for u in range(counts.shape[1]):
                    total += counts[s, u] * change[t, j, s, u]
            result[t, nuisances[j]] += total
    return result


@njit()
def jacobian(
    values: FloatArray,
    slopes: FloatArray,
    factors: IndexArray,
    owner: IndexArray,
    places: IndexArray,
    factor: FloatArray,
    ratio: FloatArray,
    contents: FloatArray,
    sample: IndexArray,
    change: FloatArray,
    nuisances: IndexArray,
    size: int,
) -> FloatArray:  # pragma: no cover
    """Derivatives of the counts by the local parameters, shape (n_points, n_local, n_bins)."""
    rows, outer, inner = contents.shape
    result = np.zeros((values.shape[0], size, outer * inner))
    template = np.zeros(outer * inner)
    counts = np.zeros(outer * inner)
    flat = contents.reshape(rows, outer * inner)
    for t in range(values.shape[0]):
        for r in range(rows):
            if r < sample.size:
                _scaled(ratio[t, sample[r]], flat[r], template, False)
            else:
                template[:] = flat[r]
            for k in range(factors.shape[0]):
                if owner[k, r] < places.size and slopes[t, factors[k, r]] != 0.0:
                    part = others(r, k, values[t], factors) * slopes[t, factors[k, r]]
                    target = result[t, places[owner[k, r]]]
                    for b in range(target.size):
                        target[b] += part * template[b]
            if r >= sample.size:
                continue
            if r == 0 or sample[r] != sample[r - 1]:
                counts[:] = 0.0
            for b in range(counts.size):
                counts[b] += factor[t, r] * template[b]
            if r + 1 < sample.size and sample[r + 1] == sample[r]:
                continue
            for j in range(nuisances.size):  # the sample is complete
                _scaled(change[t, j, sample[r]], counts, result[t, nuisances[j]], True)
    return result


@njit()
def _scaled(outer: FloatArray, row: FloatArray, target: FloatArray, add: bool) -> None:  # pragma: no cover
    """Set or add `row` times numbers that are constant along the inner bins."""
    inner = row.size // outer.size
    if not add:
        target[:] = 0.0
    if inner == 1:
        for b in range(row.size):
            target[b] += outer[b] * row[b]
        return
    for u in range(outer.size):
        for b in range(u * inner, (u + 1) * inner):
            target[b] += outer[u] * row[b]


@njit()
def curvature(
    values: FloatArray,
    slopes: FloatArray,
    bends: FloatArray,
    factors: IndexArray,
    owner: IndexArray,
    places: IndexArray,
    factor: FloatArray,
    spread: FloatArray,
    each: FloatArray,
    sample: IndexArray,
    change: FloatArray,
    bent: FloatArray,
    nuisances: IndexArray,
    size: int,
) -> FloatArray:  # pragma: no cover
    """Slope times second derivatives of the counts, shape (n_points, n_local, n_local).

    bent : sum of logs x second derivative of their weights, shaped as `change`.
    """
    result = np.zeros((values.shape[0], size, size))
    counts = np.zeros((change.shape[2], change.shape[3]))
    moments = np.zeros(nuisances.size)
    for t in range(values.shape[0]):
        counts[:] = 0.0
        for r in range(factors.shape[1]):
            shaped = r < sample.size
            if shaped:
                for u in range(counts.shape[1]):
                    counts[sample[r], u] += factor[t, r] * spread[t, r, u]
                for j in range(nuisances.size):
                    moments[j] = 0.0
                    for u in range(counts.shape[1]):
                        moments[j] += spread[t, r, u] * change[t, j, sample[r], u]
            for k in range(factors.shape[0]):
                if owner[k, r] == places.size:
                    continue
                first = places[owner[k, r]]
                rest = others(r, k, values[t], factors)
                result[t, first, first] += rest * bends[t, factors[k, r]] * each[t, r]
                slope = slopes[t, factors[k, r]]
                if slope == 0.0:
                    continue
                for j in range(k):
                    if owner[j, r] < places.size and slopes[t, factors[j, r]] != 0.0:
                        second = places[owner[j, r]]
                        part = rest / values[t, factors[j, r]] * slope * slopes[t, factors[j, r]] * each[t, r]
                        result[t, first, second] += part
                        result[t, second, first] += part
                if shaped:
                    for j in range(nuisances.size):
                        result[t, first, nuisances[j]] += rest * slope * moments[j]
                        result[t, nuisances[j], first] += rest * slope * moments[j]
        _between_nuisances(result[t], nuisances, counts, change[t], bent[t])
    return result


@njit()
def _between_nuisances(
    target: FloatArray, nuisances: IndexArray, counts: FloatArray, change: FloatArray, bent: FloatArray
) -> None:  # pragma: no cover
    """Second derivatives by the nuisances of ratios, from the sums of every sample (n_samples, n_outer)."""
    for j in range(nuisances.size):
        for k in range(j + 1):
            total, straight = 0.0, 0.0
            for s in range(counts.shape[0]):
                for u in range(counts.shape[1]):
                    total += counts[s, u] * change[j, s, u] * change[k, s, u]
                    if k == j:
                        straight += counts[s, u] * bent[j, s, u]
            target[nuisances[j], nuisances[k]] += total + straight
            if k != j:
                target[nuisances[k], nuisances[j]] += total
