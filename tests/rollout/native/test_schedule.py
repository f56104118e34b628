"""The order of operations: whatever the graph, each is there once and behind what it needs."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from pct.dynamics import MODEL_SPECS
from pct.rollout.native.graph import Graph, Level, Node, behind
from pct.rollout.native.schedule import REGISTERS, in_order
from pct.rollout.native.trace import trace

OPERATIONS = (("add", 2), ("mul", 2), ("sub", 2), ("max", 2), ("sin", 1), ("sqrt", 1), ("where", 3))


def random_nodes(size: int, rng: random.Random) -> list[Node]:
    """Nodes of a graph, arguments first; some take the same argument twice."""
    graph = Graph()
    nodes = [graph.input("x", i, Level.SUBSTEP) for i in range(3)]
    nodes.append(graph.constant(2.0))
    for _ in range(size):
        op, count = rng.choice(OPERATIONS)
        args = [rng.choice(nodes) for _ in range(count)]
        if op == "where":
            args[0] = graph.node("lt", args[0], args[1])
        nodes.append(graph.node(op, *args))
    return nodes


def assert_in_order(sinks: list[Node], arguments: Callable[[Node], tuple[Node, ...]]) -> list[Node]:
    order = in_order(sinks, arguments)
    place = {node: i for i, node in enumerate(order)}
    assert len(place) == len(order)
    assert {*sinks} <= {*order}
    assert all(place[arg] < place[node] for node in order for arg in arguments(node))
    needed, stack = {*sinks}, [*sinks]
    while stack:
        new = {*arguments(stack.pop())} - needed
        needed |= new
        stack += new
    assert needed == {*order}
    return order


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 120), st.integers(1, 6), st.randoms(use_true_random=False))
def test_any_graph(size: int, sinks: int, rng: random.Random) -> None:
    nodes = random_nodes(size, rng)
    wanted = rng.choices(nodes, k=sinks)  # the same one may be wanted twice
    assert_in_order(wanted, lambda node: node.args)


@settings(max_examples=60, deadline=None)
@given(st.integers(10, 120), st.randoms(use_true_random=False))
def test_nothing_is_followed_behind_what_is_given(size: int, rng: random.Random) -> None:
    nodes = random_nodes(size, rng)
    known = {*rng.sample(nodes, k=len(nodes) // 3)}
    wanted = rng.sample(nodes, k=4)
    order = assert_in_order(wanted, lambda node: () if node in known else node.args)
    through = {node for sink in wanted for node in behind([sink], known.__contains__)}
    assert {*order} == through


def test_more_values_at_once_than_there_are_registers() -> None:
    graph = Graph()
    inputs = [graph.input("x", i, Level.SUBSTEP) for i in range(4 * REGISTERS)]
    roots = [graph.node("sin", value) for value in inputs]
    total = roots[0]
    for root in roots[1:]:
        total = graph.add(total, root)
    assert_in_order([*roots, total], lambda node: node.args)
    assert_in_order([total], lambda node: node.args)


def test_a_model_s_rates() -> None:
    assert_in_order([*trace(MODEL_SPECS["singletrack"]).rates], lambda node: node.args)


def test_nothing_is_wanted() -> None:
    assert in_order([], lambda node: node.args) == []
