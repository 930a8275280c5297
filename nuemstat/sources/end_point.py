"""How a tabulated antineutrino spectrum of fission goes on above its last point, and how well that is known.

Measured beta spectra end at 8 MeV of antineutrino energy; above, only summation over nuclear data says anything. A
spectrum therefore goes on with the summation spectrum of the same isotope, scaled to join its last point, and the
error is the spread of the summation tables, each scaled to 1 at 8 MeV.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux
from nuemstat.polynomial import FloatArray

MEASURED_END: Final = 8.0 * units.MeV
"""Up to here fission spectra rest on measured beta spectra (Mueller 2011, Huber 2011); above, on summation alone."""

_TAIL_LENGTHS: Final = 12.0
_TAIL_NODES: Final = 61


def continuation(energies: FloatArray, density: FloatArray, shape: Flux) -> tuple[FloatArray, FloatArray]:
    """Nodes [MeV] and densities above the last point of a spectrum: those of `shape`, scaled to join it, shape (n,).

    energies, density : the spectrum, shape (m,); shape : a spectrum that goes further. Where it does not, both
    arrays are empty.

    Raises
    ------
    ModelError : the shape is not above 0 at the join.
    """
    last = float(energies[-1])
    if shape.maximum <= last:
        return np.empty(0), np.empty(0)
    if not (at_join := float(shape(last))) > 0:
        raise ModelError(f"spectrum: nothing to continue with at {last / units.MeV:g} MeV; a density above 0 is needed")
    above = shape.energies > last
    return shape.energies[above], shape.density[above] * (float(density[-1]) / at_join)


def spread(energies: FloatArray, reference: Flux, others: Sequence[Flux], start: float = MEASURED_END) -> FloatArray:
    """Largest relative distance of `others` from `reference` at `energies` [MeV], scaled to 1 at `start`, shape (n,).

    0 up to there; above the last point of a table its ratio to the reference stays what it is there.
    """
    distances = [np.zeros_like(energies)]
    for other in others:
        at = np.clip(energies, start, other.energies[-1])
        # The value just below a node is what the table says at its last point.
        ratio = _from_below(other, at) / _from_below(reference, at)
        at_start = _from_below(other, np.array([start])) / _from_below(reference, np.array([start]))
        distances.append(np.abs(ratio / at_start - 1))
    return np.asarray(np.max(distances, axis=0))


def _from_below(flux: Flux, at: FloatArray) -> FloatArray:
    return np.asarray(np.interp(at, flux.energies, flux.density))


def beyond(flux: Flux) -> Flux:
    """What may lie above the end of a spectrum of which nothing is known there: an exponential through its last points.

    The last two nodes of different density decide. Empty where the density ends at zero, which is a physical end, or
    does not fall.
    """
    density = flux.density
    different = np.flatnonzero(density[:-1] != density[-1])
    if not density.size or density[-1] <= 0 or not different.size or density[different[-1]] < density[-1]:
        return Flux()
    first, second = different[-1], different[-1] + 1
    length = (flux.energies[second] - flux.energies[first]) / np.log(density[first] / density[second])
    nodes = np.linspace(0.0, _TAIL_LENGTHS, _TAIL_NODES)
    return Flux(flux.energies[-1] + length * nodes, density[-1] * np.exp(-nodes))
