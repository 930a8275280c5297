"""What numbers that were set do to a model: changes that change nothing are refused, the others are said."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nuemstat.errors import ModelError
from nuemstat.model import overlays
from nuemstat.model.changes import put, raw_at
from nuemstat.model.dependence import changed_processes
from nuemstat.model.expansion import Version
from nuemstat.model.follows import sizes
from nuemstat.model.loader import Model

_ELSEWHERE = ("nuisances.", "free.", "channels.")
"""Sections whose numbers need not act on the counts: widths, bounds, errors."""


class ChangesNothing(ModelError):
    """A number that was set and that no count depends on with these variants."""


def refuse_idle(model: Model, version: Version) -> None:
    """Refuse a number that was set and changes no count.

    Raises
    ------
    ChangesNothing : such a number.
    """
    for change in model.changes:
        if change.path.startswith(_ELSEWHERE) or change.path in sizes(model.document):
            continue
        without = replace(version, raw=_without(model, change.path))
        if set(without.templates) == set(version.templates) and not changed_processes(
            version.templates, [without.templates]
        ):
            raise ChangesNothing(
                f"{model.name}: {change.path} = {change.new} changes no count of this model with its variants; "
                "a number that some process depends on is allowed"
            )


def _without(model: Model, path: str) -> Mapping[str, Any]:
    """The raw model with all changes but the one at a path."""
    way, stood = tuple(path.split(".")), raw_at(model.unchanged, path)
    found: Mapping[str, Any] = overlays.put(model.raw, way, None) if stood is None else put(model.raw, way, stood)
    return found


def words_of(model: Model) -> tuple[str, ...]:
    """What a reader of a result must know of numbers that were set by hand."""
    said = [f"{change.path} = {change.new} was set by hand; the model has {change.old}" for change in model.changes]
    measured = any(channel.observed != "asimov" for channel in model.document.channels.values())
    if measured and model.another_experiment:
        paths = ", ".join(change.path for change in model.another_experiment)
        said.append(f"the observed counts were not taken with this {paths}: Asimov data are those of this experiment")
    return tuple(said)
