"""Shape modifiers of constrained nuisances: templates computed anew at anchor points of the nuisance."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.model.dependence import Reach, changed_processes, varied_reach
from nuemstat.model.expansion import FreeShape, Version, expand, split_quantity
from nuemstat.model.released import alternative_anchors
from nuemstat.model.schema_nuisance import NuisanceField
from nuemstat.model.templates import Templates
from nuemstat.polynomial import CouplingPolynomial, FloatArray, Monomial
from nuemstat.workspace.document import rounded
from nuemstat.workspace.modifiers import Anchor, Shape

_EMPTY = 1e-7  # of the largest bin: below it a ratio means nothing and is kept at 1


@dataclass(frozen=True)
class Morph:
    """One nuisance: the name of its row, the parameter, what it moves, and the templates at each anchor."""

    name: str
    parameter: str
    row: NuisanceField
    reach: Reach
    anchors: Mapping[float, Templates]


def moved(version: Version, name: str, row: NuisanceField, alpha: float) -> Version:
    """The version with the nuisance at alpha sigma.

    Raises
    ------
    ModelError : the row's centre is not the number that stands at its path.
    """
    for path in row.paths:
        version = _moved_number(version, f"{version.path}: nuisances.{name}", row, path, alpha)
    return version


def _moved_number(version: Version, where: str, row: NuisanceField, path: str, alpha: float) -> Version:
    nominal, unit = version.number_at(path)
    centre, centre_unit = split_quantity(row.centre, f"{where}.centre")
    sigma, sigma_unit = split_quantity(row.sigma, f"{where}.sigma")
    dimensions = {units.unit(text).dimension for text in (unit, centre_unit, sigma_unit)}
    if len(dimensions) > 1:
        raise ModelError(f"{where}: centre, sigma and {path} have the units {centre_unit!r}, {sigma_unit!r}, {unit!r}")
    scale = units.unit(unit).scale
    centre *= units.unit(centre_unit).scale / scale
    if abs(centre - nominal) > 1e-9 * max(abs(centre), abs(nominal)):
        raise ModelError(f"{where}.centre: found {row.centre!r}; the number at {path} is {nominal:g} {unit}".rstrip())
    return version.moved(path, nominal + alpha * sigma * units.unit(sigma_unit).scale / scale, unit)


def compute_morph(
    version: Version, name: str, parameter: str, row: NuisanceField, shapes: Mapping[str, FreeShape]
) -> Morph:
    """Templates of the processes that a row moves, expanded in the free shapes, at each of its anchors.

    Raises
    ------
    ModelError : the row moves nothing, or leaves out what depends on it without a reason; see `varied_reach`.
    """
    if row.alternatives is not None:
        reach = Reach(frozenset(row.processes or ()), {})
        nominal = expand(version, shapes, reach.moves)
        found = alternative_anchors(row.alternatives, nominal, version.document.channels, version.bench.files)
        return Morph(name, parameter, row, reach, found)
    versions = {alpha: moved(version, name, row, alpha) for alpha in row.anchors}
    changed = changed_processes(version.templates, (other.templates for other in versions.values()))
    reach = varied_reach(version.document, f"{version.path}: nuisances.{name}", row.paths, row.only, changed)
    return Morph(
        name, parameter, row, reach, {alpha: expand(other, shapes, reach.moves) for alpha, other in versions.items()}
    )


def shape_modifier(
    morph: Morph,
    key: tuple[str, str],
    term: Monomial,
    unshifted: Monomial,
    nominal: CouplingPolynomial,
    axes: Mapping[str, int],
) -> Shape | None:
    """The modifier of one sample, None where the nuisance does nothing to it.

    term : the sample's monomial; unshifted : the same without powers of free shapes, whose ratio stands for all of
    them; axes : number of bins by axis of the channel. Multiplicative where every ratio is positive, else additive.
    """
    contents = nominal.terms[term]
    at = {alpha: found[key].terms.get(term, np.zeros_like(contents)) for alpha, found in morph.anchors.items()}
    largest = float(np.max(np.abs(contents)))
    if all(np.max(np.abs(values - contents)) <= 1e-10 * largest for values in at.values()):
        return None
    if morph.row.interpolation == "multiplicative":
        base = nominal.terms[unshifted]
        kept = morph.row.axes or tuple(axes)
        ratios = {a: _ratio(found[key].terms[unshifted], base, axes, kept) for a, found in morph.anchors.items()}
        if all(ratio is not None for ratio in ratios.values()):
            anchors = tuple(Anchor(alpha=a, values=rounded(r)) for a, r in ratios.items() if r is not None)
            return Shape(
                parameter=morph.parameter, interpolation="multiplicative", axes=morph.row.axes, anchors=anchors
            )
    anchors = tuple(Anchor(alpha=alpha, values=rounded(values - contents)) for alpha, values in at.items())
    return Shape(parameter=morph.parameter, interpolation="additive", anchors=anchors)


def _ratio(varied: FloatArray, base: FloatArray, axes: Mapping[str, int], kept: tuple[str, ...]) -> FloatArray | None:
    """Varied over nominal, summed over the axes that are not kept; None where that is not a positive ratio."""
    dropped = tuple(i for i, name in enumerate(axes) if name not in kept)
    shape = tuple(axes.values())
    above, below = (values.reshape(shape).sum(axis=dropped).ravel() for values in (varied, base))
    largest = np.max(np.abs(below))
    empty = np.abs(below) <= _EMPTY * largest
    if np.any(np.abs(above[empty]) > 10 * _EMPTY * largest):
        return None
    ratio = np.divide(above, below, out=np.ones_like(below), where=~empty)
    return ratio if np.all(ratio > 0) else None
