"""How far interpolated templates are from exact ones, in units of each bin's error.

Between its anchors a morph is an interpolation, and a free shape is a polynomial over its range. Both are held
against templates computed for just that value, for the prediction at the default couplings and for each coupling
at the size of a three-sigma signal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from nuemstat.errors import ModelError
from nuemstat.model.expansion import FreeShape, Version, shifted
from nuemstat.model.morphs import Morph, moved
from nuemstat.model.templates import Templates
from nuemstat.polynomial import CouplingPolynomial, FloatArray, Monomial, monomial, monomial_name
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.document import Channel, Sample, Workspace
from nuemstat.workspace.shapes import interpolated

LIMIT = 0.05
"""Largest deviation allowed within two sigma, in units of the bin's error, where a row does not allow more."""

_PROBES = (-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0)
_SHARES = (-1.0, -0.7, -0.4, -0.2, 0.2, 0.4, 0.7, 1.0)


def largest_deviations(
    version: Version,
    shapes: Mapping[str, FreeShape],
    morphs: tuple[Morph, ...],
    workspace: Workspace,
    defaults: Mapping[str, float],
) -> tuple[str, ...]:
    """One line per nuisance and free shape: its largest deviation, where, and at what value.

    defaults : of every coupling, for the prediction without new physics.

    Raises
    ------
    ModelError : a nuisance deviates by more than `LIMIT`, or what its row allows with a reason, within two sigma.
    """
    folded = {entry.name: entry.value for entry in workspace.folded}
    probe = _Probe(workspace, folded, defaults)
    lines: list[str] = []
    for morph in morphs:
        if morph.row.varies is None:  # released alternatives: the anchors are all that is known
            continue
        exact = {alpha: moved(version, morph.name, morph.row, alpha).templates for alpha in _PROBES}
        worst, where = probe.worst(exact, morph.reach.moves, partial(_morphed, parameter=morph.parameter))
        line = f"morph {morph.parameter}: within {worst:.2g} of a bin's error up to 2 sigma{where}"
        limit = morph.row.deviation.allowed if morph.row.deviation else LIMIT
        if worst > limit:
            raise ModelError(f"{version.path}: {line}; {limit:g} is allowed: give it more anchors")
        if morph.row.deviation:
            line += f"; {limit:g} is allowed: {morph.row.deviation.reason}"
        lines.append(line)
    for name, shape in shapes.items():
        low, high = shape.row.range or (0.0, 0.0)
        values = [share * (high if share > 0 else -low) for share in _SHARES]
        exact = {value: shifted(version, {name: value}, shapes).templates for value in values}
        worst, where = probe.worst(exact, shape.processes, partial(_shifted_sample, name=name))
        lines.append(f"free shape {name}: within {worst:.2g} of a bin's error over [{low:g}, {high:g}]{where}")
    return tuple(lines)


Approximation = Callable[[Channel, Sample, float], tuple[Monomial, FloatArray] | None]


@dataclass(frozen=True, slots=True)
class _Probe:
    """A workspace to be held against exact templates."""

    workspace: Workspace
    folded: Mapping[str, float]
    defaults: Mapping[str, float]

    def worst(
        self, exact: Mapping[float, Templates], processes: frozenset[str], approximation: Approximation
    ) -> tuple[float, str]:
        """Largest deviation over all values, channels, processes and terms, and where it is."""
        found = [(0.0, "")]
        for value, templates in exact.items():
            for channel in self.workspace.channels:
                for process in sorted(processes):
                    if (channel.name, process) in templates:
                        ours = _interpolated(channel, process, value, approximation)
                        theirs = templates[channel.name, process].fix(self.folded)
                        deviation, term = self._deviation(channel, ours, theirs)
                        found.append((deviation, f" ({channel.name}, {process}{term}, at {value:+g})"))
        return max(found, key=lambda pair: pair[0])

    def _deviation(self, channel: Channel, ours: CouplingPolynomial, theirs: CouplingPolynomial) -> tuple[float, str]:
        """Of the prediction without new physics, and of each term at the size of three sigma."""
        error = bin_errors(channel)
        difference = ours + theirs * -1.0
        found = [(float(np.max(np.abs(difference.evaluate(self.defaults)) / error)), "")]
        for term, values in difference.terms.items():
            size = np.sqrt(np.sum((theirs.terms[term] / error) ** 2)) if term in theirs.terms else 0.0
            if term and size > 0:
                found.append((3 / size * float(np.max(np.abs(values) / error)), f" x {monomial_name(term)}"))
        return max(found, key=lambda pair: pair[0])


def _interpolated(channel: Channel, process: str, value: float, approximation: Approximation) -> CouplingPolynomial:
    total = CouplingPolynomial({})
    for sample in channel.samples:
        part = approximation(channel, sample, value) if sample.process == process else None
        if part is not None:
            total = total + CouplingPolynomial({part[0]: part[1]})
    return total


def bin_errors(channel: Channel) -> FloatArray:
    """Error of each bin: given, of two sides the smaller one, or the root of its count (at least of one)."""
    if channel.errors is not None:
        return np.minimum(channel.errors, channel.errors_below or channel.errors)
    if channel.covariance is not None:
        return np.asarray(np.sqrt(np.diag(np.array(channel.covariance))))
    return np.asarray(np.sqrt(np.maximum(channel.observed, 1.0)))


def _morphed(channel: Channel, sample: Sample, alpha: float, *, parameter: str) -> tuple[Monomial, FloatArray] | None:
    """A sample at unshifted free shapes with one nuisance at alpha, as the workspace gives it."""
    if any(name not in COUPLINGS for name in sample.monomial):
        return None
    contents = np.array(sample.contents)
    for shape in sample.modifiers:
        if shape.type == "shape" and shape.parameter == parameter:
            change = interpolated(channel, shape, alpha)
            contents = contents + change if shape.interpolation == "additive" else contents * np.exp(change)
    return monomial(sample.monomial), contents


def _shifted_sample(_: Channel, sample: Sample, value: float, *, name: str) -> tuple[Monomial, FloatArray] | None:
    """A sample times its power of one free shape, other free shapes at their expansion points."""
    if any(other not in COUPLINGS and other != name for other in sample.monomial):
        return None
    rest = monomial({other: power for other, power in sample.monomial.items() if other != name})
    return rest, np.array(sample.contents) * value ** sample.monomial.get(name, 0)
