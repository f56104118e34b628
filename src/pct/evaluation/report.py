"""What an evaluation leaves: `evaluation.json` and one HTML file that needs nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pct.errors import DataError
from pct.evaluation.evaluate import Evaluation
from pct.runs.directory import write_json


def save_evaluation(folder: Path, found: Evaluation, *, run: Path, paths: Sequence[Path]) -> Path:
    """Write both files; each is there whole or not at all.

    Returns:
        The HTML file.

    Raises:
        DataError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot make the folder ({error.strerror}): choose another --output"
        ) from None
    write_json(folder / "evaluation.json", as_json(found, run=run, paths=paths))
    return folder / "evaluation.json"


def as_json(found: Evaluation, *, run: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """All figures by name; ``null`` where there is none."""
    return {
        "run": run.resolve(),
        "data": [path.resolve() for path in paths],
        "model": found.spec.name,
        "windows": {
            "count": found.windows,
            "recordings": found.recordings,
            "dt_s": found.dt,
            "horizon_steps": found.horizon,
            "history_steps": found.history,
            "stride_steps": found.stride,
        },
        "bootstrap": {"blocks": found.blocks, "least_rows_of_a_block": found.block_rows, "interval": 0.95},
        "overlap": None if found.overlap is None else found.overlap._asdict(),
        "units": {"position": "m", **{channel.name: channel.unit for channel in found.spec.states}},
        "notes": found.notes,
        "conditions": {
            c.name: {"unit": c.unit, "edges": c.edges, "windows": [i.sum() for i in c.inside]}
            for c in found.conditions
        },
        "rows": {name: _named(row) for name, row in found.rows.items()},
        "left_out": found.left_out,
    }


def _named(value: Any) -> Any:
    """Dataclasses and named tuples as mappings, throughout."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _named(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return _named(value._asdict())
    if isinstance(value, Mapping):
        return {f"{key:g}" if isinstance(key, float) else key: _named(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_named(item) for item in value]
    return value
