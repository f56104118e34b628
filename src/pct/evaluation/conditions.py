"""Driving conditions of a window: speed and lateral acceleration, in bins of equal count."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.types import Bool, Float
from pct.windows.window_set import WindowSet

BINS = 4


class Condition(NamedTuple):
    """One quantity that windows are sorted by.

    Attributes:
        name, unit: what it is.
        edges: of the bins, increasing, (bins + 1,).
        inside: which windows are in each bin, (B,) each.
    """

    name: str
    unit: str
    edges: Float[np.ndarray, " E"]
    inside: list[Bool[np.ndarray, " B"]]


def conditions(windows: WindowSet, spec: ModelSpec) -> list[Condition]:
    """Mean speed, and mean size of the lateral acceleration (speed times yaw rate), over each window.

    A model whose states hold no speed has none.
    """
    first = np.asarray(windows.batch.initial_states, float)[:, None]
    states = np.concatenate([first, np.asarray(windows.batch.targets, float)], axis=1)
    columns = dict(zip(spec.state_names, np.moveaxis(states, -1, 0), strict=True))
    if {"vx", "vy"} <= columns.keys():
        speed = np.hypot(columns["vx"], columns["vy"])
    elif "v" in columns:
        speed = np.abs(columns["v"])
    else:
        return []
    if "psi_dot" in columns:
        yaw_rate = columns["psi_dot"]
    else:
        yaw_rate = np.gradient(columns[spec.pose[2]], windows.dt, axis=1)
    return [
        in_bins("speed", "m/s", speed.mean(axis=1)),
        in_bins("lateral acceleration", "m/s^2", np.abs(speed * yaw_rate).mean(axis=1)),
    ]


def in_bins(name: str, unit: str, values: Float[np.ndarray, " B"]) -> Condition:
    """Bins that hold equally many windows; fewer of them where many values are equal."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    number = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(edges.size - 2, 0))
    return Condition(name, unit, edges, [number == i for i in range(max(edges.size - 1, 1))])
