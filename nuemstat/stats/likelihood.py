"""2 NLL of a workspace: every bin against its data, every constraint once; value, gradient and Fisher matrix."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.data import FLOOR, Data, default, observed, to_physical
from nuemstat.stats.kernels import Kernel
from nuemstat.vocabulary import COUPLINGS, coupling_name
from nuemstat.workspace.document import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """2 NLL at one place: value, gradient, expected counts, their Jacobian.

    slope, weight : first derivative of 2 NLL by each expected count, and the count's Fisher weight.
    """

    likelihood: "Likelihood"
    x: FloatArray
    value: float
    gradient: FloatArray
    expected: FloatArray
    jacobian: FloatArray
    slope: FloatArray
    weight: FloatArray

    @property
    def fisher(self) -> FloatArray:
        """Expected Fisher information, shape (n_parameters, n_parameters)."""
        return self._information(self.weight)

    @property
    def seen(self) -> FloatArray:
        """Observed information, second derivatives of the expected counts left out, same shape."""
        return self._information(self.likelihood.terms.seen(self.expected, self.weight))

    def curvature(self, i: int, step: float) -> FloatArray:
        """Row i of what the information leaves out of the Hessian of 2 NLL: the slope by each expected count times
        the counts' second derivatives, from differences of the Jacobian; shape (n_parameters,)."""
        shift = np.zeros_like(self.x)
        shift[i] = step
        change = self.likelihood.jacobian(self.x + shift)[1] - self.likelihood.jacobian(self.x - shift)[1]
        return np.asarray(change @ self.slope) / (2 * step)

    def _information(self, weight: FloatArray) -> FloatArray:
        matrix = self.likelihood.terms.fisher(weight, self.jacobian)
        matrix.flat[:: self.x.size + 1] += self.likelihood.constrained
        return matrix


class Likelihood:
    """2 NLL relative to the saturated model, as a function of the parameters that are not fixed.

    parameters : their names, in the order of every vector x; numbers are those of the workspace (of order one);
    defaults : shape (n_parameters,); bounds : shape (n_parameters, 2), infinite where there are none;
    constrained, curved : shape (n_parameters,), which have a constraint, and which scale counts by their powers;
    terms : the data, and how they are compared;
    n_bins : bins that carry information (Poisson bins that nothing can fill and that saw nothing are left out).

    Poisson bins follow Baker and Cousins, NIM 221 (1984) 437; below `FLOOR` expected counts they are continued
    by a smooth barrier, so that fits may step there and come back.
    """

    def __init__(
        self, workspace: Workspace, *, fixed: Mapping[str, float] | None = None, data: str = "observed"
    ) -> None:
        """Compile a workspace; `fixed` holds parameters at numbers in workspace units.

        data : observed, asimov, or asimov:NAME=VALUE with a physical value.

        Raises
        ------
        WorkspaceError : a parameter that is not held, or a modifier that is not evaluated yet;
        FitError : data of another form, a derived parameter fixed, counts observed where nothing can be expected.
        """
        self.fixed = dict(fixed or {})
        for name in self.fixed:
            if workspace.parameter(name).kind == "derived":
                raise FitError(f"{workspace.name}: {name} follows other parameters and cannot be fixed")
        self.workspace, self.data = workspace, data
        self._kernel = Kernel(workspace, self.fixed)
        self.parameters = self._kernel.parameters
        self.definitions: tuple[Any, ...] = tuple(workspace.parameter(name) for name in self.parameters)
        self.defaults: FloatArray = np.array([default(p) for p in self.definitions], dtype=float)
        self.bounds = self._bounds()
        self.constrained = np.array([p.kind == "constrained" for p in self.definitions], dtype=bool)
        self.curved = self._kernel.curved & ~self.constrained
        self._centres = np.zeros(len(self.parameters))
        self._constant = self._fixed_constraints()
        self.terms = self._without_empty_bins(Data.of(workspace, observed(workspace, data, self.fixed)))

    def __call__(self, x: FloatArray) -> float:
        """2 NLL at parameters of shape (n_parameters,)."""
        return self.terms.value(self._kernel.expected(x)) + self._pull(x)

    def gradient(self, x: FloatArray) -> FloatArray:
        """Derivatives of 2 NLL, shape (n_parameters,)."""
        return self.value_gradient_fisher(x)[1]

    def fisher(self, x: FloatArray) -> FloatArray:
        """Expected Fisher information, shape (n_parameters, n_parameters); its inverse is the covariance."""
        return self.value_gradient_fisher(x)[2]

    def value_gradient_fisher(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """2 NLL, its gradient, and the expected Fisher information (half its expected Hessian), in one pass."""
        here = self.evaluate(x)
        return here.value, here.gradient, here.fisher

    def evaluate(self, x: FloatArray) -> "Evaluation":
        """Everything of first order at one place, and what second order needs, in one pass."""
        expected, jacobian = self._kernel.expected_gradient(x)
        slope, weight = self.terms.weights(expected)
        pull = np.where(self.constrained, 2 * (x - self._centres), 0.0)
        value = self.terms.value(expected) + self._pull(x)
        return Evaluation(self, x, value, jacobian @ slope + pull, expected, jacobian, slope, weight)

    def jacobian(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Expected counts of all bins, channel after channel, and their derivatives (n_parameters, n_bins)."""
        return self._kernel.expected_gradient(x)

    def counts(self, x: FloatArray) -> FloatArray:
        """Expected counts of all bins, channel after channel, unchecked."""
        return self._kernel.expected(x)

    def value_at(self, counts: FloatArray) -> float:
        """2 NLL of given expected counts, shape as `counts`, without constraints."""
        return self.terms.value(counts)

    def errors(self, counts: FloatArray) -> FloatArray:
        """Rough error of each bin, to tell how far apart two expectations are: at least one count where Poisson."""
        errors = np.full(counts.shape, np.inf)
        errors[self.terms.poisson] = np.sqrt(np.maximum(counts[self.terms.poisson], 1.0))
        precision = self.terms.precision
        errors[self.terms.gaussian] = 1 / np.sqrt(precision if precision.ndim == 1 else precision.diagonal())
        return errors

    def expected(self, x: FloatArray) -> dict[str, FloatArray]:
        """Expected counts by channel.

        Raises
        ------
        FitError : a Poisson bin is expected to hold no or negative counts; names channel, bin and couplings.
        """
        counts = self._kernel.expected(x)
        self._check(x, counts)
        return {name: counts[part] for name, part in self._kernel.slices.items()}

    def yields(self, x: FloatArray) -> dict[str, dict[str, float]]:
        """Expected counts by channel and process."""
        return self._kernel.yields(x)

    def observed(self) -> dict[str, FloatArray]:
        """The data that are fitted, by channel."""
        return {name: self.terms.observed[part] for name, part in self._kernel.slices.items()}

    @property
    def n_bins(self) -> int:
        """Bins that carry information."""
        return int(self.terms.poisson.size + self.terms.gaussian.size)

    def index(self, name: str) -> int:
        """Where a parameter stands in x."""
        return self.parameters.index(name)

    def vector(self, values: Mapping[str, float]) -> FloatArray:
        """The defaults with these numbers (workspace units) in their places."""
        x = self.defaults.copy()
        for name, value in values.items():
            x[self.index(name)] = value
        return x

    def with_data(self, counts: FloatArray, centres: FloatArray | None = None) -> "Likelihood":
        """The same model with other counts, shape (n_bins,), and other centres of the constraints, as toys have.

        The compiled model is shared. Bins left out as empty stay out.
        """
        other = copy(self)
        other.terms = self.terms.replaced(counts)
        other._centres = self._centres if centres is None else np.asarray(centres, dtype=float)
        return other

    def _pull(self, x: FloatArray) -> float:
        distance = (x - self._centres)[self.constrained]
        return float(distance @ distance) + self._constant

    def _fixed_constraints(self) -> float:
        """The constraints of nuisances that are fixed: constant, but part of the value."""
        kinds = {p.name: p.kind for p in self.workspace.parameters}
        return float(sum(value**2 for name, value in self.fixed.items() if kinds[name] == "constrained"))

    def _bounds(self) -> FloatArray:
        """Bounds of the document; one of a transition pair may change sign where both are there.

        Only the relative sign of a transition charge and its transition radius is physical: with both floating,
        the radius carries it; with one of them at a value other than 0, the other one does.
        """
        ends = [(-np.inf if low is None else low, np.inf if high is None else high)
                for low, high in (p.bounds for p in self.definitions)]  # fmt: skip
        bounds: FloatArray = np.array(ends, dtype=float).reshape(-1, 2)
        for coupling in COUPLINGS.values():
            if coupling.kind != "charge_radius" or not coupling.even:
                continue
            charge, radius = coupling_name("millicharge", *coupling.flavours), coupling.name
            if radius in self.parameters and (charge in self.parameters or self.fixed.get(charge)):
                bounds[self.index(radius), 0] = -np.inf
            elif charge in self.parameters and self.fixed.get(radius):
                bounds[self.index(charge), 0] = -np.inf
        return bounds

    def _without_empty_bins(self, data: Data) -> Data:
        fillable = np.concatenate([channel.fillable for channel in self._kernel.channels])
        empty = data.poisson[~fillable[data.poisson]]
        for number in empty[data.observed[empty] > 0]:
            channel, place = self._place(int(number))
            raise FitError(
                f"{self.workspace.name}: channel {channel}, bin {place}: {data.observed[number]:g} counts are observed "
                "and no sample can fill it; every bin with counts needs an expectation"
            )
        return data.without(empty) if empty.size else data

    def _check(self, x: FloatArray, counts: FloatArray) -> None:
        poisson = self.terms.poisson
        if not poisson.size or counts[poisson].min() >= FLOOR:
            return
        number = int(poisson[counts[poisson].argmin()])
        channel, place = self._place(number)
        at = [
            f"{p.name} = {to_physical(p, value):.4g} {p.unit}"
            for p, value in zip(self.definitions, x, strict=True)
            if p.kind == "coupling"
        ]
        fixed = [f"{name} = {value:.4g} (fixed)" for name, value in self.fixed.items() if value]
        raise FitError(
            f"{self.workspace.name}: channel {channel}, bin {place}: {counts[number]:.4g} counts are expected at "
            f"{', '.join(at + fixed) or 'the given nuisances'}; above 0 is allowed"
        )

    def _place(self, number: int) -> tuple[str, int]:
        for name, part in self._kernel.slices.items():
            if part.start <= number < part.stop:
                return name, number - part.start
        raise IndexError(number)
