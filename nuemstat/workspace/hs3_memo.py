"""What an HS3 file of ours keeps in `misc.nuemstat`: the words of this field that HS3 has no place for.

Numbers that can be told from the HS3 samples (contents, observed counts, lognormal norms) are not repeated.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nuemstat.workspace.document import Channel, Sample, Workspace, rounded
from nuemstat.workspace.modifiers import Norm, NormFactor

SCHEMA = "nuemstat/hs3/1"
Written = Sequence[Mapping[str, Any]]


def memo(
    workspace: Workspace,
    distributions: Written,
    *,
    dialect: str,
    floating: Sequence[str],
    native: bool,
    pedestal: float,
) -> dict[str, Any]:
    """The part of a workspace that HS3 does not carry, and how the file was written."""
    whole = workspace.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"channels"})
    choices = {"choices": whole["choices"]} if whole["choices"] else {}
    written = {distribution["name"]: distribution.get("samples", ()) for distribution in distributions}
    return {
        "schema": SCHEMA,
        "workspace": workspace.name,
        "digest": workspace.digest,
        "dialect": dialect,
        "floating": list(floating),
        "native": native,
        "pedestal": pedestal,
        "parameters": whole["parameters"],
        "folded": whole["folded"],
        **choices,
        "provenance": whole["provenance"],
        "channels": [_channel(channel, written.get(channel.name, ())) for channel in workspace.channels],
    }


def _channel(channel: Channel, written: Written) -> dict[str, Any]:
    if channel.statistic == "gaussian":  # formulas and pseudo-counts hide it: it is kept as it is
        return channel.model_dump(mode="json", exclude_none=True)
    words = channel.model_dump(mode="json", exclude_none=True, exclude={"samples", "observed"})
    by_name = {sample["name"]: sample for sample in written}
    return words | {"samples": [_sample(sample, by_name[sample.name]) for sample in channel.samples]}


def _sample(sample: Sample, written: Mapping[str, Any]) -> dict[str, Any]:
    """Name and monomial; contents and modifiers only where they cannot be told from the HS3 sample."""
    whole = sample.model_dump(mode="json", exclude_none=True)
    told = told_by(written, sample.monomial)
    return {key: value for key, value in whole.items() if key not in told or told[key] != value}


def told_by(written: Mapping[str, Any], monomial: Mapping[str, int]) -> dict[str, Any]:
    """Contents, normfactors and lognormal norms of an HS3 sample in this package's words.

    monomial : of the sample, whose own normfactors are left out.
    """
    own = {name if power == 1 else f"{name}__pow{power}" for name, power in monomial.items()}
    found: list[dict[str, Any]] = []
    for modifier in written["modifiers"]:
        name = modifier["name"]
        if modifier["type"] == "normfactor" and name not in own:
            found.append(NormFactor(parameter=name).model_dump(mode="json"))
        elif modifier["type"] == "normsys" and modifier["data"]["hi"] > 1:
            size = rounded(modifier["data"]["hi"] - 1.0)[0]
            found.append(Norm(parameter=name, interpolation="lognormal", size=size).model_dump(mode="json"))
    return {"contents": list(written["data"]["contents"]), "modifiers": found}
