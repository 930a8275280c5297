import numpy as np
import pytest

from nuemstat import units
from nuemstat.sources.huber import (
    COMPONENTS,
    HUBER_ISOTOPES,
    huber_components,
    huber_covariance,
    huber_errors,
    huber_shift,
)


def test_covariance_is_symmetric_and_positive() -> None:
    covariance = huber_covariance()
    assert covariance.shape == (75, 75)
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_total_errors_of_the_publication() -> None:
    # arXiv:1106.0687, 235U: mean of total minus and plus at 2, 4, 6 MeV; asymmetric parts differ by a few percent
    diagonal = np.sqrt(np.diag(huber_covariance())).reshape(3, 25)[0]
    np.testing.assert_allclose(diagonal[[0, 8, 16]], [0.01824, 0.02142, 0.03152], rtol=0.02)


def test_common_errors_are_fully_correlated() -> None:
    """The covariance without its independent part has rank 3."""
    common = huber_covariance() - np.diag(huber_errors().independent.ravel() ** 2)
    eigenvalues = np.sort(np.linalg.eigvalsh(common))[::-1]
    assert eigenvalues[2] > 1e-6
    assert np.abs(eigenvalues[3:]).max() < 1e-12 * eigenvalues[0] + 1e-15


def test_components_give_the_covariance_back() -> None:
    flat = huber_components().reshape(COMPONENTS, -1)
    np.testing.assert_allclose(flat.T @ flat, huber_covariance(), atol=1e-15)
    sizes = np.sum(flat**2, axis=1)
    assert np.all(np.diff(sizes) <= 0)
    np.testing.assert_allclose(flat @ flat.T - np.diag(sizes), 0, atol=1e-15)


@pytest.mark.parametrize("isotope", HUBER_ISOTOPES)
def test_shift_is_the_error_at_the_nodes(isotope: str) -> None:
    errors, row = huber_errors(), HUBER_ISOTOPES.index(isotope)
    found = huber_shift(isotope, errors.energies, {"huber_wm": 2.0, "huber_pc1": -1.0})
    np.testing.assert_allclose(found, 2 * errors.common["wm"][row] - huber_components()[1, row], atol=1e-17)


def test_shift_outside_the_table() -> None:
    energies = np.array([1.9, 8.0, 10.0]) * units.MeV
    low, last, beyond = huber_shift("U235", energies, {"huber_norm": 1.0})
    assert low == 0
    assert last == beyond == pytest.approx(0.0190261)
    np.testing.assert_array_equal(huber_shift("U238", energies, {"huber_norm": 1.0}), 0)
