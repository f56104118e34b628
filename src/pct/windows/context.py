"""State context of a window: features of the rows before it that do not depend on the place.

`means_of` gives how each channel differed, in the mean, in each quarter of the history; `steps_of` gives how
each changed from row to row, for a network that reads a sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.types import Array, Float, Int

HISTORY_PARTS = 4


def namespace(array: Array) -> Any:
    """The library of an array: NumPy, or JAX."""
    return np if isinstance(array, np.ndarray) else jnp


def means_of(
    states: Float[Array, "N S"],
    controls: Float[Array, "N C"],
    means: Mapping[int, Float[Array, "N K"]],
    starts: Int[Array, " B"],
    parts: Sequence[tuple[int, int]],
    pose: tuple[int, int, int],
) -> Float[Array, "B F"]:
    """State context before windows, in a form that does not move with x, y and heading.

    The present values of all states but the pose and the last controls; then how each differed, in the
    mean, in each part of the history; then where the car was, seen from its present pose. Means, since
    a network that reads every noisy row learns the noise by heart.

    Args:
        states, controls: rows of all recordings.
        means: of states and controls, side by side, over rows up to each; from `moving_means`.
        starts: first row of each window.
        parts: of the history, from `history_parts`.
        pose: positions of x, y and heading in the state.
    """
    xp, count = namespace(states), states.shape[-1] + controls.shape[-1]
    moving = np.array([i for i in range(count) if i not in pose])
    now = xp.concatenate([states[starts], controls[starts - 1]], axis=-1)
    features = [now[:, moving]]
    for length, back in parts:
        past = means[length][starts - back] - now
        ahead, aside = _turned(past[:, pose[0]], past[:, pose[1]], now[:, pose[2]], xp)
        features += [past[:, moving], xp.stack([ahead, aside, past[:, pose[2]]], axis=-1)]
    return xp.concatenate(features, axis=-1)


def from_first_pose(
    states: Sequence[Float[Array, "L B"]], first: int, pose: tuple[int, int, int], xp: Any
) -> list[Float[Array, "L B"]]:
    """States of windows, one array a channel, seen from each window's first pose.

    Args:
        states: rows around each window's start.
        first: the row of the start.
        pose: positions of x, y and heading in the state.
        xp: array namespace of the states, NumPy or JAX.
    """
    local = list(states)
    x, y, heading = pose
    origin = [local[i][first] for i in pose]
    local[x], local[y] = _turned(local[x] - origin[0], local[y] - origin[1], origin[2], xp)
    local[heading] = local[heading] - origin[2]
    return local


def _turned(dx: Array, dy: Array, heading: Array, xp: Any) -> tuple[Array, Array]:
    """A vector of the map, along and across a heading."""
    cos, sin = xp.cos(heading), xp.sin(heading)
    return cos * dx + sin * dy, cos * dy - sin * dx


def moving_means(rows: Float[np.ndarray, "N K"], history: int) -> dict[int, Float[np.ndarray, "N K"]]:
    """Mean of each row and those before it, by how many rows the parts of a history have.

    The first rows, which have too few before them, hold the mean of those that there are. Means do not know
    where a recording begins, but no window reads across.
    """
    means_by_length = {}
    for length in {length for length, _ in history_parts(history)}:
        means = np.empty_like(rows)
        for column, mean in zip(rows.T, means.T, strict=True):
            # Sums of differences from a value nearby lose no digits.
            sums = np.cumsum(np.concatenate([np.zeros(length), column.astype(np.float64) - column[0]]))
            mean[:] = column[0] + (sums[length:] - sums[:-length]) / length
        means_by_length[length] = means
    return means_by_length


def history_parts(history: int) -> list[tuple[int, int]]:
    """Rows of each part of the history, and from a window's first row back to the part's last."""
    return [(part.stop - part.start, history - part.stop + 1) for part in _quarters(history)]


def moving_channels(spec: ModelSpec) -> list[str]:
    """States but the pose, then controls."""
    return [name for name in spec.state_names if name not in spec.pose] + list(spec.control_names)


def names_of_means(spec: ModelSpec, history: int) -> list[str]:
    """Names of `means_of`, in order."""
    present = moving_channels(spec)
    past = []
    for part in _quarters(history):
        rows = f"[{part.start - history}:{part.stop - history}]"
        past += [f"{name}{rows}-{name}" for name in present] + [f"{name}{rows}" for name in spec.pose]
    return present + past


def _quarters(history: int) -> list[slice]:
    """Quarters of the history, as equal as whole rows allow; fewer where it is shorter than that."""
    count = min(HISTORY_PARTS, history)
    edges = [history * i // count for i in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def steps_of(
    states: Sequence[Float[Array, "L B"]], controls: Sequence[Float[Array, "H B"]], pose: tuple[int, int, int]
) -> Float[Array, "B K"]:
    """Change of all states but the pose over each step of the history, then of the controls: H rows of one
    value a channel. Differences, since a network that reads raw rows learns where the log was.
    """
    xp = namespace(states[0])
    moving = [xp.diff(x, axis=0) for i, x in enumerate(states) if i not in pose]
    turned = [xp.diff(u, axis=0, prepend=u[:1]) for u in controls]
    rows = xp.stack([*moving, *turned], axis=1)  # (H, channels, B)
    return rows.reshape(-1, rows.shape[-1]).T


def names_of_steps(spec: ModelSpec, history: int) -> list[str]:
    """Names of `steps_of`, in order."""
    return [f"step of {name}[{row}]" for row in range(-history, 0) for name in moving_channels(spec)]
