"""Numbers of a model set by their path: the grammar, what is refused, and what comes with a number."""

from collections.abc import Mapping
from typing import Any

import pytest

import nuemstat as nu
from nuemstat.errors import ModelError
from nuemstat.model.changes import leaves
from nuemstat.model.compiler import compile_model
from nuemstat.model.effect import ChangesNothing
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.resources import data_file

TEMPLATE = str(data_file("template/model.yaml"))

REFUSED: dict[str, tuple[Mapping[str, Any], str]] = {
    "misspelt": ({"target.mas": "2 kg"}, "no such number in this model with its variants; did you mean 'target.mass'?"),
    "too short": (
        {"quenching.k": 0.2},
        "no such section; numbers of conventions, source, timing, target, responses, channels, signals, backgrounds, "
        "nuisances, free can be set; did you mean 'responses.nuclear.quenching.k'?",
    ),
    "elsewhere": (
        {"responses.k": 0.2},
        "no such number in this model with its variants; did you mean 'responses.nuclear.quenching.k'?",
    ),
    "a part": (
        {"target": 3},
        "found a part of the model; numbers of it are allowed: target.formula.Ge, target.mass, target.live_time",
    ),
    "observed": ({"channels.my_experiment.observed.column": "x"}, "observed counts are data and cannot be set"),
    "another size": (
        {"target.exposure": "1 kg yr"},
        "not in this model, which states target.mass and target.live_time",
    ),
    "a source": ({"target.mass.source": "me"}, "no such number in this model with its variants"),
    "no unit": ({"target.mass": 20}, "20 is a pure number; expected mass"),
    "another unit": ({"responses.nuclear.recoil.minimum": "20 kg"}, "'20 kg' is mass; expected energy"),
    "no number": ({"responses.nuclear.quenching.k": "large"}, "'large' is not a quantity; write a number and a unit"),
    "a truth value": ({"responses.nuclear.quenching.k": True}, "found True; a number or a word is allowed"),
    "below zero": ({"target.mass": "-1 kg"}, "found '-1 kg'; allowed is a mass above 0"),
    "a wrong word": ({"conventions.form_factor": "helmm"}, "did you mean 'helm'?"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_one_line(case: str) -> None:
    changes, said = REFUSED[case]
    with pytest.raises(ModelError) as error:
        load_model(TEMPLATE, changes=changes)
    assert "\n" not in str(error.value)
    assert said in str(error.value)
    assert next(iter(changes)).split(".")[0] in str(error.value)


@pytest.mark.parametrize(
    "name", [n if n in ("munu", "coherent_lar") else pytest.param(n, marks=pytest.mark.slow) for n in shipped_models()]
)
def test_the_same_number_is_no_change(name: str) -> None:
    model = load_model(name)
    for path, leaf in leaves(model.document):
        assert model.replace({path: getattr(leaf, "value", leaf)}) is model, path


def test_the_same_number_in_another_unit_is_no_change() -> None:
    assert load_model("lz_sr1").replace({"target.mass": "5500 kg"}).changes == ()


def test_a_change_is_a_new_model_that_says_so() -> None:
    model = load_model(TEMPLATE)
    changed = model.replace({"responses.nuclear.quenching.k": "0.2", "target.mass.value": "2 kg"})
    assert model.document.target.mass is not None
    assert model.document.target.mass.value == "1 kg"
    assert [str(change) for change in changed.changes] == [
        "responses.nuclear.quenching.k = 0.2 (was 0.162)",
        "target.mass = 2 kg (was 1 kg)",
    ]
    assert "target.mass = 2 kg (was 1 kg)" in str(changed)
    assert [change.path for change in changed.another_experiment] == ["target.mass"]
    again = changed.replace({"target.mass": "3 kg"})
    assert {change.path: (change.old, change.new) for change in again.changes}["target.mass"] == ("1 kg", "3 kg")
    assert again.document.target.mass is not None
    assert again.document.target.mass.status == "chosen"


def test_the_centre_of_a_nuisance_is_the_number_it_varies() -> None:
    changed = load_model("conus_plus", changes={"responses.nuclear.quenching.k": 0.18})
    assert changed.document.nuisances["ge_lindhard_k"].centre == 0.18
    assert (
        load_model("lz_sr1", changes={"responses.electronic.efficiency.shift": "100 eV"})
        .document.nuisances["efficiency_edge"]
        .centre
        == "0.1 keV"
    )
    offsets = {f"responses.{name}.scale_offset": "2 eV" for name in ("nuclear", "electronic")}
    assert load_model("conus_plus", changes=offsets).document.nuisances["energy_scale"].centre == "2 eV"
    with pytest.raises(ModelError, match=r"is one number with responses\.electronic\.scale_offset in nuisance"):
        load_model("conus_plus", changes={"responses.nuclear.scale_offset": "2 eV"})


def test_changes_come_after_the_variants() -> None:
    changed = load_model("dresden2:ybe", changes={"responses.nuclear.quenching.scale": 1.02})
    assert changed.document.nuisances["ge_ybe_scale"].centre == 1.02
    with pytest.raises(ModelError, match=r"responses\.nuclear\.quenching\.k: no such number in this model with its"):
        load_model("dresden2:ybe", changes={"responses.nuclear.quenching.k": 0.18})


def test_a_number_that_changes_no_count_is_refused() -> None:
    model = load_model(
        "miner_2020", changes={"source.fission_fractions.U235": 0.56, "source.total_flux": "3e13 /cm^2/s"}
    )
    assert compile_model(model, ["magnetic_moment_e"]).name == "miner_2020"
    idle = load_model("miner_2020", changes={"conventions.neutron_radius_shift": "0.1 fm"})  # of a point
    with pytest.raises(ChangesNothing, match=r"neutron_radius_shift = 0\.1 fm changes no count of this model with its"):
        compile_model(idle, ["magnetic_moment_e"])


def test_results_say_what_was_set() -> None:
    changed = load_model("munu:statistical", changes={"target.mass": "12 kg"})
    said = compile_model(changed, ["magnetic_moment_e"]).warnings
    assert "target.mass = 12 kg was set by hand; the model has 11.4 kg" in said
    assert any("the observed counts were not taken with this target.mass" in text for text in said)
    assert nu.load_model("munu").unchanged is None
