"""Charges by equivalent photons (options rrpa and epa): their errors by element, and where they have no place.

A model named without an option is taken with `rrpa` here.
"""

from functools import cache
from itertools import product

import numpy as np
import pytest

from nuemstat.errors import ModelError
from nuemstat.model.accuracy import LIMIT
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version
from nuemstat.model.loader import Model, load_model, shipped_models, validated
from nuemstat.model.morphs import moved
from nuemstat.model.templates import Bench
from nuemstat.stats.intervals import limit
from nuemstat.stats.joint import combine
from nuemstat.workspace.document import Workspace

KINDS = ("photoabsorption", "equivalent_photons")
GERMANIUM = ("dresden2", "conus_plus")
XENON = ("lz_er2025", "lz_sr1", "pandax4t_run0", "pandax4t_run1", "xenonnt_sr0", "xenonnt_sr1b")
LATER = ("xenon1t_er", "xenon1t_s2only", "xlzd")
WITH_PHOTONS = (*GERMANIUM, *XENON, "coherent_csi", "coherent_ge", "coherent_ge_2026", *LATER)


def read(spec: str) -> Model:
    return load_model(spec if ":" in spec or spec not in WITH_PHOTONS else f"{spec}:rrpa")


@cache
def workspace(spec: str) -> Workspace:
    return compile_model(read(spec))


def changed(model: Model, process: str, **values: object) -> dict[str, object]:
    """The raw model with some keys of a signal set."""
    signals = model.raw["signals"]
    return {**model.raw, "signals": {**signals, process: {**signals[process], **values}}}


@pytest.mark.parametrize("name", shipped_models())
def test_every_element_behind_equivalent_photons_has_both_pulls(name: str) -> None:
    """And no other model has them: one global unit normal each, in every set that uses the element."""
    assert not any(signal.has_photons for signal in load_model(name).document.signals.values())
    document = read(name).document
    wanted: dict[str, str] = {}
    for process, signal in document.signals.items():
        if signal.has_photons:
            for element, kind in product(document.target.formula, KINDS):
                wanted[f"{element.lower()}_{kind}"] = f"signals.{process}.{kind}.{element}"
    found = {n: row for n, row in document.nuisances.items() if n.endswith(KINDS)}
    assert {n: row.varies for n, row in found.items()} == wanted
    assert bool(wanted) == (name in WITH_PHOTONS)
    for row in found.values():
        assert (row.scope, row.centre, row.sigma, row.pulls) == ("global", 0, 1, ("full",))


@pytest.mark.parametrize("name", WITH_PHOTONS)
def test_the_pulls_move_charges_on_electrons_and_nothing_else(name: str) -> None:
    for channel in workspace(name).channels:
        for sample in channel.samples:
            shapes = {m.parameter for m in sample.modifiers if m.type == "shape" and m.parameter.endswith(KINDS)}
            charged = sample.process == "electron" and any(n.startswith("millicharge") for n in sample.monomial)
            assert bool(shapes) == charged, sample.name
            if charged:
                assert len(shapes) == 2 * len(read(name).document.target.formula)


def up(name: str, parameter: str) -> tuple[np.ndarray, np.ndarray]:
    """Upper edges of the bins [keV], and the factor of one sigma on the charge term."""
    channel = workspace(name).channels[0]
    (sample,) = [s for s in channel.samples if s.process == "electron" and dict(s.monomial) == {"millicharge_ee": 2}]
    (shape,) = [m for m in sample.modifiers if m.type == "shape" and m.parameter == parameter]
    assert shape.interpolation == "multiplicative"
    (values,) = (np.array(anchor.values) for anchor in shape.anchors if anchor.alpha == 1)
    return np.array(channel.axes[0].edges[1:]) * (1 if channel.axes[0].unit == "keV" else 1e-3), values


@pytest.mark.parametrize("name", GERMANIUM)
def test_one_sigma_in_germanium(name: str) -> None:
    """Photoabsorption: a fifth and more below 0.35 keV. Equivalent photons: L/ln(E/m), 8.9 over 15 at 1 to 2 MeV."""
    upper, factor = up(name, "ge_photoabsorption")
    np.testing.assert_allclose(factor[upper < 0.35], 1.22, atol=0.015)
    assert np.all((factor > 1.02) & (factor < 1.24))
    _, factor = up(name, "ge_equivalent_photons")
    np.testing.assert_allclose(factor, 1 + 8.87 / np.log(1.5e6 / 0.45), rtol=0.03)


@pytest.mark.parametrize("name", XENON)
def test_one_sigma_in_xenon(name: str) -> None:
    """Solar neutrinos of 0.3 MeV have a logarithm of 13.4; the ratio rises to the L edges and falls by half there."""
    upper, factor = up(name, "xe_equivalent_photons")
    at_2, at_4, at_7 = (float(np.interp(energy, upper, factor)) for energy in (2.0, 4.0, 8.0))
    for found, ratio in ((at_2, 4.6), (at_4, 7.0), (at_7, 5.2)):
        assert found - 1 == pytest.approx(ratio / np.log(0.3e6 / 0.45), rel=0.15)
    _, factor = up(name, "xe_photoabsorption")
    assert np.all((factor[upper > 1.5] > 1.03) & (factor[upper > 1.5] < 1.08))


@pytest.mark.parametrize(("name", "element"), [("conus_plus", "Ge"), ("lz_sr1", "Xe"), ("coherent_csi", "I")])
def test_the_morphs_are_exact_between_their_anchors(name: str, element: str) -> None:
    model = read(name)
    version = Version(model.raw, model.path, Bench(model.files))
    term = (("millicharge_ee", 2),)
    key = (workspace(name).channels[0].name, "electron")
    base = version.templates[key].terms[term]
    for nuisance in (f"{element.lower()}_{kind}" for kind in KINDS):
        row = model.document.nuisances[nuisance]
        exact = {a: moved(version, nuisance, row, a).templates[key].terms[term] for a in (-1.7, -0.85, 0.85, 1.7)}
        assert np.all(exact[-1.7] < exact[-0.85])
        assert np.all(exact[-0.85] < base)
        np.testing.assert_allclose(exact[1.7] / base, (exact[0.85] / base) ** 2, rtol=0.02)
        (note,) = (n for n in workspace(name).provenance[0].notes if n.startswith(f"morph {nuisance}"))
        assert float(note.split("within ")[1].split()[0]) < LIMIT / 100


@pytest.mark.parametrize("variant", ["fea", "paper", "statistical", "cevns_only", "fea,paper"])
@pytest.mark.parametrize("name", GERMANIUM)
def test_variants_without_equivalent_photons_or_systematics_have_none(name: str, variant: str) -> None:
    assert not [n for n in load_model(f"{name}:{variant}").document.nuisances if n.endswith(KINDS)]
    assert [n for n in load_model(f"{name}:epa").document.nuisances if n.endswith(KINDS)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pull_where_nothing_depends_on_it_is_one_line(kind: str) -> None:
    free, photons = load_model("conus_plus:fea"), read("conus_plus")
    for model, process, values, told in (
        (free, "electron", {kind: {"Ge": 1.0}}, f"{kind}.Ge: found 1; 0 is allowed: approximation 'fea' has"),
        (free, "cevns", {kind: {"Ge": 1.0}}, f"{kind}.Ge: found 1; 0 is allowed: interaction 'cevns' has"),
        (photons, "electron", {kind: {"Xe": 1.0}}, f"signals.electron.{kind}.Xe: found 1; the target has Ge,"),
        (photons, "electron", {kind: {"Pb": 1.0}}, "unknown key 'Pb'; allowed are Ar, Cs, Ge, I, Si, Xe"),
    ):  # fmt: skip
        with pytest.raises(ModelError, match=told):
            validated(changed(model, process, **values), model.path)


def test_a_nuisance_of_another_element_is_one_line() -> None:
    model = read("conus_plus")
    row = {**model.raw["nuisances"]["ge_photoabsorption"], "varies": "signals.electron.photoabsorption.Xe"}
    raw = {**model.raw, "nuisances": {"xe_photoabsorption": row}}
    wrong = Model(model.path, raw, model.variants, model.groups, model.digest, model.files)
    with pytest.raises(ModelError, match=r"photoabsorption\.Xe: found .*; the target has Ge"):
        compile_model(wrong)


# The mass of the neutrino.


def test_the_mass_is_a_number_of_the_document() -> None:
    """The bound of KATRIN where nothing is said; 1 eV where the publication had it; named in the result."""
    for name in WITH_PHOTONS:
        signal = read(name).document.signals["electron"]
        assert signal.neutrino_mass.value == "0.45 eV"
        assert "2406.13516" in signal.neutrino_mass.source
        assert workspace(name).provenance[0].schemes["neutrino_mass"] == "0.45 eV"
    assert load_model("lz_sr1:epa,paper").document.signals["electron"].neutrino_mass.value == "1 eV"
    assert workspace("lz_sr1:epa,paper").provenance[0].schemes["neutrino_mass"] == "1 eV"
    for spec in ("lz_sr1:fea", "lz_sr1:fea,paper", "lz_sr1:best", "lz_sr1:best,paper", "coherent_lar"):
        assert "neutrino_mass" not in workspace(spec).provenance[0].schemes


def test_the_mass_moves_the_charge_terms_by_the_logarithm() -> None:
    """Reactor neutrinos above the detection threshold: 15.0 at 0.45 eV over 14.2 at 1 eV."""
    model = read("conus_plus")
    key, term = ("conus_plus", "electron"), (("millicharge_ee", 2),)
    at = {
        mass: Version(changed(model, "electron", neutrino_mass={"value": mass, "source": "s"}), model.path,
                      Bench(model.files)).templates[key]
        for mass in ("0.45 eV", "1 eV", "0.001 keV")
    }  # fmt: skip
    ratio = at["0.45 eV"].terms[term] / at["1 eV"].terms[term]
    assert np.all((ratio > 1.05) & (ratio < 1.065))
    np.testing.assert_allclose(at["0.001 keV"].terms[term], at["1 eV"].terms[term], rtol=1e-12)
    np.testing.assert_array_equal(at["0.45 eV"].terms[()], at["1 eV"].terms[()])


def test_a_mass_where_no_photons_are_is_one_line() -> None:
    mass = {"value": "1 eV", "source": "s"}
    for spec, process, told in (
        ("conus_plus:fea", "electron", "approximation 'fea'"),
        ("rovno", "electron", "approximation 'free'"),
        ("conus_plus", "cevns", "interaction 'cevns'"),
    ):
        model = read(spec)
        with pytest.raises(ModelError, match=f"neutrino_mass: found 1 eV; none is allowed: {told} has no equivalent"):
            validated(changed(model, process, neutrino_mass=mass), model.path)
    for value in ("0 eV", "-1 eV"):
        model = read("conus_plus")
        with pytest.raises(ModelError, match="above 0"):
            validated(changed(model, "electron", neutrino_mass={"value": value, "source": "s"}), model.path)


def test_a_joint_fit_names_both_masses_and_shares_the_pulls() -> None:
    joint = combine([workspace("pandax4t_run1"), workspace("xenonnt_sr0")])
    names = {p.name for p in joint.parameters}
    assert {"xe_photoabsorption", "xe_equivalent_photons"} <= names
    mixed = combine([workspace("pandax4t_run1"), workspace("lz_sr1:epa,paper")])
    assert limit(mixed, "millicharge").schemes["neutrino_mass"] == "0.45 eV, 1 eV"


@pytest.mark.parametrize("name", ["conus_plus", "lz_er2025"])
def test_they_weaken_the_limit_on_charges_a_little(name: str) -> None:
    full = workspace(name)
    coupling = "millicharge_ee"
    held = {n: 0.0 for n in read(name).document.nuisances if n.endswith(KINDS)}
    free = limit(full, coupling).intervals[0][1]
    fixed = limit(full, coupling, fixed=held).intervals[0][1]
    assert free is not None
    assert fixed is not None
    assert 1.01 < free / fixed < 1.25
