"""Between real numbers, which optimisers move, and values within bounds: monotonic, smooth, invertible.

Where a range spans decades the map works on logarithms. JAX is imported where it is used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from pct.dynamics.core import ModelSpec, flatten_bounds, flatten_params
from pct.types import Array, Bool, Float

# A default at a bound would need an infinite bias: it starts this share of the range inside.
EDGE = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds of a flat parameter vector, and the map of real numbers into them.

    Linear bounds: ``low + (high - low) * sigmoid(raw)``. Logarithmic ones: the same on the logarithms.

    Attributes:
        low, high: in each parameter's unit, (P,); ``low > 0`` where logarithmic.
        log: which entries are logarithmic, (P,); none when left out.

    Examples:
        >>> bounds = Bounds(np.array([0.0, 1.0]), np.array([2.0, 100.0]), np.array([False, True]))
        >>> bounds.to(np.zeros(2)).round(3).tolist()
        [1.0, 10.0]
        >>> bounds.back(np.array([1.0, 10.0])).tolist()
        [0.0, 0.0]
    """

    low: Float[np.ndarray, " P"]
    high: Float[np.ndarray, " P"]
    log: Bool[np.ndarray, " P"] | None = None

    @classmethod
    def of(cls, spec: ModelSpec, keys: Sequence[str] | None = None) -> Bounds:
        """Bounds of the learned parameters, or of those named, in their order."""
        keys = spec.param_keys if keys is None else tuple(keys)
        rows = {key: spec.parameter(key) for key in keys}
        shapes = {key: row.shape for key, row in rows.items()}
        log = flatten_params({key: float(row.log) for key, row in rows.items()}, keys, shapes) > 0
        return cls(*flatten_bounds(keys, spec.param_bounds, shapes), log)

    def to(self, raw: Float[Array, "... P"]) -> Float[Array, "... P"]:
        """Values of real numbers, (..., P).

        Far out the value rests on the bound and the gradient goes to zero, both finite.
        """
        import jax
        import jax.numpy as jnp

        low, high = self._at(raw)
        share = jax.nn.sigmoid(raw)
        value = low + (high - low) * share
        if self._bends:
            safe_low, ratio = self._logarithmic(low, high)
            value = jnp.where(np.asarray(self.log), safe_low * jnp.exp(np.log(ratio) * share), value)
        # Rounding may step over a bound by one unit in the last place.
        return jnp.clip(value, low, high)

    def on_host(
        self, raw: Float[np.ndarray, "... P"]
    ) -> tuple[Float[np.ndarray, "... P"], Float[np.ndarray, "... P"]]:
        """Values as of `to` and their change with the real numbers, both in double precision, without JAX."""
        with np.errstate(invalid="ignore"):  # of a start that is no number, which the rollouts tell
            share = np.exp(-np.logaddexp(0.0, -np.asarray(raw, np.float64)))
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        value, slope = low + (high - low) * share, high - low
        if self._bends:
            safe_low, ratio = self._logarithmic(low, high)
            bent = safe_low * ratio**share
            value, slope = (
                np.where(np.asarray(self.log), *pair)
                for pair in ((bent, value), (bent * np.log(ratio), slope))
            )
        return np.clip(value, low, high), slope * share * (1 - share)

    def slope(self, value: Float[Array, "... P"]) -> Float[Array, "... P"]:
        """Change of a value as its share of the range, logarithmic where bounded so, goes from 0 to 1."""
        import jax.numpy as jnp

        low, high = self._at(value)
        if not self._bends:
            return jnp.broadcast_to(high - low, value.shape)
        _, ratio = self._logarithmic(low, high)
        return jnp.where(np.asarray(self.log), value * np.log(ratio), high - low)

    def back(self, value: Float[np.ndarray, "... P"], edge: float = EDGE) -> Float[np.ndarray, "... P"]:
        """Inverse of `to`; a value at a bound is taken the share ``edge`` of the range inside it."""
        share = (value - self.low) / (self.high - self.low)
        if self.log is not None:
            log = np.asarray(self.log, bool)
            part, low, high = (
                np.where(log, v, e) for v, e in ((value, 1.0), (self.low, 1.0), (self.high, np.e))
            )
            share = np.where(log, np.log(part / low) / np.log(high / low), share)
        share = np.clip(share, edge, 1.0 - edge)
        return np.log(share) - np.log1p(-share)

    @property
    def _bends(self) -> bool:
        return self.log is not None and bool(np.any(self.log))

    def _at(self, like: Array) -> tuple[np.ndarray, np.ndarray]:
        """Both bounds in the precision of an array."""
        return np.asarray(self.low, like.dtype), np.asarray(self.high, like.dtype)

    def _logarithmic(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower bounds, and ratios of both bounds; ones where linear."""
        log = np.asarray(self.log)
        safe_low = np.where(log, low, 1.0)
        return safe_low, np.where(log, high / safe_low, 1.0)
