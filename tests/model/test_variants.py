"""Variants compose: a group owns its keys, what another group needs of it is declared, nothing is undone in silence."""

import random
from collections.abc import Sequence
from functools import cache
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nuemstat.errors import ModelError
from nuemstat.model import variants
from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model, read_yaml, shipped_models, validated
from nuemstat.model.overlays import Overlays, above, at
from nuemstat.resources import models_folder

GERMANIUM = ("dresden2", "conus_plus")


def toy(**more: Any) -> dict[str, Any]:
    """Two groups that touch each other: `light` takes a filter with it."""
    table: dict[str, Any] = {
        "lamp": {"power": 5, "colour": "white", "glass": {"type": "clear", "width": 2, "price": 1}},
        "shade": {"paper": 1},
        "variants": {
            "filter": {"none": {}, "red": {"lamp": {"colour": "red"}}, "blue": {"lamp": {"colour": "blue"}}},
            "light": {"bright": {}, "dim": {"sets": {"filter": "red"}, "lamp": {"power": 1}}},
        },
    }
    return table | more


def choose(raw: dict[str, Any], *options: str) -> dict[str, str]:
    return variants.choose("toy", Overlays("toy.yaml", raw), options)


def apply(raw: dict[str, Any], *options: str) -> dict[str, Any]:
    overlays = Overlays("toy.yaml", raw)
    overlays.check()
    return overlays.composed(variants.choose("toy", overlays, options))


def refused(raw: dict[str, Any]) -> str:
    with pytest.raises(ModelError) as error:
        Overlays("toy.yaml", raw).check()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", GERMANIUM)
def test_the_published_flux_takes_its_spectrum_with_it(name: str) -> None:
    model = load_model(f"{name}:paper_flux")
    assert model.variants["reactor"] == "mueller_ve"
    assert model.document.source.spectrum == "mueller_ve"
    assert model.raw["nuisances"]["reactor_spectrum_model"]["quantity"].startswith("fission spectra: from Mueller")
    assert load_model(f"{name}:mueller_ve,paper_flux").raw == model.raw
    assert load_model(f"{name}:fissions,mueller_ve").document.source.spectrum == "mueller_ve"
    for options in ("paper_flux,bestiole", "bestiole,paper_flux"):
        with pytest.raises(ModelError) as error:
            load_model(f"{name}:{options}")
        assert str(error.value) == f"{name}: 'paper_flux' takes reactor=mueller_ve; 'bestiole' was asked for"


def test_an_option_decides_where_none_is_named() -> None:
    assert choose(toy()) == {"filter": "none", "light": "bright"}
    assert choose(toy(), "dim") == {"filter": "red", "light": "dim"}
    assert choose(toy(), "red", "dim") == choose(toy(), "dim", "red") == choose(toy(), "dim")
    assert apply(toy(), "dim")["lamp"] == toy()["lamp"] | {"power": 1, "colour": "red"}
    for named in (("dim", "blue"), ("none", "dim")):
        with pytest.raises(ModelError, match=r"^toy: 'dim' takes filter=red; '(blue|none)' was asked for$"):
            choose(toy(), *named)


def test_options_are_taken_in_turn_and_two_of_a_group_are_refused() -> None:
    raw = toy()
    raw["variants"]["room"] = {"large": {}, "cellar": {"sets": {"light": "dim"}}}
    assert choose(raw, "cellar") == {"filter": "red", "light": "dim", "room": "cellar"}
    with pytest.raises(ModelError, match="'dim' takes filter=red; 'blue' was asked for"):
        choose(raw, "cellar", "blue")
    raw["variants"]["room"]["studio"] = {"sets": {"filter": "blue"}}
    with pytest.raises(
        ModelError, match=r"takes filter=(red; 'studio' takes filter=blue|blue; 'dim' takes filter=red)"
    ):
        choose(raw, "studio", "dim")


@pytest.mark.parametrize(
    ("group", "option", "overlay", "words"),
    [
        (
            "light",
            "dim",
            {"lamp": {"colour": "grey"}},
            "lamp.colour is set by group 'filter' ('red') and by group 'light'",
        ),
        (
            "light",
            "dim",
            {"sets": {"filter": "red"}, "lamp": {"colour": "grey"}},
            "lamp.colour is set here and by 'red'",
        ),
        ("light", "dim", {"lamp": 3}, "lamp.colour is set by group 'filter' ('red') and by group 'light' ('dim')"),
        ("light", "dim", {"lamp": {"type": "laser"}}, "lamp.colour is set by group 'filter'"),
        ("light", "dim", {"sets": {"filtre": "red"}}, "light.dim.sets: found 'filtre'; allowed are filter"),
        ("light", "dim", {"sets": {"light": "bright"}}, "light.dim.sets: found 'light'; allowed are filter"),
        ("light", "dim", {"sets": {"filter": "rad"}}, "sets.filter: found 'rad'; allowed are none, red, blue"),
        ("light", "dim", {"sets": ["red"]}, "light.dim.sets: found ['red']; rows of `group: option` are allowed"),
        ("light", "bright", {"sets": {"filter": "red"}}, "light.bright.sets: found in the default of its group"),
    ],
)
def test_collisions_and_bad_rows_of_sets_are_one_line(group: str, option: str, overlay: Any, words: str) -> None:
    raw = toy()
    raw["variants"][group][option] = overlay
    message = refused(raw)
    assert message.startswith("toy.yaml: variants")
    assert words in message


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"lamp.colour": ["filter", "lights"]}, "order.lamp.colour: found 'lights'; allowed are filter, light"),
        ({"lamp.colour": ["filter"]}, "order.lamp.colour: found filter; two or more different groups"),
        ({"lamp.colour": ["filter", "filter"]}, "two or more different groups"),
        ({"shade": ["filter", "light"]}, "order.shade: found 'filter', which never sets it"),
        ({"lamp": ["filter", "light"], "lamp.colour": ["light", "filter"]}, "order: filter, light stand both ways"),
    ],
)
def test_bad_rows_of_order_are_one_line(order: Any, words: str) -> None:
    raw = toy(order=order)
    raw["variants"]["light"]["dim"] = {"lamp": {"colour": "grey"}}
    assert words in refused(raw)


def test_a_shared_key_follows_the_order_and_not_the_file() -> None:
    for row, colour in ((["filter", "light"], "grey"), (["light", "filter"], "blue")):
        raw = toy(order={"lamp.colour": row})
        raw["variants"]["light"]["dim"] = {"lamp": {"colour": "grey"}}
        assert apply(raw, "dim", "blue")["lamp"]["colour"] == colour
        (idle,) = {"grey": ("blue",), "blue": ("dim",)}[colour]
        other = {"blue": "dim", "dim": "blue"}[idle]
        (note,) = variants.remarks("toy", Overlays("", raw), choose(raw, "dim", "blue"))
        assert note == f"toy: variant {idle!r} has nothing left to act on beside {other!r}"
        assert variants.remarks("toy", Overlays("", raw), choose(raw, "dim")) == ()


def test_equal_values_are_no_conflict_but_undo_nothing_that_was_named() -> None:
    raw = toy()
    raw["variants"]["light"]["dim"] = {"lamp": {"colour": "red", "power": 1}}
    raw["variants"]["filter"].pop("blue")
    assert apply(raw, "dim", "red") == apply(raw, "red", "dim")
    assert apply(raw, "dim")["lamp"]["colour"] == "red"
    with pytest.raises(ModelError, match=r"^toy: 'dim' sets lamp.colour; 'none' was asked for$"):
        choose(raw, "dim", "none")


def test_what_is_removed_stays_removed() -> None:
    """An edit of it by another group has nothing to act on, whichever group stands first: no half part comes back."""
    for flip in (False, True):
        raw = toy()
        table = [("cut", {"no": {}, "off": {"shade": None}}), ("thick", {"thin": {}, "card": {"shade": {"paper": 9}}})]
        raw["variants"] = dict(reversed(table) if flip else table)
        assert apply(raw, "card")["shade"] == {"paper": 9}
        assert "shade" not in apply(raw, "off", "card")
        (note,) = variants.remarks("toy", Overlays("", raw), choose(raw, "off", "card"))
        assert note == "toy: variant 'card' has nothing left to act on beside 'off'"


def test_a_part_replaced_as_a_whole_keeps_only_what_it_writes() -> None:
    raw = toy(order={"lamp.glass": ["glass", "size"]})
    raw["variants"] = {
        "size": {"two": {}, "four": {"lamp": {"glass": {"width": 4}}}, "dear": {"lamp": {"glass": {"price": 3}}}},
        "glass": {"clear": {}, "milk": {"lamp": {"glass": {"type": "milk", "width": 3}}}},
    }
    assert apply(raw, "milk")["lamp"]["glass"] == {"type": "milk", "width": 3}
    assert apply(raw, "milk", "four")["lamp"]["glass"] == {"type": "milk", "width": 4}
    assert apply(raw, "milk", "dear") == apply(raw, "milk")
    (note,) = variants.remarks("toy", Overlays("", raw), choose(raw, "milk", "dear"))
    assert note == "toy: variant 'dear' has nothing left to act on beside 'milk'"
    assert "lamp.glass.width is set by" in refused({key: value for key, value in raw.items() if key != "order"})


def test_rows_that_vary_what_was_removed_fall_away() -> None:
    raw = {
        "responses": {
            "nuclear": {"quenching": {"type": "lindhard", "k": 0.16}, "scale": 1},
            "electronic": {"scale": 1},
        },
        "nuisances": {
            "k": {"varies": "responses.nuclear.quenching.k"},
            "both": {"varies": ["responses.nuclear.scale", "responses.electronic.scale"]},
            "silent": {"varies": "responses.nuclear.quenching.scale"},
        },
        "variants": {
            "quenching": {"lindhard": {}, "table": {"responses": {"nuclear": {"quenching": {"type": "table"}}}}},
            "channels": {"all": {}, "one": {"responses": {"electronic": None}}},
        },
    }
    found = variants.apply(raw, {"quenching": "table", "channels": "one"})["nuisances"]
    assert found == {
        "both": {"varies": ["responses.nuclear.scale"]},
        "silent": {"varies": "responses.nuclear.quenching.scale"},
    }


def test_a_note_reaches_workspace_and_results() -> None:
    from nuemstat.stats.intervals import limit

    text = "dresden2: variant 'fea' has nothing left to act on beside 'cevns_only'"
    model = load_model("dresden2:fea,cevns_only,paper")
    assert model.warnings == (text,)
    workspace = compile_model(model)
    assert f"warning: {text}" in workspace.provenance[0].notes
    found = limit(workspace, "magnetic_moment_e")
    assert found.warnings == (text,)
    assert found.valid
    (note,) = load_model("dresden2:ecut_20ev,cevns_only").warnings  # a response that nothing passes any more
    assert note == text.replace("fea", "ecut_20ev")
    assert load_model("dresden2:fea").warnings == load_model("dresden2:cevns_only").warnings == ()


# Of the shipped models.


@cache
def shipped(name: str) -> tuple[Path, Overlays]:
    path = models_folder() / name / "model.yaml"
    return path, Overlays(str(path), read_yaml(path)[0])


def pairs(name: str) -> list[tuple[str, str]]:
    groups = shipped(name)[1].groups
    return [pair for one, other in combinations(groups, 2) for pair in product(groups[one], groups[other])]


def outcome(overlays: Overlays, named: Sequence[str], name: str = "toy") -> dict[str, str] | None:
    """The options of all groups, None where the named ones are refused in one line."""
    try:
        return variants.choose(name, overlays, named)
    except ModelError as error:
        line = str(error)
    assert line.startswith(f"{name}: ")
    assert "was asked for" in line or " takes " in line
    assert "\n" not in line
    return None


def accepted(overlays: Overlays) -> bool:
    """Whether the file passes; if not, in one line."""
    try:
        overlays.check()
    except ModelError as error:
        line = str(error)
    else:
        return True
    assert "\n" not in line
    return False


def holds(overlays: Overlays, chosen: dict[str, str], group: str, model: dict[str, Any]) -> bool:
    """Every key of the chosen option of a group stands, but for what was removed above it or is ordered."""
    for key, value in overlays.edits_of(group, chosen).items():
        if at(model, key) == value:
            continue
        rivals = [(g, upper, v) for g in chosen if g != group for upper, v in overlays.edits_of(g, chosen).items()]
        removed = any(above(upper, key) and upper != key and v is None for _, upper, v in rivals)
        decided = any(
            overlays.ordered(group, g, max(key, other, key=len))
            for g, other, _ in rivals
            if above(other, key) or above(key, other)
        )
        if not removed and not decided:
            return False
    return True


@pytest.mark.parametrize("name", shipped_models())
def test_all_pairs_of_options_hold_or_are_refused(name: str) -> None:
    path, overlays = shipped(name)
    overlays.check()
    for pair in pairs(name):
        chosen = outcome(overlays, pair, name)
        if chosen is None:
            continue
        assert chosen == variants.choose(name, overlays, pair[::-1])
        model = overlays.composed(chosen)
        named = [group for group, option in chosen.items() if option in pair]
        assert all(holds(overlays, chosen, group, model) for group in named), pair
        validated(variants.apply(overlays.raw, chosen), path)


def compiles(name: str, pair: tuple[str, str]) -> bool:
    """Whether a pair of options is not refused; then it compiles to a workspace that names both."""
    _, overlays = shipped(name)
    if outcome(overlays, pair, name) is None:
        return False
    workspace = compile_model(load_model(f"{name}:{','.join(pair)}"))
    assert set(pair) <= set(workspace.provenance[0].variants.values())
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in shipped_models() if pairs(name)])
def test_some_pairs_of_options_compile_or_are_refused(name: str) -> None:
    drawn = list(pairs(name))
    random.Random(11).shuffle(drawn)
    assert any(compiles(name, pair) for pair in drawn[:2])


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("name", shipped_models())
def test_all_pairs_of_options_compile_or_are_refused(name: str) -> None:
    for pair in pairs(name):
        compiles(name, pair)


# Of random tables.

BASE = {"a": {"x": 1, "y": 2}, "b": {"type": "t", "z": 3}, "c": 4}
values = st.sampled_from([None, 1, 2, 3])
overlays_of_keys = st.fixed_dictionaries(
    {},
    optional={
        "a": st.one_of(values, st.fixed_dictionaries({}, optional={"x": values, "y": values, "n": values})),
        "b": st.one_of(
            st.none(), st.fixed_dictionaries({}, optional={"type": st.sampled_from(["t", "u"]), "z": values})
        ),
        "c": values,
        "d": st.fixed_dictionaries({}, optional={"m": values}),
    },
)
CHOICES = {"g": ("g0", "g1", "g2"), "h": ("h0", "h1"), "k": ("k0", "k1")}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    table: dict[str, Any] = {group: {option: {} for option in options} for group, options in CHOICES.items()}
    for group, options in CHOICES.items():
        for option in options[1:]:
            table[group][option] = dict(draw(overlays_of_keys))
            if draw(st.integers(0, 2)) == 0:
                other = draw(st.sampled_from([name for name in CHOICES if name != group]))
                table[group][option]["sets"] = {other: draw(st.sampled_from(CHOICES[other]))}
    order = draw(
        st.dictionaries(
            st.sampled_from(["a", "a.x", "b", "c"]), st.permutations(list(CHOICES)).map(lambda row: row[:2]), max_size=2
        )
    )
    return BASE | {"variants": table, "order": order}


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much],  # most random tables are refused
)
@given(
    raw=tables(), named=st.tuples(*(st.sampled_from(options) for options in CHOICES.values())), size=st.integers(1, 3)
)
def test_composition_knows_no_order_of_names_and_undoes_nothing(
    raw: dict[str, Any], named: tuple[str, ...], size: int
) -> None:
    overlays = Overlays("toy.yaml", raw)
    assume(accepted(overlays))
    asked = named[:size]
    found = [outcome(overlays, order) for order in permutations(asked)]
    assert all(chosen == found[0] for chosen in found)
    chosen = found[0]
    assume(chosen is not None)
    assert chosen is not None
    assert set(asked) <= set(chosen.values())
    model = overlays.composed(chosen)
    turned = Overlays("toy.yaml", raw | {"variants": dict(reversed(raw["variants"].items()))})
    if not raw["order"]:
        assert turned.composed(chosen) == model  # nor of groups in the file
    for group in chosen:
        assert holds(overlays, chosen, group, model)
    for option in asked:  # what a group owns and the named option leaves alone stands as in the file
        group = option[0]
        own = overlays.edits[group, option]
        for other in (name for name in chosen if name != group):
            if group in overlays.sets(other, chosen[other]):
                continue
            for _, (key, _) in overlays.owned(group, other):
                rivals = {k: v for k, v in overlays.edits_of(other, chosen).items() if above(k, key) or above(key, k)}
                if key in own or overlays.ordered(group, other, key):
                    continue
                assert all(k != key or v == at(raw, key) for k, v in rivals.items())
