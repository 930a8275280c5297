"""Super-Kamiokande: rates over released expectations, day and night, common errors, what the pulls move."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from nuemstat import fit, units
from nuemstat.errors import ModelError
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version
from nuemstat.model.loader import load_model
from nuemstat.model.observed import channel_data
from nuemstat.model.reference import reference_templates
from nuemstat.model.templates import Bench
from nuemstat.model.variants import with_value
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.polynomial import FloatArray
from nuemstat.resources import models_folder
from nuemstat.sources.solar import unit_spectrum
from nuemstat.tables import read_table
from nuemstat.vocabulary import COUPLINGS

STANDARD = {name: default_value(name, scheme("set_A")) for name in COUPLINGS}
CHANNELS = {"sk1_first": 1, "sk1": 42, "sk1_last": 1, "sk3": 40, "sk4": 46}
FLUX = {"sk1": 5.79, "sk3": 5.79, "sk4": 5.25}


def version(spec: str = "superk_solar:sk4", **numbers: float) -> Version:
    model = load_model(spec)
    raw = dict(model.raw)
    for path, number in numbers.items():
        raw = with_value(raw, path.replace("__", "."), number)
    return Version(raw, model.path, Bench(model.files))


@cache
def rates(spec: str = "superk_solar:sk4", process: str = "b8_sk4", channel: str = "sk4") -> FloatArray:
    return version(spec).templates[channel, process].evaluate(STANDARD)


def column(name: str, table: str = "sk4") -> FloatArray:
    return read_table(models_folder() / "superk_solar" / f"{table}.csv").numbers(name)


def data(channel: str) -> dict[str, Any]:
    """Observed and errors of a channel, as the workspace has them."""
    model = load_model("superk_solar")
    return channel_data(model.document.channels[channel], model.files, lambda _: np.zeros(1))


def weak(recoil: float, energy: FloatArray, flavour: str) -> FloatArray:
    """Standard Model cross section of set A in units of a common factor: (gV+gA)^2 + ..., by hand."""
    gv, ga = {"e": (0.9521, 0.4938), "mu": (-0.0397, -0.5062), "tau": (-0.0353, -0.5062)}[flavour]
    y = 1 - recoil / energy
    return (gv + ga) ** 2 + (gv - ga) ** 2 * y**2 - (gv**2 - ga**2) * units.ELECTRON_MASS * recoil / energy**2


def folded(flavour: str, weight, low: float, high: float) -> float:
    """Rate in a bin of total energy [MeV] behind SK-IV's resolution, by a grid in recoil and neutrino energy."""
    energies = np.linspace(0.02, 15.3, 1500) * units.MeV
    spectrum = unit_spectrum("b8")(energies) * weight(energies / units.MeV)
    recoils = np.linspace(0.4, 15.2, 1500) * units.MeV
    rate = np.empty_like(recoils)
    for i, recoil in enumerate(recoils):
        above = energies > (recoil + np.sqrt(recoil**2 + 2 * units.ELECTRON_MASS * recoil)) / 2
        rate[i] = integrate.trapezoid(np.where(above, spectrum * weak(recoil, energies, flavour), 0.0), energies)
    total = (recoils + units.ELECTRON_MASS) / units.MeV
    sigma = -0.0839 + 0.349 * np.sqrt(total) + 0.0397 * total
    share = stats.norm.cdf(high, total, sigma) - stats.norm.cdf(low, total, sigma)
    return float(integrate.trapezoid(rate * share, recoils))


@pytest.mark.parametrize(("row", "low", "high"), [(0, 4.001, 4.501), (20, 9.001, 9.501)])
@pytest.mark.parametrize("night", [0, 1])
def test_the_ratio_is_an_independent_fold(row: int, low: float, high: float, night: int) -> None:
    """Polynomial, flavours, resolution in total energy, and the released expectation times all of it."""

    def survival(energy: FloatArray) -> FloatArray:
        day = 0.317 + 0.0039 * (energy - 10) - 0.0010 * (energy - 10) ** 2
        half = (0.046 - 0.016 * (energy - 10)) / 2
        return np.clip(day * (1 + half) / (1 - half) if night else day, 0, 1)

    above = folded("e", survival, low, high)
    above += 0.455 * folded("mu", lambda e: 1 - survival(e), low, high)
    above += 0.545 * folded("tau", lambda e: 1 - survival(e), low, high)
    below = folded("e", np.ones_like, low, high)
    found = (rates() / column("mc_b8"))[row + night]
    assert found == pytest.approx(above / below, rel=1e-3)


def test_released_expectations_come_back_without_conversion_at_their_flux() -> None:
    unconverted = version("superk_solar:unconverted", source__scale__hep=7880 / 7980)
    for name in CHANNELS:
        phase = name.partition("_")[0]
        for branch, ratio in (("b8", 5.25 / FLUX[phase]), ("hep", 1.0)):
            found = unconverted.templates[name, f"{branch}_{phase}"].evaluate(STANDARD)
            np.testing.assert_allclose(found, ratio * column(f"mc_{branch}", name), rtol=1e-9)


def test_released_expectations_are_our_own_absolute_rates() -> None:
    """Nothing of it is in the prediction, so it checks the tables: electrons, cross section, spectrum, resolution.

    The released rates are corrected for efficiencies. Radiative corrections of the electrons (2 %) are not in ours.
    """
    made = version("superk_solar")
    own = reference_templates(made.document, made.bench)
    over = {
        (branch, name): column(f"mc_{branch}", name) / own[name, f"{branch}_{name}"].evaluate(STANDARD)
        for branch in ("b8", "hep")
        for name in ("sk1", "sk3", "sk4")
    }
    below = {name: column("energy_high", name) <= 14.2 * units.MeV for name in ("sk1", "sk3", "sk4")}
    assert np.all(np.abs(over["b8", "sk4"][below["sk4"]] - 0.977) < 0.015)
    assert np.all(np.abs(over["b8", "sk3"][below["sk3"]] - 0.976) < 0.03)
    assert np.all(np.abs(over["b8", "sk1"][below["sk1"]] - 1.02) < 0.06)  # harder than ours by a tenth
    for name in ("sk1", "sk3", "sk4"):
        assert np.all(np.abs(over["hep", name] - 0.99) < 0.04)


def test_a_flux_and_its_survival_move_together() -> None:
    """SNO's fluxes of nu_e and of all are anticorrelated: 3.81 % more of all is hardly more scattering."""
    more = version(source__scale__b8=1.0381).templates["sk4", "b8_sk4"].evaluate(STANDARD)
    held = version("superk_solar:sk4,adiabatic", source__scale__b8=1.0381).templates["sk4", "b8_sk4"].evaluate(STANDARD)
    np.testing.assert_allclose(held / rates("superk_solar:sk4,adiabatic"), 1.0381, rtol=1e-9)
    middle = column("energy_low") == 9.001 * units.MeV
    assert np.all(np.abs((more / rates())[middle] - 1) < 0.01)


def test_the_sun_is_the_same_by_day_and_night_where_conversion_is_adiabatic() -> None:
    found = rates("superk_solar:sk4,adiabatic").reshape(-1, 2) / column("mc_b8").reshape(-1, 2)
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=1e-12)
    measured = rates().reshape(-1, 2) / column("mc_b8").reshape(-1, 2)
    assert np.all(measured[:, 1] != measured[:, 0])


def test_a_bin_of_day_and_night_sees_half_of_each() -> None:
    folder = version("superk_solar:sk1")
    both = folder.templates["sk1_first", "b8_sk1"].evaluate(STANDARD) / column("mc_b8", "sk1_first")
    split = (folder.templates["sk1", "b8_sk1"].evaluate(STANDARD) / column("mc_b8", "sk1")).reshape(6, 7)
    np.testing.assert_allclose(split[:, 1:], np.broadcast_to(split[:, 1:2], (6, 6)), rtol=1e-12)
    assert abs(both[0] - split[0].mean()) < 0.02
    first = {**folder.raw["channels"]["sk1_first"]}
    first["axes"] = [*first["axes"], {"name": "zenith", "unit": "1", "edges": [-1, 1]}]
    raw = {**folder.raw, "channels": {**folder.raw["channels"], "sk1_first": first}}
    again = Version(raw, folder.path, Bench(folder.bench.files)).templates["sk1_first", "b8_sk1"].evaluate(STANDARD)
    np.testing.assert_allclose(again / column("mc_b8", "sk1_first"), both, rtol=1e-12)


def test_systematic_errors_are_common_to_the_times_of_a_bin_and_to_nothing_else() -> None:
    found = np.array(data("sk4")["covariance"])
    systematic, statistical = column("systematic"), column("statistical")
    wanted = np.diag(statistical**2)
    for i in range(0, 46, 2):
        wanted[i : i + 2, i : i + 2] += np.outer(systematic[i : i + 2], systematic[i : i + 2])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-12)
    (error,) = data("sk1_last")["errors"]
    assert error == pytest.approx(np.hypot(0.09, 0.014 * 0.341), rel=1e-4)


def test_channels_hold_the_printed_bins() -> None:
    found = {c: len(column("observed", c)) for c in CHANNELS}
    assert found == CHANNELS
    assert sum(found.values()) == 132 - 2  # the last two of SK-III are added up, by day and by night
    edges = load_model("superk_solar").document.channels["sk4"].axes[0].values
    assert edges[0] - 0.511 == pytest.approx(3.49)
    assert edges[-1] - 0.511 == pytest.approx(19.49)


@pytest.mark.slow
def test_a_phase_has_its_own_detector() -> None:
    """Scale, resolution and norm of one phase move its own processes; fluxes and survival move all."""
    rows = load_model("superk_solar").document.nuisances
    made = compile_model(load_model("superk_solar"), ())
    moved: dict[str, set[str]] = {}
    for channel in made.channels:
        for sample in channel.samples:
            for modifier in sample.modifiers:
                moved.setdefault(modifier.parameter, set()).add(sample.process)
    for phase in ("sk1", "sk3", "sk4"):
        for kind in ("energy_scale", "resolution", "norm"):
            assert moved[f"superk_solar__{phase}_{kind}"] == {f"b8_{phase}", f"hep_{phase}"}
            assert rows[f"{phase}_{kind}"].correlation == 0.5
    every = {f"{branch}_{phase}" for branch in ("b8", "hep") for phase in ("sk1", "sk3", "sk4")}
    for name in ("solar_b8", "solar_nu_mu_share", "superk_solar__survival_c0", "superk_solar__muon_tau_weak"):
        assert moved[name] == every
    assert moved["solar_hep"] == {name for name in every if name.startswith("hep")}
    assert moved["solar_b8_shape"] == {name for name in every if name.startswith("b8")}


def test_the_flux_is_the_parameter_of_other_models() -> None:
    """Same name, definition and width as in the coherent scattering of 8B neutrinos: one prior in a joint fit."""
    ours, theirs = (
        next(p for p in compile_model(load_model(name), ()).parameters if p.name == "solar_b8")
        for name in ("superk_solar:sk4", "xenonnt_s2only")
    )
    assert ours == theirs


def test_weak_scattering_of_converted_neutrinos_alone_is_scaled() -> None:
    up = version(conventions__muon_tau_weak=1.01).templates["sk4", "b8_sk4"]
    base = version().templates["sk4", "b8_sk4"]
    ratio = up.evaluate(STANDARD) / base.evaluate(STANDARD)
    assert np.all((ratio > 1.002) & (ratio < 1.0035))  # a quarter to a third of the rate is theirs
    for term in ((("magnetic_moment_mu", 2),), (("charge_radius_ee", 1),)):
        np.testing.assert_allclose(up.terms[term], base.terms[term], rtol=1e-12)
    one = scheme("set_A").with_muon_tau(1.21)
    assert one.gv["mu"] == pytest.approx(1.1 * -0.0397)
    assert one.gv["e"] == 0.9521


@pytest.mark.slow
def test_published_numbers_of_sk4() -> None:
    """46 rates and the six numbers of SNO: 2 NLL 33.6 (first fit of these tables by others); 2.31e6 by scattering."""
    best = fit(compile_model(load_model("superk_solar:sk4"), ()))
    assert best.q_min == pytest.approx(33.6, abs=0.1)
    flux = fit(compile_model(load_model("superk_solar:sk4,unconverted,statistical"), ()))
    assert flux.nuisances["solar_b8"].value * 5.25 == pytest.approx(2.314, abs=0.039)


def test_best_scale_of_sk4_at_the_central_values() -> None:
    predicted = rates() + rates(process="hep_sk4")
    observed, inverse = np.array(data("sk4")["observed"]), np.linalg.inv(np.array(data("sk4")["covariance"]))
    assert predicted @ inverse @ observed / (predicted @ inverse @ predicted) == pytest.approx(1.03, abs=0.005)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("use: reference\n      flux:", "use: counts\n      flux:"), "flux is required for use 'reference'"),
        (("branches: [b8]", "branches: [b8, hep]"), "use 'reference' is for a signal of one branch"),
        (("branches: [b8]", "branches: [b9]"), "b9"),
        (
            ("systematic: systematic, along: [zenith]", "along: [zenith]"),
            "along: belongs to systematic errors; found none",
        ),
        (("sk1_first: sk1_first.csv, ", ""), "released.table: found tables for sk1, sk1_last; one for each of"),
        (("measured: sno", "measured: borexino"), "survival.measured"),
    ],
)
def test_mistakes_in_the_file_are_one_line(edited, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        compile_model(load_model(f"{edited('superk_solar', change)}"), ())
    assert "\n" not in str(caught.value)


def test_a_reference_is_for_the_sun() -> None:
    made = version()
    reactor = load_model("conus_plus").document.source
    document = made.document.model_copy(update={"source": reactor})
    with pytest.raises(ModelError, match="use 'reference' is allowed for a source of type 'solar' only"):
        reference_templates(document, made.bench)


def test_errors_are_common_along_an_axis_of_the_channel(edited) -> None:
    model = load_model(str(edited("superk_solar", ("along: [zenith]", "along: [azimuth]"))))
    with pytest.raises(ModelError, match=r"errors\.along: found 'azimuth'; the channel has the axes energy, zenith"):
        channel_data(model.document.channels["sk1"], model.files, lambda _: np.zeros(1))
