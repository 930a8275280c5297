"""Limits over a number of a model: values, closed forms, what is refused; the order of work does not matter."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import nuemstat as nu
from nuemstat.cli import main
from nuemstat.errors import NuemstatError
from nuemstat.number_scan import read_over, scan_over
from nuemstat.stats.execution import open_executor

MOMENT = "magnetic_moment_e"
MASSES = ["3 kg", "30 kg", "3000 kg"]


def test_values_of_the_command_line() -> None:
    assert read_over("target.exposure=10:1000:3 t yr") == ("target.exposure", ("10 t yr", "505 t yr", "1000 t yr"))
    assert read_over("a.b=1:100:3 kg", logarithmic=True) == ("a.b", ("1 kg", "10 kg", "100 kg"))
    assert read_over("a.b = 0.2:0.1:2") == ("a.b", (0.2, 0.1))
    assert read_over("a.b=1,2.5,1e3 1/keV") == ("a.b", ("1 1/keV", "2.5 1/keV", "1000 1/keV"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target.mass", "PATH=LOW:HIGH:POINTS UNIT or PATH=VALUE,VALUE,... UNIT is allowed"),
        ("target.mass=1:2 kg", "is allowed, such as"),
        ("target.mass=1:x:3 kg", "is allowed, such as"),
        ("target.mass=1:inf:3 kg", "is allowed, such as"),
        ("target.mass=1:2:1 kg", "two different ends and 2 to 1000 points are allowed"),
        ("target.mass=1:1:5 kg", "two different ends"),
        ("target.mass=1:2:2.5 kg", "2 to 1000 points"),
        ("target.mass=0:2:5 kg", "with --log rising values above 0 are allowed"),
    ],
)
def test_other_texts_are_refused(text: str, said: str) -> None:
    with pytest.raises(NuemstatError) as error:
        read_over(text, logarithmic=True)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_scan_is_the_limit_of_each_model_that_was_changed() -> None:
    found = scan_over("miner_2020:p0", "target.mass", MASSES, coupling=MOMENT)
    assert (found.nominal, found.unit, found.method, found.data) == ("30 kg", "mu_B", "profile", "asimov")
    assert found.valid
    assert found.warnings == ()
    for mass, point in zip(MASSES, found.points, strict=True):
        workspace = nu.compile(nu.load_model("miner_2020:p0", changes={"target.mass": mass}), [MOMENT])
        assert point.upper_limit == nu.limit(workspace, MOMENT, data="asimov", expected=False).upper_limit
        assert point.value == mass
    ratios = [p.upper_limit / found.points[1].upper_limit for p in found.points if p.upper_limit]  # type: ignore[operator]
    assert ratios == pytest.approx([10**0.25, 1, 0.01**0.25], rel=1e-5)  # errors are roots


def test_a_table_and_its_json() -> None:
    found = scan_over("miner_2020:p0", "target.mass", MASSES, coupling=MOMENT)
    lines = found.to_csv().splitlines()
    assert lines[2] == "target.mass [kg],lower [mu_B],upper [mu_B],upper_limit [mu_B],intervals,valid"
    assert [line.split(",")[0] for line in lines[3:]] == ["3", "30", "3000"]
    assert all(line.endswith(",1,true") for line in lines[3:])
    content = found.to_dict()
    assert content["schema"] == "nuemstat/number-scan/1"
    assert [point["value"] for point in content["points"]] == MASSES
    assert "over target.mass, 30 kg in the model" in str(found)


def test_a_universal_coupling_and_one_sided_limits() -> None:
    two = scan_over("miner_2020:p0", "target.mass", ["30 kg"], coupling="magnetic_moment")
    one = scan_over("miner_2020:p0", "target.mass", ["30 kg"], coupling="magnetic_moment", method="cls")
    high, low = two.points[0].upper_limit, one.points[0].upper_limit
    assert high is not None
    assert low is not None
    assert low == pytest.approx(high, rel=1e-3)  # on Asimov data both are 1.645 standard deviations away


def test_threads_give_the_numbers_of_a_loop() -> None:
    with ThreadPoolExecutor(2) as executor:
        apart = scan_over("miner_2020:p0", "target.mass", MASSES, coupling=MOMENT, executor=executor)
    assert apart.to_json() == scan_over("miner_2020:p0", "target.mass", MASSES, coupling=MOMENT).to_json()


@pytest.mark.slow
def test_processes_give_the_numbers_of_a_loop() -> None:
    with open_executor("processes", workers=2) as executor:
        apart = scan_over("miner_2020:p0", "target.mass", MASSES, coupling=MOMENT, executor=executor)
    assert apart.to_json() == scan_over("miner_2020:p0", "target.mass", MASSES, coupling=MOMENT).to_json()


REFUSED = {
    "another experiment": (
        {"path": "target.mass", "values": ["12 kg"], "data": "observed"},
        "munu: target.mass: the observed counts were taken with 11.4 kg, and 12 kg is another experiment",
    ),
    "another flux": (
        {"path": "source.distance", "values": ["17 m"], "data": "observed"},
        "munu: source.distance: the observed counts were taken with 18 m",
    ),
    "other counts": (
        {"path": "signals.electron.standard_model_counts", "values": [2.0], "data": "observed"},
        "the observed counts were taken with 1.02",
    ),
    "no path": ({"path": "target.mas", "values": ["12 kg"]}, "did you mean 'target.mass'?"),
    "no values": ({"path": "target.mass", "values": []}, "found 0 values; 1 to 1000 are allowed"),
    "another method": (
        {"path": "target.mass", "values": ["12 kg"], "method": "fc"},
        "method: found 'fc'; profile or cls is allowed",
    ),
    "no effect": (
        {"path": "conventions.neutron_radius_shift", "values": ["0.1 fm", "0.2 fm"]},
        "munu: conventions.neutron_radius_shift = 0.1 fm changes no count",
    ),
    "no coupling": ({"path": "target.mass", "values": ["12 kg"], "coupling": "charge"}, "charge"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    question, said = REFUSED[case]
    asked = {"coupling": MOMENT} | question
    with pytest.raises(NuemstatError) as error:
        scan_over("munu:statistical", asked.pop("path"), asked.pop("values"), **asked)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_observed_data_over_numbers_that_no_count_depends_on() -> None:
    values = ["0.04 MeV", "0.08 MeV", "0.16 MeV"]
    found = scan_over(
        "munu:statistical", "responses.electronic.resolution.width", values, coupling=MOMENT, data="observed"
    )
    plain = nu.limit(nu.compile(nu.load_model("munu:statistical"), [MOMENT]), MOMENT, expected=False)
    assert found.points[1].upper_limit == plain.upper_limit
    assert len({point.upper_limit for point in found.points}) == 3


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "miner_2020:p0", "--over", "target.mass=30,300 kg", "--coupling", MOMENT]) == 0
    assert "300 kg" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_writes_the_same_files_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, picture, again = tmp_path / "scan.csv", tmp_path / "scan.png", tmp_path / "again.png"
    words = ["scan", "miner_2020:p0", "--over", "target.mass=3:300:3 kg", "--log", "--coupling", MOMENT]
    assert main([*words, "-o", str(table), "--plot", str(picture)]) == 0
    assert "30 kg" in capsys.readouterr().out
    first = table.read_text()
    assert main([*words, "-o", str(table), "--plot", str(again), "--json"]) == 0
    assert table.read_text() == first
    assert picture.read_bytes() == again.read_bytes()
    assert '"nuemstat/number-scan/1"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--over", "target.mass=12:13:2 kg", "--data", "observed"], "is another experiment; data asimov is allowed"),
        (["--over", "target.mass=12:13:2 kg", "--points", "5"], "--points: is not used with --over"),
        (["--over", "target.mass=12:13:2 kg", "--coupling", "millicharge_ee"], "one coupling"),
        (["--log"], "--log: belongs to --over"),
        (["--cl", "0.9"], "--cl: belongs to --over"),
        (["--over", "target.mass=12:13:2"], "12.0 is a pure number"),
    ],
)
def test_wrong_use_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "munu:statistical", "--coupling", MOMENT, *words]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert said in told[-1]
