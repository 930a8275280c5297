"""What a caller asks, made ready: universal couplings in place, values in workspace units, one likelihood."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nuemstat.errors import FitError
from nuemstat.stats.data import default, substituted, to_workspace
from nuemstat.stats.likelihood import KernelName, Likelihood
from nuemstat.workspace.bins import expanded
from nuemstat.workspace.combine import mixture, overlaps, taken
from nuemstat.workspace.document import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """One likelihood, and what every result repeats of how it was asked for.

    couplings : names of what is asked about, in order; floated : all couplings that float.
    """

    workspace: Workspace
    likelihood: Likelihood
    couplings: tuple[str, ...]
    floated: tuple[str, ...]
    fixed: Mapping[str, float]

    @property
    def origin(self) -> dict[str, Any]:
        """The fields that all results share."""
        entries = self.workspace.provenance
        schemes: dict[str, list[str]] = {}
        for entry in entries:
            for key, value in entry.schemes.items():
                schemes.setdefault(key, []).append(value)
        schemes |= {choice: list(values) for choice, values in taken(self.workspace.choices).items()}
        return {
            "workspaces": tuple(dict.fromkeys(entry.model for entry in entries)) or (self.workspace.name,),
            "schemes": {key: ", ".join(dict.fromkeys(values)) for key, values in schemes.items()},
            "fixed": dict(self.fixed),
            "floated": self.floated,
            "digest": self.workspace.digest,
        }

    def warnings(self, own: Iterable[str] = ()) -> tuple[str, ...]:
        """A result's own warnings, then those of the workspace: its members' own, what they mixed and may share."""
        return (*own, *self.workspace.warnings, *mixture(self.workspace), *overlaps(self.workspace))

    def scale(self, name: str) -> tuple[float, str]:
        """Size of 1 in the workspace, and the unit, of a coupling or free parameter."""
        parameter = self.workspace.parameter(name)
        return float(parameter.scale), str(parameter.unit)

    def place(self, name: str, at: float) -> float:
        """The number in the workspace of a physical value.

        Raises
        ------
        FitError : it is out of bounds; a bound in physical units need not be one to the last bit.
        """
        scale, unit = self.scale(name)
        low, high = self.likelihood.bounds[self.likelihood.index(name)]
        found = at / scale
        nearest = min(max(found, low), high)
        if not abs(nearest - found) <= 1e-12 * abs(nearest):
            raise FitError(f"{name}: found {at:g} {unit}; allowed is {low * scale:g} to {high * scale:g}")
        return float(nearest)


def prepare(
    workspace: Workspace,
    *,
    couplings: Sequence[str] = (),
    free: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    data: str = "observed",
    kernel: KernelName = "auto",
) -> Problem:
    """The likelihood in which `couplings` and `free` float, `fixed` are set (physical values), others stay put.

    kernel : as `Likelihood` takes it; numpy where the last bit must not depend on what is installed.

    Raises
    ------
    WorkspaceError : a name that is not held; FitError : a name that cannot float, or is both floated and fixed.
    """
    fixed, names = dict(fixed or {}), tuple(dict.fromkeys([*couplings, *free]))
    workspace = expanded(substituted(workspace, *names, *fixed))
    for name in names:
        parameter = workspace.parameter(name)
        if name in fixed:
            raise FitError(f"{workspace.name}: {name} is asked to float and fixed at {fixed[name]:g}; one of the two")
        if parameter.kind == "derived":
            raise FitError(f"{workspace.name}: {name} follows {', '.join(parameter.terms)}; float these instead")
        if parameter.kind == "constrained":
            raise FitError(f"{workspace.name}: {name} is a nuisance with a constraint; it floats anyway")
    constants = {p.name: default(p) for p in workspace.parameters if p.kind == "coupling" and p.name not in names}
    constants |= to_workspace(workspace, fixed)
    _check_bounds(workspace, fixed, constants)
    likelihood = Likelihood(workspace, fixed=constants, data=data, kernel=kernel)
    floated = tuple(name for name in workspace.couplings if name in names)
    return Problem(workspace, likelihood, tuple(couplings), floated, fixed)


def _check_bounds(workspace: Workspace, fixed: Mapping[str, float], constants: Mapping[str, float]) -> None:
    for name, value in fixed.items():
        low, high = workspace.parameter(name).bounds
        if (low is not None and constants[name] < low) or (high is not None and constants[name] > high):
            ends = ["" if end is None else f"{end:g}" for end in (low, high)]
            raise FitError(
                f"{workspace.name}: {name}: found {value:g}, {constants[name]:g} in workspace units; allowed there is "
                f"[{', '.join(ends)}]"
            )
