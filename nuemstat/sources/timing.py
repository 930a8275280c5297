"""When the neutrinos of a pulsed source arrive, and what part of them each time bin sees."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import erfcx, log_ndtr, ndtr

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray

PION_LIFETIME: Final = 26.033 * units.ns  # PDG 2022

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True, slots=True)
class PlateauDecay:
    """A time efficiency: 1 up to `plateau_end` [s], then exp(-decay_rate x (t - plateau_end)), rate in [1/s]."""

    plateau_end: float
    decay_rate: float

    def __call__(self, time: FloatArray) -> FloatArray:
        """The efficiency at each detector time [s]."""
        return np.exp(-self.decay_rate * np.maximum(time - self.plateau_end, 0.0))


Efficiency = Callable[[FloatArray], FloatArray] | tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class TimeProfile:
    """Arrival times as a cumulative distribution.

    times : knots [s], increasing, shape (n,); cumulative : probability to arrive before each knot, shape (n,).
    Between knots the cumulative is a monotone cubic: the probability between two knots is kept exactly, and the
    density is continuous, so that bin contents are smooth in a shift of the onset. No arrivals outside the knots.
    """

    times: FloatArray
    cumulative: FloatArray

    def __post_init__(self) -> None:
        if self.times.shape != self.cumulative.shape or np.any(np.diff(self.times) <= 0):
            raise ModelError("time profile: times must increase and there must be one cumulative value for each")
        if np.any(np.diff(self.cumulative) < 0):
            raise ModelError("time profile: found a negative probability; probabilities are 0 or above")

    @classmethod
    def from_bins(
        cls, start: FloatArray, stop: FloatArray, probability: FloatArray, *, tail_lifetime: float | None = None
    ) -> "TimeProfile":
        """From a table of probabilities per bin [s]; the bins must follow one another.

        tail_lifetime : put what is missing to a sum of 1 behind the last bin, falling with this lifetime [s]; an
        onset earlier than the table's then loses no late arrivals.

        Raises
        ------
        ModelError : gaps or overlaps between the bins, a negative probability, or a tail for a sum above 1.
        """
        if np.any(np.abs(start[1:] - stop[:-1]) > 1e-9 * (stop[-1] - start[0])):
            raise ModelError("time profile: bins of the table have gaps or overlap; each must start where one stops")
        profile = cls(np.append(start, stop[-1]), np.concatenate(([0.0], np.cumsum(probability))))
        if tail_lifetime is None:
            return profile
        if (missing := 1 - profile.cumulative[-1]) < 0:
            raise ModelError(f"time profile: the table sums to {1 - missing:.9g}; at most 1 is allowed with a tail")
        tail = _tail(float(stop[-1]))
        later = 1 - missing * np.exp(-(tail - stop[-1]) / tail_lifetime)
        return cls(np.append(profile.times, tail), np.append(profile.cumulative, later))

    @classmethod
    def from_pulse(cls, mean: float, width: float, *, delayed: bool) -> "TimeProfile":
        """From a Gaussian proton pulse [s] followed by pion decay and, when `delayed`, muon decay.

        The closed form: a Gauss convolved with an exponential for the pion; with both lifetimes the difference
        (tau_mu F_mu - tau_pi F_pi) / (tau_mu - tau_pi) of two of them.
        """
        fine = np.arange(mean - 8 * width, mean + 8 * width + 10 * PION_LIFETIME, min(width, PION_LIFETIME) / 6)
        times = np.concatenate((fine, _tail(float(fine[-1]))))
        pion = _gauss_exponential(times - mean, width, PION_LIFETIME)
        if not delayed:
            return cls(times, pion)
        muon = _gauss_exponential(times - mean, width, units.MUON_LIFETIME)
        mixed = (units.MUON_LIFETIME * muon - PION_LIFETIME * pion) / (units.MUON_LIFETIME - PION_LIFETIME)
        return cls(times, np.maximum.accumulate(np.maximum(mixed, 0.0)))

    def decayed(self, lifetime: float = units.MUON_LIFETIME) -> "TimeProfile":
        """The profile convolved with an exponential decay, exact for a constant density between the knots.

        The density d of the decayed obeys d' = (p - d)/lifetime: its cumulative is that of p minus lifetime x d.
        """
        steps = np.diff(self.times)
        parent = np.diff(self.cumulative) / steps
        kept = np.exp(-steps / lifetime)
        density = np.zeros(self.times.size)
        for i, (p, k) in enumerate(zip(parent, kept, strict=True)):
            density[i + 1] = density[i] * k + p * (1 - k)
        tail = _tail(float(self.times[-1]))
        later = density[-1] * np.exp(-(tail - self.times[-1]) / lifetime)
        cumulative = self.cumulative - lifetime * density
        return TimeProfile(
            np.concatenate((self.times, tail)),
            np.concatenate((np.maximum.accumulate(cumulative), self.cumulative[-1] - lifetime * later)),
        )

    def fractions(
        self, edges: FloatArray, *, onset_shift: float = 0.0, efficiency: Efficiency | None = None
    ) -> FloatArray:
        """Part of all arrivals that falls into each bin and is seen, shape (n_edges - 1,).

        edges : detector time [s]; onset_shift : delay of the arrivals [s], positive is later;
        efficiency : of the detector at detector time, a function or (plateau end, decay rate); it is not shifted.
        Without an efficiency the integrals are exact; with one they are Gauss sums on every piece between knots,
        bin edges and the plateau's end.
        """
        curve = PchipInterpolator(self.times, self.cumulative, extrapolate=False)
        if efficiency is None:
            inside = np.clip(edges - onset_shift, self.times[0], self.times[-1])
            return np.diff(curve(inside))
        if isinstance(efficiency, tuple):
            efficiency = PlateauDecay(*efficiency)
        kinks = [efficiency.plateau_end] if isinstance(efficiency, PlateauDecay) else []
        cuts = np.unique(np.concatenate((self.times + onset_shift, edges, kinks)))
        cuts = cuts[(cuts >= edges[0]) & (cuts <= edges[-1])]
        half, middle = np.diff(cuts) / 2, (cuts[1:] + cuts[:-1]) / 2
        time = middle[:, None] + half[:, None] * _NODES
        density = np.nan_to_num(curve.derivative()(time - onset_shift), nan=0.0)
        pieces = half * ((density * efficiency(time)) @ _WEIGHTS)
        return np.histogram(middle, bins=edges, weights=pieces)[0]


def _tail(start: float) -> FloatArray:
    """Knots from `start` to 20 muon lifetimes later, where 2e-9 of the muons are left."""
    return start + np.linspace(0.0, 20 * units.MUON_LIFETIME, 401)[1:]


def _gauss_exponential(time: FloatArray, width: float, lifetime: float) -> FloatArray:
    """Cumulative distribution of the sum of a centred Gaussian and an exponential.

    Phi(z) - exp(-z^2/2) erfcx((width/lifetime - z)/sqrt2)/2 with z = time/width; where the argument of erfcx is
    negative and large, the same written with logarithms.
    """
    z = time / width
    argument = width / lifetime - z
    stable = np.exp(-(z**2) / 2) * erfcx(np.maximum(argument, -5.0) / np.sqrt(2)) / 2
    direct = np.exp(np.minimum(argument**2 / 2 - z**2 / 2 + log_ndtr(-argument), 0.0))
    return np.maximum(ndtr(z) - np.where(argument > -5.0, stable, direct), 0.0)
