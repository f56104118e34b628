"""Recordings for the doctor: nothing is cut, filled or refused, except files that cannot be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pct.doctor.raw_recording import Recording
from pct.logs.clocks import groups_of
from pct.logs.readers import RawLog
from pct.logs.signals import SignalMap
from pct.mapping.log_files import find_logs
from pct.recordings.checks import LATEST, without_absurd
from pct.recordings.mend import read_columns, seconds_of
from pct.recordings.trajectory import MANIFEST, read_dataset, read_manifest


def read_recordings(place: Path, signals: str | None = None) -> list[Recording]:
    """The recordings of a dataset folder, or log files through a map.

    Args:
        place: a folder with ``dataset.json`` or with log files, or a log file.
        signals: a ``signals.toml`` elsewhere, the name of a preset, or ``auto`` for a proposal; that beside
            the logs when left out.

    Raises:
        DataError: there is no such place or map, or a file cannot be read.
    """
    if place.is_dir() and signals is None and (place / MANIFEST).is_file():
        return _stored(place)
    logs, _ = find_logs([place], signals)
    return [recording for log in logs for recording in _raw(log.path, log.signals)]


def _raw(path: Path, table: SignalMap) -> list[Recording]:
    # The doctor looks at faults; nothing is refused for them.
    faults = table.faults
    raw, table = read_columns(path, dataclasses.replace(table, faults="cut"), as_they_stand=True)
    table = dataclasses.replace(table, faults=faults)
    if not table.group:
        return [_recording(path, path.stem, raw, table)]
    parts = groups_of(raw, table.group)
    return [_recording(path, f"{path.stem}_{value}", part, table) for value, part in parts.items()]


def _recording(path: Path, name: str, raw: RawLog, table: SignalMap) -> Recording:
    return Recording(
        name=name,
        where=str(path),
        time=seconds_of(raw, table),
        channels={
            name: without_absurd(signal.convert(raw.columns[signal.column]))
            for name, signal in table.channels.items()
        },
        origins={name: signal.origin for name, signal in table.channels.items()},
        sources={name: (signal.column, signal.unit) for name, signal in table.channels.items()},
        rows=np.asarray(raw.rows),
        place=raw.place,
        delays={name: signal.delay for name, signal in table.channels.items() if signal.delay},
        raw=True,
        gap=table.gap,
        cuts=table.faults == "cut",
        held=tuple(name for name, signal in table.channels.items() if signal.held),
        signed_by_motion=tuple(name for name, signal in table.channels.items() if signal.by_motion),
    )


def _held_by_import(folder: Path) -> tuple[str, ...]:
    """Channels that an import has read where they change, as it wrote down."""
    sources = read_manifest(folder).get("notes", {}).get("sources", {})
    files = sources.values() if isinstance(sources, dict) else ()
    lists = [file.get("held") for file in files if isinstance(file, dict)]
    return tuple(str(name) for names in lists if isinstance(names, list) for name in names)


def _stored(folder: Path) -> list[Recording]:
    import polars as pl

    recordings = []
    held = _held_by_import(folder)
    for trajectory in read_dataset(folder):
        path = folder / f"{trajectory.name}.parquet"
        # The reader takes the time to be uniform; the doctor looks.
        stamps = pl.read_parquet(path, columns=["t"], glob=False)["t"].cast(pl.Float64).to_numpy()
        time = without_absurd(stamps, limit=LATEST)
        channels: Mapping[str, np.ndarray] = trajectory.channels
        recordings.append(
            Recording(
                name=trajectory.name,
                where=str(path),
                time=time,
                channels=channels,
                origins=trajectory.origins,
                sources={name: (name, "") for name in channels},
                rows=np.arange(len(time)),
                held=held,
            )
        )
    return recordings
