"""A model as a run folder keeps it: by name, with its measurement, what is learned, bounds and defaults."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pct.dynamics.core import MODEL_SPECS, ModelSpec
from pct.observation import Measurement, with_measurement


def spec_table(spec: ModelSpec) -> dict[str, Any]:
    """What `spec_from_table` rebuilds the model from; plain values, lists and arrays."""
    return {
        "model": spec.name,
        "measurement": dataclasses.asdict(spec.measurement) if spec.measurement else {},
        "param_keys": spec.param_keys,
        "global_keys": spec.global_keys,
        "param_shapes": spec.param_shapes,
        "param_bounds": spec.param_bounds,
        "default_params": spec.default_params,
    }


def spec_from_table(saved: Any) -> ModelSpec:
    """The model of what `spec_table` gave, read back from JSON.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the table is damaged.
    """
    options: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in saved["measurement"].items()
    }
    return dataclasses.replace(
        with_measurement(MODEL_SPECS[saved["model"]], Measurement(**options)),
        param_keys=tuple(saved["param_keys"]),
        global_keys=tuple(saved["global_keys"]),
        param_shapes={name: tuple(shape) for name, shape in saved["param_shapes"].items()},
        param_bounds={
            name: (_number(low), _number(high)) for name, (low, high) in saved["param_bounds"].items()
        },
        default_params={name: _number(value) for name, value in saved["default_params"].items()},
    )


def _number(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, list) else value
