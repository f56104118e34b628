"""Open-loop error on a real 1:10 car in a motion-capture room: two drives are fitted, a third is judged.

The drives are those of DART on rubber (`dart/rubber_*.csv`): free driving, and throttle ramps at constant
steering. The log holds the pose of a marker, seen by cameras at 100 Hz, and the commands: throttle 0 to 1
and steering -1 to 1, which is no angle. Mass, wheelbase and the marker's place are published; the centre of
gravity is taken to lie half way between the axles. Velocities come from the pose by the smoother of an
import, which also leaves out standstills of more than 5 s; then everything is brought to steps of 0.04 s.
What one unit of steering is, how the servo lags, what the motor and the tyres do is fitted.

Every row is computed on the same windows, one at every third row. Path RMSE over 0.32 s and 1 s, in brackets
the median over windows of each window's. Last line: one JSON object.

    python benchmarks/dart.py --data FOLDER [--rotations] [--floor rubber]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pct
from pct.dynamics.vehicles import VEHICLES
from pct.dynamics.vehicles.ranges import around, both_axles
from pct.dynamics.vehicles.vehicle import Vehicle, register_vehicle

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
STEPS, DT = 25, 0.04
AT = (8 * DT, STEPS * DT)
JUDGED = {"position": "position [m]", "vx": "vx [m/s]", "vy": "vy [m/s]", "psi_dot": "yaw rate [rad/s]"}
SETTINGS: dict[str, Any] = {
    "dt": DT,
    "horizon": STEPS,
    "history": STEPS,
    "stride": 3,
    "substeps": 4,
    "compare": ("x", "y", "psi", "vx", "vy", "psi_dot"),
}
# Usual numbers of a 1:10 car on this mass and wheelbase. The steering's stop and speed are not known: these
# are beyond what is commanded.
HALF = WHEELBASE / 2
if "dart" not in VEHICLES:
    register_vehicle(
        "dart",
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
    pct.model("singletrack-pacejka", vehicle="dart")
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
    drives = [read(log) for log in logs]
    found = {}
    for test in range(len(logs)) if args.rotations else (1,):
        train = [(test + k) % len(logs) for k in (-1, 1)]
        name = f"{' and '.join(logs[k].stem for k in train)} to {logs[test].stem}"
        found[name] = judge(drives[train[0]] + drives[train[1]], drives[test])
        show(name, found[name])
    print(json.dumps({"ours": {name: result["rows"]["ours"] for name, result in found.items()}, **found}))


def read(log: Path) -> pct.Drives:
    """The drives of a log without its standstills."""
    with tempfile.TemporaryDirectory() as scratch:
        signals, dataset = Path(scratch) / "signals.toml", Path(scratch) / "dataset"
        signals.write_text(SIGNALS)
        pct.import_logs(log, dataset, map=signals, smooth="rts")
        return pct.load(dataset)


def judge(train: pct.Drives, test: pct.Drives) -> dict[str, Any]:
    """Errors of both fits and of the ladder on the same windows, and what was fitted."""
    rows: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for name, car in ROWS.items():
        begin = time.perf_counter()
        fit = pct.fit(car, train, **SETTINGS)
        found[name] = {"seconds": time.perf_counter() - begin, "parameters": parameters(fit)}
        result = pct.evaluate(fit, test, at=AT, stride=3).result
        found["windows"] = result.windows
        # The run comes first in an evaluation, the ladder after it; it is the same for both fits.
        ours, *ladder = result.rows
        rows[name] = scores(result.rows[ours])
        rows.update({row: scores(result.rows[row]) for row in ladder if row not in rows})
    return {**found, "rows": rows, "ahead": ahead(rows)}


def scores(row: Any) -> dict[str, dict[str, dict[str, float]]]:
    """Path RMSE, its median over windows and the largest error, by horizon and channel."""
    return {
        f"{seconds:g} s": {
            key: {
                "path": scores[key].path_rmse.value,
                "median": scores[key].median_path_rmse.value,
                "max": scores[key].max,
            }
            for key in JUDGED
            if key in scores
        }
        for seconds, scores in row.scores.items()
    }


def ahead(rows: dict[str, Any]) -> dict[str, list[str]]:
    """Rows of the ladder that err less than ours, by horizon and channel."""
    return {
        f"{key} {seconds}": [
            name
            for name, row in rows.items()
            if not name.startswith("ours")
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
        print(f"{seconds:32s}" + "".join(f"{label:>22s}" for label in JUDGED.values()))
        for row, errors in result["rows"].items():
            cells = [errors[seconds].get(key) for key in JUDGED]
            texts = (f"{c['path']:.4f} ({c['median']:.4f})" if c else "" for c in cells)
            print(f"{row:32s}" + "".join(f"{text:>22s}" for text in texts))
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
