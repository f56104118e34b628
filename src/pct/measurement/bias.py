"""`bias`: an error of a sensor's reading that the observer estimates."""

from __future__ import annotations

from typing import Any

from pct.dynamics.core import Parameter
from pct.measurement.base import Effect, Hidden, Layer, Values, fade


class Bias(Effect):
    """y = x + b with the reading y and a hidden b that fades: db/dt = -b / fade."""

    option = "bias"
    help = "States whose sensor has an error that fades and that the observer estimates [channels]"
    layer = Layer.OUTPUT
    needs_observer = True

    def hidden(self) -> tuple[Hidden, ...]:
        """The error of the reading, zero at the start."""
        return tuple(Hidden(name, "bias") for name in self.channels)

    def parameter(self, name: str) -> Parameter:
        """The time in which it fades."""
        return fade(name, "bias")

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """Readings without their errors."""
        return {name: values[name] - values[f"{name}_bias"] for name in self.channels}

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """A reading changes with its error, too."""
        errors = {name: -values[f"{name}_bias"] / getattr(p, f"fade_{name}_bias") for name in self.channels}
        return {name: rates[name] + errors[name] for name in errors} | {
            f"{name}_bias": errors[name] for name in errors
        }
