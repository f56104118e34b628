"""Windows as a fitted or trained model reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pct.errors import DataError
from pct.optimization.model import Model
from pct.optimization.network.history_fit import HistoryFit
from pct.types import Rows
from pct.windows.inputs import with_unlogged
from pct.windows.loading import load_window_store
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import WindowSet, make_window_set

M = TypeVar("M", bound=Model)


def load_windows(
    model: Model, paths: Sequence[Path], label: str, *, stride: int | None = None, horizon: int | None = None
) -> WindowSet:
    """Windows of dataset folders; see `all_windows`."""
    return all_windows(
        model, load_window_store(paths, model.spec, dt=model.dt, label=label), label, stride, horizon
    )


def all_windows(
    model: Model, store: WindowStore, label: str, stride: int | None = None, horizon: int | None = None
) -> WindowSet:
    """All windows of a store with the features that the model was trained on.

    Args:
        model: a network or fit; its settings say horizon, history and features.
        store: rows of the model's channels at its time step.
        label: purpose of the data, for messages.
        stride: steps from one window to the next; that of training when left out.
        horizon: steps that are predicted; those of training when left out.

    Returns:
        Windows as they are logged; ``model.prepare`` begins them as the model does.

    Raises:
        DataError: no recording is long enough, or they have other ``feature.*`` columns than training had.
    """
    settings = model.settings
    starts = window_starts(
        store,
        horizon=horizon or settings["horizon"],
        history=settings["history"],
        stride=stride or settings["stride"],
        label=label,
    )
    return windows_at(model, store, starts, label, horizon)


def as_logged(model: M, store: WindowStore) -> M:
    """The model for the rows of a store: its observer reads no state that they do not hold.

    Args:
        model: a network or fit; a state that its own drives did not hold is not read here either.
        store: rows of the model's channels.
    """
    return dataclasses.replace(model, spec=with_unlogged(model.spec, store.origins, only=False))


def windows_at(
    model: Model, store: WindowStore, starts: Rows, label: str, horizon: int | None = None
) -> WindowSet:
    """Windows that begin at these rows; arguments and errors as in `all_windows`."""
    settings: Any = model.settings
    fit = HistoryFit(model.spec, model.integrator_name, model.substeps)
    windows = make_window_set(
        store,
        starts,
        model.spec,
        horizon=horizon or settings["horizon"],
        history=settings["history"],
        feature_mode=settings["feature_mode"],
        history_features=fit if settings["history_fit"] else None,
        sequence=settings.get("encoder") == "gru",
    )
    columns, expected = (
        [name for name in names if name.startswith("feature.")]
        for names in (windows.feature_names, settings["feature_names"])
    )
    if columns != expected:
        raise DataError(
            f"{label} data: expected the columns that the network was trained on, "
            f"{', '.join(expected) or 'no feature.*'}, found {', '.join(columns) or 'none'}"
        )
    return windows
