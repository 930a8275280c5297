"""Contours against closed forms: ellipses, rings with holes, islands, bounds; and against brute force."""

import json
import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2
from toy_workspaces import channel, coupling, nuisance, sample, workspace

from nuemstat.errors import FitError, WorkspaceError
from nuemstat.stats.contours import contour, contour_scan
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.modifiers import Norm

PAIR = ("charge_radius_ee", "charge_radius_mumu")
SCALE = 1e-32


def gaussian(matrix, observed, bounds=((None, None), (None, None)), **terms):
    """Gaussian bins that are linear in two couplings: 2 NLL is exactly quadratic."""
    samples = [sample("bkg", np.zeros(len(observed)))]
    samples += [sample("nu", column, **{name: 1}) for name, column in zip(PAIR, np.transpose(matrix), strict=True)]
    gauss = channel(samples, observed, statistic="gaussian", errors=(1.0,) * len(observed))
    return workspace([gauss], [coupling(name, bounds=end) for name, end in zip(PAIR, bounds, strict=True)])


def poisson(samples, observed, *more, bounds=(None, None)):
    return workspace([channel(samples, observed)], [*(coupling(name, bounds=bounds) for name in PAIR), *more])


def signed_area(line):
    x, y = line.T
    return 0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])


def test_a_linear_gaussian_model_has_ellipses():
    matrix = np.array([[2.0, 1.0], [0.5, -1.5], [1.0, 0.3]])
    observed = np.array([1.0, -2.0, 0.7])
    found = contour(gaussian(matrix, observed), PAIR)
    information = matrix.T @ matrix
    best = np.linalg.solve(information, matrix.T @ observed)
    assert found.valid
    assert list(found.best_fit.values()) == pytest.approx(list(best * SCALE), rel=1e-6)
    for region, level in zip(found.regions, (0.68, 0.90, 0.95), strict=True):
        (piece,) = region.components
        threshold = -2 * math.log(1 - level)  # chi2 of two parameters
        assert region.threshold == pytest.approx(threshold)
        apart = piece.outline / SCALE - best
        np.testing.assert_allclose(np.einsum("ki,ij,kj->k", apart, information, apart), threshold, atol=2e-4)
        wanted = math.pi * threshold / math.sqrt(np.linalg.det(information))
        assert signed_area(piece.outline / SCALE) == pytest.approx(wanted, rel=2e-3)
        assert piece.closed
        assert not piece.holes
        np.testing.assert_array_equal(piece.outline[0], piece.outline[-1])


def test_a_bound_closes_the_region():
    found = contour(gaussian(np.eye(2), [-0.5, 0.0], ((0.0, None), (None, None))), PAIR, cl=(0.9,))
    (piece,) = found.regions[0].components
    threshold = chi2.ppf(0.9, 2)
    assert piece.closed
    assert list(found.best_fit.values()) == pytest.approx([0.0, 0.0], abs=1e-6 * SCALE)
    # (x + 1/2)^2 + y^2 - 1/4 below the threshold, and x above 0
    assert piece.outline[:, 0].min() == 0.0
    assert piece.outline[:, 0].max() / SCALE == pytest.approx(math.sqrt(threshold + 0.25) - 0.5, rel=1e-3)
    assert piece.outline[:, 1].max() / SCALE == pytest.approx(math.sqrt(threshold), rel=1e-3)


def test_a_ring_has_a_hole():
    """One bin, background + x^2 + y^2: two circles whose radii are roots of one equation."""
    background, count = 20.0, 60.0
    samples = [sample("bkg", [background]), *(sample("nu", [1.0], **{name: 2}) for name in PAIR)]
    found = contour(poisson(samples, [count]), PAIR, cl=(0.9,))

    def height(square):
        mean = background + square
        return 2 * (mean - count + count * math.log(count / mean)) - chi2.ppf(0.9, 2)

    (piece,) = found.regions[0].components
    (hole,) = piece.holes
    assert signed_area(piece.outline) > 0 > signed_area(hole)
    for line, square in ((piece.outline, brentq(height, 40, 400)), (hole, brentq(height, 0, 40))):
        np.testing.assert_allclose(np.hypot(*line.T) / SCALE, math.sqrt(square), rtol=2e-3)
    assert found.q_min == pytest.approx(0.0, abs=1e-7)


def islands(far):
    """Each coupling alone in its own bins, linear and quadratic: two solutions each, so four together."""
    samples = [
        sample("bkg", [400.0, 400.0, 400.0, 400.0]),
        sample("nu", [-100.0, -40.0, 0.0, 0.0], charge_radius_ee=1),
        sample("nu", [100.0 / far, 40.0 / (far + 0.1), 0.0, 0.0], charge_radius_ee=2),
        sample("nu", [0.0, 0.0, -90.0, -50.0], charge_radius_mumu=1),
        sample("nu", [0.0, 0.0, 90.0 / far, 50.0 / (far + 0.05)], charge_radius_mumu=2),
    ]
    return poisson(samples, [397.0, 401.0, 399.0, 402.0])


@pytest.mark.parametrize("far", [4.0, 40.0, 400.0])
def test_all_four_islands_are_found(far):
    """2 NLL is a sum, so each island's extent in x is where the sum's other term is lowest."""
    found = contour(islands(far), PAIR, cl=(0.9,))
    pieces = found.regions[0].components
    assert len(pieces) == 4
    assert all(piece.closed for piece in pieces)
    assert len(found.minima) == 4
    likelihood = Likelihood(islands(far))
    level = found.q_min + chi2.ppf(0.9, 2)
    for piece in pieces:
        x, y = np.array(piece.lowest) / SCALE
        assert likelihood(np.array([x, y])) - found.q_min == pytest.approx(piece.q, abs=1e-5)
        for k in (0, 1):
            place = np.array([x, y])

            def height(value, place=place, k=k):
                place = place.copy()
                place[k] = value
                return likelihood(place) - level

            low, high = (brentq(height, place[k], place[k] + sign) for sign in (-1.5, 1.5))
            assert piece.outline[:, k].min() / SCALE == pytest.approx(low, abs=2e-3)
            assert piece.outline[:, k].max() / SCALE == pytest.approx(high, abs=2e-3)


def with_nuisances():
    back = Norm(parameter="back", interpolation="linear", size=0.05)
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.1)
    bins = np.arange(6.0)
    samples = [
        sample("bkg", 60 * np.exp(-bins / 5), back),
        sample("nu", 8 * np.exp(-bins / 3), flux),
        sample("nu", -9 * np.exp(-bins / 3), flux, charge_radius_ee=1),
        sample("nu", 4 * np.exp(-bins / 2.5), flux, charge_radius_ee=2),
        sample("nu", -3 * np.exp(-bins / 6), flux, charge_radius_mumu=1),
        sample("nu", 2 * np.exp(-bins / 5.5), flux, charge_radius_mumu=2),
        sample("nu", 0.3 + 0.2 * bins, flux, magnetic_moment_e=2),
    ]
    moment = coupling("magnetic_moment_e", bounds=(0.0, None))
    return poisson(samples, [70.0, 54.0, 43.0, 36.0, 27.0, 24.0], moment, nuisance("back"), nuisance("flux"))


@pytest.mark.parametrize("free", [(), ("magnetic_moment_e",)])
def test_outlines_agree_with_brute_force(free):
    """At points of the lines a minimiser of scipy, from several starts of the other coupling, finds the level."""
    model = with_nuisances()
    found = contour(model, PAIR, cl=(0.9,), free=free)
    fixed = {} if free else {"magnetic_moment_e": 0.0}
    likelihood = Likelihood(model, fixed=fixed)
    places = [likelihood.index(name) for name in PAIR]
    others = np.setdiff1d(np.arange(len(likelihood.parameters)), places)
    for piece in found.regions[0].components:
        for point in piece.outline[::41]:
            x = likelihood.defaults.copy()
            x[places] = point / SCALE

            def objective(y, x=x):
                x = x.copy()
                x[others] = y
                return likelihood(x), likelihood.gradient(x)[others]

            best = math.inf
            for start in (0.0, 3.0) if free else (0.0,):
                y0 = likelihood.vector({"magnetic_moment_e": start} if free else {})[others]
                bounds = likelihood.bounds[others]
                best = min(best, minimize(objective, y0, jac=True, method="L-BFGS-B", bounds=bounds).fun)
            assert best - found.q_min == pytest.approx(chi2.ppf(0.9, 2), abs=0.02)
    assert found.accuracy < 0.02


def test_a_range_cuts_the_region_open():
    model = gaussian(np.eye(2), [0.0, 0.0])
    found = contour(model, PAIR, cl=(0.9,), ranges={"charge_radius_ee": (-1 * SCALE, 20 * SCALE)})
    (piece,) = found.regions[0].components
    assert not piece.closed
    assert piece.outline[:, 0].min() == pytest.approx(-SCALE)
    assert any("goes on outside" in text for text in found.warnings)


def test_a_range_that_excludes_the_minimum_is_told():
    model = gaussian(np.eye(2), [0.0, 0.0])
    for function in (contour, contour_scan):
        with pytest.raises(FitError, match=r"range 1e-32 to 3e-32 cm\^2 excludes the minimum at .*allowed"):
            function(model, PAIR, ranges={"charge_radius_mumu": (1 * SCALE, 3 * SCALE)})
    with pytest.raises(FitError, match="a rising one is allowed"):
        contour(model, PAIR, ranges={"charge_radius_mumu": (SCALE, SCALE)})


def test_mistakes_are_told():
    model = gaussian(np.eye(2), [0.0, 0.0])
    for wrong in ((PAIR[0],), (PAIR[0], PAIR[0]), "charge_radius_ee"):
        with pytest.raises(FitError, match="two different ones are allowed"):
            contour(model, wrong)
    with pytest.raises(FitError, match="between 0 and 1"):
        contour(model, PAIR, cl=(90.0,))
    with pytest.raises(WorkspaceError, match="no parameter"):
        contour(model, (PAIR[0], "millicharge_ee"))


def test_a_failed_inner_fit_is_seen(monkeypatch):
    from dataclasses import replace

    from nuemstat.stats import surface as module

    original = module.minimise

    def failing(likelihood, start, **options):
        found = original(likelihood, start, **options)
        return replace(found, converged=False) if start[0] > 1.0 else found

    monkeypatch.setattr(module, "minimise", failing)
    found = contour(gaussian(np.eye(2), [0.0, 0.0]), PAIR, cl=(0.9,))
    assert not found.valid
    assert "did not converge" in found.warnings[0]


def test_counts_that_turn_negative_do_not_stop_it_but_are_told_at_the_best_fit():
    """Interference can ask for fewer than no counts: lines end there, and a best fit there is an error."""
    samples = [sample("bkg", [3.0, 50.0]), sample("nu", [-3.0, 0.0], charge_radius_ee=1),
               sample("nu", [0.0, 5.0], charge_radius_mumu=1)]  # fmt: skip
    found = contour(poisson(samples, [3.0, 50.0]), PAIR, cl=(0.9,))
    assert max(piece.outline[:, 0].max() for piece in found.regions[0].components) < SCALE
    with pytest.raises(FitError, match=r"channel sr, bin 0: .* counts are expected at charge_radius_ee = .*allowed"):
        contour(poisson(samples, [0.0, 50.0]), PAIR)


def test_scan_with_contours_is_one_object():
    model = gaussian(np.array([[1.0, 0.3], [0.2, 1.0]]), [0.4, -0.2])
    found = contour_scan(model, PAIR, points=7)
    content = json.loads(found.to_json())
    assert content["schema"] == "nuemstat/scan/1"
    assert np.array(content["q"]).shape == (7, 7)
    assert [region["cl"] for region in content["regions"]] == [0.68, 0.9, 0.95]
    outline = np.array(content["regions"][1]["components"][0]["outline"])
    assert outline.shape[1] == 2
    likelihood = Likelihood(model)
    for i, x in enumerate(found.values[0]):
        for j, y in enumerate(found.values[1]):
            exact = likelihood(np.array([x, y]) / SCALE) - found.q_min
            assert found.q[i, j] == pytest.approx(exact, abs=1e-7)
    content = json.loads(found.contour.to_json())
    assert content["schema"] == "nuemstat/contour/1"
    common = {"workspaces", "schemes", "fixed", "floated", "digest", "valid", "warnings"}
    assert common <= set(content)
    assert str(found).count(" %") == 3
    assert contour(model, PAIR).to_json() == contour(model, PAIR).to_json()
