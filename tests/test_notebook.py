"""Results and workspaces in a notebook: the printed table, as HTML that is well formed and escaped."""

from html.parser import HTMLParser

import pytest

import nuemstat as nu
from nuemstat.notebook import AsHtml
from nuemstat.workspace.document import Workspace


class Cells(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[int] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("th", "td"):
            self.rows[-1] += int(dict(attrs).get("colspan", 1))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def results(workspace: Workspace):
    yield workspace
    yield nu.fit(workspace, free=["millicharge_ee"])
    yield nu.limit(workspace, "millicharge_ee")
    yield nu.scan(workspace, ["millicharge_ee"], points=5)
    yield nu.significance(workspace, "millicharge_ee", 1e-12)


def test_all_results_show_themselves_as_they_print(toys):
    for result in results(Workspace.read(toys[0])):
        shown = Cells(result._repr_html_())
        assert len(set(shown.rows)) == 1, type(result)
        assert "".join("".join(shown.words).split()) == "".join(str(result).split())
        assert len(str(result).splitlines()) < 15


def test_workspaces_are_short_wherever_they_appear(toys):
    workspace = Workspace.read(toys[0])
    assert repr(workspace) == f"<workspace alpha, {workspace.digest[:19]}>"
    assert "6 bins" in str(workspace)
    assert "3 couplings, 2 nuisances" in str(workspace)
    assert len(str(workspace)) < 300


def test_a_model_is_short_wherever_it_appears():
    model = nu.load_model("lz_sr1:epa,paper")
    assert repr(model).startswith("<model lz_sr1:epa,paper, ")
    assert len(str(model).splitlines()) < 15
    assert "variant electron  epa (of best, fea, epa, rrpa)" in str(model)
    assert Cells(model._repr_html_()).words[0] == "model lz_sr1"


def test_results_are_one_line_at_a_prompt(toys):
    for result in list(results(Workspace.read(toys[0])))[1:]:
        assert repr(result) == f"<{type(result).__name__}: {str(result).splitlines()[0]}>"
        assert len(repr(result)) < 120


def test_what_is_shown_is_escaped():
    class Text(AsHtml):
        def __str__(self):
            return "a <b> & c\n  x<y  1 & 2\nwarning <i>"

    text = Text()._repr_html_()
    assert "a &lt;b&gt; &amp; c" in text
    assert "x&lt;y" in text
    assert "<p>warning &lt;i&gt;</p>" in text


@pytest.mark.parametrize("text", ["", "only a title"])
def test_without_rows(text):
    Text = type("Text", (AsHtml,), {"__str__": lambda self: text})
    assert Cells(Text()._repr_html_()).rows == []
