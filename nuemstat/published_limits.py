"""Published limits on moments, charges and charge radii of neutrinos: the one home of ``data/history``.

``limits.csv`` holds what somebody has seen, ``open.csv`` what nobody could see yet; both have the same columns, which
the README beside them explains. Charge radii stand as printed and are converted to our convention here, once.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from nuemstat.errors import ModelError
from nuemstat.resources import data_file
from nuemstat.strict import Name, Strict, one_line
from nuemstat.tables import read_table

Kind = Literal["limit", "measurement", "two-sided", "order_of_magnitude"]
Origin = Literal["official", "phenomenology", "astrophysical", "sensitivity"]
Status = Literal["read", "listed", "quoted", "open"]
Convention = Literal["none", "ours", "half", "not stated"]
Coupling = Literal["magnetic_moment", "millicharge", "charge_radius"]
Flavour = Literal["e", "mu", "tau", "mu and tau", "solar", "any", "Lambda1", "Lambda2", "Lambda3", "mass12", "mass13",
                  "mass23", "transition", "sterile"]  # fmt: skip

UNITS: Final = {"magnetic_moment": "mu_B", "millicharge": "e", "charge_radius": "cm^2"}
_NOWHERE: Final = "nowhere"


def _number(cell: Any) -> Any:
    """A cell as a number; words stay words, for the message."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return cell


def _none(cell: Any) -> Any:
    return None if cell == "none" else cell


def _number_or_none(cell: Any) -> Any:
    return _number(_none(cell))


def _year(cell: Any) -> Any:
    number = _number(cell)
    return int(number) if isinstance(number, float) and number.is_integer() else cell


Number = Annotated[float, BeforeValidator(_number)]
OptionalNumber = Annotated[float | None, BeforeValidator(_number_or_none)]
Words = Annotated[str, Field(min_length=1)]
Remark = Annotated[str | None, BeforeValidator(_none)]


class PublishedLimit(Strict):
    """One published number, as printed.

    lower, upper : ends in `unit`; None below for an upper limit; value : the centre of a measurement, else None;
    cl : confidence level in per cent, or "not stated"; origin : who made it; convention : of charge radii, "half" where
    the printed radius is half of ours; pdg : node and document of the Listings, "/footnote" where it stands in their
    footnote; superseded_by : key of the row that replaces it; condition : why it cannot be compared with others.
    """

    key: Name
    coupling: Coupling
    flavour: Flavour
    kind: Kind
    lower: OptionalNumber
    upper: Number
    value: OptionalNumber
    unit: str
    cl: str
    experiment: Annotated[str, Field(pattern=r"^[^,]+$")]
    year: Annotated[int, BeforeValidator(_year), Field(ge=1930, le=2100)]
    origin: Origin
    convention: Convention
    source: Words
    status: Status
    read_in: Words
    pdg: Remark
    superseded_by: Remark
    condition: Remark
    note: Remark

    @model_validator(mode="after")
    def _numbers_fit(self) -> "PublishedLimit":
        low, high = self.lower, self.upper
        if low is not None and not low < high:
            raise ValueError(f"lower: found {low:g} and upper {high:g}; the lower end comes first")
        inside = (low is None or low <= 0) and high >= 0
        if self.kind == "two-sided" and inside:
            raise ValueError("kind: found two-sided for an interval with 0 in it, which is a limit")
        if self.kind in ("limit", "order_of_magnitude") and not inside:
            raise ValueError(f"kind: found {self.kind} for an interval without 0 in it; two-sided or measurement")
        if (self.kind == "measurement") != (self.value is not None):
            raise ValueError("value: goes with kind measurement, and only with it")
        if self.value is not None and not (low is not None and low < self.value < high):
            raise ValueError(f"value: found {self.value:g}, which is not between lower and upper")
        return self

    @model_validator(mode="after")
    def _words_fit(self) -> "PublishedLimit":
        if self.unit != UNITS[self.coupling]:
            raise ValueError(f"unit: found {self.unit!r}; {UNITS[self.coupling]} is that of {self.coupling}")
        level = _number(self.cl)
        if self.cl != "not stated" and not (isinstance(level, float) and 0 < level < 100):
            raise ValueError(f"cl: found {self.cl!r}; per cent between 0 and 100, or not stated")
        if (self.convention == "none") != (self.coupling != "charge_radius"):
            raise ValueError("convention: none for moments and charges; ours, half or not stated for radii")
        if (self.status == "open") != (self.read_in == _NOWHERE):
            raise ValueError(f"read_in: found {self.read_in!r} with status {self.status}; 'nowhere' goes with open")
        if "memory" in self.read_in:
            raise ValueError("read_in: found memory, which is no place; rows that nobody has seen stand in open.csv")
        if self.status == "listed" and self.pdg is None:
            raise ValueError("pdg: a row of status listed names node and document of the Listings")
        return self

    @property
    def factor(self) -> float:
        """From the printed number to our convention; 1 where the convention of a radius is not stated."""
        return 2.0 if self.convention == "half" else 1.0

    @property
    def ends(self) -> tuple[float | None, float]:
        """Lower and upper end in our convention, in `unit`."""
        return None if self.lower is None else self.factor * self.lower, self.factor * self.upper

    @property
    def size(self) -> float:
        """The largest |value| allowed, in our convention."""
        low, high = self.ends
        return max(abs(high), abs(low or 0.0))

    @property
    def compared(self) -> bool:
        """Whether it may stand beside others in a picture: somebody has seen it, it is more than a magnitude, and it
        holds without a condition of its own."""
        return self.status != "open" and self.kind != "order_of_magnitude" and self.condition is None

    @property
    def written(self) -> str:
        """The number in our convention, in `unit`: "< 2.9e-11", "[-4.2e-32, 6.6e-32]", "~ 1e-07", "2 +3 -1"."""
        low, high = self.ends
        if self.value is not None and low is not None:
            centre = self.factor * self.value
            return f"{centre:.3g} +{high - centre:.3g} -{centre - low:.3g}"
        if self.kind == "order_of_magnitude":
            return f"~ {high:.3g}"
        return f"< {high:.3g}" if low is None else f"[{low:.3g}, {high:.3g}]"

    def remarks(self, names: Mapping[str, str]) -> str:
        """What has to be known: condition, note, convention, what supersedes it.

        names : of rows, by key.
        """
        convention = {"half": "printed as half of this radius", "not stated": "convention of the radius not seen"}
        later = None if self.superseded_by is None else f"superseded by {names[self.superseded_by]}"
        return "; ".join(part for part in (self.condition, self.note, convention.get(self.convention), later) if part)


def names(rows: Sequence[PublishedLimit]) -> dict[str, str]:
    """Experiment and year of every row, by key."""
    return {row.key: f"{row.experiment} {row.year}" for row in rows}


def read(path: Path) -> tuple[PublishedLimit, ...]:
    """Read one file of published limits.

    Raises
    ------
    ModelError : a row does not fit, naming file, row, column, what was found and what is allowed.
    """
    table = read_table(path)
    columns = tuple(PublishedLimit.model_fields)
    if set(table.columns) != set(columns):
        odd = sorted(set(table.columns) ^ set(columns))
        raise ModelError(
            f"{path}: columns {', '.join(odd)} are missing or not known; {', '.join(columns)} are expected"
        )
    rows: list[PublishedLimit] = []
    for number, cells in enumerate(zip(*(table.words(name) for name in columns), strict=True), start=1):
        try:
            rows.append(PublishedLimit.model_validate(dict(zip(columns, cells, strict=True))))
        except ValidationError as error:
            raise ModelError(f"{path}: row {number} ({cells[0]}): {_told(error)}") from None
    return tuple(rows)


def _told(error: ValidationError) -> str:
    return one_line(error).removeprefix("top level: ")


def check(seen: Sequence[PublishedLimit], unseen: Sequence[PublishedLimit]) -> None:
    """Both files together.

    Raises
    ------
    ModelError : a key stands twice, a row stands in the wrong file, `superseded_by` names no later row of limits.csv on
        the same coupling.
    """
    both = (*seen, *unseen)
    known: dict[str, PublishedLimit] = {}
    for row in both:
        if row.key in known:
            raise ModelError(f"published limits: key {row.key!r} stands twice; each row has its own")
        known[row.key] = row
    for rows, file, wanted in ((seen, "limits.csv", False), (unseen, "open.csv", True)):
        for row in rows:
            if (row.status == "open") != wanted:
                raise ModelError(f"{file}: {row.key}: status {row.status} belongs into the other file")
    for row in both:
        if row.superseded_by is None:
            continue
        later = known.get(row.superseded_by)
        wrong = later is None or later is row or later.coupling != row.coupling or later.year < row.year
        if wrong or later not in seen:
            raise ModelError(
                f"{row.key}: superseded_by: found {row.superseded_by!r}; a later row of limits.csv on {row.coupling} "
                "is allowed"
            )


@cache
def published() -> tuple[PublishedLimit, ...]:
    """All rows of limits.csv, by coupling and year, checked together with open.csv.

    Raises
    ------
    ModelError : a row does not fit.
    """
    seen, unseen = read(data_file("history/limits.csv")), read(data_file("history/open.csv"))
    check(seen, unseen)
    return seen


@cache
def unseen() -> tuple[PublishedLimit, ...]:
    """All rows of open.csv: numbers that nobody could see yet, kept out of pictures and comparisons.

    Raises
    ------
    ModelError : a row does not fit.
    """
    return read(data_file("history/open.csv"))
