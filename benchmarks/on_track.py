"""From 30 s of driving to tyre parameters: how soon, and how good are the tyre curves?

`pct.simulation` drives a 1:10 car with Magic Formula tyres, drawn by seed, for 30 s. The log is what a car
at a track shows: 50 Hz, white noise of 0.03 m/s (vx, vy), 0.05 rad/s (yaw rate), 0.002 rad (steering), 0.01
m and 0.005 rad (pose), no steering rate. Then `pct fit` runs in a process of its own; its seconds are from
the start of the process to its end. A run before fills the compile cache and is not counted. Error: root
mean square of the lateral force against the true curve, as a share of the true peak, over the slip angles
that 99 % of the rows reached, and over the whole curve to 0.6 rad. Last line: one JSON object.

    python benchmarks/on_track.py [--seeds 5]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pct.dynamics import MODEL_SPECS
from pct.dynamics.tires import magic_formula
from pct.recordings.trajectory import Trajectory, write_dataset
from pct.simulation.drive import simulate

SPEC = MODEL_SPECS["singletrack-pacejka"]
NOISE = {"x": 0.01, "y": 0.01, "psi": 0.005, "vx": 0.03, "vy": 0.03, "psi_dot": 0.05, "delta": 0.002}
# What differs from the model's defaults, which the fit starts from, by a factor drawn within these.
DRAWN = {
    **dict.fromkeys(("B_f", "B_r"), (0.8, 1.6)),
    **dict.fromkeys(("C_f", "C_r"), (0.9, 1.2)),
    **dict.fromkeys(("D_f", "D_r"), (0.8, 1.25)),
    **dict.fromkeys(("I", "C_m1", "C_m2", "C_r0", "C_r2"), (0.8, 1.25)),
}
WHOLE = 0.6
FIT = (
    *("--model", "singletrack-pacejka", "--fixed", "C_b", "--no-observer", "--free-start"),
    *("--horizon", "50", "--history", "1", "--stride", "51", "--no-report"),
    *("--compare", "vx", "vy", "psi_dot"),
)


def main() -> None:
    """Simulate and fit every seed, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    rows: list[dict[str, float]] = []
    headings = ("seconds", "front", "rear", "front to 0.6", "rear to 0.6", "slip front", "slip rear")
    print(f"{'seed':6s}" + "".join(f"{heading:>14s}" for heading in headings))
    with tempfile.TemporaryDirectory() as folder:
        for seed in (0, *range(args.seeds)):
            warm = bool(rows) or (Path(folder) / "drive-0").exists()
            drive, truth = recorded(seed)
            data = Path(folder) / f"drive-{seed}"
            if not data.exists():
                write_dataset(data, [drive], vehicle="simulated 1:10 car")
            seconds, found = fitted(data, Path(folder) / "results")
            if warm:
                rows.append({"seconds": seconds, **curve_errors(drive, truth, found)})
                print(f"{seed:<6d}" + "".join(f"{value:14.3f}" for value in rows[-1].values()), flush=True)
    worst = {name: max(row[name] for row in rows) for name in rows[0]}
    print(json.dumps({"worst": worst, "seeds": rows}))


def recorded(seed: int) -> tuple[Trajectory, dict[str, float]]:
    """The log of a drive, and the parameters of its car."""
    rng = np.random.default_rng(seed)
    truth = {name: SPEC.default_params[name] * rng.uniform(*ends) for name, ends in DRAWN.items()}
    drive = simulate(
        SPEC, recordings=1, duration=30.0, dt=0.02, mu=(0.9,), fixed=truth, noise=0.0, seed=seed
    )[0]
    channels = {
        name: column + NOISE.get(name, 0.0) * rng.standard_normal(len(column))
        for name, column in drive.channels.items()
        if name != "delta_dot" and not name.startswith("feature.")
    }
    units, origins = ({name: part[name] for name in channels} for part in (drive.units, drive.origins))
    return dataclasses.replace(drive, channels=channels, units=units, origins=origins), truth


def fitted(data: Path, results: Path) -> tuple[float, dict[str, float]]:
    """Seconds of `pct fit`, and the values that it wrote."""
    begin = time.perf_counter()
    pct = Path(sys.executable).with_name("pct")
    command = [str(pct), "fit", "--dataset", str(data), "--results", str(results)]
    subprocess.run([*command, *FIT], check=True, capture_output=True)
    seconds = time.perf_counter() - begin
    (latest,) = sorted(results.glob("*/*/pct_predicted_params.json"))[-1:]
    return seconds, {name: entry["mean"] for name, entry in json.loads(latest.read_text()).items()}


def curve_errors(drive: Trajectory, truth: dict[str, float], found: dict[str, float]) -> dict[str, float]:
    """Errors of the lateral force over the true peak, and the slip angles reached in rad."""
    reached = slip_angles(drive)
    errors: dict[str, float] = {}
    for kind, ends in (("", reached), (" to 0.6", dict.fromkeys("fr", (-WHOLE, WHOLE)))):
        for axle, name in (("f", "front"), ("r", "rear")):
            alpha = np.linspace(*ends[axle], 200)
            off = force(alpha, axle, found) - force(alpha, axle, truth)
            errors[name + kind] = float(np.sqrt(np.mean(off**2)) / truth[f"D_{axle}"])
    return errors | {
        f"slip {name}": float(np.abs(reached[axle]).max()) for axle, name in (("f", "front"), ("r", "rear"))
    }


def slip_angles(drive: Trajectory) -> dict[str, Any]:
    """Range of 99 % of each axle's slip angles."""
    vx, vy, turning = (drive.channels[name] for name in ("vx", "vy", "psi_dot"))
    lf, lr = SPEC.default_params["lf"], SPEC.default_params["lr"]
    alpha = {
        "f": drive.channels["delta"] - np.arctan((vy + lf * turning) / vx),
        "r": np.arctan((lr * turning - vy) / vx),
    }
    return {axle: np.percentile(values, [0.5, 99.5]) for axle, values in alpha.items()}


def force(alpha: np.ndarray, axle: str, params: dict[str, float]) -> np.ndarray:
    """Lateral force of an axle in N, its shifts included."""
    p = {**SPEC.default_params, **params}
    B, C, D, E, S_h, S_v = (p[f"{name}{axle}"] for name in ("B_", "C_", "D_", "E_", "S_h", "S_v"))
    return magic_formula(alpha + S_h, B, C, D, E, np) + S_v


if __name__ == "__main__":
    main()
