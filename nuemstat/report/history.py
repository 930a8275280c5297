"""Published limits by year, from the collection of the package, and ours beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from nuemstat.main_job import JOINT
from nuemstat.published_limits import PublishedLimit, published
from nuemstat.report.content import Results
from nuemstat.resources import models_folder
from nuemstat.stats.results import End
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL


@dataclass(frozen=True, slots=True)
class Point:
    """A limit in a picture by year.

    low : the smaller end of an interval without zero, 0 for a limit; size : the largest |value| allowed; doubtful : by
    what it may be larger, 2 for a radius of unknown convention; origin : official, phenomenology, astrophysical,
    sensitivity or ours; status : read, listed, quoted or computed.
    """

    coupling: str
    flavour: str
    low: float
    size: float
    doubtful: float
    unit: str
    experiment: str
    year: int
    origin: str
    status: str


@cache
def drawn() -> tuple[Point, ...]:
    """Published limits that can be compared with one another, by coupling and year."""
    return tuple(_point(row) for row in published() if row.compared)


def _point(row: PublishedLimit) -> Point:
    lower, upper = row.ends
    apart = lower is not None and lower * upper > 0  # from zero
    return Point(
        coupling=row.coupling,
        flavour=row.flavour,
        low=min(abs(lower), abs(upper)) if lower is not None and apart else 0.0,
        size=row.size,
        doubtful=2.0 if row.convention == "not stated" else 1.0,
        unit=row.unit,
        experiment=row.experiment,
        year=row.year,
        origin=row.origin,
        status=row.status,
    )


def ours(results: Results) -> tuple[Point, ...]:
    """Our limits in the same form: at the year of the data, the joint fit after everything else."""
    last = max(row.year for row in published()) + 2
    rows = []
    for entry in results.limits:
        kind, flavour = _flavour(entry.coupling)
        if entry.upper_limit is None or not flavour:
            continue
        rows.append(
            Point(
                coupling=kind,
                flavour=flavour,
                low=0.0,
                size=entry.upper_limit,
                doubtful=1.0,
                unit=entry.unit,
                experiment=entry.experiment,
                year=last if entry.experiment == JOINT else _year(entry.experiment) or last,
                origin="ours",
                status="computed",
            )
        )
    return tuple(rows)


def _flavour(coupling: str) -> tuple[str, str]:
    """Kind and flavour; transition couplings have none in this table."""
    if coupling in UNIVERSAL:
        return coupling, "any"
    known = COUPLINGS.get(coupling)
    return (known.kind, known.flavours[0]) if known and known.flavours[0] == known.flavours[1] else ("", "")


@cache
def _year(experiment: str) -> int | None:
    """Year of a shipped model, None for other workspaces."""
    from nuemstat.model.loader import read_yaml

    path = models_folder() / experiment / "model.yaml"
    year = read_yaml(path)[0].get("year") if path.is_file() else None
    return year if isinstance(year, int) else None


@dataclass(frozen=True, slots=True)
class Theirs:
    """What was published from the data of a shipped model.

    intervals : the published set, an upper limit as one from its negative; workspace : the variants that follow the
    publication; note : why ours differs, '' where nothing is known.
    """

    intervals: tuple[tuple[float, float], ...]
    workspace: str
    note: str

    @property
    def size(self) -> float:
        """The largest |value| allowed."""
        return max(abs(end) for interval in self.intervals for end in interval)

    def ratio(self, ours: Sequence[tuple[End, End]]) -> float | None:
        """Our largest |value| over theirs; pieces of our set that meet none of theirs do not count. None where ours
        is open, or meets none."""
        ends = [
            end
            for low, high in ours
            for end in (low, high)
            if any((low is None or low <= top) and (high is None or high >= bottom) for bottom, top in self.intervals)
        ]
        sizes = [abs(end) for end in ends if end is not None]
        return max(sizes) / self.size if sizes and len(sizes) == len(ends) and self.size else None


def of_the_same_data() -> dict[tuple[str, str], Theirs]:
    """Published limits by shipped model and coupling, from the files of published numbers.

    A number that is compared with the default variants comes before one that needs others.
    """
    from nuemstat.published import LimitOf, as_intervals, read
    from nuemstat.validate import shipped

    found: dict[tuple[str, str], tuple[bool, Theirs]] = {}
    for path in shipped().values():
        for row in read(path).rows:
            whole = isinstance(row.compute, LimitOf) and row.compute.take not in ("best_fit", "upper_end")
            if isinstance(row.compute, LimitOf) and whole and isinstance(row.workspace, str):
                name, colon, _ = row.workspace.partition(":")
                times = row.compute.times  # the published number may be in another convention than ours
                ends = ((low / times, high / times) for low, high in as_intervals(row.published))
                spans = tuple((-high if low == high else low, high) for low, high in ends)
                recalled = "published number from memory" if row.status == "memory" else None
                parts = (recalled, row.varied, row.open, row.note, row.conditional)
                note = "; ".join(part.rstrip(".") for part in parts if part)
                key, candidate = (name, row.compute.coupling), (bool(colon), Theirs(spans, row.workspace, note))
                found[key] = min(found.get(key, candidate), candidate, key=lambda pair: pair[0])
    return {key: theirs for key, (_, theirs) in found.items()}
