"""2 NLL of a pyhf document by stock pyhf, channel by channel.

A pyhf model holds every sample name for every bin of every channel: for a joint document of fifteen experiments that is
7 GB and half a minute. The likelihood is a product over channels and constraints, so one small model per channel gives
the same number; what the models say about a shared constraint is counted once.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.polynomial import FloatArray
from nuemstat.workspace.to_pyhf import PyhfExport, pyhf_parameters


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """A constraint that an earlier channel has brought: where its parameters stand, what was measured, its width."""

    place: slice
    centre: FloatArray
    sigma: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    name: str
    model: Any
    data: list[float]
    shared: tuple[_Shared, ...]


class StockPyhf:
    """A pyhf document as stock pyhf sees it, ties set by us at each evaluation."""

    def __init__(self, export: PyhfExport, document: Mapping[str, Any], where: str = "pyhf document") -> None:
        """export : of the workspace, for its ties; document : as lists and numbers; `where` names it in messages.

        Raises
        ------
        WorkspaceError : pyhf does not take it.
        """
        self._export = export
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pyhf's use of jsonschema
            try:
                self._parts = tuple(_parts(document))
            except WorkspaceError as error:
                raise WorkspaceError(f"{where}: {error}") from None
            except Exception as error:  # pyhf raises its own kinds
                raise WorkspaceError(f"{where}: pyhf does not take it ({type(error).__name__})") from None

    def terms(self, values: Mapping[str, float]) -> tuple[dict[str, float], float]:
        """2 NLL of each channel, and of all constraints, but for constants; nan where a bin is not positive."""
        channels: dict[str, float] = {}
        constraints = 0.0
        for part in self._parts:
            vector = pyhf_parameters(self._export, part.model.config, values)
            size = len(part.data) - part.model.config.nauxdata
            channels[part.name] = -2 * _number(part.model.mainlogpdf(np.array(part.data[:size]), vector))
            if part.model.config.nauxdata:
                constraints -= 2 * _number(part.model.constraint_logpdf(np.array(part.data[size:]), vector))
            for twice in part.shared:
                constraints -= float((((vector[twice.place] - twice.centre) / twice.sigma) ** 2).sum())
        return channels, constraints

    def __call__(self, values: Mapping[str, float]) -> float:
        """2 NLL of the document, but for constants."""
        channels, constraints = self.terms(values)
        return float(np.sum(list(channels.values()))) + constraints


def _parts(document: Mapping[str, Any]) -> Iterator[_Part]:
    import pyhf

    observed = {item["name"]: item["data"] for item in document["observations"]}
    settings = document["measurements"][0]["config"]["parameters"]
    seen: set[str] = set()
    for channel in document["channels"]:
        used = {modifier["name"] for sample in channel["samples"] for modifier in sample["modifiers"]}
        spec = {"channels": [channel], "parameters": [p for p in settings if p["name"] in used]}
        model = pyhf.Model(spec, poi_name=None, validate=False)
        constrained = [n for n in model.config.par_order if model.config.param_set(n).constrained]
        shared = tuple(_shared(model.config, name) for name in constrained if name in seen)
        seen.update(constrained)
        yield _Part(channel["name"], model, [*observed[channel["name"]], *model.config.auxdata], shared)


def _shared(config: Any, name: str) -> _Shared:
    held = config.param_set(name)
    if held.pdf_type != "normal":
        raise WorkspaceError(f"{name}: a Poisson constraint belongs to one channel")
    centre = np.array(held.auxdata, dtype=float)
    sigmas = getattr(held, "sigmas", None)
    return _Shared(config.par_slice(name), centre, np.ones_like(centre) if sigmas is None else np.array(sigmas))


def _number(value: Any) -> float:
    return float(np.ravel(value)[0])
