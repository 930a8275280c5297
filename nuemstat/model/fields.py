"""Quantities of a model file: a number with its unit, where it comes from, and how far that was checked."""

from typing import Any, ClassVar, Literal

from pydantic import field_validator

from nuemstat import units
from nuemstat.errors import UnitError
from nuemstat.strict import Strict

Status = Literal["read", "release", "cross-checked", "quoted", "digitised", "computed", "memory", "chosen"]
"""Seen in the publication; in its data release; in an independent analysis; where somebody else quotes it; read off a
figure; computed by us; from memory, to be verified; our own choice."""


class Quantity(Strict):
    """One number: ``{value: 2.96 GW, source: "arXiv:2202.09672"}``.

    uncertainty is what the source quotes; what a fit uses stands in the table of nuisances.
    """

    dimension: ClassVar[units.Dimension] = units.DIMENSIONLESS
    positive: ClassVar[bool] = False

    value: str | float | int
    source: str
    status: Status = "read"
    uncertainty: str | None = None
    note: str | None = None

    @field_validator("value")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        try:
            number = units.parse(value, cls.dimension)
        except UnitError as error:
            raise ValueError(str(error)) from None
        if cls.positive and number <= 0:
            raise ValueError(f"found {value!r}; allowed is a {units.describe(cls.dimension)} above 0")
        return value

    @property
    def number(self) -> float:
        """The value in internal units."""
        return units.parse(self.value, self.dimension)


class Number(Quantity):
    """A pure number, a percentage included."""


class PositiveNumber(Quantity):
    """A pure number above 0."""

    positive: ClassVar[bool] = True


class Energy(Quantity):
    """An energy."""

    dimension: ClassVar[units.Dimension] = units.ENERGY


class PositiveEnergy(Energy):
    """An energy above 0."""

    positive: ClassVar[bool] = True


class Length(Quantity):
    """A length above 0."""

    dimension: ClassVar[units.Dimension] = units.LENGTH
    positive: ClassVar[bool] = True


class LengthShift(Quantity):
    """A length of either sign."""

    dimension: ClassVar[units.Dimension] = units.LENGTH


class Mass(Quantity):
    """A mass above 0."""

    dimension: ClassVar[units.Dimension] = units.MASS
    positive: ClassVar[bool] = True


class MassDensity(Quantity):
    """A mass per volume above 0."""

    dimension: ClassVar[units.Dimension] = units.MASS_DENSITY
    positive: ClassVar[bool] = True


class Exposure(Quantity):
    """Mass times live time, above 0."""

    dimension: ClassVar[units.Dimension] = (0, 0, 1, 1)
    positive: ClassVar[bool] = True


class Duration(Quantity):
    """A time above 0."""

    dimension: ClassVar[units.Dimension] = units.TIME
    positive: ClassVar[bool] = True


class TimeShift(Quantity):
    """A time of either sign."""

    dimension: ClassVar[units.Dimension] = units.TIME


class Rate(Quantity):
    """An inverse time."""

    dimension: ClassVar[units.Dimension] = (0, 0, -1, 0)


class InverseEnergy(Quantity):
    """An inverse energy."""

    dimension: ClassVar[units.Dimension] = (-1, 0, 0, 0)


class Power(Quantity):
    """A thermal power above 0."""

    dimension: ClassVar[units.Dimension] = units.POWER
    positive: ClassVar[bool] = True


class TotalFlux(Quantity):
    """Neutrinos per area and time."""

    dimension: ClassVar[units.Dimension] = units.FLUX
    positive: ClassVar[bool] = True


class Column(Strict):
    """A column of a table beside the model file."""

    table: str
    column: str
