"""Values of several drives: their mean, how much they differ beyond their errors, and whether they do.

A value of each drive scatters about the mean by what truly differs between drives, ``tau``, and by its own
error. The blocks of one drive cannot know ``tau``; only other drives show it. It is Paule and Mandel's [1]:
the value with which the weighted squares are what they should be. Then the variance of Hartung, Knapp, Sidik
and Jonkman is the usual one wherever ``tau`` is above zero, and below it where it is zero, so the usual one
with Student's t is their cautious form [2].

References:
    [1] R. Paule, J. Mandel, "Consensus values and weighting factors", J. Res. Natl. Bur. Stand. 87 (1982).
    [2] J. IntHout, J. Ioannidis, G. Borm, "The Hartung-Knapp-Sidik-Jonkman method for random effects
        meta-analysis is straightforward", BMC Med. Res. Methodol. 14 (2014).
    [3] W. Cochran, "The combination of estimates from different experiments", Biometrics 10 (1954).
    [4] B. Welch, "On the comparison of several mean values: an alternative approach", Biometrika 38 (1951).
    [5] S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979).
    [6] F. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics 2
        (1946).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pct.types import Float

CONFIDENCE = 0.95
# Halvings of the range in which tau is looked for.
HALVINGS = 60


class RandomEffects(NamedTuple):
    """What the values of several drives say together; in their unit.

    Attributes:
        mean, error: weighted mean and its standard error.
        tau: standard deviation of what differs between drives.
        low, high: 95 % interval of the mean.
        next_low, next_high: 95 % interval of the value that one more drive would show by its own fit.
        q: Cochran's Q, the weighted squares with ``tau`` of zero.
        p: probability of a larger one where all drives have one value.
        drives: their number.
        freedom: degrees of freedom of ``error``: that of the drives' errors, and drives less one for ``tau``.
    """

    mean: float
    error: float
    tau: float
    low: float
    high: float
    next_low: float
    next_high: float
    q: float
    p: float
    drives: int
    freedom: float = float("nan")


def random_effects(
    values: Float[np.ndarray, " M"],
    errors: Float[np.ndarray, " M"],
    freedom: Float[np.ndarray, " M"] | None = None,
) -> RandomEffects:
    """Mean, spread and equality of the values of M drives, 2 or more.

    Args:
        values: of each drive.
        errors: their standard errors, above zero.
        freedom: degrees of freedom of each error; unlimited when left out. Errors that rest on few blocks
            make Q too large; Welch's test accounts for that [4].

    Examples:
        >>> same = random_effects(np.array([1.0, 1.1, 0.9, 1.0]), np.full(4, 0.1))
        >>> same.tau, round(same.error, 3), round(same.p, 2)
        (0.0, 0.05, 0.57)
        >>> apart = random_effects(np.array([0.5, 0.7, 0.9, 1.1]), np.full(4, 0.01))
        >>> round(apart.mean, 2), round(apart.tau, 3), apart.p < 1e-9
        (0.8, 0.258, True)
    """
    from scipy.special import chdtrc, stdtrit

    values, variances = np.asarray(values, float), np.asarray(errors, float) ** 2
    count = len(values)
    tau = _spread(values, variances)
    mean = _weighted(values, variances + tau**2)[0]
    weights = 1 / (variances + tau**2)
    error = float(np.sqrt(1 / weights.sum()))
    q = _weighted(values, variances)[1]
    p = float(chdtrc(count - 1, q)) if freedom is None else _welch(values, variances, freedom)
    reach = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
    room = float(np.sqrt(tau**2 + error**2 + np.mean(variances)))
    shares = (weights / weights.sum()) ** 2
    known = np.full(count, np.inf) if freedom is None else freedom
    free = combined_freedom([*(shares * variances), shares.sum() * tau**2], [*known, count - 1.0])
    return RandomEffects(
        mean,
        error,
        tau,
        mean - reach * error,
        mean + reach * error,
        mean - reach * room,
        mean + reach * room,
        q,
        p,
        count,
        free,
    )


def combined_freedom(variances: Sequence[float], freedom: Sequence[float]) -> float:
    """Degrees of freedom of a sum of variances that are estimated each by itself (Satterthwaite) [6].

    Examples:
        >>> combined_freedom([1.0, 1.0], [4.0, 4.0])
        8.0
        >>> combined_freedom([1.0, 0.0], [30.0, 2.0])
        30.0
        >>> combined_freedom([1.0], [np.inf])
        inf
    """
    parts = np.asarray(variances, float)
    lacking = float(np.sum(parts**2 / np.asarray(freedom, float)))
    return float(parts.sum() ** 2 / lacking) if lacking > 0 else math.inf


def holm(p: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Probabilities adjusted so that the chance of any false alarm among all K is kept [5].

    Args:
        p: of each test; NaN where there was none, which stays so and does not count.

    Examples:
        >>> holm(np.array([0.01, np.nan, 0.04, 0.03])).tolist()
        [0.03, nan, 0.06, 0.06]
    """
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def _weighted(values: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
    """Weighted mean, and the sum of the weighted squares about it."""
    weights = 1 / variances
    mean = float(weights @ values / weights.sum())
    return mean, float(weights @ (values - mean) ** 2)


def _spread(values: np.ndarray, variances: np.ndarray) -> float:
    """Paule and Mandel's tau: the weighted squares fall as it grows, down to the degrees of freedom."""
    free = len(values) - 1
    if _weighted(values, variances)[1] <= free:
        return 0.0
    # With that, no weight is above 1 / high, so the squares are below the degrees of freedom.
    low, high = 0.0, float(np.sum((values - values.mean()) ** 2) / free)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _weighted(values, variances + middle)[1] > free else (low, middle)
    return float(np.sqrt((low + high) / 2))


def _welch(values: np.ndarray, variances: np.ndarray, freedom: np.ndarray) -> float:
    """Probability by Welch's test [4]; that of Q where all degrees of freedom are unlimited."""
    from scipy.special import fdtrc

    count = len(values)
    weights = 1 / variances
    lacking = float(np.sum((1 - weights / weights.sum()) ** 2 / np.maximum(freedom, 1e-9)))
    squares = _weighted(values, variances)[1] / (count - 1)
    statistic = squares / (1 + 2 * (count - 2) / (count**2 - 1) * lacking)
    return float(fdtrc(count - 1, min((count**2 - 1) / (3 * max(lacking, 1e-12)), 1e9), statistic))
