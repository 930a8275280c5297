"""XENON1T: ionisation only, where an unmodelled background is free in each bin, and the electron recoils of 2020."""

from functools import cache

import numpy as np
import pytest

from nuemstat.errors import WorkspaceError
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version
from nuemstat.model.loader import load_model
from nuemstat.model.templates import Bench
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.polynomial import FloatArray
from nuemstat.stats.intervals import limit, significance
from nuemstat.stats.minimise import fit
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace

STANDARD = {name: default_value(name, scheme("set_A")) for name in COUPLINGS}


@cache
def workspace(spec: str) -> Workspace:
    return compile_model(load_model(spec))


@cache
def predicted(spec: str) -> dict[str, FloatArray]:
    """Counts without new physics by process."""
    model = load_model(spec)
    templates = Version(model.raw, model.path, Bench(model.files)).templates
    return {process: poly.evaluate(STANDARD) for (_, process), poly in templates.items()}


def test_the_published_sums() -> None:
    """285 events between 1 and 7 keV for 232 +- 15 of the background model, as printed."""
    table = load_model("xenon1t_er").files.table("counts.csv")
    assert table.numbers("observed")[:6].sum() == 285
    assert table.numbers("background")[:6].sum() == pytest.approx(232, abs=1)


def test_the_background_below_threshold_is_a_flat_one_times_the_efficiency() -> None:
    """Why the efficiency is read in reconstructed energy: smeared in front of it the curve would be higher there."""
    table = load_model("xenon1t_er").files.table("efficiency.csv")
    energy, curve = table.numbers("energy"), table.numbers("efficiency")
    published = {0.5359e-3: 1.4471, 0.7127e-3: 3.3024, 0.8453e-3: 5.8998}  # MeV: per t yr keV
    for at, rate in published.items():
        assert rate / np.interp(at, energy, curve) == pytest.approx(76 * 1.1, rel=0.15)


def test_two_responses_with_one_sum() -> None:
    """All ten bins hold those of the default region, in response and background."""
    model = load_model("xenon1t_s2only")
    for name in ("electrons", "nuclei"):
        small, whole = (model.files.table(f"{name}{end}.csv") for end in ("", "_whole"))
        for i in range(4):
            assert small.numbers(f"b_{i}") == pytest.approx(whole.numbers(f"b_{i + 6}"), rel=1e-4)
        assert sum(whole.numbers(f"b_{i}") for i in range(10)).max() < 0.1
    small, whole = (model.files.table(f"counts{end}.csv") for end in ("", "_whole"))
    for column in ("observed", "electron_recoils"):
        assert small.numbers(column) == pytest.approx(whole.numbers(column)[6:], rel=1e-4)


def test_the_flat_background_is_the_published_rate() -> None:
    """0.142 per t d keV (PRL 123 (2019) 251801, from memory) through the released response: the released counts."""
    table = load_model("xenon1t_s2only").files.table("electrons_whole.csv")
    energy = table.numbers("energy")
    edges = np.sqrt(energy[1:] * energy[:-1])
    width = np.diff(np.concatenate([[energy[0] ** 2 / edges[0]], edges, [energy[-1]]])) / 1e-3  # keV
    response = np.stack([table.numbers(f"b_{i}") for i in range(6, 10)], axis=1)
    expected = 0.142 * 365.25 * 0.97678 * width @ response
    released = load_model("xenon1t_s2only").files.table("counts.csv").numbers("electron_recoils")
    assert expected == pytest.approx(released, rel=0.03)


def test_coherent_scattering_beside_the_release() -> None:
    """Our fold is 8 to 16 % above the released template, as above other releases of the collaboration."""
    found = predicted("xenon1t_s2only:whole")["cevns"][:5]
    released = load_model("xenon1t_s2only").files.table("counts_whole.csv").numbers("cevns")[:5]
    assert found / released == pytest.approx([1.08, 1.09, 1.10, 1.12, 1.16], abs=0.01)


def test_the_default_region_is_where_equivalent_photons_are_known_best() -> None:
    """The pull's effect on what a charge adds, bin by bin: 0.28 at 1 keV, more below 905 PE, no bin below that."""
    model = load_model("xenon1t_s2only:whole,rrpa")
    first = Version(model.raw, model.path, Bench(model.files))
    term = (("millicharge_ee", 2),)
    key = ("xenon1t_s2only", "electron")
    pulled = first.moved("signals.electron.equivalent_photons.Xe", 1.0, "").templates[key].terms[term]
    change = pulled / first.templates[key].terms[term] - 1
    assert change[6:] == pytest.approx([0.30, 0.29, 0.32, 0.40], abs=0.01)
    assert change[:6].min() > 0.37


def test_the_default_region_is_where_the_errors_of_charges_in_matter_are_a_tenth() -> None:
    """Both in quadrature, bin by bin: at most a tenth from 905 PE on, more below."""
    model = load_model("xenon1t_s2only:whole")
    first = Version(model.raw, model.path, Bench(model.files))
    key, term = ("xenon1t_s2only", "electron"), (("millicharge_ee", 2),)
    squares = np.zeros(10)
    for kind in ("dielectric", "photoabsorption"):
        pulled = first.moved(f"signals.electron.{kind}.Xe", 1.0, "").templates[key].terms[term]
        squares += (pulled / first.templates[key].terms[term] - 1) ** 2
    assert np.sqrt(squares[6:]) == pytest.approx([0.10, 0.07, 0.035, 0.043], abs=0.005)
    assert np.sqrt(squares[:6]).min() > 0.11


def test_no_interval_of_the_ionisation_data_leaves_the_null_out() -> None:
    found = limit(workspace("xenon1t_s2only:rrpa"), "magnetic_moment")
    assert found.intervals[0][0] == 0
    assert found.best_fit == 0
    assert found.upper_limit == pytest.approx(3.02e-11, rel=0.01)
    assert found.expected["asimov"]["upper"] == pytest.approx(3.82e-11, rel=0.01)
    (charge,) = limit(workspace("xenon1t_s2only:rrpa"), "millicharge").intervals
    assert charge == pytest.approx((-2.554e-13, 2.554e-13), rel=0.01)
    (charge,) = limit(workspace("xenon1t_s2only"), "millicharge").intervals
    assert charge == pytest.approx((-3.285e-13, 3.285e-13), rel=0.01)


def test_without_the_unmodelled_background_they_would_find() -> None:
    found = limit(workspace("xenon1t_s2only:known"), "magnetic_moment", expected=False)
    assert found.intervals[0][0] > 1e-11


def test_the_excess_of_2020() -> None:
    """(1.4, 2.9) x 1e-11 mu_B and 3.2 sigma, published; tritium takes most of it (0.9 sigma)."""
    excess = workspace("xenon1t_er:fea,no_tritium")
    (interval,) = limit(excess, "magnetic_moment", expected=False).intervals
    assert interval == pytest.approx((1.4e-11, 2.9e-11), rel=0.05)
    assert significance(excess, "magnetic_moment", 0.0).sigma == pytest.approx(3.2, abs=0.3)
    with_tritium = workspace("xenon1t_er:fea")
    assert significance(with_tritium, "magnetic_moment", 0.0).sigma == pytest.approx(0.9, abs=0.3)
    assert limit(with_tritium, "magnetic_moment", expected=False).intervals[0][0] == 0


def test_tritium_is_the_published_one() -> None:
    """79 counts with an error of a third, and 3.2 sigma above nothing."""
    with_tritium = workspace("xenon1t_er")
    found = fit(with_tritium)
    rate = found.nuisances["xenon1t_er__tritium_rate"]
    assert rate.value == pytest.approx(1, abs=0.15)
    assert rate.error == pytest.approx(51 / 159, abs=0.05)
    without = fit(workspace("xenon1t_er:no_tritium"))
    assert np.sqrt(without.q_min - found.q_min) == pytest.approx(3.2, abs=0.35)


def test_the_two_do_not_meet_in_one_fit() -> None:
    pair = [workspace("xenon1t_s2only"), workspace("xenon1t_er")]
    with pytest.raises(WorkspaceError, match=r"xenon1t_.*the same detector in the same months"):
        combine(pair)
    assert len(combine(pair, overlap=True).channels) == 2
