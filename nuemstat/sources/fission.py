"""Tabulated antineutrino spectra of fission, and of the neutron capture on 238U, per fission or per decay.

How a table becomes a piecewise-linear density, the same for all:
- 250 keV tables of falling spectra (Mueller, Huber, Kopeikin-Skorokhvatov, Silaeva) keep their nodes; between
  them the log of the spectrum is a monotone cubic, on ten sub-steps. Sampled so, Mueller's polynomials come back
  to 0.2 % everywhere from 2 to 8 MeV; a linear log would be 1.3 % off near 8 MeV, straight lines more.
- Bin-centred tables (BESTIOLE, Estienne) pass through the bin centres and stay constant to the outer edges, so
  that the integral is the sum over bins; where a table is continued the last centre is its last point.
- Measured spectra (Daya Bay, Daya Bay with PROSPECT) have steps at the edges of their bins, see
  `nuemstat.sources.measured`; below 1.8 MeV they are BESTIOLE's as it is, not scaled to meet.
- Vogel-Engel and Kopeikin 2012 are linear between their nodes, as their authors ask.
Above its last point (8 MeV for Mueller, Huber and Kopeikin 2021, 9 MeV for Kopeikin 2012, 10 MeV for Silaeva and
Estienne) a spectrum goes on with BESTIOLE's of the same isotope, scaled to join; no polynomial is followed beyond its
range. BESTIOLE is taken because it alone among the summation tables reaches the end of all beta decays (12.5 MeV, where
1e-3 of its density at 8 MeV is left) and resolves end points (25 keV). Vogel-Engel begins at 7.8 keV.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.sources import measured
from nuemstat.sources.end_point import MEASURED_END, continuation, spread
from nuemstat.tables import Table, read_table

ISOTOPES: Final = ("U235", "U238", "Pu239", "Pu241")
LOW_ENERGY: Final = 2.0 * units.MeV
"""Below here conversion spectra do not reach, and other tables complete them."""

BoolArray = npt.NDArray[np.bool_]

_SUBSTEPS: Final = 10
_PER_ENERGY: Final[units.Dimension] = (-1, 0, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class FissionSpectra:
    """Antineutrinos per fission and energy, on nodes common to the isotopes.

    energies : nodes [MeV], shape (n,), always with two at `seam`: the end of the part below and the start above;
    densities : by isotope, or ``{"total": ...}`` for a spectrum of the whole core [1/MeV], shape (n,);
    with_capture : whether the neutron capture on 238U is in it; last_point : last energy of the table itself [MeV],
    above which the spectrum is continued; seam [MeV] : where the part begins that was measured or converted;
    measured_end [MeV] : up to where it rests on measurements;
    changes : what one sigma of each component of a measured spectrum does, relative, shape (components, n) by isotope.
    """

    energies: FloatArray
    densities: Mapping[str, FloatArray]
    with_capture: bool = False
    last_point: float = np.inf
    seam: float = LOW_ENERGY
    measured_end: float = MEASURED_END
    changes: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def low(self) -> BoolArray:
        """Whether a node belongs to the part below the seam, shape (n,)."""
        return np.arange(self.energies.size) < np.searchsorted(self.energies, self.seam, side="right") - 1


def _reactor_table(name: str) -> Table:
    return read_table(data_file(f"reactor/{name}.csv"))


def _columns(table: Table, names: tuple[str, ...] = ISOTOPES) -> tuple[FloatArray, dict[str, FloatArray]]:
    energies = table.numbers("energy", units.ENERGY)
    return energies, {name: table.numbers(name, _PER_ENERGY) for name in names}


def _spectra(
    energies: FloatArray, densities: Mapping[str, FloatArray], *, with_capture: bool = False
) -> FissionSpectra:
    """With two nodes at 2 MeV, put in where they are missing; the density stays what it is."""
    missing = 2 - int(np.sum(energies == LOW_ENERGY))
    place = np.full(missing, np.searchsorted(energies, LOW_ENERGY))
    filled = {
        name: np.insert(values, place, np.interp(LOW_ENERGY, energies, values)) if missing else values
        for name, values in densities.items()
    }
    return FissionSpectra(np.insert(energies, place, LOW_ENERGY), filled, with_capture)


def _between_nodes(energies: FloatArray, density: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A falling spectrum on ten sub-steps, its log a monotone cubic through the nodes."""
    fraction = np.arange(_SUBSTEPS) / _SUBSTEPS
    fine = np.append((energies[:-1, None] + np.diff(energies)[:, None] * fraction).ravel(), energies[-1])
    return fine, np.exp(PchipInterpolator(energies, np.log(density))(fine))


def _completed(energies: FloatArray, densities: Mapping[str, FloatArray]) -> FissionSpectra:
    """Falling spectra with Vogel-Engel below their first node, where the two may differ: a step."""
    low_energies, low = _columns(_reactor_table("vogel_engel_1989"))
    start = energies[0]
    below = np.append(low_energies[low_energies < start], start)
    joined = {}
    for isotope, density in densities.items():
        fine, values = _between_nodes(energies, density)
        joined[isotope] = np.concatenate((np.interp(below, low_energies, low[isotope]), values))
    return _spectra(np.concatenate((below, fine)), joined)


def _to_edges(
    centres: FloatArray, densities: Mapping[str, FloatArray], *, upper: bool = True
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Bin centres with half a bin of constant density below, and above where nothing follows (`upper`)."""
    half = (centres[1] - centres[0]) / 2
    nodes = np.concatenate(([max(centres[0] - half, 0.0)], centres, [centres[-1] + half] if upper else []))
    return nodes, {name: np.pad(values, (1, int(upper)), mode="edge") for name, values in densities.items()}


def _huber() -> tuple[FloatArray, dict[str, FloatArray]]:
    table = _reactor_table("huber_2011")
    isotope = np.array(table.words("isotope"))
    energies, spectrum = table.numbers("energy", units.ENERGY), table.numbers("spectrum", _PER_ENERGY)
    return energies[isotope == "U235"], {name: spectrum[isotope == name] for name in ("U235", "Pu239", "Pu241")}


def _haag() -> tuple[FloatArray, FloatArray]:
    energies, columns = _columns(_reactor_table("haag_2014"), ("U238",))
    return _between_nodes(energies, columns["U238"])


def _mueller_ve() -> FissionSpectra:
    return _completed(*_columns(_reactor_table("mueller_2011")))


def _mueller_polynomial_ve() -> FissionSpectra:
    table = _reactor_table("mueller_2011_polynomials")
    energies = np.linspace(2.0, 8.0, 25)
    coefficients = zip(*(table.numbers(f"a{p}") for p in range(6, 0, -1)), strict=True)
    densities = {
        isotope: np.exp(np.polyval(row, energies)) / units.MeV
        for isotope, row in zip(table.words("isotope"), coefficients, strict=True)
    }
    return _completed(energies * units.MeV, densities)


def _huber_ve() -> FissionSpectra:
    energies, densities = _huber()
    _, mueller = _columns(_reactor_table("mueller_2011"))
    return _completed(energies, densities | {"U238": mueller["U238"]})


def _kopeikin_2021() -> FissionSpectra:
    energies, densities = _columns(_reactor_table("kopeikin_2021"), ("U235", "U238"))
    _, huber = _huber()
    return _completed(energies, huber | densities)


def _silaeva_2020() -> FissionSpectra:
    return _completed(*_columns(_reactor_table("silaeva_2020")))


def _estienne_2019() -> FissionSpectra:
    return _spectra(*_to_edges(*_columns(_reactor_table("estienne_2019")), upper=False))


def _bestiole() -> FissionSpectra:
    return _spectra(*_to_edges(*_columns(_reactor_table("bestiole_2023"))))


def _kopeikin_2012() -> FissionSpectra:
    return _spectra(*_columns(_reactor_table("kopeikin_2012"), ("total",)), with_capture=True)


def theory_of_measured() -> measured.Theory:
    """What measured spectra need: BESTIOLE's shapes, 238U by Haag within Mueller, 241Pu by Huber."""
    huber, mueller = fission_spectra("huber_ve"), fission_spectra("mueller_ve")
    haag, u238 = _haag()
    around = Flux(mueller.energies, mueller.densities["U238"])
    joined = around.below(float(haag[0])) + Flux(haag, u238) + around.above(float(haag[-1]))
    shapes = {isotope: summation_flux(SUMMATION[0], isotope) for isotope in ISOTOPES}
    return measured.Theory(shapes, joined, Flux(huber.energies, huber.densities["Pu241"]))


def _measured(name: str) -> FissionSpectra:
    """A measured spectrum above BESTIOLE's below 1.8 MeV, with its components."""
    theory, below = theory_of_measured(), tabulated_spectra(SUMMATION[0])
    energies, densities = measured.measured_densities(name, theory)
    low = np.append(below.energies[below.energies < energies[0]], energies[0])
    joined, changes = {}, {}
    for isotope, moved in measured.measured_changes(name, theory).items():
        joined[isotope] = np.append(np.interp(low, below.energies, below.densities[isotope]), densities[isotope])
        changes[isotope] = np.pad(moved / densities[isotope], ((0, 0), (low.size, 0)))
    end = float(energies[-1])
    return FissionSpectra(
        np.append(low, energies), joined, seam=float(energies[0]), measured_end=end, last_point=end, changes=changes
    )


_NOT_MEASURED: Final = ("haag_2014", "huber_2011", "mueller_2011", "vogel_engel_1989")

_LOADERS: Final[Mapping[str, tuple[Callable[[], FissionSpectra], tuple[str, ...]]]] = MappingProxyType(
    {
        "bestiole": (_bestiole, ()),
        "mueller_ve": (_mueller_ve, ("mueller_2011", "vogel_engel_1989")),
        "mueller_polynomial_ve": (_mueller_polynomial_ve, ("mueller_2011_polynomials", "vogel_engel_1989")),
        "huber_ve": (_huber_ve, ("huber_2011", "mueller_2011", "vogel_engel_1989")),
        "kopeikin2021": (_kopeikin_2021, ("kopeikin_2021", "huber_2011", "vogel_engel_1989")),
        "silaeva2020": (_silaeva_2020, ("silaeva_2020", "vogel_engel_1989")),
        "estienne2019": (_estienne_2019, ("estienne_2019",)),
        "kopeikin2012": (_kopeikin_2012, ("kopeikin_2012",)),
        **{n: (partial(_measured, n), (*measured.unfolded_files(n), *_NOT_MEASURED)) for n in measured.MEASURED},
    }
)

SPECTRA: Final = tuple(_LOADERS)
"""Names of the spectra: BESTIOLE; Mueller (table, or its polynomials), Huber (with Mueller's 238U) and Kopeikin 2021
(with Huber's Pu) completed by Vogel-Engel below 2 MeV; Silaeva (completed below 1 MeV); Estienne; and Kopeikin 2012,
the total of a power reactor with the capture on 238U in it; and the measured ones of `nuemstat.sources.measured`."""

SUMMATION: Final = ("bestiole", "silaeva2020", "estienne2019")
"""Tables that are sums over nuclear data above 8 MeV; the first continues all others, their spread is its error."""

TYPICAL_FUEL: Final = MappingProxyType({"U235": 0.58, "U238": 0.08, "Pu239": 0.29, "Pu241": 0.05})
"""Shares of the fissions in a power reactor (arXiv:2310.11307, arXiv:2202.10829), for the end of a total spectrum."""


@cache
def tabulated_spectra(name: str) -> FissionSpectra:
    """The spectra of that name as far as their tables go.

    Raises
    ------
    ModelError : an unknown name.
    """
    if name not in _LOADERS:
        raise ModelError(f"reactor spectrum: found {name!r}; allowed are {', '.join(SPECTRA)}")
    return _LOADERS[name][0]()


@cache
def fission_spectra(name: str) -> FissionSpectra:
    """The spectra of that name, continued above the last point of their tables to the end of the summation spectra.

    Raises
    ------
    ModelError : an unknown name.
    """
    table = tabulated_spectra(name)
    energies, densities = table.energies, dict(table.densities)
    for part, density in table.densities.items():
        above, values = continuation(table.energies, density, summation_flux(SUMMATION[0], part))
        energies, densities[part] = np.append(table.energies, above), np.append(density, values)
    changes = {i: np.pad(moved, ((0, 0), (0, above.size)), mode="edge") for i, moved in table.changes.items()}
    last = float(table.energies[-1])
    return replace(table, energies=energies, densities=densities, last_point=last, changes=changes)


@cache
def summation_flux(name: str, part: str) -> Flux:
    """A tabulated summation spectrum of one isotope [1/MeV], or of a typical power reactor where `part` is total."""
    spectra = tabulated_spectra(name)
    shares = TYPICAL_FUEL if part == "total" else {part: 1.0}
    return Flux(spectra.energies, sum((s * spectra.densities[i] for i, s in shares.items()), np.zeros(())))


def end_point_error(part: str, energies: FloatArray, start: float = MEASURED_END) -> FloatArray:
    """One sigma of the spectrum above `start` [MeV] of an isotope (or the total) at `energies`, relative, shape (n,).

    The largest distance of the summation tables from the one that is used, all scaled to 1 at the start; 0 below.
    """
    reference, *others = (summation_flux(name, part) for name in SUMMATION)
    return spread(energies, reference, others, start)


def spectrum_files(name: str) -> tuple[Path, ...]:
    """The tables behind a spectrum and its continuation."""
    return tuple(data_file(f"reactor/{stem}.csv") for stem in (*_LOADERS[name][1], "bestiole_2023"))


def end_point_files() -> tuple[Path, ...]:
    """The tables behind the error above 8 MeV."""
    return tuple(dict.fromkeys(path for name in SUMMATION for path in spectrum_files(name)))


CAPTURE_FILE: Final = "reactor/bestiole_2023.csv"


@cache
def capture_flux() -> Flux:
    """Antineutrinos of one neutron capture on 238U, 239U and 239Np decays together [1/MeV] (area 2; BESTIOLE)."""
    energies, densities = _to_edges(*_columns(read_table(data_file(CAPTURE_FILE)), ("U239", "Np239")))
    density = densities["U239"] + densities["Np239"]
    end = int(np.flatnonzero(density)[-1]) + 2
    return Flux(energies[:end], density[:end])


@cache
def energy_per_fission(name: str) -> Mapping[str, tuple[float, float]]:
    """Thermal energy per fission of each isotope and its error [MeV], neutron capture included.

    Raises
    ------
    ModelError : an unknown name.
    """
    table = read_table(data_file("reactor/energy_per_fission.csv"))
    if name not in (known := [column for column in table.columns if f"{column}_error" in table.columns]):
        raise ModelError(f"energy per fission: found {name!r}; allowed are {', '.join(known)}")
    rows = zip(table.numbers(name, units.ENERGY), table.numbers(f"{name}_error", units.ENERGY), strict=True)
    return MappingProxyType({i: (float(e), float(d)) for i, (e, d) in zip(table.words("isotope"), rows, strict=True)})
