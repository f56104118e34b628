"""Fits to logs from which the pose is dropped, beside fits with it; and kinds of logs that never hold one.

`dropped`: each log is fitted as it is, without position and heading, and without sideways velocity or slip
angle as well. Counted are the parameters that the fit with the pose identifies, and how many of them lie
inside its 95 % intervals, its errors alone; then with both errors. `iac`: errors of the three fits on rows
that none has seen. `kinds`: generated logs of five kinds of recorders, through `pct run` from the file on.
`changes`: what `pct compare` says of a changed mass and of other tyres where logs hold pedals and neither
pose nor sideways velocity. Last line: one JSON object.

    python benchmarks/without_pose.py [--data FOLDER] [--only dropped iac kinds changes]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import polars as pl

import f1tenth
import iac
import pct
from pct.dynamics.limits import GRAVITY
from pct.types import Float

POSE, SIDEWAYS = ("x", "y", "psi", "yaw", "course"), ("vy", "beta")
VARIANTS = {"with pose": (), "without pose": POSE, "nor vy": (*POSE, *SIDEWAYS)}
SHIFTS = ("S_hf", "S_vf", "S_hr", "S_vr")
# Published with the simulator.
BAYESRACE = {
    "B_f": 5.579,
    "C_f": 1.2,
    "D_f": 0.192,
    "B_r": 5.3852,
    "C_r": 1.2691,
    "D_r": 0.1737,
    "C_m1": 0.287,
    "C_m2": 0.0545,
    "C_r0": 0.0518,
    "C_r2": 0.00035,
    "I": 2.78e-5,
}
PARTS = ("dropped", "iac", "kinds", "changes")
NORMAL_95 = 1.96


class Log(NamedTuple):
    """A car, its drives, what is known of it, and settings of its fit."""

    car: pct.Car
    drives: pct.Drives
    truth: Mapping[str, float] = MappingProxyType({})
    settings: Mapping[str, Any] = MappingProxyType({})


def main() -> None:
    """Run the parts and print their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder that holds iac/, f1tenth/ and fullscale_sim/")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    pct.keep_compiled_code()
    results: dict[str, Any] = {}
    if "dropped" in args.only:
        results["dropped"] = {name: dropped(name, make()) for name, make in logs(args.data).items()}
    if "iac" in args.only and args.data is not None:
        results["iac"] = on_iac(args.data)
    if "kinds" in args.only:
        results["kinds"] = {name: on_kind(name, make) for name, make in KINDS.items()}
    if "changes" in args.only:
        results["changes"] = on_changes()
    print(json.dumps(results))


def logs(data: Path | None) -> dict[str, Callable[[], Log]]:
    """What makes each log when it is asked for."""
    made: dict[str, Callable[[], Log]] = {
        "simulated, single-track": small_car,
        "simulated, Magic Formula": race_car,
    }
    if data is None:
        return made
    return {
        **made,
        "full-size lap": lambda: full_size_lap(data),
        "F1TENTH race": lambda: f1tenth_race(data),
        "BayesRace": lambda: bayes_race(data),
    }


def full_size_lap(data: Path) -> Log:
    """A lap of a full-size simulated car, with its drive force as the command."""
    (lap,) = (data / "fullscale_sim").glob("*.json")
    signals = 'preset = "fullscale-sim-json"\n[channels.drive]\ncolumn = "drive_force"\nunit = "0.0001"\n'
    car = pct.model("singletrack-pacejka", vehicle="bmw-320i").hold("C_b", "E_f", "E_r", *SHIFTS)
    return Log(car, mapped(lap, signals), settings={"dt": 0.05})


def f1tenth_race(data: Path) -> Log:
    """The first race of a real 1:10 car, as `f1tenth.py` fits it, begun by the observer."""
    race = sorted(data.glob("f1tenth/*_race.csv"))[0]
    settings = {"horizon": f1tenth.STEPS, "history": f1tenth.STEPS, "stride": 3}
    return Log(f1tenth.CAR.measured(observer=True), f1tenth.read(race), settings=settings)


def bayes_race(data: Path) -> Log:
    """A simulated 1:43 car; its own equations, so that the truth of the tyres is known."""
    (drive,) = data.glob("bayesrace/*.npz")
    signals = 'preset = "bayesrace-npz"\n[channels.drive]\ncolumn = "inputs[0]"\norigin = "command"\n'
    car = pct.model("singletrack-pacejka", vehicle="orca").hold("C_b", "E_f", "E_r", *SHIFTS)
    return Log(car, mapped(drive, signals), BAYESRACE)


def mapped(log: Path, text: str) -> pct.Drives:
    """The drives of a log by the text of a map."""
    with tempfile.TemporaryDirectory() as scratch:
        signals = Path(scratch) / "signals.toml"
        signals.write_text(text)
        return pct.load(log, map=signals)


def small_car() -> Log:
    """Four drives of a 1:10 car with sensor noise."""
    car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m")
    values = car.spec.default_params
    drives = pct.simulate(car, recordings=4, duration=60.0, mu=(0.7,), seed=3)
    return Log(car, drives, {"mu": 0.7, "I": float(values["I"])})


def race_car() -> Log:
    """Four drives of a 1:10 car with Magic Formula tyres, near the limit of grip."""
    car = pct.model("singletrack-pacejka").hold("C_b", "E_f", "E_r", *SHIFTS)
    values = car.spec.default_params
    drives = pct.simulate(car, recordings=4, duration=60.0, mu=(1.0,), grip=0.9, seed=5)
    return Log(car, drives, {name: float(values[name]) for name in car.learned})


def dropped(name: str, log: Log) -> dict[str, Any]:
    """Fits with and without the pose of one log."""
    truth = log.truth
    fits = {
        variant: pct.fit(log.car, without(log.drives, names), **log.settings)
        for variant, names in VARIANTS.items()
    }
    reference = fits["with pose"]
    known = [key for key, entry in reference.verdicts.items() if entry["verdict"] == "identified"]
    print(f"\n{name}: {len(known)} parameters are identified with the pose")
    print(
        f"{'':14s}{'inside its interval':>22s}{'inside both':>14s}{'truth inside':>14s}{'error ratio':>14s}"
    )
    rows = {}
    for variant, fit in fits.items():
        away = {key: abs(float(fit.params[key]) - float(reference.params[key])) for key in known}
        errors = {key: (float(fit.deviations[key]), float(reference.deviations[key])) for key in known}
        inside = [key for key in known if away[key] <= NORMAL_95 * errors[key][1]]
        both = [key for key in known if away[key] <= NORMAL_95 * math.hypot(*errors[key])]
        true = [
            key
            for key in known
            if key in truth and abs(float(fit.params[key]) - truth[key]) <= NORMAL_95 * errors[key][0]
        ]
        told = [key for key in known if key in truth]
        ratio = float(np.median([own / of for own, of in errors.values()])) if known else math.nan
        rows[variant] = {
            "inside": len(inside),
            "outside": [key for key in known if key not in inside],
            "inside_both": len(both),
            "truth_inside": [len(true), len(told)],
            "error_ratio": ratio,
            "values": {key: [float(fit.params[key]), errors[key][0]] for key in known},
        }
        cells = f"{len(inside)} of {len(known)}", f"{len(both)} of {len(known)}"
        print(
            f"{variant:14s}{cells[0]:>22s}{cells[1]:>14s}{f'{len(true)} of {len(told)}':>14s}{ratio:14.2f}"
            + ("   outside: " + ", ".join(rows[variant]["outside"]) if rows[variant]["outside"] else "")
        )
    return {"identified": known, "rows": rows}


def on_iac(data: Path) -> dict[str, Any]:
    """Errors of fits to the first part of the IAC log on the rest of it."""
    log = iac.read_log(data / "iac" / "Putnam_park2023_run4_2.csv")
    train, test = iac.drive(log, 0, iac.SPLIT), iac.drive(log, iac.SPLIT, len(log))
    settings = {**iac.FIT, "compare": ()}
    car = iac.AV21.measured(pedals=True, steering=True).hold("S_hf", "S_vf", "S_hr", "S_vr")
    rows: dict[str, Any] = {}
    print(f"\nIAC, unseen rows{'':4s}" + "".join(f"{key:>12s}" for key in iac.JUDGED))
    for variant, names in VARIANTS.items():
        fit = pct.fit(car, without(train, names), **settings)
        result = pct.evaluate(fit, without(test, names), at=(1.0,), stride=iac.STRIDE).result
        (seconds,) = result.at
        scores = result.rows[iac.RUN].scores[seconds]
        rows[variant] = {
            key: scores[channel].path_rmse.value for key, channel in iac.JUDGED.items() if channel in scores
        }
        cells = (
            f"{rows[variant][key]:12.4f}" if key in rows[variant] else f"{'-':>12s}" for key in iac.JUDGED
        )
        print(f"{variant:20s}" + "".join(cells))
    return rows


def on_changes() -> dict[str, str]:
    """What a comparison says of a car before and after a change, from four minutes each."""
    car = pct.model("singletrack-pacejka")
    values = {key: float(value) for key, value in car.base.default_params.items()}

    def scaled(factor: float, *names: str) -> dict[str, float]:
        return {key: factor * values[key] for key in names}

    def fit(seed: int, **changed: float) -> pct.Fit:
        drives = pct.simulate(
            car.hold(**changed), recordings=4, duration=60.0, mu=(1.0,), grip=0.9, seed=seed
        )
        return pct.fit(car.hold("C_b", "E_f", "E_r", *SHIFTS), without(drives, (*POSE, *SIDEWAYS)))

    changes = {
        "nothing": {},
        "mass x 1.2": scaled(1.2, "m", "I", "D_f", "D_r"),
        "tyres x 0.85": scaled(0.85, "D_f", "D_r"),
        "motor x 0.8": scaled(0.8, "C_m1", "C_m2"),
    }
    before, said = fit(1), {}
    for seed, (name, changed) in enumerate(changes.items(), 2):
        said[name] = pct.compare([before, fit(seed, **changed)]).facts[-1]
        print(f"\n{name}: {said[name]}")
    return said


def without(drives: pct.Drives, names: tuple[str, ...]) -> pct.Drives:
    """The drives without channels of these names."""
    made = []
    for drive in drives:
        trajectory = drive.trajectory
        kept = [name for name in trajectory.channels if name not in names]
        tables = {
            table: {name: getattr(trajectory, table)[name] for name in kept}
            for table in ("channels", "units", "origins")
        }
        made.append(pct.Drive(drive.name, dataclasses.replace(trajectory, **tables)))
    return pct.Drives(tuple(made))


Table = dict[str, Float[np.ndarray, " N"]]


def on_kind(name: str, make: Callable[[], Table]) -> dict[str, Any]:
    """What `pct run` makes of a log of a kind, from the file on."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}.csv"
        pl.DataFrame(make()).write_csv(path)
        made = pct.run(path, Path(scratch) / "run", report=False)
        chosen = {key: value for key, (value, _) in made.choices.items() if key != "data.logs"}
        values = {key: [float(made.fit.params[key]), float(made.fit.deviations[key])] for key in made.trusted}
    print(f"\n{name}: {chosen['car.model']}, {chosen['car.vehicle']}")
    for key, (value, error) in values.items():
        print(f"  {key:22s}{value:.4g} +- {error:.2g}")
    return {"choices": chosen, "trusted": values, "doubtful": made.doubtful}


def turning_car(vehicle: str | None, speed: tuple[float, float], seed: int, mu: float = 0.8) -> Table:
    """Two minutes of a car with an accelerometer: the channels of its sensors, and the time."""
    car = pct.model("singletrack", vehicle=vehicle).measured(accelerometer=("ax", "ay"), observer=False)
    (drive,) = pct.simulate(car, duration=120.0, mu=(mu,), speed=speed, seed=seed)
    columns = drive.table()
    return {key: columns[key].to_numpy() for key in ("t", "v", "psi_dot", "delta", "ax", "ay")}


def telemetry() -> Table:
    """A RoboRacer car: speed in km/h under a name that does not say so."""
    c = turning_car(None, (2.0, 6.0), 1)
    names = {"t": "t", "accx": "ax", "accy": "ay", "yaw_rate": "psi_dot", "steering_angle": "delta"}
    return {**{name: c[key] for name, key in names.items()}, "Speed": 3.6 * c["v"]}


def sports_car() -> Table:
    """A historic sports car: steering wheel, degrees and g."""
    c = turning_car("bmw-320i", (10.0, 30.0), 2)
    return {
        "Time [s]": c["t"],
        "Speed [km/h]": 3.6 * c["v"],
        "YawRate [deg/s]": np.degrees(c["psi_dot"]),
        "LatAcc [g]": c["ay"] / GRAVITY,
        "LongAcc [g]": c["ax"] / GRAVITY,
        "SteeringWheelAngle [deg]": 15 * np.degrees(c["delta"]),
    }


def oval() -> Table:
    """A race car on an oval, in miles per hour."""
    c = turning_car("av-21", (40.0, 70.0), 3, 1.3)
    return {
        "timestamp": c["t"],
        "speed_mph": 2.236936 * c["v"],
        "yaw_rate_deg_s": np.degrees(c["psi_dot"]),
        "lat_acc_g": c["ay"] / GRAVITY,
        "lon_acc_g": c["ax"] / GRAVITY,
        "steer_angle_deg": np.degrees(c["delta"]),
    }


def straight(drive: Float[np.ndarray, " N"], dt: float, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Speed in m/s and acceleration in m/s^2 of 1500 kg: 7 kN of motor, 9 kN of brakes, drag and rolling."""
    v, a = np.zeros(len(drive)), np.zeros(len(drive))
    v[0] = start
    for k, d in enumerate(drive):
        force = (7000.0 - 80.0 * v[k]) * max(d, 0.0)
        a[k] = (force + (9000.0 * min(d, 0.0) - 180.0 - 0.45 * v[k] ** 2) * (v[k] > 0.1)) / 1500.0
        if k + 1 < len(drive):
            v[k + 1] = max(0.0, v[k] + dt * a[k])
    return v, a


def electric_car() -> Table:
    """An electric road car: pedals, speed and acceleration, neither steering nor yaw rate."""
    rng = np.random.default_rng(0)
    drive = np.repeat(rng.uniform(-0.5, 0.7, 150), 40)
    v, a = straight(drive, 0.1, 10.0)
    noise = rng.standard_normal((2, len(v)))
    return {
        "Time [s]": 0.1 * np.arange(len(v)),
        "Velocity [km/h]": 3.6 * v + 0.05 * noise[0],
        "Throttle [%]": 100 * np.maximum(drive, 0.0),
        "Brake [%]": 100 * np.maximum(-drive, 0.0),
        "Longitudinal Acceleration [m/s^2]": a + 0.1 * noise[1],
    }


def abs_test() -> Table:
    """Full stops with wheel speeds; no throttle is logged, so that its stops alone say something."""
    dt, rng = 0.02, np.random.default_rng(1)
    pieces = []
    for strength in (1.0, 0.6, 0.8) * 4:
        brake = np.concatenate([np.zeros(50), np.full(round(30.0 / (6.0 * strength) / dt), strength)])
        v, a = straight(-brake, dt, 30.0)
        pieces.append(np.stack([v, a, brake]))
    v, a, brake = np.concatenate(pieces, axis=1)
    noise = rng.standard_normal((6, len(v)))
    wheels = {
        f"wheel_speed_{wheel}": 3.6 * v * (1 - 0.04 * brake) + 0.1 * noise[i]
        for i, wheel in enumerate(("fl", "fr", "rl", "rr"))
    }
    return {
        "t": dt * np.arange(len(v)),
        "v_kmh": 3.6 * v + 0.1 * noise[4],
        **wheels,
        "ax": a + 0.15 * noise[5],
        "brake_pct": 100 * brake,
    }


KINDS: dict[str, Callable[[], Table]] = {
    "RoboRacer telemetry": telemetry,
    "historic sports car": sports_car,
    "racing oval": oval,
    "electric road car": electric_car,
    "ABS test": abs_test,
}


if __name__ == "__main__":
    main()
