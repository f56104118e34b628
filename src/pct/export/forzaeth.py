"""`forzaeth`: tyre and car YAML of ForzaETH's race stack, and the steering look-up table that it drives by.

Its peaks are over the axle's static load; the analyser's equations keep the load transfer and leave out the
sine and cosine of the steering angle. The table is the steady turn of these equations, as its generator
makes it.

References:
    ForzaETH race_stack, ``system_identification/id_analyser``: ``helpers/vehicle_dynamics.py`` and
    ``generate_lookup_table.py``. https://github.com/ForzaETH/race_stack
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pct.dynamics.limits import GRAVITY
from pct.export.actuators import steering_lag, unsaid_actuators
from pct.export.magic import PACEJKA, refitted, shifts_of
from pct.export.motion import Rows, drive_acceleration, static_loads
from pct.export.parameters import Entry, Head, ParameterTarget
from pct.export.source import Source
from pct.export.steady import steady_turns
from pct.export.texts import commented, yaml_lines

TYRE = ("Bf", "Cf", "Df", "Ef", "Br", "Cr", "Dr", "Er", "friction_coeff")
# Steering angles in rad and, over the square root of wheelbase times gravity, speeds of the table: for the
# stack's own car 0.5 to 7 m/s, as its generator has them.
STEERS = np.concatenate([np.linspace(0.0, 0.1, 30, endpoint=False), np.linspace(0.1, 0.4, 30)])
SPEEDS = np.linspace(0.5, 7.0, 65) / np.sqrt(GRAVITY * 0.307)


class ForzaETH(ParameterTarget):
    """Three files: ``pacejka.yaml``, ``car_model.yaml``, ``lookup_table.csv``."""

    name = "forzaeth"
    reader = "ForzaETH race_stack, id_analyser vehicle_dynamics"
    file = "forzaeth"
    equal_where = "with the wheels straight, from v_blend_high on"
    compared = ("vy", "psi_dot")

    def cannot(self, source: Source) -> list[str]:
        """Shifts, delays, and a lag of the drive."""
        if source.spec.name != PACEJKA:
            raise self.refused(f"it has the Magic Formula of each axle, as {PACEJKA}, not {source.spec.name}")
        return [*shifts_of(source), *unsaid_actuators(source, lag=True)]

    def refit(self, source: Source, rows: Rows) -> tuple[Source, list[str]]:
        """Tyres without shifts; delays are dropped."""
        lost = [f"{what} is left out" for what in unsaid_actuators(source, lag=True)]
        if shifts_of(source):
            source, told = refitted(source, rows, curvature=True)
            lost = [*told, *lost]
        lag = steering_lag(source)
        return dataclasses.replace(source, measured={} if lag is None else {"tau_delta_acting": lag}), lost

    def translate(self, source: Source) -> dict[str, float]:
        """Peaks over the static load; the lag of the steering where it was fitted."""
        p = source.values
        front, rear = static_loads(source)
        lag = steering_lag(source)
        return {
            "Bf": p["B_f"], "Cf": p["C_f"], "Df": p["D_f"] / front, "Ef": p["E_f"],
            "Br": p["B_r"], "Cr": p["C_r"], "Dr": p["D_r"] / rear, "Er": p["E_r"],
            "friction_coeff": 1.0,
            "m": p["m"], "Iz": p["I"], "lf": p["lf"], "lr": p["lr"], "wheelbase": p["lf"] + p["lr"],
            "h_cg": p["h"],
            **({} if lag is None else {"tau_steer": lag}),
            "max_steering_angle": p["s_max"], "max_steering_velocity": p["sv_max"],
        }  # fmt: skip

    def to_equal(self, source: Source, rows: Rows) -> Rows:
        """Wheels straight."""
        return rows.at(delta=0.0, delta_dot=0.0)

    def rates(self, values: Mapping[str, float], source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """The analyser's equations; the acceleration that it is given is that of our drive."""
        accel = drive_acceleration(source, rows)
        vx, vy, r = (rows.x[name] for name in ("vx", "vy", "psi_dot"))
        return {"vx": accel, **analyser(values, vx, vy, r, rows.x["delta"], accel)}

    def differs(self, source: Source) -> list[str]:
        """What the analyser leaves out."""
        p = source.values
        return [
            "the reader leaves out the sine and the cosine of the steering angle",
            "the reader takes the acceleration for the rate of vx: neither vy psi_dot nor the side force "
            "of the "
            "steered wheels slows its car",
            f"the reader slips at every speed; the model rolls up to {p['v_blend_low']:g} m/s and blends "
            f"up to "
            f"{p['v_blend_high']:g} m/s",
        ]

    def render(
        self, entries: Sequence[Entry], head: Head, source: Source, values: Mapping[str, float]
    ) -> dict[str, bytes]:
        """Two YAML files and the table."""
        top = commented(head.lines)
        tyre = [entry for entry in entries if entry.key in TYRE]
        car = [entry for entry in entries if entry.key not in TYRE]
        more = (
            "# Not identified and not written: a_max, a_min, v_max, v_min, C_0d, C_d, C_acc, C_dec, C_R, "
            "C_0v, C_v: "
            "keep those of your car.\n"
        )
        return {
            "pacejka.yaml": f"{top}floor: pct\n{yaml_lines(tyre)}".encode(),
            "car_model.yaml": f"{top}{more}racecar_version: PCT\n{yaml_lines(car)}".encode(),
            "lookup_table.csv": table_text(lookup_table(values)),
        }


def analyser(
    p: Mapping[str, float],
    vx: np.ndarray,
    vy: np.ndarray,
    r: np.ndarray,
    delta: np.ndarray,
    accel: np.ndarray,
) -> dict[str, np.ndarray]:
    """Rates of vy and of the yaw rate by the analyser's equations."""
    alpha_f = delta - np.arctan((vy + r * p["lf"]) / vx)
    alpha_r = -np.arctan((vy - r * p["lr"]) / vx)
    wheelbase = p["lf"] + p["lr"]
    load_f = p["m"] * (GRAVITY * p["lr"] - accel * p["h_cg"]) / wheelbase
    load_r = p["m"] * (GRAVITY * p["lf"] + accel * p["h_cg"]) / wheelbase

    front, rear = load_f * over_load(p, "f", alpha_f), load_r * over_load(p, "r", alpha_r)
    return {"vy": (front + rear) / p["m"] - vx * r, "psi_dot": (p["lf"] * front - p["lr"] * rear) / p["Iz"]}


def over_load(p: Mapping[str, float], axle: str, alpha: np.ndarray) -> np.ndarray:
    """Side force of an axle over its load at slip angles in rad."""
    slip = p[f"B{axle}"] * alpha
    bent = slip - p[f"E{axle}"] * (slip - np.arctan(slip))
    return np.asarray(p["friction_coeff"] * p[f"D{axle}"] * np.sin(p[f"C{axle}"] * np.arctan(bent)))


def lookup_table(values: Mapping[str, float]) -> np.ndarray:
    """Lateral acceleration in m/s^2 of steady turns, (1 + angles, 1 + speeds): speeds in the first row,
    steering angles in the first column, not a number beyond the largest of each speed."""
    speeds = SPEEDS * np.sqrt(GRAVITY * values["wheelbase"])
    table = np.full((len(STEERS) + 1, len(speeds) + 1), np.nan)
    table[0, 0], table[0, 1:], table[1:, 0] = 0.0, speeds, STEERS

    # In a steady turn an axle carries its static load's share of the mass.
    table[1:, 1:] = steady_turns(
        lambda slip: over_load(values, "f", slip) * GRAVITY,
        lambda slip: over_load(values, "r", slip) * GRAVITY,
        speeds,
        STEERS,
        values["lf"],
        values["lr"],
    )
    return table


def table_text(table: np.ndarray) -> bytes:
    """CSV as ``numpy.loadtxt`` reads it."""
    return "".join(",".join(f"{x:.8e}" for x in row) + "\n" for row in table).encode()


TARGET = ForzaETH()
export = TARGET.export
