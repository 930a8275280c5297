"""Pages that are taken from the code: model vocabulary, command line, Python names, published numbers."""

import ast
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import nuemstat
from nuemstat.strict import Strict

ROOT = Path(nuemstat.__file__).resolve().parent
HOME = Path(__file__).resolve().parent


def write(folder: Path) -> None:
    """Write all generated pages; a page that has not changed is left alone."""
    folder.mkdir(exist_ok=True)
    pages = {
        "vocabulary": vocabulary(),
        "commands": commands(),
        "api": api(),
        "modules": modules(),
        "published": published(),
        "published_limits": published_limits(),
        "more": more(),
    }
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


# The model vocabulary.


def vocabulary() -> str:
    """Every key of a model file, walked from the schema's top."""
    from nuemstat.model.schema import ModelDocument

    waiting, seen = [ModelDocument], {ModelDocument}
    lines = [
        "# Model vocabulary",
        "",
        "Every key of a `model.yaml`, taken from the schema that checks it. A quantity is written",
        '`{value: 2.96 GW, source: "..."}`, with `status`, `uncertainty` and `note`; an unknown key is an error.',
        "",
    ]
    while waiting:
        part = waiting.pop(0)
        lines += _part(part)
        for annotation in get_type_hints(part, include_extras=True).values():
            for other in _models(annotation):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
    return "\n".join(lines) + "\n"


def _part(part: type[Strict]) -> list[str]:
    lines = [
        f"## {part.__name__}",
        "",
        *_prose(inspect.getdoc(part) or ""),
        "| key | what is allowed | default |",
        "|---|---|---|",
    ]
    hints = get_type_hints(part, include_extras=True)
    for name, field in part.model_fields.items():
        default = "required" if field.is_required() else _cell(_default(field.get_default(call_default_factory=True)))
        lines.append(f"| `{field.alias or name}` | {_cell(_type(hints[name]))} | {default} |")
    return [*lines, ""]


def _default(value: Any) -> str:
    if isinstance(value, Strict):
        return type(value).__name__
    return "none" if value is None or value in ((), {}) else str(value)


def _models(annotation: Any) -> Iterator[type[Strict]]:
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _type(annotation: Any) -> str:
    """An annotation in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is type(None) or annotation is Ellipsis:
        return ""
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(text for text in (_type(item) for item in inner) if text)
    if origin is tuple:
        return "list of " + " or ".join(dict.fromkeys(text for text in (_type(item) for item in inner) if text))
    if origin is dict:
        return f"table of {_type(inner[1])} by name"
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    words = {"str": "text", "float": "number", "int": "whole number", "bool": "true or false", "Any": "anything"}
    name = getattr(annotation, "__name__", str(annotation))
    return words.get(name, name)


# The command line.


def commands() -> str:
    """Usage, words and options of every command."""
    import click

    from nuemstat.cli.commands import application

    lines = ["# Command line", "", "Taken from the code: `nuemstat COMMAND --help` says the same.", ""]
    for name, command in application.commands.items():
        # As the application has it: a command keeps the help option that it was asked for first.
        context = click.Context(command, info_name=f"nuemstat {name}", help_option_names=["-h", "--help"])
        usage = context.get_usage().removeprefix("Usage: ")
        lines += [
            f"## nuemstat {name}",
            "",
            "```text",
            " ".join(usage.split()),
            "```",
            "",
            *_prose(inspect.cleandoc(command.help or "")),
        ]
        lines += ["| option | meaning |", "|---|---|"]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                shape = " ".join(
                    ["/".join(parameter.opts), "" if parameter.is_flag else parameter.make_metavar(context)]
                ).strip()
                shown = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
                default = f" Default: {shown}." if parameter.show_default and shown is not None else ""
                lines.append(f"| `{_cell(shape)}` | {_cell((parameter.help or '') + default)} |")
        lines.append("")
    return "\n".join(lines) + "\n"


# Python.


def api() -> str:
    """The public names, in the order of an analysis."""
    lines = ["# Python", "", "The public names, all in `nuemstat`; `import nuemstat as nu` reads no file.", ""]
    for name in nuemstat.__all__:
        lines += _documented(name, getattr(nuemstat, name))
    return "\n".join(lines) + "\n"


def _documented(name: str, thing: Any) -> list[str]:
    lines = [f"## {name}", "", *_signature(name, thing), *_docstring(inspect.getdoc(thing) or "")]
    if isinstance(thing, type):
        for member, inner in vars(thing).items():
            inner = inner.__func__ if isinstance(inner, classmethod | staticmethod) else inner
            if member.startswith("_") or not (inspect.isfunction(inner) or isinstance(inner, property)):
                continue
            lines += [
                f"### {name}.{member}",
                "",
                *_signature(f"{name}.{member}", inner),
                *_docstring(inspect.getdoc(inner) or ""),
            ]
    return lines


def _signature(name: str, thing: Any) -> list[str]:
    if isinstance(thing, property) or (isinstance(thing, type) and issubclass(thing, Exception | Strict)):
        return []
    try:
        text = f"{name}{inspect.signature(thing)}"
    except ValueError:
        return []
    return ["```text", text.replace("nuemstat.", ""), "```", ""]


def modules() -> str:
    """Every module with its public functions and classes, read without importing."""
    lines = [
        "# All modules",
        "",
        "Every public function and class, module by module; what is below is for those who build on the package.",
        "",
    ]
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if "shipped" in parts or name in ("nuemstat", "nuemstat.__main__"):
            continue
        tree = ast.parse(path.read_text())
        lines += [f"## {name}", "", *_prose((ast.get_docstring(tree) or "").partition("\n\n")[0])]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                head = ast.unparse(node).partition(":\n")[0] if isinstance(node, ast.ClassDef) else _head(node)
                lines += ["```text", head, "```", "", *_docstring(ast.get_docstring(node) or "")]
    return "\n".join(lines) + "\n"


def _head(node: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returns}"


# Published numbers and further pages.


def published() -> str:
    """The comparison with published numbers: the report where it was written, else the numbers and their sources."""
    report = ROOT.parent / "validation" / "report.md"
    if report.is_file():
        return report.read_text()
    from nuemstat.published import read, written
    from nuemstat.validate import shipped

    lines = [
        "# Ours against published",
        "",
        "`nuemstat validate` computes ours and compares; these are the published numbers.",
        "",
    ]
    for path in shipped().values():
        document = read(path)
        if not document.rows:
            continue
        lines += [
            f"## {document.title}",
            "",
            "| quantity | published | unit | tolerance | from | counts as | computed with | source (status) | note |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in document.rows:
            spec = row.workspace if isinstance(row.workspace, str) else " + ".join(row.workspace)
            gate = f"{row.tolerance or ''}{'' if row.gated else ', not gated'}".removeprefix(", ")
            cells = (
                row.quantity,
                written(row.published),
                row.unit,
                gate,
                row.tolerance_from or "",
                row.counts_as,
                f"`{spec}`",
                f"{row.source} ({row.status})",
                "; ".join(text for text in (row.varied, row.open, row.note) if text),
            )
            lines.append("| " + " | ".join(_cell(text) for text in cells) + " |")
        lines.append("")
    return "\n".join(lines) + "\n"


def published_limits() -> str:
    """Every row of the collection of published limits, and of those that nobody could see yet."""
    from nuemstat.published_limits import PublishedLimit, names, published, unseen

    known = names(published())

    def table(rows: tuple[PublishedLimit, ...]) -> Iterator[str]:
        yield "| experiment | year | flavour | limit | level | kind | by | status | read in | source | remarks |"
        yield "|---|---|---|---|---|---|---|---|---|---|---|"
        for row in rows:
            cells = (
                row.experiment, str(row.year), row.flavour, f"{row.written} {row.unit}", row.cl,
                row.kind.replace("_", " "), row.origin, row.status, row.read_in, row.source, row.remarks(known),
            )  # fmt: skip
            yield "| " + " | ".join(_cell(text) for text in cells) + " |"

    lines = ["# All published limits", "", "Radii are in our convention; what the words mean stands on",
             "[the page about the collection](../limits.md)."]  # fmt: skip
    for coupling in dict.fromkeys(row.coupling for row in published()):
        rows = tuple(row for row in published() if row.coupling == coupling)
        lines += ["", f"## {coupling.replace('_', ' ').capitalize()}", "", *table(rows)]
    lines += ["", "## Not seen yet", "", *table(unseen())]
    return "\n".join(lines) + "\n"


def more() -> str:
    """Pages that stand beside the others without being named in the contents."""
    named = {"index", "physics", "statistics", "experiments", "report", "cite", "example", "changelog", "limits"}
    others = sorted(path.stem for path in HOME.glob("*.md") if path.stem not in named)
    entries = [f"../{name}" for name in others]
    return "\n".join(["# Formats of other programs", "", "```{toctree}", ":maxdepth: 1", "", *entries, "```"]) + "\n"


# Words.


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> list[str]:
    return [*_escaped(text).splitlines(), ""] if text else []


def _escaped(text: str) -> str:
    """Plain text as Markdown: nothing in it is markup, save code in single or double backquotes."""
    pieces = re.split(r"(``[^`]+``|`[^`]+`)", text)
    return "".join(
        p.replace("``", "`") if p.startswith("`") else re.sub(r"([\\*_<>\[\]|$#])", r"\\\1", p) for p in pieces
    )


def _docstring(text: str) -> list[str]:
    """The first paragraph as prose, what follows as it stands."""
    first, _, rest = text.partition("\n\n")
    lines = _prose(first)
    return [*lines, "```text", *rest.splitlines(), "```", ""] if rest.strip() else lines
