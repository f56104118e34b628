"""Does the network find the friction that the simulator drove on?

Trains `singletrack` with everything but the friction held on the committed sample, and compares the
friction that it predicts on validation windows with the truth. The network reads the car's motion only,
not the exogenous features. Last line: one JSON object.

    python benchmarks/friction_recovery.py [--model singletrack-augmented] [--feature-mode full]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from pct.cli.train import main as train
from pct.evaluation.windows import load_windows
from pct.runs.models import load_network

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Train, predict, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", type=Path, default=ROOT / "datasets/surfaces/train")
    parser.add_argument("--val-dataset", type=Path, default=ROOT / "datasets/surfaces/val")
    parser.add_argument("--model", default="singletrack")
    parser.add_argument("--feature-mode", default="context")
    parser.add_argument("--epochs", default="25")
    parser.add_argument("--seed", default="0")
    args = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as results:
        flags = f"--model {args.model} --fixed C_Sf C_Sr m I --feature-mode {args.feature_mode} --no-analysis"
        flags += f" --epochs {args.epochs} --seed {args.seed} --results {results}"
        train(["--dataset", str(args.dataset), "--val-dataset", str(args.val_dataset), *flags.split()])
        trained = load_network(next(Path(results).glob("*/run_*")))
    seconds = time.perf_counter() - start
    windows = load_windows(trained, [args.val_dataset], "validation")
    assert windows.origin is not None
    predicted = trained.predict_parameters(windows)["mu"]
    truth = windows.origin.truth["mu"]
    print("\nfriction   windows   predicted: median   5 %    95 %")
    for value in np.unique(truth):
        there = predicted[truth == value]
        low, middle, high = np.quantile(there, [0.05, 0.5, 0.95])
        print(f"{value:8.3f}  {there.size:8d}  {middle:18.3f} {low:6.3f}  {high:6.3f}")
    print(
        json.dumps(
            {
                "median_abs_error": float(np.median(np.abs(predicted - truth))),
                "correlation": float(np.corrcoef(predicted, truth)[0, 1]),
                "seconds": round(seconds, 1),
                "windows": int(truth.size),
                "model": args.model,
                "feature_mode": args.feature_mode,
            }
        )
    )


if __name__ == "__main__":
    main()
