"""Bad files are one clear line each, whatever kind they claim to be."""

import json

import pytest
from pyhf_examples import correlated

from nuemstat.errors import WorkspaceError
from nuemstat.workspace import reading
from nuemstat.workspace.opening import open_workspace
from nuemstat.workspace.reading import kind_of, parse_json

BAD = {
    "cut short": (b'{"channels": [', "not JSON, or cut short"),
    "empty": (b"", "not JSON, or cut short"),
    "no text": (b"\xff\xfe\x00rubbish", "not JSON"),
    "key twice": (b'{"version": "1.0.0", "version": "1.0.0"}', "key 'version' stands twice"),
    "inner key twice": (b'{"schema": {"a": 1, "a": 1}}', "key 'a' stands twice"),
    "deep lists": (b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper"),
    "moderately deep": (b"[" * 900 + b"]" * 900, "nested deeper|found a tuple"),
    "no workspace": (b'{"a": 1}', "found keys a; a native workspace"),
    "a list": (b"[1]", "found a list; a native workspace"),
    "a patch set": (b'{"patches": [], "metadata": {}}', "found a pyhf patch set"),
    "a newer version": (
        b'{"schema": "nuemstat/workspace/2"}',
        "found 'nuemstat/workspace/2'; this version reads",
    ),
    "NaN": (b'{"channels": NaN, "observations": [], "measurements": []}', "channels: "),
    "infinity": (b'{"channels": [], "observations": 1e999, "measurements": []}', "channels: "),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_one_line(tmp_path, what):
    content, message = BAD[what]
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(WorkspaceError, match=message) as caught:
        open_workspace(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_files_that_are_too_large_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "large.json"
    path.write_text("{}" + " " * 100)
    monkeypatch.setattr(reading, "LARGEST", 101)
    with pytest.raises(WorkspaceError, match="found 102 bytes; documents of up to 101 bytes are read"):
        open_workspace(path)


def test_no_such_file(tmp_path):
    with pytest.raises(WorkspaceError, match="cannot be read"):
        open_workspace(tmp_path / "none.json")


def test_the_content_says_the_kind(tmp_path, toys):
    path = tmp_path / "anything.txt"
    path.write_text(json.dumps(correlated()))
    opened = open_workspace(path)
    assert (opened.kind, opened.version, opened.workspace.name) == ("pyhf", "HistFactory JSON 1.0.0", "anything")
    native = open_workspace(toys[0])
    assert (native.kind, native.version, native.workspace.name) == ("native", "nuemstat/workspace/1", "alpha")
    assert kind_of({"distributions": [], "metadata": {}}) == "hs3"


def test_numbers_and_lists_arrive():
    assert parse_json(b'{"a": [1, 2.5, [true, null]]}') == {"a": (1, 2.5, (True, None))}
