"""Pictures: what is drawn is what was given, and nothing of matplotlib's global state is touched."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from nuemstat.plots import COLOURS, TOP, Curve, profile, profile_picture, symbol
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL


def parabola(label: str, width: float, *, joint: bool = False) -> Curve:
    values = np.linspace(-4 * width, 4 * width, 81)
    return Curve(label, values, (values / width) ** 2, joint)


def draw(*curves: Curve):
    axes = Figure().add_subplot()
    profile(axes, curves, coupling="millicharge_ee", threshold=2.706, level=0.9)
    return axes


def test_every_curve_and_the_line_are_drawn():
    curves = (parabola("one", 1e-12), parabola("both", 0.9e-12, joint=True), parabola("two", 2e-12))
    axes = draw(*curves)
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines) == ["both", "one", "two", "90 %"]
    for curve in curves:
        x, y = np.asarray(lines[curve.label].get_xdata()), np.asarray(lines[curve.label].get_ydata())
        np.testing.assert_allclose(y[np.searchsorted(x, curve.values)], curve.delta, atol=1e-9)
        width = np.sqrt(curve.delta[0]) / abs(curve.values[0])
        np.testing.assert_allclose(y, (x * width) ** 2, atol=0.01)
    assert set(lines["90 %"].get_ydata()) == {2.706}
    assert axes.get_xscale() == "linear"
    assert lines["both"].get_zorder() < lines["one"].get_zorder()
    assert axes.get_ylim() == (0, 2.706 + TOP)


def test_curves_of_very_different_reach_are_all_visible():
    axes = draw(parabola("narrow", 1e-13), parabola("wide", 1e-9))
    assert axes.get_xscale() == "asinh"
    low, high = axes.get_xlim()
    assert low == pytest.approx(-1e-9 * np.sqrt(2.706 + TOP), rel=0.01)
    assert high == pytest.approx(1e-9 * np.sqrt(2.706 + TOP), rel=0.01)
    ticks = axes.get_xticks()
    assert {0.0, 2e-13, -2e-13, 1e-9, -1e-9} <= set(ticks)
    texts = [tick.get_text() for tick in axes.get_xticklabels()]
    assert len(set(texts)) == len(texts)
    assert r"$2 \cdot 10^{-13}$" in texts
    place = axes.transData.transform
    width = (place((1e-13, 0)) - place((-1e-13, 0)))[0] / (place((high, 0)) - place((low, 0)))[0]
    assert width > 0.05  # the narrow one is seen, although its reach is 1e-4 of the axis


def test_curves_are_told_apart_without_colour():
    axes = draw(*(parabola(f"{i}", 1e-12) for i in range(4)))
    lines = axes.get_lines()[:4]
    assert len({line.get_color() for line in lines}) == 4
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in lines}) == 4


def test_colours_differ_in_lightness_or_hue_for_the_colour_blind():
    # Protan and deutan readers see red and green as one: what is left is blue against yellow, and lightness.
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLOURS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.stack([linear @ [0.2126, 0.7152, 0.0722], linear[:, 2]], axis=1)
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=2) + np.eye(len(COLOURS))
    assert distance.min() > 0.05


@pytest.mark.parametrize("coupling", [*COUPLINGS, *UNIVERSAL, "lz__cevns_norm"])
def test_every_label_can_be_drawn(coupling):
    figure = Figure(figsize=(1, 1))
    figure.text(0, 0, symbol(coupling))
    figure.draw_without_rendering()


def test_pictures_of_equal_results_are_equal(tmp_path):
    for name in ("a.png", "b.png"):
        profile_picture(tmp_path / name, [parabola("x", 1e-12)], coupling="millicharge", threshold=2.7, level=0.9)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_points_on_top_of_each_other_do_not_bend_the_curve():
    values = np.sort(np.append(np.linspace(-2.0, 2.0, 41), [0.5 + 1e-12, 1.0 + 1e-9]))
    noisy = values**2 + 1e-9 * np.cos(1e6 * values)
    x, y = Curve("x", values, noisy).dense()
    np.testing.assert_allclose(y, x**2, atol=1e-3)
    assert np.all(np.diff(x) > 0)


def test_a_curve_that_never_comes_down_is_no_error():
    axes = draw(Curve("high", np.array([0.0, 1.0]), np.array([50.0, 60.0])))
    assert axes.get_xscale() == "linear"


def test_no_global_state_of_matplotlib(tmp_path):
    script = (
        "import sys, numpy as np; from pathlib import Path; from nuemstat.plots import Curve, profile_picture;"
        "profile_picture(Path('x.png'), [Curve('a', np.arange(3.0), np.arange(3.0))], coupling='millicharge',"
        "threshold=2.7, level=0.9); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
