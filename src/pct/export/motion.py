"""States and controls of single-track models by name: slips, accelerations, and rows to compare on.

Models say the same motion in two ways, by speed and slip angle or by the velocities along and across; here it
is read from either.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from pct.dynamics.limits import GRAVITY
from pct.dynamics.singletrack_pacejka import longitudinal_force, travel_direction
from pct.export.source import Source

Columns = Mapping[str, np.ndarray]
# Slip angle in rad over which a tyre is a straight line.
SMALL_SLIP = 1e-5


class Rows(NamedTuple):
    """Rows of states and controls that something is compared on, one array a channel, (N,)."""

    x: dict[str, np.ndarray]
    u: dict[str, np.ndarray]

    def at(self, **changes: np.ndarray | float) -> Rows:
        """The rows with other values of some channels."""
        size = len(next(iter(self.x.values())))
        new = {name: np.broadcast_to(np.asarray(value, float), size) for name, value in changes.items()}
        return Rows(
            {name: new.get(name, column) for name, column in self.x.items()},
            {name: new.get(name, column) for name, column in self.u.items()},
        )


def model_rates(source: Source, rows: Rows) -> dict[str, np.ndarray]:
    """Rate of every state by name, of the source's own equations in double precision."""
    spec = source.spec
    columns = [rows.x[name] for name in spec.state_names] + [rows.u[name] for name in spec.control_names]
    rates = spec.dynamics_fn(np.stack(np.broadcast_arrays(*columns), axis=-1), source.values, np)
    return {name: np.asarray(rates[:, i]) for i, name in enumerate(spec.state_names)}


def velocities(x: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Velocities along and across the car in m/s."""
    if "vx" in x:
        return x["vx"], x["vy"]
    return x["v"] * np.cos(x["beta"]), x["v"] * np.sin(x["beta"])


def body_rates(x: Columns, rates: Columns) -> dict[str, np.ndarray]:
    """Rates of the velocities along and across in m/s^2, and of the yaw rate in rad/s^2."""
    if "vx" in rates:
        return {name: rates[name] for name in ("vx", "vy", "psi_dot")}
    sin, cos = np.sin(x["beta"]), np.cos(x["beta"])
    return {
        "vx": rates["v"] * cos - x["v"] * rates["beta"] * sin,
        "vy": rates["v"] * sin + x["v"] * rates["beta"] * cos,
        "psi_dot": rates["psi_dot"],
    }


def rows_for(said: Source, source: Source, rows: Rows) -> Rows:
    """The same motion in the channels of another model."""
    x, u = dict(rows.x), dict(rows.u)
    if "drive" in u and "accel" in said.spec.control_names:
        u["accel"] = drive_acceleration(source, rows)
    vx, vy = velocities(x)
    x |= {"vx": vx, "vy": vy, "v": np.hypot(vx, vy), "beta": np.arctan2(vy, vx)}
    return Rows(
        {name: x[name] for name in said.spec.state_names},
        {name: u[name] for name in said.spec.control_names},
    )


def slip_angles(source: Source, x: Columns) -> dict[str, np.ndarray]:
    """Slip angle of each axle in rad, positive where the side force is to the left."""
    p = source.values
    vx, vy = velocities(x)
    along = np.maximum(np.abs(vx), p["v_blend_low"])
    return {
        "front": x["delta"] - np.arctan((vy + p["lf"] * x["psi_dot"]) / along),
        "rear": np.arctan((p["lr"] * x["psi_dot"] - vy) / along),
    }


def drive_acceleration(source: Source, rows: Rows) -> np.ndarray:
    """Force of motor, brakes and resistances over the mass in m/s^2, of a model with a drive command."""
    p = SimpleNamespace(**source.values)
    direction = travel_direction(rows.x["vx"], p, np)
    return np.asarray(longitudinal_force(rows.x["vx"], direction, rows.u["drive"], p, np) / p.m)


def has_tyres(source: Source) -> bool:
    """Whether it is a single track that slips, for which `usual_rows` can be drawn."""
    return {"lf", "lr", "v_blend_high", "s_max", "sv_max"} <= set(source.values)


def driven_rows(source: Source, most: int = 100) -> tuple[Rows, bool]:
    """Rows that were driven fast enough for tyres to slip, or usual ones; and whether they were driven.

    What a log has in place of a channel is left out of it: pedals for the drive command, for one.
    """
    spec, driven = source.spec, dict(source.driven)
    if "drive" not in driven and {"throttle", "brake"} <= set(driven):
        driven["drive"] = driven["throttle"] - driven["brake"]
    names = (*spec.state_names, *spec.control_names)
    if set(names) <= set(driven) and len(driven[names[0]]):
        x = {name: driven[name] for name in spec.state_names}
        moving = velocities(x)[0] > float(source.values.get("v_blend_high", 0.0))
        if moving.any():
            every = max(1, int(np.ceil(moving.sum() / most)))
            pick = np.flatnonzero(moving)[::every]
            return Rows(
                {name: column[pick] for name, column in x.items()},
                {name: driven[name][pick] for name in spec.control_names},
            ), True
    return usual_rows(source, most), False


def usual_rows(source: Source, count: int, seed: int = 0, slip: float = 0.1) -> Rows:
    """States of a car that corners at up to 0.8 of its grip, both axles slipping up to ``slip`` in rad.

    From the speed at which its tyres slip; driving and braking by up to 0.5 of its grip.
    """
    rng = np.random.default_rng(seed)
    p = source.values
    wheelbase = p["lf"] + p["lr"]
    grip = grip_of(source) * GRAVITY
    slow = 1.01 * float(p["v_blend_high"])
    fast = max(3.0 * slow, min(float(p.get("v_max", np.inf)), np.sqrt(grip * 30.0 * wheelbase)))
    v = rng.uniform(slow, fast, count)
    # No tighter than most of the steering allows.
    tightest = v * np.tan(0.7 * p["s_max"]) / wheelbase
    psi_dot = np.clip(rng.uniform(-0.8, 0.8, count) * grip / v, -tightest, tightest)
    rear, front = rng.uniform(-slip, slip, (2, count))
    vy = p["lr"] * psi_dot - v * np.tan(rear)
    delta = np.clip(front + np.arctan((vy + p["lf"] * psi_dot) / v), 0.98 * p["s_min"], 0.98 * p["s_max"])
    speed, beta = np.hypot(v, vy), np.arctan2(vy, v)
    accel = rng.uniform(-0.5, 0.5, count) * min(grip, float(p.get("a_max", np.inf)))
    states = {
        "x": rng.uniform(-50, 50, count), "y": rng.uniform(-50, 50, count), "psi": rng.uniform(-3, 3, count),
        "delta": delta, "psi_dot": psi_dot, "v": speed, "beta": beta, "vx": v, "vy": vy,
    }  # fmt: skip
    if "R_w" in p:
        along = rng.uniform(-0.02, 0.02, (2, count))
        states["omega_f"], states["omega_r"] = speed * np.cos(beta) * (1.0 + along) / p["R_w"]
    controls = {
        "delta_dot": rng.uniform(0.5 * p["sv_min"], 0.5 * p["sv_max"], count),
        "accel": accel,
        "drive": rng.uniform(-1.0, 1.0, count),
    }
    spec = source.spec
    return Rows(
        {name: states[name] for name in spec.state_names},
        {name: controls[name] for name in spec.control_names},
    )


def static_loads(source: Source) -> tuple[float, float]:
    """Load of the front and the rear axle at rest in N."""
    p = source.values
    weight = p["m"] * GRAVITY / (p["lf"] + p["lr"])
    return float(weight * p["lr"]), float(weight * p["lf"])


def grip_of(source: Source) -> float:
    """Friction coefficient: that of the model, or the peaks of both axles over the weight."""
    p = source.values
    return float(p["mu"]) if "mu" in p else float((p["D_f"] + p["D_r"]) / (p["m"] * GRAVITY))


def axle_stiffness(source: Source) -> tuple[float, float] | None:
    """Slope in N/rad of the front and the rear axle's side force where there is none; None without tyres."""
    force = source.spec.side_force
    if force is None or not {"lf", "lr", "m"} <= set(source.values):
        return None
    p = SimpleNamespace(**source.values)
    slip = np.array([-SMALL_SLIP, SMALL_SLIP])

    def slope(axle: str) -> float:
        # Shifts of the tyre only move the place.
        at = -float(getattr(p, f"S_h{axle[0]}", 0.0))
        low, high = np.asarray(force(axle, slip + at, p, np), float)
        return float((high - low) / (2.0 * SMALL_SLIP))

    return slope("front"), slope("rear")
