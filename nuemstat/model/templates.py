"""Expected counts of the signals: flux x cross section, folded with the response, as polynomials per bin.

Everything that was computed for one version of the model is kept on the bench, so that moving one number (a
quenching parameter, the onset) computes only what hangs on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel

from nuemstat import units
from nuemstat.detector.cache import cached
from nuemstat.detector.response import ResponseMatrix, bin_integrals, build, recoil_grid
from nuemstat.detector.supplied import read_response
from nuemstat.detector.tensor import Tensor
from nuemstat.errors import ModelError, suggestion
from nuemstat.model.builders import (
    build_efficiency,
    build_profiles,
    build_quenching,
    build_resolution,
    build_source,
    build_tensor,
    time_efficiency,
)
from nuemstat.model.checks import check_reach, check_spectrum
from nuemstat.model.loader import ModelFiles
from nuemstat.model.released import spread
from nuemstat.model.schema import AxisField, ChannelField, ModelDocument, Signal, Target
from nuemstat.model.schema_response import RecoilGrid, Response, SuppliedTensor
from nuemstat.physics import cevns, electron
from nuemstat.physics.atom import atom
from nuemstat.physics.couplings import CouplingScheme, scheme
from nuemstat.physics.kinematics import maximum_recoil
from nuemstat.physics.media import medium
from nuemstat.physics.nucleus import Nucleus, isotopes, molar_mass
from nuemstat.polynomial import CouplingPolynomial, FloatArray
from nuemstat.sources.component import FluxComponent, Part
from nuemstat.vocabulary import FLAVOURS, coupling_name

T = TypeVar("T")
_DIAGONAL_CHARGES = tuple(((coupling_name("millicharge", flavour, flavour), 2),) for flavour in FLAVOURS)
Templates = dict[tuple[str, str], CouplingPolynomial]
"""(channel, process) -> counts per bin, bins flattened in C order."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The tables of a model, what was computed from them so far, and what a reader of the result must know.

    part : of the flux, whose counts are computed.
    """

    files: ModelFiles
    kept: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    part: Part = "flux"

    def of(self, part: Part) -> "Bench":
        """A bench for the counts of a part of the flux, with the same recoil bins and responses."""
        return replace(self, kept={k: v for k, v in self.kept.items() if k[0] not in ("counts", "fold")}, part=part)

    def once(self, key: tuple[Any, ...], compute: Callable[[], T]) -> T:
        """`compute()`, done once per key; documents in the key count by their content."""
        plain = tuple(part.model_dump_json() if isinstance(part, BaseModel) else part for part in key)
        if plain not in self.kept:
            self.kept[plain] = compute()
        return self.kept[plain]  # type: ignore[no-any-return]


def signal_templates(document: ModelDocument, bench: Bench) -> Templates:
    """Counts of every signal process in every channel it is seen in."""
    found: Templates = {}
    for process, signal in document.signals.items():
        for name in signal.channels:
            found[name, process] = _template(document, bench, signal, name)
    return found


def _template(document: ModelDocument, bench: Bench, signal: Signal, name: str) -> CouplingPolynomial:
    channel, response = document.channels[name], document.responses[signal.response_in(name)]
    energy, *others = channel.axes
    edges = _edges(document, bench, signal, response, energy)
    counts = _recoil_counts(document, bench, signal, response, edges)
    share = _exposure_share(document, channel)
    axes = channel.axes if response.tensor else (energy,)
    key = ("fold", *_recoil_key(document, signal), response, *axes, share)
    folded = bench.once(
        key,
        lambda: {name: poly.fold(share * _onto(bench, response, channel, edges)) for name, poly in counts.items()},
    )
    if not others or response.tensor is not None:
        return _sum(folded.values())
    shares = bench.once(("spread", name, channel, signal), lambda: spread(document, name, signal, bench.files))
    return _sum(
        _spread(poly, shares * _arrivals(document, bench, channel, part) * np.ones(shape))
        for shape in (tuple(len(axis.values) - 1 for axis in channel.axes),)
        for part, poly in folded.items()
    )


def charge_counts(document: ModelDocument, bench: Bench, signal: Signal, name: str) -> tuple[FloatArray, FloatArray]:
    """Recoil edges of a signal in a channel, and what squares of diagonal charges add to it from each recoil bin."""
    channel, response = document.channels[name], document.responses[signal.response_in(name)]
    edges = _edges(document, bench, signal, response, channel.axes[0])
    parts = _recoil_counts(document, bench, signal, response, edges)
    charged = [c for poly in parts.values() for term, c in poly.terms.items() if term in _DIAGONAL_CHARGES]
    seen = _onto(bench, response, channel, edges).sum(axis=1)
    return edges, np.asarray(sum(charged, np.zeros(seen.shape)) * seen)


def _onto(bench: Bench, response: Response, channel: ChannelField, edges: FloatArray) -> FloatArray:
    """Probabilities from recoil bins onto the first axis, of a tensor onto all bins of the channel."""
    if response.tensor is None:
        return response_matrix(bench, response, channel.axes[0], edges).matrix
    found = _tensor(bench, response.tensor).matrix(edges, response.tensor.pulls)
    wanted = int(np.prod([len(axis.values) - 1 for axis in channel.axes]))
    if found.shape[1] != wanted:
        path = bench.files.folder / response.tensor.table
        raise ModelError(f"{path}: found templates of {found.shape[1]} bins; the channel has {wanted}")
    return found


def _tensor(bench: Bench, spec: SuppliedTensor) -> Tensor:
    """The templates of a supplied response, read once whatever its pulls are."""
    plain = spec.model_copy(update={"pulls": dict.fromkeys(spec.pulls, 0.0)})
    return bench.once(("tensor", plain), lambda: build_tensor(plain, bench.files))


def _spread(poly: CouplingPolynomial, shares: FloatArray) -> CouplingPolynomial:
    """Counts along the first axis over all axes."""
    along = (-1, *(1 for _ in shares.shape[1:]))
    return CouplingPolynomial({term: (c.reshape(along) * shares).ravel() for term, c in poly.terms.items()})


def _arrivals(document: ModelDocument, bench: Bench, channel: ChannelField, part: str) -> FloatArray:
    """Factors on a part of the source along the axis of time or zenith, if there is one, broadcast over the others."""
    for place, axis in enumerate(channel.axes):
        if place and axis.is_zenith:
            factors = _by_zenith(axis.values, part)
            return factors.reshape([-1 if i == place else 1 for i in range(len(channel.axes))])
        if place and units.unit(axis.unit).dimension == units.TIME:
            fractions = time_fractions(document, bench, axis)
            if part not in fractions:
                known = ", ".join(fractions)
                raise ModelError(f"timing: the source gives {part!r}; arrival times are known of {known}")
            return fractions[part].reshape([-1 if i == place else 1 for i in range(len(channel.axes))])
    return np.ones((1,) * len(channel.axes))


def _by_zenith(edges: FloatArray, part: str) -> FloatArray:
    """Factor on neutrinos by day, by night or always in bins of the zenith cosine, each bin seen all of the exposure.

    Day and night are half of the time each.
    """
    if part == "always":
        return np.ones(len(edges) - 1)
    nights = np.diff(np.maximum(edges, 0.0)) / np.diff(edges)
    return np.asarray(2 * (nights if part == "night" else 1 - nights))


def time_fractions(document: ModelDocument, bench: Bench, axis: AxisField) -> dict[str, FloatArray]:
    """Part of the prompt and delayed neutrinos seen in each time bin."""
    if document.timing is None:
        raise ModelError(f"{document.name}: axis {axis.name!r} needs a section timing, which is not there")
    timing = document.timing
    profiles = bench.once(("profiles", timing.profiles), lambda: build_profiles(timing, bench.files))
    shift, efficiency = timing.onset.number, time_efficiency(timing)
    return bench.once(
        ("fractions", timing, axis),
        lambda: {
            name: profile.fractions(axis.internal, onset_shift=shift, efficiency=efficiency)
            for name, profile in profiles.items()
        },
    )


def response_matrix(bench: Bench, spec: Response, axis: AxisField, edges: FloatArray | None) -> ResponseMatrix:
    """The response onto an axis, computed (and kept on disk) or supplied; `edges` are the recoil bins."""
    if spec.matrix is not None:
        file, histogram = spec.matrix.file, spec.matrix.name
        return bench.once(
            ("supplied", spec.matrix, axis),
            lambda: read_response(bench.files.response(file), histogram=histogram, visible_edges=axis.internal),
        )
    if edges is None:
        raise ModelError("a computed response needs recoil edges")
    return bench.once(("response", spec, axis, edges.tobytes()), lambda: _computed(bench, spec, axis, edges))


def _computed(bench: Bench, spec: Response, axis: AxisField, edges: FloatArray) -> ResponseMatrix:
    quenching = build_quenching(spec.quenching, bench.files)
    check_reach(spec, quenching)
    resolution = build_resolution(spec.resolution, bench.files)
    efficiency = build_efficiency(spec.efficiency, bench.files) if spec.efficiency else None
    variable = getattr(spec.efficiency, "variable", "reconstructed")
    parts: dict[str, Any] = {
        "efficiency_true": efficiency if variable == "recoil" else None,
        "efficiency_visible": efficiency if variable == "visible" else None,
        "efficiency_reconstructed": efficiency if variable == "reconstructed" else None,
    }
    visible = axis.internal
    measured = visible - spec.scale_offset.number if spec.scale_offset else visible

    def compute() -> dict[str, FloatArray]:
        built = build(edges, measured, quenching=quenching, resolution=resolution, **parts)
        return {"matrix": built.matrix}

    matrix = cached(("response", edges, measured, quenching, resolution, parts), compute)["matrix"]
    return ResponseMatrix(edges, visible, matrix, axis.name, axis.unit)


def _recoil_key(document: ModelDocument, signal: Signal) -> tuple[Any, ...]:
    photons = (signal.neutrino_mass, signal.photoabsorption, signal.equivalent_photons)
    pulls = (signal.dielectric, signal.moments, signal.low_charges)
    scattering = (signal.interaction, signal.branches, signal.approximation, *photons, *pulls)
    return (document.source, document.target, document.conventions, *scattering)


def flux_components(document: ModelDocument, bench: Bench) -> tuple[FluxComponent, ...]:
    """What the source of the model gives."""
    return bench.once(("components", document.source), lambda: build_source(document.source).components())


def _edges(document: ModelDocument, bench: Bench, signal: Signal, response: Response, energy: AxisField) -> FloatArray:
    """Recoil bins of a signal: the supplied matrix' own, or logarithmic ones with every jump as an edge."""
    if response.matrix is not None:
        return response_matrix(bench, response, energy, None).recoil_edges
    if response.recoil is None:
        raise ModelError(f"{document.name}: responses: recoil is missing")
    grid = response.recoil
    steps = _tensor(bench, response.tensor).edges if response.tensor else np.empty(0)
    formula = tuple(document.target.formula)
    key = ("edges", document.source, formula, signal.interaction, signal.in_matter, grid, steps.tobytes())
    return bench.once(key, lambda: _logarithmic_edges(document, bench, signal, grid, steps.tolist()))


def _logarithmic_edges(
    document: ModelDocument, bench: Bench, signal: Signal, grid: RecoilGrid, steps: list[float]
) -> FloatArray:
    jumps = list(steps)
    for element in document.target.formula:
        if signal.interaction == "electron":
            # Shells open at thresholds; between its points a tabulated photoabsorption is a power law.
            shells, many_body = atom(element), atom(element).rrpa
            jumps += [float(edge) for edge in (*shells.thresholds, *shells.photo_energy)]
            jumps += [float(many_body.energies[end]) for end in (0, -1)] if many_body else []
            jumps += [electron.LOWEST, electron.CLAIMED, *shells.moment_energy.tolist()] if signal.in_matter else []
            ends = {flux_end for c in flux_components(document, bench) for flux_end in _ends(c)}
            jumps += [float(maximum_recoil(end, units.ELECTRON_MASS)) for end in ends]
        else:
            masses = [nucleus.mass for nucleus, _ in isotopes(element)]
            ends = {flux_end for c in flux_components(document, bench) for flux_end in _ends(c)}
            jumps += [float(maximum_recoil(end, mass)) for mass in masses for end in ends]
    low, high = units.parse(grid.minimum, units.ENERGY), units.parse(grid.maximum, units.ENERGY)
    return recoil_grid(low, high, grid.per_decade, jumps)


def _ends(component: FluxComponent) -> list[float]:
    return [component.flux.maximum, *(energy for energy, _ in component.flux.lines)]


def _recoil_counts(
    document: ModelDocument, bench: Bench, signal: Signal, response: Response, edges: FloatArray
) -> dict[str, CouplingPolynomial]:
    """Counts per recoil bin in the exposure, by part of the source where their arrival times differ."""
    key = (*_recoil_key(document, signal), response.recoil)
    return bench.once(("counts", *key, edges.tobytes()), lambda: _integrate(document, bench, signal, edges))


def _integrate(
    document: ModelDocument, bench: Bench, signal: Signal, edges: FloatArray
) -> dict[str, CouplingPolynomial]:
    couplings = scheme(document.conventions.couplings)
    if document.conventions.muon_tau_weak != 1:
        couplings = couplings.with_muon_tau(document.conventions.muon_tau_weak)
    grouped: dict[str, list[CouplingPolynomial]] = {}
    by_name = document.timing is not None
    key = ("merged", document.source, signal.branches, by_name, bench.part)
    for component in bench.once(key, lambda: _merged(_parts(document, bench, signal), by_name)):
        check_spectrum(document, signal, component, float(edges[0]))
        exposure = _exposure(document, component)
        rate = _rate_function(document, signal, component, couplings)
        grouped.setdefault(component.name, []).append(bin_integrals(edges, rate) * exposure)
    return {name: _sum(parts) for name, parts in grouped.items()}


def _branches(
    document: ModelDocument, signal: Signal, components: tuple[FluxComponent, ...]
) -> tuple[FluxComponent, ...]:
    """Those of the branches that a signal is of."""
    if signal.branches is None:
        return components
    known = dict.fromkeys(component.name for component in components)
    for name in signal.branches:
        if name not in known:
            hint = suggestion(name, list(known))
            raise ModelError(f"{document.name}: branches: found {name!r}; the source has {', '.join(known)}{hint}")
    return tuple(component for component in components if component.name in signal.branches)


def _parts(document: ModelDocument, bench: Bench, signal: Signal) -> tuple[FluxComponent, ...]:
    """The part of the flux that the bench is for, of each component of a signal that has any."""
    whole = _branches(document, signal, flux_components(document, bench))
    parts = [replace(component, flux=component.part(bench.part)) for component in whole]
    return tuple(part for part in parts if part.flux.maximum)


def _merged(components: tuple[FluxComponent, ...], by_name: bool) -> list[FluxComponent]:
    """Components of one flavour and helicity added up; apart by name where arrival times differ, and day from night."""
    merged: dict[tuple[str, str, bool], FluxComponent] = {}
    for component in components:
        name = component.name if by_name else component.when
        key = (name, component.flavour, component.antineutrino)
        flux = merged[key].flux + component.flux if key in merged else component.flux
        merged[key] = replace(component, name=name, flux=flux)
    return list(merged.values())


def _exposure(document: ModelDocument, component: FluxComponent) -> float:
    """Formula units times live time, the latter where the flux is per time."""
    target = document.target
    if target.per is not None:
        electrons = sum(number * atom(element).Z for element, number in target.formula.items())
        return 1 / electrons if target.per == "electron" else 1.0
    formula_mass = sum(number * molar_mass(element) for element, number in target.formula.items())
    if target.exposure is not None:
        return target.exposure.number / (formula_mass * units.MOLAR_GRAM)
    formula_units = (target.mass.number if target.mass else 0.0) / (formula_mass * units.MOLAR_GRAM)
    if not component.per_time:
        return formula_units
    time = target.rate_per or target.live_time
    if time is None:
        raise ModelError(f"{document.name}: target.live_time is missing; a flux per time needs it")
    return formula_units * time.number


def _exposure_share(document: ModelDocument, channel: ChannelField) -> float:
    """Exposure of a channel over that of the target."""
    if channel.exposure is None:
        return 1.0
    if document.target.exposure is None:
        raise ModelError(f"{document.name}: a channel has an exposure of its own; target.exposure is missing")
    return channel.exposure.number / document.target.exposure.number


def _rate_function(
    document: ModelDocument, signal: Signal, component: FluxComponent, couplings: CouplingScheme
) -> Callable[[FloatArray], CouplingPolynomial]:
    """Scatterings per formula unit and recoil energy."""
    common: dict[str, Any] = {
        "flavour": component.flavour,
        "antineutrino": component.antineutrino,
        "scheme": couplings,
    }
    formula = document.target.formula
    if signal.interaction == "electron":
        return _electron_rate(formula, signal, common | {"flux": component.flux}, document.target)
    shift = document.conventions.neutron_radius_shift.number
    nuclei: list[tuple[Nucleus, float]] = [
        (replace(nucleus, neutron_radius=nucleus.neutron_radius + shift), number * fraction)
        for element, number in formula.items()
        for nucleus, fraction in isotopes(element)
    ]
    form_factor = document.conventions.form_factor
    return lambda recoil: _sum(
        number * cevns.rate(recoil, component.flux, nucleus=nucleus, form_factor=form_factor, **common)
        for nucleus, number in nuclei
    )


def _electron_rate(
    formula: Mapping[str, float], signal: Signal, common: Mapping[str, Any], target: Target
) -> Callable[[FloatArray], CouplingPolynomial]:
    """The same on electrons: atoms one by one, and in `best` charges on the medium as a whole."""
    words: dict[str, Any] = {"approximation": signal.approximation, "neutrino_mass": signal.neutrino_mass.number}
    by_atom: dict[str, dict[str, Any]] = {
        element: {
            "photoabsorption_pull": signal.photoabsorption.of(element) if signal.has_photons else 0.0,
            "equivalent_photons_pull": signal.equivalent_photons.of(element),
            "moment_pull": signal.moments.of(element),
        }
        for element in formula
    }

    def rate(recoil: FloatArray) -> CouplingPolynomial:
        return _sum(
            number * electron.rate(recoil, atom=atom(element), **common, **words, **by_atom[element])
            for element, number in formula.items()
        )

    if not signal.in_matter:
        return rate
    pulls = {"photoabsorption": signal.photoabsorption.by_element, "longitudinal": signal.dielectric.by_element}
    matter = {
        "flux": common["flux"],
        "flavour": common["flavour"],
        "medium": medium(formula, target.medium, **pulls),
        "low_pull": signal.low_charges,
    }
    return lambda recoil: rate(recoil) + electron.charge_rate(recoil, **matter)


def _sum(parts: Any) -> CouplingPolynomial:
    first, *rest = parts
    total: CouplingPolynomial = first
    for part in rest:
        total = total + part
    return total
