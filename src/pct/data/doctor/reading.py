"""Folders to recordings as they stand: nothing is cut, filled or refused but what cannot be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pct.data.doctor.recording import Recording
from pct.data.logs import FORMATS, is_log
from pct.data.recordings import read_columns
from pct.data.signals import SignalMap, find_map
from pct.data.trajectory import MANIFEST, read_dataset
from pct.errors import DataError


def read_recordings(folder: Path, signals: str | None = None) -> list[Recording]:
    """The recordings of a dataset folder, or the log files of a raw folder through a map.

    Args:
        folder: with ``dataset.json``, or with log files.
        signals: a ``signals.toml`` elsewhere, or the name of a preset; that of the folder when left out.

    Raises:
        DataError: there is no such folder or map, or a file cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of recordings, found none: check the path")
    if signals is None and (folder / MANIFEST).is_file():
        return _stored(folder)
    table = find_map(folder, signals)
    files = [path for path in sorted(folder.glob(table.files)) if is_log(path)]
    if not files:
        raise DataError(
            f"{folder}: expected log files ({table.files}, ending in {', '.join(FORMATS)}), found none: "
            "check the path, or 'files' in the map"
        )
    return [_raw(path, table) for path in files]


def _raw(path: Path, table: SignalMap) -> Recording:
    # The doctor looks at faults; nothing is refused for them.
    raw, table = read_columns(path, dataclasses.replace(table, faults="cut"))
    return Recording(
        name=path.stem,
        where=str(path),
        time=raw.columns[table.time] * table.time_factor,
        channels={
            name: signal.convert(raw.columns[signal.column]) for name, signal in table.channels.items()
        },
        origins={name: signal.origin for name, signal in table.channels.items()},
        sources={name: (signal.column, signal.unit) for name, signal in table.channels.items()},
        rows=np.asarray(raw.rows),
        place=raw.place,
        delays={name: signal.delay for name, signal in table.channels.items() if signal.delay},
        raw=True,
        gap=table.gap,
    )


def _stored(folder: Path) -> list[Recording]:
    import polars as pl

    recordings = []
    for trajectory in read_dataset(folder):
        path = folder / f"{trajectory.name}.parquet"
        # The reader takes the time to be uniform; the doctor looks.
        time = pl.read_parquet(path, columns=["t"])["t"].cast(pl.Float64).to_numpy()
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
            )
        )
    return recordings
