"""`delay`: a control that acts a constant time after it is logged, or before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.dynamics.core import Parameter
from pct.measurement.base import Effect, Layer, Values, constant
from pct.types import Array, Float

ADVICE = "Command sharp steps and hold each for a second: the time to the answer is the delay."


class Delay(Effect):
    """u(t) acts at t + delay, with straight lines between rows.

    Beyond the first and last row of a window the nearest one holds, so that nothing outside it is read.
    """

    option = "delay"
    help = "Controls that act a constant time after they are logged, or before [channels]"
    layer = Layer.CLOCK
    acts_on = ("controls",)

    def parameter(self, name: str) -> Parameter:
        """Its delay."""
        doc = f"{name} acts so much later than it is logged"
        return constant(f"delay_{name}", "s", -0.5, 0.5, 0.0, doc, role=ADVICE)

    def on_columns(self, controls: Values, params: Mapping[str, Any], dt: float) -> Values:
        """The controls, shifted in time."""
        import jax.numpy as jnp

        def shift(column: Array, delay: Array) -> Array:
            before, share = taps(delay, column.shape[0], dt, jnp)
            share = share.astype(column.dtype)[:, None]
            return column[before] * (1 - share) + column[before + 1] * share

        return {name: shift(controls[name], params[f"delay_{name}"]) for name in self.channels}


def taps(delay: Array, rows: int, dt: float, xp: Any) -> tuple[Array, Array]:
    """Which logged rows act in each row of a column: the row before the time that acts, and the share of the
    next one, (rows,) each; the nearest row beyond the ends.

    Args:
        delay: in s; of one that is NaN, where a step of a fit has failed, the shares are NaN.
        rows: of the column.
        dt: time step in s.
        xp: array namespace.
    """
    last, delay = rows - 1, xp.asarray(delay)
    at = xp.clip(xp.arange(rows).astype(delay.dtype) - delay / dt, 0, last)
    before = xp.clip(xp.floor(xp.nan_to_num(at)).astype(int), 0, last - 1)
    return before, at - before


def share_slopes(delay: Array, rows: int, dt: float) -> Float[np.ndarray, " rows"]:
    """Change of the shares of `taps` with the delay, 1/s; half of it where a time stands at an end."""
    at = np.arange(rows) - delay / dt
    inside = 0.5 * ((at > 0) + 0.0 + (at >= 0)) * 0.5 * ((at < rows - 1) + 0.0 + (at <= rows - 1))
    return -inside / dt
