"""What the whole drive says of each row: the filter's hypotheses, read backwards.

A hypothesis says where the stretch of constant parameters begins that a row lies in. Given that a change
comes right after a row, all later rows tell nothing more of where the stretch before it began [1]. So the
probability of a change after each row, and of each stretch, follow from the filter's weights in one pass
backwards; what wanders within a stretch goes by Rauch, Tung and Striebel [2].

References:
    [1] P. Fearnhead, Z. Liu, "On-line inference for multiple changepoint problems", J. R. Stat. Soc. B 69
    (2007). [2] H. Rauch, F. Tung, C. Striebel, "Maximum likelihood estimates of linear dynamic systems",
    AIAA J. 3 (1965).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from pct.tracking.native import Filtered
from pct.types import Float

# Ends of the bands, and the middle.
LEVELS = (0.025, 0.5, 0.975)
BISECTIONS = 45


class Smoothed(NamedTuple):
    """What is known of each of N rows with the whole drive, for V varying parameters.

    Attributes:
        low, middle, high: ends of the 95 % band and median, (N, V).
        changes: probability that a parameter changes between a row and the next one, (N, V).
    """

    low: Float[np.ndarray, "N V"]
    middle: Float[np.ndarray, "N V"]
    high: Float[np.ndarray, "N V"]
    changes: Float[np.ndarray, "N V"]


def smooth(filtered: Filtered, step: Float[np.ndarray, " V"]) -> Smoothed:
    """Smooth what the filter has found.

    Args:
        filtered: with its hypotheses.
        step: variance that each varying parameter wanders by from row to row.
    """
    rows, _, size = filtered.means.shape
    weights, means, covariances = (
        np.empty_like(x) for x in (filtered.weights, filtered.means, filtered.covariances)
    )
    changes = np.zeros((rows, size))
    weights[-1], means[-1], covariances[-1] = (
        x[-1] for x in (filtered.weights, filtered.means, filtered.covariances)
    )
    for t in range(rows - 2, -1, -1):
        own, P, m = filtered.weights[t], filtered.covariances[t], filtered.means[t]
        born = np.flatnonzero(filtered.labels[t + 1] == t + 1)
        same = filtered.labels[t + 1] == filtered.labels[t]
        lasting = np.where(same, weights[t + 1], 0.0)
        on = _through(P, m, step, means[t + 1], covariances[t + 1])
        parts = [(lasting, *on)]
        for slot in born:
            which, chance = int(filtered.which[t + 1, slot]), weights[t + 1, slot]
            changes[t, which] += chance
            parts.append(
                (chance * own, *_past_change(own, m, P, which, means[t + 1, slot], covariances[t + 1, slot]))
            )
        weights[t], means[t], covariances[t] = _merged(parts)
    deviations = np.sqrt(np.maximum(np.einsum("tkvv->tkv", covariances), 1e-24))
    low, middle, high = (mixture_quantile(weights, means, deviations, level) for level in LEVELS)
    return Smoothed(low, middle, high, changes)


def _through(
    P: np.ndarray, m: np.ndarray, step: np.ndarray, later_m: np.ndarray, later_P: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of a row from those of the next one, within a stretch; of every slot."""
    if not step.any():
        return later_m, later_P
    ahead = P + np.diag(step)
    gain = P @ np.linalg.pinv(ahead, hermitian=True)
    mean = m + np.einsum("kij,kj->ki", gain, later_m - m)
    return mean, P + gain @ (later_P - ahead) @ gain.swapaxes(1, 2)


def _past_change(
    own: np.ndarray, m: np.ndarray, P: np.ndarray, which: int, later_m: np.ndarray, later_P: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same before a change of one parameter: the others stay, and what comes after tells of them."""
    others = [i for i in range(m.shape[1]) if i != which]
    if not others:
        return m, P
    mean = own @ m
    away = m - mean
    whole = np.einsum("k,kij->ij", own, P) + np.einsum("k,ki,kj->ij", own, away, away)
    at = np.ix_(others, others)
    gain = P[:, :, others] @ np.linalg.pinv(whole[at], hermitian=True)
    moved = m + gain @ (later_m - mean)[others]
    return moved, P + gain @ (later_P - whole)[at] @ gain.swapaxes(1, 2)


def _merged(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One Gaussian a slot of several."""
    total = np.sum([weight for weight, _, _ in parts], axis=0)
    share = [weight / np.where(total > 0, total, 1.0) for weight, _, _ in parts]
    mean = sum(s[:, None] * m for s, (_, m, _) in zip(share, parts, strict=True))
    covariance = sum(
        s[:, None, None] * (P + (m - mean)[:, :, None] * (m - mean)[:, None, :])
        for s, (_, m, P) in zip(share, parts, strict=True)
    )
    return total, mean, covariance


def mixture_quantile(
    weights: Float[np.ndarray, "N K"],
    means: Float[np.ndarray, "N K V"],
    deviations: Float[np.ndarray, "N K V"],
    level: float,
) -> Float[np.ndarray, "N V"]:
    """Where mixtures of Gaussians have so much below them."""
    weights = weights / weights.sum(1, keepdims=True)
    counts = (weights > 1e-9)[:, :, None]
    low = np.where(counts, means - 6 * deviations, np.inf).min(1)
    high = np.where(counts, means + 6 * deviations, -np.inf).max(1)
    for _ in range(BISECTIONS):
        at = (low + high) / 2
        below = (weights[:, :, None] * ndtr((at[:, None] - means) / deviations)).sum(1)
        low, high = np.where(below < level, at, low), np.where(below < level, high, at)
    return (low + high) / 2
