"""Does the network find the friction that the simulator drove on?

Trains `singletrack` with everything but the friction held on the committed sample, and compares the
friction that it predicts on validation windows with the truth. The network reads the car's motion only,
not the exogenous features. Last line: one JSON object.

    python benchmarks/friction_recovery.py [--model singletrack-augmented] [--feature-mode full]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

import pct

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
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    pct.keep_compiled_code()
    car = pct.model(args.model).hold("C_Sf", "C_Sr", "m", "I")
    validation = pct.load(args.val_dataset)
    network = pct.train(
        car,
        pct.load(args.dataset),
        validation=validation,
        feature_mode=args.feature_mode,
        epochs=args.epochs,
        seed=args.seed,
        progress=lambda epoch: print(epoch, file=sys.stderr),
    )
    seconds = time.perf_counter() - start
    table = network.parameters(validation)
    predicted, truth = table["mu"].to_numpy(), table["truth.mu"].to_numpy()
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
