"""Axes on which a posterior is drawn: logarithms of what is positive.

A drive tells of products: B C D is the slope of a tyre's curve, a force over a mass an acceleration. Where
their factors are traded off, the valley of a posterior bends on the unbounded axis of the fit. On logarithms
it is straight, and steps of a sampler are long there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from pct.dynamics.bounds import Bounds
from pct.types import Bool, Float


class Place(NamedTuple):
    """A point on the unbounded axis.

    Attributes:
        raw: the point, (P,); not finite beyond the bounds.
        slope: its change with that on the axes of the draws, (P,).
        volume: logarithm of the change of the volume, the sum of those of the slopes.
        volume_slope: its change with the point on the axes of the draws, (P,).
    """

    raw: Float[np.ndarray, " P"]
    slope: Float[np.ndarray, " P"]
    volume: float
    volume_slope: Float[np.ndarray, " P"]


class DrawAxes:
    """The map between the unbounded axis of a fit and that of its draws.

    Parameters that may be negative stay on the unbounded axis.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._low, self._high = (np.asarray(end, np.float64) for end in (bounds.low, bounds.high))
        self._positive: Bool[np.ndarray, " P"] = self._low >= 0
        none = np.zeros(self._low.shape, bool)
        self._log = none if bounds.log is None else np.asarray(bounds.log, bool)

    def at(self, raw: Float[np.ndarray, " P"]) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
        """The point on the axes of the draws, and its change with the raw one, (P,) both."""
        value, slope = self._bounds.on_host(raw)
        safe = np.where(self._positive, value, 1.0)
        return np.where(self._positive, np.log(safe), raw), np.where(self._positive, slope / safe, 1.0)

    def raw(self, points: Float[np.ndarray, "... P"]) -> Float[np.ndarray, "... P"]:
        """Raw points, not finite beyond the bounds."""
        return np.where(self._positive, self._raw_of(points), points)

    def back(self, point: Float[np.ndarray, " P"]) -> Place:
        """The raw point of one on the axes of the draws, (P,)."""
        raw = self.raw(point)
        share = expit(raw)
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(self._positive, self.at(raw)[1], 1.0)
            # Of the logarithm of the rate with the raw number.
            change = np.where(self._positive, 1 - 2 * share - np.where(self._log, 0.0, rate), 0.0)
            return Place(raw, 1 / rate, -float(np.log(rate).sum()), -change / rate)

    def _raw_of(self, point: Float[np.ndarray, "... P"]) -> Float[np.ndarray, "... P"]:
        """As of `Bounds.back`, without its edge."""
        with np.errstate(all="ignore"):
            value = np.exp(np.where(self._positive, point, 0.0))
            share = (value - self._low) / (self._high - self._low)
            low = np.where(self._log, self._low, 1.0)
            logarithmic = (point - np.log(low)) / np.log(np.where(self._log, self._high, math.e) / low)
            share = np.where(self._log, logarithmic, share)
            return np.log(share) - np.log1p(-share)
