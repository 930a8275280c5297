"""One shape modifier at one value of its nuisance, bin by bin: for checks and exports, not for fits."""

import numpy as np

from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import Channel
from nuemstat.workspace.interpolation import anchor_weights
from nuemstat.workspace.modifiers import Shape


def interpolated(channel: Channel, shape: Shape, alpha: float) -> FloatArray:
    """The change of contents, or the logarithm of the ratio, at one value of the nuisance."""
    weights = anchor_weights(shape.parameter, tuple(anchor.alpha for anchor in shape.anchors))
    values = np.array([anchor.values for anchor in shape.anchors])
    values = values if shape.interpolation == "additive" else np.log(values)
    total = sum(weight(alpha) * row for weight, row in zip(weights, values, strict=True))
    return over_all_axes(channel, shape, np.asarray(total))


def over_all_axes(channel: Channel, shape: Shape, values: FloatArray) -> FloatArray:
    """Values along a shape's axes, in the order in which it lists them, as values of all bins."""
    if shape.axes is None:
        return values
    names = [axis.name for axis in channel.axes]
    places = [names.index(name) for name in shape.axes]
    block = values.reshape([channel.shape[place] for place in places]).transpose(np.argsort(places))
    lengths = [n if place in places else 1 for place, n in enumerate(channel.shape)]
    return np.broadcast_to(block.reshape(lengths), channel.shape).ravel()
