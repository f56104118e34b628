"""Laws that every registered model obeys; a new model gets every one of them."""

from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.dynamics.core import flatten_params, unflatten_params
from pct.rollout.integration import INTEGRATORS

POINTS = 300


# What a model calls its speed.
SPEEDS = ("v", "vx")


@pytest.fixture(params=sorted(MODEL_SPECS))
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    return MODEL_SPECS[request.param]


def random_params(spec: ModelSpec, rng: np.random.Generator, points: int = POINTS) -> dict[str, np.ndarray]:
    """Context parameters uniform over their whole bounds, the others at their defaults."""
    params = dict(spec.default_params)
    for key, shape in spec.full_shapes.items():
        low, high = spec.param_bounds[key]
        params[key] = rng.uniform(low, high, (points, *shape))
    return params


def random_points(
    spec: ModelSpec, rng: np.random.Generator, speed: np.ndarray | None = None, points: int = POINTS
) -> np.ndarray:
    """States and controls from reverse to top speed, within what the car's limits let happen and beyond."""
    size = {
        "x": 50.0, "y": 50.0, "psi": 4.0, "yaw": 4.0, "delta": 0.5, "psi_dot": 5.0, "beta": 1.0, "vy": 8.0,
        "delta_dot": 5.0, "accel": 15.0, "drive": 1.2,
    }  # fmt: skip
    columns = {name: rng.uniform(-s, s, points) for name, s in size.items()}
    speed = np.linspace(-6.0, 21.0, points) if speed is None else speed
    columns |= dict.fromkeys(SPEEDS, speed)
    # Wheels from turning backwards through rolling to spinning.
    rolling = speed / spec.default_params.get("R_w", 1.0)
    for name in ("omega_f", "omega_r"):
        columns[name] = rolling * rng.uniform(-0.2, 2.0, points) + rng.uniform(-10.0, 10.0, points)
    return np.stack([columns[name] for name in spec.state_names + spec.control_names], axis=-1)


def kink_distance(spec: ModelSpec, z: np.ndarray, params: dict) -> np.ndarray:
    """Distance in each point's own units to the nearest corner of a limit, shape (points,)."""
    column = dict(zip(spec.state_names + spec.control_names, np.moveaxis(z, -1, 0), strict=True))
    gaps = [np.full(len(z), np.inf)]
    if "s_min" in params:
        # Behind a gain and a bias the physical values meet the limits.
        alpha_delta, beta_delta = params.get("alpha_delta", 1.0), params.get("beta_delta", 0.0)
        delta = alpha_delta * column["delta"] + beta_delta
        delta_dot = alpha_delta * column["delta_dot"]
        gaps += [np.abs(delta - params[name]) for name in ("s_min", "s_max")]
        gaps += [np.abs(delta_dot), *(np.abs(delta_dot - params[name]) for name in ("sv_min", "sv_max"))]
    if "a_max" in params:
        accel = params.get("alpha_accel", 1.0) * column["accel"] + params.get("beta_accel", 0.0)
        v, a_max = column["v"], params["a_max"]
        power = a_max * params["v_switch"] / np.maximum(v, params["v_switch"])
        gaps += [np.abs(v - params[name]) for name in ("v_min", "v_max", "v_switch")]
        gaps += [np.abs(accel), np.abs(accel + a_max), np.abs(accel - power)]
        if "mu" in params:
            gaps += [np.abs(accel - side * 9.81 * params["mu"]) for side in (-1.0, 1.0)]
            gaps += [np.abs(power - 9.81 * params["mu"]), np.abs(a_max - 9.81 * params["mu"])]
    if "omega_f" in column:
        # Wheels that stop, and hubs that slide sideways or backwards.
        v = np.maximum(column["v"], params["v_blend_low"])
        vx, vy = v * np.cos(column["beta"]), v * np.sin(column["beta"]) + params["lf"] * column["psi_dot"]
        hubs = (vx, vx * np.cos(column["delta"]) + vy * np.sin(column["delta"]))
        gaps += [np.abs(hub - params["v_blend_low"]) for hub in hubs]
        gaps += [np.abs(column[name]) for name in ("omega_f", "omega_r")]
    if "drive" in column:
        # Braking takes over from driving, and a car slides sideways.
        gaps += [np.abs(column["drive"]), np.abs(np.abs(column["vx"]) - params["v_blend_low"])]
        gaps += [np.abs(np.hypot(column["vx"], column["vy"]) - params["v_blend_low"])]
    return np.min(gaps, axis=0)


def test_mirror_symmetry(spec: ModelSpec) -> None:
    """With left and right swapped, in parameters too, the rates are swapped."""
    rng = np.random.default_rng(1)
    z, params = random_points(spec, rng), random_params(spec, rng)
    sign = np.array([-1.0 if c.odd else 1.0 for c in (*spec.states, *spec.controls)])
    mirrored = {row.name: np.where(row.odd, -1.0, 1.0) * params[row.name] for row in spec.parameters}
    rates = spec.dynamics_fn(z, params, np)
    np.testing.assert_allclose(spec.dynamics_fn(sign * z, mirrored, np), sign * rates, rtol=1e-12, atol=1e-9)


def test_rates_do_not_depend_on_the_pose(spec: ModelSpec) -> None:
    """Moving and turning the map moves nothing and turns the velocity with it.

    A linear map of position and heading cannot be invariant, so `tv-linear` holds in the frame of its
    window's first pose; its law is superposition.
    """
    rng = np.random.default_rng(2)
    z, params = random_points(spec, rng), random_params(spec, rng)
    rates = spec.dynamics_fn(z, params, np)
    if not spec.pose_invariant:
        other = random_points(spec, rng)
        both = spec.dynamics_fn(2.0 * z - 3.0 * other, params, np)
        np.testing.assert_allclose(
            both, 2.0 * rates - 3.0 * spec.dynamics_fn(other, params, np), rtol=1e-9, atol=1e-9
        )
        return
    ix, iy, heading = spec.pose_indices
    turn, shift = 0.7, np.array([120.0, -340.0])
    cos, sin = np.cos(turn), np.sin(turn)
    moved, turned = z.copy(), rates.copy()
    moved[:, ix] = cos * z[:, ix] - sin * z[:, iy] + shift[0]
    moved[:, iy] = sin * z[:, ix] + cos * z[:, iy] + shift[1]
    moved[:, heading] += turn
    turned[:, ix] = cos * rates[:, ix] - sin * rates[:, iy]
    turned[:, iy] = sin * rates[:, ix] + cos * rates[:, iy]
    np.testing.assert_allclose(spec.dynamics_fn(moved, params, np), turned, rtol=1e-12, atol=1e-11)


def test_value_and_gradient_are_finite(spec: ModelSpec) -> None:
    """From reverse through standstill to top speed, in single precision, at any allowed parameters."""
    rng = np.random.default_rng(3)
    # All speeds that equations switch at, exactly, beside the sweep.
    speed = np.linspace(-6.0, 21.0, POINTS)
    switches = [0.0, -0.0, 0.5, 1.5, -5.0, 20.0, 7.319, 1e-30, -1e-30]
    speed[: len(switches)] = switches
    z = random_points(spec, rng, speed)
    z[:4, :] = 0.0
    z[2, [spec.state_names.index(name) for name in SPEEDS if name in spec.state_names]] = -0.0
    params = random_params(spec, rng)
    # The ends of the bounds are allowed too.
    for key in spec.param_keys:
        params[key][10], params[key][11] = spec.param_bounds[key]
    z32 = jnp.asarray(z, jnp.float32)
    context = {key: jnp.asarray(params[key], jnp.float32) for key in spec.param_keys}
    fixed = {key: jnp.asarray(params[key], jnp.float32) for key in spec.default_params if key not in context}

    def one(z: jax.Array, context: dict) -> tuple[jax.Array, jax.Array]:
        rates = spec.dynamics_fn(z, fixed | context)
        return rates, rates

    jacobians, values = jax.jit(jax.vmap(jax.jacrev(one, argnums=(0, 1), has_aux=True)))(z32, context)
    assert jnp.isfinite(values).all()
    for path, leaf in jax.tree_util.tree_leaves_with_path(jacobians):
        assert jnp.isfinite(leaf).all(), jax.tree_util.keystr(path)


def test_gradient_is_finite_differences(spec: ModelSpec) -> None:
    """In state, control and parameters, wherever no limit has a corner."""
    rng = np.random.default_rng(4)
    z, params = random_points(spec, rng), random_params(spec, rng)
    smooth = kink_distance(spec, z, params) > 1e-3
    assert smooth.mean() > 0.9
    keys = spec.param_keys
    flat = np.stack(
        [flatten_params({k: params[k][i] for k in keys}, keys, spec.full_shapes) for i in range(POINTS)]
    )
    joint = np.concatenate([z, flat], axis=-1)[smooth]

    z_size = z.shape[-1]

    def rates(joint: jax.Array, xp: ModuleType = jnp) -> jax.Array:
        params = unflatten_params(joint[..., z_size:], keys, spec.full_shapes)
        return spec.dynamics_fn(joint[..., :z_size], {**spec.default_params, **params}, xp)

    direction = rng.normal(size=joint.shape) * np.maximum(np.abs(joint), 0.1)
    probe = rng.normal(size=z[smooth].shape)
    step = 1e-6
    ahead, behind = (rates(joint + side * step * direction, np) for side in (1.0, -1.0))
    numeric = (ahead - behind) / (2.0 * step)

    @jax.jit
    def derivatives(joint: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(rates, (joint,), (direction,))[1], jax.vjp(rates, joint)[1](probe)[0]

    exact, pulled = derivatives(jnp.asarray(joint))
    scale = np.abs(numeric).max(axis=0) + 1.0
    np.testing.assert_allclose(exact / scale, numeric / scale, rtol=0.0, atol=2e-7)
    # Forward and reverse mode are derivatives of one function.
    np.testing.assert_allclose((pulled * direction).sum(), (probe * exact).sum(), rtol=1e-9)


@pytest.mark.parametrize(("name", "order"), [("rk4", 4), ("heun", 2), ("euler", 1)])
def test_integrator_has_its_order(spec: ModelSpec, name: str, order: int) -> None:
    """On a smooth drive the error at its end falls with the step to the power of the method's order."""
    begin = {"delta": 0.02, "psi": 0.3, "yaw": 0.05, "psi_dot": 0.3, "beta": 0.01, "vy": 0.06}
    begin |= dict.fromkeys(SPEEDS, 6.0)
    begin |= dict.fromkeys(("omega_f", "omega_r"), 6.0 / spec.default_params.get("R_w", 1.0))
    held = {"delta_dot": 0.4, "accel": 1.5, "psi_dot": 2.0, "drive": 0.3}
    start = np.array([begin.get(k, 0.0) for k in spec.state_names] + [held[k] for k in spec.control_names])

    def rates(x_and_u: np.ndarray, params: dict) -> np.ndarray:
        return spec.dynamics_fn(x_and_u, params, np)

    def end(method: str, steps: int) -> np.ndarray:
        z = start
        for _ in range(steps):
            z = INTEGRATORS[method](rates, z, spec.default_params, 0.8 / steps)
        return z

    reference = end("rk4", 400)
    coarse, fine = (np.abs(end(name, steps) - reference).max() for steps in (50, 100))
    if coarse < 1e-12:
        pytest.skip("exact to rounding: on this drive the solution is a polynomial of the method's degree")
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.25), (coarse, fine)


def test_compiles_once_per_shape(spec: ModelSpec) -> None:
    """New values of states, controls and parameters do not trace again."""
    traces = []

    @jax.jit
    def compiled(z: jax.Array, params: dict) -> jax.Array:
        traces.append(z.shape)
        return spec.dynamics_fn(z, params)

    rng = np.random.default_rng(5)
    for points in (3, 3, 5, 3):
        z = random_points(spec, rng, np.full(points, 3.0), points)
        compiled(z, random_params(spec, rng, points)).block_until_ready()
    assert [shape[0] for shape in traces] == [3, 5]


def test_batched_parameters_equal_a_loop(spec: ModelSpec) -> None:
    rng = np.random.default_rng(6)
    z, params = random_points(spec, rng), random_params(spec, rng)
    batched = spec.dynamics_fn(z, params, np)
    for i in range(0, POINTS, 37):
        single = {k: v[i] if k in spec.param_keys else v for k, v in params.items()}
        np.testing.assert_allclose(batched[i], spec.dynamics_fn(z[i], single, np), rtol=1e-13, atol=1e-13)


def test_numpy_equals_jax(spec: ModelSpec) -> None:
    rng = np.random.default_rng(7)
    z, params = random_points(spec, rng), random_params(spec, rng)
    compiled = jax.jit(spec.dynamics_fn)(z, params)
    np.testing.assert_allclose(compiled, spec.dynamics_fn(z, params, np), rtol=1e-12, atol=1e-11)


def test_controls_are_held(spec: ModelSpec) -> None:
    rng = np.random.default_rng(8)
    z, params = random_points(spec, rng), random_params(spec, rng)
    rates = spec.dynamics_fn(z, params, np)
    assert rates.shape == z.shape
    assert not rates[:, len(spec.states) :].any()


def test_parameters_flatten_and_return(spec: ModelSpec) -> None:
    rng = np.random.default_rng(9)
    vector = rng.normal(size=(4, spec.vector_size))
    named = unflatten_params(vector, spec.param_keys, spec.full_shapes)
    assert {key: value.shape for key, value in named.items()} == {
        key: (4, *shape) for key, shape in spec.full_shapes.items()
    }
    back = [
        flatten_params({k: v[i] for k, v in named.items()}, spec.param_keys, spec.full_shapes)
        for i in range(4)
    ]
    np.testing.assert_array_equal(back, vector)


def test_tables_are_complete(spec: ModelSpec) -> None:
    """Defaults lie within bounds; every number has its unit and says what it is."""
    for row in spec.parameters:
        low, high = spec.param_bounds[row.name]
        default = spec.default_params[row.name]
        assert np.all(np.asarray(low) <= default), row.name
        assert np.all(default <= np.asarray(high)), row.name
        assert np.shape(default) == row.shape
        assert row.unit
        assert row.doc
        assert row.symbol
    for channel in (*spec.states, *spec.controls):
        assert channel.unit
        assert channel.scale > 0
    assert spec.vector_size > 0
    assert set(spec.pose) <= set(spec.state_names)
    heading = spec.states[spec.pose_indices[2]]
    assert heading.angle
    assert heading.odd
