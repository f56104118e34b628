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

from optimization.gathered_windows import GatheredWindows
from pct.dynamics import MODEL_SPECS, ModelSpec, flatten_bounds
from pct.optimization.network.epoch import AXIS, Epoch, TrainState, init_state, make_evaluate_fn
from pct.optimization.network.loop import EpochReport, StepReport, TrainResult, train
from pct.optimization.network.mlp import ParameterMLP, network_settings
from pct.optimization.network.step import (
    make_eval_loss_fn,
    make_network_step_fn,
    make_optimizer,
    make_window_loss_fn,
)
from pct.optimization.settings import TrainSettings
from pct.recordings.trajectory import write_dataset
from pct.rollout.engine import Engine, make_engine
from pct.rollout.integration import integrate_euler, rollout
from pct.simulation.drive import simulate
from pct.windows.batch import FeatureDataset, WindowOrigin

DT = 0.05
SETTINGS = TrainSettings(
    epochs=3,
    batch_size=4,
    lr_patience=100,
    lr_factor=0.5,
    min_lr=1e-5,
    curriculum_batches=0,
    curriculum_timesteps=2,
)


@dataclasses.dataclass
class Problem:
    """Windows, a network and its compiled functions, each made once; devices of ``mesh`` share batches."""

    spec: ModelSpec
    dataset: FeatureDataset
    val_dataset: FeatureDataset
    network: ParameterMLP
    lr: float = 1e-2
    mesh: Any = None
    epochs: dict[Epoch] = dataclasses.field(default_factory=dict)

    @cached_property
    def optimizer(self) -> Any:
        return make_optimizer(self.lr, 1.0)

    @cached_property
    def base_params(self) -> dict[str, Any]:
        return self.spec.build_base_params(5)

    @cached_property
    def engine(self) -> Engine:
        return make_engine("jax", self.spec, self.base_params, "euler", 1)

    @cached_property
    def step_fn(self) -> Callable[..., Any]:
        return self.make_step_fn(axis_name=None if self.mesh is None else AXIS)

    def make_step_fn(self, optimizer: Any = None, **options: Any) -> Callable[..., Any]:
        """A training step of its own, with another optimiser."""
        return make_network_step_fn(
            self.network.apply,
            partial(self.spec.loss_fn, **self.spec.train_loss_kwargs),
            self.spec.param_keys,
            self.base_params,
            self.spec.dynamics_fn,
            integrate_euler,
            optimizer or self.optimizer,
            param_shapes=self.spec.full_shapes,
            batch_loss=self.engine.train_loss,
            **options,
        )

    @cached_property
    def evaluate(self) -> Callable[[Any], float]:
        window_loss = make_window_loss_fn(self.network.apply, self.engine.eval_loss)
        return make_evaluate_fn(GatheredWindows(self.val_dataset), window_loss, 3, self.mesh)

    @cached_property
    def eval_loss_fn(self) -> Callable[..., float]:
        return make_eval_loss_fn(self.network, self.base_params, self.spec, integrate_euler, chunk_size=8)

    @cached_property
    def params(self) -> Any:
        return self.network.init(jax.random.PRNGKey(0), jnp.zeros((1, 1)))

    @cached_property
    def opt_state(self) -> Any:
        return self.optimizer.init(self.params)

    def state(self, seed: int = 0, **parts: Any) -> TrainState:
        """The start of training; ``parts`` are others than the problem's."""
        start = {"params": self.params, "opt_state": self.opt_state} | parts
        return init_state(**start, key=jax.random.PRNGKey(seed))

    def epoch(self, settings: TrainSettings) -> Epoch:
        """The compiled epoch of these settings, whatever the number of epochs."""
        settings = dataclasses.replace(settings, epochs=0)
        if settings not in self.epochs:
            self.epochs[settings] = Epoch(GatheredWindows(self.dataset), self.step_fn, settings, self.mesh)
        return self.epochs[settings]


@dataclasses.dataclass
class Recorder:
    """Keeps what the loop reports."""

    steps: list[StepReport] = dataclasses.field(default_factory=list)
    epochs: list[EpochReport] = dataclasses.field(default_factory=list)

    def on_step(self, report: StepReport) -> None:
        self.steps.append(report)

    def on_epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)


def run_problem(problem: Problem, **options: Any) -> TrainResult:
    """Train the problem; options replace settings, arguments of `train`, and seed or step of the problem."""
    names = {field.name for field in dataclasses.fields(TrainSettings)} - {"seed"}
    settings = {name: options.pop(name) for name in list(options) if name in names}
    settings = dataclasses.replace(SETTINGS, **settings)
    seed, step_fn = options.pop("seed", 0), options.pop("step_fn", None)
    arguments = {
        "state": options.get("state") or problem.state(seed),
        "windows": GatheredWindows(problem.dataset),
        "val_windows": GatheredWindows(problem.val_dataset),
        "evaluate": problem.evaluate,
        "reporter": Recorder(),
        "explain": lambda params, batch, numbers: f"{len(numbers)} windows",
    } | options
    if step_fn is None and "windows" not in options:
        epoch = problem.epoch(settings)
    else:
        epoch = Epoch(arguments["windows"], step_fn or problem.step_fn, settings)
    return train(**arguments, epoch=epoch, settings=settings)


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


def make_problem(**options: Any) -> Problem:
    spec = MODEL_SPECS["unicycle"]
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    network = ParameterMLP((8,), low, high, **network_settings(spec))
    return Problem(spec, make_windows(spec, 14), make_windows(spec, 8, seed=1), network, **options)


@pytest.fixture(scope="session")
def problem() -> Problem:
    return make_problem()


@pytest.fixture
def run(problem: Problem) -> Callable[..., TrainResult]:
    """`run_problem` of the problem."""
    return partial(run_problem, problem)


@pytest.fixture
def settings() -> TrainSettings:
    """Those that `run` takes where nothing else is said."""
    return SETTINGS


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def short_stretches(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host looks after every second step."""
    monkeypatch.setattr("pct.optimization.network.epoch.WINDOWS_PER_CALL", 2 * SETTINGS.batch_size)
    monkeypatch.setattr(problem, "epochs", {})


MU = 0.7


@pytest.fixture(scope="session")
def exact_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of the single-track model's own motion at friction `MU`, without sensor noise."""
    folder = tmp_path_factory.mktemp("exact") / "drive"
    single_track = MODEL_SPECS["singletrack"]
    trajectories = simulate(single_track, recordings=2, duration=2.0, dt=0.02, mu=(MU,), noise=0.0)
    write_dataset(folder, trajectories, vehicle="simulated")
    return folder
