"""Open-loop error on a real 1:10 car in a motion-capture room: two drives are fitted, a third is judged.

The drives are those of DART on rubber (`dart/rubber_*.csv`): free driving, and throttle ramps at constant
steering. The log holds the pose of a marker, seen by cameras at 100 Hz, and the commands: throttle 0 to 1
and steering -1 to 1, which is no angle. Mass, wheelbase and the marker's place are published; the centre of
gravity is taken to lie half way between the axles. Velocities come from the pose by the smoother of an
import, which also leaves out standstills of more than 5 s; then everything is brought to steps of 0.04 s
(0.05 s for logs at 20 Hz). What one unit of steering is, how the servo lags, what the motor and the tyres
do is fitted.

Every row is computed on the same windows, one at every third row. Path RMSE over 0.3 s and 1 s, in brackets
the median over windows of each window's, and how many windows explode. A row that is told more than ours,
such as the acceleration that is derived from the log, is shown but no rival. Last line: one JSON object.

    python benchmarks/dart.py --data FOLDER [--rotations] [--floor rubber]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pct
from pct.dynamics.vehicles import VEHICLES
from pct.dynamics.vehicles.ranges import around, both_axles
from pct.dynamics.vehicles.vehicle import Vehicle, register_vehicle
from pct.errors import DataError
from pct.evaluation.evaluate import RUN, Row

WHEELBASE, MASS, MARKER = 0.1735, 1.58, 0.115
# The marker is ahead of the centre of gravity. Full steering is about 0.35 rad; the ratio to that is fitted.
SIGNALS = f"""
vehicle = "DART"
reference_ahead = {MARKER - WHEELBASE / 2}
faults = "cut"
time.column = "vicon time"
channels.x.column = "vicon x"
channels.y.column = "vicon y"
channels.psi.column = "vicon yaw"
channels.delta = {{ column = "steering", unit = "0.35 rad", origin = "command" }}
channels.drive = {{ column = "throttle", origin = "command" }}
"""
# Of the finest step, and of logs at 20 Hz.
STEPS = {0.04: 25, 0.05: 20}
SHORT = 0.3
JUDGED = {"position": "position [m]", "vx": "vx [m/s]", "vy": "vy [m/s]", "psi_dot": "yaw rate [rad/s]"}
STRIDE = 3
SETTINGS: dict[str, Any] = {
    "stride": STRIDE,
    "substeps": 4,
    "compare": ("x", "y", "psi", "vx", "vy", "psi_dot"),
}
# Usual numbers of a 1:10 car on this mass and wheelbase. The steering's stop and speed are not known: these
# are beyond what is commanded.
HALF = WHEELBASE / 2
if "dart-wide" not in VEHICLES:
    register_vehicle(
        "dart-wide",
        Vehicle(
            "1:10 car of DART",
            {
                **both_axles(mu=0.8, C_S=5.0, m=MASS, lf=HALF, lr=HALF, C=1.35, E=0.0),
                "m": MASS,
                "I": around(MASS * HALF**2, 4.0),
                "lf": HALF,
                "lr": HALF,
                "h": 0.0,
                "C_m1": (1.0, 12.0, 60.0),
                "C_m2": (0.0, 1.0, 10.0),
                "C_r0": (0.0, 1.0, 5.0),
                "C_r2": (0.0, 0.05, 0.5),
                "C_b": 0.0,
                "s_min": -0.5,
                "s_max": 0.5,
                "sv_min": -60.0,
                "sv_max": 60.0,
                "v_blend_low": 0.3,
                "v_blend_high": 0.8,
            },
        ),
    )
CAR = (
    pct.model("singletrack-pacejka", vehicle="dart-wide")
    .hold("lf", "lr", "C_b", "S_hf", "S_vf", "S_hr", "S_vr")
    .measured(steering=True, actuator_lag=("delta",), delay=("drive",), misaligned=True)
)
# The turn of the marker and the offset of the steering take the place of the tyres' shifts.
ROWS = {"ours": CAR, "ours, no observer": CAR.measured(observer=False)}


def main() -> None:
    """Fit, judge and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds dart/")
    parser.add_argument("--floor", default="rubber", help="drives whose names begin so")
    parser.add_argument(
        "--rotations",
        action="store_true",
        help="judge every drive, not only the second, by its two neighbours in the order of names",
    )
    args = parser.parse_args()
    pct.keep_compiled_code()
    logs = sorted((args.data / "dart").glob(f"{args.floor}_*.csv"))
    drives = read_all(logs)
    names = list(drives)
    found = {}
    for test in range(len(names)) if args.rotations else (1,):
        first, second = names[test - 1], names[(test + 1) % len(names)]
        name = f"{first} and {second} to {names[test]}"
        found[name] = judge(drives[first] + drives[second], drives[names[test]])
        show(name, found[name])
    print(json.dumps({"ours": {name: result["rows"]["ours"] for name, result in found.items()}, **found}))


def read_all(logs: Iterable[Path]) -> dict[str, pct.Drives]:
    """The drives of logs by name; says which are refused."""
    drives = {}
    for log in logs:
        try:
            drives[log.stem] = read(log)
        except DataError as error:
            print(f"left out: {error}", file=sys.stderr)
    return drives


def read(log: Path) -> pct.Drives:
    """The drives of a log without its standstills."""
    with tempfile.TemporaryDirectory() as scratch:
        signals, dataset = Path(scratch) / "signals.toml", Path(scratch) / "dataset"
        signals.write_text(SIGNALS)
        pct.import_logs(log, dataset, map=signals, smooth="rts")
        return pct.load(dataset)


def settings_of(*drives: pct.Drives) -> dict[str, Any]:
    """Settings of a fit at the finest step that all drives allow."""
    coarsest = max(one.dt for part in drives for one in part)
    dt = next(dt for dt in STEPS if dt > 0.999 * coarsest)
    return {**SETTINGS, "dt": dt, "horizon": STEPS[dt], "history": STEPS[dt]}


def judge(train: pct.Drives, test: pct.Drives) -> dict[str, Any]:
    """Errors of both fits and of the ladder on the same windows, and what was fitted."""
    settings = settings_of(train, test)
    dt, steps = settings["dt"], settings["horizon"]
    at = (round(SHORT / dt) * dt, steps * dt)
    rows: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for name, car in ROWS.items():
        begin = time.perf_counter()
        fit = pct.fit(car, train, **settings)
        found[name] = {"seconds": time.perf_counter() - begin, "parameters": parameters(fit)}
        result = pct.evaluate(fit, test, at=at, stride=STRIDE).result
        found["windows"] = result.windows
        # The ladder is the same for both fits.
        for row, errors in result.rows.items():
            rows[name if row == RUN else row] = scores(errors, rival=row != RUN and errors.comparable)
    return {**found, "rows": rows, "ahead": ahead(rows)}


def scores(row: Row, rival: bool) -> dict[str, dict[str, Any]]:
    """Path RMSE and its median over windows by horizon and channel, and how many windows explode."""
    return {
        f"{seconds:g} s": {
            **{
                key: {"path": scores[key].path_rmse.value, "median": scores[key].median_path_rmse.value}
                for key in JUDGED
                if key in scores
            },
            "exploded": row.exploded[seconds],
            "rival": rival,
        }
        for seconds, scores in row.scores.items()
    }


def ahead(rows: dict[str, Any]) -> dict[str, list[str]]:
    """Rows of the ladder that err less than ours, by channel and horizon."""
    return {
        f"{key} {seconds}": [
            name
            for name, row in rows.items()
            if row[seconds]["rival"]
            and key in row[seconds]
            and row[seconds][key]["path"] <= rows["ours"][seconds][key]["path"]
        ]
        for seconds in rows["ours"]
        for key in JUDGED
    }


def parameters(fit: pct.Fit) -> dict[str, Any]:
    """Value, standard error and verdict of each parameter."""
    return {
        name: [float(fit.params[name]), float(fit.deviations[name]), verdict["verdict"]]
        for name, verdict in fit.verdicts.items()
    }


def show(name: str, result: dict[str, Any]) -> None:
    """Print one pair of training and test."""
    print(f"\n{name}: {result['windows']} windows")
    for seconds in result["rows"]["ours"]:
        print(f"{seconds:32s}" + "".join(f"{label:>22s}" for label in JUDGED.values()) + f"{'exploded':>10s}")
        for row, errors in result["rows"].items():
            cells = [errors[seconds].get(key) for key in JUDGED]
            texts = (f"{c['path']:.4f} ({c['median']:.4f})" if c else "" for c in cells)
            print(
                f"{row:32s}"
                + "".join(f"{text:>22s}" for text in texts)
                + f"{errors[seconds]['exploded']:10d}"
            )
    rivals = {key: names for key, names in result["ahead"].items() if names}
    print(f"Ahead of ours: {rivals or 'no row'}")
    for row in ROWS:
        print(
            f"{row}, {result[row]['seconds']:.0f} s: "
            + ", ".join(
                f"{key} {v:.3g} ± {e:.2g} {w}" for key, (v, e, w) in result[row]["parameters"].items()
            )
        )


if __name__ == "__main__":
    main()
