"""Laps of several drivers as a GIF: all start at once, and who leaves the track stays there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pct.files import temporary_folder
from pct.plots.layout import make_figure
from pct.plots.style import MUTED, STYLE
from pct.types import Float

# Inches, dots an inch, frames a second and the seconds of a drive between them; how long the last one stays.
SIZE, DENSITY, RATE, PACE, STAYS = (6.4, 4.0), 80, 12, 0.5, 2.0


def animate_race(
    *,
    track: Any,
    drives: Mapping[str, Mapping[str, Float[np.ndarray, " _"]]],
    ends: Sequence[tuple[bool, str]],
    dt: float,
) -> bytes:
    """The drives on the map over time.

    Args:
        track: has ``name, x, y, heading, left, right``.
        drives: positions in m by channel, by driver.
        ends: whether each driver has finished, and the lap time or what went wrong.
        dt: seconds from row to row.

    Returns:
        The GIF.
    """
    with matplotlib.style.context(["default", STYLE]):
        figure = make_figure(f"Laps on {track.name}, {PACE * RATE:g} times as fast", *SIZE)
        FigureCanvasAgg(figure)
        chart = figure.add_axes((0.02, 0.02, 0.62, 0.86))
        chart.set_aspect("equal")
        chart.set_axis_off()
        for side, width in ((1.0, track.left), (-1.0, track.right)):
            x, y = (
                track.x - side * width * np.sin(track.heading),
                track.y + side * width * np.cos(track.heading),
            )
            chart.plot(np.append(x, x[0]), np.append(y, y[0]), color=MUTED, linewidth=0.8)
        clock = figure.text(0.66, 0.84, "")
        lines, cars, notes = [], [], []
        for number, name in enumerate(drives):
            color = f"C{number}"
            lines.extend(chart.plot([], [], color=color, linewidth=1.0))
            cars.extend(chart.plot([], [], "o", color=color, markersize=6.0))
            figure.text(0.66, 0.76 - 0.14 * number, name, color=color, weight="bold")
            notes.append(figure.text(0.66, 0.71 - 0.14 * number, ""))
        longest = max(len(true["x"]) for true in drives.values())
        every = max(1, round(PACE / dt))
        frames = [*range(0, longest, every), *[longest] * round(STAYS * RATE)]
        with temporary_folder() as folder:
            writer = PillowWriter(fps=RATE)
            with writer.saving(figure, str(folder / "race.gif"), DENSITY):
                for row in frames:
                    clock.set_text(f"{row * dt:.1f} s")
                    for true, line, car, note, (finished, end) in zip(
                        drives.values(), lines, cars, notes, ends, strict=True
                    ):
                        x, y, v = (true[channel][: row + 1] for channel in ("x", "y", "v"))
                        line.set_data(x, y)
                        car.set_data(x[-1:], y[-1:])
                        over = row >= len(true["x"]) - 1
                        note.set_text(end if over else f"{v[-1]:.0f} m/s")
                        car.set_marker("X" if over and not finished else "o")
                    writer.grab_frame()
            return (folder / "race.gif").read_bytes()
