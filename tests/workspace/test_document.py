import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import monomial, monomial_name
from nuemstat.workspace.document import (
    Axis,
    Channel,
    ConstrainedParameter,
    CouplingParameter,
    DerivedParameter,
    Folded,
    FreeParameter,
    Provenance,
    Sample,
    Workspace,
    rounded,
)
from nuemstat.workspace.modifiers import (
    Anchor,
    HistoSys,
    Lumi,
    Norm,
    NormFactor,
    NormSys,
    Shape,
    ShapeFactor,
    ShapeSys,
    StatError,
)

numbers = st.floats(-1e12, 1e12, allow_subnormal=True)
positive = st.floats(1e-9, 1e9)
words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)


def rows(length, elements=numbers):
    return st.lists(elements, min_size=length, max_size=length).map(tuple)


def rising(length):
    steps = st.lists(st.floats(0.125, 1e3), min_size=length, max_size=length)
    return steps.map(lambda found: tuple(float(edge) for edge in np.cumsum(found)))


def modifiers(bins):
    names = st.sampled_from(["alpha", "beta"])
    anchors = {
        kind: st.tuples(rows(bins, values), rows(bins, values)).map(
            lambda pair: (Anchor(alpha=-1.0, values=pair[0]), Anchor(alpha=1.5, values=pair[1]))
        )
        for kind, values in (("additive", numbers), ("multiplicative", positive))
    }
    kinds = st.sampled_from(["additive", "multiplicative"])
    norms = st.sampled_from(["lognormal", "linear"])
    return st.one_of(
        st.builds(NormFactor, parameter=st.just("free")),
        st.builds(Norm, parameter=names, interpolation=norms, size=positive),
        kinds.flatmap(
            lambda kind: st.builds(Shape, parameter=names, interpolation=st.just(kind), anchors=anchors[kind])
        ),
        st.builds(NormSys, parameter=names, hi=positive, lo=positive),
        st.builds(HistoSys, parameter=names, hi_data=rows(bins), lo_data=rows(bins)),
        st.builds(ShapeSys, parameter=names, data=rows(bins)),
        st.builds(StatError, parameter=names, data=rows(bins)),
        st.builds(ShapeFactor, parameter=st.just("free")),
        st.builds(Lumi, parameter=names),
    )


@st.composite
def channels(draw, name):
    lengths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
    axes = tuple(Axis(name=f"axis{i}", unit="keV", edges=draw(rising(length + 1))) for i, length in enumerate(lengths))
    bins = int(np.prod(lengths))
    samples = []
    for powers in draw(st.sampled_from([[{}], [{"q": 1}, {"q": 2}], [{}, {"q": 1, "free": 3}]])):
        term = monomial_name(monomial(powers))
        samples.append(
            Sample(
                name=f"signal__x__{term}" if term else "signal",
                process="signal",
                monomial=powers,
                contents=draw(rows(bins)),
                errors=draw(st.none() | rows(bins)),
                modifiers=tuple(draw(st.lists(modifiers(bins), max_size=3))),
            )
        )
    more = draw(
        st.sampled_from(
            [
                {},
                {"statistic": "gaussian", "errors": (1.0,) * bins},
                {
                    "statistic": "gaussian",
                    "covariance": tuple(tuple(float(i == j) for i in range(bins)) for j in range(bins)),
                },
            ]
        )
    )
    observed = draw(rows(bins, st.floats(0, 1e9)))
    return Channel(
        name=name,
        experiment=draw(words),
        datasets=(f"{name}_data",),
        axes=axes,
        observed=observed,
        samples=tuple(samples),
        **more,
    )


def nuisance(name, **changes):
    content = {
        "name": name,
        "quantity": "a toy",
        "centre": 0.0,
        "sigma": 1.0,
        "unit": "1",
        "group": "toy",
        "source": "made up for this test",
    }
    return ConstrainedParameter(**(content | changes))


@st.composite
def workspaces(draw):
    found = tuple(draw(channels(f"channel{i}")) for i in range(draw(st.integers(1, 2))))
    parameters = (
        CouplingParameter(name="q", unit="e", scale=draw(positive), default=draw(numbers), bounds=(0.0, None)),
        nuisance("alpha", centre=draw(numbers), sigma=draw(positive), source=draw(words)),
        nuisance("gamma", constraint="poisson"),
        FreeParameter(name="free", quantity=draw(words), unit="1", default=draw(numbers)),
        DerivedParameter(name="beta", terms={"alpha": draw(numbers), "gamma": 1.0}, offset=draw(numbers)),
    )
    made = Provenance(model="toy", variants={"a": "b"}, schemes={}, inputs={"x": draw(words)}, version="1")
    folded = draw(st.sampled_from([(), (Folded(name="kept", value=0.5),)]))
    return Workspace(name="toy", channels=found, parameters=parameters, folded=folded, provenance=(made,))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(workspaces())
def test_a_document_comes_back_as_it_went(workspace):
    text = workspace.to_json()
    again = Workspace.from_json(text.encode())
    assert again == workspace
    assert again.to_json() == text
    assert again.digest == workspace.digest == json.loads(text)["digest"]


def toy(**changes):
    tilt = Shape(
        parameter="tilt",
        interpolation="multiplicative",
        axes=("energy",),
        anchors=(Anchor(alpha=-1.0, values=(0.9, 1.1)), Anchor(alpha=1.0, values=(1.1, 0.9))),
    )
    signal = Sample(name="signal__x__q", process="signal", monomial={"q": 1}, contents=(0.1, 0.2, 0.3, 0.4))
    background = Sample(name="background", process="background", contents=(1.0, 2.0, 3.0, 4.0), modifiers=(tilt,))
    channel = Channel(
        name="counts",
        experiment="Toy",
        datasets=("toy_data",),
        axes=(Axis(name="energy", unit="keV", edges=(0.0, 1.0, 3.0)), Axis(name="time", unit="us", edges=(0, 1, 2.0))),
        observed=(1.0, 2.0, 3.0, 5.0),
        samples=(signal, background),
    )
    content = {
        "name": "toy",
        "channels": (channel,),
        "parameters": (CouplingParameter(name="q", unit="e", scale=1e-12, default=0.0), nuisance("tilt")),
        "folded": (Folded(name="radius", value=0.25),),
        "provenance": (Provenance(model="toy", variants={}, schemes={}, inputs={}, version="1"),),
    }
    return Workspace(**(content | changes))


def test_files_are_written_and_read(tmp_path):
    path = tmp_path / "new" / "toy.json"
    toy().write(path)
    assert Workspace.read(path) == toy()
    assert [file.name for file in path.parent.iterdir()] == ["toy.json"]


def test_the_document_answers_for_itself():
    workspace = toy()
    assert workspace.couplings == ("q",)
    assert workspace.datasets == ("toy_data",)
    assert workspace.channels[0].shape == (2, 2)
    assert workspace.parameter("tilt").sigma == 1.0
    with pytest.raises(WorkspaceError, match=r"toy: no parameter 'tilts'; it holds q; did you mean 'tilt'\?"):
        workspace.parameter("tilts")
    with pytest.raises(WorkspaceError, match=r"radius was folded at 0.25"):
        workspace.parameter("radius")


def test_a_copy_with_other_content_has_a_digest_of_its_own(tmp_path):
    workspace = toy()
    assert workspace.digest
    other = workspace.model_copy(update={"name": "other"})
    assert other.digest == toy(name="other").digest != workspace.digest
    other.write(tmp_path / "other.json")
    assert Workspace.read(tmp_path / "other.json") == other
    assert workspace.model_copy().digest == workspace.digest


def test_the_digest_is_of_the_physics_only():
    made = Provenance(model="other", variants={"a": "b"}, schemes={}, inputs={}, version="2", notes=("a note",))
    assert toy(provenance=(made,)).digest == toy(provenance=()).digest == toy().digest
    (channel,) = toy().channels
    signal, background = channel.samples
    others = [
        toy(name="other"),
        toy(folded=()),
        toy(parameters=(CouplingParameter(name="q", unit="e", scale=1e-12, default=0.1), nuisance("tilt"))),
        toy(parameters=(*toy().parameters[:1], nuisance("tilt", source="another"))),
        toy(channels=(channel.model_copy(update={"observed": (1.0, 2.0, 3.0, 6.0)}),)),
        toy(channels=(channel.model_copy(update={"samples": (background,)}),)),
        toy(
            channels=(
                channel.model_copy(
                    update={"samples": (signal.model_copy(update={"contents": (0.1, 0.2, 0.3, 0.41)}), background)}
                ),
            )
        ),
    ]
    assert len({toy().digest, *(other.digest for other in others)}) == len(others) + 1


def test_the_order_of_keys_does_not_matter():
    content = json.loads(toy().to_json())
    shuffled = dict(reversed(content.items()))
    assert Workspace.from_json(json.dumps(shuffled).encode()) == toy()


def test_numbers_carry_nine_digits():
    assert rounded([1 / 3, -2e-7 / 3, 0.0, -0.0]) == (0.333333333, -6.66666667e-08, 0.0, 0.0)
    assert rounded(np.float64(2.0)) == (2.0,)


def without(key):
    def change(content):
        del content["channels"][0][key]

    return change


def setting(*path_and_value):
    *path, value = path_and_value

    def change(content):
        part = content
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value

    return change


def twice(part):
    def change(content):
        content[part].append(content[part][0] if part == "channels" else content[part][1])

    return change


CHANNEL = ("channels", 0)
SIGNAL = (*CHANNEL, "samples", 0)
TILT = (*CHANNEL, "samples", 1, "modifiers", 0)
BAD = {
    "newer schema": (setting("schema", "nuemstat/workspace/2"), "found 'nuemstat/workspace/2'; this version reads"),
    "no schema": (setting("schema", None), "schema: found None"),
    "two constraints for one nuisance": (twice("parameters"), "parameter 'tilt' stands twice; each is declared once"),
    "channel twice": (twice("channels"), "channel 'counts' stands twice"),
    "observed missing": (without("observed"), "channels.0.observed: this key is required"),
    "NaN": (setting(*CHANNEL, "observed", [1.0, 2.0, float("nan"), 4.0]), r"channels.0.observed.2: found nan"),
    "infinity": (setting(*SIGNAL, "contents", [1.0, 2.0, float("inf"), 4.0]), r"samples.0.contents.2: found inf"),
    "word for a number": (setting(*SIGNAL, "contents", [1.0, 2.0, "3", 4.0]), r"contents.2: found '3'"),
    "observed too short": (
        setting(*CHANNEL, "observed", [1.0]),
        "observed of channel 'counts' has 1 numbers; its axes make 4",
    ),
    "contents too long": (setting(*SIGNAL, "contents", [1.0] * 5), r"samples.signal__x__q .* has 5 numbers"),
    "shape of another length": (
        setting(*TILT, "anchors", [{"alpha": -1.0, "values": [1.0] * 3}, {"alpha": 1.0, "values": [1.0, 1.0]}]),
        "samples.background.tilt at -1 of channel 'counts' has 3 numbers",
    ),
    "unknown axis": (setting(*TILT, "axes", ["phase"]), "no axis 'phase' in channel 'counts'; it has"),
    "anchor at zero": (
        setting(*TILT, "anchors", [{"alpha": 0.0, "values": [1.0, 1.0]}, {"alpha": 1.0, "values": [1.0, 1.0]}]),
        "distinct rising values other than 0",
    ),
    "one-sided anchors": (
        setting(*TILT, "anchors", [{"alpha": 1.0, "values": [1.0, 1.0]}]),
        "at least one on each side of 0",
    ),
    "unknown key": (setting(*CHANNEL, "observd", [1.0]), r"unknown key 'observd'; .*did you mean 'observed'\?"),
    "unknown modifier": (setting(*TILT, "type", "shapes"), "modifiers.0"),
    "undeclared in a monomial": (
        lambda content: content["parameters"].pop(0),
        "sample 'signal__x__q' of channel 'counts' uses parameter 'q', which is not declared",
    ),
    "undeclared in a modifier": (
        setting(*TILT, "parameter", "tilted"),
        "sample 'background' of channel 'counts' uses parameter 'tilted', which is not declared",
    ),
    "undeclared behind a derived one": (
        lambda content: content["parameters"].append({"kind": "derived", "name": "d", "terms": {"nothing": 1.0}}),
        "derived parameter 'd' uses parameter 'nothing'",
    ),
    "derived from derived": (
        lambda content: content["parameters"].extend(
            [{"kind": "derived", "name": "d", "terms": {"q": 1.0}}, {"kind": "derived", "name": "f", "terms": {"d": 1}}]
        ),
        "derived parameter 'f' hangs on 'd', itself derived",
    ),
    "damaged content": (setting(*SIGNAL, "contents", [0.1, 0.2, 0.3, 0.5]), "digest: found sha256:.*the content gives"),
    "damaged digest": (setting("digest", "sha256:0"), "digest: found sha256:0; the content gives sha256:"),
    "edges that fall": (setting(*CHANNEL, "axes", 0, "edges", [0.0, 3.0, 1.0]), "edges that do not rise"),
    "name against the monomial": (setting(*SIGNAL, "name", "signal"), "process and monomial make it 'signal__x__q'"),
    "name with a dot": (setting("parameters", 1, "name", "til.t"), "parameters.1.*name"),
    "power of zero": (setting(*SIGNAL, "monomial", {"q": 0}), "monomial.q: found 0"),
    "negative counts": (setting(*CHANNEL, "observed", [-1.0, 0, 0, 0]), "observes a negative count"),
    "gaussian without errors": (setting(*CHANNEL, "statistic", "gaussian"), "needs errors or a covariance"),
    "sigma of zero": (setting("parameters", 1, "sigma", 0.0), "parameters.1.*sigma: found 0"),
    "no channels": (setting("channels", []), "channels"),
}


@pytest.mark.parametrize("kind", BAD)
def test_each_bad_document_is_one_line_that_says_where(tmp_path, kind):
    change, message = BAD[kind]
    content = json.loads(toy().to_json())
    change(content)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(WorkspaceError, match=message) as caught:
        Workspace.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_document_is_one_line(tmp_path):
    path = tmp_path / "cut.json"
    path.write_text(toy().to_json()[:-40])
    with pytest.raises(WorkspaceError, match=r"cut\.json: not JSON, or cut short"):
        Workspace.read(path)
    path.write_bytes(b"\xff\xfe\x00rubbish")
    with pytest.raises(WorkspaceError, match=r"cut\.json: not JSON"):
        Workspace.read(path)
    path.write_text("[1, 2]")
    with pytest.raises(WorkspaceError, match="schema: found 'list'"):
        Workspace.read(path)
    with pytest.raises(WorkspaceError, match=r"none.json: cannot be read \(No such file"):
        Workspace.read(tmp_path / "none.json")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        toy().write(tmp_path / "file" / "toy.json")


def test_documents_are_immutable():
    with pytest.raises(ValueError, match="frozen"):
        toy().name = "other"


def test_every_modifier_of_the_list_is_read():
    made = [
        NormFactor(parameter="q"),
        Norm(parameter="tilt", interpolation="linear", size=0.1),
        NormSys(parameter="tilt", hi=1.1, lo=0.9),
        HistoSys(parameter="tilt", hi_data=(1.0,) * 4, lo_data=(1.0,) * 4),
        ShapeSys(parameter="tilt", data=(1.0,) * 4),
        StatError(parameter="tilt", data=(1.0,) * 4),
        ShapeFactor(parameter="q"),
        Lumi(parameter="tilt"),
    ]
    (channel,) = toy().channels
    background = channel.samples[1].model_copy(update={"modifiers": tuple(made)})
    workspace = toy(channels=(channel.model_copy(update={"samples": (background,)}),))
    assert Workspace.from_json(workspace.to_json().encode()).channels[0].samples[0].modifiers == tuple(made)
