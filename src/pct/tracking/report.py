"""What was tracked, as tables, figures, files and sentences."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from pct.errors import DataError
from pct.files import write_output
from pct.json_files import read_json
from pct.runs.directory import write_json
from pct.tracking.changes import ALARM
from pct.tracking.drives import TELLS, Course, Tracked
from pct.tracking.levels import MOST_JUMPS
from pct.tracking.problem import Levels, Problem, usual_levels

if TYPE_CHECKING:
    import polars as pl

    from pct import plots
    from pct.pages.courses import Drive

PARQUET, JSON, PAGE = "track.parquet", "track.json", "track.html"
# Drives that the page shows.
SHOWN = 12


def frame(tracked: Sequence[Tracked]) -> pl.DataFrame:
    """One row a row of the drives; see `pct.api.tracking.Track.table`."""
    import polars as pl

    return pl.concat(
        pl.DataFrame(
            {
                "drive": [one.name] * len(one.t),
                "t": one.t,
                "x": one.x,
                "y": one.y,
                **{
                    f"{name}{suffix}": column
                    for name in one.causal
                    for suffix, column in (
                        *_columns(one.causal[name], ""),
                        *_columns(one.smoothed[name], "_smoothed"),
                        ("_told", one.told[name]),
                        ("_recent", one.recent[name]),
                    )
                },
            }
        )
        for one in tracked
    )


def _columns(course: Course, kind: str) -> list[tuple[str, np.ndarray]]:
    return [(kind, course.middle), (f"{kind}_low", course.low), (f"{kind}_high", course.high)]


def cells(problem: Problem, tracked: Sequence[Tracked]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the summary as text."""
    head = ["drive", "parameter", "median", "smallest", "largest", "band", "told nothing", "changes", "unit"]
    rows = []
    for one in tracked:
        for name, course in one.smoothed.items():
            causal = one.causal[name]
            band = float(np.median(causal.high - causal.low) / 2)
            untold = float(np.mean(one.told[name] < TELLS))
            count = sum(change.parameter == name for change in one.changes)
            numbers = [
                f"{value:.4g}"
                for value in (np.median(course.middle), course.middle.min(), course.middle.max())
            ]
            unit = problem.row(name).unit
            rows.append([one.name, name, *numbers, f"± {band:.2g}", f"{untold:.0%}", str(count), unit])
    return head, rows


def change_cells(problem: Problem, tracked: Sequence[Tracked]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the changes as text."""
    head = [
        "drive",
        "parameter",
        "time [s]",
        "95 % band [s]",
        "probability",
        "before",
        "after",
        "known after [s]",
    ]
    rows = [
        [
            one.name,
            change.parameter,
            f"{change.time:.2f}",
            f"{change.low:.2f} to {change.high:.2f}",
            f"{change.probability:.2f}",
            f"{change.before:.3g}",
            f"{change.after:.3g}",
            "–" if change.seen is None else f"{max(0.0, change.seen - change.time):.2f}",
        ]
        for one in tracked
        for change in one.changes
    ]
    return head, rows


def facts(problem: Problem, levels: Levels, tracked: Sequence[Tracked], *, estimated: bool) -> list[str]:
    """What a reader must know, in sentences."""
    held = (
        f"their uncertainty is in the bands: {', '.join(problem.held)}" if problem.held else "exactly known"
    )
    lines = [f"{', '.join(problem.vary)} may change; all others are held, {held}."]
    source = "estimated from these drives" if estimated else "given"
    read = {name: value for name, value in levels.reading.items() if name not in problem.spec.unlogged}
    noise = ", ".join(f"{name} {value:.2g}" for name, value in read.items())
    lines.append(
        f"Levels {source}: noise of readings {noise}; a change every {1 / levels.jumps:.3g} s."
        if levels.jumps
        else f"Levels {source}: noise of readings {noise}; no changes."
    )
    if estimated and levels.jumps >= 0.99 * MOST_JUMPS * usual_levels(problem).jumps:
        lines.append(
            "Changes come as often as the estimate allows: errors of the model look like changes. Fit this "
            "car first, let something else vary, or give levels of a drive on which nothing changes."
        )
    for name in problem.vary:
        untold = np.concatenate([one.told[name] < TELLS for one in tracked])
        if untold.mean() > 0.01:
            lines.append(
                f"{name}: {np.mean(untold):.0%} of the rows tell nothing of a change there and then "
                "(straights, low speed): the band widens."
            )
    late = [change for one in tracked for change in one.changes if change.seen is None]
    if late:
        lines.append(
            f"{len(late)} of {sum(len(one.changes) for one in tracked)} changes were known only with the "
            f"whole drive: their probability did not pass {ALARM:.0%} within seconds."
        )
    return lines


def figures_of(problem: Problem, one: Tracked) -> dict[str, plots.Drawing]:
    """Functions that draw the figures of a drive, by kind."""
    from pct import plots

    rows = [problem.row(name) for name in problem.vary]
    panels = [
        plots.Tracking(
            row.name,
            row.symbol,
            row.unit,
            one.causal[row.name],
            one.smoothed[row.name],
            one.told[row.name] < TELLS,
        )
        for row in rows
    ]
    marks = [(change.parameter, change.time, change.low, change.high) for change in one.changes]
    figures: dict[str, Any] = {
        "time": partial(plots.draw_track, t=one.t, panels=panels, changes=marks, title=one.name)
    }
    if np.ptp(one.x) > 0 or np.ptp(one.y) > 0:
        figures["map"] = partial(
            plots.draw_track_map, x=one.x, y=one.y, t=one.t, panels=panels, changes=marks, title=one.name
        )
    return figures


def save(
    folder: Path, problem: Problem, levels: Levels, tracked: Sequence[Tracked], *, estimated: bool
) -> Path:
    """Write table, changes and page into a folder; the page's path.

    Raises:
        DataError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror}): choose another folder") from None
    parquet = io.BytesIO()
    frame(tracked).write_parquet(parquet)
    write_output(folder / PARQUET, parquet.getvalue())
    write_json(folder / JSON, summary(problem, levels, tracked))
    write_output(folder / PAGE, make_page(problem, levels, tracked, estimated=estimated).encode())
    return folder / PAGE


def summary(problem: Problem, levels: Levels, tracked: Sequence[Tracked]) -> dict[str, Any]:
    """What ``track.json`` holds."""
    return {
        "model": problem.spec.name,
        "vary": {
            name: {"unit": problem.row(name).unit, "range": _range(problem, name)} for name in problem.vary
        },
        "held": {
            name: {"value": float(problem.params[name]), "std": float(deviation)}
            for name, deviation in zip(problem.held, np.sqrt(np.diag(problem.covariance)), strict=True)
        },
        "levels": dataclasses.asdict(levels),
        "drives": [
            {
                "name": one.name,
                "rows": len(one.t),
                "told_nothing": {name: float(np.mean(told < TELLS)) for name, told in one.told.items()},
                "changes": [change._asdict() for change in one.changes],
            }
            for one in tracked
        ],
    }


class _Saved(TypedDict):
    levels: Levels


def read_levels(path: Path) -> Levels:
    """The levels of a ``track.json``.

    Raises:
        DataError: it cannot be read, or has none.
    """
    what, fix = "what `pct track` has found", "give the track.json of another drive"
    return read_json(path, _Saved, what=what, fix=fix)["levels"]


def _range(problem: Problem, name: str) -> list[float]:
    return [float(end) for end in problem.ranges.get(name, (problem.row(name).low, problem.row(name).high))]


def make_page(problem: Problem, levels: Levels, tracked: Sequence[Tracked], *, estimated: bool) -> str:
    """The page: a sentence, changes, the first drives over time and on the map, and a table of all."""
    from pct.pages import Section, bullets, figure, grid, page, select, table, verdict
    from pct.pages.courses import course_figure, course_map, thin

    shown = thin([_course(problem, one) for one in tracked[:SHOWN]])
    choice = select("drive", "Drive", [one.name for one in shown])
    along = [choice, figure("time", course_figure(shown, "drive"), TIME)]
    maps = [
        figure(f"map-{name}", course_map(shown, n, "drive"))
        for n, name in enumerate(problem.vary)
        if any(np.ptp(one.x) > 0 or np.ptp(one.y) > 0 for one in shown)
    ]
    head, rows = change_cells(problem, tracked)
    changes = table(head, rows, caption="Changes of all drives", texts=(0, 1))
    more = (
        [bullets([f"Figures of the other {len(tracked) - SHOWN} drives: pct.track(...).plot(drive=N)."])]
        if len(tracked) > SHOWN
        else []
    )
    sections = [
        Section("Changes", [changes] if rows else [bullets(["No change was found."])]),
        Section("Along a drive", [*along, *([grid(maps)] if maps else []), *more]),
        Section("Drives", [table(*cells(problem, tracked), caption="With the whole drive", texts=(0, 1))]),
    ]
    title = f"{', '.join(problem.vary)} of {problem.spec.name} over time"
    lead = [verdict(_in_short(tracked)), bullets(facts(problem, levels, tracked, estimated=estimated))]
    return page(title, sections, lead=lead)


TIME = (
    "Lines: as a car could know it at that moment, and with the whole drive. Shaded grey: the drive tells "
    "nothing there and then. Dotted: a change, with its band."
)


def _in_short(tracked: Sequence[Tracked]) -> str:
    """The sentence that a reader must see first."""
    changes = [(one.name, change) for one in tracked for change in one.changes]
    drives = f"{len(tracked)} drive{'s' * (len(tracked) != 1)}"
    if not changes:
        return f"Nothing changed in {drives}, as far as they tell."
    name, most = max(changes, key=lambda entry: abs(entry[1].after / (entry[1].before or 1.0) - 1))
    return (
        f"{len(changes)} change{'s' * (len(changes) != 1)} in {drives}; the largest: {most.parameter} from "
        f"{most.before:.3g} to {most.after:.3g} at {most.time:.2f} s of {name}."
    )


def _course(problem: Problem, one: Tracked) -> Drive:
    """A drive as a page shows it."""
    from pct.pages.courses import Drive, Known, Mark

    known = [
        Known(
            name,
            problem.row(name).unit,
            np.stack(one.causal[name]),
            np.stack(one.smoothed[name]),
            one.told[name] < TELLS,
        )
        for name in problem.vary
    ]
    marks = [Mark(change.parameter, change.time, change.low, change.high) for change in one.changes]
    return Drive(one.name, one.t, one.x, one.y, known, marks)
