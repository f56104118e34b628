"""Trajectory: one uninterrupted recording in SI units, and the dataset folder that stores it.

`read_dataset` and `write_dataset` are each other's inverse, `resample` changes the time step.

A dataset folder holds ``*.parquet``, one file a recording with the column ``t`` and one column a channel,
and ``dataset.json``, which says of every column its unit and origin. Columns named ``feature.*`` are
exogenous features, ``truth.*`` are known parameters of simulated drives.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NotRequired, TypeAlias, TypedDict

import msgspec
import numpy as np
import polars as pl

from pct.dynamics.channels import grows, is_heading, is_held
from pct.errors import DataError
from pct.files import new_folder, sha256, wait_for_disk, write_atomic
from pct.json_files import read_json
from pct.logs.readers.base import check_size
from pct.logs.signals import FREE_PREFIXES
from pct.logs.spool import Spool
from pct.recordings.time_steps import STEP, unit_line
from pct.types import Column, Float
from pct.within import shown

FORMAT = 1
MANIFEST = "dataset.json"
# Rows of a long recording that are written at a time.
SINK_ROWS = 50_000
# Noise hardly packs, however long one tries: zstd makes files 10 to 20 % smaller and takes twice as long.
# Nobody asks for a part of a recording by its values.
PACKED: Any = {"compression": "snappy", "statistics": False}


# On another time step, or with rows left out.
OtherColumn: TypeAlias = Float[np.ndarray, " M"]


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """One uninterrupted recording on a uniform time grid.

    Attributes:
        name: unique within its dataset; the file's stem.
        dt: time step in s.
        channels: values by channel name, SI, each of shape (N,).
        units: unit by channel name.
        origins: ``measured``, ``derived`` or ``command`` (``truth`` where simulated) by channel name.
        source: what it came from, e.g. the path of the raw file.
        start: time of the first row in s.

    Raises:
        DataError: a time step that no recording has.
    """

    name: str
    dt: float
    channels: Mapping[str, Column]
    units: Mapping[str, str]
    origins: Mapping[str, str]
    source: str = ""
    start: float = 0.0

    def __post_init__(self) -> None:
        if self.dt not in STEP:
            raise DataError(
                f"{self.source or self.name}: expected a time step as {STEP}, found {shown(self.dt)} s: "
                f"{unit_line(self.dt)}"
            )

    def __len__(self) -> int:
        if isinstance(self.channels, Spool):
            return self.channels.rows()
        return len(next(iter(self.channels.values())))

    def slice(self, start: int, stop: int, name: str | None = None) -> Trajectory:
        """Rows start to stop (exclusive) as a recording of its own."""
        return dataclasses.replace(
            self,
            name=name or f"{self.name}_{start}_{stop}",
            channels=(
                self.channels.cut(start, stop)
                if isinstance(self.channels, Spool)
                else {key: column[start:stop] for key, column in self.channels.items()}
            ),
            start=self.start + start * self.dt,
        )


def read_dataset(folder: Path, names: Collection[str] | None = None) -> list[Trajectory]:
    """Read a dataset folder and verify it against its ``dataset.json``.

    Args:
        folder: a folder that `write_dataset` made.
        names: of the recordings to read; all when left out.

    Returns:
        The recordings in the order of ``dataset.json``.

    Raises:
        DataError: a file is missing, unreadable or changed, or a column has no unit or origin.
    """
    manifest = read_manifest(folder)
    columns = {name: (row["unit"], row["origin"]) for name, row in manifest["columns"].items()}
    return [
        _read_recording(
            folder / row["file"], row["sha256"], row["rows"], row["dt"], row["source"], columns=columns
        )
        for row in manifest["recordings"]
        if names is None or Path(row["file"]).stem in names
    ]


class Header(TypedDict):
    """What says how to read the rest."""

    format: int


class ColumnRow(TypedDict):
    """Of a channel in ``dataset.json``."""

    unit: str
    origin: str


class RecordingRow(TypedDict):
    """Of a recording in ``dataset.json``; ``dt`` in s."""

    file: str
    sha256: str
    rows: Annotated[int, msgspec.Meta(ge=0)]
    dt: Annotated[float, msgspec.Meta(gt=0.0, le=1e9)]
    source: str


class Manifest(TypedDict):
    """``dataset.json``; notes are what anybody wrote."""

    vehicle: NotRequired[str]
    columns: dict[str, ColumnRow]
    recordings: list[RecordingRow]
    notes: NotRequired[dict[str, Any]]


def read_manifest(folder: Path) -> Manifest:
    """The ``dataset.json`` of a folder.

    Raises:
        DataError: it is missing, damaged or of another format, or names files outside its folder.
    """
    path = folder / MANIFEST
    said = {"what": "the description of a dataset", "fix": "write the folder again"}
    version = read_json(path, Header, **said)["format"]
    if version != FORMAT:
        raise DataError(
            f"{path}: expected format {FORMAT}, found {version}: "
            "write the folder again, or read it with the version of pct that wrote it"
        )
    manifest = read_json(path, Manifest, **said)
    if not manifest["recordings"]:
        raise DataError(f"{path}: expected at least one recording, found none: {said['fix']}")
    for row in manifest["recordings"]:
        name = row["file"]
        if Path(name).name != name or name in ("", "..") or "\0" in name:
            raise DataError(
                f"{path}: expected the names of files in its folder, found {name!r}: write it again"
            )
    return manifest


def resample(
    trajectory: Trajectory, dt: float, *, held: Collection[str] = (), readings: bool = False
) -> Trajectory:
    """The same drive on another uniform time step.

    Sampled signals are sliced where ``dt`` is a multiple of the old step, else interpolated: headings
    unwrapped, ``feature.*`` and ``truth.*`` by their previous value, so that none looks ahead. What a
    rollout holds over a step (commands, ``delta_dot``, ``accel``) becomes its mean over the new step:
    integrating it still gives the same change of angle or speed, which one of several samples does not.

    Args:
        trajectory: the recording.
        dt: new time step in s.
        held: further channels that a rollout holds over a step.
        readings: whether what a rollout holds, but is no command, stays a reading: its mean about each row,
            not over the step after it.

    Returns:
        The recording from the same first row on, at most as long.

    Examples:
        >>> fine = Trajectory("a", 0.1, {"v": np.arange(5.0)}, {"v": "m/s"}, {"v": "measured"})
        >>> resample(fine, 0.2).channels["v"]
        array([0., 2., 4.])
    """
    if abs(dt - trajectory.dt) < 1e-6 * dt:
        return trajectory
    rows = len(trajectory)
    # The small allowance keeps the last row where a multiple falls just short of it.
    at = np.arange(int((rows - 1) * trajectory.dt / dt + 1e-6) + 1) * (dt / trajectory.dt)
    whole = np.abs(at - np.rint(at)).max() < 1e-6
    before = np.rint(at).astype(int) if whole else np.floor(at + 1e-6).astype(int)

    def convert(name: str, column: Column) -> OtherColumn:
        if readings and is_held(name) and trajectory.origins[name] != "command":
            # A reading stands for half a row on each side of it.
            return _mean_over_steps(column, at - 0.5 * dt / trajectory.dt + 0.5, dt / trajectory.dt)
        if is_held(name) or name in held or trajectory.origins[name] == "command":
            return _mean_over_steps(column, at, dt / trajectory.dt)
        if whole or name.startswith(FREE_PREFIXES):
            return column[before]
        return np.interp(at, np.arange(rows), np.unwrap(column) if is_heading(name) else column)

    channels = {name: convert(name, column) for name, column in trajectory.channels.items()}
    return dataclasses.replace(trajectory, dt=dt, channels=channels)


def _mean_over_steps(column: Column, at: OtherColumn, length: float) -> OtherColumn:
    """Mean of a held signal over [at, at + length), in rows, as far as it lies within the recording."""
    total = np.concatenate([[0.0], np.cumsum(column)])
    edges = np.arange(len(total))
    end = np.minimum(at + length, edges[-1])
    at = np.maximum(at, 0.0)
    return (np.interp(end, edges, total) - np.interp(at, edges, total)) / (end - at)


def write_dataset(
    folder: Path,
    trajectories: Sequence[Trajectory],
    *,
    vehicle: str,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write a dataset folder, whole or not at all.

    Args:
        folder: the new folder; it must not exist.
        trajectories: recordings with unique names and the same channels.
        vehicle: what drove.
        notes: further JSON-able facts for ``dataset.json``, e.g. the simulator's settings.

    Raises:
        DataError: the folder exists or cannot be written.
    """
    with new_folder(folder) as building:
        rows = [recording_row(write_recording(building, one), one) for one in trajectories]
        first = trajectories[0]
        write_manifest(
            building,
            rows,
            columns={name: (first.units[name], first.origins[name]) for name in first.units},
            vehicle=vehicle,
            notes=notes,
        )


def write_manifest(
    folder: Path,
    recordings: Sequence[Mapping[str, Any]],
    *,
    columns: Mapping[str, tuple[str, str]],
    vehicle: str,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write the ``dataset.json`` of a folder that holds recordings.

    Args:
        folder: where the recordings are.
        recordings: `recording_row` of each.
        columns: unit and origin of each channel.
        vehicle, notes: see `write_dataset`.
    """
    manifest = {
        "format": FORMAT,
        "vehicle": vehicle,
        "frame": "ISO 8855: x forward, y left, z up; radians, positive left",
        "reference_point": "centre of gravity",
        "columns": {
            "t": {"unit": "s", "origin": "measured"},
            **{name: {"unit": unit, "origin": origin} for name, (unit, origin) in columns.items()},
        },
        "recordings": list(recordings),
        "notes": dict(notes or {}),
    }
    write_atomic(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def write_recording(folder: Path, trajectory: Trajectory) -> Path:
    """Write a recording into a folder, whole or not at all; gives its file, which the disk may lack still."""
    path = folder / f"{trajectory.name}.parquet"
    if isinstance(trajectory.channels, Spool):
        write_atomic(path, lambda file: _sink(trajectory, file), wait=False)
    else:
        table = _table(trajectory, 0, len(trajectory))
        write_atomic(path, lambda file: table.write_parquet(file, **PACKED), wait=False)
    return path


def recording_row(path: Path, trajectory: Trajectory) -> dict[str, Any]:
    """The row of ``dataset.json`` for a recording that was written, once the disk has it."""
    wait_for_disk(path)
    return {
        "file": path.name,
        "sha256": sha256(path),
        "rows": len(trajectory),
        "dt": trajectory.dt,
        "source": trajectory.source,
    }


def _table(trajectory: Trajectory, start: int, stop: int) -> pl.DataFrame:
    """Some rows of a recording as they are stored."""
    part = trajectory.slice(start, stop)
    time = part.start + part.dt * np.arange(stop - start)
    table = pl.DataFrame({"t": time, **{name: part.channels[name] for name in part.units}})
    # Sensors need no double precision, but what grows over a drive does, as an unwrapped heading lap by lap.
    return table.with_columns(pl.exclude("t", *filter(grows, table.columns)).cast(pl.Float32))


def _sink(trajectory: Trajectory, file: BinaryIO) -> None:
    """Write a recording that is too long for the memory, some rows after others."""
    from polars.io.plugins import register_io_source

    rows = len(trajectory)

    def tables(*_: object) -> Iterator[pl.DataFrame]:
        for start in range(0, rows, SINK_ROWS):
            yield _table(trajectory, start, min(start + SINK_ROWS, rows))

    schema = _table(trajectory, 0, 1).schema
    register_io_source(tables, schema=schema).sink_parquet(file, row_group_size=SINK_ROWS, **PACKED)


def _read_recording(
    path: Path, digest: str, rows: int, dt: float, source: str, *, columns: Mapping[str, tuple[str, str]]
) -> Trajectory:
    if not os.path.isfile(path):  # unlike `Path.is_file`, of any name
        raise DataError(
            f"{path}: expected this recording, named in {MANIFEST}, found no such file: restore it"
        )
    if sha256(path) != digest:
        raise DataError(
            f"{path}: the file changed since {MANIFEST} was written (its sha256 differs): "
            "restore it or write the folder again"
        )
    try:
        # A glob would take another file where the folder has brackets in its name.
        scan = pl.scan_parquet(path.absolute(), glob=False)
        schema = scan.collect_schema()
        if set(columns) != set(schema) or "t" not in columns:
            wrong = ", ".join(sorted(set(columns) ^ set(schema))) or "t"
            raise DataError(
                f"{path}: expected the columns of {MANIFEST}, found a difference in: {wrong}: "
                "write the folder again"
            )
        if texts := [name for name, kind in schema.items() if not kind.is_numeric()]:
            raise DataError(
                f"{path}: expected numbers in '{texts[0]}', found {schema[texts[0]]}: write the folder again"
            )
        count = int(scan.select(pl.len()).collect().item())
        if count != rows:
            raise DataError(f"{path}: expected {rows} rows, found {count}: write the folder again")
        # Rows of equal values take next to nothing in the file.
        check_size(path, 8 * count * len(schema))
        table = scan.collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = (str(error).splitlines() or ["nothing"])[0]
        raise DataError(f"{path}: expected a parquet file, found {reason}: write the folder again") from None
    values = {name: table[name].cast(pl.Float64).to_numpy() for name in table.columns}
    names = [name for name in table.columns if name != "t"]
    return Trajectory(
        name=path.stem,
        dt=dt,
        channels={name: values[name] for name in names},
        units={name: columns[name][0] for name in names},
        origins={name: columns[name][1] for name in names},
        source=source,
        start=float(values["t"][0]) if rows else 0.0,
    )
