"""Both kernels against each other and differences; cost grows with bins x samples; what compiles when."""

import json
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from test_likelihood import points, rich
from toy_workspaces import channel, coupling, nuisance, numbers, sample, workspace

from nuemstat.errors import FitError
from nuemstat.stats import channel_kernels, compiled
from nuemstat.stats.channel_kernels import ChannelKernel
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.interpolation import FunctionTable, anchor_weights, code4, linear_norm, power
from nuemstat.workspace.modifiers import Anchor, HistoSys, Norm, NormSys, Shape, StatError

KERNELS = ("numpy", "compiled")


def made(model, kernel):
    if kernel == "compiled":
        pytest.importorskip("numba", reason="the compiled kernel needs nuemstat[fast]")
    return Likelihood(model, kernel=kernel)


def inner_first():
    """Ratios over the second axis only, so that the compiled kernel has to reorder bins; two norms of one nuisance."""
    bins = np.arange(12.0) + 1
    tilt = Shape(
        parameter="tilt",
        interpolation="multiplicative",
        axes=("axis1",),
        anchors=tuple(Anchor(alpha=a, values=numbers(np.exp(0.1 * a * np.arange(4)))) for a in (-1, 1)),
    )
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.2)
    other = NormSys(parameter="flux", hi=1.3, lo=0.9)
    samples = [
        sample("bkg", 50 / bins, flux, other, tilt),
        sample("nu", 0.2 * bins, flux, tilt, millicharge_ee=1),
        sample("nu", 0.1 * (14 - bins), tilt, charge_radius_ee=1),
        sample("nu", 0.2 + 0.1 * bins, millicharge_ee=2),
        sample("nu", 0.05 * bins, flux, millicharge_ee=1, charge_radius_ee=1),
    ]
    parameters = [coupling("millicharge_ee"), coupling("charge_radius_ee", 0.5), nuisance("tilt"), nuisance("flux")]
    return workspace([channel(samples, 60 / bins, shape=(3, 4))], parameters)


def bin_by_bin(bins=20, samples=3):
    """Factors of single bins on some samples, beside a sample with a ratio and one that stands in one bin anyway."""
    base = 30 * np.exp(-np.arange(bins) / bins) + 5
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.2)
    bent = HistoSys(parameter="bent", hi_data=numbers(1.05 * base), lo_data=numbers(0.9 * base))
    tilt = Shape(
        parameter="tilt",
        interpolation="multiplicative",
        anchors=tuple(Anchor(alpha=a, values=numbers(np.exp(0.02 * a * np.arange(bins)))) for a in (-1, 1)),
    )
    errors = StatError(parameter="stat", data=numbers(0.1 * base))
    found = [sample(f"bkg{i}", base, flux, bent, errors, NormSys(parameter="flux", hi=1.1, lo=0.9))
             for i in range(samples)]  # fmt: skip
    found += [sample("tilted", base, tilt), sample("line", np.where(np.arange(bins) == 3, 7.0, 0.0), flux)]
    found += [sample("nu", 0.1 * base, errors, millicharge_ee=1), sample("nu", 0.2 * base, errors, millicharge_ee=2)]
    parameters = [coupling("millicharge_ee"), *map(nuisance, ("flux", "bent", "tilt"))]
    parameters.append(nuisance("stat").model_copy(update={"centre": 1.0, "sigma": 1.0}))
    return workspace([channel(found, (samples + 1) * base + 3)], parameters)


def test_rows_of_single_bins_are_kept_as_numbers(monkeypatch):
    """Their number grows with bins x samples, and value and derivatives are those of full rows."""
    for bins in (20, 40):
        likelihood = Likelihood(bin_by_bin(bins))
        (kernel,) = likelihood._kernel.channels
        assert kernel.shaped_rows == 1
        assert len(kernel.contents) == 1
        assert kernel.cells.size == kernel.cell_contents.size == bins * (3 * 3 + 2) + 1
        assert not compiled.CompiledChannel.suits(kernel)
    split = Likelihood(bin_by_bin())
    monkeypatch.setattr(channel_kernels, "_MANY", 10**6)
    whole = Likelihood(bin_by_bin())
    assert whole._kernel.channels[0].cells.size == 0
    for x in points(split, 5, width=0.4):
        assert split(x) == pytest.approx(whole(x), rel=1e-12)
        ours, theirs = split.evaluate(x, seen=True), whole.evaluate(x, seen=True)
        for name in ("value", "gradient", "fisher", "seen", "curvature"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(split.gradient(x), theirs.gradient, rtol=1e-9, atol=1e-9)
        for name, yields in whole.yields(x).items():
            assert split.yields(x)[name] == pytest.approx(yields, rel=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("model", [rich, inner_first, bin_by_bin])
def test_second_derivatives_are_those_of_the_gradient(kernel, model):
    likelihood = made(model(), kernel)
    step = 1e-5
    for x in points(likelihood, 4, width=0.4):
        here = likelihood.evaluate(x, seen=True)
        exact = 2 * here.seen + here.curvature
        ends = [[likelihood.gradient(x + s * e) for s in (step, -step)] for e in np.eye(x.size)]
        numeric = np.array([(up - down) / (2 * step) for up, down in ends])
        scale = np.sqrt(np.abs(numeric.diagonal()))
        np.testing.assert_allclose(exact / scale / scale[:, None], numeric / scale / scale[:, None], atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_second_derivatives_where_factors_vanish(kernel):
    """At couplings of exactly 0, where rows vanish to second and higher order."""
    likelihood = made(inner_first(), kernel)
    x = likelihood.vector({"millicharge_ee": 0.0, "charge_radius_ee": 0.0})
    near = likelihood.vector({"millicharge_ee": 1e-9, "charge_radius_ee": 1e-9})
    here, there = likelihood.evaluate(x, seen=True), likelihood.evaluate(near, seen=True)
    for name in ("value", "gradient", "fisher", "seen", "curvature"):
        found, limit = getattr(here, name), getattr(there, name)
        np.testing.assert_allclose(found, limit, atol=1e-6 * np.abs(limit).max())


@pytest.mark.parametrize("model", [rich, inner_first])
def test_both_kernels_agree(model):
    plain = made(model(), "numpy")
    fast = made(model(), "compiled")
    for x in points(plain, 6, width=0.5):
        one, two = plain.evaluate(x, seen=True), fast.evaluate(x, seen=True)
        for field in fields(one):
            a, b = np.asarray(getattr(one, field.name)), np.asarray(getattr(two, field.name))
            np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-12 * np.abs(a).max())
        assert fast(x) == pytest.approx(plain(x), rel=1e-12)
        np.testing.assert_allclose(fast.value_gradient(x)[1], one.gradient, atol=1e-11 * np.abs(one.gradient).max())


@pytest.mark.parametrize("kernel", KERNELS)
def test_gradient_without_jacobian_is_the_one_with_it(kernel):
    likelihood = made(rich(), kernel)
    for x in points(likelihood, 4):
        value, gradient = likelihood.value_gradient(x)
        here = likelihood.evaluate(x)
        assert value == here.value
        np.testing.assert_allclose(gradient, here.gradient, atol=1e-12 * np.abs(gradient).max())


def test_functions_and_their_two_derivatives():
    functions = (power("a", 3), linear_norm("a", 0.3), code4("a", 1.2, 0.7), *anchor_weights("a", (-2.0, -1.0, 1.0)))
    table = FunctionTable(functions, {"a": 0})
    for a in (-3.0, -1.5, -0.4, 0.0, 0.9, 2.7):
        _, slopes, bends = table.derivatives(np.array([a]))
        ends = [table.derivatives(np.array([a + step])) for step in (1e-5, -1e-5)]
        np.testing.assert_allclose(slopes, (ends[0][0] - ends[1][0]) / 2e-5, atol=1e-8)
        np.testing.assert_allclose(bends, (ends[0][1] - ends[1][1]) / 2e-5, atol=1e-8)


def test_large_ratios_stay_with_numpy(monkeypatch):
    pytest.importorskip("numba", reason="the compiled kernel needs nuemstat[fast]")
    monkeypatch.setattr(compiled, "LARGEST_LOGS", 10)
    likelihood = Likelihood(inner_first(), kernel="compiled")
    assert all(isinstance(engine, ChannelKernel) for engine in likelihood._kernel.engines)


def test_nothing_is_compiled_unasked(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "user_cache_path", lambda name: tmp_path)
    assert not compiled.is_ready()
    (tmp_path / "compiled.json").write_text(json.dumps({"key": "of another machine", "cache": str(tmp_path)}))
    assert not compiled.is_ready()
    (tmp_path / "compiled.json").write_text("cut sho")
    assert not compiled.is_ready()


def test_compiled_kernel_is_ready_once_precompiled(tmp_path, monkeypatch):
    pytest.importorskip("numba", reason="the compiled kernel needs nuemstat[fast]")
    monkeypatch.setattr(compiled, "user_cache_path", lambda name: tmp_path)
    compiled.precompile()
    assert compiled.is_ready()


def test_small_workspaces_do_not_load_the_compiled_kernel(monkeypatch):
    monkeypatch.setattr("nuemstat.stats.likelihood.is_ready", lambda: True)
    assert all(isinstance(engine, ChannelKernel) for engine in Likelihood(inner_first())._kernel.engines)


def test_import_does_not_load_numba():
    code = "import sys, nuemstat.stats.likelihood as l, nuemstat.stats.batch; assert 'numba' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "nuemstat.stats.compiled_functions", None)
    compiled.loops.cache_clear()
    with pytest.raises(FitError, match=r"kernel compiled: .*nuemstat\[fast\]"):
        Likelihood(inner_first(), kernel="compiled")
    assert np.isfinite(Likelihood(inner_first(), kernel="numpy")(np.zeros(4)))
