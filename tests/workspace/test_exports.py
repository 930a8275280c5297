"""All formats through the door of the library and of the command line."""

import pytest
from interop_workspaces import CHARGE, RADIUS, joint

from nuemstat import study
from nuemstat.cli import main
from nuemstat.errors import WorkspaceError

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
