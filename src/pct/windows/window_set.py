"""Windows gathered by index from the rows of a store, inside the compiled training epoch.

A `WindowSet` joins a store with the windows' start rows, and turns numbers of windows into a batch.
Every window is expressed in the frame of its first pose, so that neither the network nor the loss
depends on where on the map a log was driven.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.errors import UsageError
from pct.types import Array, Float, Int, Rows, WholeWindows
from pct.windows.batch import FeatureDataset, WindowOrigin
from pct.windows.context import (
    from_first_pose,
    history_parts,
    means_of,
    moving_means,
    names_of_means,
    names_of_steps,
    namespace,
    steps_of,
)
from pct.windows.store import WindowStore, spread

FeatureMode = Literal["full", "context", "features"]
FEATURE_MODES: tuple[str, ...] = get_args(FeatureMode)
# Windows whose histories are in memory at once while their features are computed.
GATHERED = 16384


@runtime_checkable  # the annotations are checked while the tests run
class HistoryFeatures(Protocol):
    """Computes features from the rows before windows; supplied by a room that knows more than data."""

    names: tuple[str, ...]

    def __call__(
        self, states: Float[Array, "B L S"], controls: Float[Array, "B H C"], dt: float
    ) -> Float[Array, "B K"]:
        """Features of each window from its L = H + 1 rows up to its first, and the H controls between."""
        ...


class WindowArrays(NamedTuple):
    """What windows are gathered from.

    Attributes:
        states, controls, exogenous: rows as in `WindowStore`.
        starts: first row of each window, (W,).
        means: of states and controls, side by side, over rows up to each; see `pct.windows.context`.
        codes: history features of each window in 8 bits, (W, K); their noise is far above that step.
        code_zero, code_step: the feature is zero + step * code, (K,) each.
        begin: state at each window's start from an observer, hidden ones last, (W, X); None: as logged.
    """

    states: Array
    controls: Array
    exogenous: Array
    starts: Array
    means: dict[int, Array]
    codes: Array
    code_zero: Array
    code_step: Array
    begin: Array | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class WindowSet:
    """Windows as row numbers of a store: memory grows with rows, not with rows times horizon.

    Attributes:
        store: the rows, on the host.
        arrays: the rows and window starts, on the device.
        pose: positions of x, y and heading in the state.
        horizon, history: steps that are predicted, rows before the start that the context reads.
        feature_mode: which part the network reads.
        feature_names: name of each feature, in order.
        sequence: whether the features end with the steps of the history, row by row.
        acting: controls as they act, of controls as they are logged, (H + T, B) each; None: the same.
        context: computes the state context of single precision as `pct.windows.context.means_of` does; None
            where XLA is to.
        gathers_past: whether gathered batches hold the rows before each window.
    """

    store: WindowStore
    arrays: WindowArrays
    pose: tuple[int, int, int]
    horizon: int
    history: int
    feature_mode: FeatureMode
    feature_names: tuple[str, ...]
    sequence: bool = False
    acting: Callable[[Sequence[Array]], Sequence[Array]] | None = None
    context: Callable[..., Array] | None = None
    gathers_past: bool = False

    def __len__(self) -> int:
        return int(self.arrays.starts.shape[0])

    @property
    def dt(self) -> float:
        """Time step in s."""
        return self.store.dt

    @property
    def starts(self) -> Rows:
        """First row of each window in the store, (W,)."""
        return np.asarray(self.arrays.starts)

    @cached_property
    def batch(self) -> FeatureDataset:
        """All windows, gathered once."""
        return self.gather()

    @cached_property
    def past(self) -> tuple[Float[np.ndarray, "W L S"], Float[np.ndarray, "W H C"]]:
        """The L = H + 1 rows before each window and its first, in its frame, and the controls between; double
        precision."""
        return self._past(np.arange(len(self)))

    def select(self, numbers: Rows) -> WindowSet:
        """The set of these windows only."""
        arrays = self.arrays
        # On the host, where nothing is compiled for their number.
        starts, codes, begin = (
            None if rows is None else jnp.asarray(np.asarray(rows)[numbers])
            for rows in (arrays.starts, arrays.codes, arrays.begin)
        )
        arrays = arrays._replace(starts=starts, codes=codes, begin=begin)
        return dataclasses.replace(self, arrays=arrays)

    def with_past(self) -> WindowSet:
        """The same windows, whose gathered batches hold the rows before each window."""
        return dataclasses.replace(self, gathers_past=True)

    def with_context(self, context: Callable[..., Array] | None) -> WindowSet:
        """The same windows, with the state context from `pct.rollout.engine.Engine.context`."""
        return dataclasses.replace(self, context=context)

    def observed(
        self,
        begin: Float[np.ndarray, "W X"],
        hidden: Sequence[str],
        acting: Callable[[Sequence[Array]], Sequence[Array]],
    ) -> WindowSet:
        """Windows that begin where an observer puts the car, hidden states as further features.

        Args:
            begin: state at each window's start, hidden ones last.
            hidden: names of the hidden states.
            acting: controls as they act, of controls as they are logged.
        """
        return dataclasses.replace(
            self,
            arrays=self.arrays._replace(begin=jnp.asarray(begin)),
            acting=acting,
            feature_names=(*self.feature_names, *hidden),
        )

    def take(self, arrays: WindowArrays, numbers: Int[Array, " B"]) -> FeatureDataset:
        """The windows of these numbers; pure, for use inside jit, or with NumPy's arrays on the host.

        Args:
            arrays: the set's own, as an argument so that they are no constants of the compiled code.
            numbers: any of 0 ... len - 1.
        """
        xp = namespace(arrays.states)
        starts = arrays.starts[numbers]
        now = arrays.states[starts]
        parts = []
        if self.feature_mode != "context":
            parts.append(arrays.exogenous[starts])
        if self.feature_mode != "features":
            native = self.context is not None and now.dtype == jnp.float32 and xp is jnp
            read: Any = self.context if native else means_of
            rows = arrays.states, arrays.controls, arrays.means, starts
            parts.append(read(*rows, history_parts(self.history), self.pose))
            parts.append(arrays.code_zero + arrays.code_step * arrays.codes[numbers].astype(now.dtype))
        before = -self.history if self.sequence or self.acting is not None else 0
        controls = _rows(arrays.controls, starts, before, self.horizon - 1)
        if self.sequence:
            past = _local_states(arrays.states, starts, before, 0, self.pose)
            parts.append(steps_of(past, [u[:-before] for u in controls], self.pose))
        acting = controls if self.acting is None else self.acting(controls)
        as_logged = self.acting is None and arrays.begin is None
        begin = xp.where(np.isin(np.arange(now.shape[-1]), self.pose), 0.0, now)
        if arrays.begin is not None:
            begin = arrays.begin[numbers]
            parts.append(begin[:, now.shape[-1] :])
        return FeatureDataset(
            xp.concatenate(parts, axis=-1),
            _stack([u[-before:] for u in acting]),
            begin,
            _stack([x[1:] for x in _local_states(arrays.states, starts, 0, self.horizon, self.pose)]),
            rows=(arrays.states, arrays.controls, starts) if as_logged else None,
        )

    def gather(self, numbers: Rows | None = None) -> FeatureDataset:
        """The windows of these numbers, or all, with their origin."""
        numbers = np.arange(len(self)) if numbers is None else numbers
        # Compiled code would be of this number of windows and rows alone: it takes far longer than it saves.
        on_host = self.take(jax.tree.map(np.asarray, self.arrays), np.asarray(numbers))
        dataset = jax.tree.map(jnp.asarray, on_host._replace(rows=None))
        past = None
        if self.gathers_past:
            dtype = dataset.targets.dtype
            past = WholeWindows(
                *(
                    tuple(jnp.asarray(column.T, dtype) for column in np.moveaxis(rows, -1, 0))
                    for rows in self._past(numbers)
                )
            )
        return dataset._replace(origin=self.origin(numbers), past=past)

    def _past(self, numbers: Rows) -> tuple[np.ndarray, np.ndarray]:
        rows = self.starts[numbers][:, None] + np.arange(-self.history, 1)
        states = self.store.states[rows].astype(float)
        columns = from_first_pose(list(states.T), -1, self.pose, np)
        controls = self.store.controls[rows[:, :-1]].astype(float)
        return np.stack(columns, axis=-1).swapaxes(0, 1), controls

    def whole(self, numbers: Rows) -> WholeWindows:
        """History and horizon of the windows of these numbers."""
        arrays = self.arrays
        starts = self.starts[numbers]
        return _whole(arrays.states, arrays.controls, starts, self.history, self.horizon, self.pose)

    def origin(self, numbers: Rows) -> WindowOrigin:
        """Where the windows of these numbers come from."""
        store, rows = self.store, self.starts[numbers]
        return WindowOrigin(
            recording=store.recording[rows],
            times=store.times[rows],
            truth={name: store.truth[rows, i] for i, name in enumerate(store.truth_names)},
            recordings=store.recordings,
            feature_names=self.feature_names,
            dt=store.dt,
        )

    def sample(self, most: int) -> FeatureDataset:
        """All windows, or this many that are spread evenly over all, with their origin."""
        return self.gather(spread(np.arange(len(self)), most))


def make_window_set(
    store: WindowStore,
    starts: Rows,
    spec: ModelSpec,
    *,
    horizon: int,
    history: int,
    feature_mode: FeatureMode = "full",
    history_features: HistoryFeatures | None = None,
    sequence: bool = False,
) -> WindowSet:
    """Windows that begin at the given rows.

    Args:
        store: rows of all recordings.
        starts: first row of each window, (W,), from `window_starts`.
        spec: the model, whose states and controls the store holds.
        horizon: steps that are predicted, T.
        history: rows before the start that the context reads, H.
        feature_mode: which part the network reads; see `FEATURE_MODES`.
        history_features: computes more features of the state context.
        sequence: whether the network reads the steps of the history, too.

    Raises:
        UsageError: unknown mode, or a mode that needs ``feature.*`` columns where there are none.
    """
    if feature_mode not in FEATURE_MODES:
        raise UsageError(f"`feature_mode` {feature_mode!r}: expected one of {', '.join(FEATURE_MODES)}")
    if feature_mode == "features" and not store.exogenous_names:
        raise UsageError(
            "`feature_mode=features`: the logs have no feature.* column for the network to read: "
            "use `feature_mode=context`"
        )
    names: list[str] = []
    if feature_mode != "context":
        names += [f"feature.{name}" for name in store.exogenous_names]
    extra = np.zeros((starts.size, 0), store.states.dtype)
    if feature_mode != "features":
        names += names_of_means(spec, history)
        if history_features is not None:
            names += history_features.names
            extra = _history_features(store, starts, spec.pose_indices, history, history_features)
    if sequence:
        names += names_of_steps(spec, history)
    zero, step, codes = _encode(extra)
    rows = store.states, store.controls, store.exogenous, starts.astype(np.int32)
    means = {}
    if feature_mode != "features":
        means = moving_means(np.concatenate([store.states, store.controls], axis=-1), history)
    arrays = WindowArrays(*jax.tree.map(jnp.asarray, (*rows, means, codes, zero, step)))
    # On CPU the host reads the device's rows in place: they are in memory once.
    store = store._replace(
        states=np.asarray(arrays.states),
        controls=np.asarray(arrays.controls),
        exogenous=np.asarray(arrays.exogenous),
    )
    return WindowSet(
        store=store,
        arrays=arrays,
        pose=spec.pose_indices,
        horizon=horizon,
        history=history,
        feature_mode=feature_mode,
        feature_names=tuple(names),
        sequence=sequence,
    )


def _history_features(
    store: WindowStore,
    starts: Rows,
    pose: tuple[int, int, int],
    history: int,
    history_features: HistoryFeatures,
) -> np.ndarray:
    """The features of all windows in parts, so that histories never are in memory all at once."""
    rows = jnp.asarray(store.states), jnp.asarray(store.controls)

    @jax.jit
    def gather(states: Array, controls: Array, starts: Array) -> tuple[Array, Array]:
        local = _local_states(states, starts, -history, 0, pose)
        return _stack(local), _stack(_rows(controls, starts, -history, -1))

    parts = []
    for first in range(0, starts.size, GATHERED):
        states, controls = gather(*rows, starts[first : first + GATHERED])
        parts.append(np.asarray(history_features(states, controls, store.dt)))
    return np.concatenate(parts)


def _encode(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Zero, step and 8-bit codes of each column between its least and largest value."""
    low, high = values.min(axis=0), values.max(axis=0)
    step = (high - low) / 255
    codes = np.round((values - low) / np.where(step > 0, step, 1)).astype(np.uint8)
    return low, step, codes


def _rows(table: Float[Array, "N K"], starts: Int[Array, " B"], first: int, last: int) -> list[Array]:
    """Each column at the rows ``first`` to ``last`` from the starts on, (last - first + 1, B) each."""
    count = last - first + 1
    if namespace(table) is np:
        blocks = table[starts[:, None] + np.arange(first, last + 1)]
        return [blocks[:, :, k].T for k in range(table.shape[1])]
    # A window's rows lie side by side: copying them as one is several times faster than value by value.
    blocks = jax.vmap(lambda start: jax.lax.dynamic_slice_in_dim(table, start + first, count))(starts)
    return [blocks[:, :, k].T for k in range(table.shape[1])]


def _local_states(
    states: Float[Array, "N S"], starts: Int[Array, " B"], first: int, last: int, pose: tuple[int, int, int]
) -> list[Array]:
    """States around the starts as in `_rows`, seen from the pose at each start."""
    return from_first_pose(_rows(states, starts, first, last), -first, pose, namespace(states))


@partial(jax.jit, static_argnames=("history", "horizon", "pose"))
def _whole(
    states: Float[Array, "N S"],
    controls: Float[Array, "N C"],
    starts: Int[Array, " B"],
    history: int,
    horizon: int,
    pose: tuple[int, int, int],
) -> WholeWindows:
    """Rows around the starts; compiled once a shape, for any data."""
    return WholeWindows(
        tuple(_local_states(states, starts, -history, horizon, pose)),
        tuple(_rows(controls, starts, -history, horizon - 1)),
    )


def _stack(columns: Sequence[Float[Array, "L B"]]) -> Float[Array, "B L K"]:
    """Columns side by side, windows first."""
    return namespace(columns[0]).stack(columns).transpose(2, 1, 0)
