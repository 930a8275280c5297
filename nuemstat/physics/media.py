"""Media as targets of charges: which are known, their densities by phase, and how they absorb."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Final, Literal

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.atom import atom
from nuemstat.physics.dielectric import Absorber, Constituent, Medium
from nuemstat.physics.nucleus import molar_mass
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.tables import read_table

Phase = Literal["gas", "liquid", "solid"]
PHASES: Final[tuple[Phase, ...]] = ("gas", "liquid", "solid")

MISSING_ENERGY: Final = 5 * units.eV
"""Where missing oscillator strength of a medium that the table does not have is placed (chosen)."""
FAR: Final = 5.0
"""A density further than this factor from that of its phase is told."""


@dataclass(frozen=True, slots=True)
class KnownMedium:
    """What charges see: density [mass / length^3], and the place of missing strength [energy]; None: no phase said."""

    name: str
    phase: Phase | None
    density: float
    missing_energy: float
    source: str
    status: str


@cache
def _table() -> Mapping[str, tuple[KnownMedium, ...]]:
    """Media by their formula, the default phase first."""
    table = read_table(data_file("atomic/media.csv"))
    rows = zip(
        table.words("formula"),
        table.words("phase"),
        table.numbers("density", units.MASS_DENSITY).tolist(),
        table.numbers("missing", units.ENERGY).tolist(),
        table.words("source"),
        table.words("status"),
        strict=True,
    )
    found: dict[str, list[KnownMedium]] = {}
    for name, phase, *rest in rows:
        found.setdefault(name, []).append(KnownMedium(name, PHASES[PHASES.index(phase)], *rest))
    return {name: tuple(media) for name, media in found.items()}


def formula_name(formula: Mapping[str, float]) -> str:
    """A formula as text: ``CsI``, ``CF4``."""
    return "".join(f"{element}{'' if number == 1 else f'{number:g}'}" for element, number in formula.items())


def known_media(formula: Mapping[str, float]) -> tuple[KnownMedium, ...]:
    """The media of a formula, whatever the order of its elements; the default first, none for an unknown formula."""
    wanted = {element: float(number) for element, number in formula.items()}
    for name, media in _table().items():
        if wanted == dict.fromkeys(re.findall("[A-Z][a-z]?", name), 1.0):  # all of the table have each element once
            return media
    return ()


def choose_medium(formula: Mapping[str, float], phase: Phase | None, density: float | None) -> KnownMedium:
    """What a target is, with the table's values where none are given; `density` [mass / length^3].

    Raises
    ------
    ModelError : no density and none in the table for this formula and phase; a liquid or solid as thin as its gas.
    """
    name, media = formula_name(formula), known_media(formula)
    rows = {row.phase: row for row in media}
    if phase is None and media:
        phase = media[0].phase
    row = rows.get(phase) if phase else None
    if density is None and row is None:
        known = ", ".join(f"{m.phase} {m.name}" for group in _table().values() for m in group)
        found = f"{phase} {name}" if phase else name
        raise ModelError(f"target.density: found none for {found}; it is required but for {known}")
    if row is None:
        missing = media[0].missing_energy if media else MISSING_ENERGY
        return KnownMedium(name, phase, density or 0.0, missing, "", "")
    if density is None:
        return row
    gas = rows.get("gas")
    if phase != "gas" and gas and abs(np.log(density / gas.density)) < abs(np.log(density / row.density)):
        g = units.gram / units.cm**3
        raise ModelError(
            f"target.phase: found {phase} with a density of {density / g:g} g/cm^3, which is that of a gas; {phase} "
            f"{name} has {row.density / g:g} g/cm^3"
        )
    return KnownMedium(name, row.phase, density, row.missing_energy, row.source, row.status)


def density_remark(formula: Mapping[str, float], phase: Phase | None, density: float | None) -> str:
    """What a reader must know of a density [mass / length^3] that is far from that of its phase, else nothing."""
    media = known_media(formula)
    row = next((m for m in media if m.phase == (phase or media[0].phase)), None)
    if row is None or density is None or abs(np.log(density / row.density)) <= np.log(FAR):
        return ""
    found, usual = (f"{value / (units.gram / units.cm**3):g} g/cm^3" for value in (density, row.density))
    return f"target.density: {found} is beyond a factor {FAR:g} of that of {row.phase} {row.name}, {usual}"


@cache
def absorber(element: str, pull: float = 0.0) -> Absorber:
    """The photoabsorption of an atom, with its error pulled [sigma].

    Raises
    ------
    ModelError : no cross section is tabulated for this element, or no error of it that could be pulled.
    """
    found = atom(element)
    return Absorber(found.photo_energy, found.photoabsorption(found.photo_energy, pull=pull), found.Z)


def _longitudinal(element: str, pull: float, energy: FloatArray) -> FloatArray:
    return np.asarray((1 + atom(element).hartree_fock_difference(energy)) ** pull)


def medium(
    formula: Mapping[str, float],
    chosen: KnownMedium,
    *,
    photoabsorption: Mapping[str, float] | None = None,
    longitudinal: Mapping[str, float] | None = None,
) -> Medium:
    """A medium of known density.

    photoabsorption : pulls of the error of the cross section by element [sigma], which go through the whole formula;
    longitudinal : pulls of the difference to Hartree-Fock by element [sigma], a factor (1 + difference)^pull on the
    longitudinal field.

    Raises
    ------
    ModelError : an element without a table, or without an error that could be pulled.
    """
    photo, atomic = photoabsorption or {}, longitudinal or {}
    mass = sum(number * molar_mass(element) for element, number in formula.items()) * units.MOLAR_GRAM
    parts = []
    for element, number in formula.items():
        pull = atomic.get(element, 0.0)
        factor = partial(_longitudinal, element, pull) if pull else None
        parts.append(Constituent(number, absorber(element, photo.get(element, 0.0)), factor))
    return Medium(chosen.density / mass, tuple(parts), chosen.missing_energy)
