"""Where the fits of a toy start: at every basin it has along the valley of the profile, looked up in a table.

Expected counts at a hundred places are computed once; for a block of toys their 2 NLL at all places is one
product of matrices. Nuisances stand where the data want them, and where the toys were thrown.
"""

import numpy as np
import numpy.typing as npt

from nuemstat.polynomial import FloatArray
from nuemstat.stats.data import FLOOR
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.profile import Profile
from nuemstat.stats.starts import starts, unconstrained

_MOST = 3
"""Basins of one toy that are followed."""
Index = npt.NDArray[np.intp]


class Valley:
    """A table of expected counts along the valley of one coupling.

    places : vectors of all parameters, sorted by the coupling, shape (n_places, n_parameters).
    """

    def __init__(self, likelihood: Likelihood, index: int, places: FloatArray) -> None:
        self._likelihood, self._index, self.places = likelihood, index, places
        self._table = Table(likelihood, places)
        couplings = [name for name in unconstrained(likelihood) if name != likelihood.parameters[index]]
        self._several = any(likelihood.workspace.parameter(name).kind == "coupling" for name in couplings)
        others = starts(likelihood, couplings) if self._several else []
        self._others = np.array(others).reshape(len(others), len(likelihood.parameters))

    def starts(self, counts: FloatArray, centres: FloatArray, truth: FloatArray) -> tuple[Index, FloatArray]:
        """Starts of free fits: numbers of toys, shape (n,), and parameters, shape (n, n_parameters)."""
        thrown = np.tile(truth, (len(self.places), 1))
        thrown[:, self._index] = self.places[:, self._index]
        tables = (self._table(counts, centres), Table(self._likelihood, thrown)(counts, centres))
        q = np.minimum(*tables)
        sets = np.where((tables[0] <= tables[1])[..., None], self.places, thrown)
        padded = np.pad(q, ((0, 0), (1, 1)), constant_values=np.inf)
        is_basin = (q < padded[:, :-2]) & (q <= padded[:, 2:])
        rank = np.where(is_basin, q, np.inf).argsort(axis=1, kind="stable")[:, :_MOST]
        toys, chosen = np.nonzero(np.take_along_axis(is_basin, rank, axis=1))
        points = sets[toys, rank[toys, chosen]]
        more = [self._several_starts(place, counts, centres, truth) for place in self._coarse()]
        return np.concatenate([toys, *(m[0] for m in more)]), np.concatenate([points, *(m[1] for m in more)])

    def conditional_starts(
        self, counts: FloatArray, centres: FloatArray, truth: FloatArray
    ) -> tuple[Index, FloatArray]:
        """More starts for fits at the truth's value: the best basin of the other floating couplings."""
        return self._several_starts(float(truth[self._index]), counts, centres, truth)

    def _coarse(self) -> list[float]:
        if not self._several:
            return []
        return [float(value) for value in self.places[:: max(1, len(self.places) // 4), self._index]]

    def _several_starts(
        self, value: float, counts: FloatArray, centres: FloatArray, truth: FloatArray
    ) -> tuple[Index, FloatArray]:
        """For each toy the best of the other couplings' starts, at one value of this coupling."""
        if not self._several:
            return np.zeros(0, dtype=np.intp), np.zeros((0, truth.size))
        points = np.where(self._likelihood.constrained, truth, self._others)
        points[:, self._index] = value
        best = Table(self._likelihood, points)(counts, centres).argmin(axis=1)
        return np.arange(len(counts)), points[best]


class Table:
    """2 NLL of many toys at fixed places, up to a constant of each toy.

    places : vectors of all parameters, shape (n_places, n_parameters); calls take counts and centres as toys have them.
    """

    def __init__(self, likelihood: Likelihood, places: FloatArray) -> None:
        self._constrained, self._places = likelihood.constrained, places
        self._expected = np.array([likelihood.counts(place) for place in places])
        channels, start = likelihood.workspace.channels, 0
        mask = np.concatenate([np.full(channel.size, channel.statistic == "poisson") for channel in channels])
        self._poisson = np.flatnonzero(mask)
        safe = np.maximum(self._expected[:, self._poisson], FLOOR)
        below = np.minimum(self._expected[:, self._poisson], 0.0).sum(axis=1) / FLOOR
        self._sums, self._logs = safe.sum(axis=1) - below, np.log(safe)
        self._gaussian: list[tuple[slice, FloatArray]] = []
        self._two_sided: list[tuple[slice, FloatArray, FloatArray]] = []
        for channel in channels:
            part = slice(start, start := start + channel.size)
            if channel.covariance is not None:
                self._gaussian.append((part, np.linalg.inv(np.array(channel.covariance))))
            elif channel.errors is not None and channel.errors_below is not None:
                self._two_sided.append((part, np.array(channel.errors), np.array(channel.errors_below)))
            elif channel.errors is not None and channel.statistic == "gaussian":
                self._gaussian.append((part, np.diag(1 / np.array(channel.errors) ** 2)))

    def __call__(self, counts: FloatArray, centres: FloatArray) -> FloatArray:
        """Shape (n_toys, n_places)."""
        q = 2 * (self._sums - counts[:, self._poisson] @ self._logs.T)
        for part, precision in self._gaussian:
            expected = self._expected[:, part]
            own = np.einsum("pi,ij,pj->p", expected, precision, expected)
            q += own - 2 * counts[:, part] @ precision @ expected.T
        for part, above, below in self._two_sided:
            residual = self._expected[None, :, part] - counts[:, None, part]
            q += ((residual / np.where(residual < 0, below, above)) ** 2).sum(axis=2)
        places, pulls = self._places[:, self._constrained], centres[:, self._constrained]
        return np.asarray(q + (places**2).sum(axis=1) - 2 * pulls @ places.T)


def places_along(*profiles: Profile) -> FloatArray:
    """Conditional minima of explored profiles and a few places beyond their ends, sorted by the coupling."""
    index, bounds = profiles[0].index, profiles[0].bounds
    found = {point.value: point.solution.x for profile in profiles for point in profile.points}
    values = sorted(found)
    width = values[-1] - values[0]
    for factor in (0.2, 0.6, 1.5):
        for end, sign in ((values[0], -1), (values[-1], 1)):
            value = end + sign * factor * width
            if bounds[0] < value < bounds[1]:
                found[value] = found[end].copy()
                found[value][index] = value
    return np.array([found[value] for value in sorted(found)])
