"""Constant parameters of a whole log by Levenberg-Marquardt over rollouts, with errors of the estimates.

All learned parameters of the model, those of the measurement included, are fitted
so that the rollouts match the log: begun by the rows before each window, then open loop over its horizon. An
error counts in units of its channel's typical error, which is estimated in each iteration, so no channel has
to be weighted by hand. Rows that windows share count once.

Where starts are free, the state at each window's start is unknown, too, and its logged row is one reading
among the others: with noise in the readings alone, that is maximum likelihood.

The covariance is that of the jackknife over blocks of windows [1], to first order: how far the estimate moves
when a block is left out. It holds where residuals are correlated along a drive and where the model is not
quite the car, and, unlike the plain sandwich estimate, where each of a few blocks has drawn the estimate
towards itself.

References:
    P. Huber, "The behavior of maximum likelihood estimates under nonstandard conditions", 1967; K.-Y. Liang,
    S. Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73 (1986).
    [1] J. MacKinnon, M. Nielsen, M. Webb, "Fast and reliable jackknife and bootstrap methods for
        cluster-robust inference", Journal of Applied Econometrics 38 (2023): CV3.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, flatten_params, unflatten_params
from pct.errors import DivergedError
from pct.measurement.filter import Noise, filters, noise_values
from pct.optimization.constants.covariance import jackknife
from pct.optimization.constants.descent import CLIPPED, Path, Problem, best_start, descend, without_starts
from pct.optimization.constants.filtering import (
    MOST_WINDOWS,
    choose_noise,
    estimate_noise,
    refine,
    starts_as_logged,
    weigh_as_logged,
)
from pct.optimization.constants.normal_equations import sums_by_group
from pct.optimization.constants.prior import Prior
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.rollout.engine import EngineName
from pct.windows.store import spread
from pct.windows.window_set import WindowSet

# Prior standard deviation about the defaults (logit space); 1 is 27 to 73 % of the range.
PRIOR = 1.0
# An error beyond so many of its channel's typical ones counts linearly, not squared.
HUBER = 3.0


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """Solution of a fit on the unbounded axis, with its covariance.

    Attributes:
        values: each learned parameter, the flat vector of `ModelSpec.param_keys`, (P,).
        raw: the same on the unbounded axis, (P,).
        covariance: of ``raw``, (P, P), the prior included.
        information: of ``raw`` from the data alone, (P, P), as if the model were right.
        sigma: typical error of each compared channel after the fit in its unit, (C,).
        cost: by iteration; its unit changes with the typical errors.
        accepted: which windows were not rejected, (W,).
        blocks: number of blocks that the covariance rests on; few make it unreliable.
        sound: whether the covariance is finite and well-conditioned; otherwise no standard error is known.
        clipped_share: share of the information on each parameter that comes from windows without a row at a
            limit of the model, (P,); None where that was not looked at.
        noise: of the filter that begins the windows; None without one.
    """

    values: np.ndarray
    raw: np.ndarray
    covariance: np.ndarray
    information: np.ndarray
    sigma: np.ndarray
    cost: tuple[float, ...]
    accepted: np.ndarray
    blocks: int = 0
    sound: bool = True
    clipped_share: np.ndarray | None = None
    noise: Noise | None = None

    def params(self, spec: ModelSpec) -> dict[str, Any]:
        """The values by name."""
        return unflatten_params(self.values, spec.param_keys, spec.full_shapes)

    def deviations(self, spec: ModelSpec) -> np.ndarray:
        """Standard error of each value in its unit, (P,)."""
        return np.sqrt(np.diag(self.covariance)) * raw_slopes(spec, self.raw, self.values)


def fit_parameters(
    windows: WindowSet,
    numbers: np.ndarray,
    spec: ModelSpec,
    base_params: Mapping[str, Any],
    *,
    integrator: str = "rk4",
    substeps: int = 1,
    compare: Sequence[str] = (),
    free_start: bool = False,
    engine: EngineName = "auto",
    **options: Any,
) -> Estimate:
    """Fit one value of each learned parameter to all windows, within the bounds.

    Args:
        windows: of the logs.
        numbers: which of them, in their order along the drives.
        spec, base_params, integrator, substeps, compare, free_start, engine: see
            `pct.optimization.constants.rollout_errors.make_rollout_errors`.
        options: see `fit_errors`.

    Raises:
        DivergedError: the rollouts at the start are not finite.
        UsageError: ``compare`` names no state, or free starts with an observer.
    """
    errors = make_rollout_errors(
        spec,
        base_params,
        windows.history,
        integrator=integrator,
        substeps=substeps,
        compare=compare,
        free_start=free_start,
        engine=engine,
        dtype=windows.store.states.dtype,
    )
    return fit_errors(errors, windows, numbers, **options)


def fit_errors(
    errors: RolloutErrors,
    windows: WindowSet,
    numbers: np.ndarray,
    *,
    start: Mapping[str, Any] | None = None,
    prior: Prior = PRIOR,
    huber: float = HUBER,
    iterations: int = 50,
    starts: int = 1,
    noise: Noise | None = None,
    report: Callable[[int, float], None] = lambda iteration, error: None,
) -> Estimate:
    """`fit_parameters` with compiled errors, for many logs or starts without compiling again.

    Args:
        errors: of the model; its defaults are the centre of the prior.
        windows: of the logs, with the history that ``errors`` were made for.
        numbers: which of them, in their order along the drives.
        start: values to begin at, by name; the defaults when left out.
        prior: on the unbounded axis, see `pct.optimization.constants.prior`.
        huber: see `HUBER`.
        iterations: most iterations, those from other starts not counted.
        starts: points to begin at; those after the first are drawn about the defaults.
        noise: of the filter; estimated when left out, and starts as logged where it is no better.
        report: called after each iteration with its number and the lowest typical error of all channels so
            far, as a share of that at the start.

    Raises:
        DivergedError: the rollouts at the start are not finite.
    """
    spec = errors.spec
    centre = raw_values(spec, spec.default_params)

    def on(chosen: np.ndarray) -> Problem:
        return Problem(errors, windows, numbers[chosen], centre, prior, huber)

    problem = Problem(errors, windows, numbers, centre, prior, huber)
    weigh_as_logged(problem, noise)
    filtered = filters(spec)
    if filtered:
        values = noise_values(spec, noise or starts_as_logged(errors))
        problem.refresh(raw_values(spec, {**spec.default_params, **(start or {})}), values)
    first = problem.at(raw_values(spec, {**spec.default_params, **(start or {})}))
    if not problem.is_finite(first):
        raise DivergedError(
            f"{spec.name}: rollouts with the {'values to start at' if start else 'default parameters'} are "
            "not finite: shorten the horizon or raise the number of substeps"
        )
    iteration = itertools.count(1)

    def size(path: Path) -> float:
        """Typical error over all channels, as the mean of logarithms."""
        return float(np.log(problem.typical(path, CLIPPED)).mean())

    at_start = lowest = size(problem.start(first))

    def report_path(path: Path) -> None:
        nonlocal lowest
        lowest = min(lowest, size(path))
        report(next(iteration), math.exp(lowest - at_start))

    # First with large errors clipped, for the direction; then almost without clipping.
    path = best_start(problem, first, starts, iterations, report_path)
    path = descend(problem, path, iterations, CLIPPED, report_path)
    blocks = number_blocks(windows, numbers)
    if filtered and noise is None:
        noise = choose_noise(errors, path, problem.typical(path, CLIPPED), blocks, on)
        weigh_as_logged(problem, noise)
        if noise.reading:
            # What was broken where it began as logged need not be so behind the filter.
            path = path._replace(accepted=np.ones_like(path.accepted))
            # With better parameters other errors are left for the filter.
            path = refine(errors, problem, path, noise, report_path)
            some = on(spread(np.flatnonzero(path.accepted), MOST_WINDOWS))
            noise = estimate_noise(errors, some, path.point.raw, problem.weights(path, CLIPPED), noise)
    if noise is not None and noise.reading:
        path = refine(errors, problem, path, noise, report_path)
    return dataclasses.replace(_result(spec, problem, path, blocks), noise=noise)


def with_blocks(
    errors: RolloutErrors,
    windows: WindowSet,
    estimate: Estimate,
    blocks: np.ndarray,
    *,
    prior: Prior,
    huber: float,
) -> Estimate:
    """A fit to all windows with the covariance that other blocks give, such as whole drives.

    Args:
        errors, windows, prior, huber: of the fit.
        estimate: of the fit.
        blocks: number of the block of each window, (W,).
    """
    spec = errors.spec
    centre = raw_values(spec, spec.default_params)
    problem = Problem(errors, windows, np.arange(len(windows)), centre, prior, huber)
    if filters(spec):
        problem.refresh(estimate.raw, noise_values(spec, estimate.noise or starts_as_logged(errors)))
    weigh_as_logged(problem, estimate.noise)
    path = problem.start(problem.at(estimate.raw))._replace(accepted=estimate.accepted)
    return dataclasses.replace(_result(spec, problem, path, blocks), noise=estimate.noise)


def _result(spec: ModelSpec, problem: Problem, path: Path, blocks: np.ndarray) -> Estimate:
    """Values and covariance where a descent has ended."""
    raw, sigma = path.point.raw, problem.typical(path, CLIPPED)
    weights = problem.weights(path, CLIPPED)
    accepted = path.accepted
    _, of_accepted = np.unique(blocks[accepted], return_inverse=True)
    groups = np.zeros(len(blocks), int)
    groups[accepted] = of_accepted
    reduced = without_starts(problem.normal(path, weights, groups), of_accepted)
    _, gradients = sums_by_group(reduced.gradient, of_accepted)
    parts = [
        (information / problem.overlap, gradient / problem.overlap)
        for information, gradient in zip(np.moveaxis(reduced.matrix, -1, 0), gradients.T, strict=True)
    ]
    covariance = jackknife(parts, problem.prior_information)
    return Estimate(
        values=np.asarray(Bounds.of(spec).to(jnp.asarray(raw)), np.float64),
        raw=raw,
        covariance=covariance.matrix,
        information=covariance.information,
        sigma=sigma,
        cost=path.cost,
        accepted=accepted,
        blocks=len(parts),
        sound=covariance.sound,
    )


def number_blocks(windows: WindowSet, numbers: np.ndarray) -> np.ndarray:
    """Number of the block of each window, (W,); no block shares a row with the next but one."""
    starts = windows.starts[numbers]
    length = 2 * (windows.history + windows.horizon)
    recording = windows.store.recording[starts]
    return recording * (starts.max() // length + 2) + starts // length


def raw_values(spec: ModelSpec, values: Mapping[str, Any]) -> np.ndarray:
    """Values by name on the unbounded axis, (P,)."""
    return Bounds.of(spec).back(flatten_params(values, spec.param_keys, spec.full_shapes))


def raw_slopes(spec: ModelSpec, raw: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
    """Change of each value in its unit with its real number on the unbounded axis, (P,)."""
    bounds = Bounds.of(spec)
    values = np.asarray(bounds.to(jnp.asarray(raw)) if values is None else values)
    # By the chain of both maps.
    share = expit(raw)
    return np.asarray(bounds.slope(jnp.asarray(values)) * share * (1 - share))


def scalar_places(spec: ModelSpec) -> dict[str, int]:
    """Position of each learned scalar parameter in the flat parameter vector, by name."""
    ends = np.cumsum([int(np.prod(spec.full_shapes[key])) for key in spec.param_keys])
    ends_by_name = zip(spec.param_keys, ends, strict=True)
    return {key: int(end) - 1 for key, end in ends_by_name if not spec.full_shapes[key]}
