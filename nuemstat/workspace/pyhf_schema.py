"""The words of pyhf's JSON (schema 1.0.0), strict as its own schema, with errors of one line."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from nuemstat.errors import WorkspaceError
from nuemstat.strict import Strict, one_line, tupled

Numbers = Annotated[tuple[float, ...], Field(min_length=1)]


class NormData(Strict):
    """Factors at +1 and -1."""

    hi: float
    lo: float


class HistoData(Strict):
    """Contents at +1 and -1."""

    hi_data: Numbers
    lo_data: Numbers


class NormSysPart(Strict):
    """A normsys."""

    type: Literal["normsys"]
    name: str
    data: NormData


class HistoSysPart(Strict):
    """A histosys."""

    type: Literal["histosys"]
    name: str
    data: HistoData


class ErrorsPart(Strict):
    """A shapesys or staterror, with absolute errors."""

    type: Literal["shapesys", "staterror"]
    name: str
    data: Numbers


class PlainPart(Strict):
    """A modifier without data."""

    type: Literal["normfactor", "shapefactor", "lumi"]
    name: str
    data: None


ModifierPart = Annotated[NormSysPart | HistoSysPart | ErrorsPart | PlainPart, Field(discriminator="type")]


class SamplePart(Strict):
    """A sample."""

    name: str
    data: Numbers
    modifiers: tuple[ModifierPart, ...]


class ChannelPart(Strict):
    """A channel."""

    name: str
    samples: Annotated[tuple[SamplePart, ...], Field(min_length=1)]


class ObservationPart(Strict):
    """Counts of a channel."""

    name: str
    data: Numbers


class ParameterPart(Strict):
    """Settings of a parameter in a measurement."""

    name: str
    inits: Numbers | None = None
    bounds: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)] | None = None
    auxdata: Numbers | None = None
    factors: Numbers | None = None
    sigmas: Numbers | None = None
    fixed: bool | None = None


class ConfigPart(Strict):
    """What a measurement settles."""

    poi: str
    parameters: tuple[ParameterPart, ...]


class MeasurementPart(Strict):
    """A measurement."""

    name: str
    config: ConfigPart


class PyhfDocument(Strict):
    """A whole workspace of pyhf."""

    channels: Annotated[tuple[ChannelPart, ...], Field(min_length=1)]
    observations: Annotated[tuple[ObservationPart, ...], Field(min_length=1)]
    measurements: Annotated[tuple[MeasurementPart, ...], Field(min_length=1)]
    version: Literal["1.0.0"]


def pyhf_document(content: Any, where: str = "workspace") -> PyhfDocument:
    """The parsed JSON of a pyhf workspace, checked against pyhf's schema.

    Raises
    ------
    WorkspaceError : a key, type or modifier that the schema does not know, or a number that is not finite.
    """
    try:
        return PyhfDocument.model_validate(tupled(content))
    except ValidationError as error:
        raise WorkspaceError(f"{where}: {one_line(error)}") from None
