"""Ridge ARX: the future as a linear map of the past and of the controls, the black box to beat."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from pct.dynamics.core import Channel, ModelSpec
from pct.errors import DataError
from pct.evaluation.baselines.base import motion_channels, motion_of, with_pose
from pct.types import Float
from pct.windows.splits import HELD_OUT, TRAINING, rows_of_windows, split_rows, windows_within
from pct.windows.window_set import WindowSet

# Ridge strengths that are tried, for regressors of variance one [1].
STRENGTHS = np.logspace(-7, 1, 17)
# Part of the training rows that chooses the strength.
VALIDATION_SHARE = 0.2


@dataclasses.dataclass(frozen=True, eq=False)
class RidgeArx:
    """A linear map from what is known at the start to how the motion changes up to each step.

    Attributes:
        spec: the model whose channels it predicts.
        mean, spread: of each regressor in training, (F,).
        offset, weights: change of each motion channel up to each step, (T, M), and (F, T, M).
        strength: the ridge that was chosen.
    """

    spec: ModelSpec
    mean: Float[np.ndarray, " F"]
    spread: Float[np.ndarray, " F"]
    offset: Float[np.ndarray, "T M"]
    weights: Float[np.ndarray, "F T M"]
    strength: float
    doc = (
        "A linear map of the history and of the controls to come to the change of speeds, yaw rate and "
        "steering up to each step, fitted to the training data; the pose follows."
    )

    @property
    def controls(self) -> tuple[Channel, ...]:
        """Those of the run's model."""
        return self.spec.controls

    def predict(self, windows: WindowSet) -> Float[np.ndarray, "B T S"]:
        """The first state, moved by the linear map."""
        past = motion_of(windows.past[0], self.spec)
        scaled = (_regressors(windows, self.spec) - self.mean) / self.spread
        change = self.offset + np.tensordot(scaled, self.weights, axes=1)
        motion = np.concatenate([past[:, -1:], past[:, -1:] + change], axis=1)
        return with_pose(motion, self.spec, windows.dt)


def fit_ridge_arx(training: WindowSet, spec: ModelSpec) -> RidgeArx:
    """Fit to training windows; the ridge by validation on rows held out of them, behind a gap.

    Raises:
        DataError: the training data is too short to hold some out.
    """
    shape = {"horizon": training.horizon, "history": training.history}
    inside = rows_of_windows(training.starts, training.store.recording.size, **shape)
    gap = training.history + training.horizon
    parts = split_rows(training.store, VALIDATION_SHARE, gap=gap, inside=inside)
    fitted, checked = (
        np.isin(training.starts, windows_within(training.starts, parts == part, **shape))
        for part in (TRAINING, HELD_OUT)
    )
    if not (fitted.any() and checked.any()):
        raise DataError("the training data is too short to choose its ridge on a part that is held out")
    inputs = _regressors(training, spec)
    change = _changes(training, spec)
    size = change.std(axis=(0, 1)) + np.finfo(float).tiny
    outputs = (change / size).reshape(len(inputs), -1)

    part = _decompose(inputs[fitted], outputs[fitted])
    scaled = (inputs[checked] - part.mean) / part.spread
    losses = [np.mean((part.offset + scaled @ part.weights(s) - outputs[checked]) ** 2) for s in STRENGTHS]
    strength = float(STRENGTHS[int(np.argmin(losses))])

    whole = _decompose(inputs, outputs)
    steps = change.shape[1:]
    weights = whole.weights(strength).reshape(-1, *steps) * size
    return RidgeArx(spec, whole.mean, whole.spread, whole.offset.reshape(steps) * size, weights, strength)


class _Decomposed(NamedTuple):
    """A ridge regression that any strength can be read from: eigenvectors of the regressors' correlation."""

    mean: Float[np.ndarray, " F"]
    spread: Float[np.ndarray, " F"]
    offset: Float[np.ndarray, " Y"]
    values: Float[np.ndarray, " F"]
    vectors: Float[np.ndarray, "F F"]
    projected: Float[np.ndarray, "F Y"]

    def weights(self, strength: float) -> Float[np.ndarray, "F Y"]:
        """The map of scaled regressors at this strength."""
        return self.vectors @ (self.projected / (self.values + strength)[:, None])


def _decompose(inputs: Float[np.ndarray, "B F"], outputs: Float[np.ndarray, "B Y"]) -> _Decomposed:
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled, offset = (inputs - mean) / spread, outputs.mean(axis=0)
    values, vectors = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    projected = vectors.T @ (scaled.T @ (outputs - offset) / len(scaled))
    # Rounding leaves eigenvalues of zero a little below it.
    return _Decomposed(mean, spread, offset, np.maximum(values, 0.0), vectors, projected)


def _regressors(windows: WindowSet, spec: ModelSpec) -> Float[np.ndarray, "B F"]:
    """Present motion, how motion and controls differed before, and the controls to come."""
    states, controls = windows.past
    past = motion_of(states, spec)
    ahead = np.asarray(windows.batch.controls, float)
    before = controls - controls[:, -1:]
    present = [name != spec.pose[2] for name in motion_channels(spec)]
    parts = past[:, -1][:, present], past[:, :-1] - past[:, -1:], before, controls[:, -1], ahead
    return np.concatenate([part.reshape(len(past), -1) for part in parts], axis=1)


def _changes(windows: WindowSet, spec: ModelSpec) -> Float[np.ndarray, "B T M"]:
    """How the motion differs from the start after each step."""
    states = np.concatenate([windows.past[0], np.asarray(windows.batch.targets, float)], axis=1)
    motion = motion_of(states, spec)[:, windows.history :]
    return motion[:, 1:] - motion[:, :1]
