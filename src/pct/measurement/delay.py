"""`delay`: a control that acts a constant time after it is logged, or before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pct.dynamics.core import Parameter
from pct.measurement.base import Effect, Layer, Values, constant
from pct.types import Array

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
            last = column.shape[0] - 1
            at = jnp.clip(jnp.arange(last + 1) - delay / dt, 0, last)
            before = jnp.clip(jnp.floor(at).astype(int), 0, last - 1)
            share = (at - before).astype(column.dtype)[:, None]
            return column[before] * (1 - share) + column[before + 1] * share

        return {name: shift(controls[name], params[f"delay_{name}"]) for name in self.channels}
