"""Whether the parts of a model reach each other: spectrum, recoils, quenching."""

from nuemstat import units
from nuemstat.detector.quenching import Quenching, TableQuenching
from nuemstat.errors import ModelError
from nuemstat.model.schema import ModelDocument, Signal
from nuemstat.model.schema_response import Response
from nuemstat.physics.kinematics import minimum_energy
from nuemstat.physics.nucleus import isotopes
from nuemstat.sources.component import FluxComponent


def check_reach(spec: Response, quenching: Quenching) -> None:
    """Complain about recoils below a quenching table: nothing is known of them.

    Raises
    ------
    ModelError : the recoil grid begins below the first point of the table.
    """
    if not isinstance(quenching, TableQuenching) or spec.recoil is None:
        return
    if units.parse(spec.recoil.minimum, units.ENERGY) < quenching.energies[0] * (1 - 1e-9):
        raise ModelError(
            f"recoil.minimum: found {spec.recoil.minimum}; the quenching table begins at "
            f"{quenching.energies[0] / units.keV:g} keV, recoils from there on are allowed"
        )


def check_spectrum(document: ModelDocument, signal: Signal, component: FluxComponent, recoil: float) -> None:
    """Complain about a source whose spectrum ends below what the smallest recoil [energy] needs.

    Raises
    ------
    ModelError : no neutrino of the source can give that recoil.
    """
    if signal.interaction == "electron":
        mass = units.ELECTRON_MASS
    else:
        mass = min(nucleus.mass for element in document.target.formula for nucleus, _ in isotopes(element))
    needed, end = float(minimum_energy(recoil, mass)), component.flux.maximum
    if needed >= end:
        raise ModelError(
            f"{document.name}: recoils of {recoil / units.keV:g} keV and more need neutrinos above "
            f"{needed / units.MeV:.3g} MeV; the spectrum of the source ends at {end / units.MeV:.3g} MeV"
        )
