"""Building blocks of an ONNX graph: operators by name, a model's equations, a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.dynamics.bounds import Bounds
from pct.optimization.network.mlp import CLIP
from pct.rollout.native.graph import Node, behind
from pct.rollout.native.trace import Equations

OPERATORS = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "neg": "Neg", "reciprocal": "Reciprocal", "abs": "Abs",
    "max": "Max", "min": "Min", "sign": "Sign", "floor": "Floor", "sqrt": "Sqrt", "exp": "Exp", "log": "Log",
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "atan": "Atan", "tanh": "Tanh", "where": "Where", "lt": "Less",
    "le": "LessOrEqual", "eq": "Equal", "and": "And", "or": "Or", "not": "Not",
}  # fmt: skip


class Builder:
    """Nodes and constants of one graph; names are numbered.

    Attributes:
        nodes, initializers: as ``onnx.helper.make_graph`` takes them.
    """

    def __init__(self, prefix: str = "") -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._prefix = prefix
        self._constants: dict[bytes, str] = {}

    def add(
        self, operator: str, inputs: Sequence[str], output: str | list[str] | None = None, **more: Any
    ) -> str:
        """A node; the name of its first output."""
        from onnx import helper

        name = output or f"{self._prefix}v{len(self.nodes)}"
        names = name if isinstance(name, list) else [name]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **more))
        return names[0]

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """The name of an array that does not change, written once."""
        from onnx import numpy_helper

        array = np.asarray(value, dtype)
        key = array.tobytes() + str((array.dtype, array.shape)).encode()
        if key not in self._constants:
            name = f"{self._prefix}c{len(self._constants)}"
            self.initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def columns(self, name: str, count: int) -> list[str]:
        """The columns of an array (B, count), (B, 1) each."""
        if count == 1:
            return [name]
        parts = [f"{name}_{i}" for i in range(count)]
        self.add("Split", [name, self.constant([1] * count, np.int64)], parts, axis=-1)
        return parts

    def rename(self, value: str, name: str) -> None:
        """Give a value a name of one's own."""
        self.add("Identity", [value], name)


def add_rates(
    graph: Builder, equations: Equations, x: Sequence[str], u: Sequence[str], params: Sequence[str | float]
) -> list[str]:
    """The rates of a model at columns of states and controls, (B, 1) or one number each."""
    values: dict[int, str] = {}
    for node in behind(equations.rates):
        if node.op == "constant":
            value = graph.constant(node.key, bool if node.is_mask else np.float32)
        elif node.op == "input":
            kind, place = node.key
            known = {"x": x, "u": u, "p": params}[kind][place]
            value = known if isinstance(known, str) else graph.constant(known)
        else:
            value = _operator(graph, node, [values[arg.index] for arg in node.args])
        values[node.index] = value
    return [values[rate.index] for rate in equations.rates]


def _operator(graph: Builder, node: Node, args: list[str]) -> str:
    if node.op == "atan2":
        return _arctan2(graph, *args)
    return graph.add(OPERATORS[node.op], args)


def _arctan2(graph: Builder, y: str, x: str) -> str:
    """Angle of a point: ONNX has no operator for it."""
    zero, pi = graph.constant(0.0), graph.constant(np.pi)
    left = graph.add("Less", [x, zero])
    safe = graph.add("Where", [graph.add("Equal", [x, zero]), graph.constant(1e-30), x])
    angle = graph.add("Atan", [graph.add("Div", [y, safe])])
    turn = graph.add("Where", [graph.add("Less", [y, zero]), graph.add("Neg", [pi]), pi])
    return graph.add("Where", [left, graph.add("Add", [angle, turn]), angle])


def add_network(graph: Builder, trained: Any, features: str) -> str:
    """What a network predicts from features (B, F): parameters (B, P)."""
    network, members = trained.network, getattr(trained.network, "members", 1)
    one = getattr(network, "network", network)
    weights = trained.params["params"]
    hidden = features
    if one.feature_mean is not None:
        mean, std = (np.asarray(part, np.float32) for part in (one.feature_mean, one.feature_std))
        scaled = graph.add("Div", [graph.add("Sub", [features, graph.constant(mean)]), graph.constant(std)])
        hidden = graph.add("Clip", [scaled, graph.constant(-CLIP), graph.constant(CLIP)])
    if hasattr(network, "network"):
        (stacked,) = weights.values()
        each = [_take(stacked, member) for member in range(members)]
        found = [_member(graph, one, own, hidden) for own in each]
        return graph.add("Mean", found)
    return _member(graph, one, weights, hidden)


def _take(tree: Any, member: int) -> Any:
    """The weights of one member."""
    if hasattr(tree, "items"):
        return {name: _take(part, member) for name, part in tree.items()}
    return np.asarray(tree)[member]


def _member(graph: Builder, network: Any, weights: Any, hidden: str) -> str:
    """One network from scaled features."""
    if network.rows:
        hidden = _recurrent(graph, network, weights, hidden)
    layers = len(network.hidden_sizes)
    for number in range(layers):
        hidden = graph.add("Tanh", [_dense(graph, weights[f"Dense_{number}"], hidden)])
    last = weights[f"Dense_{layers}"]
    raw = _dense(graph, last, hidden)
    if network.global_mask is not None and np.any(network.global_mask):
        mask = graph.constant(np.asarray(network.global_mask, bool)[None], bool)
        raw = graph.add("Where", [mask, graph.constant(np.asarray(last["bias"])[None]), raw])
    return _bounded(graph, network, raw)


def _dense(graph: Builder, layer: Any, hidden: str) -> str:
    product = graph.add("MatMul", [hidden, graph.constant(layer["kernel"])])
    return graph.add("Add", [product, graph.constant(layer["bias"])])


def _bounded(graph: Builder, network: Any, raw: str) -> str:
    """Raw numbers within the bounds, those of a logarithmic range in the logarithm, as `Bounds.to` has it."""
    bounds = Bounds(np.asarray(network.min_bounds), np.asarray(network.max_bounds), network.log_mask)
    low, high = np.asarray(bounds.low, float), np.asarray(bounds.high, float)
    log = np.zeros(low.shape, bool) if network.log_mask is None else np.asarray(network.log_mask, bool)
    with np.errstate(all="ignore"):
        start, end = np.where(log, np.log(low), low), np.where(log, np.log(high), high)
    share = graph.add("Sigmoid", [raw])
    span = graph.add("Mul", [share, graph.constant((end - start)[None])])
    inside = graph.add("Add", [span, graph.constant(start[None])])
    if log.any():
        mask = graph.constant(log[None], bool)
        # Only where it is read: the others may be too large for an exponential.
        at = graph.add("Where", [mask, inside, graph.constant(0.0)])
        inside = graph.add("Where", [mask, graph.add("Exp", [at]), inside])
    return inside


def _recurrent(graph: Builder, network: Any, weights: Any, hidden: str) -> str:
    """The features beside the history, and the last state of a gated unit that read it."""
    rows, channels, size = network.rows, network.channels, network.hidden_sizes[0]
    width = len(np.asarray(network.feature_mean))
    beside = width - rows * channels
    present = f"{hidden}_present"
    graph.add(
        "Split",
        [hidden, graph.constant([beside, rows * channels], np.int64)],
        [present, f"{hidden}_past"],
        axis=-1,
    )
    shape = graph.constant([-1, rows, channels], np.int64)
    steps = graph.add("Transpose", [graph.add("Reshape", [f"{hidden}_past", shape])], perm=[1, 0, 2])
    cell = next(part for name, part in weights.items() if name.startswith("GRUCell"))
    # ONNX has the gates in the order update, reset, candidate.
    kernels = np.concatenate([np.asarray(cell[f"i{gate}"]["kernel"]).T for gate in "zrn"])[None]
    recurrent = np.concatenate([np.asarray(cell[f"h{gate}"]["kernel"]).T for gate in "zrn"])[None]
    zeros = np.zeros(size)
    bias = np.concatenate(
        [
            *(np.asarray(cell[f"i{gate}"].get("bias", zeros)) for gate in "zrn"),
            *(np.asarray(cell[f"h{gate}"].get("bias", zeros)) for gate in "zrn"),
        ]
    )[None]
    given = [steps, *(graph.constant(part) for part in (kernels, recurrent, bias))]
    read = f"{hidden}_read"
    graph.add("GRU", given, ["", f"{read}_last"], hidden_size=size, linear_before_reset=1)
    last = graph.add("Squeeze", [f"{read}_last", graph.constant([0], np.int64)])
    return graph.add("Concat", [present, last], axis=-1)
