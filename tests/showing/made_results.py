"""Result folders as commands leave them, of a few small files; nothing is fitted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HOSTILE = '<img src=x onerror="document.title=1"> & "quotes"'
STARTED = "2026-11-29T02:19:57+00:00"


def write(folder: Path, files: dict[str, Any]) -> Path:
    """Files by name: text as it is, anything else as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def provenance(command: str, started: str = STARTED) -> dict[str, Any]:
    return {
        "started": started,
        "command": ["pct", command],
        "packages": {"pct": "0.2.0", "jax": "0.10.2"},
        "git": {"commit": "5d87", "dirty": True},
        "data": {"/data/train/recording_00.parquet": "97e5"},
    }


def fit(folder: Path, value: float = 0.76, std: float | None = 0.05, **more: Any) -> Path:
    """A fit of two parameters; ``more`` are settings."""
    files = {
        "provenance.json": provenance("fit"),
        "config.json": {"dataset": ["/data/train"], "model": "singletrack", "iterations": 50, **more},
        "fit.json": {"model": "singletrack"},
        "pct_predicted_params.json": {
            "mu": {"mean": value, "std": std, "unit": "1", "verdict": "identified"},
            "I": {"mean": 0.048, "std": 0.001, "unit": "kg m^2", "verdict": "weak"},
            "gains": {"mean": [1.0, 2.0], "std": [0.1, 0.1], "unit": "1"},
        },
        "DONE": {"finished": "2026-11-29T02:20:04+00:00", "remaining_error": {"x": 0.02, "oddity": 1.0}},
        "report.html": "<!doctype html><title>Report</title><script>document.title = 'ran'</script>",
        "analysis/curves.png": "no picture",
    }
    return write(folder, files)


def training(folder: Path, epochs: int = 3, **files: Any) -> Path:
    """A training that has logged some epochs of two steps, 10 s each; ``files`` come on top."""
    rows: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        rows += [
            {
                "time": 10.0 * epoch,
                "step": step,
                "epoch": epoch,
                "train/loss": 1 / step,
                "train/learning_rate": 1e-3,
            }
            for step in (2 * epoch - 1, 2 * epoch)
        ]
        rows.append(
            {
                "time": 10.0 * epoch,
                "step": 2 * epoch,
                "epoch": epoch,
                "train/epoch_loss": 1 / epoch,
                "val/loss": 0.5 / epoch,
            }
        )
    usual = {
        "provenance.json": provenance("train", "2026-11-29T03:00:00+00:00"),
        "config.json": {"dataset": ["/data/train"], "model": "unicycle", "epochs": 15},
        "metrics.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
    }
    return write(folder, {**usual, **files})


TRAINED = {
    "DONE": {"best_val_loss": 0.06, "best_train_loss": 0.07, "final_position_rmse_m": {"trained": 0.06}},
    "network.json": {"model": "unicycle"},
    "pct_predicted_params.json": {"mu": {"mean": 0.7, "std": 0.2, "min": 0.4, "max": 1.1, "unit": "1"}},
}
"""Files of a training that ended well."""

EVALUATION = {
    "model": "singletrack",
    "data": ["/data/val"],
    "run": "/results/run",
    "units": {"x": "m", "position": "m"},
    "rows": {
        "this run": {
            "scores": {
                "0.3": {"position": {"final_rmse": {"value": 0.1, "low": 0.1, "high": 0.1}}},
                "1": {
                    "x": {"final_rmse": {"value": 0.1, "low": 0.05, "high": 0.2}},
                    "position": {"final_rmse": {"value": 0.3, "low": 0.2, "high": None}},
                },
            }
        }
    },
    "comparison": {"1": {"kinematic": {"x": "better"}, "ridge ARX": {"x": "better", "v": "worse"}}},
}
TRACK = {
    "model": "singletrack",
    "vary": {"mu": {"unit": "1", "range": [0.1, 1.6]}},
    "drives": [{"name": "a", "changes": [{"parameter": "mu"}]}, {"name": "b", "changes": []}],
}
DESIGN = {
    "model": "singletrack",
    "settings": {"duration": 20.0},
    "parameters": [{"parameter": "D_f", "times smaller": 19.4}],
}
COMPARISON = {
    "runs": ["a", "b"],
    "quantities": {"mu": {"verdict": "differs"}, "I": {"verdict": "the same"}},
    "facts": ["One differs."],
}
FLEET = {
    "model": "singletrack",
    "cars": [{"name": "a", "reason": None}, {"name": "b", "reason": "too short"}],
    "parameters": {
        "mu": {"unit": "1", "effects": {"mean": 0.7, "low": 0.6, "high": 0.8}},
        "I": {"unit": "kg m^2", "effects": None},
    },
    "outliers": {"a": ["mu"]},
}
PLAN = '[data]\nlogs = ["/logs/monday.csv"]\nmap = "auto"\n[car]\nmodel = "singletrack"\n'
