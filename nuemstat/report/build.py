"""Builds the page: reads a folder of results, computes what is not in it, draws, and writes index.html."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuemstat.errors import NuemstatError
from nuemstat.main_job import JOINT, Progress
from nuemstat.plots import pulls_of_fit
from nuemstat.report import content, history, pictures
from nuemstat.report.content import Results
from nuemstat.report.drawing import Picture, render
from nuemstat.report.page import Page, write_page
from nuemstat.report.spectra import Spectrum, spectra
from nuemstat.stats.results import FitResult
from nuemstat.workspace.document import Workspace

PAIRS = (
    ("millicharge", "magnetic_moment"),
    ("charge_radius_ee", "charge_radius_mumu"),
    ("millicharge_ee", "millicharge_mumu"),
)
"""Couplings whose regions are drawn, where a fit holds both."""
KINDS = ("magnetic_moment", "millicharge", "charge_radius")
"""Couplings for which the impacts on the joint fit are computed."""
NUISANCES = 20
"""How many of them each picture of impacts has at most."""


def build(
    folder: Path,
    *,
    source: Path | None = None,
    models: Sequence[str] = (),
    couplings: Sequence[str] = (),
    validation: Sequence[Mapping[str, Any]] = (),
    contours: bool = True,
    joint_contours: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Path:
    """Add index.html and pictures/ to a folder.

    source : a folder of results of `nuemstat limits`, `folder` itself when None; models, couplings : restrict the
    report to these; validation : rows as `nuemstat validate --json` gives them; contours : draw two-parameter regions
    and impacts too; joint_contours : regions of the joint fit as well, which takes minutes with many experiments;
    executor : where fits and drawings are made.

    Raises
    ------
    NuemstatError : results of another version, or without what was asked for.
    """
    results = content.read(folder if source is None else source, models=models, couplings=couplings)
    # Everything that draws is known before anything is computed, so that progress can say how much there is.
    jobs = _jobs(results, contours, joint_contours)
    steps = _Steps(progress, executor, len(jobs))
    answers = steps.through(_run, jobs, [job.label for job in jobs])
    found = dict(zip([job.key for job in jobs], answers, strict=True))
    drawn = _pictures(results, found)
    target = folder / "pictures"
    target.mkdir(exist_ok=True)
    texts = steps.through(render, [(target, picture) for picture in drawn], [f"drew {p.title}" for p in drawn])
    remarks = tuple(value for value in found.values() if isinstance(value, str))
    page = Page(results, tuple(zip(drawn, texts, strict=True)), _fit(found), tuple(validation), remarks)
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


def _jobs(results: Results, contours: bool, joint_contours: bool) -> list[_Job]:
    """What has to be fitted, one job for each experiment, so that a workspace is sent to a worker once."""
    together = results.joint or results.members[0]
    jobs = [_Job(("fit",), f"best fit of {together.name}", _best_fit, (together,))]
    for workspace in (*results.members, *([] if results.joint is None else [results.joint])):
        who = JOINT if workspace is results.joint else workspace.name
        own = tuple(entry for entry in results.limits if entry.experiment == who)
        if workspace is not results.joint:
            jobs.append(_Job(("spectra", who), f"best fit of {who}", spectra, (own, workspace)))
    return jobs + (_two_couplings(results, together, joint_contours) if contours else [])


def _two_couplings(results: Results, together: Workspace, joint: bool) -> list[_Job]:
    """Regions of each pair in the experiments that limit one of them best, in the joint fit on request; impacts."""
    from nuemstat.study import sensitive_couplings

    jobs, asked = [], set(results.couplings)
    held = {workspace.name: set(sensitive_couplings(workspace)) & asked for workspace in results.members}
    for pair in PAIRS:
        chosen = [w for w in results.members if w.name in _strongest(results, pair, held)]
        chosen += [together] if joint and results.joint is not None and set(pair) <= set().union(*held.values()) else []
        for workspace in chosen:
            label = f"contour of {pair[0]} and {pair[1]}, {workspace.name}"
            jobs.append(_Job(("contour", *pair, workspace.name), label, _contour, (workspace, pair)))
    for kind in KINDS:
        if kind in set().union(*held.values()):
            jobs.append(_Job(("impacts", kind), f"impacts on {kind}", _impacts, (together, kind)))
    return jobs


def _strongest(results: Results, pair: tuple[str, str], held: Mapping[str, set[str]]) -> set[str]:
    """Of the experiments that hold both couplings, the one with the smallest limit on each."""
    found = set()
    for name in pair:
        limits = {
            entry.experiment: entry.upper_limit
            for entry in results.limits
            if entry.coupling == name
            and entry.upper_limit is not None
            and set(pair) <= held.get(entry.experiment, set())
        }
        found |= {min(limits, key=lambda who: limits[who])} if limits else set()
    return found


def _best_fit(workspace: Workspace) -> FitResult:
    from nuemstat.stats.minimise import fit

    return fit(workspace)


def _contour(workspace: Workspace, pair: tuple[str, str]) -> Any:
    from nuemstat.stats.contours import contour

    return contour(workspace, pair)


def _impacts(workspace: Workspace, coupling: str) -> Any:
    from nuemstat.stats.impacts import impacts

    return impacts(workspace, coupling, most=NUISANCES)


def _pictures(results: Results, found: Mapping[tuple[str, ...], Any]) -> list[Picture]:
    drawn = pictures.limits(results) + pictures.profiles(results)
    drawn += pictures.histories(history.drawn(), history.ours(results))
    for key, answer in found.items():
        if isinstance(answer, str):
            continue
        match key[0]:
            case "spectra":
                drawn += pictures.spectra([item for item in answer if isinstance(item, Spectrum)])
            case "impacts":
                drawn.append(pictures.impacts(answer))
            case "fit":
                drawn += _pulls(answer, results.joint or results.members[0])
    for pair in PAIRS:
        regions = {key[3]: found[key] for key in found if key[0] == "contour" and key[1:3] == pair}
        regions = {who: answer for who, answer in regions.items() if not isinstance(answer, str)}
        drawn += [pictures.contour(regions)] if regions else []
    return drawn


def _pulls(fit: FitResult, workspace: Workspace) -> list[Picture]:
    rows = pulls_of_fit(fit, workspace)
    what = "the joint fit" if len(fit.workspaces) > 1 else workspace.name
    return pictures.pulls(rows, what)


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
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NuemstatError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise NuemstatError(f"{path}: not JSON; what `nuemstat validate --json` prints is allowed") from None
    schema = data.get("schema") if isinstance(data, dict) else type(data).__name__
    if schema != "nuemstat/comparison/1":
        raise NuemstatError(f"{path}: schema: found {schema!r}; this version reads 'nuemstat/comparison/1'")
    rows = data.get("rows")
    return list(rows) if isinstance(rows, list) else []
