"""Models with their parameters in the form that other programs read: one function for all targets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.export.targets import target_of

if TYPE_CHECKING:
    from pct.export.source import Source


def write_export(target: str, source: Source, path: str | Path, **options: Any) -> Path:
    """Write a model for a target; the file that was written, or the folder where there are several.

    Args:
        target: key of `pct.export.targets.TARGETS`.
        source: the model and its values.
        path: of the file or folder.
        options: of the target: ``refit``; ``horizon`` of onnx and stablehlo.

    Raises:
        UsageError: an unknown target or option, a package that is missing, or a car that the target cannot
            say.
        DataError: the file cannot be written.
        PctError: what was written differs from the model.
    """
    written: Path = target_of(target)(source, path, **options).path
    return written
