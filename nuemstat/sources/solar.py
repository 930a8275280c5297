"""Neutrinos of the Sun at the Earth, by branch and flavour."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial, reduce
from operator import add
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux
from nuemstat.physics.oscillation import OscillationParameters, averaged_survival, flavour_shares
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.sources.component import Flavour, FluxComponent, When, check_names
from nuemstat.sources.survival import MeasuredSurvival, survival_file
from nuemstat.tables import read_table
from nuemstat.vocabulary import FLAVOURS

BRANCHES: Final = ("pp", "pep", "be7", "b8", "hep", "n13", "o15", "f17")
SOLAR_MODELS: Final = ("b16_gs98", "b16_agss09met")
B8_SPECTRA: Final = ("winter", "ortiz", "bahcall")
UNCONVERTED: Final = "none"
"""Name of the parameter set of neutrinos that stay what they are."""
OSCILLATION_SHIFTS: Final = ("s12_sq", "s13_sq", "dm21")

_FLUXES, _LINES = "solar/fluxes_b16.csv", "solar/lines.csv"
_OSCILLATION, _PRODUCTION = "solar/oscillation.csv", "solar/production_b16_gs98.csv"
_FIRST_NODES: Final = 60  # the moments with 1/E^2 live where the spectrum starts
_MOST_NODES: Final = 250


def _check_model(name: str) -> None:
    if name not in SOLAR_MODELS:
        raise ModelError(f"standard solar model: found {name!r}; allowed are {', '.join(SOLAR_MODELS)}")


@cache
def total_fluxes(standard_solar_model: str) -> Mapping[str, float]:
    """Flux of each branch at the Earth, all flavours [1/cm^2/s] (Vinyoles et al., arXiv:1611.09867).

    Raises
    ------
    ModelError : an unknown model.
    """
    _check_model(standard_solar_model)
    table = read_table(data_file(_FLUXES))
    values = table.numbers(standard_solar_model, units.FLUX)
    return MappingProxyType({b: float(v) for b, v in zip(table.words("branch"), values, strict=True)})


@cache
def fractional_uncertainties(standard_solar_model: str) -> Mapping[str, float]:
    """One-sigma model uncertainty of each branch's flux, as a fraction of it (arXiv:1611.09867).

    Raises
    ------
    ModelError : an unknown model.
    """
    _check_model(standard_solar_model)
    table = read_table(data_file(_FLUXES))
    values = table.numbers(f"{standard_solar_model}_uncertainty")
    return MappingProxyType({b: float(v) for b, v in zip(table.words("branch"), values, strict=True)})


@cache
def oscillation_parameters(name: str) -> OscillationParameters:
    """A set of best-fit mixing parameters by name: pdg2020, nufit52, nufit60, desalas2020; none: no mixing.

    Raises
    ------
    ModelError : an unknown name.
    """
    if name == UNCONVERTED:
        return OscillationParameters(s12_sq=0.0, s13_sq=0.0, s23_sq=0.0, dm21=0.0)
    table = read_table(data_file(_OSCILLATION))
    if name not in (names := table.words("name")):
        raise ModelError(f"oscillation parameters: found {name!r}; allowed are {', '.join(names)}")
    row = names.index(name)
    s12_sq, s13_sq, s23_sq = (float(table.numbers(column)[row]) for column in ("s12_sq", "s13_sq", "s23_sq"))
    dm21 = float(table.numbers("dm21", (2, 0, 0, 0))[row])
    return OscillationParameters(s12_sq=s12_sq, s13_sq=s13_sq, s23_sq=s23_sq, dm21=dm21)


@cache
def production(branch: str) -> tuple[FloatArray, FloatArray]:
    """Electron density [1/cm^3] and the weight of each radius in a branch's production (sum 1), shapes (n_radii,)."""
    table = read_table(data_file(_PRODUCTION))
    density = 10 ** table.numbers("log10_electron_density") * units.AVOGADRO / units.cm**3
    weight = table.numbers(branch) * np.gradient(table.numbers("radius"))
    return density, weight / weight.sum()


def _spectrum_file(branch: str, b8_spectrum: str) -> Path:
    return data_file(f"solar/spectrum_{branch}{f'_{b8_spectrum}' if branch == 'b8' else ''}.csv")


@cache
def unit_spectrum(branch: str, *, b8_spectrum: str = "winter", b8_shape: float = 0.0) -> Flux:
    """Energy spectrum of a branch at birth, unit area [1/MeV]; 7Be and pep are lines.

    b8_shape : pull of the tabulated error of the 8B spectrum [sigma], one for all energies.

    Long tables keep their first 60 nodes and then every n-th, about 300 in all; the moments that rates need change
    by less than 1e-4. Where a table starts above zero energy the spectrum goes to zero there.
    """
    lines = read_table(data_file(_LINES))
    if branch in (names := lines.words("branch")):
        rows = zip(names, lines.numbers("energy", units.ENERGY), lines.numbers("share"), strict=True)
        return reduce(add, [Flux.line(float(energy), float(share)) for name, energy, share in rows if name == branch])
    table = read_table(_spectrum_file(branch, b8_spectrum))
    energies, density = table.numbers("energy", units.ENERGY), table.numbers("density", (-1, 0, 0, 0))
    if b8_shape and branch == "b8":
        if "uncertainty" not in table.columns:
            raise ModelError(f"solar b8_shape: the spectrum {b8_spectrum!r} has no tabulated error; 0 is allowed")
        density = np.maximum(density + b8_shape * table.numbers("uncertainty", (-1, 0, 0, 0)), 0.0)
    if energies[0] > 0:
        energies, density = np.append(0.0, energies), np.append(0.0, density)
    end = int(np.flatnonzero(density)[-1]) + 2  # tables go on with zeros
    energies, density = energies[:end], density[:end]
    last = energies.size - 1
    kept = np.unique(
        np.concatenate((np.arange(min(_FIRST_NODES, last)), np.arange(0, last, -(-last // _MOST_NODES)), [last]))
    )
    flux = Flux(energies[kept], density[kept])
    return flux.scaled(1 / flux.total())


@dataclass(frozen=True, slots=True, kw_only=True)
class SolarSource:
    """The Sun by day: a standard solar model with adiabatic flavour conversion.

    standard_solar_model : one of `SOLAR_MODELS`; oscillation : name of a parameter set, or `UNCONVERTED`;
    s23_sq : takes the place of the set's; oscillation_shift : added to s12_sq, s13_sq [1] or dm21 [MeV^2], neutral at
    0; flux : of a branch at the Earth, all flavours [1/area/time], instead of the solar model's; scale : factor on the
    flux of a branch, 1 where not named; b8_spectrum : one of `B8_SPECTRA`; b8_shape : pull of its error [sigma];
    measured : P_ee by day and by night as they were measured, instead of the adiabatic conversion; branches : those to
    keep.
    The regions of production and the electron density are those of B16-GS98 for both compositions.

    Raises
    ------
    ModelError : an unknown name.
    """

    standard_solar_model: str = "b16_gs98"
    oscillation: str = "pdg2020"
    s23_sq: float = 0.545
    oscillation_shift: Mapping[str, float] = field(default_factory=dict)
    flux: Mapping[str, float] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    b8_spectrum: str = "winter"
    b8_shape: float = 0.0
    measured: MeasuredSurvival | None = None
    branches: tuple[str, ...] = BRANCHES

    def __post_init__(self) -> None:
        _check_model(self.standard_solar_model)
        oscillation_parameters(self.oscillation)
        check_names("solar flux", self.flux, BRANCHES)
        check_names("solar scale", self.scale, BRANCHES)
        check_names("solar branches", dict.fromkeys(self.branches, 1.0), BRANCHES)
        check_names("solar oscillation_shift", self.oscillation_shift, OSCILLATION_SHIFTS)
        check_names("solar b8_spectrum", {self.b8_spectrum: 1.0}, B8_SPECTRA)

    def parameters(self) -> OscillationParameters:
        """The mixing parameters in use."""
        base, shift = oscillation_parameters(self.oscillation), self.oscillation_shift
        return OscillationParameters(
            s12_sq=base.s12_sq + shift.get("s12_sq", 0.0),
            s13_sq=base.s13_sq + shift.get("s13_sq", 0.0),
            s23_sq=self.s23_sq,
            dm21=base.dm21 + shift.get("dm21", 0.0),
        )

    def survival(self, branch: str, energies: FloatArray) -> FloatArray:
        """P_ee at `energies` [MeV], averaged over where the branch is produced, shape of `energies`."""
        if self.oscillation == UNCONVERTED:
            return np.ones_like(energies)
        return averaged_survival(energies, *production(branch), self.parameters())

    def components(self) -> tuple[FluxComponent, ...]:
        """One component per branch and flavour, per time."""
        return tuple(component for branch in self.branches for component in self._branch(branch))

    def _total(self, branch: str) -> float:
        modelled = total_fluxes(self.standard_solar_model)[branch]
        return self.flux.get(branch, modelled) * self.scale.get(branch, 1.0)

    def _times(self, branch: str) -> dict[When, Callable[[FloatArray], FloatArray]]:
        """P_ee as a function of the energy [MeV], by the time of day in which it holds."""
        if self.measured is None:
            return {"always": partial(self.survival, branch)}
        flux = self._total("b8")
        return {"day": partial(self.measured.by_day, flux=flux), "night": partial(self.measured.by_night, flux=flux)}

    def _branch(self, branch: str) -> tuple[FluxComponent, ...]:
        times = self._times(branch)
        spectrum = unit_spectrum(branch, b8_spectrum=self.b8_spectrum, b8_shape=self.b8_shape)
        born = spectrum.scaled(self._total(branch) / len(times))
        line_energies = np.array([energy for energy, _ in born.lines])
        found: list[FluxComponent] = []
        for when, survival in times.items():
            nodes = flavour_shares(survival(born.energies), self.parameters())
            peaks = flavour_shares(survival(line_energies), self.parameters())
            found += [_component(branch, flavour, born, nodes[flavour], peaks[flavour], when) for flavour in FLAVOURS]
        return tuple(found)

    def warnings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def data_files(self) -> tuple[Path, ...]:
        """The tables in use."""
        lines = read_table(data_file(_LINES)).words("branch")
        spectra = [_spectrum_file(b, self.b8_spectrum) for b in self.branches if b not in lines]
        measured = [data_file(survival_file(self.measured.name))] if self.measured else []
        return (*(data_file(name) for name in (_FLUXES, _LINES, _OSCILLATION, _PRODUCTION)), *spectra, *measured)


def _component(
    branch: str, flavour: Flavour, born: Flux, nodes: FloatArray, peaks: FloatArray, when: When
) -> FluxComponent:
    lines = tuple((energy, weight * float(p)) for (energy, weight), p in zip(born.lines, peaks, strict=True))
    flux = Flux(born.energies, born.density * nodes, lines)
    return FluxComponent(branch, flavour, False, flux, per_time=True, when=when)
