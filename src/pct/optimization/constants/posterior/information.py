"""What the data of a fit are worth by the spread of the scores of its blocks.

References:
    [1] R. Bell, D. McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage
        samples", Survey Methodology 28 (2002): scores of blocks that have drawn the estimate.
    [2] Y. Chen, A. Wiesel, Y. Eldar, A. Hero, "Shrinkage algorithms for MMSE covariance estimation", IEEE
        Transactions on Signal Processing 58 (2010): oracle approximating shrinkage.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.types import Float

# A block has at most this share of all that is known along a direction; more would divide by nearly zero.
MOST_OF_ALL = 0.9
# Data without noise have scores of nearly zero.
LEAST_FACTOR = 1e-12
# Where nothing is known along a direction k is one: so much of all that is known is added to both.
FAINT = 1e-3


class Adjusted(NamedTuple):
    """What data are worth by the spread of the scores of blocks.

    Attributes:
        matrix: information, (P, P).
        freedom: degrees of freedom of the variance along a direction, by Satterthwaite's approximation [1].
        directions: number of those that the data know.
        factor: mean square of the scores over that of independent errors.
    """

    matrix: np.ndarray
    freedom: float
    directions: float
    factor: float


def adjusted_information(
    information: Float[np.ndarray, "G P P"],
    scores: Float[np.ndarray, "G P"],
    known: Float[np.ndarray, "P P"],
    least: float = LEAST_FACTOR,
) -> Adjusted:
    """Information of the data from the scores of blocks, shrunk towards a share of that as if independent.

    On axes on which the latter is the unit matrix, so is the sum of squares of the scores where errors are
    independent. What it is instead is estimated by [2], since few blocks tell a factor for all directions
    well, and one for each direction badly. Scores are those that a block would have without its own pull on
    the estimate [1].

    Args:
        information: of each block, in units in which that of all and of the prior is the unit matrix.
        scores: gradient of the cost of each block at the optimum, in these units.
        known: information of the data as if independent, in these units: the sum over the blocks.
        least: factor that errors of rows give alone (`pct.optimization.constants.posterior.rows`); where
            blocks say less, it is chance.
    """
    values, vectors = np.linalg.eigh(known)
    scale = np.sqrt(np.maximum(values, FAINT))
    parts = vectors.T @ information @ vectors / np.outer(scale, scale)
    white = scores @ vectors / scale
    # Where the data alone have their optimum, by their own curvature: a prior has a pull, too.
    white = white - parts @ white.sum(axis=0)
    expected = np.zeros_like(known)
    for k, own in enumerate(parts):
        shares, axes = np.linalg.eigh(own)
        left = 1 - np.clip(shares, 0.0, MOST_OF_ALL)
        white[k] = axes @ ((axes.T @ white[k]) / np.sqrt(left))
        expected += (axes * (shares * (1 - shares) / left)) @ axes.T
    # Directions of which the data know nothing do not count, and what one block alone knows has the factor of
    # the others: its own score is zero.
    whole = parts.sum(axis=0)
    size = float(np.trace(whole))
    # Blocks that know more than others are as good as fewer that know the same.
    squares = float(np.sum(parts**2))
    count = size / squares
    sample, told = white.T @ white, float(np.trace(expected))
    factor = float(np.trace(sample)) / told if told > FAINT * size else 1.0
    factor = max(factor, least)
    sample = sample + factor * (whole - expected)
    trace, square = np.trace(sample), np.sum(sample**2)
    spread = (count + 1 - 2 / size) * (square - trace**2 / size)
    share = float(np.clip(((1 - 2 / size) * square + trace**2) / spread, 0, 1)) if spread > 0 else 1.0
    own, axes = np.linalg.eigh((1 - share) * sample + share * factor * np.eye(len(known)))
    shrunk = (axes * np.maximum(own, least)) @ axes.T
    of_all = squares / size**2
    of_each = np.sum(np.diagonal(parts, axis1=1, axis2=2) ** 2) / size
    freedom = 1 / ((1 - share) ** 2 * of_each + (1 - (1 - share) ** 2) * of_all)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    return Adjusted(root @ np.linalg.solve(shrunk, root.T), float(freedom), size, factor)
