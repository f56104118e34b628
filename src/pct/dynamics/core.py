"""A model is its tables plus one pure function; everything else is derived from them here.

Rows (`pct.dynamics.rows`) say once what a state, control or parameter is called, its unit and its bounds.
`define_model` turns the tables and a derivative into a `ModelSpec`, `register_model_spec` files it in
`MODEL_SPECS`. Nothing here imports JAX: the array namespace `xp` reaches the equations as an argument, so
that JAX, NumPy, CasADi and a code generator read one source. What a model is made of can be imported from
here.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import keyword
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from pct.dynamics.derivatives import LaneRates as LaneRates
from pct.dynamics.derivatives import StackedRates as StackedRates
from pct.dynamics.derivatives import within_limits as within_limits
from pct.dynamics.losses import yaw_normalized_loss
from pct.dynamics.rows import Channel as Channel
from pct.dynamics.rows import Option as Option
from pct.dynamics.rows import Parameter as Parameter
from pct.dynamics.rows import Range as Range
from pct.dynamics.rows import Shape as Shape
from pct.dynamics.vectors import flatten_bounds as flatten_bounds
from pct.dynamics.vectors import flatten_params as flatten_params
from pct.dynamics.vectors import unflatten_params as unflatten_params
from pct.errors import UsageError
from pct.types import Array

# A field that holds what the tables say unless another value is given.
FROM_TABLES: Any = None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ModelSpec:
    """A dynamics model: its tables, its equations, and the values in force.

    The tables say what each name means. The other fields begin as the tables say, and `dataclasses.replace`
    may patch them (another vehicle, another hidden size) or the tables themselves: a row that is new brings
    its values with it. Names, indices and vector functions follow from the tables.

    Attributes:
        name: key in `MODEL_SPECS`.
        states, controls, parameters: the tables.
        derivative: the one pure function, see `define_model`.
        pose: names of the channels for position along x, along y and heading.
        pose_invariant: whether the equations look the same from every position and heading; where not,
            they hold in the frame of the window's first pose.
        side_force, drive_force, physical: what curves are drawn of, see `define_model`.
        options: what can be added to the equations, by name, see `with_options`.
        hidden: states behind those of the table that no log holds; the equations have them last.
        measurement: the sensor and actuator errors between model and log, see
            `pct.measurement`; None for none.
        limits: what the car's own actuators can do, see `define_model`; None for no limits.
        limited: names of the controls that ``limits`` act on, all where nothing is said. What was measured
            has passed the actuators already: there they do not act, see `pct.windows.inputs`.
        held: names of the states that hold their value over a time step and jump at its end by their rate
            control times the step, such as a steering angle that is a command; they run along straight lines
            otherwise. ``derivative`` and ``dynamics_fn`` do not know of it: a step does.
        interpolated: names of the controls that run along straight lines between logged rows; windows hold
            their mean over each step. All others are held over the step.
        unlogged: names of the states that the logs do not hold, see `pct.recordings.unlogged`: nothing is
            compared with them, and no observer reads them.
        param_keys: names of the learned parameters, ``context`` and ``global``, in the network's order.
        global_keys: names of those among ``param_keys`` that are one learned constant for all windows.
        param_shapes: shape of each array parameter; scalars may be left out.
        param_bounds: ``(low, high)`` by name, for every parameter.
        default_params: default by name, for every parameter, ``fixed`` ones included.
        dynamics_fn: ``dynamics_fn(x_and_u, params)``, the derivative on stacked vectors.
        loss_fn: loss of predicted against true states, see `pct.dynamics.losses`.
        train_loss_kwargs, eval_loss_kwargs: keyword arguments of ``loss_fn`` in training and validation.
    """

    name: str
    states: tuple[Channel, ...]
    controls: tuple[Channel, ...]
    parameters: tuple[Parameter, ...]
    derivative: Callable[..., Any]
    pose: tuple[str, str, str] = ("x", "y", "psi")
    pose_invariant: bool = True
    side_force: Callable[..., Any] | None = None
    drive_force: Callable[..., Any] | None = None
    physical: Callable[..., Mapping[str, Any]] | None = None
    options: Mapping[str, Option] = dataclasses.field(default_factory=dict)
    hidden: tuple[Channel, ...] = ()
    measurement: Any = None
    limits: Callable[..., Mapping[str, Any]] | None = None
    limited: tuple[str, ...] = FROM_TABLES
    held: tuple[str, ...] = ()
    interpolated: tuple[str, ...] = ()
    unlogged: tuple[str, ...] = ()
    param_keys: tuple[str, ...] = FROM_TABLES
    global_keys: tuple[str, ...] = FROM_TABLES
    param_shapes: Mapping[str, Shape] = FROM_TABLES
    param_bounds: Mapping[str, Range] = FROM_TABLES
    default_params: Mapping[str, Any] = FROM_TABLES
    dynamics_fn: Callable[..., Array] = FROM_TABLES
    loss_fn: Callable[..., Array] = yaw_normalized_loss
    train_loss_kwargs: Mapping[str, Any] = FROM_TABLES
    eval_loss_kwargs: Mapping[str, Any] = FROM_TABLES

    def __post_init__(self) -> None:
        rows = self.parameters
        shapes, bounds, defaults = (
            given or {} for given in (self.param_shapes, self.param_bounds, self.default_params)
        )
        fields: dict[str, Any] = {
            "param_shapes": {row.name: shapes.get(row.name, row.shape) for row in rows},
            "param_bounds": {row.name: bounds.get(row.name, (row.low, row.high)) for row in rows},
            "default_params": {row.name: defaults.get(row.name, row.default) for row in rows},
        }
        fields["param_shapes"] = {name: shape for name, shape in fields["param_shapes"].items() if shape}
        if self.limited is FROM_TABLES:
            object.__setattr__(self, "limited", self.control_names if self.limits is not None else ())
        if self.param_keys is FROM_TABLES:
            fields["param_keys"] = tuple(row.name for row in rows if row.scope != "fixed")
        if self.global_keys is FROM_TABLES:
            fields["global_keys"] = tuple(row.name for row in rows if row.scope == "global")
        loss_kwargs = {"angle_mask": self.angle_mask, "scales": self.scales}
        for field in ("train_loss_kwargs", "eval_loss_kwargs"):
            fields[field] = {**loss_kwargs, **(getattr(self, field) or {})}
        # Equations that somebody put in place of the model's own stay.
        stacked = StackedRates(self.lane_rates)
        if self.dynamics_fn is FROM_TABLES or isinstance(self.dynamics_fn, StackedRates):
            fields["dynamics_fn"] = self.dynamics_fn if self.dynamics_fn == stacked else stacked
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    def __repr__(self) -> str:
        return (
            f"ModelSpec('{self.name}': states {' '.join(self.state_names)}, "
            f"controls {' '.join(self.control_names)}, learns {' '.join(self.param_keys)})"
        )

    @functools.cached_property
    def state_names(self) -> tuple[str, ...]:
        """Names of the states of the table, in order."""
        return tuple(channel.name for channel in self.states)

    @functools.cached_property
    def control_names(self) -> tuple[str, ...]:
        """Names of the controls, in order."""
        return tuple(channel.name for channel in self.controls)

    @functools.cached_property
    def state_indices(self) -> Mapping[str, int]:
        """Position of each state of the table in the state vector."""
        return {name: i for i, name in enumerate(self.state_names)}

    @property
    def control_dim(self) -> int:
        """Number of controls."""
        return len(self.controls)

    @property
    def dynamics_module(self) -> str:
        """Import path of the module that holds the equations."""
        return self.derivative.__module__

    @functools.cached_property
    def lane_rates(self) -> LaneRates:
        """``lane_rates(x, u, params, xp)``, the derivative on one array a state and control, in limits."""
        return LaneRates(
            within_limits(self.derivative, self.limits, self.limited),
            tuple(channel.name for channel in (*self.states, *self.hidden)),
            self.control_names,
            tuple(row.name for row in self.parameters),
            tuple(
                (self.state_indices[name], self.control_names.index(self.rates[name])) for name in self.held
            ),
        )

    @functools.cached_property
    def rates(self) -> Mapping[str, str]:
        """Name of the control that is the rate of a state, by the state's name."""
        return {row.rate_of: row.name for row in self.controls if row.rate_of in self.state_indices}

    @property
    def full_shapes(self) -> dict[str, Shape]:
        """Shape of every learned parameter, scalars included."""
        return {key: tuple(self.param_shapes.get(key, ())) for key in self.param_keys}

    @property
    def vector_size(self) -> int:
        """Length of the flat vector of learned parameters, the network's output size."""
        return sum(int(np.prod(shape)) for shape in self.full_shapes.values())

    @property
    def pose_indices(self) -> tuple[int, int, int]:
        """Positions of x, y and heading in the state vector."""
        x, y, heading = (self.state_indices[name] for name in self.pose)
        return x, y, heading

    @property
    def angle_mask(self) -> np.ndarray:
        """Which states are angles, shape (S,)."""
        return np.array([channel.angle for channel in self.states])

    @property
    def scales(self) -> np.ndarray:
        """Loss scale of each state in its unit, shape (S,)."""
        return np.array([channel.scale for channel in self.states])

    def parameter(self, name: str) -> Parameter:
        """The row of a parameter, its bounds, default and shape those in force.

        Raises:
            UsageError: an unknown name, with the nearest and all known ones.
        """
        for row in self.parameters:
            if row.name == name:
                low, high = self.param_bounds[name]
                shape = tuple(self.param_shapes.get(name, ()))
                return row.in_force(low, high, self.default_params[name], shape)
        raise unknown_name("parameter", name, self.default_params, of=f"model '{self.name}'")

    def channel(self, name: str) -> Channel:
        """The row of a state or control.

        Raises:
            UsageError: an unknown name, with the nearest and all known ones.
        """
        rows = {row.name: row for row in (*self.states, *self.controls)}
        if name not in rows:
            raise unknown_name("channel", name, rows, of=f"model '{self.name}'")
        return rows[name]

    def base_params(self, dt: float) -> dict[str, Any]:
        """Every parameter at its value in force, and the time step.

        Args:
            dt: time step in s.

        Returns:
            ``{name: value}`` for every parameter, and ``"dt"``. What the network predicts replaces the
            learned entries.
        """
        return {**self.default_params, "dt": dt}

    def build_base_params(self, timestep_hundredths: int) -> dict[str, Any]:
        """`base_params` at a time step in hundredths of a second."""
        return self.base_params(timestep_hundredths / 100.0)


MODEL_SPECS: dict[str, ModelSpec] = {}


def define_model(
    name: str,
    *,
    states: tuple[Channel, ...],
    controls: tuple[Channel, ...],
    parameters: tuple[Parameter, ...],
    derivative: Callable[..., Any],
    pose: tuple[str, str, str] = ("x", "y", "psi"),
    pose_invariant: bool = True,
    side_force: Callable[..., Any] | None = None,
    drive_force: Callable[..., Any] | None = None,
    physical: Callable[..., Mapping[str, Any]] | None = None,
    limits: Callable[..., Mapping[str, Any]] | None = None,
    options: Mapping[str, Option] | None = None,
) -> ModelSpec:
    """A `ModelSpec` from its tables.

    With `side_force` a fit has curves of its tyres. They need the parameters ``m, lf, lr, v_blend_high``, and
    of `physical` or the table the states ``delta, psi_dot`` and ``vx, vy`` or ``v, beta``.

    Args:
        name: key in `MODEL_SPECS`.
        states, controls, parameters: rows of the tables, in the order of their vectors.
        derivative: ``derivative(x, u, p, xp)`` with a named tuple of states, one of controls and one of
            parameters, each entry an array of any common batch shape (array parameters carry their own
            axes last), and the array namespace. Returns ``x._replace(...)`` with every time derivative.
            Pure, and finite with finite gradients over the whole documented range, standstill included.
        pose: see `ModelSpec`.
        pose_invariant: likewise.
        side_force: ``side_force(axle, slip, p, xp)``: side force of the axle ``front`` or ``rear`` in N under
            its static load, positive to the left, at a slip angle in rad, positive where that turns the force
            to the left.
        drive_force: ``drive_force(vx, drive, p, xp)``: force along the car in N at a speed in m/s under a
            drive command.
        physical: ``physical(states, p)``: states by name behind those that the sensors show.
        limits: ``limits(x, u, p, xp)`` with the arguments of ``derivative``: by name, what the car's own
            actuators make of those controls that they limit. ``derivative`` itself limits nothing.
        options: what can be added to the equations, by name.

    Raises:
        UsageError: a name that is none or that stands twice, no state, or a pose that the states
            do not hold.

    Examples:
        >>> sled = define_model(
        ...     "sled",
        ...     states=(Channel("x", "x", "m"), Channel("y", "y", "m"), Channel("psi", "p", "rad")),
        ...     controls=(Channel("pull", "u", "m/s"),),
        ...     parameters=(Parameter("gain", "g", "1", 0.0, 2.0, 1.0, "speed over pull"),),
        ...     derivative=lambda x, u, p, xp: x._replace(x=p.gain * u.pull, y=0.0 * x.y, psi=0.0 * x.psi),
        ... )
        >>> sled.param_keys, sled.vector_size
        (('gain',), 1)
    """
    _check_tables(name, states, controls, parameters, pose)
    return ModelSpec(
        name,
        states=states,
        controls=controls,
        parameters=parameters,
        derivative=derivative,
        pose=pose,
        pose_invariant=pose_invariant,
        side_force=side_force,
        drive_force=drive_force,
        physical=physical,
        limits=limits,
        options=options or {},
    )


def _check_tables(
    name: str,
    states: tuple[Channel, ...],
    controls: tuple[Channel, ...],
    parameters: tuple[Parameter, ...],
    pose: tuple[str, str, str],
) -> None:
    """Refuse tables that no equations can be called with; see `define_model`."""
    for what, rows in (("states", states), ("controls", controls), ("parameters", parameters)):
        names = [row.name for row in rows]
        if not names and what == "states":
            raise UsageError(f"model '{name}': expected {what}, found none")
        for row in names:
            if not row.isidentifier() or keyword.iskeyword(row) or row.startswith("_"):
                raise UsageError(f"model '{name}': {what}: expected names that Python can say, found '{row}'")
            if names.count(row) > 1:
                raise UsageError(f"model '{name}': {what}: expected each name once, found '{row}' twice")
    known = [row.name for row in states]
    if missing := [channel for channel in pose if channel not in known]:
        raise UsageError(
            f"model '{name}': expected the states {', '.join(pose)}, of position and heading, found no "
            f"'{missing[0]}': add it, or say by `pose` which states they are"
        )


def register_model_spec(spec: ModelSpec) -> ModelSpec:
    """File a model under its name in `MODEL_SPECS` and return it.

    The same model of somebody's own, defined anew as a notebook does when its cell runs again, takes the
    place of the former one.

    Raises:
        UsageError: the name is taken by another model.
    """
    known = MODEL_SPECS.get(spec.name)
    if known is not None and not _is_same(known, spec):
        raise UsageError(f"A model named '{spec.name}' is already registered: choose another name")
    MODEL_SPECS[spec.name] = spec
    return spec


def _is_same(known: ModelSpec, spec: ModelSpec) -> bool:
    """Whether the equations of two models are the same function, defined twice."""
    places = [
        (getattr(one.derivative, "__module__", None), getattr(one.derivative, "__qualname__", None))
        for one in (known, spec)
    ]
    return places[0] == places[1] and not str(places[0][0]).startswith("pct.")


def unknown_name(kind: str, name: str, known: Iterable[str], of: str = "") -> UsageError:
    """The error for a name that nothing has, with the nearest known name and all of them.

    Examples:
        >>> print(unknown_name("parameter", "C_sf", ["mu", "C_Sf"], of="model 'singletrack'"))
        unknown parameter 'C_sf' of model 'singletrack': did you mean 'C_Sf'? Known: mu, C_Sf
    """
    known = list(known)
    nearest = difflib.get_close_matches(name.lower(), [other.lower() for other in known], 1)
    guess = [f": did you mean '{other}'?" for other in known if [other.lower()] == nearest][:1]
    owner = f" of {of}" if of else ""
    return UsageError(f"unknown {kind} '{name}'{owner}{guess[0] if guess else '.'} Known: {', '.join(known)}")
