"""`steering`: a ratio, which may change with the angle, and an offset between logged and true steering."""

from __future__ import annotations

from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec, Parameter
from pct.measurement.base import Effect, Layer, Values, constant
from pct.types import Array

# However the ratio changes with the angle, it stays well above nothing, and so does its slope.
MOST_BENT = -0.25


class Steering(Effect):
    """delta = ratio (1 + curve d^2) d + offset with the logged angle d and the angle delta at the wheel."""

    option = "steering"
    help = (
        "Fit a ratio of the steering angle at the wheel to the logged one, which may change with the angle, "
        "and an offset"
    )
    layer = Layer.LINKAGE
    needs = ("delta",)

    def parameters(self, spec: ModelSpec) -> tuple[Parameter, ...]:
        """Ratio, its change and the offset; the change is bounded at the steering stop."""
        most = float(np.mean(spec.default_params.get("s_max", 0.45))) ** -2
        rise = "rise of the ratio with the square of the logged angle"
        ratio, offset = "steering angle over the logged one", "steering angle where zero is logged"
        return (
            constant("steering_ratio", "1", 0.5, 2.0, 1.0, ratio, role="steering ratio"),
            constant("steering_curve", "1/rad^2", -most, most, 0.0, rise, role="steering ratio"),
            constant("steering_offset", "rad", -0.1, 0.1, 0.0, offset, odd=True, role="steering offset"),
        )

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """Angle and steering speed at the wheel."""
        angle = values["delta"]
        wheel = {"delta": p.steering_ratio * (1 + _bent(angle, p, xp)) * angle + p.steering_offset}
        if "delta_dot" in values:
            wheel["delta_dot"] = _slope(angle, p, xp) * values["delta_dot"]
        return wheel

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """Rate of the logged angle."""
        return {"delta": rates["delta"] / _slope(values["delta"], p, xp)}


def _bent(angle: Array, p: Any, xp: Any) -> Array:
    """Share by which the ratio is changed at an angle."""
    return xp.maximum(p.steering_curve * angle**2, MOST_BENT)


def _slope(angle: Array, p: Any, xp: Any) -> Array:
    """Change of the angle at the wheel by that of the logged one."""
    return p.steering_ratio * (1 + 3 * _bent(angle, p, xp))
