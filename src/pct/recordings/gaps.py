"""Time stamps as they come to uniform grids: uninterrupted pieces, short gaps bridged, samples taken."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from pct.logs.blocks import blocks
from pct.types import Bool, Column, Float, Int

# Samples of a slower signal may be this many of its usual steps apart.
SLOWER = 1.5
# Time stamps this close to the grid, in steps, are taken as they are.
ON_GRID = 0.02
# A recorder's clock is set in whole milliseconds; a mean step this close to one is one.
WHOLE_MS = 2e-3

Sampled = Float[np.ndarray, " M"]


class Pieces(NamedTuple):
    """Uninterrupted stretches of a recording.

    Attributes:
        rows: the rows of each, at least two: a slice where they follow one another.
        breaks: indices of the rows before and after each interruption.
        step: usual time step in s, a whole millisecond where it is close to one.
        strayed: rows left out because their time stamp stands still or strays.
    """

    rows: list[slice | Int[np.ndarray, " _"]]
    breaks: list[tuple[int, int]]
    step: float
    strayed: int


def bridge(
    time: Column,
    column: Column,
    wrong: Bool[np.ndarray, " N"],
    longest: float,
    *,
    held: bool,
    seams: Int[np.ndarray, " _"],
) -> tuple[Column, Bool[np.ndarray, " N"]]:
    """Fill samples between sound ones: in a straight line, or with the value before where it is held.

    Args:
        time: in s, increasing around what is filled.
        column: samples; angles unwrapped.
        wrong: which of them to fill.
        longest: sound samples at most this far apart in s are bridged; those of a signal that is slower as
            a whole, `SLOWER` times their usual distance.
        held: whether the signal is a command.
        seams: first row behind each place that is not bridged.

    Returns:
        The column, and which samples are still wrong.
    """
    sound = np.flatnonzero(~wrong)
    suspects = np.flatnonzero(wrong)
    if len(sound) < 2 or not len(suspects):
        return column, wrong
    after = np.searchsorted(sound, suspects)
    inner = (after > 0) & (after < len(sound))
    suspects, after = suspects[inner], after[inner]
    before, after = sound[after - 1], sound[after]
    length = time[after] - time[before]
    usual = SLOWER * float(np.median(np.diff(time[sound])))
    short = (length > 0) & (length <= max(longest, usual))
    short &= np.searchsorted(seams, before, side="right") == np.searchsorted(seams, after, side="right")
    suspects, before, after, length = suspects[short], before[short], after[short], length[short]
    share = 0.0 if held else (time[suspects] - time[before]) / length
    filled = column.copy()
    filled[suspects] = column[before] + share * (column[after] - column[before])
    still_wrong = wrong.copy()
    still_wrong[suspects] = False
    return filled, still_wrong


def find_pieces(
    time: Column,
    faulty: Bool[np.ndarray, " N"],
    *,
    gap: float,
    longest: float,
    stray: bool,
    seams: Int[np.ndarray, " _"],
) -> Pieces | None:
    """Cut a recording where time does not go on.

    Args:
        time: stamps in s.
        faulty: rows to leave out.
        gap: a step of more than this many usual ones is an interruption,
        longest: unless it is at most this long, in s.
        seams: first row behind each further interruption.
        stray: leave out rows with a stamp that repeats the one before or is out of line with its neighbours.

    Returns:
        None where time nowhere goes on.
    """
    sound = np.flatnonzero(~faulty)
    count = len(sound)
    steps = np.diff(time[sound])
    if not (steps > 0).any():
        return None
    usual = float(np.median(steps[steps > 0]))
    limit = max(gap * usual, longest)
    if stray:
        wrong = ~((steps > 0) & (steps <= limit))
        # The rows around it follow one another; or it repeats the one before.
        joined = time[sound[2:]] - time[sound[:-2]]
        out = np.concatenate([[False], wrong[:-1] & (joined > 0) & (joined <= limit), [False]])
        out[1:] |= steps == 0
        sound = sound[~out]
        steps = np.diff(time[sound])
    going = (steps > 0) & (steps <= limit)
    behind = np.searchsorted(sound, seams)
    going[behind[(behind > 0) & (behind < len(sound))] - 1] = False
    breaks = np.flatnonzero(~going)
    if not going.any():
        return None
    return Pieces(
        rows=[
            slice(int(piece[0]), int(piece[-1]) + 1) if _together(piece) else piece
            for piece in np.split(sound, breaks + 1)
            if len(piece) > 1
        ],
        breaks=[(int(sound[at]), int(sound[at + 1])) for at in breaks],
        step=usual_step(steps[steps > 0], gap),
        strayed=count - len(sound),
    )


def usual_step(steps: Sampled, gap: float) -> float:
    """Mean of the steps that are no gap, in s; a whole millisecond where it is close to one.

    Args:
        steps: above 0 s.
        gap: a step of more than this many median ones is a gap.
    """
    mean = float(steps[steps <= gap * np.median(steps)].mean())
    whole = round(mean, 3)
    return whole if whole > 0 and abs(mean - whole) < WHOLE_MS * whole else mean


def make_grid(time: Column, step: float, *, first: float, last: float) -> Sampled:
    """Times from ``first`` to ``last``, in s after the first and before the last stamp, ``step`` apart."""
    span = time[-1] - last - time[0] - first
    # The allowance keeps the last row where rounding puts it just beyond the end.
    return time[0] + first + step * np.arange(max(0, math.floor(span / step + ON_GRID) + 1))


@dataclasses.dataclass(frozen=True, eq=False)
class Sampler:
    """How columns are taken at other times; see `make_sampler`.

    Attributes:
        taken: the row for each time, a slice where they follow one another; None where times lie between.
        before, rows, wanted: the row before each time; stamps and times in steps. Empty where ``taken``
            is a slice.
    """

    taken: slice | Int[np.ndarray, " M"] | None
    before: Int[np.ndarray, " _"]
    rows: Column
    wanted: Sampled

    def __call__(self, column: Column, held: bool) -> Sampled:
        """A column at the times: its previous value where it is held, else in a straight line."""
        if self.taken is not None:
            return column[self.taken]
        return column[self.before] if held else np.interp(self.wanted, self.rows, column)


def make_sampler(time: Column, at: Sampled, step: float) -> Sampler:
    """What takes columns at other times.

    Args:
        time: of their samples in s, increasing.
        at: times within them.
        step: of the grid in s; stamps that are `ON_GRID` of it away are taken as they are.
    """
    if len(at):
        # Most logs have a row for each time, one after the other: nothing need be searched for there.
        first = int(np.searchsorted(time, at[0] - ON_GRID * step))
        if _alike(time[first : first + len(at)], at, ON_GRID * step):
            none = np.zeros(0)
            return Sampler(slice(first, first + len(at)), none.astype(int), none, none)
    rows, wanted = (time - time[0]) / step, (at - time[0]) / step
    before = np.clip(np.searchsorted(rows, wanted + ON_GRID, side="right") - 1, 0, len(rows) - 1)
    after = np.minimum(before + 1, len(rows) - 1)
    nearest = np.where(rows[after] - wanted < wanted - rows[before], after, before)
    taken: slice | Int[np.ndarray, " M"] | None = None
    if np.all(np.abs(rows[nearest] - wanted) < ON_GRID):
        # Each time has a row of its own.
        taken = slice(int(nearest[0]), int(nearest[-1]) + 1) if _together(nearest) else nearest
    return Sampler(taken, before, rows, wanted)


def _alike(stamps: Column, times: Sampled, limit: float) -> bool:
    """Whether there is a stamp for each time, less than ``limit`` away."""
    return len(stamps) == len(times) and all(
        np.all(np.abs(stamps[start:stop] - times[start:stop]) < limit) for start, stop in blocks(len(times))
    )


def _together(rows: Int[np.ndarray, " _"]) -> bool:
    """Whether rows, all different and in order, follow one another."""
    return len(rows) > 0 and int(rows[-1] - rows[0]) == len(rows) - 1
