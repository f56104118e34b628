"""From dataset and raw folders to a `FeatureDataset`, with a cache that cannot be stale.

The cache holds prepared rows (read, checked, resampled, derived), never windows, so that another
horizon or feature mode reuses it. It is keyed by the content of every file of the folders, the channels
of the model, the time step and the source code of this room.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.errors import DataError
from pct.files import sha256, write_atomic
from pct.recordings.derive import model_columns
from pct.recordings.folder import read_folder
from pct.recordings.trajectory import Trajectory, resample
from pct.windows.batch import FeatureDataset, FeatureMode, WindowStore, window_starts
from pct.windows.splits import split_starts
from pct.windows.window_set import HistoryFeatures, WindowSet, make_window_set

log = logging.getLogger(__name__)

CACHE_FORMAT = "pct-rows-1"
# Rooms whose code decides what the prepared rows are.
READING_ROOMS = ("logs", "recordings", "windows")


def load_feature_dataset_group(
    paths: Sequence[Path],
    spec: ModelSpec,
    cache: Path | None,
    refresh: bool,
    samples: int | None,
    dt: int | None,
    feature_mode: FeatureMode,
    label: str,
    **window_shape: Any,
) -> FeatureDataset:
    """All windows of one or more dataset folders in memory; arguments as in `load_window_set`."""
    return load_window_set(
        paths, spec, cache, refresh, samples, dt, feature_mode, label, **window_shape
    ).gather()


def load_window_set(
    paths: Sequence[Path],
    spec: ModelSpec,
    cache: Path | None,
    refresh: bool,
    samples: int | None,
    dt: int | None,
    feature_mode: FeatureMode,
    label: str,
    *,
    horizon: int = 20,
    history: int = 20,
    stride: int = 1,
    history_features: HistoryFeatures | None = None,
    sequence: bool = False,
) -> WindowSet:
    """Windows of one or more dataset folders, to be gathered from their rows.

    Args:
        paths: dataset folders, or raw folders with a ``signals.toml``.
        spec: the model whose states and controls are read.
        cache: file that keeps the prepared rows; None keeps none.
        refresh: make the cache anew even where it fits.
        samples: most windows to keep, spread evenly; None keeps all.
        dt: time step in hundredths of a second; None takes the recordings' own.
        feature_mode: ``full``, ``context`` or ``features``.
        label: what the data is for (``training``, ``validation``), named in messages.
        horizon, history, stride: see `window_starts`.
        history_features, sequence: see `make_window_set`.

    Raises:
        DataError: a folder or file that cannot be used; says which, where, and the likely fix.
        UsageError: the feature mode does not fit the logs.
    """
    store = load_window_store(paths, spec, cache=cache, refresh=refresh, dt=dt, label=label)
    try:
        starts = window_starts(store, horizon=horizon, history=history, stride=stride, samples=samples)
    except DataError as error:
        raise DataError(f"{label} data: {error}") from None
    return make_window_set(
        store,
        starts,
        spec,
        horizon=horizon,
        history=history,
        feature_mode=feature_mode,
        history_features=history_features,
        sequence=sequence,
    )


def load_split_window_sets(
    paths: Sequence[Path],
    spec: ModelSpec,
    cache: Path | None,
    refresh: bool,
    samples: int | None,
    val_samples: int | None,
    share: float,
    dt: int | None,
    feature_mode: FeatureMode,
    *,
    horizon: int = 20,
    history: int = 20,
    stride: int = 1,
    history_features: HistoryFeatures | None = None,
    sequence: bool = False,
) -> tuple[WindowSet, WindowSet]:
    """Windows to train on, and windows of the same folders that have no row in common with them.

    Args:
        val_samples: most windows to hold out, spread evenly; None keeps all.
        share: part that is held out; see `pct.windows.splits.split_rows`.

    The other arguments and what is raised are those of `load_window_set`.
    """
    store = load_window_store(paths, spec, cache=cache, refresh=refresh, dt=dt)
    training, held_out = split_starts(
        store,
        share,
        horizon=horizon,
        history=history,
        stride=stride,
        samples=samples,
        val_samples=val_samples,
    )
    make = partial(
        make_window_set,
        store,
        spec=spec,
        horizon=horizon,
        history=history,
        feature_mode=feature_mode,
        history_features=history_features,
        sequence=sequence,
    )
    return make(starts=training), make(starts=held_out)


def load_window_store(
    paths: Sequence[Path],
    spec: ModelSpec,
    *,
    cache: Path | None = None,
    refresh: bool = False,
    dt: int | None = None,
    label: str = "training",
) -> WindowStore:
    """Rows of all recordings of the folders, prepared for a model; arguments as above."""
    for path in paths:
        if not path.is_dir():
            raise DataError(f"{label} data: expected a folder, found none at {path}")
    if cache is None:
        return _prepare(paths, spec, dt, label)
    key = _fingerprint(paths, spec, dt)
    if not refresh:
        store = _read_cache(cache, key)
        if store is not None:
            return store
    store = _prepare(paths, spec, dt, label)
    _write_cache(cache, key, store)
    return store


def _prepare(paths: Sequence[Path], spec: ModelSpec, dt: int | None, label: str) -> WindowStore:
    """Read, resample and derive."""
    recordings = [
        (f"{path.name}/{trajectory.name}", trajectory) for path in paths for trajectory in read_folder(path)
    ]
    step = _common_step(recordings, dt, label)
    prepared = [(name, resample(trajectory, step)) for name, trajectory in recordings]
    exogenous = _shared_columns(prepared, "feature.")
    truth = _shared_columns(prepared, "truth.")
    columns = [model_columns(trajectory, spec) for _, trajectory in prepared]
    x, y, _ = spec.pose_indices
    states = []
    for array, _ in columns:
        moved = array.copy()
        # Single precision holds a recording's own size, not map coordinates.
        moved[:, [x, y]] -= moved[0, [x, y]]
        states.append(moved)

    def stack(names: Sequence[str], prefix: str) -> np.ndarray:
        return np.concatenate(
            [
                np.stack([t.channels[prefix + n] for n in names], axis=-1) if names else np.zeros((len(t), 0))
                for _, t in prepared
            ]
        ).astype(np.float32)

    return WindowStore(
        states=np.concatenate(states).astype(np.float32),
        controls=np.concatenate([array for _, array in columns]).astype(np.float32),
        exogenous=stack(exogenous, "feature."),
        truth=stack(truth, "truth."),
        times=np.concatenate([t.start + step * np.arange(len(t)) for _, t in prepared]),
        recording=np.repeat(np.arange(len(prepared)), [len(t) for _, t in prepared]).astype(np.int32),
        recordings=tuple(name for name, _ in prepared),
        exogenous_names=exogenous,
        truth_names=truth,
        dt=step,
    )


def _common_step(recordings: list[tuple[str, Trajectory]], dt: int | None, label: str) -> float:
    """The one time step in s; refuses mixed rates and steps finer than the log."""
    by_step = {round(trajectory.dt, 6): name for name, trajectory in recordings}
    coarsest = max(by_step)
    if dt is None:
        if len(by_step) > 1:
            found = ", ".join(f"{step:g} s ('{name}')" for step, name in sorted(by_step.items()))
            raise DataError(
                f"{label} data: expected one time step, found {found}: "
                f"pass --dt {max(1, round(100 * coarsest))} to bring all to one"
            )
        if abs(100 * coarsest - round(100 * coarsest)) > 1e-3:
            raise DataError(
                f"{label} data: '{by_step[coarsest]}' has a step of {coarsest:g} s, which is no whole "
                f"number of hundredths: pass --dt {int(np.ceil(100 * coarsest))} to resample"
            )
        return round(100 * coarsest) / 100
    if dt / 100 < coarsest * (1 - 1e-3):
        least = int(np.ceil(100 * coarsest - 1e-6))
        raise DataError(
            f"{label} data: --dt {dt} asks for a step of {dt / 100:g} s, finer than the "
            f"{coarsest:g} s of '{by_step[coarsest]}': pass --dt {least} or more"
        )
    return dt / 100


def _shared_columns(recordings: list[tuple[str, Trajectory]], prefix: str) -> tuple[str, ...]:
    """Names behind a prefix, the same in every recording."""
    name, first = recordings[0]
    expected = sorted(column for column in first.channels if column.startswith(prefix))
    for other, trajectory in recordings[1:]:
        found = sorted(column for column in trajectory.channels if column.startswith(prefix))
        if found != expected:
            raise DataError(
                f"'{other}': expected the {prefix}* columns of '{name}' ({', '.join(expected) or 'none'}), "
                f"found {', '.join(found) or 'none'}: give every recording the same ones"
            )
    return tuple(column.removeprefix(prefix) for column in expected)


def data_hashes(paths: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of every file of the folders, by path."""
    return {
        str(file): sha256(file)
        for path in paths
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    }


def _fingerprint(paths: Sequence[Path], spec: ModelSpec, dt: int | None) -> str:
    """Hash of all that the prepared rows depend on."""
    code = [
        file
        for room in READING_ROOMS
        for kind in ("*.py", "*.toml")
        for file in sorted((Path(__file__).parents[1] / room).rglob(kind))
    ]
    content = {
        "code": [sha256(file) for file in code],
        "files": [
            (path.name, Path(file).name, digest)
            for path in paths
            for file, digest in data_hashes([path]).items()
        ],
        "states": spec.state_names,
        "controls": spec.control_names,
        "dt": dt,
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _read_cache(cache: Path, key: str) -> WindowStore | None:
    """The cached rows, or None where there are none for this key."""
    if not cache.exists():
        return None
    try:
        with cache.open("rb") as content, np.load(content, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            arrays = {name: file[name] for name in file.files if name != "header"}
        if header.pop("format") != CACHE_FORMAT:
            raise ValueError("it is of another format")
        if header.pop("key") == key:
            names = {name: tuple(value) for name, value in header.items() if isinstance(value, list)}
            fields: dict[str, Any] = {**arrays, **header, **names}
            return WindowStore(**fields)
    except Exception as error:  # damaged bytes fail anywhere inside zip, JSON and NumPy
        raise DataError(
            f"{cache}: expected a dataset cache, could not read it ({error}): "
            "delete it, or pass --refresh-cache to write it anew"
        ) from None
    log.warning("%s: the data or the loader changed since it was written; making it anew", cache)
    return None


def _write_cache(cache: Path, key: str, store: WindowStore) -> None:
    fields = store._asdict()
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    header = {name: value for name, value in fields.items() if name not in arrays}
    text = json.dumps({"format": CACHE_FORMAT, "key": key, **header})
    save: Callable[..., None] = np.savez
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(cache, lambda file: save(file, header=np.array(text), **arrays))
    except OSError as error:
        raise DataError(f"{cache}: cannot write the cache ({error.strerror}): choose another place") from None
