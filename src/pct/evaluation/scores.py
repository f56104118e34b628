"""Open-loop errors of one prediction: by channel and horizon, with 95 % intervals.

Beside the state channels stands ``position``, the distance between predicted and true position.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.losses import channel_residual
from pct.types import Bool, Float, States
from pct.windows.bootstrap import Blocks, Interval

POSITION = "position"
# A state of this size has diverged; its square in single precision would be infinite.
BEYOND = 1e18


class Score(NamedTuple):
    """Errors of one channel up to one horizon, in its unit.

    Attributes:
        final_rmse: root mean square at the horizon.
        path_rmse: root mean square over all steps up to the horizon.
        median_path_rmse: median over the windows of each window's path RMSE.
        mean_path, mean_final: mean magnitude over all steps and at the horizon; of ``position`` these are
            the average and the final displacement error (ADE, FDE).
        max: largest magnitude; the bootstrap does not hold for an extreme, so it has no interval.
    """

    final_rmse: Interval
    path_rmse: Interval
    median_path_rmse: Interval
    mean_path: Interval
    mean_final: Interval
    max: float


class Errors(NamedTuple):
    """Errors of one prediction on all windows.

    Attributes:
        names: the channels that were predicted; then ``position``, where both coordinates were.
        values: error of each window and step, (B, T, Q); infinite where the rollout diverged.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "B T Q"]


def errors_of(predicted: States, targets: States, spec: ModelSpec) -> Errors:
    """Predicted minus true by channel, angles wrapped.

    Args:
        predicted: states; NaN throughout a channel that is not predicted, (B, T, S).
        targets: true states, (B, T, S).
        spec: the model, whose tables name the channels.
    """
    predicted, targets = np.asarray(predicted, float), np.asarray(targets, float)
    known = ~np.isnan(predicted).all(axis=(0, 1))
    finite = np.abs(predicted) < BEYOND
    residual = np.asarray(channel_residual(np.where(finite, predicted, 0.0), targets, spec.angle_mask), float)
    residual = np.where(finite, residual, np.inf)
    names = [name for name, has in zip(spec.state_names, known, strict=True) if has]
    columns = [residual[..., known]]
    x, y, _ = spec.pose_indices
    if known[x] and known[y]:
        names.append(POSITION)
        columns.append(np.hypot(residual[..., x], residual[..., y])[..., None])
    return Errors(tuple(names), np.concatenate(columns, axis=-1))


def score(errors: Errors, steps: int, blocks: Blocks) -> dict[str, Score]:
    """Errors of each channel up to a horizon of so many steps."""
    scores = {}
    for i, name in enumerate(errors.names):
        size = np.abs(errors.values[:, :steps, i])
        path, final = np.mean(size**2, axis=1), size[:, -1]
        scores[name] = Score(
            final_rmse=blocks.root_mean(final**2),
            path_rmse=blocks.root_mean(path),
            median_path_rmse=blocks.median(np.sqrt(path)),
            mean_path=blocks.mean(size.mean(axis=1)),
            mean_final=blocks.mean(final),
            max=float(size.max()),
        )
    return scores


def compare(run: Errors, baseline: Errors, steps: int, blocks: Blocks) -> dict[str, Interval]:
    """Path RMSE of the run over the baseline's by channel, from the same draws; below one the run wins."""
    ratios = {}
    for name in baseline.names:
        pair = (errors.values[:, :steps, errors.names.index(name)] for errors in (run, baseline))
        ratios[name] = blocks.root_mean_ratio(*(np.mean(values**2, axis=1) for values in pair))
    return ratios


def score_bin(
    errors: Errors, steps: int, blocks: Blocks, inside: Bool[np.ndarray, " B"]
) -> dict[str, Interval]:
    """Path RMSE of each channel over the windows inside a bin."""
    path = np.mean(errors.values[:, :steps] ** 2, axis=1)
    return {name: blocks.root_mean(path[:, i], inside) for i, name in enumerate(errors.names)}


def growth(errors: Errors, blocks: Blocks) -> dict[str, list[Interval]]:
    """RMSE after each step by channel."""
    steps = range(errors.values.shape[1])
    return {
        name: [blocks.root_mean(errors.values[:, k, i] ** 2) for k in steps]
        for i, name in enumerate(errors.names)
    }
