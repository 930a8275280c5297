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
from nuemstat.plots.looks import COLOURS, DASHES, FAMILIES, JOINT_COLOUR, JOINT_LOOK, Look, group_of, looks
from nuemstat.plots.number_scans import LimitCurve, number_scan, number_scan_picture
from nuemstat.plots.profiles import TOP, Curve, limit_picture, profile, profile_picture, shade
from nuemstat.plots.style import FORMATS, STYLES, check_ending, check_style, symbol, use_style

__all__ = [
    "COLOURS",
    "DASHES",
    "FAMILIES",
    "FORMATS",
    "JOINT_COLOUR",
    "JOINT_LOOK",
    "STYLES",
    "TOP",
    "Band",
    "Curve",
    "LimitCurve",
    "Look",
    "Pull",
    "bands",
    "bands_picture",
    "check_ending",
    "check_style",
    "contours",
    "contours_picture",
    "correlation",
    "correlation_picture",
    "group_of",
    "impacts",
    "impacts_picture",
    "limit_picture",
    "looks",
    "number_scan",
    "number_scan_picture",
    "profile",
    "profile_picture",
    "pulls",
    "pulls_of_fit",
    "pulls_of_impacts",
    "pulls_picture",
    "shade",
    "symbol",
    "use_style",
]
