"""Roles of parameters: how each shows in driving, and which manoeuvre identifies it.

A row of a model's table names its role, `pct.dynamics.rows.Parameter.role`. Verdicts of a fit advise the
manoeuvre; the doctor reads from the rest which parameters a drive cannot identify. A parameter that shows in
a way of its own has the sentence itself for a role. One without a role gets a general sentence.

References:
    R. Rajamani, "Vehicle Dynamics and Control", 2nd ed., Springer, 2012; H. Pacejka, "Tire and Vehicle
    Dynamics", 3rd ed., Butterworth-Heinemann, 2012: which motion depends on what.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from pct.dynamics.core import ModelSpec


class Role(NamedTuple):
    """How parameters of one kind show.

    Attributes:
        manoeuvre: what identifies them, in a sentence.
        slip: whether they show by tyres that slip.
        limit: whether they show near the limit of grip only.
        speeds: whether they show by how the motion changes with the speed.
    """

    manoeuvre: str
    slip: bool = False
    limit: bool = False
    speeds: bool = False


ROLES: Mapping[str, Role] = {
    "peak": Role(
        "Corner at the limit of grip: circle ever faster with the wheel held, until the car runs wide.",
        slip=True, limit=True,
    ),
    "rear peak": Role(
        "Corner at the limit of grip until the rear slides: lift off late in a fast corner.", slip=True,
        limit=True,
    ),
    "stiffness": Role(
        "Drive a gentle slalom at several speeds, well below the limit of grip.", slip=True, speeds=True,
    ),
    "shape": Role(
        "Corner beyond the limit of grip and back: slip angles well past the peak, to both sides; else "
        "hold it.", slip=True, limit=True,
    ),
    "curvature": Role(
        "Corner beyond the limit of grip and back: slip angles well past the peak, to both sides; else "
        "hold it.", slip=True, limit=True,
    ),
    "shift": Role(
        "Drive the same circles to the left and to the right, from gentle to the limit of grip.", slip=True,
    ),
    "induced": Role(
        "Brake and accelerate hard in corners, so that wheels slip both ways at once; else hold it.",
        slip=True, limit=True,
    ),
    "slip along": Role(
        "Make the wheels slip by hard starts and stops on a straight, with wheel speeds logged.", slip=True,
    ),
    "friction ellipse": Role(
        "Brake and accelerate hard in corners at the limit of grip, and on the straight; else hold it.",
        slip=True, limit=True,
    ),
    "load sensitivity": Role(
        "Corner at the limit of grip under full throttle and under braking, so that load moves between the "
        "axles; else hold it.",
        slip=True, limit=True,
    ),
    "yaw inertia": Role(
        "Steer quickly to and fro: steps and reversals at medium speed, not only steady corners.", slip=True,
        speeds=True,
    ),
    "mass": Role(
        "Motion shows forces over mass only: weigh the car and hold the value, or drive with a known load "
        "added.",
    ),
    "geometry": Role(
        "Measure it on the car, and hold it; in driving, slow tight circles to both sides identify it.",
    ),
    "height": Role(
        "Brake and accelerate hard while cornering, so that load moves between the axles; else measure it.",
    ),
    "load transfer": Role(
        "Corner at the limit of grip at several speeds, with and without braking, so that the loads of the "
        "wheels differ; else hold it.", slip=True, limit=True,
    ),
    "downforce": Role(
        "Corner near the limit of grip at low speed and at top speed; else take it from a wind tunnel.",
        slip=True, limit=True, speeds=True,
    ),
    "differential": Role(
        "Drive tight corners coasting and with full throttle, both ways; else take it from the data sheet.",
        slip=True,
    ),
    "motor": Role("Accelerate with full throttle from standstill to top speed, more than once."),
    "motor fade": Role("Accelerate with full throttle from several speeds up to the top speed.", speeds=True),
    "motor curve": Role("Hold several drive commands, small ones to full, on a level straight."),
    "rolling": Role("Coast from a moderate speed to standstill on level ground, both ways."),
    "drag": Role("Coast from top speed without throttle, on level ground and both ways.", speeds=True),
    "brake": Role("Brake on a straight with several pressures, from high speed to standstill."),
    "motor brake": Role("Brake with the motor alone, at several commands and speeds, friction brakes off."),
    "power": Role(
        "Accelerate with full throttle from standstill to top speed; else take it from the data sheet.",
    ),
    "steering stop": Role("Turn the steering fully to both sides while rolling slowly; else measure it."),
    "steering speed": Role(
        "Command full steering steps from side to side; else take it from the data sheet.",
    ),
    "blend": Role(
        "It belongs to the equations, not to the car: hold it below the speeds that matter; pulling away "
        "and stopping show it.",
    ),
    "wheels": Role(
        "Spin the wheels up and brake them on a straight, with wheel speeds logged; else measure them.",
    ),
    "torque split": Role(
        "Accelerate and brake hard on a straight, with the speeds of both axles' wheels logged.",
    ),
    "steering ratio": Role("Drive slow steady circles with several steering angles, to both sides."),
    "steering offset": Role("Drive a long straight line, and the same circle to the left and to the right."),
    "yaw gain": Role("Drive steady circles of known heading change, to both sides."),
    "yaw bias": Role("Stand still for some seconds with the sensors on, and drive a long straight line."),
    "slip gain": Role(
        "Corner steadily with large slip angles to both sides: slow tight circles and fast ones.", slip=True,
    ),
    "slip bias": Role("Drive a long straight line, and the same circle to the left and to the right."),
    "drive gain": Role("Accelerate and brake with several strengths on a level straight."),
    "drive bias": Role("Coast and hold constant speed on a level straight, both ways."),
    "network": Role(
        "Corner up to the limit of grip at all speeds, with steering steps and full throttle.", slip=True,
    ),
}  # fmt: skip

GENERAL = (
    "Vary every control and the speed over their whole range, and drive longer; else measure it and hold it."
)


def manoeuvre(spec: ModelSpec, name: str) -> str:
    """The manoeuvre that identifies a parameter, in a sentence.

    Raises:
        UsageError: the model has no such parameter.

    Examples:
        >>> from pct.dynamics import get_model
        >>> manoeuvre(get_model("singletrack-pacejka"), "C_r2")
        'Coast from top speed without throttle, on level ground and both ways.'
    """
    role = spec.parameter(name).role
    if role in ROLES:
        return ROLES[role].manoeuvre
    return role if role.endswith(".") else GENERAL


def showing(spec: ModelSpec, roles: Collection[str], *, learned: bool = True) -> list[str]:
    """Names of a model's parameters with these roles; ``learned``: without those that are always held."""
    return [
        row.name for row in spec.parameters if row.role in roles and not (learned and row.scope == "fixed")
    ]
