"""Parts of pages on drives: measured beside simulated by window, the map, and residuals along the way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np

from pct.evaluation.scores import POSITION
from pct.evaluation.simulated import Simulated, autocorrelation
from pct.pages import Figure, Part, Step, figure, grid, paragraph, select, slider
from pct.pages.charts import correlogram, map_figure, residual_figure
from pct.pages.figures import (
    BASELINE,
    CONTROL,
    MEASURED,
    MUTED,
    SIMULATED,
    line,
    merged,
    numbers,
    single,
    span,
    stacked,
    thinned,
)
from pct.types import Bool, Float, Int

WINDOW, COLOR, BESIDE = "window", "map-color", "beside"
# Panels of channels, points of the map, of the whole way, and of a baseline in a window.
PANELS, POINTS, WAY, COARSE = 8, 1500, 3000, 25
# Lines of baselines, one after another.
STYLES = [(color, dash) for dash in ("dot", "dashdot") for color in (BASELINE, CONTROL, MUTED)]


def simulated_parts(drive: Simulated) -> list[Part]:
    """A slider of windows: where each lies in the drive, its channels and its way, beside baselines."""
    shown = drive.headline
    chosen, (typical, worst) = drive.shown
    size = drive.final(shown.name)[chosen]
    origin = drive.windows.origin(chosen)
    names = [origin.recordings[int(number)] for number in origin.recording]
    labels = [
        f"{n} of {len(chosen)}: '{name}' from {time:.2f} s, {shown.name} off by {_error(error)} "
        f"{shown.unit} after {drive.horizon:g} s"
        for n, (name, time, error) in enumerate(zip(names, origin.times, size, strict=True), 1)
    ]
    windows = {"window-channels": _channels(drive)}
    if drive.placed:
        windows["window-way"] = _way(drive)
    offered = "Baselines are offered in order, the one with the smallest error first." if drive.beside else ""
    parts = [
        paragraph(
            f"From each window's first row the model runs {drive.horizon:g} s by itself, told only what the "
            "driver did. Move the slider, by mouse or arrow keys.",
            *filter(None, [offered]),
        ),
        slider(WINDOW, "Window", labels, {"Typical window": typical, "Worst window": worst}),
    ]
    if drive.beside:
        parts.append(select(BESIDE, "Baseline", [label for label, _ in _choices(drive)]))
    return [
        *parts,
        figure("whole-drive", _whole_drive(drive), "The window within all drives, one after another."),
        grid([figure(name, one) for name, one in windows.items()]),
    ]


def _error(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) and value < 1e30 else "without limit"


def _choices(drive: Simulated) -> list[tuple[str, set[str]]]:
    """What the choice of baselines offers, and which are shown then."""
    names = list(drive.beside)
    return [*((name, {name}) for name in names), ("all", set(names)), ("none", set())]


def _visible(drive: Simulated, lines: int, others: int) -> dict[str, list[Step]]:
    """Steps of the choice of baselines, whose traces follow so many others, so many lines each."""
    if not drive.beside:
        return {}
    steps = []
    for _, seen in _choices(drive):
        changes = [{"visible": name in seen} for name in drive.beside for _ in range(lines)]
        steps.append(Step([*([{}] * others), *changes]))
    return {BESIDE: steps}


def _channels(drive: Simulated) -> Figure:
    """Measured and simulated channels of one window at a time, and those of baselines."""
    pose = drive.spec.pose[:2] if drive.placed else ()
    names = [name for name in drive.channels if name not in pose][:PANELS] or list(drive.channels[:PANELS])
    columns = [drive.spec.state_indices[name] for name in names]
    times = drive.windows.dt * np.arange(drive.predicted.shape[1] + 1)
    coarse = _coarse(len(times))

    def step(place: int, number: int) -> Step:
        ways = [drive.measured(number), drive.simulated(number)]
        ways += [drive.in_log_frame(number, states[place])[coarse] for states in drive.beside.values()]
        return Step([{"y": numbers(row)} for way in ways for row in way[:, columns].T])

    steps = [step(place, int(number)) for place, number in enumerate(drive.shown[0])]
    kinds = [("measured", MEASURED, "solid", times), ("simulated", SIMULATED, "dash", times)]
    kinds += [(name, *style, times[coarse]) for name, style in zip(drive.beside, cycle(STYLES), strict=False)]
    data = [
        line(at, np.zeros(len(at)), kind, color, axis=panel, legend=panel == 1, dash=dash)
        for kind, color, dash, at in kinds
        for panel in range(1, len(names) + 1)
    ]
    data = [merged(trace, change) for trace, change in zip(data, steps[0].data, strict=True)]
    layout = stacked(
        [(name, drive.channel(name).unit) for name in names], "time since the start of the window [s]", 130
    )
    says = f"{', '.join(names)} of one window: measured, and simulated from its first row"
    says += f"; beside it {', '.join(drive.beside)}." if drive.beside else "."
    return Figure(data, layout, says, {WINDOW: steps, **_visible(drive, len(names), 2 * len(names))})


def _coarse(count: int) -> Int[np.ndarray, " K"]:
    """Which of so many points a baseline's line has: every page would be twice as large with all."""
    return np.unique(np.round(np.linspace(0, count - 1, min(count, COARSE))).astype(int))


def _way(drive: Simulated) -> Figure:
    """The way of one window at a time, from above."""
    places = list(drive.spec.pose_indices[:2])
    coarse = _coarse(drive.predicted.shape[1] + 1)

    def step(place: int, number: int) -> Step:
        measured = drive.measured(number)
        ways = [measured, drive.simulated(number), measured[:1]]
        ways += [drive.in_log_frame(number, states[place])[coarse] for states in drive.beside.values()]
        both = [way[:, places].T for way in ways]
        return Step([{"x": numbers(x, 5), "y": numbers(y, 5)} for x, y in both])

    steps = [step(place, int(number)) for place, number in enumerate(drive.shown[0])]
    nothing = np.zeros(0)
    data: list[dict[str, Any]] = [
        line(nothing, nothing, "measured", MEASURED),
        line(nothing, nothing, "simulated", SIMULATED, dash="dash"),
        line(nothing, nothing, "start", BASELINE, mode="markers", marker={"size": 8, "color": BASELINE}),
    ]
    data += [
        line(nothing, nothing, name, color, dash=dash)
        for name, (color, dash) in zip(drive.beside, cycle(STYLES), strict=False)
    ]
    layout = single("x [m]", "y [m]", 380)
    layout["yaxis"] |= {"scaleanchor": "x", "scaleratio": 1}
    says = "Way of one window from above, measured and simulated"
    says += f"; beside it {', '.join(drive.beside)}." if drive.beside else "."
    return Figure(data, layout, says, {WINDOW: steps, **_visible(drive, 1, 3)})


def _whole_drive(drive: Simulated) -> Figure:
    """One channel over all drives, with the window that is shown."""
    store, dt = drive.windows.store, drive.windows.dt
    shown = drive.headline.name
    name = next((name for name in ("v", "vx", shown) if name in drive.spec.state_indices), drive.channels[0])
    values = np.asarray(store.states[:, drive.spec.state_indices[name]], float).copy()
    values[np.flatnonzero(np.diff(store.recording)) + 1] = np.nan
    times, values = thinned(dt * np.arange(len(values)), values)
    layout = single("driving time [s]", "", 200, showlegend=False)
    layout["yaxis"]["title"] = {"text": f"{name} [{drive.channel(name).unit}]"}
    steps = []
    for first in drive.windows.starts[drive.shown[0]]:
        mark = {**span(first * dt, first * dt + drive.horizon), "fillcolor": "var(--baseline-band)"}
        steps.append(Step([], {"shapes": [mark | {"line": {"width": 2, "color": BASELINE}}]}))
    says = f"{name} over the whole of the drives; a frame marks the window that is shown."
    return Figure([line(times, values, name, MUTED)], layout, says, {WINDOW: steps})


def map_parts(drive: Simulated) -> list[Part]:
    """The drive from above, coloured by error, speed, slip or grip; a sentence where no position is known."""
    if not drive.placed:
        return [paragraph("The drives hold no position, so there is no map of them.")]
    store = drive.windows.store
    x, y, _ = drive.spec.pose_indices
    chosen = np.unique(np.round(np.linspace(0, len(drive.windows) - 1, POINTS)).astype(int))
    after = f"after {drive.horizon:g} s"
    colors: dict[str, tuple[str, np.ndarray]] = {}
    names = [drive.headline.name, *(name for name in drive.channels if name not in drive.spec.pose[:2])]
    for name in dict.fromkeys(names):
        unit = "m" if name == POSITION else drive.channel(name).unit
        colors[f"error of {name} {after}"] = (unit, drive.final(name)[chosen])
    colors |= {name: (unit, values[chosen]) for name, (unit, values) in drive.conditions().items()}
    place = np.asarray(store.states[:, [x, y]], float).copy()
    # Recordings begin at their own origin: a line from one to the next would mean nothing.
    place[np.flatnonzero(np.diff(store.recording)) + 1] = np.nan
    way = place[:: max(1, len(place) // WAY)]
    at = place[drive.windows.starts[chosen]]
    return [
        select(COLOR, "Colour", list(colors)),
        figure(
            "map",
            map_figure(at[:, 0], at[:, 1], colors, (way[:, 0], way[:, 1]), COLOR),
            "A point a window, where it begins; each recording from its own first position.",
        ),
    ]


def residual_parts(
    drive: Simulated | None,
    channels: Sequence[tuple[str, str]],
    times: Float[np.ndarray, " B"],
    errors: Float[np.ndarray, "B C"],
    accepted: Bool[np.ndarray, " B"],
    breaks: Sequence[float],
    horizon: float,
) -> list[Part]:
    """Errors at the ends of windows along the drives, and how they resemble each other.

    Args:
        drive: whose windows they are; None leaves the autocorrelation out.
        channels: name and unit.
        times: driving time of each window in s.
        errors: predicted minus logged, in each channel's unit.
        accepted: those that the fit did not reject.
        breaks: times in s at which another recording begins.
        horizon: in s.
    """
    says = f"Error of {', '.join(name for name, _ in channels)} after {horizon:g} s along the drives."
    parts = [
        figure(
            "residuals",
            residual_figure(channels, times, errors, accepted, breaks, says),
            f"Predicted minus logged after {horizon:g} s; lines mark where another recording begins.",
        )
    ]
    if drive is None:
        return parts
    found = autocorrelation(drive.windows.starts, drive.recording, errors, accepted)
    if found is None:
        return [*parts, paragraph("There are too few windows to tell whether errors resemble each other.")]
    lags, values, noise = found
    names = [name for name, _ in channels]
    says = f"Autocorrelation of the errors of {', '.join(names)} over the time between windows."
    shown = correlogram(names, drive.windows.dt * lags, values, noise, horizon, says)
    return [
        *parts,
        figure(
            "autocorrelation",
            shown,
            "How much an error resembles the one a while later. Windows within the shaded time share rows, "
            "so theirs do. Beyond it, errors of a model that lacks nothing stay within the level band.",
        ),
    ]
