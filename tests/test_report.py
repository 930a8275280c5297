"""The report of two toy experiments: one page that needs nothing, pictures with their data, one line for bad input."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_workspace

from nuemstat.cli import main
from nuemstat.errors import NuemstatError
from nuemstat.main_job import run
from nuemstat.report import content, drawing, history, html, tables
from nuemstat.report.build import build, read_validation
from nuemstat.report.joint import parts, read_joint

COUPLINGS = ("millicharge", "magnetic_moment", "millicharge_emu")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A folder of results of two toys and their joint fit."""
    folder = tmp_path_factory.mktemp("results")
    paths = []
    for name, flavour, excess in (("alpha", "e", 0.0), ("beta", "mu", 1.0)):
        paths.append(folder / f"{name}.json")
        toy_workspace(name, flavour, excess=excess).write(paths[-1])
    run([str(path) for path in paths], COUPLINGS, folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def report(results, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "page"
    validation = folder.parent / "validation.json"
    rows = [
        {
            "experiment": "alpha",
            "title": "A toy",
            "quantity": "charge",
            "workspace": "alpha",
            "published": [-1e-12, 1e-12],
            "ours": [-2e-12, 1e-12],
            "unit": "e",
            "deviation": 1.0,
            "tolerance": "0.1 rel.",
            "gated": True,
            "verdict": "broken",
            "reason": "ours is <wider>",
            "source": "made up",
            "status": "read",
            "note": "",
        }
    ]
    validation.write_text(json.dumps({"schema": "nuemstat/comparison/1", "broken": 1, "rows": rows}))
    code = main(
        ["report", "--results", str(results), "-o", str(folder), "--validation", str(validation), "--processes", "1"]
    )
    assert code == 0
    return folder


class Page(HTMLParser):
    """What a reader without eyes, or without a network, meets."""

    VOID = frozenset({"meta", "link", "input", "br", "img", "path", "use", "line", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.resources: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.tables: list[dict[str, int]] = []
        self.identities: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if given.get("id"):
            self.identities.append(given["id"])
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.resources += [given[key] for key in ("src", "srcset", "data") if given.get(key)]
        if tag in ("link", "script", "iframe", "object", "embed") and given.get("href"):
            self.resources.append(given["href"])
        if tag in ("svg", "img") and given.get("aria-hidden") != "true":
            self.images.append(given)
        if tag == "table":
            self.tables.append({"head": 0, "caption": 0, "rows": 0, "headed": 0})
        if self.tables and tag in ("caption", "tr"):
            self.tables[-1]["caption" if tag == "caption" else "rows"] += 1
        if self.tables and tag == "th":
            self.tables[-1]["head" if given.get("scope") == "col" else "headed"] += 1

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(report) -> Page:
    return Page((report / "index.html").read_text())


def test_the_page_is_whole_and_needs_nothing(report, page):
    text = (report / "index.html").read_text()
    assert len(text.encode()) < 5e6
    assert page.open == []
    assert [address for address in page.resources if not address.startswith("data:")] == []
    assert not re.search(r"@import|url\((?!#)", text)
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket)\b", text)
    assert len(set(page.identities)) == len(page.identities)


def test_headings_are_in_order(page):
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    assert page.headings.count(2) >= 8


def test_every_image_has_words_and_every_table_has_headers(page):
    assert len(page.images) > 8
    for image in page.images:
        assert len(image.get("aria-label") or image.get("alt") or "") > 30
    assert len(page.tables) >= 6
    for table in page.tables:
        assert table["caption"] == 1
        assert table["head"] >= 4
        assert table["headed"] == table["rows"] - 1  # every row but that of the columns


def test_every_picture_has_its_files_and_their_data(report):
    links = re.findall(r'href="(pictures/[^"]+)"', (report / "index.html").read_text())
    assert len(links) == 5 * len({Path(link).stem.removesuffix("-dark") for link in links})
    for link in links:
        assert (report / link).stat().st_size > 100
    for path in (report / "pictures").glob("*.csv"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        widths = {len(line.split(",")) for line in lines}
        assert len(lines) > 1
        assert len(widths) == 1, path
    for path in (report / "pictures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_dark_pictures_are_the_same_in_other_colours(report):
    from matplotlib.image import imread

    for name in ("profile-millicharge", "history-millicharge", "spectrum-alpha_counts-energy", "pulls"):
        light, dark = (imread(report / "pictures" / f"{name}{end}.png")[:, :, :3] for end in ("", "-dark"))
        assert light.shape == dark.shape
        ground = np.array([0x15, 0x18, 0x1C]) / 255
        # What is paper in one is ground in the other, to the pixel; no light colour is left over.
        paper = (light == 1).all(axis=2)
        np.testing.assert_allclose(dark[paper], np.broadcast_to(ground, (paper.sum(), 3)), atol=0.5 / 255)
        black = (light == 0).all(axis=2)
        assert black.any()
        np.testing.assert_allclose(dark[black], 0xE8 / 255, atol=1.1 / 255)  # edges nearly covered round to black
        assert not (dark == 1).all(axis=2).any()
        svg = (report / "pictures" / f"{name}-dark.svg").read_text()
        assert "#ffffff" not in svg
        assert "#15181c" in svg


def test_every_limit_has_its_expectation(report):
    text = (report / "index.html").read_text()
    table = re.search(r'<table id="limits-table">.*?</table>', text, re.DOTALL)
    assert table
    heads = [html_text(head) for head in re.findall(r'<th scope="col">(.*?)</th>', table[0])]
    at, band = heads.index("expected") - 1, heads.index("expected, 68 %") - 1
    rows = re.findall(r"<tr data-experiment.*?</tr>", table[0], re.DOTALL)
    at_bound, z = heads.index("knowing the bound") - 1, heads.index("z") - 1
    methods = set()
    for row in rows:
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row)
        assert float(cells[at]) > 0
        methods.add(bool(cells[band]))
        assert bool(cells[band]) == bool(cells[z]) == bool(cells[at_bound]), "couplings at a bound have them"
        if cells[band]:
            low, high = (float(end) for end in cells[band].split("…"))
            assert low < float(cells[at]) < high
    assert methods == {True, False}
    assert (report / "pictures" / "limits-millicharge.svg").is_file()
    assert any('data-experiment="joint"' in row for row in rows)


def html_text(text: str) -> str:
    return re.sub(r"<[^>]+>", "", text).replace("\u00a0", " ")


def joint_document(**more):
    entry = {
        "coupling": "millicharge", "unit": "e", "joint": [[-1e-12, 2e-12]], "minimum_2nll": 3.0,
        "shares": {"alpha": 0.75, "beta": 0.25}, "without": {"alpha": [[-4e-12, 4e-12]], "beta": None},
        "compatibility": {"chi2": 1.5, "ndf": 1, "p_value": 0.22, "members": ["alpha", "beta"]},
        "ends": [], "warnings": ["look <here>"],
    }  # fmt: skip
    return {"schema": "nuemstat/joint/1", "members": ["alpha", "beta"], "level": 0.9, "share_cut": 0.01,
            "couplings": [entry]} | more  # fmt: skip


def with_joint(results: Path, folder: Path, content: object) -> Path:
    import shutil

    shutil.copytree(results, folder)
    (folder / "joint.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_the_joint_fit_is_taken_apart(results, tmp_path):
    folder = with_joint(results, tmp_path / "results", joint_document())
    assert build(folder, couplings=["millicharge"], contours=False).is_file()
    text = (folder / "index.html").read_text()
    part = re.search(r'<section id="joint".*?</section>', text, re.DOTALL)
    assert part
    rows = [[html_text(c) for c in re.findall(r"<t[hd][ >].*?</t[hd]>", row)] for row in part[0].split("<tr")]
    assert ["millicharge", "[-1e-12, 2e-12]", "e", "alpha 75 %, beta 25 %", "1.5 / 1", "0.22", "2",
            "look &lt;here&gt;"] in rows  # fmt: skip
    assert ["millicharge", "alpha", "75 %", "[-4e-12, 4e-12]", "2", "e"] in rows
    assert not any(row[1:2] == ["beta"] for row in rows)  # its share is below the cut
    assert "below a share of 1 %" in part[0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"p_value": 0.123, "p_error": 0.019}, "0.12 +- 0.02"),
        ({"p_value": None, "at_least": 0.3}, "&gt; 0.3"),
        ({"p_value": 0.0033, "p_error": 0.0033, "at_most": 0.0099}, "&lt; 0.0099"),
    ],
)
def test_agreement_by_toys_is_an_error_or_a_bound(tmp_path, more, said):
    content = joint_document()
    content["couplings"][0]["compatibility"] |= {"method": "toys"} | more
    (tmp_path / "joint.json").write_text(json.dumps(content))
    found = read_joint(tmp_path)
    assert found is not None
    text = "".join(parts(found, ["millicharge"]))
    assert said in text
    assert "1.5, toys" in text
    content["couplings"][0]["compatibility"] |= {"p_value": None, "at_least": None}
    (tmp_path / "joint.json").write_text(json.dumps(content))
    with pytest.raises(NuemstatError, match="p_value and at_least are both missing"):
        read_joint(tmp_path)


@pytest.mark.slow
def test_results_without_the_joint_fit_taken_apart(results, tmp_path):
    for name, document in (("none", None), ("empty", joint_document(couplings=[], level=None))):
        folder = with_joint(results, tmp_path / name, document or "")
        if document is None:
            (folder / "joint.json").unlink()
        build(folder, couplings=["millicharge"], contours=False)
        assert ("Not taken apart" in (folder / "index.html").read_text()) == (document is not None)


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ("{", "joint.json: not JSON, or cut short"),
        ("[]", "schema: found 'list'"),
        (joint_document(schema="nuemstat/joint/2"), "found 'nuemstat/joint/2'; this version reads 'nuemstat/joint/1'"),
        (joint_document(couplings=[{"unit": "e"}]), "it is damaged"),
        (joint_document(couplings=3), "it is damaged"),
    ],
)
def test_damaged_shares_are_one_line(results, tmp_path, capsys, content, pattern):
    folder = with_joint(results, tmp_path / "results", content)
    code = main(["report", "--results", str(folder), "-o", str(tmp_path / "page"), "--processes", "1"])
    error = capsys.readouterr().err
    assert code == 2
    assert len(error.splitlines()) == 1
    assert pattern in error


@pytest.mark.slow
def test_fifteen_experiments_stay_legible_and_small(tmp_path):
    names = [f"toy{i:02d}" for i in range(15)]
    for i, name in enumerate(names):
        toy_workspace(name, "e" if i < 8 else "mu", excess=0.1 * i).write(tmp_path / f"{name}.json")
    run([str(tmp_path / f"{name}.json") for name in names], ["millicharge_emu"], tmp_path / "out", apart=False)
    text = build(tmp_path / "out", contours=False).read_text()
    assert len(text.encode()) < 3e6
    figure = next(f for f in re.findall(r"<figure.*?</figure>", text, re.DOTALL) if "Profile of" in f)
    assert set(re.findall(r'<g data-experiment="(\w+)"', figure)) == {*names, "joint"}
    swatches = re.findall(r'<svg class="swatch".*?stroke="([^"]+)" stroke-width="[^"]+"([^/]*)/>', text)
    assert len(swatches) == 16
    assert len(set(swatches)) == 16


def test_many_pulls_make_several_pictures():
    from nuemstat.plots import Pull
    from nuemstat.report import pictures

    made = pictures.pulls([Pull(f"n{i}", 0.1 * i, 1.0) for i in range(80)], "the joint fit")
    assert [picture.name for picture in made] == ["pulls-1", "pulls-2", "pulls-3"]
    assert max(picture.size[1] for picture in made) < 9
    assert sum(picture.csv.count("\nn") for picture in made) == 80 + 3
    assert pictures.pulls([], "nothing") == []


def test_the_table_of_limits_says_what_the_results_say(report, results):
    text = (report / "index.html").read_text()
    table = re.search(r'<table id="limits-table">.*?</table>', text, re.DOTALL)
    assert table
    rows = re.findall(r'<tr data-experiment="(\w+)" data-coupling="(\w+)">(.*?)</tr>', table[0])
    limits = {(i["coupling"], tuple(i["workspaces"])): i for i in json.loads((results / "limits.json").read_text())}
    assert len(rows) == len(limits)
    for experiment, coupling, cells in rows:
        members = ("alpha", "beta") if experiment == "joint" else (experiment,)
        wanted = limits[coupling, members]["upper_limit"]
        keys = [float(key) for key in re.findall(r'data-key="([^"]+)"', cells)]
        assert keys[0] == pytest.approx(wanted, rel=1e-8)


def test_the_profile_is_the_one_of_the_results(report, results):
    read = [np.genfromtxt(f, delimiter=",", skip_header=3, usecols=(1, 2)) for f in (
        report / "pictures" / "profile-millicharge.csv", results / "profiles" / "millicharge.csv")]  # fmt: skip
    np.testing.assert_array_equal(*read)


def test_the_spectrum_adds_up(report):
    lines = (report / "pictures" / "spectrum-alpha_counts-energy.csv").read_text().splitlines()[2:]
    names = lines[0].split(",")
    table = dict(zip(names, np.array([[float(x) for x in line.split(",")] for line in lines[1:]]).T, strict=True))
    np.testing.assert_allclose(table["background"] + table["electron"], table["best_fit"], rtol=1e-6)
    np.testing.assert_allclose(table["error"] ** 2, table["observed"], rtol=1e-6)
    at_limit = table["millicharge_at_limit"]
    assert abs(at_limit - table["best_fit"]).max() > 0.1


def test_texts_are_escaped(report):
    text = (report / "index.html").read_text()
    assert "ours is &lt;wider&gt;" in text
    assert "<wider>" not in text


def test_curves_carry_their_experiment(report):
    text = (report / "index.html").read_text()
    figure = next(f for f in re.findall(r"<figure.*?</figure>", text, re.DOTALL) if 'data-coupling="millicharge"' in f)
    assert set(re.findall(r'<g data-experiment="(\w+)"', figure)) == {"alpha", "beta", "joint"}


@pytest.mark.slow
def test_equal_results_make_equal_pages(results, tmp_path):
    pages = []
    for name in ("first", "second"):
        folder = tmp_path / name
        code = main(["report", "--results", str(results), "-o", str(folder), "--no-contours", "--processes", "1", "-q",
                     "--coupling", "millicharge"])  # fmt: skip
        assert code == 0
        pages.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert pages[0] == pages[1]


def test_restricted_to_an_experiment_and_a_coupling(results, tmp_path):
    chosen = content.read(results, models=("beta",), couplings=("millicharge",))
    assert {entry.experiment for entry in chosen.limits} == {"beta", "joint"}
    assert chosen.couplings == ("millicharge",)
    assert [w.name for w in chosen.members] == ["beta"]


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda d: (d / "limits.json").unlink(), "limits.json: cannot be read.*written by `nuemstat limits`"),
        (lambda d: (d / "limits.json").write_text("[{"), "not JSON, or cut short"),
        (lambda d: (d / "limits.json").write_text("[" * 200_000), "not JSON, or cut short"),
        (lambda d: (d / "limits.json").write_text("{}"), "found no list of limits"),
        (lambda d: _replace(d, "nuemstat/limit/1", "nuemstat/limit/9"), "found 'nuemstat/limit/9'; this version reads"),
        (lambda d: _replace(d, '"unit"', '"units"'), "a limit is damaged"),
        (lambda d: (d / "workspaces" / "alpha.json").unlink(), "alpha.json: cannot be read"),
        (lambda d: (d / "profiles" / "millicharge.csv").write_text("a,b,c\nalpha,x,1\n"), "not a table of a profile"),
    ],
)
def test_damaged_results_are_one_line(results, tmp_path, capsys, change, pattern):
    import shutil

    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    change(folder)
    code = main(["report", "--results", str(folder), "-o", str(tmp_path / "page"), "--processes", "1"])
    error = capsys.readouterr().err
    assert code == 2
    assert len(error.splitlines()) == 1
    assert re.search(pattern, error)
    assert not (tmp_path / "page").exists()


def _replace(folder: Path, old: str, new: str) -> None:
    path = folder / "limits.json"
    path.write_text(path.read_text().replace(old, new))


def test_what_is_not_there_is_one_line(results, tmp_path, capsys):
    for arguments, pattern in (
        (["--model", "alfa"], "no experiment 'alfa' in these results; they hold alpha, beta; did you mean 'alpha'"),
        (["--coupling", "milicharge"], "no coupling 'milicharge'.*did you mean 'millicharge'"),
        (["--validation", "absent.json"], "absent.json: cannot be read"),
        (["--validate", "--validation", "x"], "one of the two"),
        (["--shares"], "belongs to limits that are computed anew"),
    ):
        code = main(["report", "--results", str(results), "-o", str(tmp_path / "page"), *arguments])
        error = capsys.readouterr().err
        assert code == 2
        assert len(error.splitlines()) == 1
        assert re.search(pattern, error), error
        assert "/.page." not in error  # the results are named, not where the page is being made


def test_a_folder_with_other_things_is_left_alone(results, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["report", "--results", str(results), "-o", str(tmp_path), "--processes", "1"]) == 2
    assert "other things in it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_report_may_go_into_the_results(results, tmp_path):
    import shutil

    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    assert main(["report", "--results", str(folder), "-o", str(folder), "--no-contours", "--processes", "1", "-q",
                 "--coupling", "millicharge"]) == 0  # fmt: skip
    assert {"index.html", "pictures", "limits.json", "joint.json", "workspaces", "profiles"} == {
        p.name for p in folder.iterdir()
    }


def test_one_experiment_alone(toys, tmp_path):
    run([toys[0]], ["magnetic_moment_e"], tmp_path / "out")
    assert build(tmp_path / "out").is_file()
    text = (tmp_path / "out" / "index.html").read_text()
    assert "joint" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL).lower().replace(
        "the joint fit", ""
    )


def test_validation_of_another_version(tmp_path):
    path = tmp_path / "v.json"
    for text, pattern in (("{", "not JSON"), ('{"schema": "x"}', "found 'x'"), ("[]", "found 'list'")):
        path.write_text(text)
        with pytest.raises(NuemstatError, match=pattern):
            read_validation(path)


def test_empty_columns_are_left_out():
    rows = [html.Row((html.cell("a"), html.cell(""), html.number(2.0)))]
    text = html.table("T", ("name", "nothing", "value"), rows, identity="t")
    assert "nothing" not in text
    assert 'data-key="2"' in text


def test_colours_of_the_page_are_those_of_the_files():
    assert set(drawing.DARK) == set(drawing.VARIABLES)
    style = (Path(drawing.__file__).parent / "resources" / "style.css").read_text()
    light, dark = style.split("prefers-color-scheme: dark")
    for colour, name in drawing.VARIABLES.items():
        assert re.search(rf"--{name}: {colour};", light)
        assert re.search(rf"--{name}: {drawing.DARK[colour]};", dark)


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_texts_have_enough_contrast(ground):
    style = (Path(drawing.__file__).parent / "resources" / "style.css").read_text()
    light, dark = style.split("prefers-color-scheme: dark")
    part = light if ground == "light" else dark
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", part))

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(a: str, b: str) -> float:
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    for name in ("text", "soft", "link", "good", "bad", "ink"):  # WCAG 2.2, 1.4.3
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    assert contrast(colours["text"], colours["ground"]) >= 4.5


@pytest.mark.parametrize(
    ("theirs", "ours", "ratio"),
    [
        (((-2.0, 2.0),), ((-1.0, 3.0),), 1.5),
        (((-2.0, 2.0),), ((-9.0, -7.0), (-1.0, 1.0)), 0.5),
        (((-9.0, -6.0), (-2.0, 2.0)), ((-9.0, -7.0), (-1.0, 1.0)), 1.0),
        (((-2.0, 2.0),), ((-1.0, None),), None),
        (((-2.0, 2.0),), ((None, -8.0), (-1.0, 1.0)), 0.5),
        (((-2.0, 2.0),), ((5.0, 6.0),), None),
    ],
)
def test_ratios_compare_pieces_that_meet(theirs, ours, ratio):
    assert history.Theirs(theirs, "a:b", "").ratio(ours) == ratio


def test_reasons_stand_beside_ratios_far_from_one():
    found = history.of_the_same_data()
    assert found["gemma", "magnetic_moment_e"].size == pytest.approx(2.9e-11)
    texono = found["texono_csi", "millicharge_ee"]
    assert "follows from the cross section with these inputs neither" in texono.note
    assert tables._reason("texono_csi", texono) == texono.note
    assert "unbinned" in found["lz_er2025", "magnetic_moment"].note, "what the published number is conditional on"
    whole = found["texono_csi", "charge_radius"].intervals[0]
    assert whole == pytest.approx((-4.2e-32, 6.6e-32)), "printed as half a radius"
    assert "`texono_csi:paper`" in tables._reason("texono_csi", found["texono_csi", "charge_radius"])


def test_ours_stand_in_the_history(results):
    rows = history.ours(content.read(results))
    assert {row.experiment for row in rows} == {"alpha", "beta", "joint"}
    assert {row.flavour for row in rows} == {"any"}  # transition couplings have no place in these pictures
