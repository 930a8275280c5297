"""Independent tests of the reactor flux: inverse beta decay, energy per fission, antineutrinos per fission."""

import numpy as np
import pytest

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray
from nuemstat.sources.fission import energy_per_fission
from nuemstat.sources.reactor import ReactorSource

NEUTRON_PROTON = 1.29333236  # MeV
PWR = {"U235": 0.58, "U238": 0.07, "Pu239": 0.30, "Pu241": 0.05}


def inverse_beta_decay(energy: FloatArray) -> FloatArray:
    """Cross section [1e-43 cm^2] at energies in MeV: Strumia and Vissani, astro-ph/0302055, eq. 25."""
    electron = energy - NEUTRON_PROTON
    momentum = np.sqrt(np.maximum(electron**2 - 0.51099895**2, 0.0))
    log = np.log(energy)
    return np.asarray(momentum * electron * energy ** (-0.07056 + 0.02018 * log - 0.001953 * log**3))


def per_fission(fractions: dict[str, float], spectrum: str, **pulls: float) -> ReactorSource:
    return ReactorSource(
        fission_fractions=fractions,
        spectrum=spectrum,
        captures_per_fission=0.0,
        normalisation="per_fission",
        pulls=pulls,
    )


def yield_per_fission(fractions: dict[str, float], spectrum: str, **pulls: float) -> float:
    """Inverse beta decays per fission [1e-43 cm^2]."""
    energies = np.linspace(NEUTRON_PROTON + 0.511, 12.0, 6001)
    (component,) = per_fission(fractions, spectrum, **pulls).components()
    assert not component.per_time
    return float(
        np.trapezoid(component.flux(energies * units.MeV) * units.MeV * inverse_beta_decay(energies), energies)
    )


@pytest.mark.parametrize(("isotope", "published"), [("U235", 6.7), ("U238", 10.1), ("Pu239", 4.4), ("Pu241", 6.05)])
def test_inverse_beta_decay_per_fission_of_each_isotope(isotope: str, published: float) -> None:
    """Yields of the conversion spectra (Mention et al. arXiv:1101.2755, Huber), within 3 %."""
    for spectrum in ("mueller_ve", "huber_ve"):
        assert yield_per_fission({isotope: 1.0}, spectrum) == pytest.approx(published, rel=0.03)


@pytest.mark.parametrize("spectrum", ["mueller_ve", "huber_ve", "bestiole", "kopeikin2021", "estienne2019"])
def test_inverse_beta_decay_of_a_power_reactor(spectrum: str) -> None:
    """Measured yields and all models lie between 5.8 and 6.3e-43 cm^2 per fission."""
    assert 5.8 < yield_per_fission(PWR, spectrum) < 6.3


def test_energy_per_fission_of_the_mixture() -> None:
    """205 to 206 MeV per fission of a power reactor, the same to half a percent in all three tables."""
    means = {
        name: sum(share * energy_per_fission(name)[isotope][0] for isotope, share in PWR.items()) / units.MeV
        for name in ("kopeikin2004", "ma2013", "james1969")
    }
    assert 204.5 < min(means.values()) < max(means.values()) < 206.5
    assert max(means.values()) / min(means.values()) < 1.005


def test_burnup_moves_fissions_from_uranium_to_plutonium() -> None:
    moved = yield_per_fission(PWR, "huber_ve", burnup=0.02)
    by_hand = yield_per_fission(PWR | {"U235": 0.56, "Pu239": 0.32}, "huber_ve")
    assert moved == pytest.approx(by_hand, rel=1e-12)
    assert moved < yield_per_fission(PWR, "huber_ve")


def test_three_common_errors_carry_the_huber_covariance() -> None:
    """Of the error of a total yield the common z, wm and norm leave less than 5 % to the independent errors."""

    def effect(name: str) -> float:
        return yield_per_fission(PWR, "huber_ve", **{name: 1.0}) / yield_per_fission(PWR, "huber_ve") - 1

    common = sum(effect(f"huber_{name}") ** 2 for name in ("z", "wm", "norm")) ** 0.5
    whole = sum(effect(f"huber_pc{index}") ** 2 for index in range(75)) ** 0.5
    assert common / whole == pytest.approx(1.0, abs=0.05)
    assert 0.015 < whole < 0.03


def test_per_fission_needs_no_power_and_others_do() -> None:
    assert per_fission({"U235": 1.0}, "bestiole").components()[0].flux.total() == pytest.approx(6.0, abs=0.2)
    with pytest.raises(ModelError, match="needs thermal_power and distance"):
        ReactorSource(fission_fractions={"U235": 1.0})
