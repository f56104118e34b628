"""Helpers of the checks of single channels: moving rows, runs, steps, cuts, and the figure."""

from __future__ import annotations

import numpy as np

from pct.doctor.finding import Panel
from pct.doctor.raw_recording import Recording, unwrapped
from pct.doctor.statistics import LEAST_ROWS, Column, inner, noise_of
from pct.dynamics.channels import grows, is_heading, known_channels
from pct.types import Bool

# Neighbouring second differences with a correlation below this are those of noise.
NOISE_NEIGHBOURS = -0.3
# Chance of an equal run as long as the one that is found, over the whole recording.
CHANCE = 1e-6
# Speeds that a driver or a limiter keeps, to the last digit where a log has no noise.
KEPT = ("v", "vx")


def moving_rows(recording: Recording) -> Bool[np.ndarray, " _"]:
    """Rows in which something that moves with the vehicle says that it moves: no less than two channels."""
    votes = np.zeros(len(recording))
    voters = 0
    for name in ("v", "vx", "psi_dot", "x", "y", "psi", "course"):
        if name not in recording.channels:
            continue
        column = unwrapped_column(recording, name)
        column = np.where(
            np.isfinite(column), column, np.nanmedian(column) if np.isfinite(column).any() else 0.0
        )
        if grows(name):
            step = recording.rows_of(0.25, least=2)
            change = np.zeros(len(column))
            change[step:] = np.abs(column[step:] - column[:-step])
        else:
            change = np.abs(column)
        level = 0.2 * float(np.quantile(change, 0.9))
        votes += change > max(level, 1e-9)
        voters += 1
    return votes >= min(2, voters) if voters else np.zeros(len(recording), bool)


def runs(flags: Bool[np.ndarray, " _"]) -> tuple[np.ndarray, np.ndarray]:
    """First index and length of each run of true rows."""
    edges = np.diff(np.concatenate([[0], flags.astype(int), [0]]))
    start = np.flatnonzero(edges == 1)
    return start, np.flatnonzero(edges == -1) - start


def lattice(values: Column) -> float:
    """The step that all values lie on, the smallest distance of two if it divides nearly all others; or 0."""
    levels = np.unique(values)
    if len(levels) < 3:
        return 0.0
    gaps = np.diff(levels)
    gaps = gaps[gaps > 1e-9 * (levels[-1] - levels[0])]
    if not len(gaps):
        return 0.0
    step = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    near = np.abs(gaps / step - np.rint(gaps / step))
    return step if np.mean(near < 0.05) > 0.95 else 0.0


def is_noisy(values: Column) -> bool:
    """Whether noise moves a signal from row to row, beyond its rounding; no value missing.

    Neighbouring second differences of white noise have a correlation of -2/3, those of a smooth signal one
    near 1.
    """
    bends = np.diff(values, 2)
    if len(bends) < LEAST_ROWS or noise_of(values) <= lattice(values):
        return False
    size = inner(bends[1:], bends[1:])
    return size > 0 and inner(bends[1:], bends[:-1]) < NOISE_NEIGHBOURS * size


def resolution(values: Column) -> float:
    """The smallest change that a signal can show: its steps, or what single precision rounds to."""
    return max(lattice(values), 1e-7 * float(np.abs(values).max(initial=0.0)))


def median(values: Column, rows: int) -> Column:
    """Median of so many rows about each."""
    from scipy.ndimage import median_filter

    return median_filter(values, rows, mode="nearest")


def unwrapped_column(recording: Recording, name: str) -> Column:
    """A channel as logged, headings without their jumps of a full turn, (N,)."""
    column = recording.channels[name].copy()
    if is_heading(name):
        good = np.isfinite(column)
        column[good] = unwrapped(column[good])
    return column


def unit_after(name: str) -> str:
    """The unit of a known channel behind a number of it; nothing where it has none."""
    channel = known_channels().get(name)
    return f" {channel.unit}" if channel and channel.unit != "1" else ""


def blank(recording: Recording, name: str, wrong: Bool[np.ndarray, " _"]) -> Recording:
    """Without single values; without the channel where the rows are not the same any more."""
    return recording.blanked({name: wrong}) if len(wrong) == len(recording) else recording.without(name)


def cut(recording: Recording, name: str, wrong: Bool[np.ndarray, " _"]) -> Recording:
    """Without the rows in which a channel says nothing, or without the channel where these are many."""
    if len(wrong) != len(recording):
        # Another channel was cut before: the rows are not these any more.
        return recording.without(name)
    return recording.without(name) if wrong.mean() > 0.5 else recording.selected(~wrong)


def around(recording: Recording, name: str, rows: np.ndarray) -> tuple[Panel, ...]:
    """The whole channel, and the surroundings of the first fault."""
    column, stamps = recording.channels[name], recording.time
    time = stamps - np.min(stamps, where=np.isfinite(stamps), initial=np.inf)
    label = f"{name} [{unit_after(name).strip()}]" if unit_after(name) else name
    curves = {name: (time, column)}
    if len(rows):
        curves["fault"] = (time[rows], column[rows])
    panels = [Panel("time of the log [s]", label, curves, points=True)]
    if len(rows):
        near = slice(max(0, rows[0] - 40), rows[0] + 60)
        inside = rows[(rows >= near.start) & (rows < near.stop)]
        panels.append(
            Panel(
                "time [s]",
                label,
                {name: (time[near], column[near]), "fault": (time[inside], column[inside])},
                points=True,
            )
        )
    return tuple(panels)
