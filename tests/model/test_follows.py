"""What follows the exposure of a model: counts, errors, widths; ten times of it is what it should be in every model."""

from math import sqrt
from typing import Any

import numpy as np
import pytest

import nuemstat as nu
from nuemstat.errors import ModelError
from nuemstat.model.compiler import compile_model
from nuemstat.model.expansion import Version
from nuemstat.model.follows import growth, sizes
from nuemstat.model.loader import Model, load_model, shipped_models
from nuemstat.model.templates import Bench
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.resources import data_file
from nuemstat.stats.intervals import limit
from nuemstat.vocabulary import COUPLINGS

MOMENT = "magnetic_moment_e"
DECAYS = {("lz_sr1", "target.live_time"): {"xe127", "ar37"}}
"""Isotopes that have decayed before a longer run is over."""
QUICK = ("coherent_csi", "dresden2", "gemma", "miner_2020", "munu", "pandax4t_run1", "texono_csi")


def times(model: Model, path: str, factor: float) -> Model:
    """The model with one of its numbers times a factor."""
    section, name = path.split(".")
    number, _, unit = str(getattr(getattr(model.document, section), name).value).partition(" ")
    return model.replace({path: f"{float(number) * factor!r} {unit}".strip()})


def whole(model: Model) -> list[str]:
    """The sizes of the model as a whole; those of its channels follow."""
    return [path for path in sizes(model.document) if not path.startswith("channels.")]


def predicted(model: Model) -> dict[tuple[str, str], Any]:
    """Counts without new physics."""
    bench, stood = Bench(model.files), model.unchanged
    before = None if stood is None else Version(stood, model.path, bench)
    version = Version(model.raw, model.path, bench, unchanged=before)
    if before is not None:
        grown = growth(before.document, model.document, model.given)
        version = Version(model.raw, model.path, bench, unchanged=before, growth=grown)
    couplings = scheme(model.document.conventions.couplings)
    defaults = {name: default_value(name, couplings) for name in COUPLINGS}
    return {key: poly.evaluate(defaults) for key, poly in version.templates.items()}


def reach(model: Model, **more: Any) -> float:
    """The squared limit on the moment, Asimov data."""
    found = limit(compile_model(model, [MOMENT]), MOMENT, data="asimov", expected=False, **more).upper_limit
    assert found is not None
    return found**2


def specs() -> list[Any]:
    """Every shipped model, and with each of its options."""
    found: list[Any] = []
    for name in shipped_models():
        options = [option for known in load_model(name).groups.values() for option in known]
        found += [name, *(pytest.param(f"{name}:{option}", marks=pytest.mark.slow) for option in options)]
    return found


@pytest.mark.parametrize("spec", specs())
def test_every_number_says_what_it_follows(spec: str) -> None:
    loaded = load_model(spec)
    assert bool(whole(loaded)) == (loaded.document.target.per is None)
    for path in whole(loaded):
        times(loaded, path, 10)  # refused where a number does not say what it follows
        assert times(loaded, path, 1.0) is loaded


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in shipped_models()]
)
def test_ten_times_the_exposure_is_ten_times_the_counts(name: str) -> None:
    model = load_model(name)
    before = predicted(model) if whole(model) else {}
    for path in whole(model):
        rate = model.document.target.rate_per is not None and path == "target.live_time"
        after = predicted(times(model, path, 10))
        for (channel, process), counts in before.items():
            stays = rate or process in DECAYS.get((name, path), ())
            assert after[channel, process] == pytest.approx(counts * (1 if stays else 10), rel=1e-12, abs=0), path


def test_the_template_is_what_its_numbers_times_ten_are(tmp_path: Any) -> None:
    path = data_file("template/model.yaml")
    text = path.read_text()
    for old, new in (("300 d", "3000 d"), ("value: 1800,", "value: 18000,"), ("value: 400,", "value: 4000,")):
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "model.yaml").write_text(text)
    (tmp_path / "counts.csv").write_text((path.parent / "counts.csv").read_text())
    by_hand = compile_model(load_model(str(tmp_path / "model.yaml")), [MOMENT])
    followed = compile_model(load_model(str(path), changes={"target.live_time": "3000 d"}), [MOMENT])
    assert followed.channels == by_hand.channels
    found = limit(followed, MOMENT, data="asimov", expected=False)
    assert found.upper_limit == pytest.approx(4.0668e-11, rel=2e-4, abs=0)


def test_without_background_the_squared_moment_falls_as_the_exposure(tmp_path: Any) -> None:
    """Nothing seen, nothing expected: 2 NLL is twice the signal."""
    path = data_file("template/model.yaml")
    text = path.read_text().replace("stop: 2.0, bins: 18", "stop: 2.0, bins: 1")
    text = text[: text.index("backgrounds:")] + text[text.index("# Constrained parameters.") :]
    text = text[: text.index("nuisances:")].replace(
        "observed: {table: counts.csv, column: observed}", "observed: asimov"
    )
    (tmp_path / "model.yaml").write_text(text)
    tiny = load_model(str(tmp_path / "model.yaml"), changes={"target.mass": "1e-6 g"})
    ratio = reach(tiny) / reach(times(tiny, "target.live_time", 10))
    assert ratio == pytest.approx(10, rel=1e-3, abs=0)


def test_with_statistical_errors_the_squared_moment_falls_as_the_root() -> None:
    model = load_model("miner_2020:p0")
    assert reach(model) / reach(times(model, "target.mass", 100)) == pytest.approx(10, rel=1e-5, abs=0)


@pytest.mark.parametrize("path", ["target.mass", "target.live_time"])
def test_a_systematic_error_is_a_floor(path: str) -> None:
    """One bin, errors 0.21 (statistical) and 0.16 (systematic) of the prediction."""
    model = load_model("texono_csi:statistical")
    for factor in (0.1, 10, 1e6):
        wanted = sqrt((0.21**2 / factor + 0.16**2) / (0.21**2 + 0.16**2))
        assert reach(times(model, path, factor)) / reach(model) == pytest.approx(wanted, rel=1e-5, abs=0)


def test_a_rate_knows_its_live_time_better() -> None:
    """munu: counts per day, one error of 0.34, all of it statistical."""
    model = load_model("munu:statistical")
    for path in whole(model):
        assert reach(model) / reach(times(model, path, 100)) == pytest.approx(10, rel=1e-5, abs=0), path


def test_a_published_limit_follows_as_its_error_does() -> None:
    model = load_model("gemma")
    for path in whole(model):
        assert reach(model) / reach(times(model, path, 100)) == pytest.approx(10, rel=1e-5, abs=0), path
    farther = reach(model.replace({"source.distance": "27.8 m"}))
    assert farther / reach(model) == pytest.approx(4, rel=1e-5, abs=0)  # the error stays, the flux does not


def test_channels_keep_their_share_of_the_exposure() -> None:
    model = load_model("lz_er2025")
    ten = times(model, "target.exposure", 10)
    shares = {name: channel.exposure for name, channel in ten.document.channels.items()}
    assert [share.number for share in shares.values() if share] == [
        pytest.approx(10 * channel.exposure.number) for channel in model.document.channels.values() if channel.exposure
    ]
    one = model.replace({"channels.lz_ws2024.exposure": "33 t yr"})
    grown = growth(model.document, one.document, one.given)
    assert grown.backgrounds["lz_ws2024", "pb214"] == pytest.approx(10)
    assert grown.backgrounds["lz_ws2022", "rest_ws2022"] == 1
    both = model.replace({"target.exposure": "42 t yr", "channels.lz_ws2024.exposure": "6.6 t yr"})
    grown = growth(model.document, both.document, both.given)
    assert grown.backgrounds["lz_ws2024", "pb214"] == pytest.approx(2)
    assert grown.backgrounds["lz_ws2022", "rest_ws2022"] == pytest.approx(10)


def test_widths_follow_as_they_say() -> None:
    ten = load_model("coherent_lar", changes={"target.mass": "244 kg"}).document.nuisances
    assert (float(ten["ss_norm"].centre), float(ten["ss_norm"].sigma)) == pytest.approx((31520, 25 * sqrt(10)))
    assert (float(ten["brn_norm"].centre), float(ten["brn_norm"].sigma)) == pytest.approx((4970, 1600))
    relative = load_model("coherent_csi:paper", changes={"target.mass": "146 kg"}).document.nuisances["ss_pull"]
    assert (relative.centre, relative.sigma) == (1, pytest.approx(0.021 / sqrt(10)))
    plain = load_model("lz_sr1", changes={"target.mass": "55 t"}).document.nuisances
    assert (plain["beta_norm"].centre, plain["beta_norm"].sigma) == (pytest.approx(2150), pytest.approx(360))
    assert plain["solar_pp"] == load_model("lz_sr1").document.nuisances["solar_pp"]


def test_a_number_that_is_set_is_as_it_was_set() -> None:
    changes = {"target.mass": "55 t", "backgrounds.beta.counts": 300}
    for order in (changes, dict(reversed(changes.items()))):
        model = load_model("lz_sr1")
        for path, value in order.items():
            model = model.replace({path: value})
        counts = predicted(model)
        assert counts["lz_sr1", "beta"].sum() == pytest.approx(300)
        assert counts["lz_sr1", "xe136"].sum() == pytest.approx(151)


def test_other_changes_do_not_touch_stated_counts() -> None:
    """Half the flux is half the counts: the stated ones calibrate the model as it stands."""
    half = load_model("miner_2020", changes={"source.total_flux": "1.25e13 /cm^2/s"})
    assert predicted(half)["miner_2020", "cevns"].sum() == pytest.approx(54750 / 2)
    stated = load_model("miner_2020", changes={"signals.cevns.standard_model_counts": 1000})
    assert predicted(stated)["miner_2020", "cevns"].sum() == pytest.approx(1000)
    assert predicted(stated.replace({"target.mass": "60 kg"}))["miner_2020", "cevns"].sum() == pytest.approx(1000)


def test_silence_is_refused(edited: Any) -> None:
    silent = edited("lz_sr1", ('detector electron recoils)", follows: exposure}', 'detector electron recoils)"}'))
    with pytest.raises(ModelError) as error:
        load_model(str(silent), changes={"target.mass": "11 t"})
    assert str(error.value) == (
        "lz_sr1: backgrounds.beta.counts does not say what it follows, and target.mass was changed; "
        "follows: exposure, mass, live_time or none is needed there"
    )
    load_model(str(silent), changes={"target.mass": "11 t", "backgrounds.beta.counts": 430})
    load_model(str(silent), changes={"responses.electronic.resolution.root": 0.3})
    stays = edited("conus_plus", ("column: error, follows: exposure, as: root", "column: error, follows: none"))
    model = load_model(str(stays), changes={"target.exposure": "3264.1 kg d"})
    assert growth(load_model(str(stays)).document, model.document, model.given).errors == {"conus_plus": (1, 1)}


def test_a_background_that_stays(edited: Any) -> None:
    path = edited(
        "lz_sr1", ('detector electron recoils)", follows: exposure}', 'detector electron recoils)", follows: none}')
    )
    assert predicted(load_model(str(path), changes={"target.mass": "11 t"}))["lz_sr1", "beta"].sum() == pytest.approx(
        215
    )


WRONG = {
    "the mass of an exposure": (
        "xenonnt_sr0",
        ("status: cross-checked, follows: exposure}", "status: cross-checked, follows: mass}"),
        "backgrounds.pb214.counts.follows: found 'mass'; the target states an exposure, so exposure or none is allowed",
    ),
    "an error without its way": (
        "conus_plus",
        ("follows: exposure, as: root}", "follows: exposure}"),
        "an error that follows something says as: counts (systematic) or as: root (statistical)",
    ),
    "no word": (
        "conus_plus",
        ("follows: exposure, as: root}", "follows: time, as: root}"),
        "input should be 'exposure', 'mass', 'live_time' or 'none'",
    ),
    "a varied number": (
        "lz_sr1",
        ("centre: 0 keV, sigma: 0.1 keV,", "centre: 0 keV, sigma: 0.1 keV, follows: mass, as: root,"),
        "follows: belongs to a norm",
    ),
    "a rate without a time": (
        "munu",
        ('  live_time: {value: 66.6 d, source: "hep-ex/0304011, reactor on"}\n', ""),
        "rate_per: found without live_time",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_words_are_one_line(case: str, edited: Any) -> None:
    name, pair, said = WRONG[case]
    with pytest.raises(ModelError) as error:
        load_model(str(edited(name, pair)))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_systematic_errors_of_each_bin_add_in_quadrature(edited: Any) -> None:
    pair = (
        'values: [0.34], source: "hep-ex/0502037", follows',
        "values: [0.3], uncorrelated: [0.4], source: x, follows",
    )
    path = edited("munu", pair)
    assert compile_model(load_model(f"{path}:statistical"), [MOMENT]).channels[0].errors == pytest.approx((0.5,))
    longer = load_model(f"{path}:statistical", changes={"target.live_time": "266.4 d"})
    assert compile_model(longer, [MOMENT]).channels[0].errors == pytest.approx((np.hypot(0.15, 0.4),))


def test_bytes_are_those_of_the_unchanged_model() -> None:
    plain = compile_model(load_model("munu:statistical"), [MOMENT])
    same = compile_model(nu.load_model("munu:statistical", changes={"target.mass": "11.4 kg"}), [MOMENT])
    assert same.to_json() == plain.to_json()
