"""The reader of tables, and the shipped tables: each readable, with its source and its status."""

import hashlib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from nuemstat import published_limits, units
from nuemstat.errors import ModelError
from nuemstat.model.fields import Status
from nuemstat.resources import data_file
from nuemstat.tables import read_table

GOOD = "# title: two points\n# source: a test\nenergy [keV], rate [1/keV], label\n1.5, 2e3, x\n3, 4, y\n"
STATUS = set(get_args(Status)) | set(get_args(published_limits.Status))
SHIPPED = sorted(data_file("").rglob("*.csv"))


def written(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_columns_come_in_internal_units(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, GOOD))
    np.testing.assert_allclose(table.numbers("energy", units.ENERGY), np.array([1.5, 3.0]) * units.keV)
    np.testing.assert_allclose(table.numbers("rate"), np.array([2e3, 4.0]) / units.keV)
    assert table.words("label") == ("x", "y")
    assert table.meta == {"title": "two points", "source": "a test"}
    assert table.digest == hashlib.sha256(GOOD.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# title: none\n", "no rows"),
        ("energy [keV]\n", "no rows"),
        ("energy [keV],b\n1\n", "row 1 has 1 cells; the header has 2"),
        ("energy [kev]\n1\n", "column 'energy \\[kev\\]': unit 'kev' is not known"),
        ("energy [keV]\n1\nnan\n", "column 'energy \\[keV\\]', row 2: 'nan'; finite numbers are expected"),
        ("energy [keV]\n1\ninf\n", "finite numbers are expected"),
        ("energy [keV]\n1\n1,2\n", "row 2 has 2 cells"),
        ("energy [keV]\n1\ntwo\n", "holds 'two'; numbers are expected"),
    ],
)
def test_damaged_tables_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ModelError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_table_read_per_kev_instead_of_per_bin_is_noticed(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, GOOD))
    with pytest.raises(ModelError, match="column 'rate' is energy\\^-1; expected a pure number"):
        table.numbers("rate", units.DIMENSIONLESS)
    with pytest.raises(ModelError, match="no column 'rates'; it has energy, rate, label"):
        table.numbers("rates")
    with pytest.raises(ModelError, match="column 'label' holds words"):
        table.numbers("label")


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read as a table \\(FileNotFoundError\\)"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="cannot be read as a table"):
        read_table(tmp_path / "binary.csv")


def test_tables_are_shipped() -> None:
    assert len(SHIPPED) > 10


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_tables_say_where_each_number_is_from(path: Path) -> None:
    table = read_table(path)
    assert table.meta.get("title")
    assert table.meta.get("source")
    if "status" in table.columns:
        assert set(table.words("status")) <= STATUS
    else:
        assert any(word in table.meta.get("status", "") for word in STATUS), table.meta
