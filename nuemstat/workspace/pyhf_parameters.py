"""The parameters of a pyhf document: how modifiers use them, and what the measurement says of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nuemstat.errors import WorkspaceError
from nuemstat.workspace.document import (
    ConstrainedParameter,
    CouplingParameter,
    DerivedParameter,
    FreeParameter,
    Parameter,
)
from nuemstat.workspace.pyhf_schema import ParameterPart

KINDS: Final = {
    "normfactor": "factor",
    "normsys": "alpha",
    "histosys": "alpha",
    "lumi": "lumi",
    "shapesys": "shapesys",
    "staterror": "staterror",
    "shapefactor": "shapefactor",
}
"""What kind of parameter a modifier needs."""
_PER_BIN = ("shapesys", "staterror", "shapefactor")
_BOUNDS: Final = {"factor": (0.0, 10.0), "alpha": (-5.0, 5.0), "shapefactor": (0.0, 10.0)}
_CONSTRAINTS: Final = {"factor": (), "shapefactor": (), "alpha": ("auxdata",), "lumi": ("auxdata", "sigmas")}


@dataclass(slots=True, eq=False)
class Use:
    """One parameter of a document.

    kind : factor, alpha, lumi, shapesys, staterror or shapefactor; places : channel and sample of each modifier;
    size : bins of the first channel.
    """

    kind: str
    places: list[tuple[str, str]]
    size: int

    def add(self, modifier: Any, channel: str, sample: str, size: int, place: str) -> None:
        """Note one more modifier.

        Raises
        ------
        WorkspaceError : it does not go with the ones before.
        """
        kind, name = KINDS[modifier.type], modifier.name
        if kind != self.kind:
            raise WorkspaceError(
                f"{place}: found {modifier.type} {name!r}, elsewhere a parameter of kind {self.kind}; one name has one "
                "kind"
            )
        if kind == "lumi" and name != "lumi":
            raise WorkspaceError(f"{place}: found lumi {name!r}; the name lumi is allowed")
        if kind == "shapesys" and self.places:
            raise WorkspaceError(f"{place}: found shapesys {name!r} a second time; it belongs to one sample only")
        if kind == "shapefactor" and size != self.size:
            raise WorkspaceError(f"{place}: shapefactor {name!r} has {size} bins here and {self.size} elsewhere")
        self.places.append((channel, sample))

    @property
    def channels(self) -> list[str]:
        """The channels in which it is used."""
        return list(dict.fromkeys(channel for channel, _ in self.places))


@dataclass(slots=True, eq=False)
class Made:
    """The native parameters.

    drivers : original name, or ``name@channel``, -> the parameter on which modifiers hang; what is missing is fixed
    at a value that changes nothing.
    """

    parameters: tuple[Parameter, ...] = ()
    drivers: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def parameters_of(
    uses: Mapping[str, Use], settings: Mapping[str, ParameterPart], labels: Mapping[str, str], where: str
) -> Made:
    """Native parameters for all uses.

    settings : of the measurement, by original name; labels : native names by original ones.

    Raises
    ------
    WorkspaceError : settings of the wrong number, or such as no native parameter can have.
    """
    made = Made()
    for name, use in uses.items():
        setting = settings.get(name, ParameterPart(name=name))
        one = _Single(name, labels[name], use, setting, f"{where}: settings of {name!r}")
        one.check()
        one.make(made)
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Single:
    name: str
    label: str
    use: Use
    setting: ParameterPart
    where: str

    def check(self) -> None:
        """The lengths of the settings, and which of them there may be."""
        kind, setting = self.use.kind, self.setting
        per_bin = self.use.size if kind in _PER_BIN else 1
        for key in ("inits", "bounds", "auxdata", "factors", "sigmas"):
            values = getattr(setting, key)
            if values is None:
                continue
            if len(values) != per_bin and not (kind == "staterror" and len(self.use.channels) > 1):
                raise WorkspaceError(f"{self.where}: {key}: found {len(values)} values; {per_bin} are allowed")
            if key not in ("inits", "bounds") and key not in _CONSTRAINTS.get(kind, ()):
                raise WorkspaceError(
                    f"{self.where}: {key}: the constraint of a {kind} follows from its modifiers; inits, bounds and "
                    "fixed are allowed"
                )
        for low, high in setting.bounds or ():
            if not low <= high:
                raise WorkspaceError(f"{self.where}: bounds: found [{low:g}, {high:g}]; a rising pair is allowed")
        if kind == "lumi" and (setting.auxdata is None or setting.sigmas is None or setting.sigmas[0] <= 0):
            raise WorkspaceError(f"{self.where}: a luminosity needs auxdata and sigmas above 0; found {setting.sigmas}")

    def make(self, made: Made) -> None:
        """Add the native parameters and what drives the modifiers."""
        if self.use.kind in _PER_BIN:
            self._per_bin(made)
        elif self.setting.fixed or self.use.kind == "factor":
            made.drivers[self.name] = self.label
            made.parameters += (self._factor(),)
        else:
            self._constrained(made)

    def _bounds(self) -> tuple[float, float]:
        """The widest of the bounds."""
        pairs = self.setting.bounds or (_BOUNDS.get(self.use.kind, (1e-10, 10.0)),)
        return min(low for low, _ in pairs), max(high for _, high in pairs)

    def _factor(self) -> CouplingParameter | FreeParameter:
        """A factor; what is fixed stays at its default until it is asked to float, as couplings do."""
        usual = 1.0 if self.use.kind == "factor" else (self.setting.auxdata or (0.0,))[0]
        default = (self.setting.inits or (usual,))[0]
        if self.setting.fixed:
            return CouplingParameter(name=self.label, unit="1", scale=1.0, default=default, bounds=self._bounds())
        return FreeParameter(name=self.label, quantity=self.name, unit="1", default=default, bounds=self._bounds())

    def _nuisance(self, label: str, centre: float, sigma: float, constraint: Any = "normal") -> ConstrainedParameter:
        low, high = self._bounds()
        return ConstrainedParameter(
            name=label,
            constraint=constraint,
            quantity=self.name,
            centre=centre,
            sigma=sigma,
            unit="1",
            group=self.use.kind,
            source="pyhf workspace",
            bounds=((low - centre) / sigma, (high - centre) / sigma),
        )

    def _constrained(self, made: Made) -> None:
        """A normal nuisance. One centred elsewhere than at 0 drives its modifiers through a shift."""
        centre = (self.setting.auxdata or (0.0,))[0]
        sigma = (self.setting.sigmas or (1.0,))[0]
        made.parameters += (self._nuisance(self.label, centre, sigma),)
        made.drivers[self.name] = self.label
        if self.use.kind == "alpha" and centre != 0:
            shifted = DerivedParameter(name=f"{self.label}__shifted", terms={self.label: sigma}, offset=centre)
            made.parameters += (shifted,)
            made.drivers[self.name] = shifted.name

    def _per_bin(self, made: Made) -> None:
        inits = set(self.setting.inits or (1.0,))
        if self.setting.fixed:
            if inits != {1.0}:
                raise WorkspaceError(f"{self.where}: found factors fixed at {sorted(inits)}; fixed at 1 is allowed")
            made.notes += (f"the factors of {self.label} are fixed at 1",)
            return
        if len(set(self.setting.bounds or ())) > 1:
            made.notes += (f"the bins of {self.label} have different bounds; the widest hold for all",)
        if self.use.kind == "shapefactor":
            low, high = self._bounds()
            default = inits.pop() if len(inits) == 1 else 1.0
            free = FreeParameter(name=self.label, quantity=self.name, unit="1", default=default, bounds=(low, high))
            made.parameters += (free,)
            made.drivers[self.name] = self.label
            return
        constraint = "poisson" if self.use.kind == "shapesys" else "normal"
        several = self.use.kind == "staterror" and len(self.use.channels) > 1
        for channel in self.use.channels:  # the errors of two channels have nothing in common but the name
            label = f"{self.label}__in{self.use.channels.index(channel)}" if several else self.label
            made.parameters += (self._nuisance(label, 1.0, 1.0, constraint),)
            made.drivers[f"{self.name}@{channel}"] = label
