"""What is read of the equations: the same numbers and the same derivatives as JAX, without a compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import ModelSpec
from pct.rollout.native.graph import FOLD, Graph, Level, Node, NotSupported, behind
from pct.rollout.native.reverse import active_nodes, pull_back
from pct.rollout.native.trace import trace
from rollout.native.windows import every_model, make_windows, toy_model

MASKS: dict[str, Callable[..., Any]] = {
    "lt": np.less, "le": np.less_equal, "eq": np.equal, "and": np.logical_and, "or": np.logical_or,
    "not": np.logical_not,
}  # fmt: skip
NUMPY = {"where": np.where, "sign": np.sign, "floor": np.floor, "abs": np.abs} | {
    name: getattr(np, {"atan": "arctan", "atan2": "arctan2"}.get(name, name))
    for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "atan", "atan2", "tanh")
}


def evaluate(outputs: list[Node], given: dict[Any, np.ndarray]) -> list[np.ndarray]:
    """Values of nodes for windows side by side."""
    values: dict[int, Any] = {}
    for node in behind(outputs):
        args = [values[arg.index] for arg in node.args]
        if node.op == "input":
            values[node.index] = given[node.key]
        elif node.op == "constant":
            values[node.index] = node.key
        else:
            with np.errstate(all="ignore"):
                values[node.index] = ({**FOLD, **MASKS, **NUMPY})[node.op](*args)
    return [values[node.index] for node in outputs]


@every_model
def test_rates_and_their_reverse_are_those_of_jax(spec: ModelSpec) -> None:
    equations = trace(spec)
    graph = equations.graph
    w = make_windows(spec, 24, 1)
    x, u = w.start.astype(float), w.controls[:, 0].astype(float)
    params = {
        name: np.broadcast_to(value, (24, *np.shape(value))) for name, value in spec.default_params.items()
    }
    params |= {name: value.astype(float) for name, value in w.learned.items()}
    weights = np.random.default_rng(1).standard_normal(x.shape)

    def weighted(x: Any, u: Any, params: Any) -> Any:
        rates = spec.lane_rates(tuple(x.T), tuple(u.T), params, jnp)
        rates = jnp.stack([jnp.broadcast_to(rate, x.shape[:1]) for rate in rates], axis=-1)
        return (rates * weights).sum(), rates

    (by_x, by_u, by_params), rates = jax.grad(weighted, (0, 1, 2), has_aux=True)(
        *jax.tree.map(jnp.asarray, (x, u, params))
    )
    seeds = {}
    for i, rate in enumerate(equations.rates):
        seed = graph.input("seed", i, Level.SUBSTEP)
        seeds[rate] = graph.add(seeds[rate], seed) if rate in seeds else seed
    active = active_nodes(equations.rates, lambda node: node.op == "input")
    ends = pull_back(graph, seeds, active, stop=lambda node: node.op == "input")
    given = {("x", i): x[:, i] for i in range(x.shape[1])} | {("u", i): u[:, i] for i in range(u.shape[1])}
    given |= {("seed", i): weights[:, i] for i in range(x.shape[1])}
    for i, (name, entry) in enumerate(equations.names):
        given["p", i] = params[name].reshape(24, -1)[:, entry]
    found = evaluate([*equations.rates, *ends.values()], given)
    for i, value in enumerate(found[: x.shape[1]]):
        np.testing.assert_allclose(np.broadcast_to(value, 24), rates[:, i], rtol=1e-9, atol=1e-9)
    wanted = {"x": by_x, "u": by_u}
    seen = 0
    for node, value in zip(ends, found[x.shape[1] :], strict=True):
        kind, i = node.key
        if kind == "p":
            name, entry = equations.names[i]
            exact = np.asarray(by_params[name]).reshape(24, -1)[:, entry]
        else:
            exact = np.asarray(wanted[kind][:, i])
        scale = np.abs(exact).max() + 1e-9
        np.testing.assert_allclose(np.broadcast_to(value, 24), exact, rtol=1e-7, atol=1e-9 * scale)
        seen += 1
    assert seen > x.shape[1] // 2


def test_equal_expressions_are_one_node() -> None:
    graph = Graph()
    a, b = (graph.input("x", i, Level.SUBSTEP) for i in range(2))
    assert a * b + 1.0 is b * a + 1
    assert a - (-b) is a + b
    assert (a**3).op == "mul"
    assert graph.lift(2.0) * 3.0 is graph.constant(6.0)


def test_what_changes_rarely_is_multiplied_first() -> None:
    graph = Graph()
    p, q = (graph.input("p", i, Level.WINDOW) for i in range(2))
    x = graph.input("x", 0, Level.SUBSTEP)
    product = p * x * q
    assert {arg.level for arg in product.args} == {Level.SUBSTEP, Level.WINDOW}
    assert (p * x / q).args[0].level != Level.SUBSTEP or (p * x / q).args[1].level == Level.WINDOW


@pytest.mark.parametrize(
    ("rates", "named"),
    [
        (lambda x, u, p, xp: (xp.fft(x.s0),), "xp.fft"),
        (lambda x, u, p, xp: (x.s0 if x.s0 > 0 else p.a,), "a choice in Python"),
        (lambda x, u, p, xp: (jnp.sin(x.s0),), "something else than arithmetic"),
        (lambda x, u, p, xp: (x.s0.mean(),), "no attribute 'mean'"),
        (lambda x, u, p, xp: (float(x.s0),), "a Python number"),
    ],
)
def test_what_is_not_supported_is_named(rates: Callable[..., Any], named: str) -> None:
    with pytest.raises(NotSupported, match=named.replace("(", r"\(")):
        trace(toy_model("toy", rates, 1, 1))


def slopes(graph: Graph, output: Node, x: Node) -> list[Node]:
    active = active_nodes([output], lambda node: node is x)
    ends = pull_back(graph, {output: graph.constant(1.0)}, active, stop=lambda node: node.op == "input")
    return list(behind([ends[x]]))


def test_slope_of_an_arctangent_is_its_cosine_squared_where_there_is_one() -> None:
    """Else it is the plain formula, without the bounds that the cosine needs."""
    graph = Graph()
    x = graph.input("x", 0, Level.SUBSTEP)
    plain = [node.op for node in slopes(graph, graph.node("atan", x), x)]
    assert "reciprocal" in plain
    assert not {"min", "max", "sqrt"} & {*plain}
    graph = Graph()
    x = graph.input("x", 0, Level.SUBSTEP)
    cosine = graph.node("cos", graph.node("atan", x))
    shared = slopes(graph, graph.node("atan", x), x)
    assert [node for node in shared if node.op == "reciprocal"] == [cosine]


def test_bounds_that_equations_name_have_their_own_slope() -> None:
    """Only those that the generator sets itself are passed through."""
    graph = Graph()
    x = graph.input("x", 0, Level.SUBSTEP)
    bounded = graph.node("min", graph.constant(1e9), graph.node("max", graph.constant(-1e9), x))
    assert sum(node.op == "lt" for node in slopes(graph, bounded, x)) == 2
    assert not any(
        node.op in ("lt", "eq") for node in slopes(graph, graph.node("cos", graph.node("atan", x)), x)
    )
