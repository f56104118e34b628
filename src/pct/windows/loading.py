"""From folders to windows, with a cache of rows that cannot be stale.

The cache holds prepared rows (read, checked, resampled, derived), never windows, so that another
horizon or feature mode reuses it. It is keyed by the content of every file of the folders, the channels
of the model, the time step and the source code of the rooms that read logs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.errors import DataError
from pct.files import sha256, write_atomic
from pct.recordings.folder import read_folder
from pct.windows.batch import FeatureDataset
from pct.windows.inputs import Inputs
from pct.windows.store import WindowStore, make_window_store, window_starts
from pct.windows.window_set import FeatureMode, HistoryFeatures, make_window_set

log = logging.getLogger(__name__)

CACHE_FORMAT = "pct-rows-2"
# How a cache begins: a zip whose first member is the header, behind the facts of that.
ZIP, FIRST = b"PK\x03\x04", b"header.npy"
ZIP_FACTS = 26
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
    *,
    horizon: int = 20,
    history: int = 20,
    stride: int = 1,
    history_features: HistoryFeatures | None = None,
    sequence: bool = False,
) -> FeatureDataset:
    """All windows of one or more dataset folders in memory.

    Args:
        paths, spec, cache, refresh, label: see `load_window_store`.
        samples: most windows to keep, spread evenly; None keeps all.
        dt: time step in hundredths of a second; None takes the recordings' own.
        feature_mode: ``full``, ``context`` or ``features``.
        horizon, history, stride: see `window_starts`.
        history_features, sequence: see `make_window_set`.

    Raises:
        DataError: a folder or file that cannot be used; says which, where, and the likely fix.
        UsageError: the feature mode does not fit the logs.
    """
    step = None if dt is None else dt / 100
    store = load_window_store(paths, spec, cache=cache, refresh=refresh, dt=step, label=label)
    return make_window_set(
        store,
        window_starts(store, horizon=horizon, history=history, stride=stride, samples=samples, label=label),
        spec,
        horizon=horizon,
        history=history,
        feature_mode=feature_mode,
        history_features=history_features,
        sequence=sequence,
    ).gather()


def load_window_store(
    paths: Sequence[Path],
    spec: ModelSpec,
    *,
    cache: Path | None = None,
    refresh: bool = False,
    dt: float | None = None,
    label: str = "training",
    inputs: Inputs | None = None,
) -> WindowStore:
    """Rows of all recordings of folders, prepared for a model.

    Args:
        paths: dataset folders, or raw folders with a ``signals.toml``.
        spec: the model whose states and controls are read.
        cache: file that keeps the prepared rows; None keeps none.
        refresh: make the cache anew even where it fits.
        dt, label, inputs: see `make_window_store`.

    Raises:
        DataError: a folder or file that cannot be used; says which, where, and the likely fix.
    """
    for path in paths:
        if not path.is_dir():
            raise DataError(f"{label} data: expected a folder, found none at {path}")
    key = None if cache is None else _fingerprint(paths, spec, dt, inputs)
    if cache is not None and key is not None:
        _require_cache(cache)
        store = None if refresh else _read_cache(cache, key)
        if store is not None:
            return store
    recordings = [(f"{path.name}/{drive.name}", drive) for path in paths for drive in read_folder(path)]
    store = make_window_store(recordings, spec, dt=dt, label=label, inputs=inputs)
    if cache is not None and key is not None:
        _write_cache(cache, key, store)
    return store


def data_hashes(paths: Sequence[Path], names: Collection[str] | None = None) -> dict[str, str]:
    """SHA-256 of every file of the folders, by path; of recordings stored apart, those of these names."""
    return {
        str(file): sha256(file)
        for path in paths
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
        if names is None or file.suffix != ".parquet" or file.stem in names
    }


def _fingerprint(paths: Sequence[Path], spec: ModelSpec, dt: float | None, inputs: Inputs | None) -> str:
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
        "inputs": inputs,
        "interpolated": spec.interpolated,
        # What stands in place of channels that are not logged rests on these.
        "axles": [str(spec.default_params.get(name)) for name in ("lf", "lr")],
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _require_cache(cache: Path) -> None:
    """Refuse to write over a file that is somebody's own.

    Raises:
        DataError: it is neither empty nor the beginning of a cache, or cannot be read.
    """
    try:
        if not cache.exists():
            return
        with cache.open("rb") as file:
            start = file.read(len(ZIP) + ZIP_FACTS + len(FIRST))
    except OSError as error:
        raise DataError(
            f"{cache}: expected a dataset cache, cannot read it ({error.strerror}): choose another file"
        ) from None
    if start and not (start.startswith(ZIP) and start.endswith(FIRST)):
        raise DataError(
            f"{cache}: expected a dataset cache or no file, found another one: choose another name, "
            "or delete the file"
        )


def _read_cache(cache: Path, key: str) -> WindowStore | None:
    """The cached rows, or None where there are none for this key."""
    if not cache.exists():
        return None
    try:
        with cache.open("rb") as content, np.load(content, allow_pickle=False) as file:
            if any(member.compress_type != zipfile.ZIP_STORED for member in file.zip.infolist()):
                raise ValueError("it is compressed")  # and may be of any size
            header = json.loads(str(file["header"]))
            if header.pop("format") == CACHE_FORMAT and header.pop("key") == key:
                names = {name: tuple(value) for name, value in header.items() if isinstance(value, list)}
                arrays = {name: file[name] for name in file.files if name != "header"}
                fields: dict[str, Any] = {**arrays, **header, **names}
                return WindowStore(**fields)
    except Exception as error:  # damaged bytes fail anywhere inside zip, JSON and NumPy
        log.debug("the cause", exc_info=error)
        log.warning("%s: the dataset cache is damaged; making it anew", cache)
        return None
    log.warning("%s: the data or the loader changed since it was written; making it anew", cache)
    return None


def _write_cache(cache: Path, key: str, store: WindowStore) -> None:
    fields = store._asdict()
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    header = {name: value for name, value in fields.items() if name not in arrays}
    header["origins"] = dict(store.origins)
    text = json.dumps({"format": CACHE_FORMAT, "key": key, **header})
    save: Callable[..., None] = np.savez
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(cache, lambda file: save(file, header=np.array(text), **arrays))
    except OSError as error:
        log.warning("%s: the dataset cache cannot be written (%s)", cache, error.strerror)
