"""`columns_of_logs`: what each column of logs holds, before any map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pct.api.maps import existing_logs
from pct.errors import DataError
from pct.logs.readers import read_log
from pct.mapping.columns import LogView, view


def columns_of_logs(
    logs: str | Path | Sequence[str | Path], *, msg_path: str | Path | None = None
) -> list[LogView]:
    """What each column of logs holds: unit, rate, range, shares that are missing and repeated.

    Args:
        logs: files, or folders of ROS 2 bags.
        msg_path: folder of ``.msg`` files, for messages in ROS bags that do not describe themselves.

    Raises:
        UsageError: no log.
        DataError: a log cannot be read, or holds no column of numbers.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(f"{folder}/a.csv").write_text("t,speed [km/h]\\n0.0,3\\n0.1,3\\n0.2,4\\n")
        ...     speed = columns_of_logs(f"{folder}/a.csv")[0].columns[1]
        >>> speed.name, speed.unit, speed.low, speed.high, speed.repeated
        ('speed [km/h]', 'km/h', 3.0, 4.0, 0.5)
    """
    options = {} if msg_path is None else {"msg_path": str(msg_path)}
    views = []
    for path in existing_logs(logs):
        found = view(path, read_log(path, None, options))
        if not found.columns:
            raise DataError(f"{path}: expected columns of numbers, found none: is it the log of a vehicle?")
        views.append(found)
    return views
