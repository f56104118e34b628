"""Roads of a simulation: friction, roughness and temperature."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from pct.types import Float


@dataclasses.dataclass(frozen=True)
class Roads:
    """What each recording drives on, by logging step.

    Attributes:
        mu: friction coefficient, shape (R, N).
        vibration: root mean square of the vertical acceleration at 1 m/s, in m/s^2, shape (R, N).
        temperature: surface temperature in K, shape (R, N).
    """

    mu: Float[np.ndarray, "R N"]
    vibration: Float[np.ndarray, "R N"]
    temperature: Float[np.ndarray, "R N"]


def draw_roads(
    rng: np.random.Generator, recordings: int, steps: int, dt: float, mu: Sequence[float], surfaces: int
) -> Roads:
    """Lay the surfaces of each recording.

    Slippery surfaces tend to be smooth, but the roughness scatters along the road by a factor of 1.5 in
    either direction, more than friction moves it, so that no reading of it
    names the recording. Temperature has nothing to do with friction.
    """
    counts = [1 + i % surfaces for i in range(recordings)]
    values = _friction_values(rng, mu, sum(counts))
    friction = np.empty((recordings, steps))
    for row, count in zip(friction, counts, strict=True):
        lengths = rng.uniform(0.5, 1.0, count)
        ends = np.round(np.cumsum(lengths) / lengths.sum() * steps).astype(int)
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            row[start:end] = values.pop()
    rough = 0.6 * np.exp(0.7 * (friction - 0.7) + 0.4 * _wander(rng, friction.shape, 1.0 / dt))
    return Roads(friction, rough, 298.0 + 6.0 * _wander(rng, friction.shape, 3.0 / dt))


def _friction_values(rng: np.random.Generator, mu: Sequence[float], count: int) -> list[float]:
    """Friction of each surface, spread evenly over the range or the list, in random order."""
    if len(mu) <= 2:
        low, high = mu[0], mu[-1]
        values = low + (high - low) * (np.arange(count) + rng.random(count)) / count
    else:
        values = np.resize(rng.permutation(mu), count)
    return list(rng.permutation(np.round(values, 3)))


def _wander(rng: np.random.Generator, shape: tuple[int, int], correlation: float) -> np.ndarray:
    """Gaussian noise of unit variance along the last axis, correlated over that many steps."""
    keep = math.exp(-1.0 / correlation)
    values = rng.standard_normal(shape)
    for k in range(1, shape[1]):
        values[:, k] = keep * values[:, k - 1] + math.sqrt(1.0 - keep**2) * values[:, k]
    return values
