"""Models on disk: one format for fits and trainings, from which a run folder alone is rebuilt.

``fit.json`` or ``network.json`` describe a model by name, with its measurement, bounds and values in force.
Opening a run executes no file that it names: the equations of a model that is not installed are given by the
caller. A description that has no ``format`` is of format 1, which opens as well.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec, flatten_bounds
from pct.dynamics.registry import get_model
from pct.errors import DataError, UsageError
from pct.measurement import Measurement, with_measurement
from pct.measurement.observer import GAINS
from pct.optimization.constants.agreed import Agreement, agreement_from_table
from pct.optimization.constants.comparison import Solution
from pct.optimization.constants.fitting import ConstantFit
from pct.optimization.constants.model import FittedModel
from pct.optimization.model import Model
from pct.optimization.network.mlp import Ensemble, ParameterMLP, network_settings
from pct.optimization.network.model import TrainedModel
from pct.runs.checkpoint import BEST_PARAMS, MODEL_PARAMS, load_params
from pct.runs.directory import write_json
from pct.windows.context import moving_channels

NETWORK = "network.json"
FIT = "fit.json"
AGREEMENT = "agreement.json"
FORMAT = 3

Value = TypeVar("Value")


def open_run(run: Path) -> TrainedModel | FittedModel:
    """The model that a run folder holds.

    Raises:
        DataError: there is no such folder, no model in it, or it is damaged.
    """
    if (run / NETWORK).is_file():
        return load_network(run)
    if (run / FIT).is_file():
        return load_fit(run)
    there = "a folder without it" if run.is_dir() else "no folder"
    raise DataError(
        f"{run}: expected the folder of a finished run with {NETWORK} or {FIT}, found {there}: "
        "give the folder that pct train or pct fit printed as 'run folder'"
    )


def save_network(run: Path, trained: TrainedModel) -> None:
    """Write ``network.json``: everything but the weights that rebuilds the network and its model."""
    network = trained.network.network if isinstance(trained.network, Ensemble) else trained.network
    write_json(
        run / NETWORK,
        {
            **_description(trained),
            "hidden_sizes": network.hidden_sizes,
            "members": trained.network.members if isinstance(trained.network, Ensemble) else 1,
            "feature_mean": network.feature_mean,
            "feature_std": network.feature_std,
        },
    )


def network_without_weights(run: Path) -> TrainedModel:
    """A trained network from its description alone; its weights are None.

    Raises:
        DataError: the file is missing, damaged or of a newer format.
    """

    def rebuild(saved: Mapping[str, Any]) -> TrainedModel:
        spec = spec_from_table(saved)
        low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
        settings = saved["settings"]
        one = ParameterMLP(
            hidden_sizes=tuple(saved["hidden_sizes"]),
            min_bounds=low,
            max_bounds=high,
            feature_mean=np.asarray(saved["feature_mean"]),
            feature_std=np.asarray(saved["feature_std"]),
            rows=settings["history"] if settings.get("encoder") == "gru" else 0,
            channels=len(moving_channels(spec)),
            **network_settings(spec),
        )
        members = saved["members"]
        network = one if members == 1 else Ensemble(one, members)
        return TrainedModel(network=network, params=None, **_common(saved, spec))

    return _read(run / NETWORK, "a trained network", rebuild)


def load_network(run: Path) -> TrainedModel:
    """Rebuild a trained network from its run folder; the best parameters where there are any.

    Raises:
        DataError: a file is missing, damaged or of a newer format.
    """
    import jax

    trained = network_without_weights(run)
    one = trained.network.network if isinstance(trained.network, Ensemble) else trained.network
    features = jnp.zeros((1, one.feature_mean.size))
    template = jax.eval_shape(trained.network.init, jax.random.PRNGKey(0), features)
    best = run / BEST_PARAMS
    return dataclasses.replace(
        trained, params=load_params(best if best.exists() else run / MODEL_PARAMS, template)
    )


def save_fit(run: Path, fit: ConstantFit | FittedModel, *, with_verdicts: bool = True) -> None:
    """Write ``fit.json``: all that rebuilds the model, and, of a whole fit, its covariance.

    Args:
        run: the run folder.
        fit: the fit; a `FittedModel` alone has no covariance.
        with_verdicts: whether verdicts and correlations are written, too.
    """
    model = fit.model if isinstance(fit, ConstantFit) else fit
    table = {
        **_description(model),
        "params": dict(model.params),
        "deviations": dict(model.deviations),
        "remaining_error": model.remaining_error,
    }
    if isinstance(fit, ConstantFit):
        estimate = fit.estimate
        table["cost"] = estimate.cost
        table["estimate"] = {
            "raw": estimate.raw,
            "covariance": estimate.covariance,
            "blocks": estimate.blocks,
            "sound": estimate.sound,
        }
        if with_verdicts:
            names, matrix = fit.correlations
            table |= {"verdicts": fit.verdicts, "correlations": {"names": names, "matrix": matrix}}
            table["reached"] = fit.reached
    write_json(run / FIT, table)


def load_fit(run: Path) -> FittedModel:
    """Rebuild a fitted model from its run folder.

    Raises:
        DataError: the file is missing, damaged or of a newer format.
    """
    return _read(
        run / FIT,
        "a fit",
        lambda saved: FittedModel(
            **_common(saved, spec_from_table(saved)),
            params={name: np.asarray(value) for name, value in saved["params"].items()},
            deviations={name: np.asarray(value) for name, value in saved["deviations"].items()},
            remaining_error=saved["remaining_error"],
        ),
    )


def load_verdicts(run: Path) -> dict[str, dict[str, Any]]:
    """Verdicts of a fit by parameter; empty where the run has none.

    Raises:
        DataError: the file is missing or damaged.
    """
    return _read(run / FIT, "a fit", lambda saved: dict(saved.get("verdicts", {})))


def load_solution(run: Path) -> Solution | None:
    """The solution of a fit with its covariance; None where the run is older than that.

    Raises:
        DataError: the file is missing or damaged.
    """

    def rebuild(saved: Mapping[str, Any]) -> Solution | None:
        estimate = saved.get("estimate")
        if estimate is None or "reached" not in saved:
            return None
        matrix = [[np.nan if entry is None else entry for entry in row] for row in estimate["covariance"]]
        return Solution(
            np.asarray(estimate["raw"], float),
            np.asarray(matrix, float),
            estimate["blocks"],
            saved["reached"],
        )

    return _read(run / FIT, "a fit", rebuild)


def load_agreement(run: Path) -> Agreement | None:
    """The comparison of a fit's drives; None where the run has none.

    Raises:
        DataError: the file is damaged.
    """
    path = run / AGREEMENT
    if not path.is_file():
        return None
    try:
        return agreement_from_table(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected the comparison of a fit's drives ({error}): fit again") from None


def _description(model: Model) -> dict[str, Any]:
    """What the descriptions of fits and networks have in common."""
    return {
        "format": FORMAT,
        **spec_table(model.spec),
        "dt": model.dt,
        "integrator": model.integrator_name,
        "substeps": model.substeps,
        "settings": model.settings,
    }


def _common(saved: Mapping[str, Any], spec: ModelSpec) -> dict[str, Any]:
    """Attributes of `Model` from a description, by name."""
    attributes = {name: saved[name] for name in ("dt", "substeps", "settings")}
    return {**attributes, "spec": spec, "integrator_name": saved["integrator"]}


def _read(path: Path, what: str, rebuild: Callable[[Mapping[str, Any]], Value]) -> Value:
    """What a description says, rebuilt.

    Raises:
        DataError: the file is missing, damaged, of a newer format, or of a model that is not known.
    """
    again = "fit again" if path.name == FIT else "train again"
    try:
        saved = json.loads(path.read_text())
        version, name = saved.get("format", 1), saved["model"]
        if not isinstance(version, int) or version > FORMAT:
            raise DataError(
                f"{path}: expected format {FORMAT} or older, found {version}: a newer version of PCT wrote "
                "it; update PCT to open it"
            )
        try:
            get_model(name)
        except UsageError as error:
            raise DataError(f"{path}: {error}; give the file with its equations as `model`") from None
        return rebuild(saved)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected the description of {what} ({error}): {again}") from None


def spec_table(spec: ModelSpec) -> dict[str, Any]:
    """What `spec_from_table` rebuilds the model from; plain values, lists and arrays."""
    return {
        "model": spec.name,
        "measurement": dataclasses.asdict(spec.measurement) if spec.measurement else {},
        "limited": spec.limited,
        "held": spec.held,
        "interpolated": spec.interpolated,
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
    measurement = Measurement.of(**saved["measurement"])
    # Earlier versions learned the gains of their observer.
    former = GAINS in saved["param_bounds"]
    # A run that says nothing of its inputs is of a time when limits acted on all and controls were held.
    inputs: Any = {name: tuple(saved[name]) for name in ("limited", "held", "interpolated") if name in saved}
    return dataclasses.replace(
        with_measurement(get_model(saved["model"]), measurement, gains=former),
        **inputs,
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
