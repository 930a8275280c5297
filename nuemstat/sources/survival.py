"""Survival of solar neutrinos as it was measured: a polynomial by day, its asymmetry by night, and the flux with both.

The measurement gave six correlated numbers. They are moved by independent ones: the flux comes first, so that whoever
moves the flux moves what was measured along with it, and the five others are what is then left of each in turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np

from nuemstat import units
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.sources.component import check_names
from nuemstat.tables import read_table

MEASURED: Final = ("sno",)
PARAMETERS: Final = ("c0", "c1", "c2", "a0", "a1")

_CENTRE: Final = 10 * units.MeV
_FLUX: Final = 1e6 / units.cm**2 / units.s


def survival_file(name: str) -> str:
    """Name of the shipped table of a measurement."""
    return f"solar/survival_{name}.csv"


@cache
def _numbers(name: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values, errors and correlation of flux, c0, c1, c2, a0, a1, in the units of the table."""
    table = read_table(data_file(survival_file(name)))
    errors = np.hypot(table.numbers("statistical"), table.numbers("systematic"))
    correlation = np.stack([table.numbers(row) for row in table.words("parameter")])
    return table.numbers("value"), errors, correlation


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSurvival:
    """P_ee by day = c0 + c1 (E - 10 MeV) + c2 (E - 10 MeV)^2 and A_ee = a0 + a1 (E - 10 MeV), as SNO has measured them.

    name : one of `MEASURED`; pulls : of `PARAMETERS`, in standard deviations of what is left of each once the flux and
    those before it are known (rows of the Cholesky factor of their covariance); c0_error : factor on the error of c0.
    Source: SNO, Phys. Rev. C 88 (2013) 025501, arXiv:1109.0763.

    Raises
    ------
    ModelError : an unknown name.
    """

    name: str = "sno"
    pulls: Mapping[str, float] = field(default_factory=dict)
    c0_error: float = 1.0

    def __post_init__(self) -> None:
        check_names("measured survival", {self.name: 1.0}, MEASURED)
        check_names("measured survival pulls", self.pulls, PARAMETERS)

    def parameters(self, flux: float) -> FloatArray:
        """c0, c1, c2, a0, a1 [powers of 1/MeV] where the total 8B flux is `flux` [1/area/time]."""
        values, errors, correlation = _numbers(self.name)
        widened = errors * np.array([1.0, self.c0_error, 1.0, 1.0, 1.0, 1.0])
        pulls = [(flux / _FLUX - values[0]) / errors[0], *(self.pulls.get(name, 0.0) for name in PARAMETERS)]
        return np.asarray(values + widened * (np.linalg.cholesky(correlation) @ np.array(pulls)))[1:]

    def by_day(self, energies: FloatArray, flux: float) -> FloatArray:
        """P_ee by day at `energies` [MeV], between 0 and 1."""
        c0, c1, c2, _, _ = self.parameters(flux)
        distance = (energies - _CENTRE) / units.MeV
        return np.asarray(np.clip(c0 + c1 * distance + c2 * distance**2, 0.0, 1.0))

    def by_night(self, energies: FloatArray, flux: float) -> FloatArray:
        """P_ee by night at `energies` [MeV], between 0 and 1: A_ee = 2 (night - day)/(night + day)."""
        *_, a0, a1 = self.parameters(flux)
        half = (a0 + a1 * (energies - _CENTRE) / units.MeV) / 2
        return np.asarray(np.clip(self.by_day(energies, flux) * (1 + half) / (1 - half), 0.0, 1.0))
