"""One fit in which experiments share couplings, and one in which each sensitive experiment has couplings of its own.

Experiments that are not sensitive to a coupling hold it at the joint best fit in both, and groups of experiments
that share nothing with a sensitive one, which add the same to both, are left out of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray, monomial_name
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import Solution, minimise
from nuemstat.stats.parts import Part, linked, part_of
from nuemstat.stats.problem import Problem
from nuemstat.stats.shares import experiments, users
from nuemstat.stats.starts import starts
from nuemstat.workspace.document import CouplingParameter, DerivedParameter, Parameter, Sample, Workspace

Copies = Mapping[str, tuple[str, str]]
"""Copy -> (coupling, experiment)."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Experiments that share nuisances with each other alone, with couplings of their own.

    part : of the fit with shared couplings, bins and parameters (those of copies: the coupling's) as `Part` has
    them; copies : the couplings of their own.
    """

    part: Part
    copies: Copies


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Both fits, of the same bins.

    common : with shared couplings; best : its minimum; couplings : names of those that are compared;
    groups : the same bins with couplings of each experiment's own, whose minima add up.
    """

    common: Likelihood
    best: Solution
    couplings: tuple[str, ...]
    groups: tuple[Group, ...]

    def lowest(self) -> tuple[float, dict[str, float]]:
        """2 NLL with separate couplings, and the value of every copy (workspace units), for the data.

        Raises
        ------
        FitError : a fit does not converge.
        """
        total = 0.0
        values: dict[str, float] = {}
        for group in self.groups:
            likelihood = group.part.likelihood
            found = _lowest(likelihood, group.copies, self.best.x[group.part.columns])
            total += found.value
            values |= {copied: float(found.x[likelihood.index(copied)]) for copied in group.copies}
        return total, values


def compare(problem: Problem, best: Solution, sensitive: Mapping[str, Sequence[str]]) -> Comparison | None:
    """Both fits, for couplings to which two experiments or more are sensitive; None where there is no such coupling.

    best : the best fit of all experiments; sensitive : coupling -> experiments.

    Raises
    ------
    FitError : the fit with shared couplings does not converge.
    """
    chosen = {name: tuple(found) for name, found in sensitive.items() if len(found) > 1}
    if not chosen:
        return None
    whole, holders = problem.likelihood, users(problem.workspace)
    insensitive = {name: [e for e in holders[name] if e not in found] for name, found in chosen.items()}
    at = {name: float(best.x[whole.index(name)]) for name in chosen}
    together, outside = split(problem.workspace, insensitive)
    apart, copies = split(problem.workspace, {name: holders[name] for name in chosen})
    own = {copied: (name, e) for copied, (name, e) in copies.items() if e in chosen[name]}
    alone = _with_constants(whole, apart, copies, {c: at[name] for c, (name, _) in copies.items() if c not in own})
    kept = [names for names in linked(alone) if any(e in names for _, e in own.values())]
    shared = _with_constants(whole, together, outside, {c: at[name] for c, (name, _) in outside.items()})
    common = part_of(shared, [name for names in kept for name in names])
    first = np.array([best.x[whole.index(name)] for name in common.likelihood.parameters])
    found = _lowest_from(common.likelihood, [first, *starts(common.likelihood, tuple(chosen))])
    groups = tuple(_group(alone, common, names, own) for names in kept)
    return Comparison(common.likelihood, found, tuple(chosen), groups)


def _with_constants(whole: Likelihood, workspace: Workspace, copies: Copies, held: Mapping[str, float]) -> Likelihood:
    """The likelihood of a workspace with copies, with the whole's data, constants and bounds; some copies are held."""
    names = {parameter.name for parameter in workspace.parameters}
    fixed = {name: value for name, value in whole.fixed.items() if name in names} | dict(held)
    likelihood = Likelihood(workspace, fixed=fixed, data="observed").with_data(whole.terms.observed)
    originals = [copies[name][0] if name in copies else name for name in likelihood.parameters]
    likelihood.bounds = whole.bounds[[whole.index(name) for name in originals]]
    return likelihood


def _group(alone: Likelihood, common: Part, names: Sequence[str], own: Copies) -> Group:
    """Some experiments with couplings of their own, as a part of the fit with shared ones."""
    part = part_of(alone, names)
    copies = {copied: own[copied] for copied in part.likelihood.parameters if copied in own}
    originals = [own[name][0] if name in own else name for name in part.likelihood.parameters]
    columns = np.array([common.likelihood.index(name) for name in originals], dtype=np.intp)
    return Group(Part(part.likelihood, np.searchsorted(common.bins, part.bins), columns), copies)


def _lowest_from(likelihood: Likelihood, points: Sequence[FloatArray]) -> Solution:
    """The lowest minimum downhill of any of the points.

    Raises
    ------
    FitError : none converges.
    """
    found = min((minimise(likelihood, x) for x in points), key=lambda s: (not s.converged, s.value))
    if not found.converged:
        raise FitError(f"{likelihood.workspace.name}: the fits that agreement is judged by do not converge")
    return found


def _lowest(likelihood: Likelihood, copies: Copies, start: FloatArray) -> Solution:
    """The lowest minimum with separate couplings: from the joint fit, from where each experiment has its own minimum,
    and from there with one experiment after the other in each of its basins."""
    moves: list[tuple[list[int], list[FloatArray]]] = []
    for experiment in dict.fromkeys(e for _, e in copies.values()):
        own = [copied for copied, (_, e) in copies.items() if e == experiment]
        moves.append(([likelihood.index(copied) for copied in own], _basins(likelihood, experiment, own)))
    preferred = start.copy()
    for places, basins in moves:
        preferred[places] = basins[0] if basins else start[places]
    best = _lowest_from(likelihood, [preferred, start])
    for places, basins in moves:
        for basin in basins[1:]:
            trial = best.x.copy()
            trial[places] = basin
            found = minimise(likelihood, trial)
            if found.converged and found.value < best.value:
                best = found
    return best


def _basins(likelihood: Likelihood, experiment: str, own: Sequence[str]) -> list[FloatArray]:
    """Own couplings at the minima of one experiment's data alone, which cost little to find; the lowest first."""
    small = part_of(likelihood, [experiment]).likelihood
    found: list[Solution] = []
    for solution in sorted((minimise(small, start) for start in starts(small, own)), key=lambda s: s.value):
        apart = [solution.x - other.x for other in found]
        if solution.converged and all(d @ o.fisher @ d > 0.1 for d, o in zip(apart, found, strict=True)):
            found.append(solution)
    places = [small.index(copied) for copied in own]
    return [solution.x[places] for solution in found]


def split(workspace: Workspace, wanted: Mapping[str, Sequence[str]]) -> tuple[Workspace, dict[str, tuple[str, str]]]:
    """The workspace in which some experiments have copies of couplings, and copy -> (coupling, experiment).

    wanted : coupling -> experiments that get a copy; the coupling itself stays where another one uses it.
    """
    moved = _following(workspace, tuple(wanted))
    tables = _tables(workspace, wanted, moved)
    channels, used = [], set()
    for channel in workspace.channels:
        samples = tuple(_renamed(sample, tables.get(channel.experiment, {})) for sample in channel.samples)
        used |= {name for sample in samples for name in sample.monomial}
        channels.append(channel.model_copy(update={"samples": samples}))
    parameters: list[Parameter] = []
    copies: dict[str, tuple[str, str]] = {}
    for parameter in workspace.parameters:
        name = parameter.name
        renamed = {e: table for e, table in tables.items() if name in table}
        if name not in {*wanted, *moved} or _is_used({}, name, moved, used):
            parameters.append(parameter)
        for experiment, table in renamed.items():
            if _is_used(table, name, moved, used):
                parameters.append(_copy(parameter, table))
                if name in wanted:
                    copies[table[name]] = (name, experiment)
    made = Workspace(name=workspace.name, channels=tuple(channels), parameters=tuple(parameters),
                     folded=workspace.folded, choices=workspace.choices, provenance=workspace.provenance)  # fmt: skip
    return made, copies


def _following(workspace: Workspace, couplings: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Derived parameters that follow any of the couplings, with what they follow."""
    derived = {p.name: tuple(p.terms) for p in workspace.parameters if p.kind == "derived"}
    return {name: terms for name, terms in derived.items() if set(terms) & set(couplings)}


def _tables(
    workspace: Workspace, wanted: Mapping[str, Sequence[str]], moved: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, str]]:
    """Experiment -> new names of the couplings it gets copies of, and of what follows these."""
    tables: dict[str, dict[str, str]] = {}
    for k, experiment in enumerate(experiments(workspace)):
        own = [name for name, asking in wanted.items() if experiment in asking]
        names = [*own, *(name for name, terms in moved.items() if set(terms) & set(own))]
        if names:
            tables[experiment] = {name: f"{name}__at{k}" for name in names}
    return tables


def _is_used(table: Mapping[str, str], name: str, moved: Mapping[str, Sequence[str]], used: set[str]) -> bool:
    """Whether any sample hangs on a coupling or on what follows it, under the names of a table."""
    following = [other for other, terms in moved.items() if name in terms]
    return any(table.get(other, other) in used for other in (name, *following))


def _renamed(sample: Sample, table: Mapping[str, str]) -> Sample:
    if not set(sample.monomial) & set(table):
        return sample
    powers = {table.get(name, name): power for name, power in sample.monomial.items()}
    term = monomial_name(tuple(sorted(powers.items())))
    return Sample(name=f"{sample.process}__x__{term}", process=sample.process, monomial=powers,
                  contents=sample.contents, errors=sample.errors, modifiers=sample.modifiers)  # fmt: skip


def _copy(parameter: Any, table: Mapping[str, str]) -> CouplingParameter | DerivedParameter:
    changes: dict[str, Any] = {"name": table[parameter.name]}
    if parameter.kind == "derived":
        changes["terms"] = {table.get(name, name): value for name, value in parameter.terms.items()}
    copied = parameter.model_copy(update=changes)
    assert isinstance(copied, CouplingParameter | DerivedParameter)
    return copied
