"""Real and reference logs load through the presets, with units and signs that agree with one another.

The logs are third-party data and not part of the repository: they are looked for under PCT_DATA or
``../shared/data`` beside the repository, and skipped where absent.
"""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.recordings.derive import derive, model_columns, smooth_derivative
from pct.recordings.folder import read_folder
from pct.recordings.trajectory import Trajectory, resample
from pct.types import Column

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("PCT_DATA", ROOT.parent / "shared" / "data"))

# folder: preset, least recordings and rows, time step, wheelbase in m
SETS = {
    "f1tenth": ("f1tenth-gym-csv", 5, 5684, 0.04, 0.33),
    "iac": ("iac-csv", 1, 11895, 0.04, 2.98),
    "roboracer": ("roboracer-csv", 8, 3712, 0.05, 0.33),
    "bayesrace": ("bayesrace-npz", 1, 1000, 0.02, 0.062),
    "fullscale_sim": ("fullscale-sim-json", 1, 16065, 0.01, 2.7),
}
MODELS = ["singletrack", "kinematic-singletrack", "unicycle", "tv-linear"]
# Its particle filter lost the heading while the car drove in circles.
LOST = "2025-10-10_04-58-25_sysid"


@cache
def recordings(name: str) -> tuple[Trajectory, ...]:
    if not (DATA / name).is_dir():
        pytest.skip(f"no logs at {DATA / name}: set PCT_DATA to the folder that holds '{name}'")
    with TemporaryDirectory() as folder:
        for file in (DATA / name).iterdir():
            (Path(folder) / file.name).symlink_to(file.resolve())
        (Path(folder) / "signals.toml").write_text(f'preset = "{SETS[name][0]}"\n')
        return tuple(read_folder(Path(folder)))


def moving(trajectory: Trajectory) -> np.ndarray:
    """Rows well above walking pace for the vehicle, sideways motion and turning round left out."""
    v, beta = (derive(name, trajectory.channels, trajectory.dt) for name in ("v", "beta"))
    assert v is not None
    assert beta is not None
    return (v > 0.3 * np.quantile(v, 0.95)) & (np.abs(beta) < 0.5)


def agreement(value: Column, other: Column, rows: np.ndarray) -> tuple[float, float]:
    """Correlation and slope through zero of a channel over what others say of it."""
    a, b = value[rows], other[rows]
    return float(np.corrcoef(a, b)[0, 1]), float(a @ b / (b @ b))


@pytest.mark.parametrize("name", SETS)
def test_loads_into_every_model(name: str) -> None:
    _, count, rows, dt, _ = SETS[name]
    found = recordings(name)
    assert len(found) >= count
    assert sum(map(len, found)) >= rows
    for trajectory in found:
        assert trajectory.dt == dt
        for model in MODELS:
            states, controls = model_columns(resample(trajectory, 0.1), MODEL_SPECS[model])
            assert states.shape[1] == len(MODEL_SPECS[model].states)
            assert np.isfinite(states).all()
            assert np.isfinite(controls).all()


@pytest.mark.parametrize("name", SETS)
def test_speed_heading_rate_steering_and_slip_agree(name: str) -> None:
    wheelbase = SETS[name][4]
    for trajectory in recordings(name):
        dt = trajectory.dt
        states, _ = model_columns(trajectory, MODEL_SPECS["singletrack"])
        column = {key: states[:, i] for key, i in MODEL_SPECS["singletrack"].state_indices.items()}
        rows = moving(trajectory)
        x_dot, y_dot = smooth_derivative(column["x"], dt), smooth_derivative(column["y"], dt)
        pose_speed = np.hypot(x_dot, y_dot)
        np.testing.assert_allclose(
            np.median((column["v"] / np.maximum(pose_speed, 0.1))[rows]), 1.0, atol=0.15
        )
        if trajectory.name == LOST:
            continue
        correlation, slope = agreement(column["psi_dot"], smooth_derivative(column["psi"], dt), rows)
        assert correlation > 0.8, (trajectory.name, correlation)
        assert 0.75 < slope < 1.3, (trajectory.name, slope)
        turning = rows & (np.abs(column["delta"]) > 0.5 * np.quantile(np.abs(column["delta"][rows]), 0.95))
        # Positions go where heading and slip angle point, and not where the heading alone does.
        course = np.arctan2(y_dot, x_dot)[turning]
        heading, beta = column["psi"][turning], column["beta"][turning]
        apart, without = (
            np.median(np.abs((course - angle + np.pi) % (2 * np.pi) - np.pi))
            for angle in (heading + beta, heading)
        )
        assert apart < 0.5 * without, (trajectory.name, apart, without)
        curvature = (column["psi_dot"] / np.maximum(column["v"], 0.1))[turning]
        implied = np.median(np.tan(column["delta"][turning]) / curvature)
        assert 0.6 * wheelbase < implied < 1.8 * wheelbase, (trajectory.name, implied)
