"""Inverse beta decay on a free proton, by which the antineutrino spectra of reactors are measured.

Total cross section to first order in energy over nucleon mass: Vogel and Beacom, Phys. Rev. D 60 (1999) 053003,
hep-ph/9903554, eqs. 12 and 13, normalised to the lifetime of the neutron (eq. 8), without radiative corrections beyond
the inner one, which is in the lifetime.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from nuemstat import units
from nuemstat.polynomial import FloatArray

NEUTRON_LIFETIME: Final = 879.4 * units.s
"""Of the free neutron (PDG 2020); +-0.6 s."""

_NEUTRON, _PROTON = 939.56542 * units.MeV, 938.27209 * units.MeV  # PDG 2020
_ELECTRON = 0.51099895 * units.MeV
_DIFFERENCE = _NEUTRON - _PROTON
_NUCLEON = (_NEUTRON + _PROTON) / 2
_VECTOR, _AXIAL, _MAGNETISM = 1.0, 1.2756, 3.706  # f, g (PDG 2020), f2 = mu_p - mu_n
_PHASE_SPACE = 1.7152  # of neutron decay, with Coulomb, weak-magnetism, recoil and outer radiative corrections
_HBAR = 6.582119569e-22 * units.MeV * units.s
_ANGLES, _WEIGHTS = np.polynomial.legendre.leggauss(12)

THRESHOLD: Final = ((_NEUTRON + _ELECTRON) ** 2 - _PROTON**2) / (2 * _PROTON)
"""Least antineutrino energy [MeV]."""


def inverse_beta_cross_section(energies: npt.ArrayLike) -> FloatArray:
    """Total cross section on a proton at rest [cm^2], shape of `energies` [MeV]; 0 below `THRESHOLD`."""
    wanted = np.asarray(energies, dtype=float)
    E = np.maximum(wanted, THRESHOLD)[..., None]
    E0 = np.maximum(E - _DIFFERENCE, _ELECTRON * (1 + 1e-9))
    p0 = np.sqrt(E0**2 - _ELECTRON**2)
    v0 = p0 / E0
    first = E0 * (1 - E / _NUCLEON * (1 - v0 * _ANGLES)) - (_DIFFERENCE**2 - _ELECTRON**2) / (2 * _NUCLEON)
    p1 = np.sqrt(np.maximum(first**2 - _ELECTRON**2, 0.0))
    f2, g2 = _VECTOR**2, _AXIAL**2
    leading = ((f2 + 3 * g2) * first + (f2 - g2) * p1 * _ANGLES) * p1
    recoil = _recoil_terms(E0, v0) / _NUCLEON * E0 * p0
    norm = 2 * np.pi**2 * _HBAR / (_ELECTRON**5 * _PHASE_SPACE * NEUTRON_LIFETIME) / (f2 + 3 * g2) * units.HBARC**2
    total = norm / 2 * np.sum(_WEIGHTS * (leading - recoil), axis=-1)
    return np.asarray(np.where(wanted > THRESHOLD, np.maximum(total, 0.0), 0.0))


def _recoil_terms(E0: FloatArray, v0: FloatArray) -> FloatArray:
    """Gamma of eq. 13 at the angles of the quadrature [MeV], E0 and v0 of shape (..., 1)."""
    f2, g2 = _VECTOR**2, _AXIAL**2
    cos, D = _ANGLES, _DIFFERENCE
    turned = (E0 + D) * (1 - cos / v0) - D
    magnetism = 2 * (_VECTOR + _MAGNETISM) * _AXIAL * ((2 * E0 + D) * (1 - v0 * cos) - _ELECTRON**2 / E0)
    sum_terms = (f2 + g2) * (D * (1 + v0 * cos) + _ELECTRON**2 / E0)
    return np.asarray(magnetism + sum_terms + (f2 + 3 * g2) * turned + (f2 - g2) * turned * v0 * cos)
