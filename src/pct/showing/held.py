"""Whether a process writes into a folder right now."""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, which does without locks
    fcntl = None  # type: ignore[assignment]


def is_held(folder: Path) -> bool:
    """Whether another holds the lock on a folder, as of `pct.files.Lock`; False where there are no locks.

    The lock is asked for together with other readers and given back at once.
    """
    if fcntl is None:
        return False
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(handle, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:  # some network file systems
        return False
    finally:
        os.close(handle)
    return False
