"""Every dependence of a template on one parameter, as one kind of function.

f(a) is a polynomial of a between two ends; beyond them it goes on as a straight line, or, for HistFactory's
code 4, as an exponential. Powers of couplings, norms and the weights of anchors are all of this form, so a
whole workspace evaluates them in a handful of array operations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, log

import numpy as np

from nuemstat.polynomial import FloatArray

_SLOW = 1e-300


@dataclass(frozen=True, slots=True)
class Function:
    """One function of one parameter.

    coefficients : of the polynomial, rising powers; lower, upper : its ends;
    up, down : logarithms of the exponentials beyond the ends, both 0 where the line goes on.
    """

    parameter: str
    coefficients: tuple[float, ...]
    lower: float = -inf
    upper: float = inf
    up: float = 0.0
    down: float = 0.0

    def __call__(self, value: float) -> float:
        """The function at one number."""
        values, _ = FunctionTable((self,), {self.parameter: 0})(np.array([value]))
        return float(values[0])


def power(parameter: str, exponent: int) -> Function:
    """parameter ** exponent."""
    return Function(parameter, (0.0,) * exponent + (1.0,))


def linear_norm(parameter: str, size: float) -> Function:
    """1 + size x parameter."""
    return Function(parameter, (1.0, size))


@cache
def code4(parameter: str, hi: float, lo: float) -> Function:
    """HistFactory code 4: hi ** a above 1, lo ** -a below -1, between them the polynomial of degree 6 that is 1 at 0
    and joins both ends with two derivatives (CERN-OPEN-2012-016, section 4.1.3)."""
    up, down = log(hi), log(lo)
    powers = np.arange(1, 7)
    rows = []
    for a in (1.0, -1.0):
        rows += [a**powers, powers * a ** (powers - 1), powers * (powers - 1) * a ** (powers - 2)]
    ends = [hi - 1, hi * up, hi * up**2, lo - 1, -lo * down, lo * down**2]
    inner = np.linalg.solve(np.array(rows), np.array(ends))
    return Function(parameter, (1.0, *(float(c) for c in inner)), -1.0, 1.0, up, down)


def code1(parameter: str, hi: float, lo: float) -> Function:
    """HistFactory code 1: hi ** a above 0, lo ** -a below."""
    return Function(parameter, (1.0,), 0.0, 0.0, log(hi), log(lo))


@cache
def histosys_weights(parameter: str, code: str) -> tuple[Function, Function]:
    """Weights of the changes at -1 and +1 by a histosys: code4p, code0 (piecewise linear), or code2 (quadratic
    between them, continued linearly; pyhf 0.7 jumps back to 0 at the ends, its issue 2729)."""
    if code == "code0":  # beyond its end 0 goes on as 0 times an exponential, however slow
        return Function(parameter, (0.0, -1.0), -inf, 0.0, up=_SLOW), Function(parameter, (0.0, 1.0), 0.0, down=_SLOW)
    if code == "code2":
        return Function(parameter, (0.0, -0.5, 0.5), -1.0, 1.0), Function(parameter, (0.0, 0.5, 0.5), -1.0, 1.0)
    low, high = anchor_weights(parameter, (-1.0, 1.0))
    return low, high


@cache
def anchor_weights(parameter: str, alphas: tuple[float, ...]) -> tuple[Function, ...]:
    """Weights w_j such that sum of w_j(a) x change_j interpolates changes known at anchors, and is 0 at a = 0.

    The polynomial through the anchors and 0, continued linearly beyond the outermost. With anchors at exactly
    -1 and +1 it is HistFactory's code 4p instead, which has two continuous derivatives.
    """
    if alphas == (-1.0, 1.0):
        even = (0.0, 0.0, 15 / 16, 0.0, -10 / 16, 0.0, 3 / 16)
        up = tuple(c + (0.5 if i == 1 else 0.0) for i, c in enumerate(even))
        down = tuple(c - (0.5 if i == 1 else 0.0) for i, c in enumerate(even))
        return Function(parameter, down, -1.0, 1.0), Function(parameter, up, -1.0, 1.0)
    return tuple(Function(parameter, _lagrange(alphas, j), alphas[0], alphas[-1]) for j in range(len(alphas)))


def _lagrange(alphas: Sequence[float], j: int) -> tuple[float, ...]:
    """Coefficients of the polynomial that is 1 at anchor j, 0 at the others and at 0."""
    zeros = [0.0, *(a for i, a in enumerate(alphas) if i != j)]
    polynomial = np.polynomial.polynomial.polyfromroots(zeros).tolist()
    scale = float(np.prod([alphas[j] - zero for zero in zeros]))
    return tuple(float(c) / scale for c in polynomial)


class FunctionTable:
    """Many functions, evaluated at once with their derivatives."""

    def __init__(self, functions: Sequence[Function], index: dict[str, int]) -> None:
        """`index` says where each parameter stands in the vector that calls take."""
        length = max((len(f.coefficients) for f in functions), default=1)
        table = np.zeros((3, length, len(functions)))  # of the polynomials, and of their derivatives
        for i, function in enumerate(functions):
            table[0, : len(function.coefficients), i] = function.coefficients
        for order in (1, 2):
            table[order, :-1] = np.arange(1, length)[:, None] * table[order - 1, 1:]
        self._coefficients = table
        self.parameter = np.array([index[f.parameter] for f in functions], dtype=np.intp)
        self._lower = np.array([f.lower for f in functions], dtype=float)
        self._upper = np.array([f.upper for f in functions], dtype=float)
        self._up = np.array([f.up for f in functions], dtype=float)
        self._down = np.array([f.down for f in functions], dtype=float)
        bent = (table[2] != 0).any(axis=0) & np.isinf(self._upper)
        self.polynomial_of_degree_2 = np.unique(self.parameter[bent])
        self._exponential = (self._up != 0) | (self._down != 0)

    def __call__(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values and derivatives, both of shape (..., n_functions), at parameters of shape (..., n_parameters)."""
        return self.derivatives(parameters)[:2]

    def derivatives(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Values, first and second derivatives, each of shape (..., n_functions)."""
        wanted = np.take(parameters, self.parameter, axis=-1)
        inside = np.minimum(np.maximum(wanted, self._lower), self._upper)
        powers = np.ones((*inside.shape[:-1], *self._coefficients.shape[1:]))
        powers[..., 1:, :] = inside[..., None, :]
        np.multiply.accumulate(powers, axis=-2, out=powers)
        table = (powers[..., None, :, :] * self._coefficients).sum(axis=-2)
        values, slopes, bends = table[..., 0, :], table[..., 1, :], table[..., 2, :]
        beyond = wanted - inside
        return self._continued(values, slopes, bends, beyond) if beyond.any() else (values, slopes, bends)

    def _continued(
        self, values: FloatArray, slopes: FloatArray, bends: FloatArray, beyond: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        rate = np.where(beyond > 0, self._up, -self._down)
        grown = values * np.exp(rate * beyond)
        inside = beyond == 0
        steep = np.where(inside, slopes, grown * rate)
        return (
            np.where(self._exponential, grown, values + slopes * beyond),
            np.where(self._exponential, steep, slopes),
            np.where(inside, bends, np.where(self._exponential, grown * rate**2, 0.0)),
        )
