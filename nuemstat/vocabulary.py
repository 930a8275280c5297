"""The couplings of this field: their names, units, powers, and the numbers of order one that workspaces hold.

`scale` is the size of 1 in a workspace: a millicharge of 2.5 in a workspace is 2.5e-12 e.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Final, Literal

FLAVOURS: Final = ("e", "mu", "tau")
Kind = Literal["magnetic_moment", "millicharge", "charge_radius"]


@dataclass(frozen=True, slots=True)
class Coupling:
    """One coupling in the flavour basis.

    flavours : the two flavours it connects (equal for diagonal ones and for magnetic moments);
    even : only its square occurs, so it lives on [0, inf).
    """

    name: str
    kind: Kind
    flavours: tuple[str, str]
    unit: str
    scale: float
    even: bool


_UNITS: Final[dict[Kind, tuple[str, float]]] = {
    "magnetic_moment": ("mu_B", 1e-11),
    "millicharge": ("e", 1e-12),
    "charge_radius": ("cm^2", 1e-32),
}


def _couplings() -> dict[str, Coupling]:
    diagonal = [(flavour, flavour) for flavour in FLAVOURS]
    found: dict[str, Coupling] = {}
    for kind, (unit, scale) in _UNITS.items():
        pairs = diagonal if kind == "magnetic_moment" else diagonal + list(combinations(FLAVOURS, 2))
        for a, b in pairs:
            name = f"{kind}_{a}" if kind == "magnetic_moment" else f"{kind}_{a}{b}"
            even = kind == "magnetic_moment" or a != b
            found[name] = Coupling(name, kind, (a, b), unit, scale, even)
    return found


COUPLINGS: Final[Mapping[str, Coupling]] = MappingProxyType(_couplings())

UNIVERSAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        kind: tuple(c.name for c in COUPLINGS.values() if c.kind == kind and c.flavours[0] == c.flavours[1])
        for kind in _UNITS
    }
)
"""Universal coupling -> the diagonal couplings it stands for; `charge_radius` is a common shift of them."""


def coupling_name(kind: Kind, a: str, b: str) -> str:
    """Name of the coupling between two flavours, in either order."""
    first, second = sorted((a, b), key=FLAVOURS.index)
    return f"{kind}_{first}" if kind == "magnetic_moment" else f"{kind}_{first}{second}"
