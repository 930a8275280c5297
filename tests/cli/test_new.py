"""``nuemstat new``: what it makes works as it stands, and refuses what it must."""

import re
from pathlib import Path

import pytest
import yaml

from nuemstat.cli import main
from nuemstat.model.loader import load_model


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_new_model_works_as_it_stands(here, capsys):
    assert main(["new", "barn_door"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    command = re.search(r"try: nuemstat (.+)", said.err)
    assert command
    assert main(command[1].split()) == 0
    assert "barn_door" in capsys.readouterr().out


def test_every_variant_of_the_new_model_is_a_model(here):
    assert main(["new", "barn_door", "-o", "folder"]) == 0
    model = load_model("folder/model.yaml")
    assert model.name == "barn_door"
    for options in model.groups.values():
        for option in options:
            assert load_model(f"folder/model.yaml:{option}").document.name == "barn_door"


def test_it_is_commented_and_says_what_is_made_up(here):
    main(["new", "barn_door"])
    text = Path("barn_door/model.yaml").read_text()
    assert "my_experiment" not in text
    assert sum(line.lstrip().startswith("#") for line in text.splitlines()) > 15
    raw = yaml.safe_load(text)
    for part in (
        "source",
        "target",
        "responses",
        "channels",
        "signals",
        "backgrounds",
        "nuisances",
        "free",
        "variants",
    ):
        assert raw[part]
        assert re.search(rf"^#[^\n]*\n(?:#[^\n]*\n)*{part}:", text, re.MULTILINE), f"no comment before {part}"


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["new", "Barn"], "name: found 'Barn'; small letters"),
        (["new", "2nd"], "found '2nd'"),
        (["new", "a/b"], "found 'a/b'"),
        (["new"], "Missing argument 'NAME'"),
        (["new", "taken"], "taken: it is already there; a folder that is new or empty"),
        (["new", "other", "-o", "file"], "file: it is already there"),
        (["new", "other", "-o", "file/below"], "file/below.*: cannot be written|file"),
    ],
)
def test_mistakes_are_one_line(here, capsys, arguments, pattern):
    (here / "taken").mkdir()
    (here / "taken" / "mine.txt").write_text("mine")
    (here / "file").write_text("mine")
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(pattern, line), line
    assert {path.name for path in here.rglob("*")} == {"taken", "mine.txt", "file"}


MISTAKES = [
    ("thermal_power", "thermal_powr", r"unknown key 'thermal_powr'; .*did you mean 'thermal_power'\?"),
    ("value: 1 kg,", "value: 1 km,", r"target\.mass\.value: '1 km' is length; expected mass"),
    ("column: observed", "column: obs", r"counts\.csv: no column 'obs'; it has .*observed"),
    ("bins: 18", "bins: 17", r"column 'observed' has 18 rows; the channel has 17 bins"),
    ("processes: [compton]", "processes: [comptn]", r"found 'comptn'; this model has .*did you mean 'compton'\?"),
    ("type: lindhard", "type: lindhart", r"found 'lindhart'; allowed are .*did you mean 'lindhard'\?"),
    ("approximation: best", "approximation: bset", r"found 'bset'; input should be .*did you mean 'best'\?"),
    ("U235: {value: 0.55", "U235: {value: 0.65", r"fission fractions that sum to 1\.1; 1 within 0\.01 is allowed"),
    ("  formula:", " formula:", r"model\.yaml, line \d+: not YAML"),
    ("nuemstat/model/1", "nuemstat/model/2", r"found 'nuemstat/model/2'; this version reads 'nuemstat/model/1'"),
]


@pytest.mark.parametrize(("old", "new", "pattern"), MISTAKES, ids=[new for _, new, _ in MISTAKES])
def test_mistakes_while_editing_are_one_line(here, capsys, old, new, pattern):
    main(["new", "barn_door"])
    path = Path("barn_door/model.yaml")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    capsys.readouterr()
    assert main(["limit", str(path), "--coupling", "millicharge_ee"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("nuemstat: error: barn_door/")
    assert re.search(pattern, line), line
