"""Coherent elastic neutrino-nucleus scattering with magnetic moments, millicharges and charge radii.

Formulas: Atzori Corona et al., JHEP 09 (2022) 164 (arXiv:2205.09484), sec. 2; Giunti and Studenikin, RMP 87
(2015) 531; conventions: T recoil, E neutrino energy, M nuclear mass, q^2 = -2 M T.
"""

from math import pi

import numpy as np
import numpy.typing as npt

from nuemstat import units
from nuemstat.physics.couplings import (
    CHARGE_AMPLITUDE,
    MAGNETIC_AREA,
    RADIUS_AMPLITUDE,
    CouplingScheme,
    transition,
)
from nuemstat.physics.flux import Flux
from nuemstat.physics.kinematics import minimum_energy
from nuemstat.physics.nucleus import Nucleus, find_form_factor
from nuemstat.polynomial import CouplingPolynomial
from nuemstat.vocabulary import FLAVOURS, coupling_name


def rate(
    recoil: npt.ArrayLike,
    flux: Flux,
    *,
    flavour: str,
    antineutrino: bool,
    nucleus: Nucleus,
    scheme: CouplingScheme,
    form_factor: str = "helm",
) -> CouplingPolynomial:
    """Scatterings per nucleus and recoil energy, as a polynomial in the couplings in workspace units.

    recoil : energies above 0 [energy], any shape;  flux : spectrum of this flavour [normalisation / energy];
    result : [normalisation x area / energy]; with `Flux.line(E)` the cross section dsigma/dT [area / energy].

    Antineutrinos have the same rate: their charge, charge radius and weak vector current all change sign
    together. `antineutrino` is there so that both floors of physics are called alike.

    Raises
    ------
    ModelError : a recoil that is not above 0, an unknown form factor, a coupling that the scheme does not define.
    """
    del antineutrino
    T, M = np.asarray(recoil, dtype=float), nucleus.mass
    moments = flux.moments(minimum_energy(T, M))
    q, shape = np.sqrt(2 * M * T), find_form_factor(form_factor)
    protons, neutrons = nucleus.Z * shape(q, nucleus.proton_radius), nucleus.N * shape(q, nucleus.neutron_radius)

    weak = scheme.proton(flavour) * protons + scheme.gvn * neutrons
    charge, radius = CHARGE_AMPLITUDE / (2 * M * T) * protons, -RADIUS_AMPLITUDE * protons
    amplitude = CouplingPolynomial.linear(
        weak,
        {
            coupling_name("millicharge", flavour, flavour): charge,
            coupling_name("charge_radius", flavour, flavour): radius,
        },
    )
    total = amplitude.squared()
    for other in FLAVOURS:
        if other != flavour:
            total = total + transition(flavour, other, charge, radius)
    # (1 - M T / 2 E^2) never vanishes below the endpoint, so this difference keeps its precision.
    total = total * (units.FERMI_AREA**2 * M / pi * (moments.m0 - M * T / 2 * moments.m2))
    magnetic = MAGNETIC_AREA * (moments.m0 / T - moments.m1) * protons**2
    return total + CouplingPolynomial({((coupling_name("magnetic_moment", flavour, flavour), 2),): magnetic})
