"""The columns of one log file to uniform recordings.

The steps, in `mend`: find where the positions jump, find the faults of each channel and bridge the short
ones, cut at what is left or refuse it, bring each piece to a uniform time step, move it to the centre of
gravity, check it. A long file has one channel in memory at a time.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pct.dynamics.channels import is_heading
from pct.errors import LogError, LogTimeError, LogValueError
from pct.logs.clocks import Reading, groups_of, on_one_clock, with_rows_filled, with_time
from pct.logs.own_units import with_own_names, with_own_units
from pct.logs.readers import RawLog, read_log
from pct.logs.row_order import in_time_order
from pct.logs.signals import MAP, MOTION, SignalMap, with_units
from pct.logs.spool import Spool
from pct.recordings.centre_of_gravity import move_to_centre
from pct.recordings.checks import (
    LATEST,
    check_agreement,
    check_values,
    without_absurd,
)
from pct.recordings.faults import (
    Filling,
    Repairs,
    Source,
    find_faults,
    find_jumps,
    is_beyond,
    limit_of,
    mended,
)
from pct.recordings.gaps import Pieces, Sampler, find_pieces, make_grid, make_sampler
from pct.recordings.held import samples_by_map
from pct.recordings.position_jumps import stays
from pct.recordings.relations import Values
from pct.recordings.time_steps import LEAST, STEP, unit_line
from pct.recordings.trajectory import Trajectory
from pct.recordings.witnesses import motion_signs, signed_by_motion
from pct.types import Bool, Column, Rows

log = logging.getLogger(__name__)

# A uniform grid has at most so many times the rows of the file, where it has more than these.
MOST_FILLED, FEW_ROWS = 10, 100_000


class Content(NamedTuple):
    """What a log file gave.

    Attributes:
        trajectories: checked recordings.
        rows: rows of the file.
        cut: rows that are in no recording.
        spikes: spikes by channel.
        bridged: samples filled by channel.
        seams: where the positions jump.
    """

    trajectories: list[Trajectory]
    rows: int
    cut: int
    spikes: dict[str, int]
    bridged: dict[str, int]
    seams: int


class _Place(NamedTuple):
    """Rows of a piece, how they come onto its grid, and where they go."""

    rows: slice | Rows
    sample: Sampler
    columns: MutableMapping[str, Values]

    @property
    def slice(self) -> slice | None:
        """The rows of the file that are taken as they are; None where they do not follow one another."""
        if not isinstance(self.rows, slice) or not isinstance(self.sample.taken, slice):
            return None
        return slice(self.rows.start + self.sample.taken.start, self.rows.start + self.sample.taken.stop)


def mend(path: Path, raw: RawLog, signals: SignalMap, repairs: Repairs) -> Content:
    """The recordings of one log file, from its columns and map as `read_columns` gives them.

    Raises:
        DataError: a value cannot be used; names the column and the row.
    """
    if not signals.group:
        return _mend(path, raw, signals, repairs, path.stem)
    parts = groups_of(raw, signals.group)
    contents = [_mend(path, part, signals, repairs, f"{path.stem}_{value}") for value, part in parts.items()]
    return Content(
        [trajectory for content in contents for trajectory in content.trajectories],
        rows=len(raw.rows),
        cut=sum(content.cut for content in contents),
        spikes=_summed(content.spikes for content in contents),
        bridged=_summed(content.bridged for content in contents),
        seams=sum(content.seams for content in contents),
    )


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter()))


def _mend(path: Path, raw: RawLog, signals: SignalMap, repairs: Repairs, stem: str) -> Content:
    """The recordings of one vehicle, which are called ``stem``."""
    source = Source(path, signals, raw, repairs, seconds_of(raw, signals))
    jumps, fillings = find_jumps(source)
    faulty = find_faults(source, jumps, fillings)
    if raw.restarts and signals.faults == "refuse":
        raise LogError(
            path,
            f"expected one recording, found another one that begins in {raw.place} {raw.restarts[0]}."
            f' Cut the file there, or write faults = "cut" in {MAP} to split it',
        )
    restarts = np.searchsorted(raw.rows, list(raw.restarts))
    starts = np.union1d(jumps, restarts[restarts < len(raw.rows)]).astype(int)
    pieces = _cut(source, faulty, starts)
    grids = [_grid(source, rows, pieces.step) for rows in pieces.rows]
    parts = _on_grids(source, pieces, grids, fillings)
    trajectories = []
    for number, (rows, grid, columns) in enumerate(zip(pieces.rows, grids, parts, strict=True)):
        name = stem if len(parts) == 1 else f"{stem}_{number:02d}"
        trajectories.append(_recording(source, name, rows, pieces.step, float(grid[0]), columns))
    return Content(
        trajectories,
        rows=len(raw.rows),
        cut=len(raw.rows) - sum(len(raw.rows[rows]) for rows in pieces.rows),
        spikes={name: filling.spikes for name, filling in fillings.items() if filling.spikes},
        bridged={name: len(filling.rows) for name, filling in fillings.items() if len(filling.rows)},
        seams=len(jumps),
    )


def read_columns(path: Path, signals: SignalMap, *, as_they_stand: bool = False) -> tuple[RawLog, SignalMap]:
    """The raw columns that a map names, on the rows of its clock, and the map with the units of the file.

    Args:
        path: the file.
        signals: its map; with ``faults = "cut"``, rows come in the order of the time, each once.
        as_they_stand: whether rows stay as they are even then.

    Raises:
        DataError: the file cannot be read, or its clocks do not fit.
    """
    options = {**signals.format, "faults": signals.faults}
    try:
        raw = read_log(path, signals.columns, options)
    except LogValueError as error:
        if signals.source is None or error.column not in signals.columns or error.row is not None:
            raise
        whole = read_log(path, None, options)
        signals = with_own_names(path, signals, whole.columns, whole.units)
        raw = read_log(path, signals.columns, options)
    signals = with_units(path, with_own_units(path, signals, raw.units), raw.units)
    for note in raw.notes:
        log.warning("%s: %s", path, note)
    ordered = signals.faults == "cut" and not as_they_stand
    if not signals.group:
        return _on_rows(path, signals, raw, ordered=ordered), signals
    groups = groups_of(raw, signals.group).values()
    parts = [_on_rows(path, signals, part, ordered=ordered) for part in groups]
    if not parts:
        raise LogError(path, f"expected numbers in '{signals.group}', found none: correct `group` in {MAP}")
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    rows = np.concatenate([part.rows for part in parts])
    return dataclasses.replace(raw, columns=columns, rows=rows), signals


def _on_rows(path: Path, signals: SignalMap, raw: RawLog, *, ordered: bool) -> RawLog:
    """The columns of one vehicle on the rows of its clock, with their signs."""
    timed = with_time(path, raw, signals)
    if ordered:
        timed = in_time_order(timed, signals.time)
        for note in timed.notes[len(raw.notes) :]:
            log.warning("%s: %s", path, note)
    return _with_signs(path, signals, _with_one_clock(path, signals, timed))


def _with_signs(path: Path, signals: SignalMap, raw: RawLog) -> RawLog:
    """The log with the sign of the motion in columns that hold magnitudes."""
    wanted = {name: signal for name, signal in signals.channels.items() if signal.by_motion}
    if not wanted:
        return raw
    pose = ["x", "y", "yaw" if "yaw" in signals.channels else "psi"]
    if missing := [name for name in pose if name not in signals.channels]:
        raise LogError(
            path,
            f"expected {', '.join(missing)} in the map for the sign of {', '.join(wanted)}, "
            f'found none: map the pose, or write another sign than "{MOTION}"',
        )
    x, y, psi = ((s := signals.channels[name]).convert(raw.columns[s.column]) for name in pose)
    steps = np.diff(seconds_of(raw, signals))
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    step = max(step, LEAST)
    way, turn = motion_signs(x, y, psi, step)
    signed = {
        signal.column: signed_by_motion(name, raw.columns[signal.column] + signal.offset, way, turn, step)
        - signal.offset
        for name, signal in wanted.items()
    }
    if isinstance(raw.columns, Spool):
        for name, column in signed.items():
            raw.columns[name] = column
        return raw
    return dataclasses.replace(raw, columns={**raw.columns, **signed})


def _with_one_clock(path: Path, signals: SignalMap, raw: RawLog) -> RawLog:
    """The log with all its columns on the rows of its time."""
    clocks = {
        signal.column: signal.time or raw.clocks.get(signal.column, signals.time)
        for signal in signals.channels.values()
    }
    samples = samples_by_map(signals, raw, clocks)
    if isinstance(raw.columns, Spool) and set(clocks.values()) == {signals.time} and not samples:
        return raw
    readings = {}
    for name, signal in signals.channels.items():
        readings[signal.column] = Reading(
            clock=clocks[signal.column],
            held=signal.origin == "command",
            turn=2 * math.pi / signal.factor if signal.angle or is_heading(name) else 0.0,
            faulty=is_beyond(signal.convert(raw.columns[signal.column]), limit_of(name)),
        )
    raw = with_rows_filled(raw, signals.time, readings, samples, gap=signals.gap)
    readings = {
        signal.column: dataclasses.replace(
            readings[signal.column],
            faulty=is_beyond(signal.convert(raw.columns[signal.column]), limit_of(name)),
        )
        for name, signal in signals.channels.items()
    }
    if signals.group:
        readings[signals.group] = Reading(
            signals.time, held=True, turn=0.0, faulty=np.zeros(len(raw.rows), bool)
        )
    return on_one_clock(path, raw, signals.time, readings, gap=signals.gap, cut=signals.faults == "cut")


def seconds_of(raw: RawLog, signals: SignalMap) -> Column:
    """The time of a log in s; not a number where it is larger than any, in a wrong unit, too."""
    return without_absurd(raw.columns[signals.time], signals.time_factor, limit=LATEST)


def _cut(source: Source, faulty: Bool[np.ndarray, " N"], jumps: Rows) -> Pieces:
    """Uninterrupted rows without faults.

    Raises:
        DataError: an interruption that the map wants refused, or no two rows are left.
    """
    signals, raw, time = source.signals, source.raw, source.time
    repairs = source.repairs
    pieces = find_pieces(time, faulty, gap=signals.gap, longest=repairs.gap, stray=repairs.stray, seams=jumps)
    if pieces is None:
        raise LogError(
            source.path,
            f"expected 2 rows or more with time going on, found "
            f"{np.count_nonzero(~faulty)}: leave the file out",
        )
    if signals.faults == "refuse" and pieces.breaks:
        before, after = pieces.breaks[0]
        what = "go on" if time[after] <= time[before] else f"go on in steps of about {pieces.step:g} s"
        raise LogTimeError(
            source.path,
            f"expected time ('{signals.time}') to {what}, found {time[before]:.9g} s and "
            f"then {time[after]:.9g} s in {raw.place} {raw.rows[after]}. "
            f'Cut the file there, or write faults = "cut" in {MAP} to split the recording at such places',
            column=signals.time,
            row=int(raw.rows[after]),
        )
    _check_length(source, pieces)
    # A piece between two cuts may be shorter than the delays.
    rows = [rows for rows in pieces.rows if len(_grid(source, rows, pieces.step)) >= 2]
    if not rows:
        raise LogError(
            source.path,
            f"expected 2 rows or more at a step of {pieces.step:g} s, found "
            f"{len(_grid(source, pieces.rows[0], pieces.step))}: leave the file out",
        )
    return pieces._replace(rows=rows)


def _check_length(source: Source, pieces: Pieces) -> None:
    """Refuse a step that no recording has, and grids of far more rows than the file.

    Raises:
        DataError: says the step and the unit that explains it.
    """
    refuse = partial(LogTimeError, source.path, column=source.signals.time)
    expected = f"expected time ('{source.signals.time}') to go on"
    if pieces.step not in STEP:
        raise refuse(
            f"{expected} in steps {str(STEP).removeprefix('a number ')}, found steps of about "
            f"{pieces.step:.4g} s: {unit_line(pieces.step)}"
        )
    rows = len(source.raw.rows)
    ends = [source.time[piece][[0, -1]] for piece in pieces.rows]
    seconds = float(sum(last - first for first, last in ends))
    if seconds / pieces.step > max(MOST_FILLED * rows, FEW_ROWS):
        raise refuse(
            f"{expected} in steps of about {pieces.step:.4g} s, found {seconds:.4g} s in {rows} "
            "rows: most of it is missing.\nLower the `gap` that is bridged (time.gap in the map), or look up "
            "the unit of the time"
        )


def _grid(source: Source, rows: slice | Rows, step: float) -> Column:
    """Times in s of a piece's uniform rows, at which every channel is known."""
    delays = [signal.delay for signal in source.signals.channels.values()]
    return make_grid(source.time[rows], step, first=max(0.0, -min(delays)), last=max(0.0, *delays))


def _on_grids(
    source: Source, pieces: Pieces, grids: Sequence[Values], fillings: Mapping[str, Filling]
) -> list[MutableMapping[str, Values]]:
    """Channels of each piece on its uniform grid, each ``delay`` later than it is logged."""
    channels = source.signals.channels
    spooled = isinstance(source.raw.columns, Spool)
    parts: list[MutableMapping[str, Values]] = [Spool() if spooled else {} for _ in grids]
    for delay in sorted({signal.delay for signal in channels.values()}):
        samplers = [
            make_sampler(source.time[rows], grid + delay, pieces.step)
            for rows, grid in zip(pieces.rows, grids, strict=True)
        ]
        late = [name for name, signal in channels.items() if signal.delay == delay]
        places = list(map(_Place, pieces.rows, samplers, parts))
        list(source.each(partial(_put_on_grids, source, places=places, fillings=fillings), late))
    return parts


def _put_on_grids(
    source: Source, name: str, *, places: Sequence[_Place], fillings: Mapping[str, Filling]
) -> None:
    """Put a channel of each piece, on its grid, to the others of the piece."""
    signal, raw = source.signals.channels[name], source.raw.columns
    # What stays as it is, in rows that follow one another, is not written once more.
    plain = signal.plain and not source.turns(name) and not len(fillings[name].rows)
    column: Column | None = None
    for place in places:
        if plain and isinstance(raw, Spool) and isinstance(place.columns, Spool) and place.slice:
            place.columns.share(name, raw, signal.column, place.slice)
            continue
        if column is None:
            column, *_ = mended(source, name, jumps=np.zeros(0, int), fillings=fillings)
        place.columns[name] = place.sample(column[place.rows], signal.origin == "command")


def _recording(
    source: Source,
    name: str,
    rows: slice | Rows,
    step: float,
    start: float,
    columns: MutableMapping[str, Column],
) -> Trajectory:
    """The recording of one piece, at the centre of gravity, checked."""
    path, signals, raw = source.path, source.signals, source.raw
    first, last = raw.rows[rows][[0, -1]]
    vehicle = f"{signals.vehicle}: " if signals.vehicle else ""
    trajectory = Trajectory(
        name=name,
        dt=step,
        channels=columns,
        units={name: signal.si for name, signal in signals.channels.items()},
        origins={name: signal.origin for name, signal in signals.channels.items()},
        source=f"{vehicle}{path.name}, {raw.place}s {first}-{last}",
        start=start,
    )
    where = f"{path}, {raw.place}s {first}-{last}"
    # Values beyond their limits are cut or refused already; moving makes new ones.
    if signals.reference_ahead:
        trajectory = move_to_centre(trajectory, columns, signals)
        check_values(trajectory, where)
    mapped = {name: (signal.column, signal.unit) for name, signal in signals.channels.items()}
    # Noise of a vehicle that stands agrees with nothing.
    if not stays(trajectory.channels):
        check_agreement(trajectory, where, mapped)
    return trajectory
