"""Trajectory: one uninterrupted recording in SI units, and the dataset folder that stores it.

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
from typing import Any

import numpy as np
import polars as pl

from pct.errors import DataError
from pct.files import sha256, write_atomic
from pct.types import Column

FORMAT = 1
MANIFEST = "dataset.json"


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
