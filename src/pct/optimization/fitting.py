"""Constant parameters of a whole log by Levenberg-Marquardt over rollouts, with errors of the estimates.

All learned parameters of the model, those of the measurement and the observer's gains included, are moved
until the rollouts meet the log: begun by the rows before each window, then open loop over its horizon. An
error counts in units of what is left of its channel's errors, which is found along the way, so no channel has
to be weighted by hand. Rows that windows share count once.

Where starts are free, the state at each window's start is unknown, too, and its logged row is one reading
among the others: with noise in the readings alone, that is maximum likelihood. The starts are eliminated
window by window from the normal equations.

The covariance is the sandwich estimate over blocks of windows: it holds where residuals are correlated
along a drive and where the model is not quite the car.

References:
    K. Levenberg, Quarterly of Applied Mathematics 2 (1944); D. Marquardt, SIAM J. Appl. Math. 11 (1963).
    H. Bock, "Recent advances in parameter identification techniques for O.D.E.", 1983: multiple shooting.
    P. Huber, "The behavior of maximum likelihood estimates under nonstandard conditions", 1967; K.-Y. Liang,
    S. Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73 (1986).
    [1] J. MacKinnon, H. White, Journal of Econometrics 29 (1985): HC3, with equal leverage of all blocks.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from pct.data.windows import WindowSet
from pct.dynamics.core import ModelSpec, flatten_params, unflatten_params
from pct.errors import DivergedError
from pct.optimization.network import bounds_slope, from_bounds, to_bounds
from pct.optimization.rollout_errors import (
    AllWindows,
    NormalEquations,
    RolloutErrors,
    bounds_of,
    make_rollout_errors,
)

# Standard deviation of the prior about the defaults, on the unbounded axis (1 is 27 to 73 % of the range).
PRIOR = 1.0
# An error beyond so many of its channel's counts by its size, not its square.
HUBER = 3.0
# An error that is smaller than this share of the channel's scale is as good as none.
FLOOR = 1e-7
# An iteration that gains less than this share of the cost gains nothing.
TOLERANCE = 1e-4
# In a channel's usual error, one beyond so many times the median counts like that: first, and later.
FIRST_CLIPPED, CLIPPED = 1.0, 10.0
# So many iterations in a row that gain less end it.
PATIENCE = 2
FIRST_DAMPING, LEAST_DAMPING, LARGEST_DAMPING = 1e-2, 1e-7, 1e8
# Spread of further starts on the unbounded axis.
SPREAD = 0.7
# Iterations from every start, and how many of them go on; iterations before the best goes on alone.
COARSE_ITERATIONS, CONTINUED, FIRST_ITERATIONS = 8, 3, 30
# A window with an error beyond so many of its channel's usual ones is broken and left out, up to a share.
REJECTED = 50.0
MOST_REJECTED = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """What `fit_parameters` found.

    Attributes:
        values: each learned parameter, the flat vector of `ModelSpec.param_keys`, (P,).
        raw: the same on the unbounded axis, (P,).
        covariance: of ``raw``, (P, P), the prior included.
        information: of ``raw`` from the data alone, (P, P), as if the model were right.
        sigma: what is left of each compared channel's error in its unit, (C,).
        cost: what is minimised, by iteration; its unit changes with the usual errors.
        kept: which windows were not rejected, (W,).
        blocks: number of blocks that the covariance rests on; with few it is not to be trusted.
    """

    values: np.ndarray
    raw: np.ndarray
    covariance: np.ndarray
    information: np.ndarray
    sigma: np.ndarray
    cost: tuple[float, ...]
    kept: np.ndarray
    blocks: int = 0

    def params(self, spec: ModelSpec) -> dict[str, Any]:
        """The values by name."""
        return unflatten_params(self.values, spec.param_keys, spec.full_shapes)

    def deviations(self, spec: ModelSpec) -> np.ndarray:
        """Standard error of each value in its unit, (P,)."""
        low, high, log_mask = bounds_of(spec)
        # d value / d raw, by the chain of both maps.
        share = 1 / (1 + np.exp(-self.raw))
        slope = np.asarray(bounds_slope(jnp.asarray(self.values), low, high, log_mask)) * share * (1 - share)
        return np.sqrt(np.diag(self.covariance)) * slope


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
    **options: Any,
) -> Fit:
    """Fit one value of each learned parameter to all windows, within the bounds.

    Args:
        windows: of the logs.
        numbers: which of them, in their order along the drives.
        spec, base_params, integrator, substeps, compare, free_start: see
            `pct.optimization.rollout_errors.make_rollout_errors`.
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
    )
    return fit_errors(errors, windows, numbers, **options)


def fit_errors(
    errors: RolloutErrors,
    windows: WindowSet,
    numbers: np.ndarray,
    *,
    start: Mapping[str, Any] | None = None,
    prior: float | np.ndarray = PRIOR,
    huber: float = HUBER,
    iterations: int = 50,
    starts: int = 1,
    report: Callable[[int, float], None] = lambda iteration, cost: None,
) -> Fit:
    """`fit_parameters` with errors that were made before, for many logs or starts without compiling again.

    Args:
        errors: of the model; its defaults are the centre of the prior.
        windows: of the logs, with the history that ``errors`` were made for.
        numbers: which of them, in their order along the drives.
        start: values to begin at, by name; the defaults when left out.
        prior: standard deviation of the prior on the unbounded axis; one for all, or of each entry, (P,).
        huber: see `HUBER`.
        iterations: most iterations, those from other starts not counted.
        starts: points to begin at; those after the first are drawn about the defaults.
        report: called after each iteration with its number and the cost.

    Raises:
        DivergedError: the rollouts at the start are not finite.
    """
    spec = errors.spec
    problem = _Problem(errors, windows, numbers, _raw(spec, spec.default_params), prior, huber)
    first = problem.at(_raw(spec, {**spec.default_params, **(start or {})}))
    if not np.isfinite(first.error).all():
        raise DivergedError(
            f"{spec.name}: rollouts with the {'values to start at' if start else 'default parameters'} are "
            "not finite: shorten the horizon or raise the number of substeps"
        )
    iteration = itertools.count(1)

    def told(cost: float) -> None:
        report(next(iteration), cost)

    # First where few large errors weigh little, to find the way; then where they weigh as much as they are.
    path = _best_way(problem, first, starts, iterations, told)
    return problem.result(_descend(problem, path, iterations, CLIPPED, told))


class _Point(NamedTuple):
    """Raw parameters (P,), offsets of the starts (K, W), and the errors there (C, T, W)."""

    raw: np.ndarray
    offsets: np.ndarray
    error: np.ndarray


class _Path(NamedTuple):
    """Where a descent is, which windows it keeps, (W,), and the cost after each of its iterations."""

    point: _Point
    kept: np.ndarray
    cost: tuple[float, ...]


class _Problem:
    """What is minimised, by point."""

    def __init__(
        self,
        errors: RolloutErrors,
        windows: WindowSet,
        numbers: np.ndarray,
        centre: np.ndarray,
        prior: float | np.ndarray,
        huber: float,
    ) -> None:
        self.centre, self._prior, self._huber = centre, prior, huber
        self._spec, self._numbers, self._windows = errors.spec, numbers, windows
        self._all = AllWindows(errors, windows, numbers)
        self._free = errors.free
        self._least = FLOOR * errors.spec.scales[list(errors.channels)]
        # Each row is in so many windows.
        strides = np.diff(np.asarray(windows.arrays.starts)[numbers])
        stride = np.median(strides) if strides.size else windows.horizon
        self._overlap = max(1.0, windows.horizon / max(1.0, float(stride)))

    def at(self, raw: np.ndarray, offsets: np.ndarray | None = None) -> _Point:
        """The errors; starts are as they are logged when left out."""
        if offsets is None:
            offsets = np.zeros((self._free, len(self._numbers)))
        return _Point(raw, offsets, self._all.errors(raw, offsets))

    def start(self, point: _Point) -> _Path:
        """A descent that has not begun."""
        return _Path(point, np.ones(len(self._numbers), bool), ())

    def typical(self, path: _Path, clipped: float) -> np.ndarray:
        """Root mean square error by channel, one beyond so many times the median error counted like that."""
        size = np.abs(path.point.error[..., path.kept])
        most = clipped * np.median(size, axis=(1, 2), keepdims=True)
        return np.maximum(np.sqrt(np.mean(np.minimum(size, most) ** 2, axis=(1, 2))), self._least)

    def broken(self, path: _Path) -> np.ndarray:
        """Which windows have an error far beyond the usual ones, (W,)."""
        usual = self.typical(path, FIRST_CLIPPED)[:, None, None]
        return (np.abs(path.point.error) / usual).max(axis=(0, 1)) > REJECTED

    def cost(self, path: _Path, sigma: np.ndarray) -> float:
        """Half the weighted sum of squares, large errors by their size, and the prior."""
        size = np.abs(path.point.error[..., path.kept]) / sigma[:, None, None]
        huber = self._huber
        data = np.where(size > huber, huber * size - huber**2 / 2, size**2 / 2).sum()
        away = (path.point.raw - self.centre) / self._prior
        return float(data / self._overlap + 0.5 * np.sum(away**2))

    def normal(self, path: _Path, sigma: np.ndarray) -> NormalEquations:
        """Normal equations of the data; those by window of the kept ones only."""
        raw, offsets, _ = path.point
        matrix, *by_window = self._all.normal(raw, offsets, sigma, path.kept, self._huber)
        return NormalEquations(matrix, *(part[..., path.kept] for part in by_window))

    def move(self, path: _Path, equations: NormalEquations, damping: float) -> _Path:
        """A step of Levenberg and Marquardt."""
        reduced = _without_starts(equations, damping)
        weight = self._overlap / self._prior**2
        matrix = reduced.matrix + (1 + damping) * weight * np.eye(self.centre.size)
        gradient = reduced.gradient.sum(axis=1) + weight * (path.point.raw - self.centre)
        step = -np.linalg.solve(matrix, gradient)
        offsets = np.zeros_like(path.point.offsets)
        offsets[:, path.kept] = -(reduced.starts + np.einsum("pkb,p->kb", reduced.follow, step))
        share = 1 / max(1.0, np.abs(step).max())
        return path._replace(
            point=self.at(path.point.raw + share * step, path.point.offsets + share * offsets)
        )

    def result(self, path: _Path) -> Fit:
        """Values and covariance where a descent has ended."""
        raw, sigma = path.point.raw, self.typical(path, CLIPPED)
        reduced = _without_starts(self.normal(path, sigma))
        information, prior = reduced.matrix / self._overlap, np.eye(raw.size) / self._prior**2
        bread = np.linalg.inv(information + prior)
        blocks = _block_sums(self._windows, self._numbers[path.kept], reduced.gradient / self._overlap)
        count = blocks.shape[1]
        # Each block has drawn the answer towards itself; with few their spread would look too small [1].
        blocks *= count / max(1, count - 1)
        low, high, log_mask = bounds_of(self._spec)
        return Fit(
            values=np.asarray(to_bounds(jnp.asarray(raw), low, high, log_mask), np.float64),
            raw=raw,
            covariance=bread @ (blocks @ blocks.T + prior) @ bread,
            information=information,
            sigma=sigma,
            cost=path.cost,
            kept=path.kept,
            blocks=count,
        )


def _best_way(
    problem: _Problem, first: _Point, starts: int, iterations: int, report: Callable[[float], None]
) -> _Path:
    """Few steps from every start, more from those that came far, and the best of them."""
    rng = np.random.default_rng(0)
    paths = [problem.start(first)]
    for _ in range(starts - 1):
        point = problem.at(problem.centre + SPREAD * rng.standard_normal(problem.centre.size))
        if np.isfinite(point.error).all():
            paths.append(problem.start(point))
    for most, left in ((COARSE_ITERATIONS, CONTINUED), (FIRST_ITERATIONS, 1)):
        if len(paths) > left or left == 1:
            paths = [_descend(problem, path, min(most, iterations), FIRST_CLIPPED, report) for path in paths]
            paths.sort(key=lambda path: float(np.log(problem.typical(path, FIRST_CLIPPED)).sum()))
            paths = paths[:left]
    return paths[0]


def _descend(
    problem: _Problem, path: _Path, most: int, clipped: float, report: Callable[[float], None]
) -> _Path:
    """Levenberg-Marquardt until so many iterations have been made in all, or none gains any more."""
    damping, idle = FIRST_DAMPING, 0
    while len(path.cost) < most:
        sigma = problem.typical(path, clipped)
        here = problem.cost(path, sigma)
        equations = problem.normal(path, sigma)
        gain = 0.0
        while damping < LARGEST_DAMPING:
            moved = problem.move(path, equations, damping)
            gain = here - problem.cost(moved, sigma)
            if gain > 0:
                path, damping = moved, max(damping / 6, LEAST_DAMPING)
                break
            damping *= 4
        path = path._replace(cost=(*path.cost, here - max(gain, 0.0)))
        report(path.cost[-1])
        idle = 0 if gain > TOLERANCE * here else idle + 1
        if idle == PATIENCE or not gain > 0:
            broken = problem.broken(path)
            if not (broken & path.kept).any() or broken.mean() > MOST_REJECTED:
                break
            path, damping, idle = path._replace(kept=~broken), FIRST_DAMPING, 0
    return path


class _Reduced(NamedTuple):
    """Normal equations of the parameters alone, and how the starts follow them.

    Attributes:
        matrix: (P, P).
        gradient: by window, (P, B).
        starts: what the starts move by where the parameters stay, (K, B), negative.
        follow: what they move by with each parameter, (P, K, B), negative.
    """

    matrix: np.ndarray
    gradient: np.ndarray
    starts: np.ndarray
    follow: np.ndarray


def _without_starts(equations: NormalEquations, damping: float = 0.0) -> _Reduced:
    """Eliminate the starts, window by window (the Schur complement)."""
    matrix, gradient, cross, block, start_gradient = equations
    count = len(start_gradient)
    # Where errors are beyond measure their weights are zero; what is divided by is not.
    blocks = block.transpose(2, 0, 1) * (1 + damping * np.eye(count)) + 1e-200 * np.eye(count)
    right = np.concatenate([cross, start_gradient[None]]).transpose(2, 1, 0)  # (B, K, P + 1)
    solved = np.linalg.solve(blocks, right).transpose(2, 1, 0)
    follow, starts = solved[:-1], solved[-1]
    return _Reduced(
        matrix * (1 + damping * np.eye(len(matrix))) - np.einsum("pkb,qkb->pq", cross, follow),
        gradient - np.einsum("pkb,kb->pb", cross, starts),
        starts,
        follow,
    )


def _block_sums(windows: WindowSet, numbers: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Gradients summed over blocks of windows that share no row with the next but one, (P, K)."""
    starts = np.asarray(windows.arrays.starts)[numbers]
    length = 2 * (windows.history + windows.horizon)
    recording = windows.store.recording[starts]
    _, block = np.unique(recording * (starts.max() // length + 2) + starts // length, return_inverse=True)
    sums = np.zeros((gradients.shape[0], block.max() + 1))
    np.add.at(sums.T, block, gradients.T)
    return sums


def _raw(spec: ModelSpec, values: Mapping[str, Any]) -> np.ndarray:
    """Values by name on the unbounded axis, (P,)."""
    return from_bounds(flatten_params(values, spec.param_keys, spec.full_shapes), *bounds_of(spec))
