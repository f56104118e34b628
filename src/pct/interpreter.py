"""Settings of the Python process of a program of ours; the library alone leaves them as they are."""

import atexit
import gc

# So many objects may be made before they are searched for garbage. The libraries make half as many up to the
# first training step, and keep them: searching them time and again takes a fifth of that time.
OBJECTS = 500_000


def collect_rarely() -> None:
    """Search for garbage rarely, and not at the end of the process, when all memory is returned."""
    gc.set_threshold(OBJECTS)
    atexit.register(gc.freeze)
