"""Survival of electron neutrinos on their way out of the Sun.

Day-time, adiabatic flavour conversion in matter with three flavours, in the approximation that matter acts on
the 1-2 pair only; its effect on theta13 would change the survival probability by less than 1.7e-3 up to 18 MeV.
"""

import math
from dataclasses import dataclass

import numpy as np

from nuemstat import units
from nuemstat.polynomial import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class OscillationParameters:
    """Mixing for normal ordering.

    s12_sq, s13_sq, s23_sq : squared sines of the mixing angles; dm21 : m2^2 - m1^2 [MeV^2].
    """

    s12_sq: float
    s13_sq: float
    s23_sq: float
    dm21: float


def matter_potential(electron_density: FloatArray) -> FloatArray:
    """sqrt2 G_F n_e [MeV] for a number density of electrons [1/cm^3]."""
    return math.sqrt(2) * units.FERMI * units.HBARC**3 * electron_density


def survival_probability(
    energy: FloatArray, electron_density: FloatArray, parameters: OscillationParameters
) -> FloatArray:
    """P(nu_e -> nu_e) for neutrinos born at `electron_density` [1/cm^3] with `energy` [MeV]; the two broadcast.

    P = cos^4(th13) (1 + cos(2 th12) cos(2 th12 in matter)) / 2 + sin^4(th13), with
    cos(2 th12 in matter) = (cos(2 th12) - b) / sqrt((cos(2 th12) - b)^2 + sin^2(2 th12)) and
    b = 2 E V cos^2(th13) / dm21 (Parke, Phys. Rev. Lett. 57 (1986) 1275; Particle Data Group, section 14.6).
    """
    cosine = 1 - 2 * parameters.s12_sq
    sine_squared = 4 * parameters.s12_sq * (1 - parameters.s12_sq)
    c13_sq = 1 - parameters.s13_sq
    ratio = 2 * energy * matter_potential(electron_density) * c13_sq / parameters.dm21
    in_matter = (cosine - ratio) / np.sqrt((cosine - ratio) ** 2 + sine_squared)
    return np.asarray(c13_sq**2 * (1 + cosine * in_matter) / 2 + parameters.s13_sq**2)


def averaged_survival(
    energy: FloatArray, electron_density: FloatArray, production: FloatArray, parameters: OscillationParameters
) -> FloatArray:
    """The survival probability averaged over where the neutrinos are born, shape of `energy`.

    electron_density, production : shape (n_radii,); `production` is a weight of any normalisation.
    """
    probability = survival_probability(energy[:, None], electron_density[None, :], parameters)
    return np.asarray(probability @ (production / production.sum()))


def flavour_shares(survival: FloatArray, parameters: OscillationParameters) -> dict[str, FloatArray]:
    """Probabilities to arrive as e, mu and tau; they sum to 1.

    The converted part is shared by cos^2(th23) and sin^2(th23): mu and tau are alike to the Sun.
    """
    return {
        "e": survival,
        "mu": (1 - survival) * (1 - parameters.s23_sq),
        "tau": (1 - survival) * parameters.s23_sq,
    }
