"""Trajectory: one uninterrupted recording in SI units, and the dataset folder that stores it.

`read_dataset` and `write_dataset` are each other's inverse, `resample` changes the time step.

A dataset folder holds ``*.parquet``, one file a recording with the column ``t`` and one column a channel,
and ``dataset.json``, which says of every column its unit and origin. Columns named ``feature.*`` are
exogenous features, ``truth.*`` are known parameters of simulated drives.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from pct.errors import DataError
from pct.files import sha256, write_atomic
from pct.types import Column, Float

FORMAT = 1
MANIFEST = "dataset.json"

# Channels that wrap at half a turn, and inputs that a rollout holds over a step.
HEADINGS = frozenset({"psi", "yaw", "course"})
HELD = frozenset({"delta_dot", "accel", "drive", "throttle", "brake"})


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
    """

    name: str
    dt: float
    channels: Mapping[str, Column]
    units: Mapping[str, str]
    origins: Mapping[str, str]
    source: str = ""
    start: float = 0.0

    def __len__(self) -> int:
        return len(next(iter(self.channels.values())))

    def slice(self, start: int, stop: int, name: str | None = None) -> Trajectory:
        """Rows start to stop (exclusive) as a recording of its own."""
        return dataclasses.replace(
            self,
            name=name or f"{self.name}_{start}_{stop}",
            channels={key: column[start:stop] for key, column in self.channels.items()},
            start=self.start + start * self.dt,
        )


def read_dataset(folder: Path) -> list[Trajectory]:
    """Read a dataset folder and verify it against its ``dataset.json``.

    Args:
        folder: a folder that `write_dataset` made.

    Returns:
        The recordings in the order of ``dataset.json``.

    Raises:
        DataError: a file is missing, unreadable or changed, or a column has no unit or origin.
    """
    path = folder / MANIFEST
    manifest = _read_manifest(path)
    try:
        columns = {name: (row["unit"], row["origin"]) for name, row in manifest["columns"].items()}
        recordings = [
            (folder / row["file"], row["sha256"], int(row["rows"]), float(row["dt"]), str(row["source"]))
            for row in manifest["recordings"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: expected 'columns' and 'recordings' as `pct simulate` writes them, "
            f"found a bad or missing entry ({error}): write the folder again"
        ) from None
    strange = next((row[0] for row in recordings if row[0].parent != folder or row[0].name == ".."), None)
    if strange is not None:
        raise DataError(f"{path}: expected the names of files in its folder, found {strange}: write it again")
    if not recordings:
        raise DataError(f"{path}: expected at least one recording, found none: write the folder again")
    return [_read_recording(*recording, columns=columns) for recording in recordings]


def resample(trajectory: Trajectory, dt: float) -> Trajectory:
    """The same drive on another uniform time step.

    Sampled signals are sliced where ``dt`` is a multiple of the old step, else interpolated: headings
    unwrapped, ``feature.*`` and ``truth.*`` by their previous value, so that none looks ahead. What a
    rollout holds over a step (commands, ``delta_dot``, ``accel``) becomes its mean over the new step:
    integrating it still gives the same change of angle or speed, which one of several samples does not.

    Args:
        trajectory: the recording.
        dt: new time step in s.

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
        if name in HELD or trajectory.origins[name] == "command":
            return _mean_over_steps(column, at, dt / trajectory.dt)
        if whole or name.startswith(("feature.", "truth.")):
            return column[before]
        return np.interp(at, np.arange(rows), np.unwrap(column) if name in HEADINGS else column)

    channels = {name: convert(name, column) for name, column in trajectory.channels.items()}
    return dataclasses.replace(trajectory, dt=dt, channels=channels)


def _mean_over_steps(column: Column, at: OtherColumn, length: float) -> OtherColumn:
    """Mean of a held signal over [at, at + length), in rows; the last step ends with the recording."""
    total = np.concatenate([[0.0], np.cumsum(column)])
    edges = np.arange(len(total))
    end = np.minimum(at + length, edges[-1])
    return (np.interp(end, edges, total) - np.interp(at, edges, total)) / (end - at)


def write_dataset(
    folder: Path,
    trajectories: Sequence[Trajectory],
    *,
    vehicle: str,
    reference_point: str = "centre of gravity",
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write a dataset folder, whole or not at all.

    Args:
        folder: the new folder; it must not exist.
        trajectories: recordings with unique names and the same channels.
        vehicle: what drove.
        reference_point: the point that positions and velocities belong to.
        notes: further JSON-able facts for ``dataset.json``, e.g. the simulator's settings.

    Raises:
        DataError: the folder exists or cannot be written.
    """
    if folder.exists():
        raise DataError(f"{folder}: expected a new folder, found an existing one: choose another name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise DataError(f"{folder}: cannot write here ({error.strerror}): choose another place") from None
    try:
        recordings = [_write_recording(building, trajectory) for trajectory in trajectories]
        first = trajectories[0]
        manifest = {
            "format": FORMAT,
            "vehicle": vehicle,
            "frame": "ISO 8855: x forward, y left, z up; radians, positive left",
            "reference_point": reference_point,
            "columns": {
                "t": {"unit": "s", "origin": "measured"},
                **{
                    name: {"unit": first.units[name], "origin": first.origins[name]}
                    for name in first.channels
                },
            },
            "recordings": recordings,
            "notes": dict(notes or {}),
        }
        write_atomic(building / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
        building.chmod(0o755)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _write_recording(folder: Path, trajectory: Trajectory) -> dict[str, Any]:
    path = folder / f"{trajectory.name}.parquet"
    time = trajectory.start + trajectory.dt * np.arange(len(trajectory))
    table = pl.DataFrame({"t": time, **trajectory.channels})
    # Positions and time need double precision, sensor channels do not.
    table = table.with_columns(pl.exclude("t", "x", "y").cast(pl.Float32))
    write_atomic(path, lambda file: table.write_parquet(file, compression="zstd"))
    return {
        "file": path.name,
        "sha256": sha256(path),
        "rows": len(trajectory),
        "dt": trajectory.dt,
        "source": trajectory.source,
    }


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text())
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror}): is this a dataset folder?") from None
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, found {error}: write the folder again") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise DataError(
            f"{path}: expected format {FORMAT}, found {found}: "
            "write the folder again, or read it with the version of pct that wrote it"
        )
    return manifest


def _read_recording(
    path: Path, digest: str, rows: int, dt: float, source: str, *, columns: Mapping[str, tuple[str, str]]
) -> Trajectory:
    if not path.is_file():
        raise DataError(
            f"{path}: expected this recording, named in {MANIFEST}, found no such file: restore it"
        )
    if sha256(path) != digest:
        raise DataError(
            f"{path}: the file changed since {MANIFEST} was written (its sha256 differs): "
            "restore it or write the folder again"
        )
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: expected a parquet file, found {reason}: write the folder again") from None
    names = [name for name in table.columns if name != "t"]
    if set(columns) != set(table.columns) or "t" not in columns:
        wrong = ", ".join(sorted(set(columns) ^ set(table.columns))) or "t"
        raise DataError(
            f"{path}: expected the columns of {MANIFEST}, found a difference in: {wrong}: "
            "write the folder again"
        )
    if len(table) != rows:
        raise DataError(f"{path}: expected {rows} rows, found {len(table)}: write the folder again")
    values = {name: table[name].cast(pl.Float64).to_numpy() for name in table.columns}
    return Trajectory(
        name=path.stem,
        dt=dt,
        channels={name: values[name] for name in names},
        units={name: columns[name][0] for name in names},
        origins={name: columns[name][1] for name in names},
        source=source,
        start=float(values["t"][0]) if rows else 0.0,
    )
