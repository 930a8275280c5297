import json

import numpy as np
import pytest
from interop_workspaces import CHARGE, gaussian, joint, many

from nuemstat.errors import WorkspaceError
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.checkpoints import CheckPoints, check_points, own_interpolation, verify

pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf


def test_points_lie_on_both_sides_and_within_three_sigma():
    made = joint()
    points = check_points(made)
    assert len(points.points) == 20
    charges = [point.values[CHARGE] for point in points.points]
    assert min(charges) < 0 < max(charges)
    for name in ("flux", "tilt", "slope"):
        pulls = [point.values[name] for point in points.points]
        assert -3 <= min(pulls) < 0 < max(pulls) <= 3


def test_they_are_the_likelihoods_own_differences():
    made = joint()
    points, likelihood = check_points(made), Likelihood(made)
    zero = likelihood(likelihood.vector(points.reference))
    for point in points.points:
        assert likelihood(likelihood.vector(point.values)) - zero == pytest.approx(point.native, rel=1e-11)


def test_stock_pyhf_agrees_where_the_functions_are_its_own():
    for point in check_points(joint()).points:
        assert point.histfactory == pytest.approx(point.native, abs=1e-8)
    made = joint(shape=many)
    assert own_interpolation(made) == {"quenching"}
    points = check_points(made).points
    for point in points[:10]:
        assert "quenching" not in point.values
        assert point.histfactory == pytest.approx(point.native, abs=1e-8)
    assert max(abs(p.histfactory - p.native) for p in points[10:]) > 1e-6
    for point in check_points(gaussian()).points:
        assert point.histfactory == pytest.approx(point.native, abs=2e-3 * 4)


def test_they_are_written_and_read_back(tmp_path):
    points = check_points(joint(), points=3)
    points.write(tmp_path / "points.json")
    assert CheckPoints.read(tmp_path / "points.json") == points
    verify(joint(), points)


def test_the_same_seed_gives_the_same_points():
    assert check_points(joint(), points=2) == check_points(joint(), points=2)
    assert check_points(joint(), points=2) != check_points(joint(), points=2, seed=2)


def test_points_of_another_workspace_are_refused():
    with pytest.raises(WorkspaceError, match="they belong to sha256"):
        verify(gaussian(), check_points(joint(), points=1))


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda c: c.update(schema="nuemstat/checkpoints/2"), "found 'nuemstat/checkpoints/2'; this version reads"),
        (lambda c: c.update(points=[]), "points: "),
        (lambda c: c["points"][0].update(colour=1.0), "unknown key 'colour'"),
        (lambda c: c["points"][0]["values"].update(spin=1.0), "'spin' is no parameter of toy"),
        (lambda c: c["points"][0].update(native=0.5), r"points\.0: 2 NLL is .* 0.5 is expected"),
    ],
)
def test_bad_check_points_are_one_clear_line(change, pattern, tmp_path):
    content = json.loads(check_points(joint(), points=1).model_dump_json(by_alias=True))
    change(content)
    path = tmp_path / "points.json"
    path.write_text(json.dumps(content))
    with pytest.raises(WorkspaceError, match=pattern):
        verify(joint(), CheckPoints.read(path), where=str(path))


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    content = check_points(joint(), points=1).model_dump(by_alias=True, mode="json")
    content["points"][0]["native"] = np.nan
    (tmp_path / "points.json").write_text(json.dumps(content))
    with pytest.raises(WorkspaceError, match="finite number"):
        CheckPoints.read(tmp_path / "points.json")
