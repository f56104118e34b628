"""The windows that a model and its baselines are judged on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import DataError
from pct.evaluation.model import Model
from pct.optimization.network.history_fit import HistoryFit
from pct.optimization.network.trained import TrainedModel
from pct.recordings.folder import read_folder
from pct.runs.directory import CONFIG
from pct.types import Bool
from pct.windows.batch import FeatureDataset
from pct.windows.loading import load_window_store
from pct.windows.splits import rows_of_windows, split_starts, windows_within
from pct.windows.store import WindowStore, spread, window_starts
from pct.windows.window_set import WindowSet, make_window_set


def load_test_windows(model: Model, paths: Sequence[Path], *, horizon: int, stride: int) -> WindowSet:
    """Windows of dataset folders as the model was trained to read them, of any horizon.

    Raises:
        DataError: the logs cannot be used, or hold other ``feature.*`` columns than those of training.
    """
    return load_windows_of(model, paths, "test", stride=stride, horizon=horizon)


def load_training_windows(
    model: Model, run: Path, *, horizon: int, samples: int
) -> tuple[WindowStore, Bool[np.ndarray, " N"], WindowSet]:
    """The rows that a run was trained on, and windows of any horizon that lie within them.

    Returns:
        All rows of the training data, which of them training read, (N,), and the windows.

    Raises:
        DataError: the data that the run names is gone, or no window of that horizon lies within it.
    """
    try:
        config = json.loads((run / CONFIG).read_text())
        folders = [Path(path) for path in config["dataset"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{run / CONFIG} does not name the training data") from None
    if gone := [str(folder) for folder in folders if not folder.is_dir()]:
        raise DataError(f"the training data is gone: {', '.join(gone)}")
    store = load_window_store(folders, model.spec, dt=model.dt)
    trained = {"horizon": model.settings["horizon"], "history": model.settings["history"]}
    starts, _ = split_starts(
        store,
        config.get("val_split") or 0.0,
        stride=model.settings["stride"],
        samples=config.get("samples"),
        **trained,
    )
    read = rows_of_windows(starts, store.recording.size, **trained)
    shape = {"horizon": horizon, "history": trained["history"]}
    inside = windows_within(window_starts(store, **shape), read, **shape)
    if not inside.size:
        raise DataError(f"no {horizon} steps in a row lie within the training windows")
    windows = make_window_set(store, spread(inside, samples), model.spec, feature_mode="context", **shape)
    return store, read, windows


def derived_channels(paths: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Which of these channels some recording of the folders does not hold, so that they are derived."""
    drives = [drive for path in paths for drive in read_folder(path)]
    return [name for name in names if not all(name in drive.channels for drive in drives)]


def load_windows(
    trained: TrainedModel, paths: Sequence[Path], label: str, *, stride: int | None = None
) -> FeatureDataset:
    """Windows of dataset folders as the network was trained to read them; see `load_windows_of`."""
    return trained.prepare(load_windows_of(trained, paths, label, stride=stride)).gather()


def load_windows_of(
    trained: Any,
    paths: Sequence[Path],
    label: str,
    *,
    stride: int | None = None,
    horizon: int | None = None,
) -> WindowSet:
    """Windows of dataset folders with the features that the network was trained on.

    Args:
        trained: the network, or a fit; its settings say horizon, history and features.
        paths: dataset or raw folders.
        label: what the data is for, named in messages.
        stride: steps from one window to the next; that of training when left out.
        horizon: steps that are predicted; those of training when left out.

    Raises:
        DataError: the logs cannot be used, or hold other ``feature.*`` columns than those of training.
    """
    settings = trained.settings
    fit = HistoryFit(trained.spec, trained.integrator_name, trained.substeps)
    shape: Any = {"horizon": horizon or settings["horizon"], "history": settings["history"]}
    store = load_window_store(paths, trained.spec, dt=trained.dt, label=label)
    windows = make_window_set(
        store,
        window_starts(store, stride=stride or settings["stride"], label=label, **shape),
        trained.spec,
        **shape,
        feature_mode=settings["feature_mode"],
        history_features=fit if settings["history_fit"] else None,
        sequence=settings.get("encoder") == "gru",
    )
    found, expected = (
        [name for name in names if name.startswith("feature.")]
        for names in (windows.feature_names, settings["feature_names"])
    )
    if found != expected:
        raise DataError(
            f"{label} data: expected the columns that the network was trained on, "
            f"{', '.join(expected) or 'no feature.*'}, found {', '.join(found) or 'none'}"
        )
    return windows
