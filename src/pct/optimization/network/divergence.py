"""Names the source of a loss that is not finite: parameter or state, window, recording, time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec, unflatten_params
from pct.windows.batch import FeatureDataset, WindowOrigin

ADVICE = "lower `lr`, shorten `horizon` or raise `substeps`"
# No car has errors of so many scales; their sum of squares overflows in single precision.
ABSURD = 1e6


def make_explain_fn(
    apply_fn: Callable[..., Any],
    predict_fn: Callable[[Any, FeatureDataset], np.ndarray],
    spec: ModelSpec,
) -> Callable[[Any, FeatureDataset, np.ndarray], str]:
    """``explain(params, batch, numbers)``: one line on what is not finite first, and the likely fix.

    Args:
        apply_fn: the network.
        predict_fn: from `make_predict_fn`.
        spec: the model that it predicts for.
    """

    def explain(params: Any, batch: FeatureDataset, rows: np.ndarray) -> str:
        origin = batch.origin
        features = np.asarray(batch.features)[: len(rows)]
        for what, values in (
            ("feature", features),
            ("target", np.asarray(batch.targets)[: len(rows)]),
            ("control", np.asarray(batch.controls)[: len(rows)]),
        ):
            bad = ~np.isfinite(values.reshape(len(rows), -1)).all(axis=1)
            if bad.any():
                return f"the {what}s of {_window(origin, rows, bad)} are not finite: check the log there"
        values = np.asarray(apply_fn(params, jnp.asarray(features)))
        for name, value in unflatten_params(values, spec.param_keys, spec.full_shapes).items():
            bad = ~np.isfinite(value.reshape(len(rows), -1)).all(axis=1)
            if bad.any():
                return f"parameter {name} of {_window(origin, rows, bad)} is not finite: {ADVICE}"
        states = predict_fn(params, batch)[: len(rows)]
        for index, name in _by_first_bad_step(states, spec.state_names):
            bad = ~np.isfinite(states[:, :, index]).all(axis=1)
            window = int(np.argmax(bad))
            step = int(np.argmax(~np.isfinite(states[window, :, index]))) + 1
            return (
                f"state {name} of {_window(origin, rows, bad)} is not finite from step {step} on "
                f"({bad.sum()} of {len(rows)} windows): {ADVICE}"
            )
        targets = np.asarray(batch.targets)[: len(rows)]
        errors = np.abs(states.astype(np.float64) - targets) / spec.scales
        if errors.max() > ABSURD:
            window, step, index = (int(i) for i in np.unravel_index(np.argmax(errors), errors.shape))
            channel = spec.states[index]
            return (
                f"state {channel.name} of {_window(origin, rows, np.arange(len(rows)) == window)} is "
                f"{errors.max() * channel.scale:.2g} {channel.unit} off in step {step + 1}: "
                f"check the log there, or {ADVICE}"
            )
        return f"all parameters and states are finite: {ADVICE}"

    return explain


def _by_first_bad_step(states: np.ndarray, names: tuple[str, ...]) -> list[tuple[int, str]]:
    """States that are not finite somewhere, the one that fails at the earliest step first."""
    steps = states.shape[1]
    bad = ~np.isfinite(states).all(axis=0)
    first = [int(np.argmax(bad[:, i])) if bad[:, i].any() else steps for i in range(len(names))]
    return sorted(((i, n) for i, n in enumerate(names) if first[i] < steps), key=lambda e: first[e[0]])


def _window(origin: WindowOrigin | None, rows: np.ndarray, bad: np.ndarray) -> str:
    first = int(np.argmax(bad))
    if origin is None:
        return f"window {rows[first]}"
    name = origin.recordings[int(origin.recording[first])]
    return f"window {rows[first]} ('{name}' at {origin.times[first]:.2f} s)"
