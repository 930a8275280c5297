"""The page on pyhf is a script that runs."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("pyhf")
pytestmark = pytest.mark.filterwarnings(
    "ignore:jsonschema.RefResolver is deprecated:DeprecationWarning",  # in pyhf
    "ignore::ResourceWarning",  # the page opens files in passing
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

PAGE = Path(__file__).parents[2] / "docs" / "pyhf.md"


def test_the_page_runs(tmp_path, monkeypatch, toys):
    import pyhf

    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    scope: dict = {}
    try:
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(compile(block, str(PAGE), "exec"), scope)
    finally:
        pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    assert scope["search"].name == "search"
    assert scope["heights"].argmin() == 4
    assert 0 < float(scope["cls"]) < 1


def test_the_commands_of_the_page_run(tmp_path, monkeypatch, toys):
    from nuemstat.cli.commands import application
    from nuemstat.workspace.document import Workspace
    from nuemstat.workspace.to_pyhf import write_pyhf

    monkeypatch.chdir(tmp_path)
    write_pyhf(Workspace.read(toys[0]), "for_pyhf")
    lines = "".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)).splitlines()
    assert len(lines) > 4
    for line in lines:
        if "some_search" not in line:
            result = CliRunner().invoke(application, line.split()[1:])
            assert result.exit_code == 0, result.output
