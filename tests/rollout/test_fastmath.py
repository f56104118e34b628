"""The fast functions against double precision: values, derivatives, edges, types, and every model on them."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.rollout.fastmath import xp

F32 = np.float32
TINY = float(np.finfo(F32).tiny)

# By name: the first and second derivative as formulas in double precision.
DERIVATIVES: dict[str, tuple[Callable, Callable]] = {
    "sin": (np.cos, lambda x: -np.sin(x)),
    "cos": (lambda x: -np.sin(x), lambda x: -np.cos(x)),
    "tan": (lambda x: 1.0 + np.tan(x) ** 2, lambda x: 2.0 * np.tan(x) * (1.0 + np.tan(x) ** 2)),
    "arctan": (lambda x: 1.0 / (1.0 + x**2), lambda x: -2.0 * x / (1.0 + x**2) ** 2),
    "tanh": (lambda x: 1.0 - np.tanh(x) ** 2, lambda x: -2.0 * np.tanh(x) * (1.0 - np.tanh(x) ** 2)),
}
ANGLES = ("sin", "cos", "tan")

# Where the pieces of a function meet: quadrants and their boundaries, slope 1, the end of tanh.
SEAMS = np.concatenate([np.arange(-16, 17) * np.pi / 4, np.arange(6350, 6366) * np.pi / 2, [1.0, 9.0]])
EDGES = np.unique(
    np.concatenate(
        [side * np.nextafter(SEAMS.astype(F32), F32(to)) for side in (1, -1) for to in (-1e9, 1e9)]
    )
)


@pytest.fixture(autouse=True)
def strict_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"):
        yield


def as_users_run(f: Callable, *arguments: Any) -> np.ndarray:
    """Compiled with the optimisations that the tests switch off: they reorder and fuse operations."""
    options = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
    return np.asarray(jax.jit(f).lower(*arguments).compile(compiler_options=options)(*arguments))


def as_written(f: Callable, *arguments: Any) -> np.ndarray:
    """One operation after the other, each rounded."""
    return np.asarray(jax.jit(f)(*arguments))


RUNS = pytest.mark.parametrize("run", [as_users_run, as_written])


def spread(low: float, high: float, points: int = 50_000) -> np.ndarray:
    """A grid, random points and random points evenly spread over the magnitudes, within [low, high]."""
    rng = np.random.default_rng(0)
    size = 10.0 ** rng.uniform(-12.0, np.log10(high), points) * rng.choice([-1.0, 1.0], points)
    x = np.concatenate([np.linspace(low, high, points), rng.uniform(low, high, points), size, EDGES])
    # A compiled loop may take the smaller ones for zero.
    return x[(x >= low) & (x <= high) & (np.abs(x) >= TINY)].astype(F32)


@RUNS
@pytest.mark.parametrize(
    ("name", "reach", "smallest", "largest"),
    [
        ("sin", 0.78, 0.0, 1.0),
        ("sin", 1e2, 1e-5, 1.0),
        ("sin", 1e4, 1e-3, 1.0),
        ("cos", 1e2, 1e-5, 1.0),
        ("cos", 1e4, 1e-3, 1.0),
        ("tan", 1.3, 0.0, 1e5),
        ("tan", 1e2, 1e-5, 1e5),
        ("tan", 1e4, 1e-3, 1e3),
        ("arctan", 1.0, 0.0, 2.0),
        ("arctan", 1e2, 0.0, 2.0),
        ("arctan", 1e30, 0.0, 2.0),
        ("tanh", 1.0, 0.0, 1.0),
        ("tanh", 1e1, 0.0, 1.0),
        ("tanh", 1e30, 0.0, 1.0),
    ],
)
def test_error_is_within_its_bound(
    name: str, reach: float, smallest: float, largest: float, run: Callable
) -> None:
    """3e-7 of the value where that lies in the documented range; 1.5e-7 of 1 for sine and cosine anywhere."""
    x = spread(-reach, reach)
    exact = getattr(np, name)(x.astype(float))
    error = np.abs(run(getattr(xp, name), x) - exact)
    inside = (np.abs(exact) >= smallest) & (np.abs(exact) <= largest)
    assert inside.mean() > 0.6
    assert (error[inside] <= 3e-7 * np.abs(exact[inside])).all(), np.nanmax(
        error[inside] / np.abs(exact[inside])
    )
    if name in ("sin", "cos"):
        assert error.max() <= 1.5e-7


@RUNS
def test_error_of_arctan2_is_within_its_bound(run: Callable) -> None:
    """At points all around the origin, near it and far from it, on the axes and the diagonals."""
    rng = np.random.default_rng(1)
    y, x = (10.0 ** rng.uniform(-18.0, 18.0, (2, 100_000)) * rng.choice([-1.0, 1.0], (2, 100_000))).astype(
        F32
    )
    x[:70_000] = y[:70_000] * rng.normal(size=70_000).astype(F32)
    side, scale = np.array([-1.0, 0.0, 1.0], F32), np.repeat(np.array([1e-30, 1.0, 1e30], F32), 9)
    y[:27], x[:27] = scale * np.tile(np.repeat(side, 3), 3), scale * np.tile(side, 9)
    exact = np.arctan2(y.astype(float), x.astype(float))
    np.testing.assert_allclose(run(xp.arctan2, y, x), exact, rtol=3e-7, atol=TINY)


@RUNS
@pytest.mark.parametrize("name", sorted(DERIVATIVES))
def test_edges_of_the_numbers(name: str, run: Callable) -> None:
    """Zeros and the smallest numbers, NaN, infinity."""
    x = np.array([0.0, -0.0, 1e-45, -1e-40, TINY, -TINY, np.nan, np.inf, -np.inf], F32)
    with np.errstate(invalid="ignore"):
        exact = getattr(np, name)(x.astype(float))
    np.testing.assert_allclose(run(getattr(xp, name), x), exact, rtol=3e-7, atol=TINY)


@RUNS
@pytest.mark.parametrize("name", ANGLES)
def test_angles_beyond_the_range(name: str, run: Callable) -> None:
    """Up to the largest number a sine is one of some angle, with a finite derivative."""
    rng = np.random.default_rng(2)
    x = (10.0 ** rng.uniform(4.0, 38.5, 100_000) * rng.choice([-1.0, 1.0], 100_000)).astype(F32)
    x = np.concatenate([x, np.array([np.finfo(F32).max, 2.0**22, 2.0**23, 2.0**24], F32)])
    fast = getattr(xp, name)
    value = run(fast, x)
    assert np.isfinite(value).all()
    assert np.isfinite(run(lambda x: jax.jvp(fast, (x,), (jnp.ones_like(x),))[1], x)).all()
    if name != "tan":
        assert np.abs(value).max() <= 1.0
        other = run({"sin": xp.cos, "cos": xp.sin}[name], x)
        np.testing.assert_allclose(value**2 + other**2, 1.0, rtol=0.0, atol=1e-5)


def test_arctan2_of_zeros_and_infinities() -> None:
    """The angle of no vector is zero; one infinity decides the direction, two do not."""
    arctan2 = jax.jit(xp.arctan2)
    zeros = np.array([0.0, 0.0, -0.0, -0.0], F32)
    np.testing.assert_array_equal(arctan2(zeros, zeros[[0, 2, 0, 2]]), 0.0)
    y = np.array([np.inf, -np.inf, 1.0, -1.0, 0.0, -0.0], F32)
    x = np.array([-1.0, 0.0, np.inf, -np.inf, -2.0, -2.0], F32)
    np.testing.assert_allclose(arctan2(y, x), np.arctan2(y, x), rtol=3e-7)
    y, x = np.array([np.inf, np.nan, 1.0], F32), np.array([-np.inf, 1.0, np.nan], F32)
    assert jnp.isnan(arctan2(y, x)).all()


@pytest.mark.parametrize("name", sorted(DERIVATIVES))
def test_derivatives_are_the_exact_formulas(name: str) -> None:
    """First ones forwards and backwards, second ones forwards over backwards and the reverse."""
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.uniform(-10.0, 10.0, 2000), EDGES, [0.0, -0.0]]).astype(F32)
    # A derivative of the tangent is as large as its square.
    x = points[np.abs(np.tan(points.astype(float))) < 1e2] if name == "tan" else points
    fast, one = getattr(xp, name), jnp.float32(1.0)
    first, second = (f(x.astype(float)) for f in DERIVATIVES[name])

    @jax.jit
    @jax.vmap
    def derivatives(x: jax.Array) -> dict[str, jax.Array]:
        return {
            "grad": jax.grad(fast)(x),
            "jvp": jax.jvp(fast, (x,), (one,))[1],
            "linearize": jax.linearize(fast, x)[1](one),
            "jacfwd of jacrev": jax.jacfwd(jax.jacrev(fast))(x),
            "jacrev of jacfwd": jax.jacrev(jax.jacfwd(fast))(x),
        }

    for mode, value in derivatives(x).items():
        exact = second if "jac" in mode else first
        assert value.dtype == F32
        np.testing.assert_allclose(value, exact, rtol=1e-6, atol=1e-6, err_msg=mode)
    step = 1e-5
    near = np.abs(x) <= 10.0
    ahead, behind = (getattr(np, name)(x[near].astype(float) + side * step) for side in (1.0, -1.0))
    numeric = (ahead - behind) / (2.0 * step)
    np.testing.assert_allclose(jax.vmap(jax.grad(fast))(x[near]), numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1e-30, 1e-10, 1.0, 1e10, 1e30])
def test_derivatives_of_arctan2_are_the_exact_formulas(size: float) -> None:
    """At every distance from the origin that float32 has; second ones where they are numbers of float32."""
    rng = np.random.default_rng(4)
    points = (size * np.concatenate([rng.normal(size=(500, 2)), [[0, 1], [1, 0], [1, 1], [-1, 1]]])).astype(
        F32
    )
    y, x = points.T.astype(float) / size
    square = x**2 + y**2
    first = np.stack([x, -y], axis=-1) / square[:, None]
    mixed = (y**2 - x**2) / square**2
    second = np.stack([-2 * x * y / square**2, mixed, mixed, 2 * x * y / square**2], axis=-1)

    def angle(point: jax.Array) -> jax.Array:
        return xp.arctan2(point[0], point[1])

    gradient = np.asarray(jax.jit(jax.vmap(jax.grad(angle)))(points), float)
    np.testing.assert_allclose(gradient * size, first, rtol=1e-6, atol=1e-6)
    forward = np.asarray(jax.jit(jax.vmap(jax.jacfwd(angle)))(points), float)
    np.testing.assert_allclose(forward, gradient, rtol=1e-6)
    if 1e-18 < size < 1e18:
        hessian = np.asarray(jax.jit(jax.vmap(jax.hessian(angle)))(points), float).reshape(-1, 4)
        np.testing.assert_allclose(hessian * size**2, second, rtol=2e-6, atol=2e-6)


def test_derivatives_of_arctan2_at_standstill() -> None:
    """The angle of no vector has gradient zero, and no derivative of it is a NaN."""

    def derivatives(y: jax.Array, x: jax.Array) -> list:
        both = (0, 1)
        backwards_twice = jax.jacrev(jax.grad(xp.arctan2, both), both)(y, x)
        return [backwards_twice, *(d(xp.arctan2, both)(y, x) for d in (jax.grad, jax.jacfwd, jax.hessian))]

    zeros = jnp.array([0.0, -0.0, 1e-45], jnp.float32)
    for leaf in jax.tree.leaves(jax.jit(jax.vmap(derivatives))(zeros, zeros)):
        np.testing.assert_array_equal(leaf, 0.0)


def test_derivatives_at_infinity_and_nan() -> None:
    for name in ("arctan", "tanh"):
        gradient = jax.vmap(jax.grad(getattr(xp, name)))(jnp.array([np.inf, -np.inf, np.nan], jnp.float32))
        np.testing.assert_allclose(gradient, [0.0, 0.0, np.nan], rtol=0.0, atol=3e-7)


@pytest.mark.parametrize("shape", [(), (0,), (2, 3, 5)])
def test_any_shape_keeps_its_type(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(5).normal(size=shape).astype(F32)

    @jax.jit
    def values_and_jacobians(x: jax.Array) -> dict[str, tuple[jax.Array, jax.Array]]:
        return {name: (getattr(xp, name)(x), jax.jacrev(getattr(xp, name))(x)) for name in DERIVATIVES}

    for name, (value, jacobian) in values_and_jacobians(x).items():
        assert (value.shape, value.dtype) == (shape, F32)
        assert (jacobian.shape, jacobian.dtype) == (shape + shape, F32)
        np.testing.assert_allclose(value, getattr(np, name)(x), rtol=1e-6)
        np.testing.assert_allclose(getattr(xp, name)(x), value, rtol=3e-7)
    value = xp.arctan2(x, jnp.float32(2.0))
    assert (value.shape, value.dtype) == (shape, F32)


def test_arctan2_broadcasts() -> None:
    rng = np.random.default_rng(6)
    y, x = rng.normal(size=(4, 1)).astype(F32), rng.normal(size=(1, 3)).astype(F32)
    np.testing.assert_allclose(xp.arctan2(y, x), np.arctan2(y, x), rtol=1e-6)
    to_y, to_x = jax.jit(jax.jacrev(xp.arctan2, argnums=(0, 1)))(y, x)
    assert (to_y.shape, to_x.shape) == ((4, 3, 4, 1), (4, 3, 1, 3))
    mapped = jax.jit(jax.vmap(jax.vmap(xp.arctan2, (None, 0)), (0, None)))(y[:, 0], x[0])
    np.testing.assert_array_equal(mapped, xp.arctan2(y, x))


def test_numbers_without_a_strong_type() -> None:
    """What a Python number became inside jit: float32 outside the tests' double precision."""
    angles = []

    def sine_and_angle(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        angles.append(x)
        return xp.sin(x), xp.arctan2(x, x)

    with jax.enable_x64(False):
        value = jax.jit(sine_and_angle)(0.7)
        rates = jax.jit(jax.jacfwd(sine_and_angle))(0.7)
    assert all(x.weak_type for x in angles)
    assert [v.dtype for v in (*value, *rates)] == [F32] * 4
    np.testing.assert_allclose([*value, *rates], [np.sin(0.7), np.pi / 4, np.cos(0.7), 0.0], rtol=3e-7)


@pytest.mark.parametrize("name", sorted(DERIVATIVES))
def test_other_types_get_the_function_of_jax(name: str) -> None:
    fast, own = getattr(xp, name), getattr(jnp, name)
    for x in (
        0.7,
        1,
        np.float64(0.7),
        np.linspace(-2.0, 2.0, 7),
        jnp.linspace(-2.0, 2.0, 7, dtype=jnp.float16),
    ):
        assert fast(x).dtype == own(x).dtype
        np.testing.assert_array_equal(fast(x), own(x))
        # Compiled, they are the same program.
        assert str(jax.make_jaxpr(fast)(x)) == str(jax.make_jaxpr(own)(x))


def test_other_names_are_those_of_jax() -> None:
    assert xp.where is jnp.where
    assert xp.float32 is jnp.float32
    assert xp.arctan2(1.0, 2.0) == jnp.arctan2(1.0, 2.0)
    assert xp.arctan2(jnp.float32(1.0), 2.0) == jnp.arctan2(jnp.float32(1.0), 2.0)
    with pytest.raises(AttributeError, match="no attribute 'sine'"):
        xp.sine  # noqa: B018


def test_sine_and_cosine_share_their_work() -> None:
    """Of one angle, in values and derivatives alike: one rounding to a quadrant is left after compiling."""

    def both(x: jax.Array) -> jax.Array:
        (sine, cosine), rates = jax.jvp(lambda x: (xp.sin(x), xp.cos(x)), (x,), (x,))
        return sine * rates[0] + cosine * rates[1]

    program = jax.jit(both).lower(jnp.ones(64, jnp.float32)).compile().as_text()
    assert program.count(" round-nearest-even(") == 1


@pytest.mark.parametrize("name", sorted(MODEL_SPECS))
def test_models_agree_with_double_precision(name: str) -> None:
    """Every model's rates at random states and parameters, in float32 all the way."""
    spec = MODEL_SPECS[name]
    rng, points = np.random.default_rng(7), 500
    sizes = [channel.typical for channel in (*spec.states, *spec.controls)]
    z = np.stack([size * rng.uniform(-1.0, 1.0, points) for size in sizes], axis=-1).astype(F32)
    params = {key: np.asarray(value, F32) for key, value in spec.default_params.items()}
    for key, shape in spec.full_shapes.items():
        params[key] = rng.uniform(*spec.param_bounds[key], (points, *shape)).astype(F32)
    exact = spec.dynamics_fn(z.astype(float), {key: value.astype(float) for key, value in params.items()}, np)
    rates = as_written(lambda z, params: spec.dynamics_fn(z, params, xp), z, params)
    assert rates.dtype == F32
    scale = np.abs(exact) + np.abs(exact).mean(axis=0)
    assert (np.abs(rates - exact) <= 1e-5 * scale).all(), np.nanmax(np.abs(rates - exact) / scale, axis=0)
