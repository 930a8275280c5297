"""cabinetry on the embedded pyhf form: fit, pulls, ranking, as its users run them."""

import pytest
from interop_workspaces import CHARGE, channel, flux, sample, signal, workspace

from nuemstat.stats.intervals import limit
from nuemstat.stats.minimise import fit
from nuemstat.workspace.document import FreeParameter
from nuemstat.workspace.modifiers import NormFactor, NormSys
from nuemstat.workspace.pyhf_embedded import embedded

cabinetry = pytest.importorskip("cabinetry", reason="cabinetry is not installed (nuemstat[interop])")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of pyhf, boost_histogram and matplotlib on their own affairs
]


def norm_only():
    """Signal with a norm, background with a norm and a free factor."""
    norms = [NormFactor(parameter="background_norm"), NormSys(parameter="slope", hi=1.1, lo=0.9)]
    background = sample("background", [40.0, 35, 30, 25, 20, 15], {}, *norms)
    free = FreeParameter(name="background_norm", quantity="norm", unit="1", default=1.0, bounds=(0.0, 10.0))
    counts = channel("counts", (6,), [60, 48, 40, 29, 22, 17], [background, *signal([6.0, 5, 4, 3, 2, 1], flux)])
    side = channel("side", (1,), [100], [sample("background", [98.0], {}, *norms)])
    return workspace(counts, side, extra=(free,))


@pytest.fixture(scope="module")
def fitted():
    made = norm_only()
    export = embedded(made, CHARGE)
    model, data = cabinetry.model_utils.model_and_data(export.document)
    return made, export, model, data, cabinetry.fit.fit(model, data)


def test_the_best_fit_is_ours_within_a_percent_of_its_error(fitted):
    made, export, _, _, theirs = fitted
    ours = limit(made, CHARGE)
    width = ours.intervals[0][1] - ours.intervals[0][0]
    place = list(theirs.labels).index(export.coupling)
    nearest = min((m["value"] if isinstance(m, dict) else m.value for m in ours.minima),
                  key=lambda value: abs(value - theirs.bestfit[place] * export.unit))  # fmt: skip
    assert theirs.bestfit[place] * export.unit == pytest.approx(nearest, abs=0.01 * width)


def test_pulls_are_ours(fitted, tmp_path):
    made, _, _, _, theirs = fitted
    best = fit(made, free=[CHARGE])
    for name in ("flux", "slope"):
        place = list(theirs.labels).index(name)
        assert theirs.bestfit[place] == pytest.approx(best.nuisances[name].pull, abs=0.02)
    cabinetry.visualize.pulls(theirs, figure_folder=tmp_path)
    assert list(tmp_path.iterdir())


def test_ranking_names_every_nuisance(fitted):
    _, _, model, data, theirs = fitted
    ranking = cabinetry.fit.ranking(model, data, fit_results=theirs)
    assert {"flux", "slope"} <= set(ranking.labels)
    assert max(abs(ranking.postfit_up)) > 0
