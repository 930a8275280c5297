"""From a model to its workspace: every monomial of every process becomes a sample, every nuisance a modifier."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import sqrt

import numpy as np
from pydantic import ValidationError

from nuemstat.errors import ModelError, NuemstatError, suggestion
from nuemstat.model.accuracy import largest_deviations
from nuemstat.model.builders import build_source
from nuemstat.model.dependence import MovesNothing, Reach, changed_processes, norm_reach, varied_reach
from nuemstat.model.effect import refuse_idle, words_of
from nuemstat.model.expansion import FreeShape, Version, expand, shifted, split_quantity
from nuemstat.model.follows import growth
from nuemstat.model.kept import kept
from nuemstat.model.loader import Model
from nuemstat.model.matter import density_warning, low_shares, medium_words
from nuemstat.model.morphs import Morph, compute_morph, shape_modifier
from nuemstat.model.observed import channel_data
from nuemstat.model.per_bin import per_bin_parameters, per_bin_samples
from nuemstat.model.schema_nuisance import FreeField, NuisanceField
from nuemstat.model.spectrum_ends import spectrum_ends
from nuemstat.model.templates import Bench, Templates
from nuemstat.model.world import why_outside
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.polynomial import CouplingPolynomial, FloatArray, Monomial, monomial_name
from nuemstat.strict import one_line
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.document import (
    WARNING,
    Channel,
    ConstrainedParameter,
    CouplingParameter,
    DerivedParameter,
    Folded,
    FreeParameter,
    LeftOut,
    Provenance,
    Sample,
    Workspace,
    rounded,
)
from nuemstat.workspace.modifiers import Modifier, Norm, NormFactor
from nuemstat.workspace.spectrum_end import SpectrumEnd

Progress = Callable[[str], None]


def compile_model(
    model: Model, couplings: Iterable[str] | None = None, *, progress: Progress | None = None
) -> Workspace:
    """The workspace of a model with its variants.

    couplings : those to keep; all that the model is sensitive to when left out. The others are folded at their
    defaults. progress : told in words what is being computed. What was compiled before is read from the cache folder.

    Raises
    ------
    ModelError : the model does not fit, an unknown coupling, a morph that misses the exact response by too much.
    """
    wanted = None if couplings is None else tuple(couplings)
    compilation = _Compilation(model, wanted, progress or (lambda _: None))
    try:
        return _placed(kept(model, wanted, compilation.run), model)
    except ValidationError as error:
        raise ModelError(f"{model.path}: {one_line(error)}") from None
    except NuemstatError as error:  # the parts that compute do not know the file
        if str(error).startswith((str(model.path), f"{model.path.parent}/", f"{model.name}:")):
            raise
        raise type(error)(f"{model.path}: {error}") from None


def _placed(workspace: Workspace, model: Model) -> Workspace:
    """With its place in the world fit, which is no part of the model and may change while a kept workspace stands."""
    entries = tuple(e.model_copy(update={"outside": why_outside(model.name, model.path)}) for e in workspace.provenance)
    return workspace.model_copy(update={"provenance": entries})


@dataclass(frozen=True)
class _Compilation:
    model: Model
    wanted: tuple[str, ...] | None
    progress: Progress
    bench: Bench = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bench", Bench(self.model.files))
        for name in self.wanted or ():
            if name not in COUPLINGS:
                raise ModelError(
                    f"no coupling {name!r}; known are {', '.join(COUPLINGS)}{suggestion(name, list(COUPLINGS))}"
                )

    def run(self) -> Workspace:
        document = self.model.document
        refuse_idle(self.model, self.version)
        self.progress(f"{self.model.name}: samples")
        channels = tuple(self._channel(name) for name in document.channels)
        workspace = Workspace(
            name=document.name,
            channels=channels,
            parameters=(*self._couplings(), *self._constrained(), *self._free(), *self._mixed()),
            folded=tuple(
                Folded(name=name, value=self.defaults[name]) for name in self.sensitive if name not in self.kept
            ),
            choices=document.describes,
        )
        spectrum = spectrum_ends(self.version)
        self.progress(f"{self.model.name}: accuracy of the morphs")
        # Of the source as it stands: where its nuisances lead is no choice of the model.
        source = [f"source: {text}" for text in build_source(document.source).warnings()]
        own = (*self.model.warnings, *density_warning(document), *source)
        said = (*own, *self.bench.warnings.values(), *words_of(self.model))
        warnings = tuple(f"{WARNING}{text}" for text in said)
        deviations = largest_deviations(self.version, self.shapes, self.morphs, workspace, self.defaults)
        idle = [
            f"nuisance {n}: moves nothing with these options" for n in document.nuisances if n not in self.nuisances
        ]
        notes = (*document.notes, *warnings, *idle, *low_shares(document, self.bench), *deviations)
        return workspace.model_copy(update={"provenance": (self._provenance(notes, spectrum),)})

    # What is computed.

    @cached_property
    def version(self) -> Version:
        model, stood = self.model, self.model.unchanged
        if stood is None:
            return Version(model.raw, model.path, self.bench)
        before = Version(stood, model.path, self.bench)
        grown = growth(before.document, model.document, model.given)
        return Version(model.raw, model.path, self.bench, unchanged=before, growth=grown)

    @cached_property
    def defaults(self) -> dict[str, float]:
        couplings = scheme(self.model.document.conventions.couplings)
        return {name: default_value(name, couplings) for name in COUPLINGS}

    @cached_property
    def shapes(self) -> dict[str, FreeShape]:
        """Free shapes by parameter name."""
        rows = {n: row for n, row in self.model.document.free.items() if row.varies is not None}
        return {self._local(name): FreeShape(row, self._moved_by(name, row).moves) for name, row in rows.items()}

    def _moved_by(self, name: str, row: FreeField) -> Reach:
        """What a free shape moves, over its whole range."""
        alone = {name: FreeShape(row, frozenset())}
        moved = (shifted(self.version, {name: end}, alone).templates for end in row.range or ())
        changed = changed_processes(self.version.templates, moved)
        where = f"{self.model.path}: free.{name}"
        return varied_reach(self.model.document, where, (row.varies or "",), row.only, changed)

    @cached_property
    def norms(self) -> dict[str, Reach]:
        """Norms by the name of their row."""
        rows = {n: row for n, row in self.model.document.nuisances.items() if row.norm is not None}
        counted = {key[1] for key, poly in self.templates.items() if any(np.any(c) for c in poly.terms.values())}
        found: dict[str, Reach] = {}
        for name, row in rows.items():
            reach = norm_reach(self.model.document, name, row)
            if counted & reach.moves:
                found[name] = reach
            elif not self._is_varied:
                raise MovesNothing(
                    f"nuisances.{name}: {', '.join(sorted(reach.moves))} have no counts; it moves nothing"
                )
        return found

    @property
    def _is_varied(self) -> bool:
        """Whether an option was chosen that is not the first of its group: it may have taken away what a row moves."""
        return any(option != self.model.groups[group][0] for group, option in self.model.variants.items())

    @cached_property
    def templates(self) -> Templates:
        return expand(self.version, self.shapes)

    @cached_property
    def morphs(self) -> tuple[Morph, ...]:
        found: list[Morph] = []
        for name, row in self.model.document.nuisances.items():
            if row.norm is None:
                self.progress(f"{self.model.name}: {name}")
                try:
                    found.append(compute_morph(self.version, name, self._scoped(name, row), row, self.shapes))
                except MovesNothing:
                    if not self._is_varied:
                        raise
        return tuple(found)

    @cached_property
    def nuisances(self) -> dict[str, NuisanceField]:
        """The rows that move something."""
        moving = {*self.norms, *(morph.name for morph in self.morphs)}
        return {name: row for name, row in self.model.document.nuisances.items() if name in moving}

    @cached_property
    def sensitive(self) -> tuple[str, ...]:
        """Couplings that change any count, in the order of the vocabulary."""
        found = {
            name for poly in self.templates.values() for term, c in poly.terms.items() if np.any(c) for name, _ in term
        }
        return tuple(name for name in COUPLINGS if name in found)

    @cached_property
    def kept(self) -> tuple[str, ...]:
        if self.wanted is None:
            return self.sensitive
        missing = [name for name in self.wanted if name not in self.sensitive]
        if missing:
            raise ModelError(
                f"{self.model.name} is not sensitive to {missing[0]}; it is to {', '.join(self.sensitive)}"
            )
        return tuple(name for name in self.sensitive if name in self.wanted)

    # How it is written down.

    def _channel(self, name: str) -> Channel:
        spec = self.model.document.channels[name]
        samples: list[Sample] = []
        for (channel, process), full in self.templates.items():
            if channel == name:
                samples += self._samples(name, process, full)
        stood = self.version.unchanged
        data = channel_data(
            spec,
            self.model.files,
            partial(self._expected, self.templates, name),
            stood=None if stood is None else partial(self._expected, stood.templates, name),
            growth=self.version.growth.errors.get(name, (1.0, 1.0)),
        )
        rest = self._expected(self.templates if stood is None else stood.templates, name, {})
        grown = self.version.growth.unknown.get(name, 1.0)
        samples += per_bin_samples(self.model.document, name, np.array(data["observed"]), rest, grown)
        return Channel(
            name=name,
            experiment=self.model.experiment,
            datasets=self.model.datasets,
            may_overlap=self.model.document.may_overlap,
            samples=tuple(samples),
            **data,
        )

    def _expected(self, templates: Templates, channel: str, couplings: Mapping[str, float]) -> FloatArray:
        """Prediction of a channel, free norms at their defaults and all else where it stands."""
        norms = {p: row.default for row in self.model.document.free.values() if row.norm for p in row.processes or ()}
        parts = [
            norms.get(process, 1.0) * poly.evaluate({**self.defaults, **couplings})
            for (name, process), poly in templates.items()
            if name == channel
        ]
        return np.asarray(np.sum(parts, axis=0))

    def _samples(self, channel: str, process: str, full: CouplingPolynomial) -> Iterable[Sample]:
        folded = {name: self.defaults[name] for name in self.sensitive if name not in self.kept}
        nominal = full.fix(folded)
        axes = {axis.name: len(axis.values) - 1 for axis in self.model.document.channels[channel].axes}
        morphs = [
            replace(m, anchors={a: {(channel, process): t[channel, process].fix(folded)} for a, t in m.anchors.items()})
            for m in self.morphs
            if process in m.reach.moves
        ]
        for term, contents in nominal:
            if not np.any(contents):
                continue
            unshifted = tuple((name, power) for name, power in term if name not in self.shapes)
            modifiers = list(self._norms(process))
            for morph in morphs:
                shape = shape_modifier(morph, (channel, process), term, unshifted, nominal, axes)
                if shape is not None:
                    modifiers.append(shape)
            yield Sample(
                name=_sample_name(process, term),
                process=process,
                monomial=dict(term),
                contents=rounded(contents),
                modifiers=tuple(modifiers),
            )

    def _norms(self, process: str) -> Iterable[Modifier]:
        for name, free in self.model.document.free.items():
            if free.norm and process in (free.processes or ()):
                yield NormFactor(parameter=self._local(name))
        for name, row in self.nuisances.items():
            if row.norm is not None and process in self.norms[name].moves:
                yield Norm(
                    parameter=self._scoped(name, row), interpolation=row.norm, size=self._relative_width(name, row)
                )

    def _relative_width(self, name: str, row: NuisanceField) -> float:
        centre, sigma = (split_quantity(text, f"nuisances.{name}")[0] for text in (row.centre, row.sigma))
        if centre <= 0 or sigma <= 0:
            raise ModelError(f"nuisances.{name}: found {centre:g} +- {sigma:g}; numbers above 0 are allowed for a norm")
        return rounded(sigma / centre)[0]

    def _local(self, name: str) -> str:
        return f"{self.model.name}__{name}"

    def _scoped(self, name: str, row: NuisanceField) -> str:
        """The parameter that modifiers hang on: shared, its own, or for a partial correlation the sum of both."""
        return name if row.scope == "global" and not row.is_mixed else self._local(name)

    def _independent(self, name: str, row: NuisanceField) -> tuple[str, ...]:
        """The independent parameters behind a row; the shared one of a mixed row first."""
        if row.is_mixed:
            return (row.shared or name, f"{self._local(name)}_local")
        return (self._scoped(name, row),)

    def _couplings(self) -> Iterable[CouplingParameter]:
        for name in self.kept:
            known = COUPLINGS[name]
            yield CouplingParameter(
                name=name,
                unit=known.unit,
                scale=known.scale,
                default=self.defaults[name],
                bounds=(0.0, None) if known.even else (None, None),
            )

    def _constrained(self) -> Iterable[ConstrainedParameter]:
        common: dict[str, ConstrainedParameter] = {}
        for name, row in self.nuisances.items():
            centre, unit = split_quantity(row.centre, f"nuisances.{name}.centre")
            sigma, sigma_unit = split_quantity(row.sigma, f"nuisances.{name}.sigma")
            if unit != sigma_unit:
                raise ModelError(f"nuisances.{name}: centre in {unit!r}, sigma in {sigma_unit!r}; write one unit")
            floor = -1 / self._relative_width(name, row) if row.norm == "linear" else None
            for parameter in self._independent(name, row):
                if parameter == row.shared:  # of rows that differ, so it has a definition of its own
                    common[parameter] = shared_parameter(parameter, row.group)
                    continue
                yield ConstrainedParameter(
                    name=parameter,
                    quantity=row.quantity,
                    centre=centre,
                    sigma=sigma,
                    unit=unit or "1",
                    group=row.group,
                    source=row.source,
                    bounds=(None if floor is None else rounded(floor)[0], None),
                )
        yield from common.values()

    def _mixed(self) -> Iterable[DerivedParameter]:
        """sqrt(rho) shared + sqrt(1 - rho) local, of unit width like both."""
        for name, row in self.nuisances.items():
            if row.is_mixed and row.correlation is not None:
                weights = rounded([sqrt(row.correlation), sqrt(1 - row.correlation)])
                terms = dict(zip(self._independent(name, row), weights, strict=True))
                yield DerivedParameter(name=self._scoped(name, row), terms=terms)

    def _free(self) -> Iterable[FreeParameter]:
        for name, row in self.model.document.free.items():
            scale, unit = split_quantity(row.scale, f"free.{name}.scale")
            yield FreeParameter(
                name=self._local(name),
                quantity=row.quantity,
                unit=unit or "1",
                scale=scale,
                default=row.default,
                bounds=row.bounds,
            )
        yield from per_bin_parameters(self.model.document)

    def _provenance(self, notes: tuple[str, ...], spectrum: tuple[SpectrumEnd, ...] | None) -> Provenance:
        from nuemstat import __version__

        document = self.model.document
        conventions = document.conventions
        reaches = self.norms | {morph.name: morph.reach for morph in self.morphs}
        schemes: dict[str, str] = {"couplings": conventions.couplings, "form_factor": conventions.form_factor}
        for process, signal in document.signals.items():
            if signal.approximation is not None:
                schemes[process] = signal.approximation
        masses = [str(signal.neutrino_mass.value) for signal in document.signals.values() if signal.has_photons]
        if masses:
            schemes["neutrino_mass"] = ", ".join(dict.fromkeys(masses))
        if any(signal.in_matter for signal in document.signals.values()):
            schemes["charges_on_electrons"] = medium_words(document.target)
        return Provenance(
            model=document.name,
            variants=dict(self.model.variants),
            schemes=schemes,
            inputs={"model.yaml": self.model.digest, **self.model.files.digests},
            version=__version__,
            notes=notes,
            left_out=tuple(
                LeftOut(nuisance=self._scoped(name, row), process=process, reason=reason)
                for name, row in self.nuisances.items()
                for process, reason in reaches[name].left_out.items()
            ),
            spectrum=spectrum,
        )


def shared_parameter(name: str, group: str) -> ConstrainedParameter:
    """What correlated rows have in common, in units of the standard deviation of each; the same in every model."""
    return ConstrainedParameter(
        name=name,
        quantity="common part of correlated rows, in standard deviations of each",
        centre=0.0,
        sigma=1.0,
        unit="1",
        group=group,
        source="rows with a correlation that name it as shared",
    )


def _sample_name(process: str, term: Monomial) -> str:
    return f"{process}__x__{monomial_name(term)}" if term else process
