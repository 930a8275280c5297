import dataclasses
import time

import numpy as np
import pytest

from nuemstat import units
from nuemstat.detector.efficiency import ConstantEfficiency, GaussianEdge, LogisticEfficiency, TableEfficiency
from nuemstat.detector.quenching import LindhardQuenching, LinearQuenching, NoQuenching, PolynomialQuenching
from nuemstat.detector.resolution import (
    GammaResolution,
    GaussianResolution,
    NoiseFanoWidth,
    PerfectResolution,
    SquareRootWidth,
)
from nuemstat.detector.response import ResponseMatrix, bin_integrals, build, recoil_grid
from nuemstat.errors import ModelError
from nuemstat.polynomial import CouplingPolynomial

CSI = {
    "quenching": PolynomialQuenching((0.0554628, 4.30681, -111.707, 840.384)),
    "resolution": GammaResolution(0.0749 * units.keV, 9.56 / units.keV),
    "efficiency_reconstructed": LogisticEfficiency((1.32045, 0.285979, 10.8646, -0.333322)),
}
GERMANIUM = {
    "quenching": LindhardQuenching(0.157, 32, ionisation_cut=2.96 * units.eV),
    "resolution": GaussianResolution(NoiseFanoWidth(68.5 * units.eV, 0.105, 2.96 * units.eV), truncated=True),
}
TURN_ON = TableEfficiency((0.0, 0.5 * units.keV, 1.0 * units.keV, 2.0 * units.keV), (0.0, 0.01, 0.14, 0.9))
XENON = {
    "quenching": NoQuenching(),
    "resolution": GaussianResolution(SquareRootWidth(0.323 * units.keV)),
    "efficiency_true": TURN_ON,
}
XENON_RECONSTRUCTED = {**XENON, "efficiency_true": None, "efficiency_reconstructed": TURN_ON}
PE = np.array([0, 8, 12, 16, 20, 24, 32, 40, 50, 60.0])
CASES = {
    "csi": (CSI, PE, 1e-3, 0.1),
    "germanium": (GERMANIUM, np.linspace(0.2, 1.5, 27) * units.keV, 5e-6, 0.05),
    "xenon": (XENON, np.linspace(0, 17, 18) * units.keV, 1e-5, 0.03),
    "xenon_reconstructed": (XENON_RECONSTRUCTED, np.linspace(0, 17, 18) * units.keV, 1e-5, 0.03),
}


def power_law(exponent):
    return lambda recoil: (recoil / units.keV) ** -exponent


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_counts_do_not_depend_on_the_grid(case, exponent):
    parts, edges, low, high = CASES[case]
    counts = []
    for per_decade in (200, 400):
        grid = recoil_grid(low, high, per_decade, breakpoints=getattr(parts.get("efficiency_true"), "energies", ()))
        counts.append(build(grid, edges, **parts).fold(bin_integrals(grid, power_law(exponent))))
    np.testing.assert_allclose(counts[0], counts[1], rtol=1e-4)


def test_rows_sum_to_the_efficiency():
    grid = recoil_grid(0.1 * units.keV, 20 * units.keV, 50)
    wide = np.linspace(-20, 60, 81) * units.keV
    response = build(grid, wide, **XENON)
    centres = np.sqrt(grid[1:] * grid[:-1])
    np.testing.assert_allclose(response.efficiency, TURN_ON(centres), rtol=1e-12)
    flat = {**XENON, "efficiency_true": ConstantEfficiency(0.7), "efficiency_visible": ConstantEfficiency(0.5)}
    np.testing.assert_allclose(build(grid, wide, **flat).efficiency, 0.35, rtol=1e-12)
    same = {**XENON, "efficiency_true": None, "efficiency_reconstructed": ConstantEfficiency(0.35)}
    np.testing.assert_allclose(build(grid, wide, **same).matrix, build(grid, wide, **flat).matrix, atol=1e-14)


def test_a_reconstructed_efficiency_is_integrated_over_the_bin():
    grid = recoil_grid(2e-3, 0.06, 40)
    response = build(grid, PE, **CSI)
    plain = {key: part for key, part in CSI.items() if key != "efficiency_reconstructed"}
    fine = np.linspace(0, 60, 6001)
    exact = build(grid, fine, **plain).matrix * CSI["efficiency_reconstructed"]((fine[1:] + fine[:-1]) / 2)
    summed = np.add.reduceat(exact, (PE[:-1] * 100).astype(int), axis=1)
    np.testing.assert_allclose(response.matrix, summed, atol=1e-5 * summed.max())
    assert np.abs(response.matrix - summed).max() < 2e-6


def test_a_steep_reconstructed_edge_is_resolved():
    grid = recoil_grid(1 * units.keV, 20 * units.keV, 30)
    parts = {**XENON, "efficiency_true": None}
    edges = np.array([0, 5, 17.0]) * units.keV
    edge = ConstantEfficiency(1.0, roll_off=GaussianEdge(11 * units.keV, 0.2 * units.keV))
    centres = np.sqrt(grid[1:] * grid[:-1])
    sigma = parts["resolution"].width(centres)
    from scipy.special import ndtr

    everything = build(grid, np.linspace(-5, 40, 10) * units.keV, **parts, efficiency_reconstructed=edge).efficiency
    exact = ndtr((11 * units.keV - centres) / np.hypot(sigma, 0.2 * units.keV))  # a Gaussian through a Gaussian
    np.testing.assert_allclose(everything, exact, atol=1e-6)
    assert build(grid, edges, **parts, efficiency_reconstructed=edge).matrix.shape == (len(centres), 2)


def test_the_ionisation_cut_moves_counts_smoothly():
    grid = recoil_grid(5e-6, 0.05, 200)
    edges = np.array([0.01, 1.5]) * units.keV
    rate = bin_integrals(grid, power_law(2))

    def counts(cut):
        quenching = LindhardQuenching(0.157, 32, ionisation_cut=cut * units.eV)
        return float(build(grid, edges, **{**GERMANIUM, "quenching": quenching}).fold(rate)[0])

    # d counts / d cut = -rate(T_cut) dT/dE_cut x probability, and small steps do not jump
    values = np.array([counts(cut) for cut in np.linspace(2.9, 3.0, 21)])
    steps = np.diff(values)
    assert np.all(steps < 0)
    assert np.ptp(steps) < 0.2 * abs(steps.mean())


def test_exact_resolution_shares_recoil_bins_between_visible_bins():
    grid = recoil_grid(0.1 * units.keV, 10 * units.keV, 100)
    edges = np.array([0.3333, 1.0, 2.777]) * units.keV
    quenching = LinearQuenching(0.5)
    response = build(grid, edges, quenching=quenching, resolution=PerfectResolution())
    counted = response.fold(bin_integrals(grid, power_law(1))) / units.keV
    np.testing.assert_allclose(counted, np.log(edges[1:] / edges[:-1]), rtol=1e-12)
    cut = dataclasses.replace(quenching, ionisation_cut=0.7 * units.keV)
    for efficiency in (None, ConstantEfficiency(1.0)):
        response = build(grid, edges, quenching=cut, resolution=PerfectResolution(), efficiency_true=efficiency)
        counted = response.fold(bin_integrals(grid, power_law(1))) / units.keV
        np.testing.assert_allclose(counted[0], np.log(1.0 / 0.7), rtol=1e-4)


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_bin_integrals_are_exact(exponent):
    grid = recoil_grid(1e-5, 0.1, 20)
    exact = {0: np.diff(grid), 1: np.diff(np.log(grid)) * units.keV, 2: -np.diff(1 / grid) * units.keV**2}[exponent]
    np.testing.assert_allclose(bin_integrals(grid, power_law(exponent)), exact, rtol=1e-6)


def test_bin_integrals_keep_polynomials_and_leading_axes():
    grid = recoil_grid(1e-3, 0.1, 20)

    def rate(recoil):
        return CouplingPolynomial.linear(power_law(1)(recoil), {"x": power_law(2)(recoil)})

    polynomial = bin_integrals(grid, rate)
    np.testing.assert_allclose(polynomial.terms[(("x", 1),)], bin_integrals(grid, power_law(2)))
    stacked = bin_integrals(grid, lambda recoil: np.stack([power_law(1)(recoil), power_law(2)(recoil)]))
    np.testing.assert_allclose(stacked[1], polynomial.terms[(("x", 1),)])
    response = build(grid, PE, **CSI)
    folded = response.fold(polynomial)
    np.testing.assert_allclose(folded.terms[(("x", 1),)], response.fold(stacked)[1])


def test_the_grid_has_its_break_points_and_its_density():
    breakpoints = (0.003, 0.0101, 5.0)
    grid = recoil_grid(1e-3, 0.1, 100, breakpoints)
    assert grid[0] == 1e-3
    assert grid[-1] == 0.1
    assert set(breakpoints[:2]) <= set(grid)
    steps = np.diff(np.log10(grid))
    assert steps.max() <= 0.01 + 1e-6
    assert steps.min() > 4e-7  # a grid point gives way to a break point that all but coincides
    assert len(recoil_grid(1e-3, 0.1, 100)) == 201


def test_counts_do_not_depend_on_the_base_unit():
    """Every energy ten times as large a number: the matrix is the same."""
    low = build(recoil_grid(1e-3, 1e-2, 30), np.linspace(1e-4, 2e-3, 9), **{**GERMANIUM, "quenching": NoQuenching()})
    width = NoiseFanoWidth(685.0 * units.eV, 0.105, 29.6 * units.eV)
    parts = {"quenching": NoQuenching(), "resolution": GaussianResolution(width, truncated=True)}
    high = build(recoil_grid(1e-2, 1e-1, 30), np.linspace(1e-3, 2e-2, 9), **parts)
    np.testing.assert_allclose(low.matrix, high.matrix, atol=1e-12)


@pytest.mark.parametrize(
    ("recoil", "visible", "message"),
    [
        ([0.0, 1.0], [0.0, 1.0], "recoil edges start at 0"),
        ([1.0, 1.0], [0.0, 1.0], "recoil edges do not rise"),
        ([1.0, 2.0], [0.0, np.inf], "visible edges do not rise"),
    ],
)
def test_bad_edges_are_one_line(recoil, visible, message):
    with pytest.raises(ModelError, match=message):
        build(np.array(recoil), np.array(visible), quenching=NoQuenching(), resolution=PerfectResolution())


def test_other_bad_input_is_one_line():
    with pytest.raises(ModelError, match="0 < low < high"):
        recoil_grid(1.0, 0.5)
    with pytest.raises(ModelError, match="falls while the recoil energy rises"):
        build(
            np.array([1.0, 2.0, 3.0]),
            np.array([0.1, 1.0]),
            quenching=PolynomialQuenching((1.0, -0.3)),
            resolution=PerfectResolution(),
        )
    with pytest.raises(ModelError, match=r"shape \(2, 1\); its axes make \(1, 1\)"):
        ResponseMatrix(np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.ones((2, 1)))


@pytest.mark.slow
def test_a_large_matrix_is_quick():
    """50 ms on an idle machine; four times that is allowed where others work too."""
    grid = recoil_grid(1e-3, 0.06, 844)
    edges = np.linspace(0, 60, 61)
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        build(grid, edges, quenching=CSI["quenching"], resolution=CSI["resolution"])
        spent.append(time.perf_counter() - start)
    assert len(grid) >= 1501
    assert min(spent) < 0.2
