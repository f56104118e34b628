"""Figures of a training: what is predicted along drives, and losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.pages.figures import (
    BASELINE,
    CONTROL,
    MEASURED,
    MUTED,
    SIMULATED,
    Figure,
    line,
    stacked,
    thinned,
)
from pct.types import Float, Rows


def course_figure(
    times: Float[np.ndarray, " B"],
    units: Mapping[str, str],
    values: Mapping[str, Float[np.ndarray, " B"]],
    truth: Mapping[str, Float[np.ndarray, " B"]],
    recording: Rows,
) -> Figure:
    """Quantities along drives, one panel each, beside what is known of them.

    Args:
        times: driving time in s.
        units: of each quantity, which stands for a panel.
        values: by quantity.
        truth: by quantity, where it is known.
        recording: number of the recording at each time.
    """
    layout, data = stacked(list(units.items()), "driving time [s]"), []
    breaks = np.flatnonzero(np.diff(recording)) + 1
    for n, name in enumerate(units, 1):
        for kind, source, color, dash in (
            ("known", truth, MEASURED, "dot"),
            ("predicted", values, SIMULATED, "solid"),
        ):
            if name in source:
                row = source[name].copy()
                row[breaks] = np.nan
                at, row = thinned(times, row)
                data.append(line(at, row, kind, color, axis=n, legend=n == 1, dash=dash))
    return Figure(data, layout, f"{', '.join(units)} along the drives.")


def loss_figure(
    *,
    train_steps: np.ndarray,
    train_loss: np.ndarray,
    val_steps: np.ndarray,
    val_loss: np.ndarray,
    learning_rate: np.ndarray,
    horizon: np.ndarray,
    best_step: int | None,
) -> Figure:
    """Losses, learning rate and horizon over steps; arguments as of `pct.plots.draw_losses`."""
    panels = [("loss", ""), ("learning rate", ""), ("horizon", "steps")]
    layout = stacked(panels, "step")
    data = [line(*thinned(train_steps.astype(float), train_loss.astype(float)), "training", SIMULATED)]
    if len(val_steps):
        data.append(
            line(val_steps, val_loss, "validation", BASELINE, mode="lines+markers", marker={"size": 5})
        )
    if best_step is not None and len(val_steps):
        near = np.argmin(np.abs(val_steps - best_step))
        mark: dict[str, Any] = {"mode": "markers", "marker": {"size": 11, "symbol": "star", "color": CONTROL}}
        data.append(line(val_steps[[near]], val_loss[[near]], "best epoch", CONTROL, **mark))
    for n, row in ((2, learning_rate), (3, horizon)):
        at, row = thinned(train_steps.astype(float), row.astype(float))
        data.append(line(at, row, panels[n - 1][0], MUTED, axis=n, legend=False))
    layout["yaxis"]["type"] = layout["yaxis2"]["type"] = "log"
    return Figure(data, layout, "Losses of training and validation, learning rate and horizon by step.")
