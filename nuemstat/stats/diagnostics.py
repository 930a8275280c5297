"""What contours, impacts, shares and tests of fit give back: frozen, printable, and JSON, in physical units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nuemstat.polynomial import FloatArray
from nuemstat.stats.binomial import upper_bound, written_p
from nuemstat.stats.results import End, Result, Scan, columns, number


@dataclass(frozen=True, slots=True)
class Minimum2:
    """A local minimum of the profile over two couplings: its place, and 2 NLL above the global one."""

    values: tuple[float, float]
    q: float


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """One connected piece of a confidence region.

    outline : closed line, the last point the first one again, counterclockwise, shape (n, 2); where a coupling ends
    at a bound, the line runs along it; holes : closed lines inside, clockwise;
    closed : False where the range cuts the piece;
    lowest : place of its lowest point, and q : 2 NLL there above the global minimum.
    """

    outline: FloatArray
    holes: tuple[FloatArray, ...]
    closed: bool
    lowest: tuple[float, float]
    q: float


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The confidence region at one level: all components; threshold : Delta chi2 for two parameters."""

    cl: float
    threshold: float
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Contour(Result):
    """Confidence regions of two couplings together.

    regions : one for each confidence level, in the order asked for; minima : the global one (q = 0) first;
    accuracy : largest |2 NLL - level| found by fits at points of the lines; fits : number of conditional fits.
    """

    SCHEMA: ClassVar[str] = "nuemstat/contour/1"
    FIELDS: ClassVar[tuple[str, ...]] = (
        "couplings", "units", "data", "best_fit", "minima", "regions", "q_min", "accuracy", "fits",
    )  # fmt: skip

    couplings: tuple[str, str]
    units: tuple[str, str]
    data: str
    best_fit: Mapping[str, float]
    minima: tuple[Minimum2, ...]
    regions: tuple[Region, ...]
    q_min: float
    accuracy: float
    fits: int

    def __str__(self) -> str:
        head = f"contours of {' x '.join(self.couplings)} ({self.data}) from {', '.join(self.workspaces)}"
        rows = []
        for region in self.regions:
            for piece in region.components:
                ends = zip(piece.outline.min(axis=0), piece.outline.max(axis=0), self.units, strict=True)
                spans = tuple(f"[{number(low)}, {number(high)}] {unit}" for low, high, unit in ends)
                holes = f"{len(piece.holes)} holes" if piece.holes else ""
                rows.append((f"{100 * region.cl:g} %", *spans, "" if piece.closed else "open", holes))
        minima = ", ".join(f"({number(m.values[0])}, {number(m.values[1])}) q {m.q:.3f}" for m in self.minima)
        return "\n".join([head, *columns(rows), f"  minima: {minima}", *self.warnings])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ContourScan(Scan):
    """The profile over a grid of two couplings, and the contours in it; fields as in `Scan` and `Contour`."""

    SCHEMA: ClassVar[str] = "nuemstat/scan/1"
    FIELDS: ClassVar[tuple[str, ...]] = (*Scan.FIELDS, "minima", "regions", "accuracy")

    minima: tuple[Minimum2, ...]
    regions: tuple[Region, ...]
    accuracy: float
    contour: Contour = field(repr=False, compare=False)

    def __str__(self) -> str:
        return "\n".join([Scan.__str__(self), str(self.contour)])


@dataclass(frozen=True, slots=True)
class Impact:
    """What one nuisance does to the coupling.

    value, error : best fit and its error in the nuisance's unit; pull, constraint : (value - centre) and error,
    both in units of the constraint's sigma, None for unconstrained ones;
    refit : shift of the coupling with the nuisance held one error (below, above) its best fit, all else fitted
    again, None where that fit fails; fisher : the shift for one error above, from the covariance; None where the
    likelihood of the coupling is not parabolic.
    """

    nuisance: str
    group: str
    value: float
    error: float | None
    unit: str
    pull: float | None
    constraint: float | None
    refit: tuple[float | None, float | None]
    fisher: float | None

    @property
    def size(self) -> float:
        """The larger of the refitted shifts, or that of the covariance where there is none."""
        sizes = [abs(shift) for shift in (*self.refit, self.fisher) if shift is not None]
        return max(sizes[:2], default=0.0)


@dataclass(frozen=True, slots=True)
class GroupImpact:
    """What all nuisances of a group do together: the error that goes away when they are held at their best fit.

    refit : sqrt(full^2 - held^2) of the distance to the lower and the upper end of the interval of Delta chi2 = 1;
    None where an end is open; fisher : the same from the covariance;
    upper_limit : the upper limit at the confidence level of the result, with the group held.
    """

    group: str
    nuisances: tuple[str, ...]
    refit: tuple[float | None, float | None]
    fisher: float | None
    upper_limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Shares(Result):
    """How much each experiment adds to 2 NLL between the best fit and one value of a coupling.

    at : that value; q : the whole; experiments : what the bins and the own nuisances of each add;
    shared : what the constraints of nuisances add that several experiments use. q is the sum of all.
    """

    SCHEMA: ClassVar[str] = "nuemstat/shares/1"
    FIELDS: ClassVar[tuple[str, ...]] = ("coupling", "unit", "data", "at", "q", "experiments", "shared", "best_fit")

    coupling: str
    unit: str
    data: str
    at: float
    q: float
    experiments: Mapping[str, float]
    shared: float
    best_fit: float

    def __str__(self) -> str:
        head = f"2 NLL at {self.coupling} = {number(self.at)} {self.unit}: {self.q:.3f} above the best fit"
        return "\n".join([head, *columns(_share_rows(self)), *self.warnings])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Impacts(Result):
    """What the error of a coupling is made of.

    interval : Delta chi2 = 1 around the best fit; error : parabolic, None where the likelihood is not so;
    minos : MINOS's answer for the same interval, None where it fails; limit : upper limit at `cl`;
    impacts : by falling size; groups : the same for groups, `all` for all nuisances together;
    shares : by experiment, at the upper end of the interval at `cl` that holds the best fit, if it has one;
    parameters, correlation : names, and the correlation matrix of shape (n, n), None where not parabolic.
    """

    SCHEMA: ClassVar[str] = "nuemstat/impacts/1"
    FIELDS: ClassVar[tuple[str, ...]] = (
        "coupling", "unit", "cl", "data", "best_fit", "error", "interval", "minos", "upper_limit", "impacts", "groups",
        "at", "experiments", "shared", "parameters", "correlation", "q_min",
    )  # fmt: skip

    coupling: str
    unit: str
    cl: float
    data: str
    best_fit: float
    error: float | None
    interval: tuple[End, End]
    minos: tuple[End, End] | None
    upper_limit: float | None
    impacts: tuple[Impact, ...]
    groups: tuple[GroupImpact, ...]
    at: float | None
    experiments: Mapping[str, float]
    shared: float | None
    parameters: tuple[str, ...]
    correlation: FloatArray = field(repr=False, compare=False)
    q_min: float

    def __str__(self) -> str:
        title = f"impacts on {self.coupling} ({self.data}) from {', '.join(self.workspaces)}"
        low, high = (number(end) for end in self.interval)
        head = f"  best fit {number(self.best_fit)} in [{low}, {high}] {self.unit}"
        rows: list[tuple[str, ...]] = [("nuisance", "pull", "constraint", "below", "above", "Fisher")]
        for i in self.impacts:
            rows.append((i.nuisance, _or_dash(i.pull, "+.2f"), _or_dash(i.constraint, ".2f"),
                         *(_or_dash(shift, "+.3g") for shift in (*i.refit, i.fisher))))  # fmt: skip
        groups: list[tuple[str, ...]] = [("group", "below", "above", "Fisher", f"limit at {100 * self.cl:g} %")]
        for g in self.groups:
            shifts = (_or_dash(shift, ".3g") for shift in (*g.refit, g.fisher))
            groups.append((g.group, *shifts, number(g.upper_limit)))
        parts = [title, head, *columns(rows), *columns(groups)]
        if self.at is not None:
            parts += [f"  2 NLL at {number(self.at)} {self.unit}", *columns(_share_rows(self))]
        return "\n".join([*parts, *self.warnings])


@dataclass(frozen=True, slots=True)
class ParameterGoodness:
    """Whether experiments agree on the couplings (Maltoni, Schwetz, PRD 68 (2003) 033020).

    q : 2 NLL of the joint fit above that in which each sensitive experiment has couplings of its own, nuisances shared
    in both; ndof : couplings of all of them minus those of the joint fit; experiments : couplings each prefers;
    members : the sensitive experiments;
    method : how q becomes a p-value, by toys where a coupling is bounded or even, by chi2 where not;
    p_value : None where toys only say that it is at least `at_least`; p_error : its binomial error;
    toys, seed : how many were fitted, and their seed; zero_share : share of them whose q is 0 within the precision of
    the fits, None without toys; at_most : upper bound on p at 95 %, where no toy lies beyond the data.
    """

    q: float
    ndof: int
    p_value: float | None = None
    experiments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    method: str = "chi2"
    toys: int = 0
    seed: int | None = None
    p_error: float | None = None
    zero_share: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def stated(self) -> str:
        """The p-value and how it was found, as text."""
        p = written_p(self.p_value, self.p_error, at_least=self.at_least, at_most=self.at_most)
        return f"{p} ({'toys' if self.method == 'toys' else f'chi2, {self.ndof} dof'})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Goodness(Result):
    """How well the best fit describes the data.

    q_min : 2 NLL relative to the saturated model; ndof : bins minus unconstrained floating parameters;
    p_value : asymptotic; experiments : name -> {q, bins}, what the bins add; constraints : what the pulls add;
    toys : with toys, {p_value, error, number, seed}; parameters : agreement of experiments on the floating couplings.
    """

    SCHEMA: ClassVar[str] = "nuemstat/goodness/1"
    FIELDS: ClassVar[tuple[str, ...]] = (
        "data", "q_min", "ndof", "p_value", "experiments", "constraints", "toys", "parameters",
    )  # fmt: skip

    data: str
    q_min: float
    ndof: int
    p_value: float
    experiments: Mapping[str, Mapping[str, float]]
    constraints: float
    toys: Mapping[str, float] | None = None
    parameters: ParameterGoodness | None = None

    def __str__(self) -> str:
        head = f"goodness of fit of {', '.join(self.workspaces)} ({self.data})"
        rows = [("saturated model", f"{self.q_min:.3f}", f"{self.ndof} dof", f"p = {self.p_value:.3g}")]
        if self.toys is not None:
            share, error, number = (self.toys[name] for name in ("p_value", "error", "number"))
            bound = None if share else upper_bound(0, int(number), 0.95)
            rows.append(("by toys", "", f"{number:g} toys", written_p(share, error, at_most=bound)))
        rows += [(name, f"{part['q']:.3f}", f"{part['bins']:g} bins", "") for name, part in self.experiments.items()]
        rows.append(("constraints", f"{self.constraints:.3f}", "", ""))
        if self.parameters is not None:
            p = self.parameters
            rows.append(("between experiments", f"{p.q:.3f}", f"{len(p.members)} of them", p.stated))
        return "\n".join([head, *columns(rows), *self.warnings])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Minos(Result):
    """MINOS against the profile, on the interval that holds the best fit.

    interval : what MINOS says, None where it fails; own : the profile's interval with the best fit in it;
    others : intervals of the profile that MINOS never mentions; difference : largest of the distances between the
    ends, in units of the interval's length; agrees : it is below a thousandth.
    """

    SCHEMA: ClassVar[str] = "nuemstat/minos/1"
    FIELDS: ClassVar[tuple[str, ...]] = (
        "coupling", "unit", "cl", "data", "best_fit", "interval", "own", "others", "difference", "agrees",
    )  # fmt: skip

    coupling: str
    unit: str
    cl: float
    data: str
    best_fit: float
    interval: tuple[float, float] | None
    own: tuple[End, End]
    others: tuple[tuple[End, End], ...]
    difference: float
    agrees: bool

    def __str__(self) -> str:
        head = f"MINOS of {self.coupling} at {100 * self.cl:g} % from {', '.join(self.workspaces)}"
        said = "fails" if self.interval is None else f"[{number(self.interval[0])}, {number(self.interval[1])}]"
        rows = [("MINOS", said), ("profile", f"[{number(self.own[0])}, {number(self.own[1])}]")]
        rows += [("not mentioned", f"[{number(low)}, {number(high)}]") for low, high in self.others]
        return "\n".join([head, *columns(rows), *self.warnings])


def correlation(covariance: FloatArray) -> FloatArray:
    """The correlation matrix of a covariance; NaN where that is."""
    errors = np.sqrt(covariance.diagonal())
    return np.asarray(covariance / np.outer(errors, errors))


def _share_rows(result: Any) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [(name, f"{share:+.3f}") for name, share in result.experiments.items()]
    return [*rows, ("shared constraints", f"{result.shared:+.3f}")] if result.shared else rows


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
