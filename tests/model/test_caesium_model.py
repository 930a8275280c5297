"""COHERENT CsI: what each of its forms holds, and the official fit."""

from functools import cache

import pytest

from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model
from nuemstat.stats.minimise import fit
from nuemstat.workspace.document import Workspace


@cache
def workspace(spec: str) -> Workspace:
    return compile_model(load_model(spec))


def pulls(spec: str) -> dict[str, float]:
    """Relative width by nuisance, without the model's name; in its unit where the centre is 0."""
    found = (p for p in workspace(spec).parameters if p.kind == "constrained")
    return {p.name.removeprefix("coherent_csi__"): p.sigma / (p.centre or 1) for p in found}


def free(spec: str) -> set[str]:
    return {p.name.removeprefix("coherent_csi__") for p in workspace(spec).parameters if p.kind == "free"}


def test_the_form_of_the_reanalysis() -> None:
    """arXiv:2205.09484: coincidence data only, four norms, the onset where the release has it."""
    spec = "coherent_csi:paper"
    assert [channel.name for channel in workspace(spec).channels] == ["coherent_csi_c"]
    assert pulls(spec) == pytest.approx({"signal_norm": 0.12, "brn_norm": 0.25, "nin_pull": 0.35, "ss_pull": 0.021})
    assert free(spec) == set()
    processes = {
        (modifier.parameter.removeprefix("coherent_csi__"), sample.process)
        for sample in workspace(spec).channels[0].samples
        for modifier in sample.modifiers
        if modifier.type == "norm" and modifier.interpolation == "linear"
    }
    assert processes == {
        ("signal_norm", "cevns"),
        ("signal_norm", "electron"),
        ("brn_norm", "brn"),
        ("nin_pull", "nin"),
        ("ss_pull", "ss"),
    }


def test_the_form_of_the_official_fit() -> None:
    """arXiv:2110.07730: both data sets, pulls on the neutrons, all else free."""
    spec = "coherent_csi:free,statistical"
    assert [channel.name for channel in workspace(spec).channels] == ["coherent_csi_c", "coherent_csi_ac"]
    assert pulls(spec) == pytest.approx({"brn_norm": 0.25, "nin_norm": 2 / 5.6})
    assert free(spec) == {"ss_rate", "onset", "cevns_norm"}


def test_the_default_form_has_every_systematic() -> None:
    spec = "coherent_csi"
    assert pulls(spec) == pytest.approx(
        {
            "sns_flux": 0.10,
            "quenching_pc0": 1.0,
            "quenching_pc1": 1.0,
            "energy_efficiency": 0.37,
            "neutron_radius": 0.25,
            "brn_norm": 0.25,
            "nin_norm": 2 / 5.6,
            "cs_photoabsorption": 1.0,
            "cs_charges": 1.0,
            "cs_moments": 1.0,
            "i_photoabsorption": 1.0,
            "i_charges": 1.0,
            "i_moments": 1.0,
            "csi_density": 0.02,
        }
    )
    assert free(spec) == {"ss_rate", "onset"}
    assert set(pulls("coherent_csi:free")) == set(pulls(spec))
    assert free("coherent_csi:free") == free(spec) | {"cevns_norm"}
    moved = {m.parameter for s in workspace(spec).channels[0].samples for m in s.modifiers if m.type == "shape"}
    assert {name.removeprefix("coherent_csi__") for name in moved} == {
        "quenching_pc0", "quenching_pc1", "energy_efficiency", "neutron_radius",
        "cs_photoabsorption", "cs_charges", "cs_moments", "i_photoabsorption", "i_charges", "i_moments", "csi_density",
    }  # fmt: skip


@pytest.mark.parametrize("spec", ["coherent_csi:free", "coherent_csi:free,statistical"])
def test_the_official_fit_with_its_pulls(spec: str) -> None:
    """306 CEvNS, 1273 +- 24, 17.3 +- 4.5, 5.5 +- 2.0; errors of the neutrons are those of their constraints."""
    found = fit(workspace(spec))
    counts = found.yields["coherent_csi_c"]
    assert counts["cevns"] == pytest.approx(306, abs=6)
    assert counts["ss"] == pytest.approx(1273, abs=6)
    assert counts["brn"] == pytest.approx(17.3, abs=0.6)
    assert counts["nin"] == pytest.approx(5.5, abs=0.3)
    assert found.nuisances["coherent_csi__brn_norm"].error == pytest.approx(4.5, abs=0.2)
    assert found.nuisances["coherent_csi__nin_norm"].error == pytest.approx(2.0, abs=0.1)
    assert 40 < found.nuisances["coherent_csi__onset"].value < 110  # ns
