"""What ``fit.json`` and ``network.json`` hold: their types, and the model of their tables, checked.

A file may be damaged or a stranger's. Its types are declared; what a type cannot say, that bounds are in
order or arrays fit their parameter, is checked against the model's own tables before anything is computed.
Errors are of the form ``'key': expected ..., found ...``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import msgspec
import numpy as np

from pct.dynamics.core import ModelSpec, Shape
from pct.dynamics.registry import get_model
from pct.json_files import Known, Number, Numbers, Text, in_range
from pct.measurement import Measurement, with_measurement
from pct.measurement.chain import outside_equations
from pct.measurement.observer import GAINS
from pct.measurement.options import option_fields
from pct.optimization.settings import HORIZON, ROWS, SUBSTEPS
from pct.recordings.unlogged import ASSUMED
from pct.windows.inputs import with_unlogged

# Entries of an array parameter; far more than any of our models has.
MOST_ENTRIES = 1_000_000

Size = Annotated[int, msgspec.Meta(ge=1, le=65_536)]
Positive = Annotated[float, msgspec.Meta(gt=0.0, le=1e30)]


class SpanTable(TypedDict):
    """Rows that were held out, as of `pct.windows.splits.Span`."""

    recording: str
    start: Number
    end: Number
    whole: bool


class WindowTable(TypedDict):
    """How the windows of a model are made."""

    horizon: Annotated[int, in_range(HORIZON)]
    history: Annotated[int, in_range(HORIZON)]
    stride: Annotated[int, in_range(ROWS)]
    feature_mode: Literal["full", "context", "features"]
    feature_names: list[str]
    history_fit: NotRequired[bool]
    encoder: NotRequired[Literal["mlp", "gru"]]
    held_out: NotRequired[list[SpanTable] | None]
    beats_fit: NotRequired[bool | None]


class Header(TypedDict):
    """What says how to read the rest; a file without ``format`` is of format 1."""

    format: NotRequired[Annotated[int, msgspec.Meta(ge=1)]]
    model: str


class ModelTable(TypedDict):
    """What descriptions of fits and networks have in common."""

    model: str
    measurement: dict[str, bool | str | list[str]]
    limited: NotRequired[list[str]]
    held: NotRequired[list[str]]
    interpolated: NotRequired[list[str]]
    unlogged: NotRequired[list[str]]
    param_keys: list[str]
    global_keys: list[str]
    param_shapes: dict[str, Annotated[list[Size], msgspec.Meta(max_length=3)]]
    param_bounds: dict[str, tuple[Numbers, Numbers]]
    default_params: dict[str, Numbers]
    dt: Annotated[float, msgspec.Meta(gt=0.0, le=60.0)]
    integrator: Literal["rk4", "heun", "euler"]
    substeps: Annotated[int, in_range(SUBSTEPS)]
    settings: WindowTable


class NetworkTable(ModelTable):
    """``network.json``."""

    hidden_sizes: Annotated[list[Size], msgspec.Meta(max_length=64)]
    members: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    feature_mean: list[Number]
    feature_std: list[Positive]


class EstimateTable(TypedDict):
    """The solution of a fit."""

    raw: list[Number]
    covariance: list[list[Known]]
    blocks: Annotated[int, msgspec.Meta(ge=0)]
    information: NotRequired[list[list[Known]]]
    sound: NotRequired[bool]


Verdict = TypedDict(
    "Verdict",
    {
        "verdict": Text,
        "with": Text | None,
        "std": Known,
        "between": Known,
        "share_of_value": Known,
        "prior_share": Known,
        "advice": Text | None,
        "profile": Text,
    },
    total=False,
)


class FitTable(ModelTable):
    """``fit.json``."""

    params: dict[str, Numbers]
    deviations: dict[str, Numbers]
    remaining_error: dict[str, Known]
    estimate: NotRequired[EstimateTable | None]
    reached: NotRequired[dict[str, Annotated[float, msgspec.Meta(ge=0.0, le=math.pi)]]]
    verdicts: NotRequired[dict[str, Verdict]]
    driven: NotRequired[dict[str, list[Number]]]


class PredictedTable(TypedDict, total=False):
    """A parameter in ``pct_predicted_params.json``."""

    mean: Required[Numbers]
    std: Required[Numbers]
    unit: Required[Text]
    bounds: Required[tuple[Numbers, Numbers]]
    default: Required[Numbers]
    symbol: Text
    min: Numbers
    max: Numbers
    ensemble_std: Numbers


def spec_table(spec: ModelSpec) -> dict[str, Any]:
    """What `spec_from_table` rebuilds the model from; plain values, lists and arrays."""
    return {
        "model": spec.name,
        "measurement": dataclasses.asdict(spec.measurement) if spec.measurement else {},
        "limited": spec.limited,
        "held": spec.held,
        "interpolated": spec.interpolated,
        **({"unlogged": spec.unlogged} if spec.unlogged else {}),
        "param_keys": spec.param_keys,
        "global_keys": spec.global_keys,
        "param_shapes": spec.param_shapes,
        "param_bounds": spec.param_bounds,
        "default_params": spec.default_params,
    }


def spec_from_table(saved: Mapping[str, Any]) -> ModelSpec:
    """The model of what `spec_table` gave, read back from JSON.

    Args:
        saved: of the types of `ModelTable`.

    Raises:
        ValueError: a value does not fit the model; the message names its key.
    """
    # Earlier versions learned the gains of their observer.
    former = GAINS in saved["param_bounds"]
    spec = with_measurement(get_model(saved["model"]), _measurement(saved["measurement"]), gains=former)
    rows = {row.name: row for row in spec.parameters}
    for key in ("param_keys", "global_keys", "param_shapes", "param_bounds", "default_params"):
        _require_known(key, saved[key], rows, f"a parameter of {spec.name}")
    keys = tuple(saved["param_keys"])
    if not keys or len(set(keys)) < len(keys):
        raise ValueError(
            f"'param_keys': expected each learned parameter once, found {', '.join(keys) or 'none'}"
        )
    # A run that says nothing of its inputs is of a time when limits acted on all and controls were held.
    inputs: Any = {name: tuple(saved[name]) for name in ("limited", "held", "interpolated") if name in saved}
    # Those of the vehicle, or those that a log has in their place.
    controls = {*get_model(saved["model"]).control_names, *spec.control_names}
    for key, known, what in (
        ("limited", controls, "a control"),
        ("held", spec.rates, "a state whose rate is a control"),
        ("interpolated", controls, "a control"),
        ("unlogged", spec.state_indices, "a state"),
    ):
        _require_known(key, saved.get(key, ()), known, f"{what} of {spec.name}")
    shapes = {name: tuple(shape) for name, shape in saved["param_shapes"].items()}
    for name, shape in shapes.items():
        if math.prod(shape) > MOST_ENTRIES or len(shape) != len(rows[name].shape):
            raise ValueError(f"'param_shapes.{name}': expected one like {rows[name].shape}, found {shape}")
    shapes = {**{row.name: row.shape for row in spec.parameters if row.shape}, **shapes}
    bounds = {
        name: tuple(numbers(f"param_bounds.{name}", side, shapes.get(name, ())) for side in sides)
        for name, sides in saved["param_bounds"].items()
    }
    for name, (low, high) in bounds.items():
        if not np.all(low < high) or (rows[name].log and not np.all(low > 0)):
            above = "0 < low < high" if rows[name].log else "low < high"
            raise ValueError(f"'param_bounds.{name}': expected {above}, found {low} and {high}")
    defaults = {
        name: numbers(f"default_params.{name}", value, shapes.get(name, ()))
        for name, value in saved["default_params"].items()
    }
    rebuilt = dataclasses.replace(
        spec,
        **inputs,
        param_keys=keys,
        global_keys=tuple(saved["global_keys"]),
        param_shapes=shapes,
        param_bounds=bounds,
        default_params=defaults,
    )
    _check_shapes(spec, rebuilt)
    return with_unlogged(rebuilt, dict.fromkeys(saved.get("unlogged", ()), ASSUMED))


def numbers(key: str, value: Any, shape: Shape, *, exact: bool = False, missing: float | None = None) -> Any:
    """A value of `Numbers`: a float, or an array.

    Args:
        key: where it stands, for messages.
        value: as it was read.
        shape: that it takes; a number may stand for a whole array.
        exact: whether it may not.
        missing: what stands for null; null is refused where this is left out.

    Raises:
        ValueError: it has another shape, or is null.
    """
    expected = f"numbers of shape {shape}" if shape else "a number"
    try:
        array = np.asarray(value, float)
    except (ValueError, TypeError):
        raise ValueError(f"'{key}': expected {expected}, found lists of different lengths") from None
    if array.shape != shape and (exact or array.shape):
        raise ValueError(f"'{key}': expected {expected}, found shape {array.shape}")
    if missing is None and np.isnan(array).any():
        raise ValueError(f"'{key}': expected numbers, found null")
    if missing is not None:
        array = np.where(np.isnan(array), missing, array)
    return array if array.ndim else float(array)


def _measurement(saved: Mapping[str, Any]) -> Measurement:
    effects = option_fields(Measurement)
    for name, value in saved.items():
        if name != "observer" and name not in effects:
            raise ValueError(f"'measurement.{name}': expected one of {', '.join(effects)}")
        switch = name == "observer" or bool(effects[name].needs)
        if isinstance(value, bool) is not switch:
            what = "true or false" if switch else "names of channels"
            raise ValueError(f"'measurement.{name}': expected {what}, found {value}")
    return Measurement.of(**saved)


def _require_known(key: str, names: Collection[str], known: Collection[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"'{key}': expected {what}, found '{name}'")


def _check_shapes(own: ModelSpec, spec: ModelSpec) -> None:
    """Refuse shapes that the equations do not take; they are followed without computing anything."""
    import jax

    shapes = {row.name: tuple(spec.param_shapes.get(row.name, ())) for row in own.parameters}
    other = {row.name for row in own.parameters if shapes[row.name] != row.shape}
    if not other:
        return
    size = len(spec.states) + len(spec.hidden) + len(spec.controls)
    leaves = {name: jax.ShapeDtypeStruct(shape, "float32") for name, shape in {**shapes, "dt": ()}.items()}
    try:
        if other & outside_equations(spec):
            raise ValueError
        rates = jax.eval_shape(spec.dynamics_fn, jax.ShapeDtypeStruct((size,), "float32"), leaves)
        if rates.shape != (size,):
            raise ValueError
    except Exception:  # equations of anybody's fail in any way
        found = ", ".join(f"{name} of {shapes[name]}" for name in sorted(other))
        raise ValueError(
            f"'param_shapes': expected shapes that the equations of {spec.name} take, found {found}"
        ) from None
