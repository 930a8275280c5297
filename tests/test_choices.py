"""Joint limits for every value of a choice: which fits stand beside the joint one, and how they are shown."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import toy_workspace

from nuemstat import study
from nuemstat.choices import limits_of_choices
from nuemstat.cli import main
from nuemstat.main_job import run
from nuemstat.report.joint import parts, read_joint
from nuemstat.stats.intervals import limit
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace

ASKED = ("millicharge_ee", "magnetic_moment_e")


def choosing(name: str, flavour: str, excess: float = 0.0, **choices: str) -> Workspace:
    return toy_workspace(name, flavour, excess=excess).model_copy(update={"choices": choices})


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two toys that chose the same, and one that has nothing to choose."""
    members = [choosing("alpha", "e", ge=("fef")), choosing("beta", "e", 2.0, ge="fef"), toy_workspace("gamma", "mu")]
    for member in members:
        member.write(tmp_path / f"{member.name}.json")
    return [str(tmp_path / f"{member.name}.json") for member in members]


def here(function: Callable[[Any], Any], items: Sequence[Any], labels: Sequence[str]) -> list[Any]:
    assert len(items) == len(labels)
    return [function(item) for item in items]


def test_every_value_that_all_can_take_then_without_those_who_choose() -> None:
    """With shipped models as specs and toys for what they would compile to."""
    specs = ["dresden2:fea", "conus_plus", "gemma"]
    members = [
        choosing("dresden2", "e", ge_quenching="lindhard"),
        choosing("conus_plus", "e", 2.0, ge_quenching="lindhard"),
        toy_workspace("gemma", "mu"),
    ]
    asked: list[str] = []

    def through(function: Callable[[Any], Any], items: Sequence[Any], labels: Sequence[str]) -> list[Any]:
        if function is not study.resolve:
            return here(function, items, labels)
        asked.extend(items)
        return [
            choosing(item.partition(":")[0], "e", 4.0, ge_quenching=item.rpartition(":")[2].split(",")[-1])
            for item in items
        ]

    found = limits_of_choices(specs, members, ASKED, level=0.9, through=through)
    assert asked == ["dresden2:fea,fef", "dresden2:fea,ybe", "conus_plus:fef", "conus_plus:ybe"]
    rows = [(f.coupling, f.value, f.without, f.taken) for f in found]
    left_out = [("dresden2",), ("conus_plus",), ("dresden2", "conus_plus")]
    one = [("lindhard", (), True), ("fef", (), False), ("ybe", (), False)]
    one += [("lindhard", names, False) for names in left_out[:2]]
    assert rows == [(name, *row) for name in ASKED for row in one]  # gemma here holds neither coupling
    whole, table, *_, without = (f for f in found if f.coupling == ASKED[0])
    assert whole.intervals == limit(combine(members), ASKED[0]).intervals
    assert without.intervals == limit(combine([members[0], members[2]]), ASKED[0]).intervals
    assert table.intervals != whole.intervals


def test_workspace_files_keep_their_choice(files: list[str]) -> None:
    members = [study.resolve(path) for path in files]
    found = limits_of_choices(files, members, ASKED[:1], level=0.9, through=here)
    assert [(f.value, f.without, f.taken) for f in found] == [
        ("fef", (), True),
        ("fef", ("alpha",), False),
        ("fef", ("beta",), False),
    ]


def test_mixed_members_have_no_value_that_was_taken(tmp_path: Path, files: list[str]) -> None:
    other = choosing("delta", "tau", ge="lindhard")
    other.write(tmp_path / "delta.json")
    specs = [*files, str(tmp_path / "delta.json")]
    members = [study.resolve(path) for path in specs]
    found = limits_of_choices(specs, members, ("millicharge_emu",), level=0.9, through=here)
    assert [(f.value, f.without, f.taken) for f in found] == [
        ("fef, lindhard", ("alpha",), False),
        ("fef, lindhard", ("beta",), False),
        ("fef", ("delta",), False),
        ("none", ("alpha", "beta", "delta"), False),
    ]


def test_main_job_and_page(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [word for path in files for word in ("--model", path)]
    assert main(["limits", "-o", str(tmp_path / "out"), *arguments, "--coupling", ASKED[0], "--choices", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["choices"]
    written = json.loads((tmp_path / "out" / "joint.json").read_text())["choices"]
    assert told == written
    assert [(entry["value"], entry["without"], entry["taken"]) for entry in written] == [
        ("fef", [], True),
        ("fef", ["alpha"], False),
        ("fef", ["beta"], False),
    ]
    assert written[0]["joint"] == json.loads((tmp_path / "out" / "joint.json").read_text())["couplings"][0]["joint"]
    joint = read_joint(tmp_path / "out")
    assert joint is not None
    (shown,) = [part for part in parts(joint, ASKED[:1]) if 'id="choices-table"' in part]
    assert "without beta (fef)" in shown
    assert shown.count(">taken<") == 1
    assert not [part for part in parts(joint, ASKED[1:]) if "choices-table" in part]


def test_without_the_question_there_is_no_answer(toys: tuple[str, str], tmp_path: Path) -> None:
    run(toys, ASKED[:1], tmp_path / "out", apart=False)
    assert "choices" not in json.loads((tmp_path / "out" / "joint.json").read_text())
    joint = read_joint(tmp_path / "out")
    assert joint is not None
    assert joint.choices == ()


def test_nothing_to_choose_is_said(toys: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["limits", "-o", str(tmp_path / "out"), "--model", toys[0], "--coupling", ASKED[0], "--choices"]) == 0
    assert "makes a choice; there is nothing to compare" in capsys.readouterr().err


@pytest.mark.slow
def test_commands_refuse_two_values_and_take_mixed(
    tmp_path: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    choosing("delta", "tau", ge="lindhard").write(tmp_path / "delta.json")
    pair = [files[0], str(tmp_path / "delta.json")]
    asked = ["--coupling", "millicharge_ee"]
    for command in (["fit"], ["limit", *asked], ["scan", *asked, "--points", "3"],
                    ["significance", *asked, "--at", "0"], ["impacts", *asked],
                    ["coverage", *asked, "--true", "0", "--experiments", "2", "--toys", "0"],
                    ["export", "--format", "hs3", "-o", str(tmp_path / "hs3")]):  # fmt: skip
        assert main([*command, *pair]) == 2, command
        error = capsys.readouterr().err.strip()
        assert "ge: found fef in alpha, lindhard in delta" in error
        assert "--mixed ge" in error
        assert "\n" not in error
        assert main([*command, *pair, "--mixed", "ge"]) == 0, command
        told = capsys.readouterr()
        assert "ge: the members differ, fef and lindhard" in told.out + told.err
    models = [word for path in pair for word in ("--model", path)]
    for command in ("limits", "report"):
        assert main([command, "-o", str(tmp_path / command), *models, *asked, "--processes", "1"]) == 2
        assert "ge: found fef in alpha, lindhard in delta" in capsys.readouterr().err
    assert main(["limits", "-o", str(tmp_path / "limits"), *models, *asked, "--processes", "1", "--mixed", "ge"]) == 0
    joint = json.loads((tmp_path / "limits" / "limits.json").read_text())[-1]
    assert joint["schemes"]["ge"] == "fef, lindhard"
    assert any("the members differ" in text for text in joint["warnings"])
    assert main(["limit", *asked, files[0], "--mixed", "gee"]) == 2
    assert "no member makes choice 'gee'" in capsys.readouterr().err
    assert main(["report", "--results", str(tmp_path / "limits"), "-o", str(tmp_path / "r"), "--choices"]) == 2
    assert "--choices belongs to limits that are computed anew" in capsys.readouterr().err


def test_inspect_shows_them(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", files[0]]) == 0
    assert "ge: fef" in capsys.readouterr().out
    assert main(["inspect", files[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["choices"] == {"ge": "fef"}


@pytest.mark.slow
def test_germanium_in_the_reactor_fit() -> None:
    """Three descriptions of two shipped models: CONUS+ and the iron filter go together badly."""
    found = run(["dresden2", "conus_plus"], ["magnetic_moment_e"], choices=True, apart=False).choices
    height = {item.value: item.q_min for item in found if not item.without}
    assert set(height) == {"lindhard", "fef", "ybe"}
    assert height["lindhard"] < height["ybe"] < height["fef"] - 50
    assert [item.without for item in found if item.without] == [("dresden2",), ("conus_plus",)]
