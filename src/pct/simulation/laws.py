"""Laws that the equations of every vehicle obey, to test a model with nothing but its tables.

`check_laws` draws states and controls up to `Channel.typical`, parameters over their bounds, and compares the
model with itself: mirrored, moved, differentiated, batched, compiled. A law that fails says where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec, flatten_params, unflatten_params
from pct.rollout.integration import INTEGRATORS
from pct.types import Float

POINTS = 300
# Step of finite differences, and how far exact derivatives may be from them, over the largest of a column.
STEP, SLOPE_TOLERANCE = 1e-6, 2e-7
# Drives on which the order of integration is measured: their starts, lengths in s and numbers of steps.
STARTS, DURATIONS, STEPS = 9, (0.1, 0.4, 1.6, 6.4), (50, 100, 400)
ORDER_TOLERANCE = 0.3
# An error below this is rounding.
ROUNDING = 1e-12


class LawResult(NamedTuple):
    """Whether a model obeys a law; ``message`` says where it does not."""

    law: str
    passed: bool
    message: str = ""


def check_laws(spec: ModelSpec) -> list[LawResult]:
    """Test a model on every law of `LAWS`, in double precision.

    Examples:
        >>> from pct.dynamics import get_model
        >>> all(result.passed for result in check_laws(get_model("unicycle")))
        True
    """
    return [check_law(spec, law) for law in LAWS]


def check_law(spec: ModelSpec, law: str) -> LawResult:
    """Test a model on one law."""
    with jax.enable_x64(True):
        try:
            failure = next((message for message in LAWS[law](spec) if message), "")
        except Exception as error:
            failure = f"the equations fail: {type(error).__name__}: {error}"
    return LawResult(law, not failure, failure)


# A law gives what it finds wrong, part by part; an empty message where a part is right.
Law = Callable[[ModelSpec], Iterator[str]]


def _tables(spec: ModelSpec) -> Iterator[str]:
    """Defaults lie within bounds; every row has its unit and says what it is; the pose is of states."""
    for row in (spec.parameter(row.name) for row in spec.parameters):
        default = np.asarray(row.default)
        if not (np.all(np.asarray(row.low) <= default) and np.all(default <= np.asarray(row.high))):
            yield f"parameter {row.name}: default {row.default} is not within [{row.low}, {row.high}]"
        if np.shape(row.default) != tuple(row.shape):
            yield f"parameter {row.name}: expected a default of shape {row.shape}, got {row.default}"
        if not (row.unit and row.doc and row.symbol):
            yield f"parameter {row.name}: expected a unit, a symbol and a line of doc"
    for channel in (*spec.states, *spec.controls):
        if not (channel.unit and channel.symbol and channel.scale > 0 and channel.typical > 0):
            yield f"channel {channel.name}: expected a unit, a symbol, a positive scale and typical size"
    if not spec.vector_size:
        yield "expected a parameter that is learned; all are fixed"
    if missing := set(spec.pose) - set(spec.state_names):
        yield f"pose: no state is called {missing.pop()}; the states are {', '.join(spec.state_names)}"
        return
    heading = spec.states[spec.pose_indices[2]]
    if not (heading.angle and heading.odd):
        yield f"channel {heading.name}: a heading is an angle (angle=True) that a mirror turns (odd=True)"


def _mirror(spec: ModelSpec) -> Iterator[str]:
    """With left and right swapped, in parameters too, the rates are swapped."""
    z, params = _points(spec, 1), _params(spec, 1)
    sign = np.array([-1.0 if channel.odd else 1.0 for channel in (*spec.states, *spec.controls)])
    mirrored = {row.name: np.where(row.odd, -1.0, 1.0) * params[row.name] for row in spec.parameters}
    rates = spec.dynamics_fn(z, params, np)
    yield _differs(spec, spec.dynamics_fn(sign * z, mirrored, np), sign * rates, 1e-11)


def _pose(spec: ModelSpec) -> Iterator[str]:
    """Moving and turning the map moves nothing and turns the velocity with it.

    Equations that hold in the frame of a window's first pose only, `ModelSpec.pose_invariant`, need not.
    """
    if not spec.pose_invariant:
        return
    z, params = _points(spec, 2), _params(spec, 2)
    rates = spec.dynamics_fn(z, params, np)
    ix, iy, heading = spec.pose_indices
    turn, shift = 0.7, np.array([120.0, -340.0])
    cos, sin = np.cos(turn), np.sin(turn)
    moved, turned = z.copy(), rates.copy()
    moved[:, ix] = cos * z[:, ix] - sin * z[:, iy] + shift[0]
    moved[:, iy] = sin * z[:, ix] + cos * z[:, iy] + shift[1]
    moved[:, heading] += turn
    turned[:, ix] = cos * rates[:, ix] - sin * rates[:, iy]
    turned[:, iy] = sin * rates[:, ix] + cos * rates[:, iy]
    yield _differs(spec, spec.dynamics_fn(moved, params, np), turned, 1e-11)


def _finite(spec: ModelSpec) -> Iterator[str]:
    """Values and gradients are finite in single precision, at standstill and where equations switch, too."""
    z, params = np.concatenate([_switches(spec), _points(spec, 3)]), _params(spec, 3, len(_switches(spec)))
    # The ends of the bounds are allowed, too.
    for key in spec.param_keys:
        params[key][-2], params[key][-1] = spec.param_bounds[key]
    single = {key: jnp.asarray(value, jnp.float32) for key, value in params.items()}
    learned = {key: single[key] for key in spec.param_keys}
    held = {key: value for key, value in single.items() if key not in learned}

    def one(z: jax.Array, learned: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        rates = spec.dynamics_fn(z, held | learned)
        return rates, rates

    gradient = jax.jit(jax.vmap(jax.jacrev(one, argnums=(0, 1), has_aux=True)))
    (by_z, by_params), values = gradient(jnp.asarray(z, jnp.float32), learned)
    leaves = {"rates": values, "derivatives by states and controls": by_z}
    leaves |= {f"derivatives by {key}": leaf for key, leaf in by_params.items()}
    for what, leaf in leaves.items():
        bad = np.flatnonzero(~np.isfinite(np.asarray(leaf)).reshape(len(z), -1).all(axis=-1))
        if bad.size:
            yield f"{what} are not finite at {_shown(spec, z[bad[0]])}"


def _gradient(spec: ModelSpec) -> Iterator[str]:
    """Exact derivatives by states, controls and parameters are finite differences; both modes agree."""
    z, params = _points(spec, 4), _params(spec, 4)
    keys, shapes, size = spec.param_keys, spec.full_shapes, z.shape[1]
    flat = [flatten_params({key: params[key][i] for key in keys}, keys, shapes) for i in range(len(z))]
    joint = np.concatenate([z, np.stack(flat)], axis=-1)
    rng = np.random.default_rng(4)
    direction = rng.normal(size=joint.shape) * np.maximum(np.abs(joint), 0.1)
    probe = rng.normal(size=z.shape)

    def rates(joint: Any, xp: Any = jnp) -> Any:
        learned = unflatten_params(joint[..., size:], keys, shapes)
        return spec.dynamics_fn(joint[..., :size], {**spec.default_params, **learned}, xp)

    behind, here, ahead = (rates(joint + side * STEP * direction, np) for side in (-1.0, 0.0, 1.0))
    numeric = (ahead - behind) / (2.0 * STEP)
    # Where a limit has its corner between the two points, the exact slope is that of one side.
    corner = np.abs(ahead - 2.0 * here + behind) / (2.0 * STEP)

    @jax.jit
    def derivatives(joint: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(rates, (joint,), (direction,))[1], jax.vjp(rates, joint)[1](probe)[0]

    exact, pulled = (np.asarray(value) for value in derivatives(jnp.asarray(joint)))
    scale = np.abs(numeric).max(axis=0) + 1.0
    off = np.abs(exact - numeric) - 1.01 * corner
    place = np.unravel_index(np.nanargmax(off / scale), off.shape)
    if not np.isfinite(exact).all() or (off / scale)[place] > SLOPE_TOLERANCE:
        point, channel = int(place[0]), int(place[1])
        yield (
            f"the derivative of {spec.state_names[channel]} is {exact[point, channel]:.6g}, by differences "
            f"{numeric[point, channel]:.6g}, at {_shown(spec, z[point])}"
        )
    forward, reverse = float((probe * exact).sum()), float((pulled * direction).sum())
    if abs(forward - reverse) > 1e-9 * abs(forward):
        yield f"forward and reverse mode differ: {forward:.9g} and {reverse:.9g}"


def _order(spec: ModelSpec) -> Iterator[str]:
    """On smooth drives the error of an integrator falls with the step to the power of its order."""
    starts = 0.3 * _points(spec, 5, STARTS)
    params = spec.default_params

    def end(method: str, steps: int, duration: float) -> np.ndarray:
        z = starts
        for _ in range(steps):
            z = INTEGRATORS[method](lambda z, p: spec.dynamics_fn(z, p, np), z, params, duration / steps)
        return z

    for name, order in (("rk4", 4), ("heun", 2), ("euler", 1)):
        orders = []
        for duration in DURATIONS:
            with np.errstate(all="ignore"):
                reference = end("rk4", STEPS[2], duration)
                errors = [np.abs(end(name, n, duration) - reference).max(axis=1) for n in STEPS[:2]]
                real = np.isfinite(errors[0]) & (errors[1] > ROUNDING)
                measured = np.log2(errors[0][real] / errors[1][real])
            # Some drives pass a corner of a limit.
            orders.append(float(np.median(measured)) if real.any() else order)
            if abs(orders[-1] - order) < ORDER_TOLERANCE:
                break
        else:
            shown = ", ".join(f"{value:.2f}" for value in orders)
            yield f"{name}: expected order {order}, got {shown} on drives of {DURATIONS} s: do rates jump?"


def _compiles(spec: ModelSpec) -> Iterator[str]:
    """New values of states, controls and parameters do not trace again."""
    traces = []

    @jax.jit
    def compiled(z: jax.Array, params: Mapping[str, Any]) -> Any:
        traces.append(z.shape[0])
        return spec.dynamics_fn(z, params)

    for seed, points in enumerate((3, 3, 5, 3)):
        params = {key: value[:points] for key, value in _learned(spec, seed, points).items()}
        compiled(_points(spec, seed, points), {**spec.default_params, **params})
    if traces != [3, 5]:
        yield f"expected one trace a shape, got traces for batches of {traces}"


def _batched(spec: ModelSpec) -> Iterator[str]:
    """Batched parameters give what a loop over them gives."""
    z, params = _points(spec, 6), _params(spec, 6)
    rates = spec.dynamics_fn(z, params, np)
    for i in range(0, len(z), 37):
        one = {key: value[i] if key in spec.param_keys else value for key, value in params.items()}
        yield _differs(spec, rates[i : i + 1], spec.dynamics_fn(z[i], one, np)[None], 1e-12)


def _numpy(spec: ModelSpec) -> Iterator[str]:
    """NumPy and compiled JAX give the same rates."""
    z, params = _points(spec, 7), _params(spec, 7)
    compiled = np.asarray(jax.jit(spec.dynamics_fn)(z, params))
    yield _differs(spec, compiled, spec.dynamics_fn(z, params, np), 1e-11)


def _held(spec: ModelSpec) -> Iterator[str]:
    """There is a rate for each state, and none for the controls."""
    z, params = _points(spec, 8), _params(spec, 8)
    rates = spec.dynamics_fn(z, params, np)
    if rates.shape != z.shape or rates[:, len(spec.states) :].any():
        yield f"expected {len(spec.states)} rates and zeros for the controls, got an array {rates.shape}"


def _vector(spec: ModelSpec) -> Iterator[str]:
    """Parameters flatten to one vector and return."""
    vector = np.random.default_rng(9).normal(size=(4, spec.vector_size))
    named = unflatten_params(vector, spec.param_keys, spec.full_shapes)
    back = [
        flatten_params({key: value[i] for key, value in named.items()}, spec.param_keys, spec.full_shapes)
        for i in range(4)
    ]
    if not np.array_equal(back, vector):
        yield "parameters do not return from the flat vector"


LAWS: Mapping[str, Law] = {
    "tables are complete": _tables,
    "controls are held": _held,
    "parameters flatten and return": _vector,
    "mirror symmetry": _mirror,
    "the pose does not matter": _pose,
    "values and gradients are finite": _finite,
    "gradients are finite differences": _gradient,
    "batched parameters equal a loop": _batched,
    "numpy equals jax": _numpy,
    "compiles once per shape": _compiles,
    "integrators have their order": _order,
}
"""Every law by its name."""


def _points(spec: ModelSpec, seed: int, points: int = POINTS) -> Float[np.ndarray, "N Z"]:
    """States and controls up to their typical size, both signs."""
    size = np.array([channel.typical for channel in (*spec.states, *spec.controls)])
    return np.random.default_rng([seed, 0]).uniform(-size, size, (points, size.size))


def _learned(spec: ModelSpec, seed: int, points: int) -> dict[str, np.ndarray]:
    """Learned parameters over their whole bounds, (N, ...) each."""
    rng = np.random.default_rng([seed, 1])
    return {
        key: rng.uniform(*spec.param_bounds[key], (points, *shape)) for key, shape in spec.full_shapes.items()
    }


def _params(spec: ModelSpec, seed: int, more: int = 0) -> dict[str, Any]:
    """Learned parameters over their whole bounds, the others at their defaults."""
    return {**spec.default_params, **_learned(spec, seed, POINTS + more)}


def _switches(spec: ModelSpec) -> Float[np.ndarray, "N Z"]:
    """Standstill; each channel at either zero, and where equations may switch: at a parameter of its unit."""
    rows = [np.zeros(len(spec.states) + len(spec.controls))]
    rows.append(-rows[0])
    for place, channel in enumerate((*spec.states, *spec.controls)):
        limits = [spec.default_params[row.name] for row in spec.parameters if row.unit == channel.unit]
        values = [0.0, -0.0, 1e-30, -1e-30, *(float(value) for value in limits if not np.shape(value))]
        points = _points(spec, 10 + place, len(values))
        points[:, place] = values
        rows.extend(points)
    return np.stack(rows)


def _differs(spec: ModelSpec, rates: Any, expected: Any, tolerance: float) -> str:
    """Where rates differ by more than rounding of the largest of their column; empty where nowhere."""
    rates, expected = np.asarray(rates), np.asarray(expected)
    with np.errstate(all="ignore"):
        allowed = tolerance * (1.0 + np.abs(expected).max(axis=0))
        wrong = np.argwhere(~(np.abs(rates - expected) <= allowed))
    if not len(wrong):
        return ""
    point, channel = wrong[0]
    return (
        f"the rate of {spec.state_names[channel]}: expected {expected[point, channel]:.9g}, "
        f"got {rates[point, channel]:.9g}"
    )


def _shown(spec: ModelSpec, z: np.ndarray) -> str:
    names = (*spec.state_names, *spec.control_names)
    return ", ".join(f"{name} {value:.4g}" for name, value in zip(names, z, strict=True))
