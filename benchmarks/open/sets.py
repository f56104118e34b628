"""The public sets of the open benchmark: one TOML file each in `sets/`, its files by SHA-256, its splits.

A set names where its files come from; nothing is fetched. A split is made of whole files, or of parts of one
file with a gap as long as a window's history and horizon, so that no window of the test shares a row with
the training. `pct.evaluate` looks for shared rows once more, by their values.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec

import pct
from pct.errors import DataError
from pct.files import sha256

FOLDER = Path(__file__).parent / "sets"
# Shares of a file up to which rounding to rows counts as no difference.
NEAR = 1e-9


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """A file, or a stretch of its time.

    Attributes:
        file: path below the data folder.
        begin, end: shares of the file's time.
    """

    file: str
    begin: float = 0.0
    end: float = 1.0


class Fold(msgspec.Struct, forbid_unknown_fields=True):
    """What trains and what tests."""

    name: str
    train: list[Part]
    test: list[Part]


class Published(msgspec.Struct, forbid_unknown_fields=True):
    """What others publish on this set, with the reason where no figure stands beside ours."""

    model: str
    cite: str
    note: str


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    """Published parameters of this car or one of its kind, which are run as they are.

    Attributes:
        name: of the row.
        model, vehicle: of our library, whose file of the vehicle names the source.
    """

    name: str
    model: str
    vehicle: str

    @property
    def car(self) -> pct.Car:
        """The car as it is published, without a measurement."""
        return pct.model(self.model, vehicle=self.vehicle).measured(observer=False)


class OpenSet(msgspec.Struct, forbid_unknown_fields=True):
    """A set as its file has it.

    Attributes:
        title, what: name, and car, rate and length in a line.
        licence, where: of the data, and how to get it, in words.
        cite: papers.
        files: SHA-256 by path below the data folder.
        signals: text of its ``signals.toml``.
        smooth: of `pct.import_logs`, where velocities come from positions; else the files are only loaded.
        model, vehicle, hold, values, measured: the car that is fitted; ``values`` are known or set beyond
            reach, in place of the vehicle's.
        defaults: what the default parameters of that car are.
        fit: settings of the fit; ``dt``, ``horizon`` and ``history`` among them.
        folds: the splits.
        published: models of others.
        parameters: published ones that are run on the same windows.
    """

    title: str
    what: str
    licence: str
    where: str
    cite: list[str]
    files: dict[str, str]
    signals: str
    model: str
    vehicle: str
    defaults: str
    fit: dict[str, Any]
    folds: list[Fold]
    hold: list[str] = []
    values: dict[str, float] = {}
    measured: dict[str, Any] = {}
    smooth: str = "none"
    published: list[Published] = []
    parameters: list[Parameters] = []

    @property
    def car(self) -> pct.Car:
        """The car that is fitted."""
        car = pct.model(self.model, vehicle=self.vehicle).hold(*self.hold, **self.values)
        return car.measured(**self.measured)

    @property
    def gap(self) -> float:
        """Seconds that must lie between training and test in one file."""
        return float(self.fit["dt"] * (self.fit["horizon"] + self.fit["history"]))


def read_sets(names: list[str] | None = None, folder: Path = FOLDER) -> dict[str, OpenSet]:
    """The sets by name; all when none is named.

    Raises:
        DataError: no such set, or a file that is none.
    """
    known = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    if unknown := sorted(set(names or ()) - set(known)):
        raise DataError(f"{unknown[0]}: expected a set, one of {', '.join(known)}")
    sets = {}
    for name in names or known:
        try:
            sets[name] = msgspec.toml.decode(known[name].read_bytes(), type=OpenSet)
        except msgspec.DecodeError as error:
            raise DataError(f"{known[name]}: {error}") from None
    return sets


def state_of(one: OpenSet, data: Path) -> dict[str, str]:
    """``ok``, ``missing`` or ``another file`` by path: only files of the stated SHA-256 are used."""
    found = {}
    for path, expected in one.files.items():
        file = data / path
        found[path] = (
            "missing" if not file.is_file() else "ok" if sha256(file) == expected else "another file"
        )
    return found


def read_fold(one: OpenSet, fold: Fold, data: Path) -> tuple[pct.Drives, pct.Drives]:
    """Training and test drives of a split.

    Raises:
        DataError: a file is missing or another than that of the benchmark, or the parts touch.
    """
    wrong = {path: state for path, state in state_of(one, data).items() if state != "ok"}
    if wrong:
        path, state = next(iter(wrong.items()))
        raise DataError(f"{data / path}: {state}. {one.where}")
    names = list(dict.fromkeys(part.file for part in (*fold.train, *fold.test)))
    drives = {name: read_file(one, data / name) for name in names}
    check_apart(one, fold, {name: _ends(read) for name, read in drives.items()})
    train, test = ([_cut(drives[part.file], part) for part in parts] for parts in (fold.train, fold.test))
    return sum(train[1:], train[0]), sum(test[1:], test[0])


def read_file(one: OpenSet, file: Path) -> pct.Drives:
    """The drives of a file by the map of its set."""
    with tempfile.TemporaryDirectory() as scratch:
        signals, dataset = Path(scratch) / "signals.toml", Path(scratch) / "dataset"
        signals.write_text(one.signals)
        if one.smooth == "none":
            return pct.load(file, map=signals)
        pct.import_logs(file, dataset, map=signals, smooth=one.smooth, processes=1)
        return pct.load(dataset)


def check_apart(one: OpenSet, fold: Fold, ends: dict[str, tuple[float, float]]) -> None:
    """Raise DataError where training and test share a part of a file or lie closer than the gap.

    Args:
        one: the set.
        fold: the split.
        ends: first and last time of each file in s.
    """
    hashes = {name: one.files[name] for name in ends}
    for train in fold.train:
        for test in fold.test:
            if hashes[train.file] != hashes[test.file]:
                continue
            seconds = ends[train.file][1] - ends[train.file][0]
            apart = seconds * max(test.begin - train.end, train.begin - test.end)
            if apart < one.gap - NEAR:
                raise DataError(
                    f"{fold.name}: expected {one.gap:g} s between training and test in {train.file}, found "
                    f"{max(apart, 0.0):.3g} s"
                )


def _ends(drives: pct.Drives) -> tuple[float, float]:
    starts = [drive.trajectory.start for drive in drives]
    return min(starts), max(start + drive.duration for start, drive in zip(starts, drives, strict=True))


def _cut(drives: pct.Drives, part: Part) -> pct.Drives:
    """The stretch of a file, in drives."""
    if (part.begin, part.end) == (0.0, 1.0):
        return drives
    first, last = _ends(drives)
    low, high = (first + share * (last - first) for share in (part.begin, part.end))
    kept = []
    for drive in drives:
        start, dt = drive.trajectory.start, drive.dt
        rows = [min(max(round((time - start) / dt), 0), len(drive)) for time in (low, high)]
        if rows[1] - rows[0] > 1:
            piece = drive.trajectory.slice(*rows)
            kept.append(pct.Drive(f"{drive.name}, rows {rows[0]} to {rows[1]}", piece))
    return pct.Drives(tuple(kept), drives.paths)
