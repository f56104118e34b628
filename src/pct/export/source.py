"""What is exported: a vehicle model with a value of every parameter, and where the values come from."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.registry import get_model, resolve_model
from pct.dynamics.vehicles import with_vehicle
from pct.errors import DataError
from pct.measurement.chain import effects_of
from pct.runs.directory import PREDICTED
from pct.runs.model_files import (
    FIT,
    NETWORK,
    load_driven,
    load_fit,
    load_network,
    load_predicted,
    load_verdicts,
    network_without_weights,
)

if TYPE_CHECKING:
    from pct.optimization.constants.model import FittedModel
    from pct.optimization.network.model import TrainedModel


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A model to export.

    Attributes:
        spec: the vehicle's own equations, with nothing between them and a log.
        values: value of every parameter by name, in the unit of its row.
        origins: where each value comes from, by name.
        title: where the values come from as a whole.
        integrator_name, substeps: what makes a step.
        dt: time step in s that the values were identified with; None for defaults.
        is_mean: whether the values are the mean of what a network predicts.
        left_out: what the run has and the export does not, one line each.
        deviations: standard error of learned numbers by name, in the unit of the row; those of a network's
            predictions are their spread.
        verdicts: of learned parameters by name; empty where nobody judged.
        measured: value of what stands between the vehicle and its log (lags, delays, steering) by name.
        network: gives the trained network that predicts the parameters; None where they are constants.
        horizon: steps of a rollout that the run was made with; None for defaults.
        driven: rows that were driven, one array a channel, (N,); empty where nothing is known.
    """

    spec: ModelSpec
    values: Mapping[str, Any]
    origins: Mapping[str, str]
    title: str
    integrator_name: str = "rk4"
    substeps: int = 1
    dt: float | None = None
    is_mean: bool = False
    left_out: tuple[str, ...] = ()
    deviations: Mapping[str, float] = dataclasses.field(default_factory=dict)
    verdicts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    measured: Mapping[str, float] = dataclasses.field(default_factory=dict)
    driven: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    network: Callable[[], TrainedModel] | None = None
    horizon: int | None = None

    @property
    def flat_values(self) -> list[float]:
        """All values in the order of the table, arrays row by row."""
        return [
            float(value)
            for row in self.spec.parameters
            for value in np.ravel(np.asarray(self.values[row.name], float))
        ]


def from_model(name: str, vehicle: str | None = None) -> Source:
    """A model, by its name or file, with its default parameters, or those of a named vehicle.

    Raises:
        UsageError: an unknown model or vehicle, with the known ones.
    """
    spec = resolve_model(name)
    origin = "default"
    if vehicle is not None:
        spec = with_vehicle(spec, vehicle)
        origin = f"default of {vehicle}"
    return Source(
        spec,
        {row.name: _in_shape(spec, row.name, spec.default_params[row.name]) for row in spec.parameters},
        {row.name: origin for row in spec.parameters},
        f"defaults of the {f'vehicle {vehicle}' if vehicle else 'model'}, not identified",
    )


def from_fit(
    fitted: FittedModel,
    title: str,
    *,
    verdicts: Mapping[str, Mapping[str, Any]] | None = None,
    driven: Mapping[str, np.ndarray] | None = None,
) -> Source:
    """The vehicle model of a fit with the fitted values.

    Args:
        fitted: the model.
        title: says where the values come from.
        verdicts: of the parameters by name, as `fit.json` has them; their standard errors go before the
            model's.
        driven: rows that were driven, one array a channel.
    """
    stated = {name: entry["std"] for name, entry in (verdicts or {}).items() if entry.get("std") is not None}
    return dataclasses.replace(
        _identified(fitted, fitted.params, title),
        deviations=_numbers({**fitted.deviations, **stated}),
        verdicts={
            name: str(entry["verdict"]) for name, entry in (verdicts or {}).items() if "verdict" in entry
        },
        driven=driven or {},
    )


def from_network(
    trained: TrainedModel,
    means: Mapping[str, Any],
    title: str,
    spreads: Mapping[str, Any] | None = None,
    network: Callable[[], TrainedModel] | None = None,
) -> Source:
    """The vehicle model of a trained network with mean and spread of its predictions by parameter.

    Args:
        trained: the network, which may be without its weights.
        means, spreads: of what it predicts.
        title: says where the values come from.
        network: gives it with its weights, where they are not to be read before they are needed.
    """
    return dataclasses.replace(
        _identified(trained, means, title),
        is_mean=True,
        deviations=_numbers(spreads or {}),
        network=network or (lambda: trained),
    )


def from_run(run: Path) -> Source:
    """The vehicle model of a run folder: the values of `pct fit`, or the mean of a network's predictions.

    Raises:
        DataError: there is no such folder, no model in it, or it is damaged.
    """
    name = run.resolve().name
    if os.path.isfile(run / NETWORK):
        network = network_without_weights(run)
        title = f"{name} of `pct train`: mean of the network's predictions on its training data"
        predicted = load_predicted(run, network.spec)
        if absent := [key for key in network.spec.param_keys if key not in predicted]:
            raise DataError(
                f"{run / PREDICTED}: expected what the network predicts, found no {absent[0]}: "
                "training writes them at its end; copy the file here if `output` put it elsewhere"
            )
        means = {key: np.asarray(row["mean"], float) for key, row in predicted.items()}
        spreads = {key: np.asarray(row["std"], float) for key, row in predicted.items()}
        return from_network(network, means, title, spreads, partial(load_network, run))
    if os.path.isfile(run / FIT):
        fitted = load_fit(run)
        return from_fit(
            fitted,
            f"{name} of `pct fit`: constants fitted to driving logs",
            verdicts=load_verdicts(run),
            driven=load_driven(run),
        )
    what = f"a folder without {FIT} and {NETWORK}" if os.path.isdir(run) else "no folder"
    raise DataError(
        f"{run}: expected the folder of a finished run, found {what}: "
        "give the folder that `pct fit` or `pct train` printed"
    )


def _identified(model: FittedModel | TrainedModel, identified: Mapping[str, Any], title: str) -> Source:
    """The vehicle's own model behind that of a run, with the values that were identified."""
    spec = model.spec
    own = get_model(spec.name)
    names = [row.name for row in own.parameters]
    plain = dataclasses.replace(
        own,
        param_shapes={name: shape for name, shape in spec.param_shapes.items() if name in names},
        param_bounds={name: spec.param_bounds[name] for name in names},
        default_params={name: spec.default_params[name] for name in names},
    )
    values = {**spec.default_params, **identified}
    return Source(
        plain,
        {name: _in_shape(plain, name, values[name]) for name in names},
        {name: "learned" if name in identified else "held" for name in names},
        title,
        model.integrator_name,
        model.substeps,
        model.dt,
        left_out=_left_out(spec, values),
        horizon=model.settings.get("horizon"),
        measured=_numbers({row.name: values[row.name] for row in spec.parameters if row.name not in names}),
    )


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Those values that are one number."""
    return {name: float(value) for name, value in values.items() if np.ndim(value) == 0}


def _left_out(spec: ModelSpec, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The measurement model of the run, in words."""
    own = {row.name for row in get_model(spec.name).parameters}
    lines = []
    for row in spec.parameters:
        # What is fixed in a measurement is the filter's, which no program outside has.
        if row.name not in own and row.scope != "fixed":
            value = np.asarray(values[row.name], float)
            shown = f"= {float(value):.6g} {row.unit}" if value.ndim == 0 else f"{value.shape}"
            lines.append(f"{row.name} {shown}: {row.doc}")
    held = [
        f"{name} as a command that jumps from row to row: set it, and leave {spec.rates[name]} at zero"
        for name in spec.held
    ]
    return (*lines, *held, *(effect.note for effect in effects_of(spec) if effect.note))


def _in_shape(spec: ModelSpec, name: str, value: Any) -> Any:
    """The value in the shape of its row; a number may stand for a whole array."""
    shape = tuple(spec.param_shapes.get(name, ()))
    try:
        whole = np.broadcast_to(np.asarray(value, float), shape)
    except ValueError:
        raise DataError(f"{name}: expected a value of shape {shape}, found {np.shape(value)}") from None
    if not np.all(np.isfinite(whole)):
        raise DataError(f"{name}: expected a finite value, found {value}")
    return float(whole) if not shape else whole
