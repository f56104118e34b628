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
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import pct
from pct.dynamics.core import ModelSpec
from pct.evaluation.scenarios import open_loop_errors, position_errors
from pct.evaluation.windows import all_windows
from pct.optimization.constants.model import FittedModel
from pct.optimization.model import Model
from pct.windows.batch import FeatureDataset
from pct.windows.store import make_window_store

ROOT = Path(__file__).resolve().parents[1]
DT, HORIZON, HISTORY = 0.05, 20, 20
AT = (0.3, 1.0)


def main() -> None:
    """Prepare each set, train, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="folder of the logs")
    parser.add_argument("--epochs", type=int, default=25)
    args = parser.parse_args()
    pct.keep_compiled_code()
    rows: list[dict[str, Any]] = []
    for name, vehicle, parts in (
        ("F1TENTH race", "f1tenth", f1tenth_race(args.data)),
        ("full-size lap", "bmw-320i", fullsize_lap(args.data)),
    ):
        rows += compare(name, vehicle, *parts, args.epochs)
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


def f1tenth_race(data: Path) -> tuple[pct.Drives, pct.Drives]:
    """Train on one race, validate on the other, which ends in a spin."""
    logs = (data / "f1tenth" / f"2026-01-16_{time}_race.csv" for time in ("01-22-28", "01-45-24"))
    with tempfile.TemporaryDirectory() as scratch:
        signals = Path(scratch) / "signals.toml"
        signals.write_text('preset = "f1tenth-gym-csv"\nfaults = "cut"\n')
        train, validation = (pct.load(log, map=signals) for log in logs)
    return train, validation


def fullsize_lap(data: Path) -> tuple[pct.Drives, pct.Drives]:
    """Train on the first 60 % of the lap, validate on the rest, with a gap of history and horizon."""
    (drive,) = pct.load(data / "fullscale_sim" / "dataset_1-1_SaoPaulo_lap1.json", map="fullscale-sim-json")
    lap = drive.trajectory
    cut = round(0.6 * len(lap))
    gap = round((HISTORY + HORIZON) * DT / lap.dt)
    parts = lap.slice(0, cut), lap.slice(cut + gap, len(lap))
    train, validation = (pct.Drives((pct.Drive(part.name, part),)) for part in parts)
    return train, validation


def compare(
    name: str, vehicle: str, train: pct.Drives, validation: pct.Drives, epochs: int
) -> list[dict[str, Any]]:
    """Rows of one set."""
    network = pct.train(
        pct.model("singletrack-augmented", vehicle=vehicle),
        train,
        validation=validation,
        dt=DT,
        horizon=HORIZON,
        history=HISTORY,
        epochs=epochs,
        progress=lambda epoch: print(epoch, file=sys.stderr),
    ).model
    kinematic = with_defaults(pct.model("kinematic-singletrack", vehicle=vehicle).spec, network)
    trained, driven = (read_by(model, validation) for model in (network, kinematic))
    rows = (
        ("trained singletrack-augmented", network.predict_states(trained), trained, network.spec),
        ("default singletrack-augmented", network.predict_default(trained), trained, network.spec),
        ("kinematic-singletrack", kinematic.predict_default(driven), driven, kinematic.spec),
    )
    return [{"set": name, "model": label, **errors(*run)} for label, *run in rows]


def with_defaults(spec: ModelSpec, other: Model) -> FittedModel:
    """Another model with its default parameters, over the same windows."""
    settings = {**other.settings, "feature_mode": "context", "history_fit": False}
    return FittedModel(
        spec=spec,
        params={},
        deviations={},
        dt=other.dt,
        integrator_name=other.integrator_name,
        substeps=other.substeps,
        settings=settings,
        remaining_error={},
    )


def read_by(model: Model, drives: pct.Drives) -> FeatureDataset:
    """All windows of drives as a model reads them."""
    store = make_window_store(drives.recordings, model.spec, dt=model.dt)
    return model.prepare(all_windows(model, store, "validation")).batch


def errors(predicted: np.ndarray, windows: FeatureDataset, spec: ModelSpec) -> dict[str, float]:
    """Root mean square error of position and heading at each time, over all windows."""
    steps = [round(at / DT) - 1 for at in AT]
    heading = open_loop_errors(predicted, windows, spec)[:, spec.pose_indices[2]]
    values = [*position_errors(predicted, windows, spec)[steps], *heading[steps]]
    return {"windows": predicted.shape[0], **dict(zip(columns(), map(float, values), strict=True))}


if __name__ == "__main__":
    main()
