"""``nuemstat new``: a commented model to start from."""

import re
from pathlib import Path

import click

from nuemstat.cli.output import note
from nuemstat.errors import ModelError

_ALLOWED = re.compile(r"[a-z][a-z0-9_]*")


@click.command("new", short_help="A commented model to start from.")
@click.argument("name", metavar="NAME")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder to make; NAME without it.")
def new_command(name: str, output: Path | None) -> None:
    """Make a folder with a model.yaml that works as it stands, and its table of counts.

    NAME is the model's name: small letters, digits and underscores, a letter first.
    """
    if not _ALLOWED.fullmatch(name):
        raise ModelError(f"name: found {name!r}; small letters, digits and underscores are allowed, a letter first")
    folder = output or Path(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder}: it is already there; a folder that is new or empty is allowed")
    from nuemstat.resources import data_file
    from nuemstat.writing import write_whole

    for path in sorted(data_file("template").iterdir()):
        write_whole(folder / path.name, path.read_text(encoding="utf-8").replace("my_experiment", name))
    note(f"wrote {folder / 'model.yaml'}; try: nuemstat limit {folder / 'model.yaml'} --coupling millicharge_ee")
