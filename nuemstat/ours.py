"""Our numbers for what validation/<experiment>.yaml asks: limits, fits, yields, significances."""

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from nuemstat.errors import ModelError
from nuemstat.published import (
    Compute,
    ExpectedOf,
    FitOf,
    LimitOf,
    ObservedOf,
    PredictedOf,
    SignificanceOf,
    Value,
    YieldOf,
    as_intervals,
)
from nuemstat.workspace.document import Workspace

if TYPE_CHECKING:
    from nuemstat.stats.results import FitResult, Limit


class Engine:
    """Computes what rows ask for; what several rows share is computed once."""

    def __init__(self) -> None:
        self.workspace = cache(self._workspace)
        self._fits: dict[str, FitResult] = {}
        self._limits: dict[str, Limit] = {}

    @staticmethod
    def _workspace(specs: tuple[str, ...]) -> Workspace:
        from nuemstat.study import joined

        return joined(specs)[0]

    def value(self, specs: str | tuple[str, ...], compute: Compute, published: Value | None = None) -> Value:
        """What is asked of the workspace (or joint workspace) of `specs`.

        published : tells which of several intervals is meant, where one is asked for.

        Raises
        ------
        NuemstatError : a model or fit that cannot be given, or a number that does not exist.
        """
        if isinstance(compute, PredictedOf):
            return compute.times * self._predicted(specs, compute)
        workspace = self.workspace((specs,) if isinstance(specs, str) else specs)
        if isinstance(compute, ExpectedOf):
            from nuemstat.study import nominal_yields

            return _counts(nominal_yields(workspace, compute.at), _listed(compute.process), compute.channels)
        if isinstance(compute, ObservedOf):
            observed = {channel.name: {"observed": float(sum(channel.observed))} for channel in workspace.channels}
            return _counts(observed, ("observed",), compute.channels)
        if isinstance(compute, LimitOf):
            return _of_limit(self._limit(workspace, compute), compute, published)
        if isinstance(compute, SignificanceOf):
            return self._significance(workspace, compute)
        result = self._fit(workspace, compute)
        if isinstance(compute, YieldOf):
            counts = _counts(result.yields, _listed(compute.process), compute.channels)
            return counts * _relative_error(result, compute.error_of)
        return _of_fit(result, compute)

    @staticmethod
    def _predicted(specs: str | tuple[str, ...], compute: PredictedOf) -> float:
        from nuemstat.model.loader import load_model
        from nuemstat.model.prediction import predicted_yields

        if not isinstance(specs, str):
            raise ModelError(f"workspace: found {len(specs)} models; a prediction is that of one")
        return _counts(predicted_yields(load_model(specs)), _listed(compute.process), compute.channels)

    def _limit(self, workspace: Workspace, compute: LimitOf) -> "Limit":
        from nuemstat.stats.intervals import limit

        key = workspace.digest + compute.model_dump_json(exclude={"take", "times"})
        if key not in self._limits:
            self._limits[key] = limit(
                workspace,
                compute.coupling,
                cl=compute.cl,
                method=compute.method,
                data=compute.data,
                free=compute.free,
                fixed=compute.fixed,
                expected=False,
            )
        return self._limits[key]

    def _fit(self, workspace: Workspace, compute: FitOf | YieldOf) -> "FitResult":
        from nuemstat.stats.minimise import fit

        key = workspace.digest + compute.model_dump_json(include={"data", "free", "fixed"})
        if key not in self._fits:
            self._fits[key] = fit(workspace, free=compute.free, fixed=compute.fixed, data=compute.data)
        return self._fits[key]

    @staticmethod
    def _significance(workspace: Workspace, compute: SignificanceOf) -> float:
        from nuemstat.stats.intervals import significance

        found = significance(
            workspace, compute.coupling, compute.at, data=compute.data, free=compute.free, fixed=compute.fixed
        )
        return found.sigma


def _of_limit(found: "Limit", compute: LimitOf, published: Value | None) -> Value:
    if compute.take == "best_fit":
        return found.best_fit * compute.times
    if compute.take == "upper_limit":
        if found.upper_limit is None:
            raise ModelError("the limit lies outside the scanned range")
        return found.upper_limit * compute.times
    times = compute.times
    closed = [(lo * times, hi * times) for lo, hi in found.intervals if lo is not None and hi is not None]
    if len(closed) != len(found.intervals) or not closed:
        raise ModelError("an end of our interval lies outside the scanned range")
    if compute.take == "upper_end":
        return max(hi for _, hi in closed)
    if compute.take == "intervals" or published is None:
        return tuple(closed)
    (lo, hi), *_ = as_intervals(published)
    return min(closed, key=lambda interval: abs(interval[0] - lo) + abs(interval[1] - hi))


def _of_fit(result: "FitResult", compute: FitOf) -> float:
    if compute.take == "q_min":
        return result.q_min
    if compute.take == "p_value":
        if not math.isfinite(result.p_value):
            raise ModelError("this fit has no p-value")
        return result.p_value
    nuisance = compute.take in ("nuisance", "nuisance_error", "pull")
    group: Mapping[str, Any] = result.nuisances if nuisance else result.couplings
    if compute.name is None or compute.name not in group:
        raise ModelError(f"no {compute.name!r} in the fit; it has {', '.join(group)}")
    entry = group[compute.name]
    number = getattr(
        entry, {"coupling_error": "error", "nuisance_error": "error", "pull": "pull"}.get(compute.take, "value")
    )
    if number is None:
        raise ModelError(f"{compute.name} has no {compute.take.replace('_', ' ')} in this fit")
    return float(number)


def _relative_error(result: "FitResult", norm: str | None) -> float:
    """Error over value of the norm of a process, 1 where the counts themselves are asked for."""
    if norm is None:
        return 1.0
    if norm not in result.nuisances:
        raise ModelError(f"no {norm!r} in the fit; it has {', '.join(result.nuisances)}")
    fitted = result.nuisances[norm]
    if fitted.error is None or fitted.value <= 0:
        raise ModelError(f"{norm} is {fitted.value:g} in the fit, without an error that could be scaled to counts")
    return fitted.error / fitted.value


def _listed(process: str | tuple[str, ...]) -> tuple[str, ...]:
    return (process,) if isinstance(process, str) else process


def _counts(
    yields: Mapping[str, Mapping[str, float]], processes: tuple[str, ...], channels: tuple[str, ...] | None
) -> float:
    """Counts of some processes in some channels, in all where none are named."""
    for channel in channels or ():
        if channel not in yields:
            raise ModelError(f"no channel {channel!r}; there are {', '.join(yields)}")
    chosen = [counts for name, counts in yields.items() if channels is None or name in channels]
    for process in processes:
        if not any(process in counts for counts in chosen):
            known = sorted({process for counts in chosen for process in counts})
            raise ModelError(f"no process {process!r}; there are {', '.join(known)}")
    return sum(counts.get(process, 0.0) for counts in chosen for process in processes)
