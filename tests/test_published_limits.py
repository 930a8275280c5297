"""The collection of published limits: every row seen somewhere, unique, converted once, and as the Listings have it."""

import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from nuemstat import published_limits as collection
from nuemstat.errors import ModelError
from nuemstat.published_limits import PublishedLimit, check, published, read, unseen
from nuemstat.resources import data_file

ROOT = Path(__file__).resolve().parent.parent
GOOD = {
    "key": "gemma_2013", "coupling": "magnetic_moment", "flavour": "e", "kind": "limit", "lower": "none",
    "upper": "2.9e-11", "value": "none", "unit": "mu_B", "cl": "90", "experiment": "GEMMA", "year": "2013",
    "origin": "official", "convention": "none", "source": "doi:10.1134/S1547477113020027", "status": "read",
    "read_in": "abstract", "pdg": "none", "superseded_by": "none", "condition": "none", "note": "none",
}  # fmt: skip
RADIUS = GOOD | {"coupling": "charge_radius", "unit": "cm^2", "convention": "half", "lower": "-2e-32", "upper": "3e-32"}


@pytest.fixture(scope="module")
def tool():
    """tools/pdg_limits.py, which is not part of the package."""
    spec = importlib.util.spec_from_file_location("pdg_limits", ROOT / "tools" / "pdg_limits.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["pdg_limits"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["pdg_limits"]


def row(**changes) -> PublishedLimit:
    return PublishedLimit.model_validate(GOOD | changes)


def written(tmp_path, cells) -> Path:
    path = tmp_path / "limits.csv"
    path.write_text("# title: test\n" + ",".join(cells) + "\n" + ",".join(cells.values()) + "\n")
    return path


# The rows.


def test_no_row_is_from_memory_and_each_says_where_it_was_read():
    for entry in published():
        assert entry.status in ("read", "listed", "quoted"), entry.key
        assert len(entry.read_in) > 7, entry.key
        assert not re.search(r"memory|recall|nowhere|\.\./|(^| )/", entry.read_in), entry.key
    assert {entry.status for entry in unseen()} == {"open"}
    assert not any(entry.compared for entry in unseen())


def test_keys_are_unique_and_no_number_stands_twice():
    both = (*published(), *unseen())
    assert max(Counter(entry.key for entry in both).values()) == 1
    same = Counter((e.coupling, e.flavour, e.experiment, e.year, e.ends, e.cl, e.origin, e.convention) for e in both)
    assert [which for which, number in same.items() if number > 1] == []


def test_a_radius_that_is_printed_as_half_is_doubled_once():
    texono = next(e for e in published() if e.key == "texono_csi_tl_2010_radius_e")
    assert (texono.lower, texono.upper) == (-2.1e-32, 3.3e-32), "as printed"
    assert texono.ends == pytest.approx((-4.2e-32, 6.6e-32), abs=0)
    assert texono.size == pytest.approx(6.6e-32, abs=0)
    measured = next(e for e in published() if e.key == "lampf_e225_1993_radius_e")
    assert measured.written == "1.8e-32 +5.4e-32 -5.4e-32"
    for name, year in (("TEXONO CsI(Tl)", 2010), ("CHARM-II", 1995)):
        found = [e for e in published() if (e.experiment, e.year, e.coupling) == (name, year, "charge_radius")]
        assert len(found) == 1, "one measurement, one row"
    assert {e.convention for e in published() if e.coupling != "charge_radius"} == {"none"}


def test_rows_that_were_wrong():
    by_key = {entry.key: entry for entry in published()}
    helium = by_key["bbn_1981_moment_any"]
    assert (helium.upper, "90868-6" in helium.source) == (2e-11, True)
    assert by_key["globular_clusters_1990_moment_any"].upper == 2e-12
    assert by_key["globular_clusters_1999_moment_any"].upper == 3e-12
    assert by_key["tristan_venus_topaz_amy_2000_moment_tau"].upper == 8.0e-6
    assert by_key["omega_centauri_2015_moment_any"].cl == "90"
    assert (by_key["bbn_and_neff_2022_moment_any"].upper, by_key["neff_2023_moment_any"].upper) == (1.6e-11, 2.7e-12)
    assert "2211.04669" in by_key["neff_2023_moment_any"].source
    assert by_key["bebc_1994_charge_tau"].cl == "not stated"
    assert by_key["ccfr_2003_radius_mu"].upper == 6.8e-33
    assert by_key["lep_2_2003_radius_tau"].upper == 9.9e-32


def test_what_supersedes_a_row_is_there_and_later():
    by_key = {entry.key: entry for entry in published()}
    named = [entry for entry in published() if entry.superseded_by]
    assert len(named) > 10
    for entry in named:
        later = by_key[entry.superseded_by]
        assert (later.coupling, later.year >= entry.year) == (entry.coupling, True)
    assert by_key["gemma_2007_moment_e"].superseded_by == "gemma_2010_moment_e"
    assert by_key["gemma_2010_moment_e"].superseded_by == "gemma_2013_moment_e"


def test_the_page_counts_what_is_there():
    text = (ROOT / "docs" / "limits.md").read_text()
    counted = {name: int(number) for name, number in re.findall(r"^\| `(\S+)` \|.* (\d+) \|$", text, re.MULTILINE)}
    both = (*published(), *unseen())
    assert counted == Counter(e.status for e in both) | Counter(e.kind for e in published())


# Bad rows.


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "memory"}, "status: found 'memory'; input should be 'read', 'listed', 'quoted' or 'open'"),
        ({"read_in": "memory"}, "read_in: found memory, which is no place"),
        ({"read_in": "nowhere"}, "read_in: found 'nowhere' with status read"),
        ({"status": "open"}, "read_in: found 'abstract' with status open"),
        ({"status": "listed"}, "pdg: a row of status listed names node and document"),
        ({"upper": "few 1e-12"}, "upper: found 'few 1e-12'"),
        ({"upper": "nan"}, "finite number"),
        ({"lower": "3e-11"}, "lower: found 3e-11 and upper 2.9e-11"),
        ({"lower": "1e-11"}, "kind: found limit for an interval without 0"),
        ({"kind": "two-sided"}, "kind: found two-sided for an interval with 0"),
        ({"kind": "measurement"}, "value: goes with kind measurement"),
        ({"kind": "guess"}, "kind: found 'guess'"),
        ({"value": "1e-11"}, "value: goes with kind measurement"),
        ({"kind": "measurement", "lower": "0", "value": "3e-11"}, "value: found 3e-11, which is not between"),
        ({"unit": "e"}, "unit: found 'e'; mu_B is that of magnetic_moment"),
        ({"cl": "190"}, "cl: found '190'; per cent between 0 and 100"),
        ({"convention": "half"}, "convention: none for moments and charges"),
        ({"flavour": "electron"}, "flavour: found 'electron'"),
        ({"origin": "ours"}, "origin: found 'ours'"),
        ({"year": "2013.5"}, "year: found '2013.5'"),
        ({"key": "1997"}, "key: found '1997'"),
        ({"experiment": ""}, "experiment: found ''"),
    ],
)
def test_a_bad_row_is_one_line(tmp_path, change, told):
    with pytest.raises(ModelError) as caught:
        read(written(tmp_path, GOOD | change))
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'limits.csv'}: ")
    assert "\n" not in str(caught.value)


def test_a_column_that_is_missing_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"columns convention, key are missing or not known"):
        read(written(tmp_path, {name: cell for name, cell in GOOD.items() if name not in ("key", "convention")}))


def test_rows_are_checked_together():
    later = row(key="gemma_2015", year="2015")
    check([row(superseded_by="gemma_2015"), later], [])
    with pytest.raises(ModelError, match="key 'gemma_2013' stands twice"):
        check([row(), row()], [])
    with pytest.raises(ModelError, match=r"limits\.csv: gemma_2013: status open belongs into the other file"):
        check([row(status="open", read_in="nowhere")], [])
    with pytest.raises(ModelError, match=r"open\.csv: gemma_2013: status read belongs into the other file"):
        check([], [row()])
    for wrong in ("gemma_2999", "gemma_2013", "gemma_1999"):
        with pytest.raises(ModelError, match=f"superseded_by: found '{wrong}'; a later row of limits.csv"):
            check([row(superseded_by=wrong), row(key="gemma_1999", year="1999")], [])
    with pytest.raises(ModelError, match="superseded_by: found 'hidden'"):
        check([row(superseded_by="hidden")], [row(key="hidden", year="2020", status="open", read_in="nowhere")])


def test_radii_have_a_convention(tmp_path):
    (found,) = read(written(tmp_path, RADIUS))
    assert found.ends == (-4e-32, 6e-32)
    with pytest.raises(ModelError, match="ours, half or not stated for radii"):
        read(written(tmp_path, RADIUS | {"convention": "none"}))


# The Listings.


@pytest.mark.parametrize(
    ("printed", "power", "ends"),
    [
        ("<4 E-35", 0, (None, 4e-35, None)),
        ("< 0.29 E-10", -10, (None, 2.9e-11, None)),
        ("<=.3E-10", -10, (None, 3e-11, None)),
        ("<0.01-0.04 E-10", -10, (None, 4e-12, None)),
        ("(0.14-0.29) E-10", -10, (1.4e-11, 2.9e-11, None)),
        ("-3.6 - 4.7 E-13", 0, (-3.6e-13, 4.7e-13, None)),
        ("-70.01 to 28.52", -32, (-7.001e-31, 2.852e-31, None)),
        ("-0.6 to 0.6", -32, (-6e-33, 6e-33, None)),
        ("(0.9+-2.7) E-32", -32, (-1.8e-32, 3.6e-32, 9e-33)),
        ("(-1.1+-1.0) E-32", -32, (-2.1e-32, -1e-33, -1.1e-32)),
        ("(2.2 +2.4 - 2.3) E-32", -32, (-1e-33, 4.6e-32, 2.2e-32)),
        ("", -10, (None, None, None)),
    ],
)
def test_printed_values_as_numbers(tool, printed, power, ends):
    found = tool.numbers(printed, power)
    for mine, wanted in zip((found.lower, found.upper, found.value), ends, strict=True):
        assert mine == (None if wanted is None else pytest.approx(wanted, rel=1e-9, abs=0))


def test_a_new_way_to_print_is_an_error(tool):
    with pytest.raises(ValueError, match="printed in a way that is not known here"):
        tool.numbers("about 3 E-12")


def test_numbers_of_footnotes(tool):
    text = "limit is <3.2E-10mu(B); (4.20+-1.64) x 10 **-33 cm**2; mu < 10**-16 [10**-9 G/B(0)] at 90% of 1540 kg.y."
    assert tool.in_footnotes(text) == pytest.approx([3.2e-10, 4.2e-33, 1.64e-33, 1e-16, 1e-9], abs=0)


def test_rows_are_what_the_listings_have(tool):
    named = [entry for entry in published() if entry.pdg]
    table = tool.shipped()
    assert len(named) > 100
    assert {entry.key for entry in published() if entry.status == "listed"} <= {entry.key for entry in named}
    assert tool.differences(table, table, published()) == []
    places = {(value.node, value.document) for value in table}
    assert len(places) > 80, "and every document of the Listings is in the collection, or a line above would say so"


def test_a_changed_number_would_be_seen(tool):
    table = tool.shipped()
    for key in ("gemma_2013_moment_e", "dresden_ii_and_coherent_2022_moment_e_two_sided", "lampf_e225_1993_radius_e"):
        entry = next(e for e in published() if e.key == key)
        moved = entry.model_copy(update={"upper": 1.01 * entry.upper, "value": entry.value and 1.01 * entry.value})
        (line, *_) = tool.differences(table, table, [moved])
        assert line.startswith(f"row {key}: ")
    level = next(e for e in published() if e.key == "rovno_1993_moment_e").model_copy(update={"cl": "90"})
    assert tool.differences(table, table, [level])[0] == "row rovno_1993_moment_e: 90 % here, 95 % there"


class Release:
    """As much of the interface of the package pdg as the tool asks for."""

    default_edition, citation = "2027", "Somebody <i>et al.</i>"

    def __init__(self, *entries):
        self.entries = entries

    def get(self, node):
        kept = [self.measurement(*entry[1:]) for entry in self.entries if entry[0] == node]
        return SimpleNamespace(get_measurements=lambda: iter(kept))

    @staticmethod
    def measurement(document, printed, level=90.0, footnote=""):
        reference = SimpleNamespace(document_id=f"{document} ", publication_name="PRL 1 1", publication_year=2027,
                                    doi=None)  # fmt: skip
        value = SimpleNamespace(value_text=printed, display_power_of_ten=-10, unit_text="mu(B)")
        return SimpleNamespace(
            reference=reference,
            confidence_level=level,
            values=lambda: iter([value]),
            footnotes=lambda: iter([SimpleNamespace(text=footnote)] if footnote else []),
        )


def test_the_tool_says_what_is_new_gone_and_different(tool, tmp_path):
    path = tmp_path / "pdg.csv"
    old = Release(("S066MGM", "OLD 2020", "<2 E-10"), ("S066MGM", "KEPT 2021", "<3 E-10", None, "also <4E-10"))
    path.write_text(tool.as_table(tool.release(old), "2026", "somebody"))
    table = tool.shipped(path)
    assert table == tool.release(old), "written and read again"
    for words in ("selected and converted", "CC BY 4.0", "somebody"):
        assert words in path.read_text()
    assert "also" not in path.read_text(), "of footnotes the numbers alone"
    here = [row(key="kept", pdg="S066MGM/KEPT 2021", upper="3e-10", cl="not stated"),
            row(key="aside", pdg="S066MGM/KEPT 2021/footnote", upper="4e-10"),
            row(key="old", pdg="S066MGM/OLD 2020", upper="2e-10")]  # fmt: skip
    assert tool.differences(table, table, here) == []
    new = Release(("S066MGM", "NEW 2027", "<1 E-11"), ("S066MGM", "KEPT 2021", "<2.9 E-10", 95.0, "also <5E-10"))
    lines = tool.differences(tool.release(new), table, here)
    assert lines == tool.differences(list(reversed(tool.release(new))), table[::-1], here[::-1])
    assert [line.partition("; in_footnotes")[0] for line in lines] == [
        "different: S066MGM/KEPT 2021: printed <3 E-10 -> <2.9 E-10; cl not stated -> 95",
        "new: S066MGM/NEW 2027: <1 E-11 mu(B), 90 %, PRL 1 1",
        "gone: S066MGM/OLD 2020",
        "row aside: 4e-10 is in no footnote",
        "row kept: None, 3e-10 here, <2.9 E-10 there",
        "row old: the release has no S066MGM/OLD 2020",
        "not in limits.csv: S066MGM/NEW 2027",
    ]


def test_without_pdg_the_tool_says_so(tool, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pdg", None)
    assert tool.main([]) == 2
    assert capsys.readouterr().err == "pdg_limits: error: the package pdg is missing; pip install 'nuemstat[dev]'\n"


@pytest.mark.filterwarnings("ignore")  # of the package's own queries
def test_the_installed_release_holds_no_surprise(tool, capsys):
    pdg = pytest.importorskip("pdg", reason="the Listings: pip install 'nuemstat[dev]'")
    if pdg.connect().default_edition != "2026":
        pytest.skip("another edition than that of the shipped table: python tools/pdg_limits.py tells what is new")
    assert tool.main([]) == 0, capsys.readouterr().out


# The licence.


def test_the_licence_travels_with_the_numbers():
    places = [ROOT / "NOTICE", data_file("history/README.md"), data_file("history/pdg.csv"),
              data_file("history/limits.csv"), ROOT / "docs" / "limits.md"]  # fmt: skip
    for path in places:
        text = " ".join(path.read_text().split())
        for words in ("selected and converted", "CC BY 4.0", "F. Takahashi et al.", "2630011"):
            assert words in text, f"{path.name}: {words}"


def test_the_collection_has_one_home():
    readers = [path for path in (ROOT / "nuemstat").rglob("*.py") if "history/" in path.read_text()]
    assert [path.name for path in readers] == [Path(collection.__file__).name]
