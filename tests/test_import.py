"""The package opens quickly, reads nothing, and every public name is there."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nuemstat

ROOT = Path(__file__).resolve().parent.parent

PROBE = """
import builtins, io, sys, time
opened = []
original = builtins.open
def spy(file, *rest, **more):
    opened.append(str(file))
    return original(file, *rest, **more)
builtins.open = io.open = spy
start = time.perf_counter()
import nuemstat
print(time.perf_counter() - start)
print([name for name in ("numpy", "scipy", "pydantic", "yaml", "iminuit", "matplotlib", "pyhf") if name in sys.modules])
print([name for name in opened if not name.endswith((".py", ".pyc"))])
"""


def test_import_is_quick_and_reads_nothing():
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, loaded, opened = done.stdout.splitlines()
    assert float(seconds) < 0.2
    assert loaded == "[]"
    assert opened == "[]"


def test_every_public_name_is_there_and_documented():
    for name in nuemstat.__all__:
        assert getattr(nuemstat, name).__doc__, name
        assert name in dir(nuemstat)


def test_lazy_names_and_all_agree():
    assert sorted(nuemstat.__all__) == sorted(nuemstat._HOMES)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="limitt"):
        nuemstat.limitt  # noqa: B018


def test_version_is_that_of_the_project_file():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == nuemstat.__version__
    assert f"version: {nuemstat.__version__}\n" in (ROOT / "CITATION.cff").read_text()
