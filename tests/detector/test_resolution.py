import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

from nuemstat import units
from nuemstat.detector.resolution import (
    FWHM,
    FullWidth,
    GammaResolution,
    GaussianResolution,
    NoiseFanoWidth,
    PerfectResolution,
    PolynomialWidth,
    SquareRootWidth,
)
from nuemstat.errors import ModelError

GERMANIUM = NoiseFanoWidth(68.5 * units.eV, 0.105, 2.96 * units.eV)
CSI = GammaResolution(0.0749 * units.keV, 9.56 / units.keV)


def test_widths_are_their_formulas():
    at = np.array([1.0, 4.0]) * units.keV
    np.testing.assert_allclose(
        GERMANIUM(at) / units.eV, np.sqrt(68.5**2 + np.array([1e3, 4e3]) * 0.105 * 2.96), rtol=1e-13
    )
    np.testing.assert_allclose(
        SquareRootWidth(0.31 * units.keV, 0.0037 * units.keV)(at) / units.keV, [0.3137, 0.6348], rtol=1e-13
    )
    kamiokande = SquareRootWidth(0.349 * 1000**0.5 * units.keV, 0.0397 * units.keV, -0.0839 * units.MeV)
    np.testing.assert_allclose(kamiokande(np.array([9.0]) * units.MeV) / units.MeV, [1.3204], rtol=1e-13)
    pandax = PolynomialWidth(tuple(c * units.keV for c in (0.073, 0.173, -6.5e-3, 1.1e-4)))
    np.testing.assert_allclose(pandax(at)[1] / units.keV, 0.073 + 0.692 - 0.104 + 0.00704, rtol=1e-13)


def test_full_width_of_germanium_lines():
    """arXiv:2406.13806: 90 to 140 eVee of noise and 220 to 280 eVee at 10.37 keV, full width at half maximum."""
    width = FullWidth(0.1327 * units.keV, 0.0363 * units.keV, 0.0023 / units.keV)
    none, line = width(np.array([0.0, 10.37]) * units.keV) * FWHM / units.keV
    assert none == pytest.approx(0.1327, rel=1e-13)
    assert line == pytest.approx(0.1327 + 0.0363 * math.sqrt(10.37 + 0.0023 * 10.37**2), rel=1e-13)
    assert stats.norm.pdf(FWHM / 2) == pytest.approx(stats.norm.pdf(0) / 2, rel=1e-13)


def test_gaussian_bins_are_differences_of_the_normal_distribution():
    edges = np.linspace(0.5, 1.5, 11) * units.keV
    visible = np.array([0.4, 1.0]) * units.keV
    sigma = GERMANIUM(visible)
    wanted = [np.diff(stats.norm.cdf(edges, v, s)) for v, s in zip(visible, sigma, strict=True)]
    resolution = GaussianResolution(GERMANIUM)
    np.testing.assert_allclose(resolution.probability(visible, edges), wanted, atol=1e-14)
    centred = resolution.probability(visible, edges)[1]
    np.testing.assert_allclose(centred, centred[::-1], atol=1e-14)


def test_the_scale_widens():
    edges = np.array([0.9, 1.1]) * units.keV
    one = np.array([1.0]) * units.keV
    wide = dataclasses.replace(GaussianResolution(GERMANIUM), scale=1.3).probability(one, edges)[0, 0]
    assert wide == pytest.approx(math.erf(0.1 / (1.3 * GERMANIUM(one)[0] / units.keV) / math.sqrt(2)), rel=1e-13)


def test_truncation_is_normalised_and_of_the_published_form():
    visible = np.array([0.003, 0.02, 0.05, 0.2, 1.0]) * units.keV
    resolution = GaussianResolution(GERMANIUM, truncated=True)
    everything = resolution.probability(visible, np.array([-1.0, 0.0, 20.0]) * units.keV)
    np.testing.assert_allclose(everything, np.tile([0.0, 1.0], (5, 1)), atol=1e-14)
    v, s = visible[1], GERMANIUM(visible)[1]
    factor = 2 / (1 + special.erf(v / (np.sqrt(2) * s)))
    low, high = 0.03 * units.keV, 0.1 * units.keV
    by_hand = factor * integrate.quad(lambda e: stats.norm.pdf(e, v, s), low, high, epsabs=1e-12)[0]
    assert resolution.probability(visible[1:2], np.array([low, high]))[0, 0] == pytest.approx(by_hand, rel=1e-9)


def test_gamma_has_the_stated_mean_width_and_distribution():
    visible = np.array([0.3, 1.0, 3.0]) * units.keV
    edges = np.linspace(0, 150, 30001)
    centres = (edges[1:] + edges[:-1]) / 2
    rows = CSI.probability(visible, edges)
    mean = rows @ centres
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(mean, visible / (0.0749 * units.keV), rtol=1e-5)
    assert mean[1] == pytest.approx(13.35, abs=0.005)
    spread = np.sqrt(rows @ centres**2 - mean**2)
    np.testing.assert_allclose(spread, mean / np.sqrt(1 + 9.56 * visible / units.keV), rtol=1e-4)
    wide = dataclasses.replace(CSI, scale=1.2).probability(visible, edges)
    np.testing.assert_allclose(wide @ centres, mean, rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(wide @ centres**2 - mean**2), 1.2 * spread, rtol=1e-4)


def test_gamma_bins_integrate_the_published_density():
    energy = 0.8  # keV
    a, b = 0.0749 / energy, 9.56 * energy

    def density(x):
        return (a * (1 + b)) ** (1 + b) / special.gamma(1 + b) * x**b * np.exp(-a * (1 + b) * x)

    edges = np.array([0.0, 8.0, 12.0, 20.0])
    wanted = [integrate.quad(density, low, high)[0] for low, high in pairwise(edges)]
    np.testing.assert_allclose(CSI.probability(np.array([energy * units.keV]), edges)[0], wanted, rtol=1e-9)


def test_the_tails_left_out_of_the_gamma_function_are_empty():
    visible = np.geomspace(1e-4, 20, 200) * units.keV
    edges = np.linspace(0, 400, 401)
    shape = (1 + CSI.b * visible)[:, None]
    exact = special.gammainc(shape, edges[None, :] * CSI.a / visible[:, None] * shape)
    np.testing.assert_allclose(CSI.cumulative(visible, edges), exact, atol=1e-14)


def test_perfect_resolution_and_widths_of_zero_are_steps():
    edges = np.array([0.0, 1.0, 2.0]) * units.keV
    at = np.array([0.5, 1.5, 2.5]) * units.keV
    wanted = [[1, 0], [0, 1], [0, 0]]
    np.testing.assert_array_equal(PerfectResolution().probability(at, edges), wanted)
    np.testing.assert_array_equal(GaussianResolution(SquareRootWidth(0.0)).probability(at, edges), wanted)


def test_a_negative_width_is_one_line():
    with pytest.raises(ModelError, match="negative at 5 keV"):
        GaussianResolution(PolynomialWidth((1 * units.keV, -1 * units.keV))).probability(
            np.array([0.5, 5.0]) * units.keV, np.array([0.0, 1.0])
        )
