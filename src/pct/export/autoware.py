"""`autoware`: what Autoware asks of a vehicle, by its own parameter files.

``vehicle_info.param.yaml`` of the vehicle's description, the vehicle's part of the lateral controller's
``mpc.param.yaml``, and ``simulator_model.param.yaml`` of the planning simulator. The controller's dynamic
model is linear; its yaw inertia is that of two masses over the axles.

References:
    Autoware Universe, ``autoware_mpc_lateral_controller`` (``VehicleModel`` ``dynamics``),
    ``simple_planning_simulator`` (``DELAY_STEER_ACC``), ``autoware_vehicle_info_utils``.
    https://github.com/autowarefoundation/autoware_universe
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pct.dynamics.limits import GRAVITY
from pct.export.actuators import drive_delay, drive_lag, steering_delay, steering_lag
from pct.export.motion import axle_stiffness, static_loads
from pct.export.parameters import Entry, Head, ParameterTarget
from pct.export.source import Source
from pct.export.texts import commented, yaml_lines

FILES = {
    "vehicle_info.param.yaml": ("wheel_base", "wheel_radius", "max_steer_angle"),
    "mpc.param.yaml": (
        "input_delay", "vehicle_model_steer_tau", "mass_kg", "mass_fl", "mass_fr", "mass_rl", "mass_rr",
        "cf", "cr",
    ),
    "simulator_model.param.yaml": (
        "steer_time_delay", "steer_time_constant", "steer_lim", "steer_rate_lim", "steer_bias",
        "acc_time_delay", "acc_time_constant", "vel_lim",
    ),
}  # fmt: skip


class Autoware(ParameterTarget):
    """Three YAML files; what was not fitted is not written."""

    name = "autoware"
    reader = "Autoware Universe"
    file = "autoware"
    compared = ()

    def cannot(self, source: Source) -> list[str]:
        """It needs a wheelbase."""
        if not {"lf", "lr"} <= set(source.values):
            raise self.refused(f"the model {source.spec.name} has no wheelbase")
        return []

    def translate(self, source: Source) -> dict[str, float]:
        """Its names; masses over the four wheels by the axles' loads, stiffness of an axle in N/rad."""
        p = source.values
        values: dict[str, float | None] = {"wheel_base": p["lf"] + p["lr"], "wheel_radius": p.get("R_w")}
        values["max_steer_angle"] = values["steer_lim"] = p.get("s_max")
        values["input_delay"] = values["steer_time_delay"] = steering_delay(source)
        values["vehicle_model_steer_tau"] = values["steer_time_constant"] = steering_lag(source)
        values |= {"acc_time_delay": drive_delay(source), "acc_time_constant": drive_lag(source)}
        values |= {"steer_rate_lim": p.get("sv_max"), "vel_lim": p.get("v_max")}
        values["steer_bias"] = source.measured.get("steering_offset")
        if "m" in p:
            front, rear = (load / GRAVITY / 2.0 for load in static_loads(source))
            values |= {
                "mass_kg": p["m"],
                "mass_fl": front,
                "mass_fr": front,
                "mass_rl": rear,
                "mass_rr": rear,
            }
        if (stiffness := axle_stiffness(source)) is not None:
            values["cf"], values["cr"] = stiffness
        order = list(dict.fromkeys(key for keys in FILES.values() for key in keys))
        return {key: float(value) for key in order if (value := values.get(key)) is not None}

    def differs(self, source: Source) -> list[str]:
        """Linear tyres, the yaw inertia, and what was not fitted."""
        p, lines = source.values, []
        if "I" in p and "m" in p:
            theirs = float(p["m"] * p["lf"] * p["lr"])
            lines.append(
                f"the controller's yaw inertia is that of its four masses, {theirs:.4g} kg m^2; the "
                f"model's is "
                f"{float(p['I']):.4g} kg m^2"
            )
        lines.append(
            "the controller's tyres are linear, with the slope at zero slip; the simulator's do not slip"
        )
        absent = [
            what
            for what, value in (("lag", steering_lag(source)), ("delay", steering_delay(source)))
            if value is None
        ]
        if absent:
            lines.append(f"no {' and no '.join(absent)} of the steering was fitted, so none is written")
        return lines

    def render(
        self, entries: Sequence[Entry], head: Head, source: Source, values: Mapping[str, float]
    ) -> dict[str, bytes]:
        """Each file with its own keys alone, to be merged into the vehicle's."""
        top = commented([*head.lines, "Merge into the file of your vehicle: other keys are not identified."])
        found = {entry.key: entry for entry in entries}
        files = {}
        for name, keys in FILES.items():
            if own := [found[key] for key in keys if key in found]:
                files[name] = f"{top}/**:\n  ros__parameters:\n{yaml_lines(own, 4)}".encode()
        return files


TARGET = Autoware()
export = TARGET.export
