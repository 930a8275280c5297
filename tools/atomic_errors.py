"""Makes the two tables of errors of equivalent photons in nuemstat/data/atomic/ from public tables.

    python tools/atomic_errors.py photoabsorption > nuemstat/data/atomic/photoabsorption_error.csv
    python tools/atomic_errors.py longitudinal FOLDER > nuemstat/data/atomic/longitudinal.csv

The first needs the packages xraydb 4.5.8 and periodictable 2.1.0, the second a copy of the public repository
benroberts999/AtomicIonisation (commit b448a86, MIT licence) in FOLDER. nuemstat itself needs neither.
"""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ELEMENTS = ("Ar", "Cs", "Ge", "I", "Si", "Xe")
WINDOWS = (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 29)
"""Edges of the windows of energy [keV] in which the tables of photoabsorption are compared."""
FACTOR = 2.0
"""A table that differs from Henke's by more than this factor all over a window is wrong there, and left out."""

CLASSICAL_RADIUS = 2.8179403262e-13  # cm
HC = 12398.419843320026e-8  # eV cm
AVOGADRO = 6.02214076e23

HARTREE = 0.0272114  # keV
INVERSE_BOHR = 3.72894  # keV
IONISATION = {
    "Xe": "K_Xe_hf_v_6_hp_orth_mat.txt",
    "I": "iodine/K_I_hf_v_6_hp_orth_mat.txt",
    "Ar": "K_Ar_hf_v_6_hp_orth_mat.txt",
}
LOW, HIGH = 0.3, 10.0
"""Range [keV] in which the tables of ionisation factors are used: below, their Hartree-Fock electrons are not
screened by each other (the 4d resonance of xenon is wrong); above, they end."""
PATTERNS = ("Xe", "I")
"""Whose largest value stands for what no table tells. Argon's between 1.5 and 3.2 keV is larger: there it absorbs
photons so little that charges scatter on its electrons as on free ones."""


def deviations(element: str, energies: Array) -> tuple[Array, Array]:
    """Relative difference of the tables of Elam and of Chantler from that of Henke at energies in eV."""
    import xraydb
    from periodictable import elements

    _, imaginary = elements.symbol(element).xray.scattering_factors(energy=energies / 1000)
    henke = 2 * CLASSICAL_RADIUS * HC / energies * imaginary
    elam = xraydb.mu_elam(element, energies, kind="photo") * xraydb.atomic_mass(element) / AVOGADRO
    chantler = 2 * CLASSICAL_RADIUS * HC / energies * xraydb.f2_chantler(element, energies)
    return elam / henke - 1, chantler / henke - 1


def spread(element: str) -> Iterator[tuple[float, float]]:
    """Centre [eV] of each window, and the mean of the tables' median distances from Henke's in it."""
    for low, high in pairwise(WINDOWS):
        found = deviations(element, 1000 * np.geomspace(low, high, 402)[1:-1])
        sizes = [float(np.median(np.abs(d))) for d in found if 1 / FACTOR < 1 + float(np.median(d)) < FACTOR]
        yield 1000 * (low * high) ** 0.5, float(np.mean(sizes))


def ionisation_factor(path: Path) -> tuple[Array, Array, Array]:
    """Energies [keV], momenta [keV] and K(energy, momentum) of a table of AtomicIonisation."""
    blocks = path.read_text().split("\n\n")
    energies, momenta, factor = (np.loadtxt(block.splitlines(), comments="#") for block in blocks[1:4])
    return energies * HARTREE, momenta * INVERSE_BOHR, factor


def longitudinal(energies: Array, momenta: Array, factor: Array) -> Array:
    """Integral of dq/q from q = T on, of K/q^2 over its limit for small momenta, at each energy transfer T."""
    found = []
    for transfer, row in zip(energies, factor, strict=True):
        strength = row / momenta**2
        x = np.concatenate([[np.log(transfer)], np.log(momenta[momenta > transfer])])
        y = np.interp(x, np.log(momenta), strength)
        found.append(np.trapezoid(y, x) / strength[0])
    return np.array(found)


def photoabsorption_table() -> Iterator[str]:
    """Lines of photoabsorption_error.csv."""
    yield "# title: relative error of the tabulated photoabsorption cross section, common to all energies of an element"
    yield (
        "# source: spread of the tables: in each window (edges 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 29 keV) "
        "the median distance of the table of Elam and of that of Chantler (both as distributed with xraydb 4.5.8) "
        "from that of Henke (as distributed with periodictable 2.1.0), the mean of the two; a table that is wrong by "
        "more than a factor of 2 all over a window is left out (Elam, Cs below 0.7 keV); made by tools/atomic_errors.py"
    )
    yield (
        "# note: at the windows' centres, linear between the logarithms of the energies, constant outside; below 0.2 "
        "keV the tables of Elam and of Chantler are wrong by factors and the first value is kept"
    )
    yield "# licence: computed here; the packages: MIT (xraydb), public domain (periodictable)"
    yield "# status: computed"
    yield "element,energy [eV],relative_error"
    for element in ELEMENTS:
        for energy, error in spread(element):
            yield f"{element},{energy:.0f},{error:.2g}"


def longitudinal_table(folder: Path) -> Iterator[str]:
    """Lines of longitudinal.csv."""
    tables = {}
    for element, name in IONISATION.items():
        energies, momenta, factor = ionisation_factor(folder / "tables" / name)
        inside = (energies >= LOW) & (energies <= HIGH)
        tables[element] = energies[inside], longitudinal(energies[inside], momenta, factor[inside])
    largest = max(float(np.max(tables[element][1])) for element in PATTERNS)
    yield (
        "# title: ionisation by a charge through its longitudinal field, over the equivalent photons per unit of their "
        "logarithm ln(E/m)"
    )
    yield (
        "# source: integral of dq/q from q = T on of K(T,q)/q^2 over its limit at small q; K: ionisation factors by "
        "relativistic Hartree-Fock of Caddell, Flambaum and Roberts, arXiv:2305.05125, public "
        "tables benroberts999/AtomicIonisation, commit b448a86, vector coupling; made by tools/atomic_errors.py"
    )
    yield (
        "# note: the tables have multipoles up to L = 6, which makes the values lower bounds from about 1.5 keV on; "
        "rows `chosen`: where no table tells (other elements; below 0.3 keV, where the calculation lacks the screening "
        "of the electrons by each other; above 10 keV) the largest value of Xe and I between 0.3 and 10 keV"
    )
    yield "# licence: K: MIT, Copyright (c) 2023 Benjamin M. Roberts and Ashlee R. Caddell"
    yield "# status: in the last column"
    yield "element,energy [keV],longitudinal,status"
    for element in ELEMENTS:
        if element not in tables:
            yield f"{element},1,{largest:.3g},chosen"
            continue
        yield f"{element},0.2,{largest:.3g},chosen"
        for energy, value in zip(*tables[element], strict=True):
            yield f"{element},{energy:.4g},{value:.4g},computed"
        yield f"{element},12,{largest:.3g},chosen"


if __name__ == "__main__":
    chosen = photoabsorption_table() if sys.argv[1] == "photoabsorption" else longitudinal_table(Path(sys.argv[2]))
    sys.stdout.write("".join(f"{line}\n" for line in chosen))
