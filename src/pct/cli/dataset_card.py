"""The card of a dataset: what was imported, what became of it, and figures of the drives."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_card(path: Path, vehicle: str, parts: Any, found: Any, settings: Any) -> None:
    """Write the page."""
