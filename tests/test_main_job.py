"""The main job on toy experiments: limits, the joint ones taken apart, and what is written."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from nuemstat import main_job, study
from nuemstat.errors import NuemstatError, WorkspaceError
from nuemstat.tables import read_table
from nuemstat.workspace.document import Workspace

FEW = ("millicharge", "magnetic_moment_e", "millicharge_emu")


@pytest.fixture
def serial(toys, tmp_path):
    steps = []
    found = main_job.run(toys, FEW, tmp_path / "serial", progress=lambda *step: steps.append(step))
    return (found.limits, found.joint), tmp_path / "serial", steps


def test_main_job(serial):
    (found, joint), folder, steps = serial
    assert [(item.coupling, main_job.label(item)) for item in found] == [
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
    written = json.loads((folder / "joint.json").read_text())
    assert (written["schema"], written["members"], written["level"]) == ("nuemstat/joint/1", ["alpha", "beta"], 0.9)
    for entry, item in zip(written["couplings"], joint, strict=True):
        assert entry["coupling"] == item.coupling
        assert entry["shares"] == item.shares
        assert entry["without"].keys() == {"alpha", "beta"}
    assert [item.coupling for item in joint] == list(FEW)
    assert sorted(p.name for p in folder.iterdir()) == ["joint.json", "limits.json", "profiles", "workspaces"]
    assert sorted(p.stem for p in (folder / "workspaces").iterdir()) == ["alpha", "beta", "joint"]
    assert Workspace.read(folder / "workspaces" / "joint.json").datasets == ("alpha_data", "beta_data")
    assert sorted(p.name for p in (folder / "profiles").iterdir()) == sorted(
        f"{c}.{e}" for c in FEW for e in ("csv", "png")
    )
    done, totals, _ = zip(*steps, strict=True)
    assert list(done) == list(range(1, len(steps) + 1))
    assert totals[-1] == len(steps) == 2 + len(found) + 2 * len(FEW)


def test_the_joint_limit_is_that_of_the_combined_workspace(serial, toys):
    from nuemstat.stats.intervals import limit

    found = next(item for item in serial[0][0] if item.coupling == "millicharge_emu" and len(item.workspaces) == 2)
    assert limit(study.joined(toys)[0], "millicharge_emu").intervals == found.intervals


def test_the_table_beside_the_picture_is_the_profile(serial):
    (found, _), folder, _ = serial
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
        main_job.run(toys, FEW, folder, executor=executor)
    for path in sorted(serial[1].rglob("*.*")):
        assert path.read_bytes() == (folder / path.relative_to(serial[1])).read_bytes(), path.name


def test_a_coupling_nobody_holds_leaves_nothing(toys, tmp_path):
    with pytest.raises(WorkspaceError, match=r"no model holds coupling 'milicharge'.*did you mean 'millicharge'"):
        main_job.run(toys, ["milicharge"], tmp_path / "out" / "put")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alpha.json", "beta.json", "out"]
    assert list((tmp_path / "out").iterdir()) == []


def test_no_output_no_files(toys, tmp_path):
    found = main_job.run(toys[:1], ["millicharge_ee"])
    assert (len(found.limits), found.joint) == (1, ())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alpha.json", "beta.json"]


def test_former_results_are_replaced_and_other_things_are_not(toys, tmp_path):
    folder = tmp_path / "out"
    main_job.run(toys[:1], ["millicharge_ee", "magnetic_moment_e"], folder)
    (folder / "notes.txt").write_text("mine")
    main_job.run(toys[1:], ["millicharge_mumu"], folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "joint.json",
        "limits.json",
        "notes.txt",
        "profiles",
        "workspaces",
    ]
    assert sorted(p.name for p in (folder / "profiles").iterdir()) == ["millicharge_mumu.csv", "millicharge_mumu.png"]
    other = tmp_path / "other"
    (other / "workspaces").mkdir(parents=True)
    for target in (other, tmp_path / "alpha.json"):
        with pytest.raises(NuemstatError, match=r"found a f.* is allowed"):
            main_job.run(toys[:1], ["millicharge_ee"], target)
    assert [p.name for p in other.iterdir()] == ["workspaces"]


def test_a_failure_half_way_leaves_the_former_results(toys, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    main_job.run(toys[:1], ["millicharge_ee"], folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(main_job, "_draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main_job.run(toys, None, folder)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alpha.json", "beta.json", "out"]


def test_shares_can_be_left_out(toys, tmp_path):
    found = main_job.run(toys, ["millicharge"], tmp_path / "out", apart=False)
    assert found.joint == ()
    assert json.loads((tmp_path / "out" / "joint.json").read_text())["couplings"] == []


def test_the_world_fit_uses_no_data_twice():
    """Documents of the listed models, as committed, can be combined: no data set enters twice."""
    from nuemstat.resources import models_folder
    from nuemstat.workspace.combine import combine

    folder = models_folder().parent / "workspaces"
    if not folder.is_dir():
        pytest.skip("the committed workspaces are not part of an installed package")
    members = [Workspace.read(folder / f"{name}.json") for name in main_job.world_models()]
    joint = combine(members)
    assert len(joint.datasets) == len(set(joint.datasets))
    assert {"sns_flux", "solar_pp", "solar_be7"} <= {parameter.name for parameter in joint.parameters}


@pytest.mark.slow
def test_the_shipped_experiments_stand_in_their_known_order():
    """Xenon detectors, Dresden-II and COHERENT CsI limit the magnetic moment in this order."""
    names = ["lz_er2025", "dresden2:fef", "coherent_csi"]
    found = {main_job.label(item): item for item in main_job.run(names, ["magnetic_moment"]).limits}
    assert all(item.valid for item in found.values())
    upper = {who: item.upper_limit for who, item in found.items()}
    assert 3 * upper["lz_er2025"] < upper["dresden2"] < upper["coherent_csi"] / 3
    assert upper["joint"] == pytest.approx(upper["lz_er2025"], rel=0.02)
    assert 1e-12 < upper["joint"] < 1e-10


@pytest.mark.parametrize("name", ["alpha", "joint"])
def test_models_that_results_could_not_tell_apart_are_refused(name, toys, tmp_path):
    other = Workspace.read(toys[1]).model_copy(update={"name": name})
    other.write(tmp_path / "other.json")
    with pytest.raises(WorkspaceError, match=f"found alpha, {name}; models of different names, none of them 'joint'"):
        main_job.run([toys[0], str(tmp_path / "other.json")], ["millicharge"])
