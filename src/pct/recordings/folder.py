"""A folder of recordings, stored or raw, to trajectories.

A raw folder holds log files and ``signals.toml``; `pct.recordings.mend` makes recordings of each file.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from pct.errors import LogError
from pct.logs.map_files import presets, read_map
from pct.logs.readers import FORMATS, is_log
from pct.logs.signals import MAP, SignalMap
from pct.recordings.checks import check_trajectory
from pct.recordings.faults import Repairs
from pct.recordings.mend import mend, read_columns
from pct.recordings.trajectory import MANIFEST, Trajectory, read_dataset

log = logging.getLogger(__name__)


def read_folder(folder: Path, names: Collection[str] | None = None) -> list[Trajectory]:
    """Read a dataset folder (``dataset.json``) or a raw folder (``signals.toml``).

    Args:
        folder: of recordings.
        names: of those that are wanted; all when left out.

    Returns:
        Checked recordings, in SI units, on uniform time grids.

    Raises:
        DataError: the folder is missing or of neither kind, or its content cannot be used.
    """
    if not folder.is_dir():
        raise LogError(folder, "expected a folder of recordings, found none: check the path")
    if (folder / MANIFEST).is_file():
        trajectories = read_dataset(folder, names)
        for trajectory in trajectories:
            check_trajectory(trajectory, f"{folder / trajectory.name}.parquet")
        return trajectories
    if (folder / MAP).is_file():
        recordings = read_raw(folder)
        return [one for one in recordings if names is None or one.name in names]
    entries = sorted(path.name for path in folder.iterdir())
    inner = [name for name in entries if any((folder / name / file).is_file() for file in (MANIFEST, MAP))]
    if inner:
        raise LogError(
            folder,
            f"expected {MANIFEST} or {MAP}, found folders that have one: pass {', '.join(inner)} in it",
        )
    content = f"{len(entries)} entries such as '{entries[0]}'" if entries else "an empty folder"
    raise LogError(
        folder,
        f"expected {MANIFEST}, or log files and {MAP}, found {content}. "
        f'For logs, write {MAP} there (docs/data.md), e.g. preset = "{presets()[0]}". '
        f"Known presets: {', '.join(presets())}",
    )


def read_raw(folder: Path) -> list[Trajectory]:
    """Read the log files of a raw folder through its ``signals.toml``; see `read_folder`."""
    signals = read_map(folder / MAP)
    files = [path for path in sorted(folder.glob(signals.files)) if is_log(path)]
    if not files:
        raise LogError(
            folder,
            f"expected log files ({signals.files}, ending in {', '.join(FORMATS)}) or folders of "
            f"ROS 2 bags beside {MAP}, found none: put them there, or correct 'files'",
        )
    trajectories = [trajectory for path in files for trajectory in read_file(path, signals)]
    stems = [path.stem for path in files]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise LogError(folder, f"expected file names that differ, found two called '{twice}': rename one")
    return trajectories


def read_file(path: Path, signals: SignalMap) -> list[Trajectory]:
    """Read one log file; several recordings where it is cut at faults.

    Raises:
        DataError: the file or a value in it cannot be used; names the column and the row.
    """
    content = mend(path, *read_columns(path, signals), Repairs())
    if content.cut or (len(content.trajectories) > 1 and not signals.group):
        log.warning(
            "%s: %d of %d rows cut out for faults, %d recordings left",
            path,
            content.cut,
            content.rows,
            len(content.trajectories),
        )
    return content.trajectories
