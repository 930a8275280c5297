"""No data and no constraint enters a fit twice: in any shipped model, in any of its variants, in the joint fit."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest

from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model, shipped_models
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.shares import channel_terms
from nuemstat.workspace.combine import combine, sharing
from nuemstat.workspace.document import Workspace

DATA = tuple(name for name in shipped_models() if load_model(name).has_data)
TWINS = {
    ("lz_sr1", "lz_er2025"): {"lz_ws2022"},
    ("borexino_moment", "borexino_phase2"): {"borexino_phase2"},
    ("coherent_ge_2026", "coherent_ge"): {"coherent_ge_2023"},
}
"""Two analyses of the same data set, either of which may enter a joint fit; the second does here."""


@cache
def workspace(spec: str) -> Workspace:
    return compile_model(load_model(spec))


def joint() -> list[Workspace]:
    left_out = {first for first, _ in TWINS}
    return [workspace(name) for name in DATA if name not in left_out]


def pulled(likelihood: Likelihood, seed: int) -> tuple[np.ndarray, dict[str, float]]:
    """A point with every constrained parameter off its centre by less than one sigma."""
    generator = np.random.default_rng(seed)
    names = [p.name for p in likelihood.workspace.parameters if p.kind == "constrained"]
    values = {name: float(generator.uniform(-0.8, 0.8)) for name in names}
    return likelihood.vector(values), values


@pytest.mark.parametrize("name", shipped_models())
def test_every_constraint_counts_once_in_a_model(name: str) -> None:
    """2 NLL is the sum over bins and one square for each pull, whatever hangs on it."""
    likelihood = Likelihood(workspace(name))
    x, values = pulled(likelihood, 3)
    bins = sum(channel_terms(likelihood, x).values())
    assert likelihood(x) - bins == pytest.approx(sum(value**2 for value in values.values()), abs=1e-6)


@pytest.mark.parametrize("name", shipped_models())
def test_no_quantity_is_constrained_by_two_rows(name: str) -> None:
    """In any variant; shared and local parts of a partly correlated one are two parameters of one row."""
    model = load_model(name)
    specs = [name, *(f"{name}:{option}" for options in model.groups.values() for option in options)]
    for spec in specs:
        rows = load_model(spec).document.nuisances.values()
        quantities = [row.quantity for row in rows]
        assert len(set(quantities)) == len(quantities), spec
        paths = [path for row in rows for path in row.paths]
        assert len(set(paths)) == len(paths), spec


@pytest.mark.parametrize("name", shipped_models())
def test_no_norm_or_shape_hangs_twice_on_a_sample(name: str) -> None:
    for channel in workspace(name).channels:
        for sample in channel.samples:
            keys = [(modifier.type, modifier.parameter) for modifier in sample.modifiers]
            assert len(set(keys)) == len(keys), sample.name


def test_every_data_set_belongs_to_one_model_but_for_the_twins() -> None:
    sets = {name: set(load_model(name).datasets) for name in shipped_models()}
    expected = {frozenset(pair): common for pair, common in TWINS.items()}
    for a, b in combinations(sets, 2):
        assert sets[a] & sets[b] == expected.get(frozenset({a, b}), set()), (a, b)


def test_no_two_channels_hold_the_same_counts() -> None:
    """Data that were copied under another name would be fitted twice without anybody's noticing."""
    channels = [c for member in joint() for c in member.channels if c.size > 1]
    for a, b in combinations(channels, 2):
        assert a.observed != b.observed, (a.name, b.name)


def test_the_joint_fit_counts_shared_constraints_once() -> None:
    members = joint()
    together = Likelihood(combine(members, overlap=True))
    x, values = pulled(together, 4)
    alone = 0.0
    for member in members:
        likelihood = Likelihood(member)
        names = {p.name for p in member.parameters}
        alone += likelihood(likelihood.vector({name: value for name, value in values.items() if name in names}))
    shared = {row.name: len(row.workspaces) for row in sharing(members)}
    assert shared["sns_flux"] == 3
    assert shared["reactor_measured_pc0"] == 6
    assert shared["solar_b8"] == 6
    twice = sum((number - 1) * values[name] ** 2 for name, number in shared.items())
    assert together(x) == pytest.approx(alone - twice, rel=1e-9)
    assert len(together.workspace.channels) == sum(len(member.channels) for member in members)
    assert len(set(together.workspace.datasets)) == sum(len(member.datasets) for member in members)
