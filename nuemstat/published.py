"""The vocabulary of validation/<experiment>.yaml: published numbers, and how ours are computed.

A file looks like this (every key below, no others)::

    schema: nuemstat/validation/1
    experiment: lz_sr1
    title: LUX-ZEPLIN, first science run
    rows:
      - quantity: upper limit on the universal magnetic moment     # in words; unique in the file
        workspace: lz_sr1:epa,paper                                # or a list of them: a joint fit
        compute: {kind: limit, coupling: magnetic_moment, take: upper_limit, cl: 0.90}
        published: 1.1e-11                  # a number, an interval [lo, hi], or a list of intervals; for a
                                            # predicted number an interval is the printed range
        unit: mu_B
        source: "arXiv:2207.05036, table I"
        status: read                        # one of STATUSES below
        read_at: "..."                      # where a listed or quoted number was read
        tolerance: {relative: 0.05}         # {absolute: 1e-13}, in `unit`, or {factor: 3.2}; leave out to show only
        tolerance_from: digits              # digits | error | "stated difference: ..."; goes with the tolerance
        gated: true                         # a broken tolerance fails `nuemstat validate`
        conditional: "..."                  # optional: why the published number holds under other assumptions
        same_as: "quantity"                 # optional: the row that holds the same published number
        input: "..."                        # optional: why the model holds this number already
        varied: "..."                       # beyond 25 %: a number that was varied, and what it did
        open: "..."                         # or what is not understood
        note: "..."                         # optional: anything else

`compute` is one of

    {kind: limit, coupling, take: upper_limit | upper_end | interval | intervals | best_fit, cl, method, data, free,
     fixed, times}
    {kind: fit, take: coupling | coupling_error | nuisance | nuisance_error | pull | q_min | p_value, name, data, free,
     fixed}
    {kind: yield, process, channels, error_of, data, free, fixed}   counts at the best fit; with the name of a norm
                                                                    in error_of, the error of the counts by it
    {kind: expected, process, channels, at}                    counts before any fit, nuisances at their centres
    {kind: predicted, process, channels, times}                the same from source, target, live time and response
                                                                alone, without the counts that a model states
    {kind: observed, channels}                                 what was counted
    {kind: significance, coupling, at, data, free, fixed}      in standard deviations

Questions that no publication answers, or that are put to several variants, stand in a second list: ours beside ours::

    side_by_side:
      - quantity: magnetic_moment, LZ first science run
        compute: {kind: limit, coupling: magnetic_moment, take: upper_limit}
        workspaces: {fea: "lz_sr1:fea", epa: "lz_sr1:epa", rrpa: lz_sr1}    # a column each; or lists: joint fits
        absent: {exact: "no table of it exists"}                             # a column that cannot be given, and why
        unit: mu_B
        published: 1.1e-11                  # optional, with its source
        source: "arXiv:2207.05036"
        note: "..."                         # optional

`times` multiplies ours, for numbers that were printed in another convention (alpha x millicharge, half a radius) or in
another unit (per kg and day).
`process` is one, or a list to be summed; `channels` restricts a sum over all channels; `free`, `fixed` and `at` speak
physical units, as the command line does.
`take: upper_limit` is the largest magnitude in any interval, `upper_end` the end towards positive values alone.
`take: interval` compares the one interval of ours that is nearest to the published one; `intervals` compares them all.
A relative tolerance is relative to the published number; for intervals to each end (two numbers: of the lower and of
the upper end), or to half of the width where an end is nearer to zero than a fifth of that. `factor` allows ours to be
that many times larger or smaller, for orders of magnitude. `tolerance_from: digits` means one unit of the last printed
digit, `error` the printed error; otherwise the stated difference of inputs.

A row counts as one published number, whether number or interval, unless it is of status memory (shown, compared with
nothing), an `input` of the model, or holds the number of another row (`same_as`: "quantity" of the same file or
"experiment: quantity" of another): another variant, the same number over alpha, half a radius. Conditional rows and
rows of status memory or quoted cannot be gated, and no gate is wider than 25 %, except a factor beside a published
magnitude.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from nuemstat.errors import ModelError
from nuemstat.strict import Name, Strict, one_line, tupled

SCHEMA = "nuemstat/validation/1"
WIDEST_GATE = 0.25
"""Relative; a wider tolerance says too little to fail a release."""

Status = Literal["read", "release", "cross-checked", "listed", "quoted", "digitised", "computed", "memory"]
"""Seen in the publication, in its data release, or in an independent copy; listed by the Particle Data Group; quoted by
somebody else; digitised by third parties; computed from published numbers; recalled, and found nowhere in public."""

Counted = Literal["gated", "shown", "repeated", "input", "memory"]
"""Independent published numbers are the gated and the shown ones."""

STATED = "stated difference: "
Interval = tuple[float, float]
Positive = Annotated[float, Field(gt=0)]
Value = float | Interval | tuple[Interval, ...]
Processes = Name | Annotated[tuple[Name, ...], Field(min_length=1)]


def as_intervals(value: Value) -> tuple[Interval, ...]:
    """A number as an interval of no width, an interval, or several, as a tuple of intervals."""
    if isinstance(value, tuple):
        return tuple(_pair(item) for item in value) if isinstance(value[0], tuple) else (_pair(value),)
    return ((value, value),)


def written(value: Value) -> str:
    """A number, an interval or several, with four digits."""
    if not isinstance(value, tuple):
        return f"{value:.4g}"
    return " u ".join(f"[{lo:.4g}, {hi:.4g}]" for lo, hi in as_intervals(value))


def _pair(item: object) -> Interval:
    if not isinstance(item, tuple) or len(item) != 2:
        raise ValueError(f"found {item!r}; an interval is two numbers")
    return (float(item[0]), float(item[1]))


class _Inference(Strict):
    """What every fit can be told."""

    data: str = "observed"
    free: tuple[Name, ...] = ()
    fixed: dict[Name, float] = Field(default_factory=dict)


class LimitOf(_Inference):
    """A number of the `limit` of a coupling, times a factor of convention."""

    kind: Literal["limit"]
    coupling: Name
    take: Literal["upper_limit", "upper_end", "interval", "intervals", "best_fit"] = "upper_limit"
    cl: Annotated[float, Field(gt=0, lt=1)] = 0.90
    method: Literal["profile", "cls", "fc"] = "profile"
    times: float = 1.0


class FitOf(_Inference):
    """A number of the best fit; `name` is the coupling or the nuisance."""

    kind: Literal["fit"]
    take: Literal["coupling", "coupling_error", "nuisance", "nuisance_error", "pull", "q_min", "p_value"]
    name: Name | None = None

    @model_validator(mode="after")
    def _named(self) -> "FitOf":
        if (self.name is None) != (self.take in ("q_min", "p_value")):
            raise ValueError(f"take: {self.take} {'needs' if self.name is None else 'does not take'} a name")
        return self


class YieldOf(_Inference):
    """Counts of a process at the best fit, or their error by that of the process' norm `error_of`."""

    kind: Literal["yield"]
    process: Processes
    channels: tuple[Name, ...] | None = None
    error_of: Name | None = None


class ExpectedOf(Strict):
    """Counts of a process before any fit."""

    kind: Literal["expected"]
    process: Processes
    channels: tuple[Name, ...] | None = None
    at: dict[Name, float] = Field(default_factory=dict)


class PredictedOf(Strict):
    """Counts of a process by first principles, times a factor of unit: no stated counts, no fit."""

    kind: Literal["predicted"]
    process: Processes
    channels: tuple[Name, ...] | None = None
    times: float = 1.0


class ObservedOf(Strict):
    """What was observed, summed over bins."""

    kind: Literal["observed"]
    channels: tuple[Name, ...] | None = None


class SignificanceOf(_Inference):
    """How many standard deviations the data are from one value of a coupling."""

    kind: Literal["significance"]
    coupling: Name
    at: float


Compute = Annotated[
    LimitOf | FitOf | YieldOf | ExpectedOf | PredictedOf | ObservedOf | SignificanceOf, Field(discriminator="kind")
]


class Tolerance(Strict):
    """How far ours may be, one of the three."""

    relative: Annotated[float, Field(gt=0)] | tuple[Positive, Positive] | None = None
    absolute: Annotated[float, Field(gt=0)] | None = None
    factor: Annotated[float, Field(gt=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Tolerance":
        if sum(number is not None for number in (self.relative, self.absolute, self.factor)) != 1:
            raise ValueError("relative, absolute or factor, one of the three")
        return self

    def at(self, end: int) -> float | None:
        """The relative tolerance of the lower (0) or upper (1) end."""
        return self.relative[end] if isinstance(self.relative, tuple) else self.relative

    def allows(self, mine: float, theirs: float, size: float, end: int) -> bool:
        """Whether ours may stand for the published end `theirs`, relative tolerances being of `size`."""
        if self.factor is not None:
            return theirs != 0 and 1 / self.factor <= mine / theirs <= self.factor
        return abs(mine - theirs) <= self.width(size, end)

    def width(self, size: float, end: int) -> float:
        """Largest difference at an end of that size, in the unit of the number; 0 for a factor."""
        return self.absolute if self.absolute is not None else (self.at(end) or 0.0) * size

    def __str__(self) -> str:
        if self.factor is not None:
            return f"factor {self.factor:.3g}"
        if self.relative is None:
            return f"{self.absolute:.3g} abs."
        return "/".join(f"{number:.3g}" for number in dict.fromkeys((self.at(0), self.at(1)))) + " rel."


def scales(published: Value) -> tuple[Interval, ...]:
    """What deviations are relative to at both ends: the end, or half the width where the end is near zero."""

    def size(end: float, half_width: float) -> float:
        return abs(end) if abs(end) >= half_width / 5 else half_width

    return tuple((size(lo, (hi - lo) / 2), size(hi, (hi - lo) / 2)) for lo, hi in as_intervals(published))


class Row(Strict):
    """One published number and how ours is computed; the module's documentation has an example."""

    quantity: str
    workspace: str | tuple[str, ...]
    compute: Compute
    published: Value
    unit: str
    source: str
    status: Status
    read_at: str | None = None
    tolerance: Tolerance | None = None
    tolerance_from: str | None = None
    gated: bool
    conditional: str | None = None
    same_as: str | None = None
    input: str | None = None
    varied: str | None = None
    open: str | None = None
    note: str | None = None

    @field_validator("published")
    @classmethod
    def _rising(cls, published: Value) -> Value:
        for lo, hi in as_intervals(published):
            if not isinstance(published, float) and not lo < hi:
                raise ValueError(f"found [{lo:g}, {hi:g}]; an interval's lower end comes first")
        return published

    @model_validator(mode="after")
    def _gate(self) -> "Row":
        if self.gated and self.tolerance is None:
            raise ValueError("gated: true needs a tolerance")
        if self.gated and (self.status in ("memory", "quoted") or self.conditional):
            raise ValueError(
                "gated: found true on a row that is of status memory or quoted, or conditional; false is allowed"
            )
        if self.gated and (width := self._relative_width()) > WIDEST_GATE * (1 + 1e-9):
            raise ValueError(f"gated: found true with a tolerance of {width:.0%}; 25 % is the widest")
        wants_interval = isinstance(self.compute, LimitOf) and self.compute.take in ("interval", "intervals")
        printed_range = isinstance(self.compute, PredictedOf) and len(as_intervals(self.published)) == 1
        if not printed_range and wants_interval != isinstance(self.published, tuple):
            raise ValueError(f"published: {'an interval' if wants_interval else 'one number'} is what compute gives")
        return self

    @model_validator(mode="after")
    def _founded(self) -> "Row":
        if self.status == "memory" and self.tolerance is not None:
            raise ValueError("tolerance: found one on a row of status memory, which is shown and compared with nothing")
        if (self.tolerance is None) != (self.tolerance_from is None):
            raise ValueError("tolerance and tolerance_from go together")
        basis = self.tolerance_from or "digits"
        if basis not in ("digits", "error") and not basis.startswith(STATED):
            raise ValueError(f"tolerance_from: found {basis!r}; digits, error or '{STATED}...' is allowed")
        if self.status in ("listed", "quoted") and self.read_at is None:
            raise ValueError(f"read_at: a number that is {self.status} says where")
        if self.varied is not None and self.open is not None:
            raise ValueError("varied or open, one of the two")
        return self

    def _relative_width(self) -> float:
        """The tolerance over what it is relative to, at its widest end; 0 for a factor, which states a magnitude."""
        if self.tolerance is None:
            return 0.0
        sizes = scales(self.published)
        return max(self.tolerance.width(s, end) / s if s else 0.0 for pair in sizes for end, s in enumerate(pair))

    @property
    def counts_as(self) -> Counted:
        """What the row is in the count of published numbers."""
        if self.status == "memory":
            return "memory"
        if self.input is not None:
            return "input"
        if self.same_as is not None:
            return "repeated"
        return "gated" if self.gated else "shown"


class SideBySide(Strict):
    """One question put to several variants or joint fits, a column each."""

    quantity: str
    compute: Compute
    workspaces: Annotated[dict[Name, str | tuple[str, ...]], Field(min_length=1)]
    absent: dict[Name, str] = Field(default_factory=dict)
    unit: str
    published: Value | None = None
    source: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _columns_and_source(self) -> "SideBySide":
        for name in self.absent:
            if name in self.workspaces:
                raise ValueError(f"column {name!r} stands in workspaces and in absent; one of the two is allowed")
        if (self.published is None) != (self.source is None):
            raise ValueError("published and source go together")
        return self


class Document(Strict):
    """The published numbers of one experiment, and what is shown side by side."""

    schema_: Literal["nuemstat/validation/1"] = Field(alias="schema")
    experiment: Name
    title: str
    rows: tuple[Row, ...] = ()
    side_by_side: tuple[SideBySide, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> "Document":
        if not self.rows and not self.side_by_side:
            raise ValueError("found neither rows nor side_by_side; one or more are needed")
        return self

    @field_validator("rows", "side_by_side")
    @classmethod
    def _unique(cls, rows: tuple[Row | SideBySide, ...]) -> tuple[Row | SideBySide, ...]:
        names = [row.quantity for row in rows]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"quantity {twice!r} stands twice; each is named once")
        return rows

    @field_validator("rows")
    @classmethod
    def _repeats(cls, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        """What repeats a row of this file names one that counts; rows of other files are named with a colon."""
        first = {row.quantity: row for row in rows}
        for row in rows:
            if row.same_as is None or ": " in row.same_as:
                continue
            if row.same_as not in first or first[row.same_as].same_as is not None:
                raise ValueError(f"same_as: found {row.same_as!r}, which is no row that counts by itself")
        return rows


def read(path: Path) -> Document:
    """Read one file of published numbers.

    Raises
    ------
    ModelError : it cannot be read or does not fit, naming file, key, what was found and what is allowed.
    """
    from nuemstat.model.loader import read_yaml

    raw, _ = read_yaml(path)
    try:
        return Document.model_validate(tupled(raw))
    except ValidationError as error:
        raise ModelError(f"{path}: {one_line(error)}") from None
