"""Every mistake in a model file is one line that names file, key, what was found and what is allowed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nuemstat.errors import ModelError
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model
from nuemstat.resources import models_folder

Edit = Callable[[str, str], Path]


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a shipped model with one piece of text replaced in one of its files."""

    def edit(model: str, old: str, new: str, file: str = "model.yaml") -> Path:
        folder = tmp_path / model
        shutil.copytree(models_folder() / model, folder)
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))
        return folder / "model.yaml"

    return edit


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("live_time:", "life_time:", ["target", "unknown key 'life_time'", "allowed are formula, mass, live_time"]),
        ("value: 5.5 t,", "value: 5.5 m,", ["target.mass.value", "'5.5 m'", "length", "expected mass"]),
        ("value: 5.5 t,", "value: -5.5 t,", ["target.mass.value", "'-5.5 t'", "above 0"]),
        ("value: 5.5 t,", "value: .nan,", ["target.mass.value", "nan"]),
        ("value: 5.5 t,", "value: 5.5 tons,", ["target.mass.value", "'tons'", "known names are"]),
        ("edges: {start: 0, stop: 17, bins: 51}", "edges: [0, 2, 1]", ["channels.lz_sr1.axes.0.edges", "rising"]),
        ("observed: {table: counts.csv,", "observed: {table: missing.csv,", ["missing.csv", "cannot be read"]),
        ("column: observed}", "column: seen}", ["counts.csv", "no column 'seen'", "energy_low, energy_high, observed"]),
        ("bins: 51}", "bins: 50}", ["counts.csv", "51 rows", "50 bins"]),
        ("{start: 0, stop: 17,", "{start: 17, stop: 0,", ["channels.lz_sr1.axes.0.edges", "17 to 0", "below the stop"]),
        ("bins: 51}", "bins: 0}", ["channels.lz_sr1.axes.0.edges", "found 0", "greater than 0"]),
        ("bins: 51}", "bins: 1000000000}", ["channels.lz_sr1.axes.0.edges", "less than or equal to 100000"]),
        ("anchors: [-1, 1]", "anchors: [1]", ["anchors", "found [1]", "both sides of 0"]),
        ("anchors: [-1, 1]", "anchors: [-1, 0, 1]", ["anchors", "found [-1, 0, 1]", "without it"]),
        ("stop: 17, bins: 51}", "stop: 18, bins: 51}", ["counts.csv", "column 'energy_low', row 2", "the axis has"]),
        ("approximation: best,", "approximation: exact,", ["signals.electron.approximation", "'exact'", "'epa'"]),
        (
            "response: electronic, channels: [lz_sr1]",
            "response: nuclear, channels: [lz_sr1]",
            ["'nuclear'", "electronic"],
        ),
        ("processes: [beta],", "processes: [gamma],", ["nuisances.beta_norm.processes", "'gamma'", "beta"]),
        (
            "centre: 0 keV, sigma: 0.1 keV",
            "centre: 1 keV, sigma: 0.1 keV",
            ["efficiency_edge.centre", "'1 keV'", "is 0 keV"],
        ),
        ("centre: 0 keV, sigma: 0.1 keV", "centre: 0 m, sigma: 0.1 m", ["efficiency_edge", "units 'm', 'm', 'keV'"]),
        ("varies: source.scale.pp,", "varies: source.scale.ppp,", ["source.scale.ppp", "there is no 'ppp'"]),
        (
            "schema: nuemstat/model/1",
            "schema: nuemstat/model/2",
            ["schema: found 'nuemstat/model/2'", "nuemstat/model/1"],
        ),
        ("kind: data\n", "kind: data\nkind: data\n", ["line 6", "key 'kind' stands twice"]),
        ("title: LZ", "title: [LZ", ["not YAML"]),
        ("  efficiency_edge:\n", "  2edge:\n", ["nuisances.2edge", "pattern"]),
    ],
)
def test_mistake_in_the_model_file(edited: Callable[..., Path], old: str, new: str, words: list[str]) -> None:
    path = edited("lz_sr1", old, new)
    with pytest.raises(ModelError) as caught:
        compile_model(load_model(str(path)))
    message = str(caught.value)
    assert "\n" not in message
    assert "lz_sr1" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("2,2.33333,14", "2,2.33333,nan", ["column 'observed', row 7", "'nan'", "finite"]),
        ("2,2.33333,14", "2,2.33333,14.5", ["column 'observed'", "14.5", "whole counts"]),
        ("2,2.33333,14", "2,2.33333,-14", ["column 'observed'", "-14", "0 or more"]),
        ("2,2.33333,14", "2,2.33333", ["row 7 has 2 cells", "3"]),
        ("2,2.33333,14", "2,two,14", ["energy_high", "'two'", "numbers"]),
        ("energy_low [keV]", "energy_low [kV]", ["energy_low", "'kV'", "known names"]),
    ],
)
def test_mistake_in_a_table(edited: Callable[..., Path], old: str, new: str, words: list[str]) -> None:
    path = edited("lz_sr1", old, new, "counts.csv")
    with pytest.raises(ModelError) as caught:
        compile_model(load_model(str(path)))
    for word in ["counts.csv", *words]:
        assert word in str(caught.value)


def test_too_few_anchors_are_refused(edited: Callable[..., Path]) -> None:
    """An interpolation that misses the exact response by more than 5 % of a bin's error is not let through."""
    path = edited(
        "lz_sr1",
        "sigma: 0.1 keV,",
        "sigma: 0.6 keV, anchors: [-1, 1],",
    )
    with pytest.raises(ModelError, match=r"efficiency_edge: within .* is allowed: give it more anchors"):
        compile_model(load_model(str(path)))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("lz_sr2", ["no model 'lz_sr2'", "did you mean 'lz_sr1'?"]),
        ("lz_sr1:epaa", ["no variant 'epaa'", "best, fea, epa", "did you mean 'epa'?"]),
        ("lz_sr1:epa,fea", ["'epa' and 'fea' are both of group 'electron'"]),
        ("nowhere/model.yaml", ["nowhere/model.yaml", "cannot be read"]),
    ],
)
def test_unknown_model_or_variant(spec: str, words: list[str]) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(spec)
    for word in words:
        assert word in str(caught.value)


def test_unknown_and_unheld_coupling() -> None:
    model = load_model("dresden2")
    with pytest.raises(ModelError, match=r"no coupling 'millicharge_e'.*did you mean 'millicharge_ee'"):
        compile_model(model, ["millicharge_e"])
    with pytest.raises(ModelError, match="not sensitive to magnetic_moment_tau; it is to magnetic_moment_e"):
        compile_model(model, ["magnetic_moment_tau"])
