"""Jacobian of a graph's outputs by the elimination of what lies between them and the inputs.

Each operation gives the edges from its arguments, with their partial derivatives. Removing a node joins every
edge into it with every edge out of it by one product; the node with the fewest such pairs goes first [1].
Chains that many outputs or inputs share are multiplied once, which neither mode of differentiation does.

References:
    [1] A. Griewank, A. Walther, "Evaluating Derivatives", 2nd ed. (2008), chapter 9: cross-country
        elimination by the rule of Markowitz.
"""

from __future__ import annotations

from collections.abc import Sequence

from pct.rollout.native.graph import Graph, Node, behind
from pct.rollout.native.reverse import active_nodes, partials


def jacobian(graph: Graph, outputs: Sequence[Node], inputs: Sequence[Node]) -> dict[tuple[int, int], Node]:
    """Derivatives that are not zero everywhere, by place of the output and of the input."""
    places = {node.index: place for place, node in enumerate(inputs)}
    edges = _Edges(graph, outputs, places)
    between = {end for end in edges.before if end >= 0 and end not in places}
    while between:
        end = min(between, key=lambda end: (edges.pairs(end), -end))
        between.remove(end)
        edges.eliminate(end)
    return {
        (place, places[end]): slope
        for place in range(len(outputs))
        for end, slope in edges.before[-1 - place].items()
        if not (slope.op == "constant" and slope.key == 0.0)
    }


class _Edges:
    """Derivatives of what uses a value by that value; ends are indices of nodes, and -1 - place of outputs.

    Attributes:
        before, after: by the user and its arguments, and the other way round.
    """

    def __init__(self, graph: Graph, outputs: Sequence[Node], inputs: dict[int, int]) -> None:
        self._graph = graph
        self.before: dict[int, dict[int, Node]] = {-1 - place: {} for place in range(len(outputs))}
        self.after: dict[int, dict[int, Node]] = {}
        active = active_nodes(outputs, lambda node: node.index in inputs)
        nodes = list(behind(outputs, lambda node: node.index in inputs))
        one = graph.constant(1.0)
        for node in nodes:
            self.before[node.index], self.after[node.index] = {}, {}
        for node in nodes:
            if node.index in active and node.index not in inputs:
                for argument, part in partials(graph, node, one):
                    if argument.index in active:
                        self._add(node.index, argument.index, part())
        for place, node in enumerate(outputs):
            if node.index in active:
                self._add(-1 - place, node.index, one)

    def pairs(self, end: int) -> int:
        """Products that its elimination takes."""
        return len(self.before[end]) * len(self.after[end])

    def eliminate(self, end: int) -> None:
        """Join what a value depends on with what depends on it."""
        arguments, users = self.before.pop(end), self.after.pop(end)
        for argument in arguments:
            del self.after[argument][end]
        for user, slope in users.items():
            del self.before[user][end]
            for argument, own in arguments.items():
                self._add(user, argument, self._graph.mul(slope, own))

    def _add(self, user: int, argument: int, slope: Node) -> None:
        known = self.before[user].get(argument)
        slope = slope if known is None else self._graph.add(known, slope)
        self.before[user][argument] = self.after[argument][user] = slope
