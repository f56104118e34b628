"""How often a line of a proposed map that is called *high* is right.

Drives of the doctor's benchmark get other names, units and faults, each at random; `pct.mapping` proposes a
map for each. A line is right where its column is the channel's and its unit, sign and offset give the exact
values back. Last line: one JSON object, with the share of lines that are right by confidence.

    python benchmarks/map_confidence.py [--recordings 140] [--seed 81000]
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np

from doctor import Car, drives, equip, sensed
from pct.logs.readers.base import RawLog
from pct.mapping import Line, propose
from pct.mapping.proposal import factor

DEG = 180 / math.pi
# Names by channel, of several recorders.
NAMES = {
    "x": ("x", "pose_x", "position.x", "easting", "X [m]"),
    "y": ("y", "pose_y", "position.y", "northing", "Y [m]"),
    "psi": ("yaw", "heading", "psi", "theta", "orientation_yaw"),
    "psi_dot": ("yaw_rate", "gyro_z", "wz", "yawRate", "angular_velocity_z"),
    "vx": ("vx", "linear_x", "v_long", "velocity_x", "vel_x"),
    "vy": ("vy", "linear_y", "v_lat", "velocity_y", "vel_y"),
    "v": ("speed", "v", "velocity", "vehicle_speed", "Speed"),
    "ax": ("ax", "acc_x", "accel_x", "a_long", "imu_acc_x"),
    "ay": ("ay", "acc_y", "accel_y", "a_lat", "imu_acc_y"),
    "delta": ("delta", "steering_angle", "road_wheel_angle", "steer_angle", "steering_angle_rad"),
    "beta": ("beta", "slip_angle", "beta", "sideslip", "beta"),
}
UNITS = {"psi": DEG, "psi_dot": DEG, "v": 3.6, "vx": 3.6, "vy": 3.6, "ax": 1 / 9.80665, "ay": 1 / 9.80665}
# Share of logs with each fault.
RARE, OFTEN = 0.1, 0.3
# A line is right where half of the rows are within this share of what the channel does.
RIGHT = 0.15


def spoiled(car: Car, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, str], set[str]]:
    """A log, the column of each channel, and the channels that cannot be right in any unit."""
    shown, lost = sensed(car, rng), set()
    style = int(rng.integers(5))
    for name, unit in UNITS.items():
        if name in shown and rng.random() < OFTEN:
            shown[name] = unit * shown[name]
    if rng.random() < OFTEN:
        turn = 360.0 if np.abs(shown["psi"]).max() > 30 else 2 * np.pi
        shown["psi"] = (shown["psi"] + turn / 2) % turn - turn / 2
    for name in ("psi_dot", "delta", "ay"):
        if name in shown and rng.random() < RARE:
            shown[name] = -shown[name] if rng.random() < 0.5 else np.abs(shown[name])
    if "vy" in shown and rng.random() < OFTEN:
        own = np.convolve(rng.standard_normal(len(shown["vy"]) + 49), np.ones(50), mode="valid")
        shown["vy"] = own / own.std() * max(1.0, shown["vy"].std()) * rng.uniform(0.3, 3.0) + rng.normal()
        lost.add("vy")
    if rng.random() < RARE:
        shown["psi"] = np.angle(np.exp(1j * sensed(car, rng)["psi"])) * DEG**2
    columns = {name: NAMES[name][style] for name in shown}
    kind = rng.random()
    if kind < OFTEN:
        shown["delta"] = shown["delta"] * rng.uniform(12, 20) * (DEG if rng.random() < 0.5 else 1.0)
        columns["delta"] = str(
            rng.choice(["steering_wheel_angle", "SteeringWheelAngle", "steering_angle", "swa"])
        )
    elif kind < 2 * OFTEN:
        shown["delta"] = shown["delta"] / rng.uniform(0.3, 0.6) * rng.choice([1.0, 100.0])
        columns["delta"] = str(rng.choice(["steering", "steer_cmd", "steer", "steering_command"]))
    log = {"time": car.drive.profile.dt * np.arange(len(shown["x"]))}
    log |= {columns[name]: column for name, column in shown.items()}
    if rng.random() < RARE:
        half = shown["psi"] / 2 / (DEG if np.abs(shown["psi"]).max() > 30 else 1.0)
        log |= {"qx": 0 * half, "qy": 0 * half, "qz": np.sin(half), "qw": np.cos(half)}
    return log, columns, lost


def is_right(
    line: Line, log: dict[str, np.ndarray], columns: dict[str, str], car: Car, lost: set[str]
) -> bool:
    """Whether a line gives the exact channel back."""
    name = "psi" if line.channel == "course" else line.channel
    if line.channel in lost or name not in car.exact or line.channel == "course":
        return False
    if line.column.startswith("yaw("):
        return True
    if line.column != columns[name]:
        return False
    values = (log[line.column] + float(line.keys.get("offset", 0.0))) * factor(line)
    exact = car.exact[name]
    sign = line.keys.get("sign", 1)
    values = np.abs(values) * np.sign(exact) if sign == "motion" else int(sign) * values
    if name == "psi":
        return float(np.median(np.abs(np.angle(np.exp(1j * (values - exact)))))) < 0.1
    scale = np.quantile(np.abs(exact), 0.9)
    noise = 3 * car.noise.get(name, 0.0)
    return float(np.median(np.abs(values - exact))) < RIGHT * float(scale) + noise


def main() -> None:
    """Spoil, propose, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=int, default=140)
    parser.add_argument("--seed", type=int, default=81_000)
    args = parser.parse_args()
    right: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for number, drive in enumerate(drives(args.recordings, args.seed)):
        rng = np.random.default_rng([args.seed, number])
        car = equip(drive, rng)
        log, columns, lost = spoiled(car, rng)
        proposal = propose(Path("log.csv"), RawLog(log, np.arange(len(log["time"])), "row"))
        for line in proposal.lines:
            good = is_right(line, log, columns, car, lost)
            count[line.sure] += 1
            right[line.sure] += good
            if line.sure == "high" and not good:
                profile = drive.profile
                print(f"{number} {profile.model} {profile.vehicle} {profile.dt}: {line.channel} {line}")
    shares = {sure: round(right[sure] / count[sure], 4) for sure in count}
    print(json.dumps({"right": shares, "lines": dict(count), "seed": args.seed}))


if __name__ == "__main__":
    main()
