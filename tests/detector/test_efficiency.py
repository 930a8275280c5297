import dataclasses

import numpy as np
import pytest

from nuemstat.detector.efficiency import ConstantEfficiency, GaussianEdge, LogisticEfficiency, TableEfficiency
from nuemstat.errors import ModelError

CSI = LogisticEfficiency(
    (1.32045, 0.285979, 10.8646, -0.333322),
    (1.3439, 0.285366, 9.84596, -0.356364),
    (1.297, 0.286592, 11.8832, -0.31028),
)
TABLE = TableEfficiency((1.0, 2.0, 4.0), (0.2, 0.6, 0.8))


def test_a_table_is_linear_shifts_to_the_right_and_scales():
    at = np.array([0.5, 1.0, 1.5, 3.0, 9.0])
    np.testing.assert_allclose(TABLE(at), [0.2, 0.2, 0.4, 0.7, 0.8])
    np.testing.assert_allclose(dataclasses.replace(TABLE, shift=0.3)(at + 0.3), TABLE(at))
    np.testing.assert_allclose(dataclasses.replace(TABLE, scale=0.9)(at), 0.9 * TABLE(at))
    np.testing.assert_allclose(dataclasses.replace(TABLE, outside="zero")(at), [0, 0.2, 0.4, 0.7, 0])
    assert dataclasses.replace(TABLE, shift=0.5).knots == (1.5, 2.5, 4.5)


def test_the_logistic_curve_is_zero_where_it_would_be_negative():
    (zero,) = CSI.knots
    at = np.array([0.0, zero - 1e-6, zero + 0.5, 30.0])
    values = CSI(at)
    np.testing.assert_array_equal(values[:2], 0.0)
    by_hand = 1.32045 / (1 + np.exp(-0.285979 * (at - 10.8646))) - 0.333322
    np.testing.assert_allclose(values[2:], by_hand[2:], rtol=1e-13)
    assert by_hand[1] < 0


def test_pulls_reach_the_tabulated_curves():
    at = np.linspace(0, 60, 31)
    for pull, curve in ((1.0, CSI.plus), (-1.0, CSI.minus)):
        np.testing.assert_allclose(dataclasses.replace(CSI, pull=pull)(at), LogisticEfficiency(curve)(at), atol=1e-14)
    half = LogisticEfficiency(tuple((p + q) / 2 for p, q in zip(CSI.parameters, CSI.plus, strict=True)))
    np.testing.assert_allclose(dataclasses.replace(CSI, pull=0.5)(at), half(at), atol=1e-14)


def test_roll_off_falls_from_one_to_zero_through_a_half():
    edge = GaussianEdge(15.0, 1.0)
    np.testing.assert_allclose(edge(np.array([0.0, 15.0, 30.0])), [1, 0.5, 0], atol=1e-14)
    assert edge(np.array([16.0]))[0] == pytest.approx(0.15865525393145707, rel=1e-13)  # one sigma above
    rolled = ConstantEfficiency(0.9, roll_off=edge)
    assert rolled(np.array([15.0]))[0] == pytest.approx(0.45, rel=1e-14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TableEfficiency((1.0, 1.0), (0.1, 0.2)), "do not rise"),
        (lambda: TableEfficiency((1.0, 2.0), (0.1, -0.2)), "found -0.2"),
        (lambda: LogisticEfficiency((1.0, 1.0, 1.0, 0.0), pull=1.0), "needs the parameters"),
    ],
)
def test_bad_input_is_one_line(make, message):
    with pytest.raises(ModelError, match=message):
        make()
