"""Draws docs/_static/charges.svg: what a charge ionises in xenon, germanium and silicon, four ways.

python tools/charges_picture.py
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nuemstat import units
from nuemstat.physics import electron
from nuemstat.physics.atom import atom
from nuemstat.physics.couplings import scheme
from nuemstat.physics.dielectric import terms
from nuemstat.physics.flux import Flux
from nuemstat.physics.media import choose_medium, medium
from nuemstat.resources import data_file
from nuemstat.tables import read_table

Array = npt.NDArray[np.float64]

PANELS = (("Xe", "liquid xenon", 0.3), ("Ge", "germanium", 1.5), ("Si", "silicon", 1.5))
TERM = (("millicharge_mumu", 2),)
COLOURS = {"dielectric formula": "#0b3c5d", "equivalent photons, 1 eV": "#c8553d", "free electrons": "#7a7a7a"}
VALID = {"Xe": (0.3, 11.5), "Ge": (0.2, 7.0)}
"""Where Hartree-Fock is valid for charges [keV]."""
HARTREE_FOCK = "longitudinal field by Hartree-Fock"


def curves(element: str, energy: float, recoil: Array) -> dict[str, Array]:
    """Cross section per atom and recoil energy for a charge of 1e-12 e [area / energy], by the names of COLOURS."""
    flux, chosen = Flux.line(energy * units.MeV), choose_medium({element: 1.0}, None, None)
    matter = electron.charge_rate(recoil, flux, flavour="mu", medium=medium({element: 1.0}, chosen)).terms[TERM]
    common = {"flavour": "mu", "antineutrino": False, "atom": atom(element), "scheme": scheme()}
    photons = electron.rate(recoil, flux, approximation="epa", neutrino_mass=units.eV, **common).terms[TERM]
    free = electron.rate(recoil, flux, approximation="fea", **common).terms[TERM]
    return dict(zip(COLOURS, (matter, photons, free), strict=True))


def by_hartree_fock(element: str) -> tuple[Array, Array]:
    """Recoils and the same with the longitudinal field by Hartree-Fock, the transverse one by the formula."""
    table = read_table(data_file("atomic/hartree_fock.csv"))
    words, recoils = table.words("element"), table.numbers("energy", units.ENERGY)
    low, high = {"Xe": (0.3, 11.5), "Ge": (0.2, 7.0)}.get(element, (0.0, 0.0))
    listed = (
        np.array([word == element for word in words]) & (recoils >= low * units.keV) & (recoils <= high * units.keV)
    )
    recoil = recoils[listed]
    if not recoil.size:
        return recoil, recoil
    found = terms(medium({element: 1.0}, choose_medium({element: 1.0}, None, None)), recoil)
    per_electron = 2 * np.pi**2 * units.ALPHA * units.HBARC**2 / (units.ELECTRON_MASS * recoil**2)
    longitudinal = per_electron * table.numbers("charge")[listed]
    return recoil, units.ALPHA / np.pi * (found.logarithm + found.angle + longitudinal) * 1e-24


def draw(upper: Axes, lower: Axes, element: str, title: str, energy: float) -> None:
    """One medium: T dsigma/dT above, over the dielectric formula below."""
    recoil = np.geomspace(0.1, 20, 500) * units.keV
    unit = units.cm**2
    found = curves(element, energy, recoil)
    for name, values in found.items():
        upper.plot(recoil / units.keV, recoil * values / unit, color=COLOURS[name], label=name)
        lower.plot(recoil / units.keV, values / found["dielectric formula"], color=COLOURS[name])
    at, values = by_hartree_fock(element)
    if at.size:
        style = {"marker": "o", "linestyle": "none", "markersize": 3, "color": "#2a9d5c"}
        upper.plot(at / units.keV, at * values / unit, label=HARTREE_FOCK, **style)
        nominal = np.interp(np.log(at), np.log(recoil), found["dielectric formula"])
        lower.plot(at / units.keV, values / nominal, **style)
    upper.set(title=f"{title}, {energy:g} MeV", xscale="log", yscale="log")
    lower.set(xlabel="energy transfer T [keV]", xscale="log", xlim=(0.1, 20), ylim=(0, 3))
    lower.axhline(1, color="#cccccc", linewidth=0.8, zorder=0)


def main() -> None:
    """Draw and write the picture."""
    with rc_context({"font.size": 8, "svg.hashsalt": "charges", "svg.fonttype": "path", "axes.grid": False}):
        figure = Figure(figsize=(10, 5), layout="constrained")
        axes = figure.subplots(2, 3, sharex="col", height_ratios=(3, 2))
        for column, (element, title, energy) in enumerate(PANELS):
            draw(axes[0, column], axes[1, column], element, title, energy)
        axes[0, 0].set_ylabel("T dsigma/dT per atom [cm$^2$], charge $10^{-12}$ e")
        axes[1, 0].set_ylabel("over the dielectric formula")
        axes[0, 0].legend(frameon=False)
        path = Path(__file__).parent.parent / "docs" / "_static" / "charges.svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
