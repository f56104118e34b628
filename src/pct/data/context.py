"""State context of a window: what the network reads of the rows before it, in forms that do not move.

`means_of` tells how each channel differed, in the mean, in each quarter of the history; `steps_of` tells how
each changed from row to row, for a network that reads a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import jax.numpy as jnp

from pct.dynamics.core import ModelSpec
from pct.types import Array, Float

HISTORY_PARTS = 4


def means_of(
    states: Sequence[Float[Array, "L B"]], controls: Sequence[Float[Array, "H B"]], pose: tuple[int, int, int]
) -> Float[Array, "B K"]:
    """State context before a window, in a form that does not move with x, y and heading.

    The present values of all states but the pose and the last controls; then how each differed, in the
    mean, in each quarter of the history; then where the car was, seen from its present pose. Means, since
    a network that reads every noisy row learns the noise by heart.
    """
    moving = [x for i, x in enumerate(states) if i not in pose]
    present = [x[-1] for x in (*moving, *controls)]
    past = [x[:-1] - now for x, now in zip(moving, present, strict=False)]
    past += [u - now for u, now in zip(controls, present[len(moving) :], strict=True)]
    past += [states[i][:-1] for i in pose]
    means = [x[part].mean(axis=0) for part in _history_parts(controls[0].shape[0]) for x in past]
    return jnp.stack([*present, *means], axis=-1)


def moving_channels(spec: ModelSpec) -> list[str]:
    """States but the pose, then controls."""
    return [name for name in spec.state_names if name not in spec.pose] + list(spec.control_names)


def names_of_means(spec: ModelSpec, history: int) -> list[str]:
    """Names of `means_of`, in order."""
    present = moving_channels(spec)
    past = []
    for part in _history_parts(history):
        rows = f"[{part.start - history}:{part.stop - history}]"
        past += [f"{name}{rows}-{name}" for name in present] + [f"{name}{rows}" for name in spec.pose]
    return present + past


def _history_parts(history: int) -> list[slice]:
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
    moving = [jnp.diff(x, axis=0) for i, x in enumerate(states) if i not in pose]
    turned = [jnp.diff(u, axis=0, prepend=u[:1]) for u in controls]
    rows = jnp.stack([*moving, *turned], axis=1)  # (H, channels, B)
    return rows.reshape(-1, rows.shape[-1]).T


def names_of_steps(spec: ModelSpec, history: int) -> list[str]:
    """Names of `steps_of`, in order."""
    return [f"step of {name}[{row}]" for row in range(-history, 0) for name in moving_channels(spec)]
