"""Which manoeuvre tells a parameter that the drive did not: one sentence for each role that parameters have.

A new parameter of a model is given a role here; `settles` finds those of a measurement by how they are named.

References:
    R. Rajamani, "Vehicle Dynamics and Control", 2nd ed., Springer, 2012; H. Pacejka, "Tire and Vehicle
    Dynamics", 3rd ed., Butterworth-Heinemann, 2012: which motion depends on what.
"""

from __future__ import annotations

from collections.abc import Mapping

from pct.errors import UsageError

MANOEUVRES: Mapping[str, str] = {
    "peak": "Corner at the limit of grip: circle ever faster with the wheel held, until the car runs wide.",
    "rear peak": "Corner at the limit of grip until the rear slides: lift off late in a fast corner.",
    "stiffness": "Drive a gentle slalom at several speeds, well below the limit of grip.",
    "shape": (
        "Corner beyond the limit of grip and back: slip angles well past the peak, to both sides; "
        "else hold it."
    ),
    "shift": "Drive the same circles to the left and to the right, from gentle to the limit of grip.",
    "induced": (
        "Brake and accelerate hard in corners, so that wheels slip both ways at once; else hold it."
    ),
    "slip along": "Make the wheels slip by hard starts and stops on a straight, with wheel speeds logged.",
    "yaw inertia": "Steer quickly to and fro: steps and reversals at medium speed, not only steady corners.",
    "mass": (
        "Motion shows forces over mass only: weigh the car and hold the value, or drive with a known "
        "load added."
    ),
    "geometry": "Measure it on the car, and hold it; in driving, slow tight circles to both sides tell it.",
    "height": (
        "Brake and accelerate hard while cornering, so that load moves between the axles; else measure it."
    ),
    "motor": "Accelerate with full throttle from standstill to top speed, more than once.",
    "motor fade": "Accelerate with full throttle from several speeds up to the top speed.",
    "rolling": "Coast from a moderate speed to standstill on level ground, both ways.",
    "drag": "Coast from top speed without throttle, on level ground and both ways.",
    "brake": "Brake on a straight with several pressures, from high speed to standstill.",
    "motor brake": "Brake with the motor alone, at several commands and speeds, friction brakes off.",
    "power": "Accelerate with full throttle from standstill to top speed; else take it from the data sheet.",
    "steering stop": "Turn the steering fully to both sides while rolling slowly; else measure it.",
    "steering speed": "Command full steering steps from side to side; else take it from the data sheet.",
    "blend": (
        "It belongs to the equations, not to the car: hold it below the speeds that matter; pulling away "
        "and stopping show it."
    ),
    "wheels": "Spin the wheels up and brake them on a straight, with wheel speeds logged; else measure them.",
    "torque split": "Accelerate and brake hard on a straight, with the speeds of both axles' wheels logged.",
    "steering ratio": "Drive slow steady circles with several steering angles, to both sides.",
    "steering offset": "Drive a long straight line, and the same circle to the left and to the right.",
    "yaw gain": "Drive steady circles of known heading change, to both sides.",
    "yaw bias": "Stand still for some seconds with the sensors on, and drive a long straight line.",
    "slip gain": "Corner steadily with large slip angles to both sides: slow tight circles and fast ones.",
    "slip bias": "Drive a long straight line, and the same circle to the left and to the right.",
    "drive gain": "Accelerate and brake with several strengths on a level straight.",
    "drive bias": "Coast and hold constant speed on a level straight, both ways.",
    "network": "Corner up to the limit of grip at all speeds, with steering steps and full throttle.",
    "sensor lag": "Change it quickly: steering steps or throttle steps at several speeds.",
    "actuator lag": "Command steps of several sizes and both signs, and hold each for a second.",
    "delay": "Command sharp steps and hold each for a second: the time to the answer is the delay.",
    "fade": (
        "Drive longer: it is about how errors come and go, so minutes are needed in which they do "
        "several times."
    ),
    "sensor place": "Steer quickly to and fro at low speed, so that the car turns while it hardly slips.",
}  # fmt: skip
"""Manoeuvre by role."""

ROLES: Mapping[str, str] = {
    "mu": "peak", "D_f": "peak", "D_r": "rear peak",
    "C_Sf": "stiffness", "C_Sr": "stiffness", "B_f": "stiffness", "B_r": "stiffness", "p_ky1": "stiffness",
    "C_f": "shape", "C_r": "shape", "E_f": "shape", "E_r": "shape", "p_cy1": "shape", "p_ey1": "shape",
    "S_hf": "shift", "S_hr": "shift", "S_vf": "shift", "S_vr": "shift",
    "p_kx1": "slip along", "p_cx1": "slip along", "p_ex1": "slip along", "p_hx1": "slip along",
    "p_vx1": "slip along", "mu_xy": "slip along",
    "r_bx1": "induced", "r_bx2": "induced", "r_cx1": "induced", "r_ex1": "induced", "r_hx1": "induced",
    "r_by1": "induced", "r_by2": "induced", "r_by3": "induced", "r_cy1": "induced", "r_ey1": "induced",
    "r_hy1": "induced", "r_vy1": "induced", "r_vy4": "induced", "r_vy5": "induced", "r_vy6": "induced",
    "I": "yaw inertia", "m": "mass", "lf": "geometry", "lr": "geometry", "h": "height",
    "C_m1": "motor", "C_m2": "motor fade", "C_r0": "rolling", "C_r2": "drag", "C_b": "brake",
    "k_b": "motor brake",
    "a_max": "power", "v_switch": "power", "v_max": "power", "v_min": "power",
    "s_min": "steering stop", "s_max": "steering stop",
    "sv_min": "steering speed", "sv_max": "steering speed",
    "v_blend_low": "blend", "v_blend_high": "blend",
    "R_w": "wheels", "I_y_w": "wheels", "tau_w": "wheels", "T_sb": "torque split", "T_se": "torque split",
    "alpha_delta": "steering ratio", "beta_delta": "steering offset",
    "alpha_psi_dot": "yaw gain", "beta_psi_dot": "yaw bias",
    "alpha_beta": "slip gain", "beta_beta": "slip bias",
    "alpha_accel": "drive gain", "beta_accel": "drive bias", "alpha": "network",
    "steering_ratio": "steering ratio", "steering_offset": "steering offset", "ahead": "sensor place",
    "steering_curve": "steering ratio", "misalignment": "slip bias",
}  # fmt: skip
"""Role of each scalar parameter by name."""


def settles(name: str) -> str:
    """The manoeuvre that tells a scalar parameter, in a sentence.

    Raises:
        UsageError: the parameter has no role.

    Examples:
        >>> settles("C_r2")
        'Coast from top speed without throttle, on level ground and both ways.'
    """
    if name in ROLES:
        return MANOEUVRES[ROLES[name]]
    kind, _, _ = name.partition("_")
    if kind == "tau":
        return MANOEUVRES["actuator lag" if name.endswith("_acting") else "sensor lag"]
    if kind not in ("delay", "fade"):
        raise UsageError(f"no manoeuvre is known for '{name}': give it a role in {__name__}")
    return MANOEUVRES[kind]
