"""Batched fits are the single fits, to the last bit, whatever is fitted with them."""

import numpy as np
import pytest
from test_kernels import inner_first
from test_likelihood import rich
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.stats import batch
from nuemstat.stats.batch import BatchFit, chunk_size, fit_batch
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.newton import minimise
from nuemstat.workspace.modifiers import Norm


def thrown(likelihood, n, seed=5):
    rng = np.random.default_rng(seed)
    mean = likelihood.counts(likelihood.defaults)
    counts = rng.poisson(np.maximum(mean, 0), (n, mean.size)).astype(float)
    return counts, rng.normal(size=(n, likelihood.defaults.size)) * likelihood.constrained


def away(likelihood):
    return likelihood.defaults + np.where(likelihood.constrained, 0.0, 0.3)


@pytest.fixture(params=[rich, inner_first], ids=["rich", "inner_first"])
def likelihood(request):
    return Likelihood(request.param(), kernel="numpy")


def test_each_toy_is_its_single_fit(likelihood):
    counts, centres = thrown(likelihood, 12)
    found = fit_batch(likelihood, counts, centres, away(likelihood))
    assert isinstance(found, BatchFit)
    assert found.converged.all()
    for toy in range(len(counts)):
        alone = minimise(likelihood.with_data(counts[toy], centres[toy]), away(likelihood))
        if alone.converged:
            assert found.values[toy] == alone.value
            np.testing.assert_array_equal(found.x[toy], alone.x)


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_bits_do_not_depend_on_company_order_or_chunks(likelihood, chunk):
    counts, centres = thrown(likelihood, 40)
    whole = fit_batch(likelihood, counts, centres, away(likelihood))
    order = np.random.default_rng(1).permutation(40)[:23]
    some = fit_batch(likelihood, counts[order], centres[order], away(likelihood), chunk=chunk)
    np.testing.assert_array_equal(some.values, whole.values[order])
    np.testing.assert_array_equal(some.x, whole.x[order])


def test_every_toy_ends_at_a_minimum_inside_the_bounds(likelihood):
    counts, centres = thrown(likelihood, 8)
    found = fit_batch(likelihood, counts, centres, away(likelihood))
    low, high = likelihood.bounds.T
    assert (found.x >= low).all()
    assert (found.x <= high).all()
    for toy, x in enumerate(found.x):
        own = likelihood.with_data(counts[toy], centres[toy])
        here = own.evaluate(x)
        # an even coupling next to 0 has no information, but a curvature
        bent = np.where(likelihood.curved, np.abs(here.curvature.diagonal()) / 2, 0.0)
        scale = np.maximum(here.fisher.diagonal(), bent)
        inside = (x > low) & (x < high) & (scale > 0)
        assert np.abs(here.gradient[inside] / np.sqrt(scale[inside])).max() < 1e-3
        assert own(x) == found.values[toy]


def test_fixed_parameters_stay_and_raise_the_value(likelihood):
    counts, centres = thrown(likelihood, 6)
    best = fit_batch(likelihood, counts, centres, away(likelihood))
    i = likelihood.index("millicharge_ee")
    held = fit_batch(likelihood, counts, centres, best.x, fixed={"millicharge_ee": 0.7})
    assert (held.x[:, i] == 0.7).all()
    assert (held.values > best.values - 1e-8).all()


def test_known_minimum_of_many_toys():
    """One bin, mu = s q + b (1 + 0.1 a): n and the centre are met exactly, and q = (n - b (1 + 0.1 c)) / s >= 0."""
    model = workspace(
        [
            channel(
                [
                    sample("bkg", [40], Norm(parameter="rate", interpolation="linear", size=0.1)),
                    sample("nu", [5], millicharge_ee=1),
                ],
                [40],
            )
        ],
        [coupling("millicharge_ee", bounds=(0.0, None)), nuisance("rate")],
    )
    likelihood = Likelihood(model, kernel="numpy")
    counts, centres = thrown(likelihood, 200)
    found = fit_batch(likelihood, counts, centres, likelihood.vector({"millicharge_ee": 0.5}))
    free = (counts[:, 0] - 40 * (1 + 0.1 * centres[:, 1])) / 5
    assert found.converged.all()
    assert ((found.x[:, 0] > 0) == (free > 0)).all()
    above = free > 0
    np.testing.assert_allclose(found.x[above, 0], free[above], atol=1e-3)
    np.testing.assert_allclose(found.values[above], 0.0, atol=1e-6)


def test_toys_that_fail_are_fitted_again(monkeypatch, likelihood):
    counts, centres = thrown(likelihood, 4)
    whole = fit_batch(likelihood, counts, centres, away(likelihood))
    real = batch.search

    def gives_up(own, start, **options):
        return real(own, start, **{**options, "iterations": 1})

    monkeypatch.setattr(batch, "search", gives_up)
    again = fit_batch(likelihood, counts, centres, away(likelihood))
    assert again.converged.all()
    assert (again.values < whole.values + 1e-6).all()  # other starts may find a deeper basin


def at_the_edge(slope):
    """Nothing observed where interference can drive the expectation to 0, along a curve of two couplings."""
    background, bins = np.linspace(3, 0.2, 10), np.linspace(0.1, 1, 10)
    samples = [
        sample("bkg", background, Norm(parameter="rate", interpolation="lognormal", size=0.3)),
        sample("nu", slope * bins, millicharge_ee=1),
        sample("nu", np.full(10, 0.3), millicharge_ee=2),
        sample("nu", 2 * bins, magnetic_moment_e=2),
    ]
    observed = [3, 2, 2, 1, 1, 0, 0, 0, 0, 0]
    couplings = [coupling("millicharge_ee"), coupling("magnetic_moment_e", bounds=(0.0, None))]
    return Likelihood(workspace([channel(samples, observed)], [*couplings, nuisance("rate")]), kernel="numpy")


@pytest.mark.parametrize("slope", [-2.0, -1.0, 1.0])
def test_minima_at_the_edge_of_what_is_positive_are_found(slope):
    likelihood = at_the_edge(slope)
    starts = np.array([[0.3, 0.5, 0.0], [-0.5, 0.1, 0.0], [3.0, 2.0, 0.0], [1e-3, 1e-3, 0.0]])
    observed = np.tile(likelihood.terms.observed, (len(starts), 1))
    found = fit_batch(likelihood, observed, np.zeros_like(starts), starts)
    assert found.converged.all()
    random = np.random.default_rng(4)
    for value, x in zip(found.values, found.x, strict=True):
        assert likelihood.counts(x).min() > -1e-8
        for _ in range(300):  # no neighbour that keeps bins positive and bounds is lower
            near = x + random.normal(size=3) * 10.0 ** random.uniform(-4, -1.5)
            near[1] = abs(near[1])
            if likelihood.counts(near).min() >= 0:
                assert likelihood(near) > value - 1e-6


def test_lower_takes_the_better_of_two():
    nan = np.nan
    one = BatchFit(np.array([1.0, 2.0, 3.0]), np.array([[1.0], [2.0], [3.0]]), np.array([True, True, False]))
    two = BatchFit(np.array([2.0, 1.0, nan]), np.array([[4.0], [5.0], [6.0]]), np.array([True, True, True]))
    best = one.lower(two)
    np.testing.assert_array_equal(best.x[:, 0], [1.0, 5.0, 6.0])
    assert best.converged.all()


def test_chunks_shrink_with_the_model():
    small, large = (Likelihood(workspace([channel([sample("bkg", np.ones(n))], np.ones(n))], [])) for n in (3, 200_000))
    assert chunk_size(small) == batch.LARGEST_CHUNK
    assert chunk_size(large) == 1
