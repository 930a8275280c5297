"""COHERENT germanium: its counts, timing, prediction and official fit, and the ratio of its second run."""

from collections.abc import Callable
from functools import cache
from math import exp
from pathlib import Path

import numpy as np
import pytest

from nuemstat import units
from nuemstat.detector.quenching import LindhardQuenching
from nuemstat.detector.response import bin_integrals, recoil_grid
from nuemstat.errors import ModelError, WorkspaceError
from nuemstat.model.builders import build_profiles
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model
from nuemstat.model.prediction import predicted_yields
from nuemstat.physics import cevns
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.physics.nucleus import isotopes
from nuemstat.resources import models_folder
from nuemstat.sources.pion_decay import PionDecaySource
from nuemstat.stats.intervals import limit
from nuemstat.stats.minimise import fit
from nuemstat.tables import Table, read_table
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace

COLUMNS = (1, 2, 3, 6, 7, 8, 9)


@cache
def workspace(spec: str) -> Workspace:
    return compile_model(load_model(spec))


@cache
def expected(spec: str) -> float:
    """CEvNS of the Standard Model in all channels."""
    return sum(found["cevns"] for found in predicted_yields(load_model(f"{spec},cevns_only")).values())


def table(name: str) -> Table:
    return read_table(models_folder() / "coherent_ge" / name)


def counts(name: str) -> np.ndarray:
    """Seven columns by ten bins of 4 us."""
    return np.concatenate([table(f"counts_{part}.csv").numbers(name) for part in ("low", "high")]).reshape(7, 10)


def test_both_figures_count_the_same_events() -> None:
    """Bins of 2 us of figure 4 hold columns 4 and 5 in part: at least the seven others, at most all nine."""
    whole = {"on": [25, 28, 29, 32, 19, 25, 22, 17, 23], "off": [17, 22, 14, 20, 24, 26, 24, 24, 21]}  # figure 5
    for name, rows in whole.items():
        region = table("region_counts.csv").numbers(name)[:18].reshape(9, 2).sum(axis=1)
        seven = counts(name).sum(axis=0)[:9]
        assert np.all(seven <= region)
        assert np.all(region <= rows)
    assert (counts("on").sum(), counts("off").sum()) == (161, 150)
    # The counting analysis: n_on - n_off = 21, root of the sum 7.8, 1.5 to 8.5 keVee and 0 to 8 us, in part column 4.
    on, off = (counts(name)[:3, 1:3].sum() for name in ("on", "off"))
    assert (on, off) == (39, 20)
    assert on + off <= round(7.8**2)


def test_nearly_all_of_the_signal_arrives_within_14_us() -> None:
    model = load_model("coherent_ge")
    assert model.document.timing is not None
    profiles = build_profiles(model.document.timing, model.files)
    for name, profile in profiles.items():
        printed = table("neutrino_time.csv").numbers(name)
        edges = np.arange(0.0, 20.0, 4.0) * units.us
        np.testing.assert_allclose(profile.fractions(edges), printed[:8].reshape(4, 2).sum(axis=1), atol=1e-12)
        assert profile.fractions(np.array([0.0, 14.0]) * units.us)[0] > 0.99  # arXiv:2406.13806


def test_the_published_prediction() -> None:
    """35.1 +- 3.6 (arXiv:2406.13806); the seven columns hold what lies outside of 7.5 to 8.5 and 11 to 11.5 keVee."""
    assert expected("coherent_ge:region,paper") == pytest.approx(35.1, abs=0.4)
    assert expected("coherent_ge:region,paper,gwh_kg") == pytest.approx(36.9, abs=0.4)
    assert expected("coherent_ge:paper") / expected("coherent_ge:region,paper") == pytest.approx(0.953, abs=0.003)


def test_the_published_cross_section_and_form_factor() -> None:
    """5.9e-39 cm^2, mean over the flux of three flavours (arXiv:2603.17951); Helm's form factor agrees."""
    couplings = scheme("set_A")
    defaults = {name: default_value(name, couplings) for name in COUPLINGS}
    source = PionDecaySource(neutrinos_per_proton=1.0, protons_on_target=4 * np.pi, distance=1.0)
    edges = recoil_grid(1 * units.eV, 90 * units.keV, 100)

    def average(form_factor: str) -> float:
        total = 0.0
        for part in source.components():
            for nucleus, share in isotopes("Ge"):
                rates = bin_integrals(
                    edges,
                    lambda recoil, part=part, nucleus=nucleus: cevns.rate(  # type: ignore[misc]
                        recoil,
                        part.flux,
                        nucleus=nucleus,
                        form_factor=form_factor,
                        flavour=part.flavour,
                        antineutrino=part.antineutrino,
                        scheme=couplings,
                    ),
                )
                total += share * float(np.sum(rates.evaluate(defaults)))
        return total / 3

    assert average("klein_nystrand") == pytest.approx(5.9e-39, abs=0.05e-39)
    assert average("helm") == pytest.approx(average("klein_nystrand"), rel=2e-3)


def test_the_official_fit() -> None:
    """20.6 +7.1 -6.3 with 0.67 +- 0.34 neutrons; no CEvNS at 3.9 standard deviations (arXiv:2406.13806)."""
    made = workspace("coherent_ge:free,paper")
    found, none = fit(made), fit(made, fixed={"coherent_ge__cevns_norm": 0.0})
    seen = [found.yields[channel] for channel in ("coherent_ge_on", "coherent_ge_on_high")]
    share = expected("coherent_ge:paper") / expected("coherent_ge:region,paper")
    total = sum(y["cevns"] for y in seen) / share + sum(y["brn"] for y in seen)
    assert total == pytest.approx(20.6, abs=1.0)
    norm = found.nuisances["coherent_ge__cevns_norm"]
    assert norm.error / norm.value * sum(y["cevns"] for y in seen) / share == pytest.approx(6.7, abs=0.7)
    assert np.sqrt(none.q_min - found.q_min) == pytest.approx(3.34, abs=0.02)


def test_the_fit_by_arrival_time_alone() -> None:
    found = fit(workspace("coherent_ge:region,free,paper"))
    assert sum(found.yields["coherent_ge_on"][p] for p in ("cevns", "brn")) == pytest.approx(20.6, abs=2.0)


def test_edges_that_are_not_printed_move_the_fit_by_one_percent() -> None:
    both = [
        fit(workspace(f"coherent_ge:{option},free,paper")).nuisances["coherent_ge__cevns_norm"].value * expected(spec)
        for option, spec in (("columns", "coherent_ge:paper"), ("equal_bins", "coherent_ge:equal_bins,paper"))
    ]
    assert both[1] / both[0] == pytest.approx(1.0, abs=0.01)


def test_without_beam_events_each_column_has_the_mean_of_both_triggers() -> None:
    """The closed form of a flat rate that two Poisson data sets share, empty cells included."""
    made = workspace("coherent_ge:free,paper")
    lowest = made.parameter("coherent_ge__brn_norm").bounds[0]  # no neutrons
    assert lowest is not None
    at = {"coherent_ge__cevns_norm": 0.0, "coherent_ge__brn_norm": 0.67 + 0.34 * lowest}
    found = fit(made, fixed=at).nuisances
    assert np.sum(counts("on") == 0) + np.sum(counts("off") == 0) > 10
    for column, on, off in zip(COLUMNS, counts("on").sum(axis=1), counts("off").sum(axis=1), strict=True):
        rate = found[f"coherent_ge__steady_{column}_rate"].value
        assert rate == pytest.approx((on + off) / (2 * off), rel=1e-5)


def test_quenching_is_that_of_all_germanium_and_no_choice() -> None:
    """The tables of the other descriptions end at 4.5 keV; their options join Lindhard's theory to the last points."""
    models = {option: load_model(f"coherent_ge:{option}") for option in ("lindhard", "fef", "ybe")}
    tables = read_table(models_folder() / "dresden2" / "quenching.csv")
    last = tables.numbers("recoil")[-1:]
    theory = (LindhardQuenching(0.162, 32)(last) / last)[0]
    for option, model in models.items():
        assert model.document.describes == {}
        scale = model.document.responses["nuclear"].quenching.scale  # type: ignore[union-attr]
        wanted = 1.0 if option == "lindhard" else tables.numbers(option)[-1] / theory
        assert scale == pytest.approx(wanted, abs=5e-5)
    shifts = [
        expected(f"coherent_ge:region,{option}") / expected("coherent_ge:region,lindhard") - 1 for option in models
    ]
    assert shifts == pytest.approx([0.0, -0.010, 0.007], abs=1e-3)
    ours, theirs = (load_model(name).document.nuisances["ge_lindhard_k"] for name in ("coherent_ge", "conus_plus"))
    assert ours == theirs
    paper = load_model("coherent_ge:paper").document
    assert (paper.nuisances["quenching_k"].centre, paper.nuisances["quenching_k"].sigma) == (0.157, 0.004)
    assert "ge_lindhard_k" not in paper.nuisances


def test_all_coherent_members_share_the_flux() -> None:
    names = ("coherent_csi", "coherent_lar", "coherent_ge", "coherent_ge_2026")
    rows = [load_model(name).document.nuisances["sns_flux"] for name in names]
    assert {(row.scope, row.centre, row.sigma, row.norm, row.quantity, row.source) for row in rows} == {
        ("global", 1, 0.10, "lognormal", "neutrinos per proton at the SNS, relative", "arXiv:2110.07730")
    }


def test_neutrons_of_both_stretches_are_parts_of_one_exponential() -> None:
    channels = {channel.name: channel for channel in workspace("coherent_ge:statistical").channels}
    (low, high) = (
        sum(next(s for s in channels[name].samples if s.process == "brn").contents)
        for name in ("coherent_ge_on", "coherent_ge_on_high")
    )
    in_time = float(table("neutrino_time.csv").numbers("prompt").sum())
    whole = 0.67 / (1 - exp(-7 / 5) + exp(-9.5 / 5) - exp(-18.5 / 5)) * in_time
    assert low == pytest.approx(whole * (1 - exp(-6 / 5)), rel=1e-4)
    assert high == pytest.approx(whole * (exp(-10 / 5) - exp(-18 / 5)), rel=1e-4)
    (region,) = (s for s in workspace("coherent_ge:region,statistical").channels[0].samples if s.process == "brn")
    assert sum(region.contents) == pytest.approx(0.67, rel=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{type: bin, number: 1}", "{type: bin, number: 4}", "shape 'bin' along energy: found 4; 1 to 3 are allowed"),
        ("{type: bin, number: 1}", "{type: bin, number: 0}", "greater than or equal to 1"),
        (
            "start: {value: 1.5,",
            "start: {value: 3,",
            "shape 'exponential' along energy: found start 3; 1.5 keV or less",
        ),
    ],
)
def test_shapes_that_miss_their_axis_are_one_line(edited: Callable[..., Path], old: str, new: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        compile_model(load_model(str(edited("coherent_ge", (old, new)))))
    assert "\n" not in str(caught.value)


# The second run.


def test_two_runs_never_meet() -> None:
    with pytest.raises(WorkspaceError, match="coherent_ge_2023"):
        combine([workspace("coherent_ge:statistical"), workspace("coherent_ge_2026:statistical")])


def ratio(radius: float) -> float:
    """CEvNS over the Standard Model at a charge radius [1e-32 cm^2]."""
    (channel,) = workspace("coherent_ge_2026:statistical").channels
    values = {p.name: p.default for p in workspace("coherent_ge_2026:statistical").parameters if p.kind == "coupling"}
    values["charge_radius_ee"] = radius
    return sum(
        sum(s.contents) * float(np.prod([values[n] ** k for n, k in s.monomial.items()])) for s in channel.samples
    )


@pytest.mark.parametrize("radius", [-8.0, -4.0, 2.0, 6.0])
def test_the_ratio_has_an_error_for_each_side(radius: float) -> None:
    """Up holds where more is expected than measured; 2 NLL is the square of the distance, in closed form."""
    distance = ratio(radius) - 1
    error = 0.113 if distance > 0 else 0.097
    found = fit(workspace("coherent_ge_2026:statistical"), fixed={"charge_radius_ee": radius * 1e-32}).q_min
    assert found == pytest.approx((distance / error) ** 2, rel=1e-5, abs=1e-9)


def test_the_ratio_is_one_in_the_standard_model() -> None:
    default = scheme("set_A")
    assert ratio(default_value("charge_radius_ee", default)) == pytest.approx(1.0, abs=2e-6)
    assert load_model("coherent_ge_2026").kind == "measurement"


def test_printed_errors_in_quadrature() -> None:
    (channel,) = load_model("coherent_ge_2026:paper").document.channels.values()
    assert channel.errors.up[0] == pytest.approx(np.hypot(0.113, 0.10), abs=5e-4)  # type: ignore[union-attr]
    assert channel.errors.down[0] == pytest.approx(np.hypot(0.097, 0.10), abs=5e-4)  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "coupling", "observed", "asimov"),
    [
        ("coherent_ge:rrpa", "magnetic_moment_mu", 1.671e-9, 2.780e-9),
        ("coherent_ge:rrpa", "millicharge_mumu", 1.900e-10, 3.001e-10),
        ("coherent_ge_2026:rrpa", "magnetic_moment_mu", 2.135e-9, 2.135e-9),
    ],
)
def test_limits_stand_where_they_stood(name: str, coupling: str, observed: float, asimov: float) -> None:
    found = limit(workspace(name), coupling)
    assert found.upper_limit == pytest.approx(observed, rel=2e-3, abs=0)
    assert found.expected["asimov"]["upper"] == pytest.approx(asimov, rel=2e-3, abs=0)  # type: ignore[index]
