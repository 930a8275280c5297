"""Atoms as targets of electron recoils: freed electrons by energy, photoabsorption, many-body corrections."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.nucleus import isotopes
from nuemstat.polynomial import FloatArray
from nuemstat.resources import data_file
from nuemstat.tables import Table, read_table


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """Free-electron over many-body (RRPA) weak rate: energies [energy] and the ratio by kind of flavour."""

    energies: FloatArray
    e: FloatArray
    mutau: FloatArray


def _none() -> FloatArray:
    return np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """One element; tables that are not known are empty (or None) and asking for them is an error.

    thresholds : ascending energy transfers [energy] from which on `electrons` electrons can be freed;
    photo_energy, photo_cross_section : photoabsorption cross section per atom [area];
    photo_error_energy, photo_error : its relative error [1], one pull for all energies;
    longitudinal_energy, longitudinal_ratio : what equivalent photons leave out, see `longitudinal`;
    charge_energy, charge_difference : see `hartree_fock_difference`;
    moment_energy, moment, moment_change : see `moment_ratio`;
    rrpa : many-body correction of the weak rate, where one is tabulated.
    """

    element: str
    Z: int
    thresholds: FloatArray
    electrons: FloatArray
    photo_energy: FloatArray
    photo_cross_section: FloatArray
    rrpa: Ratio | None = None
    photo_error_energy: FloatArray = field(default_factory=_none)
    photo_error: FloatArray = field(default_factory=_none)
    longitudinal_energy: FloatArray = field(default_factory=_none)
    longitudinal_ratio: FloatArray = field(default_factory=_none)
    charge_energy: FloatArray = field(default_factory=_none)
    charge_difference: FloatArray = field(default_factory=_none)
    moment_energy: FloatArray = field(default_factory=_none)
    moment: FloatArray = field(default_factory=_none)
    moment_change: FloatArray = field(default_factory=_none)

    def z_eff(self, recoil: npt.ArrayLike) -> FloatArray:
        """Number of electrons that a recoil [energy] can free, a step at and above each threshold; 0 below all.

        Raises
        ------
        ModelError : no binding energies are tabulated for this element.
        """
        if not self.thresholds.size:
            raise ModelError(f"atom {self.element}: no binding energies are tabulated; only free electrons are allowed")
        steps = np.concatenate([[0.0], self.electrons])
        return np.asarray(steps[np.searchsorted(self.thresholds, recoil, side="right")])

    def photoabsorption(self, energy: npt.ArrayLike, *, pull: float = 0.0) -> FloatArray:
        """Photoabsorption cross section per atom [area] at a photon energy [energy].

        pull : of its error [sigma], a factor of (1 + relative error)^pull.

        Between the points of the table (10 eV to 100 keV) a power law. Below the table 0: the recoils there are
        below the detection thresholds of all shipped models, and a rate left out makes a limit weaker, never
        stronger. Above the table the last power law goes on: these elements have no edge up there.

        Raises
        ------
        ModelError : no cross section is tabulated for this element, or no error of it that could be pulled.
        """
        if not self.photo_energy.size:
            raise ModelError(f"atom {self.element}: no photoabsorption is tabulated; charges that ionise atoms need it")
        at = np.asarray(energy, dtype=float)
        inside = at >= self.photo_energy[0]
        x, y = np.log(self.photo_energy), np.log(self.photo_cross_section)
        log = np.log(np.where(inside, at, self.photo_energy[0]))
        beyond = np.maximum(log - x[-1], 0.0) * (y[-1] - y[-2]) / (x[-1] - x[-2])
        return np.where(inside, np.exp(np.interp(log, x, y) + beyond + self._photo_shift(log, pull)), 0.0)

    def _photo_shift(self, log_energy: FloatArray, pull: float) -> npt.ArrayLike:
        """Logarithm of the factor that a pull of the error puts on photoabsorption."""
        if not pull:
            return 0.0
        if not self.photo_error.size:
            raise ModelError(f"atom {self.element}: no error of the photoabsorption is tabulated; pull 0 is allowed")
        return pull * np.log1p(np.interp(log_energy, np.log(self.photo_error_energy), self.photo_error))

    def longitudinal(self, energy: npt.ArrayLike) -> FloatArray:
        """Ionisation by the longitudinal field of a charge, in units of 2 alpha/pi sigma_gamma/T [1].

        Equivalent photons are the transverse field and have the logarithm ln(E/m) in its place, so that this over
        the logarithm is their relative difference from an atomic calculation of the whole: Hartree-Fock electrons
        (Caddell, Flambaum and Roberts, arXiv:2305.05125) for Xe, I and Ar from 0.3 to 10 keV, elsewhere and for
        other elements the largest value of Xe and I. Linear in the logarithm of the energy, constant outside.

        Raises
        ------
        ModelError : an element that the table does not have.
        """
        if not self.longitudinal_energy.size:
            raise ModelError(f"atom {self.element}: no error of equivalent photons is tabulated; pull 0 is allowed")
        at = np.log(np.asarray(energy, dtype=float))
        return np.asarray(np.interp(at, np.log(self.longitudinal_energy), self.longitudinal_ratio))

    def hartree_fock_difference(self, energy: npt.ArrayLike) -> FloatArray:
        """Longitudinal field of a charge by Hartree-Fock over the dielectric formula of a thin medium, less 1 [1].

        Xe from 0.3 to 11 keV and Ge from 0.2 to 7 keV, smoothed over the edges; elsewhere and for other elements the
        largest value inside (nuemstat/data/atomic/charge_error.csv). Linear in the logarithm of the energy.
        """
        at = np.log(np.asarray(energy, dtype=float))
        return np.asarray(np.interp(at, np.log(self.charge_energy), self.charge_difference))

    def moment_ratio(self, recoil: npt.ArrayLike, *, pull: float = 0.0) -> FloatArray:
        """Ionisation by a magnetic moment over that of stepped free electrons [1].

        pull : of its error [sigma], a factor of (1 + change)^pull.

        Hartree-Fock for Xe and Ge (nuemstat/data/atomic/moment.csv), 1 for other elements; linear in the logarithm of
        the energy and constant outside of the table.
        """
        at, points = np.log(np.asarray(recoil, dtype=float)), np.log(self.moment_energy)
        ratio = np.interp(at, points, self.moment)
        return np.asarray(ratio * (1 + np.interp(at, points, self.moment_change)) ** pull)

    def rrpa_ratio(self, flavour: str, recoil: npt.ArrayLike) -> FloatArray:
        """Stepped free-electron over RRPA weak rate: divide the former by it; 1 where nothing is tabulated.

        Xe from 0.265 to 29 keV (Chen et al. arXiv:1610.04177); electron neutrinos have a column of their own,
        antineutrinos take that of the neutrinos.
        """
        at = np.asarray(recoil, dtype=float)
        if self.rrpa is None:
            return np.ones(at.shape)
        column = self.rrpa.e if flavour == "e" else self.rrpa.mutau
        return np.asarray(np.interp(at, self.rrpa.energies, column, left=1.0, right=1.0))


def _optional(path: Path) -> Table | None:
    return read_table(path) if path.exists() else None


@cache
def _charges() -> dict[str, int]:
    """Element -> Z, of the elements that are targets for electrons only."""
    table = read_table(data_file("nuclear/elements.csv"))
    return {element: int(z) for element, z in zip(table.words("element"), table.numbers("Z"), strict=True)}


@cache
def _table(name: str) -> Table:
    return read_table(data_file(f"atomic/{name}.csv"))


def _rows_of(element: str, name: str, *columns: str) -> list[FloatArray]:
    """Energies [energy] and numbers of one element in a table that holds several, those of `other` where it has any."""
    table = _table(name)
    words = table.words("element")
    listed = np.array([word == (element if element in words else "other") for word in words])
    return [table.numbers("energy", units.ENERGY)[listed], *(table.numbers(column)[listed] for column in columns)]


@cache
def atom(element: str) -> Atom:
    """The atom of an element with all that is tabulated for it.

    Raises
    ------
    ModelError : an element that no table holds.
    """
    light = _charges()
    charge = light[element] if element in light else isotopes(element)[0][0].Z
    steps = read_table(data_file("atomic/electron_steps.csv"))
    chosen = np.array([word == element for word in steps.words("element")])
    thresholds = steps.numbers("threshold", units.ENERGY)[chosen][::-1]
    photo = _optional(data_file(f"atomic/photoabsorption_{element.lower()}.csv"))
    rrpa = _optional(data_file(f"atomic/rrpa_weak_{element.lower()}.csv"))
    return Atom(
        element,
        charge,
        thresholds,
        steps.numbers("electrons")[chosen][::-1],
        photo.numbers("energy", units.ENERGY) if photo else np.empty(0),
        photo.numbers("cross_section", units.AREA) if photo else np.empty(0),
        Ratio(rrpa.numbers("energy", units.ENERGY), rrpa.numbers("ratio_e"), rrpa.numbers("ratio_mutau"))
        if rrpa
        else None,
        *_rows_of(element, "photoabsorption_error", "relative_error"),
        *_rows_of(element, "longitudinal", "longitudinal"),
        *_rows_of(element, "charge_error", "difference"),
        *_rows_of(element, "moment", "ratio", "change"),
    )
