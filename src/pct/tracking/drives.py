"""Drives in numbers, and what the filter and the smoother find on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pct.errors import UsageError
from pct.measurement.chain import acting_controls
from pct.recordings.trajectory import Trajectory
from pct.rollout.native.compiler import NoCompiler
from pct.rollout.native.graph import NotSupported
from pct.tracking.changes import Change, find_alarms, find_changes
from pct.tracking.native import NativeFilter
from pct.tracking.problem import Levels, Problem
from pct.tracking.smoother import smooth
from pct.types import Float
from pct.windows.inputs import with_inputs
from pct.windows.store import make_window_store

# Below so much the drive tells nothing of a parameter.
TELLS = 0.5


class Rows(NamedTuple):
    """A drive in numbers.

    Attributes:
        t: time of each row, s.
        states: as logged, (N, S).
        controls: over the step that ends at each row, (N, C).
    """

    t: Float[np.ndarray, " N"]
    states: Float[np.ndarray, "N S"]
    controls: Float[np.ndarray, "N C"]


class Course(NamedTuple):
    """A parameter over N rows, in its unit.

    Attributes:
        middle, low, high: median and ends of the 95 % band, (N,).
    """

    middle: Float[np.ndarray, " N"]
    low: Float[np.ndarray, " N"]
    high: Float[np.ndarray, " N"]


class Tracked(NamedTuple):
    """What was found on a drive of N rows.

    Attributes:
        name: of the drive.
        t: s, (N,).
        x, y: position in m, (N,).
        causal: what a car could know at each row, by parameter.
        smoothed: the same with the whole drive.
        told: from 0, where the drive tells nothing, to 1, (N,), by parameter.
        recent: probability of a recent change, (N,), by parameter.
        changes: in order of time.
    """

    name: str
    t: Float[np.ndarray, " N"]
    x: Float[np.ndarray, " N"]
    y: Float[np.ndarray, " N"]
    causal: Mapping[str, Course]
    smoothed: Mapping[str, Course]
    told: Mapping[str, Float[np.ndarray, " N"]]
    recent: Mapping[str, Float[np.ndarray, " N"]]
    changes: tuple[Change, ...]


def read_drives(
    problem: Problem, recordings: Sequence[tuple[str, Trajectory]], dt: float | None
) -> tuple[Problem, list[Rows]]:
    """Drives as the model reads them, and the problem with inputs that act as they do there.

    States that no log holds are there in the first row only, where the filter begins: from then on what is
    assumed of them is no reading.

    Raises:
        DataError: a channel is missing, or time steps differ.
    """
    store = make_window_store(recordings, problem.spec, dt=dt, inputs="auto", label="tracked")
    spec = with_inputs(problem.spec, store.origins, "auto")
    problem = dataclasses.replace(problem, spec=spec)
    unread = [spec.state_indices[name] for name in spec.unlogged if name not in spec.pose[:2]]
    rows = []
    for number in range(len(store.recordings)):
        own = store.recording == number
        states = store.states[own].astype(float)
        states[1:, unread] = np.nan
        controls = store.controls[own].astype(float)
        acting = acting_controls(spec, problem.params, [column[:, None] for column in controls.T], store.dt)
        over = np.concatenate([np.asarray(column, float) for column in acting], axis=1)
        # A step is driven by the control of the row that it begins at.
        over = np.concatenate([over[:1], over[:-1]])
        times = store.dt * np.arange(own.sum())
        rows.append(Rows(times, states, over))
    return problem, rows


def make_filter(problem: Problem, levels: Levels) -> NativeFilter:
    """The filter in native code.

    Raises:
        UsageError: the equations or the machine do not allow it, or the levels are of another model.
    """
    needed = problem.names
    if lacking := {*needed} - {*levels.process} or {*needed[: problem.layout(1).read]} - {*levels.reading}:
        raise UsageError(
            f"`levels`: expected those of '{problem.spec.name}' ({', '.join(needed)}), found none of "
            f"{', '.join(sorted(lacking))}: take them from a drive of the same model"
        )
    try:
        return NativeFilter(problem, levels)
    except (NotSupported, NoCompiler) as error:
        raise UsageError(f"`model={problem.spec.name}`: the tracker is native code, and {error}") from None


def track_drive(problem: Problem, levels: Levels, name: str, rows: Rows, start: float) -> Tracked:
    """Filter and smooth a drive; ``start`` is the time of its first row in s."""
    filtered = make_filter(problem, levels).track(*rows)
    dt = float(rows.t[1] - rows.t[0]) if len(rows.t) > 1 else 0.0
    smoothed = smooth(filtered, np.array([levels.wander.get(one, 0.0) ** 2 * dt for one in problem.vary]))
    t = start + rows.t
    i, j, _ = problem.spec.pose_indices
    causal, later, changes = {}, {}, []
    for k, parameter in enumerate(problem.vary):
        of = np.exp if problem.is_logarithmic(parameter) else np.asarray
        ends = problem.prior(parameter)[2:]
        causal[parameter] = Course(*(of(x[:, k]) for x in (filtered.middle, filtered.low, filtered.high)))
        found = (np.clip(x[:, k], *ends) for x in (smoothed.middle, smoothed.low, smoothed.high))
        later[parameter] = Course(*map(of, found))
        alarms = find_alarms(t, filtered.recent[:, k])
        changes += find_changes(parameter, t, smoothed.changes[:, k], later[parameter].middle, alarms)
    return Tracked(
        name,
        t,
        rows.states[:, i],
        rows.states[:, j],
        causal,
        later,
        {parameter: filtered.told[:, k] for k, parameter in enumerate(problem.vary)},
        {parameter: filtered.recent[:, k] for k, parameter in enumerate(problem.vary)},
        tuple(sorted(changes, key=lambda change: change.time)),
    )
