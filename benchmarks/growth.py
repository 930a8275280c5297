"""How one evaluation grows with the size of a workspace, and what many toys take of memory."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import in_turns, synthetic

from nuemstat.stats.batch import fit_batch
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.to_pyhf import stock

BASE = {"bins": 200, "samples": 6, "nuisances": 6, "experiments": 1}
STEPS = {
    "bins": (100, 1_000, 10_000, 100_000),
    "samples": (4, 16, 64, 256),
    "nuisances": (3, 12, 48),
    "experiments": (1, 4, 16),
}
TASK = 1000
"""Toys of one task of the memory test."""


def growth(seconds: float, compiled: bool, pyhf_cells: float = 3e5) -> list[dict[str, Any]]:
    """Times [s] of value with gradient, and with Fisher matrix, along each size; pyhf's while it is small."""
    rows = []
    for what, sizes in STEPS.items():
        for size in sizes:
            sizes_here = {**BASE, what: size}
            workspace = synthetic(**sizes_here)
            likelihood = Likelihood(workspace, kernel="numpy")
            x = likelihood.defaults + 0.1
            calls = {
                "numpy_gradient": lambda own=likelihood, x=x: own.value_gradient(x),
                "numpy_fisher": lambda own=likelihood, x=x: own.value_gradient_fisher(x),
            }
            if compiled:
                fast = likelihood.run_by("compiled")
                calls["compiled_gradient"] = lambda own=fast, x=x: own.value_gradient(x)
                calls["compiled_fisher"] = lambda own=fast, x=x: own.value_gradient_fisher(x)
            cells = sizes_here["bins"] * sizes_here["samples"] * sizes_here["experiments"]
            if cells * sizes_here["experiments"] * sizes_here["nuisances"] <= pyhf_cells:
                made, data = stock(workspace)
                place = np.array(made.config.suggested_init())
                calls["pyhf_nll"] = lambda own=made, data=data, place=place: own.logpdf(place, data)
            times = in_turns(calls, seconds, rounds=3)
            rows.append({"along": what, **sizes_here, "bins_x_samples": cells, "seconds": times})
    return rows


def memory(toys: int) -> float:
    """Peak memory [MB] of a process of its own that throws and fits so many toys, task by task."""
    command = [sys.executable, str(Path(__file__)), str(toys)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    return float(json.loads(found.stdout))


def _fit_toys(toys: int) -> float:
    """What the process of `memory` does; a summary of constant size is all that stays."""
    likelihood = Likelihood(synthetic(bins=20, samples=3, nuisances=3), kernel="numpy")
    start = likelihood.vector({"millicharge_ee": 0.3})
    mean, total = likelihood.counts(start), np.zeros(2)
    for number in range(max(toys // TASK, 1)):
        random = np.random.default_rng((1, number))
        counts = random.poisson(mean, (TASK, mean.size)).astype(float)
        centres = random.normal(size=(TASK, start.size)) * likelihood.constrained
        found = fit_batch(likelihood, counts, centres, start)
        total += found.values.sum(), (found.values**2).sum()
    return _peak()


def _peak() -> float:
    """Peak memory of this process [MB]; on Linux not from rusage, which starts from that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    print(json.dumps(_fit_toys(int(sys.argv[1]))))
