import numpy as np
import pytest

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.physics.flux import Flux
from nuemstat.resources import data_file
from nuemstat.sources.solar import (
    BRANCHES,
    SolarSource,
    fractional_uncertainties,
    production,
    total_fluxes,
    unit_spectrum,
)
from nuemstat.tables import read_table

CONTINUOUS = ("pp", "b8", "hep", "n13", "o15", "f17")
ENERGIES = np.array([0.05, 0.4, 0.8618, 1.442, 3, 6, 10, 18]) * units.MeV

# P_ee by day over the B16-GS98 production regions (all rows of the public table, s12^2 0.307, s13^2 0.022,
# dm21 7.53e-5 eV^2; last two rows NuFIT 5.2 and 6.0), from an independent computation.
SURVIVAL = {
    ("pdg2020", "pp"): [0.549034, 0.5422, 0.532672, 0.519981, 0.483652, 0.419946, 0.367004, 0.324623],
    ("pdg2020", "be7"): [0.548737, 0.539706, 0.526985, 0.509916, 0.46151, 0.385213, 0.335887, 0.30753],
    ("pdg2020", "pep"): [0.548942, 0.541426, 0.530916, 0.516882, 0.476777, 0.408395, 0.355438, 0.317236],
    ("pdg2020", "n13"): [0.548828, 0.540456, 0.528676, 0.51289, 0.468299, 0.398118, 0.349655, 0.315257],
    ("pdg2020", "o15"): [0.548633, 0.538821, 0.524952, 0.5063, 0.453743, 0.374824, 0.328644, 0.304676],
    ("pdg2020", "b8"): [0.548606, 0.538593, 0.524426, 0.505364, 0.451752, 0.37231, 0.327038, 0.304099],
    ("pdg2020", "hep"): [0.549179, 0.543408, 0.535406, 0.524796, 0.494378, 0.438703, 0.387084, 0.338485],
    ("nufit52", "b8"): [0.551279, 0.540959, 0.526318, 0.506557, 0.450813, 0.368744, 0.322853, 0.299993],
    ("nufit60", "b8"): [0.547706, 0.537678, 0.523493, 0.504418, 0.450883, 0.37203, 0.327378, 0.304813],
}


@pytest.mark.parametrize(("oscillation", "branch"), SURVIVAL)
def test_survival_probability(oscillation: str, branch: str) -> None:
    found = SolarSource(oscillation=oscillation).survival(branch, ENERGIES)
    np.testing.assert_allclose(found, SURVIVAL[oscillation, branch], atol=1e-4)


@pytest.mark.parametrize("model", ["b16_gs98", "b16_agss09met"])
def test_flavours_of_a_branch_sum_to_its_flux(model: str) -> None:
    sums = dict.fromkeys(BRANCHES, 0.0)
    for component in SolarSource(standard_solar_model=model).components():
        assert component.per_time
        assert not component.antineutrino
        sums[component.name] += component.flux.total()
    assert sums == pytest.approx(dict(total_fluxes(model)), rel=1e-12)


def test_published_fluxes() -> None:
    fluxes = total_fluxes("b16_gs98")
    assert fluxes["pp"] * units.cm**2 * units.s == pytest.approx(5.98e10)
    assert fluxes["be7"] * units.cm**2 * units.s == pytest.approx(4.93e9)
    assert fractional_uncertainties("b16_agss09met")["pp"] == 0.005
    assert tuple(sorted(fractional_uncertainties("b16_gs98"))) == tuple(sorted(BRANCHES))


def test_lines() -> None:
    be7, pep = unit_spectrum("be7"), unit_spectrum("pep")
    np.testing.assert_allclose(be7.lines, [(0.8618 * units.MeV, 0.897), (0.3843 * units.MeV, 0.103)], rtol=1e-14)
    assert be7.energies.size == 0
    assert pep.lines == ((1.442 * units.MeV, 1.0),)
    ours = SolarSource(branches=("be7",)).components()
    expected = 4.93e9 * 0.897 * SolarSource().survival("be7", np.array([0.8618 * units.MeV]))[0]
    assert ours[0].flux.lines[0][1] * units.cm**2 * units.s == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("branch", CONTINUOUS)
def test_thinned_spectra_keep_the_moments(branch: str) -> None:
    thin = unit_spectrum(branch)
    assert thin.energies.size <= 310
    stem = "b8_winter" if branch == "b8" else branch
    table = read_table(data_file(f"solar/spectrum_{stem}.csv"))
    full = Flux(table.numbers("energy"), table.numbers("density"))
    full = full.scaled(1 / full.total())
    minimum = np.array([0.02, 0.3, 0.5, 0.8]) * thin.maximum
    a, b = thin.moments(minimum), full.moments(minimum)
    for ours, theirs in ((a.m0, b.m0), (a.m1, b.m1), (a.m2, b.m2)):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * theirs[0])


def test_end_points() -> None:
    # Bahcall: pp 0.423, 13N 1.199, 15O 1.732, 17F 1.740, hep 18.78 MeV
    found = {branch: unit_spectrum(branch).maximum / units.MeV for branch in CONTINUOUS}
    expected = {"pp": 0.423, "n13": 1.199, "o15": 1.732, "f17": 1.740, "hep": 18.784}
    assert {branch: found[branch] for branch in expected} == pytest.approx(expected, abs=1e-3)


def test_production_lies_where_the_temperature_puts_it() -> None:
    """8B, the hottest branch, is born at higher density than 7Be, that at higher density than pp, then hep."""
    mean = {branch: float(np.dot(*production(branch))) for branch in BRANCHES}
    assert mean["b8"] > mean["be7"] > mean["pp"] > mean["hep"]
    assert all(production(branch)[1].sum() == pytest.approx(1) for branch in BRANCHES)


def test_theta23_moves_mu_into_tau_only() -> None:
    base, moved = SolarSource(branches=("pp",)).components(), SolarSource(branches=("pp",), s23_sq=0.6).components()
    totals = [[c.flux.total() for c in components] for components in (base, moved)]
    assert totals[0][0] == totals[1][0]
    assert totals[0][2] / totals[0][1] == pytest.approx(0.545 / 0.455)
    assert totals[1][2] / totals[1][1] == pytest.approx(1.5)


def test_scale_and_oscillation_shift() -> None:
    base = SolarSource(branches=("pp", "b8"))
    moved = SolarSource(branches=("pp", "b8"), scale={"b8": 1.12})
    ratio = [b.flux.total() / a.flux.total() for a, b in zip(base.components(), moved.components(), strict=True)]
    assert ratio == pytest.approx([1, 1, 1, 1.12, 1.12, 1.12])
    nudged = SolarSource(oscillation_shift={"s12_sq": 0.013})
    assert nudged.parameters().s12_sq == pytest.approx(0.32)


def test_a_measured_flux_takes_the_place_of_the_modelled_one() -> None:
    """Of its branch alone, with the flavours of that branch; a scale acts on what is given."""
    measured = 5.25e6 / units.cm**2 / units.s
    source = SolarSource(branches=("pp", "b8"), flux={"b8": measured}, scale={"b8": 0.9})
    base = SolarSource(branches=("pp", "b8"))
    sums = {branch: sum(c.flux.total() for c in source.components() if c.name == branch) for branch in ("pp", "b8")}
    assert sums == pytest.approx({"pp": total_fluxes("b16_gs98")["pp"], "b8": 0.9 * measured}, rel=1e-12)
    ratio = [b.flux.total() / a.flux.total() for a, b in zip(base.components(), source.components(), strict=True)]
    assert ratio == pytest.approx([1, 1, 1, *3 * [0.9 * 5.25 / 5.46]], rel=1e-12)


def test_b8_spectra_are_alike_but_not_the_same() -> None:
    winter, ortiz = unit_spectrum("b8"), unit_spectrum("b8", b8_spectrum="ortiz")
    above = [float(f.moments(5 * units.MeV).m0) for f in (winter, ortiz)]
    assert above[0] == pytest.approx(above[1], rel=0.03)
    assert above[0] != above[1]


def test_components_are_deterministic() -> None:
    source = SolarSource()
    first = source.components()
    second = source.components()
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.flux.density, b.flux.density)
        assert a.flux.lines == b.flux.lines


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"standard_solar_model": "b23"}, "b16_gs98, b16_agss09met"),
        ({"oscillation": "best"}, "pdg2020, nufit52"),
        ({"scale": {"be8": 1.0}}, "allowed are pp, pep"),
        ({"flux": {"cno": 1.0}}, "solar flux"),
        ({"branches": ("cno",)}, "found 'cno'"),
        ({"b8_spectrum": "kurie"}, "winter, ortiz, bahcall"),
        ({"oscillation_shift": {"s23_sq": 0.1}}, "s12_sq, s13_sq, dm21"),
    ],
)
def test_unknown_names_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        SolarSource(**change)


def test_data_files_exist_and_follow_the_choice() -> None:
    files = SolarSource(b8_spectrum="ortiz").data_files()
    assert all(path.is_file() for path in files)
    assert len(files) == len(set(files)) == 10
    assert any(path.name == "spectrum_b8_ortiz.csv" for path in files)
