"""`relaxation`: tyres whose side force follows their slip angle over a length of road, not at once.

Over its relaxation length sigma a rolling tyre builds up its force, [1, section 7.2.1]:

    sigma / v d(alpha')/dt + alpha' = alpha

with the slip angle alpha of the wheel's motion and the one, alpha', that the force has; sigma is the
cornering stiffness of the tyre over its lateral stiffness. Both axles have the same sigma. A slip angle
more is a shift of the tyre's slip angle, ``S_hf`` and ``S_hr``: hidden states are by how much alpha'
differs, and begin at zero, as of a car that has driven steadily.

References:
    [1] H. Pacejka, "Tire and Vehicle Dynamics", 3rd ed., Butterworth-Heinemann, 2012.
    The same lag of slip angles, over 0.2 m, is in Open-Car-Dynamics, TU Munich,
    https://github.com/TUMFTM/Open-Car-Dynamics, vehicle_dynamics_equations.cpp.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec, Parameter
from pct.errors import UsageError
from pct.measurement.base import Effect, Hidden, Layer, Values, constant
from pct.types import Array

ADVICE = (
    "Step the steering at several speeds below the limit of grip, with the yaw rate logged at 50 Hz or more."
)
SHIFTS = ("S_hf", "S_hr")
# In s: a shorter lag shows in no log, and integration in steps of 25 ms would be unstable.
LEAST_LAG = 0.01


class Relaxation(Effect):
    """The side forces of the tyres lag behind their slip angles by a length of road."""

    option = "relaxation"
    help = "Side forces follow slip angles over a relaxation length, which is fitted"
    layer = Layer.TYRE
    needs = ("vx", "vy", "psi_dot", "delta")

    def hidden(self) -> tuple[Hidden, ...]:
        """The steering angle that the front tyres feel, and lags of what the motion of each axle makes."""
        return (Hidden("delta", "felt", start=1.0), Hidden("delta", "lag_f"), Hidden("delta", "lag_r"))

    def parameters(self, spec: ModelSpec) -> tuple[Parameter, ...]:
        """The relaxation length, by the wheelbase.

        Raises:
            UsageError: a model whose tyres have no slip angle that can be shifted.
        """
        if not {*SHIFTS, "lf", "lr", "v_blend_low"} <= {*spec.default_params}:
            raise UsageError(
                f"`relaxation`: the tyres of model '{spec.name}' have no shifts {', '.join(SHIFTS)}"
            )
        wheelbase = sum(float(np.mean(spec.default_params[key])) for key in ("lf", "lr"))
        low, high, default = (share * wheelbase for share in (0.02, 1.5, 0.3))
        doc = "relaxation length of the tyres"
        return (constant("relaxation_length", "m", low, high, default, doc, log=True, role=ADVICE),)

    def tuned(self, values: Values, p: Any, xp: Any) -> Values:
        """Slip angles as the forces have them."""
        direction = xp.clip(values["vx"] / p.v_blend_low, -1.0, 1.0)
        turned = direction * (values["delta_felt"] - values["delta"])
        return {
            "S_hf": p.S_hf + turned + values["delta_lag_f"],
            "S_hr": p.S_hr + values["delta_lag_r"],
        }

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """What the forces have follows the motion."""
        along = xp.maximum(xp.abs(values["vx"]), p.v_blend_low)
        along_dot = xp.where(xp.abs(values["vx"]) > p.v_blend_low, xp.sign(values["vx"]) * rates["vx"], 0.0)
        pace = xp.minimum(along / p.relaxation_length, 1.0 / LEAST_LAG)

        def lag(place: Array, late: Array) -> Array:
            across = values["vy"] + place * values["psi_dot"]
            across_dot = rates["vy"] + place * rates["psi_dot"]
            # The slip angle of the motion is -arctan(across / along).
            return (across_dot * along - across * along_dot) / (across**2 + along**2) - pace * late

        return {
            "delta_felt": pace * (values["delta"] - values["delta_felt"]),
            "delta_lag_f": lag(p.lf, values["delta_lag_f"]),
            "delta_lag_r": lag(-p.lr, values["delta_lag_r"]),
        }
