"""The filter's noise from the rollouts that it begins, and whether it beats starts as they are logged.

The filter's three numbers are those with which the rollouts after it are best [1], with a prior: the
likelihood of its own one-step predictions would weigh the short term alone. Errors of the model decide them,
so they are estimated at fitted parameters, on some blocks of driving, and used only where the rollouts of
the other blocks gain.

References:
    [1] P. Abbeel, A. Coates, M. Montemerlo, A. Ng, S. Thrun, "Discriminative training of Kalman filters",
        Robotics: Science and Systems (2005).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from pct.measurement.filter import Noise, drifting_states, noise_values
from pct.optimization.constants.descent import CLIPPED, Path, Problem, descend
from pct.optimization.constants.rollout_errors import RolloutErrors
from pct.optimization.constants.simplex import minimize_simplex
from pct.windows.store import spread

# Prior of the logarithms of process noise, size of the drifts and time of fading: mean and deviation.
MEAN, DEVIATION = np.log([1.0, 1.0, 1.0]), np.array([1.5, 1.5, 1.0])
# Most windows that the noise is estimated on, and most evaluations.
MOST_WINDOWS, EVALUATIONS = 512, 36
# A typical error below this share of the channel's scale is that of rounding.
LEAST = 1e-3
# Rounds of filter and parameters in turn, iterations in each, and the move that ends them, in priors.
ROUNDS, ITERATIONS, STILL = 3, 5, 5e-3
# One-sided probability that the gain on the held-out blocks is luck.
LUCK = 0.05


def starts_as_logged(errors: RolloutErrors) -> Noise:
    """Noise with which windows begin at their logged rows."""
    scale = np.array([channel.scale for channel in drifting_states(errors.spec)])
    return Noise(1.0, 0.0, 1.0, scale, reading=0.0)


def weigh_as_logged(problem: Problem, noise: Noise | None) -> None:
    """Let errors weigh no more than where windows begin as they are logged.

    The filter leaves little of the usual errors. Weighed by what it leaves, the rare large ones, at the limit
    of grip, would hardly count, and nothing else tells of what happens there.
    """
    if noise is not None and noise.least is not None:
        problem.floor = noise.least


def choose_noise(
    errors: RolloutErrors,
    path: Path,
    sigma: np.ndarray,
    blocks: np.ndarray,
    on: Callable[[np.ndarray], Problem],
) -> Noise:
    """The filter's noise at fitted parameters, or that of starts as logged where the filter is no better.

    Args:
        errors: of a model with the filter.
        path: of the fit with starts as logged.
        sigma: typical errors there, (C,).
        blocks: number of each window's block, (W,).
        on: the problem on windows of these numbers.
    """
    plain = starts_as_logged(errors)
    order = np.unique(blocks, return_inverse=True)[1]
    usable = np.flatnonzero(path.accepted)
    ours, others = (spread(usable[order[usable] % 2 == half], MOST_WINDOWS) for half in (0, 1))
    if not (len(ours) and len(others)):
        return plain
    noise = estimate_noise(errors, on(ours), path.point.raw, sigma)
    problem, losses = on(others), []
    for candidate in (plain, noise):
        losses.append(_losses(errors, problem, path.point.raw, sigma, candidate))
    gains = np.bincount(order[others], losses[0] - losses[1])[np.unique(order[others])]
    return noise._replace(least=sigma) if _wins(gains) else plain


def estimate_noise(
    errors: RolloutErrors,
    problem: Problem,
    raw: np.ndarray,
    sigma: np.ndarray,
    begin: Noise | None = None,
) -> Noise:
    """The noise with which rollouts at raw parameters (P,) have the least cost.

    Args:
        errors: of a model with the filter.
        problem: of the windows that count.
        raw: parameters on the unbounded axis.
        sigma: errors that weigh one, (C,), which are the unit of the noise.
        begin: where to begin the search.
    """
    spec = errors.spec
    names = [spec.state_names[i] for i in errors.channels]
    scale = [
        max(LEAST * c.scale, float(sigma[names.index(c.name)])) if c.name in names else c.scale
        for c in drifting_states(spec)
    ]
    process, size, fade = np.exp(MEAN).tolist()
    guess = (begin or Noise(process, size, fade, np.ones(0)))._replace(scale=np.array(scale))

    def of(logs: np.ndarray) -> Noise:
        process, size, fade = np.exp(np.clip(logs, -7, 7)).tolist()
        return guess._replace(process=process, drift=size, fade=float(np.clip(fade, 0.05, 20.0)))

    def cost(logs: np.ndarray) -> float:
        away = (logs - MEAN) / DEVIATION
        return float(_losses(errors, problem, raw, sigma, of(logs)).sum() + 0.5 * away @ away)

    start = np.log([guess.process, max(guess.drift, 1e-3), guess.fade])
    corners = np.vstack([start, start + np.diag([-1.0, -1.0, -0.7])])
    return of(minimize_simplex(cost, corners, evaluations=EVALUATIONS, still=0.05, flat=0.5))


def refine(
    errors: RolloutErrors, problem: Problem, path: Path, noise: Noise, report: Callable[[Path], None]
) -> Path:
    """Parameters with windows begun by the filter: its gains and they in turn, until both stay."""
    values = noise_values(errors.spec, noise)
    for _ in range(ROUNDS):
        before = path.point.raw
        problem.refresh(before, values)
        point = problem.at(before)
        if not problem.is_finite(point):
            return path
        most = len(path.cost) + ITERATIONS
        path = descend(problem, path._replace(point=point), most, CLIPPED, report)
        if np.abs((path.point.raw - before) / problem.prior).max() < STILL:
            break
    return path


def _losses(
    errors: RolloutErrors, problem: Problem, raw: np.ndarray, sigma: np.ndarray, noise: Noise
) -> np.ndarray:
    """Cost of each window, (W,)."""
    problem.refresh(raw, noise_values(errors.spec, noise))
    return problem.losses(problem.start(problem.at(raw)), sigma)


def _wins(gains: np.ndarray) -> bool:
    """Whether the mean gain of the blocks is above zero beyond luck."""
    if len(gains) < 2 or not np.isfinite(gains).all():
        return False
    error = gains.std(ddof=1) / math.sqrt(len(gains))
    return bool(gains.mean() > stdtrit(len(gains) - 1, 1 - LUCK) * error)
