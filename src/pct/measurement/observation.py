"""What stands between a model and its log: sensors that lag and are off, slow actuators, and an observer.

`with_measurement` turns a model into one whose states are what the log shows; all that is not logged is a
hidden state behind them: the true value behind a sensor that lags, what an actuator does at present, an
error of a rate (a slope, wind, an engine that is off) or of a sensor. Everything that works on a model
works on it: rollouts, bounds, fits, plots.

One noisy row is a poor start for a rollout, and hidden states have none at all. An observer rolls the model
over the rows before a window and, after each step, moves its state by learned gains times what the log says
otherwise (`corrected`). At the window's start the state has taken the history in.

References:
    L. Ljung, "System Identification: Theory for the User", 2nd ed., 1999, sections 4.3 and 7.4: models in
    innovations form, and their parameters by prediction errors.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pct.dynamics.channels import PEDALS
from pct.dynamics.core import Channel, ModelSpec, Parameter
from pct.errors import UsageError
from pct.types import Array, Float

# Gains that correct a state by its own channel start here; all others at zero.
START_GAIN = 0.3
# Bounds of the gains, in scales of the state over scales of the channel, and for errors of rates per s.
GAIN, DRIFT_GAIN = 3.0, 30.0
GAINS = "gains"
# However the steering ratio changes with the angle, it stays well above nothing, and so does its slope.
MOST_BENT = -0.25


@dataclasses.dataclass(frozen=True)
class Measurement:
    """How a log shows a model; names of the model's channels. Nothing by default.

    Attributes:
        lag: states whose sensor follows with a first-order lag; a state named n times: with n equal ones
            in a row, which is nearer to a filter or a delay.
        bias: states whose sensor is off by an amount that the observer finds and that fades.
        drift: states whose rate is off by an amount that the observer finds and that fades.
        actuator_lag: states or controls that act with a first-order lag behind what is logged.
        delay: controls that act later than they are logged, or earlier, by a constant time.
        steering: whether the steering angle at the wheel has a ratio to the logged one, which may change
            with the angle, and an offset.
        lever_arm: whether the logged ``vy`` belongs to another point than the centre of gravity, on the axis.
        misaligned: whether the axes of the logged velocity are turned against the vehicle's.
        pedals: whether the log holds ``throttle`` and ``brake`` instead of the drive command.
        observer: whether the state at a window's start comes from the rows before it.
    """

    lag: tuple[str, ...] = ()
    bias: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    actuator_lag: tuple[str, ...] = ()
    delay: tuple[str, ...] = ()
    steering: bool = False
    lever_arm: bool = False
    misaligned: bool = False
    pedals: bool = False
    observer: bool = False


def with_measurement(spec: ModelSpec, measurement: Measurement) -> ModelSpec:
    """The model as its log shows it.

    Args:
        spec: any registered model, also one with other bounds or held parameters.
        measurement: what to put between model and log.

    Returns:
        A model with the same states, hidden states behind them, and the parameters of the measurement,
        which are learned as one constant for all windows.

    Raises:
        UsageError: a channel that the model does not have, that the option cannot be applied to, or that
            is named twice.
    """
    m = measurement
    if m == Measurement():
        return spec
    controls = spec.controls
    if m.pedals:
        _known("--pedals", ("drive",), spec.control_names, spec)
        controls = tuple(c for c in controls if c.name != "drive") + PEDALS
    control_names = tuple(c.name for c in controls)
    moving = tuple(c for c in spec.states if c.name not in spec.pose)
    names = tuple(c.name for c in moving)
    for flag, given, known in (
        ("--lag", m.lag, names),
        ("--bias", m.bias, names),
        ("--drift", m.drift, names),
        ("--actuator-lag", m.actuator_lag, (*names, *control_names)),
        ("--delay", m.delay, control_names),
        ("--steering", ("delta",) if m.steering else (), names),
        ("--misaligned", ("vx", "vy") if m.misaligned else (), names),
        ("--lever-arm", ("vx", "vy", "psi_dot") if m.lever_arm else (), names),
    ):
        _known(flag, given, known, spec)
        # Only a lag may come in several stages.
        if flag != "--lag" and len(set(given)) < len(given):
            raise UsageError(f"{flag} {' '.join(given)}: expected each channel once")
    rows = {c.name: c for c in (*spec.states, *controls)}
    hidden = (
        *(_hidden(rows[name], stage) for name, stages in _filters(m).items() for stage in stages),
        *(_hidden(rows[name], "acting") for name in m.actuator_lag),
        *(_hidden(rows[name], "drift", "/s") for name in m.drift),
        *(_hidden(rows[name], "bias") for name in m.bias),
    )
    corrected = (*moving, *hidden) if m.observer else ()
    parameters = (*spec.parameters, *_parameters(m, spec, corrected, moving))
    added = tuple(row.name for row in parameters[len(spec.parameters) :])
    return dataclasses.replace(
        spec,
        controls=controls,
        parameters=parameters,
        derivative=_derivative(spec, m),
        param_keys=(*spec.param_keys, *added),
        global_keys=(*spec.global_keys, *added),
        hidden=hidden,
        measurement=m,
    )


def corrected(
    spec: ModelSpec, params: Mapping[str, Any], x: Sequence[Array], logged: Sequence[Array], gate: Array
) -> tuple[Array, ...]:
    """The state after a step, moved by what the log says otherwise.

    Args:
        spec: a model with an observer.
        params: the gains, (K, M), among others.
        x: one array (B,) a state, hidden ones last.
        logged: what the log says of each state of the table, (B,) each.
        gate: 1 to correct, 0 to leave the state as it is.
    """
    moving = [i for i, name in enumerate(spec.state_names) if name not in spec.pose]
    error = {i: gate * (logged[i] - x[i]) for i in range(len(logged))}
    gains = params[GAINS]
    after = [x[i] + error[i] if i in error else x[i] for i in range(len(x))]
    for k, i in enumerate([*moving, *range(len(spec.states), len(x))]):
        after[i] = x[i] + sum(gains[k, j] * error[n] for j, n in enumerate(moving))
    return tuple(after)


def vehicle_motion(
    measurement: Measurement, p: Any, logged: Mapping[str, Array], xp: Any
) -> dict[str, Array]:
    """The vehicle's own velocity and steering angle behind what the log shows; lags and biases stay.

    Args:
        measurement: what stands between.
        p: the measurement's parameters, by attribute.
        logged: states by name, of any common shape, in SI units.
        xp: array namespace.

    Returns:
        Those of ``vx, vy, delta`` that differ, by name.
    """
    motion = dict(logged)
    if measurement.misaligned:
        motion["vx"], motion["vy"] = _turned(motion, p.misalignment, xp)
    if measurement.lever_arm:
        motion["vy"] = motion["vy"] - p.ahead * motion["psi_dot"]
    if measurement.steering:
        angle = motion["delta"]
        bent = xp.maximum(p.steering_curve * angle**2, MOST_BENT)
        motion["delta"] = p.steering_ratio * (1 + bent) * angle + p.steering_offset
    return {name: motion[name] for name in ("vx", "vy", "delta") if name in motion}


def hidden_start(spec: ModelSpec, x: Sequence[Array], u: Sequence[Array]) -> tuple[Array, ...]:
    """Hidden states where nothing else is known: what is logged is true and acts, errors are zero."""
    logged = dict(zip((*spec.state_names, *spec.control_names), (*x, *u), strict=True))
    return tuple(
        logged[channel.name.rpartition("_")[0]] * float(not channel.name.endswith(("_drift", "_bias")))
        for channel in spec.hidden
    )


def delayed(
    spec: ModelSpec, params: Mapping[str, Any], controls: Sequence[Float[Array, "T B"]], h: float
) -> tuple[Float[Array, "T B"], ...]:
    """Controls as they act: each ``delay`` later than it is logged, in straight lines between rows.

    Beyond the first and last row the nearest one holds, so nothing is read that lies outside the window.
    """
    import jax.numpy as jnp

    late = () if spec.measurement is None else spec.measurement.delay

    def shift(column: Array, delay: Array) -> Array:
        last = column.shape[0] - 1
        at = jnp.clip(jnp.arange(last + 1) - delay / h, 0, last)
        before = jnp.clip(jnp.floor(at).astype(int), 0, last - 1)
        share = (at - before).astype(column.dtype)[:, None]
        return column[before] * (1 - share) + column[before + 1] * share

    return tuple(
        shift(column, params[f"delay_{name}"]) if name in late else column
        for name, column in zip(spec.control_names, controls, strict=True)
    )


def _steering_gain(p: Any, angle: Array, xp: Any) -> Array:
    """Change of the angle at the wheel by that of the logged one."""
    return p.steering_ratio * (1 + 3 * xp.maximum(p.steering_curve * angle**2, MOST_BENT))


def _turned(motion: Mapping[str, Array], angle: Array, xp: Any) -> tuple[Array, Array]:
    """``vx, vy`` turned to the left."""
    cos, sin = xp.cos(angle), xp.sin(angle)
    return cos * motion["vx"] - sin * motion["vy"], sin * motion["vx"] + cos * motion["vy"]


def _filters(m: Measurement) -> dict[str, list[str]]:
    """Hidden states before each sensor that lags, from the true value on."""
    stages = Counter(m.lag)
    return {name: ["true", *(f"stage{k}" for k in range(1, count))] for name, count in stages.items()}


def _hidden(row: Channel, what: str, per: str = "") -> Channel:
    return dataclasses.replace(
        row, name=f"{row.name}_{what}", symbol=rf"{row.symbol}^{{{what}}}", unit=row.unit + per, limit=np.inf
    )


def _parameters(
    m: Measurement, spec: ModelSpec, corrected: Sequence[Channel], moving: Sequence[Channel]
) -> tuple[Parameter, ...]:
    """Rows of the measurement's own parameters."""

    def row(name: str, unit: str, low: Any, high: Any, default: Any, doc: str, **more: Any) -> Parameter:
        symbol = more.pop("symbol", name.replace("_", r"\_"))
        return Parameter(name, rf"\mathrm{{{symbol}}}", unit, low, high, default, doc, scope="global", **more)

    rows = [row(f"tau_{n}", "s", 0.005, 2.0, 0.1, f"lag of the sensor of {n}", log=True) for n in _filters(m)]
    for n in m.actuator_lag:
        rows.append(row(f"tau_{n}_acting", "s", 0.005, 2.0, 0.1, f"lag of {n} behind its command", log=True))
    for n in m.delay:
        rows.append(row(f"delay_{n}", "s", -0.5, 0.5, 0.0, f"{n} acts so much later than it is logged"))
    for what, channels in (("drift", m.drift), ("bias", m.bias)):
        rows += [
            row(f"fade_{n}_{what}", "s", 0.05, 20.0, 1.0, f"time in which the {what} of {n} fades", log=True)
            for n in channels
        ]
    if m.steering:
        rows.append(row("steering_ratio", "1", 0.5, 2.0, 1.0, "steering angle over the logged one"))
        most = float(np.mean(spec.default_params.get("s_max", 0.45))) ** -2
        doc = "rise of the ratio with the square of the logged angle"
        rows.append(row("steering_curve", "1/rad^2", -most, most, 0.0, doc))
        rows.append(
            row("steering_offset", "rad", -0.1, 0.1, 0.0, "steering angle where zero is logged", odd=True)
        )
    if m.lever_arm:
        lf, lr = (float(np.mean(spec.default_params[key])) for key in ("lf", "lr"))
        rows.append(row("ahead", "m", -2 * lr, 2 * lf, 0.0, "sensor of vy ahead of the centre of gravity"))
    if m.misaligned:
        rows.append(
            row("misalignment", "rad", -0.1, 0.1, 0.0, "turn of the velocity's axes to the left", odd=True)
        )
    if corrected:
        states = np.array([c.scale for c in corrected])
        reach = np.array(
            [DRIFT_GAIN if c.unit.endswith("/s") and c.name.endswith("_drift") else GAIN for c in corrected]
        )
        bound = (reach * states)[:, None] / np.array([c.scale for c in moving])
        own = np.array([[c.name in (n.name, f"{n.name}_true") for n in moving] for c in corrected])
        odd = np.array([[c.odd != n.odd for n in moving] for c in corrected])
        rows.append(
            row(GAINS, "1", -bound, bound, START_GAIN * own, "correction of a state by an error",
                shape=own.shape, odd=odd)
        )  # fmt: skip
    return tuple(rows)


def _derivative(spec: ModelSpec, m: Measurement) -> Any:
    """The model's equations between what is logged and what is hidden."""
    names, params = spec.state_names, [row.name for row in spec.parameters]
    filters = _filters(m)

    def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
        """Rates of what is logged, from those of the true states behind it."""

        def hidden(name: str, what: str) -> Any:
            return getattr(x, f"{name}_{what}")

        biases = {n: hidden(n, "bias") for n in m.bias}
        bias_rates = {n: -biases[n] / getattr(p, f"fade_{n}_bias") for n in m.bias}
        sensed = {n: getattr(x, n) - biases[n] if n in biases else getattr(x, n) for n in names}
        point = {n: hidden(n, "true") if n in filters else sensed[n] for n in names}
        controls = {n: getattr(u, n) for n in u._fields}
        slow = {n: hidden(n, "acting") for n in m.actuator_lag}
        acting = {**point, **controls, **slow}
        if m.steering:
            gain = _steering_gain(p, acting["delta"], xp)
            acting["delta_dot"] = gain * acting["delta_dot"]
        acting |= vehicle_motion(m, p, acting, xp)
        if m.pedals:
            # Not the brake alone where it is pressed: behind a lag, or with noise, it never is quite zero.
            acting["drive"] = acting["throttle"] - acting["brake"]
        rates = dict(
            zip(
                names,
                spec.lane_rates(
                    tuple(acting[n] for n in names),
                    tuple(acting[n] for n in spec.control_names),
                    {key: getattr(p, key) for key in params},
                    xp,
                ),
                strict=True,
            )
        )
        if m.steering:
            rates["delta"] = rates["delta"] / gain
        for n in m.drift:
            rates[n] = rates[n] + hidden(n, "drift")
        shown = dict(rates)
        if m.lever_arm:
            shown["vy"] = rates["vy"] + p.ahead * rates["psi_dot"]
        if m.misaligned:
            shown["vx"], shown["vy"] = _turned(shown, -p.misalignment, xp)
        after = {}
        for n, stages in filters.items():
            chain = [*(f"{n}_{stage}" for stage in stages), n]
            values = [*(getattr(x, name) for name in chain[:-1]), sensed[n]]
            tau = getattr(p, f"tau_{n}") / len(stages)
            after[chain[0]] = shown[n]
            after |= {chain[k]: (values[k - 1] - values[k]) / tau for k in range(1, len(stages))}
            shown[n] = (values[-2] - values[-1]) / tau
        for n in m.bias:
            shown[n] = shown[n] + bias_rates[n]
            after[f"{n}_bias"] = bias_rates[n]
        for n in m.actuator_lag:
            behind = {**point, **controls}[n] - hidden(n, "acting")
            after[f"{n}_acting"] = behind / getattr(p, f"tau_{n}_acting")
        for n in m.drift:
            after[f"{n}_drift"] = -hidden(n, "drift") / getattr(p, f"fade_{n}_drift")
        return x._replace(**shown, **after)

    return derivative


def _known(flag: str, given: Sequence[str], known: Sequence[str], spec: ModelSpec) -> None:
    for name in given:
        if name not in known:
            raise UsageError(
                f"{flag} {name}: '{spec.name}' has no such channel; expected one of {', '.join(known)}"
            )
