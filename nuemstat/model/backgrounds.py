"""Expected counts of the backgrounds: tables, or a closed list of shapes, in the bins of a channel."""

from functools import partial, reduce
from typing import Any

import numpy as np
from scipy.special import ndtr

from nuemstat import units
from nuemstat.detector.response import recoil_grid
from nuemstat.errors import ModelError
from nuemstat.model import schema_background as words
from nuemstat.model.builders import time_efficiency
from nuemstat.model.schema import AxisField, ChannelField, ModelDocument
from nuemstat.model.schema_response import Response
from nuemstat.model.templates import Bench, Templates, response_matrix
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.polynomial import CouplingPolynomial, FloatArray
from nuemstat.sources.timing import TimeProfile
from nuemstat.vocabulary import COUPLINGS

_EMPTY = 1e-6
"""Of the largest bin: below it a flat spectrum says nothing of what an efficiency does there."""


def background_templates(
    document: ModelDocument, bench: Bench, signals: Templates, published: ModelDocument | None = None
) -> Templates:
    """Counts of every background in every channel it stands in, shape (n_bins,).

    signals : what `less` may name; published : the model with the responses that measured counts have passed, the
    same one when left out.
    """
    whole = _whole_templates(document, bench, published or document)
    plain: Templates = {key: CouplingPolynomial.constant(counts) for key, counts in whole.items()}
    found = dict(plain)
    for process, background in document.backgrounds.items():
        for name in background.channels if background.less else ():
            found[name, process] = _without(document, bench, background.less, (name, process), signals | plain)
    return found


def _without(
    document: ModelDocument, bench: Bench, less: tuple[str, ...], key: tuple[str, str], templates: Templates
) -> CouplingPolynomial:
    """A background without the processes that its table includes; none of its bins is below zero."""
    name, process = key
    couplings = scheme(document.conventions.couplings)
    defaults = {coupling: default_value(coupling, couplings) for coupling in COUPLINGS}
    rest = templates[key].evaluate(defaults)
    for other in less:
        if (name, other) in templates:
            rest = rest - templates[name, other].evaluate(defaults)
    clipped = float(-np.sum(rest[rest < 0]))
    if clipped > 0:
        text = f"{process} in {name}: {clipped:.3g} counts below zero after taking out {', '.join(less)}; set to zero"
        bench.warnings.setdefault(f"{name}/{process}", text)
    return CouplingPolynomial.constant(np.maximum(rest, 0.0))


def _whole_templates(
    document: ModelDocument, bench: Bench, published: ModelDocument
) -> dict[tuple[str, str], FloatArray]:
    found: dict[tuple[str, str], FloatArray] = {}
    for process, background in document.backgrounds.items():
        for name, shape in background.channels.items():
            channel = document.channels[name]
            key = (
                "background",
                background,
                name,
                channel,
                document.timing or "",
                _response(document, background) or "",
                document.responses[background.selection] if background.selection else "",
            )
            compute = partial(_counts, document, bench, background, shape, channel, published)
            found[name, process] = bench.once(key, compute)
    return found


def _response(document: ModelDocument, background: words.Background) -> Any:
    return document.responses[background.response] if background.response else None


def _counts(
    document: ModelDocument,
    bench: Bench,
    background: words.Background,
    shape: Any,
    channel: ChannelField,
    published: ModelDocument,
) -> FloatArray:
    if background.response is not None:
        density = _folded(document, bench, background, shape, channel)
    else:
        density = _direct(document, bench, shape, channel)
    if background.selection is not None:
        density = _selected(document, bench, background.selection, channel, published, density)
    if background.area is not None:
        return density * background.area.number
    total = float(density.sum())
    if not total > 0:
        raise ModelError(f"{document.name}: a background has no counts in its channel; its shape misses the axis")
    return density * (background.counts.number / total if background.counts else 0.0)


def _direct(document: ModelDocument, bench: Bench, shape: Any, channel: ChannelField) -> FloatArray:
    """The shape as measured, per bin: its integral where it has one, relative numbers otherwise."""
    if isinstance(shape, words.TableShape):
        values = _per_bin(bench, shape.table, shape.column, channel)
        return values * (1 + shape.tilt * np.linspace(-1, 1, len(values))) if shape.tilt else values
    if isinstance(shape, words.AnchoredShape):
        pulls = sorted(shape.columns.items(), key=lambda row: row[1])
        rows = np.stack([_per_bin(bench, shape.table, column, channel) for column, _ in pulls])
        known = np.array([pull for _, pull in pulls])
        return np.array([np.interp(shape.pull, known, row) for row in rows.T])
    if isinstance(shape, words.ProductShape):
        missing = {axis.name for axis in channel.axes} ^ set(shape.axes)
        if missing:
            names = ", ".join(axis.name for axis in channel.axes)
            raise ModelError(
                f"{document.name}: product shape: axis {sorted(missing)[0]!r} does not fit; axes are {names}"
            )
        parts = [_along(document, bench, shape.axes[axis.name], axis) for axis in channel.axes]
        return np.asarray(reduce(np.multiply.outer, parts)).ravel()
    if len(channel.axes) != 1:
        raise ModelError(f"{document.name}: shape {shape.type!r} is one-dimensional; use product or table here")
    return _along(document, bench, shape, channel.axes[0])


def _per_bin(bench: Bench, table: str, column: str, channel: ChannelField) -> FloatArray:
    """A column with one number per bin of the channel."""
    values = bench.files.table(table).numbers(column)
    wanted = int(np.prod([len(axis.values) - 1 for axis in channel.axes]))
    if len(values) != wanted:
        path = bench.files.folder / table
        raise ModelError(f"{path}: column {column!r} has {len(values)} rows; the channel has {wanted} bins")
    return values


def _along(document: ModelDocument, bench: Bench, shape: Any, axis: AxisField) -> FloatArray:
    edges = axis.values
    if isinstance(shape, words.HistogramShape):
        return _histogram(document, bench, shape, axis)
    if isinstance(shape, words.FlatShape):
        return np.asarray(np.diff(edges) / (edges[-1] - edges[0]))
    if isinstance(shape, words.BinShape):
        return _one_bin(document, shape.number, axis)
    if isinstance(shape, words.ExponentialShape):
        return _exponential(document, shape, axis)
    if isinstance(shape, words.GaussianShape):
        positions, areas = _lines(shape.lines)
        z = (axis.internal[None, :] - positions[:, None]) / shape.width.number
        return areas @ np.diff(ndtr(z), axis=1)
    raise ModelError(f"{document.name}: shape {shape.type!r} is a true spectrum; name the response that folds it")


def _one_bin(document: ModelDocument, number: int, axis: AxisField) -> FloatArray:
    bins = len(axis.values) - 1
    if number > bins:
        raise ModelError(f"{document.name}: shape 'bin' along {axis.name}: found {number}; 1 to {bins} are allowed")
    return np.asarray(np.arange(1, bins + 1) == number, dtype=float)


def _exponential(document: ModelDocument, shape: words.ExponentialShape, axis: AxisField) -> FloatArray:
    """Parts of an exponential of unit area from its start on."""
    edges = axis.values
    start = edges[0] if shape.start is None else shape.start.number
    if start > edges[0]:
        raise ModelError(
            f"{document.name}: shape 'exponential' along {axis.name}: found start {start:g}; "
            f"{edges[0]:g} {axis.unit} or less is allowed"
        )
    return np.asarray(-np.diff(np.exp(-(edges - start) / shape.scale.number)))


def _histogram(document: ModelDocument, bench: Bench, shape: words.HistogramShape, axis: AxisField) -> FloatArray:
    """A finer histogram rebinned to the axis; a time distribution moves with the onset and takes its efficiency."""
    table = bench.files.table(shape.table)
    centres, values = table.numbers(shape.centre), table.numbers(shape.column)
    half = (centres[1] - centres[0]) / 2
    if np.any(np.abs(np.diff(centres) - 2 * half) > 1e-6 * half):
        raise ModelError(f"{table.path}: column {shape.centre!r}: bin centres are not evenly spaced")
    first = int(np.argmax(values > 0))
    low = centres[first:] - half
    profile = TimeProfile.from_bins(low, low + 2 * half, values[first:])
    if not shape.follows_timing:
        return profile.fractions(axis.internal)
    if document.timing is None:
        raise ModelError(f"{document.name}: follows_timing needs a section timing, which is not there")
    return profile.fractions(
        axis.internal, onset_shift=document.timing.onset.number, efficiency=time_efficiency(document.timing)
    )


def _selected(
    document: ModelDocument,
    bench: Bench,
    name: str,
    channel: ChannelField,
    published: ModelDocument,
    density: FloatArray,
) -> FloatArray:
    """Measured counts behind a response as it is here, with the sum that they have behind the published one."""
    if len(channel.axes) != 1:
        raise ModelError(f"{document.name}: selection: found {len(channel.axes)} axes; counts along one are allowed")
    now, then = document.responses[name], published.responses[name]
    if now == then:
        return density
    after, before = (_flat(bench, spec, channel.axes[0], name) for spec in (now, then))
    ratio = np.divide(after, before, out=np.ones_like(before), where=before > _EMPTY * before.max())
    return np.asarray(density * ratio * (density.sum() / (density * ratio).sum()))


def _flat(bench: Bench, spec: Response, axis: AxisField, name: str) -> FloatArray:
    """A flat true spectrum behind a response, arbitrary norm."""
    if spec.recoil is None:
        raise ModelError(f"responses.{name}: recoil is missing; a spectrum is folded on that grid")
    low, high = (units.parse(end, units.ENERGY) for end in (spec.recoil.minimum, spec.recoil.maximum))
    edges = recoil_grid(low, high, spec.recoil.per_decade, [])
    return np.asarray(np.diff(edges) @ response_matrix(bench, spec, axis, edges).matrix)


def _lines(lines: tuple[words.Line, ...]) -> tuple[FloatArray, FloatArray]:
    areas = [1.0 if line.area is None else line.area.number for line in lines]
    return np.array([line.position.number for line in lines]), np.array(areas)


def _folded(
    document: ModelDocument, bench: Bench, background: words.Background, shape: Any, channel: ChannelField
) -> FloatArray:
    """A true spectrum through a response."""
    spec = _response(document, background)
    axis = channel.axes[0]
    if isinstance(shape, words.LinesShape):
        positions, areas = _lines(shape.lines)
        narrow = [np.array([e * (1 - 1e-6), e * (1 + 1e-6)]) for e in positions]
        rows = np.stack([response_matrix(bench, spec, axis, edges).matrix[0] for edges in narrow])
        return np.asarray(areas @ rows)
    if spec.recoil is None:
        raise ModelError(f"responses.{background.response}: recoil is missing; a spectrum is folded on that grid")
    low, high = (units.parse(end, units.ENERGY) for end in (spec.recoil.minimum, spec.recoil.maximum))
    number = spec.recoil.per_decade
    if (start := getattr(shape, "offset", None)) is not None:
        # An abrupt start is seen in the bins below through the tail of the resolution, which wants finer steps.
        low, number = max(low, start.number), 8 * number
    edges = recoil_grid(low, high, number, _jumps(bench, shape))
    centres = np.sqrt(edges[1:] * edges[:-1])
    spectrum = _spectrum(document, bench, shape, centres)
    return np.asarray((spectrum * np.diff(edges)) @ response_matrix(bench, spec, axis, edges).matrix)


def _jumps(bench: Bench, shape: Any) -> list[float]:
    """Energies at which a true spectrum starts, ends or bends, as edges of the grid it is integrated on."""
    if isinstance(shape, words.SpectrumShape):
        return [float(energy) for energy in bench.files.table(shape.table).numbers("energy", units.ENERGY)]
    if isinstance(shape, words.BetaShape):
        start = shape.offset.number if shape.offset else 0.0
        return [start, start + shape.endpoint.number]
    return []


def _spectrum(document: ModelDocument, bench: Bench, shape: Any, energy: FloatArray) -> FloatArray:
    """Relative density of a true spectrum."""
    if isinstance(shape, words.SpectrumShape):
        table = bench.files.table(shape.table)
        points = table.numbers("energy", units.ENERGY)
        return np.interp(energy, points, table.numbers(shape.column), left=0.0, right=0.0)
    if isinstance(shape, words.FlatShape):
        return np.ones(len(energy))
    if isinstance(shape, words.BetaShape):
        kinetic = energy - (shape.offset.number if shape.offset else 0.0)
        spectrum = beta_spectrum(np.maximum(kinetic, units.eV), shape.endpoint.number, shape.Z)
        return np.where(kinetic > 0, spectrum, 0.0)
    if isinstance(shape, words.DoubleBetaShape):
        return double_beta_spectrum(energy, shape.q_value.number)
    raise ModelError(f"{document.name}: shape {shape.type!r} is already what is measured; leave its response out")


def beta_spectrum(energy: FloatArray, endpoint: float, Z: int) -> FloatArray:
    """Allowed beta spectrum p E (Q - T)^2 F(Z, T) with the non-relativistic Fermi function, arbitrary norm.

    energy : kinetic energy T of the electron [energy]; endpoint : Q; Z : charge of the daughter.
    F = x/(1 - exp(-x)), x = 2 pi alpha Z E/p (Krane, Introductory Nuclear Physics, sec. 9.3).
    """
    total = energy + units.ELECTRON_MASS
    momentum = np.sqrt(energy * (energy + 2 * units.ELECTRON_MASS))
    x = 2 * np.pi * units.ALPHA * Z * total / momentum
    phase_space = momentum * total * np.clip(endpoint - energy, 0.0, None) ** 2
    return np.asarray(phase_space * x / -np.expm1(-x) / units.ELECTRON_MASS**4)


def double_beta_spectrum(energy: FloatArray, q_value: float) -> FloatArray:
    """Sum of both electrons' energies in two-neutrino double beta decay, arbitrary norm.

    K (Q-K)^5 (1 + 2K + 4K^2/3 + K^3/3 + K^4/30) in units of the electron mass, the approximation of Primakoff
    and Rosen for the Coulomb field (Boehm and Vogel, Physics of Massive Neutrinos, eq. 6.12).
    """
    k, q = energy / units.ELECTRON_MASS, q_value / units.ELECTRON_MASS
    return np.asarray(k * np.clip(q - k, 0.0, None) ** 5 * (1 + 2 * k + 4 * k**2 / 3 + k**3 / 3 + k**4 / 30))
