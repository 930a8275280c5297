"""Every code block of README and documentation runs: Python, commands, and pieces of model files.

The blocks of a page run in order, in one folder and one namespace. README's two set-up commands are run by
``.ci/run``; a cluster is stood in for by two processes.
"""

import io
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml
from conftest import toy_workspace

from nuemstat.cli import main
from nuemstat.model import variants
from nuemstat.model.loader import validated
from nuemstat.resources import data_file

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "tutorial").glob("*.md"))]
ELSEWHERE = {"pyhf.md"}
"""Pages whose blocks have a test of their own."""
SET_UP = re.compile(r"^python3 -m venv")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the documentation lies beside a checkout only"),
]


def blocks(path: Path) -> list[tuple[str, str]]:
    """Language and content of every fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


def run_command(line: str) -> None:
    line = re.sub(r"--executor dask --scheduler \S+", "--executor processes --workers 2", line)
    if line.startswith("eval "):
        script = f'nuemstat() {{ "{sys.executable}" -m nuemstat "$@"; }}; ' + re.sub(
            r"(_NUEMSTAT_COMPLETE=\w+) nuemstat", rf'\1 "{sys.executable}" -m nuemstat', line
        )
        done = subprocess.run(
            ["bash", "-c", f"{script}; complete -p nuemstat"], capture_output=True, text=True, check=False
        )
        assert "_nuemstat_completion" in done.stdout, done.stderr
        return
    words = shlex.split(line)
    assert words[0] == "nuemstat", f"not a command of this package: {line}"
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words[1:])
    assert code == 0, f"{line}: {err.getvalue()}"
    assert out.getvalue() or err.getvalue() or "-q" in words


def run_model_piece(text: str) -> None:
    """A piece of a model file fits into the model that `nuemstat new` makes."""
    path = data_file("template/model.yaml")
    patch = yaml.safe_load(text)
    merged = variants.merge(yaml.safe_load(path.read_text()), patch)
    validated(variants.apply(merged, {"pulls": "full"}), path)


def runs_elsewhere(path: Path) -> bool:
    return path.name in ELSEWHERE or not any(language in ("python", "sh", "yaml") for language, _ in blocks(path))


@pytest.mark.parametrize("page", [p for p in PAGES if not runs_elsewhere(p)], ids=lambda p: p.stem)
def test_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    _command_on_the_path(tmp_path / "bin")
    for name, flavour in (("alpha", "e"), ("beta", "mu")):
        toy_workspace(name, flavour).write(f"{name}.json")
    namespace: dict[str, object] = {"__name__": "page"}
    for language, text in blocks(page):
        if language == "python":
            with redirect_stdout(io.StringIO()):
                exec(compile(text, str(page), "exec"), namespace)
        elif language == "sh":
            for line in text.replace("\\\n", " ").splitlines():
                if line.strip() and not line.startswith("#") and not (page.name == "README.md" and SET_UP.match(line)):
                    run_command(line)
        elif language == "yaml":
            run_model_piece(text)


def _command_on_the_path(folder: Path) -> None:
    """`nuemstat` as a command, for blocks that start it themselves."""
    folder.mkdir()
    script = folder / "nuemstat"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nuemstat "$@"\n')
    script.chmod(0o755)


def test_the_response_of_the_tutorial_is_used(tmp_path, monkeypatch):
    """The page shows the piece of the model; here the whole model takes the matrix, and gives nearly the same limit."""
    import nuemstat as nu

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    _command_on_the_path(tmp_path / "bin")
    page = dict(blocks(ROOT / "docs" / "tutorial" / "own-response.md"))
    exec(compile(page["python"], "page", "exec"), {})
    path = Path("my_experiment/model.yaml")
    merged = variants.merge(yaml.safe_load(path.read_text()), yaml.safe_load(page["yaml"]))
    path.write_text(yaml.safe_dump(merged, sort_keys=False))
    workspace = nu.compile(nu.load_model(str(path)), couplings=["magnetic_moment_e"])
    assert "response.root" not in workspace.provenance[0].inputs or workspace.provenance[0].inputs["response.root"]
    from nuemstat.study import nominal_yields

    assert nominal_yields(workspace)["my_experiment"]["cevns"] > 10


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    path = ROOT / "docs" / "example.py"
    assert len(path.read_text().splitlines()) <= 45
    monkeypatch.chdir(tmp_path)
    exec(compile(path.read_text(), str(path), "exec"), {"__name__": "__main__"})
    assert "reactors" in capsys.readouterr().out
    assert (tmp_path / "example_output" / "pyhf").is_dir()


def test_pages_have_blocks_of_known_languages():
    for page in PAGES:
        fences = re.findall(r"^```([^\n]*)$", page.read_text(), re.MULTILINE)
        opened = {fence for fence in fences if fence}
        allowed = {
            "python",
            "sh",
            "yaml",
            "text",
            "json",
            "{toctree}",
            "{literalinclude} example.py",
            "{include} ../CHANGELOG.md",
        }
        assert opened <= allowed, page
