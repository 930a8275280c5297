"""Which pictures a report has, and how each is drawn; every one comes with its data and with words for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import chi2

from nuemstat import plots
from nuemstat.report.content import Results
from nuemstat.report.drawing import Picture
from nuemstat.report.history import Point
from nuemstat.report.spectra import Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES: Final = plots.DASHES
GREY: Final = "#7f7f7f"
_MARKERS: Final = {"official": "o", "phenomenology": "s", "astrophysical": "^", "sensitivity": "D", "ours": "*"}
_ROWS: Final = 36
"""Nuisances of one picture of pulls."""
_FLAVOURS: Final = {"e": 0, "mu": 1, "tau": 2, "solar": 3, "any": 4}


def limits(results: Results) -> list[Picture]:
    """Observed sets beside what is expected, one picture per coupling that has an expectation."""
    found = []
    for coupling in results.couplings:
        entries = [e for e in results.limits if e.coupling == coupling and (e.expected or {}).get("asimov")]
        if not entries:
            continue
        rows = [plots.Band.of(entry.experiment, entry) for entry in entries]
        names = ", ".join(row.label for row in rows)
        first = entries[0]
        found.append(
            Picture(
                name=f"limits-{coupling}",
                title=f"Observed and expected limits on {coupling}",
                alt=f"{coupling} in {first.unit} at {100 * first.cl:g} % for {names}: observed sets on the bands of "
                "the expected ends where these are known. The numbers are in the table of limits.",
                csv=_csv(
                    f"observed and expected ends of {coupling} [{first.unit}], empty where open or not known",
                    ("experiment", "observed_low", "observed_high", "expected_low", "expected_high",
                     "expected_high_minus_1_sigma", "expected_high_plus_1_sigma"),
                    [_ends_of(row) for row in rows],
                ),
                draw=partial(_draw_limits, rows, coupling, first.cl),
                size=(5.6, 1.3 + 0.32 * max(len(rows), 2)),
                coupling=coupling,
            )
        )  # fmt: skip
    return found


def _ends_of(row: plots.Band) -> str:
    """One line of the table beside a picture: outermost observed ends, expected ones, band of the upper one."""
    ends = (row.observed[0][0], row.observed[-1][1]) if row.observed else (None, None)
    numbers = (*ends, *row.median, *(row.band68[1] or (None, None)))
    return ",".join([row.label, *("" if value is None else f"{value:.6g}" for value in numbers)])


def _draw_limits(rows: Sequence[plots.Band], coupling: str, level: float, figure: "Figure") -> None:
    plots.bands(figure.add_subplot(), rows, coupling=coupling, level=level, colours=("#d0d0d0", "#ebebeb"))


def profiles(results: Results) -> list[Picture]:
    """Delta chi2 along every coupling, one curve per experiment."""
    found = []
    for coupling, curves in results.profiles.items():
        if not curves:
            continue
        first = next(entry for entry in results.limits if entry.coupling == coupling)
        threshold = float(chi2.ppf(first.cl, 1))
        rows = [f"{c.label},{v:.9g},{q:.6g}" for c in curves for v, q in zip(c.values, c.delta, strict=True)]
        names = ", ".join(curve.label for curve in curves)
        found.append(
            Picture(
                name=f"profile-{coupling}",
                title=f"Profile of {coupling}",
                alt=f"Delta chi2 against {coupling} in {first.unit} for {names}; the line at {threshold:.3f} is "
                f"{100 * first.cl:g} %. The limits are in the table of limits.",
                csv=_csv(
                    f"2 NLL above its minimum along {coupling}",
                    ("experiment", f"{coupling} [{first.unit}]", "delta_chi2"),
                    rows,
                ),
                draw=partial(_draw_profile, curves, coupling, threshold, first.cl),
                size=(4.6, 3.5 + 0.17 * (len(curves) // 2)),
                coupling=coupling,
            )
        )
    return found


def _draw_profile(
    curves: Sequence[plots.Curve], coupling: str, threshold: float, level: float, figure: "Figure"
) -> None:
    axes = figure.add_subplot()
    plots.profile(axes, curves, coupling=coupling, threshold=threshold, level=level)
    names = {curve.label for curve in curves}
    for line in axes.lines:
        if line.get_label() in names:
            line.set_gid(f"who:{line.get_label()}")


def histories(published: Sequence[Point], ours: Sequence[Point]) -> list[Picture]:
    """Limits by year, one picture per kind of coupling; ours on top."""
    found = []
    for coupling in dict.fromkeys(row.coupling for row in (*published, *ours)):
        rows = [row for row in (*published, *ours) if row.coupling == coupling]
        unit = rows[0].unit
        cells = [
            f"{r.experiment},{r.flavour},{r.year},{r.low:.6g},{r.size:.6g},{r.doubtful:g},{r.origin},{r.status}"
            for r in rows
        ]
        found.append(
            Picture(
                name=f"history-{coupling}",
                title=f"Limits on {coupling} by year",
                alt=f"{len(rows)} limits between {min(r.year for r in rows)} and {max(r.year for r in rows)}, "
                f"the largest allowed absolute value in {unit} on a logarithmic axis; open symbols are numbers seen "
                "in quotations only; bars span intervals without zero; dotted lines go to twice the value where the "
                "convention of a radius is not known; stars are ours. The table of published limits has them all.",
                csv=_csv(
                    f"limits on {coupling} by year",
                    ("experiment", "flavour", "year", f"low [{unit}]", f"size [{unit}]", "doubtful by", "origin",
                     "status"),
                    cells,
                ),
                draw=partial(_draw_history, rows, coupling),
                size=(5.6, 4.6),
            )
        )  # fmt: skip
    return found


def _colour(flavour: str) -> str:
    return plots.COLOURS[_FLAVOURS[flavour]].lower() if flavour in _FLAVOURS else GREY


def _draw_history(rows: Sequence[Point], coupling: str, figure: "Figure") -> None:
    axes = figure.add_subplot()
    axes.set_yscale("log")
    for row in sorted(rows, key=lambda row: row.origin == "ours"):
        colour = _colour(row.flavour)
        mine, quoted = row.origin == "ours", row.status == "quoted"
        if row.low:
            axes.plot([row.year] * 2, [row.low, row.size], color=colour, linewidth=1.6)
        if row.doubtful > 1:
            axes.plot([row.year] * 2, [row.size, row.doubtful * row.size], color=colour, linewidth=1, linestyle=":")
        axes.plot(
            [row.year],
            [row.size],
            marker=_MARKERS[row.origin],
            markersize=11 if mine else 6,
            color=colour,
            markerfacecolor="#ffffff" if quoted else colour,
            markeredgecolor=plots.JOINT_COLOUR if mine else colour,
            markeredgewidth=0.7 if mine else 1.2,
            linestyle="none",
            gid=f"tip:{row.experiment} {row.year}, {row.flavour}, {row.size:.3g} {row.unit}"
            + (", quoted" if quoted else ""),
        )
    first, last = min(row.year for row in rows), max(row.year for row in rows)
    for row in _apart(_records(rows), rows):
        late = row.year > first + 0.8 * (last - first)
        axes.annotate(row.experiment, (row.year, row.size), xytext=(-4 if late else 4, 4), textcoords="offset points",
                      fontsize=6.5, ha="right" if late else "left")  # fmt: skip
    _history_legend(axes, rows)
    axes.set_xlabel("year")
    axes.set_ylabel(f"limit on |{plots.symbol(coupling).replace('$  [', '$|  [')}")
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)


def _history_legend(axes: "Axes", rows: Sequence[Point]) -> None:
    from matplotlib.lines import Line2D

    origins = [origin for origin in _MARKERS if any(row.origin == origin for row in rows)]
    flavours = [name for name in _FLAVOURS if any(row.flavour == name for row in rows)]
    handles = [Line2D([], [], marker=_MARKERS[k], color=GREY, linestyle="none", label=k) for k in origins]
    if any(row.status == "quoted" for row in rows):
        handles.append(
            Line2D([], [], marker="o", color=GREY, markerfacecolor="#ffffff", linestyle="none", label="quoted only")
        )
    handles += [Line2D([], [], color=_colour(name), linewidth=5, label=f"flavour {name}") for name in flavours]
    if any(row.flavour not in _FLAVOURS for row in rows):
        handles.append(Line2D([], [], color=GREY, linewidth=5, label="others"))
    axes.legend(
        handles=handles, frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3
    )


def _records(rows: Sequence[Point]) -> list[Point]:
    """Laboratory limits that were the strongest of their flavour when they came, the first and every halving; numbers
    that are quoted only set no record."""
    best: dict[str, float] = {}
    found = []
    for row in sorted(rows, key=lambda row: (row.year, row.size)):
        laboratory = row.origin in ("official", "phenomenology") and row.status != "quoted" and not row.low
        if laboratory and row.size < 0.55 * best.get(row.flavour, np.inf):
            best[row.flavour] = row.size
            found.append(row)
    return found


def _apart(chosen: Sequence[Point], rows: Sequence[Point]) -> list[Point]:
    """Those whose names can be written without covering each other; the wide axes are measured by all rows."""
    years = max(row.year for row in rows) - min(row.year for row in rows) or 1
    decades = np.log10(max(row.size for row in rows) / min(row.size for row in rows)) or 1.0
    kept: list[Point] = []
    for row in chosen:
        beside = [r for r in kept if abs(r.year - row.year) < 0.24 * years]
        if all(abs(np.log10(r.size / row.size)) > 0.045 * decades for r in beside):
            kept.append(row)
    return kept


def spectra(found: Sequence[Spectrum]) -> list[Picture]:
    """Data, best fit and processes of every channel, and the best fits with couplings at their limits."""
    pictures = []
    for spectrum in found:
        columns = {"observed": spectrum.observed, "error": spectrum.errors}
        if (spectrum.errors_below != spectrum.errors).any():
            columns["error_below"] = spectrum.errors_below
        columns["best_fit"] = spectrum.total
        columns |= dict(spectrum.processes) | {f"{name}_at_limit": v for name, v in spectrum.at_limit.items()}
        table = np.column_stack([spectrum.edges[:-1], spectrum.edges[1:], *columns.values()])
        unit = spectrum.unit
        header = (f"low [{unit}]", f"high [{unit}]", *columns)
        limits = ", ".join(spectrum.at_limit) or "no coupling"
        pictures.append(
            Picture(
                name=f"spectrum-{spectrum.channel}-{spectrum.axis}",
                title=f"Spectrum of {spectrum.channel} along {spectrum.axis}",
                alt=f"{spectrum.observed.size} bins with {spectrum.observed.sum():.6g} observed and "
                f"{spectrum.total.sum():.6g} expected at the best fit; processes {', '.join(spectrum.processes)}; "
                f"lines with {limits} at the limit.",
                csv=_csv(
                    f"{spectrum.channel} along {spectrum.axis}, best fit of {spectrum.experiment} alone",
                    header,
                    [",".join(f"{x:.7g}" for x in row) for row in table],
                ),
                draw=partial(_draw_spectrum, spectrum),
                size=(4.6, 4.2),
                experiment=spectrum.experiment,
            )
        )
    return pictures


def _draw_spectrum(spectrum: Spectrum, figure: "Figure") -> None:
    axes = figure.add_subplot()
    edges = spectrum.edges
    middle = (edges[:-1] + edges[1:]) / 2
    axes.stairs(spectrum.total, edges, color=plots.JOINT_COLOUR, linewidth=1.8, label="best fit", zorder=4)
    largest = sorted(spectrum.processes, key=lambda name: -float(np.abs(spectrum.processes[name]).sum()))[:4]
    for i, name in enumerate(largest):
        counts = spectrum.processes[name]
        axes.stairs(counts, edges, color=GREY, linestyle=DASHES[i], linewidth=1.1, label=name, zorder=2)
    for i, (name, counts) in enumerate(spectrum.at_limit.items()):
        colour, dashes = plots.COLOURS[i].lower(), DASHES[i + 1]
        axes.stairs(counts, edges, color=colour, linestyle=dashes, linewidth=1.5, label=f"{name} at limit", zorder=3)
    many = spectrum.observed.size > 60
    bars = np.array([spectrum.errors_below, spectrum.errors])
    axes.errorbar(middle, spectrum.observed, bars, fmt=".", color=plots.JOINT_COLOUR,
                  markersize=2 if many else 4, elinewidth=0.6 if many else 0.9, label="data", zorder=5)  # fmt: skip
    if edges[0] > 0 and edges[-1] / edges[0] > 100:
        axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel(f"{spectrum.axis} [{spectrum.unit}]")
    axes.set_ylabel("counts per bin")
    _spectrum_scale(axes, spectrum)
    axes.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _spectrum_scale(axes: "Axes", spectrum: Spectrum) -> None:
    """Logarithmic where the counts span more than two decades, and always with the data in sight."""
    top = float((spectrum.observed + spectrum.errors).max())
    positive = spectrum.observed[spectrum.observed > 0]
    if positive.size > 3 and positive.max() > 100 * positive.min() and (spectrum.total > 0).all():
        axes.set_yscale("log")
        axes.set_ylim(0.5 * float(positive.min()), 2 * max(top, float(spectrum.total.max())))
    else:
        low = min(0.0, float((spectrum.observed - spectrum.errors_below).min()))
        axes.set_ylim(1.05 * low, 1.15 * max(top, float(spectrum.total.max())))


def pulls(rows: Sequence[plots.Pull], what: str) -> list[Picture]:
    """Pulls of the nuisances with their errors, in sigma of the constraints; no picture is longer than a page."""
    parts = -(-len(rows) // _ROWS)
    size = -(-len(rows) // max(parts, 1))
    return [_pulls(rows[i * size : (i + 1) * size], what, i + 1, parts) for i in range(parts)]


def _pulls(rows: Sequence[plots.Pull], what: str, part: int, parts: int) -> Picture:
    cells = [f"{r.name},{r.pull:.6g},{'' if r.constraint is None else format(r.constraint, '.6g')}" for r in rows]
    worst = max(rows, key=lambda row: abs(row.pull))
    of_all = f", part {part} of {parts}" if parts > 1 else ""
    return Picture(
        name=f"pulls-{part}" if parts > 1 else "pulls",
        title=f"Pulls of {what}{of_all}",
        alt=f"{len(rows)} nuisances, best fit minus centre in units of the constraint, with errors; "
        f"the largest is {worst.pull:+.2f} for {worst.name}. The table of pulls has them all.",
        csv=_csv(f"pulls of {what}{of_all}, in sigma of the constraint", ("nuisance", "pull", "error"), cells),
        draw=partial(_draw, plots.pulls, rows),
        size=(5.6, 0.9 + 0.21 * len(rows)),
    )


def _draw(function: Any, data: Any, figure: "Figure") -> None:
    function(figure.add_subplot(), data)


def impacts(found: Any) -> Picture:
    """What one error of each nuisance does to a coupling, the largest on top."""
    largest = max((impact.size for impact in found.impacts), default=0.0)
    kept = tuple(impact for impact in found.impacts if impact.size > 1e-3 * largest)
    found = replace(found, impacts=kept)
    rows = [f"{i.nuisance},{i.group}," + ",".join("" if v is None else f"{v:.6g}" for v in i.refit) for i in kept]
    first = kept[0].nuisance if kept else "none"
    return Picture(
        name=f"impacts-{found.coupling}",
        title=f"Impacts on {found.coupling}",
        alt=f"Shift of {found.coupling} in {found.unit} with each nuisance held one error below and above its best "
        f"fit, for the {len(kept)} largest; the largest is {first}.",
        csv=_csv(
            f"impacts on {found.coupling}",
            ("nuisance", "group", f"below [{found.unit}]", f"above [{found.unit}]"),
            rows,
        ),
        draw=partial(_draw, plots.impacts, found),
        size=(5.6, 1.3 + 0.21 * max(len(kept), 3)),
    )


def contour(found: Mapping[str, Any]) -> Picture:
    """Confidence regions of two couplings together, of one or several fits."""
    first = next(iter(found.values()))
    (a, b), rows = first.couplings, []
    for who, result in found.items():
        for region in result.regions:
            for number, piece in enumerate(region.components):
                for line, points in enumerate([piece.outline, *piece.holes]):
                    rows += [f"{who},{region.cl:g},{number},{line},{x:.7g},{y:.7g}" for x, y in points]
    levels = ", ".join(f"{100 * region.cl:g} %" for region in first.regions)
    best = "; ".join(
        f"best fit of {who} at ({r.best_fit[a]:.3g}, {r.best_fit[b]:.3g}), "
        f"{sum(len(region.components) for region in r.regions)} pieces"
        for who, r in found.items()
    )
    return Picture(
        name=f"contour-{a}-{b}",
        title=f"{a} and {b}",
        alt=f"Regions at {levels} of {a} in {first.units[0]} against {b} in {first.units[1]}; {best}.",
        csv=_csv(
            f"contours of {a} and {b}",
            ("experiment", "level", "piece", "line", f"{a} [{first.units[0]}]", f"{b} [{first.units[1]}]"),
            rows,
        ),
        draw=partial(_draw, plots.contours, dict(found)),
        size=(4.6, 4.2),
    )


def _csv(title: str, header: Sequence[str], rows: Sequence[str]) -> str:
    return "\n".join([f"# title: {title}", "# source: nuemstat report", ",".join(header), *rows]) + "\n"
