"""The shipped models and the world fit: compiling without and with the cache, the joint fit, and its intervals.

    python benchmarks/world.py [--coupling NAME]...

Each step runs in a process of its own, with an empty cache folder to begin with, on one thread; times are processor
time and include what is loaded on the way, unless said otherwise. README.md beside this file says what is asked.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

COUPLINGS = ("magnetic_moment", "millicharge", "charge_radius_ee")
ASKED = {"compile, no cache": 60.0, "compile, cached": 5.0, "world fit": 2.0, "interval": 10.0}
"""Seconds."""
MEMORY = 2000.0
"""Peak of compiling all models [MB]."""


def compiled(_: str) -> dict[str, float]:
    """All shipped models, one after the other."""
    import nuemstat as nu

    for name in nu.shipped_models():
        nu.compile(nu.load_model(name))
    return {"seconds": time.process_time()}


def world() -> Any:
    """The joint workspace of models/world.yaml."""
    import nuemstat as nu
    from nuemstat.main_job import world_models

    return nu.combine([nu.compile(nu.load_model(name)) for name in world_models()], name="world")


def timed(call: Callable[[], Any]) -> dict[str, float]:
    """Processor time of a call in this process, and of the same call once more, when all is loaded."""
    seconds = []
    for _ in range(2):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return {"seconds": seconds[0], "again": seconds[1]}


def world_fit(_: str) -> dict[str, float]:
    """The fit of all nuisances with covariance, verified by MIGRAD, couplings at their defaults."""
    import nuemstat as nu

    joint = world()
    return timed(lambda: nu.fit(joint))


def interval(coupling: str) -> dict[str, float]:
    """All intervals of one coupling at 90 %."""
    import nuemstat as nu

    joint = world()
    return timed(lambda: nu.limit(joint, coupling))


STEPS: dict[str, Callable[[str], dict[str, float]]] = {
    "compiled": compiled,
    "world_fit": world_fit,
    "interval": interval,
}


def apart(step: str, cache: str, argument: str = "") -> dict[str, float]:
    """A step in a process of its own, with its peak of memory [MB]."""
    environment = os.environ | {"NUEMSTAT_CACHE": cache, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--step", step, "--argument", argument]
    found: dict[str, float] = json.loads(
        subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    )
    return found


def row(label: str, found: dict[str, float], asked: float) -> None:
    again = f", again {found['again']:.2f} s" if "again" in found else ""
    met = "met" if found["seconds"] <= asked else "NOT MET"
    print(
        f"{label:32} {found['seconds']:7.2f} s{again}, peak {found['memory']:.0f} MB   {asked:g} s asked: {met}",
        flush=True,
    )


def main() -> None:
    """Run one step, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coupling", action="append", help="of the intervals; one of each kind without it")
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--argument", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        found = STEPS[options.step](options.argument)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found | {"memory": peak}))
        return
    with tempfile.TemporaryDirectory() as cache:
        cold = apart("compiled", cache)
        row("compile all, no cache", cold, ASKED["compile, no cache"])
        print(f"{'':32} {MEMORY:g} MB asked: {'met' if cold['memory'] <= MEMORY else 'NOT MET'}")
        warm = apart("compiled", cache)
        row("compile all, cached", warm, ASKED["compile, cached"])
        print(f"{'':32} {cold['seconds'] / warm['seconds']:.0f} times faster than without")
        row("world fit", apart("world_fit", cache), ASKED["world fit"])
        for name in options.coupling or COUPLINGS:
            row(f"interval of {name}", apart("interval", cache, name), ASKED["interval"])


if __name__ == "__main__":
    main()
