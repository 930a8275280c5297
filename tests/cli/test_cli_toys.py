"""Commands that throw toys."""

import json
from pathlib import Path

import pytest

from nuemstat.cli import main


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUEMSTAT_CACHE", str(tmp_path / "cache"))


def answer(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_feldman_cousins_limit(toys, tmp_path, capsys):
    path = tmp_path / "toys.jsonl"
    arguments = ["limit", toys[0], "--coupling", "magnetic_moment_e", "--method", "fc", "--toys", "100", "--seed", "5"]
    found = answer(capsys, *arguments, "--checkpoint", str(path))
    assert (found["schema"], found["method"], found["seed"]) == ("nuemstat/limit/1", "fc", 5)
    assert found["toys"] == sum(row["toys"] for row in found["critical"])
    assert found["intervals"][0][0] == 0.0
    assert path.exists()
    assert answer(capsys, *arguments) == found
    assert list((tmp_path / "cache" / "toys").iterdir()) == []
    code = main(["limit", toys[1], *arguments[2:3], "magnetic_moment_mu", *arguments[4:], "--checkpoint", str(path)])
    assert code == 2
    error = capsys.readouterr().err
    assert "is of another workspace: digest" in error
    assert error.count("\n") == 1


def test_cls_limit_beside_what_is_expected(toys, capsys):
    found = answer(capsys, "limit", toys[0], "--coupling", "magnetic_moment_e", "--method", "cls", "--expected")
    assert {"median", "band68", "band95"} <= set(found["expected"])
    low, high = found["expected"]["band95"]["upper"]
    assert low < found["expected"]["median"]["upper"] < high
    assert found["intervals"] == [[0.0, found["upper_limit"]]]
    assert "critical" not in found


def test_expected_ends_by_default_by_toys_and_not_at_all(toys, capsys):
    question = ["limit", toys[0], "--coupling", "millicharge_ee"]
    assert answer(capsys, *question)["expected"]["method"] == "asimov"
    assert answer(capsys, *question, "--expected", "--toys", "20")["expected"]["method"] == "toys"
    assert "expected" not in answer(capsys, *question, "--no-expected")
    even = answer(capsys, "limit", toys[0], "--coupling", "magnetic_moment_e")
    assert even["expected"]["method"] == "asymptotic"
    assert 0 < even["boundary_aware"]["upper_limit"] <= even["upper_limit"] * (1 + 1e-6)


@pytest.mark.parametrize("command", ["limit", "limits"])
def test_toys_that_nothing_throws_are_refused(toys, capsys, command):
    models = [toys[0]] if command == "limit" else ["--model", toys[0]]
    assert main([command, *models, "--coupling", "millicharge_ee", "--toys", "20"]) == 2
    error = capsys.readouterr().err
    assert "--expected asks for them" in error
    assert error.count("\n") == 1


def test_coverage(toys, capsys):
    arguments = ["coverage", toys[0], "--coupling", "magnetic_moment_e", "--true", "5e-12", "--experiments", "10"]
    found = answer(capsys, *arguments, "--toys", "19")
    assert (found["schema"], found["experiments"], found["true"]) == ("nuemstat/coverage/1", 10, 5e-12)
    assert set(found["intervals"]) == {"profile", "boundary", "fc"}
    assert main([*arguments, "--toys", "0"]) == 0
    assert "coverage of 90 % intervals of magnetic_moment_e" in capsys.readouterr().out
