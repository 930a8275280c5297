"""The house: imports point strictly downwards, modules and functions stay small, public names are documented."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import nuemstat

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nuemstat"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "shipped" not in path.parts)

FLOORS: list[tuple[str, ...]] = [
    ("errors", "notebook"),
    ("strict", "vocabulary", "units", "polynomial", "resources", "writing"),
    ("tables",),
    ("physics",),
    ("sources", "detector"),
    ("workspace",),
    ("model",),
    ("model.compiler", "stats"),
    ("workspace.to_pyhf", "workspace.to_root"),
    ("workspace.stock_pyhf",),
    ("workspace.to_hs3", "workspace.from_root", "workspace.pyhf_embedded", "workspace.checkpoints"),
    ("workspace.datacard_basis",),
    ("workspace.combine_datacard", "workspace.from_hs3", "workspace.judges"),
    ("workspace.opening", "workspace.hepdata"),
    ("folder", "published", "published_limits", "plots", "explain"),
    ("study", "number_scan"),
    ("ours",),
    ("sidebyside", "choices"),
    ("membership",),
    ("main_job", "validate", "release"),
    ("report",),
    ("cli",),
    ("__main__",),
]
"""Lowest first; a name stands for a module or for a whole package, the longest that fits counts."""

UPWARDS = {("workspace.document", "workspace.universal")}
"""Workspace.substitute is the documented door to what is built on workspaces; it imports inside the method."""


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def floor_of(module: str) -> tuple[int, str]:
    """Number of the floor, and the unit on it: a module, or a package within which imports are free."""
    fitting = [
        (len(unit), number, unit)
        for number, units in enumerate(FLOORS)
        for unit in units
        if module == unit or module.startswith(unit + ".")
    ]
    assert fitting, f"{module} stands on no floor; add it to FLOORS"
    return max(fitting)[1:]


def imports_of(path: Path) -> Iterator[str]:
    """Modules of this package that are imported anywhere in the file, functions and type checks included."""
    known = {name_of(other) for other in MODULES}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it points"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [i if i.removeprefix("nuemstat.") in known else str(node.module) for i in inner]
        else:
            continue
        yield from (name.removeprefix("nuemstat.") for name in found if name.startswith("nuemstat."))


def below(path: Path) -> list[str]:
    """What a module imports that does not stand below it."""
    name = name_of(path)
    wrong = []
    for imported in imports_of(path):
        number, unit = floor_of(name)
        other_number, other_unit = floor_of(imported)
        inside = unit == other_unit
        if not inside and other_number >= number and (name, imported) not in UPWARDS:
            wrong.append(f"{name} imports {imported}")
    return wrong


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p)], ids=name_of)
def test_imports_point_downwards(path):
    assert below(path) == []


def test_a_wrong_import_would_be_seen(tmp_path, monkeypatch):
    package = tmp_path / "nuemstat"
    (package / "stats").mkdir(parents=True)
    (package / "physics").mkdir()
    wrong = package / "stats" / "wrong.py"
    wrong.write_text("def f():\n    from nuemstat.model.compiler import compile_model\n    import nuemstat.study\n")
    (package / "physics" / "cevns.py").write_text("")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package)
    monkeypatch.setattr(sys.modules[__name__], "MODULES", [wrong, package / "physics" / "cevns.py"])
    assert below(wrong) == ["stats.wrong imports model.compiler", "stats.wrong imports study"]


def test_no_cycles_inside_packages():
    edges = {name_of(p): {i for i in imports_of(p) if (name_of(p), i) not in UPWARDS} for p in MODULES if name_of(p)}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"imports in a circle: {' -> '.join((*way, name))}"
        if name not in done:
            for imported in edges.get(name, set()):
                visit(imported, (*way, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def test_stats_knows_no_physics():
    for path in MODULES:
        if name_of(path).startswith("stats"):
            tops = {imported.split(".")[0] for imported in imports_of(path)}
            assert not tops & {"physics", "sources", "detector", "model", "units"}, path


@pytest.mark.parametrize("path", MODULES, ids=lambda p: name_of(p) or "nuemstat")
def test_size(path):
    lines = path.read_text().splitlines()
    assert len(lines) < 500
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 <= 60, f"{path.name}: {node.name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: name_of(p) or "nuemstat")
def test_public_names_are_documented(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree), path
    kinds = (ast.FunctionDef, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    assert ast.get_docstring(inner), f"{path.name}: {node.name}.{inner.name}"


def test_library_code_does_not_print():
    for path in MODULES:
        calls = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        assert not [n for n in calls if n.func.id in ("print", "eval", "exec")], path


def test_importing_a_module_reads_no_file():
    readers = {"open", "read_text", "read_bytes", "read_table", "loadtxt", "genfromtxt", "load"}
    for path in MODULES:
        for statement in tree_of(path).body:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                continue
            for node in ast.walk(statement):
                if isinstance(node, ast.Call):
                    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    assert called not in readers, f"{path}:{node.lineno}"


def test_readme_tells_of_what_there_is():
    from nuemstat.cli.commands import application

    text = (ROOT / "README.md").read_text()
    commands = set(re.findall(r"`nuemstat ([a-z]+)", text))
    assert commands == set(application.commands)
    options = {o for command in application.commands.values() for p in command.params for o in p.opts}
    assert set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", text)) <= options
    names = set(re.findall(r"\bnu\.(\w+)", text))
    assert names
    assert names <= set(nuemstat.__all__)
    first, second = [line for line in text.splitlines() if line.startswith("python3 -m venv")]
    assert "nuemstat limits" in first
    assert "-m pytest" in second


def test_documents_name_no_machine_path():
    listed = [p for p in ROOT.glob("*.*") if p.is_file()] + MODULES + list((ROOT / "tests").rglob("*.py"))
    pattern = re.compile(r"/(?:work|home|root|opt)/\w")
    for path in listed:
        if path.suffix in (".py", ".md", ".toml", ".yaml", ".cff") and path != Path(__file__).resolve():
            assert not pattern.search(path.read_text()), path


@pytest.mark.slow
def test_wheel_holds_models_and_published_numbers(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel without a network")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
    ]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    wanted = {f"nuemstat/shipped/{p.relative_to(ROOT)}" for p in (ROOT / "models").rglob("*") if p.is_file()}
    wanted |= {f"nuemstat/shipped/{p.relative_to(ROOT)}" for p in (ROOT / "validation").glob("*.yaml")}
    wanted |= {str(p.relative_to(ROOT)) for p in (PACKAGE / "data").rglob("*.csv")}
    wanted.add("nuemstat/data/history/README.md")
    assert wanted
    assert wanted <= held
    assert not [name for name in held if name.startswith(("tests/", "models/"))]
    (notice,) = (tmp_path / "installed").glob("*.dist-info/licenses/NOTICE")
    assert "selected and converted" in notice.read_text()
    probe = "import nuemstat, nuemstat.resources as r; print(nuemstat.__file__); print(r.models_folder())"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-c", probe]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert all(line.startswith(str(tmp_path / "installed")) for line in done.stdout.splitlines())
