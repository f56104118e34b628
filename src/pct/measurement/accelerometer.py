"""`accelerometer`: logged accelerations as compared channels, with the sensor's place and tilt.

Each reading is a state of its own that follows what the sensor feels with a short lag, as the filters of real
accelerometers do, so that windows, rollouts, filter and fit treat it like any other state.

References:
    R. Rajamani, "Vehicle Dynamics and Control", 2nd ed., Springer, 2012, section 2.3: acceleration of a point
    of a turning body; section 15.4: what an accelerometer on a leaning body reads.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pct.dynamics import channels
from pct.dynamics.core import Channel, ModelSpec, Parameter
from pct.measurement.base import Effect, Layer, Values, constant
from pct.types import Array

AXES = ("ax", "ay")
# As in `pct.dynamics.limits`; equations are not read here.
GRAVITY = 9.81
# An error in m/s^2 that matters, as of the control `accel`.
SCALE = 0.5
ADVICE = "Change the acceleration quickly: brake hard, and steer to and fro."
PLACE_ADVICE = (
    "Spin on the spot or steer to and fro at low speed, so that the car turns while it hardly moves."
)
TILT_ADVICE = "Stand still on level ground for some seconds, then corner, accelerate and brake steadily."


class Accelerometer(Effect):
    """tau dy/dt = a - y with the reading y and the acceleration a of the centre of gravity along an axis."""

    option = "accelerometer"
    help = "Logged accelerations, ax or ay or both, that are compared, each behind a short lag [channels]"
    layer = Layer.ACCELERATION
    acts_on = ("accelerations",)

    def logged_states(self, states: tuple[Channel, ...]) -> tuple[Channel, ...]:
        """The readings behind the states of the vehicle."""
        known = {*self.channels} - {row.name for row in states}
        own = (row for row in channels.ACCELERATIONS if row.name in known)
        return (*states, *(dataclasses.replace(row, scale=SCALE) for row in own))

    def parameter(self, name: str) -> Parameter:
        """The lag of a reading."""
        doc = f"lag of the reading of {name}"
        return constant(f"tau_{name}_reading", "s", 0.02, 1.0, 0.05, doc, log=True, role=ADVICE)

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """The readings follow the acceleration."""
        felt = dict(zip(AXES, acceleration(rates, values, xp), strict=True))
        return {name: _following(felt[name], name, values, p) for name in self.channels}


class AccelerometerPlace(Effect):
    """a(sensor) = a + psi_ddot x r - psi_dot^2 r with the place r of the sensor on the vehicle."""

    option = "accelerometer_place"
    help = "Fit how far ahead and to the left of the centre of gravity the accelerometer sits"
    layer = Layer.PLACE
    needs = ("psi_dot",)

    def parameters(self, spec: ModelSpec) -> tuple[Parameter, ...]:
        """Both distances, within the vehicle."""
        lf, lr = (float(np.mean(spec.parameter(key).default)) for key in ("lf", "lr"))
        wide = 0.5 * (lf + lr)
        ahead, aside = "accelerometer ahead of the centre of gravity", "accelerometer to the left of it"
        return (
            constant("accelerometer_ahead", "m", -2 * lr, 2 * lf, 0.0, ahead, role=PLACE_ADVICE),
            constant("accelerometer_aside", "m", -wide, wide, 0.0, aside, odd=True, role=PLACE_ADVICE),
        )

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """Readings of the sensor's own place."""
        turning, square = rates["psi_dot"], values["psi_dot"] ** 2
        ahead, aside = p.accelerometer_ahead, p.accelerometer_aside
        more = {"ax": -turning * aside - square * ahead, "ay": turning * ahead - square * aside}
        return {name: rates[name] + more[name] / _lag(name, p) for name in AXES if name in rates}


class AccelerometerTilt(Effect):
    """y = (1 + g lean) a + g sin(tilt): gravity read by a tilted sensor on a leaning body, and its bias."""

    option = "accelerometer_tilt"
    help = (
        "Accelerations whose sensor reads a part of gravity: a constant one, as it is tilted or biased, and "
        "one in proportion, as the body rolls or pitches [channels]"
    )
    layer = Layer.AXES
    acts_on = ("accelerations",)

    def parameters(self, spec: ModelSpec) -> tuple[Parameter, ...]:
        """Tilt and lean of each."""
        rows = []
        for name in self.channels:
            tilt, lean = (
                f"tilt of the sensor of {name}, its bias over gravity",
                f"lean of the body over {name}",
            )
            odd = name == "ay"
            rows += [
                constant(f"tilt_{name}", "rad", -0.2, 0.2, 0.0, tilt, odd=odd, role=TILT_ADVICE),
                constant(f"lean_{name}", "rad s^2/m", -0.01, 0.03, 0.0, lean, role=TILT_ADVICE),
            ]
        return tuple(rows)

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """Readings with their part of gravity."""
        after = {}
        for name in self.channels:
            felt = values[name] + _lag(name, p) * rates[name]
            gravity = GRAVITY * xp.sin(getattr(p, f"tilt_{name}"))
            felt = (1 + GRAVITY * getattr(p, f"lean_{name}")) * felt + gravity
            after[name] = _following(felt, name, values, p)
        return after


def acceleration(rates: Values, values: Values, xp: Any) -> tuple[Array, Array]:
    """Acceleration of the centre of gravity along and across the vehicle in m/s^2.

    Args:
        rates, values: of the vehicle's states ``vx, vy, psi_dot``, or ``v, beta, psi_dot``, or ``v`` and a
            heading, of a model without slip.
        xp: array namespace.
    """
    heading = rates["psi"] if "psi" in rates else rates["yaw"]
    turning = values.get("psi_dot", heading)
    if "vx" in rates:
        return rates["vx"] - values["vy"] * turning, rates["vy"] + values["vx"] * turning
    if "beta" not in rates:
        return rates["v"], values["v"] * turning
    sin, cos = xp.sin(values["beta"]), xp.cos(values["beta"])
    across = values["v"] * (turning + rates["beta"])
    return rates["v"] * cos - across * sin, rates["v"] * sin + across * cos


def _lag(name: str, p: Any) -> Any:
    return getattr(p, f"tau_{name}_reading")


def _following(felt: Array, name: str, values: Values, p: Any) -> Array:
    return (felt - values[name]) / _lag(name, p)
