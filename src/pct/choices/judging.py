"""How well a fitted model predicts drives that it has not seen, in one figure, to choose between models."""

from __future__ import annotations

from typing import Any

import numpy as np

from pct.dynamics.losses import channel_residual
from pct.evaluation.windows import all_windows, as_logged
from pct.optimization.constants.model import FittedModel
from pct.recordings.trajectory import Trajectory
from pct.recordings.unlogged import ASSUMED
from pct.windows.inputs import with_unlogged
from pct.windows.store import make_window_store


def unlikelihood(model: FittedModel, recordings: list[tuple[str, Trajectory]]) -> float:
    """Mean logarithm of the typical error of position and heading over the windows' horizon; where these are
    not logged, of the heading that a measured yaw rate adds up to; where there is none, of the speed.

    With errors as large as they are found, this is the negative log likelihood of a window and a channel, but
    for a constant: of two models the one with less is the likelier. The median over windows stands for the
    typical error, so that a spin that no model predicts does not decide; infinite where windows explode.

    Args:
        model: the fit.
        recordings: names and channels of drives that it was not fitted to.

    Raises:
        DataError: no drive is long enough for a window.
    """
    store = make_window_store(recordings, model.spec, dt=model.dt)
    spec, model = with_unlogged(model.spec, store.origins), as_logged(model, store)
    batch: Any = model.prepare(all_windows(model, store, "held-out")).batch
    residual = np.asarray(
        channel_residual(model.predict_states(batch), np.asarray(batch.targets), model.spec.angle_mask)
    )
    x, y, psi = spec.pose_indices
    if not {*spec.pose} & {*spec.unlogged}:
        squares = np.stack([residual[..., x] ** 2 + residual[..., y] ** 2, residual[..., psi] ** 2], axis=-1)
    else:
        turns = store.origins.get("psi_dot", "") != ASSUMED and store.origins.get("delta", "") != ASSUMED
        judged = [psi] if turns else [i for i, name in enumerate(spec.state_names) if name in ("v", "vx")]
        squares = residual[..., judged] ** 2
    typical = np.median(squares.astype(float).mean(axis=1), axis=0)
    return 0.5 * float(np.log(np.maximum(typical, 1e-20)).mean()) if np.isfinite(typical).all() else np.inf
