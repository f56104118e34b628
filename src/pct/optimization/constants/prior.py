"""What a fit takes for granted of its parameters on the unbounded axis: a normal distribution.

Its centre are the model's defaults. Its size is one standard deviation for all, one of each, (P,), or a
covariance, (P, P), as that of a fleet.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from pct.optimization.constants.covariance import solve_positive

Prior: TypeAlias = float | np.ndarray


def covariance_of(prior: Prior, size: int) -> np.ndarray:
    """Covariance of a prior, (P, P).

    Examples:
        >>> covariance_of(2.0, 2).tolist()
        [[4.0, 0.0], [0.0, 4.0]]
    """
    if np.ndim(prior) == 2:
        return np.asarray(prior, float)
    return np.diag(np.broadcast_to(np.asarray(prior, float) ** 2, size))


def information_of(prior: Prior, size: int) -> np.ndarray:
    """Inverse of the covariance of a prior, (P, P).

    Examples:
        >>> information_of(np.array([[2.0, 1.0], [1.0, 2.0]]), 2).round(3).tolist()
        [[0.667, -0.333], [-0.333, 0.667]]
    """
    if np.ndim(prior) == 2:
        return solve_positive(np.asarray(prior, float), np.eye(size))[0]
    return np.diag(1 / np.broadcast_to(np.asarray(prior, float) ** 2, size))


def deviations_of(prior: Prior, size: int) -> np.ndarray:
    """Standard deviations of a prior, (P,)."""
    return np.sqrt(np.diag(covariance_of(prior, size)))


def without(prior: Prior, places: list[int], deviation: float | np.ndarray, size: int) -> Prior:
    """A prior with another standard deviation of some entries, which no other one depends on any more."""
    if np.ndim(prior) < 2:
        changed = np.array(np.broadcast_to(np.asarray(prior, float), size))
        changed[places] = deviation
        return changed
    changed = np.array(prior, float)
    changed[places, :] = changed[:, places] = 0.0
    changed[places, places] = deviation**2
    return changed
