"""Polynomials in the couplings, with an array of coefficients for each monomial.

Every rate of this package is such a polynomial: the physics gives one per recoil energy, a response matrix
folds it into one per bin, and each of its monomials becomes one sample of the workspace.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

Monomial = tuple[tuple[str, int], ...]
"""Names and powers (above 0) in alphabetical order; the empty tuple is the constant."""

CONSTANT: Monomial = ()


def monomial(powers: Mapping[str, int]) -> Monomial:
    """The monomial with these powers; powers of 0 are left out."""
    return tuple(sorted((name, power) for name, power in powers.items() if power))


def multiply(a: Monomial, b: Monomial) -> Monomial:
    """The product of two monomials."""
    powers = dict(a)
    for name, power in b:
        powers[name] = powers.get(name, 0) + power
    return monomial(powers)


def monomial_name(term: Monomial) -> str:
    """As in workspaces: ``a__x__b__pow2`` for a b^2, '' for the constant."""
    return "__x__".join(name if power == 1 else f"{name}__pow{power}" for name, power in term)


@dataclass(frozen=True, slots=True, eq=False)
class CouplingPolynomial:
    """Sum over monomials of a coefficient array times the monomial.

    terms : coefficients by monomial; all arrays share one shape.
    """

    terms: Mapping[Monomial, FloatArray]

    @classmethod
    def constant(cls, values: npt.ArrayLike) -> "CouplingPolynomial":
        """A polynomial without couplings."""
        return cls({CONSTANT: np.asarray(values, dtype=float)})

    @classmethod
    def linear(cls, values: npt.ArrayLike, slopes: Mapping[str, npt.ArrayLike]) -> "CouplingPolynomial":
        """values + sum over names of slope x name: an amplitude, before it is squared."""
        terms = {CONSTANT: np.asarray(values, dtype=float)}
        terms |= {((name, 1),): np.asarray(slope, dtype=float) for name, slope in slopes.items()}
        return cls(terms)

    @property
    def names(self) -> tuple[str, ...]:
        """The couplings that occur, in alphabetical order."""
        return tuple(sorted({name for term in self.terms for name, _ in term}))

    def __iter__(self) -> Iterator[tuple[Monomial, FloatArray]]:
        return iter(sorted(self.terms.items()))

    def __add__(self, other: "CouplingPolynomial") -> "CouplingPolynomial":
        terms = dict(self.terms)
        for term, values in other.terms.items():
            terms[term] = terms[term] + values if term in terms else values
        return CouplingPolynomial(terms)

    def __mul__(self, other: "CouplingPolynomial | npt.ArrayLike") -> "CouplingPolynomial":
        if not isinstance(other, CouplingPolynomial):
            weight = np.asarray(other, dtype=float)
            return CouplingPolynomial({term: values * weight for term, values in self.terms.items()})
        terms: dict[Monomial, Any] = {}
        for a, x in self.terms.items():
            for b, y in other.terms.items():
                term = multiply(a, b)
                terms[term] = terms[term] + x * y if term in terms else x * y
        return CouplingPolynomial(terms)

    __rmul__ = __mul__

    def squared(self) -> "CouplingPolynomial":
        """The polynomial times itself."""
        return self * self

    def fold(self, matrix: FloatArray) -> "CouplingPolynomial":
        """Coefficients of shape (..., n) times a matrix of shape (n, m), e.g. recoils through a response."""
        return CouplingPolynomial({term: values @ matrix for term, values in self.terms.items()})

    def evaluate(self, couplings: Mapping[str, float]) -> FloatArray:
        """The value at the given couplings; names that are not given count as 0."""
        total: Any = 0.0
        for term, values in self.terms.items():
            factor = 1.0
            for name, power in term:
                factor *= couplings.get(name, 0.0) ** power
            total = total + factor * values
        return np.asarray(total, dtype=float)

    def fix(self, couplings: Mapping[str, float]) -> "CouplingPolynomial":
        """The polynomial in the remaining couplings once these are set to numbers."""
        terms: dict[Monomial, Any] = {}
        for term, values in self.terms.items():
            factor = 1.0
            for name, power in term:
                factor *= couplings[name] ** power if name in couplings else 1.0
            kept = tuple((name, power) for name, power in term if name not in couplings)
            terms[kept] = terms[kept] + factor * values if kept in terms else factor * values
        return CouplingPolynomial(terms)
