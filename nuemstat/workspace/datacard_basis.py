"""A process as a sum of positive templates at physical points, with polynomial weights."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.document import Channel, Sample, Workspace
from nuemstat.workspace.interpolation import code4
from nuemstat.workspace.modifiers import Norm, NormSys
from nuemstat.workspace.to_root import varied

_STEPS = (0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 4.0, -4.0)
_NEGATIVE = 1e-12  # of the largest bin: what rounding may leave below 0
_SINGULAR = 1e-7  # smallest pivot of a usable basis, relative

Exponents = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """One process of a channel in its basis of points.

    parameters : on which it depends; powers : exponents of each monomial, shape (n_monomials, n_parameters);
    points : shape (n_monomials, n_parameters); templates : expected there, shape (n_monomials, n_bins);
    variations : nuisance -> the same at +1 and -1 sigma.
    """

    channel: Channel
    process: str
    parameters: tuple[str, ...]
    powers: npt.NDArray[np.intp]
    points: FloatArray
    templates: FloatArray
    variations: Mapping[str, tuple[FloatArray, FloatArray]]

    @property
    def columns(self) -> tuple[int, ...]:
        """The points at which anything is expected."""
        return tuple(int(k) for k in np.flatnonzero(self.templates.sum(axis=1) > 0))

    def name(self, k: int) -> str:
        """Name of the template at one point."""
        return f"{self.process}__p{k}" if len(self.points) > 1 else self.process

    def coefficients(self) -> FloatArray:
        """Of each weight (row) for each monomial (column)."""
        return np.asarray(np.linalg.inv(_monomials(self.points, self.powers)).T)

    def weight(self, k: int) -> str:
        """The weight of one template as a formula of @0, @1 ..."""
        terms = []
        for coefficient, exponents in zip(self.coefficients()[k], self.powers, strict=True):
            factors = [f"@{i}" for i, power in enumerate(exponents) for _ in range(power)]
            if coefficient:
                terms.append("*".join([f"({float(coefficient)!r})", *factors]))
        return f"({'+'.join(terms)})"


def processes(workspace: Workspace, channel: Channel, couplings: Sequence[str]) -> Iterator[Process]:
    """All processes of a channel that hold anything, couplings other than these at their default.

    Raises
    ------
    WorkspaceError : a monomial or modifier that has no form in a datacard, or no basis of physical points.
    """
    for name in dict.fromkeys(sample.process for sample in channel.samples):
        samples = [sample for sample in channel.samples if sample.process == name]
        found = _process(workspace, channel, name, samples, couplings)
        if found is not None:
            yield found


def _process(
    workspace: Workspace, channel: Channel, name: str, samples: Sequence[Sample], couplings: Sequence[str]
) -> Process | None:
    where = f"{workspace.name}: channel {channel.name}, process {name}"
    terms = [(*_split(workspace, s, couplings, where), s) for s in samples]
    terms = [term for term in terms if term[0] and np.any(term[2].contents)]
    if not terms:
        return None
    parameters = tuple(dict.fromkeys(p for _, powers, _ in terms for p in powers))
    rows = [tuple(powers.get(p, 0) for p in parameters) for _, powers, _ in terms]
    monomials = sorted(set(rows))
    nuisances = dict.fromkeys(n for _, _, s in terms for n in _nuisances(workspace, s, where))

    def contents(nuisance: str, alpha: float) -> FloatArray:
        total = np.zeros((len(monomials), channel.size))
        for (scale, _, sample), row in zip(terms, rows, strict=True):
            total[monomials.index(row)] += scale * _at(channel, sample, nuisance, alpha)
        return total

    nominal = contents("", 0.0)
    pairs = {n: (contents(n, 1.0), contents(n, -1.0)) for n in nuisances}
    powers = np.array(monomials, dtype=np.intp).reshape(len(monomials), len(parameters))
    everything = np.stack([nominal, *(end for pair in pairs.values() for end in pair)])
    points = _basis(workspace, parameters, powers, everything, where)
    design = _monomials(points, powers)

    def at_points(values: FloatArray) -> FloatArray:
        return np.maximum(design @ values, 0.0)

    variations = {n: (at_points(up), at_points(down)) for n, (up, down) in pairs.items()}
    return Process(channel, name, parameters, powers, points, at_points(nominal), variations)


def _split(workspace: Workspace, sample: Sample, couplings: Sequence[str], where: str) -> tuple[float, dict[str, int]]:
    """The constant factor of a sample, and the powers of what is left to vary."""
    scale, kept = 1.0, dict[str, int]()
    factors = [(name, power) for name, power in sample.monomial.items()]
    factors += [(m.parameter, 1) for m in sample.modifiers if m.type == "normfactor"]
    for name, power in factors:
        definition = workspace.parameter(name)
        if definition.kind == "free" or name in couplings:
            kept[name] = kept.get(name, 0) + power
        elif definition.kind == "coupling":
            scale *= definition.default**power
        else:
            raise WorkspaceError(f"{where}: {name} ({definition.kind}) scales a sample; no datacard can say that")
    return scale, kept


def _nuisances(workspace: Workspace, sample: Sample, where: str) -> Iterator[str]:
    for modifier in sample.modifiers:
        if modifier.type == "normfactor":
            continue
        definition = workspace.parameter(modifier.parameter)
        if modifier.type not in ("norm", "normsys", "shape", "histosys") or definition.kind != "constrained":
            raise WorkspaceError(f"{where}: {modifier.type} {modifier.parameter!r} has no form in a datacard")
        yield modifier.parameter


def _at(channel: Channel, sample: Sample, nuisance: str, alpha: float) -> FloatArray:
    """Contents with one nuisance at +1 or -1, by everything that hangs on it."""
    factor = 1.0
    for modifier in sample.modifiers:
        if modifier.parameter != nuisance:
            continue
        if isinstance(modifier, NormSys):
            factor *= code4(nuisance, modifier.hi, modifier.lo)(alpha)
        elif isinstance(modifier, Norm) and modifier.interpolation == "lognormal":
            factor *= code4(nuisance, 1 + modifier.size, 1 / (1 + modifier.size))(alpha)
    return factor * varied(channel, sample, nuisance, alpha)


def _monomials(points: FloatArray, powers: npt.NDArray[np.intp]) -> FloatArray:
    """Each monomial at each point, shape (n_points, n_monomials)."""
    return np.asarray(np.prod(points[:, None, :] ** powers[None], axis=2))


def _basis(
    workspace: Workspace, parameters: Sequence[str], powers: npt.NDArray[np.intp], values: FloatArray, where: str
) -> FloatArray:
    """As many points as monomials, far apart, with nothing negative expected at any of them.

    values : of each monomial, nominal and varied, shape (n_variations, n_monomials, n_bins).
    """
    sizes = np.array([_size(workspace, name, i, powers, values[0]) for i, name in enumerate(parameters)])
    degrees = powers.max(axis=0, initial=0)
    grids = [_candidates(workspace, n, size, int(d)) for n, size, d in zip(parameters, sizes, degrees, strict=True)]
    places = list(product(*grids))
    candidates = np.array(places).reshape(len(places), len(parameters))
    design = _monomials(candidates, powers)
    expected = np.einsum("cm,vmb->cvb", design, values)
    floor = -_NEGATIVE * np.abs(expected).max(axis=(1, 2))
    allowed = np.flatnonzero(expected.min(axis=(1, 2)) >= floor)
    scaled = design / np.prod(np.maximum(sizes, 1e-300)[None] ** powers, axis=1)
    if allowed.size >= len(powers):
        _, r, order = qr(scaled[allowed].T, mode="economic", pivoting=True)
        pivots = np.abs(np.diag(r))
        if pivots[-1] > _SINGULAR * pivots[0]:
            return np.asarray(candidates[np.sort(allowed[order[: len(powers)]])])
    raise WorkspaceError(
        f"{where}: no template is negative at {allowed.size} of {len(candidates)} points in "
        f"{', '.join(parameters) or 'no parameter'}; {len(powers)} independent ones are needed"
    )


def _size(workspace: Workspace, name: str, place: int, powers: npt.NDArray[np.intp], nominal: FloatArray) -> float:
    """The size of a parameter at which its own terms are as large as the rest, or as one count."""
    definition = workspace.parameter(name)
    if definition.kind == "free":
        ends = [abs(end) for end in definition.bounds if end is not None]
        whole = powers[:, place].max() > 2 and len(ends) == 2
        return float(max(ends) if whole else max(0.2 * abs(definition.default), 0.05))
    own = (powers[:, place] > 0) & (powers.sum(axis=1) == powers[:, place])
    rest = max(1.0, float(np.abs(nominal[~own]).max(initial=0.0)))
    pairs = zip(np.abs(nominal[own]).max(axis=1), powers[own, place], strict=True)
    return max((float((rest / peak) ** (1 / power)) for peak, power in pairs if peak), default=1.0)


def _candidates(workspace: Workspace, name: str, size: float, degree: int) -> list[float]:
    """Values to build points from, the default among them, inside the bounds."""
    definition = workspace.parameter(name)
    low = -np.inf if definition.bounds[0] is None else definition.bounds[0]
    high = np.inf if definition.bounds[1] is None else definition.bounds[1]
    if degree > 2 and np.isfinite(high - low):  # a shape: all of its range
        return [definition.default, *np.linspace(low, high, 4 * degree + 1).tolist()]
    found = (definition.default + step * size for step in _STEPS)
    return [value for value in dict.fromkeys(found) if low <= value <= high]
