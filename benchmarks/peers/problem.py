"""The work that every loop of `engine.py` does: real windows, one network, one model, one start."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import numpy as np

import pct
from pct.dynamics import ModelSpec
from pct.optimization.network.mlp import ParameterMLP
from pct.optimization.network.training import make_learner, training_windows
from pct.optimization.settings import TrainSettings
from pct.windows.batch import FeatureDataset
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet

MODEL = "singletrack-augmented"
WINDOWS, HORIZON, HISTORY = 20_000, 50, 20
RECORDINGS = 10
TIMESTEP_HUNDREDTHS = 2
HIDDEN = (64, 64)
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-4
SETTINGS = TrainSettings(
    feature_mode="context",
    history_fit=False,
    horizon=HORIZON,
    history=HISTORY,
    lr=LEARNING_RATE,
    weight_decay=WEIGHT_DECAY,
    max_window_grad=math.inf,
    model_hidden=HIDDEN,
    substeps=1,
    engine="jax",
)


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is trained on, and where training starts.

    Attributes:
        spec: the dynamics model; the network predicts all of its context parameters.
        numbered: the windows by number; the network reads their context only.
        windows: the same windows, materialised.
        network, params: the network, and its parameters at the start.
    """

    spec: ModelSpec
    numbered: WindowSet
    windows: FeatureDataset
    network: ParameterMLP
    params: Any

    def thin(self, count: int) -> Problem:
        """The same with ``count`` windows, spread evenly over all, so that an epoch is shorter."""
        rows = np.linspace(0, len(self.numbered) - 1, count).round().astype(int)
        return dataclasses.replace(
            self,
            numbered=self.numbered.select(rows),
            windows=jax.tree.map(lambda leaf: leaf[rows], self.windows),
        )


def make_problem() -> Problem:
    """Simulate drives with sensor noise and cut them into windows, one from every row."""
    car = pct.model(MODEL)
    dt = TIMESTEP_HUNDREDTHS / 100
    rows = WINDOWS // RECORDINGS + HISTORY + HORIZON
    drives = pct.simulate(car, recordings=RECORDINGS, duration=rows * dt, dt=dt, surfaces=2)
    windows = training_windows(car.spec, make_window_store(drives.recordings, car.spec), None, SETTINGS)
    assert len(windows.training) == WINDOWS
    learner = make_learner(car.spec, windows, SETTINGS)
    params = learner.start().params
    materialised = windows.training.gather()._replace(origin=None)
    return Problem(car.spec, windows.training, materialised, learner.network, params)
