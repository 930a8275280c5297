"""Pictures: what is drawn is what was given, and nothing of matplotlib's global state is touched."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from nuemstat.errors import FitError
from nuemstat.plots import (
    COLOURS,
    FAMILIES,
    TOP,
    Band,
    Curve,
    Pull,
    bands,
    bands_picture,
    check_style,
    contours,
    contours_picture,
    correlation,
    correlation_picture,
    group_of,
    impacts,
    impacts_picture,
    limit_picture,
    looks,
    profile,
    profile_picture,
    pulls,
    pulls_of_impacts,
    pulls_picture,
    shade,
    symbol,
    use_style,
)
from nuemstat.stats.diagnostics import Component, Contour, Impact, Impacts, Minimum2, Region
from nuemstat.stats.results import Limit
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
    assert axes.get_xscale() == "symlog"
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


@pytest.mark.parametrize("narrow", [1e-13, 3e-13, 8e-12])
@pytest.mark.parametrize("ratio", [10, 30, 1e3, 1e6])
@pytest.mark.parametrize("even", [False, True])
def test_labels_of_a_wide_axis_do_not_touch(narrow, ratio, even):
    figure = Figure(figsize=(4.6, 3.5), layout="constrained")
    curves = [parabola("narrow", narrow), parabola("wide", narrow * ratio)]
    if even:
        curves = [Curve(c.label, c.values[40:], c.delta[40:]) for c in curves]
    axes = figure.add_subplot()
    profile(axes, curves, coupling="millicharge_ee", threshold=2.706, level=0.9)
    figure.draw_without_rendering()
    low, high = axes.get_xlim()
    shown = [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
    boxes = sorted((t.get_window_extent() for t in shown), key=lambda box: box.x0)
    assert len(boxes) >= (3 if even else 5)
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


GROUPED = {f"sun{i}": "solar" for i in range(6)} | {f"pion{i}": "spallation source" for i in range(2)} | {
    f"core{i}": "reactor" for i in range(7)}  # fmt: skip


def test_fifteen_curves_are_told_apart_by_colour_and_dashes():
    found = looks(GROUPED)
    assert len({(look.colour, str(look.dashes)) for look in found.values()}) == 15
    for name, look in found.items():
        assert look.colour in FAMILIES[GROUPED[name]]
    colours = [colour for family in FAMILIES.values() for colour in family]
    assert len(set(colours)) == len(colours)
    for groups in ((""), ("", "reactor"), ("solar", "", "reactor"), ("solar",)):
        many = looks({str(i): groups[i % len(groups)] if groups else "" for i in range(28)})
        assert list(many) == [str(i) for i in range(28)]
        assert len({(look.colour, str(look.dashes)) for look in many.values()}) == 28


def test_the_legend_of_many_curves_stands_outside_in_groups():
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    curves = [Curve(n, np.linspace(-1, 1, 5), np.linspace(-1, 1, 5) ** 2, group=g) for n, g in GROUPED.items()]
    curves.append(Curve("joint", np.linspace(-1, 1, 5), np.linspace(-1, 1, 5) ** 2, joint=True))
    axes = figure.add_subplot()
    profile(axes, curves, coupling="millicharge_ee", threshold=2.706, level=0.9)
    figure.draw_without_rendering()
    legend = axes.get_legend()
    words = [text.get_text() for text in legend.get_texts()]
    columns = [[word for word in words[i : i + 8] if word.strip()] for i in range(0, 24, 8)]
    assert [column[0] for column in columns] == ["solar", "spallation source", "reactor"]
    assert columns[0][1:] == [f"sun{i}" for i in range(6)]
    assert columns[1][1:] == ["pion0", "pion1", "joint", "90 %"]
    assert legend.get_window_extent().y0 >= axes.get_window_extent().y1
    boxes = [text.get_window_extent() for text in legend.get_texts() if text.get_text().strip()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert max(box.x1 for box in boxes) <= figure.bbox.x1


@pytest.mark.parametrize(
    ("couplings", "group"),
    [
        (("millicharge_ee", "magnetic_moment_mu", "charge_radius_tautau"), "solar"),
        (("millicharge_ee", "millicharge_mumu", "millicharge_etau"), "spallation source"),
        (("magnetic_moment_e", "millicharge_etau"), "reactor"),
        (("millicharge_mumu", "lz__norm"), ""),
        ((), ""),
    ],
)
def test_experiments_are_grouped_by_their_neutrinos(couplings, group):
    assert group_of(couplings) == group


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


def contour_result(**more):
    """Two pieces, one with a hole, at one level; the other level has one that a range cuts."""
    turn = np.linspace(0, 2 * np.pi, 41)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1) * 1e-32
    ring[-1] = ring[0]
    first = Component(3 * ring, (ring[::-1],), True, (2e-32, 0.0), 0.0)
    pieces = (first, Component(ring + 9e-32, (), True, (9e-32, 9e-32), 1.0))
    return Contour(
        workspaces=("toy",), schemes={}, fixed={}, floated=("charge_radius_ee", "charge_radius_mumu"), digest="",
        couplings=("charge_radius_ee", "charge_radius_mumu"), units=("cm^2", "cm^2"), data="observed",
        best_fit={"charge_radius_ee": 2e-32, "charge_radius_mumu": 0.0},
        minima=(Minimum2((2e-32, 0.0), 0.0), Minimum2((9e-32, 9e-32), 1.0)),
        regions=(Region(0.68, 2.28, pieces), Region(0.9, 4.6, pieces[:1])), q_min=3.0, accuracy=0.0, fits=1, **more,
    )  # fmt: skip


def test_contours_draw_every_piece_and_leave_holes_out():
    axes = Figure().add_subplot()
    contours(axes, {"one": contour_result(), "two": contour_result()})
    filled = [patch for patch in axes.patches if patch.get_alpha() is not None]
    lines = [patch for patch in axes.patches if patch.get_alpha() is None]
    assert len(filled) == len(lines) == 2 * 3
    assert len({patch.get_facecolor() for patch in filled}) == 2
    assert {patch.get_linestyle() for patch in lines} == {"-", "--"}
    path = filled[0].get_path()
    winding = [np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]) for ring in path.to_polygons()]
    assert winding[0] > 0 > winding[1]  # a hole runs the other way round, so filling leaves it out
    low, high = axes.get_xlim()
    assert low < -3e-32
    assert high > 10e-32
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["one", "two", "68 %", "90 %", "best fit", "other minima"]
    marks = [line for line in axes.get_lines() if line.get_marker() == "+"]
    assert [float(line.get_xdata()[0]) for line in marks] == [2e-32, 2e-32]


def impacts_result():
    rows = tuple(
        Impact(name, "flux", 1.0, 0.1, "1", pull, 0.9, (-size, 0.8 * size), size)
        for name, pull, size in (("big", 0.5, 3e-13), ("small", -1.5, 1e-13))
    )
    free = Impact("rate", "free", 4.0, 1.0, "1", None, None, (None, None), None)
    return Impacts(
        workspaces=("toy",), schemes={}, fixed={}, floated=("millicharge_ee",), digest="", coupling="millicharge_ee",
        unit="e", cl=0.9, data="observed", best_fit=0.0, error=1e-12, interval=(-1e-12, 1e-12), minos=None,
        upper_limit=2e-12, impacts=(*rows, free), groups=(), at=None, experiments={}, shared=None,
        parameters=("millicharge_ee", "big"), correlation=np.array([[1.0, -0.4], [-0.4, 1.0]]), q_min=3.0,
    )  # fmt: skip


def test_impacts_are_bars_and_ticks():
    axes = Figure().add_subplot()
    impacts(axes, impacts_result())
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([-3e-13, -1e-13, 0.0, 2.4e-13, 0.8e-13, 0.0])
    ticks = axes.collections[0].get_offsets()
    np.testing.assert_allclose(ticks, [[3e-13, 0], [1e-13, 1], [-3e-13, 0], [-1e-13, 1]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["big", "small", "rate"]
    assert axes.yaxis_inverted()  # the largest on top
    axes = Figure().add_subplot()
    impacts(axes, impacts_result(), most=1)
    assert len(axes.patches) == 2


def test_impacts_beside_pulls_show_the_same_rows():
    named, bare = Figure().add_subplot(), Figure().add_subplot()
    impacts(named, impacts_result())
    impacts(bare, impacts_result(), names=False)
    assert bare.get_ylim() == named.get_ylim() == (2.5, -0.5)
    assert not list(bare.get_yticks())


def limit_result(**more):
    values = np.linspace(-3e-12, 3e-12, 31)
    return Limit(
        workspaces=("toy",), schemes={}, fixed={}, floated=("millicharge_ee",), digest="", coupling="millicharge_ee",
        unit="e", cl=0.9, method="profile", data="observed", best_fit=0.0, minima=(), q_min=0.0, upper_limit=None,
        intervals=((None, -1e-12), (1e-12, 2e-12)), profile_values=values, profile_q=(values / 1e-12) ** 2, **more,
    )  # fmt: skip


def test_a_set_is_shaded():
    axes = Figure().add_subplot()
    axes.set_xlim(-3.0, 3.0)
    shade(axes, ((None, -1.0), (1.0, 2.0)))
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
    assert spans == [(-3.0, -1.0), (1.0, 2.0)]
    assert axes.get_xlim() == (-3.0, 3.0)


def test_a_limit_is_drawn_with_or_without_bands(tmp_path):
    limit_picture(tmp_path / "profile.svg", limit_result())
    expected = {"median": {"lower": -1e-12, "upper": 1e-12}, "band68": {"lower": [-2e-12, -1e-12],
                "upper": [1e-12, 2e-12]}, "band95": {"lower": [None, -1e-12], "upper": [1e-12, 3e-12]}}  # fmt: skip
    limit_picture(tmp_path / "bands.svg", limit_result(expected=expected))
    assert "<!-- expected ends -->" in (tmp_path / "bands.svg").read_text()
    assert "<!-- expected ends -->" not in (tmp_path / "profile.svg").read_text()


def test_expected_ends_are_marked_on_the_line():
    values = np.linspace(-3.0, 3.0, 31)
    curve = Curve("toy", values, values**2, expected=(-1.5, None))
    axes = Figure().add_subplot()
    profile(axes, [curve], coupling="millicharge_ee", threshold=2.706, level=0.9)
    marks = [line for line in axes.get_lines() if line.get_marker() == "v"]
    assert [list(line.get_xydata()[0]) for line in marks if len(line.get_xdata())] == [[-1.5, 2.706]]
    assert "expected ends" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_an_asimov_end_needs_no_band(tmp_path):
    expected = {"method": "asimov", "asimov": {"lower": -1e-12, "upper": np.inf}, "median": None, "band68": None,
                "band95": None, "z": None}  # fmt: skip
    found = limit_result(expected=expected)
    assert Band.of("toy", found).median == (-1e-12, None)
    limit_picture(tmp_path / "asimov.svg", found)
    text = (tmp_path / "asimov.svg").read_text()
    assert "<!-- expected ends -->" in text
    assert "sigma" not in text


def test_styles_change_pictures_and_leave_no_trace(tmp_path):
    pytest.importorskip("mplhep", reason="the style of mplhep needs it: pip install '.[hep]'")
    import matplotlib

    before = dict(matplotlib.rcParams)
    sizes = set()
    for name in ("plain", "mplhep", "mplhep:ATLAS"):
        with use_style(name):
            limit_picture(tmp_path / "x.png", limit_result())
            assert matplotlib.rcParams["font.size"] == pytest.approx(10)
            assert matplotlib.rcParams["xtick.direction"] == ("out" if name == "plain" else "in")
        sizes.add((tmp_path / "x.png").read_bytes())
    assert len(sizes) == 3
    assert dict(matplotlib.rcParams) == before


def test_a_style_that_is_not_there(monkeypatch):
    for name, pattern in (("mplhepp", "did you mean 'mplhep'"), ("plain:CMS", "allowed are plain, mplhep")):
        with pytest.raises(FitError, match=pattern), use_style(name):
            pass
    monkeypatch.setitem(sys.modules, "mplhep", None)
    with pytest.raises(FitError, match=r"needs the package mplhep: pip install 'nuemstat\[hep\]'"):
        check_style("mplhep")
    check_style("plain")


def test_an_unknown_style_of_mplhep():
    pytest.importorskip("mplhep", reason="the style of mplhep needs it: pip install '.[hep]'")
    with pytest.raises(FitError, match=r"mplhep has no 'ATLSA'; allowed are .*did you mean 'ATLAS'"):
        check_style("mplhep:ATLSA")


def test_pulls_are_points_with_errors():
    axes = Figure().add_subplot()
    pulls(axes, [Pull("a", 0.5, 0.9), Pull("b", -3.0, 0.4), Pull("c", 0.1, None)])
    (container,) = axes.containers
    np.testing.assert_allclose(np.asarray(container.lines[0].get_xdata(), dtype=float), [0.5, -3.0, 0.1])
    ends = [segment[:, 0].tolist() for segment in container.lines[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[-0.4, 1.4], [-3.4, -2.6], [0.1, 0.1]], atol=1e-12)
    assert axes.get_xlim()[0] < -3.4
    assert [row.name for row in pulls_of_impacts(impacts_result())] == ["big", "small"]


def test_correlations_are_shown_with_their_sign():
    axes = Figure().add_subplot()
    matrix = np.array([[1.0, -0.75, np.nan], [-0.75, 1.0, 0.2], [np.nan, 0.2, np.nan]])
    correlation(axes, ("a", "b", "c"), matrix)
    image = axes.get_images()[0]
    assert image.get_clim() == (-1, 1)
    np.testing.assert_array_equal(np.ma.getmaskarray(image.get_array()), np.isnan(matrix))
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["1", "-.75", "-.75", "1", ".20", ".20"]


def test_bands_show_both_ends_and_open_ones():
    rows = [
        Band("one", ((-1e-12, 2e-12),), (-1.5e-12, 1.5e-12), ((-2e-12, -1e-12), (1e-12, 2e-12)),
             ((-3e-12, -0.5e-12), (0.5e-12, 3e-12))),
        Band("two", ((None, -1e-12), (2e-12, 2.5e-12)), (None, None), (None, None), (None, None)),
    ]  # fmt: skip
    axes = Figure().add_subplot()
    bands(axes, rows, coupling="millicharge_ee", level=0.9)
    assert len(axes.collections) == 4
    assert {min(c.get_paths()[0].vertices[:, 0]) for c in axes.collections} == {-3e-12, -2e-12, 1e-12, 0.5e-12}
    markers = [line.get_marker() for line in axes.get_lines()]
    assert markers.count("<") == 1
    assert markers.count("|") == 5
    low, high = axes.get_xlim()
    assert low < -3e-12
    assert high > 3e-12
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]


def test_a_band_comes_from_a_limit_with_its_expectation():
    found = Limit(
        workspaces=("toy",), schemes={}, fixed={}, floated=("millicharge_ee",), digest="", coupling="millicharge_ee",
        unit="e", cl=0.9, method="profile", data="observed", best_fit=0.0, minima=(), intervals=((-1.0, 2.0),),
        upper_limit=2.0, q_min=0.0, expected={
            "median": {"lower": -1.5, "upper": 1.5}, "band68": {"lower": [-2.0, -1.0], "upper": [1.0, 2.0]},
            "band95": {"lower": [None, -0.5], "upper": [0.5, 3.0]}},
    )  # fmt: skip
    row = Band.of("toy", found)
    assert row.median == (-1.5, 1.5)
    assert row.band68 == ((-2.0, -1.0), (1.0, 2.0))
    assert row.band95 == ((None, -0.5), (0.5, 3.0))
    figure = Figure()
    bands(figure.add_subplot(), [row], coupling="millicharge_ee", level=0.9)
    figure.draw_without_rendering()


@pytest.mark.parametrize("ending", [".png", ".pdf", ".svg"])
def test_every_picture_can_be_written(tmp_path, ending):
    contours_picture(tmp_path / f"contours{ending}", {"toy": contour_result()})
    impacts_picture(tmp_path / f"impacts{ending}", impacts_result())
    pulls_picture(tmp_path / f"pulls{ending}", [])
    correlation_picture(tmp_path / f"correlation{ending}", ("a",), np.eye(1))
    bands_picture(tmp_path / f"bands{ending}", [], coupling="millicharge", level=0.9)
    assert len(list(tmp_path.iterdir())) == 5
    with pytest.raises(FitError, match=r"found the ending '.txt'; allowed are .png"):
        pulls_picture(tmp_path / "pulls.txt", [])
