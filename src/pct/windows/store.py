"""Rows of all recordings, one after another, as every window reads them.

`make_window_store` prepares recordings for a model; `window_starts` picks the rows from which a whole history
and horizon lie within one recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.errors import DataError
from pct.recordings.derive import model_columns
from pct.recordings.names import named_apart
from pct.recordings.time_steps import unit_line
from pct.recordings.trajectory import Trajectory, resample
from pct.recordings.unlogged import complete
from pct.types import Int, Rows
from pct.windows.inputs import Inputs, as_they_act, origins_of, with_inputs
from pct.within import Within, check_number

TIME_STEP = Within(0.01, 60, "s")
"""Time step of a rollout."""


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
        origins: where each state and control comes from, see `pct.windows.inputs.origins_of`; empty where
            nothing is known.
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
    origins: Mapping[str, str] = MappingProxyType({})


def make_window_store(
    recordings: Sequence[tuple[str, Trajectory]],
    spec: ModelSpec,
    *,
    dt: float | None = None,
    label: str = "training",
    inputs: Inputs | None = None,
) -> WindowStore:
    """Rows of recordings in memory: resampled to one time step, missing channels derived or assumed.

    Controls that run along straight lines between rows are their mean over each step.

    Args:
        recordings: name and trajectory of each.
        spec: the model whose states and controls are read.
        dt: time step in s, whole hundredths; None takes the recordings' own.
        label: what the data is for (``training``, ``validation``), named in messages.
        inputs: how controls act between rows, decided from these recordings; None takes what ``spec`` says.

    Raises:
        DataError: the recordings do not fit each other, the model or the time step.
    """
    step = _common_step(recordings, dt, label)
    # Files of one name in two folders: what is held out is found again by its name.
    names = named_apart(name for name, _ in recordings)
    recordings = [
        (name, complete(trajectory, spec)) for name, (_, trajectory) in zip(names, recordings, strict=True)
    ]
    origins = origins_of([trajectory for _, trajectory in recordings], spec)
    if inputs is not None:
        spec = with_inputs(spec, origins, inputs)
    prepared = [
        (name, resample(as_they_act(trajectory, spec), step, held=spec.interpolated))
        for name, trajectory in recordings
    ]
    exogenous = _shared_columns(prepared, "feature.")
    truth = _shared_columns(prepared, "truth.")
    columns = [model_columns(trajectory, spec) for _, trajectory in prepared]
    x, y, _ = spec.pose_indices
    states = []
    for array, _ in columns:
        moved = array.copy()
        # Single precision holds a recording's own size, not map coordinates.
        moved[:, [x, y]] -= moved[0, [x, y]]
        states.append(moved)

    def stack(names: Sequence[str], prefix: str) -> np.ndarray:
        return np.concatenate(
            [
                np.stack([t.channels[prefix + n] for n in names], axis=-1) if names else np.zeros((len(t), 0))
                for _, t in prepared
            ]
        ).astype(np.float32)

    return WindowStore(
        states=np.concatenate(states).astype(np.float32),
        controls=np.concatenate([array for _, array in columns]).astype(np.float32),
        exogenous=stack(exogenous, "feature."),
        truth=stack(truth, "truth."),
        times=np.concatenate([t.start + step * np.arange(len(t)) for _, t in prepared]),
        recording=np.repeat(np.arange(len(prepared)), [len(t) for _, t in prepared]).astype(np.int32),
        recordings=tuple(name for name, _ in prepared),
        exogenous_names=exogenous,
        truth_names=truth,
        dt=step,
        origins=origins,
    )


def window_starts(
    store: WindowStore,
    *,
    horizon: int,
    history: int,
    stride: int = 1,
    samples: int | None = None,
    label: str = "training",
) -> Rows:
    """First rows of the windows that lie whole within one recording.

    Args:
        store: rows of all recordings.
        horizon: steps that are predicted.
        history: rows before the start that the context reads.
        stride: steps from one window to the next.
        samples: most windows to keep, spread evenly over all; None keeps all.
        label: what the data is for, named in messages.

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
            f"{label} data: expected a recording of at least {history + horizon + 1} rows "
            f"(history {history} + horizon {horizon} + 1), the longest, "
            f"'{store.recordings[longest]}', has {lengths[longest]} rows at {store.dt:g} s: "
            "lower `history` or `horizon`, or drive longer"
        )
    return spread(starts, samples)


def spread(numbers: Rows, samples: int | None) -> Int[np.ndarray, " K"]:
    """At most so many of the numbers, spread evenly; None keeps all."""
    if samples is None or samples >= numbers.size:
        return numbers
    return numbers[np.linspace(0, numbers.size - 1, samples).round().astype(int)]


def _common_step(recordings: Sequence[tuple[str, Trajectory]], dt: float | None, label: str) -> float:
    """The one time step in s; refuses mixed rates and steps finer than the log."""
    by_step = {round(trajectory.dt, 6): name for name, trajectory in recordings}
    coarsest = max(by_step)
    if coarsest > TIME_STEP.high:
        raise DataError(
            f"{label} data: '{by_step[coarsest]}' has a step of {coarsest:g} s, too long for a rollout: "
            f"{unit_line(coarsest)}, and import it again"
        )
    if dt is None:
        if len(by_step) > 1:
            steps = ", ".join(f"{step:g} s ('{name}')" for step, name in sorted(by_step.items()))
            raise DataError(
                f"{label} data: expected one time step, found {steps}: "
                f"pass `dt={max(1, round(100 * coarsest)) / 100:g}` to resample all"
            )
        if coarsest < TIME_STEP.low or abs(100 * coarsest - round(100 * coarsest)) > 1e-3:
            raise DataError(
                f"{label} data: '{by_step[coarsest]}' has a step of {coarsest:g} s, which is no whole "
                f"number of hundredths: pass `dt={max(np.ceil(100 * coarsest), 1) / 100:g}` to resample"
            )
        return round(100 * coarsest) / 100
    check_number("dt", dt, TIME_STEP)
    if abs(100 * dt - round(100 * dt)) > 1e-6:
        raise DataError(f"{label} data: `dt`: expected whole hundredths of a second, got {dt:g} s")
    if dt < coarsest * (1 - 1e-3):
        least = np.ceil(100 * coarsest - 1e-6) / 100
        raise DataError(
            f"{label} data: `dt={dt:g}` is finer than the {coarsest:g} s of '{by_step[coarsest]}': "
            f"pass `dt={least:g}` or more"
        )
    return round(100 * dt) / 100


def _shared_columns(recordings: Sequence[tuple[str, Trajectory]], prefix: str) -> tuple[str, ...]:
    """Names behind a prefix, the same in every recording."""
    name, first = recordings[0]
    expected = sorted(column for column in first.channels if column.startswith(prefix))
    for other, trajectory in recordings[1:]:
        columns = sorted(column for column in trajectory.channels if column.startswith(prefix))
        if columns != expected:
            raise DataError(
                f"'{other}': expected the {prefix}* columns of '{name}' ({', '.join(expected) or 'none'}), "
                f"found {', '.join(columns) or 'none'}: give every recording the same ones"
            )
    return tuple(column.removeprefix(prefix) for column in expected)
