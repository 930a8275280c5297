"""Mistakes with data sets, flavours, tensors and releases: one line on standard error, exit code 2, nothing else."""

import shutil
from pathlib import Path

import pytest

from nuemstat.cli import main
from nuemstat.resources import models_folder
from nuemstat.vocabulary import COUPLINGS

RELEASE = '{name: xenonnt_b8_2026, where: "Zenodo 10.5281/zenodo.20576156"}'


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    assert (code, streams.out) == (2, "")
    (line,) = [line for line in streams.err.splitlines() if line.strip()]
    assert line.startswith("nuemstat: error: ")
    return line


def edited(folder: Path, old: str, new: str) -> Path:
    shutil.copytree(models_folder() / "xenonnt_b8", folder / "xenonnt_b8")
    path = folder / "xenonnt_b8" / "model.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_anchors_that_do_not_bracket_the_pulls(capsys, tmp_path: Path) -> None:
    path = edited(tmp_path, "totals: efficiency_sr0.csv, ", "")
    line = refused(capsys, "compile", path, "-o", tmp_path / "out")
    assert str(path.parent / "templates_sr0.csv") in line
    assert "the anchors of 'light' (-1, +1) do not bracket a pull of -2" in line
    assert "allowed: pulls from -1 to +1" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [("fit",), ("limit", "--coupling", "millicharge"), ("scan", "--coupling", "millicharge"), ("limits",)],
    ids=lambda a: a[0],
)
def test_two_analyses_of_one_data_set(capsys, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    command, *options = arguments
    models = ["lz_sr1:statistical", "lz_er2025:statistical"]
    named = [w for m in models for w in ("--model", m)] if command == "limits" else models
    output = ["-o", str(tmp_path / "results"), "--processes", "1"] if command == "limits" else []
    line = refused(capsys, command, *named, *options, *output)
    assert "lz_sr1 and lz_er2025 both use dataset lz_ws2022; each may enter a joint fit once" in line
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("limit", "texono_2020", "--coupling", "millicharge_nue"),
        ("scan", "texono_2020", "--coupling", "millicharge_nue"),
        ("significance", "texono_2020", "--coupling", "millicharge_nue", "--at", "0"),
        ("impacts", "texono_2020", "--coupling", "millicharge_nue"),
        ("fit", "texono_2020", "--float", "millicharge_nue"),
        ("fit", "texono_2020", "--fix", "millicharge_nue=0"),
        ("fit", "texono_2020", "--data", "asimov:millicharge_nue=0"),
        ("compile", "texono_2020", "--couplings", "millicharge_nue"),
        ("limits", "--model", "texono_2020", "--coupling", "millicharge_nue"),
    ],
    ids=lambda a: a[0],
)
def test_an_unknown_flavour(capsys, tmp_path: Path, monkeypatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, *arguments)
    assert "'millicharge_nue'" in line
    assert "did you mean 'millicharge_ee'?" in line
    allowed = COUPLINGS if arguments[0] == "compile" else ("millicharge_ee", "millicharge_emu", "millicharge_etau")
    assert all(name in line for name in allowed)


def test_a_flavour_that_the_source_does_not_have(capsys) -> None:
    line = refused(capsys, "limit", "texono_2020", "--coupling", "millicharge_mumu")
    assert "texono_2020: no parameter 'millicharge_mumu'; it holds " in line


def test_a_release_that_is_not_there(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = edited(tmp_path, "charge: 0}, source", f"charge: 0}}, release: {RELEASE}, source")
    monkeypatch.delenv("NUEMSTAT_RELEASES", raising=False)
    line = refused(capsys, "compile", path, "-o", tmp_path / "out")
    assert "release 'xenonnt_b8_2026' (Zenodo 10.5281/zenodo.20576156) is missing" in line
    assert "NUEMSTAT_RELEASES is not set" in line
    monkeypatch.setenv("NUEMSTAT_RELEASES", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    line = refused(capsys, "compile", path, "-o", tmp_path / "out")
    assert f"looked in {tmp_path / 'a' / 'xenonnt_b8_2026'}, {tmp_path / 'b' / 'xenonnt_b8_2026'}" in line
    # A folder of that name that does not hold the file
    (tmp_path / "b" / "xenonnt_b8_2026").mkdir(parents=True)
    line = refused(capsys, "compile", path, "-o", tmp_path / "out")
    assert str(tmp_path / "b" / "xenonnt_b8_2026") in line
    assert "_sr0.csv: cannot be read" in line


def test_a_release_that_is_there_is_read_and_never_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(tmp_path, "charge: 0}, source", f"charge: 0}}, release: {RELEASE}, source")
    home = tmp_path / "releases" / "xenonnt_b8_2026"
    home.mkdir(parents=True)
    for name in ("templates_sr0.csv", "efficiency_sr0.csv"):
        shutil.move(path.parent / name, home / name)
    monkeypatch.setenv("NUEMSTAT_RELEASES", str(home.parent))
    monkeypatch.setenv("NUEMSTAT_CACHE", str(tmp_path / "cache"))
    assert main(["compile", str(path), "-o", str(tmp_path / "out")]) == 0
    assert "wrote" in capsys.readouterr().err
    assert not list((tmp_path / "cache").glob("*.workspace"))
