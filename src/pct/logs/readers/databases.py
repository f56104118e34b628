"""SQLite files of bags: opened by their name as it is, and asked for their tables alone."""

from __future__ import annotations

import os
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from pct.logs.readers.base import optional_package

# What the package that reads bags puts around the name of a file.
BEFORE, AFTER = "file:", "?immutable=1"
# Bytes of one message.
LONGEST = 256 << 20


@cache
def open_tables_only() -> None:
    """Give the package a class of databases that has bounds, once."""
    storage = optional_package("rosbags.rosbag2.storage_sqlite3", "rosbag", "a ROS bag")
    apsw: Any = storage.apsw

    class Database(apsw.Connection):
        """A database whose views, triggers and functions in its schema do nothing: such may never end."""

        def __init__(self, address: str, **settings: Any) -> None:
            super().__init__(_address(address), **settings)
            self.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
            self.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            self.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
            self.limit(apsw.SQLITE_LIMIT_LENGTH, LONGEST)

    storage.apsw = SimpleNamespace(**vars(apsw) | {"Connection": Database})


def _address(address: str) -> str:
    """The same with signs in the file's name that SQLite takes for its own, as ``?`` and ``%``."""
    path = os.path.abspath(address.removeprefix(BEFORE).removesuffix(AFTER))
    return f"{BEFORE}/{quote(os.fsencode(path.lstrip('/')))}{AFTER}"
