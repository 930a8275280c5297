"""How the counts and errors of a model grow with its exposure, mass or live time.

Signals are computed from these numbers. Counts of backgrounds, errors of Gaussian channels and counts that a
publication states for a signal were measured at one size of the experiment; each says what it follows.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from nuemstat.errors import ModelError
from nuemstat.model.schema import ModelDocument
from nuemstat.model.schema_follows import followers
from nuemstat.model.schema_nuisance import NuisanceField
from nuemstat.model.schema_source import PionDecay

SIZES: Final = ("target.exposure", "target.mass", "target.live_time", "source.protons_on_target")
"""Paths of the numbers that say how large an experiment is, beside the exposures of channels."""
_SAME = 1e-12
"""Relative difference of a ratio from 1 below which nothing was changed."""

Ratios = Mapping[str, float]
"""By what a number can follow, how much larger it is than in the model as it stands."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Factors of an experiment of another size, 1 where nothing stands.

    backgrounds : by process and channel, on the counts; signals : likewise, on what is folded with the calibration of
    the model as it stands; errors : by channel, on the stated errors and on the systematic ones beside them;
    unknown : by channel, on what is observed beyond the prediction, the scale of backgrounds that are free in each bin.
    """

    backgrounds: Mapping[tuple[str, str], float] = field(default_factory=dict)
    signals: Mapping[tuple[str, str], float] = field(default_factory=dict)
    errors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unknown: Mapping[str, float] = field(default_factory=dict)


def growth(before: ModelDocument, after: ModelDocument, given: Set[str]) -> Growth:
    """What follows from another exposure, mass or live time.

    before : the model as it stands; given : paths that were set by hand, which are as they were set.

    Raises
    ------
    ModelError : a number does not say what it follows.
    """
    ratios = {name: channel_ratios(before, after, name) for name in after.channels}
    changed = [path for path in sizes(after) if _number(before, path) != _number(after, path)]
    if not changed or all(abs(r - 1) < _SAME for row in ratios.values() for r in row.values()):
        return Growth()
    for where, _, follows in followers(after):
        if follows is None and where not in given:
            raise ModelError(
                f"{after.name}: {where} does not say what it follows, and {changed[0]} was changed; "
                "follows: exposure, mass, live_time or none is needed there"
            )
    return Growth(
        backgrounds=_of_backgrounds(after, ratios, given),
        signals=_of_signals(after, ratios, given),
        errors={name: _of_errors(after, name, row, given) for name, row in ratios.items()},
        unknown={name: row["exposure"] / row["rate"] for name, row in ratios.items()},
    )


def _of_backgrounds(
    document: ModelDocument, ratios: Mapping[str, Ratios], given: Set[str]
) -> dict[tuple[str, str], float]:
    found = {}
    for name, background in document.backgrounds.items():
        key, norm = ("counts", background.counts) if background.counts else ("area", background.area)
        follows = None if norm is None else norm.follows
        for channel in background.channels:
            found[channel, name] = _factor(follows, f"backgrounds.{name}.{key}", ratios[channel], given)
    return found


def _of_signals(document: ModelDocument, ratios: Mapping[str, Ratios], given: Set[str]) -> dict[tuple[str, str], float]:
    """Stated counts calibrate the fold, which has grown with the exposure itself."""
    found = {}
    for name, signal in document.signals.items():
        if signal.standard_model_counts is not None:
            where, follows = f"signals.{name}.standard_model_counts", signal.standard_model_counts.follows
        elif signal.released is not None and signal.released.use == "counts":
            where, follows = f"signals.{name}.released", signal.released.follows
        else:
            continue
        for channel in signal.channels:
            row = ratios[channel]
            found[channel, name] = _factor(follows, where, row, given) * row["rate"] / row["exposure"]
    return found


def _factor(follows: str | None, where: str, ratios: Ratios, given: Set[str], *, root: bool = False) -> float:
    """On a number of counts or on an error; `rate` is what divides all counts of a channel of rates."""
    if where in given:
        return 1.0
    ratio = 1.0 if follows in (None, "none") else ratios[str(follows)]
    return (sqrt(ratio) if root else ratio) / ratios["rate"]


def _of_errors(document: ModelDocument, name: str, ratios: Ratios, given: Set[str]) -> tuple[float, float]:
    spec = document.channels[name].errors
    if spec is None or any(path.startswith(f"channels.{name}.errors") for path in given):
        return 1.0, 1.0
    where = f"channels.{name}.errors"
    if isinstance(spec, str):  # the root of what is observed
        return _factor("exposure", where, ratios, given, root=True), 1.0
    stated = _factor(spec.follows, where, ratios, given, root=spec.as_ == "root")
    return stated, _factor(spec.follows, where, ratios, given)


def channel_ratios(before: ModelDocument, after: ModelDocument, name: str) -> Ratios:
    """Exposure, mass and live time of a channel over what they were, and `rate`, the time that rates are divided by."""
    found = {path.rpartition(".")[2]: _ratio(before, after, path) for path in SIZES}
    time = found["live_time"] * found["protons_on_target"]
    exposure = found["exposure"] * found["mass"] * time
    if after.channels[name].exposure is not None and before.channels[name].exposure is not None:
        exposure = _ratio(before, after, f"channels.{name}.exposure")
    rate = found["live_time"] if after.target.rate_per else 1.0
    return {"exposure": exposure, "mass": found["mass"], "live_time": time, "rate": rate}


def sizes(document: ModelDocument) -> tuple[str, ...]:
    """Paths of the numbers that say how large this experiment is."""
    own = tuple(f"channels.{name}.exposure" for name in document.channels)
    return tuple(path for path in (*SIZES, *own) if _number(document, path) is not None)


def _number(document: ModelDocument, path: str) -> float | None:
    section, *names = path.split(".")
    if section == "source":
        return document.source.protons_on_target.number if isinstance(document.source, PionDecay) else None
    quantity = document.channels[names[0]].exposure if section == "channels" else getattr(document.target, names[0])
    return None if quantity is None else float(quantity.number)


def _ratio(before: ModelDocument, after: ModelDocument, path: str) -> float:
    old, new = _number(before, path), _number(after, path)
    return 1.0 if old is None or new is None else new / old


def norm_growth(before: ModelDocument, after: ModelDocument, row: NuisanceField) -> tuple[float, float]:
    """Factors on the centre and the width of a norm; one that is relative, with centre 1, keeps it.

    Raises
    ------
    ModelError : its processes stand in channels that grow differently.
    """
    if row.follows in (None, "none"):
        return 1.0, 1.0
    parts: dict[str, Iterable[str]] = {name: signal.channels for name, signal in after.signals.items()}
    parts |= {name: background.channels for name, background in after.backgrounds.items()}
    names = sorted({channel for process in row.processes or () for channel in parts[process]})
    rows = [channel_ratios(before, after, name) for name in names]
    found = {round(ratios[str(row.follows)], 12) for ratios in rows}
    if len(found) != 1:
        raise ModelError(
            f"{after.name}: {row.quantity!r} follows {row.follows}, which grows differently in {', '.join(names)}; "
            "one row for each is needed"
        )
    ratio, rate = found.pop(), rows[0]["rate"]
    factors = ratio / rate, (sqrt(ratio) if row.as_ == "root" else ratio) / rate
    return (1.0, factors[1] / factors[0]) if row.centre == 1 else factors
