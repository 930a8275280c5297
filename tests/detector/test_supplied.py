import numpy as np
import pytest

from nuemstat import units
from nuemstat.detector.supplied import read_response
from nuemstat.errors import ModelError

RECOIL = np.array([0.5, 1.0, 2.0, 4.0])  # keV
VISIBLE = np.array([0.0, 10.0, 30.0])  # PE
MATRIX = np.array([[0.1, 0.0], [0.4, 0.2], [0.1, 0.6]])


def write_csv(path, rows=None, header="recoil_low [keV],recoil_high [keV],visible_low [PE],visible_high [PE]"):
    rows = rows or [
        (RECOIL[i], RECOIL[i + 1], VISIBLE[j], VISIBLE[j + 1], MATRIX[i, j]) for i in (2, 0, 1) for j in (1, 0)
    ]
    lines = ["# title: a response", f"{header},probability", *(",".join(f"{x:.17g}" for x in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_npz(path, **changes):
    content = {
        "recoil_edges": RECOIL,
        "visible_edges": VISIBLE,
        "matrix": MATRIX,
        "recoil_unit": np.array("keV"),
        "visible_unit": np.array("PE"),
    } | changes
    np.savez(path, **{name: values for name, values in content.items() if values is not None})
    return path


def write_root(path, title="nuclear recoil [keV]", names=("response",)):
    uproot = pytest.importorskip("uproot")
    axes = [
        uproot.writing.identify.to_TAxis(name, heading, len(edges) - 1, edges[0], edges[-1], fXbins=edges)
        for name, heading, edges in (("xaxis", title, RECOIL), ("yaxis", "light [PE]", VISIBLE))
    ]
    padded = np.pad(MATRIX, 1).T.ravel()  # ROOT keeps under- and overflow, x running fastest
    histogram = uproot.writing.identify.to_TH2x(
        "response",
        "response",
        padded,
        float(padded.size),
        *(0.0,) * 7,
        np.zeros(padded.size),
        *axes,
    )
    with uproot.recreate(path) as file:
        for name in names:
            file[name] = histogram
    return path


@pytest.mark.parametrize("kind", ["csv", "npz", "root"])
def test_every_form_gives_the_same_response(tmp_path, kind):
    path = {"csv": write_csv, "npz": write_npz, "root": write_root}[kind](tmp_path / f"response.{kind}")
    response = read_response(
        path, recoil_unit="keV", visible_unit="PE", visible_edges=VISIBLE, visible_name="photo_electrons"
    )
    np.testing.assert_allclose(response.recoil_edges, RECOIL * units.keV, rtol=1e-14)
    np.testing.assert_array_equal(response.visible_edges, VISIBLE)
    np.testing.assert_allclose(response.matrix, MATRIX, rtol=1e-15)
    assert (response.visible_name, response.visible_unit) == ("photo_electrons", "PE")
    np.testing.assert_allclose(response.efficiency, [0.1, 0.6, 0.7])


def test_units_may_differ_in_size_but_not_in_kind(tmp_path):
    path = write_npz(tmp_path / "r.npz", recoil_edges=RECOIL * 1e3, recoil_unit=np.array("eV"))
    np.testing.assert_allclose(read_response(path, recoil_unit="keV").recoil_edges, RECOIL * units.keV, rtol=1e-14)
    with pytest.raises(ModelError, match="visible_unit: found 'PE'; expected energy, such as 'keVee'"):
        read_response(path, visible_unit="keVee")


def test_a_histogram_is_chosen_by_name(tmp_path):
    path = write_root(tmp_path / "two.root", names=("first", "second"))
    assert read_response(path, histogram="second").matrix.shape == (3, 2)
    with pytest.raises(ModelError, match="2 TH2; it holds first, second"):
        read_response(path)
    with pytest.raises(ModelError, match="no TH2 'third'; it holds first, second"):
        read_response(path, histogram="third")
    untitled = write_root(tmp_path / "untitled.root", title="recoil")
    assert read_response(untitled, recoil_unit="keV").recoil_edges[0] == pytest.approx(0.5 * units.keV)
    with pytest.raises(ModelError, match="the x axis is titled 'recoil'; a unit in brackets"):
        read_response(untitled)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matrix": None}, "no array 'matrix'"),
        ({"matrix": MATRIX.T}, r"shape \(2, 3\); its edges make \(3, 2\); recoils are the rows"),
        ({"matrix": -MATRIX}, "negative or infinite"),
        ({"matrix": MATRIX * np.nan}, "negative or infinite"),
        ({"matrix": MATRIX * 10}, "row 2 of the matrix sums to 7"),
        ({"matrix": np.array([["a"]])}, "matrix holds <U1; numbers are expected"),
        ({"recoil_edges": RECOIL[::-1]}, "recoil edges do not rise"),
        ({"recoil_edges": RECOIL - 1}, "recoil edges start at"),
        ({"recoil_unit": np.array("furlong")}, "'furlong' is not known"),
    ],
)
def test_a_damaged_npz_is_one_line_that_names_the_file(tmp_path, changes, message):
    path = write_npz(tmp_path / "r.npz", **changes)
    with pytest.raises(ModelError, match=message) as caught:
        read_response(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_bad_files_are_one_line(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        read_response(tmp_path / "none.csv")
    for suffix, message in ((".txt", "kind '.txt'"), (".npz", "as NPZ"), (".root", "as ROOT")):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(b"not a response")
        with pytest.raises(ModelError, match=message):
            read_response(path)
    good = write_npz(tmp_path / "r.npz")
    with pytest.raises(ModelError, match="2 bins from 0 to 30; the model has 3 bins from 0 to 40"):
        read_response(good, visible_edges=np.array([0.0, 10.0, 30.0, 40.0]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, 2, 0, 10, 0.1), (2, 3, 0, 10, 0.1), (1, 2, 10, 20, 0.1)], "3 rows; each of"),
        ([(1, 2, 0, 10, 0.1), (1, 2, 0, 10, 0.1)], "2 rows; each of"),
        ([(1, 2, 0, 10, 0.1), (2.5, 3, 0, 10, 0.1)], "recoil bins have gaps or overlap"),
    ],
)
def test_incomplete_tables_are_one_line(tmp_path, rows, message):
    with pytest.raises(ModelError, match=message):
        read_response(write_csv(tmp_path / "r.csv", rows))
