"""Elastic neutrino-electron scattering on atoms with magnetic moments, millicharges and charge radii.

Formulas: Atzori Corona et al., PRD 107 (2023) 053001 (arXiv:2207.05036), sec. 2; Kouzakov and Studenikin, PRD 95
(2017) 055013; charges in matter: nuemstat.physics.dielectric. Conventions: T recoil, E neutrino energy, q^2 = -2 m_e T,
so a positive charge lowers the vector coupling.
"""

from math import pi
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.atom import Atom
from nuemstat.physics.couplings import (
    CHARGE_AMPLITUDE,
    MAGNETIC_AREA,
    RADIUS_AMPLITUDE,
    CouplingScheme,
    transition,
)
from nuemstat.physics.dielectric import Medium, terms
from nuemstat.physics.flux import Flux, Moments
from nuemstat.physics.kinematics import minimum_energy
from nuemstat.polynomial import CouplingPolynomial, FloatArray
from nuemstat.vocabulary import COUPLINGS, FLAVOURS, coupling_name

Approximation = Literal["free", "fea", "epa", "rrpa", "best"]
APPROXIMATIONS: tuple[Approximation, ...] = ("free", "fea", "epa", "rrpa", "best")
EQUIVALENT_PHOTONS: tuple[Approximation, ...] = ("epa", "rrpa")
"""Those in which charges ionise by equivalent photons."""

CLAIMED: Final = 100 * units.eV
"""From here on the dielectric formula is claimed: |1 - eps| is below 0.08, in caesium iodide below 0.11."""
LOWEST: Final = 50 * units.eV
"""Below, nothing is claimed and charges count as nothing, which makes a limit weaker, never stronger."""
LOW_ERROR: Final = 0.3
"""Relative error of what charges do between the two (chosen)."""


def rate(
    recoil: npt.ArrayLike,
    flux: Flux,
    *,
    flavour: str,
    antineutrino: bool,
    atom: Atom,
    scheme: CouplingScheme,
    approximation: Approximation,
    neutrino_mass: float | None = None,
    photoabsorption_pull: float = 0.0,
    equivalent_photons_pull: float = 0.0,
    moment_pull: float = 0.0,
) -> CouplingPolynomial:
    """Scatterings per atom and recoil energy, as a polynomial in the couplings in workspace units.

    recoil : energies above 0 [energy], any shape;  flux : spectrum of this flavour [normalisation / energy];
    result : [normalisation x area / energy]; with `Flux.line(E)` the cross section dsigma/dT [area / energy].
    approximation :
    ``free`` all Z electrons are free, for recoils far above all binding energies;
    ``fea`` free electrons, as many as the recoil can free (stepping);
    ``epa`` as fea, and charges by equivalent photons (for a neutrino mass [energy]): no interference of charges
    with the weak amplitude or the radii, so these monomials are absent;
    ``rrpa`` as epa, and the weak and radius terms with the many-body (RRPA) correction where it is tabulated;
    ``best`` weak and radius terms as rrpa, magnetic terms by Hartree-Fock where tabulated; charges, which belong to the
    medium and not to the atom, come from `charge_rate` and are left out here.
    neutrino_mass : where the logarithm of the equivalent photons is cut off [energy], required with them;
    photoabsorption_pull : of the error of the equivalent photons' cross section [sigma];
    equivalent_photons_pull : of their difference from an atomic calculation [sigma], which +1 gives;
    moment_pull : of the error of magnetic terms in ``best`` [sigma].

    Raises
    ------
    ModelError : a recoil that is not above 0, an unknown approximation, a coupling that the scheme or a table
    that the atom does not have, a pull where nothing depends on it, equivalent photons without a neutrino mass.
    """
    _check(approximation, photoabsorption_pull or equivalent_photons_pull, moment_pull, neutrino_mass)
    T = np.asarray(recoil, dtype=float)
    moments = flux.moments(minimum_energy(T, units.ELECTRON_MASS))
    electrons = np.full(T.shape, float(atom.Z)) if approximation == "free" else atom.z_eff(T)
    scattered_on_electrons = approximation in ("free", "fea")
    charge = -CHARGE_AMPLITUDE / (2 * units.ELECTRON_MASS * T) if scattered_on_electrons else None
    total = _weak(T, moments, flavour, scheme.axial(flavour, antineutrino=antineutrino), scheme, charge) * electrons
    if approximation in ("rrpa", "best"):
        total = total * (1 / atom.rrpa_ratio(flavour, T))
    if approximation in EQUIVALENT_PHOTONS and neutrino_mass is not None:
        rate_of_charges = _photons(T, flux, neutrino_mass, atom, equivalent_photons_pull)
        absorbed = atom.photoabsorption(T, pull=photoabsorption_pull)
        total = total + _charges(flavour, rate_of_charges * absorbed)
    magnetic = MAGNETIC_AREA * (moments.m0 / T - moments.m1) * electrons
    if approximation == "best":
        magnetic = magnetic * atom.moment_ratio(T, pull=moment_pull)
    return total + CouplingPolynomial({((coupling_name("magnetic_moment", flavour, flavour), 2),): magnetic})


def _check(approximation: str, photon_pull: float, moment_pull: float, neutrino_mass: float | None) -> None:
    who = f"electron scattering: approximation {approximation!r}"
    if approximation not in APPROXIMATIONS:
        raise ModelError(f"{who}; allowed are {', '.join(APPROXIMATIONS)}")
    if photon_pull and approximation not in EQUIVALENT_PHOTONS:
        raise ModelError(f"{who} has no equivalent photons to be pulled")
    if moment_pull and approximation != "best":
        raise ModelError(f"{who} has no error of moments to be pulled")
    if approximation in EQUIVALENT_PHOTONS and neutrino_mass is None:
        raise ModelError(f"{who} needs a neutrino mass")


def charge_rate(
    recoil: npt.ArrayLike, flux: Flux, *, flavour: str, medium: Medium, low_pull: float = 0.0
) -> CouplingPolynomial:
    """Ionisations of a medium by charges, per formula unit and recoil energy, by the dielectric formula.

    recoil, flux : as for `rate`;  result : [normalisation x area / energy].
    low_pull : of the error between 50 and 100 eV [sigma], a factor of (1 + 0.3)^pull.

    Charges act by their square alone, those of transitions as well, and not below 50 eV. The term of free electrons,
    P, has the exact kinematics of scattering on them, 1 - T/E + (T^2 - m T)/(2 E^2) above the least energy; the others
    count all neutrinos above the energy transfer.
    """
    T = np.asarray(recoil, dtype=float)
    at = np.maximum(T, LOWEST)
    found = terms(medium, at)
    scattered = flux.moments(minimum_energy(at, units.ELECTRON_MASS))
    kinematics = scattered.m0 - at * scattered.m1 + (at**2 - units.ELECTRON_MASS * at) / 2 * scattered.m2
    values = flux.moments(at).m0 * (found.logarithm + found.angle + found.bound) + kinematics * found.free
    claimed = np.where(T >= CLAIMED, 1.0, np.where(T >= LOWEST, (1 + LOW_ERROR) ** low_pull, 0.0))
    return _charges(flavour, units.ALPHA / pi * claimed * values)


def _weak(
    T: FloatArray, moments: Moments, flavour: str, axial: float, scheme: CouplingScheme, charge: FloatArray | None
) -> CouplingPolynomial:
    """All that a vector coupling enters, per free electron; `charge` is the slope of gV in the charge, if any.

    (gV+gA)^2 + (gV-gA)^2 (1-T/E)^2 - (gV^2-gA^2) m T/E^2, sorted by powers of gV.
    """
    mass = units.ELECTRON_MASS
    helicity = 2 * T * moments.m1 - T**2 * moments.m2  # 1 - (1-T/E)^2
    flip = mass * T * moments.m2
    vector_squared = 2 * moments.m0 - helicity - flip
    axial_squared = 2 * moments.m0 - helicity + flip

    slopes: dict[str, npt.ArrayLike] = {
        coupling_name("charge_radius", flavour, flavour): np.full(T.shape, RADIUS_AMPLITUDE)
    }
    if charge is not None:
        slopes[coupling_name("millicharge", flavour, flavour)] = charge
    vector = CouplingPolynomial.linear(np.full(T.shape, scheme.electron(flavour)), slopes)
    total = vector.squared() * vector_squared + vector * (2 * axial * helicity)
    total = total + CouplingPolynomial.constant(axial**2 * axial_squared)
    for other in FLAVOURS:
        if other != flavour:
            total = total + _transition(flavour, other, charge, vector_squared)
    return total * (units.FERMI_AREA**2 * mass / (2 * pi))


def _transition(flavour: str, other: str, charge: FloatArray | None, weight: FloatArray) -> CouplingPolynomial:
    if charge is not None:
        return transition(flavour, other, charge, np.full(weight.shape, RADIUS_AMPLITUDE)) * weight
    return CouplingPolynomial({((coupling_name("charge_radius", flavour, other), 2),): RADIUS_AMPLITUDE**2 * weight})


def _photons(T: FloatArray, flux: Flux, neutrino_mass: float, atom: Atom, pull: float) -> FloatArray:
    """Equivalent photons of energy T around charges of 1 e above T, per photon energy: 2 alpha/pi ln(E/m_nu)/T.

    Chen et al. PRD 90 (2014) 011301, arXiv:2207.05036. The longitudinal field that they leave out is added as a
    factor of (1 + difference)^pull, which is exact at +1 and never turns the rate negative.
    """
    moments = flux.moments(T)
    logarithm = moments.logarithm(neutrino_mass)
    if pull:
        left_out = np.divide(moments.m0, logarithm, out=np.zeros_like(logarithm), where=logarithm > 0)
        logarithm = logarithm * (1 + atom.longitudinal(T) * left_out) ** pull
    return 2 * units.ALPHA / pi * logarithm / T


def _charges(flavour: str, values: FloatArray) -> CouplingPolynomial:
    """What ionises in proportion to the square of a charge [area / energy per e^2], by the flavour that comes out."""
    squared = COUPLINGS["millicharge_ee"].scale ** 2 * values
    return CouplingPolynomial({((coupling_name("millicharge", flavour, other), 2),): squared for other in FLAVOURS})
