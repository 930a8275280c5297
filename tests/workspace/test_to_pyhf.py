import json

import numpy as np
import pytest

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import monomial, monomial_name
from nuemstat.stats.likelihood import Likelihood
from nuemstat.workspace.document import (
    Axis,
    Channel,
    ConstrainedParameter,
    CouplingParameter,
    DerivedParameter,
    Folded,
    FreeParameter,
    Sample,
    Workspace,
)
from nuemstat.workspace.modifiers import (
    Anchor,
    HistoSys,
    Lumi,
    Norm,
    NormFactor,
    NormSys,
    Shape,
    ShapeFactor,
    ShapeSys,
    StatError,
)
from nuemstat.workspace.to_pyhf import pyhf_parameters, stock, to_pyhf, write_pyhf

pyhf = pytest.importorskip("pyhf")
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # in pyhf

CHARGE, RADIUS = "millicharge_ee", "charge_radius_ee"


def coupling(name, default=0.0, bounds=(None, None)):
    return CouplingParameter(name=name, unit="e", scale=1e-12, default=default, bounds=bounds)


def pull(name, centre=0.0, sigma=1.0, bounds=(None, None), constraint="normal"):
    return ConstrainedParameter(
        name=name,
        constraint=constraint,
        quantity="a toy",
        centre=centre,
        sigma=sigma,
        unit="1",
        group="toy",
        source="made up for this test",
        bounds=bounds,
    )


def free(name, default=1.0):
    return FreeParameter(name=name, quantity="a toy norm", unit="1", default=default, bounds=(0.0, 20.0))


def sample(process, contents, powers=None, modifiers=()):
    powers = powers or {}
    term = monomial_name(monomial(powers))
    name = f"{process}__x__{term}" if term else process
    return Sample(name=name, process=process, monomial=powers, contents=tuple(contents), modifiers=tuple(modifiers))


def channel(name, samples, observed, **more):
    lengths = more.pop("lengths", (len(observed),))
    axes = tuple(
        Axis(name=axis, unit="keV", edges=tuple(float(i) for i in range(n + 1)))
        for axis, n in zip(("energy", "time"), lengths, strict=False)
    )
    return Channel(
        name=name,
        experiment="Toy",
        datasets=(f"{name}_data",),
        axes=axes,
        observed=tuple(observed),
        samples=tuple(samples),
        **more,
    )


def workspace(channels, parameters, **more):
    return Workspace(name="toy", channels=tuple(channels), parameters=tuple(parameters), **more)


def signal(*modifiers):
    """Interference, squares and a cross term of two couplings."""
    base = np.array([5.0, 4.0, 3.0, 2.0, 1.5, 1.0])
    terms = {(): 1.0, (CHARGE,): -0.4, (CHARGE, CHARGE): 0.3, (RADIUS,): 0.2, (RADIUS, RADIUS): 0.1}
    terms[(CHARGE, RADIUS)] = 0.15
    samples = []
    for names, size in terms.items():
        powers = {name: names.count(name) for name in names}
        tilt = base ** (1 + 0.3 * len(names))
        samples.append(sample("electron", size * tilt, powers, [m(size * tilt) for m in modifiers]))
    return samples


def stock_difference(ws, values, reference=None):
    """2 NLL at values minus at the defaults (or a reference), by stock pyhf and by this package."""
    made, data = stock(ws)
    export = to_pyhf(ws)
    likelihood = Likelihood(ws)
    found = []
    for point in (values, reference or {}):
        theirs = -2 * float(made.logpdf(pyhf_parameters(export, made.config, point), data)[0])
        found.append((theirs, likelihood(likelihood.vector(point))))
    return found[0][0] - found[1][0], found[0][1] - found[1][1]


def both_expected(ws, values):
    made, _ = stock(ws)
    vector = pyhf_parameters(to_pyhf(ws), made.config, values)
    likelihood = Likelihood(ws)
    ours = likelihood.counts(likelihood.vector(values))
    theirs = np.asarray(made.expected_data(vector, include_auxdata=False))
    order = np.concatenate([np.arange(*made.config.channel_slices[c.name].indices(10**6)) for c in ws.channels])
    return theirs[order], ours


POISSON = workspace(
    [
        channel(
            "counts",
            [
                sample(
                    "background",
                    [40.0, 35.0, 30.0, 25.0, 20.0, 15.0],
                    modifiers=[
                        NormFactor(parameter="background_norm"),
                        NormSys(parameter="tilted", hi=1.2, lo=0.7),
                        HistoSys(
                            parameter="tilted",
                            hi_data=(42.0, 36.0, 30.0, 24.0, 18.0, 12.0),
                            lo_data=(39.0, 35.0, 30.0, 25.5, 21.0, 17.0),
                        ),
                        Norm(parameter="efficiency", interpolation="linear", size=0.3),
                    ],
                ),
                *signal(
                    lambda contents: Norm(parameter="flux", interpolation="lognormal", size=0.1),
                    lambda contents: Norm(parameter="efficiency", interpolation="linear", size=0.3),
                    lambda contents: Shape(
                        parameter="efficiency",
                        interpolation="additive",
                        anchors=(
                            Anchor(alpha=-1.0, values=tuple(-0.02 * contents)),
                            Anchor(alpha=1.0, values=tuple(0.05 * contents)),
                        ),
                    ),
                ),
            ],
            [45.0, 33.0, 35.0, 25.0, 26.0, 14.0],
        ),
        channel("other", [sample("background", [3.0]), *[sample("electron", [0.5], {CHARGE: 2})]], [4.0]),
    ],
    [
        coupling(CHARGE),
        coupling(RADIUS, default=-0.8),
        free("background_norm"),
        pull("tilted"),
        pull("flux"),
        pull("efficiency", bounds=(-3.0, None)),
        pull("unused"),
    ],
)
POINTS = [
    {CHARGE: 1.5},
    {CHARGE: -1.2, RADIUS: 0.7, "background_norm": 1.1},
    {CHARGE: 0.8, "tilted": 0.6, "flux": -1.7, "efficiency": 0.4},
    {RADIUS: 2.0, "tilted": -1.9, "flux": 2.2, "efficiency": -0.7, "unused": 1.4},
]


@pytest.mark.parametrize("values", POINTS, ids=range(len(POINTS)))
def test_stock_pyhf_gives_our_likelihood_when_the_ties_are_kept(values):
    theirs, ours = stock_difference(POISSON, values)
    assert abs(ours) > 0.01
    assert theirs == pytest.approx(ours, abs=1e-8)
    expected = both_expected(POISSON, values)
    np.testing.assert_allclose(expected[0], expected[1], rtol=1e-12)


def test_without_the_tie_the_numbers_differ():
    made, data = stock(POISSON)
    export = to_pyhf(POISSON)
    vector = pyhf_parameters(export, made.config, {CHARGE: 1.5})
    loose = vector.copy()
    loose[made.config.par_slice(f"{CHARGE}__pow2")] = 0.0
    assert abs(made.logpdf(vector, data)[0] - made.logpdf(loose, data)[0]) > 0.1


def test_the_document_is_valid_and_says_what_is_tied():
    export = to_pyhf(POISSON)
    pyhf.schema.validate(export.document, "workspace.json")
    assert export.ties[CHARGE] == (CHARGE, 1)
    assert export.ties[f"{CHARGE}__pow2"] == (CHARGE, 2)
    assert export.ties["background_norm"] == ("background_norm", 1)
    config = export.document["measurements"][0]["config"]
    assert config["poi"] == CHARGE
    settings = {p["name"]: p for p in config["parameters"]}
    assert settings[f"{CHARGE}__pow2"] == {
        "name": f"{CHARGE}__pow2",
        "inits": [0.0],
        "bounds": [[0.0, 1e6]],
        "fixed": True,
    }
    assert settings[f"{RADIUS}__pow2"]["inits"] == [pytest.approx(0.64)]
    assert not settings[CHARGE]["fixed"]
    assert settings[RADIUS]["fixed"]
    assert settings["background_norm"] == {
        "name": "background_norm",
        "inits": [1.0],
        "bounds": [[0.0, 20.0]],
        "fixed": False,
    }
    assert settings["efficiency"]["bounds"] == [[-3.0, 10.0]]
    cross = next(s for s in export.document["channels"][0]["samples"] if "__x__charge_radius_ee__x__" in s["name"])
    assert {m["name"] for m in cross["modifiers"] if m["type"] == "normfactor"} == {CHARGE, RADIUS}


def test_additive_modifiers_of_one_nuisance_become_one():
    background, *others = to_pyhf(POISSON).document["channels"][0]["samples"]
    for written in (background, *others):
        pairs = [(m["name"], m["type"]) for m in written["modifiers"]]
        assert len(pairs) == len(set(pairs))
    (merged,) = [m for m in others[0]["modifiers"] if m["name"] == "efficiency"]
    np.testing.assert_allclose(merged["data"]["hi_data"], 1.35 * np.array(others[0]["data"]))
    np.testing.assert_allclose(merged["data"]["lo_data"], 0.68 * np.array(others[0]["data"]))


def test_a_stock_fit_runs():
    made, data = stock(POISSON)
    best, value = pyhf.infer.mle.fit(data, made, return_fitted_val=True)
    export = to_pyhf(POISSON)
    assert best[made.config.par_slice(f"{CHARGE}__pow2")] == 0
    assert value <= -2 * made.logpdf(pyhf_parameters(export, made.config, {}), data)[0]


def test_a_normfactor_beside_its_own_monomial_counts_twice():
    twice = sample("electron", [2.0], {CHARGE: 1}, [NormFactor(parameter=CHARGE)])
    ws = workspace([channel("counts", [sample("background", [5.0]), twice], [6.0])], [coupling(CHARGE)])
    theirs, ours = both_expected(ws, {CHARGE: 1.5})
    np.testing.assert_allclose(theirs, [5 + 2 * 1.5**2])
    np.testing.assert_allclose(theirs, ours)


def many_anchors(interpolation, alphas=(-2.0, -1.0, 1.0, 2.0)):
    def modifier(contents):
        if interpolation == "additive":
            values = {a: (0.1 * a + 0.04 * a**2 + 0.01 * a**3) * contents[:3] for a in alphas}
        else:
            values = {a: np.exp(np.array([0.2, 0.1, -0.1]) * a + 0.03 * a**2) for a in alphas}
        anchors = tuple(Anchor(alpha=a, values=tuple(v)) for a, v in values.items())
        return Shape(parameter="shape", interpolation=interpolation, axes=("energy",), anchors=anchors)

    return modifier


@pytest.mark.parametrize("interpolation", ["additive", "multiplicative"])
@pytest.mark.parametrize("alphas", [(-2.0, -1.0, 1.0, 2.0), (-2.0, 0.7, 2.0)])
def test_shapes_with_more_anchors_agree_at_one_sigma(interpolation, alphas):
    lognormal = Norm(parameter="flux", interpolation="lognormal", size=0.2)
    linear = Norm(parameter="efficiency", interpolation="linear", size=0.2)
    shaped = [many_anchors(interpolation, alphas)(np.arange(1.0, 7.0)), lognormal, linear]
    samples = [sample("background", [20.0] * 6), sample("electron", [6.0, 5, 4, 3, 2, 1], {CHARGE: 2}, shaped)]
    ws = workspace(
        [channel("counts", samples, [22.0] * 6, lengths=(3, 2))],
        [coupling(CHARGE), pull("shape"), pull("flux"), pull("efficiency")],
    )
    nominal = both_expected(ws, {CHARGE: 1.3})[1]
    for name in ("shape", "flux", "efficiency"):
        for value in (-1.0, 0.0, 1.0):
            theirs, ours = both_expected(ws, {CHARGE: 1.3, name: value})
            np.testing.assert_allclose(theirs, ours, rtol=1e-12)
            assert value == 0 or np.abs(ours - nominal).max() > 0.1
    notes = " ".join(to_pyhf(ws).notes)
    assert f"{interpolation} shape of shape" in notes
    assert ("interpolated" in notes) == (alphas[1] == 0.7)


def gaussian(**errors):
    shape = Shape(
        parameter="efficiency",
        interpolation="additive",
        anchors=(Anchor(alpha=-1.0, values=(-0.3,) * 6), Anchor(alpha=1.0, values=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))),
    )
    flux = Norm(parameter="flux", interpolation="lognormal", size=0.1)
    samples = [*signal(lambda contents: flux), sample("constant", [2.0] * 6, modifiers=[shape])]
    rates = channel("rates", samples, [9.5, 7.5, 6.5, 4.0, 5.0, 3.5], statistic="gaussian", **errors)
    return workspace([rates], [coupling(CHARGE), coupling(RADIUS), pull("flux"), pull("efficiency")])


ERRORS = np.array([1.5, 1.2, 1.4, 0.9, 0.8, 0.7])
COVARIANCE = np.outer(ERRORS, ERRORS) * (0.6 * np.eye(6) + 0.4)
GAUSSIAN = {
    "errors": gaussian(errors=tuple(ERRORS)),
    "covariance": gaussian(covariance=tuple(tuple(row) for row in COVARIANCE)),
}


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("values", [{}, {CHARGE: 1.1}, {CHARGE: -0.7, RADIUS: 0.5, "flux": 1.3, "efficiency": -0.8}])
def test_gaussian_channels_as_pseudo_counts(kind, values):
    ws = GAUSSIAN[kind]
    theirs, ours = both_expected(ws, values)
    observed = np.array(ws.channels[0].observed)
    if kind == "errors":
        recovered = (theirs - 1e8) / (1e4 / ERRORS) + observed
    else:
        variances, vectors = np.linalg.eigh(COVARIANCE)
        recovered = vectors @ ((theirs - 1e8) * np.sqrt(variances) / 1e4) + observed
    np.testing.assert_allclose(recovered, ours, rtol=1e-9)
    difference = stock_difference(ws, values, {CHARGE: 0.5})
    assert np.abs((theirs - 1e8) / 1e4).max() < 3  # in units of the errors, in the basis of the export
    assert difference[0] == pytest.approx(difference[1], abs=2e-3 * 6)
    assert any("Gaussian" in note for note in to_pyhf(ws).notes)


def test_the_document_of_a_gaussian_channel_is_valid():
    for ws in GAUSSIAN.values():
        pyhf.schema.validate(to_pyhf(ws).document, "workspace.json")


def test_universal_couplings_go_through_the_tie():
    shifted = workspace(
        [
            channel(
                "counts",
                [
                    sample("background", [20.0]),
                    sample("electron", [3.0], {RADIUS: 1}),
                    sample("electron", [1.0], {RADIUS: 2}),
                    sample("electron", [2.0], {"millicharge_mumu": 2}),
                    sample("electron", [-1.5], {CHARGE: 1}),
                ],
                [23.0],
            )
        ],
        [coupling(RADIUS, default=-0.8), coupling(CHARGE), coupling("millicharge_mumu")],
    )
    common = shifted.substitute("charge_radius").substitute("millicharge")
    export = to_pyhf(common)
    assert export.ties["millicharge"] == ("millicharge", 1)
    assert export.ties["millicharge__pow2"] == ("millicharge", 2)
    assert export.ties[f"{RADIUS}__pow2"] == (RADIUS, 2)
    assert any(note.startswith(f"{RADIUS} = -0.8 + 1 x charge_radius") for note in export.notes)
    for values in ({"charge_radius": 2.0}, {"millicharge": 1.5, "charge_radius": -1.0}):
        theirs, ours = stock_difference(common, values)
        assert theirs == pytest.approx(ours, abs=1e-8)
        assert abs(ours) > 0.01
    made, _ = stock(common)
    with pytest.raises(WorkspaceError, match="follows other parameters"):
        pyhf_parameters(export, made.config, {RADIUS: 1.0})


def test_partial_correlations_agree_for_one_nuisance_at_a_time():
    terms = {"shared": 0.8, "local": -0.6}
    shape = many_anchors("additive", (-1.0, 1.0))(np.arange(1.0, 4.0)).model_copy(update={"parameter": "site"})
    modifiers = [Norm(parameter="site", interpolation="lognormal", size=0.3), shape]
    ws = workspace(
        [channel("counts", [sample("background", [9.0, 8.0, 7.0], modifiers=modifiers)], [9.0, 9.0, 9.0])],
        [pull("shared"), pull("local"), DerivedParameter(name="site", terms=terms)],
    )
    for name in terms:
        for value in (-1.0, 0.0, 1.0):
            theirs, ours = both_expected(ws, {name: value})
            np.testing.assert_allclose(theirs, ours, rtol=1e-12)
    assert any(note.startswith("site = 0.8 x shared + -0.6 x local") for note in to_pyhf(ws).notes)


def test_a_constrained_nuisance_as_a_monomial_keeps_its_constraint():
    samples = [sample("line", [9.0, 8.0]), sample("line", [1.0, -1.0], {"position": 1})]
    samples.append(sample("line", [0.2, 0.1], {"position": 2}))
    ws = workspace([channel("counts", samples, [9.0, 9.0])], [pull("position")])
    theirs, ours = stock_difference(ws, {"position": 1.7})
    assert theirs == pytest.approx(ours, abs=1e-8)
    only_square = workspace([channel("counts", [samples[0], samples[2]], [9.0, 9.0])], [pull("position")])
    theirs, ours = stock_difference(only_square, {"position": 1.7})
    assert theirs == pytest.approx(ours, abs=1e-8)


def test_factors_per_bin_and_luminosity_are_pyhfs_own():
    """Against the same model written by hand in pyhf's words."""
    counts = channel(
        "counts",
        [
            sample("electron", [5.0, 6.0], {CHARGE: 1}, [Lumi(parameter="beam")]),
            sample(
                "background",
                [50.0, 40.0],
                modifiers=[StatError(parameter="statistics", data=(3.0, 2.0)), Lumi(parameter="beam")],
            ),
            sample("noise", [10.0, 12.0], modifiers=[ShapeSys(parameter="uncorrelated", data=(2.0, 3.0))]),
            sample("unknown", [1.0, 1.0], modifiers=[ShapeFactor(parameter="floating")]),
        ],
        [60.0, 55.0],
    )
    parameters = [
        coupling(CHARGE),
        pull("beam", centre=1.0, sigma=0.05),
        pull("statistics"),
        pull("uncorrelated", constraint="poisson"),
        free("floating"),
    ]
    ws = workspace([counts], parameters)
    export = to_pyhf(ws)
    pyhf.schema.validate(export.document, "workspace.json")
    made, data = stock(ws)
    values = {CHARGE: 1.2, "beam": 0.7, "statistics": (1.1, 0.9), "uncorrelated": (0.8, 1.3), "floating": (2.0, 3.0)}
    vector = pyhf_parameters(export, made.config, values)
    beam = 1 + 0.05 * 0.7
    by_hand = beam * 1.2 * np.array([5, 6]) + beam * np.array([1.1, 0.9]) * [50, 40]
    by_hand = by_hand + np.array([0.8, 1.3]) * [10, 12] + [2.0, 3.0]
    np.testing.assert_allclose(made.expected_data(vector, include_auxdata=False), by_hand, rtol=1e-12)

    from scipy import stats

    def value(point, main):
        vector = pyhf_parameters(export, made.config, point)
        terms = stats.poisson.logpmf([60, 55], main).sum() + stats.norm.logpdf(point["beam"])
        terms += stats.norm.logpdf(point["statistics"], 1, np.array([3 / 50, 2 / 40])).sum()
        tau = np.array([25.0, 16.0])
        terms += (tau * np.log(tau * point["uncorrelated"]) - tau * np.array(point["uncorrelated"])).sum()
        return -2 * float(made.logpdf(vector, data)[0]), -2 * terms

    still = {CHARGE: 0.0, "beam": 0.0, "statistics": (1, 1), "uncorrelated": (1, 1), "floating": (1, 1)}
    a, b = value(values, by_hand), value(still, np.array([61.0, 53.0]))
    assert a[0] - b[0] == pytest.approx(a[1] - b[1], abs=1e-8)


def test_files_are_written_with_their_explanation(tmp_path):
    ws = POISSON.model_copy(update={"folded": (Folded(name="magnetic_moment_e", value=0.0),)})
    document, notes = write_pyhf(ws, tmp_path / "new")
    assert (document.name, notes.name) == ("toy.json", "toy.notes.md")
    assert json.loads(document.read_text()) == to_pyhf(ws).document
    text = notes.read_text()
    assert "| `millicharge_ee__pow2` | `millicharge_ee` | 2 |" in text
    assert "magnetic_moment_e was kept at 0" in text
    assert "larger model" in text
    pyhf.Workspace(json.loads(document.read_text())).model()


def test_a_model_without_couplings_has_no_parameter_of_interest():
    ws = workspace([channel("counts", [sample("background", [5.0])], [6.0])], [pull("unused")])
    made, _ = stock(ws)
    assert made.config.poi_name is None
    theirs, ours = stock_difference(ws, {"unused": 1.0})
    assert theirs == pytest.approx(ours, abs=1e-10) == 1.0


def test_an_even_coupling_is_its_own_square():
    square = sample("electron", [5.0], {"magnetic_moment_e": 2})
    ws = workspace(
        [channel("counts", [sample("background", [5.0]), square], [6.0])],
        [coupling("magnetic_moment_e", bounds=(0.0, None))],
    )
    (setting,) = to_pyhf(ws).document["measurements"][0]["config"]["parameters"]
    assert setting == {"name": "magnetic_moment_e__pow2", "inits": [0.0], "bounds": [[0.0, 1e6]], "fixed": False}


def failing(*modifiers, parameters, other=(), gaussian=False):
    more = {"statistic": "gaussian", "covariance": ((1.0, 0.2), (0.2, 1.0))} if gaussian else {}
    channels = [channel("counts", [sample("background", [5.0, 4.0], modifiers=modifiers)], [6.0, 5.0], **more)]
    if other:
        channels.append(channel("other", [sample("background", [5.0, 4.0], modifiers=other)], [6.0, 5.0]))
    return workspace(channels, parameters)


LINEAR = Norm(parameter="a", interpolation="linear", size=0.1)
IMPOSSIBLE = [
    (failing(LINEAR, parameters=[free("a")]), r"a \(free\) cannot be exported to pyhf"),
    (failing(LINEAR, parameters=[pull("a", constraint="poisson")]), r"a \(constrained\) cannot be exported"),
    (
        failing(LINEAR, parameters=[pull("b"), DerivedParameter(name="a", terms={"b": 1.0}, offset=0.5)]),
        "its offset of 0.5 has no place",
    ),
    (failing(Lumi(parameter="a"), LINEAR, parameters=[pull("a")]), "cannot drive other modifiers"),
    (failing(Lumi(parameter="a"), parameters=[free("a")]), "a luminosity is constrained"),
    (
        failing(Lumi(parameter="a"), other=(Lumi(parameter="b"),), parameters=[pull("a"), pull("b")]),
        "one luminosity, here a",
    ),
    (
        failing(
            StatError(parameter="a", data=(1.0, 1.0)),
            other=(StatError(parameter="a", data=(1.0, 1.0)),),
            parameters=[pull("a")],
        ),
        "belongs to one channel only",
    ),
    (failing(ShapeFactor(parameter="a"), parameters=[free("a")], gaussian=True), "eigenbasis"),
]


def test_a_ratio_that_is_not_positive_is_refused_by_the_document():
    with pytest.raises(ValueError, match="a ratio that is not positive"):
        Shape(
            parameter="a",
            interpolation="multiplicative",
            anchors=(Anchor(alpha=-1.0, values=(0.0, 1.0)), Anchor(alpha=1.0, values=(1.0, 1.0))),
        )


@pytest.mark.parametrize(("ws", "message"), IMPOSSIBLE, ids=[message for _, message in IMPOSSIBLE])
def test_what_pyhf_cannot_take_is_one_line(ws, message):
    with pytest.raises(WorkspaceError, match=message) as caught:
        to_pyhf(ws)
    assert "\n" not in str(caught.value)
