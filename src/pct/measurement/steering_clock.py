"""`steering_clock`: a steering angle whose clock is some milliseconds off those of the other sensors."""

from __future__ import annotations

from typing import Any

from pct.dynamics.core import ModelSpec, Parameter
from pct.measurement.base import Effect, Layer, Values, constant

ADVICE = (
    "Steer in quick steps at several speeds: a late clock is late by the same time at each, a tyre is not."
)


class SteeringClock(Effect):
    """delta(t) = d(t + late) with the logged angle d: along its slope at t, which is exact within one step.

    A vehicle answers its steering within some tens of milliseconds by its yaw inertia and its tyres, so that
    few milliseconds of a clock are a tenth of the inertia. For delays of several steps there is `delay`.
    """

    option = "steering_clock"
    help = "Fit the few milliseconds by which the logged steering angle is late, or early"
    layer = Layer.RESPONSE
    acts_on = ("states", "controls")
    needs = ("delta", "delta_dot")

    def parameters(self, spec: ModelSpec) -> tuple[Parameter, ...]:
        """How late it is."""
        doc = "time by which the steering angle is logged too late"
        return (constant("steering_late", "s", -0.1, 0.1, 0.0, doc, role=ADVICE),)

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """The angle that the log shows later."""
        return {"delta": values["delta"] + p.steering_late * values["delta_dot"]}
