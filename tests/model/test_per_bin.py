"""`free: per_bin` in a model, in its workspace, in every export, and what is refused."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nuemstat.errors import ModelError, WorkspaceError
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model
from nuemstat.model.per_bin import LEAST, scale_of_bins
from nuemstat.report.spectra import spectra
from nuemstat.report.tables import pulls
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import fit
from nuemstat.workspace.combine_datacard import to_datacard
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.from_hs3 import from_hs3
from nuemstat.workspace.from_pyhf import from_pyhf
from nuemstat.workspace.from_root import read_root
from nuemstat.workspace.pyhf_embedded import embedded
from nuemstat.workspace.to_hs3 import to_hs3
from nuemstat.workspace.to_pyhf import to_pyhf
from nuemstat.workspace.to_root import write_root

NAME = "xenon1t_s2only__unmodelled__xenon1t_s2only"
FREE = "  unmodelled: {free: per_bin}"


@cache
def made() -> Workspace:
    return compile_model(load_model("xenon1t_s2only:statistical"), ["magnetic_moment_e"])


def test_one_parameter_for_each_bin_that_says_where_it_is() -> None:
    definition = made().parameter(NAME)
    assert definition.kind == "free"
    assert definition.bounds == (0.0, None)
    likelihood = Likelihood(made())
    bins = [f"{NAME}__bin{i}" for i in range(4)]
    assert [name for name in likelihood.parameters if "unmodelled" in name] == bins
    for name in bins:
        assert likelihood.bounds[likelihood.index(name)].tolist() == [0.0, np.inf]


def test_at_one_it_fills_up_what_was_observed() -> None:
    (channel,) = made().channels
    counts = Likelihood(made(), data="asimov").observed()[channel.name]
    rest = counts - np.array(next(s.contents for s in channel.samples if s.process == "unmodelled"))
    assert counts == pytest.approx(np.maximum(channel.observed, rest + LEAST), rel=1e-8)
    assert scale_of_bins(np.array([3.0, 1.0]), np.array([1.0, 4.0])).tolist() == [2.0, LEAST]


def test_nothing_else_changes() -> None:
    known = compile_model(load_model("xenon1t_s2only:statistical,known"), ["magnetic_moment_e"])
    ours = [s for s in made().channels[0].samples if s.process != "unmodelled"]
    assert ours == list(known.channels[0].samples)
    assert {p.name for p in made().parameters} - {p.name for p in known.parameters} == {NAME}


def test_pyhf_has_a_shapefactor_with_bounds_of_zero() -> None:
    document = to_pyhf(made()).document
    (settings,) = (p for p in document["measurements"][0]["config"]["parameters"] if p["name"] == NAME)
    assert settings == {"name": NAME, "inits": [1.0] * 4, "bounds": [[0.0, 1000.0]] * 4, "fixed": False}
    modifiers = [m for s in document["channels"][0]["samples"] for m in s["modifiers"] if m["type"] == "shapefactor"]
    assert modifiers == [{"name": NAME, "type": "shapefactor", "data": None}]
    again = from_pyhf(json.loads(json.dumps(document)))
    assert again.parameter(NAME).bounds == (0.0, 1000.0)
    assert again.parameter(NAME).default == 1.0


def test_pyhf_with_the_coupling_inside_has_the_same_bounds() -> None:
    document = embedded(made(), "magnetic_moment_e").document
    (settings,) = (p for p in document["measurements"][0]["config"]["parameters"] if p["name"] == NAME)
    assert settings["bounds"] == [[0.0, 1000.0]] * 4


def test_hs3_has_a_parameter_and_a_domain_for_each_bin() -> None:
    document = to_hs3(made()).document
    bins = [f"{NAME}__bin{i}" for i in range(4)]
    modifiers = [m for s in document["distributions"][0]["samples"] for m in s["modifiers"]]
    (factor,) = (m for m in modifiers if m["type"] == "shapefactor")
    assert factor["parameters"] == bins
    domain = {axis["name"]: axis for axis in document["domains"][0]["axes"]}
    points = {point["name"]: point for point in document["parameter_points"][0]["parameters"]}
    assert NAME not in domain
    for name in bins:
        assert domain[name]["min"] == 0.0
        assert points[name] == {"name": name, "value": 1.0, "const": False}
    assert from_hs3(json.loads(json.dumps(document))).digest == made().digest


def test_root_gives_back_what_was_written(tmp_path: Path) -> None:
    write_root(made(), tmp_path / "made.root")
    assert read_root(tmp_path / "made.root").digest == made().digest


def test_a_datacard_has_no_form_for_it() -> None:
    with pytest.raises(WorkspaceError, match=f"process unmodelled: shapefactor '{NAME}' has no form in a datacard"):
        to_datacard(made(), ["magnetic_moment_e"])


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.filterwarnings("ignore::UserWarning")  # the wheel calls itself alpha
def test_roofit_keeps_the_bounds(tmp_path: Path) -> None:
    ROOT = pytest.importorskip("ROOT", reason="the optional root wheel (RooFit) is not installed")
    path = tmp_path / "made.hs3.json"
    path.write_text(json.dumps(to_hs3(made()).document))
    held = ROOT.RooWorkspace("held")
    assert ROOT.RooJSONFactoryWSTool(held).importJSON(str(path))
    assert [held.var(f"{NAME}__bin{i}").getMin() for i in range(4)] == [0.0] * 4


def test_the_report_shows_it_bin_by_bin() -> None:
    (spectrum,) = spectra((), made())
    assert sum(spectrum.processes.values()) == pytest.approx(spectrum.total)
    deficit = spectrum.observed < spectrum.total - 0.1
    assert deficit.tolist() == [True, False, False, False]
    assert spectrum.processes["unmodelled"][deficit] == pytest.approx(0, abs=1e-9)
    assert f"{NAME}__bin3" in pulls(fit(made()), made())


WRONG = {
    "counts beside it": (
        [(FREE, '  unmodelled: {free: per_bin, area: {value: 1, source: "x"}}')],
        "backgrounds.unmodelled: free: per_bin stands alone, in all bins of all channels; found area beside it",
    ),
    "another word": (
        [(FREE, "  unmodelled: {free: per_channel}")],
        "unmodelled.free: found 'per_channel'; .*'per_bin'",
    ),
    "nothing": ([(FREE, "  unmodelled: {}")], "needs counts or area, one of the two, or free: per_bin"),
    "no channels": (
        [(FREE, '  unmodelled: {area: {value: 1, source: "x"}}')],
        "backgrounds.unmodelled: channels: this key is required and is not there",
    ),
    "two of them": ([(FREE, f"{FREE}\n  more: {{free: per_bin}}")], "free: per_bin in unmodelled, more; one of them"),
    "a norm on it": (
        [("processes: [electron_recoils]", "processes: [unmodelled]")],
        "processes: found 'unmodelled'; this model has cevns, electron, electron_recoils",
    ),
    "gaussian data": (
        [("    statistic: poisson", "    statistic: gaussian\n    errors: root_of_observed")],
        "free: per_bin needs counts; channel xenon1t_s2only is gaussian",
    ),
    "its own prediction as data": (
        [("observed: {table: counts.csv, column: observed}", "observed: asimov")],
        "free: per_bin has no prediction, and channel xenon1t_s2only observes 'asimov'",
    ),
}


@pytest.mark.parametrize(("pairs", "message"), WRONG.values(), ids=WRONG)
def test_what_is_refused(edited: Callable[..., Path], pairs: list[tuple[str, str]], message: str) -> None:
    path = edited("xenon1t_s2only", *pairs)
    with pytest.raises(ModelError, match=message) as found:
        compile_model(load_model(f"{path}:statistical"), ["magnetic_moment_e"])
    assert "\n" not in str(found.value)
