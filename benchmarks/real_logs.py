"""Open-loop error on real logs: the trained network beside the default parameters and the kinematic model.

Trains `singletrack-augmented` on one part of a log and rolls it out over another, from windows that no
model has seen; every row of a set is computed on the same windows. The logs do not hold the car's
acceleration, so it is derived from the speed: every model is told how the speed will change, and the rows
differ in where the car goes, not in how fast. Last line: one JSON object.

    python benchmarks/real_logs.py --data FOLDER [--epochs 25]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pct.cli.train import main as train
from pct.dynamics import MODEL_SPECS
from pct.dynamics.core import ModelSpec
from pct.dynamics.vehicles import with_vehicle
from pct.evaluation.scenarios import open_loop_errors, position_errors
from pct.evaluation.windows import load_windows
from pct.optimization.network.model import TrainedModel
from pct.optimization.network.step import make_predict_fn
from pct.recordings.folder import read_folder
from pct.recordings.trajectory import write_dataset
from pct.rollout.integration import make_integrator
from pct.runs.models import load_network
from pct.windows.batch import FeatureDataset
from pct.windows.loading import load_feature_dataset_group

ROOT = Path(__file__).resolve().parents[1]
DT, HORIZON, HISTORY = 5, 20, 20
AT = (0.3, 1.0)


def main() -> None:
    """Prepare each set, train, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="folder of the logs")
    parser.add_argument("--epochs", default="25")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, vehicle, parts in (
            ("F1TENTH race", "f1tenth", f1tenth_race(args.data, Path(scratch))),
            ("full-size lap", "bmw-320i", fullsize_lap(args.data, Path(scratch))),
        ):
            rows += compare(name, vehicle, *parts, args.epochs, Path(scratch) / "results" / vehicle)
    print(
        f"\n{'set':14s} {'model':34s} {'windows':>7s}" + "".join(f"  {column:>14s}" for column in columns())
    )
    for row in rows:
        values = "".join(f"  {row[column]:14.4f}" for column in columns())
        print(f"{row['set']:14s} {row['model']:34s} {row['windows']:7d}{values}")
    print(json.dumps({"rows": rows}))


def columns() -> list[str]:
    """Position error in m and heading error in rad, at each time in s."""
    return [f"{what}@{at:g}s" for what in ("position_m", "heading_rad") for at in AT]


def f1tenth_race(data: Path, scratch: Path) -> tuple[Path, Path]:
    """Train on one race, validate on the other, which ends in a spin."""
    folders = []
    for part, log in (("train", "2026-01-16_01-22-28_race.csv"), ("val", "2026-01-16_01-45-24_race.csv")):
        folder = scratch / f"f1tenth_{part}"
        folder.mkdir()
        shutil.copy(data / "f1tenth" / log, folder)
        (folder / "signals.toml").write_text('preset = "f1tenth-gym-csv"\nfaults = "cut"\n')
        folders.append(folder)
    return folders[0], folders[1]


def fullsize_lap(data: Path, scratch: Path) -> tuple[Path, Path]:
    """Train on the first 60 % of the lap, validate on the rest, with a gap of history and horizon."""
    raw = scratch / "fullsize_raw"
    raw.mkdir()
    shutil.copy(data / "fullscale_sim" / "dataset_1-1_SaoPaulo_lap1.json", raw)
    (raw / "signals.toml").write_text('preset = "fullscale-sim-json"\n')
    (lap,) = read_folder(raw)
    cut = round(0.6 * len(lap))
    gap = round((HISTORY + HORIZON) * DT / 100 / lap.dt)
    folders = scratch / "fullsize_train", scratch / "fullsize_val"
    for folder, part in zip(folders, (lap.slice(0, cut), lap.slice(cut + gap, len(lap))), strict=True):
        write_dataset(folder, [part], vehicle="full-size simulated car")
    return folders


def compare(
    name: str, vehicle: str, train_folder: Path, val_folder: Path, epochs: str, results: Path
) -> list[dict[str, Any]]:
    """Rows of one set."""
    flags = f"--vehicle {vehicle} --dt {DT} --horizon {HORIZON} --history {HISTORY} --epochs {epochs}"
    flags += f" --results {results} --no-analysis"
    train(["--dataset", str(train_folder), "--val-dataset", str(val_folder), *flags.split()])
    trained = load_network(next(results.glob("*/run_*")))
    windows = load_windows(trained, [val_folder], "validation")
    kinematic = with_vehicle(MODEL_SPECS["kinematic-singletrack"], vehicle)
    predicted, rolled = roll_out_defaults(kinematic, trained, val_folder)
    rows = (
        ("trained singletrack-augmented", trained.predict_states(windows), windows, trained.spec),
        ("default singletrack-augmented", trained.predict_default(windows), windows, trained.spec),
        ("kinematic-singletrack", predicted, rolled, kinematic),
    )
    return [{"set": name, "model": label, **errors(*run)} for label, *run in rows]


def roll_out_defaults(
    spec: ModelSpec, trained: TrainedModel, folder: Path
) -> tuple[np.ndarray, FeatureDataset]:
    """Another model with its default parameters over the same windows."""
    windows = load_feature_dataset_group(
        [folder], spec, None, False, None, DT, "context", "validation", horizon=HORIZON, history=HISTORY
    )
    defaults = {**spec.build_base_params(DT)}
    low = np.array([defaults[key] for key in spec.param_keys])
    predict = make_predict_fn(
        lambda _, features: np.broadcast_to(low, (features.shape[0], low.size)).astype(np.float32),
        defaults,
        spec,
        make_integrator(trained.integrator_name, trained.substeps),
    )
    return predict(None, windows), windows


def errors(predicted: np.ndarray, windows: FeatureDataset, spec: ModelSpec) -> dict[str, float]:
    """Root mean square error of position and heading at each time, over all windows."""
    steps = [round(100 * at / DT) - 1 for at in AT]
    heading = open_loop_errors(predicted, windows, spec)[:, spec.pose_indices[2]]
    values = [*position_errors(predicted, windows, spec)[steps], *heading[steps]]
    return {"windows": predicted.shape[0], **dict(zip(columns(), map(float, values), strict=True))}


if __name__ == "__main__":
    main()
