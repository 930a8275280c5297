"""The vocabulary of observations in model files: a table, numbers in the file, or the prediction of the model."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from nuemstat.model.fields import Column, Status
from nuemstat.model.schema_follows import GrowingWidth
from nuemstat.strict import Name, Strict

Numbers = Annotated[tuple[float, ...], Field(min_length=1)]
Along = Annotated[tuple[Name, ...], Field(min_length=1)] | None
Wide = TypeVar("Wide", "ErrorColumn", "ErrorValues")


class Values(Strict):
    """One number per bin, in the unit of the channel."""

    values: Numbers
    source: str
    status: Status = "read"
    note: str | None = None


class ErrorColumn(Column, GrowingWidth):
    """A column of errors; `systematic`, `uncorrelated` and `along` as in `ErrorValues`, by the names of columns."""

    systematic: str | None = None
    uncorrelated: str | None = None
    along: Along = None

    @model_validator(mode="after")
    def _along_what(self) -> "ErrorColumn":
        return _with_something_along(self)


class ErrorValues(Values, GrowingWidth):
    """One error per bin.

    `systematic` is fully correlated over the bins and adds to the covariance, `uncorrelated` is systematic in each bin
    alone and adds in quadrature; both grow with the counts, `values` as `as` says. along : the axes along which
    `systematic` is common, independent along the others; all of them when left out.
    """

    systematic: Numbers | None = None
    uncorrelated: Numbers | None = None
    along: Along = None

    @model_validator(mode="after")
    def _above_zero(self) -> "ErrorValues":
        if min(self.values) <= 0:
            raise ValueError(f"found an error of {min(self.values):g}; errors above 0 are allowed")
        return _with_something_along(self)


def _with_something_along(errors: Wide) -> Wide:
    if errors.along is not None and errors.systematic is None:
        raise ValueError("along: belongs to systematic errors; found none")
    return errors


class SidedErrors(GrowingWidth):
    """The two errors of a published value, one number per bin each: value +up -down.

    Up holds where more is expected than the value, down where less is; both halves of 2 NLL join at the value.
    """

    up: Numbers
    down: Numbers
    source: str
    status: Status = "read"
    note: str | None = None

    @model_validator(mode="after")
    def _above_zero(self) -> "SidedErrors":
        if len(self.up) != len(self.down) or min(self.up + self.down) <= 0:
            raise ValueError(
                f"found up {', '.join(f'{v:g}' for v in self.up)} and down {', '.join(f'{v:g}' for v in self.down)}; "
                "as many errors of one side as of the other, all above 0, are allowed"
            )
        return self


class PublishedLimit(GrowingWidth):
    """The error of a one-bin channel that makes the limit on one coupling the published one.

    coupling : of one or two flavours, or a moment or charge that all flavours have in common.
    For results whose data are not public: the channel carries the limit, and nothing but the limit. The error is
    the change of the prediction from its standard value to `limit` [units of the coupling], over the standard
    deviations that `confidence` is worth.
    """

    coupling: str
    limit: Annotated[float, Field(gt=0)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    source: str
    status: Status = "read"
    note: str | None = None


def _kind(value: Any) -> str:
    """Which of the ways to write an observation a piece of a file is."""
    if isinstance(value, str):
        return "word"
    if isinstance(value, Column) or (isinstance(value, dict) and "table" in value):
        return "table"
    for kind, model, key in (("limit", PublishedLimit, "limit"), ("sides", SidedErrors, "up")):
        if isinstance(value, model) or (isinstance(value, dict) and key in value):
            return kind
    return "values"


Observed = Annotated[
    Annotated[Column, Tag("table")] | Annotated[Values, Tag("values")] | Annotated[Literal["asimov"], Tag("word")],
    Discriminator(_kind),
]
"""`asimov`: the prediction itself, couplings at their defaults and nuisances at their centres."""

Errors = Annotated[
    Annotated[ErrorColumn, Tag("table")]
    | Annotated[ErrorValues, Tag("values")]
    | Annotated[SidedErrors, Tag("sides")]
    | Annotated[PublishedLimit, Tag("limit")]
    | Annotated[Literal["root_of_observed"], Tag("word")],
    Discriminator(_kind),
]
"""`root_of_observed`: the square root of what is observed."""
