"""The list of the data models in models/world.yaml: which of them the default world fit holds, and why."""

from pathlib import Path

from pydantic import ValidationError

from nuemstat import resources
from nuemstat.errors import ModelError
from nuemstat.model.loader import read_yaml
from nuemstat.strict import Name, Strict, one_line


class Membership(Strict):
    """Whether a data model is in the default world fit, and why."""

    default: bool
    reason: str


class World(Strict):
    """The content of models/world.yaml."""

    models: dict[Name, Membership]


def listed() -> dict[str, Membership]:
    """Every shipped data model with its place in the world fit, as models/world.yaml has them.

    Raises
    ------
    ModelError : the file is not of that form.
    """
    path = resources.models_folder() / "world.yaml"
    content, _ = read_yaml(path)
    try:
        found = World.model_validate(content).models
    except ValidationError as error:
        raise ModelError(f"{path}: {one_line(error)}") from None
    if not any(member.default for member in found.values()):
        raise ModelError(f"{path}: models: found none with default: true; one or more are needed")
    return found


def why_outside(name: str, path: Path) -> str | None:
    """Why the model in the file `path` is out of the default world fit; None if it is in it or not a listed one."""
    if path.resolve() != (resources.models_folder() / name / "model.yaml").resolve():
        return None
    member = listed().get(name)
    return None if member is None or member.default else member.reason
