"""A model's equations as a graph."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.rollout.integration import Tableau, explicit_step
from pct.rollout.native.graph import Graph, Level, Node, NotSupported, behind
from pct.rollout.native.namespace import SymbolicNamespace, entries


class Equations(NamedTuple):
    """What a model computes.

    Attributes:
        graph: of all nodes.
        names: of the parameters' entries, in the order of the inputs of kind ``p``, arrays row by row.
        x, u: the inputs that are states and controls.
        rates: time derivative of each state.
    """

    graph: Graph
    names: list[tuple[str, int]]
    x: tuple[Node, ...]
    u: tuple[Node, ...]
    rates: tuple[Node, ...]


def trace(spec: ModelSpec) -> Equations:
    """Read a model's equations.

    Raises:
        NotSupported: they use something that no code can be generated for.
    """
    graph = Graph()
    names: list[tuple[str, int]] = []
    params: dict[str, Any] = {}
    for row in spec.parameters:
        shape = tuple(spec.param_shapes.get(row.name, ()))
        first = len(names)
        names += [(row.name, entry) for entry in range(int(np.prod(shape)))]
        nodes = np.array([graph.input("p", i, Level.WINDOW) for i in range(first, len(names))], object)
        params[row.name] = nodes.reshape(shape)[()]
    x = tuple(graph.input("x", i, Level.SUBSTEP) for i in range(len(spec.states) + len(spec.hidden)))
    u = tuple(graph.input("u", i, Level.STEP) for i in range(len(spec.controls)))

    try:
        rates = [
            entries(rate, graph)
            for rate in spec.lane_rates.within_step(x, u, params, SymbolicNamespace(graph))
        ]
    except NotSupported:
        raise
    except Exception as error:
        # Whatever Python or a function that is not of the array namespace says of a symbol.
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotSupported(f"something else than arithmetic and xp's functions ({message})") from error
    if any(len(rate) != 1 for rate in rates) or len(rates) != len(x):
        raise NotSupported("rates that are not one number a state")
    return Equations(graph, names, x, u, tuple(rate[0] for rate in rates))


def describe(equations: Equations) -> str:
    """The equations in words, the same for the same equations only."""
    nodes = [
        (node.index, node.op, *(arg.index for arg in node.args), node.key) for node in behind(equations.rates)
    ]
    rates = [rate.index for rate in equations.rates]
    return repr((nodes, rates, equations.names, len(equations.x), len(equations.u)))


def take_step(equations: Equations, tableau: Tableau) -> tuple[tuple[Node, ...], list[tuple[Node, ...]]]:
    """A step of an integrator; its length in s is an input behind the parameters.

    Returns:
        The state after the step, and the state at which each stage takes its rates.
    """
    graph = equations.graph
    points: list[tuple[Node, ...]] = []

    def rates(x: tuple[Node, ...]) -> tuple[Node, ...]:
        points.append(x)
        return tuple(graph.replaced(equations.rates, dict(zip(equations.x, x, strict=True))))

    length: Any = graph.input("p", len(equations.names), Level.WINDOW)
    return explicit_step(tableau, rates, equations.x, length), points
