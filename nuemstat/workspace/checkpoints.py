"""Check points: parameter values with 2 NLL, by which any reader of a workspace can see that it reads it right.

Every number is a difference to a reference point, so that constants do not matter: free parameters at their best fit,
all else at its default.
The values are those of the workspace (of order one); a power in a pyhf file is the power of its parameter's value.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import fit
from nuemstat.strict import Name, Strict, one_line
from nuemstat.workspace.bins import expanded
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.hs3_gaussian import is_native
from nuemstat.workspace.pyhf_schema import pyhf_document
from nuemstat.workspace.reading import parse_json, read_bytes
from nuemstat.workspace.stock_pyhf import StockPyhf
from nuemstat.workspace.to_pyhf import to_pyhf
from nuemstat.writing import write_whole

SCHEMA = "nuemstat/checkpoints/1"
TOLERANCE = 1e-7
"""By how much 2 NLL may differ from a check point, times its size where that is above 1."""

_LOWEST = 1e-3  # expected counts of a Poisson bin that is filled at all
_FARTHEST = 3.0  # errors between expected and observed, within which pseudo-counts stand for a Gaussian
Evaluate = Callable[[Mapping[str, float]], float]
Forms = Callable[[Mapping[str, float]], FloatArray]


class CheckPoint(Strict):
    """2 NLL at one point, above the reference.

    values : parameters that are not at their default; native : by this package, for the native document;
    histfactory : by stock pyhf, for the pyhf form; hs3 : for the HS3 form, whose Poisson channels are those of pyhf
    and whose Gaussian channels are the native ones.
    """

    values: dict[Name, float]
    native: float
    histfactory: float
    hs3: float


class CheckPoints(Strict):
    """The check points of one workspace.

    digest : the workspace's; reference : parameters that are not at their default at the reference point.
    """

    schema_: Literal["nuemstat/checkpoints/1"] = Field(default="nuemstat/checkpoints/1", alias="schema")
    workspace: Name
    digest: str
    reference: dict[Name, float]
    points: Annotated[tuple[CheckPoint, ...], Field(min_length=1)]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "CheckPoints":
        """Read check points.

        Raises
        ------
        WorkspaceError : unreadable, or of another form.
        """
        content = parse_json(read_bytes(path), where=str(path))
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            found = content.get("schema") if isinstance(content, dict) else type(content).__name__
            raise WorkspaceError(f"{path}: schema: found {found!r}; this version reads {SCHEMA!r}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise WorkspaceError(f"{path}: {one_line(error)}") from None

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write them, one point per line."""
        head = self.model_dump_json(by_alias=True, exclude={"points"})[:-1]
        rows = ",\n  ".join(point.model_dump_json() for point in self.points)
        write_whole(Path(path), f'{head},\n "points": [\n  {rows}\n ]}}\n')


def check_points(workspace: Workspace, *, points: int = 20, seed: int = 1) -> CheckPoints:
    """Random points around the reference: couplings of a size that the data can tell, nuisances within 3 sigma.

    In the first half, nuisances that pyhf interpolates in its own way stay at 0, so that all forms agree there
    (Gaussian channels to the width of their pseudo-counts).

    Raises
    ------
    WorkspaceError : no pyhf form, or no point at which all bins are positive is found.
    """
    likelihood = Likelihood(workspace)
    reference = _reference(workspace)
    native = _differences(lambda values: likelihood(likelihood.vector(values)), reference)
    export = to_pyhf(workspace)
    forms = _forms(workspace, likelihood, reference, StockPyhf(export, export.document))
    generator = np.random.default_rng(seed)
    own = own_interpolation(workspace)
    base = likelihood.vector(reference)
    steps = _steps(likelihood, base)
    found = []
    for number in range(points):
        held = own if number < points // 2 else frozenset[str]()
        values, theirs = _drawn(likelihood, base, steps, held, generator, forms)
        pyhf, hs3 = (_short(number) for number in theirs)
        found.append(CheckPoint(values=values, native=_short(native(values)), histfactory=pyhf, hs3=hs3))
    return CheckPoints(workspace=workspace.name, digest=workspace.digest, reference=reference, points=tuple(found))


def verify(workspace: Workspace, points: CheckPoints, where: str = "check points") -> None:
    """Compare the workspace's 2 NLL with its check points; `where` names them in messages.

    Raises
    ------
    WorkspaceError : they are of another workspace, or a number differs by more than `TOLERANCE`.
    """
    if points.digest != workspace.digest:
        raise WorkspaceError(f"{where}: they belong to {points.digest}; the workspace is {workspace.digest}")
    likelihood = Likelihood(workspace)
    for name in {name for values in (points.reference, *(p.values for p in points.points)) for name in values}:
        if name not in likelihood.parameters:
            raise WorkspaceError(f"{where}: values: {name!r} is no parameter of {workspace.name}")
    native = _differences(lambda values: likelihood(likelihood.vector(values)), points.reference)
    for number, point in enumerate(points.points):
        found = native(point.values)
        if not abs(found - point.native) <= TOLERANCE * max(1.0, abs(point.native)):
            raise WorkspaceError(
                f"{where}: points.{number}: 2 NLL is {found:.10g} above the reference; {point.native:.10g} is expected"
            )


def verify_histfactory(workspace: Workspace, points: CheckPoints, document: Any, where: str = "pyhf document") -> None:
    """Compare the 2 NLL that stock pyhf gives for a pyhf document of the workspace with the check points.

    The numbers of the HS3 form are those of the Poisson channels of this document and of the native Gaussian ones.

    Raises
    ------
    WorkspaceError : pyhf does not take the document, or a number differs by more than `TOLERANCE`.
    """
    pyhf_document(document, where)
    plain = json.loads(json.dumps(document))  # lists, as pyhf wants them
    found = _forms(workspace, Likelihood(workspace), points.reference, StockPyhf(to_pyhf(workspace), plain, where))
    for number, point in enumerate(points.points):
        expected = {"": point.histfactory, " of the HS3 form": point.hs3}
        for (form, wanted), value in zip(expected.items(), found(point.values), strict=True):
            if not abs(value - wanted) <= TOLERANCE * max(1.0, abs(wanted)) * _pseudo(workspace):
                raise WorkspaceError(
                    f"{where}: at check point {number}{form} 2 NLL is {value:.10g} above the reference; "
                    f"{wanted:.10g} is expected"
                )


def _forms(workspace: Workspace, likelihood: Likelihood, reference: Mapping[str, float], stock: StockPyhf) -> Forms:
    """2 NLL above the reference of the pyhf form, by stock pyhf, and of the HS3 form."""
    exact = {c.name: likelihood.terms.only(i) for i, c in enumerate(workspace.channels) if is_native(c)}

    def both(values: Mapping[str, float]) -> FloatArray:
        channels, constraints = stock.terms(values)
        pyhf = sum(channels.values()) + constraints
        counts = likelihood.counts(likelihood.vector(values))
        channels |= {name: float(terms.value(counts)) for name, terms in exact.items()}
        return np.array([pyhf, sum(channels.values()) + constraints])

    zero = both(reference)
    return lambda values: both(values) - zero


def _pseudo(workspace: Workspace) -> float:
    """Pseudo-counts of 1e8 cost digits: logarithms of their sum cancel to no better than this, times `TOLERANCE`."""
    bins = sum(channel.size for channel in workspace.channels if channel.statistic == "gaussian")
    return 1.0 + 100.0 * bins


def own_interpolation(workspace: Workspace) -> frozenset[str]:
    """Nuisances whose shapes pyhf and HS3 interpolate differently: more anchors than +-1, ratios, or shared ones."""
    derived = {p.name: p.terms for p in workspace.parameters if p.kind == "derived"}
    found: set[str] = set()
    for channel in workspace.channels:
        for sample in channel.samples:
            for m in sample.modifiers:
                many = m.type == "shape" and (
                    m.interpolation == "multiplicative" or [a.alpha for a in m.anchors] != [-1.0, 1.0]
                )
                if many or m.parameter in derived:
                    found |= set(derived.get(m.parameter, (m.parameter,)))
    return frozenset(found)


def _differences(function: Evaluate, reference: Mapping[str, float]) -> Evaluate:
    zero = function(reference)
    return lambda values: function(values) - zero


def _reference(workspace: Workspace) -> dict[str, float]:
    """Free parameters at the best fit, in workspace numbers."""
    free = [p for p in expanded(workspace).parameters if p.kind == "free"]
    if not free:
        return {}
    best = fit(workspace).nuisances
    return {p.name: float(f"{best[p.name].value / p.scale:.6g}") for p in free if p.name in best}


def _short(value: float) -> float:
    return float(f"{value:.12g}")


def _steps(likelihood: Likelihood, reference: FloatArray) -> FloatArray:
    """For each coupling and free parameter, the step that together with the others' changes a bin by one error."""
    base = likelihood.counts(reference)
    steps = np.ones(len(likelihood.parameters))
    moving = np.flatnonzero(~likelihood.constrained)
    for i in moving:
        step = 1e3
        while step > 1e-9:
            moved = reference.copy()
            moved[i] += step
            if np.max(np.abs(likelihood.counts(moved) - base) / likelihood.errors(base)) < 1 / np.sqrt(moving.size):
                break
            step /= 1.5
        steps[i] = step
    return steps


def _criterion(likelihood: Likelihood, reference: FloatArray) -> Callable[[FloatArray], bool]:
    """Whether expected counts suit: Poisson bins positive, Gaussian ones near their data if the reference is."""
    base, poisson = likelihood.counts(reference), likelihood.terms.poisson
    gaussian = np.repeat([c.statistic == "gaussian" for c in likelihood.workspace.channels],
                         [c.size for c in likelihood.workspace.channels])  # fmt: skip
    errors, observed = likelihood.errors(base), np.concatenate(list(likelihood.observed().values()))
    filled = poisson[base[poisson] > _LOWEST]
    near = gaussian & (np.abs(base - observed) < _FARTHEST * errors)

    def suits(counts: FloatArray) -> bool:
        positive = bool((counts[filled] > _LOWEST).all() and (counts[poisson] > 0).all())
        return positive and bool((np.abs(counts - observed)[near] < _FARTHEST * errors[near]).all())

    return suits


def _drawn(
    likelihood: Likelihood,
    reference: FloatArray,
    steps: FloatArray,
    held: frozenset[str],
    generator: np.random.Generator,
    forms: Forms,
) -> tuple[dict[str, float], FloatArray]:
    """One point at which every bin is positive in all forms, and its 2 NLL in those of others; drawn ever closer to the
    reference until there is one."""
    suits = _criterion(likelihood, reference)
    for trial in range(200):
        size = 0.97**trial
        moves = generator.uniform(0.2, 1.0, steps.size) * generator.choice((-1.0, 1.0), steps.size)
        pulls = np.clip(generator.normal(size=steps.size), -3, 3)
        x = reference + size * np.where(likelihood.constrained, pulls, moves * steps)
        x = np.clip(x, *likelihood.bounds.T)
        values = {
            name: float(f"{value:.6g}")
            for name, value, default in zip(likelihood.parameters, x, likelihood.defaults, strict=True)
            if name not in held and value != default
        }
        if suits(likelihood.counts(likelihood.vector(values))):
            with np.errstate(all="ignore"):
                theirs = forms(values)
            if np.isfinite(theirs).all():
                return values, theirs
    raise WorkspaceError(f"{likelihood.workspace.name}: no check point with positive counts in all bins is found")
