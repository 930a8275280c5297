"""The vocabulary of backgrounds in model files: tables, or a closed list of shapes."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nuemstat.model.fields import Number, PositiveEnergy, PositiveNumber
from nuemstat.model.schema_follows import GrowingNumber
from nuemstat.strict import Name, Strict


class TableShape(Strict):
    """One number per bin of the channel, bins in the channel's order.

    tilt : of a single axis, neutral at 0: the last bin grows and the first shrinks by this fraction.
    """

    type: Literal["table"]
    table: str
    column: str
    source: str
    tilt: float = 0.0


class AnchoredShape(Strict):
    """Numbers per bin as `table`, released at several pulls of one nuisance, straight lines between them.

    columns : column -> the pull it was released at [sigma]; pull : where the template is taken.
    """

    type: Literal["anchored"]
    table: str
    columns: Annotated[dict[str, float], Field(min_length=2)]
    source: str
    pull: float = 0.0

    @model_validator(mode="after")
    def _bracketed(self) -> "AnchoredShape":
        known = sorted(self.columns.values())
        if len(set(known)) < len(known) or not known[0] <= self.pull <= known[-1]:
            found = ", ".join(f"{pull:+g}" for pull in known)
            raise ValueError(f"found columns at {found}, pull {self.pull:+g}; different ones around it are allowed")
        return self


class HistogramShape(Strict):
    """A finer histogram along one axis (columns of bin `centre`), rebinned to the axis.

    follows_timing : the histogram is a time distribution that moves with the onset and takes the time efficiency.
    """

    type: Literal["histogram"]
    table: str
    centre: str
    column: str
    source: str
    follows_timing: bool = False


class FlatShape(Strict):
    """The same density everywhere."""

    type: Literal["flat"]


class BinShape(Strict):
    """All in one bin of the axis, whatever its edges; `number` counts from 1."""

    type: Literal["bin"]
    number: Annotated[int, Field(ge=1)]


class ExponentialShape(Strict):
    """exp(-x/scale) along the axis; x and scale in the axis' unit.

    start : x where it begins, for channels that share one curve: with an `area` they hold their parts of it, which is
    that from there on; the lower end of the axis when left out.
    """

    type: Literal["exponential"]
    scale: PositiveNumber
    start: Number | None = None


class GaussianShape(Strict):
    """A sum of Gaussian lines of one width; positions and width as energies, relative areas."""

    type: Literal["gaussian"]
    lines: Annotated[tuple["Line", ...], Field(min_length=1)]
    width: PositiveEnergy


class Line(Strict):
    """Position and relative area of a line (1 when left out)."""

    position: PositiveEnergy
    area: PositiveNumber | None = None


class LinesShape(Strict):
    """Monoenergetic deposits, smeared by the response."""

    type: Literal["lines"]
    lines: Annotated[tuple[Line, ...], Field(min_length=1)]


class SpectrumShape(Strict):
    """A true spectrum from a table: columns `energy` (of points) and a density, linear in between, zero outside."""

    type: Literal["spectrum"]
    table: str
    column: str
    source: str


class BetaShape(Strict):
    """An allowed beta spectrum of a daughter of charge Z; offset : of a photon that is always seen with it."""

    type: Literal["beta"]
    endpoint: PositiveEnergy
    Z: int
    offset: PositiveEnergy | None = None


class DoubleBetaShape(Strict):
    """Two-neutrino double beta decay, sum of both electrons (Primakoff-Rosen)."""

    type: Literal["double_beta"]
    q_value: PositiveEnergy


AxisShape = Annotated[HistogramShape | FlatShape | BinShape | ExponentialShape, Field(discriminator="type")]


class ProductShape(Strict):
    """A product of one-dimensional shapes, one per axis."""

    type: Literal["product"]
    axes: dict[str, AxisShape]


Shape = Annotated[
    TableShape
    | AnchoredShape
    | HistogramShape
    | FlatShape
    | BinShape
    | ExponentialShape
    | GaussianShape
    | LinesShape
    | SpectrumShape
    | BetaShape
    | DoubleBetaShape
    | ProductShape,
    Field(discriminator="type"),
]


class Background(Strict):
    """One background process.

    counts : expected in all bins of each channel it stands in; area : expected over the infinite axis, or what
    multiplies the numbers of a table. Both say what they follow when the experiment grows.
    less : processes whose prediction without new physics the table includes; it is taken out, once.
    response : folds a true spectrum through this response; without it the shape is what is measured.
    selection : of a measured shape, the response whose efficiency its counts have passed: where that efficiency moves
    they move with it as a flat spectrum does, their sum held.
    channels : the channels it stands in, with the shape in each.
    free : ``per_bin`` in place of all these, of a background of which nothing is known: one free parameter in each bin
    of each channel of the model, not below 0.
    """

    counts: GrowingNumber | None = None
    area: GrowingNumber | None = None
    response: str | None = None
    selection: str | None = None
    less: tuple[Name, ...] = ()
    channels: dict[str, Shape] = Field(default_factory=dict)
    free: Literal["per_bin"] | None = None

    @model_validator(mode="after")
    def _one_norm(self) -> "Background":
        if self.free is not None:
            beside = [key for key in sorted(self.model_fields_set - {"free"}) if getattr(self, key)]
            if beside:
                raise ValueError(
                    f"free: {self.free} stands alone, in all bins of all channels; found {', '.join(beside)} beside it"
                )
            return self
        if (self.counts is None) == (self.area is None):
            raise ValueError("a background needs counts or area, one of the two, or free: per_bin")
        if self.response is not None and self.selection is not None:
            raise ValueError(
                "response and selection: found both; a true spectrum has the one, measured counts the other"
            )
        if "channels" not in self.model_fields_set:
            raise ValueError("channels: this key is required and is not there")
        return self
