"""Settings of the Python process of a program of ours; the library alone leaves them as they are."""

import atexit
import gc
import os

# So many objects may be made before they are searched for garbage. The libraries make half as many up to the
# first training step, and keep them: searching them time and again takes a fifth of that time.
OBJECTS = 500_000
# How many cores a process of ours may use; and how the libraries call that. NPROC is that of JAX.
THREADS = "PCT_THREADS"
LIBRARIES = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


def collect_rarely() -> None:
    """Search for garbage rarely, and not at the end of the process, when all memory is returned."""
    gc.set_threshold(OBJECTS)
    atexit.register(gc.freeze)


def cores() -> int:
    """Processor cores that this process may use: those of the machine, or fewer where `THREADS` says so."""
    own = os.environ.get(THREADS, "")
    return min(_cores(), max(1, int(own))) if own.isdecimal() else _cores()


def threads(count: int) -> dict[str, str]:
    """Environment variables of a process that is to use so many cores.

    Examples:
        >>> threads(1)["OMP_NUM_THREADS"]
        '1'
    """
    return dict.fromkeys((THREADS, *LIBRARIES), str(count))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
