"""``nuemstat compile --explain``: the numbers are those of the workspace, worked out here by hand."""

import json
import math
import re

import numpy as np
import pytest

from nuemstat.cli import main
from nuemstat.explain import explain
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.modifiers import Anchor, HistoSys, Norm, NormSys, Shape


def test_yields_are_the_sums_of_the_samples(toys):
    found = explain(Workspace.read(toys[0]))
    by_name = {(y.process, y.monomial): (y.at_default, y.at_one) for y in found.yields}
    assert by_name["background", ""] == (165.0, 165.0)
    assert by_name["electron", "millicharge_ee"] == (0.0, pytest.approx(4 * sum(1 / (1 + i) for i in range(6))))
    assert by_name["electron", "magnetic_moment_e__pow2"][0] == 0.0


def test_a_lognormal_norm_moves_by_its_width(toys):
    found = {(s.nuisance, s.process): s for s in explain(Workspace.read(toys[0])).sizes}
    assert set(found) == {("alpha__background", "background"), ("beam", "electron")}
    row = found["alpha__background", "background"]
    assert row.up == pytest.approx(0.1)
    assert row.down == pytest.approx(1 / 1.1 - 1)
    assert row.largest == pytest.approx(0.1 * 40 / math.sqrt(46))  # the first bin: 40 expected, 46 seen


MODIFIERS = [
    Norm(parameter="beam", interpolation="linear", size=0.2),
    Norm(parameter="beam", interpolation="lognormal", size=0.3),
    NormSys(parameter="beam", hi=1.3, lo=0.8),
    HistoSys(parameter="beam", hi_data=(9.0, 5, 4, 3, 2, 1), lo_data=(5.0, 5, 4, 3, 2, 1)),
    Shape(parameter="beam", interpolation="additive",
          anchors=(Anchor(alpha=-1, values=(-1.0, 0, 0, 0, 0, 0)), Anchor(alpha=1, values=(2.0, 0, 0, 0, 0, 0)))),
    Shape(parameter="beam", interpolation="multiplicative",
          anchors=(Anchor(alpha=-1, values=(0.8,) * 6), Anchor(alpha=1, values=(1.5,) * 6))),
]  # fmt: skip


@pytest.mark.parametrize("modifier", MODIFIERS, ids=lambda m: m.type + str(getattr(m, "interpolation", "")))
def test_sizes_are_what_the_likelihood_does(toys, modifier):
    workspace = Workspace.read(toys[0])
    channel = workspace.channels[0]
    samples = tuple(
        s.model_copy(update={"modifiers": (modifier,)}) if s.process == "electron" and not s.monomial else s
        for s in channel.samples
        if s.process == "background" or not s.monomial
    )
    changed = workspace.model_copy(update={"channels": (channel.model_copy(update={"samples": samples}),)})
    row = next(s for s in explain(changed).sizes if s.nuisance == "beam")
    likelihood = Likelihood(changed, fixed=dict.fromkeys(changed.couplings, 0.0))
    nominal = likelihood.counts(likelihood.defaults)
    for alpha, found in ((-1.0, row.down), (1.0, row.up)):
        moved = likelihood.counts(likelihood.vector({"beam": alpha}))
        assert found == pytest.approx(float((moved - nominal).sum()) / 21.0, abs=1e-9)
    shifts = [np.abs(likelihood.counts(likelihood.vector({"beam": a})) - nominal) for a in (-1.0, 1.0)]
    wanted = np.max(np.maximum(*shifts) / np.sqrt(np.maximum(channel.observed, 1)))
    assert row.largest == pytest.approx(float(wanted))


def test_the_command_shows_yields_sizes_accuracy_memory_and_time(toys, capsys):
    assert main(["compile", "--explain", toys[0]]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for word in ("magnetic_moment_e__pow2", "alpha__background", "+10.00%", "morph within 0.1 %", "numbers held"):
        assert word in out
    assert re.search(r"compiled in \d+\.\d\d s, peak memory \d+ MB", out)


def test_explain_as_json(toys, capsys):
    assert main(["compile", "--explain", "--json", toys[0]]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["schema"] == "nuemstat/explanation/1"
    assert content["workspace"] == "alpha"
    # Bins, contents; nothing else carries arrays here.
    assert content["numbers"] == 6 + 6 * 6


def test_explain_writes_the_workspace_where_asked(toys, capsys, tmp_path):
    assert main(["compile", "--explain", *toys, "-o", str(tmp_path / "out")]) == 0
    assert "alpha: what it is made of" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["alpha.json", "beta.json"]


def test_json_needs_explain(toys, capsys):
    assert main(["compile", "--json", toys[0]]) == 2
    assert "--json belongs to --explain" in capsys.readouterr().err


def test_explanations_are_tables_in_notebooks(toys):
    text = explain(Workspace.read(toys[0]))._repr_html_()
    assert text.startswith("<table><caption>alpha: what it is made of</caption>")
    assert "alpha__background" in text
