"""A folder of recordings, stored or raw, to trajectories.

A raw folder holds log files and ``signals.toml``. `read_folder` reads either kind of folder; for a raw one
the steps are: read the columns, bring them onto one clock, convert, find faults, bridge them, cut at them or
refuse, bring to a uniform time step, move to the centre of gravity, check.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from pct.dynamics.channels import is_heading, known_channels
from pct.errors import DataError
from pct.logs.blocks import unwrap_if_needed
from pct.logs.clocks import Reading, on_one_clock
from pct.logs.readers import FORMATS, RawLog, is_log, read_log
from pct.logs.signals import MAP, SignalMap, presets, read_map, with_units
from pct.logs.spool import Spool
from pct.recordings.checks import all_within, check_agreement, check_trajectory, check_values, unit_hint
from pct.recordings.derive import derive
from pct.recordings.gaps import Pieces, Sampled, Sampler, bridge, find_pieces, make_grid, make_sampler
from pct.recordings.outliers import find_spikes
from pct.recordings.position_jumps import find_seams
from pct.recordings.trajectory import MANIFEST, Trajectory, read_dataset
from pct.types import Bool, Column, Rows

T = TypeVar("T")

log = logging.getLogger(__name__)

# More rows than this share beyond a limit are a wrong unit, not glitches.
GLITCHES = 0.05
# A channel that has a value in less than half of the rows does not belong to these.
MOST_MISSING = 0.5
# No time or other value of a log is larger in SI units; squares of it are finite still.
LARGEST = 1e15
# Channels of a long file that are worked on at once; each takes some 200 MB.
THREADS = 2


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


def read_folder(folder: Path) -> list[Trajectory]:
    """Read a dataset folder (``dataset.json``) or a raw folder (``signals.toml``).

    Returns:
        Checked recordings, in SI units, on uniform time grids.

    Raises:
        DataError: the folder is missing or of neither kind, or its content cannot be used.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of recordings, found none: check the path")
    if (folder / MANIFEST).is_file():
        trajectories = read_dataset(folder)
        for trajectory in trajectories:
            check_trajectory(trajectory, f"{folder / trajectory.name}.parquet")
        return trajectories
    if (folder / MAP).is_file():
        return read_raw(folder)
    entries = sorted(path.name for path in folder.iterdir())
    inner = [name for name in entries if any((folder / name / file).is_file() for file in (MANIFEST, MAP))]
    if inner:
        raise DataError(
            f"{folder}: expected {MANIFEST} or {MAP}, found folders that have one: "
            f"pass {', '.join(inner)} in it"
        )
    found = f"{len(entries)} entries such as '{entries[0]}'" if entries else "an empty folder"
    raise DataError(
        f"{folder}: expected {MANIFEST}, or log files and {MAP}, found {found}.\n"
        f'For logs, write {MAP} there (docs/data.md), e.g. preset = "{presets()[0]}". '
        f"Known presets: {', '.join(presets())}"
    )


def read_raw(folder: Path) -> list[Trajectory]:
    """Read the log files of a raw folder through its ``signals.toml``; see `read_folder`."""
    signals = read_map(folder / MAP)
    files = [path for path in sorted(folder.glob(signals.files)) if is_log(path)]
    if not files:
        raise DataError(
            f"{folder}: expected log files ({signals.files}, ending in {', '.join(FORMATS)}) or folders of "
            f"ROS 2 bags beside {MAP}, found none: put them there, or correct 'files'"
        )
    trajectories = [trajectory for path in files for trajectory in read_file(path, signals)]
    stems = [path.stem for path in files]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise DataError(f"{folder}: expected file names that differ, found two called '{twice}': rename one")
    return trajectories


def read_file(path: Path, signals: SignalMap) -> list[Trajectory]:
    """Read one log file; several recordings where it is cut at faults.

    Raises:
        DataError: the file or a value in it cannot be used; names the column and the row.
    """
    content = mend(path, *read_columns(path, signals), Repairs())
    if content.cut or len(content.trajectories) > 1:
        log.warning(
            "%s: %d of %d rows cut out for faults, %d recordings left",
            path,
            content.cut,
            content.rows,
            len(content.trajectories),
        )
    return content.trajectories


def mend(path: Path, raw: RawLog, signals: SignalMap, repairs: Repairs) -> Content:
    """The recordings of one log file, from its columns and map as `read_columns` gives them.

    Raises:
        DataError: a value cannot be used; names the column and the row.
    """
    log_file = _LogFile(path, signals, raw, repairs)
    pieces = log_file.pieces()
    parts = log_file.uniform(pieces)
    vehicle = f"{signals.vehicle}: " if signals.vehicle else ""
    trajectories = []
    for number, (rows, (start, columns)) in enumerate(zip(pieces.rows, parts, strict=True)):
        first, last = raw.rows[rows][[0, -1]]
        trajectory = Trajectory(
            name=path.stem if len(parts) == 1 else f"{path.stem}_{number:02d}",
            dt=pieces.step,
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
        check_agreement(
            trajectory,
            where,
            {name: (signal.column, signal.unit) for name, signal in signals.channels.items()},
        )
        trajectories.append(trajectory)
    return Content(
        trajectories,
        rows=len(raw.rows),
        cut=len(raw.rows) - sum(len(raw.rows[rows]) for rows in pieces.rows),
        spikes=log_file.spikes,
        bridged=log_file.bridged,
        seams=len(log_file.seams),
    )


def read_columns(path: Path, signals: SignalMap) -> tuple[RawLog, SignalMap]:
    """The raw columns that a map names, on the rows of its clock, and the map with the units of the file.

    Raises:
        DataError: the file cannot be read, or its clocks do not fit.
    """
    names = [
        signals.time,
        *(name for signal in signals.channels.values() for name in (signal.column, signal.time)),
    ]
    raw = read_log(path, [name for name in dict.fromkeys(names) if name], signals.format)
    signals = with_units(path, signals, raw.units)
    return _with_one_clock(path, signals, raw), signals


def _with_one_clock(path: Path, signals: SignalMap, raw: RawLog) -> RawLog:
    """The log with all its columns on the rows of ``time.column``."""
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
    return on_one_clock(path, raw, signals.time, readings, gap=signals.gap, cut=signals.faults == "cut")


class _Place(NamedTuple):
    """Rows of a piece, how they come onto its grid, and where they go."""

    rows: slice | Rows
    sample: Sampler
    columns: MutableMapping[str, Column]

    @property
    def taken(self) -> slice | None:
        """The rows of the file that are taken as they are; None where they do not follow one another."""
        if not isinstance(self.rows, slice) or not isinstance(self.sample.taken, slice):
            return None
        return slice(self.rows.start + self.sample.taken.start, self.rows.start + self.sample.taken.stop)


class _LogFile:
    """The columns of one file on their way to uniform recordings; one channel in memory at a time."""

    def __init__(self, path: Path, signals: SignalMap, raw: RawLog, repairs: Repairs) -> None:
        self.path, self.signals, self.raw, self.repairs = path, signals, raw, repairs
        self.time = raw.columns[signals.time] * signals.time_factor
        # So that differences of it are numbers, or none.
        self.time[~(np.abs(self.time) <= LARGEST)] = np.nan
        self.spikes: dict[str, int] = {}
        self.bridged: dict[str, int] = {}
        self._filled: dict[str, tuple[Rows, Sampled]] = {}
        self.seams = np.zeros(0, int)

    def pieces(self) -> Pieces:
        """Uninterrupted rows without faults.

        Raises:
            DataError: a fault that the map wants refused, or no two rows are left.
        """
        refuse = self.signals.faults == "refuse"
        self._find_seams()
        faulty = np.isnan(self.time)
        if refuse and faulty.any():
            self._refuse("time", self.time, faulty)
        for wrong in self._each(partial(self._checked, refuse=refuse), self.signals.channels):
            faulty |= wrong
        pieces = find_pieces(
            self.time,
            faulty,
            gap=self.signals.gap,
            longest=self.repairs.gap,
            stray=self.repairs.stray,
            seams=self.seams,
        )
        if pieces is None:
            raise DataError(
                f"{self.path}: expected 2 rows or more with time going on, found "
                f"{np.count_nonzero(~faulty)}: leave the file out"
            )
        if refuse and pieces.breaks:
            before, after = pieces.breaks[0]
            stamps = self.time[before], self.time[after]
            what = "go on" if stamps[1] <= stamps[0] else f"go on in steps of about {pieces.step:g} s"
            raise DataError(
                f"{self.path}: expected time ('{self.signals.time}') to {what}, found {stamps[0]:.9g} s and "
                f"then {stamps[1]:.9g} s in {self.raw.place} {self.raw.rows[after]}.\n"
                f'Cut the file there, or write faults = "cut" in {MAP} to split the recording at such places'
            )
        # A piece between two cuts may be shorter than the delays.
        long_enough = [rows for rows in pieces.rows if len(self._grid(rows, pieces.step)) >= 2]
        return pieces._replace(rows=long_enough or pieces.rows)

    def _grid(self, rows: slice | Rows, step: float) -> Column:
        """Times in s of a piece's uniform rows, at which every channel is known."""
        delays = [signal.delay for signal in self.signals.channels.values()]
        return make_grid(self.time[rows], step, first=max(0.0, -min(delays)), last=max(0.0, *delays))

    def uniform(self, pieces: Pieces) -> list[tuple[float, MutableMapping[str, Column]]]:
        """Start in s and channels of each piece on a uniform grid, each ``delay`` later than it is logged."""
        channels = self.signals.channels
        delays = sorted({signal.delay for signal in channels.values()})
        grids = []
        for rows in pieces.rows:
            grids.append(self._grid(rows, pieces.step))
            if len(grids[-1]) < 2:
                raise DataError(
                    f"{self.path}: expected 2 rows or more at a step of {pieces.step:g} s, found "
                    f"{len(grids[-1])}: leave the file out"
                )
        spooled = isinstance(self.raw.columns, Spool)
        parts: list[MutableMapping[str, Column]] = [Spool() if spooled else {} for _ in grids]
        for delay in delays:
            samplers = [
                make_sampler(self.time[rows], grid + delay, pieces.step)
                for rows, grid in zip(pieces.rows, grids, strict=True)
            ]
            late = [name for name, signal in channels.items() if signal.delay == delay]
            places = list(map(_Place, pieces.rows, samplers, parts))
            list(self._each(partial(self._take, places=places), late))
        return [(float(grid[0]), columns) for grid, columns in zip(grids, parts, strict=True)]

    def _each(self, work: Callable[[str], T], names: Iterable[str]) -> Iterator[T]:
        """The results for some channels in their order; side by side where they are long."""
        if not isinstance(self.raw.columns, Spool):
            yield from map(work, names)
            return
        with ThreadPoolExecutor(THREADS) as pool:
            yield from pool.map(work, names)

    def _checked(self, name: str, *, refuse: bool) -> Bool[np.ndarray, " N"]:
        """Where a channel is wrong; what the map wants refused, or is no glitch any more, is refused."""
        column, wrong = self._channel(name)
        if not wrong.any():
            return wrong
        beyond = np.abs(column) > _limit(name)
        if beyond.mean() > GLITCHES:
            self._refuse(name, column, beyond)
        if refuse:
            self._refuse(name, column, wrong)
        if wrong.mean() > MOST_MISSING:
            raise DataError(
                f"{self.path}: expected values in column '{self.signals.channels[name].column}', found "
                f"none in {wrong.sum()} of {len(wrong)} rows: leave '{name}' out of the map"
            )
        return wrong

    def _take(self, name: str, *, places: Sequence[_Place]) -> None:
        """Put a channel of each piece, on its grid, to the others of the piece."""
        signal, raw = self.signals.channels[name], self.raw.columns
        # What stays as it is, in rows that follow one another, is not written once more.
        kept = signal.plain and not self._turns(name) and not len(self._filled[name][0])
        column: Column | None = None
        for place in places:
            if kept and isinstance(raw, Spool) and isinstance(place.columns, Spool) and place.taken:
                place.columns.share(name, raw, signal.column, place.taken)
                continue
            if column is None:
                column, _ = self._channel(name)
            place.columns[name] = place.sample(column[place.rows], signal.origin == "command")

    def _find_seams(self) -> None:
        if not self.repairs.seams or not {"x", "y"} <= set(self.signals.channels):
            return
        # A spike of a position is no seam.
        x, y = (np.where(wrong, np.nan, column) for column, wrong in self._each(self._channel, ("x", "y")))
        found = find_seams(self.time, x, y)
        if found is not None:
            self.seams = found.rows

    def _channel(self, name: str) -> tuple[Column, Bool[np.ndarray, " N"]]:
        """A channel in SI units, faults bridged where that is wanted, and where it is wrong still."""
        signal = self.signals.channels[name]
        column = signal.convert(self.raw.columns[signal.column])
        wrong = _beyond(column, _limit(name))
        if self._turns(name):
            if wrong.any():
                column = column.copy()
                # A value that is wrong must not spoil what follows it.
                column[~wrong] = unwrap_if_needed(column[~wrong])
            else:
                column = unwrap_if_needed(column)
        if name not in self._filled:
            self._filled[name] = self._fill(name, column, wrong)
        rows, values = self._filled[name]
        if len(rows):
            column = column.copy()
            column[rows], wrong[rows] = values, False
        return column, wrong

    def _turns(self, name: str) -> bool:
        """Whether a channel jumps by a full turn."""
        return self.signals.channels[name].angle or is_heading(name)

    def _fill(self, name: str, column: Column, wrong: Bool[np.ndarray, " N"]) -> tuple[Rows, Sampled]:
        """Rows of a channel that are filled, and what with."""
        signal = self.signals.channels[name]
        if self.repairs.spikes and signal.origin == "measured":
            spikes = find_spikes(name, np.where(wrong, np.nan, column) if wrong.any() else column)
            if spikes.any():
                self.spikes[name] = int(np.count_nonzero(spikes))
                wrong = wrong | spikes
        if not self.repairs.gap or not wrong.any() or wrong.mean() > MOST_MISSING:
            return np.zeros(0, int), np.zeros(0)
        held = signal.origin == "command"
        filled, left = bridge(self.time, column, wrong, self.repairs.gap, held=held, seams=self.seams)
        rows = np.flatnonzero(wrong & ~left)
        if len(rows):
            self.bridged[name] = len(rows)
        return rows, filled[rows]

    def _refuse(self, name: str, column: Column, wrong: Bool[np.ndarray, " N"]) -> None:
        row = int(np.flatnonzero(wrong)[0])
        _refuse_value(self.path, self.signals, self.raw, name, column, row)


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


def _refuse_value(path: Path, signals: SignalMap, raw: RawLog, name: str, column: Column, row: int) -> None:
    signal = signals.channels.get(name)
    raw_name = signal.column if signal else signals.time
    where = f"{path}: column '{raw_name}', {raw.place} {raw.rows[row]}"
    if not math.isfinite(column[row]):
        raise DataError(
            f"{where}: expected a number, found {raw.columns[raw_name][row]}.\n"
            f'Cut the row, or write faults = "cut" in {MAP} to split the recording at such rows'
        )
    assert signal is not None
    unit = signal.unit or signal.si
    value = f"{raw.columns[raw_name][row]:g} {unit}" + (
        f" = {column[row]:g} {signal.si}" if unit != signal.si else ""
    )
    hint = unit_hint(name, signal.si, unit)
    raise DataError(
        f"{where}: expected '{name}' within {_limit(name):g} {signal.si}, found {value}.\n"
        f"{hint}{'Else it' if hint else 'It'} is a glitch: "
        f'cut the row, or write faults = "cut" in {MAP}'
    )


def _beyond(column: Column, limit: float) -> Bool[np.ndarray, " N"]:
    """Where values are missing or beyond a limit."""
    return np.zeros(len(column), bool) if all_within(column, limit) else ~(np.abs(column) <= limit)


def _limit(name: str) -> float:
    channel = known_channels().get(name)
    return min(channel.limit, LARGEST) if channel else LARGEST
