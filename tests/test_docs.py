"""The documentation holds every public name, key, command and option, and builds without a warning or a network."""

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nuemstat

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation lies beside a checkout only")


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_documented(generate):
    text = generate.api()
    headings = set(re.findall(r"^## (\w+)$", text, re.MULTILINE))
    assert headings == set(nuemstat.__all__)
    for name in nuemstat.__all__:
        thing = getattr(nuemstat, name)
        assert inspect.getdoc(thing), name
        for member, inner in vars(thing).items() if isinstance(thing, type) else ():
            plain = inner.__func__ if isinstance(inner, classmethod | staticmethod) else inner
            if not member.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property)):
                assert f"### {name}.{member}" in text
                assert inspect.getdoc(plain), f"{name}.{member}"


def test_every_module_and_its_names_are_documented(generate):
    import ast

    text = generate.modules()
    for path in (ROOT / "nuemstat").rglob("*.py"):
        if "shipped" in path.parts or path.name in ("__init__.py", "__main__.py"):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        assert f"\n## {name}\n" in text
        part = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert re.search(rf"^(?:class |@.*\n(?:.*\n)*class )?{node.name}\b", part, re.MULTILINE), (
                    f"{name}.{node.name}"
                )


def test_every_key_of_a_model_is_in_the_vocabulary(generate):
    text = generate.vocabulary()

    from nuemstat.model.schema import ModelDocument

    schema = ModelDocument.model_json_schema(by_alias=True)
    parts = [schema, *schema["$defs"].values()]
    for part in parts:
        for key in part.get("properties", {}):
            assert f"| `{key}` |" in text, f"{part['title']}.{key}"
    links = set(re.findall(r"\]\(#(\w+)\)", text))
    assert links <= {heading.lower() for heading in re.findall(r"^## (\w+)$", text, re.MULTILINE)}


def test_every_command_and_option_is_documented(generate):
    from nuemstat.cli.commands import application

    text = generate.commands()
    for name, command in application.commands.items():
        assert f"\n## nuemstat {name}\n" in text
        part = text.split(f"\n## nuemstat {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[-1] in part, f"{name} {parameter.opts}"
                assert len(parameter.help or "") > 5, f"{name} {parameter.opts}"


def test_every_page_is_in_the_contents(generate):
    named = set(re.findall(r"^(?:\.\./)?([\w/-]+)$", (DOCS / "index.md").read_text() + generate.more(), re.MULTILINE))
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md") if "_build" not in path.parts}
    assert {page for page in pages if not page.startswith("generated/")} - {"index", "README"} <= named


def test_links_between_pages_lead_somewhere(generate, tmp_path):
    generate.write(tmp_path)
    for page in [*DOCS.glob("*.md"), *(DOCS / "tutorial").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+\.md)(?:#[\w-]+)?\)", page.read_text()):
            target = (page.parent / link).resolve()
            assert target.is_file() or (tmp_path / target.name).is_file(), f"{page.name}: {link}"


@pytest.mark.slow
def test_it_builds_without_warnings_and_needs_no_network(tmp_path):
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason="the documentation needs its tools: pip install '.[docs]'")
    # A proxy that nobody listens on: whoever asked the network would fail.
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "trees"),
               str(DOCS), str(tmp_path / "site")]  # fmt: skip
    import os

    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | nowhere)
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"(https?:[^\"]+)\"", page.read_text())
        assert loaded == [], page.name
    physics = (tmp_path / "site" / "physics.html").read_text()
    assert physics.count('role="img"') > 20
