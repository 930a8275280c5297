"""The value against hand-written and pyhf likelihoods; derivatives against differences and definitions."""

import math

import numpy as np
import pyhf
import pytest
from toy_workspaces import channel, coupling, free, nuisance, numbers, sample, workspace

from nuemstat.errors import FitError, WorkspaceError
from nuemstat.stats.data import FLOOR, Data
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.document import DerivedParameter
from nuemstat.workspace.modifiers import (
    Anchor,
    HistoSys,
    Norm,
    NormFactor,
    NormSys,
    Shape,
    ShapeFactor,
    ShapeSys,
)


@pytest.fixture(params=["numpy", "compiled"], autouse=True)
def kernel(request, monkeypatch):
    """Every test of this file runs with both kernels."""
    if request.param == "compiled":
        pytest.importorskip("numba", reason="the compiled kernel needs nuemstat[fast]")
    monkeypatch.setattr("nuemstat.stats.likelihood.WORTHWHILE", 0)
    monkeypatch.setattr("nuemstat.stats.likelihood.is_ready", lambda: request.param == "compiled")
    return request.param


BINS = np.arange(12.0)
BACKGROUND = 20 * np.exp(-BINS / 6) + 4
LINEAR = -1.2 * np.exp(-BINS / 3)
QUADRATIC = 0.9 * np.exp(-BINS / 4)


def anchors(*alphas, ratio, bins=BINS):
    return tuple(Anchor(alpha=a, values=numbers(ratio(a, bins))) for a in alphas)


def rich():
    """Every evaluated modifier, two axes, compact shapes, a derived parameter, both statistics."""

    def tilt(a, bins):
        return np.exp(0.05 * a * (bins - 5) / 6 + 0.01 * a**2)

    shapes = (
        Shape(parameter="tilt", interpolation="multiplicative", anchors=anchors(-2, -1, 1, 2, ratio=tilt)),
        Shape(
            parameter="energy",
            interpolation="multiplicative",
            axes=("axis0",),
            anchors=anchors(-1, 1, 2.5, ratio=tilt, bins=np.arange(3.0)),
        ),
        Shape(
            parameter="time",
            interpolation="multiplicative",
            axes=("axis1",),
            anchors=anchors(-1, 1, ratio=tilt, bins=np.arange(4.0)),
        ),
    )
    additive = Shape(
        parameter="energy",
        interpolation="additive",
        anchors=anchors(-2, -1, 1, ratio=lambda a, b: 0.3 * a * np.sin(b) + 0.1 * a**2),
    )
    log = Norm(parameter="flux", interpolation="lognormal", size=0.12)
    line = Norm(parameter="mixed", interpolation="linear", size=0.2)
    signal = (log, *shapes)
    one = channel(
        [
            sample("bkg", BACKGROUND, NormSys(parameter="flux", hi=1.1, lo=0.87), line),
            sample("line", 3 * np.exp(-((BINS - 6) ** 2)), NormFactor(parameter="height"), line, additive),
            sample("nu", LINEAR, *signal, millicharge_ee=1),
            sample("nu", QUADRATIC, *signal, line, millicharge_ee=2),
            sample("nu", 0.3 * QUADRATIC, shapes[1], magnetic_moment_e=2),
        ],
        BACKGROUND.round(),
        "one",
        (3, 4),
    )
    two = channel(
        [
            sample("bkg", BACKGROUND[:5], HistoSys(parameter="tilt", hi_data=numbers(BACKGROUND[:5] * 1.07),
                                                   lo_data=numbers(BACKGROUND[:5] * 0.95))),
            sample("nu", QUADRATIC[:5], log, millicharge_ee=2),
        ],
        BACKGROUND[:5] + 1,
        "two",
        statistic="gaussian",
        covariance=tuple(numbers(row) for row in 2 * np.eye(5) + 0.5),
    )  # fmt: skip
    parameters = [
        coupling("millicharge_ee"),
        coupling("magnetic_moment_e", bounds=(0.0, None)),
        *(nuisance(name) for name in ("tilt", "energy", "time", "flux", "shared", "local")),
        free("height"),
        DerivedParameter(name="mixed", terms={"shared": math.sqrt(0.7), "local": math.sqrt(0.3)}, offset=0.1),
    ]
    return workspace([one, two], parameters)


def points(likelihood, n=6, seed=3, width=0.8):
    rng = np.random.default_rng(seed)
    return [likelihood.defaults + width * rng.normal(size=likelihood.defaults.size) for _ in range(n)]


def by_hand(x):
    """2 NLL of a two-bin model with interference, a lognormal and a linear norm, written out."""
    charge, flux, mixed = x
    total = 0.0
    for n, background, lin, quad in ((14.0, 10.0, -2.0, 1.0), (6.0, 5.0, -0.5, 0.8)):
        up, a = 1.1, abs(flux)
        if a >= 1:
            factor = up**flux
        else:  # solved for the polynomial that joins 1.1^a with two derivatives
            powers = np.arange(1, 7)
            matrix, ends = [], []
            for side in (1.0, -1.0):
                matrix += [side**powers, powers * side ** (powers - 1), powers * (powers - 1) * side ** (powers - 2)]
                value = up**side
                ends += [value - 1, value * math.log(up), value * math.log(up) ** 2]
            factor = 1 + np.linalg.solve(np.array(matrix, dtype=float), ends) @ flux**powers
        mean = background * (1 + 0.3 * mixed) + factor * (lin * charge + quad * charge**2)
        total += 2 * (mean - n + n * math.log(n / mean))
    return total + flux**2 + mixed**2


def test_value_is_the_hand_written_one():
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.1)
    model = workspace(
        [
            channel(
                [
                    sample("bkg", [10, 5], Norm(parameter="mixed", interpolation="linear", size=0.3)),
                    sample("nu", [-2, -0.5], flux, millicharge_ee=1),
                    sample("nu", [1, 0.8], flux, millicharge_ee=2),
                ],
                [14, 6],
            )
        ],
        [coupling("millicharge_ee"), nuisance("flux"), nuisance("mixed")],
    )
    likelihood = Likelihood(model)
    for x in points(likelihood, 20):
        assert likelihood(x) == pytest.approx(by_hand(x), rel=1e-9)


def test_value_differs_from_pyhf_by_a_constant_only():
    background, low, high = BACKGROUND, BACKGROUND * 0.94, BACKGROUND * 1.05 + 0.2
    samples = [
        {"name": "bkg", "data": list(background), "modifiers": [
            {"name": "rate", "type": "normsys", "data": {"hi": 1.2, "lo": 0.9}},
            {"name": "form", "type": "histosys", "data": {"hi_data": list(high), "lo_data": list(low)}}]},
        {"name": "nu", "data": list(QUADRATIC), "modifiers": [
            {"name": "mu", "type": "normfactor", "data": None},
            {"name": "rate", "type": "normsys", "data": {"hi": 1.1, "lo": 0.8}}]},
    ]  # fmt: skip
    theirs = pyhf.Model({"channels": [{"name": "sr", "samples": samples}]}, poi_name="mu", validate=False)
    ours = Likelihood(
        workspace(
            [
                channel(
                    [
                        sample(
                            "bkg",
                            background,
                            NormSys(parameter="rate", hi=1.2, lo=0.9),
                            HistoSys(parameter="form", hi_data=numbers(high), lo_data=numbers(low)),
                        ),
                        sample("nu", QUADRATIC, NormFactor(parameter="mu"), NormSys(parameter="rate", hi=1.1, lo=0.8)),
                    ],
                    background.round(),
                )
            ],
            [free("mu"), nuisance("rate"), nuisance("form")],
        )
    )
    data = [*background.round(), *theirs.config.auxdata]
    differences = []
    for x in points(ours, 20, width=1.3):
        values = {"mu": abs(x[0]) + 0.1, "rate": x[1], "form": x[2]}
        x[0] = values["mu"]
        expected = theirs.expected_actualdata([values[name] for name in theirs.config.par_order])
        np.testing.assert_allclose(ours.expected(x)["sr"], expected, rtol=1e-9)
        order = [values[name] for name in theirs.config.par_order]
        differences.append(-2 * float(theirs.logpdf(order, data)[0]) - ours(x))
    np.testing.assert_allclose(differences, differences[0], rtol=1e-9)


@pytest.mark.parametrize("data", ["observed", "asimov:millicharge_ee=1e-12"])
def test_gradient_and_jacobian_are_the_differences(data):
    likelihood = Likelihood(rich(), data=data)
    for x in points(likelihood):
        counts, jacobian = likelihood.jacobian(x)
        np.testing.assert_allclose(counts, likelihood.counts(x), rtol=1e-12)
        gradient = likelihood.gradient(x)
        for i in range(x.size):
            step = np.zeros_like(x)
            step[i] = 1e-5
            slope = (likelihood(x + step) - likelihood(x - step)) / 2e-5
            assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-5)
            rows = (likelihood.counts(x + step) - likelihood.counts(x - step)) / 2e-5
            np.testing.assert_allclose(jacobian[i], rows, rtol=1e-6, atol=1e-7)


def test_fisher_is_that_of_the_jacobian():
    likelihood = Likelihood(rich())
    inverse = np.linalg.inv(2 * np.eye(5) + 0.5)
    for x in points(likelihood, 3, width=0.4):
        counts, jacobian = likelihood.jacobian(x)
        wanted = np.diag(likelihood.constrained.astype(float))
        wanted += (jacobian[:, :12] / counts[:12]) @ jacobian[:, :12].T
        wanted += jacobian[:, 12:] @ inverse @ jacobian[:, 12:].T
        np.testing.assert_allclose(likelihood.fisher(x), wanted, rtol=1e-10, atol=1e-12)


def test_fixing_a_parameter_is_setting_it():
    model = rich()
    whole = Likelihood(model)
    values = {"millicharge_ee": -0.6, "energy": 1.7, "time": -1.3, "tilt": 0.4, "shared": 0.9, "local": -0.2, "flux": 1}
    part = Likelihood(model, fixed=values)
    x = whole.vector(values | {"magnetic_moment_e": 1.1, "height": 0.7})
    y = part.vector({"magnetic_moment_e": 1.1, "height": 0.7})
    assert set(part.parameters) == {"magnetic_moment_e", "height"}
    np.testing.assert_allclose(part.counts(y), whole.counts(x), rtol=1e-12)
    assert part(y) == pytest.approx(whole(x), rel=1e-12)


def test_derived_parameters_are_a_linear_map():
    likelihood = Likelihood(rich())
    rotated = likelihood.vector({"shared": 0.5, "local": -0.4})
    mixed = 0.1 + math.sqrt(0.7) * 0.5 - math.sqrt(0.3) * 0.4
    base = likelihood.counts(likelihood.vector({}))[0]
    background = BACKGROUND[0]
    assert likelihood.counts(rotated)[0] - base == pytest.approx(
        0.2 * (mixed - 0.1) * (background + 3 * np.exp(-36.0)), rel=1e-10
    )


def test_additive_anchors_at_one_sigma_are_code_4p():
    high, low = BACKGROUND * 1.1, BACKGROUND * 0.8 + 0.3
    one = Shape(
        parameter="form",
        interpolation="additive",
        anchors=(
            Anchor(alpha=-1.0, values=numbers(low - BACKGROUND)),
            Anchor(alpha=1.0, values=numbers(high - BACKGROUND)),
        ),
    )
    other = HistoSys(parameter="form", hi_data=numbers(high), lo_data=numbers(low))
    a, b = (
        Likelihood(workspace([channel([sample("bkg", BACKGROUND, m)], BACKGROUND)], [nuisance("form")]))
        for m in (one, other)
    )
    for alpha in np.linspace(-2, 2, 21):
        np.testing.assert_allclose(a.counts(np.array([alpha])), b.counts(np.array([alpha])), rtol=1e-12)


@pytest.mark.parametrize("interpolation", ["additive", "multiplicative"])
def test_shapes_pass_through_anchors_and_go_on_as_lines(interpolation):
    alphas = (-2.0, -1.0, 1.0, 2.0)

    def curve(a, bins):
        return 0.02 * a * (bins + 1) + 0.005 * a**2 - 0.004 * a**3 + 0.001 * a**4

    def transform(values):
        return np.exp(values) if interpolation == "multiplicative" else values

    shape = Shape(
        parameter="form",
        interpolation=interpolation,
        anchors=anchors(*alphas, ratio=lambda a, b: transform(curve(a, b))),
    )
    likelihood = Likelihood(workspace([channel([sample("bkg", BACKGROUND, shape)], BACKGROUND)], [nuisance("form")]))

    def change(alpha):
        counts = likelihood.counts(np.array([alpha]))
        return np.log(counts / BACKGROUND) if interpolation == "multiplicative" else counts - BACKGROUND

    for alpha in (*alphas, 0.0, 0.37, -1.6):  # the curve is a polynomial through as many points as it needs
        np.testing.assert_allclose(change(alpha), curve(alpha, BINS), atol=1e-12)
    np.testing.assert_allclose(change(3.0) - change(2.5), change(2.5) - change(2.0), atol=1e-12)
    slope = (change(2.0) - change(2.0 - 1e-6)) / 1e-6
    np.testing.assert_allclose(change(3.0) - change(2.0), slope, atol=1e-6)


def test_channels_in_another_order_give_the_same():
    model = rich()
    turned = workspace(model.channels[::-1], model.parameters[::-1])
    a, b = Likelihood(model), Likelihood(turned)
    for x in points(a, 3, width=0.5):
        y = b.vector(dict(zip(a.parameters, x, strict=True)))
        assert b(y) == pytest.approx(a(x), rel=1e-12)


def test_yields_add_up_to_what_is_expected():
    likelihood = Likelihood(rich())
    x = points(likelihood, 1, width=0.3)[0]
    for name, expected in likelihood.expected(x).items():
        assert sum(likelihood.yields(x)[name].values()) == pytest.approx(expected.sum(), rel=1e-12)


def test_gaussian_errors_are_a_diagonal_covariance():
    errors, observed = np.array([1.0, 2.0, 0.5]), np.array([3.0, -1.0, 2.0])
    samples = [sample("nu", [1, 2, 3], millicharge_ee=1)]
    a = channel(samples, observed, statistic="gaussian", errors=numbers(errors))
    covariance = tuple(numbers(row) for row in np.diag(errors**2))
    b = channel(samples, observed, statistic="gaussian", covariance=covariance)
    x = np.array([0.7])
    by_sum = (((0.7 * np.array([1, 2, 3]) - observed) / errors) ** 2).sum()
    for found in (a, b):
        likelihood = Likelihood(workspace([found], [coupling("millicharge_ee")]))
        assert likelihood(x) == pytest.approx(by_sum, rel=1e-12)


def test_asimov_is_its_own_best_fit():
    model = rich()
    likelihood = Likelihood(model, data="asimov:millicharge_ee=0.8e-12,tilt=1.05")
    x = likelihood.vector({"millicharge_ee": 0.8, "tilt": 0.5})
    assert likelihood(x) == pytest.approx(0.25, abs=1e-12)
    with pytest.raises(FitError, match="NAME=VALUE"):
        Likelihood(model, data="asimov:millicharge_ee")
    with pytest.raises(FitError, match="allowed are observed"):
        Likelihood(model, data="toy")


def test_barrier_is_smooth_and_nothing_above_the_floor():
    for observed in (0.0, 3.0):
        data = Data.of(workspace([channel([sample("bkg", [1])], [observed])], []), np.array([observed]))
        above = np.array([FLOOR * 1.5])
        exact = 2 * (above[0] - observed) + (2 * observed * math.log(observed / above[0]) if observed else 0.0)
        assert data.value(above) == pytest.approx(exact, rel=1e-12)
        grid = FLOOR * np.array([1 - 1e-6, 1 + 1e-6])
        values = [data.value(np.array([m])) for m in grid]
        slopes = [data.weights(np.array([m]))[0][0] for m in grid]
        curvature = 2 * observed / FLOOR**2
        assert values[0] == pytest.approx(values[1], rel=1e-5, abs=1e-14)
        # what is left of a C2 function at a distance u = 1e-6 from its joint: third order, 3 u^2 in the slope
        change = curvature * (grid[1] - grid[0])
        assert slopes[1] - slopes[0] == pytest.approx(change, abs=1e-11 * (1 + observed) / FLOOR)
        for mean in (-1e-9, -1e-3, -5.0):  # finite, steeply rising, with the slope that it claims
            step = 1e-6 * max(abs(mean), FLOOR)
            ends = [data.value(np.array([mean + s])) for s in (-step, step)]
            slope = data.weights(np.array([mean]))[0][0]
            assert slope < 0
            assert slope == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=1e-4)


def test_negative_expectation_names_channel_bin_and_couplings():
    model = workspace(
        [channel([sample("bkg", [5, 5]), sample("nu", [1, -2], millicharge_ee=1)], [5, 5])],
        [coupling("millicharge_ee")],
    )
    likelihood = Likelihood(model)
    with pytest.raises(FitError, match=r"channel sr, bin 1: -1 counts .* millicharge_ee = 3e-12 e"):
        likelihood.expected(np.array([3.0]))
    assert np.isfinite(likelihood(np.array([3.0])))
    assert np.isfinite(likelihood.fisher(np.array([3.0]))).all()


def test_bins_that_nothing_fills():
    def model(observed):
        return workspace([channel([sample("bkg", [5, 0, 5])], observed)], [nuisance("unused")])

    likelihood = Likelihood(model([5, 0, 5]))
    assert likelihood(likelihood.defaults) == 0.0
    assert likelihood.n_bins == 2
    with pytest.raises(FitError, match="bin 1: 2 counts are observed"):
        Likelihood(model([5, 2, 5]))


@pytest.mark.parametrize(
    ("modifier", "wanted"),
    [
        (ShapeSys(parameter="g", data=(1.0,)), "g .*its modifier needs a poisson constraint"),
        (ShapeFactor(parameter="g"), "g .*a shapefactor needs a free parameter"),
    ],
)
def test_modifiers_of_another_kind_of_parameter_are_refused(modifier, wanted):
    model = workspace([channel([sample("bkg", [5], modifier)], [5])], [nuisance("g")])
    with pytest.raises(WorkspaceError, match=wanted):
        Likelihood(model)


def test_poisson_constraints_without_their_modifier_are_refused():
    poisson = nuisance("g").model_copy(update={"constraint": "poisson"})
    with pytest.raises(WorkspaceError, match="g"):
        Likelihood(workspace([channel([sample("bkg", [5])], [5])], [poisson]))


def test_transition_radius_is_signed_beside_its_charge():
    names = ("millicharge_emu", "charge_radius_emu")
    model = workspace(
        [
            channel(
                [
                    sample("bkg", [5]),
                    sample("nu", [1], **{names[0]: 2}),
                    sample("nu", [1], **{names[1]: 2}),
                    sample("nu", [1], **dict.fromkeys(names, 1)),
                ],
                [5],
            )
        ],
        [coupling(name, bounds=(0.0, None)) for name in names],
    )
    both = Likelihood(model)
    assert both.bounds[both.index("millicharge_emu"), 0] == 0
    assert both.bounds[both.index("charge_radius_emu"), 0] == -np.inf
    assert Likelihood(model, fixed={"charge_radius_emu": 0.0}).bounds[0, 0] == 0
    assert Likelihood(model, fixed={"charge_radius_emu": 1.0}).bounds[0, 0] == -np.inf
    assert Likelihood(model, fixed={"millicharge_emu": 0.0}).bounds[0, 0] == 0
    assert Likelihood(model, fixed={"millicharge_emu": 1.0}).bounds[0, 0] == -np.inf


def test_other_data_share_the_model():
    likelihood = Likelihood(rich())
    x = points(likelihood, 1, width=0.3)[0]
    centres = 0.1 * np.arange(x.size)
    toy = likelihood.with_data(likelihood.counts(x), centres)
    pulls = ((x - centres) ** 2)[likelihood.constrained].sum()
    assert toy(x) == pytest.approx(pulls, rel=1e-12)
    np.testing.assert_allclose(toy.gradient(x)[likelihood.constrained], 2 * (x - centres)[likelihood.constrained])
    assert likelihood(x) != toy(x)
