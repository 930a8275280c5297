"""Published limits in the report: which are drawn, with which mark, and what the table says of the others."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from nuemstat import published_limits
from nuemstat.report import history, pictures, tables


def test_pictures_by_year_leave_out_what_cannot_be_compared():
    points = history.drawn()
    assert {point.status for point in points} == {"read", "listed", "quoted"}
    assert len(points) == sum(row.compared for row in published_limits.published()) < len(published_limits.published())
    assert not {point.experiment for point in points} & {"GEMMA (threshold)", "GEMMA (atomic ionisation)", "JUNO"}
    excess = next(point for point in points if point.experiment == "XENON1T excess" and point.status == "listed")
    assert (excess.low, excess.size) == (1.4e-11, 2.9e-11)
    texono = next(p for p in points if (p.experiment, p.year, p.coupling) == ("TEXONO CsI(Tl)", 2010, "charge_radius"))
    assert (texono.size, texono.doubtful) == (pytest.approx(6.6e-32, abs=0), 1.0), "printed as half of it"
    krasnoyarsk = next(p for p in points if (p.experiment, p.coupling) == ("Krasnoyarsk", "charge_radius"))
    assert (krasnoyarsk.size, krasnoyarsk.doubtful) == (7.3e-32, 2.0)


def test_quoted_numbers_are_drawn_with_their_mark_and_set_no_record():
    point = history.Point("millicharge", "e", 0.0, 2e-12, 1.0, "e", "alpha", 2010, "official", "read")
    stronger = replace(point, size=1e-13, year=2020, experiment="beta", status="quoted")
    (picture,) = pictures.histories([point, stronger], [])
    figure = Figure()
    picture.draw(figure)
    (axes,) = figure.axes
    faces = {line.get_gid(): line.get_markerfacecolor() for line in axes.lines if line.get_marker() != "None"}
    assert faces["tip:beta 2020, e, 1e-13 e, quoted"] == "#ffffff"
    assert faces["tip:alpha 2010, e, 2e-12 e"] != "#ffffff"
    assert "quoted only" in [text.get_text() for text in axes.get_legend().get_texts()]
    assert [text.get_text() for text in axes.texts] == ["alpha"]


def test_bars_and_dotted_lines_say_what_is_not_a_limit():
    point = history.Point("charge_radius", "e", 8e-33, 1.2e-32, 2.0, "cm^2", "alpha", 2017, "phenomenology", "read")
    (picture,) = pictures.histories([point], [])
    figure = Figure()
    picture.draw(figure)
    ends = [tuple(line.get_ydata()) for line in figure.axes[0].lines]
    assert ends == [(8e-33, 1.2e-32), (1.2e-32, 2.4e-32), (1.2e-32,)]
    assert len(figure.axes[0].texts) == 0, "an interval without zero is no record"


def test_the_table_of_published_limits_has_what_the_pictures_leave_out():
    table = tables.history(published_limits.published())
    assert "~ 1e-07" in table
    assert "superseded by GEMMA 2013" in table
    assert "printed as half of this radius" in table
