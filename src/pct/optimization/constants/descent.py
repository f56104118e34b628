"""Levenberg-Marquardt over the rollouts of windows.

`best_start` makes a few iterations from every start and continues with the best; `descend` iterates to
convergence. The cost weighs each channel by its present typical error, so its unit changes between
iterations. Free starts are eliminated window by window (`without_starts`).

References:
    K. Levenberg, Quarterly of Applied Mathematics 2 (1944); D. Marquardt, SIAM J. Appl. Math. 11 (1963).
    H. Bock, "Recent advances in parameter identification techniques for O.D.E.", 1983: multiple shooting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from pct.optimization.constants.covariance import solve_positive
from pct.optimization.constants.normal_equations import NormalEquations, sums_by_group
from pct.optimization.constants.prior import Prior, deviations_of, information_of
from pct.optimization.constants.rollout_errors import RolloutErrors, all_windows
from pct.types import Float
from pct.windows.window_set import WindowSet

# An error below this share of the channel's scale counts as zero.
FLOOR = 1e-7
# An iteration that lowers the cost by less than this share counts as idle.
TOLERANCE = 1e-4
# Errors are clipped at so many times the median in a channel's typical error: first, and later.
FIRST_CLIPPED, CLIPPED = 1.0, 10.0
# Idle iterations in a row that end the descent.
PATIENCE = 2
# Points whose errors are in memory: where a descent is, and where it may go.
KEPT = 2
# Windows whose starts are eliminated at once.
SOLVED = 4096
# Errors that are summed in double precision at once.
PART = 65_536
FIRST_DAMPING, LEAST_DAMPING, LARGEST_DAMPING = 1e-2, 1e-7, 1e8
# Spread of further starts on the unbounded axis.
SPREAD = 0.7
# Iterations from every start, how many starts continue, and iterations before the best continues alone.
COARSE_ITERATIONS, CONTINUED, FIRST_ITERATIONS = 8, 3, 30
# A window with an error beyond so many of its channel's typical ones is rejected, up to this share of them.
REJECTED = 50.0
MOST_REJECTED = 0.3


class Point(NamedTuple):
    """Raw parameters (P,) and offsets of the starts (K, W)."""

    raw: np.ndarray
    offsets: np.ndarray


class Path(NamedTuple):
    """State of a descent: its point, the accepted windows, (W,), and the cost after each iteration."""

    point: Point
    accepted: np.ndarray
    cost: tuple[float, ...]


class Problem:
    """The least-squares problem of a fit.

    Args:
        errors: of the model.
        windows: of the logs.
        numbers: which of them.
        centre: of the prior on the unbounded axis, (P,).
        prior: its size, see `pct.optimization.constants.prior`.
        huber: an error beyond so many of its channel's typical ones counts linearly.
    """

    def __init__(
        self,
        errors: RolloutErrors,
        windows: WindowSet,
        numbers: np.ndarray,
        centre: np.ndarray,
        prior: Prior,
        huber: float,
    ) -> None:
        self.centre, self.huber = centre, huber
        self.prior = deviations_of(prior, centre.size)
        self.prior_information = information_of(prior, centre.size)
        self._count = len(numbers)
        self._all = all_windows(errors, windows, numbers)
        self.refresh = self._all.refresh
        self._free = errors.free
        self._least = FLOOR * errors.spec.scales[list(errors.channels)]
        # Errors below these weigh as much as they do.
        self.floor = self._least
        # Of the points that were used last; they are the largest arrays of a fit.
        self._errors: list[tuple[Point, np.ndarray]] = []
        # Windows that predict each row.
        strides = np.diff(windows.starts[numbers])
        stride = np.median(strides) if strides.size else windows.horizon
        self.overlap = max(1.0, windows.horizon / max(1.0, float(stride)))

    def at(self, raw: np.ndarray, offsets: np.ndarray | None = None) -> Point:
        """A point; starts are as they are logged when left out."""
        point = Point(raw, np.zeros((self._free, self._count)) if offsets is None else offsets)
        self.error(point)
        return point

    def error(self, point: Point) -> Float[np.ndarray, "C T W"]:
        """The errors there, with the gains that held when it was made; anew where others came after it."""
        found = next((error for known, error in self._errors if known is point), None)
        # Room first.
        self._errors = [item for item in self._errors if item[0] is not point][1 - KEPT :]
        if found is None:
            found = self._all.errors(point.raw, point.offsets)
        self._errors.append((point, found))
        return found

    def is_finite(self, point: Point) -> bool:
        """Whether all errors are."""
        return all(np.isfinite(error).all() for error in self.error(point))

    def start(self, point: Point) -> Path:
        """The path before the first iteration."""
        return Path(point, np.ones(self._count, bool), ())

    def typical(self, path: Path, clipped: float) -> np.ndarray:
        """Root mean square error by channel, clipped at so many times the median error."""
        usual = [_clipped_rms(error, clipped) for error in self.accepted_errors(path)]
        return np.maximum(usual, self._least)

    def weights(self, path: Path, clipped: float) -> np.ndarray:
        """What an error of each channel is divided by: the typical one, but no less than the floor."""
        return np.maximum(self.typical(path, clipped), self.floor)

    def broken(self, path: Path) -> np.ndarray:
        """Which windows have an error far beyond the typical ones, (W,)."""
        usual = self.weights(path, FIRST_CLIPPED)
        largest = [np.abs(error).max(axis=0) for error in self.error(path.point)]
        return (np.array(largest) / usual[:, None]).max(axis=0) > REJECTED

    def accepted_errors(self, path: Path) -> Iterator[np.ndarray]:
        """Errors of the accepted windows, (T, A), channel by channel; no copy where all are."""
        every = bool(path.accepted.all())
        for error in self.error(path.point):
            yield error if every else error[:, path.accepted]

    def cost(self, path: Path, sigma: np.ndarray) -> float:
        """The losses of the accepted windows, and the prior."""
        away = path.point.raw - self.centre
        return float(self.losses(path, sigma).sum() + 0.5 * away @ self.prior_information @ away)

    def losses(self, path: Path, sigma: np.ndarray) -> np.ndarray:
        """Half the weighted sum of squares (linear for large errors) of each accepted window."""
        each = zip(self.accepted_errors(path), sigma, strict=True)
        losses = sum(_losses(error, usual, self.huber) for error, usual in each)
        return np.asarray(losses / self.overlap)

    def normal(self, path: Path, sigma: np.ndarray, groups: np.ndarray | None = None) -> NormalEquations:
        """Normal equations of the data, of all accepted windows or by group, (W,)."""
        return self._all.normal(path.point.raw, path.point.offsets, sigma, path.accepted, self.huber, groups)

    def move(self, path: Path, equations: NormalEquations, damping: float) -> Path:
        """A step of Levenberg and Marquardt."""
        reduced = without_starts(equations, damping=damping)
        prior = self.overlap * self.prior_information
        matrix = reduced.matrix[..., 0] + prior * (1 + damping * np.eye(self.centre.size))
        gradient = reduced.gradient.sum(axis=1) + prior @ (path.point.raw - self.centre)
        step = -solve_positive(matrix, gradient)[0]
        offsets = np.zeros_like(path.point.offsets)
        offsets[:, path.accepted] = -(reduced.starts + np.einsum("pkb,p->kb", reduced.follow, step))
        share = 1 / max(1.0, np.abs(step).max())
        return path._replace(
            point=self.at(path.point.raw + share * step, path.point.offsets + share * offsets)
        )


def _clipped_rms(error: np.ndarray, clipped: float) -> float:
    """Root mean square of errors, clipped at so many times their median."""
    size = np.abs(error)
    most = clipped * float(np.median(size))
    parts = _in_parts(size)
    total = sum(float(np.square(np.minimum(part, most), dtype=np.float64).sum()) for part in parts)
    return math.sqrt(total / size.size)


def _losses(error: np.ndarray, usual: float, huber: float) -> np.ndarray:
    """Half the squares of errors over the usual one, linear from ``huber`` on, summed over steps, (A,)."""
    total = np.zeros(error.shape[1])
    for part in _in_parts(error):
        size = np.divide(np.abs(part), usual, dtype=np.float64)
        square = np.minimum(size, huber)
        # With s, the part of a size up to huber: s (size - s / 2) is size^2 / 2 or huber size - huber^2 / 2.
        total += ((size - square / 2) * square).sum(axis=0)
    return total


def _in_parts(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Rows, (T, W), some at a time, so that what is computed from them in double precision stays small."""
    some = max(1, PART // max(1, rows.shape[1]))
    return (rows[first : first + some] for first in range(0, len(rows), some))


def best_start(
    problem: Problem, first: Point, starts: int, iterations: int, report: Callable[[Path], None]
) -> Path:
    """The best path after a few iterations from every start and more from the best of them."""
    rng = np.random.default_rng(0)
    paths = [problem.start(first)]
    for _ in range(starts - 1):
        point = problem.at(problem.centre + SPREAD * rng.standard_normal(problem.centre.size))
        if problem.is_finite(point):
            paths.append(problem.start(point))
    for most, left in ((COARSE_ITERATIONS, CONTINUED), (FIRST_ITERATIONS, 1)):
        if len(paths) > left or left == 1:
            paths = [descend(problem, path, min(most, iterations), FIRST_CLIPPED, report) for path in paths]
            paths.sort(key=lambda path: float(np.log(problem.typical(path, FIRST_CLIPPED)).sum()))
            paths = paths[:left]
    return paths[0]


def descend(problem: Problem, path: Path, most: int, clipped: float, report: Callable[[Path], None]) -> Path:
    """Levenberg-Marquardt up to a number of iterations in all, or until they are idle."""
    damping, idle = FIRST_DAMPING, 0
    while len(path.cost) < most:
        sigma = problem.weights(path, clipped)
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
        report(path)
        idle = 0 if gain > TOLERANCE * here else idle + 1
        if idle == PATIENCE or not gain > 0:
            broken = problem.broken(path)
            if not (broken & path.accepted).any() or broken.mean() > MOST_REJECTED:
                break
            path, damping, idle = path._replace(accepted=~broken), FIRST_DAMPING, 0
    return path


class Reduced(NamedTuple):
    """Normal equations of the parameters alone, and how the starts depend on them.

    Attributes:
        matrix: by group of windows, (P, P, G).
        gradient: by window, (P, B).
        starts: negative step of the starts where the parameters stay, (K, B).
        follow: negative step of the starts by each parameter, (P, K, B).
    """

    matrix: np.ndarray
    gradient: np.ndarray
    starts: np.ndarray
    follow: np.ndarray


def without_starts(
    equations: NormalEquations, groups: np.ndarray | None = None, *, damping: float = 0.0
) -> Reduced:
    """Eliminate the starts, window by window (the Schur complement).

    Args:
        equations: of the accepted windows, by these groups.
        groups: number of the group of each accepted window, (B,); all are of one when left out.
        damping: share of each diagonal that is added to it.
    """
    matrix, gradient, cross, block, start_gradient = equations
    matrix = matrix * (1 + damping * np.eye(len(matrix)))[..., None]
    count, windows = start_gradient.shape
    if not count:
        return Reduced(matrix, gradient, start_gradient, cross)
    groups = np.zeros(windows, int) if groups is None else groups
    gradient, starts, follow = gradient.copy(), np.empty_like(start_gradient), np.empty_like(cross)
    for first in range(0, windows, SOLVED):
        part = slice(first, first + SOLVED)
        # Where errors are beyond measure their weights are zero; what is divided by is not.
        blocks = block[..., part].transpose(2, 0, 1) * (1 + damping * np.eye(count)) + 1e-200 * np.eye(count)
        right = np.concatenate([cross[..., part], start_gradient[None, :, part]]).transpose(2, 1, 0)
        solved = np.linalg.solve(blocks, right).transpose(2, 1, 0)  # (P + 1, K, B)
        follow[..., part], starts[:, part] = solved[:-1], solved[-1]
        numbers, sums = sums_by_group(
            np.einsum("pkb,qkb->pqb", cross[..., part], follow[..., part]), groups[part]
        )
        matrix[..., numbers] -= sums
        gradient[:, part] -= np.einsum("pkb,kb->pb", cross[..., part], starts[:, part])
    return Reduced(matrix, gradient, starts, follow)
