"""Joint workspaces: what is shared, what is refused, and that 2 NLL adds up."""

import numpy as np
import pytest

from nuemstat.errors import WorkspaceError
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.combine import combine, sharing
from nuemstat.workspace.document import (
    Axis,
    Channel,
    ConstrainedParameter,
    CouplingParameter,
    Folded,
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
