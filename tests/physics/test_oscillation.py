import numpy as np
import pytest

from nuemstat import units
from nuemstat.physics.oscillation import (
    OscillationParameters,
    averaged_survival,
    flavour_shares,
    matter_potential,
    survival_probability,
)

PARAMETERS = OscillationParameters(s12_sq=0.307, s13_sq=0.022, s23_sq=0.545, dm21=7.53e-5 * units.eV**2)
C13_FOURTH, S13_FOURTH = 0.978**2, 0.022**2
CORE = 100 * units.AVOGADRO / units.cm**3  # electrons in the centre of the Sun, about


def mixing_matrix(s12_sq: float, s13_sq: float) -> np.ndarray:
    s12, c12, s13, c13 = np.sqrt([s12_sq, 1 - s12_sq, s13_sq, 1 - s13_sq])
    return np.array([[c13, 0, s13], [0, 1, 0], [-s13, 0, c13]]) @ np.array([[c12, s12, 0], [-s12, c12, 0], [0, 0, 1]])


def adiabatic_by_diagonalisation(energy: float, density: float, masses: np.ndarray) -> float:
    """Sum over mass states of |U_ei at birth|^2 |U_ei|^2, with all three flavours in matter."""
    mixing = mixing_matrix(PARAMETERS.s12_sq, PARAMETERS.s13_sq)
    hamiltonian = mixing @ np.diag(masses) @ mixing.T / (2 * energy)
    hamiltonian[0, 0] += float(matter_potential(np.array(density)))
    _, vectors = np.linalg.eigh(hamiltonian / hamiltonian.max())
    return float(np.sum(vectors[0] ** 2 * mixing[0] ** 2))


def test_potential_in_the_core_is_7_6e_12_ev() -> None:
    # Sqrt2 G_F n_e = 7.63e-14 eV x (electrons per cm^3 / Avogadro), a textbook number (PDG review, section 14.8)
    assert matter_potential(np.array(CORE)) / units.eV == pytest.approx(7.63e-12, rel=2e-3)


def test_vacuum_limit_is_the_averaged_oscillation() -> None:
    found = survival_probability(np.array([1e-6, 1.0, 20.0]) * units.MeV, np.zeros(3), PARAMETERS)
    expected = C13_FOURTH * (1 - 2 * 0.307 * 0.693) + S13_FOURTH
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_dense_limit_is_the_second_mass_state() -> None:
    found = survival_probability(np.array([10.0]) * units.MeV, np.array([1e7 * CORE]), PARAMETERS)
    np.testing.assert_allclose(found, C13_FOURTH * 0.307 + S13_FOURTH, rtol=1e-9)


def test_at_resonance_half_survives() -> None:
    energy = np.array([3.0 * units.MeV])
    density = PARAMETERS.dm21 * (1 - 2 * 0.307) / (2 * energy * 0.978) / matter_potential(np.array([1.0]))
    np.testing.assert_allclose(
        survival_probability(energy, density, PARAMETERS), C13_FOURTH / 2 + S13_FOURTH, rtol=1e-12
    )


@pytest.mark.parametrize("energy", [0.1, 0.86, 3.0, 8.0, 18.0])
def test_agrees_with_diagonalised_hamiltonian(energy: float) -> None:
    found = survival_probability(np.array([energy * units.MeV]), np.array([CORE]), PARAMETERS)[0]
    decoupled = np.array([0.0, 1.0, 1e6]) * PARAMETERS.dm21  # so heavy that matter cannot touch theta13
    assert found == pytest.approx(adiabatic_by_diagonalisation(energy * units.MeV, CORE, decoupled), abs=1e-7)
    physical = np.array([0.0, PARAMETERS.dm21, 2.453e-3 * units.eV**2])
    assert found == pytest.approx(adiabatic_by_diagonalisation(energy * units.MeV, CORE, physical), abs=1.7e-3)


def test_average_over_one_radius_and_over_two() -> None:
    energies = np.linspace(0.1, 15, 7) * units.MeV
    densities = np.array([0.2, 0.9]) * CORE
    single = survival_probability(energies[:, None], densities, PARAMETERS)
    np.testing.assert_allclose(averaged_survival(energies, densities, np.array([0.0, 5.0]), PARAMETERS), single[:, 1])
    np.testing.assert_allclose(
        averaged_survival(energies, densities, np.array([3.0, 1.0]), PARAMETERS), single @ [0.75, 0.25], rtol=1e-14
    )


def test_shares_sum_to_one_and_split_by_theta23() -> None:
    shares = flavour_shares(np.array([0.3, 0.55]), PARAMETERS)
    np.testing.assert_allclose(sum(shares.values()), 1.0, rtol=1e-15)
    np.testing.assert_allclose(shares["tau"] / shares["mu"], 0.545 / 0.455, rtol=1e-14)
