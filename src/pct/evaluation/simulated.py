"""Drives as they were measured, beside what a model simulates from many of their rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from pct.designing.limits import motion_of
from pct.dynamics.core import Channel, ModelSpec
from pct.dynamics.limits import GRAVITY
from pct.evaluation.scores import DISTANCE, POSITION, Errors, headline
from pct.simulation.driver import speed_name
from pct.types import Float, Int, Rows, States
from pct.windows.window_set import WindowSet

# Windows that a page shows, one at a time.
WINDOWS = 120


@dataclasses.dataclass(frozen=True, eq=False)
class Simulated:
    """Rows of drives, and what a model simulates from some of them on.

    Attributes:
        spec: the model, without what the drives do not hold.
        windows: of the drives, in the order of driving.
        predicted: states after each step, in the frame of each window's first pose, (B, T, S).
        errors: predicted minus logged.
        channels: states that are compared.
        params: of the vehicle, by name; they tell where its rear axle is.
        beside: what baselines predict of the `shown` windows, by name, (K, T, S); the first is looked at
            first.
    """

    spec: ModelSpec
    windows: WindowSet
    predicted: States
    errors: Errors
    channels: tuple[str, ...]
    params: Mapping[str, Any]
    beside: Mapping[str, Float[np.ndarray, "K T S"]] = dataclasses.field(default_factory=dict)

    @property
    def horizon(self) -> float:
        """Time that is simulated in s."""
        return self.predicted.shape[1] * self.windows.dt

    @property
    def placed(self) -> bool:
        """Whether the drives hold a position."""
        return not {*self.spec.pose[:2]} & {*self.spec.unlogged}

    @property
    def headline(self) -> Channel:
        """The channel that stands for all errors."""
        names = (DISTANCE.name, *self.channels) if POSITION in self.errors.names else self.channels
        shown = headline(self.spec)
        return shown if shown.name in names else self.channel(self.channels[0])

    @cached_property
    def recording(self) -> Rows:
        """Number of the recording of each window, (B,)."""
        return self.windows.store.recording[self.windows.starts]

    @cached_property
    def shown(self) -> tuple[Int[np.ndarray, " K"], Sequence[int]]:
        """Numbers of the windows that a page shows, and where among them the typical and the worst are."""
        return shown_windows(self.final(self.headline.name), WINDOWS)

    def channel(self, name: str) -> Channel:
        """A state by its name."""
        return self.spec.states[self.spec.state_indices[name]]

    def final(self, name: str) -> Float[np.ndarray, " B"]:
        """Size of the error at the end of each window, in the channel's unit; infinite where it diverges."""
        return np.abs(self.errors.values[:, -1, self.errors.names.index(name)])

    def measured(self, number: int) -> Float[np.ndarray, "N S"]:
        """Logged states of a window, from its first row on, (T + 1, S)."""
        first = int(self.windows.starts[number])
        rows = self.windows.store.states[first : first + self.predicted.shape[1] + 1]
        return np.asarray(rows, float)

    def simulated(self, number: int) -> Float[np.ndarray, "N S"]:
        """Simulated states of a window from its first row on, where it was driven, (T + 1, S)."""
        return self.in_log_frame(number, self.predicted[number])

    def in_log_frame(self, number: int, predicted: Float[np.ndarray, "T S"]) -> Float[np.ndarray, "N S"]:
        """A window's first row and what is predicted from there, in the frame of the log, (T + 1, S)."""
        x, y, heading = self.spec.pose_indices
        begin = self.measured(number)[0]
        states = np.asarray(predicted, float).copy()
        cos, sin = np.cos(begin[heading]), np.sin(begin[heading])
        along, aside = states[:, x].copy(), states[:, y].copy()
        with np.errstate(invalid="ignore"):
            states[:, x] = begin[x] + cos * along - sin * aside
            states[:, y] = begin[y] + sin * along + cos * aside
            states[:, heading] += begin[heading]
        return np.concatenate([begin[None], states])

    def conditions(self) -> dict[str, tuple[str, Float[np.ndarray, " B"]]]:
        """Unit and mean over each window of speed, slip of the rear axle and grip that is used, by name."""
        if speed_name(self.spec) not in self.spec.state_indices:
            return {}
        store = self.windows.store
        found: dict[str, list[np.ndarray]] = {"speed": [], "slip": [], "acceleration": []}
        for number in range(len(store.recordings)):
            rows = store.states[store.recording == number]
            if len(rows) < 2:
                motion = dict.fromkeys(found, np.zeros(len(rows)))
            else:
                motion = motion_of(self.spec, rows, self.params, store.dt)
            for name, parts in found.items():
                parts.append(np.abs(motion[name]))
        count, starts = self.predicted.shape[1], self.windows.starts
        means = {}
        for name, parts in found.items():
            summed = np.concatenate([[0.0], np.cumsum(np.concatenate(parts))])
            means[name] = (summed[starts + count] - summed[starts]) / count
        return {
            "speed": ("m/s", means["speed"]),
            "slip angle of the rear axle": ("rad", means["slip"]),
            "grip used: acceleration in the plane": ("g", means["acceleration"] / GRAVITY),
        }


def autocorrelation(
    starts: Rows,
    recording: Rows,
    errors: Float[np.ndarray, "B C"],
    accepted: np.ndarray,
    most: int = 40,
) -> tuple[Int[np.ndarray, " L"], Float[np.ndarray, "C L"], float] | None:
    """How much errors of windows resemble those a while later, in the same recording.

    Args:
        starts: first row of each window, increasing, (B,).
        recording: number of each window's recording, (B,).
        errors: of each window and channel, (B, C).
        accepted: the windows to count, (B,).
        most: lags at most.

    Returns:
        Lags in rows, (L,), the first 0; the correlations, (C, L); and within what 95 % of those of
        independent errors lie. None where there are too few windows.
    """
    same = np.diff(recording) == 0
    if same.sum() < 8 or not errors.size:
        return None
    spacing = max(1, int(np.median(np.diff(starts)[same])))
    counts = accepted & np.isfinite(errors).all(axis=1)
    if counts.sum() < 8:
        return None
    counted = np.where(counts[:, None], errors, np.nan)
    counted = counted - np.nanmean(counted, axis=0)
    rows = []
    for number in np.unique(recording):
        inside = recording == number
        places = np.round((starts[inside] - starts[inside][0]) / spacing).astype(int)
        table = np.full((places[-1] + 1 + most, errors.shape[1]), np.nan)
        table[places] = counted[inside]
        rows.append(table)  # the empty rows at its end keep recordings apart
    whole = np.concatenate(rows)
    known = int(np.isfinite(whole[:, 0]).sum())
    size = np.nanmean(np.square(whole), axis=0)
    if not (size > 0).all():
        return None
    lags, values = [0], [np.ones(errors.shape[1])]
    for lag in range(1, most + 1):
        products = whole[lag:] * whole[:-lag]
        if np.isfinite(products[:, 0]).sum() < max(8, known // 4):
            break
        lags.append(lag)
        values.append(np.nanmean(products, axis=0) / size)
    if len(lags) < 3:
        return None
    return spacing * np.array(lags), np.stack(values, axis=1), 1.96 / math.sqrt(known)


def shown_windows(size: Float[np.ndarray, " B"], most: int) -> tuple[Int[np.ndarray, " K"], Sequence[int]]:
    """Numbers of at most so many windows, in order, and where among these the typical and the worst are.

    Args:
        size: error of each window.
        most: more than two.

    Examples:
        >>> numbers, (typical, worst) = shown_windows(np.array([1.0, 9.0, 2.0, 3.0, 4.0]), 3)
        >>> numbers, int(numbers[typical]), int(numbers[worst])
        (array([0, 1, 2, 4]), 2, 1)
    """
    count = len(size)
    evenly = np.unique(np.round(np.linspace(0, count - 1, min(count, most))).astype(int))
    ranked = np.argsort(np.where(np.isnan(size), np.inf, size))
    numbers = np.union1d(evenly, [ranked[-1]])
    worst = int(np.flatnonzero(numbers == ranked[-1])[0])
    place = np.argsort(ranked)[numbers]
    return numbers, (int(np.argmin(np.abs(place - (count - 1) // 2))), worst)
