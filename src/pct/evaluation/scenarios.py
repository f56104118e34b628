"""Plots of a trained network on one data split, and the open-loop errors behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.losses import channel_residual
from pct.optimization.network.trained import TrainedModel
from pct.types import Float
from pct.windows.batch import FeatureDataset


def open_loop_errors(
    predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec
) -> Float[np.ndarray, "T S"]:
    """Root mean square error over all windows by step and state, in each state's unit, (T, S)."""
    residual = channel_residual(predicted, np.asarray(dataset.targets), spec.angle_mask)
    return np.sqrt(np.mean(np.square(np.asarray(residual, np.float64)), axis=0))


def position_errors(
    predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec
) -> Float[np.ndarray, " T"]:
    """Root mean square distance between predicted and true position by step, in m, (T,)."""
    x, y, _ = spec.pose_indices
    errors = open_loop_errors(predicted, dataset, spec)
    return np.hypot(errors[:, x], errors[:, y])


def generate_analysis_artifacts(
    label: str,
    dataset: FeatureDataset,
    trained: TrainedModel,
    folder: Path,
    *,
    scenarios: int = 3,
    chunk_size: int = 1024,
) -> list[Path]:
    """Draw the plots of one data split.

    Args:
        label: ``training`` or ``validation``; begins each file's name.
        dataset: windows with their origin.
        trained: the network and model.
        folder: where the plots go; made where it is missing.
        scenarios: windows that are drawn: the one with median error, the worst and the best third.
        chunk_size: windows that are rolled out at once.

    Returns:
        The files written.
    """
    from pct import plots  # imports Matplotlib, which training does not wait for

    folder.mkdir(parents=True, exist_ok=True)
    spec, origin = trained.spec, dataset.origin
    assert origin is not None
    predicted = trained.predict_states(dataset, chunk_size=chunk_size)
    default = trained.predict_default(dataset, chunk_size=chunk_size)
    files = [folder / f"{label}_error_growth.png"]
    plots.plot_error_growth(
        files[0],
        spec=spec,
        dt=trained.dt,
        errors={
            "trained": open_loop_errors(predicted, dataset, spec),
            "default parameters": open_loop_errors(default, dataset, spec),
        },
        title=f"Open-loop error on the {label} windows",
    )
    files.append(folder / f"{label}_parameters.png")
    plots.plot_parameters(
        files[-1],
        spec=spec,
        times=origin.times,
        recording=origin.recording,
        values=trained.predict_parameters(dataset, chunk_size=chunk_size),
        truth=origin.truth or None,
        title=f"Predicted parameters along the {label} drives",
    )
    steps = trained.dt * np.arange(predicted.shape[1] + 1)
    for rank, row in _typical_windows(predicted, dataset, spec, scenarios):
        files.append(folder / f"{label}_scenario_{rank}.png")
        start = np.asarray(dataset.initial_states[row])[None]
        name = origin.recordings[int(origin.recording[row])]
        plots.plot_scenario(
            files[-1],
            spec=spec,
            times=steps,
            true_states=np.concatenate([start, np.asarray(dataset.targets[row])]),
            predicted_states=np.concatenate([start, predicted[row]]),
            controls=np.asarray(dataset.controls[row]),
            title=f"{label}: '{name}' from {origin.times[row]:.2f} s, {rank.replace('_', ' ')} error",
            baseline_states=np.concatenate([start, default[row]]),
            baseline_label="default parameters",
        )
    return files


def _typical_windows(
    predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec, count: int
) -> list[tuple[str, int]]:
    """Windows at evenly spaced ranks of the loss, so that the plots show good and bad alike."""
    x, y, _ = spec.pose_indices
    gap = predicted[:, -1, [x, y]] - np.asarray(dataset.targets)[:, -1, [x, y]]
    order = np.argsort(np.hypot(gap[:, 0], gap[:, 1]))
    shares = np.linspace(0.1, 0.9, count) if count > 1 else np.array([0.5] * count)
    return [
        (f"{round(100 * share):02d}th_percentile", int(order[round(share * (len(order) - 1))]))
        for share in shares
    ]
