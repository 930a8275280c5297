"""Neutrinos from pions and muons that decay at rest, at a spallation source."""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from nuemstat import units
from nuemstat.physics.flux import Flux
from nuemstat.polynomial import FloatArray
from nuemstat.sources.component import FluxComponent

PROMPT_ENERGY: Final = (units.PION_MASS**2 - units.MUON_MASS**2) / (2 * units.PION_MASS)
"""Energy of the muon neutrino of pion decay at rest, 29.79 MeV."""

MICHEL_ENDPOINT: Final = units.MUON_MASS / 2

_INTERVALS: Final = 256


def muon_antineutrino_density(energy: FloatArray) -> FloatArray:
    """64 E^2/m^3 (3/4 - E/m) up to half the muon mass m: unit area [1/MeV]."""
    x = energy / units.MUON_MASS
    return np.where(x <= 0.5, 64 * x**2 * (0.75 - x), 0.0) / units.MUON_MASS


def electron_neutrino_density(energy: FloatArray) -> FloatArray:
    """192 E^2/m^3 (1/2 - E/m) up to half the muon mass m: unit area [1/MeV]."""
    x = energy / units.MUON_MASS
    return np.where(x <= 0.5, 192 * x**2 * (0.5 - x), 0.0) / units.MUON_MASS


@cache
def michel_fluxes() -> tuple[Flux, Flux]:
    """(anti-nu_mu, nu_e) of muon decay at rest as piecewise-linear densities of unit area.

    The node values are lowered by h^2/12 of the second derivative, which makes the integral up to every node
    right to the fourth order of the spacing h: below 1e-7, where the plain values would give 1e-5. Moments with
    1/E and 1/E^2 are right to 4e-6 above 1 MeV.
    """
    energies = np.linspace(0.0, MICHEL_ENDPOINT, _INTERVALS + 1)
    x = energies / units.MUON_MASS
    correction = (0.5 / _INTERVALS) ** 2 / 12
    antimuon = muon_antineutrino_density(energies) - correction * 64 * (1.5 - 6 * x) / units.MUON_MASS
    electron = electron_neutrino_density(energies) - correction * 192 * (1 - 6 * x) / units.MUON_MASS
    return _unit_area(energies, antimuon), _unit_area(energies, electron)


def _unit_area(energies: FloatArray, density: FloatArray) -> Flux:
    flux = Flux(energies, np.maximum(density, 0.0))
    return flux.scaled(1 / flux.total())


@dataclass(frozen=True, slots=True, kw_only=True)
class PionDecaySource:
    """A pulsed source of pions at rest, seen over a whole exposure.

    neutrinos_per_proton : of each of the three flavours; distance [cm]; scale : factor on the fluence.
    Fluence per flavour: neutrinos per proton x protons / (4 pi distance^2) (arXiv:2006.12659, arXiv:2110.07730).
    """

    neutrinos_per_proton: float
    protons_on_target: float
    distance: float
    scale: float = 1.0

    def fluence(self) -> float:
        """Neutrinos of each flavour per area over the exposure [1/cm^2]."""
        sphere = 4 * math.pi * self.distance**2
        return self.scale * self.neutrinos_per_proton * self.protons_on_target / sphere

    def components(self) -> tuple[FluxComponent, ...]:
        """The prompt nu_mu line and the two delayed spectra, fluence of the whole exposure."""
        fluence = self.fluence()
        antimuon, electron = michel_fluxes()
        return (
            FluxComponent("prompt", "mu", False, Flux.line(PROMPT_ENERGY, fluence), per_time=False),
            FluxComponent("delayed", "mu", True, antimuon.scaled(fluence), per_time=False),
            FluxComponent("delayed", "e", False, electron.scaled(fluence), per_time=False),
        )

    def warnings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def data_files(self) -> tuple[Path, ...]:
        """None: the spectra are closed forms."""
        return ()
