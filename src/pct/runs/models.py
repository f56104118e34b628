"""Models on disk: a run folder alone rebuilds its network or fit, with the dynamics model behind it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec, flatten_bounds
from pct.dynamics.registry import get_model
from pct.errors import DataError
from pct.measurement import Measurement, with_measurement
from pct.optimization.constants.fitted import FittedModel
from pct.optimization.network.mlp import Ensemble, ParameterMLP, network_settings
from pct.optimization.network.trained import TrainedModel
from pct.runs.checkpoint import BEST_PARAMS, MODEL_PARAMS, load_params
from pct.runs.directory import write_json
from pct.windows.context import moving_channels

NETWORK = "network.json"
FIT = "fit.json"


def open_run(run: Path) -> TrainedModel | FittedModel:
    """The model that a run folder holds.

    Raises:
        DataError: there is no such folder, nothing in it that can be judged, or it is damaged.
    """
    if (run / NETWORK).is_file():
        return load_network(run)
    if (run / FIT).is_file():
        return load_fit(run)
    found = "a folder without it" if run.is_dir() else "no folder"
    raise DataError(
        f"{run}: expected the folder of a finished run with {NETWORK} or {FIT}, found {found}: "
        "give the folder that `pct train` or `pct fit` printed as 'run folder'"
    )


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


def save_fit(run: Path, fitted: FittedModel, more: Mapping[str, Any]) -> None:
    """Write ``fit.json``: all that rebuilds the model, and further facts."""
    spec = fitted.spec
    write_json(
        run / FIT,
        {
            **spec_table(spec),
            "params": dict(fitted.params),
            "deviations": dict(fitted.deviations),
            "dt": fitted.dt,
            "integrator": fitted.integrator_name,
            "substeps": fitted.substeps,
            "settings": fitted.settings,
            "remaining_error": fitted.remaining_error,
            **more,
        },
    )


def load_fit(run: Path) -> FittedModel:
    """Rebuild a fitted model from its run folder.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = run / FIT
    try:
        saved = json.loads(path.read_text())
        return FittedModel(
            spec_from_table(saved),
            {name: np.asarray(value) for name, value in saved["params"].items()},
            {name: np.asarray(value) for name, value in saved["deviations"].items()},
            saved["dt"],
            saved["integrator"],
            saved["substeps"],
            saved["settings"],
            saved["remaining_error"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected the description of a fit ({error}): fit again") from None


def spec_table(spec: ModelSpec) -> dict[str, Any]:
    """What `spec_from_table` rebuilds the model from; plain values, lists and arrays."""
    return {
        "model": spec.name,
        "measurement": dataclasses.asdict(spec.measurement) if spec.measurement else {},
        "param_keys": spec.param_keys,
        "global_keys": spec.global_keys,
        "param_shapes": spec.param_shapes,
        "param_bounds": spec.param_bounds,
        "default_params": spec.default_params,
    }


def spec_from_table(saved: Any) -> ModelSpec:
    """The model of what `spec_table` gave, read back from JSON.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the table is damaged.
    """
    return dataclasses.replace(
        with_measurement(get_model(saved["model"]), Measurement.of(**saved["measurement"])),
        param_keys=tuple(saved["param_keys"]),
        global_keys=tuple(saved["global_keys"]),
        param_shapes={name: tuple(shape) for name, shape in saved["param_shapes"].items()},
        param_bounds={
            name: (_number(low), _number(high)) for name, (low, high) in saved["param_bounds"].items()
        },
        default_params={name: _number(value) for name, value in saved["default_params"].items()},
    )


def _number(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, list) else value
