"""What the ways to ionise atoms leave open: the mass that cuts the logarithm of equivalent photons off, and pulls by
element of the target."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from nuemstat.model.fields import PositiveEnergy
from nuemstat.physics.electron import EQUIVALENT_PHOTONS
from nuemstat.strict import Strict

NEUTRINO_MASS: Final = PositiveEnergy(
    value="0.45 eV",
    source="KATRIN, arXiv:2406.13516: upper bound at 90 % CL on the effective mass of the electron antineutrino",
    status="read",
    note="the largest mass that is allowed gives the smallest logarithm and the weakest limit",
)
"""Mass of the neutrino in the logarithm of equivalent photons where a model says nothing of it."""


class ElementPulls(Strict):
    """Pulls in sigma by element, of those whose tables have an error; 0 is the tables as they stand."""

    Ar: float = 0.0
    Cs: float = 0.0
    Ge: float = 0.0
    I: float = 0.0  # noqa: E741 - the symbol of iodine
    Si: float = 0.0
    Xe: float = 0.0

    def of(self, element: str) -> float:
        """The pull of an element [sigma], 0 for those that have no tables."""
        return float(getattr(self, element, 0.0)) if element in type(self).model_fields else 0.0

    @property
    def pulled(self) -> tuple[str, ...]:
        """The elements whose pull is not 0."""
        return tuple(element for element in type(self).model_fields if self.of(element))

    @property
    def by_element(self) -> dict[str, float]:
        """The pulls that are not 0 [sigma]."""
        return {element: self.of(element) for element in self.pulled}


PULLED: Final[Mapping[str, tuple[tuple[str, ...], str]]] = MappingProxyType(
    {
        "photoabsorption": (("best", *EQUIVALENT_PHOTONS), "equivalent photons"),
        "equivalent_photons": (EQUIVALENT_PHOTONS, "equivalent photons"),
        "dielectric": (("best",), "charges by the dielectric formula"),
        "moments": (("best",), "moments by Hartree-Fock"),
    }
)
"""Kinds of pulls by element: the approximations that have them, and what the others lack."""
