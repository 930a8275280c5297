"""Shares of toys: their errors, their bounds, and how they are written; a share of 0 is a bound."""

from math import sqrt

from scipy.stats import beta


def binomial_error(share: float, number: int) -> float:
    """The binomial error of a share of `number` toys."""
    return sqrt(max(share * (1 - share), 0.0) / number)


def lower_bound(count: int, number: int, confidence: float) -> float:
    """The lower bound on a probability, one-sided (Clopper, Pearson, Biometrika 26 (1934) 404)."""
    return float(beta.ppf(1 - confidence, count, number - count + 1)) if count > 0 else 0.0


def upper_bound(count: int, number: int, confidence: float) -> float:
    """The upper bound on a probability, one-sided; 3 / number at 95 % where the count is 0."""
    return float(beta.ppf(confidence, count + 1, number - count)) if count < number else 1.0


def written_p(
    p: float | None, error: float | None = None, *, at_least: float | None = None, at_most: float | None = None
) -> str:
    """A p-value with its error, or the bound where that is all that toys say."""
    if at_most is not None:
        return f"p < {at_most:.2g}"
    if p is None:
        return "" if at_least is None else f"p > {at_least:g}"
    return f"p = {p:.2g} +- {error:.1g}" if error else f"p = {p:.2g}"
