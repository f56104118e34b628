"""Windows over stored rows: a window is a start row, a batch is what was gathered around some.

`WindowStore` holds the rows of all recordings once. `window_starts` picks the rows from which a whole
history and horizon fit into one recording. `FeatureDataset` is a batch, `Windows` whatever gives one by
numbers: `pct.windows.window_set` from the rows, `GatheredWindows` from a batch in memory.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from pct.errors import DataError
from pct.types import (
    Array,
    Bool,
    Controls,
    Features,
    InitialStates,
    Int,
    Rows,
    States,
    Weights,
    WholeWindows,
)

FeatureMode = Literal["full", "context", "features"]
FEATURE_MODES: tuple[str, ...] = get_args(FeatureMode)


class WindowStore(NamedTuple):
    """Rows of all recordings, one recording after another.

    Attributes:
        states: (N, S), model units; positions count from the recording's first row, heading unwrapped.
        controls: (N, C).
        exogenous: ``feature.*`` columns, (N, E).
        truth: ``truth.*`` columns, (N, K); no columns for real logs.
        times: time of each row in s, (N,).
        recording: index of each row's recording, (N,), increasing.
        recordings: names of the recordings.
        exogenous_names, truth_names: column names without their prefix.
        dt: time step in s.
    """

    states: np.ndarray
    controls: np.ndarray
    exogenous: np.ndarray
    truth: np.ndarray
    times: np.ndarray
    recording: np.ndarray
    recordings: tuple[str, ...]
    exogenous_names: tuple[str, ...]
    truth_names: tuple[str, ...]
    dt: float


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

    def take(self, numbers: Rows) -> WindowOrigin:
        """Of the windows of these numbers only."""
        return dataclasses.replace(
            self,
            recording=self.recording[numbers],
            times=self.times[numbers],
            truth={name: values[numbers] for name, values in self.truth.items()},
        )


class WindowRows(NamedTuple):
    """Where windows, their first states included, lie among the rows of all recordings, in the map's frame.

    Attributes:
        states, controls: all rows, (N, S) and (N, C).
        starts: first row of each window, (B,).
    """

    states: Array
    controls: Array
    starts: Array


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
            nobody asked for them.
        rows: where ``controls``, ``initial_states`` and ``targets`` come from, for an engine that reads them
            there; None where they are not just these rows.
    """

    features: Features
    controls: Controls
    initial_states: InitialStates
    targets: States
    weights: Weights | None = None
    origin: WindowOrigin | None = None
    past: WholeWindows | None = None
    rows: WindowRows | None = None
    counts: Bool[Array, " B"] | None = None

    def repeated(self, times: int) -> FeatureDataset:
        """All windows this many times over, without their origin."""

        def tile(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: jnp.tile(leaf, (times,) + (1,) * (leaf.ndim - 1)), tree)

        rows = None if self.rows is None else self.rows._replace(starts=tile(self.rows.starts))
        return tile(self._replace(origin=None, rows=None))._replace(rows=rows)


def window_starts(
    store: WindowStore, *, horizon: int, history: int, stride: int = 1, samples: int | None = None
) -> Rows:
    """First rows of the windows that lie whole within one recording.

    Args:
        horizon: steps that are predicted.
        history: rows before the start that the context reads.
        stride: steps from one window to the next.
        samples: most windows to keep, spread evenly over all; None keeps all.

    Raises:
        DataError: no recording is long enough.
    """
    lengths = np.bincount(store.recording, minlength=len(store.recordings))
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    starts = np.concatenate(
        [
            np.arange(first + history, first + length - horizon, stride)
            for first, length in zip(firsts, lengths, strict=True)
        ]
    )
    if starts.size == 0:
        longest = int(np.argmax(lengths))
        raise DataError(
            f"expected a recording of at least {history + horizon + 1} rows "
            f"(history {history} + horizon {horizon} + 1), the longest, "
            f"'{store.recordings[longest]}', has {lengths[longest]} rows at {store.dt:g} s: "
            "lower --history or --horizon, or drive longer"
        )
    if samples is not None and samples < starts.size:
        starts = starts[np.linspace(0, starts.size - 1, samples).round().astype(int)]
    return starts


@runtime_checkable  # the annotations are checked while the tests run
class Windows(Protocol):
    """Windows that a training step can take from arrays on the device, by number."""

    @property
    def arrays(self) -> Any:
        """What windows are taken from."""
        ...

    @property
    def horizon(self) -> int:
        """Steps that are predicted."""
        ...

    def __len__(self) -> int: ...

    def take(self, arrays: Any, numbers: Int[Array, " B"]) -> FeatureDataset:
        """The windows of these numbers; pure, for use inside jit."""
        ...

    def gather(self, numbers: Rows | None = None) -> FeatureDataset:
        """The windows of these numbers, or all, with their origin."""
        ...


class GatheredWindows:
    """A `FeatureDataset` in memory as `Windows`."""

    def __init__(self, dataset: FeatureDataset) -> None:
        self.arrays, self._origin = dataset._replace(origin=None), dataset.origin

    @property
    def horizon(self) -> int:
        """Steps that are predicted."""
        return int(self.arrays.targets.shape[1])

    def __len__(self) -> int:
        return int(self.arrays.targets.shape[0])

    def take(self, arrays: FeatureDataset, numbers: Int[Array, " B"]) -> FeatureDataset:
        """The windows of these numbers; pure, for use inside jit."""
        return jax.tree.map(lambda leaf: leaf[numbers], arrays)

    def gather(self, numbers: Rows | None = None) -> FeatureDataset:
        """The windows of these numbers, or all, with their origin."""
        numbers = np.arange(len(self)) if numbers is None else numbers
        origin = None if self._origin is None else self._origin.take(numbers)
        return self.take(self.arrays, jnp.asarray(numbers))._replace(origin=origin)
