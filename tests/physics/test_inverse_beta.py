"""Inverse beta decay: threshold, published values, and the limits of the formula."""

import numpy as np
import pytest

from nuemstat import units
from nuemstat.physics.inverse_beta import NEUTRON_LIFETIME, THRESHOLD, inverse_beta_cross_section


def test_threshold() -> None:
    assert pytest.approx(1.806 * units.MeV, abs=0.001 * units.MeV) == THRESHOLD
    np.testing.assert_array_equal(inverse_beta_cross_section([0.0, 1.0, 1.8]), 0.0)
    assert inverse_beta_cross_section(1.83 * units.MeV) > 0


@pytest.mark.parametrize(
    ("energy", "published"),
    # What the collaboration divided its bins by (arXiv:2102.04614, supplement, second over third column) [1e-43 cm^2].
    [(2.425, 1.07669), (3.175, 3.19875), (4.175, 7.61345), (5.175, 13.8145), (6.175, 21.7442), (7.675, 36.7828)],
)
def test_as_in_the_daya_bay_supplement(energy: float, published: float) -> None:
    """One factor apart, 0.3 %, by the lifetime of the neutron that was current."""
    assert inverse_beta_cross_section(energy * units.MeV) / 1e-43 == pytest.approx(1.0032 * published, rel=1.5e-3)


def test_towards_an_infinitely_heavy_nucleon_it_is_positron_energy_times_momentum(monkeypatch) -> None:
    """The zeroth order, 0.0952e-42 E_e p_e cm^2 (hep-ph/9903554, eq. 9; for a lifetime of 887 s there)."""
    monkeypatch.setattr("nuemstat.physics.inverse_beta._NUCLEON", 1e12 * units.MeV)
    energies = np.array([2.5, 4.0, 8.0]) * units.MeV
    positron = energies / units.MeV - 1.29333
    zeroth = 9.52e-44 * (887 * units.s / NEUTRON_LIFETIME) * positron * np.sqrt(positron**2 - 0.511**2)
    np.testing.assert_allclose(inverse_beta_cross_section(energies), zeroth, rtol=3e-3)


def test_rises() -> None:
    assert np.all(np.diff(inverse_beta_cross_section(np.linspace(1.81, 12.0, 200) * units.MeV)) > 0)
