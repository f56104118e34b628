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
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import numpy as np

from pct.dynamics.channels import is_heading, known_channels
from pct.errors import DataError, LogError, LogTimeError, LogValueError
from pct.logs.blocks import unwrap_if_needed
from pct.logs.clocks import Reading, groups_of, on_one_clock, with_rows_filled, with_time
from pct.logs.readers import RawLog, read_log
from pct.logs.signals import MAP, MOTION, SignalMap, with_units
from pct.logs.spool import Spool
from pct.recordings.checks import (
    LARGEST,
    LATEST,
    all_within,
    check_agreement,
    check_values,
    unit_hint,
    without_absurd,
)
from pct.recordings.derive import derive
from pct.recordings.gaps import Pieces, Sampled, Sampler, bridge, find_pieces, make_grid, make_sampler
from pct.recordings.outliers import find_spikes
from pct.recordings.position_jumps import find_seams
from pct.recordings.relations import Values
from pct.recordings.time_steps import LEAST, STEP, unit_line
from pct.recordings.trajectory import Trajectory
from pct.recordings.witnesses import motion_signs, signed_by_motion
from pct.types import Bool, Column, Rows

T = TypeVar("T")
log = logging.getLogger(__name__)

# More rows than this share beyond a limit are a wrong unit, not glitches.
GLITCHES = 0.05
# A channel that has a value in less than half of the rows does not belong to these.
MOST_MISSING = 0.5
# Channels of a long file that are worked on at once; each takes some 200 MB.
THREADS = 2
# A uniform grid has at most so many times the rows of the file, where it has more than these.
MOST_FILLED, FEW_ROWS = 10, 100_000


class Repairs(NamedTuple):
    """What is mended before a recording is cut at what is left.

    Attributes:
        gap: sound samples at most this far apart, in s, are bridged.
        spikes: whether spikes count as faults.
        stray: whether rows with a time stamp out of line are left out without a cut.
        seams: whether a recording is cut where its positions jump.
    """

    gap: float = 0.0
    spikes: bool = False
    stray: bool = False
    seams: bool = False


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


class _Source(NamedTuple):
    """One log file: its path, its map, its columns on one clock, what is mended, and its time in s."""

    path: Path
    signals: SignalMap
    raw: RawLog
    repairs: Repairs
    time: Column

    def turns(self, name: str) -> bool:
        """Whether a channel jumps by a full turn."""
        return self.signals.channels[name].angle or is_heading(name)

    def each(self, work: Callable[[str], T], names: Iterable[str]) -> Iterator[T]:
        """The results for some channels in their order; side by side where they are long."""
        if not isinstance(self.raw.columns, Spool):
            yield from map(work, names)
            return
        with ThreadPoolExecutor(THREADS) as pool:
            yield from pool.map(work, names)


class _Filling(NamedTuple):
    """What is bridged in a channel: rows and their values; and how many of its samples are spikes."""

    rows: Rows
    values: Sampled
    spikes: int = 0


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
    source = _Source(path, signals, raw, repairs, seconds_of(raw, signals))
    jumps, fillings = _find_jumps(source)
    faulty = _find_faults(source, jumps, fillings)
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


def read_columns(path: Path, signals: SignalMap) -> tuple[RawLog, SignalMap]:
    """The raw columns that a map names, on the rows of its clock, and the map with the units of the file.

    Raises:
        DataError: the file cannot be read, or its clocks do not fit.
    """
    names = [
        signals.group,
        *signals.time_columns,
        *(name for signal in signals.channels.values() for name in (signal.column, signal.time)),
    ]
    options = {**signals.format, "faults": signals.faults}
    raw = read_log(path, [name for name in dict.fromkeys(names) if name], options)
    signals = with_units(path, signals, raw.units)
    for note in raw.notes:
        log.warning("%s: %s", path, note)
    if not signals.group:
        return _on_rows(path, signals, raw), signals
    parts = [_on_rows(path, signals, part) for part in groups_of(raw, signals.group).values()]
    if not parts:
        raise LogError(path, f"expected numbers in '{signals.group}', found none: correct `group` in {MAP}")
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    rows = np.concatenate([part.rows for part in parts])
    return dataclasses.replace(raw, columns=columns, rows=rows), signals


def _on_rows(path: Path, signals: SignalMap, raw: RawLog) -> RawLog:
    """The columns of one vehicle on the rows of its clock, with their signs."""
    return _with_signs(path, signals, _with_one_clock(path, signals, with_time(path, raw, signals)))


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
    if isinstance(raw.columns, Spool) and set(clocks.values()) == {signals.time}:
        return raw
    readings = {}
    for name, signal in signals.channels.items():
        readings[signal.column] = Reading(
            clock=clocks[signal.column],
            held=signal.origin == "command",
            turn=2 * math.pi / signal.factor if signal.angle or is_heading(name) else 0.0,
            faulty=_beyond(signal.convert(raw.columns[signal.column]), _limit(name)),
        )
    raw = with_rows_filled(raw, signals.time, readings, gap=signals.gap)
    readings = {
        signal.column: dataclasses.replace(
            readings[signal.column],
            faulty=_beyond(signal.convert(raw.columns[signal.column]), _limit(name)),
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


def _find_jumps(source: _Source) -> tuple[Rows, dict[str, _Filling]]:
    """First rows behind jumps of the positions, and what is bridged in these: a spike of them is no jump."""
    none = np.zeros(0, int)
    if not source.repairs.seams or not {"x", "y"} <= set(source.signals.channels):
        return none, {}
    fillings, columns = {}, []
    for name, (column, wrong, filling) in zip(
        "xy", source.each(partial(_mended, source, jumps=none, fillings={}), "xy"), strict=True
    ):
        fillings[name] = filling
        columns.append(np.where(wrong, np.nan, column))
    jumps = find_seams(source.time, *columns)
    return (none if jumps is None else jumps.rows), fillings


def _find_faults(source: _Source, jumps: Rows, fillings: dict[str, _Filling]) -> Bool[np.ndarray, " N"]:
    """Rows in which the time or a channel is wrong; adds to ``fillings`` what is bridged.

    Raises:
        DataError: a fault that the map wants refused, or one that is no glitch.
    """
    faulty = np.isnan(source.time)
    if source.signals.faults == "refuse" and faulty.any():
        _refuse(source, "time", source.time, faulty)
    names = source.signals.channels
    known = dict(fillings)
    for name, (wrong, filling) in zip(
        names, source.each(partial(_faults_of, source, jumps=jumps, fillings=known), names), strict=True
    ):
        fillings[name] = filling
        faulty |= wrong
    return faulty


def _faults_of(
    source: _Source, name: str, *, jumps: Rows, fillings: Mapping[str, _Filling]
) -> tuple[Bool[np.ndarray, " N"], _Filling]:
    """Where a channel is wrong, and what is bridged in it; refuses what is no glitch or is to be refused."""
    column, wrong, filling = _mended(source, name, jumps=jumps, fillings=fillings)
    if wrong.any():
        beyond = np.abs(column) > _limit(name)
        if beyond.mean() > GLITCHES:
            _refuse(source, name, column, beyond)
        if source.signals.faults == "refuse":
            _refuse(source, name, column, wrong)
        if wrong.mean() > MOST_MISSING:
            raise LogError(
                source.path,
                f"expected values in column '{source.signals.channels[name].column}', found "
                f"none in {wrong.sum()} of {len(wrong)} rows: leave '{name}' out of the map",
            )
    return wrong, filling


def _mended(
    source: _Source, name: str, *, jumps: Rows, fillings: Mapping[str, _Filling]
) -> tuple[Column, Bool[np.ndarray, " N"], _Filling]:
    """A channel in SI units with its faults bridged, where it is wrong still, and what was bridged.

    Args:
        source: the file.
        name: the channel.
        jumps: first rows behind places that are not bridged.
        fillings: of channels that were mended before.
    """
    signal = source.signals.channels[name]
    column = signal.convert(source.raw.columns[signal.column])
    wrong = _beyond(column, _limit(name))
    if source.turns(name):
        if wrong.any():
            column = column.copy()
            # A value that is wrong must not spoil what follows it.
            column[~wrong] = unwrap_if_needed(column[~wrong])
        else:
            column = unwrap_if_needed(column)
    filling = fillings.get(name) or _filling(source, name, column, wrong, jumps)
    if len(filling.rows):
        column = column.copy()
        column[filling.rows], wrong[filling.rows] = filling.values, False
    return column, wrong, filling


def _filling(
    source: _Source, name: str, column: Column, wrong: Bool[np.ndarray, " N"], jumps: Rows
) -> _Filling:
    """What is bridged in a channel."""
    signal, repairs, spikes = source.signals.channels[name], source.repairs, 0
    if repairs.spikes and signal.origin == "measured":
        out = find_spikes(name, np.where(wrong, np.nan, column) if wrong.any() else column)
        spikes = int(np.count_nonzero(out))
        wrong = wrong | out if spikes else wrong
    if not repairs.gap or not wrong.any() or wrong.mean() > MOST_MISSING:
        return _Filling(np.zeros(0, int), np.zeros(0), spikes)
    held = signal.origin == "command"
    bridged, still = bridge(source.time, column, wrong, repairs.gap, held=held, seams=jumps)
    rows = np.flatnonzero(wrong & ~still)
    return _Filling(rows, bridged[rows], spikes)


def _cut(source: _Source, faulty: Bool[np.ndarray, " N"], jumps: Rows) -> Pieces:
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


def _check_length(source: _Source, pieces: Pieces) -> None:
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


def _grid(source: _Source, rows: slice | Rows, step: float) -> Column:
    """Times in s of a piece's uniform rows, at which every channel is known."""
    delays = [signal.delay for signal in source.signals.channels.values()]
    return make_grid(source.time[rows], step, first=max(0.0, -min(delays)), last=max(0.0, *delays))


def _on_grids(
    source: _Source, pieces: Pieces, grids: Sequence[Values], fillings: Mapping[str, _Filling]
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
    source: _Source, name: str, *, places: Sequence[_Place], fillings: Mapping[str, _Filling]
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
            column, *_ = _mended(source, name, jumps=np.zeros(0, int), fillings=fillings)
        place.columns[name] = place.sample(column[place.rows], signal.origin == "command")


def _recording(
    source: _Source,
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
        trajectory = _move_to_centre(trajectory, columns, signals)
        check_values(trajectory, where)
    mapped = {name: (signal.column, signal.unit) for name, signal in signals.channels.items()}
    check_agreement(trajectory, where, mapped)
    return trajectory


def _move_to_centre(
    trajectory: Trajectory, columns: MutableMapping[str, Column], signals: SignalMap
) -> Trajectory:
    """The same drive seen at the centre of gravity; what a rigid body shares at all points stays.

    Args:
        trajectory: at the logged point.
        columns: its channels, changed in place.
        signals: the map, for the distance and messages.
    """
    ahead = signals.reference_ahead
    psi, psi_dot, vx, vy = (derive(name, columns, trajectory.dt) for name in ("psi", "psi_dot", "vx", "vy"))
    if psi is None or psi_dot is None:
        raise DataError(
            f"{signals.path}: expected the heading 'psi' to move by reference_ahead = {ahead}, found "
            f"{', '.join(columns)}: map it"
        )
    if "x" in columns and "y" in columns:
        columns["x"], columns["y"] = columns["x"] - ahead * np.cos(psi), columns["y"] - ahead * np.sin(psi)
    if {"vx", "vy", "v"} & set(columns) and vx is not None and vy is not None:
        columns["vx"], columns["vy"] = vx, vy - ahead * psi_dot
    if "course" in columns:
        columns["psi"] = psi
    for name in {"v", "beta", "course"} & set(columns):
        del columns[name]
    return dataclasses.replace(
        trajectory,
        units={name: trajectory.units.get(name) or known_channels()[name].unit for name in columns},
        origins={name: trajectory.origins.get(name, "derived") for name in columns},
    )


def _refuse(source: _Source, name: str, column: Column, wrong: Bool[np.ndarray, " N"]) -> NoReturn:
    """Refuse the first row in which a channel, or the time, is wrong."""
    row = int(np.flatnonzero(wrong)[0])
    path, signals, raw = source.path, source.signals, source.raw
    signal = signals.channels.get(name)
    raw_name = signal.column if signal else signals.time
    line = int(raw.rows[row])
    refuse = partial(LogValueError, path, column=raw_name, row=line)
    where = f"column '{raw_name}', {raw.place} {line}"
    if not math.isfinite(column[row]):
        raise refuse(
            f"{where}: expected a number, found {raw.columns[raw_name][row]}. "
            f'Cut the row, or write faults = "cut" in {MAP} to split the recording at such rows'
        )
    assert signal is not None
    unit = signal.unit or signal.si
    value = f"{raw.columns[raw_name][row]:g} {unit}" + (
        f" = {column[row]:g} {signal.si}" if unit != signal.si else ""
    )
    hint = unit_hint(name, signal.si, unit)
    raise refuse(
        f"{where}: expected '{name}' within {_limit(name):g} {signal.si}, found {value}. "
        f"{hint}{'Else it' if hint else 'It'} is a glitch: "
        f'cut the row, or write faults = "cut" in {MAP}'
    )


def _beyond(column: Column, limit: float) -> Bool[np.ndarray, " N"]:
    """Where values are missing or beyond a limit."""
    return np.zeros(len(column), bool) if all_within(column, limit) else ~(np.abs(column) <= limit)


def _limit(name: str) -> float:
    channel = known_channels().get(name)
    return min(channel.limit, LARGEST) if channel else LARGEST
