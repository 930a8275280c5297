"""``nuemstat models``: what is shipped."""

import json
from typing import Any

import click

from nuemstat.cli.options import as_json as json_option


@click.command("models", short_help="The shipped models.")
@json_option
def models_command(as_json: bool) -> None:
    """List the shipped models, their variants (the first of a group is the default) and couplings."""
    from nuemstat.model.loader import load_model, shipped_models

    models = [_describe(load_model(name)) for name in shipped_models()]
    if as_json:
        click.echo(json.dumps({"schema": "nuemstat/models/1", "models": models}, indent=1))
        return
    click.echo("\n\n".join(_text(model) for model in models))


def _text(model: dict[str, Any]) -> str:
    head = f"{model['name']}: {model['title']}"
    rows = [f"{group}: {', '.join(options)}" for group, options in model["variants"].items()]
    kinds: dict[str, list[str]] = {}
    for name in model["couplings"]:
        kind, _, flavours = name.rpartition("_")
        kinds.setdefault(kind, []).append(flavours)
    rows += [f"{kind}_ {' '.join(flavours)}" for kind, flavours in kinds.items()]
    return "\n  ".join([head, *rows])


def _describe(model: Any) -> dict[str, Any]:
    return {
        "name": model.name,
        "title": model.title,
        "experiment": model.experiment,
        "variants": {group: list(options) for group, options in model.groups.items()},
        "couplings": list(model.couplings),
        "datasets": list(model.datasets),
    }
