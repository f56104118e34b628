"""The data of an evaluation: the test recordings, and what the model was trained on."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import numpy as np

from pct.dynamics.core import Channel
from pct.errors import DataError
from pct.json_files import in_range, read_json
from pct.logs.signals import MAP
from pct.optimization.model import Model
from pct.optimization.settings import ROWS
from pct.recordings.trajectory import MANIFEST, Trajectory
from pct.runs.directory import CONFIG, data_of
from pct.runs.overlap import Hashes, load_fingerprint, row_hashes
from pct.types import Bool, Rows
from pct.windows.loading import load_window_store
from pct.windows.splits import (
    Span,
    rows_of_spans,
    rows_of_windows,
    split_starts,
    starts_beside,
    windows_within,
)
from pct.windows.store import WindowStore, spread, window_starts
from pct.windows.window_set import WindowSet, make_window_set


@dataclasses.dataclass(frozen=True, eq=False)
class TestData:
    """Test recordings.

    Attributes:
        recordings: name and trajectory of each.
        hashes: SHA-256 of the files behind them, by path.
    """

    __test__ = False  # no test of pytest

    recordings: Sequence[tuple[str, Trajectory]]
    hashes: Mapping[str, str]

    def derived(self, controls: Sequence[Channel]) -> tuple[str, ...]:
        """Names of the controls that are the rate of a state, taken from its measurements by PCT or by an
        import: who reads them over the horizon is told how that state will go on.
        """
        origins = [trajectory.origins for _, trajectory in self.recordings]
        return tuple(
            control.name
            for control in controls
            if control.rate_of and any(origin.get(control.name, "derived") == "derived" for origin in origins)
        )


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingData:
    """What a model was trained on.

    Attributes:
        load: the rows of the training data, and the first row of each training window; raises DataError where
            they are missing.
        fingerprint: hashes of the rows that training read; None to compute them from ``load``.
        hashes: SHA-256 of the files of training and validation data, by path.
        below: hashes of the rows that a fit below a network has used, where the fingerprint lacks them.
    """

    load: Callable[[], tuple[WindowStore, Rows]]
    fingerprint: Hashes | None
    hashes: Mapping[str, str]
    below: Hashes | None = None

    def rows_read(self, model: Model) -> tuple[WindowStore, Bool[np.ndarray, " N"]]:
        """The rows of the training data, and which of them training read, (N,)."""
        store, starts = self.load()
        shape = {"horizon": model.settings["horizon"], "history": model.settings["history"]}
        return store, rows_of_windows(starts, store.recording.size, **shape)

    def row_hashes(self, model: Model) -> Hashes:
        """Hashes of the rows that training read, also that of a fit below.

        Raises:
            DataError: there is neither a fingerprint nor the data.
        """
        if self.fingerprint is not None:
            return self.fingerprint
        store, read = self.rows_read(model)
        hashes = row_hashes(store, model.spec.pose_indices, read)
        return hashes if self.below is None else np.concatenate([hashes, self.below])

    def windows(self, model: Model, *, horizon: int, samples: int) -> WindowSet:
        """Windows of any horizon that lie within the rows that training read.

        Raises:
            DataError: the data is missing, or no window of that horizon lies within it.
        """
        store, read = self.rows_read(model)
        shape: Any = {"horizon": horizon, "history": model.settings["history"]}
        inside = windows_within(window_starts(store, **shape), read, **shape)
        if not inside.size:
            raise DataError(f"no {horizon} steps in a row lie within the training windows")
        return make_window_set(store, spread(inside, samples), model.spec, feature_mode="context", **shape)

    def shares_recordings(self, test: TestData) -> bool:
        """Whether some test file is one of training or validation, by its content."""
        return bool(_recordings(self.hashes) & _recordings(test.hashes))


def training_data_of(
    model: Model,
    windows: WindowSet | None,
    hashes: Mapping[str, str],
    run: Path | None,
    below: Hashes | None = None,
) -> TrainingData:
    """Of a fit or network: of its windows where they are in memory, else of its run folder."""
    if windows is not None:
        return TrainingData(lambda: (windows.store, windows.starts), None, hashes, below)
    assert run is not None
    return training_data_of_run(run, model)


class DataTable(TypedDict):
    """What ``config.json`` says of the training data."""

    dataset: list[str]
    samples: NotRequired[Annotated[int, in_range(ROWS)] | None]
    val_split: NotRequired[Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] | None]


def training_data_of_run(run: Path, model: Model) -> TrainingData:
    """Of a run folder, which names its training data."""

    def load() -> tuple[WindowStore, Rows]:
        config = read_json(run / CONFIG, DataTable, what="the settings of a run", fix="train or fit again")
        folders = [Path(path) for path in config["dataset"]]
        if gone := [str(folder) for folder in folders if not os.path.isdir(folder)]:
            raise DataError(f"the training data is gone: {', '.join(gone)}")
        if not folders:
            raise DataError(f"{run / CONFIG} does not name the training data")
        store = load_window_store(folders, model.spec, dt=model.dt)
        shape: Any = {name: model.settings[name] for name in ("horizon", "history")}
        thinned = {"stride": model.settings["stride"], "samples": config.get("samples")}
        if (held_out := model.settings.get("held_out")) is None:  # of an older version
            starts, _ = split_starts(store, config.get("val_split") or 0.0, **thinned, **shape)
            return store, starts
        held = rows_of_spans(store, [Span(**span) for span in held_out])
        return store, starts_beside(store, held, **thinned, **shape)

    return TrainingData(load, load_fingerprint(run), data_of(run))


def _recordings(hashes: Mapping[str, str]) -> set[str]:
    """The hashes of recordings: their descriptions may well be the same for others."""
    return {content for path, content in hashes.items() if Path(path).name not in (MANIFEST, MAP)}
