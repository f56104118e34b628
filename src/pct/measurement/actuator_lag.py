"""`actuator_lag`: an actuator that follows its command with a first-order lag."""

from __future__ import annotations

from typing import Any

from pct.dynamics.core import Parameter
from pct.measurement.base import Effect, Hidden, Layer, Values, constant

ADVICE = "Command steps of several sizes and both signs, and hold each for a second."


class ActuatorLag(Effect):
    """tau da/dt = u - a with the logged command u and the hidden value a that acts."""

    option = "actuator_lag"
    help = "States or controls that act with a first-order lag behind what is logged [channels]"
    layer = Layer.RESPONSE
    acts_on = ("states", "controls")

    def hidden(self) -> tuple[Hidden, ...]:
        """What acts; as it is logged at the start."""
        return tuple(Hidden(name, "acting", start=1.0) for name in self.channels)

    def parameter(self, name: str) -> Parameter:
        """The time of its lag."""
        doc = f"lag of {name} behind its command"
        return constant(f"tau_{name}_acting", "s", 0.005, 2.0, 0.1, doc, log=True, role=ADVICE)

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """The vehicle feels what acts."""
        return {name: values[f"{name}_acting"] for name in self.channels}

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """What acts follows the command."""
        return {
            f"{name}_acting": (values[name] - values[f"{name}_acting"]) / getattr(p, f"tau_{name}_acting")
            for name in self.channels
        }
