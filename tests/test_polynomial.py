"""The algebra of coupling polynomials against plain numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuemstat.polynomial import CouplingPolynomial, monomial, monomial_name, multiply

NUMBERS = st.floats(-100, 100)
VALUES = st.dictionaries(st.sampled_from("abc"), NUMBERS, max_size=3)


@st.composite
def polynomials(draw: st.DrawFn) -> CouplingPolynomial:
    powers = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3)
    terms = draw(st.lists(st.tuples(powers, st.lists(NUMBERS, min_size=4, max_size=4)), min_size=1, max_size=4))
    total = CouplingPolynomial.constant(np.zeros(4))
    for power, coefficients in terms:
        total = total + CouplingPolynomial({monomial(power): np.array(coefficients)})
    return total


@given(polynomials(), polynomials(), VALUES)
def test_evaluation_is_a_ring_homomorphism(p: CouplingPolynomial, q: CouplingPolynomial, at: dict[str, float]) -> None:
    size = 1e-13 * (1 + np.abs(absolute(p, at)) + np.abs(absolute(q, at)))
    assert np.all(np.abs((p + q).evaluate(at) - p.evaluate(at) - q.evaluate(at)) <= size)
    product = absolute(p, at) * absolute(q, at)
    assert np.all(np.abs((p * q).evaluate(at) - p.evaluate(at) * q.evaluate(at)) <= 1e-12 * (1 + product))
    assert np.all(np.abs(p.squared().evaluate(at) - p.evaluate(at) ** 2) <= 1e-12 * (1 + absolute(p, at) ** 2))


def absolute(p: CouplingPolynomial, at: dict[str, float]) -> np.ndarray:
    """The sum of the sizes of all terms, the scale of rounding errors."""
    sizes = CouplingPolynomial({term: np.abs(values) for term, values in p.terms.items()})
    return sizes.evaluate({name: abs(value) for name, value in at.items()})


@given(polynomials(), VALUES, VALUES)
def test_fixing_is_evaluation_in_two_steps(
    p: CouplingPolynomial, first: dict[str, float], second: dict[str, float]
) -> None:
    partial = p.fix(first)
    assert not set(partial.names) & set(first)
    both = {**second, **first}
    np.testing.assert_allclose(
        partial.evaluate(second), p.evaluate(both), rtol=1e-12, atol=1e-9 * (1 + absolute(p, both).max())
    )


@given(polynomials(), VALUES)
def test_folding_is_linear(p: CouplingPolynomial, at: dict[str, float]) -> None:
    matrix = np.random.default_rng(3).random((4, 2))
    scale = absolute(p, at).max() + 1
    np.testing.assert_allclose(p.fold(matrix).evaluate(at), p.evaluate(at) @ matrix, rtol=0, atol=1e-12 * scale)


def test_the_square_of_an_amplitude_has_its_cross_terms() -> None:
    amplitude = CouplingPolynomial.linear([2.0], {"b": [3.0], "a": [5.0]})
    found = {monomial_name(term): values[0] for term, values in amplitude.squared()}
    assert found == {"": 4.0, "a": 20.0, "b": 12.0, "a__pow2": 25.0, "b__pow2": 9.0, "a__x__b": 30.0}
    assert amplitude.names == ("a", "b")


def test_scaling_by_a_number_or_an_array_from_both_sides() -> None:
    p = CouplingPolynomial.linear([1.0, 2.0], {"a": [3.0, 4.0]})
    np.testing.assert_array_equal((p * 2).terms[(("a", 1),)], [6.0, 8.0])
    np.testing.assert_array_equal((2 * p).terms[()], [2.0, 4.0])
    np.testing.assert_array_equal((p * np.array([0.5, 10.0])).terms[(("a", 1),)], [1.5, 40.0])


def test_monomials_are_ordered_and_drop_zero_powers() -> None:
    assert monomial({"b": 1, "a": 2, "c": 0}) == (("a", 2), ("b", 1))
    assert multiply((("a", 1),), (("a", 1), ("b", 1))) == (("a", 2), ("b", 1))
    assert monomial_name((("a", 1), ("b", 2))) == "a__x__b__pow2"


def test_names_that_are_not_given_count_as_zero() -> None:
    p = CouplingPolynomial.linear([1.0], {"a": [7.0]})
    assert p.evaluate({}) == pytest.approx(1.0)
    assert p.evaluate({"other": 3.0}) == pytest.approx(1.0)
