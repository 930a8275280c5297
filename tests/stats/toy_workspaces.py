"""Small workspaces for the tests of the statistics floor."""

import numpy as np

from nuemstat.polynomial import monomial_name
from nuemstat.workspace.document import (
    Axis,
    Channel,
    ConstrainedParameter,
    CouplingParameter,
    FreeParameter,
    Sample,
    Workspace,
)


def numbers(values):
    return tuple(float(v) for v in np.ravel(values))


def sample(process, contents, *modifiers, **powers):
    term = monomial_name(tuple(sorted(powers.items())))
    name = f"{process}__x__{term}" if term else process
    return Sample(name=name, process=process, monomial=powers, contents=numbers(contents), modifiers=modifiers)


def channel(samples, observed, name="sr", shape=None, **more):
    shape = shape or (len(numbers(observed)),)
    axes = tuple(
        Axis(name=f"axis{i}", unit="1", edges=tuple(float(e) for e in range(n + 1))) for i, n in enumerate(shape)
    )
    return Channel(
        name=name,
        experiment=name,
        datasets=(f"data_{name}",),
        axes=axes,
        observed=numbers(observed),
        samples=tuple(samples),
        **more,
    )


def coupling(name, default=0.0, bounds=(None, None)):
    unit, scale = {"magn": ("mu_B", 1e-11), "mill": ("e", 1e-12), "char": ("cm^2", 1e-32)}[name[:4]]
    return CouplingParameter(name=name, unit=unit, scale=scale, default=default, bounds=bounds)


def nuisance(name, centre=1.0, sigma=0.1):
    return ConstrainedParameter(
        name=name, quantity=name, centre=centre, sigma=sigma, unit="1", group="test", source="test"
    )


def free(name, default=1.0, bounds=(None, None)):
    return FreeParameter(name=name, quantity=name, unit="1", default=default, bounds=bounds)


def workspace(channels, parameters, name="toy", **more):
    return Workspace(name=name, channels=tuple(channels), parameters=tuple(parameters), **more)
