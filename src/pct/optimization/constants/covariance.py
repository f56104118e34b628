"""Covariance of a fit by the jackknife over blocks, from sums that stay positive definite.

Each block's information is a sum of squares, so it has no negative eigenvalue but by rounding; there it is
set to zero, on axes of unit size, since parameters differ in theirs by many powers of ten. What is left where
a block is left out is the sum of the others, never a difference: with a prior it is positive definite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pct.types import Float

# What is below so many units in the last place of single precision, beside one, is rounding.
ROUNDING = 8 * float(np.finfo(np.float32).eps)
# A condition beyond that leaves no digit in double precision.
LARGEST_CONDITION = 1e14


class Covariance(NamedTuple):
    """Covariance of an estimate.

    Attributes:
        matrix: (P, P); NaN where it is not known.
        information: of the data alone, (P, P), as if the model were right.
        sound: whether the matrix is finite and came from a well-conditioned information.
    """

    matrix: np.ndarray
    information: np.ndarray
    sound: bool


def jackknife(
    parts: Sequence[tuple[Float[np.ndarray, "P P"], Float[np.ndarray, " P"]]],
    prior: Float[np.ndarray, "P P"],
) -> Covariance:
    """Covariance from how far the estimate moves where a block is left out, to first order.

    Args:
        parts: information and gradient of each block.
        prior: information of the prior: one more measurement with known spread.

    Returns:
        With one block: the covariance as if the model were right.
    """
    size = len(prior)
    if not parts or not all(
        np.isfinite(matrix).all() and np.isfinite(slope).all() for matrix, slope in parts
    ):
        unknown = np.full((size, size), np.nan)
        return Covariance(unknown, unknown, sound=False)
    own = [positive_part(matrix) for matrix, _ in parts]
    # The sum of the blocks after each, and in the loop that of those before it.
    after = [np.zeros_like(prior)]
    for matrix in reversed(own[1:]):
        after.append(after[-1] + matrix)
    before, shifts, sound = np.zeros_like(prior), [], True
    for matrix, (_, gradient), later in zip(own, parts, reversed(after), strict=True):
        if len(own) > 1:
            shift, safe = solve_positive(before + later + prior, gradient)
            shifts.append(shift)
            sound = sound and safe
        before = before + matrix
    bread, safe = solve_positive(before + prior, np.eye(size))
    matrix = (bread + bread.T) / 2
    if shifts:
        moved = np.stack(shifts)
        matrix = moved.T @ moved * (1 - 1 / len(own)) + matrix @ prior @ matrix
    return Covariance(matrix, before, sound and safe and bool(np.isfinite(matrix).all()))


def positive_part(matrix: Float[np.ndarray, "P P"]) -> np.ndarray:
    """A symmetric matrix without what rounding made of its zero eigenvalues.

    Examples:
        >>> rounded = np.array([[1.0, 1.0], [1.0, 1.0 - 1e-7]])
        >>> bool(np.linalg.eigvalsh(rounded)[0] < 0 <= np.linalg.eigvalsh(positive_part(rounded))[0] + 1e-15)
        True
    """
    symmetric = (matrix + matrix.T) / 2
    size = np.sqrt(np.maximum(np.diag(symmetric), 0.0))
    unit = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(symmetric / np.outer(unit, unit))
    values = np.where(values > ROUNDING, values, 0.0)
    root = vectors * np.sqrt(values) * unit[:, None]
    return root @ root.T


def solve_positive(
    matrix: Float[np.ndarray, "P P"], right: Float[np.ndarray, "P ..."]
) -> tuple[np.ndarray, bool]:
    """Solution of a symmetric positive definite system, and whether it can be trusted.

    By eigenvalues, on axes of unit size, and without the directions that the matrix does not know. Never
    raises: what is not finite gives NaN.

    Examples:
        >>> solve_positive(np.diag([1e20, 4.0]), np.array([1e20, 2.0]))
        (array([1. , 0.5]), True)
        >>> solve_positive(np.ones((2, 2)), np.array([2.0, 2.0]))[1]
        False
        >>> solve_positive(np.eye(0), np.eye(0))[0].shape
        (0, 0)
    """
    if not (np.isfinite(matrix).all() and np.isfinite(right).all()):
        return np.full(np.shape(right), np.nan), False
    symmetric = (matrix + matrix.T) / 2
    diagonal = np.diag(symmetric)
    axes = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = symmetric / np.outer(axes, axes)
    values, vectors = np.linalg.eigh(scaled)
    least = values.max(initial=0.0) / LARGEST_CONDITION
    known = values > least
    vectors = vectors[:, known] / axes[:, None]
    weighted = vectors / values[known]
    return weighted @ (vectors.T @ right), bool(known.all())
