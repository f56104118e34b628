"""Three floors by fits to drives on each, and a drift that no fit has seen, with combined slip and without.

The logs are DART's (`dart/*.csv`), read as in `dart.py`. Floors: the peaks of both axles' side force where a
floor's drives are fitted alone, with standard errors, and over those on rubber; beside them the largest
acceleration that a log holds for half a second, of positions alone, which no model can change. A peak shows
near the limit only: recordings that hold less than three quarters of that are left out, and the shapes of the
tyres' curves are held.

Drift: the drives on tape but the drifting one are fitted, by `singletrack-pacejka` with and without
`combined-slip`, from ten starts each, and the drifting one is judged: a car that turns in circles at full
throttle and slides at 50 to 60 degrees. Path RMSE over 0.3 s and 1 s. Last line: one JSON object.

    python benchmarks/dart_floors.py --data FOLDER
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

import pct
from dart import CAR, JUDGED, read, scores, settings_of
from pct.evaluation.evaluate import RUN

FLOORS = {"rubber": "rubber_*.csv", "tape": "tape_[0-9]*.csv", "slippery": "slippery_*.csv"}
DRIFT = "tape_drift.csv"
OPTION = "combined-slip"
SHAPES = ("C_f", "C_r", "E_f", "E_r")
# Windows of the floors: every fifth row; those of the drift: every row.
STRIDE = 5
# Recordings of a floor hold so much of its largest acceleration.
NEAR = 0.75
# The drives on tape have several optima, and rounding would choose where a search from one start ends.
STARTS = 10
# An acceleration is held for so long, in s, in this share of the rows at least.
HELD, SHARE = 0.5, 0.01
NORMAL_95 = 1.96


def main() -> None:
    """Fit the floors and the drives on tape, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds dart/")
    folder = parser.parse_args().data / "dart"
    pct.keep_compiled_code()
    drives = {floor: [read(log) for log in sorted(folder.glob(pattern))] for floor, pattern in FLOORS.items()}
    floors = {floor: floor_of(sum(rest, first)) for floor, (first, *rest) in drives.items()}
    print(f"{'':12s}{'acceleration':>14s}{'front peak [N]':>24s}{'over rubber':>13s}{'rear peak [N]':>24s}")
    for floor, found in floors.items():
        front, rear = (f"{value:.2f} [{low:.2f}, {high:.2f}]" for value, low, high in found["peaks"])
        share = found["peaks"][0][0] / floors["rubber"]["peaks"][0][0]
        print(f"{floor:12s}{found['held']:10.1f}m/s²{front:>24s}{share:13.2f}{rear:>24s}")
    first, *rest = drives["tape"]
    drift = drift_of(sum(rest, first), read(folder / DRIFT))
    print(f"\n{DRIFT}: {drift['windows']} windows")
    for seconds in next(iter(drift["rows"].values())):
        print(f"{seconds:32s}" + "".join(f"{label:>20s}" for label in JUDGED.values()))
        for row, errors in drift["rows"].items():
            found = (errors[seconds].get(key) for key in JUDGED)
            print(f"{row:32s}" + "".join(f"{cell['path']:20.3f}" if cell else f"{'':20s}" for cell in found))
    print(json.dumps({"floors": floors, "drift": drift}))


def floor_of(drives: pct.Drives) -> dict[str, Any]:
    """Peaks of both axles with their 95 % intervals in N, and the acceleration that the drives hold."""
    most = max(held(drive) for drive in drives)
    drives = pct.Drives(tuple(drive for drive in drives if held(drive) > NEAR * most))
    car = CAR.measured(observer=False).hold(*SHAPES)
    fit = pct.fit(car, drives, **{**settings_of(drives), "stride": STRIDE})
    peaks = []
    for name in ("D_f", "D_r"):
        value, deviation = float(fit.params[name]), float(fit.deviations[name])
        peaks.append((value, value - NORMAL_95 * deviation, value + NORMAL_95 * deviation))
    return {"held": most, "recordings": len(drives), "peaks": peaks}


def held(drive: pct.Drive) -> float:
    """Acceleration in m/s² that a drive holds, in mean over half a second."""
    table, rows = drive.table(), round(HELD / drive.dt)
    psi, vx, vy = (table[name].to_numpy() for name in ("psi", "vx", "vy"))
    velocity = (vx + 1j * vy) * np.exp(1j * psi)
    return float(np.quantile(np.abs(velocity[rows:] - velocity[:-rows]) / HELD, 1.0 - SHARE))


def drift_of(train: pct.Drives, test: pct.Drives) -> dict[str, Any]:
    """Errors on a drive of fits to others, with combined slip and without, beside the ladder."""
    settings = settings_of(train, test)
    at = (round(0.3 / settings["dt"]) * settings["dt"], settings["dt"] * settings["horizon"])
    combined = dataclasses.replace(CAR, base=pct.model(f"{CAR.base.name}+{OPTION}", vehicle="dart-wide").base)
    rows: dict[str, Any] = {}
    windows = 0
    for name, car in ((f"ours with {OPTION}", combined), ("ours", CAR)):
        fit = pct.fit(car, train, starts=STARTS, **settings)
        result = pct.evaluate(fit, test, at=at, stride=1).result
        windows = result.windows
        for row, errors in result.rows.items():
            rows[name if row == RUN else f"{row} ({name})" if row == "default parameters" else row] = scores(
                errors, rival=row != RUN
            )
    return {"windows": windows, "rows": rows}


if __name__ == "__main__":
    main()
