"""What of a fit rests on rows where a limit cut a control: there the model drove by its limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.measurement.filter import noise_values
from pct.optimization.constants.descent import without_starts
from pct.optimization.constants.estimate import Estimate
from pct.optimization.constants.rollout_errors import RolloutErrors, all_windows
from pct.types import Bool, Float
from pct.windows.at_limits import at_limits
from pct.windows.window_set import WindowSet


def clipped_windows(spec: ModelSpec, windows: WindowSet, values: Mapping[str, Any]) -> Bool[np.ndarray, " W"]:
    """Which windows have a row within their horizon that a limit cuts, at parameters by name."""
    cut = np.zeros(len(windows.store.times), bool)
    for item in at_limits(spec, windows.store, values):
        if item.acts:
            cut |= item.rows
    before = np.concatenate([[0], np.cumsum(cut)])
    starts = windows.starts
    return before[starts + windows.horizon] > before[starts]


def share_without_clipped(
    errors: RolloutErrors, windows: WindowSet, estimate: Estimate, huber: float
) -> Float[np.ndarray, " P"]:
    """Share of each parameter's information that comes from windows without a clipped row.

    Args:
        errors: compiled functions of the fit.
        windows: all that were fitted to.
        estimate: of the fit.
        huber: of the fit.
    """
    spec, raw, accepted = errors.spec, estimate.raw, estimate.accepted
    free = accepted & ~clipped_windows(spec, windows, estimate.params(spec))
    if (free == accepted).all():
        return np.ones(raw.size)
    if not free.any():
        return np.zeros(raw.size)
    every = all_windows(errors, windows, np.arange(len(windows)))
    if estimate.noise is not None:
        every.refresh(raw, noise_values(spec, estimate.noise))
    still = np.zeros((errors.free, len(windows)))

    groups = np.where(free, 1, 0)
    equations = every.normal(raw, still, estimate.sigma, accepted, huber, groups)
    by_group = without_starts(equations, groups[accepted]).matrix
    clipped, unclipped = np.diagonal(by_group)
    whole = clipped + unclipped
    return np.clip(unclipped / np.where(whole > 0, whole, np.inf), 0.0, 1.0)
