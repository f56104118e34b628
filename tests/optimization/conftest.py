"""A tiny problem that is learned in milliseconds: a unicycle whose yaw gain the one feature tells."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.data.trajectory import write_dataset
from pct.data.windows import FeatureDataset, WindowOrigin
from pct.dynamics import MODEL_SPECS, ModelSpec, flatten_bounds
from pct.integration import integrate_euler, rollout
from pct.optimization.network import ParameterMLP, network_settings
from pct.optimization.network_training import make_eval_loss_fn, make_network_step_fn, make_optimizer
from pct.simulation import simulate

DT = 0.05


@dataclasses.dataclass
class Problem:
    """Windows, a network and its compiled functions; ``traces`` counts how often the loss was traced."""

    spec: ModelSpec
    dataset: FeatureDataset
    val_dataset: FeatureDataset
    network: ParameterMLP
    traces: list[int]
    lr: float = 1e-2

    @cached_property
    def optimizer(self) -> Any:
        return make_optimizer(self.lr, 1.0)

    @cached_property
    def base_params(self) -> dict[str, Any]:
        return self.spec.build_base_params(5)

    @cached_property
    def step_fn(self) -> Callable[..., Any]:
        def loss_fn(*states: Any, **weights: Any) -> Any:
            self.traces.append(1)
            return self.spec.loss_fn(*states, **self.spec.train_loss_kwargs, **weights)

        return make_network_step_fn(
            self.network.apply,
            loss_fn,
            self.spec.param_keys,
            self.base_params,
            self.spec.dynamics_fn,
            integrate_euler,
            self.optimizer,
            param_shapes=self.spec.full_shapes,
        )

    @cached_property
    def eval_loss_fn(self) -> Callable[..., float]:
        return make_eval_loss_fn(self.network, self.base_params, self.spec, integrate_euler, chunk_size=8)

    @cached_property
    def params(self) -> Any:
        return self.network.init(jax.random.PRNGKey(0), jnp.zeros((1, 1)))

    @cached_property
    def opt_state(self) -> Any:
        return self.optimizer.init(self.params)


def make_windows(spec: ModelSpec, count: int, steps: int = 4, seed: int = 0) -> FeatureDataset:
    """Windows of a unicycle whose gain on the yaw rate is 1 + 0.2 times the feature."""
    rng = np.random.default_rng(seed)
    feature = rng.uniform(-1.0, 1.0, (count, 1))
    controls = rng.uniform(-1.0, 1.0, (count, steps, 2))
    start = np.zeros((count, 4))
    start[:, spec.state_indices["v"]] = rng.uniform(2.0, 4.0, count)
    params = {**spec.default_params, "alpha_psi_dot": 1.0 + 0.2 * jnp.asarray(feature[:, 0])}
    targets = jax.jit(partial(rollout, spec.dynamics_fn, integrate_euler, dt=DT))(
        jnp.asarray(start), jnp.asarray(controls), params
    )
    origin = WindowOrigin(
        recording=np.arange(count) % 2,
        times=DT * np.arange(count),
        truth={},
        recordings=("drive/0", "drive/1"),
        feature_names=("gain",),
        dt=DT,
    )
    return FeatureDataset(
        jnp.asarray(feature), jnp.asarray(controls), jnp.asarray(start), targets, origin=origin
    )


@pytest.fixture(scope="session")
def problem() -> Problem:
    spec = MODEL_SPECS["unicycle"]
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    network = ParameterMLP((8,), low, high, **network_settings(spec))
    dataset, val_dataset = make_windows(spec, 14), make_windows(spec, 8, seed=1)
    return Problem(spec, dataset, val_dataset, network, traces=[])


MU = 0.7


@pytest.fixture(scope="session")
def exact_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of the single-track model's own motion at friction `MU`, without sensor noise."""
    folder = tmp_path_factory.mktemp("exact") / "drive"
    single_track = MODEL_SPECS["singletrack"]
    trajectories = simulate(single_track, recordings=2, duration=2.0, dt=0.02, mu=(MU,), noise=0.0)
    write_dataset(folder, trajectories, vehicle="simulated")
    return folder
