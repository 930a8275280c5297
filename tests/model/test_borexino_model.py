"""Borexino: an axis of hits with a calibration curve, and lines of the Sun as steps of free electrons."""

import numpy as np
import pytest
from scipy.stats import norm

from nuemstat import units
from nuemstat.detector.calibration import CalibratedResolution
from nuemstat.detector.resolution import NoiseFanoWidth
from nuemstat.errors import ModelError
from nuemstat.model.expansion import Version
from nuemstat.model.loader import load_model
from nuemstat.model.templates import Bench
from nuemstat.model.variants import with_value
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.polynomial import FloatArray
from nuemstat.vocabulary import COUPLINGS

STANDARD = {name: default_value(name, scheme("set_A")) for name in COUPLINGS}


def calibrated(gain: float = 1.1, offset: float = -5 * units.keV) -> CalibratedResolution:
    counts, energies = (100.0, 200.0, 400.0), tuple(e * units.keV for e in (200.0, 420.0, 900.0))
    return CalibratedResolution(counts, energies, NoiseFanoWidth(3 * units.keV, 1.0, 4 * units.keV), gain, offset)


def test_hits_are_a_normal_distribution_in_visible_energy() -> None:
    deposited, edges = np.array([300.0, 500.0]) * units.keV, np.array([100.0, 150.0, 200.0, 300.0])
    found = calibrated().probability(deposited, edges)
    visible = np.array([200.0, 310.0, 420.0, 660.0])
    for row, energy in zip(found, (300.0, 500.0), strict=True):
        width = np.sqrt(3.0**2 + 4.0 * energy)
        np.testing.assert_allclose(row, np.diff(norm.cdf(visible, 1.1 * energy - 5.0, width)), rtol=1e-12)


def test_an_axis_beyond_the_curve_is_one_line() -> None:
    with pytest.raises(ModelError, match="calibration: the axis goes from 90 to 300; the curve from 100 to 400"):
        calibrated().probability(np.array([units.MeV]), np.array([90.0, 300.0]))
    with pytest.raises(ModelError, match="calibration: the energies do not rise"):
        CalibratedResolution((1.0, 2.0), (3.0, 3.0), NoiseFanoWidth(units.keV))


def electrons(branch: str | None = None) -> FloatArray:
    model = load_model("borexino_phase2")
    raw = dict(model.raw)
    for name in ("pp", "pep", "be7", "b8", "hep", "n13", "o15", "f17"):
        if branch not in (None, name):
            raw = with_value(raw, f"source.scale.{name}", 0.0)
    templates = Version(raw, model.path, Bench(model.files)).templates
    return templates["borexino_phase2", "electron"].evaluate(STANDARD)


def test_beryllium_has_its_shoulder_at_the_compton_edge() -> None:
    """862 keV neutrinos end at 665 keV: half of the plateau is left where the curve has that visible energy."""
    counts = electrons("be7")
    document = load_model("borexino_phase2").document
    axis = document.channels["borexino_phase2"].axes[0].values
    curve = load_model("borexino_phase2").files.table("calibration.csv")
    visible = np.interp((axis[1:] + axis[:-1]) / 2, curve.numbers("counts"), curve.numbers("energy") / units.keV)
    plateau = counts[(visible > 480) & (visible < 560)].mean()
    half = float(np.interp(-plateau / 2, -counts[visible > 560], visible[visible > 560]))
    assert half == pytest.approx(1.083 * 664.8 - 11.0, abs=15)


def test_branches_add_up() -> None:
    parts = sum(electrons(name) for name in ("pp", "pep", "be7", "b8", "hep", "n13", "o15", "f17"))
    np.testing.assert_allclose(parts, electrons(), rtol=1e-9)


def test_solar_counts_in_the_window_are_the_published_ones() -> None:
    """21292 counts of the best fit of arXiv:1707.09279 between 100 and 417 hits, within its 2.7 % on 7Be."""
    assert electrons().sum() == pytest.approx(21292, rel=0.027)
