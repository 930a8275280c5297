"""Builds the page: reads a folder of results, computes what is not in it, draws, and writes index.html."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuemstat.errors import NuemstatError
from nuemstat.plots import pulls_of_fit
from nuemstat.report import content, history, pictures
from nuemstat.report.content import LimitEntry, Results
from nuemstat.report.drawing import Picture, render
from nuemstat.report.page import Page, write_page
from nuemstat.report.spectra import Spectrum, spectra
from nuemstat.stats.results import FitResult
from nuemstat.study import JOINT, Progress
from nuemstat.workspace.document import Workspace

PAIRS = (
    ("millicharge", "magnetic_moment"),
    ("charge_radius_ee", "charge_radius_mumu"),
    ("millicharge_ee", "millicharge_mumu"),
)
"""Couplings whose regions are drawn, where a fit holds both."""
KINDS = ("magnetic_moment", "millicharge", "charge_radius")
"""Couplings for which the impacts on the joint fit are computed."""


def build(
    folder: Path,
    *,
    models: Sequence[str] = (),
    couplings: Sequence[str] = (),
    validation: Sequence[Mapping[str, Any]] = (),
    contours: bool = True,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Path:
    """Add index.html and pictures/ to a folder that holds results of `nuemstat limits`.

    models, couplings : restrict the report to these; validation : rows as `nuemstat validate --json` gives them;
    contours : draw two-parameter regions and impacts too; executor : where fits and drawings are made.

    Raises
    ------
    NuemstatError : results of another version, or without what was asked for.
    """
    results = content.read(folder, models=models, couplings=couplings)
    # Everything that draws is known before anything is computed, so that progress can say how much there is.
    jobs = _jobs(results, contours)
    steps = _Steps(progress, executor, len(jobs))
    answers = steps.through(_run, jobs, [job.label for job in jobs])
    found = dict(zip([job.key for job in jobs], answers, strict=True))
    drawn = _pictures(results, found)
    target = folder / "pictures"
    target.mkdir(exist_ok=True)
    texts = steps.through(render, [(target, picture) for picture in drawn], [f"drew {p.title}" for p in drawn])
    known = [(key, value) for key, value in found.items() if not isinstance(value, str)]
    asimov = {(key[1], key[2]): value for key, value in known if key[0] == "asimov"}
    remarks = tuple(value for value in found.values() if isinstance(value, str))
    page = Page(results, tuple(zip(drawn, texts, strict=True)), asimov, _fit(found), tuple(validation), remarks)
    return write_page(folder, page)


@dataclass(frozen=True, slots=True)
class _Job:
    """One fit of the report; the answer is a text where it cannot be given."""

    key: tuple[str, ...]
    label: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def _run(job: _Job) -> Any:
    try:
        return job.function(*job.arguments)
    except NuemstatError as error:
        return f"{job.label}: {error}"


def _jobs(results: Results, contours: bool) -> list[_Job]:
    everything = {workspace.name: workspace for workspace in results.members}
    if results.joint is not None:
        everything[JOINT] = results.joint
    jobs = [_Job(("spectra", w.name), f"best fit of {w.name}", spectra, (results, w)) for w in results.members]
    together = results.joint or results.members[0]
    jobs.append(_Job(("fit",), f"best fit of {together.name}", _best_fit, (together,)))
    for entry in results.limits:
        # The joint fit of everything is expensive: its expected limit is shown where the results have it.
        if not entry.expected and entry.experiment != JOINT:
            label = f"expected limit on {entry.coupling} of {entry.experiment}"
            jobs.append(
                _Job(
                    ("asimov", entry.experiment, entry.coupling), label, _asimov, (everything[entry.experiment], entry)
                )
            )
    if contours:
        from nuemstat.study import sensitive_couplings

        held, asked = sensitive_couplings(together), set(results.couplings)
        for pair in PAIRS:
            if set(pair) <= set(held) & asked:
                jobs.append(_Job(("contour", *pair), f"contour of {pair[0]} and {pair[1]}", _contour, (together, pair)))
        for kind in KINDS:
            if kind in held and kind in asked:
                jobs.append(_Job(("impacts", kind), f"impacts on {kind}", _impacts, (together, kind)))
    return jobs


def _best_fit(workspace: Workspace) -> FitResult:
    from nuemstat.stats.minimise import fit

    return fit(workspace)


def _asimov(workspace: Workspace, entry: LimitEntry) -> float | None:
    from nuemstat.stats.intervals import limit

    return limit(workspace, entry.coupling, cl=entry.cl, data="asimov").upper_limit


def _contour(workspace: Workspace, pair: tuple[str, str]) -> Any:
    from nuemstat.stats.contours import contour

    return contour(workspace, pair)


def _impacts(workspace: Workspace, coupling: str) -> Any:
    from nuemstat.stats.impacts import impacts

    return impacts(workspace, coupling)


def _pictures(results: Results, found: Mapping[tuple[str, ...], Any]) -> list[Picture]:
    drawn = pictures.profiles(results)
    drawn += pictures.histories(history.published(), history.ours(results))
    who = JOINT if results.joint is not None else results.members[0].name
    for key, answer in found.items():
        if isinstance(answer, str):
            continue
        match key[0]:
            case "spectra":
                drawn += pictures.spectra([item for item in answer if isinstance(item, Spectrum)])
            case "contour":
                drawn.append(pictures.contour(answer, who))
            case "impacts":
                drawn.append(pictures.impacts(answer))
            case "fit":
                drawn += _pulls(answer, results.joint or results.members[0])
    return drawn


def _pulls(fit: FitResult, workspace: Workspace) -> list[Picture]:
    rows = pulls_of_fit(fit, workspace)
    what = "the joint fit" if len(fit.workspaces) > 1 else workspace.name
    return [pictures.pulls(rows, what)] if rows else []


def _fit(found: Mapping[tuple[str, ...], Any]) -> FitResult | None:
    answer = found["fit",]
    return answer if isinstance(answer, FitResult) else None


class _Steps:
    """Runs jobs here or in an executor, and tells who wants to know."""

    def __init__(self, progress: Progress | None, executor: Executor | None, first: int) -> None:
        self._progress, self._map = progress, map if executor is None else executor.map
        self._done, self._total = 0, first

    def through(self, function: Callable[[Any], Any], items: Sequence[Any], labels: Sequence[str]) -> list[Any]:
        """The results in order."""
        found, self._total = [], max(self._total, self._done + len(items))
        for result, text in zip(self._map(function, items), labels, strict=True):
            found.append(result)
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total, text)
        return found


def read_validation(path: Path) -> list[Mapping[str, Any]]:
    """Rows written by `nuemstat validate --json`.

    Raises
    ------
    NuemstatError : unreadable, or of another version.
    """
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise NuemstatError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise NuemstatError(f"{path}: not JSON; what `nuemstat validate --json` prints is allowed") from None
    schema = data.get("schema") if isinstance(data, dict) else type(data).__name__
    if schema != "nuemstat/comparison/1":
        raise NuemstatError(f"{path}: schema: found {schema!r}; this version reads 'nuemstat/comparison/1'")
    rows = data.get("rows")
    return list(rows) if isinstance(rows, list) else []
