"""A gathered batch of windows, in memory."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pct.types import Array, Bool, Controls, Features, InitialStates, States, Weights, WholeWindows


@dataclasses.dataclass(frozen=True, eq=False)
class WindowOrigin:
    """Where windows come from; it stays on the host.

    Attributes:
        recording: index into ``recordings`` by window, (B,).
        times: time of each window's first row in s, (B,).
        truth: known parameter at each window's first row by name, (B,) each; empty for real logs.
        recordings: names of the recordings.
        feature_names: name of each feature, in order.
        dt: time step in s.
    """

    recording: np.ndarray
    times: np.ndarray
    truth: dict[str, np.ndarray]
    recordings: tuple[str, ...]
    feature_names: tuple[str, ...]
    dt: float


class FeatureDataset(NamedTuple):
    """A batch of windows.

    Attributes:
        features: what the network reads, (B, F).
        controls: control over each step, (B, T, C).
        initial_states: state at the start, (B, S), or with hidden states last.
        targets: true state after each step, (B, T, S).
        weights: weight of each step in the loss, (B, T); None counts all as one.
        counts: which windows count, (B,); None where weights tell.
        origin: where the windows come from; None in a batch.
        past: the rows before each window and its first, (H + 1, B) a state and (H, B) a control; None where
            the model does not read them.
        rows: all states (N, S), all controls (N, C), in the map's frame, each window's first row (B,),
            for an engine that reads windows there; None where the windows are not just these rows.
    """

    features: Features
    controls: Controls
    initial_states: InitialStates
    targets: States
    weights: Weights | None = None
    origin: WindowOrigin | None = None
    past: WholeWindows | None = None
    rows: tuple[Array, Array, Array] | None = None
    counts: Bool[Array, " B"] | None = None

    def repeated(self, times: int) -> FeatureDataset:
        """All windows this many times over, without their origin."""

        def tile(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: jnp.tile(leaf, (times,) + (1,) * (leaf.ndim - 1)), tree)

        rows = None if self.rows is None else (*self.rows[:2], tile(self.rows[2]))
        return tile(self._replace(origin=None, rows=None))._replace(rows=rows)
