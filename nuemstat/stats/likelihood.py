"""2 NLL of a workspace: every bin against its data, every constraint once; value, gradient and Fisher matrix."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nuemstat.errors import FitError
from nuemstat.polynomial import FloatArray
from nuemstat.stats.compiled import CompiledChannel, is_ready
from nuemstat.stats.data import FLOOR, Data, default, observed, to_physical
from nuemstat.stats.kernels import Kernel
from nuemstat.vocabulary import COUPLINGS, coupling_name
from nuemstat.workspace.bins import expanded
from nuemstat.workspace.document import Workspace

KernelName = Literal["auto", "numpy", "compiled"]
WORTHWHILE = 50_000
"""Rows x bins from which `auto` takes the compiled kernel: numba needs a second to load."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """2 NLL at one place: value, gradient and all that makes its second derivatives.

    fisher : expected information, shape (n_parameters, n_parameters);
    seen : observed information without second derivatives of the counts, or the expected one if not asked for;
    curvature : what these add, so that 2 seen + curvature is the Hessian of 2 NLL;
    at_edge : whether an empty Poisson bin is expected to hold less than a hundredth of a count.
    """

    x: FloatArray
    value: float
    gradient: FloatArray
    fisher: FloatArray
    seen: FloatArray
    curvature: FloatArray
    at_edge: bool


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
        self,
        workspace: Workspace,
        *,
        fixed: Mapping[str, float] | None = None,
        data: str = "observed",
        kernel: KernelName = "auto",
    ) -> None:
        """Compile a workspace; `fixed` holds parameters at numbers in workspace units.

        data : observed, asimov, or asimov:NAME=VALUE with a physical value;
        kernel : numpy, compiled (which may compile first), or auto: compiled if that is there without
            compiling, and the workspace is large.

        Raises
        ------
        WorkspaceError : a parameter that is not held, or a modifier that is not evaluated yet;
        FitError : data of another form, a derived parameter fixed, counts observed where nothing can be expected.
        """
        workspace = expanded(workspace)
        self.fixed = dict(fixed or {})
        for name in self.fixed:
            if workspace.parameter(name).kind == "derived":
                raise FitError(f"{workspace.name}: {name} follows other parameters and cannot be fixed")
        self.workspace, self.data = workspace, data
        self._kernel = _run(Kernel(workspace, self.fixed), kernel)
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
        points = x[None]
        expected = self._kernel.expected(self._kernel.states(points))
        return float((self.terms.value(expected) + self._pull(points))[0])

    def gradient(self, x: FloatArray) -> FloatArray:
        """Derivatives of 2 NLL, shape (n_parameters,)."""
        return self.value_gradient(x)[1]

    def fisher(self, x: FloatArray) -> FloatArray:
        """Expected Fisher information, shape (n_parameters, n_parameters); its inverse is the covariance."""
        return self.evaluate(x).fisher

    def value_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """2 NLL and its gradient, without the Jacobian of the counts."""
        points = x[None]
        states = self._kernel.states(points)
        expected = self._kernel.expected(states)
        slope, _ = self.terms.weights(expected)
        value = self.terms.value(expected) + self._pull(points)
        return float(value[0]), (self._kernel.pullback(states, slope) + self._pull_slope(points))[0]

    def value_gradient_fisher(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """2 NLL, its gradient, and the expected Fisher information (half its expected Hessian), in one pass."""
        value, gradient, fisher, _ = self._first_order(x[None])
        return float(value[0]), gradient[0], fisher[0]

    def evaluate(self, x: FloatArray, *, seen: bool = False, lift: float = 0.0) -> Evaluation:
        """Value and derivatives at one place; with the observed information if `seen`.

        lift : empty Poisson bins are taken to hold as many counts.
        """
        return self.evaluate_many(x[None], np.array([seen]), np.array([lift]))[0]

    def evaluate_many(self, points: FloatArray, seen: npt.NDArray[np.bool_], lift: FloatArray) -> list[Evaluation]:
        """The same at many places, shape (n_points, n_parameters), each with its own data where `with_data` had many.

        What is found at one place does not depend on the others, to the last bit.
        """
        if lift.any():
            other = copy(self)
            other.terms = self.terms.lifted(lift)
            return other.evaluate_many(points, seen, np.zeros(len(lift)))
        value, gradient, fisher, (states, jacobians, expected, slope, weight) = self._first_order(points)
        observed = fisher.copy() if seen.any() else fisher
        if seen.any():
            rows = np.flatnonzero(seen)
            own = self.terms if self.terms.observed.ndim == 1 else self.terms.replaced(self.terms.observed[rows])
            weight = own.seen(expected[rows], weight[rows])
            observed[rows] = self._information(weight, [jacobian[rows] for jacobian in jacobians])
        curvature = self._kernel.curvature(states, slope)
        edge = self.terms.at_edge(expected)
        fields = zip(points, value, gradient, fisher, observed, curvature, edge, strict=True)
        return [Evaluation(x, float(v), *rest) for x, v, *rest in fields]

    def _first_order(self, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, tuple[Any, ...]]:
        """Value, gradient and Fisher information at each point, and what they were made of."""
        kernel, terms = self._kernel, self.terms
        states = kernel.states(points)
        expected, jacobians = kernel.expected(states), kernel.jacobians(states)
        slope, weight = terms.weights(expected)
        value = terms.value(expected) + self._pull(points)
        parts = [(j @ slope[:, part, None])[:, :, 0] for j, part in zip(jacobians, terms.slices, strict=True)]
        gradient = kernel.joined(parts) + self._pull_slope(points)
        return value, gradient, self._information(weight, jacobians), (states, jacobians, expected, slope, weight)

    def jacobian(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Expected counts of all bins, channel after channel, and their derivatives (n_parameters, n_bins)."""
        states = self._kernel.states(x[None])
        return self._kernel.expected(states)[0], self._kernel.dense(self._kernel.jacobians(states))[0]

    def counts(self, x: FloatArray) -> FloatArray:
        """Expected counts of all bins, channel after channel, unchecked."""
        return np.asarray(self._kernel.expected(self._kernel.states(x[None]))[0])

    def value_at(self, counts: FloatArray) -> float:
        """2 NLL of given expected counts, shape as `counts`, without constraints."""
        return float(self.terms.value(counts))

    def errors(self, counts: FloatArray) -> FloatArray:
        """Rough error of each bin, to tell how far apart two expectations are: at least one count where Poisson."""
        errors = np.full(counts.shape, np.inf)
        errors[self.terms.poisson] = np.sqrt(np.maximum(counts[self.terms.poisson], 1.0))
        for part, precision, below in zip(self.terms.slices, self.terms.precision, self.terms.below, strict=True):
            if precision is not None:
                errors[part] = 1 / np.sqrt(precision if precision.ndim == 1 else precision.diagonal())
            if below is not None:
                errors[part] = np.minimum(errors[part], 1 / np.sqrt(below))
        return errors

    def expected(self, x: FloatArray) -> dict[str, FloatArray]:
        """Expected counts by channel.

        Raises
        ------
        FitError : a Poisson bin is expected to hold no or negative counts; names channel, bin and couplings.
        """
        counts = self.counts(x)
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
        return self.terms.n_bins

    @property
    def width(self) -> int:
        """Numbers that the largest array of one evaluation holds, to size chunks by."""
        return max(channel.size * max(*channel.contents.shape[:1], channel.parameters.size, 1)
                   for channel in self._kernel.channels)  # fmt: skip

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

        Both may have one more axis in front for `evaluate_many`, one row for each point. The compiled model is
        shared. Bins left out as empty stay out.
        """
        other = copy(self)
        other.terms = self.terms.replaced(counts)
        other._centres = self._centres if centres is None else np.asarray(centres, dtype=float)
        return other

    def run_by(self, kernel: KernelName) -> "Likelihood":
        """The same likelihood, evaluated by another kernel."""
        other = copy(self)
        other._kernel = _run(self._kernel, kernel)
        return other

    def _pull(self, points: FloatArray) -> FloatArray:
        """The constraints, shape (n_points,)."""
        distance = np.where(self.constrained, points - self._centres, 0.0)
        return np.asarray((distance**2).sum(axis=-1) + self._constant)

    def _pull_slope(self, points: FloatArray) -> FloatArray:
        return np.where(self.constrained, 2 * (points - self._centres), 0.0)

    def _information(self, weight: FloatArray, jacobians: list[FloatArray]) -> FloatArray:
        """Information of bins and constraints, shape (n_points, n_parameters, n_parameters)."""
        matrix = self._kernel.joined_squares(self.terms.fisher(weight, jacobians))
        diagonal = np.arange(self.constrained.size)
        matrix[:, diagonal, diagonal] += self.constrained
        return matrix

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


def _run(kernel: Kernel, name: KernelName) -> Kernel:
    """The kernel with the engines of that name."""
    if name == "auto":
        size = sum(channel.contents.size for channel in kernel.channels)
        name = "compiled" if size >= WORTHWHILE and is_ready() else "numpy"
    if name == "numpy":
        return kernel.run_by(kernel.channels)
    return kernel.run_by([CompiledChannel(c) if CompiledChannel.suits(c) else c for c in kernel.channels])
