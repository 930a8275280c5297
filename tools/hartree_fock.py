"""Makes the tables of charges and moments in nuemstat/data/atomic/ that compare Hartree-Fock with what the models use.

    python tools/hartree_fock.py charges > nuemstat/data/atomic/charge_error.csv
    python tools/hartree_fock.py moments > nuemstat/data/atomic/moment.csv

Both come from nuemstat/data/atomic/hartree_fock.csv, whose header says how that was computed, and from the package.
`effective` makes a row of that table from an ionisation factor.
"""

import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nuemstat import units
from nuemstat.physics.atom import atom
from nuemstat.physics.dielectric import Constituent, Medium, terms
from nuemstat.physics.media import absorber
from nuemstat.resources import data_file
from nuemstat.tables import read_table

Array = npt.NDArray[np.float64]

CHARGES = {"Ge": (0.2, 7.0), "Xe": (0.3, 11.5)}
"""Where Hartree-Fock is valid for charges [keV]; the last point of xenon lies at 11.3 keV."""
MOMENTS = {"Ge": (0.2, 3.0), "Xe": (0.3, 3.0)}
"""The same for moments, where the multipoles end sooner."""
LARGEST = -0.25
"""Difference where nothing tells, chosen: the largest inside the ranges, just above the M edges of xenon."""
LARGE_BELOW = 0.4
"""Below this energy [keV] the error of the moments is the full change, above half of it."""
ABOVE = (4.0, 0.955, 0.03)
"""Moments on xenon from this energy [keV] on: ratio and its error."""
HARTREE, END = 27.211386e-3, 400.0  # keV


def effective(transfer: float, momenta: Array, factor: Array) -> tuple[float, float, float]:
    """Weak, moment and charge in free electrons from the ionisation factor K at one transfer; energies in keV."""
    fine = np.geomspace(transfer, END, 4000)
    strength = np.exp(np.interp(np.log(fine), np.log(momenta), np.log(factor))) / HARTREE
    mass = units.ELECTRON_MASS / units.keV
    powers = (1 / (2 * mass), transfer / fine**2, 2 * mass * transfer**2 / fine**4)
    weak, moment, charge = (float(np.trapezoid(2 * fine * strength * power, fine)) for power in powers)
    return weak, moment, charge


def computed(element: str, column: str) -> tuple[Array, Array]:
    """Energies [keV] and electrons by Hartree-Fock."""
    table = read_table(data_file("atomic/hartree_fock.csv"))
    listed = np.array([word == element for word in table.words("element")])
    return table.numbers("energy")[listed] / units.keV, table.numbers(column)[listed]


def difference(element: str) -> tuple[Array, Array]:
    """Energies [keV], and the longitudinal field by Hartree-Fock over that of the dielectric formula, less 1."""
    energies, electrons = computed(element, "charge")
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


def moments(element: str) -> Iterator[tuple[float, float, float, str]]:
    """Energy [keV], ratio to stepping, its change at one sigma, and status."""
    low, high = MOMENTS[element]
    energies, electrons = computed(element, "moment")
    ratio = electrons / atom(element).z_eff(energies * units.keV)
    at = [low, *energies[(energies > low) & (energies < high)], high]
    for energy, value in zip(at, np.interp(np.log(at), np.log(energies), ratio), strict=True):
        full = energy < LARGE_BELOW if element == "Ge" else energy == low
        yield float(energy), float(value), (1 / float(value) - 1) * (1.0 if full else 0.5), "computed"
    if element == "Xe":
        energy, value, error = ABOVE
        yield energy, value, error / value, "chosen"


def moment_table() -> Iterator[str]:
    """Lines of moment.csv."""
    yield "# title: ionisation by a magnetic moment over that of stepped free electrons, and its change at one sigma"
    yield (
        "# source: nuemstat/data/atomic/hartree_fock.csv, column moment, over nuemstat/data/atomic/electron_steps.csv; "
        "made by tools/hartree_fock.py"
    )
    yield (
        "# note: constant outside. One sigma (relative) is the full way to stepping below the table and, in germanium, "
        "below 0.4 keV, half of it above; xenon above 3 keV 0.955 +- 0.03, chosen. Other elements: stepping, with the "
        "larger of both errors. The germanium is a free atom: its 4s and 4p electrons are those of the atom"
    )
    yield "# licence: computed here"
    yield "# status: in the last column"
    yield "element,energy [keV],ratio,change,status"
    rows = {element: list(moments(element)) for element in MOMENTS}
    for element, found in rows.items():
        for energy, ratio, change, status in found:
            yield f"{element},{energy:.5g},{ratio:.4f},{change:.4f},{status}"
    for energy in sorted({row[0] for found in rows.values() for row in found}):
        sizes = [
            abs(float(np.interp(np.log(energy), np.log([r[0] for r in found]), [r[2] for r in found])))
            for found in rows.values()
        ]
        yield f"other,{energy:.5g},1,{max(sizes):.4f},chosen"


if __name__ == "__main__":
    lines = {"charges": charge_table, "moments": moment_table}[sys.argv[1]]()
    sys.stdout.write("".join(f"{line}\n" for line in lines))
