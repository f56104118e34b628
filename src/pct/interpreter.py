"""Settings of the Python process of a program of ours; the library alone leaves them as they are."""

import atexit
import gc
import os

# So many objects may be made before they are searched for garbage. The libraries make half as many up to the
# first training step, and keep them: searching them time and again takes a fifth of that time.
OBJECTS = 500_000


def collect_rarely() -> None:
    """Search for garbage rarely, and not at the end of the process, when all memory is returned."""
    gc.set_threshold(OBJECTS)
    atexit.register(gc.freeze)


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
