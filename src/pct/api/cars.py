"""A car to be fitted or trained: a registered model, what is known of it, and how its log shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pct.api.notebook import Shown
from pct.dynamics import MODEL_SPECS, ModelSpec, register_model_spec, with_fixed, with_scope
from pct.dynamics.core import unknown_name
from pct.dynamics.registry import load_installed_models, resolve_model
from pct.dynamics.vehicles import VEHICLES, with_vehicle
from pct.errors import UsageError
from pct.measurement import Measurement, with_measurement
from pct.optimization.settings import HIDDEN_SIZE
from pct.within import check_number, shown

if TYPE_CHECKING:
    import polars as pl

    from pct.optimization.constants.model import FittedModel


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Car(Shown):
    """A vehicle model with what is known of the vehicle; every method returns a new one.

    Attributes:
        base: the registered model, with the bounds and defaults of the vehicle.
        held: held parameters by name; None holds the default.
        scopes: ``global`` or ``context`` by name of a parameter.
        measurement: sensor and actuator errors between the model and its log; None where none were stated.
        fitted: the fit whose values are the defaults and whose measurement is in ``base``; None without one.

    Examples:
        >>> car = model("singletrack").hold("C_Sf", "C_Sr", m=3.9)
        >>> car.learned
        ('mu', 'I')
        >>> car.measured(lag=["psi_dot"]).spec.hidden[0].name
        'psi_dot_true'
    """

    base: ModelSpec
    held: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    scopes: Mapping[str, Literal["global", "context"]] = dataclasses.field(default_factory=dict)
    measurement: Measurement | None = None
    fitted: FittedModel | None = None

    def hold(self, *names: str, **values: float) -> Car:
        """Hold parameters at their defaults, or at values in their units.

        Raises:
            UsageError: an unknown parameter, a value out of bounds, or nothing left to learn.
        """
        return self.hold_all({**dict.fromkeys(_texts("hold", names)), **values})

    def hold_all(self, values: Mapping[str, float | None]) -> Car:
        """Hold parameters by name; None holds the default. Raises as `hold` does."""
        return self._checked(held={**self.held, **values})

    def scope(self, scope: Literal["global", "context"], *names: str) -> Car:
        """Learn parameters as one constant for the vehicle (global), or by context; held ones, too.

        Raises:
            UsageError: an unknown parameter.
        """
        return self._checked(scopes={**self.scopes, **dict.fromkeys(_texts("scope", names), scope)})

    def measured(self, **options: Any) -> Car:
        """Say what stands between the model and its log; see `pct.measurement.Measurement`.

        The observer is on unless ``observer=False``.

        Raises:
            UsageError: an unknown option, or a channel that it cannot be applied to.
        """
        known = [field.name for field in dataclasses.fields(Measurement)]
        if unknown := sorted(set(options) - set(known)):
            raise unknown_name("measurement option", unknown[0], known)
        former = dataclasses.asdict(self.measurement) if self.measurement else {"observer": True}
        return self._checked(measurement=Measurement.of(**{**former, **options}))

    @cached_property
    def spec(self) -> ModelSpec:
        """The model with its measurement, scopes and held parameters."""
        spec = with_measurement(self.base, self.measurement or Measurement())
        for scope in ("context", "global"):
            spec = with_scope(spec, [name for name in self.scopes if self.scopes[name] == scope], scope)
        return with_fixed(spec, self.held) if self.held else spec

    @property
    def learned(self) -> tuple[str, ...]:
        """Names of the learned parameters."""
        return self.spec.param_keys

    def table(self) -> pl.DataFrame:
        """One row a parameter: symbol, unit, bounds, default, and whether it is learned."""
        import numpy as np
        import polars as pl

        spec, rows = self.spec, []
        for row in spec.parameters:
            low, high = spec.param_bounds[row.name]
            default, scalar = spec.default_params[row.name], not spec.param_shapes.get(row.name, ())
            rows.append(
                {
                    "parameter": row.name,
                    "unit": row.unit,
                    "low": float(np.min(low)),
                    "default": float(np.mean(default)) if scalar else None,
                    "high": float(np.max(high)),
                    "learned": row.name in spec.param_keys,
                    "meaning": row.doc,
                }
            )
        return pl.DataFrame(rows)

    def _checked(self, **changes: Any) -> Car:
        car = dataclasses.replace(self, **changes)
        _ = car.spec  # raises where a name or value cannot be used
        return car

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"{self.base.name}: {', '.join(self.learned)} learned", self.table(), ()


def as_car(value: Any, name: str = "car") -> Car:
    """A car that is the argument of a public function.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(value, Car):
        return value
    raise UsageError(f"`{name}`: expected a car, such as pct.model('singletrack'), got {shown(value)}")


def require_learned(spec: ModelSpec) -> ModelSpec:
    """The model, where it has a parameter to learn.

    Raises:
        UsageError: it has none.
    """
    if not spec.param_keys:
        raise UsageError(f"model '{spec.name}' has no parameter to learn: add one to its table")
    return spec


def _texts(call: str, names: Sequence[str]) -> Sequence[str]:
    """Names of parameters, as they were given.

    Raises:
        UsageError: one is something else, such as a list of them.
    """
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"{call}: expected names of parameters, got {shown(name)}: {call}('mu', 'm')")
    return names


def model(name: str | Path | ModelSpec, *, vehicle: str | None = None, hidden_size: int | None = None) -> Car:
    """A registered model, or one of the user's own.

    Args:
        name: of the model, or the path of a Python file that defines one, or what `pct.define_model` gave.
        vehicle: bounds and defaults of a named vehicle; the model's own (a 1:10 car) when left out.
        hidden_size: hidden units inside ``mlp-dynamics``.

    Raises:
        UsageError: an unknown model or vehicle, with the nearest known name; or equations of the user's own
            that fail.

    Examples:
        >>> model("singletrack", vehicle="av-21").base.default_params["m"]
        790.0
    """
    if hidden_size is not None:
        check_number("hidden_size", hidden_size, HIDDEN_SIZE)
    spec = name if isinstance(name, ModelSpec) else resolve_model(name)
    _check_own(spec)
    if hidden_size is not None and spec.name == "mlp-dynamics":
        from pct.dynamics.mlp_dynamics import mlp_default_params, mlp_param_bounds, mlp_param_shapes

        spec = dataclasses.replace(
            spec,
            param_shapes=mlp_param_shapes(hidden_size),
            param_bounds=mlp_param_bounds(hidden_size),
            default_params=mlp_default_params(hidden_size),
        )
    return Car(spec if vehicle is None else with_vehicle(spec, str(vehicle)))


def models() -> pl.DataFrame:
    """The registered models: states, controls and learned parameters.

    Examples:
        >>> "singletrack" in models()["model"]
        True
    """
    import polars as pl

    load_installed_models()
    return pl.DataFrame(
        {
            "model": name,
            "states": " ".join(spec.state_names),
            "controls": " ".join(spec.control_names),
            "learned": " ".join(spec.param_keys),
        }
        for name, spec in MODEL_SPECS.items()
    )


def vehicles() -> pl.DataFrame:
    """The named vehicles, each with where its figures are published.

    ``published`` holds those figures as ``name=value``, of parameters and of ``wheelbase``,
    ``steering_ratio``, ``length`` and ``width``; what is not published is of the vehicle ``like`` it, brought
    to its size.

    Examples:
        >>> "av-21" in vehicles()["vehicle"]
        True
    """
    import polars as pl

    return pl.DataFrame(
        {
            "vehicle": name,
            "what": vehicle.doc,
            "source": vehicle.source,
            "url": vehicle.url,
            "like": vehicle.like or None,
            "published": [f"{key}={value:g}" for key, value in vehicle.published.items()],
        }
        for name, vehicle in VEHICLES.items()
    )


def register(spec: ModelSpec) -> ModelSpec:
    """File a model of your own under its name, so that `model` and every command know it.

    A cell of a notebook may do so again and again: the same model, changed, takes the place of the former.

    Raises:
        UsageError: the name is taken by another model, or the equations fail.

    Examples:
        >>> from pct.dynamics import MODEL_SPECS
        >>> own = dataclasses.replace(MODEL_SPECS["unicycle"], name="my-unicycle")
        >>> register(own).name
        'my-unicycle'
        >>> del MODEL_SPECS["my-unicycle"]
    """
    if not isinstance(spec, ModelSpec):
        raise UsageError(f"`spec`: expected what pct.define_model gives, got {shown(spec)}")
    _check_own(spec)
    return register_model_spec(spec)


def _check_own(spec: ModelSpec) -> None:
    """Refuse equations that fail, of a model that is not of this package."""
    if not spec.dynamics_module.startswith("pct."):
        from pct.rollout.equations import check_equations

        check_equations(spec)
