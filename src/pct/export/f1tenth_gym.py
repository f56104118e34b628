"""`f1tenth-gym`: the ``params`` dict of f1tenth_gym, for ``gym.make(..., config={"params": params})``.

Its single-track model is CommonRoad's with linear tyres, one switch between rolling and slipping, and limits
on the inputs.

References:
    f1tenth_gym 1.0.0, ``dynamic_models.vehicle_dynamics_st``. https://github.com/f1tenth/f1tenth_gym
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pct.dynamics.limits import GRAVITY
from pct.export.linear import as_linear, linear_reasons
from pct.export.motion import Rows
from pct.export.parameters import Entry, Head, ParameterTarget
from pct.export.source import Source
from pct.export.texts import commented, python_dict, yaml_lines

KEYS = (
    "mu", "C_Sf", "C_Sr", "lf", "lr", "h", "m", "I", "s_min", "s_max", "sv_min", "sv_max", "v_switch",
    "a_max", "v_min", "v_max",
)  # fmt: skip
# Up to this speed in m/s it rolls.
ROLLS = 0.5


class Gym(ParameterTarget):
    """The gym's dict: keys are those of our own linear model."""

    name = "f1tenth-gym"
    reader = "f1tenth_gym 1.0.0, vehicle_dynamics_st"
    file = "f1tenth_gym_params.py"
    rolls = ROLLS

    @property
    def equal_where(self) -> str:  # type: ignore[override]
        """In words."""
        return "from v_blend_high on, with accelerations within mu g"

    def cannot(self, source: Source) -> list[str]:
        """Anything but linear tyres."""
        return linear_reasons(source)

    def refit(self, source: Source, rows: Rows) -> tuple[Source, list[str]]:
        """Linear tyres over the slips of the rows."""
        return as_linear(source, rows)

    def translate(self, source: Source) -> dict[str, float]:
        """The same names."""
        return {key: float(source.values[key]) for key in KEYS}

    def to_equal(self, source: Source, rows: Rows) -> Rows:
        """Within the friction of the road, which limits our drive and not the gym's."""
        grip = source.values["mu"] * GRAVITY
        return rows.at(accel=np.clip(rows.u["accel"], -grip, grip))

    def rates(self, values: Mapping[str, float], source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """The gym's equations."""
        return single_track(values, rows, self.rolls)

    def differs(self, source: Source) -> list[str]:
        """The low speeds and the limits."""
        p = source.values
        grip = p["mu"] * GRAVITY
        return [
            f"below {self.rolls} m/s and in reverse the reader rolls without slip; the model blends between "
            f"{p['v_blend_low']:g} and {p['v_blend_high']:g} m/s",
            f"the reader's drive gives up to a_max = {p['a_max']:.3g} m/s^2 whatever the road; the model's "
            f"stops at mu g = {grip:.3g} m/s^2",
            "side forces grow linearly with slip in both, without a peak",
        ]

    def render(
        self, entries: Sequence[Entry], head: Head, source: Source, values: Mapping[str, float]
    ) -> dict[str, bytes]:
        """Python, and the same as YAML."""
        more = "# Add width and length of the car in m: the gym's collisions and pictures need them.\n"
        python = f"{commented(head.lines)}{more}params = {python_dict(entries)}"
        yaml = f"{commented(head.lines)}{more}params:\n{yaml_lines(entries, 2)}"
        return {"f1tenth_gym_params.py": python.encode(), "f1tenth_gym_params.yaml": yaml.encode()}


def single_track(p: Mapping[str, float], rows: Rows, rolls: float) -> dict[str, np.ndarray]:
    """Rates of ``v, beta, psi_dot`` of the single-track model that CommonRoad and the gyms share.

    Args:
        p: parameters by the gym's names.
        rows: states and controls of the linear model.
        rolls: speed in m/s up to which the car rolls.
    """
    delta, v, psi_dot, beta = (rows.x[name] for name in ("delta", "v", "psi_dot", "beta"))
    rate, accel = limited(p, delta, rows.u["delta_dot"], v, rows.u["accel"])
    wheelbase = p["lf"] + p["lr"]
    tan, cos = np.tan(delta), np.cos(delta)
    beta_dot_rolling = p["lr"] * rate / (wheelbase * cos**2 * (1.0 + (tan * p["lr"] / wheelbase) ** 2))
    psi_ddot_rolling = (
        accel * np.cos(beta) * tan
        - v * np.sin(beta) * beta_dot_rolling * tan
        + v * np.cos(beta) * rate / cos**2
    ) / wheelbase
    with np.errstate(all="ignore"):
        front = p["C_Sf"] * (GRAVITY * p["lr"] - accel * p["h"])
        rear = p["C_Sr"] * (GRAVITY * p["lf"] + accel * p["h"])
        turn = p["lr"] ** 2 * rear + p["lf"] ** 2 * front
        psi_ddot = (p["mu"] * p["m"] / (p["I"] * wheelbase)) * (
            -turn * psi_dot / v + (p["lr"] * rear - p["lf"] * front) * beta + p["lf"] * front * delta
        )
        beta_dot = (
            (p["mu"] / (v**2 * wheelbase) * (rear * p["lr"] - front * p["lf"]) - 1.0) * psi_dot
            - p["mu"] / (v * wheelbase) * (rear + front) * beta
            + p["mu"] / (v * wheelbase) * front * delta
        )
    # In reverse, too.
    slow = v < rolls
    return {
        "v": accel,
        "beta": np.where(slow, beta_dot_rolling, beta_dot),
        "psi_dot": np.where(slow, psi_ddot_rolling, psi_ddot),
    }


def limited(
    p: Mapping[str, float], delta: np.ndarray, rate: np.ndarray, v: np.ndarray, accel: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Steering rate and acceleration as CommonRoad's constraints let them through."""
    stops = ((delta <= p["s_min"]) & (rate <= 0)) | ((delta >= p["s_max"]) & (rate >= 0))
    steering = np.where(stops, 0.0, np.clip(rate, p["sv_min"], p["sv_max"]))
    most = np.where(v > p["v_switch"], p["a_max"] * p["v_switch"] / np.where(v == 0.0, 1.0, v), p["a_max"])
    stands = ((v <= p["v_min"]) & (accel <= 0)) | ((v >= p["v_max"]) & (accel >= 0))
    drive = np.where(accel <= -p["a_max"], -p["a_max"], np.minimum(accel, most))
    return steering, np.where(stands, 0.0, drive)


TARGET = Gym()
export = TARGET.export
