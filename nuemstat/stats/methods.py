"""What the methods beyond the plain profile answer: CLs, Feldman-Cousins, and expected bands of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
from scipy.stats import norm

from nuemstat.errors import FitError
from nuemstat.stats.asimov import Asimov
from nuemstat.stats.asymptotic import Shifted
from nuemstat.stats.data import default
from nuemstat.stats.execution import Answer, Aware, Expectation, Piece, Plan, Runner, Work
from nuemstat.stats.feldman_cousins import Belt, by_formula, construct, throw
from nuemstat.stats.hypotest import Background, OneSided, background_of, cls_by_formula, cls_by_toys, throw_one_sided
from nuemstat.stats.problem import Problem
from nuemstat.stats.profile import Point, Profile
from nuemstat.stats.search import Range
from nuemstat.stats.sensitivity import TOYS as EXPECTED_TOYS
from nuemstat.stats.sensitivity import (
    expected_by_formula,
    expected_sets,
    expected_upper,
    throw_sets,
    truth_of,
    unknown,
)
from nuemstat.stats.toys import Setup
from nuemstat.stats.valley import places_along
from nuemstat.workspace.document import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A limit as it was asked for, and the explored profile of its data (all minima, the global one first)."""

    workspace: Workspace
    problem: Problem
    free: tuple[str, ...]
    cl: float
    method: str
    scan_range: Range | None
    plan: Plan
    profile: Profile
    minima: Sequence[Point]

    @property
    def scale(self) -> float:
        """Size of 1 in the workspace."""
        return self.problem.scale(self.problem.couplings[0])[0]

    @property
    def setup(self) -> Setup:
        """What workers need."""
        problem = self.problem
        places = places_along(self.profile)
        data = problem.likelihood.data
        return Setup(self.workspace, problem.couplings, self.free, dict(problem.fixed), data, places)

    def runner(self, work: Work, setup: Setup) -> Runner:
        """Runs tasks of this question; all of them share one checkpoint."""
        header = {
            "digest": self.problem.workspace.digest,
            "question": "limit",
            "coupling": self.problem.couplings[0],
            "method": self.method,
            "cl": self.cl,
            "data": self.problem.likelihood.data,
            "free": list(self.free),
            "fixed": dict(self.problem.fixed),
            "seed": self.plan.seed,
        }
        return Runner(work, setup.pack(), self.plan, header)


def answer(question: Question, expected: bool | None, below: tuple[Piece, ...]) -> Answer:
    """The set by the method asked for, with what is expected of it; `below` is that of the profile.

    expected : by formulas (None), by toys (True; formulas for CLs), or not at all.

    Raises
    ------
    FitError : CLs of a signed coupling, too few toys, lost workers; Interrupted : from the keyboard.
    """
    match question.method:
        case "cls":
            return _cls(question, expected is not False)
        case "fc":
            return _feldman_cousins(question, expected)
        case _:
            return _profile(question, expected, below)


def _profile(question: Question, expected: bool | None, below: tuple[Piece, ...]) -> Answer:
    """The set of chi2 thresholds, beside the boundary-aware one where the truth is at a bound."""
    if expected is False:
        return Answer(pieces=below)
    if expected:
        truth = _asimov(question)
        return Answer(pieces=below, expected=_by_toys(question, truth, None), aware=_aware(question, truth))
    found, asimov, notes = _by_formula(question, aware=False)
    known = None
    if asimov is not None:
        try:
            known = _aware(question, asimov)
        except FitError as error:
            notes = (*notes, f"boundary-aware: {error}")
    return Answer(pieces=below, expected=found, aware=known, notes=notes)


def _cls(question: Question, expected: bool) -> Answer:
    one_sided = OneSided(question.profile, question.minima, _background(question), question.cl)
    known = expected_upper(one_sided, question.scale) if expected else None
    if not question.plan.toys:
        return Answer(pieces=cls_by_formula(one_sided).pieces, expected=known)
    runner = question.runner(throw_one_sided, question.setup)
    found = cls_by_toys(one_sided, runner=runner, scale=question.scale, scan_range=question.scan_range)
    fields: dict[str, Any] = {"seed": question.plan.seed, "toys": found.toys, "critical": found.tested}
    fields |= _errors(question, found.pieces)
    return Answer(pieces=found.pieces, fields=fields, warnings=found.warnings, expected=known)


def _feldman_cousins(question: Question, expected: bool | None) -> Answer:
    if question.plan.toys == 0:
        if expected:
            raise FitError("expected: Feldman-Cousins bands need toys; 0 are asked for")
        return _boundary_aware(question, expected)
    runner = question.runner(throw, question.setup)
    belt = Belt(question.profile, question.minima[0].q, cl=question.cl, runner=runner)
    found = construct(belt, question.minima, scan_range=question.scan_range)
    known: Expectation | None = None
    notes: tuple[str, ...] = ()
    if expected:
        known = _by_toys(question, _asimov(question), belt)
    elif expected is None:
        known, _, notes = _by_formula(question, aware=True)
    fields: dict[str, Any] = {"seed": question.plan.seed, "toys": belt.toys, "critical": belt.rows(question.scale)}
    fields |= _errors(question, found.pieces)
    return Answer(pieces=found.pieces, fields=fields, warnings=found.warnings, expected=known, notes=notes)


def _boundary_aware(question: Question, expected: bool | None) -> Answer:
    """The set of `fc` without toys: asymptotic critical values, which chi2 gives far from a bound."""
    known, asimov, notes = (None, None, ()) if expected is False else _by_formula(question, aware=True)
    if not np.isfinite(question.profile.bounds[0]):
        threshold = Shifted(question.cl).threshold(inf)
        pieces = by_formula(question.profile, question.minima, lambda _: threshold)
        return Answer(pieces=pieces, expected=known, notes=notes)
    if asimov is None or not asimov.at_bound:
        truth = question.profile.precisely(question.profile.bounds[0]).solution.x
        asimov = Asimov(question.problem, truth, question.profile.reach)
    aware = _aware(question, asimov)
    return Answer(pieces=() if aware is None else aware.pieces, expected=known, notes=notes)


def _aware(question: Question, asimov: Asimov) -> Aware | None:
    """The set with thresholds that know of the bound; None where the truth of the Asimov data is at none."""
    if not asimov.at_bound:
        return None
    shifted = Shifted(question.cl, aware=True)
    for level in (shifted.upper(0), shifted.upper(-2)):
        asimov.cover(level)

    def threshold(value: float) -> float:
        return shifted.threshold(asimov.root(value))

    return Aware(pieces=by_formula(question.profile, question.minima, threshold), threshold=threshold)


def _background(question: Question) -> Background:
    height = (float(norm.isf((1 - question.cl) / 2)) + 3.0) ** 2
    return background_of(question.problem, question.profile, height=height)


def _asimov(question: Question) -> Asimov:
    """Asimov data without new physics; the fit of its nuisances starts at the nearest one of the profile."""
    problem, profile = question.problem, question.profile
    at = default(problem.workspace.parameter(profile.name))
    near = min(profile.points, key=lambda point: abs(point.value - at))
    return Asimov(problem, truth_of(problem, near.solution.x), profile.reach)


def _by_formula(question: Question, *, aware: bool) -> tuple[Expectation, Asimov | None, tuple[str, ...]]:
    """What formulas say, the Asimov data behind it, and why there is none where that is so."""
    try:
        asimov = _asimov(question)
        found = expected_by_formula(asimov, cl=question.cl, aware=aware, scale=question.scale, minima=_places(question))
    except FitError as error:
        return unknown(), None, (f"expected: {error}",)
    ends = found.bands["asimov"]
    is_open = bool(np.isinf([ends["lower"], ends["upper"]]).all())
    return found, asimov, ("expected: the set of Asimov data is open on both sides",) if is_open else ()


def _by_toys(question: Question, asimov: Asimov, belt: Belt | None) -> Expectation:
    """Bands over toys; with Feldman-Cousins, critical values are measured along what Asimov data allow."""
    setup, curve = question.setup, None
    if belt is not None:
        curve = belt.curve(_along(question))
        setup = replace(setup, belt=curve)
    toys = EXPECTED_TOYS if question.plan.toys is None or belt is not None else question.plan.toys
    runner = question.runner(throw_sets, setup)
    return expected_sets(
        asimov, cl=question.cl, runner=runner, toys=toys, belt=curve, scale=question.scale, minima=_places(question)
    )


def _places(question: Question) -> list[float]:
    """Values of all minima of the data's profile."""
    return [point.value for point in question.minima]


def _along(question: Question) -> list[float]:
    """Twelve values over what the data, and the data's fluctuations, may allow."""
    low, high = question.profile.points[0].value, question.profile.points[-1].value
    near = [p.value for p in question.profile.points if p.q < question.minima[0].q + 16.0]
    low, high = max(low, min(near)), min(high, max(near))
    return [float(f"{value:.5g}") for value in np.linspace(low, high, 12)]


def _errors(question: Question, pieces: Sequence[Piece]) -> dict[str, Any]:
    """Errors of the ends from toys, physical units."""
    scale = question.scale
    return {"errors": tuple((piece.low_error * scale, piece.high_error * scale) for piece in pieces)}
