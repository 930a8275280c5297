"""Opening what users name, nominal yields, and formats of exports."""

import pytest
from conftest import toy_workspace

from nuemstat import study
from nuemstat.errors import NuemstatError, WorkspaceError
from nuemstat.workspace.document import Folded


def test_resolve_reads_a_workspace_file(toys):
    assert study.resolve(toys[0]) == toy_workspace("alpha", "e")


@pytest.mark.parametrize(
    ("spec", "pattern"),
    [
        ("absent.json", "absent.json: no such file"),
        ("lz_srl", "did you mean 'lz_sr1'"),
        ("a/model.yaml", "a/model.yaml"),
    ],
)
def test_resolve_says_what_is_not_there(spec, pattern):
    with pytest.raises(NuemstatError, match=pattern):
        study.resolve(spec)


def test_couplings_come_universal_then_diagonal_then_transition(toys):
    joint, _ = study.joined(toys)
    assert study.sensitive_couplings(joint) == (
        "magnetic_moment",
        "millicharge",
        "magnetic_moment_e",
        "magnetic_moment_mu",
        "millicharge_ee",
        "millicharge_mumu",
        "millicharge_emu",
    )


def test_a_folded_flavour_takes_its_universal_coupling_away():
    toy = toy_workspace("alpha", "e")
    folded = toy.model_copy(update={"folded": (Folded(name="millicharge_mumu", value=0.0),)})
    assert "millicharge" not in study.sensitive_couplings(folded)
    assert "millicharge_ee" in study.sensitive_couplings(folded)


def test_nominal_yields_follow_the_polynomial():
    toy = toy_workspace("alpha", "e")
    scale = toy.parameter("millicharge_ee").scale
    one, two = (
        sum(sample.contents) for sample in toy.channels[0].samples if sample.monomial.get("millicharge_ee") in (1, 2)
    )
    at_zero = study.nominal_yields(toy)["alpha_counts"]
    assert at_zero == {"background": 165.0, "electron": 21.0}
    shifted = study.nominal_yields(toy, {"millicharge_ee": -3 * scale})["alpha_counts"]["electron"]
    assert shifted == pytest.approx(21.0 - 3 * one + 9 * two)


def test_nominal_yields_follow_a_universal_coupling():
    toy = toy_workspace("alpha", "e")
    flavour = study.nominal_yields(toy, {"millicharge_ee": 2e-12})
    universal = study.nominal_yields(toy, {"millicharge": 2e-12})
    assert universal["alpha_counts"] == pytest.approx(flavour["alpha_counts"])


def test_nominal_yields_refuse_a_nuisance():
    with pytest.raises(WorkspaceError, match="beam is constrained"):
        study.nominal_yields(toy_workspace("alpha", "e"), {"beam": 1.0})


def test_formats_that_are_not_written_are_refused_by_name(tmp_path):
    with pytest.raises(WorkspaceError, match=r"'phyf'; allowed are pyhf, hs3, root, hepdata; did you mean 'pyhf'"):
        study.export(toy_workspace("alpha", "e"), "phyf", tmp_path / "out")
    assert not (tmp_path / "out").exists()
