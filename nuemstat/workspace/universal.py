"""Universal couplings: one coupling in place of the flavour-diagonal ones, exact because flavours do not interfere."""

from nuemstat.errors import WorkspaceError, suggestion
from nuemstat.vocabulary import UNIVERSAL
from nuemstat.workspace.document import CouplingParameter, DerivedParameter, Parameter, Workspace


def substitute(workspace: Workspace, universal: str) -> Workspace:
    """The workspace with `universal` as a coupling and its diagonal flavours derived from it.

    A magnetic moment or millicharge replaces the flavours' values; a charge radius is the common shift from
    their defaults. A workspace that holds the universal coupling already is returned as it is.

    Raises
    ------
    WorkspaceError : no such universal coupling, none of its flavours is held, or one of them was folded.
    """
    if universal not in UNIVERSAL:
        known = list(UNIVERSAL)
        raise WorkspaceError(
            f"{workspace.name}: {universal!r} is no universal coupling; allowed are {', '.join(known)}"
            f"{suggestion(universal, known)}"
        )
    if universal in workspace.couplings:
        return workspace
    flavours = UNIVERSAL[universal]
    for folded in workspace.folded:
        if folded.name in flavours:
            raise WorkspaceError(
                f"{workspace.name}: {universal} needs {folded.name}, which was folded at {folded.value:g}; "
                "compile without folding it"
            )
    held = [p for p in workspace.parameters if p.kind == "coupling" and p.name in flavours]
    if not held:
        raise WorkspaceError(
            f"{workspace.name}: {universal} needs one of {', '.join(flavours)}; "
            f"it holds {', '.join(workspace.couplings) or 'no couplings'}"
        )
    parameters: list[Parameter] = [_common(universal, workspace, held)]
    for parameter in workspace.parameters:
        if parameter.kind == "coupling" and parameter.name in flavours:
            parameters.append(_derived(parameter, universal))
        else:
            parameters.append(parameter)
    return Workspace(
        name=workspace.name,
        channels=workspace.channels,
        parameters=tuple(parameters),
        folded=workspace.folded,
        choices=workspace.choices,
        provenance=workspace.provenance,
    )


def _common(universal: str, workspace: Workspace, held: list[CouplingParameter]) -> CouplingParameter:
    first = held[0]
    for other in held[1:]:
        if (other.unit, other.scale) != (first.unit, first.scale):
            raise WorkspaceError(
                f"{workspace.name}: {first.name} is in {first.scale:g} {first.unit}, {other.name} in "
                f"{other.scale:g} {other.unit}; {universal} needs one scale"
            )
    bounds = (0.0, None) if universal == "magnetic_moment" else (None, None)
    return CouplingParameter(name=universal, unit=first.unit, scale=first.scale, default=0.0, bounds=bounds)


def _derived(parameter: CouplingParameter, universal: str) -> DerivedParameter:
    offset = parameter.default if universal == "charge_radius" else 0.0
    return DerivedParameter(name=parameter.name, terms={universal: 1.0}, offset=offset)
