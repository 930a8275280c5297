"""Response matrices: from recoil energy bins to bins of what is measured.

A rate is integrated over each recoil bin (`bin_integrals`) and folded with the matrix, whose rows are evaluated at
the logarithmic centre of the recoil bin. With 200 bins per decade (`recoil_grid`) counts do not depend on the grid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nuemstat.detector.efficiency import Efficiency
from nuemstat.detector.quenching import Quenching
from nuemstat.detector.resolution import PerfectResolution, Resolution
from nuemstat.errors import ModelError
from nuemstat.polynomial import CouplingPolynomial, FloatArray

Counts = TypeVar("Counts", FloatArray, CouplingPolynomial)

_TOLERANCE = 1e-6  # change of any probability when the sub-bins of a reconstructed efficiency are halved
_MOST_SUB_BINS = 128  # per visible bin and stretch between two knots
_PROBED_ROWS = 24
_MOST_KNOTS = 16  # per visible bin; denser tables are smooth at the scale of the sub-bins


@dataclass(frozen=True, slots=True, eq=False)
class ResponseMatrix:
    """Probability to be measured in bin j what recoiled in bin i; rows sum to the efficiency.

    recoil_edges : true recoil energy [MeV], shape (n_recoil + 1,)
    visible_edges : of what is measured, in internal units, shape (n_visible + 1,)
    matrix : shape (n_recoil, n_visible)
    visible_name, visible_unit : the measured axis in words, for channels and messages
    """

    recoil_edges: FloatArray
    visible_edges: FloatArray
    matrix: FloatArray
    visible_name: str = "electron_equivalent"
    visible_unit: str = "keVee"

    def __post_init__(self) -> None:
        wanted = (len(self.recoil_edges) - 1, len(self.visible_edges) - 1)
        if self.matrix.shape != wanted:
            raise ModelError(f"response: the matrix has shape {self.matrix.shape}; its axes make {wanted}")

    @property
    def efficiency(self) -> FloatArray:
        """Probability to be measured anywhere on the axis, shape (n_recoil,)."""
        return np.asarray(self.matrix.sum(axis=1))

    def fold(self, counts: Counts) -> Counts:
        """Counts per recoil bin, shape (..., n_recoil), into counts per visible bin, shape (..., n_visible)."""
        if isinstance(counts, CouplingPolynomial):
            return counts.fold(self.matrix)
        return counts @ self.matrix


def recoil_grid(minimum: float, maximum: float, per_decade: int = 200, breakpoints: Sequence[float] = ()) -> FloatArray:
    """Logarithmic edges [MeV] from minimum to maximum; each break point between them is an edge.

    breakpoints : where a spectrum or an efficiency jumps: shell edges, cuts, endpoints.

    Raises
    ------
    ModelError : not 0 < minimum < maximum.
    """
    if not 0 < minimum < maximum < np.inf or per_decade < 1:
        raise ModelError(f"recoil grid: found {minimum:g} to {maximum:g}, {per_decade} per decade; 0 < low < high")
    number = max(1, int(np.ceil(per_decade * np.log10(maximum / minimum) - 1e-9)))
    jumps = np.unique(np.asarray(breakpoints, dtype=float))
    jumps = jumps[(jumps > minimum * (1 + 1e-9)) & (jumps < maximum * (1 - 1e-9))]
    grid = np.geomspace(minimum, maximum, number + 1)
    grid[0], grid[-1] = minimum, maximum
    if len(jumps):  # a grid point that all but coincides with a break point gives way to it
        after = np.searchsorted(jumps, grid)
        near = np.minimum(np.abs(grid - jumps[after - 1]), np.abs(grid - jumps[np.minimum(after, len(jumps) - 1)]))
        grid = grid[near > 1e-6 * grid]
    return np.union1d(grid, jumps)


def bin_integrals(recoil_edges: FloatArray, rate_function: Callable[[FloatArray], Counts], nodes: int = 4) -> Counts:
    """Integral of a rate over each recoil bin, by Gauss-Legendre in the logarithm of the energy.

    rate_function : takes recoil energies [MeV] of shape (n,) and gives a rate per energy, an array of shape
        (..., n) or a polynomial of such arrays. Returns the same with n_recoil in place of n.
    """
    points, weights = np.polynomial.legendre.leggauss(nodes)
    low, width = np.log(recoil_edges[:-1]), np.diff(np.log(recoil_edges))
    recoil = np.exp(low[:, None] + width[:, None] * (points + 1) / 2)
    measure = recoil * width[:, None] * weights / 2

    def integrate(values: FloatArray) -> FloatArray:
        shaped = np.broadcast_to(values, (*np.shape(values)[:-1], recoil.size))
        return np.asarray(np.einsum("...ij,ij->...i", shaped.reshape(*shaped.shape[:-1], *recoil.shape), measure))

    rate = rate_function(recoil.ravel())
    if isinstance(rate, CouplingPolynomial):
        return CouplingPolynomial({term: integrate(values) for term, values in rate.terms.items()})
    return integrate(rate)


def build(
    recoil_edges: FloatArray,
    visible_edges: FloatArray,
    *,
    quenching: Quenching,
    resolution: Resolution,
    efficiency_true: Efficiency | None = None,
    efficiency_visible: Efficiency | None = None,
    efficiency_reconstructed: Efficiency | None = None,
    visible_name: str = "electron_equivalent",
    visible_unit: str = "keVee",
) -> ResponseMatrix:
    """The response computed from quenching, resolution and efficiencies.

    efficiency_true : as a function of the recoil energy; efficiency_visible : of the quenched energy before it is
        smeared; efficiency_reconstructed : of the measured quantity, integrated with the density over each bin.

    Raises
    ------
    ModelError : edges that do not rise, recoil energies of zero, or a quenching that falls with energy where an
        exact resolution needs it to rise.
    """
    _check_edges(recoil_edges, visible_edges)
    centres, shares = _row_centres(recoil_edges, quenching)
    visible = quenching(centres)
    if isinstance(resolution, PerfectResolution):
        matrix = _overlap(recoil_edges, visible_edges, quenching)
        if efficiency_reconstructed is not None:
            matrix = matrix * efficiency_reconstructed(visible)[:, None]
    elif efficiency_reconstructed is None:
        matrix = resolution.probability(visible, visible_edges) * shares[:, None]
    else:
        matrix = _smeared_efficiency(visible, visible_edges, resolution, efficiency_reconstructed) * shares[:, None]
    for efficiency, energy in ((efficiency_true, centres), (efficiency_visible, visible)):
        matrix = matrix if efficiency is None else matrix * efficiency(energy)[:, None]
    return ResponseMatrix(recoil_edges, visible_edges, matrix, visible_name, visible_unit)


def _check_edges(recoil_edges: FloatArray, visible_edges: FloatArray) -> None:
    for name, edges in (("recoil", recoil_edges), ("visible", visible_edges)):
        if len(edges) < 2 or not np.all(np.isfinite(edges)) or np.any(np.diff(edges) <= 0):
            raise ModelError(f"response: the {name} edges do not rise; strictly rising finite edges are allowed")
    if recoil_edges[0] <= 0:
        raise ModelError(f"response: recoil edges start at {recoil_edges[0]:g}; energies above 0 are allowed")


def _cut_logarithm(recoil_edges: FloatArray, quenching: Quenching) -> float:
    """Logarithm of the recoil energy at the ionisation cut, -inf where every bin is above it."""
    visible = quenching.uncut(recoil_edges)
    if quenching.ionisation_cut <= visible[0]:
        return -np.inf
    if quenching.ionisation_cut > visible[-1]:
        return np.inf
    return float(_recoil_logarithm(np.array([quenching.ionisation_cut]), recoil_edges, visible)[0])


def _recoil_logarithm(at: FloatArray, recoil_edges: FloatArray, visible: FloatArray) -> FloatArray:
    """Logarithm of the recoil energy whose visible energy is `at`; both logarithms are linear within a bin."""
    tiny = np.finfo(float).tiny
    known, wanted = (np.log(np.maximum(energy, tiny)) for energy in (visible, at))
    return np.interp(wanted, known, np.log(recoil_edges), left=-np.inf, right=np.inf)


def _row_centres(recoil_edges: FloatArray, quenching: Quenching) -> tuple[FloatArray, FloatArray]:
    """Energy at which each row is evaluated, and the share of its bin above the ionisation cut."""
    low, high = np.log(recoil_edges[:-1]), np.log(recoil_edges[1:])
    start = np.clip(_cut_logarithm(recoil_edges, quenching), low, high)
    centres = np.where(start < high, np.exp((start + high) / 2), np.exp((low + high) / 2))
    return centres, np.where(quenching(centres) > 0, (high - start) / (high - low), 0.0)


def _overlap(recoil_edges: FloatArray, visible_edges: FloatArray, quenching: Quenching) -> FloatArray:
    """Share of each recoil bin (in its logarithm) that lies in each visible bin, for an exact resolution."""
    visible = quenching.uncut(recoil_edges)
    if np.any(np.diff(visible) <= 0):
        raise ModelError("response: the visible energy falls while the recoil energy rises; a rising one is allowed")
    logarithms = np.log(recoil_edges)
    at = _recoil_logarithm(visible_edges, recoil_edges, visible)
    at = np.maximum(at, _cut_logarithm(recoil_edges, quenching))
    below = (at[None, :] - logarithms[:-1, None]) / np.diff(logarithms)[:, None]
    return np.diff(np.clip(below, 0.0, 1.0), axis=1)


def _smeared_efficiency(
    visible: FloatArray, edges: FloatArray, resolution: Resolution, efficiency: Efficiency
) -> FloatArray:
    """Integral of efficiency x density over each visible bin; sub-bins are halved until nothing changes."""
    inner = np.array([k for k in efficiency.knots if edges[0] < k < edges[-1]])
    if len(inner) > _MOST_KNOTS * (len(edges) - 1):
        inner = np.empty(0)
    stretches = np.union1d(edges, inner)
    probes = visible[:: max(1, len(visible) // _PROBED_ROWS)]
    number, before = 1, _sub_binned(probes, edges, stretches, 1, resolution, efficiency)
    while number < _MOST_SUB_BINS:
        number *= 2
        after = _sub_binned(probes, edges, stretches, number, resolution, efficiency)
        change, before = float(np.max(np.abs(after - before))), after
        if change < _TOLERANCE:
            break
    return _sub_binned(visible, edges, stretches, number, resolution, efficiency)


def _sub_binned(
    visible: FloatArray,
    edges: FloatArray,
    stretches: FloatArray,
    number: int,
    resolution: Resolution,
    efficiency: Efficiency,
) -> FloatArray:
    """As `_smeared_efficiency` with `number` pairs of sub-bins per stretch.

    The midpoint rules with single and with joined sub-bins are combined (Richardson), which leaves an error of
    fourth order at no further cost.
    """
    steps = np.linspace(0, 1, 2 * number, endpoint=False)
    fine = np.append((stretches[:-1, None] + np.diff(stretches)[:, None] * steps).ravel(), stretches[-1])
    single = efficiency((fine[1:] + fine[:-1]) / 2)
    joined = np.repeat(efficiency(fine[1::2]), 2)
    weighted = resolution.probability(visible, fine) * ((4 * single - joined) / 3)
    starts = 2 * number * np.searchsorted(stretches, edges[:-1])
    return np.maximum(np.add.reduceat(weighted, starts, axis=1), 0.0)
