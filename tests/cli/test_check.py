"""``nuemstat check``, and the commands that take pyhf files."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from pyhf_examples import correlated, uncorrelated

from nuemstat.cli import main


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


@pytest.fixture
def search(tmp_path):
    path = tmp_path / "some-search.json"
    path.write_text(json.dumps(correlated()))
    return path


def test_each_kind_is_named(capsys, toys, search, tmp_path):
    from nuemstat.workspace.document import Workspace
    from nuemstat.workspace.to_hs3 import write_hs3

    written = [Path(p) for p in write_hs3(Workspace.read(toys[0]), tmp_path / "hs3")]
    (hs3,) = [path for path in written if path.suffix == ".json"]
    code, out, err = run(capsys, "check", toys[0], search, hs3)
    assert (code, err) == (0, "")
    lines = [line for line in out.splitlines() if not line.startswith(" ")]
    assert "valid native workspace (nuemstat/workspace/1), alpha: 1 channels, 6 bins, 3 couplings, 2 nuis" in lines[0]
    assert "valid pyhf workspace (HistFactory JSON 1.0.0), some_search: 2 channels, 3 bins" in lines[1]
    assert "valid hs3 workspace (HS3 " in lines[2]
    assert "  the parameter of interest is mu" in out


def test_root_files_and_submissions_are_named_and_their_check_points_verified(capsys, toys, tmp_path):
    from nuemstat import study

    for kind in ("root", "hepdata"):
        study.export(study.resolve(toys[0]), kind, tmp_path / kind)
    root, folder = tmp_path / "root" / "alpha.root", tmp_path / "hepdata"
    code, out, err = run(capsys, "check", root, folder)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "valid root workspace (histograms of nuemstat/workspace/1), alpha: 1 channels, 6 bins" in lines[0]
    assert "valid hepdata workspace (HEPData submission), alpha: 1 channels, 6 bins" in lines[1]
    assert lines[2:] == ["  the check points hold"]
    assert run(capsys, "fit", root)[1] == run(capsys, "fit", toys[0])[1]
    (folder / "alpha.pyhf.json").write_text("{}")
    code, out, err = run(capsys, "check", folder)
    assert (code, out) == (2, "")
    assert err.splitlines() == [f"nuemstat: error: {folder / 'alpha.pyhf.json'}: was changed since checksums.txt was "
                                "written"]  # fmt: skip


def test_check_points_beside_a_native_file_are_verified(capsys, toys, tmp_path):
    from nuemstat.workspace.checkpoints import check_points
    from nuemstat.workspace.document import Workspace

    made = Workspace.read(toys[0])
    made.write(tmp_path / "alpha.json")
    check_points(made, points=2).write(tmp_path / "alpha.checkpoints.json")
    code, out, _ = run(capsys, "check", tmp_path / "alpha.json")
    assert (code, out.splitlines()[1]) == (0, "  the check points hold")
    text = (tmp_path / "alpha.checkpoints.json").read_text()
    (tmp_path / "alpha.checkpoints.json").write_text(text.replace('"native":', '"native":1', 1))
    code, out, err = run(capsys, "check", tmp_path / "alpha.json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "points.0: 2 NLL is" in err


def test_other_folders_and_root_files_are_one_line(capsys, tmp_path):
    import uproot

    with uproot.recreate(tmp_path / "other.root") as file:
        file["text"] = "no workspace"
    (tmp_path / "broken.root").write_bytes(b"root\x00and then nothing")
    wanted = {tmp_path: "found a folder without submission.yaml", tmp_path / "none": "cannot be read",
              tmp_path / "other.root": "found no text 'workspace'", tmp_path / "broken.root": "as ROOT"}  # fmt: skip
    for path, message in wanted.items():
        code, out, err = run(capsys, "check", path)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"nuemstat: error: {path}: ")
        assert message in err


def test_json(capsys, search):
    code, out, _ = run(capsys, "check", search, "--json")
    content = json.loads(out)
    assert code == 0
    assert content["schema"] == "nuemstat/check/1"
    (entry,) = content["files"]
    assert (entry["kind"], entry["nuisances"], entry["free"]) == ("pyhf", 2, 2)


def test_the_schema_is_printed(capsys, toys):
    code, out, _ = run(capsys, "check", "--schema")
    assert code == 0
    jsonschema.Draft202012Validator(json.loads(out)).validate(json.loads(Path(toys[0]).read_text()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["measurements"][0]["config"].update(poi="nu"), "poi: found 'nu'"),
        (lambda d: d["channels"][0]["samples"][0].update(data=[0.0, -0.0]), ""),
        (lambda d: d["channels"][1]["samples"][0].update(data=[0.0]), "100|108 counts are observed and no sample"),
    ],
    ids=["unknown name", "empty signal", "a bin that nothing fills"],
)
def test_what_is_not_valid_is_one_line(capsys, tmp_path, change, message):
    document = correlated()
    change(document)
    path = tmp_path / "w.json"
    path.write_text(json.dumps(document))
    code, out, err = run(capsys, "check", path)
    assert code == (2 if message else 0)
    if message:
        assert out == ""
        (line,) = err.splitlines()
        assert re.search(message, line)


def test_files_or_the_schema(capsys, search):
    for arguments in ((), ("--schema", search)):
        code, out, err = run(capsys, "check", *arguments)
        assert (code, out) == (2, "")
        assert "one of the two" in err


def test_pyhf_files_stand_where_workspaces_do(capsys, tmp_path, search):
    code, out, err = run(capsys, "fit", search, "--json")
    assert (code, err) == (0, "")
    assert set(json.loads(out)["nuisances"]) == {"mu", "tilt", "size", "b"}
    code, out, _ = run(capsys, "limit", search, "--coupling", "mu", "--json")
    found = json.loads(out)
    assert (code, found["unit"], found["valid"]) == (0, "1", True)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(uncorrelated()))
    code, out, err = run(capsys, "fit", search, other)
    assert code == 0
    assert out.count("mu ") == 1
    code, out, _ = run(capsys, "inspect", search, "--json")
    assert json.loads(out)["free"][0]["name"] == "mu"
