"""Smooth kinematics of a recording: what the log lacks by differentiation, or its motion by a smoother.

`smooth` does either. The smoother, `kalman`, reads every channel that measures the motion, each as
noisy as the recording shows it to be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.doctor.statistics import agreement, noise_of
from pct.dynamics.channels import is_heading, known_channels
from pct.errors import DataError
from pct.importing.kalman import (
    PSI_DOT,
    RATES,
    STATES,
    VX,
    VX_DOT,
    VY,
    VY_DOT,
    Sensors,
    fit_noise,
    look_back,
    run_filter,
)
from pct.logs.spool import Spool
from pct.recordings.derive import derive, forward_difference, smooth_derivative
from pct.recordings.relations import STANDSTILL, slip_angle, speed
from pct.recordings.trajectory import Trajectory
from pct.types import Column, Float

MEASURED = ("x", "y", "psi", "yaw", "course", "vx", "vy", "v", "beta", "psi_dot", "ax", "ay")
# Rows of a block, rows around it in which the filter settles, and how many are smoothed side by side.
BLOCK_ROWS, LEAD_ROWS, ABREAST = 1000, 400, 16
# No sensor is better than this in its unit, or than this part of what it changes by from row to row.
LEAST_NOISE, LEAST_SHARE = 1e-6, 1e-3
# An accelerometer is read where it follows the velocities this closely, by a gain this close to one.
LIKENESS, GAIN = 0.9, 1.25


def smooth(trajectory: Trajectory, method: str) -> Trajectory:
    """A recording with smooth kinematic channels, their origin ``derived``.

    Args:
        trajectory: its delays removed.
        method: ``savgol`` adds the channels that the log lacks, differentiated by a local parabola, and
            leaves those that it has. ``rts`` puts estimates in place of pose, velocities and yaw rate, as far
            as the log shows them, and of ``v`` and ``beta``, and adds ``accel``. Commands stay, and so
            does an ``accel`` that was logged. The added ``accel`` and ``delta_dot`` are means over the step
            that begins at their row.

    Raises:
        DataError: ``rts`` finds neither positions with a heading nor velocities along and across.
    """
    new = {"savgol": _differentiate, "rts": _estimate}[method](trajectory)
    old = trajectory.channels
    channels: Any = old.cut(0, len(trajectory)) if isinstance(old, Spool) else dict(old)
    channels.update(new)
    return dataclasses.replace(
        trajectory,
        channels=channels,
        units={**trajectory.units, **{name: known_channels()[name].unit for name in new}},
        origins={**trajectory.origins, **dict.fromkeys(new, "derived")},
    )


def _differentiate(trajectory: Trajectory) -> dict[str, Column]:
    """Channels that the log lacks."""
    logged, dt = trajectory.channels, trajectory.dt
    new = {}
    for name in ("psi", "psi_dot", "vx", "vy", "v", "beta"):
        column = None if name in logged else derive(name, logged, dt)
        if column is not None:
            new[name] = np.unwrap(column) if is_heading(name) else column
    for name, integral in (("delta_dot", "delta"), ("accel", "v")):
        column = new[integral] if integral in new else logged.get(integral)
        if name not in logged and column is not None:
            rate = smooth_derivative(column, dt)
            new[name] = np.append(0.5 * (rate[1:] + rate[:-1]), rate[-1])
    return new


def _estimate(trajectory: Trajectory) -> dict[str, Column]:
    """Channels as the smoother sees them; in blocks, for a long recording must not fill the memory."""
    dt, rows = trajectory.dt, len(trajectory)
    sensors = fit_noise(find_sensors(trajectory), dt)
    width = min(rows, BLOCK_ROWS + 2 * LEAD_ROWS)
    begins = np.arange(0, rows, BLOCK_ROWS)
    starts = np.clip(begins - LEAD_ROWS, 0, rows - width)
    states = np.empty((rows, len(STATES)))
    for group in np.array_split(np.arange(len(begins)), -(-len(begins) // ABREAST)):
        forwards = run_filter(sensors, starts[group], width, dt)
        smoothed = forwards.smoothed(look_back(forwards)[0])
        for i, block in zip(group, np.moveaxis(smoothed, 1, 0), strict=True):
            stop = min(begins[i] + BLOCK_ROWS, rows)
            states[begins[i] : stop] = block[begins[i] - starts[i] : stop - starts[i]]
    new = {name: states[:, i] for i, name in enumerate(STATES[:6]) if name in sensors.observed}
    if "yaw" in trajectory.channels and "psi" in new:
        new["yaw"] = new["psi"]
    new["v"], new["beta"] = speed(new["vx"], new["vy"]), slip_angle(new["vx"], new["vy"])
    new["accel"] = forward_difference(new["v"], dt)
    unchanged = {
        name for name in trajectory.units if trajectory.origins[name] == "command" or name == "accel"
    }
    return {name: column for name, column in new.items() if name not in unchanged}


def find_sensors(trajectory: Trajectory) -> Sensors:
    """The channels that tell of the motion, each as noisy as it scatters from row to row.

    Raises:
        DataError: neither positions with a heading nor velocities along and across.
    """
    dt = trajectory.dt
    logged = {
        name: trajectory.channels[name]
        for name in MEASURED
        if name in trajectory.units and trajectory.origins[name] != "command"
    }
    # Nothing is differentiated here: positions are not to be read again as velocities.
    inner = {name: column for name, column in logged.items() if name not in ("x", "y")}
    columns = {name: derive(name, inner, dt) for name in ("psi", "vx", "vy")}
    columns["psi_dot"] = logged.get("psi_dot")
    if columns["psi"] is not None:
        columns["psi"] = np.unwrap(columns["psi"])
        if {"x", "y"} <= set(logged):
            columns |= {"x": logged["x"], "y": logged["y"]}
    if columns["vx"] is None:
        columns["v"] = logged.get("v")
    read = {name: column for name, column in columns.items() if column is not None}
    if not {"x", "psi"} <= set(read) and not {"vx", "vy"} <= set(read):
        raise DataError(
            f"{trajectory.name}: expected x, y and a heading, or vx and vy, to smooth the motion; the log "
            f"has: {', '.join(trajectory.channels)}. Map them, or take savgol for rts"
        )
    observed = {"vx", "vy"} | (set(read) & set(STATES)) | ({"psi_dot"} if "psi" in read else set())
    rough = _rough_states(read, dt)
    if "psi_dot" in observed:
        read |= _sound_accelerometers(logged, rough, dt)
    noise = np.array([_scatter(column) for column in read.values()])
    readings = np.stack(list(read.values()), axis=1)
    if not {"psi", "yaw"} & set(logged) and "psi" in read:
        # A direction of travel says nothing of the heading where the vehicle stands.
        readings[np.hypot(rough[:, VX], rough[:, VY]) < STANDSTILL, list(read).index("psi")] = np.nan
    jumps = np.diff(rough[:, [rate for _, rate in RATES]], axis=0)
    walk = np.maximum(np.mean(jumps**2, axis=0) / dt, 1e-9)
    return Sensors(tuple(read), readings, noise, walk, rough, frozenset(observed))


def _rough_states(read: Mapping[str, Column], dt: float) -> Float[np.ndarray, "N 9"]:
    """States by differentiation; zero where no channel shows them."""
    rows = len(next(iter(read.values())))
    rough = np.zeros((rows, len(STATES)))
    for i, name in enumerate(STATES[:6]):
        column = derive(name, read, dt)
        rough[:, i] = 0.0 if column is None else column
    for i, rate in RATES:
        rough[:, rate] = smooth_derivative(rough[:, i], dt)
    return rough


def _sound_accelerometers(
    logged: Mapping[str, Column], rough: Float[np.ndarray, "N 9"], dt: float
) -> dict[str, Column]:
    """Accelerometers that agree with the velocities, freed of their offset."""
    implied = {
        "ax": rough[:, VX_DOT] - rough[:, VY] * rough[:, PSI_DOT],
        "ay": rough[:, VY_DOT] + rough[:, VX] * rough[:, PSI_DOT],
    }
    sound = {}
    for name in implied.keys() & logged.keys():
        agreed = agreement([(logged[name], implied[name])], dt)
        if (
            agreed is not None
            and agreed.correlation > LIKENESS
            and 1 / GAIN < agreed.gain < GAIN
            and abs(agreed.lag) < dt
        ):
            sound[name] = logged[name] - np.median(logged[name] - implied[name])
    return dict(sorted(sound.items()))


def _scatter(column: Column) -> float:
    """Standard deviation of the white noise; of all third differences where most of them are zero."""
    if len(column) < 4:
        return LEAST_NOISE
    noise = noise_of(column) or float(np.sqrt(np.mean(np.diff(column, 3) ** 2) / 20.0))
    return max(noise, LEAST_SHARE * float(np.mean(np.abs(np.diff(column)))), LEAST_NOISE)
