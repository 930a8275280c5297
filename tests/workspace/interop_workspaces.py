"""A small joint model for the tests of exchange formats: two channels, shared nuisances, interference."""

import numpy as np

from nuemstat.polynomial import monomial_name
from nuemstat.workspace.document import (
    Axis,
    Channel,
    ConstrainedParameter,
    CouplingParameter,
    Folded,
    FreeParameter,
    Provenance,
    Sample,
    Workspace,
)
from nuemstat.workspace.modifiers import Anchor, HistoSys, Modifier, Norm, NormFactor, Shape

CHARGE, RADIUS = "millicharge_ee", "charge_radius_ee"


def numbers(values) -> tuple[float, ...]:
    return tuple(float(f"{value:.9g}") for value in np.ravel(values))


def sample(process: str, contents, powers: dict[str, int], *modifiers: Modifier) -> Sample:
    term = monomial_name(tuple(sorted(powers.items())))
    name = f"{process}__x__{term}" if term else process
    return Sample(name=name, process=process, monomial=powers, contents=numbers(contents), modifiers=modifiers)


def signal(base, *modifiers) -> list[Sample]:
    terms = {(): 1.0, (CHARGE,): -0.4, (CHARGE, CHARGE): 0.3, (RADIUS,): 0.2, (RADIUS, RADIUS): 0.1}
    terms |= {(CHARGE, RADIUS): 0.05}
    found = []
    for names, size in terms.items():
        contents = size * np.asarray(base) ** (1 + 0.1 * len(names))
        powers = {name: names.count(name) for name in names}
        found.append(sample("electron", contents, powers, *(modifier(contents) for modifier in modifiers)))
    return found


def flux(contents) -> Modifier:
    return Norm(parameter="flux", interpolation="lognormal", size=0.1)


def tilt(contents) -> Modifier:
    up, down = 0.05 * contents * np.linspace(-1, 1, len(contents)), -0.04 * contents * np.linspace(-1, 1, len(contents))
    anchors = (Anchor(alpha=-1.0, values=numbers(down)), Anchor(alpha=1.0, values=numbers(up)))
    return Shape(parameter="tilt", interpolation="additive", anchors=anchors)


def many(contents) -> Modifier:
    slope = np.linspace(-0.1, 0.1, len(contents))
    anchors = tuple(Anchor(alpha=a, values=numbers(np.exp(slope * a + 0.02 * a * a))) for a in (-2.0, -1.0, 1.0, 2.0))
    return Shape(parameter="quenching", interpolation="multiplicative", anchors=anchors)


def channel(name: str, lengths: tuple[int, ...], observed, samples, **more) -> Channel:
    axes = tuple(
        Axis(name=axis, unit="keV", edges=tuple(float(i * i + i) for i in range(n + 1)))
        for axis, n in zip(("energy", "time", "place"), lengths, strict=False)
    )
    return Channel(
        name=name,
        experiment="Toy",
        datasets=(f"{name}_data",),
        axes=axes,
        observed=numbers(observed),
        samples=tuple(samples),
        **more,
    )


def nuisance(name: str) -> ConstrainedParameter:
    return ConstrainedParameter(
        name=name, quantity=name, centre=1.0, sigma=0.1, unit="1", group="toy", source="made up for this test"
    )


def couplings() -> list[CouplingParameter]:
    return [
        CouplingParameter(name=CHARGE, unit="e", scale=1e-12, default=0.0),
        CouplingParameter(name=RADIUS, unit="cm^2", scale=1e-32, default=-0.83),
    ]


def workspace(*channels: Channel, name: str = "toy", extra: tuple[FreeParameter, ...] = ()) -> Workspace:
    made = Provenance(model=name, variants={"pulls": "full"}, schemes={"couplings": "toy"}, inputs={}, version="0")
    used = {m.parameter for c in channels for s in c.samples for m in s.modifiers} - {p.name for p in extra}
    return Workspace(
        name=name,
        channels=channels,
        parameters=(*couplings(), *extra, *(nuisance(n) for n in sorted(used))),
        folded=(Folded(name="millicharge_mumu", value=0.0),),
        provenance=(made,),
    )


def joint(*, shape=tilt) -> Workspace:
    """Two Poisson channels, the second with two axes; a free background norm, a shared flux."""
    background = sample(
        "background",
        [40.0, 35, 30, 25, 20, 15],
        {},
        NormFactor(parameter="background_norm"),
        Norm(parameter="slope", interpolation="linear", size=0.2),
    )
    histosys = HistoSys(parameter="slope", hi_data=numbers([9.0, 8, 7, 6]), lo_data=numbers([11.0, 12, 13, 14.5]))
    other = sample("background", [10.0, 10, 10, 10], {}, histosys, flux(None))
    free = FreeParameter(name="background_norm", quantity="norm", unit="1", default=1.0, bounds=(0.0, 10.0))
    first = channel("counts", (6,), [46, 38, 36, 26, 22, 17], [background, *signal([6.0, 5, 4, 3, 2, 1], flux, shape)])
    second = channel("plane", (2, 2), [14, 11, 12, 10], [other, *signal([2.0, 1.5, 1.2, 1.1], flux)])
    return workspace(first, second, extra=(free,))


def gaussian() -> Workspace:
    """A Gaussian channel with a covariance beside one with errors."""
    errors = np.array([1.5, 1.2, 1.4])
    covariance = tuple(numbers(row) for row in np.outer(errors, errors) * (0.7 * np.eye(3) + 0.3))
    rates = channel("rates", (3,), [9.0, 8.0, 6.0], signal([8.0, 7, 6], flux), statistic="gaussian",
                    covariance=covariance)  # fmt: skip
    point = channel("point", (1,), [5.0], signal([4.0], flux, tilt), statistic="gaussian", errors=(0.9,))
    return workspace(rates, point)


def mixed() -> Workspace:
    """Poisson and Gaussian channels that share nuisances; one nuisance is the Gaussian ones' own."""
    rates = gaussian().channels
    extra = tuple(p for p in joint().parameters if isinstance(p, FreeParameter))
    line = channel("line", (2,), [5.5, 4.0], signal([5.0, 4], many, flux), statistic="gaussian", errors=(1.0, 0.8))
    return workspace(*joint().channels, *rates, line, extra=extra)
