import json
import math
import re

import numpy as np
import pytest
import uproot
from interop_workspaces import CHARGE, RADIUS, gaussian, joint, many

from nuemstat.detector.response import ResponseMatrix
from nuemstat.detector.supplied import read_response
from nuemstat.errors import WorkspaceError
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model
from nuemstat.resources import models_folder
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.combine_datacard import to_datacard, write_datacard
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.from_root import read_root
from nuemstat.workspace.to_root import varied, write_response, write_root


@pytest.mark.parametrize("make", [joint, lambda: joint(shape=many), gaussian])
def test_what_is_written_is_read_back(make, tmp_path):
    made = make()
    write_root(made, tmp_path / "toy.root")
    assert read_root(tmp_path / "toy.root") == made


@pytest.mark.parametrize("name", ["lz_sr1", "dresden2"])
def test_shipped_workspaces_are_read_back(name, tmp_path):
    made = compile_model(load_model(name))
    write_root(made, tmp_path / "file.root")
    assert read_root(tmp_path / "file.root").digest == made.digest


def test_histograms_have_the_axes_and_numbers_of_the_channel(tmp_path):
    made = joint()
    write_root(made, tmp_path / "toy.root")
    counts, plane = made.channels
    with uproot.open(tmp_path / "toy.root") as file:
        values, edges = file["counts/background"].to_numpy()
        np.testing.assert_array_equal(values, counts.samples[0].contents)
        np.testing.assert_array_equal(edges, counts.axes[0].edges)
        assert file["counts/data_obs"].axis().member("fTitle") == "energy [keV]"
        observed, x, y = file["plane/data_obs"].to_numpy()
        np.testing.assert_array_equal(observed.ravel(), plane.observed)
        np.testing.assert_array_equal((x, y), [axis.edges for axis in plane.axes])
        sample = counts.samples[1]
        for end, alpha in (("Up", 1.0), ("Down", -1.0)):
            template = file[f"counts/{sample.name}_tilt{end}"].values()
            np.testing.assert_array_equal(template, varied(counts, sample, "tilt", alpha))
            (shape,) = [m for m in sample.modifiers if m.type == "shape"]
            change = next(anchor.values for anchor in shape.anchors if anchor.alpha == alpha)
            np.testing.assert_allclose(template - sample.contents, change, atol=1e-12)
        np.testing.assert_array_equal(file["plane/background_slopeUp"].values().ravel(), [9, 8, 7, 6])


def test_bins_of_more_than_three_axes_are_numbered_through(tmp_path):
    made = Workspace.read(models_folder().parent / "workspaces" / "xenonnt_b8.json")
    assert len(made.channels[0].axes) == 4
    write_root(made, tmp_path / "file.root")
    assert read_root(tmp_path / "file.root").digest == made.digest
    with uproot.open(tmp_path / "file.root") as file:
        held = file[f"{made.channels[0].name}/data_obs"]
        np.testing.assert_array_equal(held.values(), made.channels[0].observed)
        assert held.axis().member("fTitle") == f"bin ({' x '.join(axis.name for axis in made.channels[0].axes)})"


def test_an_edited_histogram_is_what_is_read(tmp_path):
    write_root(joint(), tmp_path / "toy.root")
    with uproot.update(tmp_path / "toy.root") as file:
        old = file["counts/data_obs"].to_numpy()
        file["counts/data_obs"] = (old[0] + 1, old[1])
    found = read_root(tmp_path / "toy.root")
    assert found.channels[0].observed == tuple(n + 1 for n in joint().channels[0].observed)


def test_a_response_is_read_back(tmp_path):
    recoil, visible = np.array([1e-3, 2e-3, 4e-3]), np.array([0.5e-3, 1e-3, 1.5e-3, 2e-3])
    matrix = np.array([[0.1, 0.2, 0.3], [0.0, 0.4, 0.5]])
    write_response(ResponseMatrix(recoil, visible, matrix), tmp_path / "response.root")
    found = read_response(tmp_path / "response.root")
    np.testing.assert_allclose(found.recoil_edges, recoil)
    np.testing.assert_allclose(found.visible_edges, visible)
    np.testing.assert_array_equal(found.matrix, matrix)
    assert found.visible_unit == "keVee"


def test_bad_root_files_are_one_clear_line(tmp_path):
    path = tmp_path / "toy.root"
    path.write_text("no ROOT")
    with pytest.raises(WorkspaceError, match="cannot be read as ROOT"):
        read_root(path)
    with pytest.raises(WorkspaceError, match=r"toy\.root: is there already; it is kept unless --force"):
        write_root(joint(), path)
    assert path.read_text() == "no ROOT"
    with uproot.recreate(path) as file:
        file["other"] = "text"
    with pytest.raises(WorkspaceError, match="found no text 'workspace'"):
        read_root(path)
    with uproot.recreate(path) as file:
        file["workspace"] = json.dumps({"schema": "nuemstat/workspace/2"})
    with pytest.raises(WorkspaceError, match="found 'nuemstat/workspace/2'; this version reads"):
        read_root(path)
    with uproot.recreate(path) as file:
        file["workspace"] = json.dumps({"schema": "nuemstat/workspace/1", "channels": [{"observed": "gone"}]})
    with pytest.raises(WorkspaceError, match="found no histogram 'gone'"):
        read_root(path)
    with pytest.raises(WorkspaceError, match="cannot be written"):
        write_root(joint(), path / "below.root")


class Card:
    """A datacard as Combine reads it: templates, weights as formulas, nuisances."""

    def __init__(self, path) -> None:
        lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
        columns = [line[1:] for line in lines if line[0] in ("bin", "process", "rate")]
        self.channels, bins, self.processes, self.identifiers, rates = columns
        assert set(rates) == {"-1"}
        self.columns = list(zip(bins, self.processes, strict=True))
        (shapes,) = [line for line in lines if line[0] == "shapes"]
        assert shapes[4:] == ["$CHANNEL/$PROCESS", "$CHANNEL/$PROCESS_$SYSTEMATIC"]
        self.file = uproot.open(path.parent / shapes[3])
        self.rates = {tuple(line[2:4]): line[4:] for line in lines if line[1] == "rateParam"}
        self.arguments = {line[0]: float(line[2]) for line in lines if line[1] == "extArg"}
        self.nuisances = {line[0]: (line[1], line[2:]) for line in lines if line[1] in ("lnN", "shape")}

    def weight(self, column, values) -> float:
        if column not in self.rates:
            return 1.0
        formula, names = self.rates[column]
        found = 0.0
        for number, factors in re.findall(r"\(([^()]+)\)((?:\*@\d+)*)", formula):
            arguments = [values[names.split(",")[int(place)]] for place in re.findall(r"\d+", factors)]
            found += float(number) * math.prod(arguments)
        return found

    def counts(self, values, nuisance="", alpha=0) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        kind, cells = self.nuisances.get(nuisance, ("", ["-"] * len(self.columns)))
        for column, cell in zip(self.columns, cells, strict=True):
            name, factor = "/".join(column), 1.0
            if cell != "-" and kind == "shape":
                name += f"_{nuisance}{'Up' if alpha > 0 else 'Down'}"
            elif cell != "-":
                factor = float(cell.split("/")[alpha > 0])
            template = self.file[name].values()
            assert (template >= 0).all()
            found[column[0]] = found.get(column[0], 0) + self.weight(column, values) * factor * template
        return found


POINTS = [{}, {CHARGE: 1.5}, {CHARGE: -2.0, RADIUS: 1.2}, {RADIUS: -4.0, "background_norm": 1.3}]


@pytest.mark.parametrize("couplings", [(CHARGE,), (CHARGE, RADIUS)])
def test_a_datacard_expects_what_the_workspace_expects(couplings, tmp_path):
    made = joint(shape=many)
    write_datacard(made, tmp_path, couplings)
    card, likelihood = Card(tmp_path / "toy.datacard.txt"), Likelihood(made)
    assert set(card.nuisances) == {"flux", "slope", "quenching"}
    assert card.nuisances["quenching"][0] == "shape"
    for values in POINTS:
        values = {k: v for k, v in values.items() if k in couplings or k == "background_norm"}
        for nuisance, alpha in [("", 0), *((n, a) for n in card.nuisances for a in (-1, 1))]:
            ours = likelihood.expected(likelihood.vector(values | ({nuisance: float(alpha)} if nuisance else {})))
            theirs = card.counts(card.arguments | values, nuisance, alpha)
            for name, counts in ours.items():
                np.testing.assert_allclose(theirs[name], counts, rtol=1e-9)


def test_a_datacard_of_a_shipped_workspace(tmp_path):
    made = compile_model(load_model("lz_sr1"))
    write_datacard(made, tmp_path, [CHARGE, RADIUS])
    card, likelihood = Card(tmp_path / "lz_sr1.datacard.txt"), Likelihood(made)
    for values in ({}, {CHARGE: 2.0, RADIUS: 30.0}, {CHARGE: -1.0}):
        theirs = card.counts(card.arguments | values)["lz_sr1"]
        np.testing.assert_allclose(theirs, likelihood.counts(likelihood.vector(values)), rtol=1e-9)
    signals = {p for p, number in zip(card.processes, card.identifiers, strict=True) if int(number) <= 0}
    assert signals
    assert all(p.startswith("electron__p") for p in signals)


def test_what_no_datacard_can_say_is_one_clear_line(tmp_path):
    with pytest.raises(WorkspaceError, match="found 0 couplings; a datacard holds one or two"):
        to_datacard(joint(), [])
    with pytest.raises(WorkspaceError, match=r"no coupling 'charge_radius_e'.*did you mean"):
        to_datacard(joint(), ["charge_radius_e"])
    with pytest.raises(WorkspaceError, match="channel rates is Gaussian"):
        to_datacard(gaussian(), [CHARGE])
    write_datacard(joint(), tmp_path, [CHARGE])
    with pytest.raises(WorkspaceError, match="is there already"):
        write_datacard(joint(), tmp_path, [CHARGE])


def test_a_process_that_is_negative_everywhere_has_no_basis():
    made = joint()
    first, *rest = made.channels
    samples = tuple(
        s.model_copy(update={"contents": tuple(-abs(c) - 100 for c in s.contents)}) if s.process == "electron" else s
        for s in first.samples
    )
    bad = made.model_copy(update={"channels": (first.model_copy(update={"samples": samples}), *rest)})
    with pytest.raises(WorkspaceError, match="process electron: no template is negative at 0 of 9 points"):
        to_datacard(bad, [CHARGE])
