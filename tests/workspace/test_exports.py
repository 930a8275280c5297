"""All formats through the door of the library and of the command line."""

import time

import pytest
from interop_workspaces import CHARGE, RADIUS, gaussian, joint

from nuemstat import study
from nuemstat.cli import main
from nuemstat.errors import WorkspaceError
from nuemstat.main_job import world_models
from nuemstat.resources import models_folder
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.from_root import read_root
from nuemstat.workspace.hepdata import read_bundle

pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf

WRITTEN = {
    ("pyhf",): ["toy.json", "toy.notes.md"],
    ("hs3",): ["toy.hs3.json", "toy.hs3.notes.md"],
    ("hs3", "--dialect", "named", "--coupling", RADIUS): ["toy.hs3.json", "toy.hs3.notes.md"],
    ("root",): ["toy.root"],
    ("root", "--coupling", CHARGE, "--coupling", RADIUS): [
        "toy.datacard.notes.md",
        "toy.datacard.txt",
        "toy.root",
        "toy.shapes.root",
    ],
    ("hepdata",): [
        "README.md",
        "checksums.txt",
        "submission.yaml",
        "table_1.yaml",
        "table_2.yaml",
        "table_3.yaml",
        "toy.checkpoints.json",
        "toy.hs3.json",
        "toy.hs3.notes.md",
        "toy.json",
        "toy.pyhf.json",
        "toy.pyhf.notes.md",
    ],
}


@pytest.mark.parametrize("arguments", WRITTEN, ids=" ".join)
def test_every_format_is_written_once_and_then_kept(arguments, tmp_path, capsys):
    joint().write(tmp_path / "toy.json")
    command = ["export", str(tmp_path / "toy.json"), "--format", *arguments, "-o", str(tmp_path / "out")]
    assert main(command) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == WRITTEN[arguments]
    capsys.readouterr()
    assert main(command) == 2
    found = capsys.readouterr()
    assert found.err.endswith("is there already; it is kept unless --force is given\n")
    assert found.err.count("\n") == 1
    assert main([*command, "--force"]) == 0


def test_what_a_form_cannot_say_is_said_on_export(tmp_path, capsys):
    gaussian().write(tmp_path / "toy.json")
    command = ["export", str(tmp_path / "toy.json"), "--format", "pyhf", "-o", str(tmp_path / "out")]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    notes = tmp_path / "out" / "toy.notes.md"
    assert lines[:2] == [f"nuemstat: wrote {tmp_path / 'out'}", f"nuemstat: what toy.json cannot say ({notes}):"]
    written = [line[2:] for line in notes.read_text().splitlines() if line.startswith("- ")]
    assert [line.removeprefix("nuemstat:   ") for line in lines[2:]] == written
    assert any("pseudo-counts" in line for line in written)
    assert main([*command, "--force", "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*command[:3], "hs3", *command[4:]]) == 0  # into the same folder: only its own notes are told
    assert "toy.notes.md" not in capsys.readouterr().err


def test_the_hs3_file_and_the_bundle_are_workspaces_for_every_command(tmp_path):
    study.export(joint(), "hs3", tmp_path, couplings=[CHARGE])
    study.export(joint(), "hepdata", tmp_path / "bundle")
    assert study.resolve(str(tmp_path / "toy.hs3.json")) == joint()
    assert study.resolve(str(tmp_path / "bundle")) == joint()


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    for kind in ("pyhf", "hs3", "root", "hepdata"):
        with pytest.raises(WorkspaceError, match="file"):
            study.export(joint(), kind, tmp_path / "file" / "below")


@pytest.mark.slow
def test_the_world_fit_is_exported_in_half_a_minute(tmp_path):
    """Of processor time, each format; the submission is verified on reading in as little."""
    folder = models_folder().parent / "workspaces"
    made = combine([Workspace.read(folder / f"{name}.json") for name in world_models()], name="world")
    for kind in study.FORMATS:
        start = time.process_time()
        study.export(made, kind, tmp_path / kind)
        assert time.process_time() - start < 30, kind
    assert read_root(tmp_path / "root" / "world.root").digest == made.digest
    start = time.process_time()
    assert read_bundle(tmp_path / "hepdata").digest == made.digest
    assert time.process_time() - start < 30
