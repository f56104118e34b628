"""Open-loop error over 1 s on a real 1:10 race car: a fit to one race, judged on another, beside the ladder.

Both race recordings in turn are fitted and judged on (`f1tenth/*_race.csv`, two tracks of one day; one ends
in a spin, which has large errors of its own). Model: `singletrack-pacejka` for the `f1tenth` vehicle. Inputs
of the window are the steering command and the acceleration that was asked for, a tenth of it as the drive
command; the measurement adds the delay of the drive, and ratio and offset of the steering. Every row is
computed on the same windows, one at every row of the test recording. Path RMSE over 1 s, and the median over
windows of each window's. Last line: one JSON object.

    python benchmarks/f1tenth.py --data FOLDER
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pct.cli.fit import main as fit
from pct.evaluation.evaluate import RUN, evaluate, measure_overlap
from pct.evaluation.windows import load_test_windows
from pct.runs.models import open_run

SIGNALS = """preset = "f1tenth-gym-csv"
faults = "cut"

[channels.drive]
column = "translational_control_executed"
unit = "0.1"
origin = "command"
"""
STEPS = 25  # of 0.04 s
JUDGED = {"position": "position [m]", "psi_dot": "yaw rate [rad/s]", "vx": "speed [m/s]"}
FLAGS = (
    f"--model singletrack-pacejka --vehicle f1tenth --horizon {STEPS} --history {STEPS} --stride 3 "
    "--no-observer --no-report --prior 0.5 --compare x y psi vx vy psi_dot"
).split()
# The servo is taken as linear: one race does not tell its curve, and a wrong one is wrong at full lock.
MEASUREMENT = ("--delay", "drive", "--steering", "--fixed", "steering_curve")
PLAIN = "ours without measurement"


def main() -> None:
    """Fit and judge in both directions, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds f1tenth/")
    args = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        folders = [
            prepare(log, Path(scratch) / log.stem) for log in sorted(args.data.glob("f1tenth/*_race.csv"))[:2]
        ]
        for train, test in (folders, folders[::-1]):
            found[f"{train.name} to {test.name}"] = judge(train, test, Path(scratch))
    for name, result in found.items():
        print(f"\n{name}: {result['windows']} windows, fitted in {result['seconds']:.0f} s")
        print(f"{'':32s}" + "".join(f"{label:>24s}" for label in JUDGED.values()))
        for row, errors in result["rows"].items():
            cells = (
                f"{errors[key]['path']:.3f} ({errors[key]['median']:.3f})" for key in JUDGED if key in errors
            )
            print(f"{row:32s}" + "".join(f"{cell:>24s}" for cell in cells))
        beaten = "every baseline" if all(result["beats_all"].values()) else "not every baseline"
        print(
            f"Beats {beaten}, by path RMSE: {result['beats_all']}; by median: {result['beats_all_by_median']}"
        )
        print("Identified: " + ", ".join(result["identified"]))
        print("Not: " + ", ".join(f"{key} ({what})" for key, what in result["not_identified"].items()))
    ours = {name: result["rows"]["ours"] for name, result in found.items()}
    print(json.dumps({"ours": ours, "directions": found}))


def prepare(log: Path, folder: Path) -> Path:
    """A raw folder with one log and the map of its columns."""
    folder.mkdir()
    shutil.copy(log, folder)
    (folder / "signals.toml").write_text(SIGNALS)
    return folder


def judge(train: Path, test: Path, scratch: Path) -> dict[str, Any]:
    """Errors of all rows, whether ours beats all others, and what was identified."""
    begin = time.perf_counter()
    run = fitted(train, scratch / "ours" / train.name, MEASUREMENT)
    seconds = time.perf_counter() - begin
    found = scores(run, test)
    rows = {"ours" if name == RUN else name: errors for name, errors in found.items()}
    rows[PLAIN] = scores(fitted(train, scratch / "plain" / train.name, ()), test)[RUN]
    saved = json.loads((run / "fit.json").read_text())
    verdicts = {name: entry["verdict"] for name, entry in saved["verdicts"].items()}
    return {
        "windows": len(load_test_windows(open_run(run), [test], horizon=STEPS, stride=1)),
        "seconds": seconds,
        "rows": rows,
        "beats_all": beats(rows, "path"),
        "beats_all_by_median": beats(rows, "median"),
        "identified": [name for name, verdict in verdicts.items() if verdict == "identified"],
        "not_identified": {name: verdict for name, verdict in verdicts.items() if verdict != "identified"},
        "parameters": {name: [saved["params"][name], saved["deviations"][name]] for name in verdicts},
    }


def fitted(train: Path, results: Path, measurement: Sequence[str]) -> Path:
    """The run folder of a fit."""
    fit(["--dataset", str(train), *FLAGS, *measurement, "--results", str(results)])
    return next(results.glob("*/run_*"))


def scores(run: Path, test: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Path RMSE over the horizon and median over windows by row and channel."""
    model = open_run(run)
    windows = load_test_windows(model, [test], horizon=STEPS, stride=1)
    overlap = measure_overlap(model, run, windows)
    assert not overlap.alarming, "the recordings are not two drives"
    seconds = STEPS * windows.dt
    found = evaluate(model, run, windows, [test], at=(seconds,), stride=1, overlap=overlap)
    return {
        name: {
            key: {
                "path": row.scores[seconds][key].path_rmse.value,
                "median": row.scores[seconds][key].median_path_rmse.value,
            }
            for key in JUDGED
            if key in row.scores[seconds]
        }
        for name, row in found.rows.items()
    }


def beats(rows: dict[str, Any], what: str) -> dict[str, bool]:
    """Whether ours has a lower error than every row of the ladder, by channel."""
    return {
        key: all(
            rows["ours"][key][what] < row[key][what]
            for name, row in rows.items()
            if not name.startswith("ours") and key in row
        )
        for key in JUDGED
    }


if __name__ == "__main__":
    main()
