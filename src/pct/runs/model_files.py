"""Models on disk: one format for fits and trainings, from which a run folder alone is rebuilt.

``fit.json`` or ``network.json`` describe a model by name, with its measurement, bounds and values in force.
Opening a run executes no file that it names: the equations of a model that is not installed are given by the
caller. A description that has no ``format`` is of format 1, which opens as well.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec, flatten_bounds
from pct.dynamics.registry import get_model
from pct.errors import DataError, UsageError
from pct.json_files import read_json
from pct.optimization.constants.agreed import Agreement, AgreementTable, agreement_from_table
from pct.optimization.constants.comparison import Solution
from pct.optimization.constants.constant_fit import ConstantFit
from pct.optimization.constants.estimate import scalar_places
from pct.optimization.constants.model import FittedModel
from pct.optimization.model import Model
from pct.runs.checkpoint import BEST_PARAMS, MODEL_PARAMS, load_params
from pct.runs.directory import PREDICTED, write_json
from pct.runs.model_tables import (
    FitTable,
    Header,
    ModelTable,
    NetworkTable,
    PredictedTable,
    Verdict,
    numbers,
    spec_from_table,
    spec_table,
)
from pct.windows.context import moving_channels

if TYPE_CHECKING:
    from pct.optimization.network.model import TrainedModel  # imports Flax, which a fit does not wait for

NETWORK = "network.json"
FIT = "fit.json"
AGREEMENT = "agreement.json"
FORMAT = 3
# Rows of its drives that a fit keeps, for whoever asks over which range it is to be trusted.
DRIVEN_ROWS = 100

Table = TypeVar("Table")
Value = TypeVar("Value")


def open_run(run: Path) -> TrainedModel | FittedModel:
    """The model that a run folder holds.

    Raises:
        DataError: there is no such folder, no model in it, or it is damaged.
    """
    if os.path.isfile(run / NETWORK):
        return load_network(run)
    if os.path.isfile(run / FIT):
        return load_fit(run)
    there = "a folder without it" if os.path.isdir(run) else "no folder"
    raise DataError(
        f"{run}: expected the folder of a finished run with {NETWORK} or {FIT}, found {there}: "
        "give the folder that pct train or pct fit printed as 'run folder'"
    )


def save_network(run: Path, trained: TrainedModel) -> None:
    """Write ``network.json``: everything but the weights that rebuilds the network and its model."""
    from pct.optimization.network.mlp import Ensemble

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
    from pct.optimization.network.mlp import Ensemble, ParameterMLP, network_settings
    from pct.optimization.network.model import TrainedModel

    def rebuild(saved: NetworkTable) -> TrainedModel:
        spec = spec_from_table(saved)
        low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
        mean, std, hidden = saved["feature_mean"], saved["feature_std"], saved["hidden_sizes"]
        if len(mean) != len(std):
            raise ValueError(
                f"'feature_std': expected {len(mean)} numbers as in feature_mean, found {len(std)}"
            )
        settings, channels = saved["settings"], len(moving_channels(spec))
        rows = settings["history"] if settings.get("encoder") == "gru" else 0
        if rows and (not hidden or rows * channels > len(mean)):
            raise ValueError(f"'settings.history': expected rows among {len(mean)} features, found {rows}")
        one = ParameterMLP(
            hidden_sizes=tuple(hidden),
            min_bounds=low,
            max_bounds=high,
            feature_mean=np.asarray(mean),
            feature_std=np.asarray(std),
            rows=rows,
            channels=channels,
            **network_settings(spec),
        )
        members = saved["members"]
        network = one if members == 1 else Ensemble(one, members)
        return TrainedModel(network=network, params=None, **_common(saved, spec))

    return _read(run / NETWORK, NetworkTable, "a trained network", rebuild)


def load_network(run: Path) -> TrainedModel:
    """Rebuild a trained network from its run folder; the best parameters where there are any.

    Raises:
        DataError: a file is missing, damaged or of a newer format.
    """
    import jax

    from pct.optimization.network.mlp import Ensemble

    trained = network_without_weights(run)
    one = trained.network.network if isinstance(trained.network, Ensemble) else trained.network
    features = jnp.zeros((1, one.feature_mean.size))
    template = jax.eval_shape(trained.network.init, jax.random.PRNGKey(0), features)
    path = run / (BEST_PARAMS if os.path.lexists(run / BEST_PARAMS) else MODEL_PARAMS)
    params = load_params(path, template)
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
        raise DataError(f"{path}: expected finite weights, found some that are not: train again")
    return dataclasses.replace(trained, params=params)


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
        table["driven"] = {
            # Six digits tell the range.
            name: [float(f"{x:.6g}") for x in column]
            for name, column in driven_rows(fit).items()
        }
        table["estimate"] = {
            "raw": estimate.raw,
            "covariance": estimate.covariance,
            "information": estimate.information,
            "blocks": estimate.blocks,
            "sound": estimate.sound,
        }
        if fit.starts is not None:
            table["starts"] = dataclasses.asdict(fit.starts)
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

    def rebuild(saved: FitTable) -> FittedModel:
        spec = spec_from_table(saved)

        def values(key: str, table: Mapping[str, Any], missing: float | None = None) -> dict[str, Any]:
            if absent := [name for name in spec.param_keys if name not in table]:
                raise ValueError(f"'{key}': expected a value of {absent[0]}, found none")
            return {
                name: np.asarray(numbers(f"{key}.{name}", table[name], shape, exact=True, missing=missing))
                for name, shape in spec.full_shapes.items()
            }

        return FittedModel(
            **_common(saved, spec),
            params=values("params", saved["params"]),
            deviations=values("deviations", saved["deviations"], missing=np.nan),
            remaining_error={
                name: np.inf if error is None else error for name, error in saved["remaining_error"].items()
            },
        )

    return _read(run / FIT, FitTable, "a fit", rebuild)


def load_verdicts(run: Path) -> dict[str, Verdict]:
    """Verdicts of a fit by parameter; empty where the run has none.

    Raises:
        DataError: the file is missing or damaged.
    """
    return _read(run / FIT, FitTable, "a fit", lambda saved: dict(saved.get("verdicts", {})))


def driven_rows(fit: ConstantFit) -> dict[str, np.ndarray]:
    """Rows of the drives, evenly spread, one array a channel: on them an export says how far it is right."""
    store, spec = fit.windows.store, fit.spec
    rows = np.unique(np.linspace(0, len(store.states) - 1, DRIVEN_ROWS).astype(int))
    names = [*spec.state_names, *spec.control_names]
    columns = np.concatenate([store.states[rows], store.controls[rows]], axis=1, dtype=float).T
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    return dict(zip(names, columns, strict=True))


def load_driven(run: Path) -> dict[str, np.ndarray]:
    """Rows that a fit was driven on, one array a channel; empty where the run is older than that.

    Raises:
        DataError: the file is missing or damaged.
    """

    def rebuild(saved: FitTable) -> dict[str, np.ndarray]:
        driven = {name: np.asarray(column, float) for name, column in saved.get("driven", {}).items()}
        lengths = {len(column) for column in driven.values()}
        if len(lengths) > 1:
            raise ValueError(f"'driven': expected columns of one length, found {sorted(lengths)}")
        return driven

    return _read(run / FIT, FitTable, "a fit", rebuild)


def load_predicted(run: Path, spec: ModelSpec) -> dict[str, PredictedTable]:
    """What a training found its network to predict, by parameter; empty where it did not come to its end.

    Args:
        run: the run folder.
        spec: the model of its network.

    Raises:
        DataError: the file is damaged.
    """
    path = run / PREDICTED
    if not os.path.lexists(path):
        return {}
    fix = "training writes them at its end; copy the file here if `output` put it elsewhere"
    saved = read_json(
        path, dict[str, PredictedTable], what="the parameters that the network predicts", fix=fix
    )
    try:
        for name, row in saved.items():
            if name not in spec.param_keys:
                raise ValueError(f"expected learned parameters of {spec.name}, found '{name}'")
            shape = spec.full_shapes[name]
            for key in ("mean", "std"):
                numbers(f"{name}.{key}", row[key], shape, exact=True)
            for key, value in (("bounds", row["bounds"]), ("default", [row["default"]])):
                for one in value:
                    numbers(f"{name}.{key}", one, shape)
    except ValueError as error:
        raise DataError(f"{path}: {error}: {fix}") from None
    return saved


def load_solution(run: Path) -> Solution | None:
    """The solution of a fit with its covariance; None where the run is older than that.

    Raises:
        DataError: the file is missing or damaged.
    """

    def rebuild(saved: FitTable) -> Solution | None:
        estimate = saved.get("estimate")
        if estimate is None or "reached" not in saved:
            return None
        size = spec_from_table(saved).vector_size
        raw, covariance = estimate["raw"], estimate["covariance"]
        matrix = numbers("estimate.covariance", covariance, (size, size), exact=True, missing=np.nan)
        if np.any(np.diag(matrix) < 0):
            raise ValueError("'estimate.covariance': expected variances of zero or more")
        information = estimate.get("information")
        if information is not None:
            information = numbers(
                "estimate.information", information, (size, size), exact=True, missing=np.nan
            )
        return Solution(
            np.asarray(numbers("estimate.raw", raw, (size,), exact=True)),
            matrix,
            estimate["blocks"],
            saved["reached"],
            information,
            estimate.get("sound", True),
        )

    return _read(run / FIT, FitTable, "a fit", rebuild)


def load_agreement(run: Path, spec: ModelSpec) -> Agreement | None:
    """The comparison of a fit's drives; None where the run has none.

    Args:
        run: the run folder.
        spec: the model that was fitted.

    Raises:
        DataError: the file is damaged.
    """
    path = run / AGREEMENT
    if not os.path.lexists(path):
        return None
    what, fix = "the comparison of a fit's drives", "fit again"
    saved = read_json(path, AgreementTable, what=what, fix=fix)
    try:
        if absent := [name for name in scalar_places(spec) if name not in saved["parameters"]]:
            raise ValueError(f"'parameters': expected all that were fitted, found no {absent[0]}")
        return agreement_from_table(saved)
    except ValueError as error:
        raise DataError(f"{path}: {error}: {fix}") from None


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


def _common(saved: ModelTable, spec: ModelSpec) -> dict[str, Any]:
    """Attributes of `Model` from a description, by name."""
    return {
        "spec": spec,
        "dt": saved["dt"],
        "integrator_name": saved["integrator"],
        "substeps": saved["substeps"],
        "settings": {"history_fit": False, **saved["settings"]},
    }


def _read(path: Path, kind: Callable[..., Table], what: str, rebuild: Callable[[Table], Value]) -> Value:
    """What a description says, rebuilt.

    Raises:
        DataError: the file is missing, damaged, of a newer format, or of a model that is not known.
    """
    said = {"what": f"the description of {what}", "fix": "fit again" if path.name == FIT else "train again"}
    header = read_json(path, Header, **said)
    if (version := header.get("format", 1)) > FORMAT:
        raise DataError(
            f"{path}: expected format {FORMAT} or older, found {version}: a newer version of PCT wrote "
            "it; update PCT to open it"
        )
    try:
        get_model(header["model"])
    except UsageError as error:
        raise DataError(f"{path}: {error}; give the file with its equations as `model`") from None
    saved = read_json(path, kind, **said)
    try:
        return rebuild(saved)
    except ValueError as error:  # of what does not fit the model, also UsageError of its measurement
        raise DataError(f"{path}: {error}: {said['fix']}") from None
