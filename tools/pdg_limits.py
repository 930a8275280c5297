"""What a release of the Particle Data Group's Listings has that the collection of published limits has not.

For maintainers, once a year, with the package ``pdg`` installed (extra ``dev``)::

    python tools/pdg_limits.py                    # differences, one a line; exit 1 if there are any
    python tools/pdg_limits.py --write FILE       # the release as a table: nuemstat/data/history/pdg.csv

Compared are the release with the table that is shipped, and the rows of ``limits.csv`` that name the Listings with the
release. A row is entered by a person; this only says which. The numbers of the Listings are CC BY 4.0.
"""

import argparse
import csv
import hashlib
import io
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Final

from nuemstat.published_limits import PublishedLimit, published
from nuemstat.resources import data_file
from nuemstat.tables import read_table

NODES: Final = ("S066CHR", "S066MGM", "S066CRD")
"""Charge, magnetic moment and mean squared charge radius of neutrinos."""
_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)"


@dataclass(frozen=True, order=True)
class Listed:
    """One value of the Listings, as printed.

    power : of ten, for those that are printed without it; in_footnotes : numbers with a power of ten in its footnotes;
    footnotes : the first digits of their sha256, to notice a change.
    """

    node: str
    document: str
    printed: str
    power: str
    unit: str
    cl: str
    publication: str
    year: str
    doi: str
    in_footnotes: str
    footnotes: str


@dataclass(frozen=True)
class Numbers:
    """Ends and centre of a printed value; None where it has none."""

    lower: float | None
    upper: float | None
    value: float | None = None


def numbers(printed: str, power: int = 0) -> Numbers:
    """The numbers of a printed value such as "<0.29 E-10", "-0.6 to 0.6" or "(2.2 +2.4 - 2.3) E-32".

    Of a limit that is a range ("<0.1-0.2 E-10") the weaker end. power : of ten, for what is printed without one.

    Raises
    ------
    ValueError : it is printed in another way.
    """
    body, _, exponent = printed.upper().partition("E")
    ten = int(exponent) if exponent else power
    body = re.sub(r"[\s()]|<=?", "", body.lower().replace("to", "&"))

    def scaled(text: str) -> float:
        return float(f"{text}e{ten}")

    if not body:
        return Numbers(None, None)
    if re.fullmatch(_NUMBER, body):
        return Numbers(None, scaled(body))
    if found := re.fullmatch(rf"({_NUMBER})(?:\+-(\d+\.?\d*)|\+(\d+\.?\d*)-(\d+\.?\d*))", body):
        centre, both, up, down = found.groups()
        value = scaled(centre)
        return Numbers(value - scaled(both or down), value + scaled(both or up), value)
    if found := re.fullmatch(rf"({_NUMBER})[-&]({_NUMBER})", body):
        low, high = map(scaled, found.groups())
        return Numbers(None if "<" in printed else low, high)
    raise ValueError(f"{printed!r} is printed in a way that is not known here")


def in_footnotes(text: str) -> list[float]:
    """Every number with a power of ten: 3.2E-10, (4.20+-1.64) x 10 **-33, 10**-16."""
    text = re.sub(r"\s*x\s*10\s*\*\*\s*", "E", text)
    text = re.sub(r"(?<![\w.])10\s*\*\*\s*(?=-)", "1E", text)
    text = re.sub(rf"\(({_NUMBER})\s*\+-\s*({_NUMBER})\)\s*(E-?\d+)", r"\1\3 \2\3", text)
    return [float(found) for found in re.findall(r"\d+\.?\d*E-?\d+", text)]


def release(api: Any) -> list[Listed]:
    """All values of the three nodes.

    api : what ``pdg.connect()`` gives.
    """
    found = []
    for node in NODES:
        for measurement in api.get(node).get_measurements():
            reference, level = measurement.reference, measurement.confidence_level
            text = " ".join(str(note.text) for note in measurement.footnotes())
            found += [
                Listed(
                    node=node,
                    document=reference.document_id.strip(),
                    printed=(value.value_text or "").strip() or "none",
                    power=f"{value.display_power_of_ten or 0:d}",
                    unit=value.unit_text,
                    cl="not stated" if level is None else f"{level:g}",
                    publication=reference.publication_name.strip(),
                    year=f"{reference.publication_year:d}",
                    doi=reference.doi or "none",
                    in_footnotes=" ".join(f"{number:g}" for number in in_footnotes(text)) or "none",
                    footnotes=hashlib.sha256(text.encode()).hexdigest()[:12] if text else "none",
                )
                for value in measurement.values()
            ]
    return sorted(found)


def shipped(path: Path | None = None) -> list[Listed]:
    """The table of the package, in the same form."""
    table = read_table(path or data_file("history/pdg.csv"))
    return sorted(Listed(*row) for row in zip(*(table.words(field.name) for field in fields(Listed)), strict=True))


def as_table(found: Iterable[Listed], edition: str, citation: str) -> str:
    """The shipped table of a release, with what CC BY 4.0 asks for."""
    stream = io.StringIO()
    stream.write(
        f"# title: Particle Data Group, Listings of {edition}: charge, magnetic moment and charge radius of neutrinos\n"
        f"# source: python package pdg, edition {edition}, nodes {', '.join(NODES)}; cite {citation}\n"
        "# status: listed; selected and converted by tools/pdg_limits.py: values as printed, of the footnotes only the "
        "numbers\n"
        "# licence: CC BY 4.0 (creativecommons.org/licenses/by/4.0), Particle Data Group\n"
    )
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(Listed)])
    writer.writerows(astuple(row) for row in sorted(found))
    return stream.getvalue()


def _close(a: float | None, b: float | None) -> bool:
    return a is b or (a is not None and b is not None and abs(a - b) <= 1e-9 * abs(b))


def agrees(row: PublishedLimit, listed: Listed) -> bool:
    """Whether a row of the collection, as printed, is that value: |q| < x is printed as x."""
    found = numbers(listed.printed.replace("none", ""), int(listed.power))
    symmetric = found.lower is None and row.lower is not None and _close(-row.lower, row.upper)
    return _close(row.upper, found.upper) and _close(row.value, found.value) and (
        symmetric or _close(row.lower, found.lower)
    )  # fmt: skip


def row_against(row: PublishedLimit, values: Sequence[Listed]) -> str:
    """What is wrong with a row that names the Listings, '' where nothing is."""
    if not values:
        return f"row {row.key}: the release has no {row.pdg}"
    if row.pdg is not None and row.pdg.endswith("/footnote"):
        wanted = row.upper if row.value is None else row.value
        held = [float(n) for value in values for n in value.in_footnotes.split() if n != "none"]
        return "" if any(_close(wanted, n) for n in held) else f"row {row.key}: {wanted:g} is in no footnote"
    fitting = [value for value in values if agrees(row, value)]
    if not fitting:
        return f"row {row.key}: {row.lower}, {row.upper:g} here, {', '.join(v.printed for v in values)} there"
    levels = {value.cl for value in fitting} - {"not stated"}
    return f"row {row.key}: {_level(row.cl)} here, {', '.join(sorted(levels))} % there" if levels - {row.cl} else ""


def _level(cl: str) -> str:
    return "no level" if cl == "not stated" else f"{cl} %"


def _shown(value: Listed) -> str:
    power = "" if "E" in value.printed else f" E{value.power}"
    return f"{value.printed}{power} {value.unit}"


def differences(found: Sequence[Listed], table: Sequence[Listed], rows: Iterable[PublishedLimit]) -> list[str]:
    """One line for everything that is new, gone or different, in a fixed order."""
    lines = []
    groups: tuple[dict[tuple[str, str], list[Listed]], ...] = (defaultdict(list), defaultdict(list))
    for values, group in zip((found, table), groups, strict=True):
        for value in values:
            group[value.node, value.document].append(value)
    now, before = groups
    for key in sorted({*now, *before}):
        name, new, old = "/".join(key), sorted(now.get(key, [])), sorted(before.get(key, []))
        if not old:
            lines += [f"new: {name}: {_shown(v)}, {_level(v.cl)}, {v.publication}" for v in new]
        elif not new:
            lines.append(f"gone: {name}")
        elif new != old:
            lines += [f"different: {name}: {_change(a, b)}" for a, b in zip(old, new, strict=False) if a != b]
            lines += [f"different: {name}: {len(old)} values before, {len(new)} now"] * (len(old) != len(new))
    named = sorted((row for row in rows if row.pdg is not None), key=lambda row: row.key)
    told = [row_against(row, now.get(_place(row), [])) for row in named]
    used = {_place(row) for row in named}
    missing = [f"not in limits.csv: {'/'.join(key)}" for key in sorted(now) if key not in used]
    return lines + [line for line in told if line] + missing


def _place(row: PublishedLimit) -> tuple[str, str]:
    node, document, *_ = str(row.pdg).split("/")
    return node, document


def _change(old: Listed, new: Listed) -> str:
    pairs = zip(fields(Listed), astuple(old), astuple(new), strict=True)
    return "; ".join(f"{field.name} {a} -> {b}" for field, a, b in pairs if a != b)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit 0 without differences, 1 with, 2 where the package ``pdg`` is missing."""
    parser = argparse.ArgumentParser(description="Listings of the Particle Data Group against the collection.")
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the table of the release, compare nothing")
    options = parser.parse_args(arguments)
    try:
        import pdg
    except ImportError:
        sys.stderr.write("pdg_limits: error: the package pdg is missing; pip install 'nuemstat[dev]'\n")
        return 2
    api = pdg.connect()
    found = release(api)
    if options.write:
        options.write.write_text(as_table(found, api.default_edition, re.sub(r"<[^>]*>", "", api.citation)))
        return 0
    lines = differences(found, shipped(), published())
    sys.stdout.write("".join(f"{line}\n" for line in lines) or f"edition {api.default_edition}: no difference\n")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
