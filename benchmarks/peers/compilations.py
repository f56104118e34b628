"""Counts what XLA compiles, or fetches from its cache, in this process."""

from __future__ import annotations

from typing import Any

import jax

EVENT = "/jax/core/compile/backend_compile_duration"


class Compilations:
    """Compilations since this was made, in ``count``."""

    def __init__(self) -> None:
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration: float, **_: Any) -> None:
        self.count += event == EVENT
