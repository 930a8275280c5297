"""XLZD: counts of the backgrounds from concentrations and half-lives, exposures and priors."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

import nuemstat as nu
from nuemstat import units
from nuemstat.detector.response import recoil_grid
from nuemstat.errors import ModelError
from nuemstat.model.backgrounds import beta_spectrum, double_beta_spectrum
from nuemstat.model.loader import load_model
from nuemstat.model.templates import Bench, response_matrix
from nuemstat.polynomial import FloatArray

ATOMS = 6.02214076e23 / 131.293 * 1e6
"""Of xenon in a tonne."""
YEAR = 3.15576e7
DECAYS = {
    "pb214": 0.1e-6 * 1000 * YEAR * 0.098,
    "kr85": ATOMS * 0.03e-12 * 2e-11 * np.log(2) / 10.76,
    "xe136": ATOMS * 0.0886 * np.log(2) / 2.165e21,
    "xe124": ATOMS * 0.00095 * np.log(2) / 1.1e22,
}
"""Per tonne and year: activities and half-lives that the sources of the model name."""


@cache
def folded() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Recoil energies, widths, and the probability to be seen in the region."""
    model = load_model("xlzd")
    edges = recoil_grid(0.05 * units.keV, 40 * units.keV, 1600, [])
    axis = model.document.channels["xlzd"].axes[0]
    matrix = response_matrix(Bench(model.files), model.document.responses["electronic"], axis, edges).matrix
    return np.sqrt(edges[1:] * edges[:-1]), np.diff(edges), matrix.sum(axis=1)


def seen(spectrum: Callable[[FloatArray], FloatArray], end: float) -> float:
    """The part of a spectrum that is seen in the region."""
    energies = np.linspace(1e-3, end, 200_001) * units.keV
    recoil, width, seen_there = folded()
    return float(np.sum(spectrum(recoil) * width * seen_there) / np.trapezoid(spectrum(energies), energies))


@pytest.mark.parametrize(
    ("process", "spectrum", "end"),
    [
        ("pb214", lambda energy: beta_spectrum(energy, 1018 * units.keV, 83), 1018.0),
        ("kr85", lambda energy: beta_spectrum(energy, 687 * units.keV, 37), 687.0),
        ("xe136", lambda energy: double_beta_spectrum(energy, 2457.8 * units.keV), 2457.8),
    ],
)
def test_counts_follow_from_activities(process: str, spectrum: Callable[[FloatArray], FloatArray], end: float) -> None:
    stated = load_model("xlzd").document.backgrounds[process].counts
    assert stated is not None
    assert stated.number == pytest.approx(200 * DECAYS[process] * seen(spectrum, end), rel=1e-3)


def test_captures_of_xe124() -> None:
    """1.4 % LL at 10 keV and 0.8 % LM at 5.98 keV, all of which are seen."""
    stated = load_model("xlzd").document.backgrounds["xe124"].counts
    assert stated is not None
    assert stated.number == pytest.approx(200 * DECAYS["xe124"] * 0.022, rel=1e-3)


def test_half_of_all_recoils_are_seen_at_the_guessed_threshold() -> None:
    table = load_model("xlzd").files.table("efficiency.csv")
    energy, efficiency = table.numbers("energy", units.ENERGY), table.numbers("efficiency")
    assert np.interp(1.3 * units.keV, energy, efficiency) == pytest.approx(0.5, abs=1e-3)
    assert np.all(np.diff(efficiency) >= 0)


def test_priors_are_those_of_the_task_force() -> None:
    rows = load_model("xlzd:paper").document.nuisances
    widths = {name: (row.sigma, row.processes) for name, row in rows.items()}
    assert widths == {
        "solar_norm": (0.0464, ("electron",)),
        "xe136_norm": (0.15, ("xe136",)),
        "xe124_norm": (0.20, ("xe124",)),
        "pb214_norm": (0.167, ("pb214",)),
        "kr85_norm": (0.167, ("kr85",)),
    }
    assert load_model("xlzd:statistical").document.nuisances == {}


def test_an_option_sets_the_exposure_and_what_follows() -> None:
    option, by_hand = load_model("xlzd:t_yr_1000"), load_model("xlzd", changes={"target.exposure": "1000 t yr"})
    assert option.raw == by_hand.raw
    assert option.given == by_hand.given == {"target.exposure"}
    assert option.changes == ()  # nobody needs to be told of a variant
    back = option.replace({"target.exposure": "200 t yr"})
    assert back.document.target.exposure is not None
    assert back.document.target.exposure.number == pytest.approx(load_model("xlzd").document.target.exposure.number)  # type: ignore[union-attr]


def test_a_wrong_change_of_an_option_is_one_line(edited: Callable[..., object]) -> None:
    path = edited("xlzd", ("t_yr_1000: {changes: {target.exposure:", "t_yr_1000: {changes: {target.exposition:"))
    with pytest.raises(
        ModelError, match=r"xlzd: target\.exposition: no such number .* did you mean 'target\.exposure'"
    ):
        load_model(f"{path}:t_yr_1000")


@pytest.mark.slow
def test_limits_as_they_stand() -> None:
    """Regression, as the documentation has them."""
    for option, moment, charge in (("t_yr_200", 2.243e-12, 2.999e-14), ("t_yr_1000", 1.773e-12, 2.046e-14)):
        workspace = nu.compile(load_model(f"xlzd:{option},rrpa"))
        for coupling, wanted in (("magnetic_moment", moment), ("millicharge", charge)):
            found = nu.limit(workspace, coupling, expected=False)
            assert found.upper_limit == pytest.approx(wanted, rel=1e-3, abs=0)
            assert found.warnings == ()
