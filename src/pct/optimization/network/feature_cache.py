"""A cache of history features on disk: a fit to thousands of histories takes seconds, its result is small."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from pathlib import Path

import jax
import numpy as np

import pct
from pct.dynamics.core import ModelSpec
from pct.files import write_atomic
from pct.types import Array, Float
from pct.windows.window_set import HistoryFeatures

log = logging.getLogger(__name__)

# The oldest files make room beyond so many bytes.
MOST = 512 * 2**20


class CachedFeatures:
    """Another `HistoryFeatures`, with a cache in a folder.

    A result is found by the content of the histories, what it was computed with and the source code, so
    that a stale one cannot be used. Without access to the folder nothing is cached.

    Attributes:
        names: as the other's.
    """

    def __init__(self, compute: HistoryFeatures, spec: ModelSpec, settings: object, folder: Path) -> None:
        """Cache the results of ``compute`` for a model and settings that JSON can hold."""
        self.names = compute.names
        self._compute, self._folder = compute, folder
        self._base = _fingerprint(spec, settings)

    def __call__(
        self, states: Float[Array, "B L S"], controls: Float[Array, "B H C"], dt: float
    ) -> Float[np.ndarray, "B K"]:
        """The features, from the cache where they are there."""
        key = self._base.copy()
        for part in (states, controls, np.float64(dt)):
            key.update(str((part.shape, part.dtype)).encode())
            key.update(np.asarray(part).tobytes())
        path = self._folder / f"{key.hexdigest()}.npy"
        try:
            features = np.load(path, allow_pickle=False)
            path.touch()
            return features
        except (OSError, ValueError):  # not there, or damaged
            features = np.asarray(self._compute(states, controls, dt))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, lambda file: np.save(file, features))
            self._make_room()
        except OSError as error:
            log.debug("%s: cannot keep the features (%s)", path, error)
        return features

    def _make_room(self) -> None:
        newest_first = sorted(self._folder.glob("*.npy"), key=lambda path: -path.stat().st_mtime)
        total = np.cumsum([path.stat().st_size for path in newest_first])
        for path in newest_first[np.searchsorted(total, MOST, side="right") :]:
            path.unlink(missing_ok=True)


def _fingerprint(spec: ModelSpec, settings: object) -> hashlib._Hash:
    """Hash of all that features depend on beside the histories."""
    module = sys.modules[spec.dynamics_module].__file__
    sources = sorted(Path(pct.__file__).parent.rglob("*.py")) + ([Path(module)] if module else [])
    key = hashlib.sha256()
    for source in sources:
        key.update(source.read_bytes())
    inputs = spec.limited, spec.held
    values = spec.name, inputs, spec.param_keys, dict(spec.param_bounds), dict(spec.default_params)
    text = json.dumps((jax.__version__, settings, values), default=lambda leaf: np.asarray(leaf).tolist())
    key.update(text.encode())
    return key
