"""`lever_arm`: a sensor of the lateral velocity ahead of the centre of gravity, or behind."""

from __future__ import annotations

from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec, Parameter
from pct.measurement.base import Effect, Layer, Values, constant

ADVICE = "Steer quickly to and fro at low speed, so that the car turns while it hardly slips."


class LeverArm(Effect):
    """v_y(logged) = v_y + ahead * psi_dot on the vehicle's axis."""

    option = "lever_arm"
    help = "Fit how far ahead of the centre of gravity the logged vy is measured"
    layer = Layer.PLACE
    needs = ("vx", "vy", "psi_dot")

    def parameters(self, spec: ModelSpec) -> tuple[Parameter, ...]:
        """The distance, up to twice that of the axles."""
        lf, lr = (float(np.mean(spec.parameter(key).default)) for key in ("lf", "lr"))
        doc = "sensor of vy ahead of the centre of gravity"
        return (constant("ahead", "m", -2 * lr, 2 * lf, 0.0, doc, role=ADVICE),)

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """Lateral velocity of the centre of gravity."""
        return {"vy": values["vy"] - p.ahead * values["psi_dot"]}

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """Rate of the lateral velocity at the sensor."""
        return {"vy": rates["vy"] + p.ahead * rates["psi_dot"]}
