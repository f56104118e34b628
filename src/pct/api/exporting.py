"""Models with their parameters as code for other programs: one function a target."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from pct.dynamics import unknown_name

if TYPE_CHECKING:
    from pct.export.source import Source

# Module and function of each target; the function takes a source and a path, and its value has a ``path``.
TARGETS = {"c": ("pct.export.c", "export_c")}


def write_export(target: str, source: Source, path: str | Path) -> Path:
    """Write a model for a target; the file that was written.

    Raises:
        UsageError: an unknown target, or equations that the target cannot express.
        DataError: the file cannot be written.
        PctError: what was written differs from JAX.
    """
    if target not in TARGETS:
        raise unknown_name("export target", target, TARGETS)
    module, function = TARGETS[target]
    written: Path = getattr(importlib.import_module(module), function)(source, path).path
    return written
