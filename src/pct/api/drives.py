"""Drives: recordings in memory, from logs, data frames or the simulator."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pct.api.cars import Car
from pct.api.notebook import Shown
from pct.errors import DataError, UsageError
from pct.files import sha256, temporary_folder

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.recordings.trajectory import Trajectory


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Drive(Shown):
    """One uninterrupted recording on a uniform time grid, in SI units.

    Attributes:
        name: unique among its drives, e.g. ``folder/file``.
        trajectory: its channels with units and origins.

    Examples:
        >>> drive = load("datasets/surfaces/val")[0]
        >>> round(drive.duration, 2), drive.table().columns[:3]
        (13.95, ['t', 'x', 'y'])
    """

    name: str
    trajectory: Trajectory

    def __len__(self) -> int:
        return len(self.trajectory)

    @property
    def dt(self) -> float:
        """Time step in s."""
        return self.trajectory.dt

    @property
    def duration(self) -> float:
        """Length in s."""
        return self.dt * (len(self) - 1)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(self.trajectory.channels)

    def table(self) -> pl.DataFrame:
        """One row a sample: the time ``t`` in s and every channel in its SI unit."""
        import numpy as np
        import polars as pl

        t = self.trajectory.start + self.dt * np.arange(len(self))
        return pl.DataFrame({"t": t, **{name: self.trajectory.channels[name] for name in self.channels}})

    def plot(self) -> Figure:
        """The path coloured by speed where position and speed are known, else the time at each speed.

        Raises:
            DataError: the drive has neither.
        """
        return Drives((self,)).plot()

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"{self.name}: {self.duration:.1f} s at {1 / self.dt:g} Hz", self.table().describe(), ()


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Drives(Shown, Sequence[Drive]):
    """Drives in order; a slice or a sum of drives are drives again.

    Attributes:
        drives: the recordings.
        paths: the files or folders that they were read from.
        hashes: SHA-256 of each file behind them, by path.

    Examples:
        >>> drives = load("datasets/surfaces/val")
        >>> [len(part) for part in (drives[:3], drives[:3] + drives[5:])]
        [3, 8]
    """

    drives: tuple[Drive, ...]
    paths: tuple[Path, ...] = ()
    hashes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @overload
    def __getitem__(self, index: int) -> Drive: ...

    @overload
    def __getitem__(self, index: slice) -> Drives: ...

    def __getitem__(self, index: int | slice) -> Drive | Drives:
        if isinstance(index, slice):
            return dataclasses.replace(self, drives=self.drives[index])
        return self.drives[index]

    def __len__(self) -> int:
        return len(self.drives)

    def __iter__(self) -> Iterator[Drive]:
        return iter(self.drives)

    def __add__(self, other: Drives) -> Drives:
        paths = tuple(dict.fromkeys((*self.paths, *other.paths)))
        return Drives((*self.drives, *other.drives), paths, {**self.hashes, **other.hashes})

    @property
    def recordings(self) -> list[tuple[str, Trajectory]]:
        """Name and channels of each."""
        return [(drive.name, drive.trajectory) for drive in self.drives]

    def table(self) -> pl.DataFrame:
        """One row a drive: name, length, rate and channels."""
        import polars as pl

        return pl.DataFrame(
            {
                "drive": drive.name,
                "rows": len(drive),
                "duration [s]": drive.duration,
                "rate [Hz]": 1 / drive.dt,
                "channels": " ".join(drive.channels),
            }
            for drive in self.drives
        )

    def plot(self) -> Figure:
        """The paths coloured by speed where they are known, else the time at each speed.

        Raises:
            DataError: the drives have neither position nor speed.
        """
        from pct.importing.card import collect
        from pct.plots import card_figures, in_style

        figures = card_figures(collect(drive.trajectory for drive in self.drives).samples)
        for name in ("path", "speed"):
            if name in figures:
                return in_style(figures[name][1])
        raise DataError("expected drives with a speed to draw, found none: map 'v', or 'vx' and 'vy'")

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"{len(self)} drives", self.table(), ()


def load(source: Any, *, map: str | Path | None = None, names: Collection[str] | None = None) -> Drives:
    """Read drives.

    Args:
        source: one or more dataset folders, raw folders with a ``signals.toml``, or log files (CSV, JSON,
            npz, Parquet, ROS bags, MDF4, MATLAB); or a data frame (polars or pandas) whose columns are ``t``
            in s and channels by name in SI units.
        map: which raw column is which channel: a ``signals.toml``, the name of a preset, or ``auto`` for
            a proposal; when left out, the map beside the files.
        names: of the recordings that are wanted; all when left out. Of a dataset folder no other is read.

    Returns:
        The drives, checked and on uniform time grids.

    Raises:
        UsageError: an empty list.
        DataError: something cannot be read; says file, column, row and the likely fix.

    Examples:
        >>> drives = load("datasets/surfaces/val")
        >>> len(drives), drives[0].dt
        (10, 0.05)
    """
    if hasattr(source, "columns"):
        return _from_frame(source)
    places = [source] if isinstance(source, str | Path) else list(source)
    if not places:
        raise UsageError("`source`: expected a folder, a log file or a data frame, got an empty list")
    drives: list[Drive] = []
    hashes: dict[str, str] = {}
    for place in places:
        for name, trajectory, files in _read(Path(place), None if map is None else str(map), names):
            drives.append(Drive(name, trajectory))
            hashes |= files
    return Drives(tuple(drives), tuple(Path(place).resolve() for place in places), hashes)


def as_drives(source: Any) -> Drives:
    """Drives of the argument of a public function: drives, one drive, several, or what `load` reads."""
    if isinstance(source, Drives):
        return source
    if isinstance(source, Drive):
        return Drives((source,))
    if isinstance(source, list | tuple) and source and all(isinstance(item, Drive) for item in source):
        return Drives(tuple(source))
    return load(source)


def simulate(
    car: Car, *, recordings: int = 1, duration: float = 30.0, dt: float = 0.05, **options: Any
) -> Drives:
    """Drive a model with known parameters along random manoeuvres and record what sensors would show.

    Args:
        car: the model; its parameters are the truth.
        recordings: number of drives.
        duration: length of each in s.
        dt: time step in s.
        options: of `pct.simulation.drive.simulate`: friction ``mu``, ``speed``, ``noise``, ``seed``, ...

    Raises:
        UsageError: an option that cannot be used.
        DivergedError: the simulated car left the range of finite numbers.

    Examples:
        >>> import pct
        >>> drives = pct.simulate(pct.model("singletrack"), duration=2.0, mu=(0.7,), seed=1)
        >>> len(drives[0]), sorted(set(drives[0].channels))[:3]
        (40, ['accel', 'beta', 'delta'])
    """
    from pct.simulation.drive import simulate as drive_model

    trajectories = drive_model(car.spec, recordings=recordings, duration=duration, dt=dt, **options)
    return Drives(tuple(Drive(trajectory.name, trajectory) for trajectory in trajectories))


def _read(
    place: Path, signals: str | None, names: Collection[str] | None
) -> Iterable[tuple[str, Trajectory, dict[str, str]]]:
    """Name, channels and file hashes of each recording at a place."""
    from pct.mapping.log_files import find_logs
    from pct.recordings.folder import read_file, read_folder
    from pct.windows.loading import data_hashes

    if place.is_dir() and signals is None:
        hashes = data_hashes([place], names)
        for trajectory in read_folder(place, names):
            yield f"{place.name}/{trajectory.name}", trajectory, hashes
        return
    logs, _ = find_logs([place], signals)
    for log in logs:
        files = [log.path] if log.path.is_file() else [file for file in log.path.rglob("*") if file.is_file()]
        hashes = {str(file.resolve()): sha256(file) for file in files}
        for trajectory in read_file(log.path, log.signals):
            if names is None or trajectory.name in names:
                yield trajectory.name, trajectory, hashes


def _from_frame(frame: Any) -> Drives:
    """One drive, or several where it is cut at faults, from columns under their channels' names."""
    import polars as pl

    from pct.dynamics.channels import known_channels
    from pct.logs.map_files import read_map
    from pct.logs.signals import FREE_PREFIXES
    from pct.recordings.folder import read_file

    table = frame if isinstance(frame, pl.DataFrame) else pl.from_pandas(frame)
    known = known_channels()
    names = [name for name in table.columns if name in known or name.startswith(FREE_PREFIXES)]
    if "t" not in table.columns or not names:
        raise DataError(
            "data frame: expected the column 't' in s and channels by name in SI units "
            f"({', '.join(list(known)[:8])}, ...), found {', '.join(map(str, table.columns))}: "
            "rename the columns"
        )
    with temporary_folder() as folder:
        log, toml = folder / "frame.parquet", folder / "signals.toml"
        table.select("t", *names).write_parquet(log)
        channels = "".join(f'[channels."{name}"]\ncolumn = "{name}"\n' for name in names)
        toml.write_text(f'[time]\ncolumn = "t"\n{channels}')
        trajectories = read_file(log, read_map(toml))
    return Drives(tuple(Drive(trajectory.name, trajectory) for trajectory in trajectories))
