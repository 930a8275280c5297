"""Writes a workspace as histograms: for Combine, TRExFitter, cabinetry, and for a look in a ROOT browser.

One folder per channel, with `data_obs`, each sample, and for each nuisance that changes a sample's shape
``<sample>_<nuisance>Up`` and ``...Down`` (at +1 and -1). Bins are those of the channel's axes: TH1, TH2 or TH3; the
bins of more axes are numbered through in C order, the last axis fastest, in a TH1.
`anchors` holds every shape at all its anchors, bins along x and anchors along y. The text `workspace` is the native
document with the name of a histogram in the place of each array, so that `from_root` gives back what was written.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat.detector.response import ResponseMatrix
from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.units import unit
from nuemstat.workspace.document import Channel, Sample, Workspace
from nuemstat.workspace.pyhf_samples import varied as changed

TEXT = "workspace"
"""The name of the document inside the file."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Bin contents with their axes.

    values : shape as the axes'; axes : title and edges of each, one to three.
    """

    values: FloatArray
    axes: tuple[tuple[str, FloatArray], ...]


def write_root(workspace: Workspace, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write all templates, variations and anchors of a workspace into one ROOT file.

    Raises
    ------
    WorkspaceError : the file cannot be written, or it is there already and `force` is not set.
    """
    check_new([Path(path)], force=force)
    histograms = dict(_all(workspace))
    text = json.dumps(skeleton(workspace), allow_nan=False)
    write_file(Path(path), histograms, {TEXT: text})


def write_response(
    response: ResponseMatrix, path: str | os.PathLike[str], *, name: str = "response", recoil_unit: str = "keV"
) -> None:
    """Write a response as a TH2, recoil energy along x, in the form that `nuemstat.detector.supplied` reads.

    Raises
    ------
    WorkspaceError : the file cannot be written.
    """
    axes = (
        (f"recoil energy [{recoil_unit}]", response.recoil_edges / unit(recoil_unit).scale),
        (
            f"{response.visible_name} [{response.visible_unit}]",
            response.visible_edges / unit(response.visible_unit).scale,
        ),
    )
    write_file(Path(path), {name: Histogram(response.matrix, axes)}, {})


def write_file(path: Path, histograms: Mapping[str, Histogram], texts: Mapping[str, str]) -> None:
    """Write histograms and texts by name; the file is there whole or not at all.

    Raises
    ------
    WorkspaceError : it cannot be written.
    """
    import uproot

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            with uproot.recreate(temporary) as file:
                for name, text in texts.items():
                    file[name] = text
                for name, histogram in histograms.items():
                    file[name] = _as_root(histogram)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be written ({error.strerror or error})") from None


def skeleton(workspace: Workspace) -> dict[str, Any]:
    """The native document with the name of a histogram in the place of each array of numbers."""
    document = workspace.content()
    for channel in document["channels"]:
        for part in ("observed", "errors", "errors_below", "covariance"):
            if part in channel:
                channel[part] = data_name(channel["name"], part)
        for sample in channel["samples"]:
            sample["contents"] = f"{channel['name']}/{sample['name']}"
            if "errors" in sample:
                sample["errors"] = f"{channel['name']}/{sample['name']}__errors"
            for number, modifier in enumerate(sample["modifiers"]):
                _point(modifier, number, channel["name"], sample["name"])
    return document


def data_name(channel: str, part: str) -> str:
    """Name of the histogram of a channel's data: observed, errors or covariance."""
    return f"{channel}/{'data_obs' if part == 'observed' else part}"


def _point(modifier: dict[str, Any], number: int, channel: str, sample: str) -> None:
    """Replace the arrays of a modifier by names of histograms."""
    place = f"anchors/{channel}/{sample}__{number}__{modifier['parameter']}"
    if modifier["type"] == "shape":
        modifier["alphas"] = [anchor["alpha"] for anchor in modifier["anchors"]]
        modifier["anchors"] = place
    elif modifier["type"] == "histosys":
        del modifier["hi_data"], modifier["lo_data"]
        modifier["data"] = place
    elif modifier["type"] in ("shapesys", "staterror"):
        modifier["data"] = place


def _all(workspace: Workspace) -> Iterator[tuple[str, Histogram]]:
    """Every histogram of the file with its name."""
    for channel in workspace.channels:
        yield data_name(channel.name, "observed"), in_bins(channel, channel.observed)
        if channel.errors is not None:
            yield data_name(channel.name, "errors"), in_bins(channel, channel.errors)
        if channel.errors_below is not None:
            yield data_name(channel.name, "errors_below"), in_bins(channel, channel.errors_below)
        if channel.covariance is not None:
            numbers = ("bin", np.arange(channel.size + 1.0))
            yield data_name(channel.name, "covariance"), Histogram(np.array(channel.covariance), (numbers, numbers))
        for sample in channel.samples:
            yield f"{channel.name}/{sample.name}", in_bins(channel, sample.contents)
            if sample.errors is not None:
                yield f"{channel.name}/{sample.name}__errors", in_bins(channel, sample.errors)
            yield from _variations(channel, sample)
            yield from _anchors(channel, sample)


def _variations(channel: Channel, sample: Sample) -> Iterator[tuple[str, Histogram]]:
    for name in shaped_by(sample):
        for end, alpha in (("Up", 1.0), ("Down", -1.0)):
            yield f"{channel.name}/{sample.name}_{name}{end}", in_bins(channel, varied(channel, sample, name, alpha))


def _anchors(channel: Channel, sample: Sample) -> Iterator[tuple[str, Histogram]]:
    for number, modifier in enumerate(sample.modifiers):
        rows: Sequence[Sequence[float]] = ()
        if modifier.type == "shape":
            rows = [anchor.values for anchor in modifier.anchors]
        elif modifier.type == "histosys":
            rows = [modifier.hi_data, modifier.lo_data]
        elif modifier.type in ("shapesys", "staterror"):
            rows = [modifier.data]
        if rows:
            values = np.array(rows).T
            axes = (("bin", np.arange(values.shape[0] + 1.0)), ("anchor", np.arange(values.shape[1] + 1.0)))
            yield f"anchors/{channel.name}/{sample.name}__{number}__{modifier.parameter}", Histogram(values, axes)


def shaped_by(sample: Sample) -> tuple[str, ...]:
    """The parameters that change a sample by more than a factor."""
    return tuple(dict.fromkeys(m.parameter for m in sample.modifiers if m.type in ("shape", "histosys")))


def varied(channel: Channel, sample: Sample, name: str, alpha: float) -> FloatArray:
    """Contents with one nuisance at a value, by its shapes, linear norms and histosys, all others at 0."""
    parts = [
        (modifier, 1.0)
        for modifier in sample.modifiers
        if modifier.parameter == name
        and (modifier.type in ("shape", "histosys") or (modifier.type == "norm" and modifier.interpolation == "linear"))
    ]
    return changed(channel, sample, parts, alpha)


def check_new(paths: Iterable[Path], *, force: bool) -> None:
    """A WorkspaceError if one of these files is there already, unless `force`."""
    for path in paths:
        if path.exists() and not force:
            raise WorkspaceError(f"{path}: is there already; it is kept unless --force is given")


def in_bins(channel: Channel, values: Sequence[float] | FloatArray) -> Histogram:
    """Values of all bins on the channel's axes, or on one axis that numbers them where ROOT has no histogram."""
    if len(channel.axes) > 3:
        names = " x ".join(axis.name for axis in channel.axes)
        return Histogram(np.asarray(values, dtype=float), ((f"bin ({names})", np.arange(channel.size + 1.0)),))
    axes = tuple((f"{axis.name} [{axis.unit}]", np.array(axis.edges)) for axis in channel.axes)
    return Histogram(np.asarray(values, dtype=float).reshape(channel.shape), axes)


def _as_root(histogram: Histogram) -> Any:
    """An object that uproot writes as TH1D, TH2D or TH3D."""
    from uproot.writing import identify

    kinds = {1: identify.to_TH1x, 2: identify.to_TH2x, 3: identify.to_TH3x}
    axes = []
    for letter, (title, edges) in zip("xyz", histogram.axes, strict=False):
        even = np.array_equal(edges, np.linspace(edges[0], edges[-1], len(edges)))
        bins = None if even else np.asarray(edges, dtype=float)
        axes.append(identify.to_TAxis(f"{letter}axis", title, len(edges) - 1, edges[0], edges[-1], fXbins=bins))
    flow = np.pad(histogram.values, 1).T.ravel()  # under- and overflow; ROOT counts along x first
    sums = {1: 4, 2: 7, 3: 11}[len(axes)]
    statistics = [float(histogram.values.sum()), *[0.0] * (sums - 1)]
    entries = float(histogram.values.size)
    return kinds[len(axes)](None, "", flow, entries, *statistics, np.zeros(0), *axes)
