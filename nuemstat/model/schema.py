"""The vocabulary of a model file: one experiment, from flux to observed counts, every number with its source."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from nuemstat import units
from nuemstat.errors import ModelError, UnitError, suggestion
from nuemstat.model.fields import Column, Duration, Exposure, LengthShift, Mass, MassDensity, PositiveEnergy
from nuemstat.model.schema_background import Background
from nuemstat.model.schema_follows import GrowingPositiveNumber, check_follows
from nuemstat.model.schema_nuisance import FreeField, NuisanceField
from nuemstat.model.schema_observed import Errors, Observed
from nuemstat.model.schema_photons import NEUTRINO_MASS, PULLED, ElementPulls
from nuemstat.model.schema_released import Released
from nuemstat.model.schema_response import Response
from nuemstat.model.schema_source import Reactor, Source, Timing
from nuemstat.physics.electron import EQUIVALENT_PHOTONS
from nuemstat.physics.media import KnownMedium, Phase, choose_medium
from nuemstat.polynomial import FloatArray
from nuemstat.strict import Name, Strict
from nuemstat.workspace.document import MayOverlap

SCHEMA = "nuemstat/model/1"
Group = Literal[
    "electron",
    "pulls",
    "likelihood",
    "spectrum",
    "reactor",
    "cut",
    "electron_cut",
    "cevns",
    "quenching",
    "flux",
    "channels",
    "systematic",
    "data",
    "background",
    "efficiency",
    "exposure",
    "survival",
    "octant",
]


class Conventions(Strict):
    """Which of the literature's conventions the cross sections follow.

    muon_tau_weak : factor on the weak scattering of nu_mu and nu_tau on electrons beside that of nu_e, for what
    radiative corrections that depend on the recoil leave between flavours.
    """

    couplings: Literal["set_A", "set_B", "tree"] = "set_A"
    muon_tau_weak: Annotated[float, Field(gt=0)] = 1.0
    form_factor: Literal["helm", "klein_nystrand", "symmetrised_fermi", "point"] = "helm"
    neutron_radius_shift: LengthShift = LengthShift(value="0 fm", source="definition", status="chosen")


class Target(Strict):
    """What the neutrinos scatter on: atoms per formula unit, by element or single isotope.

    mass and live_time, or their product exposure; channels may name an exposure of their own.
    rate_per : the channels hold rates, counts in this time, while the data were taken in live_time.
    per : instead of them one target particle: an electron, or the formula unit.
    density, phase : of the medium, which charges on electrons know (approximation best); those of the table of media
    (nuemstat/data/atomic/media.csv) when left out.
    """

    formula: dict[str, Annotated[float, Field(gt=0)]]
    mass: Mass | None = None
    live_time: Duration | None = None
    exposure: Exposure | None = None
    rate_per: Duration | None = None
    per: Literal["electron", "formula_unit"] | None = None
    density: MassDensity | None = None
    phase: Phase | None = None

    @property
    def medium(self) -> KnownMedium:
        """What charges see; a ModelError where neither the target nor the table of media says it."""
        return choose_medium(self.formula, self.phase, self.density.number if self.density else None)

    @model_validator(mode="after")
    def _one_exposure(self) -> "Target":
        if self.per is not None:
            if self.mass or self.exposure or self.live_time:
                raise ValueError("a prediction per target particle has no mass, live_time or exposure")
        elif (self.mass is None) == (self.exposure is None) or (self.exposure and self.live_time):
            raise ValueError("a target needs mass (with live_time where the flux is per time) or exposure, one of them")
        if self.rate_per is not None and self.live_time is None:
            raise ValueError("rate_per: found without live_time; a rate was measured in one, beside mass")
        return self


class Signal(Strict):
    """One way of neutrino scattering, in the channels it is seen in.

    branches : of the Sun, where not all of them are meant;
    standard_model_counts : what all of its channels together expect without new physics; the signal is scaled to it
    as the model stands, and what nuisances do to the flux and the response still changes it. 1 makes the channel a
    ratio to the Standard Model.
    photoabsorption : pulls of the tabulated error of photoabsorption (approximations best, rrpa, epa).
    Of equivalent photons (rrpa, epa): neutrino_mass : in their logarithm; equivalent_photons : pulls of their own
    error, the longitudinal field that they leave out.
    Of best: dielectric : pulls of charges towards Hartree-Fock; moments : pulls of moments; low_charges : pull of
    charges between 50 and 100 eV. Pulls are by element but the last, in sigma, and refused where nothing has them.
    """

    interaction: Literal["cevns", "electron"]
    approximation: Literal["best", "rrpa", "epa", "fea", "free"] | None = None
    response: str | dict[Name, str]
    channels: tuple[str, ...]
    branches: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    standard_model_counts: GrowingPositiveNumber | None = None
    neutrino_mass: PositiveEnergy = NEUTRINO_MASS
    photoabsorption: ElementPulls = ElementPulls()
    equivalent_photons: ElementPulls = ElementPulls()
    dielectric: ElementPulls = ElementPulls()
    moments: ElementPulls = ElementPulls()
    low_charges: float = 0.0
    released: Released | None = None

    def response_in(self, channel: str) -> str:
        """Name of the response in one of its channels."""
        return self.response if isinstance(self.response, str) else self.response[channel]

    @model_validator(mode="after")
    def _response_of_each_channel(self) -> "Signal":
        if isinstance(self.response, dict) and set(self.response) != set(self.channels):
            found, wanted = ", ".join(self.response), ", ".join(self.channels)
            raise ValueError(f"found responses for {found}; one for each of {wanted} is allowed")
        return self

    @model_validator(mode="after")
    def _released_of_each_channel(self) -> "Signal":
        if self.released is None:
            return self
        if not isinstance(self.released.table, str) and set(self.released.table) != set(self.channels):
            found, wanted = ", ".join(self.released.table), ", ".join(self.channels)
            raise ValueError(f"released.table: found tables for {found}; one for each of {wanted} is allowed")
        if self.released.use == "reference" and len(self.branches or ()) != 1:
            raise ValueError("released: use 'reference' is for a signal of one branch of the Sun; name it in branches")
        return self

    @model_validator(mode="after")
    def _approximation_of_electrons(self) -> "Signal":
        if (self.interaction == "electron") != (self.approximation is not None):
            raise ValueError("approximation is required for interaction 'electron' and not allowed for 'cevns'")
        return self

    @model_validator(mode="after")
    def _pulls_where_they_act(self) -> "Signal":
        who = f"approximation {self.approximation!r}" if self.approximation else f"interaction {self.interaction!r}"
        for kind, (known, what) in PULLED.items():
            pulled = getattr(self, kind)
            for element in pulled.pulled if self.approximation not in known else ():
                raise ValueError(f"{kind}.{element}: found {pulled.of(element):g}; 0 is allowed: {who} has no {what}")
        if self.low_charges and not self.in_matter:
            what = PULLED["dielectric"][1]
            raise ValueError(f"low_charges: found {self.low_charges:g}; 0 is allowed: {who} has no {what}")
        if not self.has_photons and "neutrino_mass" in self.model_fields_set:
            found = self.neutrino_mass.value
            raise ValueError(f"neutrino_mass: found {found}; none is allowed: {who} has no equivalent photons")
        return self

    @property
    def has_photons(self) -> bool:
        """Whether charges ionise by equivalent photons."""
        return self.approximation in EQUIVALENT_PHOTONS

    @property
    def in_matter(self) -> bool:
        """Whether charges ionise the medium by the dielectric formula."""
        return self.approximation == "best"


class Range(Strict):
    """Equal bins."""

    start: float
    stop: float
    bins: Annotated[int, Field(gt=0, le=100_000)]


class AxisField(Strict):
    """An axis: its edges in its unit, listed or as equal bins."""

    name: Name
    unit: str
    edges: tuple[float, ...] | Range

    @field_validator("unit")
    @classmethod
    def _known(cls, unit: str) -> str:
        try:
            units.unit(unit)
        except UnitError as error:
            raise ValueError(str(error)) from None
        return unit

    @field_validator("edges")
    @classmethod
    def _rising(cls, edges: Any) -> Any:
        if isinstance(edges, tuple) and (len(edges) < 2 or any(np.diff(edges) <= 0)):
            raise ValueError("found edges that do not rise; at least two strictly rising numbers are allowed")
        if isinstance(edges, Range) and edges.start >= edges.stop:
            raise ValueError(f"found {edges.start:g} to {edges.stop:g}; a start below the stop is allowed")
        return edges

    @property
    def is_zenith(self) -> bool:
        """Whether it is the cosine of the zenith angle in which neutrinos fly: below 0 by day, above 0 by night."""
        return self.name == "zenith"

    @property
    def values(self) -> FloatArray:
        """Edges in the axis' own unit."""
        if isinstance(self.edges, Range):
            return np.linspace(self.edges.start, self.edges.stop, self.edges.bins + 1)
        return np.asarray(self.edges, dtype=float)

    @property
    def internal(self) -> FloatArray:
        """Edges in internal units."""
        return self.values * units.unit(self.unit).scale


class ChannelField(Strict):
    """Binned data: what was observed, and how its errors are to be read.

    exposure : of this channel, where runs differ; that of the target when left out.
    unit : of one count, where it is not 1: ``1e-44 cm^2`` for cross sections; bin_exposure : the part of the exposure
    in which each bin was measured, a factor on the signals.
    """

    axes: Annotated[tuple[AxisField, ...], Field(min_length=1, max_length=4)]
    exposure: Exposure | None = None
    statistic: Literal["poisson", "gaussian"]
    observed: Observed
    errors: Errors | None = None
    unit: str = "1"
    bin_exposure: Column | None = None
    source: str

    @model_validator(mode="after")
    def _errors_of_gaussian(self) -> "ChannelField":
        if (self.statistic == "gaussian") != (self.errors is not None):
            raise ValueError("errors are required for statistic 'gaussian' and not allowed for 'poisson'")
        return self


class ModelDocument(Strict):
    """A model file with its variants applied.

    kind : `data`, `measurement` where the result is one published number in one bin, or `sensitivity`.
    describes : which of exclusive descriptions of one thing it takes, for example ``ge_quenching: lindhard``; members
    of a joint fit may not differ in one.
    may_overlap : data sets of other models that may hold the same events, with the reason why it is not known.
    variants : group -> option -> overlay, a merge patch of this file; the first option is the default. An overlay has
    two keys that are not of the file, ``sets: {group: option}``: the options of other groups that it takes with it,
    and ``changes: {path: value}``: numbers that are set after all overlays, with what follows them.
    order : keys that several groups set, by their dotted path, and the groups as their overlays are applied there.
    """

    schema_: Literal["nuemstat/model/1"] = Field(alias="schema")
    name: Name
    title: str
    experiment: str
    kind: Literal["data", "measurement", "sensitivity"]
    year: int
    datasets: tuple[Name, ...]
    may_overlap: tuple[MayOverlap, ...] = ()
    references: tuple[str, ...]
    conventions: Conventions = Conventions()
    describes: dict[Name, Name] = Field(default_factory=dict)
    source: Source
    timing: Timing | None = None
    target: Target
    responses: dict[Name, Response]
    channels: Annotated[dict[Name, ChannelField], Field(min_length=1)]
    signals: dict[Name, Signal]
    backgrounds: dict[Name, Background] = Field(default_factory=dict)
    nuisances: dict[Name, NuisanceField] = Field(default_factory=dict)
    free: dict[Name, FreeField] = Field(default_factory=dict)
    variants: dict[Group, dict[Name, dict[str, Any] | None]] = Field(default_factory=dict)
    order: dict[str, tuple[Group, ...]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_meet(self) -> "ModelDocument":
        processes = {*self.signals, *(name for name, b in self.backgrounds.items() if b.free is None)}
        uses = [(f"signals.{n}.channels", c, set(self.channels)) for n, s in self.signals.items() for c in s.channels]
        for name, signal in self.signals.items():
            found_in = {signal.response_in(channel) for channel in signal.channels}
            uses += [(f"signals.{name}.response", response, set(self.responses)) for response in sorted(found_in)]
        for name, background in self.backgrounds.items():
            uses += [(f"backgrounds.{name}.channels", c, set(self.channels)) for c in background.channels]
            for key in ("response", "selection"):
                if (named := getattr(background, key)) is not None:
                    uses.append((f"backgrounds.{name}.{key}", named, set(self.responses)))
            uses += [(f"backgrounds.{name}.less", process, processes - {name}) for process in background.less]
        for name, row in self.nuisances.items():
            uses += [(f"nuisances.{name}.processes", process, processes) for process in row.processes or ()]
        for name, free in self.free.items():
            uses += [(f"free.{name}.processes", process, processes) for process in free.processes or ()]
        for kind, rows in (("nuisances", self.nuisances), ("free", self.free)):
            for name, narrowed in rows.items():
                if narrowed.only:
                    uses += [(f"{kind}.{name}.only.processes", p, processes) for p in narrowed.only.processes]
        for where, found, known in uses:
            if found not in known:
                hint = suggestion(found, sorted(known))
                raise ValueError(f"{where}: found {found!r}; this model has {', '.join(sorted(known))}{hint}")
        return self

    @model_validator(mode="after")
    def _one_number(self) -> "ModelDocument":
        bins = sum(int(np.prod([len(a.values) - 1 for a in c.axes])) for c in self.channels.values())
        if self.kind == "measurement" and bins != 1:
            raise ValueError(f"kind: found 'measurement' with {bins} bins; one bin, the published number, is allowed")
        return self

    @model_validator(mode="after")
    def _one_unknown(self) -> "ModelDocument":
        unknown = [name for name, background in self.backgrounds.items() if background.free is not None]
        if len(unknown) > 1:
            raise ValueError(f"backgrounds: found free: per_bin in {', '.join(unknown)}; one of them takes all bins")
        for name, channel in self.channels.items():
            if unknown and channel.statistic != "poisson":
                raise ValueError(
                    f"backgrounds.{unknown[0]}: free: per_bin needs counts; channel {name} is {channel.statistic}"
                )
        return self

    @model_validator(mode="after")
    def _pulls_of_elements(self) -> "ModelDocument":
        for name, signal in self.signals.items():
            for kind in PULLED:
                for element in getattr(signal, kind).pulled:
                    if element not in self.target.formula:
                        found = f"signals.{name}.{kind}.{element}: found {getattr(signal, kind).of(element):g}"
                        known = ", ".join(self.target.formula)
                        raise ValueError(f"{found}; the target has {known}, pulls of these are allowed")
        return self

    @model_validator(mode="after")
    def _followed(self) -> "ModelDocument":
        check_follows(self)
        return self

    @model_validator(mode="after")
    def _medium_of_charges(self) -> "ModelDocument":
        if any(signal.in_matter for signal in self.signals.values()):
            try:
                _ = self.target.medium
            except ModelError as error:
                raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _per_fission(self) -> "ModelDocument":
        cross_section = isinstance(self.source, Reactor) and self.source.normalisation == "per_fission"
        if cross_section != (self.target.per is not None):
            raise ValueError("a source normalised 'per_fission' goes with target.per, and that with such a source")
        dimension = units.AREA if cross_section and not self._given_counts else units.DIMENSIONLESS
        for name, channel in self.channels.items():
            try:
                units.parse(channel.unit, dimension)
            except UnitError as error:
                raise ValueError(f"channels.{name}.unit: {error}") from None
        return self

    @property
    def _given_counts(self) -> bool:
        return any(signal.standard_model_counts for signal in self.signals.values())
