"""The vocabulary of neutrino sources in model files."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nuemstat.model.fields import (
    Duration,
    Length,
    Number,
    PositiveNumber,
    Power,
    Quantity,
    Rate,
    TimeShift,
    TotalFlux,
)
from nuemstat.strict import Strict


class SolarScale(Strict):
    """Factors on the fluxes, of the standard solar model or given, 1 unless a nuisance moves them."""

    pp: float = 1.0
    pep: float = 1.0
    be7: float = 1.0
    b8: float = 1.0
    hep: float = 1.0
    n13: float = 1.0
    o15: float = 1.0
    f17: float = 1.0


class SolarFlux(Strict):
    """Total fluxes of branches at the Earth that take the place of the standard solar model's, as one was measured."""

    pp: TotalFlux | None = None
    pep: TotalFlux | None = None
    be7: TotalFlux | None = None
    b8: TotalFlux | None = None
    hep: TotalFlux | None = None
    n13: TotalFlux | None = None
    o15: TotalFlux | None = None
    f17: TotalFlux | None = None

    @property
    def given(self) -> dict[str, float]:
        """Fluxes by branch where one is given [1/area/time]."""
        return {branch: flux.number for branch, flux in self if flux is not None}


class SurvivalPulls(Strict):
    """Pulls of what was measured of P_ee along with the flux; see nuemstat.sources.survival."""

    c0: float = 0.0
    c1: float = 0.0
    c2: float = 0.0
    a0: float = 0.0
    a1: float = 0.0


class Survival(Strict):
    """P_ee by day and by night as an experiment has measured it, with its correlation to the 8B flux.

    c0_error : factor on the error of P_ee at 10 MeV.
    """

    measured: Literal["sno"]
    pulls: SurvivalPulls = SurvivalPulls()
    c0_error: Annotated[float, Field(gt=0)] = 1.0


class Solar(Strict):
    """The Sun: all branches of a standard solar model, with flavour conversion.

    oscillation : parameters of the adiabatic conversion, `none` without any; survival : measured, in its place;
    flux : of a branch, all flavours, instead of the standard solar model's; scale : factors on either;
    b8_spectrum : whose measurement of the neutrinos' energies from 8B; b8_shape : pull of its tabulated error.
    """

    type: Literal["solar"]
    standard_solar_model: Literal["b16_gs98", "b16_agss09met"]
    oscillation: str
    sin2_theta23: Number | None = None
    survival: Survival | None = None
    b8_spectrum: Literal["winter", "ortiz", "bahcall"] = "winter"
    b8_shape: float = 0.0
    flux: SolarFlux = SolarFlux()
    scale: SolarScale = SolarScale()


class FissionFractions(Strict):
    """Share of each isotope in the fissions; they sum to 1."""

    U235: Number
    U238: Number
    Pu239: Number
    Pu241: Number

    @model_validator(mode="after")
    def _normalised(self) -> "FissionFractions":
        total = self.U235.number + self.U238.number + self.Pu239.number + self.Pu241.number
        if abs(total - 1) > 0.011:
            raise ValueError(f"found fission fractions that sum to {total:g}; 1 within 0.01 is allowed")
        return self


class ReactorPulls(Strict):
    """Systematic changes of the spectrum, neutral at 0; see nuemstat.sources.reactor.PULLS."""

    low_energy: float = 0.0
    capture: float = 0.0
    tilt: float = 0.0
    alternative: float = 0.0
    burnup: float = 0.0
    fission_energy: float = 0.0
    end_point: float = 0.0
    huber_z: float = 0.0
    huber_wm: float = 0.0
    huber_norm: float = 0.0
    huber_pc0: float = 0.0
    huber_pc1: float = 0.0
    huber_pc2: float = 0.0
    huber_pc3: float = 0.0
    huber_pc4: float = 0.0
    huber_pc5: float = 0.0
    measured_pc0: float = 0.0
    measured_pc1: float = 0.0
    measured_pc2: float = 0.0
    measured_pc3: float = 0.0
    measured_pc4: float = 0.0
    measured_pc5: float = 0.0
    measured_pc6: float = 0.0
    measured_pc7: float = 0.0
    measured_pc8: float = 0.0
    measured_pc9: float = 0.0
    measured_pc10: float = 0.0
    measured_pc11: float = 0.0
    measured_pc12: float = 0.0
    measured_pc13: float = 0.0
    measured_pc14: float = 0.0


class Reactor(Strict):
    """A nuclear reactor.

    normalisation : by fissions (thermal power over energy per fission), to a quoted total flux, or none: per fission,
    for measured cross sections; alternative : the spectrum that pulls.alternative leads to.
    """

    type: Literal["reactor"]
    thermal_power: Power | None = None
    distance: Length | None = None
    fission_fractions: FissionFractions
    energy_per_fission: Literal["kopeikin2004", "ma2013", "james1969"] = "kopeikin2004"
    spectrum: str
    alternative: str | None = None
    captures_per_fission: Number
    normalisation: Literal["fissions", "flux", "per_fission"] = "fissions"
    total_flux: TotalFlux | None = None
    pulls: ReactorPulls = ReactorPulls()

    @model_validator(mode="after")
    def _one_normalisation(self) -> "Reactor":
        given = [n for n in ("thermal_power", "distance", "total_flux") if getattr(self, n) is not None]
        wanted = {"fissions": ["thermal_power", "distance"], "flux": ["total_flux"], "per_fission": []}
        if given != (needed := wanted[self.normalisation]):
            raise ValueError(
                f"normalisation is {self.normalisation!r}; found {', '.join(given) or 'no flux'}; "
                f"{' and '.join(needed) or 'neither a power nor a flux'} is allowed with it"
            )
        return self


class PionDecay(Strict):
    """Pions decaying at rest at a spallation source."""

    type: Literal["pion_decay"]
    protons_on_target: PositiveNumber
    neutrinos_per_proton: PositiveNumber
    distance: Length


Source = Annotated[Solar | Reactor | PionDecay, Field(discriminator="type")]


class TableProfiles(Strict):
    """Arrival times released by the experiment: columns of bin edges and of probability per bin."""

    type: Literal["table"]
    table: str
    source: str


class PulseProfiles(Strict):
    """Arrival times from a Gaussian proton pulse and the lifetimes of pion and muon."""

    type: Literal["pulse"]
    mean: TimeShift
    width: Duration


class TimeEfficiency(Strict):
    """1 up to the plateau's end, then falling as exp(-rate x time)."""

    plateau_end: Duration
    decay_rate: Rate


class Timing(Strict):
    """Arrival times of prompt and delayed neutrinos, and how well the detector sees them."""

    profiles: Annotated[TableProfiles | PulseProfiles, Field(discriminator="type")]
    onset: TimeShift
    efficiency: TimeEfficiency | None = None


__all__ = ["Quantity", "Source", "Timing"]
