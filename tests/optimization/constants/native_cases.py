"""Errors of a fit by native code and by JAX on the same windows: what the tests of native fits share."""

from __future__ import annotations

from typing import Any

import numpy as np

from pct.dynamics import ModelSpec
from pct.measurement.filter import Noise, drifting_states, filters, noise_values
from pct.optimization.constants.native_windows import NativeWindows, native_windows
from pct.optimization.constants.rollout_errors import AllWindows, RolloutErrors, make_rollout_errors
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import WindowSet, make_window_set

DT, ROWS = 0.05, 40
HISTORY, HORIZON = 3, 5
# Neighbours in the log, rejected windows and errors in the linear part of the loss: each has its weight.
GROUP, REJECTED, HUBER = 7, 5, 1.5


def make_windows(spec: ModelSpec, dtype: Any = np.float64, *, size: float = 1.0) -> WindowSet:
    """Windows of two recordings that no model would show: channels swing and shake by this size; 0 stands."""
    rng = np.random.default_rng(0)
    t = DT * np.arange(ROWS)
    fast = {"v": 3.0, "vx": 5.0}

    def column(channel: Any) -> np.ndarray:
        swing = 0.5 * np.sin(2 * np.pi * t / rng.uniform(0.8, 3.0) + rng.uniform(0.0, 6.0))
        return (size > 0) * fast.get(channel.name, 0.0) + size * channel.scale * (
            swing + 0.1 * rng.standard_normal(ROWS)
        )

    states, controls = (
        np.stack([column(channel) for channel in channels], axis=1).astype(dtype)
        for channels in (spec.states, spec.controls)
    )
    recording = (np.arange(ROWS) >= ROWS // 2).astype(np.int32)
    empty = np.zeros((ROWS, 0))
    store = WindowStore(
        states, controls, empty, empty, t, recording, ("first", "second"), (), (), DT
    )  # fmt: skip
    shape = {"horizon": HORIZON, "history": HISTORY}
    starts = window_starts(store, stride=1, **shape)
    return make_window_set(store, starts, spec, feature_mode="context", **shape)


def make_errors(spec: ModelSpec, dtype: Any = np.float64, **options: Any) -> RolloutErrors:
    options = {"engine": "native", **options}
    return make_rollout_errors(spec, spec.base_params(DT), HISTORY, dtype=dtype, **options)


def on_both(errors: RolloutErrors, windows: WindowSet) -> tuple[AllWindows, NativeWindows]:
    every = np.arange(len(windows))
    assert errors.native is not None
    return AllWindows(errors, windows, every), native_windows(errors.native, windows, every)


def results(
    every: AllWindows | NativeWindows,
    errors: RolloutErrors,
    count: int,
    *,
    raw: np.ndarray | None = None,
    reading: float | None = None,
) -> dict[str, np.ndarray]:
    """Errors and normal equations at random parameters, with a filter of random noise."""
    rng = np.random.default_rng(1)
    random = 0.3 * rng.standard_normal(errors.spec.vector_size)
    raw = random if raw is None else raw
    offsets = 0.1 * rng.standard_normal((errors.free, count))
    if filters(errors.spec) and reading is not None:
        scale = np.array([0.1 * channel.scale for channel in drifting_states(errors.spec)])
        every.refresh(raw, noise_values(errors.spec, Noise(0.5, 0.7, 0.8, scale, reading=reading)))
    found = every.errors(raw, offsets)
    accepted = np.arange(count) != REJECTED
    sigma = errors.spec.scales[list(errors.channels)] / 5
    sums = every.normal(raw, offsets, sigma, accepted, HUBER, np.arange(count) // GROUP)
    return {"errors": found, **sums._asdict()}


def assert_close(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], share: float) -> None:
    """Equal to a share of the largest number of each result."""
    for name, right in wanted.items():
        size = np.abs(right).max(initial=1e-300)
        assert np.isfinite(size), name
        np.testing.assert_allclose(found[name] / size, right / size, rtol=0, atol=share, err_msg=name)
