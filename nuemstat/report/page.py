"""The page itself: sections in order, the pickers, and the template with its style and script."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from nuemstat import __version__
from nuemstat.main_job import JOINT
from nuemstat.plots import FAMILIES, JOINT_LOOK, Look, looks
from nuemstat.published_limits import published
from nuemstat.report import history, tables
from nuemstat.report.content import Results
from nuemstat.report.drawing import VARIABLES, Picture
from nuemstat.report.html import belonging, heading, paragraph, section
from nuemstat.report.joint import parts as joint_parts
from nuemstat.stats.results import FitResult
from nuemstat.writing import write_whole

Drawn = tuple[Picture, str]
_FILES = (
    ("SVG", ".svg"), ("PNG", ".png"), ("dark SVG", "-dark.svg"), ("dark PNG", "-dark.png"), ("data (CSV)", ".csv"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """All that the page shows.

    pictures : with their SVG; fit : of everything together;
    validation : rows of the comparison with published numbers; remarks : what could not be computed, and why.
    """

    results: Results
    pictures: tuple[Drawn, ...]
    fit: FitResult | None
    validation: Sequence[Mapping[str, Any]]
    remarks: tuple[str, ...]


def write_page(folder: Path, page: Page) -> Path:
    """Write index.html into the folder."""
    sections = _sections(page)
    links = "".join(f'<li><a href="#{identity}">{escape(title)}</a></li>' for identity, title, _ in sections)
    results = page.results
    names = [name for name in results.experiments if name != "joint"]
    level = results.limits[0].cl
    text = Template(_resource("page.html")).substitute(
        title="Limits on electromagnetic properties of neutrinos",
        summary=escape(
            f"{len(results.couplings)} couplings, {len(names)} experiments ({', '.join(names)})"
            f"{' and their joint fit' if results.joint is not None else ''}, {100 * level:g} % confidence level."
        ),
        style=_resource("style.css"),
        script=_resource("script.js"),
        links=links,
        pickers=_pickers(results),
        sections="\n".join(section(identity, title, *parts) for identity, title, parts in sections),
        version=escape(__version__),
    )
    path = folder / "index.html"
    write_whole(path, text)
    return path


def _resource(name: str) -> str:
    return files("nuemstat.report").joinpath("resources", name).read_text(encoding="utf-8")


def _sections(page: Page) -> list[tuple[str, str, list[str]]]:
    results, by_kind = page.results, _by_kind(page.pictures)
    joint = "joint fit" if results.joint is not None else "fit"
    found: list[tuple[str, str, list[str]]] = [
        ("limits", "Limits", [
            paragraph("Largest |value|: of the whole observed set below the threshold. Expected: median and band of it "
                      "for data without new physics, from a profile of Asimov data for couplings that enter squared, "
                      "by toys where the results have them; else of Asimov data alone, without a band. z: how far the "
                      "observed one lies above the median, in sigma. Knowing the bound: the same with thresholds for a "
                      "coupling that cannot be negative. Published: from the same data, often with other systematics. "
                      "Ratio: ours over published, where pieces of our set that meet none of theirs do not count "
                      "(publications often leave them out); a remark says what is known where it is far from 1."),
            tables.limits(results, history.of_the_same_data())]),
        ("profiles", "Profiles", [
            paragraph("Twice the log-likelihood above its minimum, nuisances fitted; the joint fit is the thick line."),
            _figures(by_kind["profile"])]),
        ("history", "History", [
            paragraph("Largest absolute value allowed, by year. Open symbols are numbers that were seen in quotations "
                      "only; bars span intervals without zero; dotted lines go to twice the value of a radius whose "
                      "convention was not seen; stars are ours, the joint fit at the right end. Orders of magnitude "
                      "and limits under conditions of their own stand in the table only. Numbers of the Particle Data "
                      "Group (CC BY 4.0; F. Takahashi et al., Int. J. Mod. Phys. A 41 (2026) 2630011) are selected "
                      "and converted."),
            _figures(by_kind["history"]), tables.history(published())]),
        ("spectra", "Spectra", [
            paragraph("Each experiment's own best fit, and its best fits with a universal coupling held at its limit."),
            _figures(by_kind["spectrum"])]),
    ]  # fmt: skip
    if by_kind["limits"]:
        words = (
            "Observed sets on the 1 and 2 sigma bands of both expected ends; ends without a band are those of Asimov "
            "data, outermost where such a set has several pieces."
        )
        found.insert(2, ("expected", "Observed and expected", [paragraph(words), _figures(by_kind["limits"])]))
    if by_kind["contour"]:
        words = (
            "Regions of two couplings together, every piece of them, for the experiments that limit one of them best."
        )
        found.insert(2, ("contours", "Two couplings", [paragraph(words), _figures(by_kind["contour"])]))
    if results.shares is not None and results.joint is not None:
        found.append(("joint", "The joint fit", joint_parts(results.shares, results.couplings)))
        joint = "best fit"
    found.append(("fit", joint.capitalize(), _fit_parts(page, by_kind)))
    if len(results.members) > 1:
        found.append(("shared", "Shared nuisances", [tables.shared(results.members)]))
    found += [
        ("validation", "Validation", _validation(page)),
        ("provenance", "Provenance", [tables.provenance(results.members)]),
    ]
    return found


def _fit_parts(page: Page, by_kind: Mapping[str, list[Drawn]]) -> list[str]:
    parts = []
    if page.fit is not None:
        words = f"2 NLL = {page.fit.q_min:.2f} for {page.fit.ndof} degrees of freedom, p = {page.fit.p_value:.3g}, "
        parts.append(paragraph(words + "couplings at their Standard Model values."))
        parts += [heading("Pulls"), _figures(by_kind["pulls"])]
        parts.append(tables.pulls(page.fit, page.results.joint or page.results.members[0]))
    if by_kind["impacts"]:
        parts += [heading("Impacts"), _figures(by_kind["impacts"])]
    if page.remarks:
        parts += [heading("What could not be computed"), *(paragraph(text) for text in page.remarks)]
    return parts


def _validation(page: Page) -> list[str]:
    if not page.validation:
        return [paragraph("Not computed for this report; `nuemstat report --validate` does it.")]
    broken = sum(row.get("verdict") == "broken" for row in page.validation)
    alone = sum(row.get("counts_as") in ("gated", "shown") for row in page.validation)
    words = f"{len(page.validation)} comparisons, {alone} independent published numbers (an interval is one; numbers "
    words += "from memory, inputs and repetitions do not count). "
    words += f"{broken} gated tolerances are broken. Gated rows fail the "
    words += "validation when they differ by more than the tolerance; the others are shown with the reason."
    return [paragraph(words), tables.validation(page.validation)]


def _by_kind(pictures: Iterable[Drawn]) -> dict[str, list[Drawn]]:
    kinds = ("limits", "profile", "history", "contour", "spectrum", "pulls", "impacts")
    found: dict[str, list[Drawn]] = {kind: [] for kind in kinds}
    for picture, text in pictures:
        found[picture.name.partition("-")[0]].append((picture, text))
    return found


def _figures(drawn: Iterable[Drawn]) -> str:
    figures = []
    for picture, text in drawn:
        links = ", ".join(
            f'<a href="pictures/{picture.name}{ending}">{label}<span class="hidden"> of '
            f"{escape(picture.title)}</span></a>"
            for label, ending in _FILES
        )
        caption = f'<figcaption>{escape(picture.title)}<span class="files">: {links}</span></figcaption>'
        figures.append(f"<figure{belonging(picture.experiment, picture.coupling)}>{text}{caption}</figure>")
    return f'<div class="figures">{"".join(figures)}</div>'


def _pickers(results: Results) -> str:
    chosen = {JOINT: JOINT_LOOK, **looks(results.groups)}
    groups = {name: results.groups.get(name, "") for name in results.experiments}
    experiments = ""
    for group in dict.fromkeys(sorted(groups.values(), key=[*FAMILIES, ""].index)):
        boxes = "".join(_choice("experiment", n, _swatch(chosen[n])) for n, own in groups.items() if own == group)
        title = f"<b>{escape(group)}</b> " if group and len(set(groups.values()) - {""}) > 1 else ""
        experiments += f'<div class="choices">{title}{boxes}</div>'
    couplings = "".join(_choice("coupling", name, "") for name in results.couplings)
    return _picker("Experiments", "experiment", experiments) + _picker("Couplings", "coupling", couplings)


def _picker(title: str, what: str, choices: str) -> str:
    return (
        f'<details open><summary>{title}</summary><fieldset><legend class="hidden">{title}</legend>'
        f'<button type="button" data-all="{what}">all</button> <button type="button" data-none="{what}">none</button> '
        f"{choices}</fieldset></details>"
    )


def _choice(what: str, name: str, swatch: str) -> str:
    box = f'<input type="checkbox" checked data-pick="{what}" value="{escape(name)}">'
    return f'<label class="choice">{box}{swatch} {escape(name)}</label>'


def _swatch(look: Look) -> str:
    dashes = "" if look.dashes == "solid" else f' stroke-dasharray="{" ".join(str(n) for n in look.dashes[1])}"'
    colour = VARIABLES.get(look.colour.lower(), "ink")
    return (
        f'<svg class="swatch" viewBox="0 0 28 8" aria-hidden="true"><line x1="0" x2="28" y1="4" y2="4" '
        f'stroke="var(--{colour})" stroke-width="{look.width}"{dashes}/></svg>'
    )
