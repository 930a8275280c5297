"""Germanium: one description of its quenching for all members of a fit, and the lowest electron recoil."""

from functools import cache
from itertools import product

import numpy as np
import pytest

from nuemstat import units
from nuemstat.detector.quenching import TableQuenching
from nuemstat.errors import WorkspaceError
from nuemstat.model.builders import build_quenching
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import Model, load_model
from nuemstat.model.variants import describing
from nuemstat.stats.intervals import limit
from nuemstat.stats.minimise import fit
from nuemstat.workspace.combine import combine, sharing
from nuemstat.workspace.document import Workspace

GERMANIUM = ("dresden2", "conus_plus")
QUENCHING = ("lindhard", "fef", "ybe")
SCALES = {"fef": "ge_fef_scale", "ybe": "ge_ybe_scale"}
RECOILS = {"ecut_pair": "2.96 eV", "ecut_20ev": "20 eV", "ecut_60ev": "60 eV", "ecut_150ev": "150 eV"}


@cache
def compiled(spec: str) -> Workspace:
    return compile_model(load_model(spec))


def quenching(model: Model) -> object:
    return build_quenching(model.document.responses["nuclear"].quenching, model.files)


def expected(workspace: Workspace, process: str, **powers: int) -> float:
    """Counts of one monomial over the channels of a workspace."""
    samples = [s for channel in workspace.channels for s in channel.samples]
    return sum(sum(s.contents) for s in samples if s.process == process and s.monomial == powers)


@pytest.mark.parametrize("name", GERMANIUM)
@pytest.mark.parametrize("option", QUENCHING)
def test_the_option_says_what_it_is_and_brings_one_nuisance(name: str, option: str) -> None:
    document = load_model(f"{name}:{option}").document
    assert document.describes == {"ge_quenching": option}
    moving = {n for n, row in document.nuisances.items() if any(".quenching." in path for path in row.paths)}
    assert moving == {SCALES.get(option, "ge_lindhard_k")}
    (row,) = (document.nuisances[n] for n in moving)
    assert row.scope == "global"
    assert (row.centre, row.sigma) == ((1, 0.05) if option in SCALES else (0.162, 0.004))
    assert row.anchors == (-2.0, -1.0, 1.0, 2.0)
    paper = load_model(f"{name}:{option},paper").document
    assert paper.describes == document.describes
    assert not moving & set(paper.nuisances)


@pytest.mark.slow
@pytest.mark.parametrize("name", GERMANIUM)
def test_lindhard_is_the_default(name: str) -> None:
    model = load_model(name)
    assert model.groups["quenching"] == QUENCHING
    assert model.variants["quenching"] == "lindhard"
    assert compiled(name).choices == {"ge_quenching": "lindhard"}
    k = compiled(name).parameter("ge_lindhard_k")
    assert "Bonhomme et al., EPJC 82 (2022) 815, arXiv:2202.03754" in k.source


@pytest.mark.slow
@pytest.mark.parametrize(("option", "name"), [(None, "ge_lindhard_k"), *SCALES.items()])
def test_both_experiments_share_the_error_of_their_quenching(option: str | None, name: str) -> None:
    members = [compiled(f"{model}:{option}" if option else model) for model in GERMANIUM]
    assert {row.name: row.workspaces for row in sharing(members)}[name] == GERMANIUM
    joint = combine(members)
    assert joint.choices == {"ge_quenching": option or "lindhard"}
    assert sum(p.name == name for p in joint.parameters) == 1
    assert fit(joint).nuisances[name].pull is not None


@pytest.mark.slow
def test_two_descriptions_in_one_fit_are_refused_by_name() -> None:
    members = [compiled("dresden2:fef"), compiled("conus_plus")]
    with pytest.raises(WorkspaceError, match="ge_quenching: found fef in dresden2, lindhard in conus_plus"):
        combine(members)
    joint = combine(members, mixed=("ge_quenching",))
    assert {"ge_fef_scale", "ge_lindhard_k"} <= {p.name for p in joint.parameters}


def test_a_template_and_the_experiments_have_one_definition() -> None:
    from nuemstat.resources import data_file

    template = load_model(str(data_file("template/model.yaml"))).document
    ours = load_model("dresden2").document
    for row in (template.nuisances["ge_lindhard_k"], load_model("conus_plus").document.nuisances["ge_lindhard_k"]):
        assert row == ours.nuisances["ge_lindhard_k"]
    assert template.describes == ours.describes


# The tables.


def test_both_read_one_table() -> None:
    ours, theirs = (quenching(load_model(f"{name}:fef")) for name in GERMANIUM)
    assert isinstance(ours, TableQuenching)
    assert ours == theirs
    assert load_model("conus_plus:fef").files.digest("dresden2/quenching.csv") != ""
    inputs = [compiled(f"{name}:fef").provenance[0].inputs for name in GERMANIUM]
    assert inputs[0]["quenching.csv"] == inputs[1]["dresden2/quenching.csv"]


def test_lindhard_cannot_describe_the_iron_filter_points() -> None:
    """Below 1 keV the factor of the table rises to lower energies where that of Lindhard falls; no k follows it."""
    recoil = np.array([0.3, 0.5, 0.8, 1.5]) * units.keV
    table, theory = (quenching(load_model(f"dresden2:{option}"))(recoil) / recoil for option in ("fef", "lindhard"))  # type: ignore[operator]
    assert np.all(np.diff(table[:3]) < 0)
    assert np.all(np.diff(theory) > 0)
    np.testing.assert_allclose(table[:2] / theory[:2], [2.53, 2.12], rtol=0.01)
    slope = (0.004 / 0.162) * (1 - theory)  # of the factor k g/(1 + k g) for one sigma of k
    assert np.all((table / theory - 1)[:2] / slope[:2] > 50)


def test_the_iron_filter_gives_what_was_the_default_of_dresden2() -> None:
    """Counts of the document from before Lindhard became the default: CEvNS, and moments in both channels."""
    workspace = compiled("dresden2:fef,bestiole,rrpa")
    assert expected(workspace, "cevns") == pytest.approx(100.922428, rel=1e-7)
    assert expected(workspace, "cevns", magnetic_moment_e=2) == pytest.approx(0.062112, rel=1e-5)
    assert expected(workspace, "electron", magnetic_moment_e=2) == pytest.approx(0.116666, rel=1e-5)


@pytest.mark.slow
def test_each_experiment_prefers_another_quenching() -> None:
    """CEvNS over its prediction, near the numbers in docs/germanium.md."""
    with_lindhard, with_table = (fit(compiled(f"dresden2:{option},free")) for option in ("lindhard", "fef"))
    found = with_lindhard.nuisances["dresden2__cevns_norm"]
    assert found.value == pytest.approx(4.95, abs=0.1)
    assert found.error == pytest.approx(2.0, abs=0.1)
    assert with_table.q_min < with_lindhard.q_min < with_table.q_min + 4
    norm = fit(compiled("conus_plus:fef,free")).nuisances["conus_plus__cevns_norm"]
    assert norm.value == pytest.approx(0.13, abs=0.02)


# Cuts.


@pytest.mark.parametrize("option", QUENCHING)
@pytest.mark.parametrize(("cut", "energy"), [("cut_3ev", 2.96), ("cut_1ev", 1.0), ("cut_20ev", 20.0)])
def test_the_ionisation_cut_acts_on_every_quenching(option: str, cut: str, energy: float) -> None:
    found = quenching(load_model(f"dresden2:{option},{cut}"))
    assert found.ionisation_cut == pytest.approx(energy * units.eV)  # type: ignore[attr-defined]
    assert found.scale == 1.0  # type: ignore[attr-defined]
    other = quenching(load_model(f"dresden2:{cut},{option}"))
    assert other == found


@pytest.mark.parametrize("name", GERMANIUM)
@pytest.mark.parametrize(("option", "lowest"), RECOILS.items())
def test_the_lowest_electron_recoil(name: str, option: str, lowest: str) -> None:
    document = load_model(f"{name}:{option}").document
    grids = {response: spec.recoil for response, spec in document.responses.items()}
    assert grids["electronic"] is not None
    assert grids["nuclear"] is not None
    assert grids["electronic"].minimum == lowest
    assert grids["nuclear"].minimum == load_model(name).document.responses["nuclear"].recoil.minimum  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_higher_electron_recoil_takes_counts_of_charges_away() -> None:
    counts = [expected(compiled(f"dresden2:{option},fea"), "electron", millicharge_ee=2) for option in RECOILS]
    assert counts == sorted(counts, reverse=True)
    nuclear = [expected(compiled(f"dresden2:{option},fea"), "cevns") for option in ("ecut_pair", "ecut_150ev")]
    assert nuclear[0] == nuclear[1]


@pytest.mark.slow
def test_free_electron_charges_depend_on_the_lowest_recoil() -> None:
    """The last one is nearly twice the first: 10.2, 11.9, 13.6, 19.2e-12 e in docs/germanium.md."""
    specs = [f"dresden2:fef,fea,paper_flux,paper,{cut}" for cut in RECOILS]
    found = [limit(compiled(spec), "millicharge_ee").upper_limit for spec in specs]
    np.testing.assert_allclose(np.array(found, dtype=float) * 1e12, [10.2, 11.9, 13.6, 19.2], rtol=5e-3)


@pytest.mark.full
@pytest.mark.parametrize("name", GERMANIUM)
def test_all_options_of_both_groups_go_with_all_others(name: str) -> None:
    """Every pair loads; what is left of the quenching is the option's own, whatever stands beside it."""
    groups = load_model(name).groups
    for group, other in product(("quenching", "electron_cut"), groups):
        for option, beside in product(groups[group], groups[other]) if other != group else ():
            model = load_model(f"{name}:{option},{beside}")
            assert (model.variants[group], model.variants[other]) == (option, beside)
            assert model.document.describes == {"ge_quenching": model.variants["quenching"]}
            kind = model.document.responses["nuclear"].quenching.type
            assert (kind == "lindhard") == (model.variants["quenching"] == "lindhard")


def test_options_by_the_value_that_they_take() -> None:
    raw = {"describes": {"ge": "a"}, "variants": {"g": {"one": {}, "two": {"describes": {"ge": "b"}}}, "h": {"x": {}}}}
    assert describing(raw, "ge") == {"a": "one", "b": "two"}
    assert describing(raw, "flux") == {}
    assert describing({"variants": {"g": {"one": {}, "two": {"describes": {"ge": "b"}}}}}, "ge") == {}
    assert describing(load_model("conus_plus").raw, "ge_quenching") == {option: option for option in QUENCHING}
