"""2 NLL with its gradient here, against pyhf's log-likelihood (without gradient) of the same workspace.

Both are timed in turns in one process, so that the ratio does not depend on what else the machine does:

    python benchmarks/pyhf_speed.py workspaces/lz_sr1.json dresden2 --json speed.json

A name without a file is looked for among the committed workspaces. Only ratios are worth comparing.
"""

import argparse
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat.errors import NuemstatError
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.to_pyhf import pyhf_parameters, to_pyhf
from nuemstat.workspace.to_pyhf import stock as stock_model

COMMITTED = Path(__file__).resolve().parent.parent / "workspaces"


def find(name: str) -> Path:
    """The file itself, or the committed workspace of that name."""
    return Path(name) if Path(name).exists() else COMMITTED / f"{name}.json"


def in_turns(calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Median time of each call [s]; every round makes each of them, repeated to last a millisecond or more."""
    repeats: dict[str, int] = {}
    for name, call in calls.items():
        call()  # caches, first touches
        start = time.perf_counter()
        call()
        repeats[name] = max(1, int(1e-3 / max(time.perf_counter() - start, 1e-7)))
    found: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(found.values()))) < 5:
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            found[name].append((time.perf_counter() - start) / repeats[name])
    return {name: statistics.median(times) for name, times in found.items()}


def measure(workspace: Workspace, seconds: float) -> dict[str, Any]:
    """Sizes, times [s] and ratios of one workspace, at a point beside the defaults where both give a number."""
    likelihood = Likelihood(workspace)
    generator = np.random.default_rng(1)
    x = likelihood.defaults + np.where(likelihood.constrained, generator.normal(0, 0.05, likelihood.defaults.size), 0.0)
    export = to_pyhf(workspace)
    stock, data = stock_model(workspace)
    values = dict(zip(likelihood.parameters, x.tolist(), strict=True))
    vector = pyhf_parameters(export, stock.config, values)
    times = in_turns(
        {
            "nll": lambda: likelihood(x),
            "nll_gradient": lambda: likelihood.value_gradient_fisher(x),
            "pyhf": lambda: stock.logpdf(vector, data),
        },
        seconds,
    )
    return {
        "workspace": workspace.name,
        "bins": sum(channel.size for channel in workspace.channels),
        "samples": sum(len(channel.samples) for channel in workspace.channels),
        "parameters": len(likelihood.parameters),
        "seconds": times,
        "ratio": {name: times["pyhf"] / times[name] for name in ("nll", "nll_gradient")},
        "finite": bool(np.isfinite(stock.logpdf(vector, data)[0])),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspaces", nargs="+", help="paths, or names of committed workspaces")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each workspace")
    parser.add_argument("--json", type=Path, help="write the numbers to this file, too")
    options = parser.parse_args()
    logging.getLogger("pyhf").setLevel(logging.ERROR)
    head = f"{'workspace':20} {'bins':>6} {'samples':>8} {'params':>7} {'ours':>10} {'+ gradient':>11}"
    print(f"{head} {'pyhf':>10} {'ratio':>7} {'+ gradient':>11}")
    results = []
    for name in options.workspaces:
        try:
            found = measure(Workspace.read(find(name)), options.seconds)
        except NuemstatError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        results.append(found)
        ours, gradient, theirs = (found["seconds"][key] * 1e6 for key in ("nll", "nll_gradient", "pyhf"))
        print(
            f"{found['workspace']:20} {found['bins']:6} {found['samples']:8} {found['parameters']:7} "
            f"{ours:7.0f} us {gradient:8.0f} us {theirs:7.0f} us "
            f"{found['ratio']['nll']:7.1f} {found['ratio']['nll_gradient']:11.1f}"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
