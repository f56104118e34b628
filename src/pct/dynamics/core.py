"""A model is its tables plus one pure function; everything else is derived from them here.

`Channel` and `Parameter` rows say once what a state, control or parameter is called, its unit and its
bounds. `define_model` turns the tables and a derivative into a `ModelSpec`, `register_model_spec` files
it in `MODEL_SPECS`. Nothing here imports JAX: the array namespace `xp` reaches the equations as an
argument, so that JAX, NumPy, CasADi and a code generator read one source.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import functools
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from pct.dynamics.losses import yaw_normalized_loss
from pct.errors import UsageError
from pct.types import Array
from pct.within import FINITE, check_number

Shape = tuple[int, ...]
Range = tuple[Any, Any]
Scope = Literal["context", "global", "fixed"]


@dataclasses.dataclass(frozen=True, eq=False)
class Channel:
    """One state or control of a model.

    Attributes:
        name: column name in a dataset, e.g. ``psi_dot``.
        symbol: mathtext for axis labels, without dollar signs.
        unit: SI unit, e.g. ``rad/s``; ``""`` is not allowed, use ``1`` for a ratio.
        angle: whether residuals are wrapped to [-pi, pi).
        scale: size of an error that matters, in ``unit``; the loss divides by it.
        odd: whether the value changes sign when left and right are swapped.
        limit: largest magnitude that any vehicle shows, in ``unit``; data beyond it is refused. Positions and
            headings have none.
        noise: standard deviation of its usual sensor, in ``unit``; simulated recordings have it.
        typical: largest usual magnitude, in ``unit``: tests draw states up to it, and controls that nobody
            steers are simulated up to it; 20 scales when left out.
        held: whether a rollout holds it over a time step, as it does commands.
        rate_of: name of the channel whose rate it is; it is derived from that where a log lacks it.
    """

    name: str
    symbol: str
    unit: str
    angle: bool = False
    scale: float = 1.0
    odd: bool = False
    limit: float = np.inf
    noise: float = 0.0
    typical: float = 0.0
    held: bool = False
    rate_of: str = ""

    def __post_init__(self) -> None:
        if not self.typical:
            object.__setattr__(self, "typical", 20.0 * self.scale)

    @property
    def heading(self) -> bool:
        """Whether it is an angle that grows from turn to turn."""
        return self.angle and not np.isfinite(self.limit)


@dataclasses.dataclass(frozen=True, eq=False)
class Parameter:
    """One physical parameter of a model.

    Attributes:
        name: key in ``params``, e.g. ``C_Sf``.
        symbol: mathtext for axis labels, without dollar signs.
        unit: SI unit, ``1`` for a ratio.
        low, high, default: bounds and start in ``unit``; a scalar, or an array of ``shape``.
        doc: one line that says what it is.
        shape: axes of an array parameter, ``()`` for a scalar.
        scope: ``context``: the network predicts it; ``global``: one learned constant;
            ``fixed``: known, never learned.
        log: whether the range spans decades, so that bounds are mapped in the logarithm.
        odd: sign of the parameter under the swap of left and right is -1; a scalar or an array of
            ``shape`` (True where the sign changes).
        role: how it shows in driving, and what identifies it: a key of `pct.dynamics.roles.ROLES`, or a
            sentence that names the manoeuvre.
    """

    name: str
    symbol: str
    unit: str
    low: Any
    high: Any
    default: Any
    doc: str
    shape: Shape = ()
    scope: Scope = "context"
    log: bool = False
    odd: Any = False
    role: str = ""

    def __post_init__(self) -> None:
        low, high, default = (np.broadcast_to(v, self.shape) for v in self.range)
        finite = np.isfinite(low).all() and np.isfinite(high).all()
        if not (finite and np.all(low < high) and np.all(low <= default) and np.all(default <= high)):
            raise ValueError(
                f"Parameter {self.name}: expected finite low < high and low <= default <= high, "
                f"got low={self.low}, default={self.default}, high={self.high}"
            )
        if self.log and not np.all(low > 0):
            raise ValueError(f"Parameter {self.name}: log bounds need low > 0, got {self.low}")

    @property
    def range(self) -> tuple[Any, Any, Any]:
        """Low, high and default."""
        return self.low, self.high, self.default

    def in_force(self, low: Any, high: Any, default: Any, shape: Shape) -> Parameter:
        """The row with other values; not checked, since a fitted default may lie on its bound but for
        rounding.
        """
        row = copy.copy(self)
        for field, value in (("low", low), ("high", high), ("default", default), ("shape", shape)):
            object.__setattr__(row, field, value)
        return row


@dataclasses.dataclass(frozen=True, eq=False)
class Option:
    """What equations can do beyond those of the plain model.

    Attributes:
        doc: one line that says what it adds.
        parameters: rows that join the table; the equations ask ``hasattr(p, name)``. A row of a name in the
            table takes its place.
    """

    doc: str
    parameters: tuple[Parameter, ...]


# A field that holds what the tables say unless another value is given.
FROM_TABLES: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
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


@dataclasses.dataclass(frozen=True)
class LaneRates:
    """A derivative on tuples of arrays and a mapping of parameters, which it gets under their names.

    ``held`` has the position of each state that a step holds, and that of its rate control.
    """

    derivative: Callable[..., Any]
    states: tuple[str, ...]
    controls: tuple[str, ...]
    parameters: tuple[str, ...]
    held: tuple[tuple[int, int], ...] = ()

    def __call__(
        self, x: tuple[Array, ...], u: tuple[Array, ...], params: Mapping[str, Any], xp: Any
    ) -> tuple[Array, ...]:
        """Time derivative of every state.

        Args:
            x, u: states and controls in the order of the tables, of shape (...) each.
            params: value by name, scalars of shape () or (...), arrays with their axes last.
            xp: array namespace.

        Returns:
            One array a state; of shape () where the rate is a constant.
        """
        state, control, named = self._tuples
        p = named(*(params[name] for name in self.parameters))
        return tuple(self.derivative(state(*x), control(*u), p, xp))

    def within_step(
        self, x: tuple[Array, ...], u: tuple[Array, ...], params: Mapping[str, Any], xp: Any
    ) -> tuple[Array, ...]:
        """The same inside a time step, where held states stay."""
        rates = list(self(x, u, params, xp))
        for state, _ in self.held:
            rates[state] = 0.0 * x[state]
        return tuple(rates)

    def after_step(self, x: tuple[Array, ...], u: tuple[Array, ...], dt: Any) -> tuple[Array, ...]:
        """The state at the end of a time step of ``dt`` s: held states jump to their next value."""
        after = list(x)
        for state, control in self.held:
            after[state] = x[state] + dt * u[control]
        return tuple(after)

    @functools.cached_property
    def _tuples(self) -> tuple[Any, Any, Any]:
        # mypy knows named tuples with literal fields only.
        State = namedtuple("State", self.states)  # type: ignore[misc]
        Control = namedtuple("Control", self.controls)  # type: ignore[misc]
        Params = namedtuple("Params", self.parameters)  # type: ignore[misc]
        return State, Control, Params


@dataclasses.dataclass(frozen=True)
class StackedRates:
    """The derivative on stacked vectors, as documented: zeros in the control slots."""

    lanes: LaneRates

    def __call__(self, x_and_u: Array, params: Mapping[str, Any], xp: Any = None) -> Array:
        """Time derivative of the concatenated state and control.

        Args:
            x_and_u: states then controls on the last axis, shape (..., S + C).
            params: value by name, scalars of shape () or (...), arrays with their axes last.
            xp: array namespace; ``jax.numpy`` when left out.

        Returns:
            Shape (..., S + C), zeros in the control slots.
        """
        if xp is None:
            import jax.numpy as xp
        states, controls = len(self.lanes.states), len(self.lanes.controls)
        lanes = [x_and_u[..., i] for i in range(states + controls)]
        rates = self.lanes(tuple(lanes[:states]), tuple(lanes[states:]), params, xp)
        zero = xp.zeros_like(x_and_u[..., 0])
        return xp.stack([zero + rate for rate in rates] + [zero] * controls, axis=-1)

    @property
    def held(self) -> tuple[tuple[int, int], ...]:
        """Position of each state that a step holds, and of its rate control, in the stacked vector."""
        return tuple((state, len(self.lanes.states) + control) for state, control in self.lanes.held)


@dataclasses.dataclass(frozen=True)
class WithinLimits:
    """A derivative whose controls pass limits first; one object for one model, so that caches know it."""

    derivative: Callable[..., Any]
    limits: Callable[..., Mapping[str, Any]]
    limited: tuple[str, ...]

    def __call__(self, x: Any, u: Any, p: Any, xp: Any) -> Any:
        """Arguments as of `define_model`'s derivative."""
        within = self.limits(x, u, p, xp)
        return self.derivative(
            x, u._replace(**{name: within[name] for name in self.limited if name in within}), p, xp
        )


def within_limits(
    derivative: Callable[..., Any], limits: Callable[..., Mapping[str, Any]] | None, limited: tuple[str, ...]
) -> Callable[..., Any]:
    """The derivative behind limits on some of its controls.

    A derivative that wraps a vehicle's, such as that of a measurement, puts them before the vehicle itself,
    with a method ``within_limits(limits, limited)``.
    """
    inside = getattr(derivative, "within_limits", None)
    if inside is not None:
        inner: Callable[..., Any] = inside(limits, limited)
        return inner
    return derivative if limits is None or not limited else WithinLimits(derivative, limits, limited)


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


def register_model_spec(spec: ModelSpec) -> ModelSpec:
    """File a model under its name in `MODEL_SPECS` and return it.

    Raises:
        ValueError: the name is taken.
    """
    if spec.name in MODEL_SPECS:
        raise ValueError(f"A model named '{spec.name}' is already registered")
    MODEL_SPECS[spec.name] = spec
    return spec


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


def with_options(spec: ModelSpec, names: Iterable[str]) -> ModelSpec:
    """A model as it was defined, with options: their rows in its table, their names behind its own.

    Args:
        spec: a model without options, vehicle and measurement.
        names: of options, in any order; none gives the model itself.

    Raises:
        UsageError: an unknown option, or one twice.
    """
    names = list(names)
    for name in names:
        if name not in spec.options:
            raise unknown_name("option", name, spec.options, of=f"model '{spec.name}'")
        if names.count(name) > 1:
            raise UsageError(f"`model={'+'.join([spec.name, *names])}`: expected each option once")
    if not names:
        return spec
    chosen = [name for name in spec.options if name in names]
    added = {row.name: row for name in chosen for row in spec.options[name].parameters}
    rows = {row.name: row for row in spec.parameters} | added
    return ModelSpec(
        **{field: getattr(spec, field) for field in OF_EQUATIONS},
        name="+".join([spec.name, *chosen]),
        parameters=tuple(rows.values()),
    )


OF_EQUATIONS = (
    "states", "controls", "derivative", "pose", "pose_invariant", "side_force", "drive_force", "physical",
    "options", "limits",
)  # fmt: skip
"""Fields of a model that options leave as they are."""


def with_fixed(spec: ModelSpec, fixed: Mapping[str, float | None]) -> ModelSpec:
    """Hold parameters: the network no longer predicts them.

    Args:
        fixed: value by name; None holds the default.

    Raises:
        UsageError: an unknown name, a value out of bounds, or nothing left to learn.
    """
    for name, value in fixed.items():
        row = spec.parameter(name)
        if value is None:
            continue
        check_number(f"fixed={name}", value, FINITE)
        low, high = spec.param_bounds[name]
        if not (np.all(np.asarray(low) <= value) and np.all(value <= np.asarray(high))):
            raise UsageError(f"`fixed={name}={value}`: expected a value within [{low}, {high}] {row.unit}")
    values = {name: value for name, value in fixed.items() if value is not None}
    keys = tuple(key for key in spec.param_keys if key not in fixed)
    if not keys:
        raise UsageError(f"`fixed`: holds every parameter of '{spec.name}': nothing is left to learn")
    return dataclasses.replace(
        spec,
        param_keys=keys,
        default_params={
            name: np.full(np.shape(old), values[name])
            if name in values and np.shape(old)
            else values.get(name, old)
            for name, old in spec.default_params.items()
        },
    )


def with_scope(spec: ModelSpec, names: Sequence[str], scope: Literal["global", "context"]) -> ModelSpec:
    """Learn parameters as one constant for all windows, or with the context of each; also held ones.

    Raises:
        UsageError: an unknown name.
    """
    for name in names:
        spec.parameter(name)
    learned = {*spec.param_keys, *names}
    constants = {*spec.global_keys, *names} if scope == "global" else {*spec.global_keys} - {*names}
    return dataclasses.replace(
        spec,
        param_keys=tuple(row.name for row in spec.parameters if row.name in learned),
        global_keys=tuple(row.name for row in spec.parameters if row.name in constants),
    )


def flatten_bounds(
    param_keys: tuple[str, ...],
    param_bounds: Mapping[str, Range],
    full_shapes: Mapping[str, Shape],
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of each entry of the flat parameter vector, two arrays of shape (P,).

    Examples:
        >>> flatten_bounds(("mu", "b"), {"mu": (0.1, 1.5), "b": (-1.0, 1.0)}, {"mu": (), "b": (2,)})
        (array([ 0.1, -1. , -1. ]), array([1.5, 1. , 1. ]))
    """
    low, high = ({key: param_bounds[key][side] for key in param_keys} for side in (0, 1))
    return flatten_params(low, param_keys, full_shapes), flatten_params(high, param_keys, full_shapes)


def flatten_params(
    params: Mapping[str, Any], param_keys: tuple[str, ...], full_shapes: Mapping[str, Shape]
) -> np.ndarray:
    """Stack parameters into one vector of shape (P,), arrays in row-major order."""
    parts = [np.broadcast_to(params[key], full_shapes[key]).ravel() for key in param_keys]
    return np.concatenate(parts).astype(float)


def unflatten_params(
    vector: Array, param_keys: tuple[str, ...], full_shapes: Mapping[str, Shape]
) -> dict[str, Array]:
    """Split the last axis of a flat vector (..., P) into named parameters (..., *shape)."""
    params, start = {}, 0
    for key in param_keys:
        size = int(np.prod(full_shapes[key]))
        part = vector[..., start : start + size]
        params[key] = part.reshape((*vector.shape[:-1], *full_shapes[key]))
        start += size
    return params
