"""Open-loop error over 1 s on a real 1:10 race car: a fit to one race, judged on another, beside the ladder.

Of the race recordings (`f1tenth/*_race.csv`, two tracks of one day; some end in a spin, which has large
errors of its own) the first two are fitted and judged on in turn, or every pair with `--all`. Model:
`singletrack-pacejka` for the `f1tenth` vehicle. Inputs of the window are the steering command and the
acceleration that was asked for, a tenth of it as the drive command; the measurement adds the delay of the
drive, and ratio, curve and offset of the steering, which takes the place of the tyres' shifts (without
options these are fitted, too). Options of the model, and a lag of the servo, are chosen on the race that is
fitted: of four blocks each is left out in turn, and what makes the typical error there 5 % smaller is kept.
Every row is computed on the same windows, one at every row of the test recording. Path RMSE over 1 s, the
median over windows of each window's, and how many windows explode. A row that is told more than ours, such
as the acceleration that is derived from the log, is shown but no rival. Last line: one JSON object.

    python benchmarks/f1tenth.py --data FOLDER [--all]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import pct
from pct.choices.judging import unlikelihood
from pct.evaluation.evaluate import RUN, Evaluation

SIGNALS = """preset = "f1tenth-gym-csv"
faults = "cut"

[channels.drive]
column = "translational_control_executed"
unit = "0.1"
origin = "command"
"""
STEPS, DT = 25, 0.04
JUDGED = {"position": "position [m]", "psi_dot": "yaw rate [rad/s]", "vx": "speed [m/s]"}
SETTINGS: dict[str, Any] = {
    "horizon": STEPS,
    "history": STEPS,
    "stride": 3,
    "prior": 0.5,
    "compare": ("x", "y", "psi", "vx", "vy", "psi_dot"),
}
MODEL, VEHICLE = "singletrack-pacejka", "f1tenth"
PLAIN_CAR = pct.model(MODEL, vehicle=VEHICLE).measured(observer=False)
CAR = PLAIN_CAR.measured(delay="drive", steering=True)
# The offset of the steering takes the place of the tyres' shifts.
STRAIGHT = CAR.hold("S_hf", "S_vf", "S_hr", "S_vr")
SERVO = "servo lag"
PLAIN, BEFORE = "ours without measurement", "ours without options"
# Blocks of a race that are left out in turn, and by how much an option must lower the logarithm of the error.
BLOCKS, BETTER = 4, 0.05


def main() -> None:
    """Fit and judge in both directions, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds f1tenth/")
    parser.add_argument("--all", action="store_true", help="every pair of races, not only the first two")
    args = parser.parse_args()
    pct.keep_compiled_code()
    logs = sorted(args.data.glob("f1tenth/*_race.csv"))[: None if args.all else 2]
    drives = [read(log) for log in logs]
    found = {}
    for train, test in itertools.permutations(range(len(logs)), 2):
        name = f"{logs[train].stem} to {logs[test].stem}"
        result = found[name] = judge(drives[train], drives[test])
        print(f"\n{name}: {result['windows']} windows, fitted in {result['seconds']:.0f} s")
        for option, change in result["tried"].items():
            kept = "kept" if option in result["options"] else "not kept"
            print(f"with {option}, the typical error of blocks left out is {change:+.1%}: {kept}")
        print(f"{'':32s}" + "".join(f"{label:>24s}" for label in JUDGED.values()) + f"{'exploded':>10s}")
        for row, errors in result["rows"].items():
            cells = (
                f"{errors[key]['path']:.3f} ({errors[key]['median']:.3f})" for key in JUDGED if key in errors
            )
            print(f"{row:32s}" + "".join(f"{cell:>24s}" for cell in cells) + f"{errors['exploded']:10d}")
        beaten = "every baseline" if all(result["beats_all"].values()) else "not every baseline"
        print(
            f"Beats {beaten}, by path RMSE: {result['beats_all']}; by median: {result['beats_all_by_median']}"
        )
        print("Identified: " + ", ".join(result["identified"]))
        print("Not: " + ", ".join(f"{key} ({what})" for key, what in result["not_identified"].items()))
    ours = {name: result["rows"]["ours"] for name, result in found.items()}
    print(json.dumps({"ours": ours, "directions": found}))


def read(log: Path) -> pct.Drives:
    """The drives of a log."""
    with tempfile.TemporaryDirectory() as scratch:
        signals = Path(scratch) / "signals.toml"
        signals.write_text(SIGNALS)
        return pct.load(log, map=signals)


def judge(train: pct.Drives, test: pct.Drives) -> dict[str, Any]:
    """Errors of all rows, whether ours beats all others, and what was identified."""
    car, options, tried = chosen(train)
    begin = time.perf_counter()
    fit = pct.fit(car, train, **SETTINGS)
    seconds = time.perf_counter() - begin
    result = judged(fit, test)
    rows = {"ours" if name == RUN else name: errors for name, errors in scores(result).items()}
    for row, other in ((BEFORE, CAR), (PLAIN, PLAIN_CAR)):
        rows[row] = scores(judged(pct.fit(other, train, **SETTINGS), test))[RUN]
    verdicts = {name: entry["verdict"] for name, entry in fit.verdicts.items()}
    return {
        "windows": result.windows,
        "seconds": seconds,
        "options": options,
        "tried": tried,
        "rows": rows,
        "beats_all": beats(rows, "path"),
        "beats_all_by_median": beats(rows, "median"),
        "identified": [name for name, verdict in verdicts.items() if verdict == "identified"],
        "not_identified": {name: verdict for name, verdict in verdicts.items() if verdict != "identified"},
        "parameters": {name: [float(fit.params[name]), float(fit.deviations[name])] for name in verdicts},
    }


def with_options(names: list[str]) -> pct.Car:
    """The car with options of its model, and with a lag of its servo."""
    model = "+".join((MODEL, *(name for name in names if name != SERVO)))
    car = dataclasses.replace(STRAIGHT, base=pct.model(model, vehicle=VEHICLE).base)
    return car.measured(actuator_lag="delta") if SERVO in names else car


def chosen(train: pct.Drives) -> tuple[pct.Car, list[str], dict[str, float]]:
    """The car with the options that one race asks for, their names, and by what each changed the error."""
    kept: list[str] = []
    error, tried = left_out(with_options(kept), train), {}
    for name in (*CAR.base.options, SERVO):
        other = left_out(with_options([*kept, name]), train)
        tried[name] = math.expm1(other - error)
        if other < error - BETTER:
            kept, error = [*kept, name], other
    return with_options(kept), kept, tried


def left_out(car: pct.Car, drives: pct.Drives) -> float:
    """Mean logarithm of the typical error of a block, by fits to the rest of its drive."""
    (drive,) = drives
    edges = [round(part * len(drive) / BLOCKS) for part in range(BLOCKS + 1)]

    def rows(*spans: tuple[int, int]) -> pct.Drives:
        parts = [(f"rows {start}", drive.trajectory.slice(start, end)) for start, end in spans if end > start]
        return pct.Drives(tuple(pct.Drive(name, part) for name, part in parts))

    return sum(
        unlikelihood(
            pct.fit(car, rows((0, start), (end, len(drive))), **SETTINGS).model, rows((start, end)).recordings
        )
        / BLOCKS
        for start, end in itertools.pairwise(edges)
    )


def judged(fit: pct.Fit, test: pct.Drives) -> Evaluation:
    """The fit and its baselines on windows at every row; refused where the drives are not two."""
    return pct.evaluate(fit, test, at=(STEPS * DT,), stride=1).result


def scores(result: Evaluation) -> dict[str, dict[str, Any]]:
    """Path RMSE over the horizon and median over windows by row and channel, and how many windows explode."""
    (seconds,) = result.at
    return {
        name: {
            **{
                key: {
                    "path": row.scores[seconds][key].path_rmse.value,
                    "median": row.scores[seconds][key].median_path_rmse.value,
                }
                for key in JUDGED
                if key in row.scores[seconds]
            },
            "exploded": row.exploded[seconds],
            "rival": row.comparable and name != RUN,
        }
        for name, row in result.rows.items()
    }


def beats(rows: dict[str, Any], what: str) -> dict[str, bool]:
    """Whether ours has a lower error than every row of the ladder, by channel."""
    return {
        key: all(
            rows["ours"][key][what] < row[key][what]
            for name, row in rows.items()
            if row["rival"] and key in row
        )
        for key in JUDGED
    }


if __name__ == "__main__":
    main()
