"""The workspace document: everything a likelihood needs, and nothing of how it was computed.

It is the border between physics, which writes it, and statistics, which reads it. The words are pyhf's
(channels, samples, modifiers, observations), with couplings, anchors and Gaussian channels added.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from nuemstat.errors import WorkspaceError, suggestion
from nuemstat.notebook import AsHtml
from nuemstat.polynomial import FloatArray, monomial_name
from nuemstat.strict import Name, Strict, one_line
from nuemstat.workspace.modifiers import Modifier, Numbers
from nuemstat.workspace.reading import parse_json, read_bytes
from nuemstat.workspace.spectrum_end import SpectrumEnd
from nuemstat.writing import pretty, write_whole

SCHEMA = "nuemstat/workspace/1"
Bounds = tuple[float | None, float | None]


class Axis(Strict):
    """One axis of a channel; bins of several axes are flattened in C order."""

    name: Name
    unit: str
    edges: Annotated[Numbers, Field(min_length=2)]

    @field_validator("edges")
    @classmethod
    def _rising(cls, edges: Numbers) -> Numbers:
        if any(b <= a for a, b in pairwise(edges)):
            raise ValueError("found edges that do not rise; strictly rising numbers are allowed")
        return edges


class MayOverlap(Strict):
    """Another data set of which it is not known that no event is shared, and why it is not."""

    dataset: Name
    reason: Annotated[str, Field(min_length=1)]


class Sample(Strict):
    """Expected counts of one process for one monomial of the parameters, at their value 1 and nuisances at 0."""

    name: Name
    process: Name
    monomial: dict[Name, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)
    contents: Numbers
    errors: Numbers | None = None
    modifiers: tuple[Modifier, ...] = ()

    @model_validator(mode="after")
    def _named_by_monomial(self) -> "Sample":
        term = monomial_name(tuple(sorted(self.monomial.items())))
        wanted = f"{self.process}__x__{term}" if term else self.process
        if self.name != wanted:
            raise ValueError(f"found name {self.name!r}; process and monomial make it {wanted!r}")
        return self


class Channel(Strict):
    """Binned data with what is expected in them.

    statistic : poisson (observed are counts), or gaussian with `errors` per bin or a `covariance`;
    errors_below : of a gaussian channel with two-sided errors, those that hold where less is expected than observed;
    `errors` then hold where more is expected;
    may_overlap : other data sets that may share events with these: a joint fit of both has to be asked for.
    """

    name: Name
    experiment: str
    datasets: tuple[Name, ...]
    may_overlap: tuple[MayOverlap, ...] = ()
    axes: Annotated[tuple[Axis, ...], Field(min_length=1)]
    observed: Numbers
    statistic: Literal["poisson", "gaussian"] = "poisson"
    errors: Numbers | None = None
    errors_below: Numbers | None = None
    covariance: tuple[Numbers, ...] | None = None
    samples: tuple[Sample, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of bins along each axis."""
        return tuple(len(axis.edges) - 1 for axis in self.axes)

    @property
    def size(self) -> int:
        """Number of bins in all."""
        return int(np.prod(self.shape))

    @property
    def wider_errors(self) -> Numbers | None:
        """Errors for a form with room for one per bin: the wider of two sides, so that no limit becomes stronger."""
        if self.errors is None or self.errors_below is None:
            return self.errors
        return tuple(max(sides) for sides in zip(self.errors, self.errors_below, strict=True))

    @model_validator(mode="after")
    def _lengths(self) -> "Channel":
        lengths = {"observed": len(self.observed)} | {f"samples.{s.name}": len(s.contents) for s in self.samples}
        if self.errors is not None:
            lengths["errors"] = len(self.errors)
        if self.errors_below is not None:
            lengths["errors_below"] = len(self.errors_below)
        if self.covariance is not None:
            lengths["covariance"] = len(self.covariance)
            lengths |= {f"covariance.{i}": len(row) for i, row in enumerate(self.covariance)}
        for sample in self.samples:
            lengths |= _modifier_lengths(self, sample)
        for key, length in lengths.items():
            if length != self.size:
                raise ValueError(f"{key} of channel {self.name!r} has {length} numbers; its axes make {self.size}")
        names = [sample.name for sample in self.samples]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"sample {twice!r} stands twice in channel {self.name!r}; names are unique")
        if self.statistic == "poisson" and any(n < 0 for n in self.observed):
            raise ValueError(f"channel {self.name!r} observes a negative count; counts are 0 or more")
        if self.statistic == "gaussian" and (self.errors is None) == (self.covariance is None):
            raise ValueError(f"gaussian channel {self.name!r} needs errors or a covariance, one of the two")
        if self.errors_below is not None and self.errors is None:
            raise ValueError(f"channel {self.name!r} has errors_below without errors; both sides are needed")
        return self


def _modifier_lengths(channel: Channel, sample: Sample) -> dict[str, int]:
    """Lengths of every array of a sample's modifiers, shapes over few axes counted as if over all."""
    lengths: dict[str, int] = {}
    for modifier in sample.modifiers:
        where = f"samples.{sample.name}.{modifier.parameter}"
        if modifier.type == "shape":
            known = {axis.name: n for axis, n in zip(channel.axes, channel.shape, strict=True)}
            unknown = [name for name in modifier.axes or () if name not in known]
            if unknown:
                raise ValueError(f"{where}: no axis {unknown[0]!r} in channel {channel.name!r}; it has {list(known)}")
            wanted = int(np.prod([known[name] for name in modifier.axes or known]))
            lengths |= {
                f"{where} at {anchor.alpha:g}": channel.size if len(anchor.values) == wanted else len(anchor.values)
                for anchor in modifier.anchors
            }
        elif modifier.type == "histosys":
            lengths |= {f"{where} hi_data": len(modifier.hi_data), f"{where} lo_data": len(modifier.lo_data)}
        elif modifier.type in ("shapesys", "staterror"):
            lengths[where] = len(modifier.data)
    return lengths


class CouplingParameter(Strict):
    """A coupling, of order one: the physical value is the number times `scale` `unit`."""

    kind: Literal["coupling"] = "coupling"
    name: Name
    unit: str
    scale: Annotated[float, Field(gt=0)]
    default: float
    bounds: Bounds = (None, None)


class ConstrainedParameter(Strict):
    """A nuisance alpha of unit normal constraint; quantity = centre + sigma x alpha [unit]."""

    kind: Literal["constrained"] = "constrained"
    name: Name
    constraint: Literal["normal", "poisson"] = "normal"
    quantity: str
    centre: float
    sigma: Annotated[float, Field(gt=0)]
    unit: str
    group: str
    source: str
    bounds: Bounds = (None, None)


class FreeParameter(Strict):
    """A parameter without constraint; the physical value is the number times `scale` `unit`."""

    kind: Literal["free"] = "free"
    name: Name
    quantity: str
    unit: str
    scale: float = 1.0
    default: float
    bounds: Bounds = (None, None)


class DerivedParameter(Strict):
    """offset + sum of coefficient x parameter: how universal couplings and partial correlations enter."""

    kind: Literal["derived"] = "derived"
    name: Name
    terms: dict[Name, float]
    offset: float = 0.0


Parameter = Annotated[
    CouplingParameter | ConstrainedParameter | FreeParameter | DerivedParameter, Field(discriminator="kind")
]


class Folded(Strict):
    """A coupling that was kept at a value when the workspace was made; it cannot be changed any more."""

    name: Name
    value: float


class LeftOut(Strict):
    """A process that depends on what a nuisance stands for and is not moved by it."""

    nuisance: str
    process: str
    reason: str


WARNING = "warning: "
"""What a note begins with that the results of a workspace repeat."""


class Provenance(Strict):
    """Where a workspace comes from; outside the digest.

    spectrum : of sources whose spectrum is tabulated to less than its physical end, None for others;
    outside : why a shipped data model is out of the default world fit, None for those in it and for all others.
    """

    model: str
    variants: dict[str, str]
    schemes: dict[str, str]
    inputs: dict[str, str]
    version: str
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    spectrum: tuple[SpectrumEnd, ...] | None = None
    outside: str | None = None


LATER = frozenset({"choices", "errors_below", "may_overlap"})
"""Optional keys that joined version 1 after documents were written: the digest leaves out those that say nothing, so
that it stays that of the document before them."""


def _said(content: Any) -> Any:
    """Plain content without the later keys that are empty."""
    if isinstance(content, dict):
        return {key: _said(item) for key, item in content.items() if key not in LATER or item}
    return [_said(item) for item in content] if isinstance(content, list) else content


_KINDS = {"coupling": "couplings", "constrained": "nuisances", "free": "free", "derived": "derived"}


class Workspace(AsHtml, Strict):
    """The whole document, immutable; see the package documentation for the meaning of each part.

    choices : which of exclusive descriptions was taken, ``ge_quenching: lindhard``; one fit holds one of each.
    """

    schema_: Literal["nuemstat/workspace/1"] = Field(default="nuemstat/workspace/1", alias="schema")
    name: Name
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    parameters: tuple[Parameter, ...]
    folded: tuple[Folded, ...] = ()
    choices: dict[Name, Name] = Field(default_factory=dict)
    provenance: tuple[Provenance, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "Workspace":
        _unique("channel", (channel.name for channel in self.channels))
        _unique("parameter", (parameter.name for parameter in self.parameters))
        _unique("dataset", (d for channel in {c.datasets: c for c in self.channels}.values() for d in channel.datasets))
        declared = {parameter.name: parameter for parameter in self.parameters}
        for where, name in self._uses():
            if name not in declared:
                raise ValueError(f"{where} uses parameter {name!r}, which is not declared under parameters")
        for parameter in self.parameters:
            for name in parameter.terms if parameter.kind == "derived" else ():
                if declared[name].kind == "derived":
                    raise ValueError(f"derived parameter {parameter.name!r} hangs on {name!r}, itself derived")
        return self

    def _uses(self) -> Iterable[tuple[str, str]]:
        for channel in self.channels:
            for sample in channel.samples:
                where = f"sample {sample.name!r} of channel {channel.name!r}"
                yield from ((where, name) for name in sample.monomial)
                yield from ((where, modifier.parameter) for modifier in sample.modifiers)
        for parameter in self.parameters:
            if parameter.kind == "derived":
                yield from ((f"derived parameter {parameter.name!r}", name) for name in parameter.terms)

    @property
    def couplings(self) -> tuple[str, ...]:
        """Names of the couplings held, in document order."""
        return tuple(p.name for p in self.parameters if p.kind == "coupling")

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets used."""
        return tuple(dict.fromkeys(name for channel in self.channels for name in channel.datasets))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What every result of this workspace says beside its own warnings; in a joint fit with the model's name."""
        found = [(entry.model, note) for entry in self.provenance for note in entry.notes if note.startswith(WARNING)]
        if len(self.provenance) > 1:
            out = [(entry.model, entry.outside) for entry in self.provenance if entry.outside]
            found += [(model, f"{WARNING}out of the default world fit: {reason}") for model, reason in out]
        texts = [(model, note.removeprefix(WARNING)) for model, note in found]
        if len(self.provenance) > 1:
            texts = [(model, text if text.startswith(f"{model}: ") else f"{model}: {text}") for model, text in texts]
        return tuple(dict.fromkeys(text for _, text in texts))

    def parameter(self, name: str) -> Any:
        """The definition of one parameter.

        Raises
        ------
        WorkspaceError : it is not in this workspace, or it was folded into it.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        for folded in self.folded:
            if folded.name == name:
                raise WorkspaceError(f"{self.name}: {name} was folded at {folded.value:g}; compile without folding it")
        known = [p.name for p in self.parameters]
        raise WorkspaceError(
            f"{self.name}: no parameter {name!r}; it holds {', '.join(self.couplings) or 'no couplings'}"
            f"{suggestion(name, known)}"
        )

    @cached_property
    def digest(self) -> str:
        """sha256 of the physics content: no version, path or date."""
        content = _said(self.model_dump(mode="json", by_alias=True, exclude={"provenance"}))
        return "sha256:" + hashlib.sha256(_canonical(content)).hexdigest()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> "Workspace":
        """A copy, not checked again; of other content it has a digest of its own."""
        made = super().model_copy(update=update, deep=deep)
        if set(update or {}) - {"provenance"}:
            made.__dict__.pop("digest", None)
        return made

    def substitute(self, universal: str) -> "Workspace":
        """This workspace with one universal coupling in place of its flavour-diagonal ones.

        universal : magnetic_moment, millicharge, or charge_radius (there the common shift from the defaults).

        Raises
        ------
        WorkspaceError : no such universal coupling, or the workspace holds none of its flavours.
        """
        from nuemstat.workspace.universal import substitute

        return substitute(self, universal)

    def __str__(self) -> str:
        rows = [
            (
                "channel",
                c.name,
                f"{c.size} bins",
                f"{sum(c.observed):g} observed",
                f"{len(c.samples)} samples",
                c.statistic,
            )
            for c in self.channels
        ]
        held = [f"{self._count(kind)} {word}" for kind, word in _KINDS.items() if self._count(kind)]
        lines = ["  " + "  ".join(row) for row in rows]
        return "\n".join([f"workspace {self.name}, {self.digest[:19]}", *lines, f"  parameters  {', '.join(held)}"])

    def __repr__(self) -> str:
        return f"<{str(self).splitlines()[0]}>"

    def _count(self, kind: str) -> int:
        return sum(parameter.kind == kind for parameter in self.parameters)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Workspace":
        """Read a document and check it whole.

        Raises
        ------
        WorkspaceError : unreadable, truncated, of another schema, inconsistent, or changed since it was written.
        """
        return cls.from_json(read_bytes(path), where=str(path))

    @classmethod
    def from_json(cls, raw: bytes, where: str = "workspace") -> "Workspace":
        """The document in these bytes; `where` names them in messages."""
        return cls.from_content(parse_json(raw, where), where)

    @classmethod
    def from_content(cls, content: Any, where: str = "workspace") -> "Workspace":
        """The document in parsed JSON, with tuples for lists."""
        data = dict(content) if isinstance(content, dict) else content
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, dict) else "list" if isinstance(data, tuple) else data
            raise WorkspaceError(f"{where}: schema: found {found!r}; this version reads {SCHEMA!r}")
        digest = data.pop("digest", None)
        try:
            workspace = cls.model_validate(data)
        except ValidationError as error:
            raise WorkspaceError(f"{where}: {one_line(error)}") from None
        if digest is not None and digest != workspace.digest:
            raise WorkspaceError(f"{where}: digest: found {digest}; the content gives {workspace.digest}")
        return workspace

    def content(self) -> dict[str, Any]:
        """The document as the data of JSON, without the keys that hold nothing."""
        content: dict[str, Any] = _said(self.model_dump(mode="json", by_alias=True, exclude_none=True))
        return content

    def to_json(self) -> str:
        """The document as text: keys in a fixed order, one array of numbers per line."""
        content = self.content()
        head = {"schema": content.pop("schema"), "name": content.pop("name"), "digest": self.digest}
        return pretty(head | content) + "\n"

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the document; the file is there whole or not at all."""
        write_whole(Path(path), self.to_json())


def rounded(values: Any) -> tuple[float, ...]:
    """Numbers with 9 significant digits, as documents carry them."""
    array: FloatArray = np.atleast_1d(np.asarray(values, dtype=float)).ravel()
    return tuple(float(f"{value:.9g}") + 0.0 for value in array)


def _unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name!r} stands twice; each is declared once")
        seen.add(name)


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
