"""Faults of the channels of one log file: where values are wrong, what is bridged, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import numpy as np

from pct.dynamics.channels import is_heading, known_channels
from pct.errors import LogError, LogValueError
from pct.logs.blocks import unwrap_if_needed
from pct.logs.readers import RawLog
from pct.logs.signals import MAP, SignalMap
from pct.logs.spool import Spool
from pct.recordings.checks import LARGEST, all_within, unit_hint
from pct.recordings.gaps import Sampled, bridge
from pct.recordings.outliers import find_spikes
from pct.recordings.position_jumps import find_leaps, find_seams
from pct.types import Bool, Column, Rows

T = TypeVar("T")

# More rows than this share beyond a limit are a wrong unit, not glitches.
GLITCHES = 0.05
# A channel that has a value in less than half of the rows does not belong to these.
MOST_MISSING = 0.5
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


class Source(NamedTuple):
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


class Filling(NamedTuple):
    """What is bridged in a channel: rows and their values; and how many of its samples are spikes."""

    rows: Rows
    values: Sampled
    spikes: int = 0


def find_jumps(source: Source) -> tuple[Rows, dict[str, Filling]]:
    """First rows behind jumps of the positions or of their speed, and what is bridged: a spike is no jump."""
    none = np.zeros(0, int)
    if not source.repairs.seams or not {"x", "y"} <= set(source.signals.channels):
        return none, {}
    fillings, columns = {}, []
    for name, (column, wrong, filling) in zip(
        "xy", source.each(partial(mended, source, jumps=none, fillings={}), "xy"), strict=True
    ):
        fillings[name] = filling
        columns.append(np.where(wrong, np.nan, column))
    jumps = find_seams(source.time, *columns)
    seams = none if jumps is None else jumps.rows
    return np.union1d(seams, find_leaps(source.time, *columns)).astype(int), fillings


def find_faults(source: Source, jumps: Rows, fillings: dict[str, Filling]) -> Bool[np.ndarray, " N"]:
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
    source: Source, name: str, *, jumps: Rows, fillings: Mapping[str, Filling]
) -> tuple[Bool[np.ndarray, " N"], Filling]:
    """Where a channel is wrong, and what is bridged in it; refuses what is no glitch or is to be refused."""
    column, wrong, filling = mended(source, name, jumps=jumps, fillings=fillings)
    if wrong.any():
        beyond = np.abs(column) > limit_of(name)
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


def mended(
    source: Source, name: str, *, jumps: Rows, fillings: Mapping[str, Filling]
) -> tuple[Column, Bool[np.ndarray, " N"], Filling]:
    """A channel in SI units with its faults bridged, where it is wrong still, and what was bridged.

    Args:
        source: the file.
        name: the channel.
        jumps: first rows behind places that are not bridged.
        fillings: of channels that were mended before.
    """
    signal = source.signals.channels[name]
    column = signal.convert(source.raw.columns[signal.column])
    wrong = is_beyond(column, limit_of(name))
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
    source: Source, name: str, column: Column, wrong: Bool[np.ndarray, " N"], jumps: Rows
) -> Filling:
    """What is bridged in a channel."""
    signal, repairs, spikes = source.signals.channels[name], source.repairs, 0
    if repairs.spikes and signal.origin == "measured":
        out = find_spikes(name, np.where(wrong, np.nan, column) if wrong.any() else column)
        spikes = int(np.count_nonzero(out))
        wrong = wrong | out if spikes else wrong
    if not repairs.gap or not wrong.any() or wrong.mean() > MOST_MISSING:
        return Filling(np.zeros(0, int), np.zeros(0), spikes)
    held = signal.origin == "command"
    bridged, still = bridge(source.time, column, wrong, repairs.gap, held=held, seams=jumps)
    rows = np.flatnonzero(wrong & ~still)
    return Filling(rows, bridged[rows], spikes)


def _refuse(source: Source, name: str, column: Column, wrong: Bool[np.ndarray, " N"]) -> NoReturn:
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
        f"{where}: expected '{name}' within {limit_of(name):g} {signal.si}, found {value}. "
        f"{hint}{'Else it' if hint else 'It'} is a glitch: "
        f'cut the row, or write faults = "cut" in {MAP}'
    )


def is_beyond(column: Column, limit: float) -> Bool[np.ndarray, " N"]:
    """Where values are missing or beyond a limit."""
    return np.zeros(len(column), bool) if all_within(column, limit) else ~(np.abs(column) <= limit)


def limit_of(name: str) -> float:
    """The largest magnitude of a channel that is believed, in its SI unit."""
    channel = known_channels().get(name)
    return min(channel.limit, LARGEST) if channel else LARGEST
