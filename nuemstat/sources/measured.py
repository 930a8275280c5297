"""Antineutrino spectra of fission that reactor experiments measured by inverse beta decay, with their covariance.

What is published is the spectrum times the cross section of inverse beta decay, in bins. The number of antineutrinos
in a bin is that over the cross section averaged in the bin, and both the average and the shape inside the bin are those
of a summation spectrum: with the cross section at the centre the first bin would be 4 % off and the last 10 %.

A fuel of fractions f_i is predicted from the spectrum S of the whole core at fractions F_i as S + sum (f_i - F_i) S_i
(arXiv:2102.04614). As the f_i sum to 1 this is sum f_i D_i with D_i = S_i + S - sum F_j S_j, densities by isotope like
those of every other table. Nothing is added for spent fuel or for what has not reached equilibrium in the core, which
is below 1 % (memory): whether the published spectrum holds it could not be read. The errors of the S_j without a
measurement, 238U and 241Pu, enter with coefficients below 0.02 for power reactors and are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from itertools import pairwise
from operator import add
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from nuemstat import units
from nuemstat.physics.flux import Flux
from nuemstat.physics.inverse_beta import inverse_beta_cross_section
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.tables import read_table

IntArray = npt.NDArray[np.intp]

FUEL: Final = MappingProxyType({"U235": 0.564, "U238": 0.076, "Pu239": 0.304, "Pu241": 0.056})
"""Mean fission fractions of the cores at Daya Bay (arXiv:2102.04614)."""

COVERED: Final = MappingProxyType({"U235": (0.511, 0.631), "Pu239": (0.252, 0.345)})
"""Least and largest fission fractions of the fuel that the spectra are taken from (arXiv:1704.01082, figure 1)."""

COMBINED: Final = 0.183
"""241Pu per 239Pu in the combined spectrum PuCombo (arXiv:2102.04614)."""

START: Final = 1.8 * units.MeV
"""Where the measured spectra begin; below, they are completed as other tables are."""

MEASURED: Final = ("daya_bay", "daya_bay_prospect")
"""Names of the measured spectra."""

FUEL_MODES: Final = 7
MODES: Final = 15
"""Components of the covariance: the first 7 are those of a core with the mean fuel, the others what pure 235U adds."""

PULLS: Final = tuple(f"measured_pc{index}" for index in range(MODES))
"""Components of the covariance as pulls, in sigma."""

_TABLES: Final = MappingProxyType({"daya_bay": "daya_bay_2021", "daya_bay_prospect": "daya_bay_prospect_2021"})
_COVARIANCE_UNIT: Final = 1e-88 * (units.cm**2 / units.MeV) ** 2
_RECOILS: Final = np.arange(1.5, 8.0, 0.5) * units.MeV
_ELECTRONS: Final = np.array([1.5, 2.0, 3.0, 4.0, 5.0]) * units.MeV
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(4)


@dataclass(frozen=True, slots=True, eq=False)
class Unfolded:
    """A published spectrum times the cross section of inverse beta decay.

    edges [MeV], shape (n + 1,); yields : of each part [cm^2/MeV], shape (n,), in the order of the covariance;
    covariance : [cm^4/MeV^2], shape (m n, m n) for m parts.
    """

    edges: FloatArray
    yields: Mapping[str, FloatArray]
    covariance: FloatArray

    def weights(self, fractions: Mapping[str, float]) -> dict[str, float]:
        """Coefficients of the parts in the spectrum of a fuel of these fission fractions."""
        f = {isotope: fractions.get(isotope, 0.0) for isotope in FUEL}
        if "total" in self.yields:
            return {"U235": f["U235"] - FUEL["U235"], "PuCombo": f["Pu239"] - FUEL["Pu239"], "total": 1.0}
        return {part: f[part] for part in self.yields}

    def as_parts(self, vector: FloatArray) -> dict[str, FloatArray]:
        """A vector of the covariance's order, shape (..., m n), by part, each of shape (..., n)."""
        pieces = np.split(vector, len(self.yields), axis=-1)
        return dict(zip(self.yields, pieces, strict=True))


def unfolded_files(name: str) -> tuple[str, ...]:
    """Stems of the two tables of a measured spectrum."""
    return (_TABLES[name], f"{_TABLES[name]}_covariance")


@cache
def unfolded(name: str) -> Unfolded:
    """The published spectrum of that name, one of `MEASURED`."""
    table = read_table(data_file(f"reactor/{_TABLES[name]}.csv"))
    low, high = table.numbers("low", units.ENERGY), table.numbers("high", units.ENERGY)
    parts = [column for column in table.columns if column not in ("low", "high")]
    matrix = read_table(data_file(f"reactor/{_TABLES[name]}_covariance.csv"))
    covariance = np.stack([matrix.numbers(column) for column in matrix.columns], axis=1) * _COVARIANCE_UNIT
    return Unfolded(np.append(low, high[-1]), {part: table.numbers(part) for part in parts}, covariance)


@dataclass(frozen=True, slots=True, eq=False)
class Theory:
    """What measured spectra need from elsewhere, per fission and energy.

    summation : shapes inside the bins, by isotope; u238, pu241 : spectra of the isotopes that are not measured.
    """

    summation: Mapping[str, Flux]
    u238: Flux
    pu241: Flux


def in_bins(data: Unfolded, shape: Flux) -> FloatArray:
    """Mean of spectrum times cross section over each bin for a spectrum [1/MeV], [cm^2/MeV], shape (n,)."""
    nodes = np.unique(np.concatenate((shape.energies, data.edges)))
    nodes = nodes[(nodes >= data.edges[0]) & (nodes <= data.edges[-1])]
    half = np.diff(nodes)[:, None] / 2
    points = nodes[:-1, None] + half * (1 + _POINTS)
    parts = np.sum(half * _WEIGHTS * shape(points) * inverse_beta_cross_section(points), axis=1)
    cumulative = np.concatenate(([0.0], np.cumsum(parts)))
    return np.asarray(np.diff(cumulative[np.searchsorted(nodes, data.edges)]) / np.diff(data.edges))


def _nodes(data: Unfolded, theory: Theory) -> tuple[FloatArray, IntArray]:
    """Energies of the bins, inner edges twice, and the bin that each belongs to."""
    inner = np.concatenate([f.energies for f in (*theory.summation.values(), theory.u238, theory.pu241)])
    parts = [
        np.concatenate(([low], np.unique(inner[(inner > low) & (inner < high)]), [high]))
        for low, high in pairwise(data.edges)
    ]
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def _at(flux: Flux, energies: FloatArray) -> FloatArray:
    """A spectrum at nodes, the value below a step at the last node of a bin."""
    last = np.append(energies[:-1] == energies[1:], True)
    return np.where(last, flux(np.nextafter(energies, 0.0)), flux(energies))


def measured_densities(name: str, theory: Theory) -> tuple[FloatArray, dict[str, FloatArray]]:
    """A measured spectrum in its bins: nodes [MeV], and the densities D_i of each isotope there [1/MeV]."""
    data = unfolded(name)
    energies, bins = _nodes(data, theory)
    spectra = {part: _spectrum(data, theory, part, data.yields[part], energies, bins) for part in data.yields}
    return energies, _by_isotope(spectra, _at(theory.u238, energies), _at(theory.pu241, energies))


def measured_changes(name: str, theory: Theory) -> dict[str, FloatArray]:
    """What one sigma of each component does to the densities of `measured_densities`, shape (15, nodes) by isotope."""
    data = unfolded(name)
    energies, bins = _nodes(data, theory)
    nothing = np.zeros_like(energies)
    found: dict[str, list[FloatArray]] = {}
    for mode in components(name, theory):
        moved = {p: _spectrum(data, theory, p, y, energies, bins) for p, y in data.as_parts(mode).items()}
        for isotope, change in _by_isotope(moved, nothing, nothing).items():
            found.setdefault(isotope, []).append(change)
    return {isotope: np.array(changes) for isotope, changes in found.items()}


def _spectrum(
    data: Unfolded, theory: Theory, part: str, yields: FloatArray, energies: FloatArray, bins: IntArray
) -> FloatArray:
    """One part at the nodes: the summation spectrum of that part, in each bin scaled to the yield."""
    shape = _summation(theory, part)
    return np.asarray((yields / in_bins(data, shape))[bins] * _at(shape, energies))


def _summation(theory: Theory, part: str) -> Flux:
    """The summation spectrum that a part of the measurement is a sum of."""
    sums = {"total": dict(FUEL), "PuCombo": {"Pu239": 1.0, "Pu241": COMBINED}}
    return _mixed(theory, sums.get(part, {part: 1.0}))


def _mixed(theory: Theory, weights: Mapping[str, float]) -> Flux:
    return reduce(add, (theory.summation[isotope].scaled(weight) for isotope, weight in weights.items()))


def _by_isotope(spectra: Mapping[str, FloatArray], u238: FloatArray, pu241: FloatArray) -> dict[str, FloatArray]:
    """D_i of each isotope from the measured parts and the two that are not measured."""
    pu239 = spectra["Pu239"] if "Pu239" in spectra else spectra["PuCombo"] - COMBINED * pu241
    single = {"U235": spectra["U235"], "U238": u238, "Pu239": pu239, "Pu241": pu241}
    if "total" not in spectra:
        return single
    rest = spectra["total"] - sum(FUEL[isotope] * density for isotope, density in single.items())
    return {isotope: density + rest for isotope, density in single.items()}


def components(name: str, theory: Theory) -> FloatArray:
    """Components p of the covariance, shape (15, m n) in its order [cm^2/MeV]; with all m n it would be p^T p.

    They are ordered by what detectors see: rates of nuclear and electron recoils above a range of thresholds, in units
    of their errors. The first 7 follow from these rates at the mean fuel, the others from what is left for pure 235U.
    Signs are fixed by a positive sum over the total, or over 235U.
    """
    data = unfolded(name)
    seen = [_rates(data, theory, fuel) for fuel in (dict(FUEL), {"U235": 1.0})]
    first = _modes(data.covariance, seen[0], FUEL_MODES)
    rest = _modes(data.covariance - first.T @ first, seen[1], MODES - FUEL_MODES)
    found = np.concatenate((first, rest))
    part = data.as_parts(found)
    signs = np.where(part["total" if "total" in part else "U235"].sum(axis=1) < 0, -1.0, 1.0)
    return np.asarray(found * signs[:, None])


def _rates(data: Unfolded, theory: Theory, fuel: Mapping[str, float]) -> FloatArray:
    """Derivatives of relative rates by the yields of all parts, shape (18, m n).

    Nuclear recoils above a threshold that neutrinos of energy k just reach are (E^2 - k^2)^2/E^2 per neutrino, electron
    recoils above k about E - k, both up to factors.
    """
    weights = data.weights(fuel)
    E = (data.edges[1:] + data.edges[:-1]) / 2
    shape = _mixed(theory, fuel)
    neutrinos = _counted(data, shape) / in_bins(data, shape)
    nuclear = [np.where(k < E, (E**2 - k**2) ** 2 / E**2, 0.0) for k in _RECOILS]
    electrons = [np.where(k < E, E - k, 0.0) for k in _ELECTRONS]
    rates = np.array([*nuclear, *electrons]) * neutrinos
    nominal = rates @ np.sum([weights[part] * yields for part, yields in data.yields.items()], axis=0)
    return np.asarray(np.hstack([weights[part] * rates for part in data.yields]) / nominal[:, None])


def _counted(data: Unfolded, shape: Flux) -> FloatArray:
    """Antineutrinos in each bin of a spectrum, shape (n,)."""
    beyond = np.array([shape.above(float(edge)).total() for edge in data.edges])
    return np.asarray(beyond[:-1] - beyond[1:])


def _modes(covariance: FloatArray, rates: FloatArray, number: int) -> FloatArray:
    """The leading components of a covariance as far as `rates` show them, shape (number, m n)."""
    rates = rates / np.sqrt(np.einsum("ki,ij,kj->k", rates, covariance, rates))[:, None]
    eigenvalues, vectors = np.linalg.eigh(rates @ covariance @ rates.T)
    leading = np.argsort(eigenvalues)[::-1][:number]
    return np.asarray((covariance @ rates.T @ vectors[:, leading] / np.sqrt(eigenvalues[leading])).T)


def outside_fuel(fractions: Mapping[str, float]) -> str | None:
    """In words, the fraction that lies beyond the fuel that the spectra cover; None where all lie in it."""
    for isotope, (least, most) in COVERED.items():
        found = fractions.get(isotope, 0.0)
        if not least <= found <= most:
            covered = f"{100 * least:.3g} to {100 * most:.3g} %"
            return f"{100 * found:.3g} % of the fissions in {isotope}; the measured spectra cover {covered}"
    return None
