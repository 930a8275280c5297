"""Text files that are there whole or not at all, and the same on every machine."""

import os
import subprocess
import sys

import pytest

from nuemstat.errors import WorkspaceError
from nuemstat.writing import check_former, write_whole


def test_files_are_utf_8_whatever_the_locale_is(tmp_path):
    code = "import sys; from pathlib import Path; from nuemstat.writing import write_whole; "
    code += "write_whole(Path(sys.argv[1]), chr(0x222A))"
    environment = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-X", "utf8=0", "-c", code, str(tmp_path / "a")], env=environment, check=True)
    assert (tmp_path / "a").read_bytes() == "\u222a".encode()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_is_cut_short_leaves_nothing(tmp_path, monkeypatch, failure):
    write_whole(tmp_path / "a", "former")

    def fails(*_):
        raise failure

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises((KeyboardInterrupt, WorkspaceError)):
        write_whole(tmp_path / "a", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "former")]


@pytest.mark.parametrize(
    ("content", "allowed"), [("# A report\nfirst", True), ("", True), ("{}", False), ("A # A", False)]
)
def test_only_former_files_of_a_kind_are_replaced(tmp_path, content, allowed):
    path = tmp_path / "file"
    check_former(path, "# A report", "reports")
    path.write_text(content)
    if allowed:
        check_former(path, "# A report", "reports")
        return
    with pytest.raises(WorkspaceError, match="file: found a file that is none of reports; a new file, or a former one"):
        check_former(path, "# A report", "reports")


def test_what_is_no_file_is_never_replaced(tmp_path):
    for path in (tmp_path, tmp_path.__class__(os.devnull)):
        with pytest.raises(WorkspaceError, match="found something that is no file; a file is allowed"):
            check_former(path, ".*", "anything")
