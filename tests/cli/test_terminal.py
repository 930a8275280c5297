"""What depends on the terminal: progress, -v and -q, NO_COLOR, narrow windows, completion."""

import os
import subprocess
import sys

import pytest

from nuemstat.cli import main
from nuemstat.cli.output import print_table

COUPLING = ("--coupling", "millicharge_ee")


def test_quiet_leaves_results_and_mistakes(toys, capsys, tmp_path):
    assert main(["limit", *toys, "--coupling", "millicharge_emu", "-q"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("millicharge_emu at 90 %")
    assert main(["compile", toys[0], "-o", str(tmp_path / "out"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["limit", toys[0], "--coupling", "charge", "-q"]) == 2
    assert "no parameter 'charge'" in capsys.readouterr().err


def test_verbose_says_what_is_being_done(toys, capsys):
    assert main(["limit", *toys, "--coupling", "millicharge_emu", "-v"]) == 0
    _, err = capsys.readouterr()
    assert f"nuemstat: opening {toys[0]}" in err
    assert f"nuemstat: opening {toys[1]}" in err


def test_without_a_terminal_there_is_no_progress(toys, capsys):
    assert main(["limit", toys[0], *COUPLING]) == 0
    assert capsys.readouterr().err == ""


def at_a_terminal(arguments, columns: int, **environment: str) -> str:
    """What a command shows on a terminal of its own, of so many columns."""
    pty = pytest.importorskip("pty", reason="terminals of POSIX")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    settings = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen([sys.executable, "-m", "nuemstat", *arguments], stdin=subprocess.DEVNULL, stdout=theirs,
                               stderr=theirs, env=settings | {"TERM": "xterm-256color"} | environment)  # fmt: skip
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # the other side has gone
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, seen.decode()
    return seen.decode()


def limits_of(path: str) -> list[str]:
    question = ["--model", path, "--coupling", "millicharge_ee"]
    return ["limits", *question, "--processes", "1", "-o", f"{path}.out"]


def test_progress_on_a_terminal_and_none_when_quiet(toys):
    arguments = limits_of(toys[0])
    assert "compiled" in at_a_terminal(arguments, 100)
    assert "compiled" not in at_a_terminal([*arguments, "-q"], 100)


def test_no_color_is_heeded(toys):
    arguments = limits_of(toys[0])
    coloured, plain = at_a_terminal(arguments, 100), at_a_terminal(arguments, 100, NO_COLOR="1")
    assert "\x1b[38;" in coloured or "\x1b[3" in coloured
    assert "\x1b[38;" not in plain
    assert "\x1b[32m" not in plain


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_narrow_terminals_show_everything(toys, columns):
    text = at_a_terminal(["inspect", toys[0]], columns).replace("\r\n", "\n")
    assert max(len(line) for line in text.splitlines() if not line.startswith(("alpha  sha", "from "))) <= columns
    for word in ("magnetic_moment_e", "made up for this test", "alpha__background"):
        assert "".join(word.split()) in "".join(text.split())


def test_a_table_too_wide_becomes_blocks(monkeypatch, capsys):
    import shutil

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((30, 20)))
    print_table(
        ("coupling", "unit", "first", "second"), [("millicharge", "e", "1.5e-13 or so, in many words", "")], title="T"
    )
    assert capsys.readouterr().out.splitlines() == [
        "T",
        "millicharge",
        "  unit: e",
        "  first: 1.5e-13 or so, in",
        "    many words",
    ]


@pytest.mark.parametrize(
    ("words", "wanted", "unwanted"),
    [
        ("nuemstat li", {"limit", "limits"}, {"fit"}),
        ("nuemstat limit dres", {"dresden2"}, {"lz_sr1"}),
        ("nuemstat limit dresden2:yb", {"dresden2:ybe"}, {"dresden2:fef"}),
        ("nuemstat limit dresden2:ybe,f", {"dresden2:ybe,fea"}, set()),
        (
            "nuemstat limit lz_sr1 --coupling charge_radius_m",
            {"charge_radius_mumu", "charge_radius_mutau"},
            {"millicharge"},
        ),
        ("nuemstat limit lz_sr1 --fl", {"--float"}, set()),
        ("nuemstat limit nothing:", set(), {"nothing:"}),
    ],
)
def test_completion(monkeypatch, capsys, words, wanted, unwanted):
    monkeypatch.setenv("_NUEMSTAT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert main([]) == 0
    offered = {line.partition(",")[2] for line in capsys.readouterr().out.splitlines()}
    assert wanted <= offered
    assert not unwanted & offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_get_their_script(monkeypatch, capsys, shell):
    monkeypatch.setenv("_NUEMSTAT_COMPLETE", f"{shell}_source")
    code = main([])
    out = capsys.readouterr().out
    assert code == 0
    assert "nuemstat" in out
    assert f"{shell}_complete" in out
