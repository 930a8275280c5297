"""All templates of one version of a model, free shapes expanded in powers of their shifts.

A free shape (the onset of a beam, the position of a peak) has no constraint and may move far, so its templates are
polynomials in the shift: monomials of the workspace like those of the couplings, exact in every export.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError, UnitError
from nuemstat.model.backgrounds import background_templates
from nuemstat.model.follows import Growth
from nuemstat.model.loader import validated
from nuemstat.model.reference import reference_templates
from nuemstat.model.scales import Scales, check_windows, scaled, signal_scales
from nuemstat.model.schema import ModelDocument
from nuemstat.model.schema_nuisance import FreeField
from nuemstat.model.templates import Bench, Templates, signal_templates
from nuemstat.model.variants import with_value
from nuemstat.polynomial import CouplingPolynomial, FloatArray, monomial, multiply

_PUBLISHED = ("source", "target", "conventions", "signals")
"""Sections that make the prediction which a publication took as its own when it added up its backgrounds."""


@dataclass(frozen=True, slots=True)
class FreeShape:
    """A free shape with the processes that it moves."""

    row: FreeField
    processes: frozenset[str]

    @property
    def path(self) -> str:
        """Of the number that it moves."""
        return self.row.varies or ""


@dataclass(frozen=True)
class Version:
    """A model with some of its numbers moved: what a nuisance or a free shape does to it.

    origin : the model as it is compiled, None for itself; unchanged : the same before numbers were set in it, None
    where none was; growth : what follows from an exposure that was set.
    """

    raw: Mapping[str, Any]
    path: Path
    bench: Bench
    origin: "Version | None" = None
    unchanged: "Version | None" = None
    growth: Growth = field(default_factory=Growth)

    @cached_property
    def document(self) -> ModelDocument:
        """The checked document of this version."""
        return validated(self.raw, self.path)

    def moved(self, path: str, number: float, unit: str) -> "Version":
        """This version with the number at a path set, given in a unit."""
        text = f"{number!r} {unit}".strip() if unit else number
        return replace(self, raw=with_value(self.raw, path, text), origin=self.origin or self)

    @cached_property
    def scales(self) -> Scales:
        """Factors on the signals, the same for all versions of a model.

        Counts that a publication states calibrate the model as it stood: what was set since changes them.
        """
        if self.origin is not None:
            return self.origin.scales
        stood = (self.unchanged or self).document
        check_windows(self.document, signal_templates(self.document, self.bench))
        references = reference_templates(stood.model_copy(update={"signals": self.document.signals}), self.bench)
        found = signal_scales(self.document, self.bench.files, signal_templates(stood, self.bench), references)
        return {key: factor * self.growth.signals.get(key, 1.0) for key, factor in found.items()}

    @cached_property
    def templates(self) -> Templates:
        """Counts of every process in every channel as they stand, free shapes at their expansion points."""
        signals = self._signals
        published = (self.unchanged or self.origin or self).document
        taken = self._published._signals
        found = background_templates(self.document, self.bench, taken, published)
        factors = self.growth.backgrounds
        return signals | {key: poly * factors[key] if key in factors else poly for key, poly in found.items()}

    @cached_property
    def _signals(self) -> Templates:
        return scaled(signal_templates(self.document, self.bench), self.scales)

    @property
    def _published(self) -> "Version":
        """With the prediction of the model as it stands behind the response as it is here.

        What a table includes of a signal was computed once by its authors: another flux does not change the rest of
        the table, while another response changes how both are seen.
        """
        stood = self.unchanged or self.origin
        if stood is None or not any(background.less for background in self.document.backgrounds.values()):
            return self
        first = {key: stood.raw[key] for key in _PUBLISHED if key in stood.raw}
        shares = {name: row.get("exposure") for name, row in stood.raw["channels"].items()}
        rows = {name: {**row, "exposure": shares.get(name)} for name, row in self.raw["channels"].items()}
        if any(self.raw["channels"][name].get("exposure") != share for name, share in shares.items()):
            first["channels"] = rows
        if all(self.raw.get(key) == value for key, value in first.items()):
            return self
        return Version({**self.raw, **first}, self.path, self.bench, stood)

    def number_at(self, path: str) -> tuple[float, str]:
        """The number that stands at a path, with its unit text ('' for a pure number)."""
        node: Any = self.document
        for part in path.split("."):
            node = _child(node, part, path, self.path)
        value = getattr(node, "value", node)
        if isinstance(value, int | float):
            return float(value), ""
        return split_quantity(value, f"{self.path}: {path}")


def _child(node: Any, part: str, path: str, file: Path) -> Any:
    if isinstance(node, tuple) and part.isdigit() and int(part) < len(node):
        return node[int(part)]
    if isinstance(node, dict) and part in node:
        return node[part]
    if not isinstance(node, dict | tuple) and part in getattr(type(node), "model_fields", {}):
        return getattr(node, part)
    raise ModelError(f"{file}: varies: {path!r}: there is no {part!r}; a path to a number of this model is allowed")


def split_quantity(text: str | float, where: str) -> tuple[float, str]:
    """Number and unit of a quantity as written: ``"0.1 keV"`` -> (0.1, "keV"); percentages as pure numbers."""
    number, _, unit = str(text).strip().partition(" ")
    try:
        found = units.unit(unit)
        if found.dimension == units.DIMENSIONLESS:
            return float(number) * found.scale, ""
        return float(number), unit
    except (UnitError, ValueError):
        raise ModelError(f"{where}: found {text!r}; a number and a unit are allowed") from None


def expand(version: Version, shapes: Mapping[str, FreeShape], processes: frozenset[str] | None = None) -> Templates:
    """Templates with the free shapes as further variables.

    shapes : free shapes by parameter name; processes : the ones that are wanted, all when left out.
    Each process is expanded in the shapes that move it, by interpolation at Chebyshev nodes over their ranges
    (with an even number of powers 0 is a node, so that the expansion point is exact).
    """
    groups: dict[tuple[str, ...], set[str]] = {}
    for _, process in version.templates:
        if processes is None or process in processes:
            names = tuple(name for name, shape in shapes.items() if process in shape.processes)
            groups.setdefault(names, set()).add(process)
    found: Templates = {}
    for names, members in groups.items():
        found |= _expanded(version, {name: shapes[name] for name in names}, members)
    return found


def _expanded(version: Version, shapes: Mapping[str, FreeShape], members: set[str]) -> Templates:
    if not shapes:
        return {key: poly for key, poly in version.templates.items() if key[1] in members}
    nodes = {name: chebyshev_nodes(shape.row) for name, shape in shapes.items()}
    lagrange = {name: _inverse_vandermonde(nodes[name]) for name in shapes}
    found: Templates = {}
    for indices in product(*(range(len(nodes[name])) for name in shapes)):
        at = dict(zip(shapes, indices, strict=True))
        moved = shifted(version, {name: float(nodes[name][i]) for name, i in at.items()}, shapes)
        factor = reduce(
            lambda a, b: a * b,
            (_powers(name, lagrange[name][:, i]) for name, i in at.items()),
            CouplingPolynomial.constant(1.0),
        )
        for key, poly in moved.templates.items():
            if key[1] in members:
                term = _outer(poly, factor)
                found[key] = found[key] + term if key in found else term
    return found


def shifted(version: Version, shifts: Mapping[str, float], shapes: Mapping[str, FreeShape]) -> Version:
    """The version with free shapes moved from their expansion points, in units of their scale."""
    for name, shift in shifts.items():
        shape = shapes[name]
        start, unit = version.number_at(shape.path)
        step, step_unit = split_quantity(shape.row.scale, f"free.{name}.scale")
        ratio = units.unit(step_unit).scale / units.unit(unit).scale
        version = version.moved(shape.path, start + shift * step * ratio, unit)
    return version


def chebyshev_nodes(row: FreeField) -> FloatArray:
    """Nodes over the range of a free shape, one more than its powers."""
    low, high = row.range or (-1.0, 1.0)
    number = (row.powers or 1) + 1
    unit = np.cos(np.pi * (2 * np.arange(number) + 1) / (2 * number))
    unit[np.abs(unit) < 1e-12] = 0.0
    return np.asarray((low + high) / 2 + (high - low) / 2 * unit)


def _inverse_vandermonde(nodes: FloatArray) -> FloatArray:
    """Coefficient of each power in the Lagrange polynomial of each node, shape (powers, nodes)."""
    return np.asarray(np.linalg.inv(np.vander(nodes, increasing=True)))


def _powers(name: str, coefficients: FloatArray) -> CouplingPolynomial:
    return CouplingPolynomial({monomial({name: k}): np.asarray(c) for k, c in enumerate(coefficients)})


def _outer(poly: CouplingPolynomial, factor: CouplingPolynomial) -> CouplingPolynomial:
    terms = {multiply(a, b): x * float(y) for a, x in poly.terms.items() for b, y in factor.terms.items()}
    return CouplingPolynomial(terms)
