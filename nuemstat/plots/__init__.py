"""Pictures of results, drawn on an `Axes` that the caller owns; no state of matplotlib is touched."""

from nuemstat.plots.bands import Band, bands, bands_picture
from nuemstat.plots.contours import contours, contours_picture
from nuemstat.plots.diagnostics import (
    Pull,
    correlation,
    correlation_picture,
    impacts,
    impacts_picture,
    pulls,
    pulls_of_fit,
    pulls_of_impacts,
    pulls_picture,
)
from nuemstat.plots.profiles import TOP, Curve, profile, profile_picture
from nuemstat.plots.style import COLOURS, FORMATS, JOINT_COLOUR, STYLES, check_ending, symbol

__all__ = [
    "COLOURS",
    "FORMATS",
    "JOINT_COLOUR",
    "STYLES",
    "TOP",
    "Band",
    "Curve",
    "Pull",
    "bands",
    "bands_picture",
    "check_ending",
    "contours",
    "contours_picture",
    "correlation",
    "correlation_picture",
    "impacts",
    "impacts_picture",
    "profile",
    "profile_picture",
    "pulls",
    "pulls_of_fit",
    "pulls_of_impacts",
    "pulls_picture",
    "symbol",
]
