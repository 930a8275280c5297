"""Joint workspaces: what is shared, what is refused, and that 2 NLL adds up."""

import numpy as np
import pytest

from nuemstat.errors import WorkspaceError
from nuemstat.stats.intervals import limit
from nuemstat.stats.joint import joint_limit
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import fit
from nuemstat.workspace.combine import combine, overlaps, sharing
from nuemstat.workspace.document import (
    Axis,
    Channel,
    ConstrainedParameter,
    CouplingParameter,
    Folded,
    MayOverlap,
    Provenance,
    Sample,
    Workspace,
)
from nuemstat.workspace.modifiers import Norm


def flux(**changes):
    values = {"name": "solar_pp", "quantity": "flux", "centre": 6e10, "sigma": 4e8, "unit": "1/cm^2/s",
              "group": "flux", "source": "a table"}  # fmt: skip
    return ConstrainedParameter(**(values | changes))


def charge(**changes):
    return CouplingParameter(**({"name": "millicharge_ee", "unit": "e", "scale": 1e-12, "default": 0.0} | changes))


def member(name, parameters, *, coupled=True, dataset=None, channel=None, folded=(), scale=1.0):
    rate = Norm(parameter="solar_pp", interpolation="lognormal", size=0.1)
    samples = [Sample(name="bkg", process="bkg", contents=(20.0 * scale, 15.0), modifiers=(rate,))]
    if coupled:
        samples.append(
            Sample(
                name="nu__x__millicharge_ee__pow2", process="nu", monomial={"millicharge_ee": 2}, contents=(3.0, 1.0)
            )
        )
    return Workspace(
        name=name,
        channels=(
            Channel(
                name=channel or f"{name}_sr",
                experiment=name,
                datasets=(dataset or f"{name}_2022",),
                axes=(Axis(name="energy", unit="keV", edges=(0.0, 1.0, 2.0)),),
                observed=(24.0, 13.0),
                samples=tuple(samples),
            ),
        ),
        parameters=tuple(parameters),
        folded=folded,
        provenance=(Provenance(model=name, variants={}, schemes={"couplings": "pdg"}, inputs={}, version="0"),),
    )


def test_names_stay_short_enough_for_files():
    members = [member(f"experiment_{i:02d}", [charge(), flux()]) for i in range(20)]
    assert combine(members[:3]).name == "experiment_00__x__experiment_01__x__experiment_02"
    assert combine(members).name == "joint_of_20"
    assert combine(members, name="world").name == "world"


def test_warnings_of_members_bear_their_names():
    def noted(name, *notes):
        made = member(name, [charge(), flux()])
        return made.model_copy(update={"provenance": (made.provenance[0].model_copy(update={"notes": notes}),)})

    one, other = (
        noted("lz", "morph within 0.1 %", "warning: look"),
        noted("xenon", "warning: xenon: see", "warning: go"),
    )
    assert one.warnings == ("look",)
    assert other.warnings == ("xenon: see", "go")
    assert combine([one, other]).warnings == ("lz: look", "xenon: see", "xenon: go")
    assert member("argon", [charge(), flux()]).warnings == ()


def test_likelihoods_add_and_constraints_count_once():
    a, b = member("lz", [charge(), flux()]), member("xenon", [charge(), flux()], scale=1.7)
    joint = combine([a, b])
    assert joint.name == "lz__x__xenon"
    assert [p.name for p in joint.parameters] == ["millicharge_ee", "solar_pp"]
    assert [entry.model for entry in joint.provenance] == ["lz", "xenon"]
    assert joint.datasets == ("lz_2022", "xenon_2022")
    for x in np.random.default_rng(2).normal(size=(5, 2)):
        separate = Likelihood(a)(x) + Likelihood(b)(x) - x[1] ** 2
        assert Likelihood(joint)(x) == pytest.approx(separate, rel=1e-12)
        assert Likelihood(combine([b, a]))(x) == pytest.approx(separate, rel=1e-12)


def test_insensitive_members_are_accepted():
    joint = combine([member("lz", [charge(), flux()]), member("munu", [flux()], coupled=False)], name="joint")
    assert joint.name == "joint"
    assert joint.couplings == ("millicharge_ee",)


def test_one_member_is_itself():
    single = member("lz", [charge(), flux()])
    assert combine([single]) is single
    with pytest.raises(WorkspaceError, match="found no workspace"):
        combine([])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (flux(sigma=5e8), r"lz and xenon define solar_pp differently: sigma: 400000000.0 against 500000000.0"),
        (flux(unit="1/m^2/s", centre=6e14), "centre: .*unit: "),
        (charge(name="solar_pp"), "kind: 'constrained' against 'coupling'"),
    ],
)
def test_two_definitions_of_one_name_are_refused(changed, message):
    with pytest.raises(WorkspaceError, match=message):
        combine([member("lz", [charge(), flux()]), member("xenon", [charge(), changed])])


def test_shared_data_are_refused():
    a = member("lz", [charge(), flux()], dataset="lz_ws2022")
    b = member("lz_er", [charge(), flux()], dataset="lz_ws2022")
    with pytest.raises(WorkspaceError, match="lz and lz_er both use dataset lz_ws2022"):
        combine([a, b])
    with pytest.raises(WorkspaceError, match="both have a channel sr"):
        combine([member("a", [charge(), flux()], channel="sr"), member("b", [charge(), flux()], channel="sr")])


def test_folded_couplings():
    zero, one = (Folded(name="millicharge_ee", value=v) for v in (0.0, 1.0))
    holds = member("lz", [charge(), flux()])
    folds = member("xenon", [flux()], coupled=False, folded=(zero,))
    with pytest.raises(WorkspaceError, match="xenon folded millicharge_ee at 0 and lz holds it"):
        combine([holds, folds])
    other = member("munu", [flux()], coupled=False, folded=(one,))
    with pytest.raises(WorkspaceError, match="folded at 0 in xenon and at 1 in munu"):
        combine([folds, other])
    same = member("munu", [flux()], coupled=False, folded=(zero,))
    assert combine([folds, same]).folded == (zero,)


def test_sharing_lists_nuisances_of_two_or_more():
    local = flux(name="lz__efficiency")
    rows = sharing([member("lz", [charge(), flux(), local]), member("xenon", [charge(), flux()])])
    assert [(row.name, row.kind, row.quantity, row.workspaces) for row in rows] == [
        ("solar_pp", "constrained", "flux", ("lz", "xenon"))
    ]


def selections():
    """Two members of one detector, of which the first may hold events of the second."""
    first, second = (member(name, [charge(), flux()]) for name in ("a", "b"))
    entry = MayOverlap(dataset="b_2022", reason="both look at the same run")
    channels = tuple(c.model_copy(update={"may_overlap": (entry,)}) for c in first.channels)
    return first.model_copy(update={"channels": channels}), second


@pytest.mark.parametrize("turned", [False, True])
def test_members_that_may_share_events_have_to_be_asked_for(turned):
    members = selections()[::-1] if turned else selections()
    words = r"(a and b|b and a) may share events \(b_2022\): both look at the same run; one of them .*--overlap"
    with pytest.raises(WorkspaceError, match=words) as caught:
        combine(members)
    assert "\n" not in str(caught.value)
    joint = combine(members, overlap=True)
    assert overlaps(joint) == ("a_2022 and b_2022 may share events: both look at the same run",)
    assert Workspace.from_json(joint.to_json().encode()) == joint


def test_what_may_overlap_stands_in_every_result_of_the_joint_fit_and_in_none_of_one_member():
    first, second = selections()
    told = "a_2022 and b_2022 may share events: both look at the same run"
    joint = combine([first, second], overlap=True)
    assert fit(joint).warnings.count(told) == 1
    assert limit(joint, "millicharge_ee", expected=False).warnings.count(told) == 1
    assert joint_limit([first, second], "millicharge_ee", overlap=True, expected=False).warnings.count(told) == 1
    assert told not in fit(first).warnings
    with pytest.raises(WorkspaceError, match="may share events"):
        joint_limit([first, second], "millicharge_ee")


def test_a_document_without_overlap_keeps_its_digest():
    first, _ = selections()
    plain = member("a", [charge(), flux()])
    assert "may_overlap" not in plain.to_json()
    assert first.digest != plain.digest


def test_a_member_out_of_the_default_fit_is_named_where_it_is_fitted_with_others():
    first, second = (member(name, [charge(), flux()]) for name in ("a", "b"))
    entry = first.provenance[0].model_copy(update={"outside": "assumed efficiency"})
    first = first.model_copy(update={"provenance": (entry,)})
    assert combine([first, second]).warnings == ("a: out of the default world fit: assumed efficiency",)
    assert first.warnings == ()
