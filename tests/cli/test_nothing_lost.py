"""Files that a command would replace: its own former ones are, all others are kept."""

import pytest
from conftest import toy_workspace

from nuemstat.cli import main


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr().err


def refused(capsys, path, *arguments):
    before = path.read_bytes()
    code, err = run(capsys, *arguments)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "none of" in err
    assert str(path) in err
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", [["limit", "--coupling", "millicharge_ee"], ["fit"]])
def test_results(capsys, toys, tmp_path, command):
    path = tmp_path / "result.json"
    for _ in range(2):
        assert run(capsys, *command, toys[0], "-o", path)[0] == 0
    path.write_text("my notes")
    refused(capsys, path, *command, toys[0], "-o", path)
    toy_workspace("alpha", "e").write(path)
    refused(capsys, path, *command, toys[0], "-o", path)


def test_pictures(capsys, toys, tmp_path):
    path = tmp_path / "picture.png"
    for _ in range(2):
        assert run(capsys, "fit", toys[0], "--plot", path)[0] == 0
    path.write_text("no picture")
    refused(capsys, path, "fit", toys[0], "--plot", path)


def test_workspaces(capsys, toys, tmp_path):
    path = tmp_path / "out" / "alpha.json"
    for _ in range(2):
        assert run(capsys, "compile", toys[0], "-o", tmp_path / "out")[0] == 0
    path.write_text('{"schema": "nuemstat/limit/1"}')
    refused(capsys, path, "compile", toys[0], "-o", tmp_path / "out")


def test_reports_of_validation(capsys, tmp_path):
    path = tmp_path / "report.md"
    path.write_text("# My own report")
    refused(capsys, path, "validate", "rovno", "--report", path)


def test_a_refused_datacard_leaves_no_templates(capsys, toys, tmp_path):
    code, err = run(
        capsys, "export", toys[0], "--format", "root", "--coupling", "millicharge_e", "-o", tmp_path / "out"
    )
    assert code == 2
    assert "no coupling 'millicharge_e'" in err
    assert not list((tmp_path / "out").glob("*.root"))


def test_a_level_belongs_to_limits_that_are_computed(capsys, tmp_path):
    code, err = run(capsys, "report", "--results", tmp_path, "-o", tmp_path / "out", "--cl", "0.95")
    assert code == 2
    assert "--cl belongs to limits that are computed anew" in err
