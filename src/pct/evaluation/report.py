"""Files of an evaluation: ``evaluation.json``, and one self-contained HTML file; its figures as PNG."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.errors import DataError
from pct.evaluation.evaluate import Evaluation
from pct.evaluation.scores import DISTANCE, headline
from pct.evaluation.text import MARK, channels_of, comparison, label
from pct.files import write_output
from pct.optimization.constants.model import FittedModel
from pct.runs.directory import write_json
from pct.runs.lock import writing_in_turn

if TYPE_CHECKING:
    from pct import plots  # imports Matplotlib, which an evaluation does not wait for


NUMBERS, REPORT = "evaluation.json", "report.html"


def save_numbers(folder: Path, result: Evaluation, *, run: Path, paths: Sequence[Path]) -> None:
    """Write ``evaluation.json`` alone, which takes no time; the report of another evaluation goes.

    Raises:
        DataError: the folder cannot be made or written, or another process does not end writing it.
    """
    _make(folder)
    with writing_in_turn(folder):
        write_json(folder / NUMBERS, as_json(result, run=run, paths=paths))
        with contextlib.suppress(OSError):  # then it stays until the new one is drawn
            (folder / REPORT).unlink(missing_ok=True)


def save_evaluation(folder: Path, result: Evaluation, *, run: Path, paths: Sequence[Path]) -> Path:
    """Write both files; each is there whole or not at all.

    Returns:
        The HTML file.

    Raises:
        DataError: the folder cannot be made or written, or another process does not end writing it.
    """
    from pct.evaluation.page import evaluation_page

    _make(folder)
    page = evaluation_page(result, run=run, paths=paths)
    figures = as_json(result, run=run, paths=paths)
    with writing_in_turn(folder):
        write_json(folder / NUMBERS, figures)
        write_output(folder / REPORT, page.encode())
    return folder / REPORT


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot make the folder ({error.strerror}): choose another folder"
        ) from None


def as_json(result: Evaluation, *, run: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """All figures by name; a figure that is missing is NaN here and null in the file."""
    return {
        "run": run.resolve(),
        "data": [path.resolve() for path in paths],
        "model": result.spec.name,
        "windows": {
            "count": result.windows,
            "recordings": result.recordings,
            "dt_s": result.dt,
            "horizon_steps": result.horizon,
            "history_steps": result.history,
            "stride_steps": result.stride,
        },
        "bootstrap": {
            "blocks": result.blocks,
            "least_rows_of_a_block": result.block_rows,
            "interval": 0.95,
        },
        "overlap": None if result.overlap is None else result.overlap._asdict(),
        "units": {channel.name: channel.unit for channel in (*result.spec.states, DISTANCE)},
        "notes": result.notes,
        "conditions": {
            c.name: {"unit": c.unit, "edges": c.edges, "windows": [inside.sum() for inside in c.inside]}
            for c in result.conditions
        },
        "rows": {name: _named(row) for name, row in result.rows.items()},
        "parameters": _parameters(result),
        "comparison": {f"{seconds:g}": comparison(result, seconds) for seconds in result.at},
        "left_out": result.missing,
    }


def _parameters(result: Evaluation) -> dict[str, dict[str, Any]]:
    """Of a fit: value and verdict by parameter; of a network: how its predictions vary."""
    if isinstance(result.model, FittedModel):
        return {
            name: {"value": float(result.model.params[name]), **entry}
            for name, entry in result.parameter_verdicts().items()
        }
    return {name: one._asdict() for name, one in result.varying.items()}


def figures_of(result: Evaluation) -> dict[str, plots.Drawing]:
    """What draws each figure: ``ladder_<s>``, ``growth``, ``conditions``."""
    from pct import plots

    channels, longest, shown = channels_of(result), max(result.at), headline(result.spec)
    apart = [label(result, name) for name, row in result.rows.items() if not row.comparable]
    figures: dict[str, plots.Drawing] = {}
    for seconds in result.at:
        figures[f"ladder_{seconds:g}"] = partial(
            plots.draw_ladder,
            channels=channels,
            errors={
                label(result, row_name): {name: s.path_rmse for name, s in row.scores[seconds].items()}
                for row_name, row in result.rows.items()
            },
            apart=apart,
            title=f"Path RMSE over {seconds:g} s with 95 % intervals"
            + (f" ({MARK} told what this run is not)" if apart else ""),
        )
    figures["growth"] = partial(
        plots.draw_growth_bands,
        dt=result.dt,
        channels=channels,
        errors={
            label(result, row_name): {name: np.array(intervals) for name, intervals in row.growth.items()}
            for row_name, row in result.rows.items()
        },
        title="RMSE after each time with 95 % bands",
    )
    if result.conditions:
        figures["conditions"] = partial(
            plots.draw_bins,
            channel=shown,
            conditions=[(c.name, c.unit, c.edges) for c in result.conditions],
            errors=[
                {
                    label(result, name): np.array([scores[shown.name] for scores in row.bins[condition.name]])
                    for name, row in result.rows.items()
                    if shown.name in row.scores[longest]
                }
                for condition in result.conditions
            ],
            title=f"{shown.name.capitalize()} path RMSE over {longest:g} s with 95 % intervals",
        )
    return figures


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
