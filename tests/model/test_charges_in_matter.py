"""Models whose charges ionise a medium: their errors, what is said of them, and the options that stay as they were."""

from functools import cache

import numpy as np
import pytest

import nuemstat
from nuemstat.errors import ModelError
from nuemstat.explain import explain
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.document import Workspace

GERMANIUM = ("dresden2", "conus_plus", "coherent_ge", "coherent_ge_2026")
XENON = ("lz_er2025", "lz_sr1", "pandax4t_run0", "pandax4t_run1", "xenonnt_sr0", "xenonnt_sr1b")
KINDS = {"photoabsorption": "photoabsorption", "charges": "dielectric", "moments": "moments"}
SHARE = 1e-4
"""Of the charge signal from recoils below 100 eV: with more of it a model has the pull `low_charges`."""


@cache
def workspace(spec: str) -> Workspace:
    return compile_model(load_model(spec))


@pytest.mark.parametrize("name", shipped_models())
def test_every_model_of_charges_in_matter_has_their_errors(name: str) -> None:
    document = load_model(name).document
    wanted: dict[str, str] = {}
    for process, signal in document.signals.items():
        if signal.in_matter:
            wanted |= {
                f"{element.lower()}_{kind}": f"signals.{process}.{key}.{element}"
                for element in document.target.formula
                for kind, key in KINDS.items()
            }
            wanted[f"{''.join(document.target.formula).lower()}_density"] = "target.density"
    endings = ("_density", *(f"_{kind}" for kind in KINDS))
    found = {n: row for n, row in document.nuisances.items() if n.endswith(endings) and n != "low_charges"}
    assert {n: row.varies for n, row in found.items()} == wanted
    assert all((row.scope, row.pulls) == ("global", ("full",)) for row in found.values())
    for option in ("fea", "epa", "rrpa") if wanted else ():
        left = load_model(f"{name}:{option}").document.nuisances
        kept = {n for n in found if option != "fea" and n.endswith("_photoabsorption")}
        assert {n for n in left if n.endswith(endings) or n == "low_charges"} == kept


@pytest.mark.parametrize("name", ["lz_sr1", "dresden2", "coherent_csi"])
def test_what_each_error_moves(name: str) -> None:
    moved: dict[str, set[str]] = {}
    for channel in workspace(name).channels:
        for sample in channel.samples:
            kind = next((n.rpartition("_")[0] for n in sample.monomial if n in COUPLINGS), "none")
            for m in sample.modifiers:
                if m.type == "shape":
                    moved.setdefault(m.parameter, set()).add(f"{sample.process} {kind}")
    for nuisance, kinds in moved.items():
        if nuisance.endswith(("_photoabsorption", "_charges", "_density")) or nuisance == "low_charges":
            assert kinds == {"electron millicharge"}, nuisance
        if nuisance.endswith("_moments"):
            assert kinds == {"electron magnetic_moment"}, nuisance


@pytest.mark.parametrize("name", [*GERMANIUM, *XENON, "coherent_csi"])
def test_what_comes_from_the_lowest_recoils_is_said(name: str) -> None:
    """--explain shows the share; where it is more than a ten-thousandth, a pull of 30 % stands for it."""
    notes = [note for note in explain(workspace(name)).notes if note.startswith("charges in ")]
    assert len(notes) == len(load_model(name).document.signals["electron"].channels)
    share = max(float(note.partition(": ")[2].split()[0]) for note in notes)
    assert (share > SHARE) == ("low_charges" in load_model(name).document.nuisances)
    assert "charges in" in str(explain(workspace(name)))
    said = workspace(name).provenance[0].schemes["charges_on_electrons"]
    assert said.startswith("dielectric formula, ")
    assert said.endswith("nothing below 50 eV")


def test_the_share_is_what_the_pull_moves() -> None:
    note = next(n for n in workspace("dresden2").provenance[0].notes if n.startswith("charges in"))
    share = float(note.partition(": ")[2].split()[0])
    (sample,) = (
        s
        for s in workspace("dresden2").channels[0].samples
        if s.monomial == {"millicharge_ee": 2} and s.process == "electron"
    )
    (shape,) = (m for m in sample.modifiers if m.type == "shape" and m.parameter == "low_charges")
    (up,) = (np.array(anchor.values) for anchor in shape.anchors if anchor.alpha == 1)
    counts = np.array(sample.contents)
    assert float(counts @ (up - 1)) / float(counts.sum()) == pytest.approx(0.3 * share, rel=0.03)


def test_no_option_of_electron_cut_reaches_below_50_ev() -> None:
    """Charges are the same with a lowest recoil of a pair and of 20 eV; magnetic moments are not."""
    one, other = (workspace(f"dresden2:{cut}") for cut in ("ecut_pair", "ecut_20ev"))
    for kind, same in (("millicharge_ee", True), ("magnetic_moment_e", False)):
        found = [
            np.array(sample.contents)
            for w in (one, other)
            for sample in w.channels[0].samples
            if sample.process == "electron" and sample.monomial == {kind: 2}
        ]
        assert np.allclose(*found, rtol=2e-4) == same


# What the former options gave, counts for couplings of 1 in workspace units, before there was another default.
FROZEN = (
    ("lz_sr1:rrpa", 27.78236393, 11.40627618, 148.8475687),
    ("lz_sr1:epa", 32.96732808, 11.40627618, 148.8475687),
    ("lz_sr1:rrpa,paper", 27.78236393, 11.40627618, 139.9223406),
    ("lz_sr1:epa,paper", 32.96732808, 11.40627618, 139.9223406),
    ("pandax4t_run0:rrpa", 28.8486368, 8.6403288, 126.6324328),
    ("coherent_csi:rrpa", 7.537349204e-05, 5.366202945e-05, 0.002996678826),
    ("coherent_csi:epa", 7.537349204e-05, 5.366202945e-05, 0.002996678826),
)


@pytest.mark.parametrize(("spec", "weak", "moment", "charge"), FROZEN)
def test_the_former_options_are_frozen(spec: str, weak: float, moment: float, charge: float) -> None:
    counts = {
        tuple(sample.monomial.items()): sum(sample.contents)
        for sample in workspace(spec).channels[0].samples
        if sample.process == "electron"
    }
    terms = ((), (("magnetic_moment_e", 2),), (("millicharge_ee", 2),))
    assert [counts[term] for term in terms] == pytest.approx([weak, moment, charge], rel=1e-7, abs=0)


def test_charges_of_two_flavours_that_do_the_same_float_together() -> None:
    """In xenon nu_e and nu_mu of the Sun ionise alike: a valley without an end, and a fit that ends in it."""
    w = workspace("lz_sr1")
    one = nuemstat.fit(w, free=("millicharge_ee",)).q_min
    both = nuemstat.fit(w, free=("millicharge_ee", "millicharge_mumu")).q_min
    assert both == pytest.approx(one, abs=1e-4)


# Words of the model file.


def test_a_density_is_found_where_none_is_given(edited) -> None:
    line = next(row for row in (load_model("lz_sr1").path).read_text().splitlines() if row.startswith("  density:"))
    row = "varies: target.density, centre: 2.86 g/cm^3, sigma: 0.0572 g/cm^3,"
    text = load_model("lz_sr1").path.read_text()
    start = text.index("  xe_density:")
    density = text[start : text.index("\n\n", start) + 1]
    assert row in density
    path = edited("lz_sr1", (f"{line}\n", ""), (density, ""))
    assert load_model(str(path)).document.target.medium.density == load_model("lz_sr1").document.target.medium.density
    said = compile_model(load_model(str(path)), ["millicharge_ee"]).provenance[0].schemes["charges_on_electrons"]
    assert said == "dielectric formula, liquid Xe of 2.86 g/cm^3 (default), nothing below 50 eV"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("value: 2.86 g/cm^3", "value: 0.0055 g/cm^3", "target.phase: found liquid with a density of 0.0055 g/cm"),
        ("value: 2.86 g/cm^3", "value: 2.86 g", "'2.86 g' is mass; expected length"),
        ("  formula: {Xe: 1}\n", "  formula: {Xe: 1}\n  phase: plasma\n", "found 'plasma'"),
        ("  formula: {Xe: 1}\n", "  formula: {Xe: 1, F: 6}\n", "atom F: no photoabsorption is tabulated"),
    ],
)
def test_mistakes_of_media_are_one_line(edited, old: str, new: str, told: str) -> None:
    path = edited("lz_sr1", (old, new))
    with pytest.raises(ModelError, match=told) as caught:
        compile_model(load_model(str(path)))
    assert "\n" not in str(caught.value)
    assert str(path.parent) in str(caught.value)


def test_an_unknown_compound_needs_a_density(edited) -> None:
    text = load_model("coherent_csi").path.read_text()
    line = next(row for row in text.splitlines() if row.startswith("  density:"))
    with pytest.raises(ModelError, match=r"target\.density: found none for Cs2I; it is required but for liquid Xe"):
        load_model(str(edited("coherent_csi", (f"{line}\n", ""), ("formula: {Cs: 1, I: 1}", "formula: {Cs: 2, I: 1}"))))


def test_a_far_density_is_told(edited) -> None:
    path = edited(
        "conus_plus",
        ("value: 5.323 g/cm^3", "value: 0.9 g/cm^3"),
        ("centre: 5.323 g/cm^3, sigma: 0.10646 g/cm^3", "centre: 0.9 g/cm^3, sigma: 0.018 g/cm^3"),
    )
    (warning,) = (
        n for n in compile_model(load_model(str(path))).provenance[0].notes if "density" in n and "warning" in n
    )
    assert "target.density: 0.9 g/cm^3 is beyond a factor 5 of that of solid Ge, 5.323 g/cm^3" in warning


@pytest.mark.parametrize(
    ("spec", "key", "told"),
    [
        (
            "conus_plus:rrpa",
            "dielectric",
            "dielectric.Ge: found 1; 0 is allowed: approximation 'rrpa' has no charges by",
        ),
        ("conus_plus:fea", "moments", "moments.Ge: found 1; 0 is allowed: approximation 'fea' has no moments by"),
        (
            "conus_plus",
            "equivalent_photons",
            "equivalent_photons.Ge: found 1; 0 is allowed: approximation 'best' has no",
        ),
    ],
)
def test_pulls_where_nothing_has_them(spec: str, key: str, told: str) -> None:
    from nuemstat.model.loader import validated

    model = load_model(spec)
    signals = model.raw["signals"]
    raw = {**model.raw, "signals": {**signals, "electron": {**signals["electron"], key: {"Ge": 1.0}}}}
    with pytest.raises(ModelError, match=told):
        validated(raw, model.path)
    if spec != "conus_plus":
        raw = {**model.raw, "signals": {**signals, "electron": {**signals["electron"], "low_charges": 1.0}}}
        with pytest.raises(ModelError, match="low_charges: found 1; 0 is allowed"):
            validated(raw, model.path)
