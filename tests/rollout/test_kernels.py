"""One kernel: the values of the function as written, and every shared value once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pct.rollout import fastmath
from pct.rollout.kernels import count_operations, one_kernel, unknown_one

X, Y = jnp.linspace(-2.0, 3.0, 8), jnp.linspace(0.5, 0.1, 8)
COUNT = jnp.arange(8, dtype=jnp.int32)
TABLE = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])


def shared(x: Any, y: Any) -> Any:
    wave = jnp.sin(x * y) + x * y
    return wave**2, wave / (1.0 + jnp.cos(x * y) ** 2), jnp.sin(x * y)


def nested(x: Any, y: Any) -> Any:
    inner = jax.jit(lambda a, b: jnp.exp(-a) * b)
    return jax.jit(lambda a: inner(a, y) + inner(a, y))(x), inner(x, y)


def custom(x: Any, y: Any) -> Any:
    return jax.nn.relu(x) + fastmath.xp.arctan2(x, y), fastmath.xp.sin(x) * jax.nn.silu(y)


def derivative(x: Any, y: Any) -> Any:
    """Long enough that values are stored."""

    def chain(x: Any) -> Any:
        for _ in range(6):
            x = jnp.tanh(x * y) + fastmath.xp.cos(x) / (1.0 + x**2)
        return x

    value, vjp = jax.vjp(chain, x)
    return value, *vjp(y)


def looped(x: Any, y: Any) -> Any:
    """Two loops that differ in a digit only; and a branch."""

    def power(factor: float) -> Any:
        return lax.scan(lambda s, _: (s * factor, s), x, length=3)

    return (
        power(1.0000000001),
        power(1.0000000002),
        lax.cond(x[0] > 0, lambda v: v + 1.0, lambda v: v * TABLE.astype(v.dtype), y),
    )


def constants(x: Any, y: Any) -> Any:
    table = TABLE.astype(x.dtype)
    return x * table + table.copy(), 2.0, jnp.asarray(table), 1.0 / (y * 0.0), 1.0 / (y * -0.0)


def handed_on(x: Any, y: Any) -> Any:
    twice = x + y
    return x, twice, {"again": twice, "same": (y, y)}, None


def only_handed_on(x: Any, y: Any) -> Any:
    return y, x


def unused(x: Any, y: Any) -> Any:
    jnp.sin(y)
    return x + 1.0


def integers(n: Any, x: Any) -> Any:
    odd = (n & 1) == 1
    return n // 3, (n << 2) - n, odd, jnp.where(odd, -x, x), n.astype(x.dtype) * x, n.max()


def reduced(x: Any, y: Any) -> Any:
    return x.sum(), jnp.stack([x, y]).mean(axis=0), jnp.concatenate([x, y]).reshape(4, 4).T, x[::2], x @ y


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    function.__name__: (function, arguments)
    for function, arguments in (
        *((function, (X, Y)) for function in (shared, nested, custom, derivative, looped, constants)),
        *((function, (X, Y)) for function in (handed_on, only_handed_on, unused, reduced)),
        (integers, (COUNT, X)),
    )
}
every_case = pytest.mark.parametrize(("function", "arguments"), CASES.values(), ids=CASES.keys())


@every_case
def test_a_kernel_gives_the_values_of_its_function(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    expected = function(*arguments)
    found = jax.jit(one_kernel(function))(jnp.ones(()), *arguments)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (one.shape, one.dtype) == (jnp.shape(other), jnp.result_type(other))
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15)


@every_case
def test_a_kernel_gives_them_in_single_precision(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """As the program runs, where the fast functions take part and numbers have other types."""
    with jax.enable_x64(False):
        arguments = tuple(
            jnp.asarray(np.asarray(a), jnp.float32 if a is not COUNT else None) for a in arguments
        )
        expected = jax.jit(function)(*arguments)
        found = jax.jit(one_kernel(function))(jnp.ones(()), *arguments)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            np.testing.assert_allclose(one, other, rtol=3e-6, atol=1e-6)


def test_trees_are_taken_and_given() -> None:
    def function(state: tuple[Any, ...], params: dict[str, Any]) -> dict[str, Any]:
        return {"sum": state[0] + params["a"], "rest": (state[1] * params["b"], None)}

    found = one_kernel(function)(jnp.ones(()), (X, Y), {"a": Y, "b": X})
    np.testing.assert_array_equal(found["sum"], X + Y)
    np.testing.assert_array_equal(found["rest"][0], Y * X)
    assert found["rest"][1] is None


def test_a_kernel_runs_within_a_loop() -> None:
    """Also where the compiler finds that some of what it is given has no part."""

    def function(x: Any, y: Any) -> Any:
        return lax.select(np.full(8, True), x, y) + 1.0

    def three_times(one: Any, x: Any, y: Any) -> Any:
        return lax.fori_loop(0, 3, lambda _, state: one_kernel(function)(one, state, y), x)

    np.testing.assert_allclose(jax.jit(three_times)(unknown_one(X), X, Y), X + 3.0, rtol=1e-15)


# Operations.


def sin_twice(x: Any) -> Any:
    return jnp.sin(x) + jnp.sin(x)


def sin_by_another_way(x: Any) -> Any:
    return jax.jit(jnp.sin)(x) + jax.jit(lambda y: jnp.sin(y))(x)


def two_sums(x: Any) -> Any:
    square = x.reshape(2, 4)
    return square.sum(axis=0).sum() + square.sum(axis=1).sum()


def same_constant(x: Any) -> Any:
    return (x + TABLE) * (x + TABLE.copy())


def other_constant(x: Any) -> Any:
    return (x + TABLE) * (x + 2.0 * TABLE)


def signs_of_zero(x: Any) -> Any:
    return x * np.float64(0.0) + x * np.float64(-0.0)


def dropped(x: Any) -> Any:
    jnp.exp(x) * 3.0
    return -x


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (sin_twice, 2),
        (sin_by_another_way, 2),
        (two_sums, 5),  # the two parts, their sums, one addition
        (same_constant, 2),
        (other_constant, 3),
        (signs_of_zero, 3),
        (dropped, 1),
        (lambda x: jnp.broadcast_to(x[0], (3,)), 0),
        (lambda x: x, 0),
    ],
)
def test_equal_operations_are_done_once(function: Callable[[Any], Any], count: int) -> None:
    assert count_operations(function, X) == count


def test_merged_operations_are_those_that_differ() -> None:
    """Against the distinct operations of a flat program, told apart by what they compute."""

    def function(x: Any, y: Any) -> Any:
        total = x
        for _ in range(3):
            total = total + jnp.sin(x * y) * jnp.cos(y * 2.0)
        return total, jnp.cos(y * 2.0)

    # x y, sin, 2 y, cos, their product, three additions.
    assert len(jax.make_jaxpr(function)(X, Y).eqns) == 3 * 6 + 2
    assert count_operations(function, X, Y) == 8


# What is stored.


@pytest.mark.parametrize(
    ("function", "arguments", "stored"),
    [(derivative, (X, Y), True), (sin_twice, (X,), False)],
    ids=["long", "short"],
)
def test_long_shared_values_are_stored_and_short_ones_are_not(
    function: Callable[..., Any], arguments: tuple[Any, ...], stored: bool
) -> None:
    """What is stored is divided by the one, so another number shows it."""
    kernel = one_kernel(function)
    as_is, divided = (jax.tree.leaves(kernel(jnp.asarray(one), *arguments))[0] for one in (1.0, 2.0))
    assert np.allclose(as_is, divided) != stored


@pytest.mark.parametrize("first", [0.0, -3.0, np.inf, -np.inf, np.nan])
def test_the_unknown_one_is_one(first: float) -> None:
    data = jnp.full((3, 2), first)
    assert unknown_one(data) == jax.jit(unknown_one)(data) == 1.0
