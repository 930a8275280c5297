"""The vocabulary of detector responses in model files."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nuemstat.model.fields import (
    Energy,
    InverseEnergy,
    Number,
    PositiveEnergy,
    PositiveNumber,
)
from nuemstat.strict import Name, Strict


class RecoilGrid(Strict):
    """True recoil energies that are integrated over, in logarithmic bins."""

    minimum: str
    maximum: str
    per_decade: Annotated[int, Field(ge=20, le=5000)] = 400


class NoQuenching(Strict):
    """Visible energy equals recoil energy (electrons)."""

    type: Literal["none"] = "none"


class TotalEnergy(Strict):
    """Visible energy is the total energy of a recoiling electron, mass included."""

    type: Literal["total_energy"]
    scale: float = 1.0


class LindhardQuenching(Strict):
    """Lindhard's k g / (1 + k g)."""

    type: Literal["lindhard"]
    k: PositiveNumber
    Z: int
    scale: float = 1.0
    ionisation_cut: Energy | None = None


class PolynomialQuenching(Strict):
    """E_ee as a polynomial in the recoil energy in MeV.

    table : rows `nominal` and `<name>_plus_1sigma`, `<name>_minus_1sigma`; columns of coefficients;
    pulls : principal components by name, in sigma.
    """

    type: Literal["polynomial"]
    table: str
    source: str
    pulls: dict[str, float] = Field(default_factory=dict)
    scale: float = 1.0


class LinearQuenching(Strict):
    """Q(T) = constant + slope T."""

    type: Literal["linear"]
    constant: Number
    slope: InverseEnergy
    scale: float = 1.0
    ionisation_cut: Energy | None = None


class TableQuenching(Strict):
    """Q(T) from a table with a column `recoil` and a column of factors."""

    type: Literal["table"]
    table: str
    column: str
    source: str
    scale: float = 1.0
    ionisation_cut: Energy | None = None


Quenching = Annotated[
    NoQuenching | TotalEnergy | LindhardQuenching | PolynomialQuenching | LinearQuenching | TableQuenching,
    Field(discriminator="type"),
]


class PerfectResolution(Strict):
    """Reconstructed as it is."""

    type: Literal["perfect"] = "perfect"


class NoiseFanoResolution(Strict):
    """sigma^2 = noise^2 + E F eta; truncated: no density below zero energy."""

    type: Literal["noise_fano"]
    noise: PositiveEnergy
    fano: PositiveNumber
    pair_energy: PositiveEnergy
    truncated: bool = False
    scale: float = 1.0


class SqrtResolution(Strict):
    """sigma/keV = root sqrt(E/keV) + linear E/keV + constant/keV."""

    type: Literal["sqrt"]
    root: PositiveNumber
    linear: Number | None = None
    constant: Energy | None = None
    scale: float = 1.0


class PowerResolution(Strict):
    """sigma = width (E/reference)^exponent."""

    type: Literal["power"]
    width: PositiveEnergy
    reference: PositiveEnergy
    exponent: PositiveNumber
    scale: float = 1.0


class FullWidthResolution(Strict):
    """FWHM = constant + root sqrt(E/keV (1 + quadratic E))."""

    type: Literal["full_width"]
    constant: PositiveEnergy
    root: PositiveEnergy
    quadratic: InverseEnergy | None = None
    scale: float = 1.0


class PolynomialResolution(Strict):
    """sigma/keV as a polynomial in E/keV."""

    type: Literal["polynomial"]
    coefficients: tuple[float, ...]
    source: str
    scale: float = 1.0


class GammaResolution(Strict):
    """Photo-electrons from electron-equivalent energy by a Gamma density, A = a/E_ee, B = b E_ee."""

    type: Literal["gamma_photoelectrons"]
    a: PositiveEnergy
    b: InverseEnergy
    scale: float = 1.0


class CalibratedResolution(Strict):
    """An axis of counts: table with columns `counts` and `energy`; visible energy is gain E + offset.

    sigma^2 = constant^2 + stochastic^2 E/MeV, in visible energy.
    """

    type: Literal["calibrated"]
    table: str
    source: str
    gain: PositiveNumber
    offset: Energy
    stochastic: PositiveEnergy
    constant: PositiveEnergy
    scale: float = 1.0


Resolution = Annotated[
    PerfectResolution
    | NoiseFanoResolution
    | SqrtResolution
    | PowerResolution
    | FullWidthResolution
    | PolynomialResolution
    | GammaResolution
    | CalibratedResolution,
    Field(discriminator="type"),
]


class RollOff(Strict):
    """An upper edge, 0.5 erfc((E - position)/(sqrt2 width))."""

    position: PositiveEnergy
    width: PositiveEnergy


class TableEfficiency(Strict):
    """Columns `energy` and `efficiency`, interpolated.

    interpolation : linear, or monotone_cubic where the points are coarse against the turn-on;
    shift : moves the curve along the axis; roll_off : an upper edge on top of it.
    """

    type: Literal["table"]
    table: str
    source: str
    variable: Literal["recoil", "visible", "reconstructed"]
    interpolation: Literal["linear", "monotone_cubic"] = "linear"
    shift: Energy | None = None
    scale: float = 1.0
    roll_off: RollOff | None = None


class LogisticEfficiency(Strict):
    """a/(1 + exp(-b (x - c))) + d in reconstructed photo-electrons, zero where negative.

    table : rows `nominal`, `plus_1sigma`, `minus_1sigma`; pull : between them, in sigma.
    """

    type: Literal["logistic"]
    table: str
    source: str
    pull: float = 0.0


class ConstantEfficiency(Strict):
    """The same at every energy."""

    type: Literal["constant"]
    efficiency: PositiveNumber


Efficiency = Annotated[TableEfficiency | LogisticEfficiency | ConstantEfficiency, Field(discriminator="type")]


class SuppliedMatrix(Strict):
    """A response made elsewhere: CSV, NPZ, or the TH2 `name` of a ROOT file."""

    file: str
    name: str | None = None
    source: str


class SuppliedTensor(Strict):
    """Templates of single recoil energies in all bins of a channel, at anchors of nuisances.

    table : a column per nuisance [sigma], `energy`, and one column per bin; totals : a column per nuisance, `energy`
    and `efficiency`, at more anchors; pulls : the nuisances by name, in sigma; none of a response
    without anchors.
    rule : between anchors, the polynomial through all of them or straight lines (totals are not allowed with these);
    between : templates are linear between their energies (points), or each stands for the bin between the midpoints to
    its neighbours (bins).
    release : instead of files beside the model, files of a release that the user has.
    """

    table: str
    totals: str | None = None
    pulls: dict[Name, float] = Field(default_factory=dict)
    rule: Literal["polynomial", "linear"] = "polynomial"
    between: Literal["points", "bins"] = "points"
    release: "ReleaseFolder | None" = None
    source: str

    @model_validator(mode="after")
    def _totals_of_polynomials(self) -> "SuppliedTensor":
        if self.totals is not None and self.rule == "linear":
            raise ValueError(f"totals: found {self.totals!r} with rule 'linear'; they are allowed with 'polynomial'")
        return self


class ReleaseFolder(Strict):
    """A data release that is not shipped, in one of the folders that the variable NUEMSTAT_RELEASES names."""

    name: str
    where: str


class Response(Strict):
    """From recoil energy to the channel's energy axis: computed from its parts, or supplied as a matrix or a tensor.

    scale_offset : error of the energy scale, added to every reconstructed energy.
    """

    recoil: RecoilGrid | None = None
    quenching: Quenching = NoQuenching()
    resolution: Resolution = PerfectResolution()
    efficiency: Efficiency | None = None
    scale_offset: Energy | None = None
    matrix: SuppliedMatrix | None = None
    tensor: SuppliedTensor | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Response":
        if (self.recoil is None) == (self.matrix is None):
            raise ValueError("a response needs either recoil (then it is computed) or matrix (then it is supplied)")
        parts = (self.quenching.type, self.resolution.type, self.efficiency, self.matrix, self.scale_offset)
        if self.tensor is not None and parts != ("none", "perfect", None, None, None):
            raise ValueError("a tensor is the whole response: no quenching, resolution, efficiency is allowed with it")
        return self
