"""Import of pyhf workspaces, judged by stock pyhf at random parameters; and what is refused in one line."""

import copy
import json

import numpy as np
import pytest
from pyhf_examples import EXAMPLES, LUMI, correlated, errors, everything, factor, histo, norm, sample, uncorrelated

from nuemstat.errors import WorkspaceError
from nuemstat.stats.intervals import limit
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import fit
from nuemstat.workspace.bins import expanded
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.from_pyhf import from_pyhf, named, read_pyhf
from nuemstat.workspace.to_pyhf import pyhf_parameters, stock, to_pyhf

pyhf = pytest.importorskip("pyhf")
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf

CODES = [("code4", "code4p"), ("code1", "code0"), ("code4", "code2"), ("code1", "code4p")]


def judge(document, normsys="code4", histosys="code4p"):
    settings = {"normsys": {"interpcode": normsys}, "histosys": {"interpcode": histosys}}
    file = pyhf.Workspace(document)
    model = file.model(modifier_settings=settings)
    return model, file.data(model)


def labels(document, model):
    """Native name of each of pyhf's parameters, in pyhf's order."""
    per_bin = {m["name"]: [] for c in document["channels"] for s in c["samples"] for m in s["modifiers"]}
    for channel in sorted(document["channels"], key=lambda c: c["name"]):
        for name in {m["name"]: None for s in channel["samples"] for m in s["modifiers"] if m["type"] == "staterror"}:
            per_bin[name].append((channel["name"], len(channel["samples"][0]["data"])))
    found = []
    for name in model.config.par_order:
        plain, size = named(name), model.config.param_set(name).n_parameters
        channels = [c["name"] for c in document["channels"]]
        if model.config.param_set(name).is_scalar:
            found.append(plain)
        elif len(per_bin[name]) > 1:
            found += [f"{plain}__in{channels.index(c)}__bin{i}" for c, n in per_bin[name] for i in range(n)]
        else:
            found += [f"{plain}__bin{i}" for i in range(size)]
    return found


def held(workspace):
    """What the measurement fixes, at its value."""
    return {name: workspace.parameter(name).default for name in workspace.couplings}


def random_pair(likelihood, model, names, generator, reach):
    """One random point in both languages; pyhf's fixed parameters stay where they are."""
    theirs, ours = np.array(model.config.suggested_init()), likelihood.defaults.copy()
    for place, name in enumerate(names):
        if name not in likelihood.parameters:
            continue
        definition = likelihood.definitions[likelihood.index(name)]
        if definition.kind == "constrained":
            number = generator.uniform(-reach, reach) - (definition.centre if definition.sigma == 1 else 0)
            if definition.centre > 0.9:  # factors stay above 0
                number = max(number, -0.9 * definition.centre / definition.sigma)
            theirs[place] = definition.centre + definition.sigma * number
        else:
            number = theirs[place] = generator.uniform(0.2, 3.0)
        ours[likelihood.index(name)] = number
    return ours, theirs


@pytest.mark.parametrize("codes", CODES, ids="-".join)
@pytest.mark.parametrize("name", EXAMPLES)
def test_2nll_is_that_of_pyhf_at_random_parameters(name, codes):
    """To 1e-8, at 20 points; beyond one sigma pyhf's code 2 jumps, so it is compared below."""
    document = EXAMPLES[name]
    workspace = from_pyhf(document, normsys=codes[0], histosys=codes[1])
    likelihood = Likelihood(workspace, fixed=held(workspace))
    model, data = judge(document, *codes)
    names, generator = labels(document, model), np.random.default_rng(6)
    assert set(likelihood.parameters) <= set(names)
    constants, heights = [], []
    for _ in range(20):
        ours, theirs = random_pair(likelihood, model, names, generator, 0.4 if codes[1] == "code2" else 3.0)
        heights.append(likelihood(ours))
        constants.append(heights[-1] + 2 * float(model.logpdf(theirs, data)[0]))
    assert np.ptp(heights) > 1
    assert np.ptp(constants) < 1e-8


@pytest.mark.parametrize("codes", CODES, ids="-".join)
def test_the_gradient_is_that_of_finite_differences(codes):
    likelihood = Likelihood(from_pyhf(everything(), normsys=codes[0], histosys=codes[1]))
    generator = np.random.default_rng(3)
    x = likelihood.defaults + generator.uniform(0.05, 0.4, likelihood.defaults.size)
    steps = 1e-6 * np.eye(x.size)
    numeric = [(likelihood(x + step) - likelihood(x - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(likelihood.gradient(x), numeric, rtol=1e-5, atol=1e-5)


def test_code_2_goes_on_where_pyhf_jumps():
    document = correlated()
    likelihood = Likelihood(from_pyhf(document, histosys="code2"))
    half = {"background": np.array([-8.0, 11.5]), "mean": np.array([0.0, 0.5])}
    for alpha in (-2.5, 2.5):
        counts = likelihood.counts(likelihood.vector({"tilt": alpha, "mu": 0.0}))[:2]
        at_one = half["background"] * np.sign(alpha) + half["mean"]
        slope = half["background"] + 2 * half["mean"] * np.sign(alpha)
        np.testing.assert_allclose(counts, [50.0, 60.0] + at_one + slope * (alpha - np.sign(alpha)))


@pytest.mark.parametrize("name", EXAMPLES)
def test_best_fits_are_those_of_pyhf(name):
    document = EXAMPLES[name]
    workspace = from_pyhf(document)
    model, data = judge(document)
    found = fit(workspace, free=[p for p in workspace.couplings if p == "mu"])
    likelihood = Likelihood(workspace, fixed=held(workspace))
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-4))
    try:
        theirs, value = pyhf.infer.mle.fit(data, model, return_fitted_val=True)
    finally:
        pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    mu = found.nuisances["mu"]
    assert mu.value == pytest.approx(theirs[model.config.poi_index], abs=2e-2 * (mu.error or 1.0))
    start = -2 * float(model.logpdf(model.config.suggested_init(), data)[0])
    init = likelihood.vector({p.name: p.default for p in likelihood.definitions if p.kind != "constrained"})
    assert found.q_min - likelihood(init) == pytest.approx(value - start, abs=1e-4)


def test_limits_on_a_signal_strength():
    """Against a scan of pyhf's own profile."""
    document = uncorrelated()
    found = limit(from_pyhf(document), "mu", cl=0.9)
    assert (found.unit, found.valid) == ("1", True)
    model, data = judge(document)
    best = pyhf.infer.mle.fit(data, model, return_fitted_val=True)[1]
    ((low, high),) = found.intervals
    assert low == 0
    assert pyhf.infer.mle.fixed_poi_fit(high, data, model, return_fitted_val=True)[1] - best == pytest.approx(
        2.7055, abs=1e-3
    )
    assert found.upper_limit == high


def test_auxiliary_measurements_are_data():
    """A shapesys adds as many bins as free factors, and its saturated height is 0."""
    workspace = from_pyhf(uncorrelated())
    likelihood = Likelihood(workspace)
    assert likelihood.n_bins == 4
    assert fit(workspace).ndof == 1
    assert likelihood.expected(likelihood.defaults)["uncorr_bkguncrt__constraint"] == pytest.approx(
        [(50 / 3) ** 2, (52 / 7) ** 2]
    )
    assert set(likelihood.yields(likelihood.defaults)["single"]) == {"signal", "background"}


def test_expansion_keeps_the_digest_and_other_workspaces(tmp_path):
    workspace = from_pyhf(everything())
    assert expanded(workspace).digest == workspace.digest
    once = expanded(workspace)
    assert expanded(once) is once
    plain = from_pyhf(correlated())
    assert expanded(plain) is plain
    workspace.write(tmp_path / "native.json")
    again = Workspace.read(tmp_path / "native.json")
    assert again == workspace
    assert fit(again).digest == workspace.digest


def test_what_came_in_goes_out_again():
    """Import, export, and stock pyhf on both documents at the same parameters."""
    document = EXAMPLES["everything"]
    shifted = copy.deepcopy(document)
    shifted["measurements"][0]["config"]["parameters"][1:2] = []  # an offset constraint has no way out
    workspace = from_pyhf(shifted)
    before, data_before = judge(shifted)
    after, data_after = stock(workspace)
    export = to_pyhf(workspace)
    constants = []
    generator = np.random.default_rng(8)
    for _ in range(5):
        values = {
            "mu": generator.uniform(0, 3),
            "sys_a": generator.normal(),
            "stat": tuple(generator.uniform(0.8, 1.2, 3)),
        }
        theirs = np.array(before.config.suggested_init())
        for name in ("mu", "sys a", "stat"):
            theirs[before.config.par_slice(name)] = values[named(name)]
        ours = pyhf_parameters(export, after.config, values)
        constants.append(float(before.logpdf(theirs, data_before)[0] - after.logpdf(ours, data_after)[0]))
    assert np.ptp(constants) < 1e-9


def test_what_the_measurement_fixes_stays_and_is_told():
    workspace = from_pyhf(EXAMPLES["fixed"])
    assert workspace.couplings == ("k", "size")
    assert workspace.parameter("k").default == 1.3
    (entry,) = workspace.provenance
    assert "the factors of mc are fixed at 1" in entry.notes
    assert any("without constraint: k, size" in note for note in entry.notes)


def test_names_are_made_fit_one_to_one():
    document = uncorrelated()
    document["channels"][0]["samples"][0]["modifiers"] = [factor("mu"), factor("a b"), factor("a-b"), factor("1")]
    workspace = from_pyhf(document)
    assert [p.name for p in workspace.parameters[:4]] == ["mu", "a_b", "a_b_2", "p_1"]
    assert any("a_b_2 for 'a-b'" in note for note in workspace.provenance[0].notes)
    assert workspace.parameter("a_b_2").quantity == "a-b"


def test_two_files_are_fitted_together():
    one, two = from_pyhf(uncorrelated(), name="one"), from_pyhf(correlated(), name="two")
    joint = combine([one, two])
    separate = Likelihood(one), Likelihood(two)
    together = Likelihood(joint)
    values = {"mu": 1.2, "tilt": 0.3, "size": -0.4, "b": 1.1, "uncorr_bkguncrt__bin0": 0.9}
    parts = [likelihood(likelihood.vector({k: v for k, v in values.items() if k in likelihood.parameters}))
             for likelihood in separate]  # fmt: skip
    assert together(together.vector(values)) == pytest.approx(sum(parts), abs=1e-10)


def test_another_measurement_and_xml(tmp_path, monkeypatch):
    """The same workspace through HistFactory's XML and ROOT files."""
    pytest.importorskip("uproot")
    writexml = pytest.importorskip("pyhf.writexml")
    document = correlated()
    second = copy.deepcopy(document["measurements"][0]) | {"name": "other"}
    second["config"]["poi"] = "b"
    document["measurements"].append(second)
    assert "the parameter of interest is b" in from_pyhf(document, measurement="other").provenance[0].notes
    with pytest.raises(WorkspaceError, match="no measurement 'third'; it holds measurement, other"):
        from_pyhf(document, measurement="third")
    document["measurements"].pop()
    document["measurements"][0]["config"]["parameters"] = []
    monkeypatch.chdir(tmp_path)
    for folder in ("config", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "top.xml").write_bytes(writexml.writexml(document, "config", "data", "top"))
    monkeypatch.chdir("/")
    ours, direct = read_pyhf(tmp_path / "top.xml"), from_pyhf(document, name="top")
    a, b = Likelihood(ours), Likelihood(direct)
    point = {"mu": 1.3, "tilt": 0.7, "size": -1.2, "b": 1.1}
    assert a(a.vector(point)) == pytest.approx(b(b.vector(point)), abs=1e-9)
    (tmp_path / "bad.xml").write_text("<Combination><Input>nowhere.xml</Input></Combination>")
    with pytest.raises(WorkspaceError, match=r"bad\.xml: pyhf's converter cannot read this XML") as caught:
        read_pyhf(tmp_path / "bad.xml")
    assert "\n" not in str(caught.value)


def changed(change):
    document = everything()
    change(document)
    return document


def signal(document):
    return document["channels"][0]["samples"][0]


def config(document):
    return document["measurements"][0]["config"]


BAD = {
    "unknown type": (
        lambda d: signal(d)["modifiers"].append(factor("x", "magic")),
        r"samples\.0\.modifiers\.3: type: found 'magic'",
    ),
    "unknown key": (lambda d: signal(d).update(colour="red"), r"unknown key 'colour'"),
    "nan": (lambda d: signal(d)["data"].__setitem__(0, float("nan")), r"channels\.0\.samples\.0\.data\.0: found nan"),
    "text": (lambda d: signal(d)["data"].__setitem__(0, "5"), "found '5'"),
    "length of a sample": (lambda d: signal(d).update(data=[1.0, 2.0]), r"sample 'b/kg'.*3 numbers.*has 2"),
    "length of a histosys": (
        lambda d: signal(d)["modifiers"].append(histo("h", [1.0], [1.0, 2.0, 3.0])), "hi_data of 'h' has 1 numbers"),
    "two contents of one name": (
        lambda d: signal(d)["modifiers"].append(norm("sys a", 1.5, 0.5)), "normsys 'sys a' twice with different data"),
    "two kinds of one name": (
        lambda d: signal(d)["modifiers"].append(norm("mu", 1.5, 0.5)), "normsys 'mu', elsewhere a parameter of kind"),
    "shapesys twice": (
        lambda d: signal(d)["modifiers"].append(errors("uncorrelated", "shapesys", 1.0, 1.0, 1.0)),
        "shapesys 'uncorrelated' a second time"),
    "shapefactor of other lengths": (
        lambda d: (d["channels"].append({"name": "n", "samples": [sample("s", [1.0], factor("shape", "shapefactor"))]}),
                   d["observations"].append({"name": "n", "data": [1.0]})), "'shape' has 1 bins here and 3 elsewhere"),
    "normsys of 100 %": (lambda d: signal(d)["modifiers"].append(norm("x", 2.0, 0.0)), "factors above 0 are allowed"),
    "unknown poi": (lambda d: config(d).update(poi="nu"), "poi: found 'nu', which no modifier names"),
    "unknown parameter": (
        lambda d: config(d)["parameters"].append({"name": "nu", "inits": [1.0]}), "settings of 'nu', which no"),
    "parameter twice": (lambda d: config(d)["parameters"].append(LUMI), "found parameter 'lumi' twice"),
    "number of settings": (
        lambda d: config(d)["parameters"].append({"name": "stat", "inits": [1.0]}), "inits: found 1 values; 3 are"),
    "constraint of a factor": (
        lambda d: config(d)["parameters"][2].update(auxdata=[1.0]), "auxdata: the constraint of a factor follows"),
    "bounds": (lambda d: config(d)["parameters"][2].update(bounds=[[2.0, 1.0]]), "a rising pair is allowed"),
    "luminosity": (lambda d: config(d)["parameters"].pop(0), "a luminosity needs auxdata and sigmas"),
    "no observation": (lambda d: d["observations"].pop(), "found none of channel 'CR'"),
    "observation of no channel": (
        lambda d: d["observations"].append({"name": "x", "data": [1.0]}), "found 'x' that is no channel"),
    "observed length": (lambda d: d["observations"][0].update(data=[1.0]), "observed of channel 'SR_1' has 1 numbers"),
    "negative counts": (lambda d: d["observations"][0].update(data=[-1.0, 1.0, 1.0]), "negative count"),
    "channel twice": (lambda d: d["channels"].append(d["channels"][0]), "found channel 'SR-1' twice"),
    "sample twice": (lambda d: d["channels"][0]["samples"].append(signal(d)), "found sample 'signal' twice"),
    "version": (lambda d: d.update(version="2.0.0"), "version: found '2.0.0'"),
    "fixed bins": (
        lambda d: config(d)["parameters"][3].update(fixed=True, inits=[1.0, 2.0, 1.0]), "fixed at 1 is allowed"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_documents_are_one_line(what):
    change, message = BAD[what]
    with pytest.raises(WorkspaceError, match=message) as caught:
        from_pyhf(changed(change), where="some.json")
    assert str(caught.value).startswith("some.json: ")
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "w.json"
    path.write_text(json.dumps({"schema": "nuemstat/workspace/1"}))
    with pytest.raises(WorkspaceError, match="found a native workspace; one of pyhf is allowed"):
        read_pyhf(path)
