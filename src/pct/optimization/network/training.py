"""The recipe of a training, in steps that notebooks and the command line share. It prints and writes nothing.

`training_windows` → `make_learner` → `Learner.start` → `Learner.train` → `Learner.trained` and
`Learner.summarize`; `train` makes all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec
from pct.errors import DataError, UsageError
from pct.files import Cache
from pct.optimization.constants.model import FittedModel
from pct.optimization.network import epoch as epochs
from pct.optimization.network import loop
from pct.optimization.network import step as optnet
from pct.optimization.network.against_fit import FitJudge
from pct.optimization.network.divergence import make_explain_fn
from pct.optimization.network.feature_cache import CachedFeatures
from pct.optimization.network.history_fit import HistoryFit
from pct.optimization.network.mlp import (
    Ensemble,
    ParameterMLP,
    as_constants,
    fit_normalization,
    network_settings,
)
from pct.optimization.network.model import TrainedModel
from pct.optimization.network.starts import observe
from pct.optimization.network.validation import Choice, Seen, choose_windows
from pct.optimization.parameter_files import describe_parameters
from pct.optimization.settings import TrainSettings
from pct.recordings.unlogged import assumed_lines
from pct.rollout.engine import Engine, make_engine
from pct.rollout.integration import Integrator, choose_substeps, make_integrator
from pct.windows.at_limits import limit_lines
from pct.windows.batch import FeatureDataset
from pct.windows.context import moving_channels
from pct.windows.inputs import inputs_line
from pct.windows.splits import Span
from pct.windows.store import WindowStore
from pct.windows.window_set import WindowSet, make_window_set

# Windows that normalisation, tables and plots are made from; more are sampled evenly.
SHOWN = 65536


class TrainingWindows(NamedTuple):
    """Training windows, and validation windows where there are any.

    Attributes:
        training, validation: the windows.
        choice: how they were chosen; None where they were not.
        seen: what the fit below has used; None where there is none.
    """

    training: WindowSet
    validation: WindowSet | None
    choice: Choice | None = None
    seen: Seen | None = None


def training_windows(
    spec: ModelSpec,
    store: WindowStore,
    val_store: WindowStore | None,
    settings: TrainSettings,
    *,
    cache: Cache | None = None,
    seen: Seen | None = None,
) -> TrainingWindows:
    """Windows as the network reads them: with features of the history, begun by the observer of a fit.

    Args:
        spec: the model to train.
        store: rows of the training data.
        val_store: rows of the validation data; where there are none, ``settings.val_split`` may hold out a
            part of the training data.
        settings: of the training.
        cache: keeps features of the history; None keeps none.
        seen: what the fit below has used; None where there is none.

    Raises:
        DataError: no recording is long enough, or the validation data has other features.
        UsageError: the feature mode does not fit the recordings.
    """
    if settings.val_split and val_store is not None:
        raise UsageError("`val_split` and `val_dataset` both name validation data: pass one of them.")
    substeps = choose_substeps(store.dt, settings.substeps)
    history_fit: Any = None
    if settings.history_fit:
        history_fit = HistoryFit(spec, settings.integrator, settings.substeps, settings.engine)
        if cache is not None:
            computed_with = settings.integrator, settings.substeps, settings.engine
            history_fit = CachedFeatures(history_fit, spec, computed_with, cache)
    shape: Any = {"horizon": settings.horizon, "history": settings.history}

    def windows_at(store: WindowStore, starts: np.ndarray) -> WindowSet:
        windows = make_window_set(
            store,
            starts,
            spec,
            **shape,
            feature_mode=settings.feature_mode,
            history_features=history_fit,
            sequence=settings.encoder == "gru",
        )
        return observe(windows, spec, settings.integrator, substeps)

    choice = choose_windows(store, val_store, settings, seen)
    training = windows_at(store, choice.training)
    if choice.store is None:
        return TrainingWindows(training, None, choice, seen)
    validation = windows_at(choice.store, choice.validation)
    _check_same_features(training, validation)
    return TrainingWindows(training, validation, choice, seen)


def settings_on_top(fitted: FittedModel, settings: TrainSettings) -> TrainSettings:
    """The settings with what a fit decides: its history and integration, and no features of the history,
    which its observer reads.
    """
    integrator: Any = fitted.integrator_name
    return dataclasses.replace(
        settings,
        history=fitted.settings["history"],
        history_fit=False,
        integrator=integrator,
        substeps=fitted.substeps,
    )


def with_huber(spec: ModelSpec, huber: float | None) -> ModelSpec:
    """The model with errors beyond so many scales counted linearly, in training and validation."""
    if huber is None:
        return spec
    return dataclasses.replace(
        spec,
        train_loss_kwargs={**spec.train_loss_kwargs, "huber": huber},
        eval_loss_kwargs={**spec.eval_loss_kwargs, "huber": huber},
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Learner:
    """Network, optimiser and compiled step of a training.

    Attributes:
        spec: the model.
        settings: of the training.
        windows: of training and validation.
        substeps: integration steps per time step.
        engine: what rolls windows out.
        sample: training windows that normalisation, tables and plots are made from.
        network: predicts parameters from features.
        optimizer: an optax transformation.
    """

    spec: ModelSpec
    settings: TrainSettings
    windows: TrainingWindows
    substeps: int
    engine: Engine
    sample: FeatureDataset
    network: ParameterMLP | Ensemble
    optimizer: Any

    @property
    def dt(self) -> float:
        """Time step in s."""
        return self.windows.training.store.dt

    @property
    def input_facts(self) -> list[str]:
        """How the inputs of the training data act, and its rows at limits, in sentences."""
        store, inputs = self.windows.training.store, inputs_line(self.spec)
        assumed = assumed_lines(self.spec, store.origins)
        return [*assumed, *([inputs] if inputs else []), *limit_lines(self.spec, store)]

    @property
    def base_params(self) -> dict[str, Any]:
        """Every parameter at its value in force, and ``dt`` in s."""
        return self.spec.base_params(self.dt)

    @property
    def integrator(self) -> Integrator:
        """The integrator with its substeps bound."""
        return make_integrator(self.settings.integrator, self.substeps)

    @cached_property
    def mesh(self) -> Any:
        """The devices that share each batch; None for one."""
        return epochs.make_mesh()

    @cached_property
    def epoch(self) -> epochs.Epoch:
        """The compiled epoch over the training windows."""
        return epochs.Epoch(
            self.windows.training.with_context(self.engine.context),
            self.step_fn(),
            self.settings,
            self.mesh,
        )

    @cached_property
    def evaluate(self) -> Callable[[Any], float] | None:
        """``evaluate(params)``: mean loss over the validation windows; None where there are none."""
        if self.windows.validation is None:
            return None
        window_loss = optnet.make_window_loss_fn(self.network.apply, self.engine.eval_loss)
        windows = self.windows.validation.with_context(self.engine.context)
        return epochs.make_evaluate_fn(windows, window_loss, self._chunk, self.mesh)

    def step_fn(self) -> optnet.StepFn:
        """One optimiser step over a gathered batch; see `make_network_step_fn`."""
        spec, bounds = self.spec, Bounds.of(self.spec)
        return optnet.make_network_step_fn(
            self.network.each if isinstance(self.network, Ensemble) else self.network.apply,
            lambda *states, **weights: spec.loss_fn(*states, **spec.train_loss_kwargs, **weights),
            spec.param_keys,
            self.base_params,
            spec.dynamics_fn,
            self.integrator,
            self.optimizer,
            param_shapes=spec.full_shapes,
            batch_loss=self.engine.train_loss,
            max_window_grad=self.settings.max_window_grad,
            param_slope=bounds.slope,
            axis_name=None if self.mesh is None else epochs.AXIS,
        )

    @cached_property
    def judge(self) -> FitJudge | None:
        """Compares networks with the fit that they are on top of; None where there is none."""
        choice, validation = self.windows.choice, self.windows.validation
        if choice is None or choice.unseen is None or validation is None:
            return None
        one = self.network.network if isinstance(self.network, Ensemble) else self.network
        as_fit = as_constants(self._start().params, one)
        return FitJudge(self.spec, validation, self._predict, as_fit)

    def beats_fit(self, state: epochs.TrainState) -> bool | None:
        """Whether the best network is another than the fit that it is on top of; None where there is none."""
        return None if self.judge is None else int(state.best_epoch) > 0

    def start(self) -> epochs.TrainState:
        """The state before the first step, of the settings' seed. On top of a fit the best is the fit."""
        state = self._start()
        if self.judge is None:
            return state
        best = jax.tree.map(jnp.array, self.judge.as_fit)
        return state._replace(best_params=best)

    def _start(self) -> epochs.TrainState:
        return self._begin(jax.random.PRNGKey(self.settings.seed))

    @cached_property
    def _begin(self) -> Callable[[Any], epochs.TrainState]:
        @jax.jit
        def begin(key: Any) -> epochs.TrainState:
            init_key, shuffle_key = jax.random.split(key)
            params = self.network.init(init_key, jnp.zeros((1, self.sample.features.shape[1])))
            return epochs.init_state(params, self.optimizer.init(params), shuffle_key)

        return begin

    def with_learning_rate(self, state: epochs.TrainState, lr: float) -> epochs.TrainState:
        """The state with another learning rate and everything else as it was."""
        return state._replace(opt_state=optnet.with_learning_rate(state.opt_state, lr))

    def train(
        self,
        state: epochs.TrainState,
        *,
        reporter: loop.Reporter,
        save: Callable[[epochs.TrainState], None] = lambda state: None,
        save_every: int = 1,
        stopping: Callable[[], bool] = lambda: False,
        result: loop.TrainResult | None = None,
    ) -> loop.TrainResult:
        """Run the loop with curriculum, validation, plateau and best; arguments as in `loop.train`."""
        state = epochs.replicate(state, self.mesh)
        if self.judge is not None and self.evaluate is not None and not int(state.step):
            loss = self.evaluate(state.best_params)
            at_start = jnp.asarray(loss if np.isfinite(loss) else np.inf, state.best_loss.dtype)
            state = state._replace(best_loss=epochs.replicate(at_start, self.mesh))
        return loop.train(
            state,
            self.windows.training,
            self.windows.validation,
            epoch=self.epoch,
            evaluate=self.evaluate,
            settings=self.settings,
            reporter=reporter,
            explain=make_explain_fn(self.network.apply, self._predict, self.spec),
            save=save,
            save_every=save_every,
            stopping=stopping,
            result=result,
            wins=None if self.judge is None else self.judge.wins,
        )

    def trained(self, params: Any, *, beats_fit: bool | None = None) -> TrainedModel:
        """The network with these weights and all that it is called with.

        Args:
            params: the weights.
            beats_fit: from `beats_fit` of the state that they are the best of.
        """
        names = ("horizon", "history", "stride", "feature_mode", "history_fit", "encoder")
        settings = {name: getattr(self.settings, name) for name in names}
        return TrainedModel(
            spec=self.spec,
            network=self.network,
            params=params,
            dt=self.dt,
            integrator_name=self.settings.integrator,
            substeps=self.substeps,
            settings={
                **settings,
                "feature_names": self.windows.training.feature_names,
                "held_out": [span._asdict() for span in self.held_out],
                "beats_fit": beats_fit,
            },
        )

    def summarize(self, trained: TrainedModel) -> dict[str, dict[str, Any]]:
        """Mean and spread of each predicted parameter over the training windows, with unit and bounds."""
        summary = optnet.summarize_predictions_chunked(
            trained.network.apply,
            trained.params,
            self.sample.features,
            self.spec.param_keys,
            chunk_size=self._chunk,
            param_shapes=self.spec.full_shapes,
        )
        described = describe_parameters(self.spec, summary)
        if self.settings.ensemble > 1:
            for name, spread in trained.predict_spread(self.sample, chunk_size=self._chunk).items():
                described[name]["ensemble_std"] = spread.mean(axis=0)
        return described

    @property
    def held_out(self) -> tuple[Span, ...]:
        """The parts of the training data that are held out for validation."""
        return self.windows.choice.held_out if self.windows.choice else ()

    def facts(self, state: epochs.TrainState) -> dict[str, Any]:
        """What is held out, and the result against the fit below, for the end of a run."""
        facts: dict[str, Any] = {"held_out": [span._asdict() for span in self.held_out]}
        if self.judge is None:
            return facts
        assert self.windows.choice is not None
        found = self.judge.compare(jax.device_get(state.best_params))
        return {
            **facts,
            "beats_fit": self.beats_fit(state),
            "validation_is_new_to_the_fit": self.windows.choice.unseen,
            "against_fit": found.facts,
        }

    def verdicts(self, state: epochs.TrainState) -> list[str]:
        """What is held out, and whether the network is better than the fit below it, in sentences."""
        choice = self.windows.choice
        lines = [] if choice is None else [f"{line[0].upper()}{line[1:]}." for line in choice.facts]
        if self.judge is None:
            return lines
        if self.beats_fit(state):
            found = self.judge.compare(jax.device_get(state.best_params))
            return [*lines, f"Against the fit the network has {found.changes}."]
        lines.append("No epoch was better than the fit on held-out rows: the result is the fit.")
        if self.judge.refused is not None:
            number, found = self.judge.refused
            lines.append(f"Epoch {number} had a lower loss, but {found.doubts}: {found.changes}.")
        return lines

    @cached_property
    def _predict(self) -> Callable[[Any, FeatureDataset], np.ndarray]:
        """States of all windows of a batch on this host, (B, T, S)."""
        predict = optnet.make_predict_fn(
            self.network.apply, self.base_params, self.spec, self.integrator, chunk_size=self._chunk
        )
        return lambda params, batch: predict(jax.device_get(params), batch)

    @property
    def _chunk(self) -> int:
        return self.settings.summary_chunk_size


def choose_engine(spec: ModelSpec, dt: float, settings: TrainSettings) -> Engine:
    """The engine of the settings for a model and a time step in s.

    Raises:
        UsageError: native code is asked for and cannot be had.
    """
    substeps = choose_substeps(dt, settings.substeps)
    return make_engine(settings.engine, spec, spec.base_params(dt), settings.integrator, substeps)


def make_learner(
    spec: ModelSpec, windows: TrainingWindows, settings: TrainSettings, engine: Engine | None = None
) -> Learner:
    """Network and optimiser for these windows; nothing is compiled before it is used.

    Args:
        spec: the model.
        windows: from `training_windows`.
        settings: of the training.
        engine: from `choose_engine`, where it was chosen already.
    """
    dataset = windows.training
    engine = engine or choose_engine(spec, dataset.store.dt, settings)
    substeps = choose_substeps(dataset.store.dt, settings.substeps)
    sample = dataset.sample(SHOWN)
    feature_mean, feature_std = fit_normalization(sample.features)
    bounds = Bounds.of(spec)
    network = ParameterMLP(
        hidden_sizes=settings.model_hidden,
        min_bounds=bounds.low,
        max_bounds=bounds.high,
        feature_mean=feature_mean,
        feature_std=feature_std,
        rows=settings.history if settings.encoder == "gru" else 0,
        channels=len(moving_channels(spec)),
        dense=engine.dense,
        **network_settings(spec),
    )
    return Learner(
        spec,
        settings,
        windows,
        substeps,
        engine,
        sample,
        network if settings.ensemble == 1 else Ensemble(network, settings.ensemble),
        optnet.make_optimizer(
            settings.lr, settings.max_grad_norm, settings.weight_decay, members=settings.ensemble
        ),
    )


def _check_same_features(training: WindowSet, validation: WindowSet) -> None:
    """Raise DataError where the network could not read the validation data."""

    def listed(names: Sequence[str], others: Sequence[str]) -> list[str] | str:
        return sorted(set(names) - set(others)) or "none"

    expected, names = training.feature_names, validation.feature_names
    if expected != names:
        raise DataError(
            "validation data: expected the features of the training data; missing "
            f"{listed(expected, names)}, not known {listed(names, expected)}: use recordings with the same "
            "feature.* columns, or `feature_mode` context"
        )
