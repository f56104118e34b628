"""`misaligned`: a sensor of the velocity whose axes are turned against the vehicle's."""

from __future__ import annotations

from typing import Any

from pct.dynamics.core import ModelSpec, Parameter
from pct.measurement.base import Effect, Layer, Values, constant
from pct.types import Array


class Misaligned(Effect):
    """v(logged) = R(-angle) v with the axes of the sensor turned to the left by the angle."""

    option = "misaligned"
    help = "Fit the angle between the axes of the logged velocity and those of the vehicle"
    layer = Layer.AXES
    needs = ("vx", "vy")

    def parameters(self, spec: ModelSpec) -> tuple[Parameter, ...]:
        """The angle."""
        doc = "turn of the velocity's axes to the left"
        return (constant("misalignment", "rad", -0.1, 0.1, 0.0, doc, odd=True, role="slip bias"),)

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """Velocity along the vehicle's axes."""
        return _turned(values, p.misalignment, xp)

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """Rates along the sensor's axes."""
        return _turned(rates, -p.misalignment, xp)


def _turned(motion: Values, angle: Array, xp: Any) -> Values:
    """``vx, vy`` turned to the left."""
    cos, sin = xp.cos(angle), xp.sin(angle)
    return {
        "vx": cos * motion["vx"] - sin * motion["vy"],
        "vy": sin * motion["vx"] + cos * motion["vy"],
    }
