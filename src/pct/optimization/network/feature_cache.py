"""A cache of history features on disk: a fit to thousands of histories takes seconds, its result is small."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sys
from pathlib import Path

import jax
import numpy as np

import pct
from pct.dynamics.core import ModelSpec
from pct.files import Cache, open_cache
from pct.types import Array, Float
from pct.windows.window_set import HistoryFeatures

log = logging.getLogger(__name__)

# Bytes of features that are kept.
MOST = 512 * 2**20


def open_features() -> Cache | None:
    """The cache in the user's cache folder; None, after one line, where there is no safe folder for it."""
    return open_cache("histories", "what was computed of histories", MOST)


class CachedFeatures:
    """Another `HistoryFeatures`, with a cache.

    A result is found by the content of the histories, what it was computed with and the source code, so
    that a stale one cannot be used. A disk that takes no more is said once.

    Attributes:
        names: as the other's.
    """

    def __init__(self, compute: HistoryFeatures, spec: ModelSpec, settings: object, cache: Cache) -> None:
        """Cache the results of ``compute`` for a model and settings that JSON can hold."""
        self.names = compute.names
        self._compute, self._cache = compute, cache
        self._is_writable = True
        self._base = _fingerprint(spec, settings)

    def __call__(
        self, states: Float[Array, "B L S"], controls: Float[Array, "B H C"], dt: float
    ) -> Float[np.ndarray, "B K"]:
        """The features, from the cache where they are there."""
        key = self._base.copy()
        for part in (states, controls, np.float64(dt)):
            key.update(str((part.shape, part.dtype)).encode())
            key.update(np.asarray(part).tobytes())
        name = f"{key.hexdigest()}.npy"
        if (content := self._cache.get(name)) is not None:
            return np.load(io.BytesIO(content), allow_pickle=False)
        features = np.asarray(self._compute(states, controls, dt))
        if self._is_writable:
            self._keep(name, features)
        return features

    def _keep(self, name: str, features: Float[np.ndarray, "B K"]) -> None:
        content = io.BytesIO()
        np.save(content, features)
        try:
            self._cache.put(name, content.getvalue())
        except OSError as error:
            self._is_writable = False
            log.warning("%s: features are not kept (%s)", self._cache.folder, error.strerror)


def _fingerprint(spec: ModelSpec, settings: object) -> hashlib._Hash:
    """Hash of all that features depend on beside the histories."""
    module = sys.modules[spec.dynamics_module].__file__
    package = Path(pct.__file__).parent
    sources = sorted([*package.rglob("*.py"), *package.rglob("*.h")]) + ([Path(module)] if module else [])
    key = hashlib.sha256()
    for source in sources:
        key.update(source.read_bytes())
    inputs = spec.limited, spec.held
    values = spec.name, inputs, spec.param_keys, dict(spec.param_bounds), dict(spec.default_params)
    text = json.dumps((jax.__version__, settings, values), default=lambda leaf: np.asarray(leaf).tolist())
    key.update(text.encode())
    return key
