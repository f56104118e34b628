"""What an evaluation leaves: ``evaluation.json``, and one HTML file that needs nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct import plots
from pct.errors import DataError
from pct.evaluation.evaluate import RUN, Evaluation
from pct.evaluation.scores import POSITION
from pct.evaluation.text import (
    DISTANCE,
    bin_cells,
    channels_of,
    facts,
    ladder_cells,
    run_cells,
    verdicts,
    with_interval,
)
from pct.files import write_output
from pct.plots.page import bullets, figure, page, table
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
            f"{folder}: cannot make the folder ({error.strerror}): choose another folder"
        ) from None
    page = as_html(found, run=run, paths=paths)
    write_json(folder / "evaluation.json", as_json(found, run=run, paths=paths))
    report = folder / "report.html"
    write_output(report, page.encode())
    return report


def as_json(found: Evaluation, *, run: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """All figures by name; what is not there is not finite, null in the file."""
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
        "units": {channel.name: channel.unit for channel in (*found.spec.states, DISTANCE)},
        "notes": found.notes,
        "conditions": {
            c.name: {"unit": c.unit, "edges": c.edges, "windows": [inside.sum() for inside in c.inside]}
            for c in found.conditions
        },
        "rows": {name: _named(row) for name, row in found.rows.items()},
        "left_out": found.missing,
    }


def as_html(found: Evaluation, *, run: Path, paths: Sequence[Path]) -> str:
    """The report: facts, tables and figures in one file."""
    longest = max(found.at)
    title = f"{run.resolve().name} on {', '.join(path.name for path in paths)}"
    drawn = {
        name: figure(plots.to_svg(draw, **arguments), arguments["title"])
        for name, (draw, arguments) in figures_of(found).items()
    }
    body = [bullets(facts(found)), bullets(verdicts(found))]
    if found.missing:
        body += ["<h2>Left out</h2>", bullets(f"{name}: {why}" for name, why in found.missing.items())]
    for seconds in found.at:
        body += [f"<h2>Over {seconds:g} s</h2>", drawn[f"ladder_{seconds:g}"]]
        body.append(table(*ladder_cells(found, seconds, with_interval), strong=RUN))
        body += ["<h3>This run by channel</h3>", table(*run_cells(found, seconds))]
    body += ["<h2>Growth of the error</h2>", drawn["growth"]]
    if found.conditions:
        body += [f"<h2>By speed and lateral acceleration, over {longest:g} s</h2>", drawn["conditions"]]
        body += [table(*bin_cells(found, c, with_interval), strong=RUN) for c in found.conditions]
    body += ["<h2>What the rows are</h2>", bullets(f"{name}: {row.doc}" for name, row in found.rows.items())]
    body.append(
        "<p>Path RMSE: root mean square over all steps up to the horizon. ADE and FDE: mean distance along "
        "the path and at its end. In brackets: the 95 % interval. A dash: the row does not predict it.</p>"
    )
    return page(title, body)


def figures_of(found: Evaluation) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Function that draws each figure, and its arguments: ``ladder_<s>``, ``growth``, ``conditions``."""
    shown = channels_of(found)
    figures: dict[str, tuple[Any, dict[str, Any]]] = {}
    for seconds in found.at:
        errors: Any = {
            label: {name: score.path_rmse for name, score in row.scores[seconds].items()}
            for label, row in found.rows.items()
        }
        title = f"Path RMSE over {seconds:g} s with 95 % intervals"
        ladder = {"channels": shown, "errors": errors, "title": title}
        figures[f"ladder_{seconds:g}"] = plots.draw_ladder, ladder
    errors = {
        label: {name: np.array(estimates) for name, estimates in row.growth.items()}
        for label, row in found.rows.items()
    }
    title = "RMSE after each time with 95 % bands"
    growth = {"dt": found.dt, "channels": shown, "errors": errors, "title": title}
    figures["growth"] = plots.draw_growth_bands, growth
    if found.conditions:
        longest = max(found.at)
        errors = [
            {
                label: np.array([scores[POSITION] for scores in row.bins[condition.name]])
                for label, row in found.rows.items()
                if POSITION in row.scores[longest]
            }
            for condition in found.conditions
        ]
        kinds = [(c.name, c.unit, c.edges) for c in found.conditions]
        title = f"Position path RMSE over {longest:g} s with 95 % intervals"
        bins = {"channel": DISTANCE, "conditions": kinds, "errors": errors, "title": title}
        figures["conditions"] = plots.draw_bins, bins
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
