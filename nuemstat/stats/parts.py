"""A likelihood cut down to some of its experiments, and which experiments hang together by what they share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nuemstat.polynomial import FloatArray
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.shares import experiments, users
from nuemstat.workspace.document import Workspace

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The likelihood of some experiments of a whole one, with the parameters that move them and no others.

    bins, columns : where its bins and its parameters stand in the whole, shapes (n_bins,) and (n_parameters,).
    """

    likelihood: Likelihood
    bins: Index
    columns: Index

    def with_data(self, counts: FloatArray, centres: FloatArray) -> Likelihood:
        """With its share of the whole's counts, shape (..., n_bins), and of its centres (..., n_parameters)."""
        return self.likelihood.with_data(counts[..., self.bins], centres[..., self.columns])


def part_of(whole: Likelihood, names: Iterable[str]) -> Part:
    """The part of some experiments, with the whole's data, constants and bounds; constraints stay centred at 0.

    Raises
    ------
    FitError : as `Likelihood`.
    """
    kept = set(names)
    pairs = zip(whole.workspace.channels, whole.terms.slices, strict=True)
    chosen = [(channel, part) for channel, part in pairs if channel.experiment in kept]
    bins = np.concatenate([np.arange(part.start, part.stop) for _, part in chosen])
    workspace = whole.workspace.model_copy(update={"channels": tuple(channel for channel, _ in chosen)})
    used = _held(workspace)
    parameters = tuple(p for p in workspace.parameters if p.name in used)
    workspace = workspace.model_copy(update={"parameters": parameters})
    fixed = {name: value for name, value in whole.fixed.items() if name in used}
    likelihood = Likelihood(workspace, fixed=fixed, data="observed").with_data(whole.terms.observed[bins])
    columns = np.array([whole.index(name) for name in likelihood.parameters], dtype=np.intp)
    likelihood.bounds = whole.bounds[columns]
    return Part(likelihood, bins, columns)


def _held(workspace: Workspace) -> set[str]:
    """Parameters that any sample hangs on, and those that derived ones among them follow."""
    direct = {name for channel in workspace.channels for sample in channel.samples
              for name in (*sample.monomial, *(modifier.parameter for modifier in sample.modifiers))}  # fmt: skip
    followed = {t for p in workspace.parameters if p.kind == "derived" and p.name in direct for t in p.terms}
    return direct | followed


def linked(likelihood: Likelihood) -> list[tuple[str, ...]]:
    """Experiments in groups that share nothing: no parameter that floats, and no nuisance that is fixed.

    Minima of 2 NLL of different groups do not depend on each other, and what a fixed nuisance adds is counted once.
    """
    constants = {p.name for p in likelihood.workspace.parameters if p.kind == "coupling"} & set(likelihood.fixed)
    groups = [{name} for name in experiments(likelihood.workspace)]
    for parameter, sharing in users(likelihood.workspace).items():
        if parameter not in constants:
            touched = [group for group in groups if group & set(sharing)]
            groups = [group for group in groups if group not in touched] + [set().union(*touched)]
    order: Sequence[str] = experiments(likelihood.workspace)
    return sorted((tuple(sorted(group, key=order.index)) for group in groups), key=lambda group: order.index(group[0]))
