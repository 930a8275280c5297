import dataclasses

import numpy as np
import pytest

from nuemstat import units
from nuemstat.detector.quenching import (
    LindhardQuenching,
    LinearQuenching,
    NoQuenching,
    PolynomialQuenching,
    TableQuenching,
    TotalEnergy,
)
from nuemstat.errors import ModelError

RECOIL = np.geomspace(1e-3, 1e3, 61) * units.keV
CSI = PolynomialQuenching(
    (0.0554628, 4.30681, -111.707, 840.384),
    (
        ((0.0613632, 3.51547, -85.5548, 595.562), (0.0495624, 5.09815, -137.858, 1085.2)),
        ((0.055413, 3.93597, -93.1045, 630.092), (0.0555126, 4.67765, -130.309, 1050.68)),
    ),
)
ALL = [
    NoQuenching(),
    LindhardQuenching(0.157, 32),
    CSI,
    LinearQuenching(0.246, 0.00078 / units.keV),
    TableQuenching((0.0, 1 * units.keV, 5 * units.keV), (0.4, 0.3, 0.2)),
]


@pytest.mark.parametrize("quenching", ALL, ids=lambda q: type(q).__name__)
def test_the_scale_is_a_factor_and_the_cut_removes_the_signal(quenching):
    recoil = np.linspace(0.1, 60, 200) * units.keV
    visible = quenching(recoil)
    np.testing.assert_allclose(dataclasses.replace(quenching, scale=1.1)(recoil), 1.1 * visible)
    cut = visible[100]
    kept = dataclasses.replace(quenching, ionisation_cut=cut)(recoil)
    np.testing.assert_array_equal(kept, np.where(visible >= cut, visible, 0.0))
    assert 0 < np.count_nonzero(kept) < kept.size


def test_lindhard_limits():
    stopping = LindhardQuenching(0.16, 32)
    assert np.all(stopping(RECOIL) < RECOIL)
    np.testing.assert_array_equal(LindhardQuenching(0.0, 32)(RECOIL), 0.0)
    fast = np.array([1e12]) * units.keV
    np.testing.assert_allclose(stopping(fast), fast, rtol=1e-6)
    slow = np.array([1e-12]) * units.keV  # the lowest power of eps alone
    reduced = 11.5 * 32 ** (-7 / 3) * 1e-12
    np.testing.assert_allclose(stopping(slow) / slow, 3 * 0.16 * reduced**0.15, rtol=5e-3)


def test_lindhard_in_germanium_is_about_a_fifth_at_one_kev():
    one = np.array([1.0]) * units.keV
    eps = 11.5 * 32 ** (-7 / 3)
    g = 3 * eps**0.15 + 0.7 * eps**0.6 + eps
    np.testing.assert_allclose(LindhardQuenching(0.157, 32)(one) / one, 0.157 * g / (1 + 0.157 * g), rtol=1e-14)
    assert 0.17 < (LindhardQuenching(0.157, 32)(one) / one)[0] < 0.22


def test_the_first_coefficient_multiplies_the_energy():
    np.testing.assert_allclose(PolynomialQuenching((0.3,))(RECOIL), 0.3 * RECOIL)
    at = np.array([0.02]) * units.MeV
    by_hand = 0.0554628 * 0.02 + 4.30681 * 0.02**2 - 111.707 * 0.02**3 + 840.384 * 0.02**4
    np.testing.assert_allclose(CSI(at), by_hand * units.MeV, rtol=1e-14)


def test_components_reach_the_tabulated_curves_and_are_linear_beyond():
    at = np.linspace(5, 50, 10) * units.keV
    plus, minus = (PolynomialQuenching(curve) for curve in CSI.components[0])
    half = (plus(at) - minus(at)) / 2
    np.testing.assert_allclose(dataclasses.replace(CSI, pulls=(1.0,))(at), CSI(at) + half, rtol=1e-13)
    np.testing.assert_allclose(dataclasses.replace(CSI, pulls=(1.0,))(at), plus(at), rtol=1e-4)  # printed digits
    both = dataclasses.replace(CSI, pulls=(-1.5, 2.0))(at)
    second = dataclasses.replace(CSI, pulls=(0.0, 2.0))(at) - CSI(at)
    np.testing.assert_allclose(both, CSI(at) - 1.5 * half + second, rtol=1e-12)


def test_a_table_is_linear_inside_and_constant_outside():
    table = TableQuenching((1 * units.keV, 3 * units.keV), (0.2, 0.4))
    at = np.array([0.1, 1.0, 2.0, 3.0, 30.0]) * units.keV
    np.testing.assert_allclose(table(at) / at, [0.2, 0.2, 0.3, 0.4, 0.4])


def test_a_curve_below_zero_gives_no_signal():
    np.testing.assert_array_equal(LinearQuenching(-0.1)(RECOIL), 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TableQuenching((1.0, 2.0), (0.1,)), "2 energies and 1 values"),
        (lambda: TableQuenching((2.0, 1.0), (0.1, 0.2)), "do not rise"),
        (lambda: PolynomialQuenching((1.0,), (), (0.5,)), "1 pulls; it has 0 components"),
        (lambda: PolynomialQuenching((1.0,), (((1.0, 2.0), (1.0,)),)), r"\[2, 1\] coefficients; 1 are expected"),
    ],
)
def test_bad_input_is_one_line(make, message):
    with pytest.raises(ModelError, match=message):
        make()


def test_total_energy_is_recoil_and_mass_times_the_scale() -> None:
    found = TotalEnergy(scale=1.01)(np.array([0.0, 4.489]) * units.MeV) / units.MeV
    np.testing.assert_allclose(found, 1.01 * np.array([0.51099895, 4.99999895]), rtol=1e-8)
