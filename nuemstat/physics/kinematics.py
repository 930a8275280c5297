"""Two-body kinematics of elastic scattering on a target at rest."""

import numpy as np
import numpy.typing as npt

from nuemstat.polynomial import FloatArray


def minimum_energy(recoil: npt.ArrayLike, mass: float) -> FloatArray:
    """The least neutrino energy [energy] that gives a target of this mass [energy] a recoil [energy]."""
    T = np.asarray(recoil, dtype=float)
    return (T + np.sqrt(T * (T + 2 * mass))) / 2


def maximum_recoil(energy: npt.ArrayLike, mass: float) -> FloatArray:
    """The largest recoil [energy] of a target of this mass [energy] from a neutrino energy [energy]."""
    E = np.asarray(energy, dtype=float)
    return 2 * E**2 / (mass + 2 * E)
