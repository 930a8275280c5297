"""Files of other hands: one clear line and exit code 2 each, for every kind of workspace, and nothing evaluated."""

import json
import re
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import uproot
from pyhf_examples import correlated

from nuemstat import study
from nuemstat.cli import main
from nuemstat.workspace import reading
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.to_hs3 import to_hs3

CODE = "__import__('pathlib').Path('evaluated').touch()"


def refused(capsys, *arguments: object) -> str:
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    assert (code, streams.out) == (2, "")
    (line,) = streams.err.splitlines()
    assert line.startswith("nuemstat: error: ")
    assert len(line) < 700
    return line


@pytest.fixture
def documents(toys) -> dict:
    """One valid document of each kind."""
    native = Workspace.read(toys[0])
    hs3 = to_hs3(native, floating=native.couplings).document
    return {"native": json.loads(native.to_json()), "pyhf": correlated(), "hs3": json.loads(json.dumps(hs3))}


def test_they_are_valid_to_begin_with(capsys, documents, tmp_path):
    for kind, document in documents.items():
        path = tmp_path / f"{kind}.json"
        path.write_text(json.dumps(document))
        assert main(["check", str(path)]) == 0
    assert "valid hs3 workspace" in capsys.readouterr().out


def samples(document, kind: str) -> list:
    return document["distributions" if kind == "hs3" else "channels"][0]["samples"]


def with_number(document, kind: str, number: str) -> str:
    """The document with a number of its first sample written in another way."""
    changed = deepcopy(document)
    first = samples(changed, kind)[0]
    values = {"native": first.get("contents"), "pyhf": first.get("data"), "hs3": first.get("data")}[kind]
    (values["contents"] if kind == "hs3" else values)[0] = "here"
    return json.dumps(changed).replace('"here"', number)


@pytest.mark.parametrize("kind", ["native", "pyhf", "hs3"])
@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + 400 * "0", '"1"', "null", "[1]", "{}"]
)
def test_what_is_no_finite_number(kind, number, documents, capsys, tmp_path):
    path = tmp_path / "w.json"
    path.write_text(with_number(documents[kind], kind, number))
    line = refused(capsys, "check", path)
    wanted = {
        "native": r"channels\.0\.samples\.0\.contents\.0|found a list",
        "pyhf": r"channels\.0\.samples\.0\.data\.0",
        "hs3": r"distributions\.0\.samples\.0\.data\.contents|contents\.0",
    }[kind]
    assert re.search(wanted, line), line


@pytest.mark.parametrize("kind", ["native", "pyhf", "hs3"])
@pytest.mark.parametrize("depth", [900, 100_000])
@pytest.mark.parametrize(("opening", "closing"), ["[]", ('{"a":', "}")])
def test_deep_nesting(kind, depth, opening, closing, documents, capsys, tmp_path):
    inner = opening * depth + ("1" if opening != "[" else "") + closing * depth
    path = tmp_path / "w.json"
    path.write_text(f'{json.dumps(documents[kind])[:-1]}, "x": {inner}}}')
    assert "brackets are nested deeper than any workspace's" in refused(capsys, "check", path)


@pytest.mark.parametrize("kind", ["native", "pyhf", "hs3"])
def test_a_key_that_stands_twice(kind, documents, capsys, tmp_path):
    text = json.dumps(documents[kind])
    path = tmp_path / "w.json"
    path.write_text('{"name": 1, "name": 2, ' + text[1:])
    assert "key 'name' stands twice in one object" in refused(capsys, "check", path)
    inner = text.replace('"samples": [{', '"samples": [{"modifiers": [], ', 1)
    path.write_text(inner)
    assert "key 'modifiers' stands twice in one object" in refused(capsys, "check", path)


@pytest.mark.parametrize("kind", ["native", "pyhf", "hs3"])
def test_files_above_the_limit_are_not_read(kind, documents, capsys, tmp_path, monkeypatch):
    path = tmp_path / "w.json"
    path.write_text(json.dumps(documents[kind]))
    monkeypatch.setattr(reading, "LARGEST", path.stat().st_size - 1)
    assert f"documents of up to {path.stat().st_size - 1} bytes are read" in refused(capsys, "check", path)


def test_a_file_of_more_than_100_megabytes(capsys, tmp_path):
    for name in ("w.json", "w.root", "w.xml"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(100_000_001)
        line = refused(capsys, "check", tmp_path / name)
        assert "found 100000001 bytes; documents of up to 100000000 bytes are read" in line


@pytest.mark.parametrize("kind", ["native", "pyhf", "hs3"])
def test_an_unknown_type_of_modifier(kind, documents, capsys, tmp_path):
    for sample in samples(documents[kind], kind):
        for modifier in sample["modifiers"][:1]:
            modifier["type"] = "magic"
    path = tmp_path / "w.json"
    path.write_text(json.dumps(documents[kind]))
    line = refused(capsys, "check", path)
    assert re.search("type: found 'magic'; allowed are .*normsys|type was changed|damaged", line)


@pytest.mark.parametrize("kind", ["native", "pyhf", "hs3"])
def test_a_newer_version(kind, documents, capsys, tmp_path):
    document = documents[kind]
    (document["metadata"] if kind == "hs3" else document).update(
        {"native": {"schema": "nuemstat/workspace/2"}, "pyhf": {"version": "2.0.0"}, "hs3": {"hs3_version": "0.9"}}[
            kind
        ]
    )
    path = tmp_path / "w.json"
    path.write_text(json.dumps(document))
    assert re.search(r"found '(nuemstat/workspace/2|2\.0\.0|0\.9)'", refused(capsys, "check", path))


@pytest.mark.parametrize("kind", ["native", "pyhf", "hs3"])
def test_samples_of_different_lengths(kind, documents, capsys, tmp_path):
    first = samples(documents[kind], kind)[0]
    {"native": lambda: first["contents"], "pyhf": lambda: first["data"], "hs3": lambda: first["data"]["contents"]}[
        kind
    ]().append(1.0)
    path = tmp_path / "w.json"
    path.write_text(json.dumps(documents[kind]))
    assert re.search(r"numbers; (its axes|the channel)|was changed|numbers", refused(capsys, "check", path))


TWICE = {
    "two norms": (
        {"type": "normsys", "data": {"hi": 1.2, "lo": 0.9}},
        "found normsys 'size' twice with different data",
    ),
    "another kind": ({"type": "shapefactor", "data": None}, "found shapefactor 'size', elsewhere a parameter of kind"),
}


@pytest.mark.parametrize("what", TWICE)
def test_one_name_with_different_content(what, capsys, tmp_path):
    modifier, message = TWICE[what]
    document = correlated()
    document["channels"][1]["samples"][0]["modifiers"].append({"name": "size", **modifier})
    path = tmp_path / "w.json"
    path.write_text(json.dumps(document))
    assert message in refused(capsys, "check", path)


def test_a_measurement_of_an_unknown_parameter(capsys, tmp_path):
    path = tmp_path / "w.json"
    for change in ({"poi": "nope"}, {"parameters": [{"name": "nope", "inits": [1.0]}]}):
        document = correlated()
        document["measurements"][0]["config"].update(change)
        path.write_text(json.dumps(document))
        assert re.search(
            "found (settings of )?'nope', which no modifier names; allowed are", refused(capsys, "fit", path)
        )


def test_nothing_is_evaluated_as_code(documents, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hs3 = documents["hs3"]
    hs3["functions"][0]["expression"] = CODE
    Path("w.json").write_text(json.dumps(hs3))
    assert "expression was changed" in refused(capsys, "check", "w.json")
    for kind in ("native", "pyhf"):
        document = documents[kind]
        samples(document, kind)[0]["modifiers"] = [
            {"type": "normfactor", "parameter": CODE, "name": CODE, "data": None}
        ]
        Path("w.json").write_text(json.dumps(document))
        main(["check", "w.json"])
    assert not Path("evaluated").exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pedestal", -1.0, "misc.nuemstat.pedestal: found -1.0; a positive number is allowed"),
        ("pedestal", "1", "misc.nuemstat.pedestal: found '1'"),
        ("native", "yes", "misc.nuemstat.native: found 'yes'; true or false is allowed"),
        ("floating", {"a": 1}, "misc.nuemstat.floating: found {'a': 1}; a list of couplings is allowed"),
    ],
)
def test_what_an_hs3_file_says_of_itself(key, value, message, documents, capsys, tmp_path):
    documents["hs3"]["misc"]["nuemstat"][key] = value
    path = tmp_path / "w.json"
    path.write_text(json.dumps(documents["hs3"]))
    assert message in refused(capsys, "check", path)


def test_root_files_of_other_hands(toys, capsys, tmp_path):
    study.export(study.resolve(toys[0]), "root", tmp_path)
    path = tmp_path / "alpha.root"
    with uproot.update(path) as file:
        channel = next(key for key in file.keys(recursive=False) if "anchors" not in key and "workspace" not in key)
        name = f"{channel.partition(';')[0]}/data_obs"
        values, edges = file[name].to_numpy()
        file[name] = (np.full_like(values, np.nan), edges)
    assert "found nan; input should be a finite number" in refused(capsys, "check", path)
    path.write_bytes(path.read_bytes()[:300])
    assert "cannot be read as ROOT" in refused(capsys, "check", path)


FORMATS = {"pyhf": (), "hs3": (), "root": (), "hepdata": (), "pyhf in one": ("--coupling", "millicharge_ee")}


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_there_is_kept(kind, toys, capsys, tmp_path):
    options = ("export", toys[0], "--format", kind.split()[0], *FORMATS[kind], "-o", tmp_path / "out")
    assert main([str(o) for o in options]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    capsys.readouterr()
    line = refused(capsys, *options)
    assert "is there already; it is kept unless --force is given" in line
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
