"""Reverse-mode derivatives of a graph, written into the same graph.

The conventions at corners are JAX's: half for each of two equal arguments of a maximum or minimum, one for
abs and zero for sign at zero, nothing through the side of a `where` that is not taken.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping

from pct.rollout.native.graph import STEEP, Graph, Node, behind


def pull_back(
    graph: Graph, seeds: Mapping[Node, Node], active: set[int], *, stop: Callable[[Node], bool]
) -> dict[Node, Node]:
    """Adjoints of the nodes where the way back ends.

    Args:
        graph: of the nodes.
        seeds: adjoint of each output.
        active: indices of the nodes that depend on something that a derivative is wanted of.
        stop: where the way back ends.

    Returns:
        Adjoint of each node that `stop` holds for and that has one.
    """
    parts: dict[int, list[Node]] = {}
    for node, seed in seeds.items():
        parts.setdefault(node.index, []).append(seed)
    ends = {}
    for node in reversed(list(behind(seeds, stop))):
        if node.index not in parts or node.index not in active:
            continue
        adjoint = _sum(graph, parts.pop(node.index))
        if stop(node):
            ends[node] = adjoint
            continue
        for arg, part in partials(graph, node, adjoint):
            if arg.index in active:
                parts.setdefault(arg.index, []).append(part())
    return ends


def active_nodes(outputs: Iterable[Node], wanted: Callable[[Node], bool]) -> set[int]:
    """Indices of all nodes behind the outputs that depend on a wanted input."""
    active: set[int] = set()
    for node in behind(outputs):
        if wanted(node) or (not node.is_mask and any(arg.index in active for arg in node.args)):
            active.add(node.index)
    return active


def _sum(graph: Graph, parts: list[Node]) -> Node:
    """The sum in the order in which the parts are there: those behind long chains of operations last."""
    heap = [(part.depth, part.index, part) for part in parts]
    heapq.heapify(heap)
    while len(heap) > 1:
        total = graph.add(heapq.heappop(heap)[-1], heapq.heappop(heap)[-1])
        heapq.heappush(heap, (total.depth, total.index, total))
    return heap[0][-1]


def partials(graph: Graph, node: Node, adjoint: Node) -> list[tuple[Node, Callable[[], Node]]]:
    """Each argument of a node with what it adds to the argument's adjoint, made on demand."""
    g, one = graph, graph.constant(1.0)
    op, args = node.op, node.args
    if op == "add":
        return [(args[0], lambda: adjoint), (args[1], lambda: adjoint)]
    if op == "sub":
        return [(args[0], lambda: adjoint), (args[1], lambda: g.neg(adjoint))]
    if op == "mul":
        a, b = args
        if a is b:
            return [(a, lambda: g.mul(g.constant(2.0), g.mul(adjoint, a)))]
        return [(a, lambda: g.mul(adjoint, b)), (b, lambda: g.mul(adjoint, a))]
    if op in ("max", "min"):
        a, b = args
        bounded = [arg for arg in args if not (arg.op == "constant" and abs(arg.key) == STEEP)]
        if len(bounded) == 1:
            # The cosine and sine that are computed of it do not change there in any case.
            return [(bounded[0], lambda: adjoint)]
        above, below = (b, a) if op == "max" else (a, b)
        zero = g.constant(0.0)

        def share() -> Node:
            halved = g.where(g.node("eq", a, b), g.mul(g.constant(0.5), adjoint), zero)
            return g.where(g.node("lt", above, below), adjoint, halved)

        return [(a, share), (b, lambda: g.sub(adjoint, share()))]
    if op == "where":
        mask, a, b = args
        zero = g.constant(0.0)
        return [(a, lambda: g.where(mask, adjoint, zero)), (b, lambda: g.where(mask, zero, adjoint))]
    if op == "atan2":
        y, x = args
        square = g.add(g.mul(x, x), g.mul(y, y))
        # Zero where both are, as in `pct.rollout.fastmath`.
        none = g.node("eq", square, g.constant(0.0))
        over = g.where(none, g.constant(0.0), g.mul(adjoint, g.reciprocal(g.where(none, one, square))))
        return [(y, lambda: g.mul(over, x)), (x, lambda: g.neg(g.mul(over, y)))]
    (x,) = args
    slopes: dict[str, Callable[[], Node]] = {
        "neg": lambda: g.constant(-1.0),
        "reciprocal": lambda: g.neg(g.mul(node, node)),
        "abs": lambda: g.where(g.node("le", g.constant(0.0), x), one, g.constant(-1.0)),
        "sign": lambda: g.constant(0.0),
        "floor": lambda: g.constant(0.0),
        "sqrt": lambda: g.mul(g.constant(0.5), g.reciprocal(node)),
        "exp": lambda: node,
        "log": lambda: g.reciprocal(x),
        "sin": lambda: g.node("cos", x),
        "cos": lambda: g.neg(g.node("sin", x)),
        "tan": lambda: g.add(one, g.mul(node, node)),
        "atan": lambda: g.arctangent_slope(x),
        "tanh": lambda: g.sub(one, g.mul(node, node)),
    }
    return [(x, lambda: g.mul(adjoint, slopes[op]()))]
