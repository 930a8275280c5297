"""What every source gives: components, each one flavour with one energy spectrum."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux

Flavour = Literal["e", "mu", "tau"]
Part = Literal["flux", "continued", "beyond"]
When = Literal["always", "day", "night"]


@dataclass(frozen=True, slots=True)
class FluxComponent:
    """Neutrinos of one kind at the detector.

    name : the branch or part of the source (``"pp"``, ``"prompt"``, ``"delayed"``, ``"reactor"``);
    flux : per energy and area [1/MeV/cm^2], and per time [1/s] when `per_time`, else of the whole exposure;
    continued : the part of the flux above the last tabulated point of its spectrum, which rests on another spectrum;
    beyond : what may lie above the end of the flux and is not in it; both in the unit of the flux, and empty where the
    table reaches the physical end;
    when : the half of the time in which it arrives, where day and night differ: both together are the whole.
    """

    name: str
    flavour: Flavour
    antineutrino: bool
    flux: Flux
    per_time: bool
    continued: Flux = field(default_factory=Flux)
    beyond: Flux = field(default_factory=Flux)
    when: When = "always"

    def part(self, name: Part) -> Flux:
        """The flux itself, or one of the two parts that tell how far its spectrum is known."""
        found: Flux = getattr(self, name)
        return found


class Source(Protocol):
    """A frozen dataclass whose numbers are the physics inputs: change one with `with_number` and ask again."""

    def components(self) -> tuple[FluxComponent, ...]:
        """The flux at the detector, one entry per part and flavour."""
        ...

    def warnings(self) -> tuple[str, ...]:
        """What a reader of the result must know of the flux, in words."""
        ...

    def data_files(self) -> tuple[Path, ...]:
        """The shipped tables that `components` reads, for provenance."""
        ...


S = TypeVar("S")


def with_number(source: S, name: str, value: float) -> S:
    """The source with one number set: ``"distance"``, or ``"pulls.low_energy"`` for an entry of a mapping.

    Raises
    ------
    ModelError : the source has no such number.
    """
    owner, _, key = name.partition(".")
    current: Any = getattr(source, owner, None)
    if owner not in getattr(source, "__dataclass_fields__", {}) or isinstance(current, Mapping) != bool(key):
        known = ", ".join(getattr(source, "__dataclass_fields__", {}))
        raise ModelError(f"{type(source).__name__}: no number {name!r}; fields are {known} (name.key for mappings)")
    changed: Any = {**current, key: value} if key else value
    return replace(source, **{owner: changed})  # type: ignore[type-var]


def check_names(where: str, found: Mapping[str, float], allowed: tuple[str, ...]) -> None:
    """Complain about the first name that is not allowed.

    Raises
    ------
    ModelError : a name that is not in `allowed`.
    """
    for name in found:
        if name not in allowed:
            raise ModelError(f"{where}: found {name!r}; allowed are {', '.join(allowed)}")
