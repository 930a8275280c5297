"""Reads a response that an experiment supplies, instead of one computed from quenching, resolution, efficiency.

Three forms, chosen by the file's name:

- ``.csv``: a table of this package in long form, one row per pair of bins, columns ``recoil_low``, ``recoil_high``,
  ``visible_low``, ``visible_high`` with units, and ``probability``; every pair must be there, in any order.
- ``.npz``: ``recoil_edges``, ``visible_edges``, ``matrix`` of shape (n_recoil, n_visible), and the words
  ``recoil_unit`` and ``visible_unit``.
- ``.root``: a ``TH2`` with the recoil energy along x and the measured quantity along y; units stand in brackets at
  the end of the axis titles (``recoil energy [keV]``).

Entries are probabilities (not counts, not densities): every row sums to the efficiency, at most 1.
"""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat import units
from nuemstat.detector.response import ResponseMatrix
from nuemstat.errors import ModelError, UnitError
from nuemstat.polynomial import FloatArray
from nuemstat.tables import read_table


def read_response(
    path: str | os.PathLike[str],
    *,
    histogram: str | None = None,
    recoil_unit: str | None = None,
    visible_unit: str | None = None,
    visible_edges: FloatArray | None = None,
    visible_name: str = "electron_equivalent",
) -> ResponseMatrix:
    """Read a supplied response.

    histogram : name of the TH2 in a ROOT file, needed where it holds several;
    recoil_unit, visible_unit : what the file must declare (CSV, NPZ), or what a TH2 without units has;
    visible_edges : the bins [internal units] that the model asks for; the file's must be these.

    Raises
    ------
    ModelError : unreadable, incomplete, other units or bins than asked for, no probabilities.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"{file}: no such file; a response in .csv, .npz or .root is expected")
    wanted = (recoil_unit, visible_unit)
    if file.suffix == ".csv":
        recoil, visible, matrix, unit = _from_csv(file, wanted)
    elif file.suffix == ".npz":
        recoil, visible, matrix, unit = _from_npz(file, wanted)
    elif file.suffix == ".root":
        recoil, visible, matrix, unit = _from_root(file, histogram, wanted)
    else:
        raise ModelError(f"{file}: found a file of kind {file.suffix!r}; .csv, .npz and .root are allowed")
    _check(file, recoil, visible, matrix)
    if visible_edges is not None:
        _check_binning(file, visible, np.asarray(visible_edges, dtype=float))
        visible = np.asarray(visible_edges, dtype=float)
    return ResponseMatrix(recoil, visible, matrix, visible_name, unit)


_Parts = tuple[FloatArray, FloatArray, FloatArray, str]
_Wanted = tuple[str | None, str | None]


def _from_csv(file: Path, wanted: _Wanted) -> _Parts:
    table = read_table(file)
    titles = ("recoil_low", "recoil_high", "visible_low", "visible_high")
    dimension = [units.ENERGY if unit is None else _unit(file, unit).dimension for unit in wanted]
    dimension[1] = table.dimensions.get("visible_low", dimension[1]) if wanted[1] is None else dimension[1]
    columns = [table.numbers(t, dimension[i // 2]) for i, t in enumerate(titles)]
    recoil, row = _edges_of(file, "recoil", *columns[:2])
    visible, column = _edges_of(file, "visible", *columns[2:])
    matrix = np.full((len(recoil) - 1, len(visible) - 1), np.nan)
    probability = table.numbers("probability", units.DIMENSIONLESS)
    if len(probability) != matrix.size or len(set(zip(row, column, strict=True))) != matrix.size:
        raise ModelError(f"{file}: {len(probability)} rows; each of {matrix.shape} pairs of bins is expected once")
    matrix[row, column] = probability
    default = "keV" if dimension[1] == units.ENERGY else "1"
    return recoil, visible, matrix, wanted[1] or default


def _edges_of(file: Path, axis: str, low: FloatArray, high: FloatArray) -> tuple[FloatArray, Any]:
    """Edges of bins given one by one, and the bin of each row."""
    starts, index = np.unique(low, return_inverse=True)
    ends = np.unique(high)
    if len(starts) != len(ends) or not np.allclose(starts[1:], ends[:-1], rtol=1e-9, atol=0):
        raise ModelError(f"{file}: the {axis} bins have gaps or overlap; each must start where another ends")
    if not np.allclose(ends[index], high, rtol=1e-9, atol=0):
        raise ModelError(f"{file}: the {axis} bins have gaps or overlap; one upper edge for each lower edge")
    return np.append(starts, ends[-1]), index


def _from_npz(file: Path, wanted: _Wanted) -> _Parts:
    names = ("recoil_edges", "visible_edges", "matrix", "recoil_unit", "visible_unit")
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as content:
            found = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{file}: cannot be read as NPZ ({type(error).__name__})") from None
    missing = [name for name in names if name not in found]
    if missing:
        raise ModelError(f"{file}: no array {missing[0]!r}; it has {', '.join(found)}; needed are {', '.join(names)}")
    recoil, visible, matrix = (_numbers(file, name, found[name]) for name in names[:3])
    sizes = []
    for name, asked in zip(names[3:], wanted, strict=True):
        declared = str(found[name])
        sizes.append(_same_unit(file, name, declared, asked))
    return recoil * sizes[0], visible * sizes[1], matrix, str(found["visible_unit"])


def _from_root(file: Path, histogram: str | None, wanted: _Wanted) -> _Parts:
    import uproot

    try:
        with uproot.open(file) as content:
            names = sorted({key.partition(";")[0] for key, kind in content.classnames().items() if "TH2" in kind})
            if (histogram is None and len(names) != 1) or (histogram is not None and histogram not in names):
                problem = f"no TH2 {histogram!r}" if histogram else f"{len(names)} TH2"
                raise ModelError(f"{file}: {problem}; it holds {', '.join(names) or 'none'}")
            matrix, recoil, visible = content[histogram or names[0]].to_numpy()
            titles = [content[histogram or names[0]].member(axis).member("fTitle") for axis in ("fXaxis", "fYaxis")]
    except ModelError:
        raise
    except Exception as error:  # uproot raises what the damage brings about, of many types
        raise ModelError(f"{file}: cannot be read as ROOT ({type(error).__name__})") from None
    sizes = []
    unit = "1"
    for name, title, asked in zip(("x", "y"), titles, wanted, strict=True):
        bracket = re.search(r"\[([^\]]*)\]\s*$", title)
        declared = bracket[1] if bracket else asked or ""
        if not declared:
            raise ModelError(f"{file}: the {name} axis is titled {title!r}; a unit in brackets at its end is expected")
        sizes.append(_same_unit(file, f"unit of the {name} axis", declared, asked))
        unit = declared
    return recoil * sizes[0], visible * sizes[1], np.asarray(matrix, dtype=float), unit


def _numbers(file: Path, name: str, values: Any) -> FloatArray:
    if values.dtype.kind not in "iuf":
        raise ModelError(f"{file}: {name} holds {values.dtype}; numbers are expected")
    return np.asarray(values, dtype=float)


def _unit(file: Path, text: str) -> units.Unit:
    try:
        return units.unit(text)
    except UnitError as error:
        raise ModelError(f"{file}: {error}") from None


def _same_unit(file: Path, what: str, declared: str, asked: str | None) -> float:
    """Size of the declared unit, which must be one of the dimension asked for."""
    found = _unit(file, declared)
    expected = found.dimension if asked is None else _unit(file, asked).dimension
    if found.dimension != expected:
        raise ModelError(f"{file}: {what}: found {declared!r}; expected {units.describe(expected)}, such as {asked!r}")
    return found.scale


def _check(file: Path, recoil: FloatArray, visible: FloatArray, matrix: FloatArray) -> None:
    for axis, edges in (("recoil", recoil), ("visible", visible)):
        if edges.ndim != 1 or len(edges) < 2 or not np.all(np.isfinite(edges)) or np.any(np.diff(edges) <= 0):
            raise ModelError(f"{file}: the {axis} edges do not rise; one row of strictly rising numbers is allowed")
    if recoil[0] < 0:
        raise ModelError(f"{file}: the recoil edges start at {recoil[0]:g}; energies of 0 or more are allowed")
    wanted = (len(recoil) - 1, len(visible) - 1)
    if matrix.shape != wanted:
        hint = "; recoils are the rows" if matrix.shape == wanted[::-1] else ""
        raise ModelError(f"{file}: the matrix has shape {matrix.shape}; its edges make {wanted}{hint}")
    if not np.all(np.isfinite(matrix)) or matrix.min() < 0:
        raise ModelError(f"{file}: the matrix holds negative or infinite numbers; probabilities are allowed")
    if matrix.sum(axis=1).max() > 1 + 1e-6:
        worst = int(np.argmax(matrix.sum(axis=1)))
        total = matrix[worst].sum()
        raise ModelError(f"{file}: row {worst} of the matrix sums to {total:g}; probabilities sum to 1 at most")


def _check_binning(file: Path, found: FloatArray, asked: FloatArray) -> None:
    if len(found) != len(asked) or not np.allclose(found, asked, rtol=1e-9, atol=1e-12 * float(np.ptp(asked))):
        spans = [f"{len(edges) - 1} bins from {edges[0]:g} to {edges[-1]:g}" for edges in (found, asked)]
        raise ModelError(f"{file}: the visible axis has {spans[0]}; the model has {spans[1]} (internal units)")
