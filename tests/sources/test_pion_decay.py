import math

import numpy as np
import pytest

from nuemstat import units
from nuemstat.sources.pion_decay import (
    MICHEL_ENDPOINT,
    PROMPT_ENERGY,
    PionDecaySource,
    electron_neutrino_density,
    michel_fluxes,
    muon_antineutrino_density,
)

CSI = PionDecaySource(neutrinos_per_proton=0.0848, protons_on_target=3.198e23, distance=19.3 * units.m)


def polynomial_integral(x: np.ndarray, power: int) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of x^-power times the two densities from 0 to x = E / m_mu, in units of m_mu^-power."""
    antimuon = 48 * x ** (3 - power) / (3 - power) - 64 * x ** (4 - power) / (4 - power)
    electron = 96 * x ** (3 - power) / (3 - power) - 192 * x ** (4 - power) / (4 - power)
    return antimuon, electron


def test_prompt_energy() -> None:
    assert PROMPT_ENERGY / units.MeV == pytest.approx(29.79, abs=0.005)


@pytest.mark.parametrize("index", [0, 1])
def test_moments_are_those_of_the_closed_forms(index: int) -> None:
    flux = michel_fluxes()[index]
    assert flux.total() == pytest.approx(1.0, abs=1e-14)
    minimum = np.array([0.01, 0.1, 0.21, 0.33, 0.487]) * units.MUON_MASS
    moments = flux.moments(minimum)
    for power, values in enumerate((moments.m0, moments.m1, moments.m2)):
        whole = polynomial_integral(np.array(0.5), power)[index]
        below = polynomial_integral(minimum / units.MUON_MASS, power)[index]
        np.testing.assert_allclose(
            values * units.MUON_MASS**power, whole - below, rtol=0, atol=(2e-7 if power == 0 else 1e-5) * float(whole)
        )


def test_mean_energies() -> None:
    # closed forms: 7/20 and 3/10 of the muon mass
    for flux, expected in zip(michel_fluxes(), (0.35, 0.30), strict=True):
        a, b, at_a, at_b = flux.energies[:-1], flux.energies[1:], flux.density[:-1], flux.density[1:]
        mean = np.sum((b - a) * (a * (2 * at_a + at_b) + b * (at_a + 2 * at_b))) / 6
        assert mean / units.MUON_MASS == pytest.approx(expected, rel=1e-6)


def test_densities_end_at_half_the_muon_mass() -> None:
    above = np.array([1.0001 * MICHEL_ENDPOINT])
    assert muon_antineutrino_density(above) == electron_neutrino_density(above) == 0
    assert muon_antineutrino_density(np.array([MICHEL_ENDPOINT]))[0] == pytest.approx(4 / units.MUON_MASS)
    assert electron_neutrino_density(np.array([MICHEL_ENDPOINT]))[0] == pytest.approx(0, abs=1e-12)


def test_fluence_of_each_flavour() -> None:
    expected = 0.0848 * 3.198e23 / (4 * math.pi * (1930 * units.cm) ** 2)
    found = CSI.components()
    assert [(c.name, c.flavour, c.antineutrino) for c in found] == [
        ("prompt", "mu", False),
        ("delayed", "mu", True),
        ("delayed", "e", False),
    ]
    for component in found:
        assert component.flux.total() == pytest.approx(expected, rel=1e-13)
        assert not component.per_time
    assert expected * units.cm**2 == pytest.approx(5.7936e14, rel=1e-4)


def test_scale_multiplies_everything() -> None:
    moved = PionDecaySource(
        neutrinos_per_proton=0.0848, protons_on_target=3.198e23, distance=1930 * units.cm, scale=1.1
    )
    for a, b in zip(moved.components(), CSI.components(), strict=True):
        assert a.flux.total() == pytest.approx(1.1 * b.flux.total(), rel=1e-13)
    assert CSI.data_files() == ()
