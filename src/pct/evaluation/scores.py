"""Open-loop errors of one prediction: by channel and horizon, with 95 % intervals.

Beside the state channels stands ``position``, the distance between predicted and true position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pct.dynamics.core import Channel, ModelSpec
from pct.dynamics.losses import channel_residual
from pct.types import Bool, Float, States
from pct.windows.bootstrap import Blocks, Interval

POSITION = "position"
DISTANCE = Channel(POSITION, r"\mathrm{position}", "m", scale=0.1)
# What stands for all errors where no position is logged, the first that is.
HEADLINES = ("psi_dot", "vx", "v")
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
        names: the channels that were predicted and logged; then ``position``, where both coordinates were.
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
    known = ~np.isnan(predicted).all(axis=(0, 1)) & ~np.isin(spec.state_names, spec.unlogged)
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


def headline(spec: ModelSpec) -> Channel:
    """The channel that stands for all errors: the position where it is logged, else a rate or a speed."""
    if not {*spec.pose[:2]} & {*spec.unlogged}:
        return DISTANCE
    logged = {channel.name: channel for channel in spec.states if channel.name not in spec.unlogged}
    return next((logged[name] for name in HEADLINES if name in logged), [*logged.values(), *spec.states][0])


def score(errors: Errors, steps: int, blocks: Blocks) -> dict[str, Score]:
    """Errors of each channel up to a horizon of so many steps."""
    size = np.abs(errors.values[:, :steps])
    path, final = _path(errors, steps), size[:, -1]
    columns = zip(
        blocks.root_means(final**2),
        blocks.root_means(path),
        map(blocks.median, np.sqrt(path).T),
        blocks.means(size.mean(axis=1)),
        blocks.means(final),
        map(float, size.max(axis=(0, 1))),
        strict=True,
    )
    return {name: Score(*column) for name, column in zip(errors.names, columns, strict=True)}


def compare(run: Errors, baseline: Errors, steps: int, blocks: Blocks) -> dict[str, Interval]:
    """Path RMSE of the run over the baseline's by channel, from the same draws; below one the run wins."""
    own = _path(run, steps)[:, [run.names.index(name) for name in baseline.names]]
    ratios = blocks.root_mean_ratios(own, _path(baseline, steps))
    return dict(zip(baseline.names, ratios, strict=True))


def score_bins(
    errors: Errors, steps: int, blocks: Blocks, bins: Sequence[Bool[np.ndarray, " B"]]
) -> list[dict[str, Interval]]:
    """Path RMSE of each channel over the windows inside each bin."""
    path = _path(errors, steps)
    return [dict(zip(errors.names, blocks.root_means(path, inside), strict=True)) for inside in bins]


def growth(errors: Errors, blocks: Blocks) -> dict[str, list[Interval]]:
    """RMSE after each step by channel."""
    squares = errors.values**2
    return {name: blocks.root_means(squares[..., i]) for i, name in enumerate(errors.names)}


def _path(errors: Errors, steps: int) -> Float[np.ndarray, "B Q"]:
    """Mean square of each window up to a horizon by channel."""
    return np.mean(errors.values[:, :steps] ** 2, axis=1)
