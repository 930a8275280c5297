"""Measurements of one published number: closed forms of their limits, and with what they may not be combined."""

from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2

from nuemstat.cli import main
from nuemstat.errors import ModelError, WorkspaceError
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model
from nuemstat.model.prediction import predicted_yields
from nuemstat.stats.intervals import limit
from nuemstat.stats.likelihood import Likelihood
from nuemstat.stats.toys import Thrower
from nuemstat.vocabulary import UNIVERSAL
from nuemstat.workspace.combine import combine
from nuemstat.workspace.document import Workspace

THRESHOLD = float(chi2.ppf(0.9, 1))
SEEN, UP, DOWN, FLUX = 0.59, 0.40, 0.25, 0.0381


@cache
def compiled(spec: str) -> Workspace:
    return compile_model(load_model(spec))


def per_square(workspace: Workspace, coupling: str = "magnetic_moment") -> float:
    """What a common moment of one unit adds to the one bin."""
    squares = {f"cevns__x__{name}__pow2" for name in UNIVERSAL[coupling]}
    return sum(sample.contents[0] for sample in workspace.channels[0].samples if sample.name in squares)


def upper(spec: str, **kwargs: dict[str, float]) -> float:
    """The limit on the common moment in numbers of the workspace."""
    workspace = compiled(spec)
    scale = workspace.parameter("magnetic_moment_e").scale
    found = limit(workspace, "magnetic_moment", expected=False, **kwargs)
    assert found.upper_limit is not None
    return found.upper_limit / scale


@pytest.mark.parametrize("spec", ["lz_b8", "lz_b8:statistical"])
def test_lz_limit_in_closed_form(spec):
    """More is expected than seen, so the upper error counts; the flux's pull a adds a^2 at (1 + 0.0381 a) s."""
    error = FLUX if spec == "lz_b8" else 0.0

    def q(s: float) -> float:
        return float((s - SEEN) ** 2 / (UP**2 + (error * s) ** 2))

    end = brentq(lambda s: q(s) - q(1.0) - THRESHOLD, 1.0, 5.0)
    k = per_square(compiled(spec))
    assert upper(spec) == pytest.approx(np.sqrt((end - 1) / k), rel=1e-3)


def test_the_lower_error_counts_where_less_is_expected():
    """A charge that interferes can take the rate below the value; its interval ends where the parabola does."""
    workspace = compiled("lz_b8:statistical")
    likelihood = Likelihood(workspace)
    for charge in (4e-9, 1e-8, 2e-8, 3e-8):
        values = {name: charge / workspace.parameter(name).scale for name in UNIVERSAL["millicharge"]}
        x = likelihood.vector(values)
        away = float(likelihood.counts(x)[0]) - SEEN
        assert likelihood(x) == pytest.approx((away / (UP if away > 0 else DOWN)) ** 2, abs=1e-12)
    sides = [likelihood.counts(likelihood.vector(dict.fromkeys(UNIVERSAL["millicharge"], c)))[0] - SEEN
             for c in np.linspace(0, 6e-8, 60) / workspace.parameter("millicharge_ee").scale]  # fmt: skip
    assert min(sides) < 0 < max(sides)


def test_pandax_limit_in_closed_form():
    spec = "pandax4t_b8:statistical"
    seen, background, signal = 3.0, 2.8, 2.19

    def q(s: float) -> float:
        expected = background + s
        return 2 * (expected - seen + seen * np.log(seen / expected))

    end = brentq(lambda s: q(s) - q(signal) - THRESHOLD, signal, 40.0)
    k = per_square(compiled(spec))
    held = {"pandax4t_b8__background_norm": background}
    assert upper(spec, fixed=held) == pytest.approx(np.sqrt((end - signal) / k), rel=1e-3)
    assert upper(spec) > upper(spec, fixed=held)


@pytest.mark.parametrize(
    ("spec", "carried"), [("borexino_moment", 2.8e-11), ("borexino_moment:unconstrained", 4.0e-11)]
)
def test_a_carried_limit_comes_back(spec, carried):
    assert limit(compiled(spec), "magnetic_moment", expected=False).upper_limit == pytest.approx(
        carried, rel=1e-4, abs=0
    )


def test_the_standard_model_expects_what_the_publications_do():
    for spec, counts in (("lz_b8", 1.0), ("pandax4t_b8", 2.19 + 2.8)):
        likelihood = Likelihood(compiled(spec))
        assert likelihood.counts(likelihood.defaults)[0] == pytest.approx(counts, rel=1e-6)


@pytest.mark.parametrize(("spec", "folded"), [("lz_b8", 20.6), ("pandax4t_b8", 3.29)])
def test_the_folded_counts_are_those_of_an_independent_fold(edited, spec, folded):
    """Which has straight lines between the points of the curve; nuemstat's CEvNS of 8B neutrinos is 4 % above it."""
    lines = (("interpolation: monotone_cubic", "interpolation: linear"),) if spec == "lz_b8" else ()
    (found,) = predicted_yields(load_model(str(edited(spec, *lines)))).values()
    assert found["cevns"] == pytest.approx(folded, rel=0.05)


def test_toys_of_lz_have_the_width_of_their_side():
    likelihood = Likelihood(compiled("lz_b8:statistical"))
    seeds = [np.random.SeedSequence(5, spawn_key=(i,)) for i in range(4000)]
    counts, _ = Thrower(likelihood)(likelihood.defaults, seeds)
    away = counts[:, 0] - 1.0
    assert np.sqrt(np.mean(away[away < 0] ** 2)) == pytest.approx(UP, rel=0.05)
    assert np.sqrt(np.mean(away[away > 0] ** 2)) == pytest.approx(DOWN, rel=0.05)


def test_the_limit_and_the_spectrum_of_borexino_never_meet(capsys):
    words = "borexino_moment and borexino_phase2 both use dataset borexino_phase2; each may enter a joint fit once"
    with pytest.raises(WorkspaceError, match=words):
        combine([compiled("borexino_moment"), compiled("borexino_phase2:statistical")])
    assert main(["limit", "borexino_moment", "borexino_phase2:statistical", "--coupling", "magnetic_moment"]) == 2
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(("one", "other"), [("lz_b8", "lz_er2025"), ("pandax4t_b8", "pandax4t_run1")])
def test_runs_that_both_searches_have_are_combined_only_if_asked(one, other):
    members = [compiled(one), compiled(f"{other}:statistical")]
    with pytest.raises(WorkspaceError, match=f"{one} and {other} may share events"):
        combine(members)
    assert len(combine(members, overlap=True).channels) >= 2


def test_a_measurement_has_one_bin(edited):
    for name in ("lz_b8", "pandax4t_b8", "borexino_moment", "gemma", "munu", "rovno", "krasnoyarsk", "texono_csi"):
        assert load_model(name).kind == "measurement"
    path = edited("lz_b8", ("edges: [0.5025, 10.05]", "edges: [0.5025, 2, 10.05]"))
    with pytest.raises(ModelError, match="kind: found 'measurement' with 2 bins; one bin, the published number"):
        load_model(str(path))


@pytest.mark.parametrize("name", ["charge_radius", "magnetic_momentum"])
def test_what_a_channel_cannot_carry_is_one_line(edited, name):
    path = edited("borexino_moment", ("coupling: magnetic_moment", f"coupling: {name}"))
    with pytest.raises(ModelError, match=rf"errors.coupling: found '{name}'; allowed are magnetic_moment_e") as caught:
        compile_model(load_model(str(path)))
    assert "\n" not in str(caught.value)
