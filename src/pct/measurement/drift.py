"""`drift`: an error of a rate that the observer estimates, such as from a slope, wind or a weak engine."""

from __future__ import annotations

from typing import Any

from pct.dynamics.core import Parameter
from pct.measurement.base import Effect, Hidden, Layer, Values, fade


class Drift(Effect):
    """dx/dt = f(x, u) + d with a hidden d that fades: dd/dt = -d / fade."""

    option = "drift"
    help = (
        "States whose rate has an error that fades and that the observer estimates, beside those that it "
        "reads anyhow [channels]"
    )
    layer = Layer.RATE
    needs_observer = True

    def hidden(self) -> tuple[Hidden, ...]:
        """The error of the rate, zero at the start; its gains are per second."""
        return tuple(Hidden(name, "drift", "/s", reach=30.0) for name in self.channels)

    def parameter(self, name: str) -> Parameter:
        """The time in which it fades."""
        return fade(name, "drift")

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """Rates with their errors."""
        drifts = {name: values[f"{name}_drift"] for name in self.channels}
        return {name: rates[name] + drifts[name] for name in drifts} | {
            f"{name}_drift": -drifts[name] / getattr(p, f"fade_{name}_drift") for name in drifts
        }
