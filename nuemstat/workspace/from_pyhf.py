"""Reads any HistFactory workspace in pyhf's JSON (schema 1.0.0), or in XML and ROOT through pyhf's own converter.

Factors become free parameters of unit 1, the parameter of interest among them; what the measurement fixes becomes a
coupling, which stands at its default until it is floated. Names are made fit for all formats; the original ones are
the `quantity` of a parameter, and renamed ones are listed in the provenance.
"""

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from nuemstat.errors import WorkspaceError
from nuemstat.strict import one_line
from nuemstat.workspace.document import Axis, Channel, Parameter, Provenance, Sample, Workspace
from nuemstat.workspace.modifiers import (
    HistoSys,
    Lumi,
    Modifier,
    NormFactor,
    NormSys,
    ShapeFactor,
    ShapeSys,
    StatError,
)
from nuemstat.workspace.pyhf_parameters import KINDS, Use, parameters_of
from nuemstat.workspace.pyhf_schema import ChannelPart, MeasurementPart, PyhfDocument, SamplePart, pyhf_document
from nuemstat.workspace.reading import check_size, kind_of, parse_json, read_bytes


def from_pyhf(
    document: Mapping[str, Any],
    *,
    name: str = "pyhf",
    measurement: str | None = None,
    normsys: Literal["code4", "code1"] = "code4",
    histosys: Literal["code4p", "code0", "code2"] = "code4p",
    where: str = "workspace",
) -> Workspace:
    """A pyhf workspace as a native one, with the same 2 NLL up to a constant.

    name : of the result; measurement : name of the one to read, the first when None;
    normsys, histosys : interpolation codes, pyhf's ``modifier_settings``; where : names the document in messages.

    Raises
    ------
    WorkspaceError : not valid under pyhf's schema, or inconsistent; names the place, what was found, what is allowed.
    """
    parts = pyhf_document(document, where)
    try:
        return _Import(parts, where, _measurement(parts, measurement, where), (normsys, histosys)).workspace(name)
    except ValidationError as error:
        raise WorkspaceError(f"{where}: {one_line(error)}") from None


def read_pyhf(path: str | os.PathLike[str], *, measurement: str | None = None) -> Workspace:
    """The pyhf workspace in a JSON file, or behind a top-level HistFactory XML file; it is named after the file.

    Raises
    ------
    WorkspaceError : as `from_pyhf`, or the file cannot be read.
    """
    if Path(path).suffix == ".xml":
        return from_pyhf(converted(path), name=named(Path(path).stem), measurement=measurement, where=str(path))
    content = parse_json(read_bytes(path), str(path))
    if (kind := kind_of(content, str(path))) != "pyhf":
        raise WorkspaceError(f"{path}: found a {kind} workspace; one of pyhf is allowed here")
    return from_pyhf(content, name=named(Path(path).stem), measurement=measurement, where=str(path))


def converted(path: str | os.PathLike[str]) -> dict[str, Any]:
    """HistFactory's XML and the ROOT files that it names, read by pyhf's converter.

    Names of files are relative to the folder of the XML, the one above it, or the current one.

    Raises
    ------
    WorkspaceError : the converter cannot read them.
    """
    import pyhf.readxml

    check_size(path)
    top = Path(path)
    folders = [top.parent, top.parent.parent, Path()]
    complaint: Exception | None = None
    for folder in folders:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of pyhf's own dependencies
                return dict(pyhf.readxml.parse(top, folder, validation_as_error=False))
        except Exception as error:  # whatever the converter, uproot or the XML parser raise
            complaint = complaint or error
    text = " ".join(str(complaint).split()) or type(complaint).__name__
    raise WorkspaceError(f"{path}: pyhf's converter cannot read this XML ({type(complaint).__name__}: {text[:200]})")


def named(text: str) -> str:
    """A name that every format accepts: letters, digits and underscores, a letter first."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return plain if re.match("[A-Za-z]", plain) else f"p_{plain}"


def _measurement(parts: PyhfDocument, wanted: str | None, where: str) -> MeasurementPart:
    names = [measurement.name for measurement in parts.measurements]
    if wanted is None:
        return parts.measurements[0]
    if wanted not in names:
        raise WorkspaceError(f"{where}: found no measurement {wanted!r}; it holds {', '.join(names)}")
    return parts.measurements[names.index(wanted)]


@dataclass(slots=True, eq=False)
class _Names:
    """Fit names, one to one."""

    found: dict[str, str] = field(default_factory=dict)

    def __call__(self, original: str) -> str:
        if original not in self.found:
            plain, number = named(original), 1
            label = plain
            while label in self.found.values():
                number += 1
                label = f"{plain}_{number}"
            self.found[original] = label
        return self.found[original]

    def renamed(self) -> Iterator[str]:
        """Those that had to change, as ``new for old``."""
        return (f"{new} for {old!r}" for old, new in self.found.items() if old != new)


@dataclass(slots=True, eq=False)
class _Import:
    """One document on its way in.

    codes : interpolation of normsys and histosys; uses : by the original name of a parameter.
    """

    parts: PyhfDocument
    where: str
    measurement: MeasurementPart
    codes: tuple[Any, Any]
    names: _Names = field(default_factory=_Names)
    channels: _Names = field(default_factory=_Names)
    samples: _Names = field(default_factory=_Names)

    def workspace(self, name: str) -> Workspace:
        """The native workspace."""
        observed = self._observations()
        uses = self._uses()
        self._check_settings(uses)
        settings = {setting.name: setting for setting in self.measurement.config.parameters}
        labels = {original: self.names(original) for original in uses}
        made = parameters_of(uses, settings, labels, self.where)
        found = (self._channel(c, observed[c.name], made.drivers, (named(name),)) for c in self.parts.channels)
        return Workspace(
            name=name,
            channels=tuple(found),
            parameters=made.parameters,
            provenance=(self._provenance(name, made.notes, made.parameters),),
        )

    def _observations(self) -> dict[str, tuple[float, ...]]:
        found: dict[str, tuple[float, ...]] = {}
        channels = [channel.name for channel in self.parts.channels]
        for observation in self.parts.observations:
            if observation.name in found or observation.name not in channels:
                twice = "a second time" if observation.name in found else "that is no channel"
                raise WorkspaceError(
                    f"{self.where}: observations: found {observation.name!r} {twice}; one for each of "
                    f"{', '.join(channels)} is allowed"
                )
            found[observation.name] = observation.data
        missing = [channel for channel in channels if channel not in found]
        if missing:
            raise WorkspaceError(f"{self.where}: observations: found none of channel {missing[0]!r}; one is required")
        return found

    def _uses(self) -> dict[str, Use]:
        """How each parameter is used, in order of first appearance."""
        uses: dict[str, Use] = {}
        _once(self.where, "channel", [channel.name for channel in self.parts.channels])
        for channel in self.parts.channels:
            size = len(channel.samples[0].data)
            _once(f"{self.where}: channel {channel.name!r}", "sample", [sample.name for sample in channel.samples])
            for sample in channel.samples:
                place = f"{self.where}: channel {channel.name!r}, sample {sample.name!r}"
                self._check_lengths(sample, size, place)
                for modifier in _distinct(sample, place):
                    use = uses.setdefault(modifier.name, Use(KINDS[modifier.type], [], size))
                    use.add(modifier, channel.name, sample.name, size, place)
        return uses

    def _check_lengths(self, sample: SamplePart, size: int, place: str) -> None:
        lengths = {"data": len(sample.data)}
        for modifier in sample.modifiers:
            if modifier.type == "histosys":
                lengths |= {f"hi_data of {modifier.name!r}": len(modifier.data.hi_data)}
                lengths |= {f"lo_data of {modifier.name!r}": len(modifier.data.lo_data)}
            elif modifier.type in ("shapesys", "staterror"):
                lengths |= {f"{modifier.type} {modifier.name!r}": len(modifier.data)}
            elif modifier.type == "normsys" and min(modifier.data.hi, modifier.data.lo) <= 0:
                raise WorkspaceError(
                    f"{place}: normsys {modifier.name!r}: found hi {modifier.data.hi:g} and lo {modifier.data.lo:g}; "
                    "factors above 0 are allowed"
                )
        for what, length in lengths.items():
            if length != size:
                raise WorkspaceError(f"{place}: {what} has {length} numbers; the channel's first sample has {size}")

    def _check_settings(self, uses: Mapping[str, Use]) -> None:
        config, place = self.measurement.config, f"{self.where}: measurement {self.measurement.name!r}"
        _once(place, "parameter", [setting.name for setting in config.parameters])
        allowed = ", ".join(uses) or "none"
        if config.poi and config.poi not in uses:
            raise WorkspaceError(f"{place}: poi: found {config.poi!r}, which no modifier names; allowed are {allowed}")
        for setting in config.parameters:
            if setting.name not in uses and setting.name != "lumi":  # pyhf's converter sets lumi in any case
                raise WorkspaceError(
                    f"{place}: found settings of {setting.name!r}, which no modifier names; allowed are {allowed}"
                )

    def _channel(
        self, channel: ChannelPart, observed: tuple[float, ...], drivers: Mapping[str, str], datasets: tuple[str, ...]
    ) -> Channel:
        size = len(channel.samples[0].data)
        samples = []
        for sample in channel.samples:
            label = self.samples(sample.name)
            modifiers = [m for part in _distinct(sample, "") for m in self._modifier(part, channel.name, drivers)]
            samples.append(Sample(name=label, process=label, contents=sample.data, modifiers=tuple(modifiers)))
        return Channel(
            name=self.channels(channel.name),
            experiment=channel.name,
            datasets=datasets,
            axes=(Axis(name="bin", unit="1", edges=tuple(float(i) for i in range(size + 1))),),
            observed=observed,
            samples=tuple(samples),
        )

    def _modifier(self, part: Any, channel: str, drivers: Mapping[str, str]) -> Iterator[Modifier]:
        """The native modifier, or none where its parameter is fixed at what changes nothing."""
        driver = drivers.get(f"{part.name}@{channel}") or drivers.get(part.name)
        if driver is None:
            return
        match part.type:
            case "normfactor":
                yield NormFactor(parameter=driver)
            case "lumi":
                yield Lumi(parameter=driver)
            case "shapefactor":
                yield ShapeFactor(parameter=driver)
            case "shapesys":
                yield ShapeSys(parameter=driver, data=part.data)
            case "staterror":
                yield StatError(parameter=driver, data=part.data)
            case "normsys":
                yield NormSys(parameter=driver, hi=part.data.hi, lo=part.data.lo, interpolation=self.codes[0])
            case _:
                data = part.data
                yield HistoSys(
                    parameter=driver, hi_data=data.hi_data, lo_data=data.lo_data, interpolation=self.codes[1]
                )

    def _provenance(self, name: str, notes: tuple[str, ...], parameters: tuple[Parameter, ...]) -> Provenance:
        from nuemstat import __version__

        poi = self.measurement.config.poi
        renamed = [text for names in (self.names, self.channels, self.samples) for text in names.renamed()]
        told = [f"measurement {self.measurement.name!r} of {len(self.parts.measurements)}"]
        told += [f"the parameter of interest is {self.names(poi)}"] if poi else []
        told += ["renamed: " + ", ".join(renamed)] if renamed else []
        held = [p.name for p in parameters if p.kind == "coupling"]
        told += [f"fixed by the measurement, as couplings without constraint: {', '.join(held)}"] if held else []
        return Provenance(model=name, variants={}, schemes={}, inputs={}, version=__version__, notes=(*told, *notes))


def _once(where: str, what: str, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise WorkspaceError(f"{where}: found {what} {name!r} twice; names are unique")
        seen.add(name)


def _distinct(sample: SamplePart, place: str) -> list[Any]:
    """The modifiers of a sample; repeated ones count once, as in pyhf, and may not differ."""
    found: dict[tuple[str, str], Any] = {}
    for modifier in sample.modifiers:
        first = found.setdefault((modifier.type, modifier.name), modifier)
        if first != modifier:
            raise WorkspaceError(f"{place}: found {modifier.type} {modifier.name!r} twice with different data; "
                                 "one name has one content")  # fmt: skip
    return list(found.values())
