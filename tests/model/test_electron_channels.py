"""Electron recoils of bound electrons: the error of photoabsorption in germanium, and where it has no place."""

from functools import cache

import numpy as np
import pytest

from nuemstat.errors import ModelError
from nuemstat.model.accuracy import LIMIT
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version
from nuemstat.model.loader import load_model, shipped_models, validated
from nuemstat.model.morphs import moved
from nuemstat.model.templates import Bench
from nuemstat.stats.intervals import limit
from nuemstat.workspace.document import Workspace

NUISANCE = "ge_photoabsorption"
GERMANIUM = ("dresden2", "conus_plus")


@cache
def workspace(spec: str) -> Workspace:
    return compile_model(load_model(spec))


def test_every_germanium_channel_that_reaches_below_300_ev_has_it() -> None:
    """GEMMA begins at 2.8 keV and has free electrons; the sensitivities with germanium have no electron channel."""
    found = set()
    for name in shipped_models():
        document = load_model(name).document
        for signal in document.signals.values():
            if signal.interaction == "electron" and signal.approximation != "free" and "Ge" in document.target.formula:
                lowest = min(document.channels[channel].axes[0].internal[0] for channel in signal.channels)
                assert (NUISANCE in document.nuisances) == (lowest < 300e-6), name
                found.add(name)
        assert (NUISANCE in document.nuisances) == (name in GERMANIUM)
    assert found == {*GERMANIUM, "gemma"}


@pytest.mark.parametrize("name", GERMANIUM)
def test_one_sigma_is_a_fifth_below_600_ev_and_for_charges_only(name: str) -> None:
    (channel, *_) = workspace(name).channels
    upper = np.array(channel.axes[0].edges[1:]) * (1 if channel.axes[0].unit == "keV" else 1e-3)
    for sample in channel.samples:
        shapes = [m for m in sample.modifiers if m.type == "shape" and m.parameter == NUISANCE]
        charged = sample.process == "electron" and any(n.startswith("millicharge") for n in sample.monomial)
        assert len(shapes) == (1 if charged else 0), sample.name
        for shape in shapes:
            assert shape.interpolation == "multiplicative"
            (up,) = (np.array(anchor.values) for anchor in shape.anchors if anchor.alpha == 1)
            np.testing.assert_allclose(up[upper < 0.35], 1.2, rtol=5e-3)
            assert np.all(up <= 1.2 + 1e-9)
            assert np.all(up > 1.02)


@pytest.mark.parametrize("name", GERMANIUM)
def test_the_morph_is_exact_between_its_anchors(name: str) -> None:
    model = load_model(name)
    version, row = Version(model.raw, model.path, Bench(model.files)), model.document.nuisances[NUISANCE]
    channel = workspace(name).channels[0]
    term = (("millicharge_ee", 2),)
    base = version.templates[channel.name, "electron"].terms[term]
    for alpha in (-1.7, 0.6):
        exact = moved(version, NUISANCE, row, alpha).templates[channel.name, "electron"].terms[term]
        inner = np.array(channel.axes[0].edges[1:]) < (0.35 if channel.axes[0].unit == "keV" else 350)
        np.testing.assert_allclose(exact[inner], base[inner] * 1.2**alpha, rtol=1e-2)
    (note,) = (n for n in workspace(name).provenance[0].notes if n.startswith(f"morph {NUISANCE}"))
    assert float(note.split("within ")[1].split()[0]) < LIMIT / 100


@pytest.mark.parametrize("variant", ["fea", "paper", "statistical", "cevns_only", "fea,paper"])
@pytest.mark.parametrize("name", GERMANIUM)
def test_variants_without_equivalent_photons_or_systematics_have_none(name: str, variant: str) -> None:
    assert NUISANCE not in load_model(f"{name}:{variant}").document.nuisances
    assert NUISANCE in load_model(f"{name}:epa").document.nuisances


def test_a_pull_where_no_photons_are_is_one_line() -> None:
    model = load_model("conus_plus:fea")
    signals = model.raw["signals"]
    raw = {**model.raw, "signals": {**signals, "electron": {**signals["electron"], "photoabsorption": 1.0}}}
    with pytest.raises(ModelError, match="'fea' has no photoabsorption"):
        _ = Version(raw, model.path, Bench(model.files)).templates
    nuclear = {**model.raw, "signals": {**signals, "cevns": {**signals["cevns"], "photoabsorption": 1.0}}}
    with pytest.raises(ModelError, match="photoabsorption: found 1; 0 is allowed for 'cevns'"):
        validated(nuclear, model.path)


def test_it_weakens_the_limit_on_charges_a_little() -> None:
    """One sigma is 20 % of the rate, 10 % of the charge; profiling costs a few per cent."""
    full = workspace("conus_plus")
    free = limit(full, "millicharge_ee").intervals[0][1]
    held = limit(full, "millicharge_ee", fixed={NUISANCE: 0.0}).intervals[0][1]
    assert free is not None
    assert held is not None
    assert 1.005 < free / held < 1.10
