"""Antineutrinos of a nuclear reactor."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Final, Literal

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.sources import huber, measured
from nuemstat.sources.component import FluxComponent, check_names
from nuemstat.sources.end_point import beyond
from nuemstat.sources.fission import (
    CAPTURE_FILE,
    ISOTOPES,
    FissionSpectra,
    capture_flux,
    end_point_error,
    end_point_files,
    energy_per_fission,
    fission_spectra,
    spectrum_files,
)

PULLS: Final = (
    *("low_energy", "capture", "tilt", "alternative", "burnup", "fission_energy", "end_point"),
    *huber.PULLS,
    *measured.PULLS,
)
"""Systematic changes, neutral at 0:
low_energy : relative change of the fission spectra below 2 MeV, below 1.8 MeV of measured ones;
capture : relative change of the capture part;
tilt : relative change per MeV of distance from 4 MeV; alternative : 1 replaces the spectrum by `alternative`;
burnup : share of the fissions that 239Pu takes over from 235U;
fission_energy : energies per fission, all isotopes together, in units of their errors;
end_point : the spectra above 8 MeV, above the last bin of measured ones, in units of the spread of the summation
tables, see `end_point_error`;
huber_z, huber_wm, huber_norm, huber_pc0 ... : in sigma, above 2 MeV, see `nuemstat.sources.huber`;
measured_pc0 ... : components of the covariance of a measured spectrum, in sigma, see `nuemstat.sources.measured`.
With a measured spectrum `alternative` acts below its first bin only."""

TILT_CENTRE: Final = 4.0 * units.MeV


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactorSource:
    """One reactor core, seen from a distance.

    thermal_power [MeV/s] and distance [cm]; fission_fractions : share of U235, U238, Pu239, Pu241 (rescaled to
    a sum of 1, so that one of them can be moved); energy_per_fission : name of a table; spectrum and alternative :
    names of `nuemstat.sources.fission.SPECTRA`; captures_per_fission : neutron captures on 238U, 0 without;
    normalisation : ``"fissions"`` by power, distance and energy per fission; ``"flux"`` scales the spectrum (with
    its captures) to total_flux [1/cm^2/s] before the pulls act; ``"per_fission"`` leaves it per fission, so that rates
    become cross sections per fission; scale : factor on everything; pulls : see `PULLS`.

    dPhi/dE = P/(4 pi L^2 sum f_i e_i) (sum f_i S_i(E) + captures x (S_U239 + S_Np239)).

    Raises
    ------
    ModelError : an unknown name, fractions that are far from 1 in sum, a missing input of the normalisation, or
    captures added to a spectrum that holds them already.
    """

    fission_fractions: Mapping[str, float]
    thermal_power: float = 0.0
    distance: float = 0.0
    energy_per_fission: str = "kopeikin2004"
    spectrum: str = "bestiole"
    alternative: str | None = None
    captures_per_fission: float = 0.6
    normalisation: Literal["fissions", "flux", "per_fission"] = "fissions"
    total_flux: float = 0.0
    scale: float = 1.0
    pulls: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_names("reactor fission_fractions", self.fission_fractions, ISOTOPES)
        check_names("reactor pulls", self.pulls, PULLS)
        if abs((total := sum(self.fission_fractions.values())) - 1) > 0.1:
            raise ModelError(f"reactor fission_fractions: sum is {total:g}; expected 1 within 0.1")
        if self.normalisation == "fissions" and not (self.thermal_power > 0 and self.distance > 0):
            raise ModelError("reactor: normalisation 'fissions' needs thermal_power and distance above 0")
        if self.normalisation == "flux" and not self.total_flux > 0:
            raise ModelError("reactor: normalisation 'flux' needs a total_flux above 0")
        if self.normalisation not in (allowed := ("fissions", "flux", "per_fission")):
            raise ModelError(f"reactor normalisation: found {self.normalisation!r}; allowed are {', '.join(allowed)}")
        energy_per_fission(self.energy_per_fission)
        self._check_spectrum()

    def _check_spectrum(self) -> None:
        spectra = fission_spectra(self.spectrum)
        if spectra.with_capture and self.captures_per_fission:
            raise ModelError(
                f"reactor spectrum {self.spectrum!r} holds the capture on 238U; captures_per_fission is "
                f"{self.captures_per_fission:g}, only 0 is allowed with it"
            )
        if "total" in spectra.densities and any(self._pull(name) for name in huber.PULLS):
            raise ModelError(f"reactor spectrum {self.spectrum!r} is not split by isotope; huber pulls do not apply")
        if spectra.changes and any(self._pull(name) for name in huber.PULLS):
            raise ModelError(f"reactor spectrum {self.spectrum!r} has its own covariance; huber pulls do not apply")
        if not spectra.changes and any(self._pull(name) for name in measured.PULLS):
            known = ", ".join(measured.MEASURED)
            raise ModelError(f"reactor spectrum {self.spectrum!r} has no measured covariance; {known} have one")
        if (self._pull("alternative") != 0) and self.alternative is None:
            raise ModelError("reactor pulls: 'alternative' is given; name the alternative spectrum too")
        if self.alternative and fission_spectra(self.alternative).with_capture != spectra.with_capture:
            raise ModelError(f"reactor alternative: {self.alternative!r} and {self.spectrum!r} differ in the capture")

    def _pull(self, name: str) -> float:
        return self.pulls.get(name, 0.0)

    def _fractions(self) -> dict[str, float]:
        total = sum(self.fission_fractions.values())
        shares = {isotope: self.fission_fractions.get(isotope, 0.0) / total for isotope in ISOTOPES}
        burnup = self._pull("burnup")
        return shares | {"U235": shares["U235"] - burnup, "Pu239": shares["Pu239"] + burnup}

    def per_fission(self) -> Flux:
        """Antineutrinos per fission [1/MeV], pulls and captures included."""
        nominal = fission_spectra(self.spectrum)
        parts = [self._weighted(nominal, self._relative_change)]
        if (pull := self._pull("alternative")) and self.alternative is not None:
            end = nominal.seam if nominal.changes else np.inf
            parts.append(self._weighted(fission_spectra(self.alternative), None).below(end).scaled(pull))
            parts.append(self._weighted(nominal, None).below(end).scaled(-pull))
        if captures := self.captures_per_fission * (1 + self._pull("capture")):
            parts.append(capture_flux().scaled(captures))
        return reduce(add, parts)

    def _weighted(self, spectra: FissionSpectra, change: Callable[[str, FissionSpectra], FloatArray] | None) -> Flux:
        weights = {"total": 1.0} if "total" in spectra.densities else self._fractions()
        density = np.zeros_like(spectra.energies)
        for isotope, weight in weights.items():
            factor = 1.0 if change is None else 1 + change(isotope, spectra)
            density = density + weight * factor * spectra.densities[isotope]
        return Flux(spectra.energies, density)

    def _relative_change(self, isotope: str, spectra: FissionSpectra) -> FloatArray:
        pulls = {name: pull for name, pull in self.pulls.items() if pull and name in huber.PULLS}
        shift = huber.huber_shift(isotope, spectra.energies, pulls)
        tilt = self._pull("tilt") * (spectra.energies - TILT_CENTRE) / units.MeV
        for change, name in zip(spectra.changes.get(isotope, ()), measured.PULLS, strict=False):
            shift = shift + self._pull(name) * change
        if end := self._pull("end_point"):
            shift = shift + end * end_point_error(isotope, spectra.energies, spectra.measured_end)
        return np.where(spectra.low, self._pull("low_energy"), shift) + tilt

    def fission_rate(self) -> float:
        """Fissions per time [1/s]: the thermal power over the mean energy per fission."""
        table, pull = energy_per_fission(self.energy_per_fission), self._pull("fission_energy")
        mean = sum(share * (table[i][0] + pull * table[i][1]) for i, share in self._fractions().items())
        return self.thermal_power / mean

    def components(self) -> tuple[FluxComponent, ...]:
        """One component of electron antineutrinos, per time (or per fission)."""
        flux = self.per_fission().scaled(self.scale * self._weight())
        spectra = fission_spectra(self.spectrum)
        component = FluxComponent("reactor", "e", True, flux, per_time=self.normalisation != "per_fission")
        return (replace(component, continued=flux.above(spectra.last_point), beyond=beyond(flux)),)

    def _weight(self) -> float:
        """Fissions per area and time [1/cm^2/s] that stand behind the flux; 1 where it is left per fission."""
        if self.normalisation == "per_fission":
            return 1.0
        if self.normalisation == "flux":
            return self.total_flux / replace(self, pulls={}).per_fission().total()
        return self.fission_rate() / (4 * math.pi * self.distance**2)

    def warnings(self) -> tuple[str, ...]:
        """A fuel beyond what the measured spectrum covers."""
        outside = measured.outside_fuel(self._fractions()) if self.spectrum in measured.MEASURED else None
        return () if outside is None else (outside,)

    def data_files(self) -> tuple[Path, ...]:
        """The tables in use, each once."""
        files = [*spectrum_files(self.spectrum), *(spectrum_files(self.alternative) if self.alternative else ())]
        if self.captures_per_fission:
            files.append(data_file(CAPTURE_FILE))
        if self.normalisation == "fissions":
            files.append(data_file("reactor/energy_per_fission.csv"))
        if any(self._pull(name) for name in huber.PULLS):
            files.append(huber.huber_file())
        if self._pull("end_point"):
            files += end_point_files()
        return tuple(dict.fromkeys(files))
