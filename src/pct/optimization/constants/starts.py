"""Where a fit begins: at one start, or at the best of several that are drawn within the bounds.

Far from the truth a rollout says little: a tyre that is too stiff is beyond the stability of the integration,
and errors that add up over the horizon hide which way is down. The error of single explicit steps from the
logged rows has neither fault: it is linear in the rates, and so in most parameters, whatever their values
(the equation-error method [1]). So each start is first improved on such steps, of a few hundred rows; of the
points found, those that differ in what they predict go on over the whole horizon, and the best is the fit.

References:
    [1] V. Klein, E. Morelli, "Aircraft System Identification: Theory and Practice", AIAA, 2006, chapter 5.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, unflatten_params
from pct.errors import DivergedError, UsageError
from pct.measurement.filter import filters, noise_values
from pct.optimization.constants.descent import CLIPPED, FIRST_CLIPPED, REJECTED, Path, Problem, descend
from pct.optimization.constants.estimate import Estimate, fit_errors, raw_values, scalar_places
from pct.optimization.constants.filtering import starts_as_logged
from pct.optimization.constants.prior import Prior, deviations_of, without
from pct.optimization.constants.rollout_errors import RolloutErrors
from pct.optimization.settings import FitSettings
from pct.windows.store import window_starts
from pct.windows.window_set import WindowSet, make_window_set

# Parameters of this role stay near their defaults for the first iterations: their prior is so much narrower.
CURVATURE, STIFF, FIRST_ITERATIONS = "curvature", 0.03, 10
# Starts are drawn this share of each range inside the bounds.
EDGE = 0.02
# Most single steps that improve a start, and most iterations on them with each clipping.
STEPS, STEP_ITERATIONS = 256, 20
# Points that go on over the whole horizon, beside the first start as it is.
CONTINUED = 3
# Points are one optimum where their predictions differ by less than this share of the typical error.
SAME = 0.2


@dataclasses.dataclass(frozen=True)
class Starts:
    """What became of the starts of a fit.

    Attributes:
        count: of the starts, the first included.
        agreed: how many of them ended in the optimum of the fit.
        continued: points that went on over the whole horizon.
    """

    count: int
    agreed: int
    continued: int

    def __str__(self) -> str:
        return f"{self.agreed} of {self.count} starts ended in the same optimum"


class Point(NamedTuple):
    """A point at which rollouts may begin.

    Attributes:
        raw: on the unbounded axis, (P,).
        starts: numbers of the starts that led there.
    """

    raw: np.ndarray
    starts: tuple[int, ...]


def fit_from_start(
    errors: RolloutErrors,
    windows: WindowSet,
    settings: FitSettings,
    start: Mapping[str, Any] | None,
    report: Callable[[int, float], None],
    prior: Prior | None = None,
) -> Estimate:
    """The fit to all windows; where no start is given, in two steps for a model with curvature factors.

    With a wrong stiffness the curvature of a tyre goes to a bound, where it stays: stiffness comes first.

    Args:
        errors, windows, settings, start, report: as of `fit_from_starts`.
        prior: that of the settings when left out.

    Raises:
        DivergedError: the rollouts at the start are not finite.
    """
    prior = prior_of(settings, prior)
    every = np.arange(len(windows))
    options: Any = {"huber": settings.huber, "report": report}
    if start is None and _curved(errors.spec):
        most = min(FIRST_ITERATIONS, settings.iterations)
        stiff = _first_prior(errors.spec, prior)
        first = fit_errors(errors, windows, every, prior=stiff, iterations=most, **options)
        start = first.params(errors.spec)
    more: Any = {"prior": prior, "iterations": settings.iterations}
    return fit_errors(errors, windows, every, start=start, **more, **options)


def fit_from_starts(
    errors: RolloutErrors,
    single: RolloutErrors,
    windows: WindowSet,
    settings: FitSettings,
    start: Mapping[str, Any] | None,
    report: Callable[[int, float], None],
    say: Callable[[str], None] = lambda line: None,
    prior: Prior | None = None,
) -> tuple[Estimate, Starts]:
    """The best fit of several starts: ``start``, and others that are drawn within the bounds.

    Args:
        errors: of the model over the windows.
        single: of the same model by explicit Euler steps; no start is free.
        windows: of the fit.
        settings: of the fit, with the number of ``starts`` and their ``seed``.
        start: values of the first one by name; the defaults when left out.
        report: see `fit_errors`.
        say: called with how many points there are.
        prior: that of the settings when left out.

    Raises:
        DivergedError: no start leads to finite rollouts.
    """
    spec, several, prior = errors.spec, settings.starts > 1, prior_of(settings, prior)
    first = raw_values(spec, {**spec.default_params, **(start or {})})
    basins = find_basins(single, windows, settings, [first, *draw_starts(spec, settings)], prior)
    judge = _whole_problem(errors, windows, settings, first, prior)
    # The points that predict best over the horizon as they are; several with the first start as it is, so
    # that more starts never make a fit worse.
    as_it_is = Point(first, (0,))
    points = sorted([as_it_is, *basins], key=lambda point: _typical(judge, point.raw))
    if several:
        points = [as_it_is, *(point for point in points if point is not as_it_is)][: 1 + CONTINUED]
        say(
            f"starts: {settings.starts}; apart after single steps: {len(basins)}; fits of them: {len(points)}"
        )
    else:
        points = points[:1]
    ends: list[tuple[Estimate, Point]] = []
    for point in points:
        begin = start if point is as_it_is else _values(spec, point.raw)
        try:
            ends.append((fit_from_start(errors, windows, settings, begin, report, prior), point))
        except DivergedError:
            if point is points[-1] and not ends:
                raise
    best = min((estimate for estimate, _ in ends), key=lambda estimate: _loss(judge, estimate, windows))
    there = judge.error(judge.at(best.raw))
    agreed = {
        number
        for estimate, point in ends
        if estimate is best or _alike(judge.error(judge.at(estimate.raw)), there, best.sigma, best.accepted)
        for number in point.starts
    }
    return best, Starts(settings.starts, len(agreed), len(ends))


def draw_starts(spec: ModelSpec, settings: FitSettings) -> np.ndarray:
    """The starts after the first, on the unbounded axis, (N - 1, P): evenly within the bounds.

    Where a range spans decades, its logarithm is even.
    """
    rng = np.random.default_rng(settings.seed)
    share = rng.uniform(EDGE, 1 - EDGE, (settings.starts - 1, spec.vector_size))
    return np.log(share) - np.log1p(-share)


def find_basins(
    single: RolloutErrors,
    windows: WindowSet,
    settings: FitSettings,
    starts: Sequence[np.ndarray],
    prior: Prior | None = None,
) -> list[Point]:
    """The points to which single steps lead from the starts, (P,) each; equal ones once.

    A start at which even a single step is not finite leads nowhere.
    """
    spec = single.spec
    shape: Any = {"horizon": 1, "history": windows.history}
    rows = window_starts(windows.store, samples=STEPS, **shape)
    steps = make_window_set(windows.store, rows, spec, feature_mode="context", **shape)
    centre, most = raw_values(spec, spec.default_params), min(STEP_ITERATIONS, settings.iterations)
    stiff = _first_prior(spec, prior_of(settings, prior))
    problem = Problem(single, steps, np.arange(len(steps)), centre, stiff, settings.huber)
    paths: list[tuple[Path, int]] = []
    for number, raw in enumerate(starts):
        if filters(spec):
            problem.refresh(raw, noise_values(spec, starts_as_logged(single)))
        path = problem.start(problem.at(raw))
        if problem.is_finite(path.point):
            # First with large errors clipped, for the direction.
            for clipped in (FIRST_CLIPPED, CLIPPED):
                path = descend(problem, path._replace(cost=()), most, clipped, lambda path: None)
            paths.append((path, number))
    paths.sort(key=lambda item: float(np.log(problem.typical(item[0], CLIPPED)).sum()))
    points: list[Point] = []
    at_points: list[np.ndarray] = []
    for path, number in paths:
        error, sigma = problem.error(path.point), problem.typical(path, CLIPPED)
        for i, other in enumerate(at_points):
            if _alike(error, other, sigma, path.accepted):
                points[i] = points[i]._replace(starts=(*points[i].starts, number))
                break
        else:
            points.append(Point(path.point.raw, (number,)))
            at_points.append(error)
    return points


def _whole_problem(
    errors: RolloutErrors, windows: WindowSet, settings: FitSettings, raw: np.ndarray, prior: Prior
) -> Problem:
    """The problem of the whole horizon with windows begun as they are logged, which all points share."""
    centre = raw_values(errors.spec, errors.spec.default_params)
    problem = Problem(errors, windows, np.arange(len(windows)), centre, prior, settings.huber)
    if filters(errors.spec):
        problem.refresh(raw, noise_values(errors.spec, starts_as_logged(errors)))
    return problem


def _typical(problem: Problem, raw: np.ndarray) -> float:
    """Typical error of all channels, as the mean of logarithms; infinite where rollouts are not finite."""
    point = problem.at(raw)
    if not problem.is_finite(point):
        return np.inf
    return float(np.log(problem.typical(problem.start(point), CLIPPED)).mean())


def _loss(problem: Problem, estimate: Estimate, windows: WindowSet) -> float:
    """Negative log posterior of an estimate with the error sizes as fitted; a rejected window counts as one
    whose errors are at the limit of that."""
    rows = len(windows) * windows.horizon / problem.overlap
    by_row = np.log(estimate.sigma).sum() + len(estimate.sigma) * np.log(REJECTED) * (
        1 - estimate.accepted.mean()
    )
    away = estimate.raw - problem.centre
    return float(rows * by_row + 0.5 * away @ problem.prior_information @ away)


def _alike(error: np.ndarray, other: np.ndarray, sigma: np.ndarray, accepted: np.ndarray) -> bool:
    """Whether two predictions, (C, T, W), differ by less than a share of the typical errors, (C,)."""
    squares = [
        float(np.mean(np.square((one - two)[:, accepted] / usual)))
        for one, two, usual in zip(error, other, sigma, strict=True)
    ]
    # Infinite errors of both sides are not alike, nor is what is no number.
    return bool(np.sqrt(np.mean(squares)) < SAME)


def _curved(spec: ModelSpec) -> list[int]:
    """Places of the curvature factors in the flat parameter vector."""
    return [n for name, n in scalar_places(spec).items() if spec.parameter(name).role == CURVATURE]


def _first_prior(spec: ModelSpec, prior: Prior) -> Prior:
    """The prior while the curvature factors wait."""
    curved = _curved(spec)
    deviations = deviations_of(prior, spec.vector_size)
    return without(prior, curved, STIFF * deviations[curved], spec.vector_size)


def prior_of(settings: FitSettings, prior: Prior | None) -> Prior:
    """The prior of a fit: that of its settings where none is given.

    Raises:
        UsageError: the settings name a fleet, whose prior must be read first.
    """
    if prior is not None:
        return prior
    if isinstance(settings.prior, str):
        raise UsageError(f"`prior={settings.prior}`: expected a number, or the prior that was read from it")
    return settings.prior


def _values(spec: ModelSpec, raw: np.ndarray) -> dict[str, Any]:
    """Values by name of a point on the unbounded axis, (P,)."""
    return unflatten_params(np.asarray(Bounds.of(spec).to(raw)), spec.param_keys, spec.full_shapes)
