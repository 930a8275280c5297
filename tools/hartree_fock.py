"""Makes the tables of charges and moments in nuemstat/data/atomic/ that compare Hartree-Fock with what the models use.

    python tools/hartree_fock.py charges > nuemstat/data/atomic/charge_error.csv
    python tools/hartree_fock.py moments > nuemstat/data/atomic/moment.csv
    python tools/hartree_fock.py factors FILE...

Both tables come from nuemstat/data/atomic/hartree_fock.csv, whose header says how that was computed, and from the
package. The last form prints rows of hartree_fock.csv from ionisation factors as ampsci writes them (module
Kionisation, files ..._xyz.txt). The input for xenon at 3.0639 keV, the others alike with their energies and max_L:

    Atom { Z = Xe; A; }
    HartreeFock { core = [Xe]; }
    Grid { r0 = 1e-6; rmax = 20.0; num_points = 2000; b = 2.0; }
    Module::Kionisation { E_range = 3.0639, 3.0639; E_steps = 1; q_range = 0.001, 0.3; q_steps = 180; max_L = 80; }
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from nuemstat import units
from nuemstat.physics.atom import atom
from nuemstat.physics.couplings import scheme
from nuemstat.physics.dielectric import Constituent, Medium, terms
from nuemstat.physics.media import absorber
from nuemstat.resources import data_file
from nuemstat.tables import read_table

Array = npt.NDArray[np.float64]

CHARGES = {"Ge": (0.2, 7.0), "Xe": (0.3, 11.5)}
"""Where Hartree-Fock is valid for charges [keV]; the last point of xenon lies at 11.3 keV."""
MOMENTS = {"Ge": (0.2, 2.0), "Xe": (0.3, 2.0)}
"""The same for moments with multipoles up to 40; above, rows with more of them are taken."""
LARGEST = -0.25
"""Difference where nothing tells, chosen: the largest inside the ranges, just above the M edges of xenon."""
LARGE_BELOW = 0.4
"""Below this energy [keV] the error of the moments is the full change, above half of it."""
LEAST = 0.03
"""Least error of moments, chosen: what the vector part of RRPA differs by from Hartree-Fock at the very least."""
HARTREE, END = 27.211386e-3, 400.0  # keV


def effective(transfer: float, momenta: Array, factor: Array) -> tuple[float, float, float]:
    """Weak, moment and charge in free electrons from the ionisation factor K at one transfer; energies in keV.

    A cubic spline of the logarithms: between points further apart than outer shells are wide, straight lines lie below
    the peak of free electrons, by 1 % of the whole at 0.5 keV and 3 % at 5 keV.
    """
    inside = factor > 0
    curve = CubicSpline(np.log(momenta[inside]), np.log(factor[inside]))
    fine = np.geomspace(max(transfer, momenta[0]), min(END, momenta[-1]), 20000)
    strength = np.exp(curve(np.log(fine))) / HARTREE
    mass = units.ELECTRON_MASS / units.keV
    powers = (1 / (2 * mass), transfer / fine**2, 2 * mass * transfer**2 / fine**4)
    weak, moment, charge = (float(np.trapezoid(2 * fine * strength * power, fine)) for power in powers)
    return weak, moment, charge


def factor_rows(path: Path) -> Iterator[str]:
    """Rows of hartree_fock.csv from a file of ampsci, K_<element>_HF_v_<max_L>_..._xyz.txt in eV."""
    element, most = path.name.split("_")[1], path.name.split("_v_")[1].split("_")[0]
    table = np.loadtxt([line for line in path.read_text().splitlines() if line[:1] in ("+", "-")])
    for energy in np.unique(table[:, 0]):
        chosen = table[table[:, 0] == energy]
        numbers = effective(float(energy) * 1e-3, chosen[:, 1] * 1e-3, chosen[:, 2])
        yield ",".join([element, f"{energy * 1e-3:.5g}", *(f"{number:.5g}" for number in numbers), most])


def computed(element: str, column: str) -> tuple[Array, Array, Array]:
    """Energies [keV], electrons by Hartree-Fock, and the multipoles up to which they were added up."""
    table = read_table(data_file("atomic/hartree_fock.csv"))
    listed = np.array([word == element for word in table.words("element")])
    return table.numbers("energy")[listed] / units.keV, table.numbers(column)[listed], table.numbers("max_L")[listed]


def difference(element: str) -> tuple[Array, Array]:
    """Energies [keV], and the longitudinal field by Hartree-Fock over that of the dielectric formula, less 1."""
    energies, electrons, _ = computed(element, "charge")
    thin = Medium(1e-6 / units.HBARC**3 * units.eV**3, (Constituent(1.0, absorber(element)),), 5 * units.eV)
    transfer = energies * units.keV
    found = terms(thin, transfer)
    # 2 pi alpha^2/(m T^2) per electron, over alpha/pi
    free = 2 * np.pi**2 * units.ALPHA * units.HBARC**2 / (units.ELECTRON_MASS * transfer**2)
    return energies, electrons * free / (found.bound + found.free) - 1


def smoothed(values: Array) -> Array:
    """Each value with half its weight from its neighbours: edges lie 1 to 3 % apart, points 16 to 20 %."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.asarray((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4)


def charge_table() -> Iterator[str]:
    """Lines of charge_error.csv."""
    yield (
        "# title: longitudinal field of a charge by relativistic Hartree-Fock over that of the dielectric formula in a "
        "thin medium, less 1"
    )
    yield (
        "# source: nuemstat/data/atomic/hartree_fock.csv, column charge, over L ln(2m/T) + P of "
        "nuemstat/physics/dielectric.py; each point with half its weight from its neighbours, over the edges that both "
        "place differently; made by tools/hartree_fock.py"
    )
    yield (
        "# note: rows `chosen` stand where Hartree-Fock is not valid and for all other elements: the largest "
        "difference inside (just above the M edges of xenon)"
    )
    yield "# licence: computed here"
    yield "# status: in the last column"
    yield "element,energy [keV],difference,status"
    for element, (low, high) in CHARGES.items():
        energies, found = difference(element)
        yield f"{element},{low * 0.85:.4g},{LARGEST},chosen"
        for energy, value in zip(energies, smoothed(found), strict=True):
            if low <= energy <= high:
                yield f"{element},{energy:.5g},{value:.3f},computed"
        yield f"{element},{high * 1.15:.4g},{LARGEST},chosen"
    yield f"other,1,{LARGEST},chosen"


def moments(element: str) -> Iterator[tuple[float, float, float]]:
    """Energy [keV], ratio to stepping, and its relative change at one sigma."""
    low, high = MOMENTS[element]
    energies, electrons, most = computed(element, "moment")
    ratio = electrons / atom(element).z_eff(energies * units.keV)
    used = (energies > low) & ((energies < high) | (most > 40))
    at = np.concatenate([[low], energies[used]])
    for energy, value in zip(at, np.interp(np.log(at), np.log(energies), ratio), strict=True):
        full = energy < LARGE_BELOW if element == "Ge" else energy == low
        change = (1 / float(value) - 1) * (1.0 if full else 0.5)
        if element == "Xe":
            change = max(change, abs(float(value) / vector_part(float(energy)) - 1))
        yield float(energy), float(value), max(change, LEAST)


def vector_part(energy: float) -> float:
    """Many-body over stepped rate of the vector current in xenon at an energy [keV], from the columns of RRPA.

    Far below the neutrino energy a rate is gV^2 v + gA^2 a; nu_e and nu_mu mix the ratios v and a differently.
    """
    rrpa, couplings = atom("Xe").rrpa, scheme()
    if rrpa is None:
        raise ValueError("no RRPA table of xenon")
    squares = np.array([[couplings.gv[f] ** 2, couplings.ga[f] ** 2] for f in ("e", "mu")])
    columns = [np.interp(energy * units.keV, rrpa.energies, column) for column in (rrpa.e, rrpa.mutau)]
    return float(np.linalg.solve(squares, squares.sum(axis=1) / columns)[0])


def moment_table() -> Iterator[str]:
    """Lines of moment.csv."""
    yield "# title: ionisation by a magnetic moment over that of stepped free electrons, and its change at one sigma"
    yield (
        "# source: nuemstat/data/atomic/hartree_fock.csv, column moment, over nuemstat/data/atomic/electron_steps.csv; "
        "made by tools/hartree_fock.py"
    )
    yield (
        "# note: constant outside. One sigma (relative) is the full way to stepping below the table and, in germanium, "
        "below 0.4 keV, half of it above, but at least 3 % (chosen) and in xenon at least the distance to the vector "
        "part of RRPA. Other elements: stepping, with the larger of both errors. Germanium is a free atom; with its "
        "4s and 4p electrons by stepping the ratios are larger by 0.011 at 0.2 keV and 0.02 at 0.6 keV"
    )
    yield "# licence: computed here"
    yield "# status: in the last column"
    yield "element,energy [keV],ratio,change,status"
    rows = {element: list(moments(element)) for element in MOMENTS}
    for element, found in rows.items():
        for energy, ratio, change in found:
            yield f"{element},{energy:.5g},{ratio:.4f},{change:.4f},computed"
    for energy in sorted({row[0] for found in rows.values() for row in found}):
        sizes = [
            abs(float(np.interp(np.log(energy), np.log([r[0] for r in found]), [r[2] for r in found])))
            for found in rows.values()
        ]
        yield f"other,{energy:.5g},1,{max(sizes):.4f},chosen"


def main(form: str, paths: list[str]) -> None:
    """Print a table or rows of one."""
    if form == "factors":
        lines: Iterator[str] = (row for path in paths for row in factor_rows(Path(path)))
    else:
        lines = {"charges": charge_table, "moments": moment_table}[form]()
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
