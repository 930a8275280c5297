"""The command line: what goes to which stream, exit codes, and one line for every mistake."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from nuemstat.cli import main
from nuemstat.workspace.document import Workspace


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def one_object(capsys, *arguments) -> dict:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    content = json.loads(out)
    assert isinstance(content, dict)
    return content


def refused(capsys, *arguments) -> str:
    """The one line of a mistake."""
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("nuemstat: error: ")
    return line


COMMANDS = [
    "models",
    "new",
    "compile",
    "check",
    "inspect",
    "fit",
    "limit",
    "scan",
    "significance",
    "impacts",
    "coverage",
    "members",
    "limits",
    "export",
    "validate",
    "report",
]


def test_help_lists_the_commands_in_order(capsys):
    code, out, err = run(capsys, "--help")
    assert (code, err) == (0, "")
    listed = [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line.strip()]
    assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    code, out, _ = run(capsys, command, "-h")
    assert code == 0
    assert out.startswith(f"Usage: nuemstat {command}")


def test_no_arguments_show_help_and_fail(capsys):
    code, out, err = run(capsys)
    assert code == 2
    assert out == ""
    assert "Commands:" in err


def test_models(capsys):
    from nuemstat.model.loader import shipped_models

    content = one_object(capsys, "models")
    assert [model["name"] for model in content["models"]] == list(shipped_models())
    code, out, err = run(capsys, "models")
    assert (code, err) == (0, "")
    for model in content["models"]:
        assert f"{model['name']}: {model['title']}" in out
        assert all(option in out for options in model["variants"].values() for option in options)


def test_inspect(capsys, toys):
    content = one_object(capsys, "inspect", toys[0])
    assert content["channels"][0]["expected"] == {"background": 165.0, "electron": 21.0}
    assert [nuisance["name"] for nuisance in content["nuisances"]] == ["beam", "alpha__background"]
    assert content["digest"] == Workspace.read(toys[0]).digest
    code, out, err = run(capsys, "inspect", toys[0])
    assert (code, err) == (0, "")
    for word in ("alpha_counts", "energy [keV] 6", "165", "millicharge_ee", "made up for this test", "morph within"):
        assert word in out


def test_fit_prints_what_the_library_gives(capsys, toys):
    from nuemstat.stats.minimise import fit

    result = fit(Workspace.read(toys[0]), free=("millicharge_ee",))
    code, out, err = run(capsys, "fit", toys[0], "--float", "millicharge_ee")
    assert (code, out, err) == (0, str(result) + "\n", "")
    assert one_object(capsys, "fit", toys[0], "--float", "millicharge_ee") == result.to_dict()


def test_limit_passes_its_options_on(capsys, toys):
    from nuemstat.stats.intervals import limit

    arguments = ("--cl", "0.95", "--fix", "beam=1.05", "--float", "magnetic_moment_e", "--data", "asimov")
    given = one_object(capsys, "limit", toys[0], "--coupling", "millicharge_ee", *arguments)
    wanted = limit(
        Workspace.read(toys[0]),
        "millicharge_ee",
        cl=0.95,
        fixed={"beam": 1.05},
        free=("magnetic_moment_e",),
        data="asimov",
    )
    assert given == wanted.to_dict()
    assert given["fixed"] == {"beam": 1.05}


def test_limit_takes_universal_couplings_and_ranges(capsys, toys):
    narrow = one_object(
        capsys, "limit", toys[0], "--coupling", "millicharge", "--range", "millicharge", "-1e-13", "1e-13"
    )
    assert narrow["intervals"] == [[None, None]]
    assert narrow["upper_limit"] is None


def test_several_workspaces_are_fitted_jointly_and_say_what_they_share(capsys, toys):
    code, out, err = run(capsys, "limit", *toys, "--coupling", "millicharge_emu", "--json")
    assert code == 0
    assert "beam" in err
    assert "alpha, beta" in err
    joint = json.loads(out)
    single = one_object(capsys, "limit", toys[0], "--coupling", "millicharge_emu")
    assert joint["digest"] != single["digest"]
    assert joint["workspaces"] != single["workspaces"]


def test_scan_in_one_and_two_couplings(capsys, toys):
    one = one_object(
        capsys,
        "scan",
        toys[0],
        "--coupling",
        "millicharge_ee",
        "--range",
        "millicharge_ee",
        "-4e-12",
        "4e-12",
        "--points",
        9,
    )
    assert one["values"][0] == pytest.approx([i * 1e-12 for i in range(-4, 5)])
    assert len(one["q"]) == 9
    two = one_object(
        capsys, "scan", toys[0], "--coupling", "millicharge_ee", "--coupling", "magnetic_moment_e", "--points", 5
    )
    assert [len(values) for values in two["values"]] == [5, 5]
    assert [len(line) for line in two["q"]] == [5] * 5


def test_significance(capsys, toys):
    from nuemstat.stats.intervals import significance

    given = one_object(capsys, "significance", toys[0], "--coupling", "millicharge_ee", "--at", "-3e-12")
    assert given == significance(Workspace.read(toys[0]), "millicharge_ee", -3e-12).to_dict()


def test_output_is_the_json_whatever_is_printed(capsys, toys, tmp_path):
    path = tmp_path / "new" / "limit.json"
    code, out, _ = run(capsys, "limit", toys[0], "--coupling", "millicharge_ee", "-o", path)
    assert code == 0
    assert out.startswith("millicharge_ee at 90 %")
    assert json.loads(path.read_text())["schema"] == "nuemstat/limit/1"


def test_limits(capsys, toys, tmp_path):
    arguments = ["limits", "--model", toys[0], "--model", toys[1], "--coupling", "millicharge_emu", "--processes", 1]
    code, out, err = run(capsys, *arguments, "-o", tmp_path / "out")
    assert code == 0
    assert err == f"nuemstat: wrote {tmp_path / 'out'}\n"
    lines = [line.split() for line in out.splitlines() if line.startswith(("coupling", "millicharge"))]
    head, row, second, *apart = lines
    assert head == ["coupling", "unit", "alpha", "beta", "joint"]
    assert second == ["coupling", "unit", "left", "out", "share", "limits", "agreement"]
    assert apart[0][3:6] == ["nobody", "<", row[-1]]
    assert "p" in apart[0]
    assert {line[1] for line in apart[1:]} == {"alpha", "beta"}
    assert {line[-1] for line in apart[1:]} == {row[4], row[6]}, "without one of two, the other is left"
    shares = [float(line[2]) for line in apart[1:]]
    assert sum(shares) == pytest.approx(100, abs=5)
    limits = json.loads((tmp_path / "out" / "limits.json").read_text())
    cells = " ".join(row).split(" < ")[1:]
    assert [float(cell) for cell in cells] == pytest.approx([item["upper_limit"] / 1e-12 for item in limits], rel=0.01)
    content = one_object(capsys, *arguments, "-o", tmp_path / "out")
    assert content["limits"] == limits
    assert [item["coupling"] for item in content["joint"]] == ["millicharge_emu"]
    assert one_object(capsys, *arguments, "--no-shares", "-o", tmp_path / "out")["joint"] == []


def test_export_to_pyhf(capsys, toys, tmp_path):
    code, out, err = run(capsys, "export", *toys, "--format", "pyhf", "-o", tmp_path / "pyhf")
    assert (code, out) == (0, "")
    assert "wrote" in err
    assert list((tmp_path / "pyhf").glob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["limt"], "no command 'limt'; allowed are models, .*; did you mean 'limit'"),
        (["limit", "W"], "Missing option '--coupling'"),
        (["limit", "--coupling", "millicharge_ee"], "Missing argument 'W...'"),
        (["limit", "absent.json", "--coupling", "millicharge_ee"], "absent.json: no such file"),
        (["limit", "lz_srl", "--coupling", "millicharge_ee"], "no model 'lz_srl'.*did you mean 'lz_sr1'"),
        (["limit", "lz_sr1:epaa", "--coupling", "millicharge_ee"], "no variant 'epaa'.*did you mean 'epa'"),
        (["limit", "W", "--coupling", "milicharge_ee"], "no parameter 'milicharge_ee'.*did you mean 'millicharge_ee'"),
        (["limit", "W", "--coupling", "charge_radius"], "charge_radius needs one of charge_radius_ee"),
        (["limit", "W", "--coupling", "millicharge_ee", "--cl", "90"], "--cl.*'90'; a number between 0 and 1"),
        (["limit", "W", "--coupling", "millicharge_ee", "--cl", "x"], "--cl.*'x'; a number is allowed"),
        (
            ["limit", "W", "--coupling", "millicharge_ee", "--method", "bayes"],
            "'bayes' is not one of 'profile', 'cls', 'fc'",
        ),
        (["limit", "W", "--coupling", "millicharge_ee", "--method", "cls"], "has both signs.*'profile' and 'fc'"),
        (
            ["limit", "W", "--coupling", "millicharge_ee", "--scheduler", "tcp://a:1"],
            "scheduler: found 'tcp://a:1' with executor 'local'",
        ),
        (["coverage", "W", "--coupling", "millicharge_ee"], "Missing option '--true'"),
        (["limit", "W", "--coupling", "millicharge_ee", "--data", "real"], "found 'real'; allowed are observed"),
        (["limit", "W", "--coupling", "millicharge_ee", "--data", "asimov:x"], "found 'x'; NAME=VALUE"),
        (["limit", "W", "--coupling", "millicharge_ee", "--data", "asimov:mu=1"], "no parameter 'mu'"),
        (["limit", "W", "--coupling", "millicharge_ee", "--fix", "beam"], "found 'beam'; NAME=VALUE is allowed"),
        (["limit", "W", "--coupling", "millicharge_ee", "--fix", "beam=inf"], "found 'inf'; a finite number"),
        (["limit", "W", "--coupling", "millicharge_ee", "--fix", "beem=1"], "no parameter 'beem'.*did you mean 'beam'"),
        (
            ["limit", "W", "--coupling", "millicharge_ee", "--fix", "beam=1", "--fix", "beam=2"],
            "--fix names 'beam' twice",
        ),
        (["limit", "W", "--coupling", "millicharge_ee", "--float", "beem"], "'beem'"),
        (
            ["limit", "W", "--coupling", "millicharge_ee", "--range", "millicharge_ee", "1", "0"],
            "found 1 to 0; a lower end",
        ),
        (
            ["limit", "W", "--coupling", "millicharge_ee", "--range", "charge", "0", "1"],
            "--range names 'charge'; allowed",
        ),
        (["limit", "W", "--coupling", "millicharge_ee", "--colour"], "No such option '?--colour"),
        (["limit", "W", "W", "--coupling", "millicharge_ee"], "both use dataset alpha_data"),
        (
            ["scan", "W", "--coupling", "millicharge_ee", "--coupling", "millicharge_ee"],
            "one coupling or two different",
        ),
        (["scan", "W", "--coupling", "millicharge_ee", "--points", "1"], "--points.* 1 "),
        (["significance", "W", "--coupling", "millicharge_ee", "--at", "nan"], "found 'nan'; a finite number"),
        (["limits", "--model", "W", "--coupling", "charge", "--processes", "1"], "no model holds coupling 'charge'"),
        (["export", "W", "--format", "hs4", "-o", "out"], "format: found 'hs4'; allowed are .*did you mean 'hs3'"),
        (["export", "W", "--format", "hs3", "--dialect", "old", "-o", "out"], "dialect: found 'old'; allowed"),
        (["validate", "lz"], "no published numbers for 'lz'"),
        (["validate", "absent.yaml"], "absent.yaml: cannot be read"),
        (["compile", "coherent_csi", "dresden2"], "found 2 models and no -o"),
        (["compile", "W", "W", "-o", "out"], "two models are both named 'alpha'"),
        (["inspect", "no/where/model.yaml"], "no/where/model.yaml: cannot be read"),
    ],
)
def test_mistakes_are_one_line(capsys, toys, tmp_path, monkeypatch, arguments, pattern):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    line = refused(capsys, *("alpha.json" if argument == "W" else argument for argument in arguments))
    assert re.search(pattern, line), line
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda text: text[: len(text) // 2], "alpha.json: not JSON, or cut short"),
        (
            lambda text: text.replace("nuemstat/workspace/1", "nuemstat/workspace/9"),
            "schema: found 'nuemstat/workspace/9'",
        ),
        (lambda text: text.replace('"observed"', '"obsered"'), "unknown key 'obsered'.*did you mean 'observed'"),
        (lambda text: text.replace("165.0", "1").replace("40.0", "41.0"), "digest: found sha256"),
        (lambda text: "[1, 2]", "found a list"),
        (lambda text: "\x00\xff", "not JSON"),
    ],
)
def test_a_damaged_workspace_is_one_line(capsys, toys, change, pattern):
    path = Path(toys[0])
    path.write_text(change(path.read_text()))
    assert re.search(pattern, refused(capsys, "fit", path))


def test_an_output_that_cannot_be_written_is_one_line(capsys, toys, tmp_path):
    (tmp_path / "file").write_text("mine")
    for arguments in (
        ("limit", toys[0], "--coupling", "millicharge_ee", "-o", tmp_path / "file" / "limit.json"),
        ("limits", "--model", toys[0], "--processes", 1, "-o", tmp_path / "file"),
        ("export", toys[0], "--format", "pyhf", "-o", tmp_path / "file"),
        ("compile", toys[0], "-o", tmp_path / "file"),
    ):
        assert "file" in refused(capsys, *arguments)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_one_line_and_leaves_no_half_file(capsys, toys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    path = tmp_path / "limit.json"
    assert "No space left" in refused(capsys, "limit", toys[0], "--coupling", "millicharge_ee", "-o", path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alpha.json", "beta.json"]


def test_validate_exits_with_1_when_a_gate_is_broken(capsys, toys, tmp_path):
    text = """
schema: nuemstat/validation/1
experiment: toy
title: A toy
rows:
  - {quantity: background, workspace: %s, compute: {kind: expected, process: background}, published: 100.0,
     unit: counts, source: made up for this test, status: read, tolerance: {relative: 0.01},
     tolerance_from: digits, gated: %s}
"""
    path, report = tmp_path / "toy.yaml", tmp_path / "report.md"
    path.write_text(text % (toys[0], "true"))
    code, out, err = run(capsys, "validate", path, "--report", report)
    assert code == 1
    assert "broken" in out
    assert "broken: toy, background: ours 165, published 100 counts" in err
    assert "| 165 |" in report.read_text()
    path.write_text(text % (toys[0], "false"))
    assert one_object(capsys, "validate", path)["rows"][0]["verdict"] == "differs"


def test_compile_writes_what_it_compiled(capsys, monkeypatch, tmp_path, toys):
    # A workspace file goes through `compile` unchanged, so the streams can be seen without any physics.
    code, out, err = run(capsys, "compile", toys[0])
    assert code == 0
    assert out == Path(toys[0]).read_text()
    assert "alpha: morph within 0.1 %" in err
    code, out, err = run(capsys, "compile", *toys, "-o", tmp_path / "out")
    assert (code, out) == (0, "")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["alpha.json", "beta.json"]


def test_warnings_and_interrupts_are_one_line(capsys, monkeypatch):
    import warnings

    from nuemstat.cli.commands import application

    def warn():
        warnings.warn("careful\nwith that", RuntimeWarning, stacklevel=1)
        raise KeyboardInterrupt

    monkeypatch.setitem(application.commands, "warn", click.Command("warn", callback=warn))
    assert run(capsys, "warn") == (130, "", "nuemstat: warning: careful with that\nnuemstat: error: interrupted\n")


def test_a_warning_of_a_workspace_is_printed_once_for_all_couplings(capsys, toys, tmp_path):
    content = json.loads(Path(toys[0]).read_text())
    content["provenance"][0]["notes"] = ["warning: mind the gap"]
    path = tmp_path / "noted.json"
    path.write_text(json.dumps(content))
    names = [part for name in ("millicharge_ee", "magnetic_moment_e") for part in ("--coupling", name)]
    code, _, err = run(capsys, "limits", "--model", path, *names, "-o", tmp_path / "results", "--processes", 1)
    assert code == 0, err
    assert [line for line in err.splitlines() if "mind" in line] == ["nuemstat: warning: alpha: mind the gap"]
    found = json.loads((tmp_path / "results" / "limits.json").read_text())
    assert all("mind the gap" in item["warnings"] and item["valid"] for item in found)


def as_process(*arguments: object, **more):
    command = [sys.executable, "-m", "nuemstat", *(str(argument) for argument in arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def test_as_a_module_with_two_processes_and_no_terminal(toys, tmp_path):
    process = as_process(
        "limits", "--model", toys[0], "--model", toys[1], "--coupling", "millicharge_emu", cwd=tmp_path
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == "nuemstat: wrote results\n"
    assert "\x1b" not in out
    assert (tmp_path / "results" / "profiles" / "millicharge_emu.png").is_file()


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")
@pytest.mark.parametrize("delay", [0.0, 0.5, 1.0])
def test_an_interrupt_leaves_nothing(toys, tmp_path, delay):
    folder = tmp_path / "here"
    folder.mkdir()
    process = as_process("limits", "--model", toys[0], "--model", toys[1], cwd=folder, start_new_session=True)
    while not list(folder.iterdir()) and process.poll() is None:
        time.sleep(0.01)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert err == "nuemstat: error: interrupted\n"
    assert process.returncode in (130, -signal.SIGINT)  # Python ends itself by the signal where an exec() was hit
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")
def test_a_reader_that_goes_away_is_no_traceback(toys):
    process = as_process("inspect", toys[0])
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 141
