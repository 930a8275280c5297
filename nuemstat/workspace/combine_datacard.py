"""Writes a datacard for CMS Combine, for one or two couplings of a workspace of Poisson channels.

Combine takes templates that are nowhere negative, which interference is not. A process that is a polynomial in its
parameters is therefore written in a basis of physical points: its templates are what is expected at as many
points as there are monomials, and their weights are the polynomials that are 1 at one point and 0 at the others.
The sum is the same for all values of the parameters; weights may be negative, templates are not.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nuemstat.errors import WorkspaceError, suggestion
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.datacard_basis import Process, processes
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.to_root import Histogram, check_new, write_file
from nuemstat.writing import write_whole

_RANGE = 10.0  # of a coupling in the card, in units of the widest basis
_EQUAL = 1e-9  # relative: when the change of a template is one factor for all bins


@dataclass(frozen=True, slots=True, eq=False)
class Datacard:
    """A datacard in memory.

    text : the card; histograms : ``channel/process`` and its variations, as the card names them;
    notes : what the card cannot say.
    """

    text: str
    histograms: Mapping[str, Histogram]
    notes: tuple[str, ...]


def to_datacard(workspace: Workspace, couplings: Sequence[str], *, root_file: str = "shapes.root") -> Datacard:
    """The card for one or two couplings; the others stay at their default.

    root_file : name of the file with the histograms, as the card is to name it.

    Raises
    ------
    WorkspaceError : another number of couplings, one that is not held, a Gaussian channel, a modifier that Combine
        has no form for, or a process without a basis of points at which all its templates are positive.
    """
    _check(workspace, couplings)
    found = [p for channel in workspace.channels for p in processes(workspace, channel, couplings)]
    shaped = {name for p in found for name in p.variations if _factors(p, name) is None}
    histograms = dict(_histograms(workspace, found, shaped))
    columns = [(p, k) for p in found for k in p.columns]
    names = [p.name(k) for p, k in columns]
    identifiers = _identifiers(columns, couplings)
    head = [
        f"# {workspace.name}, {workspace.digest}; couplings {', '.join(couplings)}",
        f"imax {len(workspace.channels)}",
        "jmax *",
        "kmax *",
        f"shapes * * {root_file} $CHANNEL/$PROCESS $CHANNEL/$PROCESS_$SYSTEMATIC",
        "bin " + " ".join(channel.name for channel in workspace.channels),
        "observation " + " ".join("-1" for _ in workspace.channels),
        "bin " + " ".join(p.channel.name for p, _ in columns),
        "process " + " ".join(names),
        "process " + " ".join(str(identifiers[name]) for name in names),
        "rate " + " ".join("-1" for _ in columns),
    ]
    lines = [*head, *_nuisances(workspace, columns, shaped), *_parameters(workspace, found), *_weights(columns)]
    return Datacard("\n".join(lines) + "\n", histograms, tuple(_notes(workspace, couplings, shaped)))


def write_datacard(
    workspace: Workspace, folder: str | os.PathLike[str], couplings: Sequence[str], *, force: bool = False
) -> tuple[Path, Path, Path]:
    """Write ``<name>.datacard.txt``, ``<name>.shapes.root`` and ``<name>.datacard.notes.md``; returns the paths.

    Raises
    ------
    WorkspaceError : as `to_datacard`, the folder cannot be written, or a file is there already and `force` is not set.
    """
    base = Path(folder)
    paths = tuple(base / f"{workspace.name}.{end}" for end in ("datacard.txt", "shapes.root", "datacard.notes.md"))
    check_new(paths, force=force)
    card = to_datacard(workspace, couplings, root_file=paths[1].name)
    write_file(paths[1], card.histograms, {})
    write_whole(paths[0], card.text)
    notes = [f"# {paths[0].name}", "", *(f"- {note}" for note in card.notes), ""]
    write_whole(paths[2], "\n".join(notes))
    return paths[0], paths[1], paths[2]


def _check(workspace: Workspace, couplings: Sequence[str]) -> None:
    if not 1 <= len(set(couplings)) == len(couplings) <= 2:
        raise WorkspaceError(f"{workspace.name}: found {len(couplings)} couplings; a datacard holds one or two")
    for name in couplings:
        if name not in workspace.couplings:
            known = list(workspace.couplings)
            hint = suggestion(name, known)
            raise WorkspaceError(f"{workspace.name}: no coupling {name!r}; it holds {', '.join(known) or 'none'}{hint}")
    for channel in workspace.channels:
        if channel.statistic != "poisson":
            raise WorkspaceError(
                f"{workspace.name}: channel {channel.name} is Gaussian; datacards hold Poisson channels"
            )


def _factors(process: Process, nuisance: str) -> tuple[float, float] | None:
    """The factors at +1 and -1, if the nuisance does nothing but scale the whole process."""
    found = []
    for varied in process.variations[nuisance]:
        place = np.unravel_index(np.argmax(np.abs(process.templates)), varied.shape)
        factor = float(varied[place] / process.templates[place])
        if not np.allclose(varied, factor * process.templates, rtol=_EQUAL, atol=_EQUAL * process.templates.max()):
            return None
        found.append(factor)
    return (found[0], found[1]) if min(found) > 0 else None


def _histograms(workspace: Workspace, found: Sequence[Process], shaped: set[str]) -> Iterator[tuple[str, Histogram]]:
    """Bins of several axes are unrolled."""

    def unrolled(values: FloatArray | Sequence[float]) -> Histogram:
        array = np.asarray(values, dtype=float)
        return Histogram(array, (("bin", np.arange(array.size + 1.0)),))

    for channel in workspace.channels:
        yield f"{channel.name}/data_obs", unrolled(channel.observed)
    for process in found:
        for k in process.columns:
            name = f"{process.channel.name}/{process.name(k)}"
            yield name, unrolled(process.templates[k])
            for nuisance in process.variations:
                if nuisance in shaped:
                    for end, varied in zip(("Up", "Down"), process.variations[nuisance], strict=True):
                        yield f"{name}_{nuisance}{end}", unrolled(varied[k])


def _identifiers(columns: Sequence[tuple[Process, int]], couplings: Sequence[str]) -> dict[str, int]:
    """0 and below for what depends on the couplings, above for the rest."""
    signals = list(dict.fromkeys(p.name(k) for p, k in columns if set(couplings) & set(p.parameters)))
    others = list(dict.fromkeys(p.name(k) for p, k in columns if not set(couplings) & set(p.parameters)))
    return {name: -i for i, name in enumerate(signals)} | {name: i + 1 for i, name in enumerate(others)}


def _nuisances(workspace: Workspace, columns: Sequence[tuple[Process, int]], shaped: set[str]) -> Iterator[str]:
    for parameter in workspace.parameters:
        cells = []
        for process, _ in columns:
            if parameter.name not in process.variations:
                cells.append("-")
            elif parameter.name in shaped:
                cells.append("1")
            else:
                up, down = _factors(process, parameter.name) or (1.0, 1.0)
                cells.append(f"{down:.12g}/{up:.12g}")
        if any(cell != "-" for cell in cells):
            yield f"{parameter.name} {'shape' if parameter.name in shaped else 'lnN'} {' '.join(cells)}"


def _parameters(workspace: Workspace, found: Sequence[Process]) -> Iterator[str]:
    """Couplings and free parameters, which the weights take."""
    for parameter in workspace.parameters:
        points = [p.points[:, p.parameters.index(parameter.name)] for p in found if parameter.name in p.parameters]
        if points and parameter.kind in ("coupling", "free"):
            reach = _RANGE * max(1e-6, *(float(np.abs(row - parameter.default).max()) for row in points))
            low, high = parameter.bounds
            low = parameter.default - reach if low is None else max(low, parameter.default - reach)
            high = parameter.default + reach if high is None else min(high, parameter.default + reach)
            yield f"{parameter.name} extArg {parameter.default:.12g} [{low:.12g},{high:.12g}]"


def _weights(columns: Sequence[tuple[Process, int]]) -> Iterator[str]:
    for process, k in columns:
        if process.parameters:
            where = f"{process.channel.name} {process.name(k)}"
            label = f"weight__{process.channel.name}__{process.name(k)}"
            yield f"{label} rateParam {where} {process.weight(k)} {','.join(process.parameters)}"


def _notes(workspace: Workspace, couplings: Sequence[str], shaped: set[str]) -> Iterator[str]:
    yield (
        "Combine's own signal strength r has no meaning here: "
        f"`combine -M MultiDimFit --redefineSignalPOIs {','.join(couplings)} --setParameters r=1 --freezeParameters r`."
    )
    fixed = [p for p in workspace.parameters if p.kind == "coupling" and p.name not in couplings]
    if fixed:
        yield f"Fixed: {', '.join(f'{p.name} = {p.default:g}' for p in fixed)}."
    for parameter in workspace.parameters:
        if parameter.kind == "coupling" and parameter.name in couplings:
            yield f"1 of {parameter.name} is {parameter.scale:g} {parameter.unit}."
    yield (
        "Norms are log-normal between their factors at -1 and +1 sigma. They agree with the workspace there and at 0; "
        "elsewhere linear norms and HistFactory's polynomial differ from it."
    )
    if shaped:
        yield (
            f"{', '.join(sorted(shaped))}: templates at -1 and +1 sigma, between and beyond which Combine interpolates "
            "fractions and norms apart; expected counts agree with one of them at 0 or +-1 and the others at 0."
        )
    if any(len(channel.axes) > 1 for channel in workspace.channels):
        yield "Bins of several axes are unrolled in C order, the last axis fastest."
