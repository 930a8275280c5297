"""Absolute predictions of a model, without the counts that a publication states for its signals."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nuemstat.model.expansion import Version
from nuemstat.model.loader import Model
from nuemstat.model.templates import Bench
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.vocabulary import COUPLINGS


def predicted_yields(model: Model) -> dict[str, dict[str, float]]:
    """Counts of the signals by channel and process from source, target, live time and response alone.

    In the unit of the channel, nuisances at their centres, couplings at their Standard Model values. What
    `standard_model_counts` states is left out: these are the numbers to hold against it.

    Raises
    ------
    ModelError : the model does not fit.
    """
    version = Version(_unscaled(model.raw), model.path, Bench(model.files))
    couplings = scheme(version.document.conventions.couplings)
    defaults = {name: default_value(name, couplings) for name in COUPLINGS}
    found: dict[str, dict[str, float]] = {}
    for (channel, process), poly in version.templates.items():
        if process in version.document.signals:
            found.setdefault(channel, {})[process] = float(np.sum(poly.evaluate(defaults)))
    return found


def _unscaled(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The model file without the stated counts of its signals."""
    signals = {
        name: {key: value for key, value in signal.items() if key != "standard_model_counts"}
        for name, signal in raw["signals"].items()
    }
    return {**raw, "signals": signals}
