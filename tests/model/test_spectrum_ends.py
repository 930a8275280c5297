"""What a workspace says of the end of its source's spectrum, and what is made of it."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nuemstat.cli import main
from nuemstat.errors import ModelError
from nuemstat.explain import explain
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.model.prediction import predicted_yields
from nuemstat.model.spectrum_ends import spectrum_ends
from nuemstat.model.templates import Bench, flux_components
from nuemstat.physics.flux import Flux
from nuemstat.stats.minimise import fit
from nuemstat.workspace.spectrum_end import SpectrumEnd

REACTORS = tuple(name for name in shipped_models() if load_model(name).raw["source"]["type"] == "reactor")


def version(spec: str) -> Version:
    model = load_model(spec)
    return Version(model.raw, model.path, Bench(model.files))


@cache
def ends(spec: str) -> dict[str, SpectrumEnd]:
    """By process."""
    return {end.process: end for end in spectrum_ends(version(spec)) or ()}


def specs() -> list[str]:
    """Every reactor model with each spectrum and flux that it offers."""
    found = []
    for name in REACTORS:
        variants = load_model(name).raw.get("variants", {})
        found += [name]
        for group in ("reactor", "flux"):
            found += [f"{name}:{option}" for option in list(variants.get(group, {}))[1:]]
    return found


@pytest.mark.parametrize("spec", specs())
def test_less_than_a_thousandth_of_each_shipped_signal_is_lost(spec: str) -> None:
    found = ends(spec)
    assert found
    for end in found.values():
        assert end.end == 12.5
        assert 0 < end.lost < 1e-3
        assert end.last_point in (8.0, 8.5, 9.5, 12.5)
        assert (end.continued == 0) == (end.last_point == 12.5)


def test_a_table_that_ends_at_eight_mev_would_lose_a_tenth_of_conus_plus() -> None:
    """The fraction above the last point of Mueller's table: counts with and without what is above 8 MeV."""
    whole = version("conus_plus:mueller_ve")
    key = ("components", whole.document.source)
    (component,) = flux_components(whole.document, whole.bench)
    cut = Version(whole.raw, whole.path, Bench(whole.bench.files))
    kept = component.flux.energies <= 8.0
    below = Flux(component.flux.energies[kept], component.flux.density[kept])
    cut.bench.once(key, lambda: (type(component)("reactor", "e", True, below, per_time=True),))
    counts = [v.templates["conus_plus", "cevns"].evaluate({"charge_radius_ee": -0.83}).sum() for v in (whole, cut)]
    lost = 1 - counts[1] / counts[0]
    assert lost == pytest.approx(ends("conus_plus:mueller_ve")["cevns"].continued, abs=1e-3)
    assert 0.08 < lost < 0.13


@pytest.mark.parametrize("spec", ["coherent_lar", "xenonnt_b8"])
def test_spectra_with_a_physical_end_say_nothing(spec: str) -> None:
    assert spectrum_ends(version(spec)) is None


MODEL = """
schema: nuemstat/model/1
name: window
title: a window at the end of the spectrum
experiment: Window
kind: data
year: 2030
datasets: [window]
references: ["nowhere"]
source:
  type: reactor
  normalisation: per_fission
  fission_fractions:
    U235: {value: 0.6, source: s}
    U238: {value: 0.1, source: s}
    Pu239: {value: 0.25, source: s}
    Pu241: {value: 0.05, source: s}
  spectrum: mueller_ve
  captures_per_fission: {value: 0, source: s}
target: {formula: {C: 1, F: 4}, per: electron}
responses:
  electronic:
    recoil: {minimum: LOW MeV, maximum: 14 MeV}
channels:
  window:
    axes: [{name: energy, unit: MeV, edges: [LOW, 13]}]
    statistic: gaussian
    unit: 1e-50 cm^2
    observed: {values: [4.0], source: s}
    errors: {values: [1.0], source: s}
    source: s
signals:
  electron: {interaction: electron, approximation: free, response: electronic, channels: [window]}
"""


def written(folder: Path, low: str) -> str:
    path = folder / "model.yaml"
    path.write_text(MODEL.replace("LOW", low))
    return str(path)


def test_more_than_a_hundredth_lost_is_a_warning(tmp_path: Path) -> None:
    workspace = compile_model(load_model(written(tmp_path, "11")))
    ((end,),) = [entry.spectrum or () for entry in workspace.provenance]
    assert 0.01 < end.lost < 0.5
    assert end.continued == pytest.approx(1.0)
    (note,) = [note for note in workspace.provenance[0].notes if note.startswith("warning: ")]
    assert f"{end.lost:.2g} of electron would come from neutrinos above 12.5 MeV" in note
    assert note.removeprefix("warning: ") in fit(workspace).warnings
    safe = compile_model(load_model(written(tmp_path, "5")))
    assert not [note for note in safe.provenance[0].notes if note.startswith("warning: ")]


def test_a_spectrum_that_ends_inside_the_range_that_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "12.2")
    with pytest.raises(ModelError, match=r"above 12.5 MeV, where the spectrum of the source ends; at most 0.5"):
        compile_model(load_model(path))
    assert main(["compile", path]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


def test_the_fractions_stand_in_the_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "--explain", "--json", "rovno:mueller_ve"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["spectrum"]
    assert row == ends("rovno:mueller_ve")["electron"].model_dump()
    text = str(explain(compile_model(load_model("rovno:mueller_ve"))))
    assert "end of the spectrum, fractions of the signal" in text
    assert f"8 MeV     12.5 MeV  {row['continued']:.3g}" in text


def test_the_pull_moves_a_shipped_model_by_a_few_percent() -> None:
    """CONUS+ with its highest energies: 1 sigma of the end is 2 to 6 %, and acts on BESTIOLE as on Mueller."""
    couplings = {"charge_radius_ee": -0.83}
    for spec in ("conus_plus:bestiole", "conus_plus:mueller_ve"):
        base = version(spec)
        moved = base.moved("source.pulls.end_point", 1.0, "")
        counts = [v.templates["conus_plus", "cevns"].evaluate(couplings).sum() for v in (base, moved)]
        assert 1.02 < counts[1] / counts[0] < 1.06


# Predictions without stated counts.


def test_predictions_leave_stated_counts_out() -> None:
    predicted = predicted_yields(load_model("texono_2020"))["texono_2020"]["cevns"]
    stated = version("texono_2020").templates["texono_2020", "cevns"].evaluate({"charge_radius_ee": -0.83}).sum()
    assert stated == pytest.approx(27962, rel=1e-9)
    assert predicted == pytest.approx(27962, rel=0.03)


def test_a_prediction_without_stated_counts_is_the_expectation() -> None:
    counts = version("conus_plus").templates["conus_plus", "cevns"].evaluate({"charge_radius_ee": -0.83}).sum()
    assert predicted_yields(load_model("conus_plus"))["conus_plus"]["cevns"] == pytest.approx(float(counts), rel=1e-12)


def test_predictions_scale_with_the_flux() -> None:
    """MINER beside its own reactor and in the flux that the study gives it: 1 MW at 2 m is 1.4 % of 2.5e13."""
    study, own = (predicted_yields(load_model(s))["miner_2020"]["cevns"] for s in ("miner_2020", "miner_2020:triga"))
    fissions = 1e6 / (np.array([0.55, 0.07, 0.32, 0.06]) @ np.array([201.92, 205.52, 209.99, 213.6]) * 1.602176634e-13)
    per_fission = 5.63  # antineutrinos of Mueller and Vogel-Engel for a similar fuel
    assert own / study == pytest.approx(fissions * per_fission / (4 * np.pi * 200.0**2) / 2.5e13, rel=0.01)
