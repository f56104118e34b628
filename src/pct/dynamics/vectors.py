"""Learned parameters as one flat vector, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.dynamics.rows import Range, Shape
from pct.types import Array


def flatten_bounds(
    param_keys: tuple[str, ...],
    param_bounds: Mapping[str, Range],
    full_shapes: Mapping[str, Shape],
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of each entry of the flat parameter vector, two arrays of shape (P,).

    Examples:
        >>> flatten_bounds(("mu", "b"), {"mu": (0.1, 1.5), "b": (-1.0, 1.0)}, {"mu": (), "b": (2,)})
        (array([ 0.1, -1. , -1. ]), array([1.5, 1. , 1. ]))
    """
    low, high = ({key: param_bounds[key][side] for key in param_keys} for side in (0, 1))
    return flatten_params(low, param_keys, full_shapes), flatten_params(high, param_keys, full_shapes)


def flatten_params(
    params: Mapping[str, Any], param_keys: tuple[str, ...], full_shapes: Mapping[str, Shape]
) -> np.ndarray:
    """Stack parameters into one vector of shape (P,), arrays in row-major order."""
    parts = [np.broadcast_to(params[key], full_shapes[key]).ravel() for key in param_keys]
    return np.concatenate(parts).astype(float)


def unflatten_params(
    vector: Array, param_keys: tuple[str, ...], full_shapes: Mapping[str, Shape]
) -> dict[str, Array]:
    """Split the last axis of a flat vector (..., P) into named parameters (..., *shape)."""
    params, start = {}, 0
    for key in param_keys:
        size = int(np.prod(full_shapes[key]))
        part = vector[..., start : start + size]
        params[key] = part.reshape((*vector.shape[:-1], *full_shapes[key]))
        start += size
    return params
