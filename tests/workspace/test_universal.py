"""Universal couplings are the diagonal ones set equal (or shifted alike), exactly."""

import numpy as np
import pytest

from nuemstat.errors import WorkspaceError
from nuemstat.stats.likelihood import Likelihood
from nuemstat.vocabulary import COUPLINGS, UNIVERSAL
from nuemstat.workspace.document import Axis, Channel, CouplingParameter, Folded, Sample, Workspace

DEFAULTS = {"charge_radius_ee": -0.83, "charge_radius_mumu": -0.48, "charge_radius_tautau": -0.3}


def model(names, **more):
    rng = np.random.default_rng(5)
    samples = [Sample(name="bkg", process="bkg", contents=(30.0, 20.0))]
    for name in names:
        for power in (2,) if COUPLINGS[name].even else (1, 2):
            term = name if power == 1 else f"{name}__pow2"
            contents = tuple(float(v) for v in rng.uniform(0.5, 2, 2))
            samples.append(Sample(name=f"nu__x__{term}", process="nu", monomial={name: power}, contents=contents))
    channel = Channel(
        name="sr",
        experiment="toy",
        datasets=("toy",),
        axes=(Axis(name="energy", unit="keV", edges=(0.0, 1.0, 2.0)),),
        observed=(31.0, 22.0),
        samples=tuple(samples),
    )
    parameters = [
        CouplingParameter(
            name=name,
            unit=COUPLINGS[name].unit,
            scale=COUPLINGS[name].scale,
            default=DEFAULTS.get(name, 0.0),
            bounds=(0.0, None) if COUPLINGS[name].even else (None, None),
        )
        for name in names
    ]
    return Workspace(name="toy", channels=(channel,), parameters=tuple(parameters), **more)


@pytest.mark.parametrize("universal", list(UNIVERSAL))
@pytest.mark.parametrize("held", [3, 2, 1])
def test_substitution_sets_the_diagonal_ones(universal, held):
    names = UNIVERSAL[universal][:held]
    workspace = model(names)
    common = workspace.substitute(universal)
    assert common.couplings == (universal,)
    assert common.parameter(universal).scale == COUPLINGS[names[0]].scale
    assert common.parameter(universal).bounds == ((0.0, None) if universal == "magnetic_moment" else (None, None))
    ours, theirs = Likelihood(common), Likelihood(workspace)
    for value in (0.0, 0.3, 1.7):
        shift = DEFAULTS if universal == "charge_radius" else {}
        flavours = theirs.vector({name: shift.get(name, 0.0) + value for name in names})
        assert ours(np.array([value])) == pytest.approx(theirs(flavours), rel=1e-12)
    assert common.substitute(universal) is common


def test_other_couplings_stay():
    workspace = model((*UNIVERSAL["millicharge"], "millicharge_emu", "charge_radius_ee"))
    assert workspace.substitute("millicharge").couplings == ("millicharge", "millicharge_emu", "charge_radius_ee")


def test_what_cannot_be_substituted():
    with pytest.raises(WorkspaceError, match=r"no universal coupling; allowed are .*did you mean 'millicharge'"):
        model(["millicharge_ee"]).substitute("milicharge")
    with pytest.raises(WorkspaceError, match=r"needs one of magnetic_moment_e, .*it holds millicharge_ee"):
        model(["millicharge_ee"]).substitute("magnetic_moment")
    folded = (Folded(name="millicharge_mumu", value=0.0),)
    with pytest.raises(WorkspaceError, match="needs millicharge_mumu, which was folded at 0"):
        model(["millicharge_ee"], folded=folded).substitute("millicharge")
