"""Two-sided errors of a published value: one half of a parabola on each side, joined at the value."""

import hashlib
import json

import numpy as np
import pytest

from nuemstat.errors import ModelError
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model
from nuemstat.report import pictures
from nuemstat.report.spectra import spectra
from nuemstat.resources import models_folder
from nuemstat.stats.data import Data
from nuemstat.stats.intervals import limit
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.toys import Thrower
from nuemstat.stats.valley import Table
from nuemstat.workspace.checkpoints import check_points
from nuemstat.workspace.document import LATER, Axis, Channel, CouplingParameter, Sample, Workspace
from nuemstat.workspace.from_hs3 import read_hs3
from nuemstat.workspace.from_root import read_root
from nuemstat.workspace.hepdata import channel_table
from nuemstat.workspace.to_hs3 import to_hs3, write_hs3
from nuemstat.workspace.to_pyhf import to_pyhf
from nuemstat.workspace.to_root import write_root

UP, DOWN, SEEN = 0.4, 0.25, 0.59


def workspace(name: str = "mu", *, observed: float = SEEN) -> Workspace:
    """Expects 1 x mu, observes 0.59 +0.40 -0.25."""
    channel = Channel(
        name="scale",
        experiment="One number",
        datasets=("one",),
        axes=(Axis(name="scale", unit="1", edges=(0.0, 1.0)),),
        observed=(observed,),
        statistic="gaussian",
        errors=(UP,),
        errors_below=(DOWN,),
        samples=(Sample(name=f"cevns__x__{name}", process="cevns", monomial={name: 1}, contents=(1.0,)),),
    )
    norm = CouplingParameter(name=name, unit="1", scale=1.0, default=1.0, bounds=(None, None))
    return Workspace(name="one", channels=(channel,), parameters=(norm,))


@pytest.mark.parametrize(("expected", "q"), [(0.99, 1.0), (1.39, 4.0), (0.34, 1.0), (0.09, 4.0), (0.59, 0.0)])
def test_each_side_has_its_width(expected, q):
    likelihood = Likelihood(workspace())
    assert likelihood(likelihood.vector({"mu": expected})) == pytest.approx(q, abs=1e-12)


@pytest.mark.parametrize("expected", [0.2, 0.589, 0.59, 0.591, 1.2])
def test_gradient(expected):
    likelihood = Likelihood(workspace())
    x, step = likelihood.vector({"mu": expected}), np.array([1e-6])
    slope = (likelihood(x + step) - likelihood(x - step)) / 2e-6
    assert likelihood.gradient(x)[0] == pytest.approx(slope, abs=2e-5)


def test_the_interval_is_the_published_one():
    found = limit(workspace(), "mu", cl=0.6826894921370859)
    assert found.intervals[0] == pytest.approx((SEEN - DOWN, SEEN + UP), abs=1e-4)


def test_toys_have_the_width_of_their_side():
    likelihood = Likelihood(workspace())
    truth = likelihood.vector({"mu": 1.0})
    seeds = [np.random.SeedSequence(3, spawn_key=(i,)) for i in range(4000)]
    counts, _ = Thrower(likelihood)(truth, seeds)
    values = counts[:, 0]
    error = np.sqrt(0.25 / len(values))
    assert abs(np.mean(values < 1.0) - 0.5) < 3 * error
    # A datum below what is expected has the upper error.
    low, high = values[values < 1.0], values[values >= 1.0]
    assert np.sqrt(np.mean((low - 1.0) ** 2)) == pytest.approx(UP, rel=0.05)
    assert np.sqrt(np.mean((high - 1.0) ** 2)) == pytest.approx(DOWN, rel=0.05)
    data = Data.of(likelihood.workspace, np.zeros(1))
    q = np.array([float(data.replaced(value[None]).value(np.ones(1))) for value in values])
    assert abs(np.mean(q > 1.0) - 0.3173) < 3 * np.sqrt(0.3173 * 0.6827 / len(values))


def test_the_table_of_starts_has_the_same_differences():
    likelihood = Likelihood(workspace())
    places = np.array([likelihood.vector({"mu": value}) for value in (0.1, 0.5, 0.9, 1.6)])
    counts = np.array([[0.3], [0.7], [1.2]])
    found = Table(likelihood, places)(counts, np.zeros((3, 1)))
    wanted = np.array([[likelihood.with_data(toy)(place) for place in places] for toy in counts])
    assert found - found[:, :1] == pytest.approx(wanted - wanted[:, :1], abs=1e-12)


def test_native_forms_keep_both_sides(tmp_path):
    write_root(workspace(), tmp_path / "one.root")
    assert read_root(tmp_path / "one.root").channels == workspace().channels
    assert Workspace.from_json(workspace().to_json().encode()) == workspace()
    path, _ = write_hs3(workspace("magnetic_moment_e"), tmp_path)
    assert read_hs3(path) == workspace("magnetic_moment_e")


def test_hs3_says_both_sides_in_formulas():
    """One error around a mean that is stretched below the value: 2 NLL of the document is that of the workspace."""
    made = workspace("magnetic_moment_e")
    export = to_hs3(made, floating=made.couplings)
    assert not any("wider" in note for note in export.notes)
    constants = {p["name"]: p["value"] for p in export.document["parameter_points"][0]["parameters"]}
    functions = {f["name"]: f["expression"] for f in export.document["functions"]}
    (term,) = (d for d in export.document["distributions"] if d["type"] == "gaussian_dist")
    likelihood = Likelihood(made)
    for value in (0.2, 0.5, 0.59, 0.7, 1.3):
        known: dict[str, float] = constants | {"magnetic_moment_e": value}
        for name, expression in functions.items():  # in the order in which they are needed
            known[name] = eval(expression, {"abs": abs, "pow": pow, "exp": np.exp}, known)
        found = ((known[term["mean"]] - known[term["x"]]) / known[term["sigma"]]) ** 2
        assert found == pytest.approx(likelihood(likelihood.vector({"magnetic_moment_e": value})), abs=1e-12)


def test_pyhf_has_the_wider_error_and_says_so():
    export = to_pyhf(workspace())
    assert any("errors that differ on both sides; both are written as the wider one" in note for note in export.notes)
    (channel,) = workspace().channels
    one = channel.model_copy(update={"errors": (max(UP, DOWN),), "errors_below": None})
    plain = workspace().model_copy(update={"channels": (one,)})
    assert export.document["channels"] == to_pyhf(plain).document["channels"]
    assert export.document["observations"] == to_pyhf(plain).document["observations"]


def test_check_points_hold_of_all_forms():
    made = workspace("magnetic_moment_e", observed=0.95)
    points = check_points(made)
    assert any(point.native != pytest.approx(point.histfactory, rel=1e-2) for point in points.points)
    for point in points.points:
        assert point.hs3 == pytest.approx(point.native, abs=1e-9)


def test_hepdata_tables_have_both_sides():
    cells = channel_table(workspace().channels[0], np.array([1.0]))["dependent_variables"][0]["values"]
    assert cells == [{"value": SEEN, "errors": [{"asymerror": {"plus": UP, "minus": -DOWN}}]}]


def test_a_document_without_them_keeps_its_digest():
    # sha256 of the canonical content as it was before errors could differ
    channel = workspace().channels[0].model_copy(update={"errors_below": None})
    plain = workspace().model_copy(update={"channels": (channel,)})
    content = plain.model_dump(mode="json", by_alias=True, exclude={"provenance"})
    for where in (content, content["channels"][0]):
        for later in LATER & where.keys():
            del where[later]
    before = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    assert plain.digest == "sha256:" + hashlib.sha256(before.encode()).hexdigest()
    assert workspace().digest != plain.digest


def test_a_document_needs_both_sides():
    content = workspace().channels[0].model_dump() | {"errors": None, "covariance": ((0.1,),)}
    with pytest.raises(ValueError, match="has errors_below without errors"):
        Channel.model_validate(content)


@pytest.mark.parametrize(("errors", "words"), [
    ('{up: [0.4], down: [-0.2], source: s}', "found up 0.4 and down -0.2; as many errors of one side as of the other"),
    ('{up: [0.4, 0.3], down: [0.2], source: s}', "found up 0.4, 0.3 and down 0.2"),
    ('{up: [0.4], down: [0], source: s}', "found up 0.4 and down 0"),
    ('{up: [.nan], down: [0.2], source: s}', "up.0: found nan"),
    ('{up: [0.4], source: s}', "down"),
])  # fmt: skip
def test_in_a_model(tmp_path, errors, words):
    text = (models_folder() / "rovno" / "model.yaml").read_text()
    line = next(line for line in text.splitlines() if "errors: {values:" in line)
    good = '    errors: {up: [0.7], down: [0.5], source: "made up"}'
    (tmp_path / "model.yaml").write_text(text.replace(line, good))
    channel = compile_model(load_model(str(tmp_path / "model.yaml"))).channels[0]
    assert (channel.errors, channel.errors_below) == ((0.7,), (0.5,))
    (tmp_path / "model.yaml").write_text(text.replace(line, f"    errors: {errors}"))
    with pytest.raises(ModelError, match=r"channels\.rovno\.errors") as caught:
        compile_model(load_model(str(tmp_path / "model.yaml")))
    assert words in str(caught.value)


def test_spectra_are_drawn_with_both_sides():
    (spectrum,) = spectra((), workspace("magnetic_moment_e"))
    assert (spectrum.errors.tolist(), spectrum.errors_below.tolist()) == ([UP], [DOWN])
    (picture,) = pictures.spectra([spectrum])
    lines = [line for line in picture.csv.splitlines() if not line.startswith("#")]
    assert lines[0].split(",")[2:5] == ["observed", "error", "error_below"]
    assert [float(cell) for cell in lines[1].split(",")[2:5]] == pytest.approx([SEEN, UP, DOWN], rel=1e-6)
