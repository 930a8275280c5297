"""Compiled workspaces in the cache folder: the same as compiled ones, and never those of something else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nuemstat.model import kept
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import Model, load_model
from nuemstat.resources import models_folder
from nuemstat.workspace.document import Workspace

SMALL = "texono_2020"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUEMSTAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.workspace"))


def never() -> Workspace:
    raise AssertionError("this was in the cache")


def own(tmp_path: Path, name: str) -> Path:
    shutil.copytree(models_folder() / name, tmp_path / name)
    return tmp_path / name / "model.yaml"


@pytest.mark.parametrize("name", [SMALL, "pandax4t_run1"])
def test_what_is_read_is_what_was_compiled(folder: Path, name: str) -> None:
    compiled = compile_model(load_model(name))
    read = kept.kept(load_model(name), None, never)
    assert read == compiled
    assert read.to_json() == compiled.to_json()
    assert read.provenance == compiled.provenance
    assert len(files(folder)) == 1


def test_another_question_is_another_file(folder: Path, tmp_path: Path) -> None:
    full = compile_model(load_model(SMALL))
    assert set(compile_model(load_model(SMALL), ["millicharge_ee"]).couplings) == {"millicharge_ee"}
    assert compile_model(load_model(f"{SMALL}:p3")).digest != full.digest
    path = own(tmp_path, SMALL)
    path.write_text(path.read_text().replace("value: 27962", "value: 27963"))
    assert compile_model(load_model(str(path))).digest != full.digest
    assert len(files(folder)) == 4


def test_a_table_that_changed_is_noticed(folder: Path, tmp_path: Path) -> None:
    path = own(tmp_path, "pandax4t_run1")
    before = compile_model(load_model(str(path)))
    table = path.parent / "counts.csv"
    text = table.read_text()
    head, first, rest = text.partition("\n2,")
    assert first
    table.write_text(head + first + rest.replace(rest.split(",")[1], "77", 1))
    after = compile_model(load_model(str(path)))
    assert 77 in after.channels[0].observed
    assert after.digest != before.digest
    assert kept.kept(load_model(str(path)), None, never) == after
    table.unlink()
    with pytest.raises(Exception, match=r"counts\.csv"):
        compile_model(load_model(str(path)))


@pytest.mark.parametrize(
    "damage", [lambda text: text[: len(text) // 2], lambda text: text.replace("9", "8", 1), str.upper]
)
def test_a_damaged_file_is_compiled_anew(folder: Path, damage) -> None:
    compiled = compile_model(load_model(SMALL))
    (path,) = files(folder)
    path.write_text(damage(path.read_text()))
    assert compile_model(load_model(SMALL)) == compiled
    assert kept.kept(load_model(SMALL), None, never) == compiled


def test_other_code_is_another_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_model(load_model(SMALL))
    monkeypatch.setattr(kept, "_package", lambda: "of tomorrow")
    compile_model(load_model(SMALL))
    assert len(files(folder)) == 2


def test_code_that_changed_on_disk_since_it_was_loaded_says_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(kept.__file__).parent.parent
    young = max(max(p.stat().st_mtime, p.stat().st_ctime) for p in (home / "physics").glob("*.py"))
    compiled = compile_model(load_model(SMALL))
    assert len(files(folder)) == 1
    monkeypatch.setattr(kept, "_LOADED", young - 1.0)
    asked: list[str] = []

    def compute() -> Workspace:
        asked.append("again")
        return compiled

    assert kept.kept(load_model(SMALL), None, compute) == compiled
    assert asked == ["again"]
    compile_model(load_model(SMALL), ["millicharge_ee"])
    assert len(files(folder)) == 1


def test_code_that_changes_while_a_model_is_compiled_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_model(load_model(SMALL))
    for path in files(folder):
        path.unlink()

    def compute() -> Workspace:
        monkeypatch.setattr(kept, "_LOADED", 0.0)
        return compiled

    assert kept.kept(load_model(SMALL), None, compute) == compiled
    assert files(folder) == []


def test_a_folder_that_cannot_be_written_to_and_no_cache_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUEMSTAT_CACHE", str(tmp_path / "file" / "below"))
    compiled = compile_model(load_model(SMALL))
    monkeypatch.setenv("NUEMSTAT_CACHE", "off")
    asked: list[Model] = []

    def compute() -> Workspace:
        asked.append(load_model(SMALL))
        return compiled

    for _ in range(2):
        assert kept.kept(load_model(SMALL), None, compute) == compiled
    assert len(asked) == 2


def test_a_release_of_the_user_is_never_kept(folder: Path) -> None:
    model = load_model(SMALL)
    compiled = compile_model(load_model(SMALL))
    for path in files(folder):
        path.unlink()
    model.files.elsewhere = True
    assert kept.kept(model, None, lambda: compiled) == compiled
    assert files(folder) == []


def test_all_code_that_compiling_loads_counts() -> None:
    code = (
        "import sys, nuemstat; nuemstat.compile(nuemstat.load_model('texono_2020')); "
        "print(*(m for m in sys.modules if m.startswith('nuemstat.')))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    counted = {part.removesuffix(".py").replace("/", ".") for part in kept.PARTS}
    harmless = {"notebook", "workspace", "writing"}  # how a workspace is shown and written
    found = {module.removeprefix("nuemstat.") for module in loaded} - harmless
    assert {m for m in found if m not in counted and m.partition(".")[0] not in counted} == set()
    assert "model.compiler" in found


def test_its_place_in_the_world_fit_is_read_anew_where_a_workspace_is_kept(monkeypatch) -> None:
    assert compile_model(load_model("lz_sr1")).provenance[0].outside != "changed"
    monkeypatch.setattr("nuemstat.model.compiler.why_outside", lambda *_: "changed")
    assert compile_model(load_model("lz_sr1")).provenance[0].outside == "changed"
