"""Speed against stock pyhf (numpy backend) on the same exported workspaces, everything in one run and in turns.

    python benchmarks/run.py [--json FILE] [--workspace NAME_OR_FILE]... [--seconds S] [--patience S]

README.md beside this file says how to read what it prints.
"""

import argparse
import json
import logging
import os
import platform
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
from common import find
from growth import growth, memory
from versus_pyhf import Pair, fits, nll

from nuemstat.errors import NuemstatError
from nuemstat.stats.compiled import precompile

REQUIRED = {
    "joint": {"numpy_gradient": 8, "compiled_gradient": 30, "fit": 200, "profile": 500, "toys": 500},
    "all": {"numpy_gradient": 20, "compiled_gradient": 50, "fit": 200, "profile": 500, "toys": 500},
}
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
PARTS = ("nll", "fits", "growth", "memory")


def compared(name: str, options: argparse.Namespace, compiled: bool) -> dict[str, Any]:
    """Everything about one workspace, printed as it comes."""
    start = time.perf_counter()
    pair = Pair(find(name))
    made = time.perf_counter() - start
    label = pair.workspace.name if Path(name).is_file() else name
    result: dict[str, Any] = {"workspace": label, "seconds_to_build": made}
    with np.errstate(all="ignore"):  # pyhf's trial points
        if "nll" in options.only:
            result["nll"] = nll(pair, options.seconds, compiled)
            show_nll(label, result["nll"])
        if "fits" in options.only:
            result["fits"] = fits(pair, options.patience)
            show_fits(label, result["fits"])
    return result


def verdict(label: str, key: str, ratio: float) -> str:
    """What is asked of this ratio."""
    wanted = REQUIRED.get(label, {}).get(key)
    return "" if wanted is None else f"   at least {wanted} asked: {'met' if ratio >= wanted else 'NOT MET'}"


def show_nll(label: str, found: dict[str, Any]) -> None:
    sizes = f"{found['bins']} bins, {found['bins_x_samples']} bins x samples, {found['parameters']} parameters"
    print(f"\n{label}: {sizes}")
    print(f"  {'one evaluation':22} {'time':>12} {'ns per bin x sample':>20} {'pyhf / this':>12}")
    for name, seconds in found["seconds"].items():
        ratio = found["ratio"].get(name)
        shown = "" if ratio is None else f"{ratio:12.1f}{verdict(label, name, ratio)}"
        print(f"  {name:22} {1e6 * seconds:9.1f} us {found['ns_per_bin_x_sample'][name]:20.2f} {shown}", flush=True)


def show_fits(label: str, found: dict[str, Any]) -> None:
    print(f"  {'fits':22} {'ours':>12} {'pyhf':>12} {'pyhf / ours':>12}")
    words = {"fit": "with covariance", "profile": "50-point profile", "toys": "1000 toys"}
    for name, text in words.items():
        row = found[name]
        bound = ">" if row["lower_bound"] else " "
        tail = f", pyhf: {row['pyhf_failed']}" if "pyhf_failed" in row else ""
        print(
            f"  {text:22} {row['ours']:10.4f} s {row['pyhf']:10.1f} s {bound}{row['ratio']:11.0f}"
            f"{verdict(label, name, row['ratio'])}{tail}"
        )
    drops = ", ".join(f"{who} {drop:.4f}" for who, drop in found["optimum"].items())
    print(f"  2 NLL gained from the start: {drops}", flush=True)


def show_growth(rows: list[dict[str, Any]]) -> None:
    print("\ngrowth of one evaluation: time, and ns per bin x sample")
    for row in rows:
        cells = row["bins_x_samples"]
        times = "  ".join(f"{k} {1e6 * t:.0f} us ({1e9 * t / cells:.1f})" for k, t in row["seconds"].items())
        print(f"  {row['along']:12} {row[row['along']]:7}  {times}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", action="append", help="file, model, joint or all; default: joint and all")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each table of evaluations")
    parser.add_argument("--patience", type=float, default=300.0, help="for one fit of pyhf; longer is a lower bound")
    parser.add_argument("--toys", type=int, default=100_000, help="of the memory test, against a hundredth of it")
    parser.add_argument("--only", action="append", choices=PARTS, help="some of the parts")
    parser.add_argument("--json", type=Path, help="write all numbers to this file, too")
    options = parser.parse_args()
    options.only = options.only or list(PARTS)
    logging.getLogger("pyhf").setLevel(logging.CRITICAL)
    pyhf.set_backend("numpy")
    compiled = find_spec("numba") is not None
    if compiled:
        precompile()
    result: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "python": sys.version.split()[0]}
    result |= {"numpy": np.__version__, "pyhf": pyhf.__version__, "compiled": compiled, "workspaces": []}
    try:
        if {"nll", "fits"} & set(options.only):
            for name in options.workspace or ["joint", "all"]:
                result["workspaces"].append(compared(name, options, compiled))
    except NuemstatError as error:
        print(error, file=sys.stderr)
        return 2
    if "growth" in options.only:
        result["growth"] = growth(min(options.seconds, 0.5), compiled)
        show_growth(result["growth"])
    if "memory" in options.only:
        result["memory_mb"] = {toys: memory(toys) for toys in (max(options.toys // 100, 1), options.toys)}
        print("\nmemory: " + ", ".join(f"{toys} toys {mb:.0f} MB" for toys, mb in result["memory_mb"].items()))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in THREADS):  # one thread; numpy reads it when it is loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, "1"))
    sys.exit(main())
