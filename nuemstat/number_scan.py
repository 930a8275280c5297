"""What a number of a model does to a limit: the model is changed, compiled and asked again at each value.

A loop over `Model.replace`. The limits are those on Asimov data, since another exposure, mass or flux is another
experiment, whose counts nobody has seen; on observed data numbers are scanned that no count depends on.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nuemstat.errors import FitError, ModelError
from nuemstat.model.changes import Value
from nuemstat.model.compiler import compile_model
from nuemstat.model.effect import ChangesNothing, words_of
from nuemstat.model.loader import Model, load_model
from nuemstat.stats.data import asimov_values
from nuemstat.stats.intervals import limit
from nuemstat.stats.ranges import Range
from nuemstat.stats.results import End, Limit, Result, columns, number, written
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

METHODS = ("profile", "cls")
_MOST = 1000
"""Values of one scan: more is a mistake."""
_OVER = re.compile(r"\s*(?P<path>[^=\s]+)\s*=\s*(?P<numbers>[^\s]+)\s*(?P<unit>.*?)\s*$")
_FORM = "PATH=LOW:HIGH:POINTS UNIT or PATH=VALUE,VALUE,... UNIT is allowed, such as target.exposure=10:1000:20 t yr"


@dataclass(frozen=True, slots=True)
class NumberPoint:
    """The limit at one value of the number; fields as those of `Limit`, valid : every fit of it converged."""

    value: Value
    best_fit: float
    intervals: tuple[tuple[End, End], ...]
    upper_limit: float | None
    valid: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NumberScan(Result):
    """Limits on one coupling over the values of one number of a model.

    path : of the number; nominal : what the model has there; points : in the order of the values asked for;
    digest : of the workspace at the first value.
    """

    SCHEMA: ClassVar[str] = "nuemstat/number-scan/1"
    FIELDS: ClassVar[tuple[str, ...]] = (
        "path", "nominal", "coupling", "unit", "cl", "method", "data", "points",
    )  # fmt: skip

    path: str
    nominal: Value
    coupling: str
    unit: str
    cl: float
    method: str
    data: str
    points: tuple[NumberPoint, ...]

    def __str__(self) -> str:
        head = (
            f"{self.coupling} at {100 * self.cl:g} % ({self.method}, {self.data}) from {', '.join(self.workspaces)} "
            f"over {self.path}, {self.nominal} in the model"
        )
        rows = [(self.path, f"set [{self.unit}]", "upper limit")]
        rows += [(f"{p.value}", written(p.intervals), number(p.upper_limit)) for p in self.points]
        return "\n".join([head, *columns(rows), *self.warnings])

    def to_csv(self) -> str:
        """A table with a row for each value.

        Its number, the ends of the interval that holds the best fit, the upper limit of the set, the number of its
        intervals, and whether all fits converged.
        """
        what = f"limits on {self.coupling} at {100 * self.cl:g} % ({self.method}, {self.data})"
        heads = ",".join(f"{name} [{self.unit}]" for name in ("lower", "upper", "upper_limit"))
        lines = [
            f"# title: scan of {self.path}, {what}",
            f"# source: nuemstat scan {', '.join(self.workspaces)} --over; the model has {self.nominal}",
            f"{self.path} [{self.number_unit or '1'}],{heads},intervals,valid",
        ]
        for value, point in zip(self.values, self.points, strict=True):
            ends = (*self.ends(point), point.upper_limit)
            cells = ("" if end is None else f"{end:.9g}" for end in ends)
            lines.append(",".join([f"{value:.10g}", *cells, f"{len(point.intervals)}", str(point.valid).lower()]))
        return "\n".join(lines) + "\n"

    @property
    def number_unit(self) -> str:
        """The unit of the values, '' of plain numbers."""
        return str(self.points[0].value).partition(" ")[2].strip()

    @property
    def values(self) -> tuple[float, ...]:
        """The values as numbers in `number_unit`.

        Raises
        ------
        FitError : words, or values in several units.
        """
        found = [str(point.value).partition(" ") for point in self.points]
        try:
            numbers = tuple(float(head) for head, _, _ in found)
        except ValueError:
            raise FitError(f"{self.path}: found words; a table or picture is made of numbers") from None
        units = dict.fromkeys(unit.strip() for _, _, unit in found)
        if len(units) > 1:
            raise FitError(
                f"{self.path}: found values in {', '.join(units)}; one unit is allowed in a table or picture"
            )
        return numbers

    @staticmethod
    def ends(point: NumberPoint) -> tuple[End, End]:
        """The ends of the interval that holds the best fit, None where it is open or there is none."""
        for low, high in point.intervals:
            if (low is None or low <= point.best_fit) and (high is None or point.best_fit <= high):
                return low, high
        return None, None


def scan_over(
    model: Model | str,
    path: str,
    values: Sequence[Value],
    *,
    coupling: str,
    cl: float = 0.90,
    method: str = "profile",
    data: str = "asimov",
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    scan_range: Range | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> NumberScan:
    """Limits on a coupling over the values of one number of a model, with all that follows that number.

    model : or what `load_model` reads; path, values : as `Model.replace` takes them, ``"target.exposure"`` and
    ``["10 t yr", "100 t yr"]``; data : `asimov`, or `observed` for numbers that no count depends on (a quenching, a
    width); the rest as `limit` takes it, with method profile or cls. executor : where the limits are found, here if
    None; the numbers are the same. progress : told how many of them are done.

    Raises
    ------
    ModelError : a path or a value that does not fit the model, a number that changes no count, observed data over a
    number that they depend on; FitError : no values, another method, no fit that can be trusted.
    """
    given = load_model(model) if isinstance(model, str) else model
    if not 1 <= len(values) <= _MOST:
        raise FitError(f"{path}: found {len(values)} values; 1 to {_MOST} are allowed")
    if method not in METHODS:
        raise FitError(f"method: found {method!r}; {' or '.join(METHODS)} is allowed over the values of a number")
    models = [given.replace({path: value}) for value in values]
    _refuse_other_data(given, models, data)
    question: dict[str, Any] = {
        "cl": cl, "method": method, "data": data, "free": tuple(free), "fixed": dict(fixed or {}),
        "scan_range": scan_range, "expected": False,
    }  # fmt: skip
    tasks = [_Task(given, changed, coupling, question) for changed in models]
    found: list[_Answer] = []
    for answer in map(_answered, tasks) if executor is None else executor.map(_answered, tasks):
        found.append(answer)
        if progress is not None:
            progress(len(found), len(tasks), f"{path} = {values[len(found) - 1]}")
    if all(answer.idle for answer in found):
        raise ModelError(found[0].idle)
    return _scan(path, values, models, [answer.limit for answer in found])


@dataclass(frozen=True, slots=True)
class _Task:
    """One value: the model as it was, the changed one, and what is asked of it."""

    model: Model
    changed: Model
    coupling: str
    question: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Answer:
    """The limit; idle : what refused the value, where it changes no count."""

    limit: Limit
    idle: str


def _answered(task: _Task) -> _Answer:
    wanted = _couplings(task.coupling, task.question)
    idle = ""
    try:
        workspace = compile_model(task.changed, wanted)
    except ChangesNothing as nothing:
        idle, workspace = str(nothing), compile_model(task.model, wanted)
    return _Answer(limit(workspace, task.coupling, **task.question), idle)


def _couplings(coupling: str, question: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The couplings that a model has to keep; None, which are all, where universal ones are among them."""
    named = (coupling, *question["free"], *question["fixed"], *asimov_values(question["data"]))
    if coupling not in COUPLINGS or any(name in UNIVERSAL for name in named):
        return None
    return tuple(dict.fromkeys(name for name in named if name in COUPLINGS))


def _refuse_other_data(given: Model, models: Sequence[Model], data: str) -> None:
    """Observed counts are those of one experiment."""
    if data != "observed" or all(c.observed == "asimov" for c in given.document.channels.values()):
        return
    for changed in models:
        for change in changed.another_experiment:
            raise ModelError(
                f"{given.name}: {change.path}: the observed counts were taken with {change.old}, and {change.new} is "
                "another experiment; data asimov is allowed"
            )


def _scan(path: str, values: Sequence[Value], models: Sequence[Model], found: Sequence[Limit]) -> NumberScan:
    first = found[0]
    said = {text for changed in models for text in words_of(changed)}
    several: dict[str, list[Value]] = {}
    for value, item in zip(values, found, strict=True):
        for text in item.warnings:
            if text not in said:
                several.setdefault(text, []).append(value)
    warnings = tuple(
        text if len(where) == len(values) else f"at {', '.join(map(str, where))}: {text}"
        for text, where in several.items()
    )
    if any(len(item.intervals) > 1 for item in found):
        warnings += (
            "some sets have several intervals: a CSV table and the picture show the one that holds the best fit",
        )
    changes = [change for changed in models for change in changed.changes if change.path == path.removesuffix(".value")]
    return NumberScan(
        workspaces=first.workspaces,
        schemes=first.schemes,
        fixed=first.fixed,
        floated=first.floated,
        digest=first.digest,
        valid=all(item.valid for item in found),
        warnings=warnings,
        path=path,
        nominal=changes[0].old if changes else values[0],
        coupling=first.coupling,
        unit=first.unit,
        cl=first.cl,
        method=first.method,
        data=first.data,
        points=tuple(
            NumberPoint(value, item.best_fit, item.intervals, item.upper_limit, item.valid)
            for value, item in zip(values, found, strict=True)
        ),
    )


def read_over(text: str, *, logarithmic: bool = False) -> tuple[str, tuple[Value, ...]]:
    """Path and values of ``PATH=LOW:HIGH:POINTS UNIT`` or ``PATH=VALUE,VALUE,... UNIT``.

    logarithmic : the values between LOW and HIGH have equal ratios, not equal steps.

    Raises
    ------
    FitError : text of another form, or logarithmic values that do not rise from above 0.
    """
    match = _OVER.match(text)
    if match is None:
        raise FitError(f"--over: found {text!r}; {_FORM}")
    unit = match["unit"]
    numbers = _numbers(text, match["numbers"], logarithmic)
    return match["path"], tuple(f"{value:.10g} {unit}" if unit else value for value in numbers)


def _numbers(text: str, numbers: str, logarithmic: bool) -> list[float]:
    parts = numbers.split(":") if ":" in numbers else numbers.split(",")
    try:
        found = [float(part) for part in parts]
    except ValueError:
        raise FitError(f"--over: found {text!r}; {_FORM}") from None
    if not np.all(np.isfinite(found)) or (":" in numbers and len(found) != 3):
        raise FitError(f"--over: found {text!r}; {_FORM}")
    if ":" not in numbers:
        return found
    low, high, points = found
    if points != int(points) or not 2 <= points <= _MOST or low == high:
        raise FitError(f"--over: found {text!r}; two different ends and 2 to {_MOST} points are allowed")
    if logarithmic and not 0 < low < high:
        raise FitError(f"--over: found {low:g} to {high:g}; with --log rising values above 0 are allowed")
    between = np.geomspace if logarithmic else np.linspace
    return [float(f"{value:.10g}") for value in between(low, high, int(points))]
