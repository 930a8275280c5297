"""The shipped workspaces are what the models give; ``python -m nuemstat.release`` writes them."""

import pytest

from nuemstat import release
from nuemstat.model.loader import shipped_models
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.judges import Verdict

pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_workspaces_are_what_the_models_give(name):
    assert release.difference(release.shipped_folder(), name) == ""


def test_no_other_workspaces_are_shipped_and_all_fit_the_budget():
    files = list(release.shipped_folder().glob("*.json"))
    wanted = {f"{name}{end}.json" for name in shipped_models() for end in ("", ".checkpoints")}
    assert {path.name for path in files} == wanted
    assert sum(path.stat().st_size for path in files) < release.BUDGET


def test_the_command_writes_all_forms_and_then_finds_no_difference(tmp_path):
    assert release.main(["texono_2020", "-o", str(tmp_path), "--forms"]) == 0
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == [
        "hs3/texono_2020.hs3.json",
        "hs3/texono_2020.hs3.notes.md",
        "pyhf/texono_2020.json",
        "pyhf/texono_2020.notes.md",
        "texono_2020.checkpoints.json",
        "texono_2020.json",
    ]
    assert release.main(["texono_2020", "-o", str(tmp_path), "--check"]) == 0


@pytest.mark.parametrize(("factor", "same"), [(1 + 3e-8, True), (1 + 1e-6, False)])
def test_numbers_may_differ_by_rounding_only(factor, same, tmp_path, capsys):
    release.write_shipped(tmp_path, ["texono_2020"])
    held = Workspace.read(tmp_path / "texono_2020.json")
    (channel,) = held.channels
    first, *others = channel.samples
    moved = first.model_copy(update={"contents": tuple(value * factor for value in first.contents)})
    made = held.model_copy(update={"channels": (channel.model_copy(update={"samples": (moved, *others)}),)})
    found = release.difference(tmp_path, "texono_2020", made)
    assert (found == "") == same
    if not same:
        assert "texono_2020.channels.0.samples.0.contents.0 is" in found
        assert "write it anew with python -m nuemstat.release texono_2020" in found


def test_missing_and_unknown_ones_are_one_clear_line(tmp_path, capsys):
    assert release.main(["texono_2020", "-o", str(tmp_path), "--check"]) == 1
    assert "texono_2020.json: cannot be read" in capsys.readouterr().err
    assert release.main(["no_such_model", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("nuemstat: error: ")


def test_judges_are_asked_for_every_named_workspace(monkeypatch, capsys):
    verdicts = {"texono_2020": Verdict("pyhs3", 2e-12, 1e-8, 2.9), "gemma": Verdict("pyhs3", 3e-8, 1e-8, 8.9)}
    monkeypatch.setattr(release, "judge", lambda workspace, points, by: verdicts[workspace.name])
    assert release.main(["texono_2020", "--judge", "pyhs3"]) == 0
    assert "texono_2020: pyhs3 holds: 20 differences of 2 NLL up to 2.9 to 2.0e-12" in capsys.readouterr().out
    assert release.main(["gemma", "texono_2020", "--judge", "pyhs3"]) == 1
    assert "gemma: pyhs3 DIFFERS" in capsys.readouterr().out
