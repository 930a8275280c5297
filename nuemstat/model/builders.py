"""From the words of a model file to the objects of the floors below: sources, responses, arrival times."""

from typing import Any

import numpy as np

from nuemstat import units
from nuemstat.detector import efficiency as eff
from nuemstat.detector import quenching as quench
from nuemstat.detector import resolution as res
from nuemstat.detector.calibration import CalibratedResolution
from nuemstat.detector.tensor import Tensor
from nuemstat.errors import ModelError
from nuemstat.model import schema_response as words
from nuemstat.model.loader import ModelFiles
from nuemstat.model.schema_source import PionDecay, PulseProfiles, Reactor, Solar, Survival, Timing
from nuemstat.polynomial import FloatArray
from nuemstat.sources.pion_decay import PionDecaySource
from nuemstat.sources.reactor import ReactorSource
from nuemstat.sources.solar import SolarSource
from nuemstat.sources.survival import MeasuredSurvival
from nuemstat.sources.timing import PlateauDecay, TimeProfile


def build_source(spec: Solar | Reactor | PionDecay) -> SolarSource | ReactorSource | PionDecaySource:
    """The source that a model describes."""
    if isinstance(spec, Solar):
        mixing: dict[str, Any] = {} if spec.sin2_theta23 is None else {"s23_sq": spec.sin2_theta23.number}
        return SolarSource(
            standard_solar_model=spec.standard_solar_model,
            b8_spectrum=spec.b8_spectrum,
            b8_shape=spec.b8_shape,
            measured=_measured(spec.survival),
            oscillation=spec.oscillation,
            flux=spec.flux.given,
            scale=spec.scale.model_dump(),
            **mixing,
        )
    if isinstance(spec, Reactor):
        return ReactorSource(
            thermal_power=spec.thermal_power.number if spec.thermal_power else 0.0,
            distance=spec.distance.number if spec.distance else 0.0,
            fission_fractions={name: value.number for name, value in spec.fission_fractions},
            energy_per_fission=spec.energy_per_fission,
            spectrum=spec.spectrum,
            alternative=spec.alternative,
            captures_per_fission=spec.captures_per_fission.number,
            normalisation=spec.normalisation,
            total_flux=spec.total_flux.number if spec.total_flux else 0.0,
            pulls=spec.pulls.model_dump(),
        )
    return PionDecaySource(
        neutrinos_per_proton=spec.neutrinos_per_proton.number,
        protons_on_target=spec.protons_on_target.number,
        distance=spec.distance.number,
    )


def _measured(spec: Survival | None) -> MeasuredSurvival | None:
    if spec is None:
        return None
    return MeasuredSurvival(name=spec.measured, pulls=spec.pulls.model_dump(), c0_error=spec.c0_error)


def build_profiles(timing: Timing, files: ModelFiles) -> dict[str, TimeProfile]:
    """Arrival times of prompt and delayed neutrinos."""
    spec = timing.profiles
    if isinstance(spec, PulseProfiles):
        pulse = (spec.mean.number, spec.width.number)
        return {name: TimeProfile.from_pulse(*pulse, delayed=name == "delayed") for name in ("prompt", "delayed")}
    table = files.table(spec.table)
    low, high = table.numbers("time_low", units.TIME), table.numbers("time_high", units.TIME)
    # A released table ends where the analysis does: later delayed arrivals fall off with the muon lifetime.
    tails = {"prompt": None, "delayed": units.MUON_LIFETIME}
    return {n: TimeProfile.from_bins(low, high, table.numbers(n), tail_lifetime=tail) for n, tail in tails.items()}


def time_efficiency(timing: Timing) -> PlateauDecay | None:
    """The time efficiency of the detector, if the model has one."""
    spec = timing.efficiency
    return None if spec is None else PlateauDecay(spec.plateau_end.number, spec.decay_rate.number)


def build_quenching(spec: words.Quenching, files: ModelFiles) -> quench.Quenching:
    """The quenching that a model describes."""
    cut = getattr(spec, "ionisation_cut", None)
    common = {"scale": getattr(spec, "scale", 1.0), "ionisation_cut": cut.number if cut else 0.0}
    if isinstance(spec, words.TotalEnergy):
        return quench.TotalEnergy(**common)
    if isinstance(spec, words.LindhardQuenching):
        return quench.LindhardQuenching(spec.k.number, spec.Z, **common)
    if isinstance(spec, words.LinearQuenching):
        return quench.LinearQuenching(spec.constant.number, spec.slope.number, **common)
    if isinstance(spec, words.TableQuenching):
        table = files.table(spec.table)
        return quench.TableQuenching(
            tuple(table.numbers("recoil", units.ENERGY)), tuple(table.numbers(spec.column)), **common
        )
    if isinstance(spec, words.PolynomialQuenching):
        rows = _variations(files, spec.table, ("a", "b", "c", "d"))
        names = [name.removesuffix("_plus_1sigma") for name in rows if name.endswith("_plus_1sigma")]
        for name in spec.pulls:
            if name not in names:
                raise ModelError(f"quenching.pulls: found {name!r}; {spec.table} has {', '.join(names)}")
        return quench.PolynomialQuenching(
            tuple(rows["nominal"]),
            tuple((tuple(rows[f"{n}_plus_1sigma"]), tuple(rows[f"{n}_minus_1sigma"])) for n in names),
            tuple(spec.pulls.get(name, 0.0) for name in names),
            **common,
        )
    return quench.NoQuenching()


def build_resolution(spec: words.Resolution, files: ModelFiles) -> res.Resolution:
    """The resolution that a model describes."""
    if isinstance(spec, words.CalibratedResolution):
        table = files.table(spec.table)
        statistics = spec.stochastic.number**2 / units.MeV
        return CalibratedResolution(
            counts=tuple(table.numbers("counts", units.DIMENSIONLESS)),
            energies=tuple(table.numbers("energy", units.ENERGY)),
            width=res.NoiseFanoWidth(spec.constant.number, 1.0, statistics),
            gain=spec.gain.number,
            offset=spec.offset.number,
            scale=spec.scale,
        )
    if isinstance(spec, words.NoiseFanoResolution):
        width: res.Width = res.NoiseFanoWidth(spec.noise.number, spec.fano.number, spec.pair_energy.number)
        return res.GaussianResolution(width, spec.truncated, scale=spec.scale)
    if isinstance(spec, words.SqrtResolution):
        linear, constant = (part.number if part else 0.0 for part in (spec.linear, spec.constant))
        width = res.SquareRootWidth(spec.root.number * units.keV, linear * units.keV, constant)
        return res.GaussianResolution(width, scale=spec.scale)
    if isinstance(spec, words.PowerResolution):
        power = res.PowerWidth(spec.width.number, spec.reference.number, spec.exponent.number)
        return res.GaussianResolution(power, scale=spec.scale)
    if isinstance(spec, words.FullWidthResolution):
        bend = spec.quadratic.number if spec.quadratic else 0.0
        return res.GaussianResolution(res.FullWidth(spec.constant.number, spec.root.number, bend), scale=spec.scale)
    if isinstance(spec, words.PolynomialResolution):
        return res.GaussianResolution(
            res.PolynomialWidth(tuple(c * units.keV for c in spec.coefficients)), scale=spec.scale
        )
    if isinstance(spec, words.GammaResolution):
        return res.GammaResolution(spec.a.number, spec.b.number, scale=spec.scale)
    return res.PerfectResolution()


def build_tensor(spec: words.SuppliedTensor | None, files: ModelFiles) -> Tensor:
    """The templates that a model names, beside it or in a release that the user has."""
    if spec is None:
        raise ModelError("no tensor in this response")
    home = files if spec.release is None else files.release(spec.release.name, spec.release.where)
    totals = home.table(spec.totals) if spec.totals else None
    return Tensor.read(home.table(spec.table), totals, tuple(spec.pulls), rule=spec.rule, between=spec.between)


def build_efficiency(spec: words.Efficiency, files: ModelFiles) -> eff.Efficiency:
    """The efficiency that a model describes."""
    if isinstance(spec, words.TableEfficiency):
        table = files.table(spec.table)
        edge = spec.roll_off
        return eff.TableEfficiency(
            tuple(table.numbers("energy")),
            tuple(table.numbers("efficiency")),
            shift=spec.shift.number if spec.shift else 0.0,
            scale=spec.scale,
            interpolation=spec.interpolation,
            roll_off=eff.GaussianEdge(edge.position.number, edge.width.number) if edge else None,
        )
    if isinstance(spec, words.LogisticEfficiency):
        rows = _variations(files, spec.table, ("a", "b", "c", "d"))
        four = [tuple(rows[name]) for name in ("nominal", "plus_1sigma", "minus_1sigma")]
        return eff.LogisticEfficiency(*four, pull=spec.pull)
    return eff.ConstantEfficiency(spec.efficiency.number)


def _variations(files: ModelFiles, name: str, columns: tuple[str, ...]) -> dict[str, FloatArray]:
    """Rows of a table by the word in its column `variation`."""
    table = files.table(name)
    values = np.stack([table.numbers(column) for column in columns], axis=1)
    rows = dict(zip(table.words("variation"), values, strict=True))
    if "nominal" not in rows:
        raise ModelError(f"{table.path}: no row 'nominal' in column 'variation'; it has {', '.join(rows)}")
    return rows
