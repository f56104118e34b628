"""Windows over stored rows: a window is a start row; everything else is gathered by index.

`WindowStore` holds the rows of all recordings once. `window_starts` picks the rows from which a whole
history and horizon fit into one recording, and `gather_windows` turns rows into a `FeatureDataset`.
Every window is expressed in the frame of its first pose, so that neither the network nor the loss
depends on where on the map a log was driven.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol, get_args, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.errors import DataError, UsageError
from pct.types import Array, Controls, Features, Float, InitialStates, Int, Rows, States, Weights

FeatureMode = Literal["full", "context", "features"]
HISTORY_PARTS = 4
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


class FeatureDataset(NamedTuple):
    """A batch of windows.

    Attributes:
        features: what the network reads, (B, F).
        controls: control over each step, (B, T, C).
        initial_states: state at the start, (B, S).
        targets: true state after each step, (B, T, S).
        weights: weight of each step in the loss, (B, T); None counts all as one.
        origin: where the windows come from; None in a batch.
    """

    features: Features
    controls: Controls
    initial_states: InitialStates
    targets: States
    weights: Weights | None = None
    origin: WindowOrigin | None = None


@runtime_checkable  # the annotations are checked while the tests run
class HistoryFeatures(Protocol):
    """Computes features from the rows before windows; supplied by a room that knows more than data."""

    names: tuple[str, ...]

    def __call__(
        self, states: Float[Array, "B L S"], controls: Float[Array, "B H C"], dt: float
    ) -> Float[Array, "B K"]:
        """Features of each window from its L = H + 1 rows up to its first, and the H controls between."""
        ...


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


def gather_windows(
    store: WindowStore,
    starts: Rows,
    spec: ModelSpec,
    *,
    horizon: int,
    history: int,
    feature_mode: FeatureMode = "full",
    history_features: HistoryFeatures | None = None,
) -> FeatureDataset:
    """Windows that begin at the given rows.

    Args:
        store: rows of all recordings.
        starts: first row of each window, (B,), from `window_starts`.
        horizon: steps that are predicted, T.
        history: rows before the start that the context reads, H.
        feature_mode: which part the network reads; see `FEATURE_MODES`.
        history_features: computes more features of the state context.

    Returns:
        Windows in the frame of their first pose, with their origin.

    Raises:
        UsageError: unknown mode, or a mode that needs ``feature.*`` columns where there are none.
    """
    if feature_mode not in FEATURE_MODES:
        raise UsageError(f"--feature-mode {feature_mode}: expected one of {', '.join(FEATURE_MODES)}")
    if feature_mode == "features" and not store.exogenous_names:
        raise UsageError(
            "--feature-mode features: the logs have no feature.* column for the network to read: "
            "use --feature-mode context"
        )
    initial, targets, controls, past_states, past_controls = _gather(
        jnp.asarray(store.states),
        jnp.asarray(store.controls),
        jnp.asarray(starts),
        pose=spec.pose_indices,
        horizon=horizon,
        history=history,
    )
    parts, names = [], []
    if feature_mode != "context":
        parts.append(jnp.asarray(store.exogenous[starts]))
        names += [f"feature.{name}" for name in store.exogenous_names]
    if feature_mode != "features":
        parts.append(_context(past_states, past_controls, spec.pose_indices))
        names += _context_names(spec, history)
        if history_features is not None:
            parts.append(history_features(past_states, past_controls, store.dt))
            names += history_features.names
    return FeatureDataset(
        features=jnp.concatenate(parts, axis=-1),
        controls=controls,
        initial_states=initial,
        targets=targets,
        origin=WindowOrigin(
            recording=store.recording[starts],
            times=store.times[starts],
            truth={name: store.truth[starts, i] for i, name in enumerate(store.truth_names)},
            recordings=store.recordings,
            feature_names=tuple(names),
            dt=store.dt,
        ),
    )


@partial(jax.jit, static_argnames=("pose", "horizon", "history"))
def _gather(
    states: Float[Array, "N S"],
    controls: Float[Array, "N C"],
    starts: Int[Array, " B"],
    *,
    pose: tuple[int, int, int],
    horizon: int,
    history: int,
) -> tuple[Array, Array, Array, Array, Array]:
    """Initial states, targets and controls of the windows, states and controls of their history."""
    rows = starts[:, None] + jnp.arange(-history, horizon + 1)
    local = _to_local_frame(states[rows], history, pose)
    driven = controls[rows]
    past = local[:, : history + 1], driven[:, :history]
    return local[:, history], local[:, history + 1 :], driven[:, history:-1], *past


def _to_local_frame(
    states: Float[Array, "B L S"], origin: int, pose: tuple[int, int, int]
) -> Float[Array, "B L S"]:
    """States as seen from the pose at row ``origin`` of each window."""
    x, y, heading = pose
    start = states[:, origin : origin + 1]
    dx, dy = states[..., x] - start[..., x], states[..., y] - start[..., y]
    cos, sin = jnp.cos(start[..., heading]), jnp.sin(start[..., heading])
    return (
        states.at[..., x]
        .set(cos * dx + sin * dy)
        .at[..., y]
        .set(cos * dy - sin * dx)
        .at[..., heading]
        .add(-start[..., heading])
    )


def _context(
    states: Float[Array, "B L S"], controls: Float[Array, "B H C"], pose: tuple[int, int, int]
) -> Float[Array, "B K"]:
    """State context before a window, in a form that does not move with x, y and heading.

    The present values of all states but the pose and the last controls; then how each differed, in the
    mean, in each quarter of the history; then where the car was, seen from its present pose. Means, since
    a network that reads every noisy row learns the noise by heart.
    """
    moving = [i for i in range(states.shape[-1]) if i not in pose]
    present = jnp.concatenate([states[:, -1, moving], controls[:, -1]], axis=-1)
    past = jnp.concatenate([states[:, :-1, moving], controls], axis=-1) - present[:, None]
    rows = jnp.concatenate([past, states[:, :-1, list(pose)]], axis=-1)
    means = [rows[:, part].mean(axis=1) for part in _history_parts(controls.shape[1])]
    return jnp.concatenate([present, *means], axis=-1)


def _context_names(spec: ModelSpec, history: int) -> list[str]:
    present = [name for name in spec.state_names if name not in spec.pose] + list(spec.control_names)
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
