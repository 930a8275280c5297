"""Timing in turns, and the workspaces that are timed."""

import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat import resources
from nuemstat.errors import NuemstatError
from nuemstat.polynomial import monomial_name
from nuemstat.study import resolve
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Axis, Channel, ConstrainedParameter, CouplingParameter, Sample, Workspace
from nuemstat.workspace.modifiers import Anchor, Norm, Shape

COMMITTED = Path(__file__).resolve().parent.parent / "workspaces"
THREE = ("lz_sr1", "coherent_csi", "dresden2")


def in_turns(calls: dict[str, Callable[[], Any]], seconds: float, rounds: int = 5) -> dict[str, float]:
    """Median processor time of each call [s]; each round makes all of them, repeated to last a millisecond."""
    repeats: dict[str, int] = {}
    for name, call in calls.items():
        call()  # caches, first touches
        start = time.process_time()
        call()
        repeats[name] = max(1, int(1e-3 / max(time.process_time() - start, 1e-7)))
    found: dict[str, list[float]] = {name: [] for name in calls}
    end = time.process_time() + seconds
    while time.process_time() < end or len(next(iter(found.values()))) < rounds:
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                call()
            found[name].append((time.process_time() - start) / repeats[name])
    return {name: statistics.median(times) for name, times in found.items()}


class TookTooLong(Exception):
    """A call that was given up."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Give up what takes longer; the main thread only."""

    def give_up(*_: Any) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def find(name: str) -> Workspace:
    """A file, a committed workspace of that name, a shipped model, or ``joint`` and ``all``, several together."""
    if Path(name).is_file():
        return Workspace.read(name)
    if name == "joint":
        return combine([find(member) for member in THREE], name="joint")
    if name == "all":
        return everything()
    committed = COMMITTED / f"{name}.json"
    return Workspace.read(committed) if committed.is_file() else resolve(name)


def everything() -> Workspace:
    """The shipped models together, as many as share no data set, in alphabetical order."""
    members: list[Workspace] = []
    for name in sorted(path.parent.name for path in resources.models_folder().glob("*/model.yaml")):
        try:
            candidate = find(name)
            combine([*members, candidate], name="all")
        except NuemstatError as error:
            print(f"all: without {name}: {error}", file=sys.stderr)
        else:
            members.append(candidate)
    return combine(members, name="all")


def synthetic(bins: int, samples: int, nuisances: int, experiments: int = 1, seed: int = 0) -> Workspace:
    """Experiments with backgrounds and one charge, each sample with every nuisance as norm or shape."""
    random = np.random.default_rng(seed)
    parameters: list[Any] = [
        CouplingParameter(name="millicharge_ee", unit="e", scale=1e-12, default=0.0, bounds=(None, None))
    ]
    channels = []
    for number in range(experiments):
        own = [f"exp{number}__pull{i}" for i in range(nuisances)]
        parameters += [_pull(name) for name in own]
        channels.append(_channel(f"exp{number}", bins, samples, own, random))
    return Workspace(name="synthetic", channels=tuple(channels), parameters=tuple(parameters))


def _pull(name: str) -> ConstrainedParameter:
    return ConstrainedParameter(
        name=name, quantity=name, centre=0.0, sigma=1.0, unit="1", group="benchmark", source="benchmark"
    )


def _channel(name: str, bins: int, samples: int, pulls: Sequence[str], random: np.random.Generator) -> Channel:
    slope = np.linspace(-1, 1, bins)
    anchors = tuple(Anchor(alpha=a, values=_numbers(np.exp(0.02 * a * slope))) for a in (-1.0, 1.0))
    norms = [Norm(parameter=pull, interpolation="lognormal", size=0.05) for pull in pulls[1:]]
    shape = Shape(parameter=pulls[0], interpolation="multiplicative", anchors=anchors)
    made, total = [], np.zeros(bins)
    for i in range(samples):
        contents = random.uniform(5, 20, bins) / (1 + i)
        powers = {"millicharge_ee": 2} if i == samples - 1 else {}
        modifiers = (shape, *norms[i % 3 :: 3])
        term = monomial_name(tuple(powers.items()))
        process = f"process{i}"
        label = f"{process}__x__{term}" if term else process
        made.append(
            Sample(name=label, process=process, monomial=powers, contents=_numbers(contents), modifiers=modifiers)
        )
        total += 0 if powers else contents
    axes = (Axis(name="energy", unit="keV", edges=tuple(float(e) for e in range(bins + 1))),)
    observed = _numbers(random.poisson(total))
    return Channel(
        name=name, experiment=name, datasets=(f"data_{name}",), axes=axes, observed=observed, samples=tuple(made)
    )


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
