"""Drives: recordings in memory, from logs, data frames or the simulator."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pct.api.cars import Car, as_car
from pct.api.frames import is_frame, read_frame
from pct.api.notebook import Shown
from pct.dynamics.core import unknown_name
from pct.errors import DataError, UsageError
from pct.files import sha256
from pct.recordings.names import named_apart
from pct.within import shown

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

    Drives of one name get numbers: the second ``recording_00`` is ``recording_00 (2)``.

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "drives", _named_apart(self.drives))

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

    def __add__(self, other: Drives | Drive) -> Drives:
        other = as_drives(other)
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
        source: a dataset folder, a raw folder with a ``signals.toml``, or a log file (CSV, JSON, npz,
            Parquet, ROS bag, MDF4, MATLAB); a data frame (polars or pandas, or a dict of arrays) whose
            columns are ``t`` in s and channels by name in SI units, or any others with a ``map``; or a list
            of these, and of drives.
        map: which raw column is which channel: a ``signals.toml``, the name of a preset, or ``auto`` for
            a proposal; when left out, the map beside the files.
        names: of the recordings that are wanted; all when left out. Of a dataset folder no other is read.

    Returns:
        The drives, checked and on uniform time grids.

    Raises:
        UsageError: an empty list, something that no drives are read from, or none of the ``names`` is there.
        DataError: something cannot be read; says file, column, row and the likely fix.

    Examples:
        >>> drives = load("datasets/surfaces/val")
        >>> len(drives), drives[0].dt
        (10, 0.05)
    """
    signals = None if map is None else str(map)
    wanted = (names,) if isinstance(names, str) else names
    parts = [_read(item, name, signals, wanted) for item, name in _sources(source)]
    joined = Drives(
        tuple(drive for part in parts for drive in part),
        tuple(path for part in parts for path in part.paths),
        {path: value for part in parts for path, value in part.hashes.items()},
    )
    if wanted is not None and not joined:
        known = ", ".join(drive.name.rpartition("/")[2] for drive in load(source, map=map))
        raise UsageError(f"`names`: expected names of recordings ({known}), found none in {shown([*wanted])}")
    return joined


def as_drives(source: Any) -> Drives:
    """Drives of the argument of a public function: drives, one drive, several, or what `load` reads."""
    return source if isinstance(source, Drives) else load(source)


def as_drive(source: Any) -> Drive:
    """The one drive of such an argument.

    Raises:
        UsageError: it is several.
    """
    drives = as_drives(source)
    if len(drives) != 1:
        raise UsageError(f"`drive`: expected one drive, got {len(drives)}: take one of them, drives[0]")
    return drives[0]


def simulate(
    car: Car, *, recordings: int = 1, duration: float = 30.0, dt: float = 0.05, **options: Any
) -> Drives:
    """Drive a model with known parameters along random manoeuvres and record what sensors would show.

    Args:
        car: the model; its parameters are the truth.
        recordings: number of drives.
        duration: length of each in s.
        dt: time step in s.
        options: of `pct.simulation.drive.simulate`: friction ``mu``, ``speed`` in m/s, ``noise``, ``seed``,
            ``fixed`` values by parameter, ``vary`` ranges by parameter, ...

    Raises:
        UsageError: an option that is unknown or cannot be used.
        DivergedError: the simulated car left the range of finite numbers.

    Examples:
        >>> import pct
        >>> drives = pct.simulate(pct.model("singletrack"), duration=2.0, mu=(0.7,), seed=1)
        >>> len(drives[0]), sorted(set(drives[0].channels))[:3]
        (40, ['accel', 'beta', 'delta'])
    """
    from pct.simulation.drive import simulate as drive_model

    known = [name for name in inspect.signature(drive_model).parameters if name != "spec"]
    if unknown := sorted(set(options) - set(known)):
        raise unknown_name("option", unknown[0], known, of="a simulation")
    trajectories = drive_model(as_car(car).spec, recordings=recordings, duration=duration, dt=dt, **options)
    return Drives(tuple(Drive(trajectory.name, trajectory) for trajectory in trajectories))


def _named_apart(drives: Sequence[Drive]) -> tuple[Drive, ...]:
    """Drives with a number behind a name that another has already."""
    names = named_apart(drive.name for drive in drives)
    return tuple(
        drive if name == drive.name else dataclasses.replace(drive, name=name)
        for drive, name in zip(drives, names, strict=True)
    )


def _sources(source: Any) -> list[tuple[Any, str]]:
    """Each thing to read drives from, and what the drive of a data frame is called.

    Raises:
        UsageError: an empty list, or something else.
    """
    if _is_one(source):
        return [(source, "frame")]
    items = list(source) if isinstance(source, Iterable) else []
    what = "drives, folders, log files or data frames"
    if isinstance(source, Iterable) and not items:
        raise UsageError(f"`source`: expected {what}, got an empty list")
    for item in items or [source]:
        if not _is_one(item):
            raise UsageError(f"`source`: expected {what}, got {shown(item)}")
    return [(item, f"frame_{number}") for number, item in enumerate(items, 1)]


def _is_one(source: Any) -> bool:
    return isinstance(source, str | Path | Drive | Drives) or is_frame(source)


def _read(source: Any, name: str, signals: str | None, names: Collection[str] | None) -> Drives:
    """Drives of one thing."""
    if isinstance(source, Drives | Drive):
        given = source if isinstance(source, Drives) else Drives((source,))
        return given if names is None else Drives(tuple(d for d in given if d.trajectory.name in names))
    if is_frame(source):
        read = read_frame(source, name, signals)
        return Drives(tuple(Drive(t.name, t) for t in read if names is None or t.name in names))
    place = Path(source)
    drives: list[Drive] = []
    hashes: dict[str, str] = {}
    for title, trajectory, files in _read_place(place, signals, names):
        drives.append(Drive(title, trajectory))
        hashes |= files
    return Drives(tuple(drives), (place.resolve(),), hashes)


def _read_place(
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
