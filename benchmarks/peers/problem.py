"""The work that every loop of `engine.py` does: real windows, one network, one model, one start."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics import MODEL_SPECS, ModelSpec, flatten_bounds
from pct.optimization.network.mlp import ParameterMLP, fit_normalization, network_settings
from pct.recordings.trajectory import write_dataset
from pct.simulation import simulate
from pct.types import Rows
from pct.windows.batch import FeatureDataset
from pct.windows.loading import load_feature_dataset_group, load_window_store
from pct.windows.store import WindowStore, window_starts

MODEL = "singletrack-augmented"
WINDOWS, HORIZON, HISTORY = 20_000, 50, 20
RECORDINGS = 10
TIMESTEP_HUNDREDTHS = 2
HIDDEN = (64, 64)
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-4


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is trained on, and where training starts.

    Attributes:
        spec: the dynamics model; the network answers with all of its context parameters.
        store: rows of all recordings.
        starts: first row of each window in ``store``.
        windows: the same windows, materialised; the network reads their context only.
        network, params: the network, and its parameters at the start.
    """

    spec: ModelSpec
    store: WindowStore
    starts: Rows
    windows: FeatureDataset
    network: ParameterMLP
    params: Any

    def thin(self, count: int) -> Problem:
        """The same with ``count`` windows, spread evenly over all, so that an epoch is shorter."""
        rows = np.linspace(0, len(self.starts) - 1, count).round().astype(int)
        return dataclasses.replace(
            self, starts=self.starts[rows], windows=jax.tree.map(lambda leaf: leaf[rows], self.windows)
        )


def make_problem() -> Problem:
    """Simulate drives with sensor noise and cut them into windows, one from every row."""
    spec = MODEL_SPECS[MODEL]
    dt = TIMESTEP_HUNDREDTHS / 100
    rows = WINDOWS // RECORDINGS + HISTORY + HORIZON
    drives = simulate(spec, recordings=RECORDINGS, duration=rows * dt, dt=dt, surfaces=2)
    shape = {"horizon": HORIZON, "history": HISTORY}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "drives"]
        write_dataset(paths[0], drives, vehicle="f1tenth")
        store = load_window_store(paths, spec)
        windows = load_feature_dataset_group(
            paths, spec, None, False, None, None, "context", "training", **shape
        )
    starts = window_starts(store, **shape)
    assert len(starts) == WINDOWS
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    mean, std = fit_normalization(windows.features)
    network = ParameterMLP(
        hidden_sizes=HIDDEN,
        min_bounds=low,
        max_bounds=high,
        feature_mean=mean,
        feature_std=std,
        **network_settings(spec),
    )
    params = network.init(jax.random.PRNGKey(0), jnp.zeros((1, windows.features.shape[1])))
    return Problem(spec, store, starts, windows._replace(origin=None), network, params)
