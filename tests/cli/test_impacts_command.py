"""``nuemstat impacts`` and the pictures of fit and scan."""

import json

import pytest

from nuemstat.cli import main


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def refused(capsys, *arguments) -> str:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("nuemstat: error: ")
    return line


def test_impacts_of_a_joint_fit(capsys, toys):
    code, out, _ = run(capsys, "impacts", *toys, "--coupling", "millicharge_ee", "--json")
    assert code == 0
    content = json.loads(out)
    assert content["schema"] == "nuemstat/impacts/1"
    assert {row["nuisance"] for row in content["impacts"]} == {"beam", "alpha__background", "beta__background"}
    assert {group["group"] for group in content["groups"]} == {"flux", "all"}
    assert set(content["experiments"]) == {"Alpha", "Beta"}
    assert sum(content["experiments"].values()) + content["shared"] == pytest.approx(2.7055, abs=1e-3)
    assert content["workspaces"] == ["alpha", "beta"]
    code, out, _ = run(capsys, "impacts", toys[0], "--coupling", "millicharge_ee")
    assert code == 0
    assert "constraint" in out


def test_pictures_are_drawn(capsys, toys, tmp_path):
    span = ("--range", "millicharge_ee", "-3e-12", "3e-12")
    asked = {
        "impacts": ("--coupling", "millicharge_ee"),
        "fit": ("--float", "millicharge_ee", "--information", "observed"),
        "limit": ("--coupling", "millicharge_ee"),
        "scan": ("--coupling", "millicharge_ee", *span, "--points", "9"),
    }
    for command, more in asked.items():
        path = tmp_path / f"{command}.png"
        code, _, err = run(capsys, command, toys[0], *more, "--plot", path)
        assert code == 0, err
        assert path.read_bytes().startswith(b"\x89PNG")


def test_scan_of_two_couplings_gives_contours(capsys, toys, tmp_path):
    more = ("--coupling", "millicharge_ee", "--coupling", "magnetic_moment_e", "--points", "5")
    code, out, _ = run(capsys, "scan", toys[0], *more, "--plot", tmp_path / "c.svg", "--json")
    assert code == 0
    content = json.loads(out)
    assert [region["cl"] for region in content["regions"]] == [0.68, 0.9, 0.95]
    for region in content["regions"]:
        for piece in region["components"]:
            assert piece["closed"]
            assert piece["outline"][0] == piece["outline"][-1]
            assert min(point[1] for point in piece["outline"]) >= 0.0
    assert "<svg" in (tmp_path / "c.svg").read_text()


def test_pictures_have_the_style_asked_for(capsys, toys, tmp_path):
    pytest.importorskip("mplhep", reason="the style of mplhep needs it: pip install '.[hep]'")
    pictures = set()
    for name in ("plain", "mplhep", "mplhep:ATLAS"):
        more = ("--coupling", "millicharge_ee", "--plot", tmp_path / "a.png", "--style", name)
        code, _, err = run(capsys, "limit", toys[0], *more)
        assert (code, err) == (0, "")
        pictures.add((tmp_path / "a.png").read_bytes())
    assert len(pictures) == 3


def test_every_option_of_every_command_has_help():
    from nuemstat.cli.commands import application

    for name, command in application.commands.items():
        assert command.help, name
        assert command.short_help, name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert len(getattr(parameter, "help", None) or "") > 5, f"{name} {parameter.opts}"


def test_mistakes_are_one_line(capsys, toys, tmp_path):
    coupling = ("--coupling", "millicharge_ee")
    assert "ends in .png" in refused(capsys, "impacts", toys[0], *coupling, "--plot", tmp_path / "a.txt")
    assert "folder that exists" in refused(capsys, "scan", toys[0], *coupling, "--plot", tmp_path / "no" / "a.png")
    for command in ("fit", "limit", "scan", "impacts"):
        more = coupling if command != "fit" else ()
        line = refused(capsys, command, toys[0], *more, "--plot", tmp_path / "a.png", "--style", "mplhepp")
        assert "did you mean 'mplhep'" in line
    for command in ("scan", "limit"):
        line = refused(capsys, command, toys[0], *coupling, "--range", "millicharge_ee", "5e-12", "6e-12")
        assert "excludes the minimum at" in line
    two = (*coupling, "--coupling", "magnetic_moment_e", "--range", "millicharge_ee", "5e-12", "6e-12")
    assert "excludes the minimum at" in refused(capsys, "scan", toys[0], *two)
    assert "did you mean" in refused(capsys, "impacts", toys[0], "--coupling", "millicharge_eee")
