"""A response that an experiment simulated: templates of single recoil energies, at anchors of its nuisances.

A template is the probability to be seen in each bin of a channel, of all its axes flattened. It changes with several
nuisances at once: each multiplies the nominal template by its ratio, as if the others were at zero, which is exact
on the axes and an assumption at the corners between them. Between anchors a template follows the polynomial through all
of them, or a straight line where the experiment's own fit does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from nuemstat.errors import ModelError
from nuemstat.polynomial import FloatArray
from nuemstat.tables import Table

Anchors = Mapping[str, Mapping[float, FloatArray]]
"""nuisance -> its value at an anchor [sigma] -> array at the recoil energies."""

Rule = Literal["polynomial", "linear"]
"""What a template does between its anchors."""

Energies = Literal["points", "bins"]
"""Templates are linear between their energies, or each stands for the bin between the midpoints to its neighbours."""


@final
@dataclass(frozen=True, eq=False)
class Tensor:
    """Templates at single recoil energies.

    energies : rising [MeV], shape (n,); nominal : shape (n, n_bins); anchors : templates, one nuisance moved;
    totals : efficiencies relative to nominal, shape (n,), at those and at further anchors: a template beyond its own
    anchors follows their polynomial in shape and has these sums; where : the file, for messages;
    rule : between anchors; between : what holds between the energies.
    """

    energies: FloatArray
    nominal: FloatArray
    anchors: Anchors
    totals: Anchors
    where: str = "tensor"
    rule: Rule = "polynomial"
    between: Energies = "points"

    @classmethod
    def read(
        cls,
        templates: Table,
        totals: Table | None,
        nuisances: tuple[str, ...],
        *,
        rule: Rule = "polynomial",
        between: Energies = "points",
    ) -> "Tensor":
        """From tables with a column per nuisance, `energy`, and one per bin (of templates), `efficiency` (of totals).

        Raises
        ------
        ModelError : no nominal template, or an anchor that has not the energies of the nominal one.
        """
        bins = [name for name in templates.columns if name not in (*nuisances, "energy")]
        values = np.stack([templates.numbers(name) for name in bins], axis=1)
        energies, nominal, anchors = _by_anchor(templates, values, nuisances)
        found: Anchors = {}
        if totals is not None:
            other, total, found = _by_anchor(totals, totals.numbers("efficiency")[:, None], nuisances)
            if not np.array_equal(other, energies):
                raise ModelError(f"{totals.path}: its energies are not those of {templates.path.name}")
            found = {name: {a: (v / total)[:, 0] for a, v in at.items()} for name, at in found.items()}
        return cls(energies, nominal, anchors, found, str(templates.path), rule, between)

    @property
    def edges(self) -> FloatArray:
        """Edges of the bins that the energies stand for: midpoints, and as far beyond both ends [MeV], shape (n + 1,).

        Empty where templates are linear between the energies.
        """
        if self.between == "points":
            return np.empty(0)
        middle = (self.energies[1:] + self.energies[:-1]) / 2
        ends = 2 * self.energies[[0, -1]] - middle[[0, -1]]
        return np.concatenate((ends[:1], middle, ends[1:]))

    def at(self, pulls: Mapping[str, float]) -> FloatArray:
        """Templates with nuisances moved [sigma], shape (n, n_bins).

        Raises
        ------
        ModelError : a nuisance without anchors, or moved beyond all of them.
        """
        template = self.nominal
        for name, pull in pulls.items():
            template = template * self._ratio(name, pull) if pull else template
        return template

    def _ratio(self, name: str, pull: float) -> FloatArray:
        known = self.anchors.get(name, {})
        all_anchors = {*known, *self.totals.get(name, {})}
        if not known or not min(all_anchors) <= pull <= max(all_anchors):
            found = ", ".join(f"{a:+g}" for a in sorted(all_anchors)) or "none"
            allowed = f"pulls from {min(all_anchors):+g} to {max(all_anchors):+g}" if known else "no pull"
            raise ModelError(
                f"{self.where}: the anchors of {name!r} ({found}) do not bracket a pull of {pull:+g}; allowed: "
                f"{allowed}, or further anchors (totals at them will do)"
            )
        if self.rule == "linear":  # of the templates themselves, which has no use for totals
            return _divided(_straight({0.0: self.nominal, **known}, pull), self.nominal)
        nominal = _fractions(self.nominal)
        changes = {alpha: _fractions(values) - nominal for alpha, values in known.items()}
        shape = _fractions(np.maximum(nominal + _interpolated(changes, pull), 0.0))
        totals = self.totals.get(name) or {
            alpha: _divided(values.sum(axis=1), self.nominal.sum(axis=1)) for alpha, values in known.items()
        }
        total = 1 + _interpolated({alpha: ratio - 1 for alpha, ratio in totals.items()}, pull)
        return _divided(shape, nominal) * np.maximum(total, 0.0)[:, None]

    def matrix(self, recoil_edges: FloatArray, pulls: Mapping[str, float]) -> FloatArray:
        """Probability per recoil bin (at its logarithmic centre) and measured bin, shape (n_recoil, n_bins).

        Linear between the energies, nothing below the first, constant above the last; or that of the bin an energy
        stands for, nothing outside of all.
        """
        centres = np.sqrt(recoil_edges[1:] * recoil_edges[:-1])
        rows = self.at(pulls)
        if self.between == "bins":
            place = np.searchsorted(self.edges, centres, side="right") - 1
            inside = (place >= 0) & (place < len(rows))
            return np.where(inside[:, None], rows[np.clip(place, 0, len(rows) - 1)], 0.0)
        place = np.clip(np.searchsorted(self.energies, centres) - 1, 0, len(self.energies) - 2)
        low, high = self.energies[place], self.energies[place + 1]
        weight = np.clip((centres - low) / (high - low), 0.0, 1.0)[:, None]
        found = rows[place] * (1 - weight) + rows[place + 1] * weight
        return np.where(centres[:, None] < self.energies[0], 0.0, found)


def _by_anchor(
    table: Table, values: FloatArray, nuisances: tuple[str, ...]
) -> tuple[FloatArray, FloatArray, dict[str, dict[float, FloatArray]]]:
    """Energies, the nominal rows, and the rows of each anchor on an axis (corners are left out)."""
    energy = table.numbers("energy")
    pulls = np.array([table.numbers(name) for name in nuisances]).reshape(len(nuisances), len(energy)).T
    at_zero = np.all(pulls == 0, axis=1)
    if np.sum(at_zero) < 2:
        raise ModelError(f"{table.path}: no rows with {', '.join(nuisances)} at 0; a nominal template is expected")
    energies, nominal = energy[at_zero], values[at_zero]
    anchors: dict[str, dict[float, FloatArray]] = {name: {} for name in nuisances}
    for place, name in enumerate(nuisances):
        alone = np.all(np.delete(pulls, place, axis=1) == 0, axis=1) & ~at_zero
        for alpha in np.unique(pulls[alone, place]):
            rows = alone & (pulls[:, place] == alpha)
            if not np.array_equal(energy[rows], energies):
                raise ModelError(f"{table.path}: {name} at {alpha:+g} has other energies than the nominal template")
            anchors[name][float(alpha)] = values[rows]
    return energies, nominal, anchors


def _fractions(values: FloatArray) -> FloatArray:
    """Rows of unit sum; an empty row stays empty."""
    return _divided(values, np.broadcast_to(values.sum(axis=1, keepdims=True), values.shape))


def _divided(a: FloatArray, b: FloatArray) -> FloatArray:
    """a / b, 1 where b is empty."""
    return np.divide(a, b, out=np.ones_like(a), where=b > 0)


def _interpolated(known: Mapping[float, FloatArray], pull: float) -> FloatArray:
    """The polynomial through the anchors and zero."""
    alphas = sorted(known)
    nodes = np.array([0.0, *alphas])
    weights = pull ** np.arange(len(nodes)) @ np.linalg.inv(np.vander(nodes, increasing=True))
    return np.asarray(sum(w * known[a] for w, a in zip(weights[1:], alphas, strict=True)), dtype=float)


def _straight(known: Mapping[float, FloatArray], pull: float) -> FloatArray:
    """Straight lines from anchor to anchor."""
    nodes = sorted(known)
    place = int(np.clip(np.searchsorted(nodes, pull) - 1, 0, len(nodes) - 2))
    low, high = nodes[place : place + 2]
    weight = (pull - low) / (high - low)
    return known[low] * (1 - weight) + known[high] * weight
