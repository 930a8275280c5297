"""What joint.json in a folder of results says of the joint fit: who decides it, whether experiments agree, and limits
without each of them in turn."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuemstat.errors import NuemstatError
from nuemstat.report.html import Cell, Row, cell, number, paragraph, table
from nuemstat.stats.binomial import written_p

SCHEMA = "nuemstat/joint/1"
FILE = "joint.json"
Pieces = tuple[tuple[float | None, float | None], ...]


@dataclass(frozen=True, slots=True)
class Compatibility:
    """The parameter goodness of fit of the members that are sensitive: its statistic, ndf, and p-value.

    method : chi2 with ndf degrees of freedom, or toys; p_value : None where toys only say that it is at least
    `at_least`; p_error : its binomial error; at_most : upper bound where no toy lies beyond the data.
    """

    chi2: float
    ndf: int
    p_value: float | None
    members: tuple[str, ...]
    method: str
    p_error: float | None
    at_least: float | None
    at_most: float | None


@dataclass(frozen=True, slots=True)
class JointCoupling:
    """The joint fit of one coupling.

    joint : its set; shares : member -> part of 2 NLL at the end of the set; compatibility : None where it was not
    computed; without : member -> set of all others, None where it was not computed, empty where no other holds it.
    """

    coupling: str
    unit: str
    joint: Pieces
    shares: Mapping[str, float]
    compatibility: Compatibility | None
    without: Mapping[str, Pieces | None]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The joint set of one coupling with one value of a choice, or without members; q_min : 2 NLL at its best fit."""

    choice: str
    value: str
    without: tuple[str, ...]
    taken: bool
    coupling: str
    unit: str
    joint: Pieces
    q_min: float
    valid: bool


@dataclass(frozen=True, slots=True)
class Joint:
    """All of joint.json; share_cut : share below which limits without a member were not computed.

    level, share_cut : None where they are not said; choices : empty where they were not asked for.
    """

    level: float | None
    members: tuple[str, ...]
    couplings: tuple[JointCoupling, ...]
    share_cut: float | None
    choices: tuple[Choice, ...] = ()


def read_joint(folder: Path) -> Joint | None:
    """What a folder of results says of the joint fit, None where it has no such file.

    Raises
    ------
    NuemstatError : a file of another version, or damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise NuemstatError(f"{path}: not JSON, or cut short; write it anew with `nuemstat limits`") from None
    found = content.get("schema") if isinstance(content, dict) else type(content).__name__
    if found != SCHEMA:
        raise NuemstatError(f"{path}: schema: found {found!r}; this version reads {SCHEMA!r}")
    try:
        level, cut = content.get("level"), content.get("share_cut")
        return Joint(
            level=None if level is None else float(level),
            members=tuple(str(name) for name in content["members"]),
            couplings=tuple(_coupling(item) for item in content["couplings"]),
            share_cut=None if cut is None else float(cut),
            choices=tuple(_choice(item) for item in content.get("choices") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NuemstatError(f"{path}: it is damaged ({error}); write it anew with `nuemstat limits`") from None


def _coupling(item: Mapping[str, Any]) -> JointCoupling:
    fit = item.get("compatibility")
    return JointCoupling(
        coupling=str(item["coupling"]),
        unit=str(item["unit"]),
        joint=_pieces(item["joint"]),
        shares={str(name): float(share) for name, share in (item.get("shares") or {}).items()},
        compatibility=None if fit is None else _compatibility(fit),
        without={
            str(name): None if found is None else _pieces(found) for name, found in (item.get("without") or {}).items()
        },
        warnings=tuple(str(text) for text in item.get("warnings") or ()),
    )


def _choice(item: Mapping[str, Any]) -> Choice:
    return Choice(
        choice=str(item["choice"]),
        value=str(item["value"]),
        without=tuple(str(name) for name in item["without"]),
        taken=bool(item["taken"]),
        coupling=str(item["coupling"]),
        unit=str(item["unit"]),
        joint=_pieces(item["joint"]),
        q_min=float(item["minimum_2nll"]),
        valid=bool(item["valid"]),
    )


def _compatibility(fit: Mapping[str, Any]) -> Compatibility:
    members = tuple(str(name) for name in fit.get("members") or ())
    p, p_error, at_least, at_most = (
        None if fit.get(name) is None else float(fit[name]) for name in ("p_value", "p_error", "at_least", "at_most")
    )
    if p is None and at_least is None:
        raise ValueError("compatibility: p_value and at_least are both missing")
    method = str(fit.get("method", "chi2"))
    return Compatibility(float(fit["chi2"]), int(fit["ndf"]), p, members, method, p_error, at_least, at_most)


def _pieces(found: Sequence[Sequence[float | None]]) -> Pieces:
    return tuple((None if low is None else float(low), None if high is None else float(high)) for low, high in found)


def written(pieces: Sequence[tuple[float | None, float | None]]) -> str:
    """A set in words: '< end' where it reaches from 0 to it."""
    if not pieces:
        return "empty"
    ends = [["open" if end is None else f"{end:.3g}" for end in pair] for pair in pieces]
    if len(ends) == 1 and pieces[0][0] == 0:
        return f"< {ends[0][1]}"
    return " ∪\u00a0".join(f"[{low},\u00a0{high}]" for low, high in ends)  # lines break between pieces only


def size(pieces: Sequence[tuple[float | None, float | None]]) -> float | None:
    """The largest |value| of a set, None where it is open or empty."""
    ends = [end for pair in pieces for end in pair]
    return None if not ends or None in ends else max(abs(end) for end in ends if end is not None)


def parts(found: Joint, couplings: Sequence[str]) -> list[str]:
    """The tables of the joint fit, restricted to `couplings`."""
    chosen = [item for item in found.couplings if item.coupling in couplings]
    choices = _choices([item for item in found.choices if item.coupling in couplings])
    if not chosen:
        words = "Not taken apart for these results; `nuemstat limits` and `nuemstat report --shares` do it."
        return [paragraph(words), *choices]
    level = "the same level" if found.level is None else f"{100 * found.level:g} %"
    cut = "" if found.share_cut is None else f"; below a share of {100 * found.share_cut:g} % they are not computed"
    words = (
        f"Share: what each experiment adds to Delta chi2 at the ends of the joint set. Compatibility: the "
        f"parameter goodness of fit of the experiments that are expected to be sensitive, small p where they want "
        f"different values; by toys where the coupling is bounded or even, which then say p > 0.3 or more. "
        f"Without: the set at "
        f"{level} that is left when one experiment is taken out{cut}."
    )
    return [paragraph(words), _overview(chosen), _without(chosen), *choices]


def _overview(chosen: Sequence[JointCoupling]) -> str:
    rows = []
    for item in chosen:
        order = sorted(item.shares.items(), key=lambda pair: -abs(pair[1]))
        shares = ", ".join(f"{name} {100 * share:.3g} %" for name, share in order if abs(share) >= 5e-3)
        fit = item.compatibility
        words = (
            "" if fit is None else f"{fit.chi2:.3g} / {fit.ndf}" if fit.method == "chi2" else f"{fit.chi2:.3g}, toys"
        )
        cells = (
            cell(item.coupling),
            cell(written(item.joint), size(item.joint), "set"),
            cell(item.unit),
            cell(shares, style="remark"),
            Cell("") if fit is None else Cell(words, fit.chi2, "number"),
            _p_value(fit),
            cell("" if fit is None else len(fit.members) or ""),
            cell("; ".join(item.warnings), style="remark"),
        )
        rows.append(Row(cells, coupling=item.coupling))
    columns = ("coupling", "joint set", "unit", "shares", "compatibility, chi2 / ndf", "p", "experiments compared",
               "remarks")  # fmt: skip
    return table("Who decides the joint fit, and whether they agree", columns, rows, identity="joint-table")


def _p_value(fit: Compatibility | None) -> Cell:
    """The p-value as a number, with its error or as a bound where toys gave it."""
    if fit is None:
        return Cell("")
    words = written_p(fit.p_value, fit.p_error, at_least=fit.at_least, at_most=fit.at_most)
    return Cell(
        words.removeprefix("p = ").removeprefix("p "), fit.at_least if fit.p_value is None else fit.p_value, "number"
    )


def _without(chosen: Sequence[JointCoupling]) -> str:
    rows = []
    for item in chosen:
        whole = size(item.joint)
        for name, pieces in item.without.items():
            if pieces is None:
                continue
            own, share = size(pieces), item.shares.get(name)
            ratio = own / whole if own is not None and whole else None
            cells = (
                cell(item.coupling),
                cell(name),
                Cell("") if share is None else Cell(f"{100 * share:.3g} %", share, "number"),
                cell(written(pieces) if pieces else "no other holds it", own, "set"),
                number(ratio),
                cell(item.unit),
            )
            rows.append(Row(cells, name, item.coupling))
    if not rows:
        return ""
    columns = ("coupling", "without", "its share", "set of the others", "largest |value| / joint", "unit")
    return table("The joint fit without one experiment", columns, rows, identity="without-table")


def _choices(found: Sequence[Choice]) -> list[str]:
    """The joint fit with every value of a choice, beside the one that was taken."""
    if not found:
        return []
    whole = {(item.choice, item.coupling): size(item.joint) for item in found if item.taken}
    rows = []
    for item in found:
        own, taken = size(item.joint), whole.get((item.choice, item.coupling))
        cells = (
            cell(item.coupling),
            cell(item.choice),
            cell(item.value if not item.without else f"without {', '.join(item.without)} ({item.value})"),
            cell(written(item.joint), own, "set"),
            number(own / taken if own is not None and taken else None),
            number(item.q_min, 5),
            cell(item.unit),
            cell("; ".join(["taken"] * item.taken + ["not valid"] * (not item.valid))),
        )
        rows.append(Row(cells, coupling=item.coupling))
    columns = ("coupling", "choice", "members", "set", "largest |value| / taken", "2 NLL", "unit", "remarks")
    words = (
        "Choices are descriptions that exclude each other; one fit holds one of them. Each is made here in all members "
        "that have it, and these are left out. 2 NLL, compared between values of a choice for the same data, tells "
        "whether a strong limit is that of a bad fit."
    )
    return [paragraph(words), table("The joint fit for every choice", columns, rows, identity="choices-table")]
