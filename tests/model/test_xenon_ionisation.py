"""XENONnT's ionisation-only sample: the release's response, rules of interpolation, templates and expected counts."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nuemstat import units
from nuemstat.detector.tensor import Tensor
from nuemstat.errors import ModelError
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version
from nuemstat.model.loader import load_model
from nuemstat.model.templates import Bench, flux_components
from nuemstat.physics import cevns
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.physics.nucleus import isotopes, molar_mass
from nuemstat.polynomial import FloatArray
from nuemstat.resources import models_folder
from nuemstat.tables import Table, read_table
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.shapes import interpolated

RUNS = {"sr0": 1.50, "sr1": 2.44, "sr2": 3.89}  # exposures [t yr]
PULLS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
CATHODE = ("minus3", "minus2", "minus1", "nominal", "plus1", "plus2", "plus3")
MODEL = "xenonnt_s2only"


@cache
def version(spec: str = MODEL) -> Version:
    model = load_model(spec)
    return Version(model.raw, model.path, Bench(model.files))


@cache
def workspace() -> Workspace:
    return compile_model(load_model(MODEL), couplings=("magnetic_moment_e",))


def table(name: str) -> Table:
    return read_table(models_folder() / MODEL / f"{name}.csv")


def counts(run: str, process: str, chosen: Version | None = None) -> FloatArray:
    """Without new physics, per bin."""
    chosen = chosen or version()
    couplings = scheme(chosen.document.conventions.couplings)
    standard = {name: default_value(name, couplings) for name in COUPLINGS}
    return chosen.templates[f"{MODEL}_{run}", f"{process}_{run}"].evaluate(standard)


def released_rows(run: str, pull: float) -> FloatArray:
    rows = table(f"response_{run}")
    bins = [name for name in rows.columns if name.startswith("cs2_")]
    return np.stack([rows.numbers(name)[rows.numbers("charge") == pull] for name in bins], axis=1)


def tensor(run: str) -> Tensor:
    return Tensor.read(table(f"response_{run}"), None, ("charge",), rule="linear", between="bins")


def test_what_was_counted() -> None:
    assert [sum(channel.observed) for channel in workspace().channels] == [583, 864, 1107]


@pytest.mark.parametrize(
    ("run", "sums", "first_bins"), [("sr0", 1.000, 0.03), ("sr1", 1.003, 0.03), ("sr2", 1.012, 0.05)]
)
def test_counts_of_the_standard_model_are_the_release_s(run: str, sums: float, first_bins: float) -> None:
    """With the release's neutrino spectrum and couplings. Its own recoil spectrum through its own response is 0.986,
    0.988 and 0.996 of its template in sum and 0.97 to 1.05 in a bin: the response was simulated apart."""
    released = table(f"channel_{run}").numbers("cevns") * RUNS[run]
    found = counts(run, "cevns", version(f"{MODEL}:release"))
    assert found.sum() / released.sum() == pytest.approx(sums, abs=2e-3)
    np.testing.assert_allclose(found[:4], released[:4], rtol=first_bins)  # 98 % of the counts


@pytest.mark.parametrize(("run", "ratio"), [("sr0", 1.057), ("sr1", 1.062), ("sr2", 1.074)])
def test_our_own_prediction_lies_above_it(run: str, ratio: float) -> None:
    """Radiative corrections, the spectrum of 2006 and the hep branch: docs/xenon.md has the split."""
    released = table(f"channel_{run}").numbers("cevns") * RUNS[run]
    assert counts(run, "cevns").sum() / released.sum() == pytest.approx(ratio, abs=2e-3)


def test_the_rule_of_the_release() -> None:
    """Rate at each energy x width of its bin x probability, summed: what integrals over the bins give within 0.6 %."""
    chosen, energies = version(), tensor("sr0").energies
    couplings = scheme("set_A")
    standard = {name: default_value(name, couplings) for name in COUPLINGS}
    rate = sum(
        share
        * cevns.rate(
            energies, part.flux, flavour=part.flavour, antineutrino=False, nucleus=nucleus, scheme=couplings
        ).evaluate(standard)
        for part in flux_components(chosen.document, chosen.bench)
        for nucleus, share in isotopes("Xe")
    )
    exposure = units.parse("1.5 t yr", (0, 0, 1, 1)) / (molar_mass("Xe") * units.MOLAR_GRAM)
    summed = (rate * np.diff(tensor("sr0").edges)) @ released_rows("sr0", 0) * exposure
    np.testing.assert_allclose(counts("sr0", "cevns"), summed, rtol=6e-3)
    assert counts("sr0", "cevns").sum() == pytest.approx(summed.sum(), rel=2e-3)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("pull", PULLS)
def test_the_response_is_the_released_one_at_all_seven_pulls(run: str, pull: float) -> None:
    np.testing.assert_allclose(tensor(run).at({"charge": pull}), released_rows(run, pull), rtol=1e-9)


@pytest.mark.parametrize("pull", [-2.5, -0.25, 0.4, 1.5])
def test_straight_lines_between_them(pull: float) -> None:
    low = float(np.floor(pull))
    share = pull - low
    expected = (1 - share) * released_rows("sr1", low) + share * released_rows("sr1", low + 1)
    np.testing.assert_allclose(tensor("sr1").at({"charge": pull}), expected, rtol=1e-9)
    with pytest.raises(ModelError, match="do not bracket a pull of"):
        tensor("sr1").at({"charge": 3.1})


def test_each_energy_stands_for_the_bin_between_midpoints() -> None:
    chosen = tensor("sr2")
    found = chosen.edges / units.keV
    np.testing.assert_allclose(found[[0, 1, 2, -2, -1]], [0.495, 0.505, 0.53, 4.95, 5.05])
    edges = np.array([0.40, 0.49, 0.499, 0.51, 0.54, 1.0, 1.09, 5.04, 5.2, 5.3]) * units.keV
    centres = np.sqrt(edges[1:] * edges[:-1]) / units.keV
    rows = [None if not 0.495 <= c < 5.05 else int(np.searchsorted(found, c, side="right")) - 1 for c in centres]
    assert rows[0] is None
    assert rows[-1] is None
    expected = [np.zeros(7) if row is None else chosen.nominal[row] for row in rows]
    np.testing.assert_allclose(chosen.matrix(edges, {"charge": 0.0}), expected)


@pytest.mark.parametrize("run", RUNS)
def test_a_fit_has_the_released_templates_at_all_seven_pulls(run: str) -> None:
    """Charge yield of the signal and shape of the cathode background, as the workspace interpolates them."""
    channel = next(c for c in workspace().channels if c.name == f"{MODEL}_{run}")
    for process, row, path in (
        ("cevns", "charge_yield", f"responses.{run}.tensor.pulls.charge"),
        ("cathode", f"cathode_shape_{run}", f"backgrounds.cathode_{run}.channels.{channel.name}.pull"),
    ):
        sample = next(s for s in channel.samples if s.process == f"{process}_{run}" and not s.monomial)
        shape = next(m for m in sample.modifiers if m.type == "shape" and m.parameter.endswith(row))
        for pull in PULLS:
            change, nominal = interpolated(channel, shape, pull), np.array(sample.contents)
            ours = nominal + change if shape.interpolation == "additive" else nominal * np.exp(change)
            exact = version().moved(path, pull, "").templates[channel.name, f"{process}_{run}"]
            wanted = exact.fix({e.name: e.value for e in workspace().folded}).evaluate(dict.fromkeys(COUPLINGS, 0.0))
            np.testing.assert_allclose(ours, wanted, rtol=1e-6, err_msg=f"{process} at {pull}")


@pytest.mark.parametrize("run", RUNS)
def test_shapes_of_the_cathode_background_have_one_sum(run: str) -> None:
    """The normalised templates, which the statistical model of the release names; and straight lines between them."""
    released = np.stack([table(f"channel_{run}").numbers(f"cathode_{name}") for name in CATHODE])
    np.testing.assert_allclose(released.sum(axis=1), released.sum(axis=1)[3], rtol=1e-5)  # six digits
    path = f"backgrounds.cathode_{run}.channels.{MODEL}_{run}.pull"
    half = counts(run, "cathode", version().moved(path, 1.5, ""))
    np.testing.assert_allclose(half, (released[4] + released[5]) / 2 * RUNS[run], rtol=1e-9)


def test_priors_of_the_release() -> None:
    found = {p.name.removeprefix(f"{MODEL}__"): p.sigma for p in workspace().parameters if p.kind == "constrained"}
    wanted = {"solar_b8": 0.0381, "charge_yield": 1.0}
    wanted |= {f"signal_efficiency_{run}": 0.112 for run in RUNS} | {f"cathode_shape_{run}": 1.0 for run in RUNS}
    wanted |= {"cathode_norm_sr0": 0.146, "cathode_norm_sr1": 0.104, "cathode_norm_sr2": 0.074}
    wanted |= {"ae_norm_sr0": 0.171, "ae_norm_sr1": 0.078}
    wanted |= {"de_norm_sr0": 0.408, "de_norm_sr1": 0.192, "de_norm_sr2": 0.135}
    assert found == wanted


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rule: linear, between: bins", "rule: linear, totals: x.csv", ["totals", "'x.csv' with rule 'linear'"]),
        ("cathode_nominal: 0, cathode_plus1: 1, ", "cathode_nominal: 1, cathode_plus1: 1, ", ["+1, +1", "different"]),
        ("cathode_plus3: 3}", "cathode_plus3: 3}\n        pull: 4", ["pull +4"]),
        ("cathode_minus3: -3", "cathode_minus4: -3", ["no column 'cathode_minus4'"]),
        ("deviation: {allowed: 0.15", "deviation: {allowed: 0.01", ["within 0.12", "0.01 is allowed", "more anchors"]),
        ("deviation: {allowed: 0.15", "deviation: {allowed: 0", ["deviation.allowed"]),
        ("5.25e6 1/cm^2/s", "5.25e6 1/cm^2", ["source.solar.flux.b8", "'5.25e6 1/cm^2'"]),
    ],
)
def test_a_mistake_is_one_line(edited: Callable[..., Path], old: str, new: str, words: list[str]) -> None:
    with pytest.raises(ModelError) as caught:
        compile_model(load_model(str(edited(MODEL, (old, new)))), couplings=("millicharge_ee",))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
