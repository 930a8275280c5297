"""Recoils of xenon from 8B neutrinos against the spectrum that XENONnT released, and what makes the difference."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from nuemstat import units
from nuemstat.physics import cevns
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.physics.nucleus import Nucleus, isotopes, molar_mass
from nuemstat.sources.solar import SolarSource, unit_spectrum
from nuemstat.vocabulary import COUPLINGS

# arXiv:2409.17868, data release (doi 10.5281/zenodo.14522706): recoils above an energy [keV] per t yr, from its total
# and its inverse cumulative distribution.
OFFICIAL = {0.45: 335.60, 1.0: 91.62, 1.5: 23.62, 2.0: 4.571}
XENON = isotopes("Xe")
GRID = np.linspace(0.45, 4.75, 861) * units.keV
YEAR_TONNE = units.parse("1 t yr", (0, 0, 1, 1)) / (molar_mass("Xe") * units.MOLAR_GRAM)


@cache
def above(
    *,
    couplings: str = "set_A",
    spectrum: str = "winter",
    form_factor: str = "helm",
    branches: tuple[str, ...] = ("b8",),
    flux: float = 5.25e6,
    nuclei: Sequence[tuple[Nucleus, float]] = XENON,
) -> dict[float, float]:
    """Recoils above each energy of the release [1/(t yr)] without new physics."""
    source = SolarSource(branches=branches, b8_spectrum=spectrum, flux={"b8": flux / units.cm**2 / units.s})
    standard = {name: default_value(name, scheme(couplings)) for name in COUPLINGS}
    rate = sum(
        share
        * cevns.rate(
            GRID,
            part.flux,
            flavour=part.flavour,
            antineutrino=False,
            nucleus=nucleus,
            scheme=scheme(couplings),
            form_factor=form_factor,
        ).evaluate(standard)
        for part in source.components()
        for nucleus, share in nuclei
    )
    steps = (rate[1:] + rate[:-1]) / 2 * np.diff(GRID) * YEAR_TONNE
    below = np.concatenate(([0.0], np.cumsum(steps)))
    return {energy: float(below[-1] - np.interp(energy * units.keV, GRID, below)) for energy in OFFICIAL}


def test_couplings_and_neutrino_spectrum_make_the_difference() -> None:
    """With couplings at tree level and the spectrum of 1996 ours is the release's: within 0.6 % in sum and 1 % up to
    1.5 keV; 1.2 % above 2 keV, where 1.4 % of the recoils are."""
    found = above(couplings="tree", spectrum="bahcall")
    for energy, allowed in {0.45: 0.006, 1.0: 0.008, 1.5: 0.010, 2.0: 0.013}.items():
        assert found[energy] == pytest.approx(OFFICIAL[energy], rel=allowed), energy
    default = above()
    ratios = [default[energy] / published for energy, published in OFFICIAL.items()]
    assert ratios == pytest.approx([1.053, 1.072, 1.092, 1.117], abs=1e-3)


def test_each_step_of_the_difference() -> None:
    """Of the rate above 0.45 keV, as docs/xenon.md has it."""
    default, tree = above(), above(couplings="tree")
    assert default[0.45] / OFFICIAL[0.45] == pytest.approx(1.053, abs=1e-3)
    assert tree[0.45] / default[0.45] == pytest.approx(0.976, abs=1e-3)
    assert above(couplings="tree", spectrum="bahcall")[0.45] / tree[0.45] == pytest.approx(0.979, abs=1e-3)
    # The older spectrum is softer: it falls faster with energy.
    ratios = [above(couplings="tree", spectrum="bahcall")[e] / tree[e] for e in OFFICIAL]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] == pytest.approx(0.929, abs=1e-3)


def test_what_does_not_make_it() -> None:
    """Shapes of the nucleus, its isotopes and the hep branch are smaller; a point nucleus and the solar model's flux go
    the wrong way."""
    base = above()[0.45]
    for name in ("klein_nystrand", "symmetrised_fermi"):
        assert above(form_factor=name)[0.45] == pytest.approx(base, rel=2e-4)
    assert above(form_factor="point")[0.45] / base == pytest.approx(1.043, abs=1e-3)
    assert above(spectrum="ortiz")[0.45] / base == pytest.approx(1.004, abs=1e-3)
    assert above(branches=("b8", "hep"))[0.45] / base == pytest.approx(1.0047, abs=5e-4)
    assert above(flux=5.46e6)[0.45] / base == pytest.approx(5.46 / 5.25, rel=1e-6)
    # One nucleus of the mean mass number, and a neutron skin of 0.1 fm.
    number = sum(share * (nucleus.Z + nucleus.N) for nucleus, share in XENON)
    mean = replace(XENON[5][0], N=number - 54, mass=sum(share * nucleus.mass for nucleus, share in XENON))
    assert above(nuclei=((mean, 1.0),))[0.45] / base == pytest.approx(1.0, abs=1e-3)
    skin = tuple((replace(n, neutron_radius=n.neutron_radius + 0.1 * units.fm), share) for n, share in XENON)
    assert above(nuclei=skin)[0.45] / base == pytest.approx(0.998, abs=5e-4)


def test_mean_energies_of_the_spectra() -> None:
    """The spectrum of 1996 has the lowest mean energy; its authors' (Phys. Rev. C 54, 411) is 6.735 MeV."""
    means = {}
    for name in ("winter", "ortiz", "bahcall"):
        flux = unit_spectrum("b8", b8_spectrum=name)
        means[name] = float(np.trapezoid(flux.energies * flux.density, flux.energies) / units.MeV)
    assert means["bahcall"] == pytest.approx(6.735, abs=1e-3)
    assert means["bahcall"] < means["winter"] < means["ortiz"]
