"""Measured survival: SNO's polynomial, its covariance in independent numbers, day and night as halves of a flux."""

import numpy as np
import pytest

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.resources import data_file
from nuemstat.sources.solar import SolarSource, unit_spectrum
from nuemstat.sources.survival import PARAMETERS, MeasuredSurvival, survival_file
from nuemstat.tables import read_table

FLUX = 1e6 / units.cm**2 / units.s
SNO = 5.25 * FLUX
TABLE = read_table(data_file(survival_file("sno")))
ERRORS = np.hypot(TABLE.numbers("statistical"), TABLE.numbers("systematic"))


def slopes(measured: dict[str, float] | None = None, step: float = 1.0) -> np.ndarray:
    """What one standard deviation of the flux and of each pull does to the five numbers, shape (5, 6)."""
    options = measured or {}
    base = MeasuredSurvival(**options).parameters(SNO)
    columns = [MeasuredSurvival(**options).parameters(SNO + step * ERRORS[0] * FLUX) - base]
    columns += [MeasuredSurvival(pulls={name: step}, **options).parameters(SNO) - base for name in PARAMETERS]
    return np.array(columns).T / step


def test_central_values_are_the_published_ones() -> None:
    np.testing.assert_allclose(MeasuredSurvival().parameters(SNO), [0.317, 0.0039, -0.0010, 0.046, -0.016], rtol=1e-12)
    assert ERRORS[0] / 5.25 == pytest.approx(0.0381, abs=5e-6)


def test_independent_numbers_have_the_published_covariance() -> None:
    """Errors of all five, correlations among them and with the flux: the flux counts as the first pull."""
    found = slopes()
    correlation = np.stack([TABLE.numbers(row) for row in TABLE.words("parameter")])
    np.testing.assert_allclose(found @ found.T, (correlation * np.outer(ERRORS, ERRORS))[1:, 1:], rtol=1e-9)
    np.testing.assert_allclose(found[:, 0] / ERRORS[1:], [-0.723, 0.302, -0.168, 0.028, -0.012], rtol=1e-9)
    np.testing.assert_allclose(np.triu(found[:, 1:], 1), 0.0, atol=1e-15)


def test_correlation_is_symmetric_and_positive_definite() -> None:
    correlation = np.stack([TABLE.numbers(row) for row in TABLE.words("parameter")])
    np.testing.assert_array_equal(correlation, correlation.T)
    assert np.linalg.eigvalsh(correlation)[0] > 0


def test_a_wider_error_of_c0_is_wider_in_all_of_its_parts_and_in_no_other_number() -> None:
    plain, wide = slopes(), slopes({"c0_error": 1.1})
    np.testing.assert_allclose(wide[0], 1.1 * plain[0], rtol=1e-12)
    np.testing.assert_array_equal(wide[1:], plain[1:])


def test_night_over_day_is_the_asymmetry() -> None:
    energies = np.array([5.0, 10.0, 14.0]) * units.MeV
    day, night = (f(energies, SNO) for f in (MeasuredSurvival().by_day, MeasuredSurvival().by_night))
    distance = np.array([-5.0, 0.0, 4.0])
    np.testing.assert_allclose(day, 0.317 + 0.0039 * distance - 0.0010 * distance**2, rtol=1e-12)
    np.testing.assert_allclose(2 * (night - day) / (night + day), 0.046 - 0.016 * distance, rtol=1e-12)


def test_probabilities_stay_between_0_and_1_far_from_the_window() -> None:
    for pulls in ({"c2": 5.0}, {"c2": -5.0}, {"c0": 40.0}):
        energies = np.linspace(0.1, 19, 100) * units.MeV
        for found in (MeasuredSurvival(pulls=pulls).by_day(energies, SNO), MeasuredSurvival().by_night(energies, SNO)):
            assert np.all((found >= 0) & (found <= 1))


def test_day_and_night_are_halves_of_one_flux() -> None:
    source = SolarSource(branches=("b8",), flux={"b8": SNO}, measured=MeasuredSurvival())
    components = source.components()
    assert [(c.when, c.flavour) for c in components] == [(w, f) for w in ("day", "night") for f in ("e", "mu", "tau")]
    for when in ("day", "night"):
        total = sum(c.flux.total() for c in components if c.when == when)
        assert total == pytest.approx(SNO / 2, rel=1e-12)
    electron = {c.when: c.flux(10 * units.MeV) for c in components if c.flavour == "e"}
    born = unit_spectrum("b8")(10 * units.MeV) * SNO / 2
    assert electron["day"] / born == pytest.approx(0.317, rel=1e-3)
    assert electron["night"] / electron["day"] == pytest.approx((1 + 0.023) / (1 - 0.023), rel=1e-3)
    assert survival_file("sno").removeprefix("solar/") in {path.name for path in source.data_files()}


def test_more_flux_means_less_survival_as_measured() -> None:
    """The measured rate of nu_e hardly depends on the flux: 0.72 of their errors go against each other."""
    moved = SolarSource(branches=("b8",), flux={"b8": SNO}, scale={"b8": 1.0381}, measured=MeasuredSurvival())
    base = SolarSource(branches=("b8",), flux={"b8": SNO}, measured=MeasuredSurvival())
    ten = [next(c.flux(10 * units.MeV) for c in s.components() if c.flavour == "e") for s in (base, moved)]
    expected = 1.0381 * (1 - 0.723 * ERRORS[1] / 0.317 * 0.0381 / (ERRORS[0] / 5.25))
    assert ten[1] / ten[0] == pytest.approx(expected, rel=1e-3)


def test_unconverted_neutrinos_are_all_electron_neutrinos() -> None:
    source = SolarSource(branches=("b8", "be7"), oscillation="none")
    for component in source.components():
        whole = source.flux.get(component.name) or {"b8": 5.46, "be7": 4930}[component.name] * FLUX
        assert component.flux.total() == pytest.approx(whole if component.flavour == "e" else 0.0, rel=1e-12)


def test_a_pull_of_the_8b_spectrum_follows_its_tabulated_error() -> None:
    """Softer by +1: unit area, and the change at two energies is that of the table over its sum."""
    table = read_table(data_file("solar/spectrum_b8_winter.csv"))
    density, error = table.numbers("density"), table.numbers("uncertainty")
    energies = table.numbers("energy")
    plus, base = unit_spectrum("b8", b8_shape=1.0), unit_spectrum("b8")
    assert plus.total() == pytest.approx(1.0, rel=1e-12)
    norm = (density + error).sum() / density.sum()
    for at in (4.0, 12.0):
        row = int(np.argmin(np.abs(energies / units.MeV - at)))
        expected = (1 + error[row] / density[row]) / norm
        assert plus(at * units.MeV) / base(at * units.MeV) == pytest.approx(expected, rel=3e-4)
    assert unit_spectrum("hep", b8_shape=1.0).total() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeasuredSurvival(name="kamland"), "found 'kamland'; allowed are sno"),
        (lambda: MeasuredSurvival(pulls={"c3": 1.0}), "found 'c3'; allowed are c0, c1, c2, a0, a1"),
        (lambda: unit_spectrum("b8", b8_spectrum="ortiz", b8_shape=1.0), "'ortiz' has no tabulated error"),
    ],
)
def test_what_is_not_known_is_refused(make, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make()
