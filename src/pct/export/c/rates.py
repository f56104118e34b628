"""The equations of a model with its values for parameters, and their derivatives, as a graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pct.errors import UsageError
from pct.export.source import Source
from pct.rollout.native.graph import FOLD, MASKS, Graph, Node, NotSupported, behind
from pct.rollout.native.reverse import active_nodes, pull_back
from pct.rollout.native.trace import trace


class Rates(NamedTuple):
    """The equations with constants for parameters.

    Attributes:
        graph: of all nodes.
        rates: time derivative of each state.
        by_x, by_u: derivatives of the rates by ``(state, state)`` and ``(state, control)``, without zeros.
    """

    graph: Graph
    rates: list[Node]
    by_x: dict[tuple[int, int], Node]
    by_u: dict[tuple[int, int], Node]


def bake(source: Source) -> Rates:
    """The model's equations with its values for parameters, and their derivatives.

    Raises:
        UsageError: they use something that no code can be generated for.
    """
    try:
        equations = trace(source.spec)
    except NotSupported as error:
        raise UsageError(f"Model '{source.spec.name}': no C can be made of {error}") from None
    graph, values = _Folding(), source.flat_values
    simplified = {name: getattr(graph, name) for name in ("add", "sub", "neg", "mul", "reciprocal", "where")}
    # By index: nodes of two graphs are not to be compared.
    made: dict[int, Node] = {}
    for node in behind(equations.rates):
        if node.op == "constant":
            new = graph.constant(node.key)
        elif node.op == "input":
            kind, place = node.key
            new = graph.constant(values[place]) if kind == "p" else graph.input(kind, place, node.level)
        else:
            args = [made[arg.index] for arg in node.args]
            new = simplified.get(node.op, partial(graph.node, node.op))(*args)
        made[node.index] = new
    rates = [made[rate.index] for rate in equations.rates]
    active = active_nodes(rates, lambda node: node.op == "input")
    slopes: dict[str, dict[tuple[int, int], Node]] = {"x": {}, "u": {}}
    for i, rate in enumerate(rates):
        seeds = {rate: graph.constant(1.0)}
        for node, slope in pull_back(graph, seeds, active, stop=lambda node: node.op == "input").items():
            if not is_zero(slope):
                kind, place = node.key
                slopes[kind][i, place] = slope
    return Rates(graph, rates, slopes["x"], slopes["u"])


class _Folding(Graph):
    """A graph for equations with many constants: choices between them are made, products with zero go."""

    def node(self, op: str, *args: Node) -> Node:
        if op in MASKS:
            known = [arg.key for arg in args if arg.op == "constant"]
            if len(known) == len(args):
                return self.constant(float(OPERATIONS[op](*known)))
            if op in ("and", "or") and known:
                (other,) = (arg for arg in args if arg.op != "constant")
                decides = bool(known[0]) == (op == "or")
                return self.constant(float(op == "or")) if decides else other
        return super().node(op, *args)

    def mul(self, a: Node, b: Node) -> Node:
        if is_zero(a) or is_zero(b):
            return self.constant(0.0)
        return super().mul(a, b)


# On arrays; the folding of numbers takes its masks from here, too.
OPERATIONS: dict[str, Callable[..., Any]] = {
    **FOLD,
    "lt": np.less, "le": np.less_equal, "eq": np.equal, "and": np.logical_and, "or": np.logical_or,
    "not": np.logical_not, "where": np.where, "sign": np.sign, "abs": np.abs, "floor": np.floor,
    "atan": np.arctan, "atan2": np.arctan2,
    **{name: getattr(np, name) for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "tanh")},
}  # fmt: skip


def is_zero(node: Node) -> bool:
    """Whether a node is the number zero."""
    return node.op == "constant" and node.key == 0.0
