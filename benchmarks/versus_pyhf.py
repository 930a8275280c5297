"""Likelihoods, fits, profiles and toys of one workspace, here and in stock pyhf on what it is exported to."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import pyhf
from common import TookTooLong, in_turns, patience

from nuemstat.stats.batch import fit_batch
from nuemstat.stats.information import covariance
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import minimise
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.to_pyhf import pyhf_parameters, stock, to_pyhf

PYHF_FITS = 3
"""How many fits of pyhf a profile or a set of toys is extrapolated from."""


@dataclass
class Pair:
    """One workspace on both sides, couplings and parameters that pyhf knows by several powers held in both.

    likelihood : every parameter in it, numpy kernel; held : which are held; x : a place near the defaults.
    """

    workspace: Workspace
    likelihood: Likelihood = field(init=False)
    held: np.ndarray = field(init=False)
    x: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.export = to_pyhf(self.workspace)
        self.stock, self.data = stock(self.workspace)
        self.likelihood = Likelihood(self.workspace, kernel="numpy")
        powers: dict[str, int] = {}
        for parameter, power in self.export.ties.values():
            powers[parameter] = max(power, powers.get(parameter, 1))
        free = [not c and powers.get(n, 2) > 1 for n, c in zip(self.names, self.likelihood.constrained, strict=True)]
        self.held = np.array(free)
        shift = np.random.default_rng(1).normal(0, 0.05, self.held.size)
        self.x = self.likelihood.defaults + np.where(self.likelihood.constrained, shift, 0.0)
        config = self.stock.config
        labels = {
            label for label, (parameter, _) in self.export.ties.items()
            if parameter not in self.names or self.held[self.names.index(parameter)]
        }  # fmt: skip
        self.fixed = [
            name in labels or fixed
            for name in config.par_order
            for fixed in config.param_set(name).suggested_fixed
        ]  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        return self.likelihood.parameters

    def vector(self, x: np.ndarray, names: tuple[str, ...] = ()) -> np.ndarray:
        """pyhf's parameters at numbers of all of ours, or of those named."""
        return pyhf_parameters(self.export, self.stock.config, dict(zip(names or self.names, x.tolist(), strict=True)))

    def narrow(self, *floating: str) -> Likelihood:
        """Held parameters built in, save those named."""
        built_in = {
            name: float(value)
            for name, value, held in zip(self.names, self.likelihood.defaults, self.held, strict=True)
            if held and name not in floating
        }
        return Likelihood(self.workspace, fixed=built_in, kernel="numpy")

    def pyhf_fit(self, x: np.ndarray, data: Any, *, errors: bool = False, names: tuple[str, ...] = ()) -> float:
        """2 NLL where pyhf's minuit ends, couplings held where x has them."""
        _, value = pyhf.infer.mle.fit(
            data,
            self.stock,
            init_pars=self.vector(x, names).tolist(),
            fixed_params=self.fixed,
            return_fitted_val=True,
            return_uncertainties=errors,
        )
        return float(value)


def nll(pair: Pair, seconds: float, compiled: bool) -> dict[str, Any]:
    """Times [s] of one evaluation, the floor of the machine, and ratios."""
    plain, x = pair.likelihood, pair.x
    theirs = pair.vector(x)
    calls: dict[str, Callable[[], Any]] = {
        "pyhf_nll": lambda: pair.stock.logpdf(theirs, pair.data),
        "numpy_nll": lambda: plain(x),
        "numpy_gradient": lambda: plain.value_gradient(x),
        "numpy_fisher": lambda: plain.value_gradient_fisher(x),
        "floor": floor(plain),
    }
    if compiled:
        fast = plain.run_by("compiled")
        calls |= {
            "compiled_nll": lambda: fast(x),
            "compiled_gradient": lambda: fast.value_gradient(x),
            "compiled_fisher": lambda: fast.value_gradient_fisher(x),
        }
    times = in_turns(calls, seconds)
    cells = sum(channel.size * len(channel.samples) for channel in pair.workspace.channels)
    return {
        "bins": sum(channel.size for channel in pair.workspace.channels),
        "bins_x_samples": cells,
        "parameters": len(pair.names),
        "seconds": times,
        "ratio": {name: times["pyhf_nll"] / t for name, t in times.items() if name not in ("floor", "pyhf_nll")},
        "ns_per_bin_x_sample": {name: 1e9 * t / cells for name, t in times.items()},
        "finite": bool(np.isfinite(pair.stock.logpdf(theirs, pair.data)[0])),
    }


def floor(likelihood: Likelihood) -> Callable[[], Any]:
    """The flops and logs that value and gradient need at the least: every row once forwards and once backwards."""
    blocks = [np.ascontiguousarray(channel.contents) for channel in likelihood._kernel.channels]
    factors = [np.ones(len(block)) for block in blocks]

    def work() -> None:
        for block, factor in zip(blocks, factors, strict=True):
            counts = factor @ block
            block @ np.log(np.abs(counts) + 1.0)

    return work


def fits(pair: Pair, limit: float) -> dict[str, Any]:
    """A fit with covariance, 50 points of a profile, and 1000 toys; pyhf's last two extrapolated from a few."""
    likelihood, start = pair.narrow(), pair.likelihood.defaults
    own = likelihood.defaults
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(maxiter=1_000_000))
    result: dict[str, Any] = {"optimum": {"ours": likelihood(own) - minimise(likelihood, own).value}}
    first = _pyhf_value(pair, start)

    def ours() -> None:
        covariance(likelihood, minimise(likelihood, own))

    reached: list[float] = []
    result["fit"] = _compared(
        ours, lambda _: reached.append(pair.pyhf_fit(start, pair.data, errors=True)), 1, limit, rounds=1
    )
    if reached:
        result["optimum"]["pyhf"] = first - reached[-1]
    result["profile"] = _profile(pair, limit)
    result["toys"] = _toys(pair, limit)
    return result


def _pyhf_value(pair: Pair, x: np.ndarray) -> float:
    return float(-2 * pair.stock.logpdf(pair.vector(x), pair.data)[0])


def _profile(pair: Pair, limit: float) -> dict[str, Any]:
    name = pair.workspace.couplings[0]
    likelihood = pair.narrow(name)
    start, i = likelihood.defaults, likelihood.index(name)
    held = np.arange(start.size) == i
    values = start[i] + np.linspace(0.0, _reach(likelihood, i), 50)

    def ours() -> None:
        x = start.copy()
        for value in values:
            x[i] = value
            x = minimise(likelihood, x, held=held).x.copy()

    def theirs(k: int) -> None:
        x = start.copy()
        x[i] = values[(10, 25, 40)[k]]
        pair.pyhf_fit(x, pair.data, names=likelihood.parameters)

    return _compared(ours, theirs, 50, limit)


def _reach(likelihood: Likelihood, i: int) -> float:
    """Where 2 NLL, all else at its default, has risen by about four."""
    x, step = likelihood.defaults.copy(), 1e-3
    base = likelihood(x)
    while True:
        x[i] = likelihood.defaults[i] + step
        if likelihood(x) > base + 4 or step > 1e6:
            return step
        step *= 1.5


def _toys(pair: Pair, limit: float, n: int = 1000) -> dict[str, Any]:
    likelihood, start = pair.narrow(), pair.likelihood.defaults
    own = likelihood.defaults
    random = np.random.default_rng(2)
    mean = likelihood.counts(own)
    counts = random.poisson(np.maximum(mean, 0.0), (n, mean.size)).astype(float)
    centres = own + random.normal(size=(n, own.size)) * likelihood.constrained
    samples = pair.stock.make_pdf(pyhf.tensorlib.astensor(pair.vector(start))).sample((PYHF_FITS,))
    share = 0.2 if n > 200 else 1.0
    some = int(share * n)

    def ours() -> None:
        fit_batch(likelihood, counts[:some], centres[:some], own)

    return _compared(ours, lambda k: pair.pyhf_fit(start, list(samples[k])), n, limit, share=share)


def _compared(
    ours: Callable[[], None],
    theirs: Callable[[int], Any],
    count: int,
    limit: float,
    *,
    rounds: int = PYHF_FITS,
    share: float = 1.0,
) -> dict[str, Any]:
    """Times [s] of all of it: ours done whole (or a stated share), pyhf's `count` fits from the median of a few.

    What pyhf has not finished within `limit` seconds counts as that long, so that the ratio is a lower bound.
    """
    ours()
    mine, others, given_up = [], [], False
    for k in range(rounds):
        for _ in range(3):
            start = time.process_time()
            ours()
            mine.append((time.process_time() - start) / share)
        start = time.process_time()
        try:
            with patience(limit):
                theirs(k)
        except TookTooLong:
            given_up = True
        except (pyhf.exceptions.FailedMinimization, ValueError) as error:  # it took its time all the same
            failed = f"{type(error).__name__}"
            others.append(time.process_time() - start)
            return _row(mine, others, count, given_up) | {"pyhf_failed": failed}
        others.append(time.process_time() - start)
        if given_up:
            break
    return _row(mine, others, count, given_up)


def _row(mine: list[float], others: list[float], count: int, given_up: bool) -> dict[str, Any]:
    ours, theirs = median(mine), median(others) * count
    return {"ours": ours, "pyhf": theirs, "ratio": theirs / ours, "lower_bound": given_up, "pyhf_fits": len(others)}
