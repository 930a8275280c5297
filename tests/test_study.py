"""Opening what users name, nominal yields, and the main job on toy experiments."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
from conftest import toy_workspace

from nuemstat import study
from nuemstat.errors import ModelError, NuemstatError, WorkspaceError
from nuemstat.tables import read_table
from nuemstat.workspace.document import Folded, Workspace

FEW = ("millicharge", "magnetic_moment_e", "millicharge_emu")


def test_resolve_reads_a_workspace_file(toys):
    assert study.resolve(toys[0]) == toy_workspace("alpha", "e")


@pytest.mark.parametrize(
    ("spec", "pattern"),
    [
        ("absent.json", "absent.json: no such file"),
        ("lz_srl", "did you mean 'lz_sr1'"),
        ("a/model.yaml", "a/model.yaml"),
    ],
)
def test_resolve_says_what_is_not_there(spec, pattern):
    with pytest.raises(NuemstatError, match=pattern):
        study.resolve(spec)


def test_couplings_come_universal_then_diagonal_then_transition(toys):
    joint, _ = study.joined(toys)
    assert study.sensitive_couplings(joint) == (
        "magnetic_moment",
        "millicharge",
        "magnetic_moment_e",
        "magnetic_moment_mu",
        "millicharge_ee",
        "millicharge_mumu",
        "millicharge_emu",
    )


def test_a_folded_flavour_takes_its_universal_coupling_away():
    toy = toy_workspace("alpha", "e")
    folded = toy.model_copy(update={"folded": (Folded(name="millicharge_mumu", value=0.0),)})
    assert "millicharge" not in study.sensitive_couplings(folded)
    assert "millicharge_ee" in study.sensitive_couplings(folded)


def test_nominal_yields_follow_the_polynomial():
    toy = toy_workspace("alpha", "e")
    scale = toy.parameter("millicharge_ee").scale
    one, two = (
        sum(sample.contents) for sample in toy.channels[0].samples if sample.monomial.get("millicharge_ee") in (1, 2)
    )
    at_zero = study.nominal_yields(toy)["alpha_counts"]
    assert at_zero == {"background": 165.0, "electron": 21.0}
    shifted = study.nominal_yields(toy, {"millicharge_ee": -3 * scale})["alpha_counts"]["electron"]
    assert shifted == pytest.approx(21.0 - 3 * one + 9 * two)


def test_nominal_yields_follow_a_universal_coupling():
    toy = toy_workspace("alpha", "e")
    flavour = study.nominal_yields(toy, {"millicharge_ee": 2e-12})
    universal = study.nominal_yields(toy, {"millicharge": 2e-12})
    assert universal["alpha_counts"] == pytest.approx(flavour["alpha_counts"])


def test_nominal_yields_refuse_a_nuisance():
    with pytest.raises(WorkspaceError, match="beam is constrained"):
        study.nominal_yields(toy_workspace("alpha", "e"), {"beam": 1.0})


def test_formats_that_are_not_written_are_refused_by_name(tmp_path):
    with pytest.raises(WorkspaceError, match=r"'phyf'; allowed are pyhf, hs3, root, hepdata; did you mean 'pyhf'"):
        study.export(toy_workspace("alpha", "e"), "phyf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_world_models_are_shipped():
    from nuemstat.model.loader import shipped_models

    assert set(study.world_models()) <= set(shipped_models())


@pytest.mark.parametrize("text", ["models: []", "model: [a]", "models: {a: b}", "- a"])
def test_a_damaged_list_of_models_is_one_clear_line(text, tmp_path, monkeypatch):
    (tmp_path / "world.yaml").write_text(text)
    monkeypatch.setattr("nuemstat.resources.models_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match=r"world.yaml: models: found .*; a list of model names is allowed"):
        study.world_models()


@pytest.fixture
def serial(toys, tmp_path):
    steps = []
    found = study.run(toys, FEW, tmp_path / "serial", progress=lambda *step: steps.append(step))
    return found, tmp_path / "serial", steps


def test_main_job(serial):
    found, folder, steps = serial
    assert [(item.coupling, study.label(item)) for item in found] == [
        ("millicharge", "alpha"),
        ("millicharge", "beta"),
        ("millicharge", "joint"),
        ("magnetic_moment_e", "alpha"),
        ("magnetic_moment_e", "joint"),
        ("millicharge_emu", "alpha"),
        ("millicharge_emu", "beta"),
        ("millicharge_emu", "joint"),
    ]
    assert found[2].workspaces == ("alpha", "beta")
    assert all(item.valid for item in found)
    assert json.loads((folder / "limits.json").read_text()) == [item.to_dict() for item in found]
    assert sorted(p.name for p in folder.iterdir()) == ["limits.json", "profiles", "workspaces"]
    assert sorted(p.stem for p in (folder / "workspaces").iterdir()) == ["alpha", "beta", "joint"]
    assert Workspace.read(folder / "workspaces" / "joint.json").datasets == ("alpha_data", "beta_data")
    assert sorted(p.name for p in (folder / "profiles").iterdir()) == sorted(
        f"{c}.{e}" for c in FEW for e in ("csv", "png")
    )
    done, totals, _ = zip(*steps, strict=True)
    assert list(done) == list(range(1, len(steps) + 1))
    assert totals[-1] == len(steps) == 2 + len(found) + len(FEW)


def test_the_joint_limit_is_that_of_the_combined_workspace(serial, toys):
    from nuemstat.stats.intervals import limit

    found = next(item for item in serial[0] if item.coupling == "millicharge_emu" and len(item.workspaces) == 2)
    assert limit(study.joined(toys)[0], "millicharge_emu").intervals == found.intervals


def test_the_table_beside_the_picture_is_the_profile(serial):
    found, folder, _ = serial
    table = read_table(folder / "profiles" / "millicharge.csv")
    assert set(table.words("experiment")) == {"alpha", "beta", "joint"}
    threshold = 2.7055
    of_joint = [who == "joint" for who in table.words("experiment")]
    values, delta = table.numbers("millicharge")[of_joint], table.numbers("delta_chi2")[of_joint]
    assert min(delta) == pytest.approx(0, abs=1e-6)
    (interval,) = next(item.intervals for item in found if item.coupling == "millicharge" and len(item.workspaces) == 2)
    inside = (values > interval[0]) & (values < interval[1])
    assert all(delta[inside] < threshold + 1e-3)
    assert all(delta[~inside] > threshold - 1e-3)
    assert inside.any()
    assert not inside.all()


def test_parallel_gives_what_serial_gives(serial, toys, tmp_path):
    folder = tmp_path / "parallel"
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        study.run(toys, FEW, folder, executor=executor)
    for path in sorted(serial[1].rglob("*.*")):
        assert path.read_bytes() == (folder / path.relative_to(serial[1])).read_bytes(), path.name


def test_a_coupling_nobody_holds_leaves_nothing(toys, tmp_path):
    with pytest.raises(WorkspaceError, match=r"no model holds coupling 'milicharge'.*did you mean 'millicharge'"):
        study.run(toys, ["milicharge"], tmp_path / "out" / "put")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alpha.json", "beta.json", "out"]
    assert list((tmp_path / "out").iterdir()) == []


def test_no_output_no_files(toys, tmp_path):
    assert len(study.run(toys[:1], ["millicharge_ee"])) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alpha.json", "beta.json"]


def test_former_results_are_replaced_and_other_things_are_not(toys, tmp_path):
    folder = tmp_path / "out"
    study.run(toys[:1], ["millicharge_ee", "magnetic_moment_e"], folder)
    (folder / "notes.txt").write_text("mine")
    study.run(toys[1:], ["millicharge_mumu"], folder)
    assert sorted(p.name for p in folder.iterdir()) == ["limits.json", "notes.txt", "profiles", "workspaces"]
    assert sorted(p.name for p in (folder / "profiles").iterdir()) == ["millicharge_mumu.csv", "millicharge_mumu.png"]
    other = tmp_path / "other"
    (other / "workspaces").mkdir(parents=True)
    for target in (other, tmp_path / "alpha.json"):
        with pytest.raises(NuemstatError, match=r"found a f.* is allowed"):
            study.run(toys[:1], ["millicharge_ee"], target)
    assert [p.name for p in other.iterdir()] == ["workspaces"]


def test_a_failure_half_way_leaves_the_former_results(toys, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    study.run(toys[:1], ["millicharge_ee"], folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "_draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.run(toys, None, folder)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alpha.json", "beta.json", "out"]


@pytest.mark.slow
def test_the_shipped_experiments_stand_in_their_known_order():
    """LZ, Dresden-II and COHERENT CsI limit the magnetic moment in this order, an order of magnitude or so apart."""
    found = {study.label(item): item for item in study.run(couplings=["magnetic_moment"])}
    assert all(item.valid for item in found.values())
    upper = {who: item.upper_limit for who, item in found.items()}
    assert 3 * upper["lz_sr1"] < upper["dresden2"] < upper["coherent_csi"] / 3
    assert upper["joint"] == pytest.approx(upper["lz_sr1"], rel=0.02)
    assert 1e-12 < upper["joint"] < 1e-10
