"""Ctrl-C and SIGTERM while training: finish the step, save, leave; a second one leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STDERR = 2


class Stopping:
    """A context manager; calling it tells whether a signal has come."""

    def __init__(self) -> None:
        self._wanted = False
        self._former: dict[signal.Signals, Any] = {}

    def __call__(self) -> bool:
        return self._wanted

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no signals
            self._former = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for number, handler in self._former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set by Python

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._wanted:
            raise SystemExit(130)  # past the loop, which would save
        self._wanted = True
        # Not by `print`: the signal may have come in the midst of one, which Python does not let begin anew.
        os.write(STDERR, b"\nstopping after this step; again to stop at once\n")
