"""Other people's programs as judges of the HS3 form: 2 NLL at the check points by pyhs3 and by RooFit.

Neither is a dependency: `pyhs3` is in the extra `nuemstat[interop]`, RooFit comes with the wheel `root`.
"""

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nuemstat.errors import WorkspaceError
from nuemstat.workspace.checkpoints import CheckPoints
from nuemstat.workspace.document import Workspace
from nuemstat.workspace.to_hs3 import to_hs3

TOLERANCES = {"pyhs3": (1e-8, 0.0), "roofit": (1e-8, 1e-6)}
"""By judge: largest deviation in 2 NLL, absolute and relative to its size; the larger of both counts."""
Evaluate = Callable[[Mapping[str, float]], float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge found.

    deviation : largest one of all check points in 2 NLL; allowed : what it may be at that point; largest : 2 NLL.
    """

    judge: str
    deviation: float
    allowed: float
    largest: float

    @property
    def holds(self) -> bool:
        """Whether the judge gives the check points; not a number is a no."""
        return self.deviation <= self.allowed


def judge(workspace: Workspace, points: CheckPoints, by: str, *, dialect: str = "implicit") -> Verdict:
    """Export the workspace as HS3, have it evaluated by `by` (pyhs3, roofit), and compare with the check points.

    Raises
    ------
    WorkspaceError : no such judge, it is not installed, or it does not take the file.
    """
    if by not in TOLERANCES:
        raise WorkspaceError(f"judge: found {by!r}; allowed are {', '.join(TOLERANCES)}")
    document = json.loads(json.dumps(to_hs3(workspace, dialect=dialect, floating=workspace.couplings).document))
    try:
        twice = _pyhs3(document) if by == "pyhs3" else _roofit(document)
    except ImportError as error:
        raise WorkspaceError(f"judge: {by} is not installed ({error.name})") from None
    zero = twice(points.reference)
    absolute, relative = TOLERANCES[by]
    found = [(abs(twice(p.values) - zero - p.hs3), max(absolute, relative * abs(p.hs3))) for p in points.points]
    worst = max(found, key=lambda pair: math.inf if math.isnan(pair[0]) else pair[0] / pair[1])
    return Verdict(by, *worst, max(abs(point.hs3) for point in points.points))


def _pyhs3(document: Mapping[str, Any]) -> Evaluate:
    """2 NLL by the terms of pyhs3's log_prob, added up here: pytensor's Python code adds no more than 31 at once."""
    import pyhs3
    import pytensor
    from pytensor.compile.mode import Mode
    from pytensor.graph.rewriting.db import RewriteDatabaseQuery
    from pytensor.graph.traversal import explicit_graph_inputs

    read = pyhs3.Workspace(**document)
    model = read.model(read.analyses[0], progress=False)
    owner = model.log_prob.owner
    terms = list(owner.inputs) if "add" in str(owner.op).lower() else [model.log_prob]
    inputs = list(explicit_graph_inputs(terms))
    # without the rewrites that keep logarithms of small products finite, several hundred bins underflow
    mode = Mode(linker="py", optimizer=RewriteDatabaseQuery(include=["stabilize"]))
    function = pytensor.function(inputs, terms, mode=mode)

    def twice(values: Mapping[str, float]) -> float:
        full = {**model.free_params, **values}
        found = function(*(np.reshape(full[i.name], (1,) * i.type.ndim) for i in inputs))
        return -2 * math.fsum(float(np.ravel(term)[0]) for term in found)

    return twice


def _roofit(document: Mapping[str, Any]) -> Evaluate:
    """2 NLL by RooFit: its NLL of every channel, its Gaussians, and the constraints of the modifiers."""
    import ROOT

    ROOT.RooMsgService.instance().setGlobalKillBelow(ROOT.RooFit.FATAL)
    held = ROOT.RooWorkspace("held")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "judged.hs3.json"
        path.write_text(json.dumps(document))
        if not ROOT.RooJSONFactoryWSTool(held).importJSON(os.fspath(path)):
            raise WorkspaceError("judge: RooFit does not take the file")
    likelihood = document["likelihoods"][0]
    options = ROOT.RooFit.Extended(True), ROOT.RooFit.Offset("bin")  # as a difference to the data: nothing cancels
    pairs = zip(likelihood["distributions"], likelihood["data"], strict=True)
    channels = [(held.pdf(f"{d}_model") or held.pdf(d)).createNLL(held.data(n), *options) for d, n in pairs]
    auxiliary = [held.pdf(name) for name in likelihood.get("aux_distributions", ())]
    start = {p["name"]: p["value"] for p in document["parameter_points"][0]["parameters"]}
    pulls = _constrained(document) if channels else []

    def twice(values: Mapping[str, float]) -> float:
        full = {**start, **values}
        for name, value in full.items():
            if held.var(name):
                held.var(name).setVal(value)
        terms = [2 * term.getVal() for term in channels] + [-2 * math.log(part.getVal()) for part in auxiliary]
        return math.fsum(terms) + math.fsum(full[name] ** 2 for name in pulls)

    return twice


def _constrained(document: Mapping[str, Any]) -> list[str]:
    """The parameters of interpolations in Poisson channels, each with a normal constraint of its own."""
    found: dict[str, None] = {}
    for distribution in document["distributions"]:
        for sample in distribution.get("samples", ()):
            found |= {m["parameter"]: None for m in sample["modifiers"] if m["type"] in ("normsys", "histosys")}
    return list(found)
