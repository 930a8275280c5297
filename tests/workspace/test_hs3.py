import json
import math
from functools import cache

import numpy as np
import pytest
from interop_workspaces import CHARGE, RADIUS, gaussian, joint, many

from nuemstat.errors import WorkspaceError
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.workspace.checkpoints import check_points
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.from_hs3 import from_hs3, read_hs3
from nuemstat.workspace.to_hs3 import DIALECTS, PEDESTAL, to_hs3, write_hs3

TOYS = {"joint": joint, "anchors": lambda: joint(shape=many), "gaussian": gaussian}


def parsed(workspace: Workspace, **options) -> dict:
    return json.loads(json.dumps(to_hs3(workspace, **options).document))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("toy", TOYS)
def test_what_is_written_is_read_back(toy, dialect):
    made = TOYS[toy]()
    again = from_hs3(parsed(made, dialect=dialect, floating=made.couplings))
    assert again == made
    assert again.digest == made.digest


def test_universal_couplings_are_read_back():
    made = joint().substitute("charge_radius")
    document = parsed(made)
    assert from_hs3(document) == made
    functions = {f["name"]: f["expression"] for f in document["functions"]}
    assert functions[RADIUS] == "(-0.83) + (1.0)*charge_radius"
    assert functions[f"{RADIUS}__pow2"] == f"pow({RADIUS},2)"


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_workspaces_are_read_back(name, tmp_path):
    made = compile_model(load_model(name))
    path, notes = write_hs3(made, tmp_path)
    assert read_hs3(path).digest == made.digest
    assert made.digest in notes.read_text()


def test_powers_are_functions_that_normfactors_name_twice():
    document = parsed(joint())
    assert {"name": f"{CHARGE}__pow2", "type": "generic_function", "expression": f"pow({CHARGE},2)"} in document[
        "functions"
    ]
    modifiers = [m for d in document["distributions"] for s in d["samples"] for m in s["modifiers"]]
    factors = [m for m in modifiers if m["type"] == "normfactor"]
    assert all(m["name"] == m["parameter"] for m in factors)
    assert f"{CHARGE}__pow2" in {m["name"] for m in factors}
    declared = {p["name"] for p in document["parameter_points"][0]["parameters"]}
    declared |= {f["name"] for f in document["functions"]}
    assert {m["parameter"] for m in modifiers} <= declared


def test_no_two_modifiers_of_a_sample_have_one_name():
    for channel in parsed(joint())["distributions"]:
        for sample in channel["samples"]:
            names = [m["name"] for m in sample["modifiers"]]
            assert len(set(names)) == len(names), sample["name"]


def test_interpolated_samples_are_positive_over_the_range_of_their_nuisances():
    """RooFit cuts them off at 0 otherwise."""
    seen = 0
    for channel in parsed(joint())["distributions"]:
        contents = {s["name"]: np.array(s["data"]["contents"]) for s in channel["samples"]}
        for sample in channel["samples"]:
            shapes = [m for m in sample["modifiers"] if m["type"] == "histosys"]
            if not shapes:
                continue
            nominal, reach = contents[sample["name"]], 0.0
            for shape in shapes:
                ends = [np.array(shape["data"][end]["contents"]) for end in ("hi", "lo")]
                reach = reach + 10 * np.max(np.abs(np.array(ends) - nominal), axis=0)
            assert (nominal - reach >= -1e-9).all()
            seen += sample["name"] + PEDESTAL in contents
    assert seen


def test_dialects_say_the_same_in_other_words():
    by_dialect = {dialect: parsed(joint(), dialect=dialect) for dialect in DIALECTS}
    found = {}
    for dialect, document in by_dialect.items():
        assert document["metadata"]["hs3_version"] == "0.2"
        channel = next(d for d in document["distributions"] if d["name"] == "counts")
        found[dialect] = next(m for s in channel["samples"] for m in s["modifiers"] if m["type"] == "normsys")
    assert found["implicit"]["constraint"] == "Gauss"
    assert found["named"]["constraint_name"] == "fluxConstraint"
    assert found["2026-07"]["constraint"] == "fluxConstraint"
    named = [d for d in by_dialect["named"]["distributions"] if d["type"] == "gaussian_dist"]
    assert {d["x"] for d in named} == {"flux", "slope", "tilt"}


def test_bad_requests_are_one_clear_line(tmp_path):
    with pytest.raises(WorkspaceError, match="dialect: found 'old'; allowed are implicit, named, 2026-07"):
        to_hs3(joint(), dialect="old")
    with pytest.raises(WorkspaceError, match=r"no coupling 'millicharge_e'.*did you mean 'millicharge_ee'"):
        to_hs3(joint(), floating=["millicharge_e"])
    write_hs3(joint(), tmp_path)
    before = (tmp_path / "toy.hs3.json").read_bytes()
    with pytest.raises(WorkspaceError, match=r"toy\.hs3\.json: is there already; it is kept unless --force"):
        write_hs3(gaussian(), tmp_path)
    assert (tmp_path / "toy.hs3.json").read_bytes() == before
    write_hs3(gaussian(), tmp_path, force=True)
    assert read_hs3(tmp_path / "toy.hs3.json") == gaussian()


def edited(change) -> dict:
    document = parsed(joint())
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda d: d.pop("metadata"), "metadata with an hs3_version is required"),
        (lambda d: d["metadata"].pop("hs3_version"), "metadata.hs3_version: this key is required"),
        (lambda d: d.pop("misc"), "misc.nuemstat is not there"),
        (lambda d: d["misc"]["nuemstat"].update(schema="nuemstat/hs3/2"), "found 'nuemstat/hs3/2'; this version reads"),
        (lambda d: d["data"][0]["contents"].__setitem__(0, 47.0), "digest: found"),
        (
            lambda d: d["distributions"][0]["samples"][0]["data"]["contents"].pop(),
            "contents was changed since the file",
        ),
        (lambda d: d["functions"][0].update(expression="pow(q,3)"), r"functions\.0\.expression was changed"),
        (lambda d: d["distributions"][0]["samples"][1]["modifiers"].pop(), "was changed|digest"),
        (lambda d: d["distributions"].pop(), "damaged since it was written"),
        (lambda d: d["misc"]["nuemstat"].update(dialect="old"), "dialect: found 'old'"),
        (lambda d: d["misc"]["nuemstat"]["channels"][0].update(colour="red"), "unknown key 'colour'"),
    ],
)
def test_files_that_were_changed_are_refused(change, pattern):
    with pytest.raises(WorkspaceError, match=pattern) as caught:
        from_hs3(edited(change), where="file.json")
    assert str(caught.value).startswith("file.json: ")
    assert "\n" not in str(caught.value)


def pyhs3_differences(workspace: Workspace) -> list[tuple[float, float]]:
    """2 NLL above the reference by pyhs3, and what the check points say."""
    pytensor = pytest.importorskip("pytensor", reason="pyhs3 is not installed")
    pyhs3 = pytest.importorskip("pyhs3", reason="pyhs3 is not installed")
    from pytensor.compile.mode import Mode
    from pytensor.graph.traversal import explicit_graph_inputs

    points = check_points(workspace)
    read = pyhs3.Workspace(**parsed(workspace, floating=workspace.couplings))
    model = read.model(read.analyses[0], progress=False)
    inputs = list(explicit_graph_inputs([model.log_prob]))
    function = pytensor.function(
        inputs, model.log_prob, mode=Mode(linker="cvm", optimizer="fast_run").excluding("fusion")
    )

    def twice(values) -> float:
        full = {**model.free_params, **values}
        return -2 * float(np.ravel(function(*(np.reshape(full[i.name], (1,) * i.type.ndim) for i in inputs)))[0])

    zero = twice(points.reference)
    return [(twice(point.values) - zero, point.histfactory) for point in points.points]


JUDGED = {
    **TOYS,
    **{name: cache(lambda name=name: compile_model(load_model(name))) for name in ("krasnoyarsk", "lz_sr1")},
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of pytensor, sympy and numba on their own affairs
@pytest.mark.parametrize("name", JUDGED)
def test_pyhs3_gives_the_check_points(name):
    """To 1e-8; where channels are Gaussian the logarithms of 1e8 pseudo-counts leave 1e-6 per bin."""
    workspace = JUDGED[name]()
    bins = sum(channel.size for channel in workspace.channels if channel.statistic == "gaussian")
    for theirs, ours in pyhs3_differences(workspace):
        assert theirs == pytest.approx(ours, abs=1e-8 + 2e-6 * bins)
        assert abs(ours) > 1e-4


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.filterwarnings("ignore::UserWarning")  # the wheel calls itself alpha
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", JUDGED)
def test_roofit_gives_the_check_points(name, dialect, tmp_path):
    """To 1e-6 relative; channels one by one, as RooFit does not join their data by itself."""
    root = pytest.importorskip("ROOT", reason="the optional root wheel (RooFit) is not installed")
    workspace = JUDGED[name]()
    points = check_points(workspace)
    path, _ = write_hs3(workspace, tmp_path, dialect=dialect, floating=workspace.couplings)
    root.RooMsgService.instance().setGlobalKillBelow(root.RooFit.FATAL)
    held = root.RooWorkspace("held")
    assert root.RooJSONFactoryWSTool(held).importJSON(str(path))
    document = json.loads(path.read_text())
    likelihood = document["likelihoods"][0]
    pairs = zip(likelihood["distributions"], likelihood["data"], strict=True)
    options = root.RooFit.Extended(True), root.RooFit.Offset("none")
    terms = [(held.pdf(f"{d}_model") or held.pdf(d)).createNLL(held.data(n), *options) for d, n in pairs]
    start = {p["name"]: p["value"] for p in document["parameter_points"][0]["parameters"]}
    pulls = [p.name for p in workspace.parameters if p.kind == "constrained"]

    def twice(values) -> float:
        full = {**start, **values}
        for key, value in full.items():
            if held.var(key):
                held.var(key).setVal(value)
        return 2 * math.fsum(term.getVal() for term in terms) + math.fsum(full[p] ** 2 for p in pulls)

    zero = twice(points.reference)
    bins = sum(channel.size for channel in workspace.channels if channel.statistic == "gaussian")
    for point in points.points:
        assert twice(point.values) - zero == pytest.approx(point.histfactory, rel=1e-6, abs=1e-8 + 2e-6 * bins)
