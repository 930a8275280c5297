"""Stock pyhf channel by channel is stock pyhf of the whole document."""

import json

import numpy as np
import pytest
from interop_workspaces import CHARGE, RADIUS, gaussian, joint, many, mixed
from pyhf_examples import everything, statistics_in_two_channels

from nuemstat.errors import WorkspaceError
from nuemstat.strict import tupled
from nuemstat.workspace.from_pyhf import from_pyhf
from nuemstat.workspace.stock_pyhf import StockPyhf
from nuemstat.workspace.to_pyhf import pyhf_parameters, to_pyhf

pyhf = pytest.importorskip("pyhf")
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf


def centred():
    """All kinds of modifiers, without the constraint centred elsewhere that pyhf files cannot be written with again."""
    document = everything()
    config = document["measurements"][0]["config"]
    config["parameters"] = [s for s in config["parameters"] if s["name"] == "lumi" or "auxdata" not in s]
    return from_pyhf(tupled(document), name="every")


MADE = {
    "joint": joint,
    "anchors": lambda: joint(shape=many),
    "mixed": mixed,
    "gaussian": gaussian,
    "every kind": centred,
    "two staterrors": lambda: from_pyhf(tupled(statistics_in_two_channels()), name="two"),
}


def drawn(made, generator):
    """Values of all parameters that have one number."""
    kinds = {m.parameter: m.type for c in made.channels for s in c.samples for m in s.modifiers}
    values = {}
    for parameter in made.parameters:
        if kinds.get(parameter.name) in ("shapesys", "staterror", "shapefactor") or parameter.kind == "derived":
            continue
        values[parameter.name] = float(generator.uniform(-0.5, 0.5) + (parameter.kind == "free"))
    return values


@pytest.mark.parametrize("name", MADE)
def test_differences_are_those_of_one_model(name):
    made = MADE[name]()
    export = to_pyhf(made)
    whole = pyhf.Workspace(json.loads(json.dumps(export.document)), validate=False)
    model = whole.model(validate=False)
    data = whole.data(model)
    stock = StockPyhf(export, export.document)
    generator = np.random.default_rng(8)
    gaussian_bins = sum(c.size for c in made.channels if c.statistic == "gaussian")
    apart = []
    for _ in range(6):
        values = drawn(made, generator)
        theirs = -2 * float(np.ravel(model.logpdf(pyhf_parameters(export, model.config, values), data))[0])
        apart.append(stock(values) - theirs)
    assert np.ptp(apart) < 1e-9 + 2e-6 * gaussian_bins  # pseudo-counts cost digits


def test_terms_add_up_and_a_shared_constraint_counts_once():
    made = joint()
    stock = StockPyhf(to_pyhf(made), to_pyhf(made).document)
    channels, constraints = stock.terms({"flux": 2.0, CHARGE: 0.5, RADIUS: 0.1})
    _, base = stock.terms({CHARGE: 0.5, RADIUS: 0.1})
    assert set(channels) == {"counts", "plane"}
    assert constraints - base == pytest.approx(4.0, abs=1e-12)


def test_what_pyhf_does_not_take_is_one_line():
    export = to_pyhf(joint())
    document = json.loads(json.dumps(export.document))
    document["channels"][0]["samples"][0]["modifiers"].append({"name": "x", "type": "magic", "data": None})
    with pytest.raises(WorkspaceError, match=r"file\.json: pyhf does not take it \(InvalidModifier\)"):
        StockPyhf(export, document, "file.json")
