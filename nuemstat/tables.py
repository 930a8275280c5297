"""Reads text tables with units and provenance.

A table is a CSV file. Lines that start with ``#`` come first and say ``key: value`` (title, source, licence,
status ...); then one line of column names, each with its unit in brackets (``energy [keV]``; no bracket: a pure
number or a word); then the rows. Every number must be finite.
"""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError, UnitError
from nuemstat.polynomial import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns of one file, numbers in internal units.

    path : where it was read; meta : the ``#`` lines; digest : sha256 of the file's bytes.
    """

    path: Path
    meta: Mapping[str, str]
    digest: str
    columns: Mapping[str, FloatArray | tuple[str, ...]]
    dimensions: Mapping[str, units.Dimension]

    def numbers(self, name: str, dimension: units.Dimension | None = None) -> FloatArray:
        """A numeric column in internal units; its dimension is checked when one is given."""
        values = self._column(name)
        if not isinstance(values, np.ndarray):
            raise ModelError(f"{self.path}: column {name!r} holds words; numbers are expected")
        if dimension is not None and self.dimensions[name] != dimension:
            found, wanted = units.describe(self.dimensions[name]), units.describe(dimension)
            raise ModelError(f"{self.path}: column {name!r} is {found}; expected {wanted}")
        return values

    def words(self, name: str) -> tuple[str, ...]:
        """A column as text."""
        values = self._column(name)
        return tuple(f"{v:g}" for v in values) if isinstance(values, np.ndarray) else values

    def _column(self, name: str) -> Any:
        if name not in self.columns:
            raise ModelError(f"{self.path}: no column {name!r}; it has {', '.join(self.columns)}")
        return self.columns[name]


def read_table(path: Path) -> Table:
    """Read one table.

    Raises
    ------
    ModelError : no such file, no rows, a row of another length, an unknown unit, a number that is not finite.
    """
    try:
        raw = path.read_bytes()
        lines = raw.decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read as a table ({type(error).__name__})") from None
    meta: dict[str, str] = {}
    start = 0
    for start, line in enumerate(lines):  # noqa: B007 - the index of the first other line is used below
        if not line.startswith("#"):
            break
        key, _, value = line[1:].partition(":")
        meta[key.strip()] = value.strip()
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines[start:]) if row]
    if len(rows) < 2:
        raise ModelError(f"{path}: no rows; a line of column names and at least one row are expected")
    header, body = rows[0], rows[1:]
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise ModelError(f"{path}: row {number} has {len(row)} cells; the header has {len(header)}")
    columns: dict[str, FloatArray | tuple[str, ...]] = {}
    dimensions: dict[str, units.Dimension] = {}
    for index, title in enumerate(header):
        name, dimension, values = _read_column(path, title, [row[index] for row in body])
        columns[name], dimensions[name] = values, dimension
    return Table(path, meta, hashlib.sha256(raw).hexdigest(), columns, dimensions)


def _read_column(path: Path, title: str, cells: list[str]) -> tuple[str, units.Dimension, FloatArray | tuple[str, ...]]:
    name, bracket, rest = title.partition("[")
    try:
        unit = units.unit(rest.rstrip("] ") if bracket else "")
    except UnitError as error:
        raise ModelError(f"{path}: column {title!r}: {error}") from None
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        if bracket:
            wrong = next(cell for cell in cells if not _is_number(cell))
            raise ModelError(f"{path}: column {title!r} holds {wrong!r}; numbers are expected") from None
        return name.strip(), unit.dimension, tuple(cells)
    if not np.all(np.isfinite(values)):
        row = int(np.argmin(np.isfinite(values))) + 1
        raise ModelError(f"{path}: column {title!r}, row {row}: {cells[row - 1]!r}; finite numbers are expected")
    return name.strip(), unit.dimension, values * unit.scale


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
