"""A background of which nothing is known: a free parameter in each bin, not below zero (`free: per_bin`).

Expected counts of a bin are parameter x scale, with scale the counts that were observed beyond the rest of the
prediction (couplings at their defaults, nuisances at their centres), at least a tenth. At 1, its default, the
prediction without new physics then is what was observed, wherever more was observed than the rest predicts, and a
tenth of a count more than the rest elsewhere: nearly the conditional best fit of the data.
"""

import numpy as np

from nuemstat.errors import ModelError
from nuemstat.model.schema import ModelDocument
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import FreeParameter, Sample, rounded
from nuemstat.workspace.modifiers import ShapeFactor

LEAST = 0.1
"""Counts: the smallest scale of a bin, where no more was observed than the rest predicts."""


def unknown_backgrounds(document: ModelDocument) -> tuple[str, ...]:
    """Names of the backgrounds that are free in each bin."""
    return tuple(name for name, background in document.backgrounds.items() if background.free is not None)


def parameter_name(document: ModelDocument, process: str, channel: str) -> str:
    """Of the shape factor of one channel; fits have ``<name>__bin0`` and so on of it."""
    return f"{document.name}__{process}__{channel}"


def scale_of_bins(observed: FloatArray, rest: FloatArray) -> FloatArray:
    """Counts of each bin at the value 1 of its parameter: observed beyond the rest, at least `LEAST`."""
    return np.maximum(observed - rest, LEAST)


def per_bin_samples(
    document: ModelDocument, channel: str, observed: FloatArray, rest: FloatArray, grown: float = 1.0
) -> list[Sample]:
    """The samples of a channel.

    observed, rest : counts, and what the other processes predict with couplings at their defaults, shape (n_bins,);
    grown : how much larger the channel is now than when it observed them.

    Raises
    ------
    ModelError : the channel observes its own prediction, of which an unknown background has none.
    """
    found = unknown_backgrounds(document)
    if found and document.channels[channel].observed == "asimov":
        raise ModelError(
            f"backgrounds.{found[0]}: free: per_bin has no prediction, and channel {channel} observes 'asimov', its "
            "prediction; observed counts are allowed"
        )
    return [
        Sample(
            name=process,
            process=process,
            contents=rounded(scale_of_bins(observed, rest) * grown),
            modifiers=(ShapeFactor(parameter=parameter_name(document, process, channel)),),
        )
        for process in found
    ]


def per_bin_parameters(document: ModelDocument) -> list[FreeParameter]:
    """One shape factor for each channel, bounded at 0."""
    return [
        FreeParameter(
            name=parameter_name(document, process, channel),
            quantity=f"{process} in each bin of {channel}, over what is observed beyond the rest of the prediction",
            unit="1",
            default=1.0,
            bounds=(0.0, None),
        )
        for process in unknown_backgrounds(document)
        for channel in document.channels
    ]
