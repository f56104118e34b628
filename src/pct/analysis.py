"""Rolls a trained network out over a dataset: errors against baselines, plots, and its rebuilding.

A run folder alone is enough: ``network.json`` and the parameters as msgpack give the network back.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from pct.data.context import moving_channels
from pct.data.loading import load_window_set
from pct.data.window_set import WindowSet
from pct.data.windows import FeatureDataset
from pct.dynamics.core import ModelSpec, flatten_bounds, flatten_params, unflatten_params
from pct.dynamics.losses import channel_residual
from pct.errors import DataError
from pct.integration import Integrator, make_integrator
from pct.optimization.history_fit import HistoryFit
from pct.optimization.network import Ensemble, ParameterMLP, network_settings
from pct.optimization.network_training import make_predict_fn, predict_parameters_chunked
from pct.optimization.observed import observe
from pct.runs.checkpoint import BEST_PARAMS, MODEL_PARAMS, load_params
from pct.runs.directory import write_json
from pct.stored_spec import spec_from_table, spec_table
from pct.types import Array, Features, FlatParams, Float

NETWORK = "network.json"


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network with the model that it answers for.

    Attributes:
        spec: the dynamics model with the bounds and defaults in force.
        network, params: the network and its weights.
        dt: time step of the rollout in s.
        integrator_name, substeps: how a time step is integrated.
        settings: what a dataset must be loaded with (horizon, history, feature mode, feature names).
    """

    spec: ModelSpec
    network: ParameterMLP | Ensemble
    params: Any
    dt: float
    integrator_name: str
    substeps: int
    settings: Mapping[str, Any]

    @property
    def integrator(self) -> Integrator:
        """The integrator with its substeps bound."""
        return make_integrator(self.integrator_name, self.substeps)

    @property
    def base_params(self) -> dict[str, Any]:
        """Every parameter at its value in force, and ``dt`` in s."""
        return self.spec.build_base_params(round(100 * self.dt))

    def prepare(self, windows: WindowSet) -> WindowSet:
        """Windows as the network reads them: behind a measurement, with observed starts."""
        return observe(windows, self.spec, self.integrator_name, self.substeps)

    def predict_states(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the network's parameters, (B, T, S)."""
        return self._predict_fn(self.network.apply, chunk_size)(self.params, dataset)

    def predict_default(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the default parameters, (B, T, S)."""
        defaults = flatten_params(self.spec.default_params, self.spec.param_keys, self.spec.full_shapes)

        def answer(_params: Any, features: Features) -> FlatParams:
            return jnp.broadcast_to(jnp.asarray(defaults, features.dtype), (features.shape[0], defaults.size))

        return self._predict_fn(answer, chunk_size)(None, dataset)

    def predict_parameters(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> dict[str, np.ndarray]:
        """The network's answer for all windows by name, (B, *shape)."""
        values = predict_parameters_chunked(
            self.network.apply, self.params, dataset.features, chunk_size=chunk_size
        )
        return unflatten_params(values, self.spec.param_keys, self.spec.full_shapes)

    def predict_spread(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> dict[str, np.ndarray]:
        """Standard deviation of an ensemble's answers for all windows by name, (B, *shape)."""

        def spread(params: Any, features: Features) -> FlatParams:
            each: Any = self.network.apply(params, features, method="each")
            return each.std(axis=0, ddof=1)

        values = predict_parameters_chunked(spread, self.params, dataset.features, chunk_size=chunk_size)
        return unflatten_params(values, self.spec.param_keys, self.spec.full_shapes)

    def _predict_fn(
        self, answer: Callable[..., Array], chunk_size: int
    ) -> Callable[[Any, FeatureDataset], np.ndarray]:
        return make_predict_fn(answer, self.base_params, self.spec, self.integrator, chunk_size=chunk_size)


def load_windows(
    trained: TrainedModel, paths: Sequence[Path], label: str, *, stride: int | None = None
) -> FeatureDataset:
    """Windows of dataset folders as the network was trained to read them; see `load_windows_of`."""
    return trained.prepare(load_windows_of(trained, paths, label, stride=stride)).gather()


def load_windows_of(
    trained: Any,
    paths: Sequence[Path],
    label: str,
    *,
    stride: int | None = None,
    horizon: int | None = None,
) -> WindowSet:
    """Windows of dataset folders with the features that the network was trained on.

    Args:
        trained: the network, or a fit; its settings say horizon, history and features.
        paths: dataset or raw folders.
        label: what the data is for, named in messages.
        stride: steps from one window to the next; that of training when left out.
        horizon: steps that are predicted; those of training when left out.

    Raises:
        DataError: the logs cannot be used, or hold other ``feature.*`` columns than those of training.
    """
    settings = trained.settings
    fit = HistoryFit(trained.spec, trained.integrator_name, trained.substeps)
    windows = load_window_set(
        paths,
        trained.spec,
        None,
        False,
        None,
        round(100 * trained.dt),
        settings["feature_mode"],
        label,
        horizon=horizon or settings["horizon"],
        history=settings["history"],
        stride=stride or settings["stride"],
        history_features=fit if settings["history_fit"] else None,
        sequence=settings.get("encoder") == "gru",
    )
    found, expected = (
        [name for name in names if name.startswith("feature.")]
        for names in (windows.feature_names, settings["feature_names"])
    )
    if found != expected:
        raise DataError(
            f"{label} data: expected the columns that the network was trained on, "
            f"{', '.join(expected) or 'no feature.*'}, found {', '.join(found) or 'none'}"
        )
    return windows


def open_loop_errors(
    predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec
) -> Float[np.ndarray, "T S"]:
    """Root mean square error over all windows by step and state, in each state's unit, (T, S)."""
    residual = channel_residual(predicted, np.asarray(dataset.targets), spec.angle_mask)
    return np.sqrt(np.mean(np.square(np.asarray(residual, np.float64)), axis=0))


def position_errors(
    predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec
) -> Float[np.ndarray, " T"]:
    """Root mean square distance between predicted and true position by step, in m, (T,)."""
    x, y, _ = spec.pose_indices
    errors = open_loop_errors(predicted, dataset, spec)
    return np.hypot(errors[:, x], errors[:, y])


def generate_analysis_artifacts(
    label: str,
    dataset: FeatureDataset,
    trained: TrainedModel,
    folder: Path,
    *,
    scenarios: int = 3,
    chunk_size: int = 1024,
) -> list[Path]:
    """Draw the plots of one data split.

    Args:
        label: ``training`` or ``validation``; begins each file's name.
        dataset: windows with their origin.
        trained: the network and model.
        folder: where the plots go; made where it is missing.
        scenarios: windows that are drawn: the one with median error, the worst and the best third.
        chunk_size: windows that are rolled out at once.

    Returns:
        The files written.
    """
    from pct import plots  # imports Matplotlib, which training does not wait for

    folder.mkdir(parents=True, exist_ok=True)
    spec, origin = trained.spec, dataset.origin
    assert origin is not None
    predicted = trained.predict_states(dataset, chunk_size=chunk_size)
    default = trained.predict_default(dataset, chunk_size=chunk_size)
    files = [folder / f"{label}_error_growth.png"]
    plots.plot_error_growth(
        files[0],
        spec=spec,
        dt=trained.dt,
        errors={
            "trained": open_loop_errors(predicted, dataset, spec),
            "default parameters": open_loop_errors(default, dataset, spec),
        },
        title=f"Open-loop error on the {label} windows",
    )
    files.append(folder / f"{label}_parameters.png")
    plots.plot_parameters(
        files[-1],
        spec=spec,
        times=origin.times,
        recording=origin.recording,
        values=trained.predict_parameters(dataset, chunk_size=chunk_size),
        truth=origin.truth or None,
        title=f"Predicted parameters along the {label} drives",
    )
    steps = trained.dt * np.arange(predicted.shape[1] + 1)
    for rank, row in _typical_windows(predicted, dataset, spec, scenarios):
        files.append(folder / f"{label}_scenario_{rank}.png")
        start = np.asarray(dataset.initial_states[row])[None]
        name = origin.recordings[int(origin.recording[row])]
        plots.plot_scenario(
            files[-1],
            spec=spec,
            times=steps,
            true_states=np.concatenate([start, np.asarray(dataset.targets[row])]),
            predicted_states=np.concatenate([start, predicted[row]]),
            controls=np.asarray(dataset.controls[row]),
            title=f"{label}: '{name}' from {origin.times[row]:.2f} s, {rank.replace('_', ' ')} error",
            baseline_states=np.concatenate([start, default[row]]),
            baseline_label="default parameters",
        )
    return files


def save_network(run: Path, trained: TrainedModel) -> None:
    """Write ``network.json``: everything but the weights that rebuilds the network and its model."""
    spec, network = trained.spec, trained.network
    network = network.network if isinstance(network, Ensemble) else network
    write_json(
        run / NETWORK,
        {
            **spec_table(spec),
            "hidden_sizes": network.hidden_sizes,
            "members": trained.network.members if isinstance(trained.network, Ensemble) else 1,
            "feature_mean": network.feature_mean,
            "feature_std": network.feature_std,
            "dt": trained.dt,
            "integrator": trained.integrator_name,
            "substeps": trained.substeps,
            "settings": trained.settings,
        },
    )


def load_network(run: Path) -> TrainedModel:
    """Rebuild a trained network from its run folder; the best parameters where there are any.

    Raises:
        DataError: a file is missing or damaged.
    """
    path = run / NETWORK
    try:
        saved = json.loads(path.read_text())
        spec = spec_from_table(saved)
        mean, std = np.asarray(saved["feature_mean"]), np.asarray(saved["feature_std"])
        low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
        settings = saved["settings"]
        one = ParameterMLP(
            hidden_sizes=tuple(saved["hidden_sizes"]),
            min_bounds=low,
            max_bounds=high,
            feature_mean=mean,
            feature_std=std,
            rows=settings["history"] if settings.get("encoder") == "gru" else 0,
            channels=len(moving_channels(spec)),
            **network_settings(spec),
        )
        members = saved["members"]
        network = one if members == 1 else Ensemble(one, members)
        facts = saved["dt"], saved["integrator"], saved["substeps"], settings
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected the description of a trained network ({error})") from None
    import jax

    template = jax.eval_shape(network.init, jax.random.PRNGKey(0), jnp.zeros((1, mean.size)))
    best = run / BEST_PARAMS
    params = load_params(best if best.exists() else run / MODEL_PARAMS, template)
    return TrainedModel(spec, network, params, *facts)


def _typical_windows(
    predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec, count: int
) -> list[tuple[str, int]]:
    """Windows at evenly spaced ranks of the loss, so that the plots show good and bad alike."""
    x, y, _ = spec.pose_indices
    gap = predicted[:, -1, [x, y]] - np.asarray(dataset.targets)[:, -1, [x, y]]
    order = np.argsort(np.hypot(gap[:, 0], gap[:, 1]))
    shares = np.linspace(0.1, 0.9, count) if count > 1 else np.array([0.5] * count)
    return [
        (f"{round(100 * share):02d}th_percentile", int(order[round(share * (len(order) - 1))]))
        for share in shares
    ]
