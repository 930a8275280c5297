"""What is in a workspace, in numbers: yields by sample, the size of every systematic, accuracy, memory and time."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import reduce

import numpy as np

from nuemstat.model.accuracy import bin_errors
from nuemstat.notebook import AsHtml
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import Channel, Sample, Workspace
from nuemstat.workspace.interpolation import code4
from nuemstat.workspace.modifiers import Modifier
from nuemstat.workspace.shapes import interpolated

_OF_NUISANCES = ("norm", "shape", "normsys", "histosys", "lumi")
"""Modifiers that hang on one constrained parameter each."""


@dataclass(frozen=True, slots=True)
class SampleYield:
    """Counts of one sample: with its monomial at its default, and for couplings of 1 (workspace units)."""

    channel: str
    process: str
    monomial: str
    at_default: float
    at_one: float


@dataclass(frozen=True, slots=True)
class SystematicSize:
    """What a nuisance does to a process at one sigma down and up: relative change of its counts, couplings at their
    defaults, and the largest change of a bin in units of that bin's error."""

    nuisance: str
    channel: str
    process: str
    down: float
    up: float
    largest: float


@dataclass(frozen=True, slots=True)
class LeftOutProcess:
    """A process that depends on what a nuisance stands for and is not moved by it."""

    process: str
    reason: str


@dataclass(frozen=True, slots=True)
class SystematicReach:
    """Which processes a nuisance moves, and which it leaves out and why; all others are independent of it."""

    name: str
    moves: tuple[str, ...]
    left_out: tuple[LeftOutProcess, ...]


@dataclass(frozen=True, slots=True)
class Explanation(AsHtml):
    """The numbers behind a workspace.

    systematics : what each nuisance acts on; sizes : how much;
    spectrum : how far the spectrum behind each signal is known, empty where it reaches its physical end;
    notes : accuracy of the interpolations, as the compiler measured it; numbers : floating-point numbers held;
    seconds, peak_megabytes : what compiling took, None where that was not measured.
    """

    workspace: str
    yields: tuple[SampleYield, ...]
    systematics: tuple[SystematicReach, ...]
    sizes: tuple[SystematicSize, ...]
    spectrum: tuple[Mapping[str, str | float], ...]
    notes: tuple[str, ...]
    numbers: int
    seconds: float | None = None
    peak_megabytes: float | None = None

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps({"schema": "nuemstat/explanation/1"} | asdict(self), indent=1)

    def __str__(self) -> str:
        from nuemstat.stats.results import columns

        yields: list[tuple[str, ...]] = [("channel", "process", "monomial", "at default", "at 1")]
        yields += [
            (y.channel, y.process, y.monomial or "1", f"{y.at_default:.4g}", f"{y.at_one:.4g}") for y in self.yields
        ]
        sizes: list[tuple[str, ...]] = [("nuisance", "channel", "process", "-1 sigma", "+1 sigma", "largest in a bin")]
        sizes += [
            (s.nuisance, s.channel, s.process, f"{s.down:+.2%}", f"{s.up:+.2%}", f"{s.largest:.2g} errors")
            for s in self.sizes
        ]
        cost = [f"numbers held: {self.numbers} ({8e-6 * self.numbers:.2g} MB)"]
        cost += [] if self.seconds is None else [f"compiled in {self.seconds:.2f} s"]
        cost += [] if self.peak_megabytes is None else [f"peak memory {self.peak_megabytes:.0f} MB"]
        lines = [f"{self.workspace}: what it is made of", *columns(yields), "systematics at one sigma", *columns(sizes)]
        lines += ["what each nuisance acts on", *columns(self._reaches()), *self._reasons()]
        return "\n".join([*lines, *self._ends(), *self.notes, ", ".join(cost)])

    def _ends(self) -> list[str]:
        """Where the spectrum of the source ends, as a table."""
        if not self.spectrum:
            return []
        from nuemstat.stats.results import columns

        rows: list[tuple[str, ...]] = [("channel", "process", "table to", "flux to", "above the table", "lost above")]
        for e in self.spectrum:
            energies = (f"{e['last_point']:g} MeV", f"{e['end']:g} MeV")
            rows.append((str(e["channel"]), str(e["process"]), *energies, f"{e['continued']:.3g}", f"{e['lost']:.3g}"))
        return ["end of the spectrum, fractions of the signal", *columns(rows)]

    def _reaches(self) -> list[tuple[str, ...]]:
        """Nuisances as rows, processes as columns."""
        processes = tuple(dict.fromkeys(y.process for y in self.yields))
        rows: list[tuple[str, ...]] = [("nuisance", *processes)]
        for reach in self.systematics:
            left = {entry.process for entry in reach.left_out}
            words = ("moves" if p in reach.moves else "left out" if p in left else "independent" for p in processes)
            rows.append((reach.name, *words))
        return rows

    def _reasons(self) -> list[str]:
        return [
            f"{reach.name}: {entry.process} left out because {entry.reason}"
            for reach in self.systematics
            for entry in reach.left_out
        ]


def explain(workspace: Workspace, *, seconds: float | None = None, peak_megabytes: float | None = None) -> Explanation:
    """Yields per sample, size of every systematic, and the compiler's notes; couplings at their defaults.

    seconds, peak_megabytes : what compiling took, passed on.
    """
    defaults = {p.name: float(p.default) for p in workspace.parameters if p.kind in ("coupling", "free")}
    yields: list[SampleYield] = []
    sizes: list[SystematicSize] = []
    for channel in workspace.channels:
        for sample in channel.samples:
            total, factor = float(sum(sample.contents)), _factor(sample, defaults)
            name = sample.name.partition("__x__")[2]
            yields.append(SampleYield(channel.name, sample.process, name, factor * total + 0.0, total))
        sizes += _sizes(channel, defaults)
    return Explanation(
        workspace=workspace.name,
        yields=tuple(yields),
        systematics=tuple(_reached(workspace)),
        sizes=tuple(sizes),
        spectrum=tuple(end.model_dump() for entry in workspace.provenance for end in entry.spectrum or ()),
        notes=tuple(note for entry in workspace.provenance for note in entry.notes),
        numbers=_numbers(workspace),
        seconds=seconds,
        peak_megabytes=peak_megabytes,
    )


def _reached(workspace: Workspace) -> Iterable[SystematicReach]:
    """What each nuisance moves, in document order, by the modifiers that hang on it."""
    moved: dict[str, dict[str, None]] = {}
    for channel in workspace.channels:
        for sample in channel.samples:
            for modifier in sample.modifiers:
                if modifier.type in _OF_NUISANCES:
                    moved.setdefault(modifier.parameter, {})[sample.process] = None
    left: dict[str, list[LeftOutProcess]] = {}
    for provenance in workspace.provenance:
        for entry in provenance.left_out:
            left.setdefault(entry.nuisance, []).append(LeftOutProcess(entry.process, entry.reason))
    for name in dict.fromkeys((*moved, *left)):
        yield SystematicReach(name, tuple(moved.get(name, ())), tuple(left.get(name, ())))


def _factor(sample: Sample, defaults: dict[str, float]) -> float:
    powers = (defaults.get(name, 0.0) ** power for name, power in sample.monomial.items())
    norms = (defaults.get(m.parameter, 1.0) for m in sample.modifiers if m.type == "normfactor")
    return float(np.prod([*powers, *norms]))


def _sizes(channel: Channel, defaults: dict[str, float]) -> Iterable[SystematicSize]:
    """One row for every nuisance and process of a channel, in document order."""
    error = bin_errors(channel)
    pairs = dict.fromkeys(
        (modifier.parameter, sample.process)
        for sample in channel.samples
        for modifier in sample.modifiers
        if modifier.type in _OF_NUISANCES
    )
    for nuisance, process in pairs:
        samples = [sample for sample in channel.samples if sample.process == process]
        nominal = _sum(_factor(s, defaults) * np.array(s.contents) for s in samples)
        low, high = (
            _sum(_factor(s, defaults) * _moved(channel, s, nuisance, alpha) for s in samples) for alpha in (-1.0, 1.0)
        )
        total = float(nominal.sum())
        down, up = (float((moved - nominal).sum()) / total if total else 0.0 for moved in (low, high))
        largest = float(np.max(np.maximum(np.abs(low - nominal), np.abs(high - nominal)) / error))
        yield SystematicSize(nuisance, channel.name, process, down, up, largest)


def _sum(parts: Iterable[FloatArray]) -> FloatArray:
    return np.asarray(reduce(np.add, parts))


def _moved(channel: Channel, sample: Sample, nuisance: str, alpha: float) -> FloatArray:
    """Contents of a sample with one nuisance at alpha, the others at 0."""
    contents = np.array(sample.contents)
    for modifier in sample.modifiers:
        if modifier.parameter == nuisance:
            contents = _applied(channel, modifier, contents, alpha)
    return contents


def _applied(channel: Channel, modifier: Modifier, contents: FloatArray, alpha: float) -> FloatArray:
    match modifier.type:
        case "norm" if modifier.interpolation == "lognormal":
            return contents * code4(modifier.parameter, 1 + modifier.size, 1 / (1 + modifier.size))(alpha)
        case "norm":
            return contents * (1 + modifier.size * alpha)
        case "shape":
            change = interpolated(channel, modifier, alpha)
            return contents + change if modifier.interpolation == "additive" else contents * np.exp(change)
        case "normsys":
            return contents * (modifier.hi if alpha > 0 else modifier.lo)
        case "histosys":
            return np.array(modifier.hi_data if alpha > 0 else modifier.lo_data)
    return contents


def _numbers(workspace: Workspace) -> int:
    """Floating-point numbers in contents, observations and modifiers."""
    count = 0
    for channel in workspace.channels:
        count += channel.size
        for sample in channel.samples:
            count += len(sample.contents)
            for modifier in sample.modifiers:
                match modifier.type:
                    case "shape":
                        count += sum(len(anchor.values) for anchor in modifier.anchors)
                    case "histosys":
                        count += len(modifier.hi_data) + len(modifier.lo_data)
                    case "shapesys" | "staterror":
                        count += len(modifier.data)
    return count
