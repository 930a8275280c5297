"""Writes a workspace in the HEP Statistics Serialization Standard (HS3), for pyhs3 and RooFit.

Each Poisson channel is a `histfactory_dist`. A power of a parameter is a `generic_function`, and so is a parameter
that follows others, so that here, unlike in pyhf's JSON, the file itself keeps the ties: a fit of the file is a fit of
the coupling. What HistFactory cannot say is written as in `to_pyhf`, with the same notes. Interference makes samples
negative, and RooFit cuts interpolated samples off at 0: such a sample is raised by a pedestal that a second sample
takes away. Gaussian channels are exact (`hs3_gaussian`): a `gaussian_dist` for each bin among the auxiliary
distributions of the likelihood.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat import __version__
from nuemstat.errors import WorkspaceError, suggestion
from nuemstat.polynomial import FloatArray
from nuemstat.vocabulary import COUPLINGS, coupling_name
from nuemstat.workspace.bins import bin_name, shape_factors
from nuemstat.workspace.document import Bounds, Channel, Workspace
from nuemstat.workspace.hs3_gaussian import Formulas, follows, gaussian, is_native
from nuemstat.workspace.hs3_memo import memo
from nuemstat.workspace.to_pyhf import PSEUDO_COUNTS, PyhfExport, to_pyhf, write_export

HS3_VERSION = "0.2"
DIALECTS = ("implicit", "named", "2026-07")
"""How constraints are said; see `to_hs3`."""

PEDESTAL = "__pedestal"
"""Ending of the samples that take away what was added to keep another one positive."""

_COUPLING_RANGE = 1e3
_NUISANCE_RANGE = 10.0  # sigma


@dataclass(frozen=True, slots=True, eq=False)
class Hs3Export:
    """A workspace in HS3's words.

    document : the JSON document; workspace : what it was made from; notes : what the file cannot say.
    """

    document: dict[str, Any]
    notes: tuple[str, ...]
    workspace: Workspace


def to_hs3(
    workspace: Workspace,
    *,
    dialect: str = "implicit",
    floating: Sequence[str] | None = None,
    native: bool = True,
    pedestal: float = PSEUDO_COUNTS,
) -> Hs3Export:
    """The workspace as an HS3 document of version 0.2.

    dialect : `implicit`, constraints by their kind: what pyhs3 0.4 and RooFit to 6.40 read; `named`, each constraint
        a distribution of its own that modifiers name as `constraint_name`, as RooFit 6.32 to 6.40.0 write it;
        `2026-07`, the same with the key `constraint`, as RooFit writes since July 2026. All leave interpolations to
        the defaults of HistFactory (codes 4 and 4p), which later readers keep for files that name none;
    floating : couplings that float in the analysis, all others are constant at their default; the first one when
        None; native : Gaussian channels as they are; else, and where bins of one have factors of their own, as
        Poisson channels with this `pedestal` of pseudo-counts in each bin.

    Raises
    ------
    WorkspaceError : no such dialect or coupling, or a use of a parameter that HistFactory has no form for.
    """
    if dialect not in DIALECTS:
        raise WorkspaceError(f"dialect: found {dialect!r}; allowed are {', '.join(DIALECTS)}")
    free = _floating(workspace, floating)
    formulas = Formulas(workspace)
    counted = [channel for channel in workspace.channels if not (native and is_native(channel))]
    for channel in workspace.channels:
        if channel not in counted:
            formulas.channel(channel)
    export = to_pyhf(workspace.model_copy(update={"channels": tuple(counted)}), pedestal=pedestal) if counted else None
    writer = _Writer(workspace, export, dialect, formulas)
    distributions = [*writer.channels(counted), *formulas.distributions]
    document = {
        "metadata": {"hs3_version": HS3_VERSION, "packages": [{"name": "nuemstat", "version": __version__}]},
        "distributions": [*distributions, *writer.constraints()],
        "functions": writer.functions(),
        "data": writer.data(counted),
        **_analysis(workspace, free, counted, writer),
        "misc": {
            "nuemstat": memo(workspace, distributions, dialect=dialect, floating=free, native=native, pedestal=pedestal)
        },
    }
    return Hs3Export(document, tuple(_notes(workspace, export, free)), workspace)


def write_hs3(
    workspace: Workspace,
    folder: str | os.PathLike[str],
    *,
    dialect: str = "implicit",
    floating: Sequence[str] | None = None,
    native: bool = True,
    force: bool = False,
) -> tuple[Path, Path]:
    """Write ``<name>.hs3.json`` and ``<name>.hs3.notes.md`` (what the file cannot say), and return both paths.

    Raises
    ------
    WorkspaceError : as `to_hs3`, the folder cannot be written, or a file is there already and `force` is not set.
    """
    export = to_hs3(workspace, dialect=dialect, floating=floating, native=native)
    return write_export(export.document, _explanation(export), Path(folder), f"{workspace.name}.hs3", force=force)


def _explanation(export: Hs3Export) -> list[str]:
    """The text beside the document."""
    workspace = export.workspace
    units = [
        f"| `{p.name}` | {p.scale:g} {p.unit} | {p.default:g} |"
        for p in workspace.parameters
        if p.kind in ("coupling", "free")
    ]
    return [
        f"# {workspace.name}.hs3.json",
        "",
        f"An HS3 {HS3_VERSION} document (dialect `{export.document['misc']['nuemstat']['dialect']}`) made from "
        f"{workspace.digest}.",
        "",
        "## What the file cannot say",
        "",
        *(f"- {note}" for note in export.notes),
        "",
        "## Units of 1",
        "",
        *(["| parameter | 1 is | default |", "|---|---|---|", *units] if units else ["No free parameters."]),
        "",
        "`misc.nuemstat` holds what this package needs to read the file back; other programs may ignore it.",
        "",
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Writer:
    """Turns pyhf's samples and modifiers into HS3's.

    pyhf : the Poisson channels in pyhf's words, None where there are none; formulas : the Gaussian ones.
    """

    workspace: Workspace
    pyhf: PyhfExport | None
    dialect: str
    formulas: Formulas

    def channels(self, counted: Sequence[Channel]) -> Iterator[dict[str, Any]]:
        """A histfactory_dist for each Poisson channel."""
        contents = {} if self.pyhf is None else {c["name"]: c["samples"] for c in self.pyhf.document["channels"]}
        for channel in counted:
            yield {
                "name": channel.name,
                "type": "histfactory_dist",
                "axes": _axes(channel),
                "samples": [written for sample in contents[channel.name] for written in self._samples(channel, sample)],
            }

    def data(self, counted: Sequence[Channel]) -> list[dict[str, Any]]:
        """Observed counts; those of Gaussian channels are constants among the parameters."""
        found = {} if self.pyhf is None else {o["name"]: o["data"] for o in self.pyhf.document["observations"]}
        return [
            {"name": f"{c.name}_data", "type": "binned", "axes": _axes(c), "contents": found[c.name]} for c in counted
        ]

    def _samples(self, channel: Channel, sample: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """A sample, and the pedestal taken away again where it needs one."""
        modifiers = sample["modifiers"]
        twice = {m["name"] for m in modifiers if m["type"] == "normsys"}
        twice &= {m["name"] for m in modifiers if m["type"] == "histosys"}
        pedestal = _pedestal(sample)
        written = [part for modifier in modifiers for part in self._modifier(channel, modifier, twice, pedestal)]
        data = {"contents": _raised(sample["data"], pedestal)}
        for modifier in modifiers:
            data |= {"errors": modifier["data"]} if modifier["type"] == "staterror" else {}
        yield {"name": sample["name"], "data": data, "modifiers": written}
        if pedestal.any():
            factors = [part for part in written if part["type"] not in ("histosys", "staterror", "shapesys")]
            below = {"contents": [-value + 0.0 for value in pedestal.tolist()]}
            yield {"name": sample["name"] + PEDESTAL, "data": below, "modifiers": factors}

    def _modifier(
        self, channel: Channel, modifier: Mapping[str, Any], twice: set[str], pedestal: FloatArray
    ) -> list[dict[str, Any]]:
        kind, name, data = modifier["type"], modifier["name"], modifier["data"]
        match kind:
            case "normfactor":
                return [{"name": name, "parameter": name, "type": kind}]
            case "normsys":
                return [{"name": name, "parameter": name, "type": kind, **self._constraint(name), "data": data}]
            case "histosys":
                label = f"{name}__shape" if name in twice else name  # RooFit writes two modifiers of one name as one
                ends = {end: {"contents": _raised(data[f"{end}_data"], pedestal)} for end in ("hi", "lo")}
                return [{"name": label, "parameter": name, "type": kind, **self._constraint(name), "data": ends}]
            case "lumi":
                carrier = self._norm(self._luminosity(), {"hi": 1.0, "lo": 1.0})
                return [{"name": "lumi", "parameter": "lumi", "type": "normfactor"}, carrier]
        separator = "__bin" if kind == "shapefactor" else "_"  # a shape factor's are those of fits
        parameters = [f"{name}{separator}{i}" for i in range(channel.size)]
        per_bin: dict[str, Any] = {"name": name, "parameters": parameters, "type": kind}
        if kind == "shapesys":
            per_bin |= {"constraint": "Poisson", "data": {"vals": data}}
        elif kind == "staterror":
            per_bin |= {"constraint": "Gauss"}
        return [per_bin]

    def _norm(self, name: str, data: Mapping[str, float]) -> dict[str, Any]:
        return {"name": name, "parameter": name, "type": "normsys", **self._constraint(name), "data": data}

    def _constraint(self, name: str) -> dict[str, Any]:
        if self.dialect == "implicit":
            return {"constraint": "Gauss"}
        if self.dialect == "named":
            return {"constraint_name": f"{name}Constraint"}
        return {"constraint": f"{name}Constraint"}

    def constraints(self) -> Iterator[dict[str, Any]]:
        """The constraints as distributions, in the dialects that name them and where no channel holds modifiers."""
        if self.dialect == "implicit" and self.pyhf is not None:
            return
        for name in _nuisances(self.workspace):
            yield gaussian(f"{name}Constraint", name, f"nom_{name}", 1.0)

    def auxiliary(self) -> dict[str, list[str]]:
        """Distributions without data of their own: Gaussian bins, and the constraints if no modifier brings them."""
        constraints = [f"{name}Constraint" for name in _nuisances(self.workspace)] if self.pyhf is None else []
        names = [*(d["name"] for d in self.formulas.distributions), *constraints]
        return {"aux_distributions": names} if names else {}

    def constants(self) -> Iterator[dict[str, Any]]:
        """Observed values of Gaussian bins with their errors, and the centres of named constraints."""
        values = self.formulas.data | {d["mean"]: 0.0 for d in self.constraints()}
        return ({"name": name, "value": value, "const": True} for name, value in values.items())

    def functions(self) -> list[dict[str, Any]]:
        """Powers, parameters that follow others, the luminosity, and what Gaussian channels need."""
        found = dict(self.formulas.functions)
        ties = {} if self.pyhf is None else self.pyhf.ties
        for parameter in self.workspace.parameters:
            if parameter.kind == "derived" and any(name == parameter.name for name, _ in ties.values()):
                found[parameter.name] = follows(parameter)
        for label, (name, power) in ties.items():
            if power > 1:  # as pow(): q*q and q**2 are not read everywhere
                found[label] = f"pow({name},{power})"
        settings = [] if self.pyhf is None else self.pyhf.document["measurements"][0]["config"]["parameters"]
        if any(p["name"] == "lumi" for p in settings):
            definition = self.workspace.parameter(self._luminosity())
            found["lumi"] = f"({definition.centre!r}) + ({definition.sigma!r})*{definition.name}"
        return [{"name": name, "type": "generic_function", "expression": text} for name, text in found.items()]

    def _luminosity(self) -> str:
        modifiers = (m for c in self.workspace.channels for s in c.samples for m in s.modifiers)
        return next(m.parameter for m in modifiers if m.type == "lumi")


def _pedestal(sample: Mapping[str, Any]) -> FloatArray:
    """What must be added to a sample for it to stay positive over the range of its nuisances, shape (n_bins,).

    RooFit cuts off at 0 what a histosys makes negative, which interference may well be; samples with factors of
    single bins are left alone.
    """
    contents = np.array(sample["data"])
    kinds = {modifier["type"] for modifier in sample["modifiers"]}
    if "histosys" not in kinds or kinds & {"staterror", "shapesys"}:
        return np.zeros_like(contents)
    sizes = np.zeros_like(contents)
    for modifier in sample["modifiers"]:
        if modifier["type"] == "histosys":
            ends = np.array([modifier["data"]["hi_data"], modifier["data"]["lo_data"]])
            sizes += np.abs(ends - contents).max(axis=0)
    return np.asarray(np.maximum(_NUISANCE_RANGE * sizes - contents, 0.0))


def _raised(values: Sequence[float], pedestal: FloatArray) -> list[float]:
    return (np.array(values) + pedestal).tolist() if pedestal.any() else list(values)


def _axes(channel: Channel) -> list[dict[str, Any]]:
    """One axis, named for this channel alone: several are numbered through in C order, as are rotated bins."""
    if len(channel.axes) == 1 and channel.covariance is None:
        return [{"name": f"{channel.name}__{channel.axes[0].name}", "edges": list(channel.axes[0].edges)}]
    return [{"name": f"{channel.name}__bin", "min": 0.0, "max": float(channel.size), "nbins": channel.size}]


def _floating(workspace: Workspace, floating: Sequence[str] | None) -> tuple[str, ...]:
    known = list(workspace.couplings)
    if floating is None:
        return tuple(known[:1])
    for name in floating:
        if name not in known:
            raise WorkspaceError(
                f"{workspace.name}: floating: no coupling {name!r}; it holds {', '.join(known) or 'none'}"
                f"{suggestion(name, known)}"
            )
    return tuple(floating)


def _nuisances(workspace: Workspace) -> tuple[str, ...]:
    return tuple(p.name for p in workspace.parameters if p.kind == "constrained" and p.constraint == "normal")


def _analysis(workspace: Workspace, free: Sequence[str], counted: Sequence[Channel], writer: _Writer) -> dict[str, Any]:
    """Likelihood, domain, starting point and analysis."""
    axes, points = [], []
    for parameter in _single(workspace):
        if parameter.kind == "derived":
            continue
        start = 0.0 if parameter.kind == "constrained" else parameter.default
        reach = _NUISANCE_RANGE if parameter.kind == "constrained" else _COUPLING_RANGE * max(1.0, abs(start))
        low, high = _bounds(workspace, parameter)
        axes.append(
            {"name": parameter.name, "min": -reach if low is None else low, "max": reach if high is None else high}
        )
        constant = parameter.kind == "coupling" and parameter.name not in free
        points.append({"name": parameter.name, "value": start, "const": constant})
    name = workspace.name
    return {
        "likelihoods": [
            {
                "name": f"{name}_likelihood",
                "distributions": [channel.name for channel in counted],
                "data": [f"{channel.name}_data" for channel in counted],
                **writer.auxiliary(),
            }
        ],
        "domains": [{"name": "default_domain", "type": "product_domain", "axes": axes}],
        "parameter_points": [{"name": "default_values", "parameters": [*points, *writer.constants()]}],
        "analyses": [
            {
                "name": f"{name}_analysis",
                "likelihood": f"{name}_likelihood",
                "domains": ["default_domain"],
                "parameters_of_interest": list(free),
                "init": "default_values",
            }
        ],
    }


def _single(workspace: Workspace) -> Iterator[Any]:
    """The parameters, in the place of a shape factor one for each bin."""
    sizes = shape_factors(workspace)
    for parameter in workspace.parameters:
        if parameter.name in sizes:
            names = (bin_name(parameter.name, i) for i in range(sizes[parameter.name]))
            yield from (parameter.model_copy(update={"name": name}) for name in names)
        else:
            yield parameter


def _bounds(workspace: Workspace, parameter: Any) -> Bounds:
    """Bounds of the document; a transition radius beside its transition charge carries their relative sign."""
    coupling = COUPLINGS.get(parameter.name)
    transition = coupling is not None and coupling.even and coupling.kind == "charge_radius"
    signed = transition and coupling_name("millicharge", *COUPLINGS[parameter.name].flavours) in workspace.couplings
    return (None, parameter.bounds[1]) if signed else parameter.bounds


def _notes(workspace: Workspace, export: PyhfExport | None, free: Sequence[str]) -> Iterator[str]:
    """pyhf's notes on the Poisson channels without those on ties, which this file keeps."""
    yield (
        f"{', '.join(free) or 'No coupling'} floats; the other couplings are constant at their default "
        "(`const` in `default_values`)."
    )
    counted = () if export is None else export.workspace.channels
    for channel in counted:
        if len(channel.axes) > 1 and channel.covariance is None:
            shape = " x ".join(f"{axis.name} ({len(axis.edges) - 1})" for axis in channel.axes)
            yield f"channel {channel.name}: {shape} bins are numbered through in C order, the last axis fastest."
    held = {channel.name for channel in counted}
    for channel in workspace.channels:
        if channel.name not in held:
            turned = "" if channel.covariance is None else "eigenvector of its covariance and "
            yield (
                f"channel {channel.name} is Gaussian: each {turned}bin is a `gaussian_dist` in `aux_distributions`, "
                "observed values are constants of `default_values`. Nothing of it is lost."
            )
    said_here = ("Powers are parameters", "The parameter of interest", "pyhf gives no number")
    for note in () if export is None else export.notes:
        if not note.startswith(said_here) and "this, too, is for you to keep" not in note:
            yield note.replace("in pyhf", "in HistFactory")
    yield "Where a bin of counts is expected to hold less than nothing there is no number; stay where all are positive."
