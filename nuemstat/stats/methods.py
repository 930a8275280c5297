"""What the methods beyond the plain profile answer: CLs, Feldman-Cousins, and expected bands of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any

import numpy as np
from scipy.stats import norm

from nuemstat.errors import FitError
from nuemstat.stats.execution import Answer, Piece, Plan, Runner, Work
from nuemstat.stats.feldman_cousins import Belt, by_formula, construct, throw
from nuemstat.stats.hypotest import Background, OneSided, background_of, cls_by_formula, cls_by_toys, throw_one_sided
from nuemstat.stats.problem import Problem
from nuemstat.stats.profile import Point, Profile
from nuemstat.stats.search import Range
from nuemstat.stats.sensitivity import TOYS as EXPECTED_TOYS
from nuemstat.stats.sensitivity import expected_sets, expected_upper, throw_sets, truth_of
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


def answer(question: Question, expected: bool, below: tuple[Piece, ...]) -> Answer:
    """The set by the method asked for, with expected bands where wanted; `below` is that of the profile.

    Raises
    ------
    FitError : CLs of a signed coupling, too few toys, lost workers; Interrupted : from the keyboard.
    """
    match question.method:
        case "cls":
            return _cls(question, expected)
        case "fc":
            return _feldman_cousins(question, expected)
        case _:
            return Answer(pieces=below, fields={"expected": _expected(question, None)} if expected else {})


def _cls(question: Question, expected: bool) -> Answer:
    one_sided = OneSided(question.profile, question.minima, _background(question), question.cl)
    fields: dict[str, Any] = {"expected": expected_upper(one_sided, question.scale)} if expected else {}
    if not question.plan.toys:
        return Answer(pieces=cls_by_formula(one_sided).pieces, fields=fields)
    runner = question.runner(throw_one_sided, question.setup)
    found = cls_by_toys(one_sided, runner=runner, scale=question.scale, scan_range=question.scan_range)
    fields |= {"seed": question.plan.seed, "toys": found.toys, "critical": found.tested}
    return Answer(pieces=found.pieces, fields=fields | _errors(question, found.pieces), warnings=found.warnings)


def _feldman_cousins(question: Question, expected: bool) -> Answer:
    if question.plan.toys == 0:
        if expected:
            raise FitError("expected: Feldman-Cousins bands need toys; 0 are asked for")
        return _boundary_aware(question)
    runner = question.runner(throw, question.setup)
    belt = Belt(question.profile, question.minima[0].q, cl=question.cl, runner=runner)
    found = construct(belt, question.minima, scan_range=question.scan_range)
    fields: dict[str, Any] = {"expected": _expected(question, belt)} if expected else {}
    fields |= {"seed": question.plan.seed, "toys": belt.toys, "critical": belt.rows(question.scale)}
    return Answer(pieces=found.pieces, fields=fields | _errors(question, found.pieces), warnings=found.warnings)


def _boundary_aware(question: Question) -> Answer:
    profile, minima, cl = question.profile, question.minima, question.cl
    if not np.isfinite(profile.bounds[0]):
        return Answer(pieces=by_formula(profile, minima, cl=cl, distance=lambda _: inf), fields={})
    background = _background(question)
    pieces = by_formula(profile, minima, cl=cl, distance=lambda value: sqrt(background.q_asimov(value)))
    return Answer(pieces=pieces, fields={})


def _background(question: Question) -> Background:
    height = (float(norm.isf((1 - question.cl) / 2)) + 3.0) ** 2
    return background_of(question.problem, question.profile, height=height)


def _expected(question: Question, belt: Belt | None) -> Mapping[str, Any]:
    """Bands over toys; with Feldman-Cousins, critical values are measured along what Asimov data allow."""
    problem, setup, curve = question.problem, question.setup, None
    truth = truth_of(problem)
    if belt is not None:
        curve = belt.curve(_along(question))
        setup = replace(setup, belt=curve)
    toys = EXPECTED_TOYS if question.plan.toys is None or belt is not None else question.plan.toys
    runner = question.runner(throw_sets, setup)
    return expected_sets(problem, truth, cl=question.cl, runner=runner, toys=toys, belt=curve, scale=question.scale)


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
