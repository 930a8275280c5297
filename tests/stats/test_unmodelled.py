"""A background that is free in each bin and not negative: what it may take, the fit at its bounds, pyhf as judge."""

import json

import numpy as np
import pyhf
import pytest
from scipy.optimize import minimize_scalar

from nuemstat.polynomial import FloatArray, monomial, monomial_name
from nuemstat.stats.asimov import Asimov
from nuemstat.stats.hypotest import asimov_counts
from nuemstat.stats.intervals import limit
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.minimise import fit, migrad
from nuemstat.stats.newton import minimise
from nuemstat.stats.problem import prepare
from nuemstat.stats.sensitivity import truth_of
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.checkpoints import check_points, verify_histfactory
from nuemstat.workspace.document import (
    Axis,
    Channel,
    ConstrainedParameter,
    CouplingParameter,
    FreeParameter,
    Sample,
    Workspace,
)
from nuemstat.workspace.modifiers import Norm, ShapeFactor
from nuemstat.workspace.to_pyhf import model, to_pyhf

MOMENT, RADIUS = "magnetic_moment_e", "charge_radius_ee"
KNOWN, SIGNAL, ERROR = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([5.0, 4.0, 3.0, 2.0, 1.0]), 0.2
DATA = {
    "some of each": (30, 9, 2, 1, 6),
    "more everywhere": (30, 20, 10, 8, 7),
    "less everywhere": (0, 1, 0, 2, 3),
    "empty": (0, 0, 0, 0, 0),
}


def workspace(observed: tuple[int, ...], coupling: str = MOMENT) -> Workspace:
    """A known background with an error of its norm, what is not modelled, and a signal: S moment^2, or with
    interference S (1 + radius)^2."""
    powers = {2: 1.0} if coupling == MOMENT else {0: 1.0, 1: 2.0, 2: 1.0}
    signal = [_signal({coupling: power} if power else {}, size * SIGNAL) for power, size in powers.items()]
    known = Sample(
        name="known",
        process="known",
        contents=tuple(KNOWN),
        modifiers=(Norm(parameter="norm", interpolation="linear", size=ERROR),),
    )
    scale = tuple(np.maximum(np.array(observed) - KNOWN, 0.1))
    rest = Sample(name="rest", process="rest", contents=scale, modifiers=(ShapeFactor(parameter="rest_counts"),))
    channel = Channel(
        name="counts",
        experiment="Toy",
        datasets=("toy",),
        axes=(Axis(name="energy", unit="keV", edges=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0)),),
        observed=tuple(float(n) for n in observed),
        samples=(*signal, known, rest),
    )
    bound = 0.0 if COUPLINGS[coupling].even else None
    held = CouplingParameter(name=coupling, unit="1", scale=1.0, default=0.0, bounds=(bound, None))
    norm = ConstrainedParameter(
        name="norm", quantity="norm", centre=1.0, sigma=ERROR, unit="1", group="toy", source="made up for this test",
        bounds=(-1 / ERROR, None),
    )  # fmt: skip
    free = FreeParameter(name="rest_counts", quantity="counts", unit="1", default=1.0, bounds=(0.0, None))
    return Workspace(name="toy", channels=(channel,), parameters=(held, norm, free))


def _signal(powers: dict[str, int], contents: FloatArray) -> Sample:
    term = monomial_name(monomial(powers))
    name = f"electron__x__{term}" if term else "electron"
    return Sample(name=name, process="electron", monomial=powers, contents=tuple(contents.tolist()))


def by_hand(observed: tuple[float, ...], square: float, centre: float = 0.0) -> float:
    """2 NLL with the free background out of the way: it fills every bin that holds more than the rest predicts.

    centre : what the auxiliary measurement of the norm gave [sigma].
    """
    n = np.array(observed, dtype=float)

    def at(alpha: float) -> float:
        rest = KNOWN * (1 + ERROR * alpha) + SIGNAL * square
        short = rest > n
        logs = np.where(n > 0, n * np.log(np.where(n > 0, n, 1.0) / rest), 0.0)
        return float(2 * (rest - n + logs)[short].sum() + (alpha - centre) ** 2)

    found = [minimize_scalar(at, bounds=(low, high), method="bounded", options={"xatol": 1e-10}) for low, high in
             ((-4.9, 5.0), (-1.0, 1.0), (-0.1, 0.1))]  # fmt: skip
    return min(at(centre), *(float(result.fun) for result in found))


@pytest.mark.parametrize("observed", DATA.values(), ids=DATA)
def test_the_profile_is_that_without_the_free_background(observed: tuple[int, ...]) -> None:
    """From the defaults, from the bound and from far away: the minimum is a minimum however many bins are at 0."""
    likelihood = Likelihood(workspace(observed))
    place = likelihood.index(MOMENT)
    held = np.arange(len(likelihood.parameters)) == place
    for moment in (0.0, 0.3, 1.0, 2.0, 4.0):
        wanted = by_hand(observed, moment**2)
        for start in (1.0, 0.0, 50.0):
            x = np.where(likelihood.constrained, 0.0, start)
            x[place] = moment
            found = minimise(likelihood, x, held=held)
            assert found.converged
            assert found.value == pytest.approx(wanted, abs=1e-6)
            assert (found.x[2:] >= 0).all()


@pytest.mark.parametrize("observed", DATA.values(), ids=DATA)
def test_migrad_ends_in_the_same_place(observed: tuple[int, ...]) -> None:
    likelihood = Likelihood(workspace(observed))
    start = likelihood.vector({MOMENT: 0.5})
    assert migrad(likelihood, start)[1] == pytest.approx(by_hand(observed, 0.0), abs=1e-3)
    assert fit(workspace(observed), free=[MOMENT]).q_min == pytest.approx(by_hand(observed, 0.0), abs=1e-6)


@pytest.mark.parametrize("observed", DATA.values(), ids=DATA)
def test_it_excludes_and_never_finds(observed: tuple[int, ...]) -> None:
    """The set begins at 0, whatever was counted, and ends where the deficits alone make 2.7."""
    ((low, high),) = limit(workspace(observed), MOMENT, expected=False).intervals
    assert low == 0
    assert high is not None
    assert by_hand(observed, high**2) - by_hand(observed, 0.0) == pytest.approx(2.7055, abs=1e-4)


def test_a_coupling_that_takes_counts_away_may_be_preferred() -> None:
    """Interference below the prediction is not what the free background can take up."""
    observed = DATA["less everywhere"]
    found = limit(workspace(observed, RADIUS), RADIUS, expected=False)
    assert found.best_fit == pytest.approx(-1, abs=1e-3)
    (interval,) = found.intervals
    for end in interval:
        assert end is not None
        assert by_hand(observed, (1 + end) ** 2) - by_hand(observed, 0.0) == pytest.approx(2.7055, abs=1e-4)


@pytest.mark.parametrize("observed", DATA.values(), ids=DATA)
def test_what_is_expected_starts_from_the_conditional_fit(observed: tuple[int, ...]) -> None:
    """Asimov data hold what was observed where that is more than the rest, and the rest elsewhere."""
    problem = prepare(workspace(observed), couplings=(MOMENT,))
    truth = truth_of(problem)
    counts = asimov_counts(problem, truth)
    norm = float(truth[problem.likelihood.index("norm")])
    rest = KNOWN * (1 + ERROR * norm)
    assert counts == pytest.approx(np.maximum(observed, rest), abs=1e-4)
    asimov = Asimov(problem, truth)
    end = asimov.reach(1.5)
    at = tuple(counts)
    assert by_hand(at, end**2, norm) - by_hand(at, 0.0, norm) == pytest.approx(2.25, rel=0.02)
    expected = limit(workspace(observed), MOMENT).expected["median"]
    assert expected["upper"] == pytest.approx(asimov.reach(np.sqrt(2.7055)), rel=1e-3)


def test_signed_couplings_have_expected_ends_too() -> None:
    """Where all of a small signal is taken up, ends are found by following the profile."""
    found = limit(workspace(DATA["more everywhere"], RADIUS), RADIUS)
    assert found.warnings == ()
    at = DATA["more everywhere"]
    for end in found.expected["asimov"].values():
        assert by_hand(at, (1 + end) ** 2) == pytest.approx(2.7055, abs=0.05)


def test_as_many_bins_as_one_likes() -> None:
    """Two hundred free bins, half of them at the bound: closed form, sum over deficits."""
    rng = np.random.default_rng(4)
    small = workspace(DATA["empty"])
    n, size = rng.poisson(3.0, 200).astype(float), 200
    samples = tuple(
        s.model_copy(update={"contents": (1.0,) * size, "modifiers": s.modifiers if s.name == "rest" else ()})
        for s in small.channels[0].samples
    )
    axis = Axis(name="energy", unit="keV", edges=tuple(float(i) for i in range(size + 1)))
    update = {"axes": (axis,), "observed": tuple(n), "samples": samples}
    likelihood = Likelihood(small.model_copy(update={"channels": (small.channels[0].model_copy(update=update),)}))
    held = np.arange(len(likelihood.parameters)) == likelihood.index(MOMENT)
    rest = 1.0 + 0.5**2
    short = n < rest
    logs = np.where(n > 0, n * np.log(np.maximum(n, 1) / rest), 0.0)
    found = minimise(likelihood, likelihood.vector({MOMENT: 0.5}), held=held)
    assert found.converged
    assert found.value == pytest.approx(2 * (rest - n + logs)[short].sum(), abs=1e-6)
    assert (found.x[2:][short] == 0).all()


@pytest.mark.filterwarnings("ignore")  # those of pyhf and jsonschema on their own affairs
@pytest.mark.parametrize("observed", [DATA["some of each"], DATA["more everywhere"]])
def test_pyhf_minimises_to_the_same_numbers(observed: tuple[int, ...]) -> None:
    """Stock shape factors with bounds of 0, by pyhf's own minimiser."""
    made = workspace(observed)
    export = to_pyhf(made)
    (settings,) = (p for p in export.document["measurements"][0]["config"]["parameters"] if p["name"] == "rest_counts")
    assert settings["bounds"] == [[0.0, 1000.0]] * 5
    tied, held = model(export), pyhf.Workspace(json.loads(json.dumps(export.document)))
    data = held.data(tied)
    heights = {}
    for moment in (0.0, 2.0):
        _, heights[moment] = pyhf.infer.mle.fixed_poi_fit(moment, data, tied, return_fitted_val=True)
    wanted = by_hand(observed, 4.0) - by_hand(observed, 0.0)
    assert heights[2.0] - heights[0.0] == pytest.approx(wanted, abs=2e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_check_points_speak_of_single_bins() -> None:
    made = workspace(DATA["some of each"])
    points = check_points(made, points=4)
    assert set(points.reference) == {f"rest_counts__bin{i}" for i in range(5)}
    verify_histfactory(made, points, to_pyhf(made).document)
