"""How much wider scores are than those of independent errors, by how errors of rows go together in time.

Blocks of a short drive are few, and the spread of their scores is known badly. Its rows are many: what their
errors are like is estimated from all of them, by channel, as autoregressive noise of the first order, with
the likelihood that allows for the free starts of windows [1]. From it follows how wide the scores are if
nothing else makes errors alike; what blocks show beyond comes from errors of the model that last.

References:
    [1] H. Patterson, R. Thompson, "Recovery of inter-block information when block sizes are unequal",
        Biometrika 58 (1971): restricted maximum likelihood.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import toeplitz

from pct.optimization.constants.descent import Path, Problem
from pct.types import Float, Int

# So many windows tell the correlation well.
MOST_WINDOWS = 400
# Differences along an axis of the parameters, in its units, and along a start, in typical errors.
STEP, START_STEP = 0.1, 0.3
# Gradient that ends the search, times the root of the number of errors.
FLAT = 1e-2
# Added to squares and variances that may be zero.
TINY = 1e-12


class Rows(NamedTuple):
    """Errors of rows at an optimum, in typical errors.

    Attributes:
        errors: as the loss counts them, (C, T, W).
        slopes: their change along each axis of the parameters, starts following, (C, T, W, P).
        starts: their change with each free state of their window's start, (C, T, W, K).
    """

    errors: Float[np.ndarray, "C T W"]
    slopes: Float[np.ndarray, "C T W P"]
    starts: Float[np.ndarray, "C T W K"]


class RowNoise(NamedTuple):
    """Autoregressive noise: correlation of a row with the next, and standard deviation, (C,) both."""

    correlation: Float[np.ndarray, " C"]
    deviation: Float[np.ndarray, " C"]


def factor_of_rows(
    problem: Problem,
    path: Path,
    sigma: Float[np.ndarray, " C"],
    axes: Float[np.ndarray, "P P"],
    follow: Float[np.ndarray, "P K B"],
) -> float:
    """Mean square of the scores over that of independent errors, by errors of rows alone.

    Args:
        problem: of the fit.
        path: at the optimum.
        sigma: typical errors.
        axes: those on which scores count alike, in columns, on the unbounded axis.
        follow: see `pct.optimization.constants.descent.Reduced`.
    """
    count = int(path.accepted.sum())
    some = np.unique(np.linspace(0, count - 1, min(count, MOST_WINDOWS)).astype(int))
    rows = rows_of(problem, path, sigma, axes, follow, some)
    noise = row_noise(rows.errors, rows.starts)
    lags = np.arange(rows.errors.shape[1])
    squares, more = TINY, 0.0
    for slopes, correlation, deviation in zip(rows.slopes, *noise, strict=True):
        alike = deviation**2 * toeplitz(correlation**lags) - np.eye(len(lags))
        squares += float(np.sum(slopes**2))
        more += float(np.sum(slopes * np.einsum("tu,uwp->twp", alike, slopes)))
    return 1 + more / squares


def rows_of(
    problem: Problem,
    path: Path,
    sigma: Float[np.ndarray, " C"],
    axes: Float[np.ndarray, "P P"],
    follow: Float[np.ndarray, "P K B"],
    some: Int[np.ndarray, " W"],
) -> Rows:
    """Errors of some of the accepted windows, and their slopes by differences; see `factor_of_rows`."""
    here = path.point

    def errors(raw: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Where the parameters and the starts of the accepted windows, (K, B), move by so much."""
        offsets = here.offsets.copy()
        offsets[:, path.accepted] += starts
        moved = path._replace(point=problem.at(here.raw + raw, offsets))
        parts = zip(problem.accepted_errors(moved), sigma, strict=True)
        return np.array([error[:, some] / usual for error, usual in parts], np.float64)

    still, at_rest = np.zeros_like(here.raw), np.zeros((len(here.offsets), int(path.accepted.sum())))
    slopes = []
    for axis in STEP * axes.T:
        along = -np.einsum("pkb,p->kb", follow, axis)
        slopes.append((errors(axis, along) - errors(-axis, -along)) / (2 * STEP))
    plain = errors(still, at_rest)
    starts = np.empty((*plain.shape, len(at_rest)))
    for k, step in enumerate(START_STEP * sigma[: len(at_rest)]):
        move = at_rest.copy()
        move[k] = step
        starts[..., k] = (errors(still, move) - errors(still, -move)) / (2 * step)
    return Rows(np.clip(plain, -problem.huber, problem.huber), np.stack(slopes, axis=-1), starts)


def row_noise(errors: Float[np.ndarray, "C T W"], starts: Float[np.ndarray, "C T W K"]) -> RowNoise:
    """The noise that explains errors best where free starts have taken their part of them.

    Args:
        errors: of rows.
        starts: their change with the free states of the starts.

    Examples:
        >>> errors = np.cumsum(np.random.default_rng(0).standard_normal((1, 20, 300)), axis=1)
        >>> bool(row_noise(errors, np.ones((1, 20, 300, 1))).correlation[0] > 0.9)
        True
    """
    from scipy.optimize import minimize  # slow to import, and for draws alone

    channels, steps, windows = errors.shape
    every = np.concatenate([errors[..., None], starts], axis=-1)
    little = TINY * np.eye(starts.shape[-1])

    def cost(point: np.ndarray) -> float:
        """Restricted log likelihood, negative, of an error."""
        correlation, scale = np.tanh(point[:channels]), np.exp(point[channels:])
        fresh = np.sqrt(1 - correlation**2 + TINY)
        own, new, size = (values[:, None, None, None] for values in (correlation, fresh, scale))
        white = np.concatenate([every[:, :1], (every[:, 1:] - own * every[:, :-1]) / new], axis=1) / size
        squares = np.einsum("ctwi,ctwj->wij", white, white)
        # What the starts leave of the errors, and how well the starts are known.
        known, cross = squares[:, 1:, 1:] + little, squares[:, 1:, :1]
        left = squares[:, 0, 0] - (cross * np.linalg.solve(known, cross)).sum(axis=(1, 2))
        volume = 2 * windows * (steps * np.log(scale) + (steps - 1) * np.log(fresh)).sum()
        return 0.5 * float(left.sum() + np.linalg.slogdet(known)[1].sum() + volume) / errors.size

    size = 0.5 * np.log(np.mean(errors**2, axis=(1, 2)) + TINY)
    begin = np.concatenate([np.zeros(channels), size])
    best = minimize(cost, begin, method="BFGS", options={"gtol": FLAT / np.sqrt(errors.size)}).x
    return RowNoise(np.tanh(best[:channels]), np.exp(best[channels:]))
