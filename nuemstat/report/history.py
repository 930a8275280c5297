"""Published limits by year, from the table of the package, and ours beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from nuemstat.main_job import JOINT
from nuemstat.report.content import Results
from nuemstat.resources import data_file, models_folder
from nuemstat.stats.results import End
from nuemstat.tables import read_table
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL

KINDS = ("official", "phenomenology", "astrophysical", "sensitivity", "ours")


@dataclass(frozen=True, slots=True)
class Published:
    """One published limit.

    coupling : magnetic_moment, millicharge or charge_radius; flavour : e, mu, tau, solar, any ...;
    size : the largest |value| allowed, in `unit`; memory : not checked against the publication;
    note : why it cannot be compared directly, '' when it can.
    """

    coupling: str
    flavour: str
    lower: str
    upper: float
    unit: str
    cl: str
    experiment: str
    year: int
    kind: str
    source: str
    memory: bool
    note: str

    @property
    def size(self) -> float:
        """The largest |value| allowed."""
        return max(abs(self.upper), 0.0 if self.lower == "none" else abs(float(self.lower)))


@cache
def published() -> tuple[Published, ...]:
    """All rows of data/history/limits.csv, by coupling and year."""
    table = read_table(data_file("history/limits.csv"))
    words = [table.words(name) for name in ("coupling", "flavour", "lower", "unit", "cl", "experiment", "kind",
                                            "source", "status", "note")]  # fmt: skip
    rows = []
    for coupling, flavour, lower, unit, cl, experiment, kind, source, status, note, upper, year in zip(
        *words, table.numbers("upper"), table.numbers("year"), strict=True
    ):
        rows.append(
            Published(
                coupling=coupling,
                flavour=flavour,
                lower=lower,
                upper=float(upper),
                unit=unit,
                cl=cl,
                experiment=experiment,
                year=int(year),
                kind=kind,
                source=source,
                memory=status == "memory",
                note="" if note == "none" else note,
            )
        )
    return tuple(rows)


def ours(results: Results) -> tuple[Published, ...]:
    """Our limits as rows of the same form: at the year of the data, the joint fit after everything else."""
    last = max(row.year for row in published()) + 2
    rows = []
    for entry in results.limits:
        kind, flavour = _flavour(entry.coupling)
        if entry.upper_limit is None or not flavour:
            continue
        rows.append(
            Published(
                coupling=kind,
                flavour=flavour,
                lower="none",
                upper=entry.upper_limit,
                unit=entry.unit,
                cl=f"{100 * entry.cl:g}",
                experiment=entry.experiment,
                year=last if entry.experiment == JOINT else _year(entry.experiment) or last,
                kind="ours",
                source="this report",
                memory=False,
                note="",
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
