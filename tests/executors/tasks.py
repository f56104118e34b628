"""What workers are asked to do in the tests; found by its name in processes of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def shout(text: str) -> str:
    return text.upper()


def die_once(path: str) -> str:
    """Kill the worker the first time."""
    if not os.path.exists(path):
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.path.basename(path)


def die(folder: str) -> str:
    """Kill the worker, and leave a file for each time."""
    Path(folder, str(len(os.listdir(folder)))).touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def threads(_: str) -> str:
    print("no answer")  # what a library prints
    return os.environ["OMP_NUM_THREADS"] + os.environ["JAX_PLATFORMS"]
