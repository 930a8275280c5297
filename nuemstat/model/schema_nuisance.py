"""The vocabulary of what a fit may move: constrained nuisances, and free norms and shapes."""

from math import inf
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nuemstat.model.schema_follows import GrowingWidth
from nuemstat.model.schema_released import Alternatives
from nuemstat.strict import Name, Strict

Pulls = Annotated[tuple[Literal["full", "paper", "statistical"], ...], Field(min_length=1)]
Processes = Annotated[tuple[str, ...], Field(min_length=1)]
Cause = Literal["own", "exposure", "mass", "live_time", "fiducial", "efficiency", "flux", "theory"]
"""What a norm stands for: a factor of the named processes alone, or of a number that others depend on too."""


class Only(Strict):
    """The part of what depends on a number that a nuisance moves, and why not all of it."""

    processes: Processes
    reason: Annotated[str, Field(min_length=1)]


class Deviation(Strict):
    """How far an interpolation may be from the counts computed between its anchors, where that is more than usual.

    allowed : largest deviation within two sigma, in units of a bin's error; reason : why it does not matter.
    """

    allowed: Annotated[float, Field(gt=0, le=0.5)]
    reason: Annotated[str, Field(min_length=1)]


class NuisanceField(GrowingWidth):
    """One row of the table of nuisances.

    pulls : the options of the group `pulls` that have it; scope : one name for all experiments, or its own;
    varies : it moves the number at this path of the file (or equal numbers at several), and every process that
    depends on it is computed anew at the anchors, but for those that `only` leaves out; centre, sigma : in the unit of
    that number; norm : it scales `processes`; cause : what the norm stands for, and `reason` why a process that
    depends on this cause is not scaled; alternatives : templates of `processes` that were released for it (centre 0,
    sigma 1); correlation : of a global row with rows of other models, or of the same one, that name the same `shared`,
    sqrt(correlation) shared + sqrt(1 - correlation) local; shared : the parameter that correlated rows have in common,
    where they differ in name or width; the name of the row, which is then the same everywhere, when left out;
    deviation : more than the usual deviation between anchors, with the reason;
    follows, as : of a norm, what its centre is proportional to, and how sigma follows; a width that says nothing stays
    the same part of the centre.
    """

    quantity: str
    pulls: Pulls = ("full", "paper", "statistical")
    scope: Literal["global", "local"] = "local"
    group: str
    norm: Literal["lognormal", "linear"] | None = None
    varies: str | tuple[str, ...] | None = None
    alternatives: Alternatives | None = None
    centre: str | float
    sigma: str | float
    processes: Processes | None = None
    only: Only | None = None
    cause: Cause = "own"
    reason: Annotated[str, Field(min_length=1)] | None = None
    anchors: tuple[float, ...] = (-2.0, -1.0, 1.0, 2.0)
    interpolation: Literal["additive", "multiplicative"] = "multiplicative"
    deviation: Deviation | None = None
    axes: tuple[Name, ...] | None = None
    correlation: Annotated[float, Field(gt=0, lt=1)] | None = None
    shared: Name | None = None
    source: str
    status: str = "read"
    note: str | None = None

    @model_validator(mode="after")
    def _one_effect(self) -> "NuisanceField":
        if [self.norm, self.varies, self.alternatives].count(None) != 2:
            raise ValueError("a nuisance needs norm, varies or alternatives, one of them")
        if self.varies == ():
            raise ValueError("varies: found no path; one or more are allowed")
        _check_processes(self.varies is not None, self.processes)
        if self.only and self.varies is None:
            raise ValueError("only: narrows what depends on a varied number; found no varies")
        if self.norm is None and self.follows is not None:
            raise ValueError("follows: belongs to a norm; found none (a varied number brings its centre with it)")
        if self.norm is None and (self.cause, self.reason) != ("own", None):
            raise ValueError("cause and reason: belong to a norm; found none (a varied number is its own cause)")
        if self.alternatives and (self.centre, self.sigma) != (0, 1):
            raise ValueError(f"found centre {self.centre}, sigma {self.sigma}; alternatives have centre 0 and sigma 1")
        return self

    @model_validator(mode="after")
    def _shared_where_correlated(self) -> "NuisanceField":
        if self.shared is not None and self.correlation is None:
            raise ValueError(f"shared: found {self.shared!r} without a correlation; it is allowed beside one")
        return self

    @field_validator("anchors")
    @classmethod
    def _both_sides(cls, anchors: tuple[float, ...]) -> tuple[float, ...]:
        rising = anchors == tuple(sorted(set(anchors)))
        if not rising or 0.0 in anchors or not min(anchors, default=0.0) < 0.0 < max(anchors, default=0.0):
            found = ", ".join(f"{alpha:g}" for alpha in anchors)
            raise ValueError(f"found [{found}]; rising values in sigma on both sides of 0, without it, are allowed")
        return anchors

    @property
    def is_mixed(self) -> bool:
        """Whether it is in part shared and in part its own."""
        return self.scope == "global" and self.correlation is not None

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the numbers that it moves."""
        return (self.varies,) if isinstance(self.varies, str) else self.varies or ()


def _check_processes(varied: bool, processes: tuple[str, ...] | None) -> None:
    """A norm names its processes; a varied number moves all that depend on it."""
    if varied and processes is not None:
        raise ValueError(
            f"processes: found {', '.join(processes)} beside varies; every process that depends on the number is "
            "moved, and only: {processes: [...], reason: ...} narrows"
        )
    if not varied and processes is None:
        raise ValueError("processes: found none; one or more are needed without varies")


class FreeField(Strict):
    """A parameter without constraint: a norm of `processes`, or a shape in powers of a shift.

    varies : the path of the number that the parameter moves by (value x scale), with every process that depends on it
    but those that `only` leaves out; range : where the powers are to hold.
    """

    quantity: str
    processes: Processes | None = None
    only: Only | None = None
    norm: bool = False
    varies: str | None = None
    scale: str | float = 1.0
    default: float = 0.0
    bounds: tuple[float | None, float | None] = (None, None)
    range: tuple[float, float] | None = None
    powers: Annotated[int, Field(ge=1, le=10)] | None = None
    source: str
    note: str | None = None

    @model_validator(mode="after")
    def _one_effect(self) -> "FreeField":
        if self.norm == (self.varies is not None):
            raise ValueError("a free parameter needs norm: true or varies, one of the two")
        _check_processes(self.varies is not None, self.processes)
        if self.only and self.varies is None:
            raise ValueError("only: narrows what depends on a varied number; found no varies")
        if self.varies is not None and (self.powers is None or self.range is None):
            raise ValueError("a free shape needs powers and range (in units of scale)")
        low = -inf if self.bounds[0] is None else self.bounds[0]
        high = inf if self.bounds[1] is None else self.bounds[1]
        if low >= high or not low <= self.default <= high:
            raise ValueError(
                f"found bounds {low:g} to {high:g} and default {self.default:g}; rising bounds around it are allowed"
            )
        return self
