"""One log file to recordings of a dataset: mended, cut, smoothed, resampled, split and written."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pct.errors import DataError, LogError
from pct.files import sha256
from pct.importing.card import Summary, summarise
from pct.importing.settings import ImportSettings
from pct.logs.own_units import stated_beside
from pct.logs.readers import RawLog
from pct.logs.signals import SignalMap
from pct.recordings.faults import Repairs
from pct.recordings.mend import mend, read_columns
from pct.recordings.segments import (
    TRAIN,
    Segment,
    find_laps,
    moving_stretches,
    split_blocks,
    split_laps,
)
from pct.recordings.time_steps import rows_of
from pct.recordings.trajectory import Trajectory, recording_row, resample, write_recording

if TYPE_CHECKING:
    from pct.importing.delays import Delay


class Stored(NamedTuple):
    """A recording that was written.

    Attributes:
        part: of the dataset: train, val or test.
        row: of ``dataset.json``.
        seconds, metres: its length.
        summary: for the card.
    """

    part: str
    row: dict[str, Any]
    seconds: float
    metres: float
    summary: Summary


@dataclasses.dataclass(frozen=True)
class Imported:
    """The outcome of one log file.

    Attributes:
        file: the path, for messages.
        name: what its recordings are called.
        sha256: of its content.
        error: why it could not be used; empty where it could.
        rows: of the file.
        cut: rows that are in no recording because of faults.
        left_out: further rows that are in none: standstill, too short, or between two parts.
        spikes, bridged: samples by channel.
        seams: where it was cut because the positions jump.
        delays: of the answers to commands.
        laps: that were found.
        columns: unit and origin by channel.
        held: channels that were read where they change.
        stated: units that the file states, by column, where its map, written by a person, has another.
        stored: recordings that were written.
    """

    file: str
    name: str
    sha256: str = ""
    error: str = ""
    rows: int = 0
    cut: int = 0
    left_out: int = 0
    spikes: dict[str, int] = dataclasses.field(default_factory=dict)
    bridged: dict[str, int] = dataclasses.field(default_factory=dict)
    seams: int = 0
    delays: dict[str, Delay] = dataclasses.field(default_factory=dict)
    laps: int = 0
    columns: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    held: tuple[str, ...] = ()
    stated: dict[str, str] = dataclasses.field(default_factory=dict)
    stored: list[Stored] = dataclasses.field(default_factory=list)


def import_file(
    path: Path,
    name: str,
    signals: SignalMap,
    settings: ImportSettings,
    folder: Path,
    samples: int | None = None,
) -> Imported:
    """Import one log file.

    Args:
        path: a log.
        name: what its recordings are called, unique within the dataset.
        signals: its map.
        settings: see there.
        folder: for its recordings alone; an old one is replaced.
        samples: of each recording that are kept for the card; see `summarise`.

    Returns:
        The outcome; ``error`` says why a file cannot be used.
    """
    # A process that was killed may have begun it.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    stated: dict[str, str] = {}
    try:
        imported = _import(path, name, signals, settings, folder, samples)
        if not imported.error:
            return imported
        reason, stated = imported.error, imported.stated
    except (KeyboardInterrupt, SystemExit):
        raise
    except DataError as error:
        reason = str(error)
    except BaseException as error:  # whatever a library trips over, the other files are imported
        reason = f"{path}: cannot use it: a fault of PCT or of a package ({type(error).__name__})"
    # Part of it may be written already.
    shutil.rmtree(folder)
    return Imported(str(path), name, error=reason, stated=stated)


class _Pending(NamedTuple):
    """A recording that is being written.

    Attributes:
        part: of the dataset.
        file: once it is written.
        row: of ``dataset.json``, once that is known.
        seconds: its length.
        summary: for the card.
    """

    part: str
    file: Future[Path]
    row: Future[dict[str, Any]]
    seconds: float
    summary: Summary


def _import(
    path: Path,
    name: str,
    signals: SignalMap,
    settings: ImportSettings,
    folder: Path,
    samples: int | None,
) -> Imported:
    # Faults are cut out and counted, also where the map has them refused in training on the logs directly.
    signals = dataclasses.replace(signals, faults="cut")
    with ThreadPoolExecutor(1) as beside, ThreadPoolExecutor(1) as writing:
        given = signals
        raw, signals = read_columns(path, signals)
        stated = stated_beside(given, raw.units)
        # Reading keeps all cores busy, and leaves the file in the system's memory; what follows keeps one.
        digest = beside.submit(_hash, path)
        # Nothing here holds the columns of a long log once they are written.
        try:
            imported, pending = _cut_up(path, name, raw, signals, settings, folder, samples, writing)
        except DataError as error:
            return Imported(str(path), name, error=str(error), stated=stated)
        del raw
    stored = [
        Stored(one.part, one.row.result(), one.seconds, one.summary.sums["metres"], one.summary)
        for one in pending
    ]
    return dataclasses.replace(imported, sha256=digest.result(), stored=stored, stated=stated)


def _cut_up(
    path: Path,
    name: str,
    raw: RawLog,
    signals: SignalMap,
    settings: ImportSettings,
    folder: Path,
    samples: int | None,
    writing: ThreadPoolExecutor,
) -> tuple[Imported, list[_Pending]]:
    """Mend a log and cut it into recordings, which are handed on to be written."""
    content = mend(path, raw, signals, Repairs(settings.gap, settings.spikes, stray=True, seams=True))
    several = len(content.trajectories) > 1
    laps, used = 0, 0
    columns: dict[str, tuple[str, str]] = {}
    pending = []
    for number, whole in enumerate(content.trajectories):
        stretches = moving_stretches(whole, settings.standstill)
        for count, (start, stop) in enumerate(stretches):
            drive = _prepared(whole.slice(start, stop), settings)
            crossings = cache(partial(find_laps, drive))
            title = _numbered(_numbered(name, number, several), count, len(stretches) > 1)
            if signals.group:
                # A vehicle's recordings have its label in their names.
                title = _numbered(f"{name}{whole.name.removeprefix(path.stem)}", count, len(stretches) > 1)
            segments = _split(drive, crossings, settings)
            for index, segment in enumerate(segments):
                label = _numbered(title, index, len(segments) > 1)
                part = drive.slice(segment.start, segment.stop, label)
                seconds = len(part) * part.dt
                if seconds < settings.shortest:
                    continue
                file = writing.submit(write_recording, folder, part)
                row = writing.submit(_row, file, part)
                pending.append(_Pending(segment.part, file, row, seconds, summarise(part, samples)))
                used += round(seconds / whole.dt)
            laps += max(len(crossings()) - 1, 0)
            columns = {key: (drive.units[key], drive.origins[key]) for key in drive.units}
    if not pending:
        raise LogError(path, _no_drive(content.trajectories, settings))
    # It takes a while to load; now there is other work for the second core.
    from pct.importing.delays import response_delays

    imported = Imported(
        file=str(path),
        name=name,
        rows=content.rows,
        cut=content.cut,
        left_out=sum(map(len, content.trajectories)) - used,
        spikes=content.spikes,
        bridged=content.bridged,
        seams=content.seams,
        delays=response_delays(content.trajectories),
        laps=laps,
        columns=columns,
        held=tuple(name for name, signal in signals.channels.items() if signal.held),
    )
    return imported, pending


def _no_drive(wholes: Sequence[Trajectory], settings: ImportSettings) -> str:
    """Why nothing of a log is a drive."""
    expected = f"expected a drive of {settings.shortest:g} s or more, found"
    whole = max((len(one) * one.dt for one in wholes), default=0.0)
    moves = [
        (stop - start) * one.dt
        for one in wholes
        for start, stop in moving_stretches(one, settings.standstill)
    ]
    if whole >= settings.shortest > max(moves, default=0.0):
        return f"{expected} a car that stands still in its {whole:.3g} s: see `standstill`"
    return f"{expected} {whole:.3g} s at most without a break: record longer, or see `shortest`"


def _row(file: Future[Path], part: Trajectory) -> dict[str, Any]:
    return recording_row(file.result(), part)


def _numbered(name: str, number: int, several: bool) -> str:
    return f"{name}_{number:02d}" if several else name


def _prepared(drive: Trajectory, settings: ImportSettings) -> Trajectory:
    """A drive with its derived channels, on the time step that is wanted."""
    if settings.smooth != "none":
        from pct.importing.smoothing import smooth

        drive = smooth(drive, settings.smooth)
    if settings.dt is None:
        return drive
    if settings.dt < drive.dt * (1 - 1e-6):
        raise DataError(
            f"{drive.source}: expected a step of {settings.dt:g} s or finer, found {drive.dt:g} s: pass "
            f"`dt={drive.dt:g}` or more, or leave it out"
        )
    return resample(drive, settings.dt, readings=True)


def _split(drive: Trajectory, crossings: Callable[[], list[int]], settings: ImportSettings) -> list[Segment]:
    """Parts of a drive: all of it where whole recordings are held out."""
    gap = rows_of(settings.split_gap, drive.dt, most=len(drive), least=0)
    shares = {"val": settings.val_split, "test": settings.test_split}
    if settings.split == "lap" and len(crossings()) > 2:
        return split_laps(crossings(), len(drive), gap=gap, **shares)
    if settings.split in ("block", "lap"):
        return split_blocks(len(drive), gap=gap, **shares)
    return [Segment(TRAIN, 0, len(drive))]


def _hash(path: Path) -> str:
    """Hash of a file, or of the files of a bag's folder in the order of their names."""
    if path.is_file():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256("".join(f"{file.name} {sha256(file)}\n" for file in files).encode()).hexdigest()
