import dataclasses
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from nuemstat.detector import cache
from nuemstat.detector.quenching import LindhardQuenching, LinearQuenching
from nuemstat.errors import ModelError
from nuemstat.polynomial import CouplingPolynomial


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NUEMSTAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Counter:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"matrix": np.arange(6.0).reshape(2, 3) / 7, "edges": np.array([1.0, np.pi])}


def test_the_second_call_reads_the_same_bits(folder):
    compute = Counter()
    first, second = (cache.cached(("key", 1.5), compute) for _ in range(2))
    assert compute.calls == 1
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values, strict=True)
    assert [file.suffix for file in folder.iterdir()] == [".npz"]


def test_off_and_unwritable_folders_are_harmless(tmp_path, monkeypatch):
    compute = Counter()
    monkeypatch.setenv("NUEMSTAT_CACHE", "off")
    assert cache.cache_folder() is None
    monkeypatch.setenv("NUEMSTAT_CACHE", str(tmp_path / "file" / "below"))
    (tmp_path / "file").write_text("a file where a folder is needed")
    for _ in range(2):
        np.testing.assert_array_equal(cache.cached("key", compute)["edges"], [1.0, np.pi])
    assert compute.calls == 2


def test_the_default_is_the_users_cache_folder(monkeypatch):
    monkeypatch.delenv("NUEMSTAT_CACHE", raising=False)
    assert "nuemstat" in str(cache.cache_folder())


@pytest.mark.parametrize("damage", [b"", b"rubbish", "half", "flipped"])
def test_a_damaged_file_is_computed_anew(folder, damage):
    compute = Counter()
    cache.cached("key", compute)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(np.array([np.pi]).tobytes())] ^= 1
    path.write_bytes({"half": whole[: len(whole) // 2], "flipped": bytes(flipped)}.get(damage, damage))
    np.testing.assert_array_equal(cache.cached("key", compute)["edges"], [1.0, np.pi])
    assert compute.calls == 2
    assert path.read_bytes() == whole


def test_every_part_of_a_key_counts():
    keys = [
        None,
        "1",
        1,
        1.0,
        True,
        b"1",
        (),
        ((),),
        ("ab", "c"),
        ("a", "bc"),
        {"a": 1},
        {"a": 2},
        {"b": 1},
        np.array([1.0, 2.0]),
        np.array([[1.0, 2.0]]),
        np.array([1, 2]),
        np.array([1.0, np.nextafter(2.0, 3)]),
        LinearQuenching(0.2),
        LinearQuenching(0.2, scale=1.1),
        LindhardQuenching(0.2, 0),
        CouplingPolynomial.linear([1.0], {"x": [2.0]}),
        CouplingPolynomial.linear([1.0], {"y": [2.0]}),
    ]
    assert len({cache.digest(key) for key in keys}) == len(keys)


def test_equal_contents_make_equal_keys():
    assert cache.digest({"a": 1, "b": 2}) == cache.digest({"b": 2, "a": 1})
    assert cache.digest(dataclasses.replace(LinearQuenching(0.3), constant=0.2)) == cache.digest(LinearQuenching(0.2))
    wide = np.arange(10.0)
    assert cache.digest(wide[::2]) == cache.digest(wide[::2].copy())
    assert cache.digest({"x", "y", "z"}) == cache.digest({"z", "y", "x"})
    assert cache.digest(wide.astype(">f8")) == cache.digest(wide)


def test_a_key_is_the_same_in_another_process():
    key = "({'b': 1.25, 'a': {'x', 'y', 'z'}}, 'word', None)"
    code = f"from nuemstat.detector.cache import digest; print(digest({key}))"
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == cache.digest(eval(key))


def test_a_new_format_is_a_new_key(monkeypatch):
    before = cache.digest("key")
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert cache.digest("key") != before


def test_functions_are_no_keys():
    with pytest.raises(ModelError, match="found a function"):
        cache.cached((1.0, lambda: None), Counter())


def test_files_that_nobody_uses_are_removed(folder):
    calls = []

    def compute():
        calls.append(1)
        return {"x": np.arange(3.0)}

    long_ago = time.time() - 86400 * (cache.KEPT_DAYS + 1)
    cache.cached("old", compute)
    cache.cached("old but used", compute)
    for path in folder.iterdir():
        os.utime(path, (long_ago, long_ago))
    for name in ("notes.npz", "mine.txt"):
        (folder / name).write_text("not of the cache")
        os.utime(folder / name, (long_ago, long_ago))
    cache.cached("old but used", compute)
    cache.tidy.cache_clear()
    cache.cached("new", compute)
    assert len(calls) == 3
    kept = {cache.digest(key) + ".npz" for key in ("old but used", "new")}
    assert {path.name for path in folder.iterdir()} == kept | {"notes.npz", "mine.txt"}
