"""Factors on the signals: the unit of a channel, the exposure of its bins, counts that a publication states."""

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.model.loader import ModelFiles
from nuemstat.model.observed import read_column
from nuemstat.model.released import released_factor
from nuemstat.model.schema import ChannelField, ModelDocument
from nuemstat.model.templates import Templates
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.polynomial import FloatArray
from nuemstat.vocabulary import COUPLINGS

Scales = dict[tuple[str, str], FloatArray]
"""(channel, process) -> factor per bin."""


def signal_scales(document: ModelDocument, files: ModelFiles, templates: Templates, references: Templates) -> Scales:
    """What the signals of a model are multiplied by.

    templates : of the model as it stands, none of its nuisances moved: `standard_model_counts` refer to it;
    references : of those signals whose released numbers stand for other neutrinos, see `reference_templates`.

    """
    couplings = scheme(document.conventions.couplings)
    defaults = {name: default_value(name, couplings) for name in COUPLINGS}
    found: Scales = {}
    for process, signal in document.signals.items():
        for name in signal.channels:
            found[name, process] = _of_channel(document.channels[name], files)
            if signal.released is not None and signal.released.use != "shares":
                own = references.get((name, process), templates[name, process]).evaluate(defaults)
                factor = released_factor(signal.released, document.channels[name], files, own, name)
                found[name, process] = found[name, process] * factor
        if signal.standard_model_counts is not None:
            total = sum(
                float(np.sum(templates[name, process].evaluate(defaults) * found[name, process]))
                for name in signal.channels
            )
            for name in signal.channels:
                found[name, process] = found[name, process] * (signal.standard_model_counts.number / total)
    return found


def scaled(templates: Templates, scales: Scales) -> Templates:
    """The signals times their factors."""
    return {key: poly * scales[key] for key, poly in templates.items()}


def _of_channel(channel: ChannelField, files: ModelFiles) -> FloatArray:
    factor = np.array(1 / units.parse(channel.unit, units.unit(channel.unit.partition(" ")[2]).dimension))
    return factor if channel.bin_exposure is None else factor * read_column(channel, channel.bin_exposure, files)


def check_windows(document: ModelDocument, templates: Templates) -> None:
    """A ModelError where a signal has no counts in a channel, whose window then lies outside of the response."""
    for process, signal in document.signals.items():
        for name in signal.channels:
            _check_window(document, process, name, templates)


def _check_window(document: ModelDocument, process: str, name: str, templates: Templates) -> None:
    if any(np.any(values) for values in templates[name, process].terms.values()):
        return
    axis = document.channels[name].axes[0]
    response = document.responses[document.signals[process].response_in(name)]
    reach = f"recoils from {response.recoil.minimum} to {response.recoil.maximum}" if response.recoil else "a matrix"
    raise ModelError(
        f"{document.name}: channels.{name}: no {process} is seen from {axis.values[0]:g} to {axis.values[-1]:g} "
        f"{axis.unit}; the window must overlap what its response gives ({reach}) of the neutrinos of the source"
    )
