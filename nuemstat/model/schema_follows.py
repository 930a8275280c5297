"""The vocabulary of numbers that depend on the size of the experiment: what each follows, and how."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from nuemstat.model.fields import Number, PositiveNumber
from nuemstat.strict import Strict

Follows = Literal["exposure", "mass", "live_time", "none"]
"""What a number is proportional to. The exposure is mass times live time, and that of a channel where it has its own;
at a beam the protons on target stand for the live time. `none`: it stays, whatever the experiment grows to."""
As = Literal["counts", "root"]
"""How an error follows: in proportion as counts do (systematic), or as their square root (statistical)."""


class GrowingNumber(Number):
    """A number of counts that follows the size of the experiment."""

    follows: Follows | None = None


class GrowingPositiveNumber(PositiveNumber):
    """A number of counts above 0 that follows the size of the experiment."""

    follows: Follows | None = None


class GrowingWidth(Strict):
    """An error or a width that follows the size of the experiment."""

    follows: Follows | None = None
    as_: As | None = Field(default=None, alias="as")

    @model_validator(mode="after")
    def _both(self) -> "GrowingWidth":
        if (self.follows in (None, "none")) != (self.as_ is None):
            raise ValueError(
                f"follows: found {self.follows or 'nothing'} and as: {self.as_ or 'nothing'}; an error that follows "
                "something says as: counts (systematic) or as: root (statistical)"
            )
        return self


def followers(document: Any) -> Iterator[tuple[str, tuple[str, ...], Follows | None]]:
    """Every number that has to say what it follows: its path, the channels that it acts in, and what it says."""
    for name, signal in document.signals.items():
        if signal.standard_model_counts is not None:
            where = f"signals.{name}.standard_model_counts"
            yield where, signal.channels, signal.standard_model_counts.follows
        if signal.released is not None and signal.released.use == "counts":
            yield f"signals.{name}.released", signal.channels, signal.released.follows
    for name, background in document.backgrounds.items():
        key, norm = ("counts", background.counts) if background.counts else ("area", background.area)
        if norm is not None:
            yield f"backgrounds.{name}.{key}", tuple(background.channels), norm.follows
    for name, channel in document.channels.items():
        if channel.errors is not None and not isinstance(channel.errors, str):
            yield f"channels.{name}.errors", (name,), channel.errors.follows


def check_follows(document: Any) -> None:
    """A ValueError where something follows what the target does not state."""
    target = document.target
    if target.per is not None:
        allowed: tuple[str, ...] = ("none",)
    else:
        allowed = ("exposure", "none") if target.exposure else ("exposure", "mass", "live_time", "none")
    rows = [(f"{where}.follows", follows) for where, _, follows in followers(document)]
    rows += [(f"nuisances.{name}.follows", row.follows) for name, row in document.nuisances.items()]
    for where, follows in rows:
        if follows is not None and follows not in allowed:
            states = "is one particle" if target.per else "states an exposure"
            raise ValueError(f"{where}: found {follows!r}; the target {states}, so {' or '.join(allowed)} is allowed")
