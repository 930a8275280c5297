"""Limits on neutrino electromagnetic properties: models, workspaces, fits.

The public names below are loaded when they are first asked for, so importing the package reads no file.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nuemstat.errors import FitError, ModelError, NuemstatError, UnitError, WorkspaceError
    from nuemstat.model.compiler import compile_model as compile
    from nuemstat.model.loader import Model, load_model, shipped_models
    from nuemstat.number_scan import NumberScan, scan_over
    from nuemstat.stats.checkpoint import merge_checkpoints
    from nuemstat.stats.contours import contour
    from nuemstat.stats.coverage import Coverage, coverage
    from nuemstat.stats.diagnostics import Contour, Goodness, Impacts
    from nuemstat.stats.execution import open_executor
    from nuemstat.stats.goodness import goodness
    from nuemstat.stats.impacts import impacts
    from nuemstat.stats.intervals import limit, scan, significance
    from nuemstat.stats.joint import JointLimit, joint_limit
    from nuemstat.stats.likelihood import Likelihood
    from nuemstat.stats.minimise import fit
    from nuemstat.stats.results import FitResult, Limit, Scan, Significance
    from nuemstat.study import export
    from nuemstat.workspace.combine import combine
    from nuemstat.workspace.document import Workspace

__version__: Final = "0.1.0"

_HOMES: Final = {
    "Contour": "stats.diagnostics",
    "Coverage": "stats.coverage",
    "FitError": "errors",
    "FitResult": "stats.results",
    "Goodness": "stats.diagnostics",
    "Impacts": "stats.diagnostics",
    "JointLimit": "stats.joint",
    "Likelihood": "stats.likelihood",
    "Limit": "stats.results",
    "Model": "model.loader",
    "ModelError": "errors",
    "NuemstatError": "errors",
    "NumberScan": "number_scan",
    "Scan": "stats.results",
    "Significance": "stats.results",
    "UnitError": "errors",
    "Workspace": "workspace.document",
    "WorkspaceError": "errors",
    "combine": "workspace.combine",
    "compile": "model.compiler:compile_model",
    "contour": "stats.contours",
    "coverage": "stats.coverage",
    "export": "study",
    "fit": "stats.minimise",
    "goodness": "stats.goodness",
    "impacts": "stats.impacts",
    "joint_limit": "stats.joint",
    "limit": "stats.intervals",
    "load_model": "model.loader",
    "merge_checkpoints": "stats.checkpoint",
    "open_executor": "stats.execution",
    "scan": "stats.intervals",
    "scan_over": "number_scan",
    "shipped_models": "model.loader",
    "significance": "stats.intervals",
}
"""Public name -> the module that defines it, and its name there where that is another."""

__all__ = [  # noqa: RUF022 - in the order of an analysis
    "load_model",
    "shipped_models",
    "compile",
    "Model",
    "Workspace",
    "combine",
    "export",
    "Likelihood",
    "fit",
    "limit",
    "joint_limit",
    "scan",
    "scan_over",
    "significance",
    "contour",
    "impacts",
    "goodness",
    "coverage",
    "open_executor",
    "merge_checkpoints",
    "FitResult",
    "Limit",
    "JointLimit",
    "Scan",
    "NumberScan",
    "Significance",
    "Contour",
    "Coverage",
    "Impacts",
    "Goodness",
    "NuemstatError",
    "UnitError",
    "ModelError",
    "WorkspaceError",
    "FitError",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nuemstat' has no attribute {name!r}")
    module, _, there = _HOMES[name].partition(":")
    value = getattr(import_module(f"nuemstat.{module}"), there or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
