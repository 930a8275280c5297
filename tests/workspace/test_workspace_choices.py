"""Choices of a workspace: in the document and its digest, in every form, and one value of each in a joint fit."""

import json

import numpy as np
import pytest
from conftest import toy_workspace

from nuemstat.errors import WorkspaceError
from nuemstat.stats.intervals import limit
from nuemstat.stats.joint import joint_limit
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import fit
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.from_hs3 import from_hs3
from nuemstat.workspace.opening import open_workspace
from nuemstat.workspace.to_hs3 import to_hs3


def choosing(name: str, flavour: str, **choices: str) -> Workspace:
    return toy_workspace(name, flavour).model_copy(update={"choices": choices})


def test_a_document_without_choices_has_the_digest_of_one_that_knows_none() -> None:
    plain = toy_workspace("alpha", "e")
    before = json.loads(plain.to_json())
    assert "choices" not in before
    said = Workspace.from_json(json.dumps(before | {"choices": {}}).encode())  # with the digest, which holds
    assert said == plain
    assert said.to_json() == plain.to_json()


def test_choices_are_content_and_come_back() -> None:
    plain, chosen = toy_workspace("alpha", "e"), choosing("alpha", "e", ge_quenching="lindhard")
    other = choosing("alpha", "e", ge_quenching="fef")
    assert len({plain.digest, chosen.digest, other.digest}) == 3
    back = Workspace.from_json(chosen.to_json().encode())
    assert back == chosen
    assert back.choices == {"ge_quenching": "lindhard"}
    with pytest.raises(WorkspaceError, match="digest: found"):
        Workspace.from_json(chosen.to_json().replace("lindhard", "fef").encode())


def test_choices_survive_universal_couplings_and_hs3() -> None:
    chosen = choosing("alpha", "e", ge_quenching="lindhard")
    assert chosen.substitute("millicharge").choices == chosen.choices
    assert from_hs3(json.loads(json.dumps(to_hs3(chosen).document))) == chosen


def test_a_file_of_root_keeps_them(tmp_path) -> None:
    uproot = pytest.importorskip("uproot")
    from nuemstat.workspace.to_root import write_root

    assert uproot
    chosen = choosing("alpha", "e", ge_quenching="lindhard")
    write_root(chosen, tmp_path / "alpha.root")
    assert open_workspace(tmp_path / "alpha.root").workspace.choices == chosen.choices


def test_members_that_agree_or_make_no_choice_join() -> None:
    members = [choosing("alpha", "e", ge_quenching="fef"), toy_workspace("beta", "mu")]
    assert combine(members).choices == {"ge_quenching": "fef"}
    members.append(choosing("gamma", "tau", ge_quenching="fef", flux="mueller"))
    assert combine(members).choices == {"ge_quenching": "fef", "flux": "mueller"}


def test_two_values_are_one_line_that_names_members_and_values() -> None:
    members = [
        choosing("alpha", "e", ge_quenching="lindhard"),
        choosing("beta", "mu", ge_quenching="fef"),
        choosing("gamma", "tau", ge_quenching="lindhard"),
    ]
    words = r"ge_quenching: found lindhard in alpha and gamma, fef in beta; .* --mixed ge_quenching"
    for attempt in (combine, lambda held: joint_limit(held, "millicharge_emu")):
        with pytest.raises(WorkspaceError, match=words) as caught:
            attempt(members)
        assert "\n" not in str(caught.value)
    with pytest.raises(WorkspaceError, match=r"no member makes choice 'ge_quench'.*did you mean 'ge_quenching'"):
        combine(members, mixed=("ge_quench",))
    with pytest.raises(WorkspaceError, match="no member makes choice 'flux'; they make none"):
        combine([toy_workspace("alpha", "e")], mixed=("flux",))


def test_mixed_members_join_and_every_result_says_so() -> None:
    members = [choosing("alpha", "e", ge_quenching="lindhard"), choosing("beta", "mu", ge_quenching="fef")]
    joint = combine(members, mixed=("ge_quenching",))
    assert joint.choices == {"ge_quenching": "fef__x__lindhard"}
    assert combine([joint]) is joint
    third = choosing("gamma", "tau", ge_quenching="fef")
    with pytest.raises(WorkspaceError, match="fef in alpha__x__beta and gamma, lindhard in alpha__x__beta"):
        combine([joint, third])
    assert combine([joint, third], mixed=("ge_quenching",)).choices == joint.choices
    for found in (fit(joint), limit(joint, "millicharge_ee"), limit(joint, "millicharge", expected=True, toys=20)):
        assert found.schemes["ge_quenching"] == "fef, lindhard"
        assert any("ge_quenching: the members differ, fef and lindhard" in text for text in found.warnings)
        assert found.valid
    apart = joint_limit(members, "millicharge_emu", mixed=("ge_quenching",))
    assert apart.schemes["ge_quenching"] == "fef, lindhard"
    assert sum("the members differ" in text for text in apart.warnings) == 1
    same = limit(choosing("alpha", "e", ge_quenching="fef"), "millicharge_ee")
    assert same.schemes["ge_quenching"] == "fef"
    assert same.warnings == ()


def test_a_choice_is_no_number() -> None:
    """2 NLL is that of the document without it."""
    plain, chosen = (Likelihood(w) for w in (toy_workspace("a", "e"), choosing("a", "e", ge_quenching="fef")))
    point = np.full(len(plain.defaults), 0.3)
    assert plain(point) == chosen(point)
