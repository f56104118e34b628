"""`tum`: parameters of TUMFTM Open-Car-Dynamics, and the two tables of TUM's trajectory planning.

Open-Car-Dynamics' ``MF_Simple`` takes the tangent of the slip angle where the Magic Formula takes the angle.
The tables are ``ggv.csv``, the largest accelerations of the tyres over speed, and ``ax_max_machines.csv``,
those of the drive without drag.

References:
    TUMFTM Open-Car-Dynamics, ``MF_Simple::evaluate_static`` and the single-track model's parameters.
    https://github.com/TUMFTM/Open-Car-Dynamics
    TUMFTM trajectory_planning_helpers, ``import_veh_dyn_info``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pct.dynamics.limits import GRAVITY
from pct.dynamics.tires import magic_formula
from pct.export.actuators import steering_delay, steering_lag, unsaid_actuators
from pct.export.linear import FASTEST
from pct.export.magic import AXLES, PACEJKA, refitted, shifts_of
from pct.export.motion import Rows, slip_angles, static_loads
from pct.export.parameters import Entry, Head, ParameterTarget
from pct.export.source import Source
from pct.export.texts import commented, json_text, sidecar

DYNAMICS = "vehicle_dynamics_single_track"
# What their importer takes, in m/s^2, and points of the tables.
MOST_GRIP, MOST_DRIVE, SPEEDS = 50.0, 20.0, 41


class Tum(ParameterTarget):
    """``open_car_dynamics.json``, ``ggv.csv``, ``ax_max_machines.csv``."""

    name = "tum"
    reader = "TUMFTM Open-Car-Dynamics, MF_Simple::evaluate_static"
    file = "tum"
    equal_where = "of both axles' side forces, read at the angle whose tangent is the slip angle"
    compared = ("front", "rear")

    def cannot(self, source: Source) -> list[str]:
        """Shifts, and lags and delays but those of the steering."""
        if source.spec.name != PACEJKA:
            raise self.refused(f"it has the Magic Formula of each axle, as {PACEJKA}, not {source.spec.name}")
        return [*shifts_of(source), *unsaid_actuators(source, lag=True, delay=True)]

    def refit(self, source: Source, rows: Rows) -> tuple[Source, list[str]]:
        """Tyres without shifts."""
        lost = [f"{what} is left out" for what in unsaid_actuators(source, lag=True, delay=True)]
        if shifts_of(source):
            source, told = refitted(source, rows, curvature=True)
            lost = [*told, *lost]
        kept = {"tau_delta_acting": steering_lag(source), "delay_delta_dot": steering_delay(source)}
        return dataclasses.replace(source, measured={k: v for k, v in kept.items() if v is not None}), lost

    def translate(self, source: Source) -> dict[str, float]:
        """Its flat names; peaks over the static load."""
        p = source.values
        values = {
            f"{DYNAMICS}.mass_vehicle_kg": p["m"],
            f"{DYNAMICS}.moment_of_inertia_kgpm2.z": p["I"],
            f"{DYNAMICS}.wheelbase_m": p["lf"] + p["lr"],
            f"{DYNAMICS}.cog.distance_from_front_axle_m": p["lf"],
        }
        for (axle, a), load in zip(AXLES.items(), static_loads(source), strict=True):
            for side in ("left", "right"):
                tyre = f"{DYNAMICS}.z.tire_model.{axle}_{side}.lateral"
                values |= {
                    f"{tyre}.B": p[f"B_{a}"],
                    f"{tyre}.C": p[f"C_{a}"],
                    f"{tyre}.D": p[f"D_{a}"] / load,
                }
                values[f"{tyre}.E"] = p[f"E_{a}"]
        lag, delay = steering_lag(source), steering_delay(source)
        if lag is not None:
            values["steering_actuator.T_PT1"] = lag
        if delay is not None:
            values["delay.steering.actuation_delay_us"] = 1e6 * delay
        values |= {
            "steering_actuator.angle_max_rad": p["s_max"],
            "steering_actuator.angle_rate_max_radps": p["sv_max"],
        }
        return {key: float(value) for key, value in values.items()}

    def own_rates(self, source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """Side forces of both axles under their static loads in N."""
        p = source.values
        return {
            axle: magic_formula(slip, p[f"B_{a}"], p[f"C_{a}"], p[f"D_{a}"], p[f"E_{a}"], np)
            for (axle, a), slip in zip(AXLES.items(), slip_angles(source, rows.x).values(), strict=True)
        }

    def rates(self, values: Mapping[str, float], source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """The reader's side forces at the slip angles of the rows."""
        return forces(values, source, slip_angles(source, rows.x))

    def equal_rates(self, values: Mapping[str, float], source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """The same at the angles whose tangents are the slip angles."""
        slips = slip_angles(source, rows.x)
        return forces(values, source, {axle: np.arctan(slip) for axle, slip in slips.items()})

    def differs(self, source: Source) -> list[str]:
        """The tangent, the load transfer, and what the tables take for granted."""
        lines = [
            "the reader takes tan(slip angle) where the model takes the angle: its forces at one angle are "
            "those "
            "of a larger one",
            "the reader has aerodynamics, rolling resistance and longitudinal slip, which were not "
            "identified",
            "ggv.csv: the grip along is taken as that across; ax_max is that of both axles, ay_max that of "
            "the axle "
            "that slides first",
        ]
        if source.values["h"]:
            lines.append("the reader's single-track model moves no load when it accelerates")
        return lines

    def render(
        self, entries: Sequence[Entry], head: Head, source: Source, values: Mapping[str, float]
    ) -> dict[str, bytes]:
        """JSON for set_parameter, the tables, and the status of each number beside them."""
        top = commented(head.lines)
        ggv, machines = tables(source)
        return {
            "open_car_dynamics.json": json_text({entry.key: entry.value for entry in entries}),
            "open_car_dynamics.pct.json": sidecar(entries, head),
            "ggv.csv": (top + "# v_mps,ax_max_mps2,ay_max_mps2\n" + _csv(ggv)).encode(),
            "ax_max_machines.csv": (top + "# vx_mps,ax_max_machines_mps2\n" + _csv(machines)).encode(),
        }


def forces(
    values: Mapping[str, float], source: Source, angles: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Side force of both axles under their static loads in N, by the reader's formula at angles in rad."""
    tyres = {axle: f"{DYNAMICS}.z.tire_model.{axle}_left.lateral" for axle in AXLES}
    return {
        axle: load * mf_simple(angles[axle], *(values[f"{tyres[axle]}.{name}"] for name in "BCDE"))
        for axle, load in zip(AXLES, static_loads(source), strict=True)
    }


def mf_simple(angle: np.ndarray, B: float, C: float, D: float, E: float) -> np.ndarray:
    """Side force over the load by ``MF_Simple`` at a slip angle in rad, without longitudinal slip."""
    slip = B * np.tan(angle)
    return np.asarray(D * np.sin(C * np.arctan(slip - E * (slip - np.arctan(slip)))))


def tables(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``v, ax_max, ay_max`` of the tyres and ``v, ax_max`` of the drive, (V, 3) and (V, 2), in SI."""
    p = source.values
    fade = float(p["C_m1"] / p["C_m2"]) if p["C_m2"] > 0 else FASTEST
    v = np.linspace(0.0, min(fade, FASTEST), SPEEDS)
    front, rear = static_loads(source)
    across = GRAVITY * min(p["D_f"] / front, p["D_r"] / rear)
    along = (p["D_f"] + p["D_r"]) / p["m"]
    grip = np.minimum(np.array([along, across]), MOST_GRIP)
    drive = np.clip((p["C_m1"] - p["C_m2"] * v) / p["m"], 0.0, MOST_DRIVE)
    return np.column_stack([v, np.tile(grip, (SPEEDS, 1))]), np.column_stack([v, drive])


def _csv(rows: np.ndarray) -> str:
    return "".join(",".join(f"{x:.6g}" for x in row) + "\n" for row in rows)


TARGET = Tum()
export = TARGET.export
