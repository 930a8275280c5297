"""The closed list of what may change a sample: pyhf's own modifiers, norms, and shapes with anchors.

Composition, as in HistFactory: (contents + sum of the additive changes) x product of the factors. Linear norms,
histosys and additive shapes are additive changes; the rest are factors.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nuemstat.strict import Name, Strict

Numbers = tuple[float, ...]


class NormFactor(Strict):
    """A free factor."""

    type: Literal["normfactor"] = "normfactor"
    parameter: Name


class Norm(Strict):
    """A constrained norm of relative width `size` at one sigma.

    lognormal : HistFactory code 4 between 1/(1 + size) and 1 + size, a factor;
    linear : 1 + size x alpha, exactly, an additive change.
    """

    type: Literal["norm"] = "norm"
    parameter: Name
    interpolation: Literal["lognormal", "linear"]
    size: Annotated[float, Field(gt=0)]


class Anchor(Strict):
    """The sample at one value (in sigma) of the nuisance: its change (additive) or its ratio (multiplicative)."""

    alpha: float
    values: Numbers


class Shape(Strict):
    """A shape known at anchor points of one nuisance; the nominal sample is the anchor at 0.

    additive : the change of contents, interpolated by the polynomial through the anchors, continued linearly
        beyond the outermost; with anchors at -1 and +1 alone it is HistFactory code 4p.
    multiplicative : the logarithm of the ratio, interpolated and continued the same way (code 4p of the logarithm
        with anchors at -1 and +1 alone).
    axes : the axes over which the values vary; constant along the others. All axes when left out.
    """

    type: Literal["shape"] = "shape"
    parameter: Name
    interpolation: Literal["additive", "multiplicative"]
    axes: tuple[Name, ...] | None = None
    anchors: tuple[Anchor, ...]

    @model_validator(mode="after")
    def _positive_ratios(self) -> "Shape":
        if self.interpolation == "multiplicative" and any(v <= 0 for a in self.anchors for v in a.values):
            raise ValueError(f"{self.parameter}: found a ratio that is not positive; above 0 is allowed")
        return self

    @field_validator("anchors")
    @classmethod
    def _ordered(cls, anchors: tuple[Anchor, ...]) -> tuple[Anchor, ...]:
        alphas = [anchor.alpha for anchor in anchors]
        if alphas != sorted(set(alphas)) or 0.0 in alphas:
            raise ValueError(f"found anchors at {alphas}; allowed are distinct rising values other than 0")
        if not any(a < 0 for a in alphas) or not any(a > 0 for a in alphas):
            raise ValueError(f"found anchors at {alphas}; at least one on each side of 0 is required")
        return anchors


class NormSys(Strict):
    """pyhf's normsys; code 4 between -1 and +1 unless said otherwise, code 1 is exponential throughout."""

    type: Literal["normsys"] = "normsys"
    parameter: Name
    hi: Annotated[float, Field(gt=0)]
    lo: Annotated[float, Field(gt=0)]
    interpolation: Literal["code4", "code1"] = "code4"


class HistoSys(Strict):
    """pyhf's histosys; code 4p unless said otherwise, code 0 is piecewise linear, code 2 quadratic up to +-1."""

    type: Literal["histosys"] = "histosys"
    parameter: Name
    hi_data: Numbers
    lo_data: Numbers
    interpolation: Literal["code4p", "code0", "code2"] = "code4p"


class ShapeSys(Strict):
    """pyhf's shapesys: one Poisson-constrained factor per bin; `data` are the absolute errors."""

    type: Literal["shapesys"] = "shapesys"
    parameter: Name
    data: Numbers


class StatError(Strict):
    """pyhf's staterror: one normal-constrained factor per bin and channel; `data` are the absolute errors."""

    type: Literal["staterror"] = "staterror"
    parameter: Name
    data: Numbers


class ShapeFactor(Strict):
    """pyhf's shapefactor: one free factor per bin."""

    type: Literal["shapefactor"] = "shapefactor"
    parameter: Name


class Lumi(Strict):
    """pyhf's luminosity, a factor whose constraint is that of its parameter."""

    type: Literal["lumi"] = "lumi"
    parameter: Name


Modifier = Annotated[
    NormFactor | Norm | Shape | NormSys | HistoSys | ShapeSys | StatError | ShapeFactor | Lumi,
    Field(discriminator="type"),
]
