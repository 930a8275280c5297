"""Reactor models on measured spectra: the components they take, the fuel they warn of, and what refuses them."""

from dataclasses import replace

import numpy as np
import pytest

from nuemstat.errors import ModelError
from nuemstat.model.builders import build_source
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import Model, load_model
from nuemstat.model.templates import Bench, signal_templates
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.polynomial import FloatArray
from nuemstat.sources.fission import theory_of_measured
from nuemstat.sources.measured import MEASURED, PULLS, components, in_bins, unfolded
from nuemstat.vocabulary import COUPLINGS


@pytest.mark.parametrize("name", ["rovno", "krasnoyarsk"])
def test_pure_235u_lies_beyond_the_fuel_of_the_measurement(name) -> None:
    told = "source: 100 % of the fissions in U235; the measured spectra cover 51.1 to 63.1 %"
    assert any(told in warning for warning in compile_model(load_model(name)).warnings)
    assert not any("fissions" in warning for warning in compile_model(load_model(f"{name}:bestiole")).warnings)


@pytest.mark.parametrize("name", ["conus_plus", "texono_csi", "munu"])
def test_a_fuel_that_is_covered_is_not_warned_of_where_a_nuisance_leads_beyond(name) -> None:
    assert not any("fissions" in warning for warning in compile_model(load_model(name)).warnings)


def test_a_spectrum_without_covariance_asked_as_measured_is_one_line(edited) -> None:
    path = edited("texono_csi", ("spectrum: daya_bay", "spectrum: silaeva2020"))
    words = "'silaeva2020' has no measured covariance; daya_bay, daya_bay_prospect have one"
    with pytest.raises(ModelError, match=words) as caught:
        compile_model(load_model(str(path)))
    assert "\n" not in str(caught.value)


def test_converted_spectra_keep_their_own_errors_and_measured_ones_theirs() -> None:
    own = ("reactor_measured_pc", "huber_")
    for spec, (wanted, other) in (("texono_csi", own), ("texono_csi:bestiole", own[::-1])):
        names = [p.name for p in compile_model(load_model(spec)).parameters if p.kind == "constrained"]
        assert any(name.startswith(wanted) for name in names)
        assert not any(name.startswith(other) for name in names)


@pytest.mark.parametrize("spectrum", MEASURED)
@pytest.mark.parametrize("name", ["conus_plus", "texono_csi", "munu", "rovno", "krasnoyarsk"])
def test_components_of_the_measured_spectrum_keep_the_variance_of_the_counts(name, spectrum, monkeypatch) -> None:
    """99.9 % of it, for as many as the model has as nuisances, against the whole covariance of the publication."""
    model = load_model(name if spectrum == MEASURED[0] else f"{name}:{spectrum}")
    rows = [path for row in model.document.nuisances.values() for path in row.paths if ".measured_pc" in path]
    assert rows == [f"source.pulls.{pull}" for pull in PULLS[: len(rows)]]
    data, by_yield = unfolded(spectrum), _counts_by_yield(model, spectrum, monkeypatch)
    fractions = {isotope: share.number for isotope, share in model.document.source.fission_fractions}
    weights = data.weights(fractions)
    seen = np.hstack([weights[part] * by_yield for part in data.yields])
    kept = (components(spectrum, theory_of_measured()) @ seen.T)[: len(rows)] ** 2
    exact = np.einsum("ki,ij,kj->k", seen, data.covariance, seen)
    assert np.all(kept.sum(axis=0) <= exact * (1 + 1e-6))
    assert kept.sum() / exact.sum() > (0.999 if exact.size == 1 else 0.9985)
    total = seen.sum(axis=0)
    assert ((components(spectrum, theory_of_measured())[: len(rows)] @ total) ** 2).sum() / (
        total @ data.covariance @ total
    ) > 0.999


def _counts_by_yield(model: Model, spectrum: str, monkeypatch) -> FloatArray:
    """Standard Model counts of each bin from one unit of yield in each bin of the spectrum, shape (bins, 25)."""
    data, source = unfolded(spectrum), build_source(model.document.source)
    whole = source.components()[0]
    shape = (
        replace(source, spectrum="bestiole", alternative=None, pulls={}, captures_per_fission=0.0).components()[0].flux
    )
    per_neutrino = in_bins(data, shape) / source._weight()
    monkeypatch.setattr("nuemstat.model.templates.check_spectrum", lambda *_: None)  # a bin may lie below the recoils
    standard = {name: default_value(name, scheme(model.document.conventions.couplings)) for name in COUPLINGS}
    found = []
    for low, high, seen in zip(data.edges[:-1], data.edges[1:], per_neutrino, strict=True):
        piece = replace(whole, flux=shape.above(low).below(high).scaled(1 / seen))
        monkeypatch.setattr("nuemstat.model.templates.flux_components", lambda *_, piece=piece: (piece,))
        templates = signal_templates(model.document, Bench(model.files))
        found.append(np.concatenate([np.ravel(poly.evaluate(standard)) for _, poly in sorted(templates.items())]))
    return np.array(found).T
