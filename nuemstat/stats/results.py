"""What fits, limits, scans and significances give back: frozen, printable, and JSON.

Every value is in physical units (mu_B, e, cm^2, 1), never in the numbers of order one that workspaces hold.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nuemstat.notebook import AsHtml
from nuemstat.polynomial import FloatArray

End = float | None
"""An end of an interval; None where the scanned range ends before the interval does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(AsHtml):
    """What all results say of where they come from; abstract.

    workspaces : names of the workspaces that entered;
    schemes : couplings, form factors ... as the workspaces declare them;
    fixed : parameters that the caller set, in physical units;
    floated : couplings that were free;
    digest : of the workspace that was fitted;
    valid : False when any inner fit failed, or bounds could not be found; `warnings` says which.
    """

    SCHEMA: ClassVar[str]
    FIELDS: ClassVar[tuple[str, ...]]
    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    """Fields that the JSON object holds only where they are set."""

    workspaces: tuple[str, ...]
    schemes: Mapping[str, str]
    fixed: Mapping[str, float]
    floated: tuple[str, ...]
    digest: str
    valid: bool = True
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {str(self).splitlines()[0]}>"

    def to_dict(self) -> dict[str, Any]:
        """The JSON object as plain dictionaries, lists and numbers; what is not finite becomes None."""
        common = ("workspaces", "schemes", "fixed", "floated", "digest", "valid", "warnings")
        given = tuple(name for name in self.OPTIONAL if getattr(self, name) is not None)
        content = {"schema": self.SCHEMA}
        return content | {name: plain(getattr(self, name)) for name in self.FIELDS + common + given}

    def to_json(self) -> str:
        """The JSON object as one text."""
        return json.dumps(self.to_dict(), indent=1)


@dataclass(frozen=True, slots=True)
class Minimum:
    """A local minimum of a profile: its place, and 2 NLL above the global one."""

    value: float
    q: float


@dataclass(frozen=True, slots=True)
class FittedCoupling:
    """Best fit of a coupling and its parabolic error (None where the likelihood is not parabolic)."""

    value: float
    error: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class FittedNuisance:
    """Best fit of a nuisance in its own unit; pull = (value - centre) / sigma, None if unconstrained."""

    value: float
    error: float | None
    pull: float | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FitResult(Result):
    """The best fit of one workspace, single or joint.

    q_min : 2 NLL relative to the saturated model; ndof : bins minus unconstrained floating parameters;
    yields : channel -> process -> expected counts at the best fit;
    parameters, covariance : names, and the matrix in physical units of shape (n, n); not in the JSON.
    """

    SCHEMA: ClassVar[str] = "nuemstat/fit/1"
    FIELDS: ClassVar[tuple[str, ...]] = ("q_min", "ndof", "p_value", "couplings", "nuisances", "yields")

    q_min: float
    ndof: int
    p_value: float
    couplings: Mapping[str, FittedCoupling]
    nuisances: Mapping[str, FittedNuisance]
    yields: Mapping[str, Mapping[str, float]]
    data: str = "observed"
    parameters: tuple[str, ...] = ()
    covariance: FloatArray = field(default_factory=lambda: np.zeros((0, 0)), repr=False, compare=False)

    def __str__(self) -> str:
        head = f"fit of {', '.join(self.workspaces)}: 2 NLL = {self.q_min:.3f}, {self.ndof} degrees of freedom"
        rows = [(name, number(c.value), f"+- {number(c.error)}", f"{c.unit}") for name, c in self.couplings.items()]
        rows += [
            (name, number(n.value), f"+- {number(n.error)}", "" if n.pull is None else f"pull {n.pull:+.2f}")
            for name, n in self.nuisances.items()
        ]
        return "\n".join([f"{head}, p = {self.p_value:.3g}", *columns(rows), *self.warnings])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Limit(Result):
    """The confidence set of one coupling.

    minima : every local minimum of the profile, the global one (q = 0) first;
    intervals : disjoint (low, high), rising; an end outside the scanned range is None;
    upper_limit : the largest |value| of the set, None when an end is;
    q_min : 2 NLL at the best fit relative to the saturated model;
    expected : what data without new physics would give, couplings at their defaults: `method` (asymptotic, toys, or
        asimov where nothing is known of the spread), `asimov` and `median` with their lower and upper end, `band68`
        and `band95` of each end, and `z`, the normal quantile of the observed upper_limit among the expected ones;
        None where it is not known, ends that are open included; `toys` and `seed` where toys were thrown;
    boundary_aware : of couplings at a bound, the set whose thresholds know of it: intervals, upper_limit, and the
        threshold there;
    seed, toys, critical, errors : of the methods that have them: seed and number of all toys; what they say of each
        value that was tested (critical values with binomial errors); errors of the ends of each interval from the
        number of toys. All from `expected` on are left out of the JSON when None;
    profile_values, profile_q : the sampled profile for pictures, not in the JSON.
    """

    SCHEMA: ClassVar[str] = "nuemstat/limit/1"
    FIELDS: ClassVar[tuple[str, ...]] = (
        "coupling", "unit", "cl", "method", "data", "best_fit", "minima", "intervals", "upper_limit", "q_min",
    )  # fmt: skip
    OPTIONAL: ClassVar[tuple[str, ...]] = ("expected", "boundary_aware", "seed", "toys", "critical", "errors")

    coupling: str
    unit: str
    cl: float
    method: str
    data: str
    best_fit: float
    minima: tuple[Minimum, ...]
    intervals: tuple[tuple[End, End], ...]
    upper_limit: float | None
    q_min: float
    expected: Mapping[str, Any] | None = None
    boundary_aware: Mapping[str, Any] | None = None
    seed: int | None = None
    toys: int | None = None
    critical: Sequence[Any] | None = None
    errors: tuple[tuple[float, float], ...] | None = None
    profile_values: FloatArray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    profile_q: FloatArray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    def __str__(self) -> str:
        minima = ", ".join(f"{number(m.value)} (q {m.q:.3f})" for m in self.minima)
        rows: list[tuple[str, ...]] = [
            ("set", f"{written(self.intervals)} {self.unit}"),
            ("upper limit", f"{number(self.upper_limit)} {self.unit}"),
            ("best fit", f"{number(self.best_fit)} {self.unit}, 2 NLL = {self.q_min:.3f}"),
            ("minima", minima),
        ]
        rows += expected_rows(self.expected, self.boundary_aware, self.unit)
        if self.toys is not None:
            rows.append(("toys", f"{self.toys} of seed {self.seed}"))
        head = f"{self.coupling} at {100 * self.cl:g} % ({self.method}, {self.data}) from {', '.join(self.workspaces)}"
        return "\n".join([head, *columns(rows), *self.warnings])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Scan(Result):
    """The profile of 2 NLL over one or two couplings.

    couplings, units : one or two names and their units;
    values : the grid of each coupling, shapes (n,) [, (m,)];
    q : 2 NLL above the global minimum, shape (n,) or (n, m);
    best_fit : couplings at the global minimum; q_min : 2 NLL there.
    """

    SCHEMA: ClassVar[str] = "nuemstat/scan/1"
    FIELDS: ClassVar[tuple[str, ...]] = ("couplings", "units", "data", "values", "q", "best_fit", "q_min")

    couplings: tuple[str, ...]
    units: tuple[str, ...]
    data: str
    values: tuple[FloatArray, ...]
    q: FloatArray
    best_fit: Mapping[str, float]
    q_min: float

    def __str__(self) -> str:
        head = f"scan of {' x '.join(self.couplings)} ({self.data}) from {', '.join(self.workspaces)}"
        rows = [
            (
                name,
                f"{number(v[0])} ... {number(v[-1])} {unit}",
                f"{v.size} points",
                f"best {number(self.best_fit[name])}",
            )
            for name, unit, v in zip(self.couplings, self.units, self.values, strict=True)
        ]
        return "\n".join([head, *columns(rows), *self.warnings])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Significance(Result):
    """How far one value of a coupling is from the global best fit.

    q : 2 NLL above the global minimum; sigma : its square root; p_value : of chi2 with one degree of freedom.
    """

    SCHEMA: ClassVar[str] = "nuemstat/significance/1"
    FIELDS: ClassVar[tuple[str, ...]] = (
        "coupling", "unit", "data", "at", "q", "sigma", "p_value", "best_fit", "q_min",
    )  # fmt: skip

    coupling: str
    unit: str
    data: str
    at: float
    q: float
    sigma: float
    p_value: float
    best_fit: float
    q_min: float

    def __str__(self) -> str:
        head = f"{self.coupling} = {number(self.at)} {self.unit} ({self.data}) from {', '.join(self.workspaces)}"
        rows = [
            ("q", f"{self.q:.4f}"),
            ("sigma", f"{self.sigma:.3f}"),
            ("p-value", f"{self.p_value:.3g}"),
            ("best fit", f"{number(self.best_fit)} {self.unit}"),
        ]
        return "\n".join([head, *columns(rows), *self.warnings])


def expected_rows(
    expected: Mapping[str, Any] | None, aware: Mapping[str, Any] | None, unit: str
) -> list[tuple[str, ...]]:
    """What `Limit.expected` and `Limit.boundary_aware` hold, in words; no rows where both are None."""
    rows: list[tuple[str, ...]] = []
    middle = None if expected is None else expected.get("median") or expected.get("asimov")
    if expected is not None and middle is None:
        rows.append(("expected", "not known"))
    if expected is not None and middle is not None:
        rows.append(("expected", f"{written([(middle['lower'], middle['upper'])])} {unit} ({expected.get('method')})"))
        bands = [expected[name] for name in ("band68", "band95") if expected.get(name) is not None]
        if len(bands) == 2:
            said = [" to ".join(number(end) for end in band["upper"]) for band in bands]
            rows.append(("its upper end", f"68 %: {said[0]}, 95 %: {said[1]} {unit}"))
        if expected.get("z") is not None:
            rows.append(("observed", f"{expected['z']:+.2f} sigma above the expected median"))
    if aware is not None:
        threshold = "" if aware["threshold"] is None else f", threshold {aware['threshold']:.3f}"
        rows.append(("knowing the bound", f"{written(aware['intervals'])} {unit}{threshold}"))
    return rows


def written(intervals: Sequence[tuple[End, End]]) -> str:
    """The set as text."""
    return " u ".join(f"[{number(low)}, {number(high)}]" for low, high in intervals) or "empty"


def number(value: float | None) -> str:
    """Four digits, 'open' for None."""
    return "open" if value is None or math.isinf(value) else f"{value:.4g}"


def plain(value: Any) -> Any:
    """Arrays, tuples and dataclasses as JSON holds them; what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    fields = getattr(type(value), "__dataclass_fields__", None)
    return value if fields is None else {name: plain(getattr(value, name)) for name in fields}


def columns(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows as lines of aligned columns."""
    table = list(rows)
    if not table:
        return []
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
