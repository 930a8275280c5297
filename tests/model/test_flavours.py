"""Flavour couplings in models: alone, in pairs, and as universal ones, against cross sections written out here.

The package makes polynomials of the couplings; below, amplitudes are numbers, with the couplings already in them, and
are squared as numbers. Flux, response and exposure are the same in both, so that the counts must agree.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import combinations
from math import pi, sqrt
from typing import Any

import numpy as np
import pytest

import nuemstat
from nuemstat import units
from nuemstat.errors import FitError, NuemstatError
from nuemstat.model import templates
from nuemstat.model.loader import load_model
from nuemstat.model.templates import Bench, signal_templates
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.physics.dielectric import terms
from nuemstat.physics.kinematics import minimum_energy
from nuemstat.physics.nucleus import find_form_factor
from nuemstat.polynomial import CouplingPolynomial, FloatArray
from nuemstat.sources.solar import SolarSource
from nuemstat.vocabulary import COUPLINGS, FLAVOURS, coupling_name
from nuemstat.workspace.document import Workspace

Values = Mapping[str, float]
STANDARD = {name: default_value(name, scheme("set_A")) for name in COUPLINGS}
KAPPA = sqrt(2) * pi * units.ALPHA / (3 * units.FERMI * units.HBARC**2)  # vector coupling per charge radius [1/cm^2]
SPECS = (
    *("lz_er2025:fea", "lz_er2025", "lz_er2025:rrpa", "coherent_csi", "coherent_csi:fea", "coherent_csi:epa"),
    *("coherent_lar:own_spectrum", "xenonnt_b8"),
)
PAIRS = (
    ("millicharge_ee", "millicharge_mumu"),
    ("millicharge_ee", "charge_radius_ee"),
    ("millicharge_mumu", "charge_radius_mumu"),
    ("millicharge_emu", "charge_radius_emu"),
    ("millicharge_mutau", "charge_radius_mutau"),
    ("millicharge_ee", "millicharge_emu"),
    ("charge_radius_ee", "charge_radius_emu"),
    ("magnetic_moment_e", "millicharge_ee"),
    ("magnetic_moment_mu", "charge_radius_mumu"),
)


def amplitudes(values: Values, flavour: str, q2: FloatArray) -> dict[str, FloatArray]:
    """2 sqrt2 pi alpha x/(G_F q^2) + k r2 with every flavour that comes out, the quantities in their physical units."""
    found = {}
    for other in FLAVOURS:
        charge, radius = (coupling_name(kind, flavour, other) for kind in ("millicharge", "charge_radius"))
        x, r2 = (values.get(name, 0.0) * COUPLINGS[name].scale for name in (charge, radius))
        found[other] = 2 * sqrt(2) * pi * units.ALPHA * x / (units.FERMI * q2) + KAPPA * r2 * units.cm**2
    return found


def magnetic(values: Values, flavour: str, moments: Any, recoil: FloatArray) -> FloatArray:
    name = coupling_name("magnetic_moment", flavour, flavour)
    moment = values.get(name, 0.0) * COUPLINGS[name].scale
    area = pi * (units.ALPHA * units.HBARC / units.ELECTRON_MASS * moment) ** 2
    return area * (moments.m0 / recoil - moments.m1)


def direct_cevns(values: Values) -> Callable[..., CouplingPolynomial]:
    def rate(recoil, flux, *, flavour, antineutrino, nucleus, scheme, form_factor="helm") -> CouplingPolynomial:
        del antineutrino
        mass, q = nucleus.mass, np.sqrt(2 * nucleus.mass * recoil)
        moments, shape = flux.moments(minimum_energy(recoil, mass)), find_form_factor(form_factor)
        protons, neutrons = nucleus.Z * shape(q, nucleus.proton_radius), nucleus.N * shape(q, nucleus.neutron_radius)
        change = amplitudes(values, flavour, -2 * mass * recoil)
        diagonal = (scheme.proton(flavour) - change[flavour]) * protons + scheme.gvn * neutrons
        total = diagonal**2 + sum((protons * change[other]) ** 2 for other in FLAVOURS if other != flavour)
        weak = units.FERMI_AREA**2 * mass / pi * total * (moments.m0 - mass * recoil / 2 * moments.m2)
        return CouplingPolynomial.constant(weak + protons**2 * magnetic(values, flavour, moments, recoil))

    return rate


def direct_electron(values: Values) -> Callable[..., CouplingPolynomial]:
    def rate(
        recoil, flux, *, flavour, antineutrino, atom, scheme, approximation, neutrino_mass, **_
    ) -> CouplingPolynomial:
        mass = units.ELECTRON_MASS
        moments = flux.moments(minimum_energy(recoil, mass))
        photons = approximation in ("epa", "rrpa")
        neutral = {
            name: 0.0 if approximation != "fea" and name.startswith("millicharge") else x for name, x in values.items()
        }
        change = amplitudes(neutral, flavour, -2 * mass * recoil)
        axial = scheme.axial(flavour, antineutrino=antineutrino)

        def spin_sum(vector: FloatArray, axial: float) -> FloatArray:
            back = moments.m0 - 2 * recoil * moments.m1 + recoil**2 * moments.m2  # (1 - T/E)^2
            both = (vector + axial) ** 2 * moments.m0 + (vector - axial) ** 2 * back
            return both - (vector**2 - axial**2) * mass * recoil * moments.m2

        total = spin_sum(scheme.electron(flavour) + change[flavour], axial)
        total = total + sum(spin_sum(change[other], 0.0) for other in FLAVOURS if other != flavour)
        total = total * units.FERMI_AREA**2 * mass / (2 * pi) * atom.z_eff(recoil)
        if approximation in ("rrpa", "best"):
            total = total / atom.rrpa_ratio(flavour, recoil)
        if photons:
            logarithm = flux.moments(recoil).logarithm(neutrino_mass)
            photons_at = 2 * units.ALPHA / pi * atom.photoabsorption(recoil) / recoil * logarithm
            total = total + photons_at * squares(values, flavour)
        moment = atom.z_eff(recoil) * magnetic(values, flavour, moments, recoil)
        if approximation == "best":
            moment = moment * atom.moment_ratio(recoil)
        return CouplingPolynomial.constant(total + moment)

    return rate


def squares(values: Values, flavour: str) -> float:
    names = {coupling_name("millicharge", flavour, other) for other in FLAVOURS}
    return sum((values.get(name, 0.0) * COUPLINGS[name].scale) ** 2 for name in names)


def direct_charges(values: Values) -> Callable[..., CouplingPolynomial]:
    """Ionisation of the medium by charges that are numbers."""

    def rate(recoil, flux, *, flavour, medium, **_) -> CouplingPolynomial:
        found, mass = terms(medium, recoil), units.ELECTRON_MASS
        all_above, scattered = flux.moments(recoil), flux.moments(minimum_energy(recoil, mass))
        free = scattered.m0 + scattered.m0 - 2 * recoil * scattered.m1 + recoil**2 * scattered.m2
        free = found.free * (free - mass * recoil * scattered.m2) / 2  # [1 + (1-T/E)^2 - m T/E^2] / 2
        total = (found.total - found.free) * all_above.m0 + free
        seen = np.where(recoil < 50 * units.eV, 0.0, total)
        return CouplingPolynomial.constant(units.ALPHA / pi * seen * squares(values, flavour))

    return rate


@contextmanager
def written_out(monkeypatch: pytest.MonkeyPatch, values: Values) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(templates.cevns, "rate", direct_cevns(values))
        patched.setattr(templates.electron, "rate", direct_electron(values))
        patched.setattr(templates.electron, "charge_rate", direct_charges(values))
        yield


def direct_counts(monkeypatch: pytest.MonkeyPatch, spec: str, values: Values) -> dict[tuple[str, str], FloatArray]:
    model = load_model(spec)
    with written_out(monkeypatch, values):
        found = signal_templates(model.document, Bench(model.files))
    return {key: poly.evaluate({}) for key, poly in found.items()}


@cache
def workspace(spec: str) -> Workspace:
    return nuemstat.compile(load_model(spec))


def held_counts(spec: str, values: Values) -> dict[tuple[str, str], FloatArray]:
    """What the samples of the workspace give, free shapes at their expansion points and norms at 1."""
    found: dict[tuple[str, str], FloatArray] = {}
    for channel in workspace(spec).channels:
        for sample in channel.samples:
            if all(name in COUPLINGS for name in sample.monomial):
                factor = np.prod([values[name] ** power for name, power in sample.monomial.items()])
                key = (channel.name, sample.process)
                found[key] = found.get(key, 0.0) + factor * np.array(sample.contents)
    return found


def agree(monkeypatch: pytest.MonkeyPatch, spec: str, values: Values) -> None:
    held, direct = held_counts(spec, values), direct_counts(monkeypatch, spec, values)
    assert direct
    for key, counts in direct.items():
        # Contents carry nine digits; where terms cancel, so does their rounding.
        np.testing.assert_allclose(held[key], counts, rtol=1e-6, atol=1e-7 * np.max(np.abs(counts)), err_msg=str(key))


@pytest.mark.parametrize("spec", SPECS)
def test_all_couplings_at_once(monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    """Every pair and all of their interferences in one: couplings of both signs, as large as all limits."""
    generator = np.random.default_rng(20)
    for _ in range(2):
        values = {name: STANDARD[name] + generator.uniform(-30, 30) for name in COUPLINGS}
        agree(monkeypatch, spec, values)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("spec", ["lz_er2025:fea", "coherent_csi"])
def test_two_couplings_at_once(monkeypatch: pytest.MonkeyPatch, spec: str, pair: tuple[str, str]) -> None:
    values = STANDARD | {pair[0]: STANDARD[pair[0]] + 7.0, pair[1]: STANDARD[pair[1]] - 11.0}
    agree(monkeypatch, spec, values)


def test_which_pairs_interfere() -> None:
    """A charge with the radius between the same two flavours, and nothing else; where atoms are ionised nothing."""
    wanted = {(f"charge_radius_{a}{b}", f"millicharge_{a}{b}") for a, b in combinations(FLAVOURS, 2)}
    wanted |= {(f"charge_radius_{a}{a}", f"millicharge_{a}{a}") for a in FLAVOURS}
    for spec, process, expected in (
        ("lz_er2025:fea", "electron", wanted),
        ("lz_er2025", "electron", set()),
        ("xenonnt_b8", "cevns", wanted),
    ):
        channel = workspace(spec).channels[0]
        monomials = [s.monomial for s in channel.samples if s.process == process]
        assert {tuple(sorted(m)) for m in monomials if len(m) == 2} == expected
        assert all(set(m.values()) == {1} for m in monomials if len(m) == 2)


def test_pion_decay_has_muon_and_electron_flavours() -> None:
    held = set(workspace("coherent_csi").couplings)
    assert held == set(workspace("coherent_lar").couplings)
    assert set(COUPLINGS) - held == {"magnetic_moment_tau", "millicharge_tautau", "charge_radius_tautau"}


@pytest.mark.parametrize("universal", ["magnetic_moment", "millicharge", "charge_radius"])
@pytest.mark.parametrize("spec", ["lz_er2025:fea", "coherent_lar"])
def test_equal_diagonal_couplings_are_the_universal_one(spec: str, universal: str) -> None:
    held, shift = workspace(spec), 5.0 if spec.startswith("lz") else 500.0
    same = [n for n in held.couplings if n.startswith(f"{universal}_") and len(set(COUPLINGS[n].flavours)) == 1]
    alone, common = nuemstat.Likelihood(held), nuemstat.Likelihood(held.substitute(universal))
    standard = alone.counts(alone.vector({}))
    each = alone.counts(alone.vector({name: STANDARD[name] + shift for name in same}))
    np.testing.assert_allclose(common.counts(common.vector({universal: shift})), each, rtol=1e-9)
    assert np.max(np.abs(each / standard - 1)) > 1e-3


def test_flavours_of_the_sun_add_up_to_its_whole_flux(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment common to all flavours sees the flux before oscillations, whatever the mixing is."""
    model = load_model("lz_er2025:fea")
    terms = signal_templates(model.document, Bench(model.files))["lz_ws2024", "electron"].terms
    three = sum(terms[((f"magnetic_moment_{flavour}", 2),)] for flavour in FLAVOURS)
    whole: dict[str, Any] = {}
    for component in SolarSource().components():
        name = component.name
        whole[name] = whole[name] + component.flux if name in whole else component.flux
    assert len(whole) < len(SolarSource().components())

    def as_electron_neutrinos(self: SolarSource) -> tuple[Any, ...]:
        first = {c.name: c for c in original(self) if c.flavour == "e"}
        return tuple(templates.replace(first[name], flux=flux) for name, flux in whole.items())

    original = SolarSource.components
    monkeypatch.setattr(SolarSource, "components", as_electron_neutrinos)
    alone = signal_templates(load_model("lz_er2025:fea").document, Bench(model.files))["lz_ws2024", "electron"].terms
    assert ((("magnetic_moment_mu", 2),)) not in alone
    np.testing.assert_allclose(three, alone[(("magnetic_moment_e", 2),)], rtol=1e-9)


@pytest.mark.parametrize(
    ("spec", "pair", "spans"),
    [
        ("lz_er2025", ("millicharge_ee", "millicharge_mumu"), ((-3e-13, 3e-13), (-4e-13, 4e-13))),
        ("lz_er2025:fea", ("millicharge_emu", "charge_radius_emu"), ((0, 5e-13), (-8e-31, 8e-31))),
        ("coherent_csi", ("charge_radius_ee", "charge_radius_mumu"), ((-1e-31, 1e-31), (-6e-32, 6e-32))),
        ("coherent_lar", ("millicharge_ee", "millicharge_mumu"), ((-5e-8, 5e-8), (-5e-8, 5e-8))),
    ],
)
def test_two_couplings_float_together(
    spec: str, pair: tuple[str, str], spans: tuple[tuple[float, float], tuple[float, float]]
) -> None:
    """The profile over two couplings is what fits with both held give."""
    found = nuemstat.scan(workspace(spec), pair, ranges=dict(zip(pair, spans, strict=True)), points=3)
    assert found.valid, found.warnings
    assert np.min(found.q) > -1e-6
    assert found.q.shape == (3, 3)
    best = nuemstat.fit(workspace(spec), free=pair).q_min
    corner = nuemstat.fit(workspace(spec), fixed={name: span[1] for name, span in zip(pair, spans, strict=True)}).q_min
    assert found.q[-1, -1] == pytest.approx(corner - best, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "pair"),
    [
        ("lz_er2025", ("millicharge_ee", "millicharge_mumu")),
        ("lz_er2025:fea", ("millicharge_emu", "charge_radius_emu")),
        ("lz_er2025", ("millicharge", "charge_radius")),
        ("coherent_csi", ("charge_radius_ee", "charge_radius_mumu")),
        ("coherent_lar", ("millicharge_ee", "millicharge_mumu")),
    ],
)
def test_contours_of_two_couplings(spec: str, pair: tuple[str, str]) -> None:
    found = nuemstat.contour(workspace(spec), pair)
    assert found.valid, found.warnings
    assert all(region.components for region in found.regions)


@pytest.mark.parametrize(
    ("spec", "pair", "words"),
    [
        ("lz_er2025", ("millicharge", "millicharge_ee"), "millicharge_ee follows millicharge; float these instead"),
        (
            "coherent_csi",
            ("millicharge_ee", "magnetic_moment_tau"),
            "no parameter 'magnetic_moment_tau'; it holds magnetic",
        ),
        (
            "dresden2",
            ("millicharge_ee", "millicharge_mumu"),
            "no parameter 'millicharge_mumu'; it holds magnetic_moment_e",
        ),
    ],
)
def test_pairs_that_cannot_be_asked_for(spec: str, pair: tuple[str, str], words: str) -> None:
    for ask in (nuemstat.scan, nuemstat.contour):
        with pytest.raises(NuemstatError, match=words) as caught:
            ask(workspace(spec), pair)
        assert "\n" not in str(caught.value)
    with pytest.raises(FitError):
        nuemstat.contour(workspace(spec), (pair[0], pair[0]))
