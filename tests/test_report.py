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
from nuemstat.report import content, drawing, history, html
from nuemstat.report.build import build, read_validation
from nuemstat.study import run

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
    assert len(links) == 4 * len({Path(link).stem.removesuffix("-dark") for link in links})
    for link in links:
        assert (report / link).stat().st_size > 100
    for path in (report / "pictures").glob("*.csv"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        widths = {len(line.split(",")) for line in lines}
        assert len(lines) > 1
        assert len(widths) == 1, path
    for path in (report / "pictures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_table_of_limits_says_what_the_results_say(report, results):
    text = (report / "index.html").read_text()
    rows = re.findall(r'<tr data-experiment="(\w+)" data-coupling="(\w+)">(.*?)</tr>', text)
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
    ):
        code = main(["report", "--results", str(results), "-o", str(tmp_path / "page"), *arguments])
        error = capsys.readouterr().err
        assert code == 2
        assert len(error.splitlines()) == 1
        assert re.search(pattern, error), error


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
    assert {"index.html", "pictures", "limits.json", "workspaces", "profiles"} == {p.name for p in folder.iterdir()}


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


def test_published_limits_by_year():
    rows = history.published()
    assert len(rows) > 100
    assert {row.coupling for row in rows} == {"magnetic_moment", "millicharge", "charge_radius"}
    assert all(1970 < row.year < 2030 and row.size > 0 for row in rows)
    assert all(row.kind in history.KINDS for row in rows)
    lz = next(row for row in rows if row.source == "arXiv:2307.15753" and row.coupling == "magnetic_moment")
    assert (lz.size, lz.cl, lz.memory) == (1.36e-11, "90", False)
    units = {(row.coupling, row.unit) for row in rows}
    assert units == {("magnetic_moment", "mu_B"), ("millicharge", "e"), ("charge_radius", "cm^2")}


def test_ours_stand_in_the_history(results):
    rows = history.ours(content.read(results))
    assert {row.experiment for row in rows} == {"alpha", "beta", "joint"}
    assert {row.flavour for row in rows} == {"any"}  # transition couplings have no place in these pictures
