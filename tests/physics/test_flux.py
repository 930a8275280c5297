"""Moments against quadrature, steps, sums, and lines."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux
from nuemstat.polynomial import FloatArray

KINKED = Flux(np.array([0.0, 1.0, 1.0, 1.01, 4.0, 9.0]), np.array([0.0, 2.0, 0.5, 3.0, 0.2, 1.0]))
MINIMA = np.array([1e-9, 1e-3, 0.4, 0.999999, 1.0, 1.005, 2.0, 8.9999, 8.9999999, 9.0, 12.0])

Weight = Callable[[FloatArray], FloatArray]
WEIGHTS: dict[str, Weight] = {
    "m0": np.ones_like,
    "m1": lambda energy: 1 / energy,
    "m2": lambda energy: 1 / energy**2,
    "log": lambda energy: np.log(energy / 1e-6),
}
ABSCISSAS, GAUSS = np.polynomial.legendre.leggauss(200)


def integral(flux: Flux, weight: Weight, minimum: float) -> float:
    """Gauss-Legendre segment by segment in ln(E), with the straight line written out."""
    total = 0.0
    nodes = list(zip(flux.energies.tolist(), flux.density.tolist(), strict=True))
    for (a, at_a), (b, at_b) in pairwise(nodes):
        low = max(a, minimum)
        if b <= low or not low > 0:
            continue

        half = np.log1p((b - low) / low) / 2
        energy = low * np.exp(half * (1 + ABSCISSAS))
        line = (at_a * (b - energy) + at_b * (energy - a)) / (b - a)
        total += half * float(np.sum(GAUSS * line * weight(energy) * energy))
    return total


def moment(flux: Flux, name: str, minimum: npt.ArrayLike) -> FloatArray:
    moments = flux.moments(minimum)
    return moments.logarithm(1e-6) if name == "log" else getattr(moments, name)


@pytest.mark.parametrize("name", WEIGHTS)
def test_moments_are_those_of_quadrature(name: str) -> None:
    found = moment(KINKED, name, MINIMA)
    expected = [integral(KINKED, WEIGHTS[name], minimum) for minimum in MINIMA]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("width", [1e-6, 1e-4, 0.0199, 0.0201, 1.0, 1e3, 1e9])
def test_one_segment_of_any_width_is_precise(width: float) -> None:
    """The series and the closed form meet without a step; a narrow segment loses no digits."""
    flux = Flux(np.array([2.0, 2.0 * (1 + width)]), np.array([3.0, 0.0]))
    for name, weight in WEIGHTS.items():
        assert moment(flux, name, 1e-3) == pytest.approx(integral(flux, weight, 1e-3), rel=2e-9, abs=0), name


def test_moments_do_not_depend_on_the_grid() -> None:
    fine = np.unique(np.concatenate([np.linspace(1.01, 9.0, 997), [4.0]]))
    coarse = Flux(np.array([1.01, 4.0, 9.0]), np.array([3.0, 0.2, 1.0]))
    refined = Flux(fine, coarse(fine - 1e-300))
    refined.density[-1] = 1.0
    for name in WEIGHTS:
        one, other = (moment(flux, name, MINIMA) for flux in (coarse, refined))
        np.testing.assert_allclose(one, other, rtol=1e-11)


def test_moments_near_the_end_keep_their_relative_precision() -> None:
    """A triangle that ends at 9: the integral above 9 - d is slope d^2 / 2, however small."""
    triangle = Flux(np.array([1.0, 9.0]), np.array([8.0, 0.0]))
    for distance in (1e-3, 1e-6, 1e-9):
        least = 9 - distance
        exact = 9 - least
        assert triangle.moments(least).m0 == pytest.approx(exact**2 / 2, rel=1e-6, abs=0)
        assert triangle.moments(least).m2 == pytest.approx(
            exact**2 / 2 / 81, rel=3e-3 if distance == 1e-3 else 1e-5, abs=0
        )


def test_density_is_zero_outside_and_steps_are_exact() -> None:
    np.testing.assert_array_equal(KINKED(np.array([-1.0, 0.5, 1.0, 9.5])), [0.0, 1.0, 0.5, 0.0])
    assert KINKED(np.array([np.nextafter(1.0, 0)])) == pytest.approx(2.0)


def test_a_line_counts_above_the_minimum_only() -> None:
    moments = Flux.line(0.862, 2.5).moments(np.array([0.1, 0.862, 0.9]))
    np.testing.assert_allclose(moments.m0, [2.5, 0.0, 0.0])
    np.testing.assert_allclose(moments.m1, [2.5 / 0.862, 0.0, 0.0])
    np.testing.assert_allclose(moments.m2, [2.5 / 0.862**2, 0.0, 0.0])
    np.testing.assert_allclose(moments.logarithm(1e-6), [2.5 * np.log(0.862e6), 0.0, 0.0])


def test_a_narrow_spectrum_tends_to_a_line() -> None:
    width = 1e-5
    narrow = Flux(np.array([5 - width, 5.0, 5 + width]), np.array([0.0, 1 / width, 0.0]))
    for name in ("m0", "m1", "m2"):
        one, other = (getattr(flux.moments(0.2), name) for flux in (narrow, Flux.line(5.0)))
        assert one == pytest.approx(other, rel=1e-10, abs=0)


@pytest.mark.parametrize(
    "other",
    [
        Flux(np.array([0.5, 3.0]), np.array([1.0, 4.0])),  # finite at both ends, inside
        Flux(np.array([1.0, 9.0]), np.array([2.0, 2.0])),  # ends on nodes
        Flux(np.array([10.0, 11.0]), np.array([1.0, 0.5])),  # does not touch
        Flux.line(0.3, 7.0),
        Flux(),
    ],
)
def test_a_sum_is_exact(other: Flux) -> None:
    total, swapped = KINKED + other, other + KINKED
    assert total.total() == pytest.approx(KINKED.total() + other.total(), rel=1e-13, abs=0)
    assert total.maximum == max(KINKED.maximum, other.maximum)
    energies = np.linspace(0.0031, 11.7, 401)
    np.testing.assert_allclose(total(energies), KINKED(energies) + other(energies), rtol=1e-13)
    for name in ("m0", "m1", "m2"):
        parts = getattr(KINKED.moments(MINIMA), name) + getattr(other.moments(MINIMA), name)
        np.testing.assert_allclose(getattr(total.moments(MINIMA), name), parts, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(getattr(swapped.moments(MINIMA), name), parts, rtol=1e-11, atol=1e-14)


def test_scaling_scales_density_and_lines() -> None:
    flux = (KINKED + Flux.line(2.0, 3.0)).scaled(-0.5)
    assert flux.total() == pytest.approx(-0.5 * (KINKED.total() + 3.0))


@pytest.mark.parametrize(
    ("energies", "density", "message"),
    [
        ([1.0, 2.0], [1.0], "two equal lists"),
        ([1.0], [1.0], "two equal lists"),
        ([2.0, 1.0], [1.0, 1.0], "ascending"),
        ([-1.0, 1.0], [1.0, 1.0], "ascending"),
        ([0.0, 1.0], [1.0, np.nan], "finite"),
        ([1.0, 1.0], [0.0, 1.0], "one energy"),
    ],
)
def test_wrong_nodes_are_refused(energies: list[float], density: list[float], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Flux(np.array(energies), np.array(density))


def test_a_line_at_zero_energy_is_refused() -> None:
    with pytest.raises(ModelError, match="line"):
        Flux.line(0.0)


def test_moments_above_zero_energy_are_refused() -> None:
    with pytest.raises(ModelError, match="above 0"):
        KINKED.moments(np.array([1.0, 0.0]))


def test_part_above_an_energy() -> None:
    flux = Flux(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0, 0.0]), lines=((0.5, 1.0), (2.5, 3.0)))
    for energy in (0.1, 1.0, 1.5, 2.0, 2.7):
        part = flux.above(energy)
        assert part.total() == pytest.approx(float(flux.moments(energy).m0), rel=1e-12)
        assert part(2.9) == flux(2.9)
    assert flux.above(3.0).total() == 0
    assert Flux.line(1.0).above(0.5).total() == 1
