"""Errors of the converted reactor spectra of Huber (Phys. Rev. C 84 (2011) 024617), as fractions of the spectrum.

The basis is that of the table: 235U, 239Pu and 241Pu at 25 energies from 2 to 8 MeV each. The effects of the
nuclear charge (z), of weak magnetism (wm) and of the normalisation (norm) are common to all bins and isotopes;
the statistical and bias errors are independent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from nuemstat import units
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.tables import read_table

HUBER_ISOTOPES: Final = ("U235", "Pu239", "Pu241")
COMMON: Final = ("z", "wm", "norm")
COMPONENTS: Final = 75
PULLS: Final = (*(f"huber_{name}" for name in COMMON), *(f"huber_pc{index}" for index in range(COMPONENTS)))
"""Pulls in sigma: either the three common errors, or principal components of the whole covariance, not both."""


@dataclass(frozen=True, slots=True, eq=False)
class HuberErrors:
    """One-sigma errors as fractions of the spectrum.

    energies : nodes [MeV], shape (25,); independent : stat and bias in quadrature, shape (3, 25);
    common : z, wm and norm, each (plus - minus)/2, shape (3, 25).
    """

    energies: FloatArray
    independent: FloatArray
    common: Mapping[str, FloatArray]


def huber_file() -> Path:
    """The table behind the errors."""
    return data_file("reactor/huber_2011.csv")


@cache
def huber_errors() -> HuberErrors:
    """The errors of the table; rows in the order of `HUBER_ISOTOPES`."""
    table = read_table(huber_file())
    isotope = np.array(table.words("isotope"))

    def symmetric(name: str) -> FloatArray:
        values = (table.numbers(f"{name}_plus") - table.numbers(f"{name}_minus")) / 2
        return np.array([values[isotope == i] for i in HUBER_ISOTOPES])

    energies = table.numbers("energy", units.ENERGY)[isotope == HUBER_ISOTOPES[0]]
    return HuberErrors(energies, np.hypot(symmetric("stat"), symmetric("bias")), {n: symmetric(n) for n in COMMON})


def huber_covariance() -> FloatArray:
    """diag(stat^2 + bias^2) + z z^T + wm wm^T + norm norm^T of the fractional errors, shape (75, 75).

    Order: the 25 energies of 235U, then those of 239Pu, then of 241Pu.
    """
    errors = huber_errors()
    covariance = np.diag(errors.independent.ravel() ** 2)
    for values in errors.common.values():
        covariance = covariance + np.outer(values, values)
    return covariance


@cache
def huber_components() -> FloatArray:
    """Principal components of the covariance, largest first, shape (75, 3, 25); sum over k of p_k p_k^T gives it back.

    Signs are fixed by a positive sum over the table.
    """
    eigenvalues, vectors = np.linalg.eigh(huber_covariance())
    components = (vectors * np.sqrt(np.maximum(eigenvalues, 0.0))).T[::-1]
    signs = np.where(components.sum(axis=1) < 0, -1.0, 1.0)
    return np.asarray((components * signs[:, None]).reshape(COMPONENTS, len(HUBER_ISOTOPES), -1))


def huber_shift(isotope: str, energies: FloatArray, pulls: Mapping[str, float]) -> FloatArray:
    """Fractional change of one isotope's spectrum at `energies` [MeV] for pulls in sigma, shape (n,).

    Linear between the table's nodes, zero below 2 MeV, the last value above 8 MeV; zero for 238U.
    """
    shift = np.zeros_like(energies)
    if isotope not in HUBER_ISOTOPES:
        return shift
    row, errors = HUBER_ISOTOPES.index(isotope), huber_errors()
    for name, pull in pulls.items():
        kind = name.removeprefix("huber_")
        values = errors.common[kind] if kind in errors.common else huber_components()[int(kind.removeprefix("pc"))]
        shift = shift + pull * np.interp(energies, errors.energies, values[row], left=0.0)
    return shift
