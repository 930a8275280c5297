"""Two toy experiments for the tests of the upper floors: small, quick, and with every kind of coupling."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nuemstat.polynomial import monomial, monomial_name
from nuemstat.resources import models_folder
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.document import (
    Axis,
    Channel,
    ConstrainedParameter,
    CouplingParameter,
    Provenance,
    Sample,
    Workspace,
)
from nuemstat.workspace.modifiers import Norm

BINS = 6


def _nuisance(name: str) -> ConstrainedParameter:
    return ConstrainedParameter(
        name=name, quantity="a norm", centre=1.0, sigma=0.1, unit="1", group="flux", source="made up for this test"
    )


def _sample(process: str, powers: dict[str, int], contents: list[float], nuisance: str) -> Sample:
    term = monomial_name(monomial(powers))
    return Sample(
        name=f"{process}__x__{term}" if term else process,
        process=process,
        monomial=powers,
        contents=tuple(contents),
        modifiers=(Norm(parameter=nuisance, interpolation="lognormal", size=0.1),),
    )


def toy_workspace(name: str, flavour: str, *, excess: float = 0.0) -> Workspace:
    """A background of 40 to 15 counts, and a signal with interference: observed is the expectation plus `excess`."""
    charge, moment, transition = f"millicharge_{flavour * 2}", f"magnetic_moment_{flavour}", "millicharge_emu"
    background = [40.0 - 5.0 * i for i in range(BINS)]
    samples = (
        _sample("background", {}, background, f"{name}__background"),
        _sample("electron", {}, [6.0 - i for i in range(BINS)], "beam"),
        _sample("electron", {charge: 1}, [4.0 / (1 + i) for i in range(BINS)], "beam"),
        _sample("electron", {charge: 2}, [6.0 / (1 + i) ** 2 for i in range(BINS)], "beam"),
        _sample("electron", {transition: 2}, [6.0 / (1 + i) ** 2 for i in range(BINS)], "beam"),
        _sample("electron", {moment: 2}, [8.0 / (1 + i) for i in range(BINS)], "beam"),
    )
    channel = Channel(
        name=f"{name}_counts",
        experiment=name.title(),
        datasets=(f"{name}_data",),
        axes=(Axis(name="energy", unit="keV", edges=tuple(float(i) for i in range(BINS + 1))),),
        observed=tuple(float(round(b + 6.0 - i + excess)) for i, b in enumerate(background)),
        samples=samples,
    )
    couplings = tuple(
        CouplingParameter(
            name=c.name, unit=c.unit, scale=c.scale, default=0.0, bounds=(0.0, None) if c.even else (None, None)
        )
        for c in (COUPLINGS[n] for n in (charge, transition, moment))
    )
    made = Provenance(
        model=name, variants={}, schemes={"couplings": "toy"}, inputs={}, version="0", notes=("morph within 0.1 %",)
    )
    return Workspace(
        name=name,
        channels=(channel,),
        parameters=(*couplings, _nuisance("beam"), _nuisance(f"{name}__background")),
        provenance=(made,),
    )


@pytest.fixture
def toys(tmp_path: Path) -> tuple[str, str]:
    """Paths of two toy workspaces that share the nuisance `beam` and the transition charge."""
    paths = (tmp_path / "alpha.json", tmp_path / "beta.json")
    toy_workspace("alpha", "e").write(paths[0])
    toy_workspace("beta", "mu", excess=1.0).write(paths[1])
    return str(paths[0]), str(paths[1])


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a shipped model with pieces of its text replaced."""

    def edit(model: str, *pairs: tuple[str, str]) -> Path:
        folder = tmp_path / model
        shutil.copytree(models_folder() / model, folder)
        text = (folder / "model.yaml").read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        (folder / "model.yaml").write_text(text)
        return folder / "model.yaml"

    return edit
