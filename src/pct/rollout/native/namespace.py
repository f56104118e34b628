"""`SymbolicNamespace`: the array functions that equations call, on nodes of a graph.

A parameter with axes is a NumPy array of nodes; NumPy itself indexes, stacks and sums it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pct.rollout.native.graph import Graph, Node, NotSupported

# Names that JAX and NumPy share, with what makes them of the graph's operations.
_UNARY = {
    "sqrt": "sqrt", "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "arctan": "atan",
    "atan": "atan", "tanh": "tanh", "abs": "abs", "absolute": "abs", "fabs": "abs", "sign": "sign",
    "floor": "floor", "negative": "neg",
}  # fmt: skip
_BINARY = {"maximum": "max", "minimum": "min", "arctan2": "atan2", "atan2": "atan2"}
_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "true_divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "float_power": lambda a, b: a**b,
    "square": lambda a: a * a,
    "reciprocal": lambda a: 1.0 / a,
    "positive": lambda a: a,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "logical_and": lambda a, b: a & b,
    "logical_or": lambda a, b: a | b,
    "logical_not": lambda a: ~a,
    "deg2rad": lambda a: a * (math.pi / 180),
    "radians": lambda a: a * (math.pi / 180),
    "rad2deg": lambda a: a * (180 / math.pi),
    "hypot": lambda a, b: (a * a + b * b) ** 0.5,
}
# Functions of NumPy that only move entries, add or multiply them.
_MOVES = frozenset(
    [
        "stack",
        "concatenate",
        "reshape",
        "transpose",
        "swapaxes",
        "moveaxis",
        "broadcast_to",
        "broadcast_arrays",
        "expand_dims",
        "squeeze",
        "ravel",
        "roll",
        "flip",
        "sum",
        "prod",
        "dot",
        "matmul",
        "inner",
        "outer",
        "cross",
        "trace",
        "diag",
        "eye",
        "zeros",
        "ones",
        "full",
        "arange",
        "linspace",
        "take",
        "zeros_like",
        "ones_like",
        "hstack",
        "vstack",
        "tile",
        "repeat",
        "split",
        "cumsum",
        "asarray",
        "array",
        "atleast_1d",
        "atleast_2d",
        "vdot",
        "tensordot",
    ]
)
_NUMBERS = frozenset({"pi", "e", "inf", "nan", "newaxis", "float32", "ndarray"})


class SymbolicNamespace:
    """The functions of `jax.numpy` that equations of vehicles use. Unknown ones raise NotSupported."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __getattr__(self, name: str) -> Any:
        if name in _UNARY:
            op = _UNARY[name]
            return self._elementwise(self._graph.neg if op == "neg" else lambda a: self._graph.node(op, a))
        if name in _BINARY:
            return self._elementwise(lambda a, b: self._graph.node(_BINARY[name], a, b))
        if name in _OPERATORS:
            return self._elementwise(_OPERATORS[name])
        if name in _NUMBERS:
            return getattr(np, name)
        if name in _MOVES:
            return self._moving(getattr(np, name))
        raise NotSupported(f"the function xp.{name}")

    def where(self, mask: Any, a: Any, b: Any) -> Any:
        """a where the mask is true, else b."""
        return self._elementwise(self._graph.where)(mask, a, b)

    def clip(self, x: Any, min: Any = None, max: Any = None) -> Any:
        """x within bounds."""
        x = x if min is None else self.maximum(x, min)
        return x if max is None else self.minimum(x, max)

    def zeros_like(self, x: Any) -> Any:
        """Zeros in the shape of x."""
        return np.zeros(np.shape(x))[()]

    def ones_like(self, x: Any) -> Any:
        """Ones in the shape of x."""
        return np.ones(np.shape(x))[()]

    def full_like(self, x: Any, value: float) -> Any:
        """A value in the shape of x."""
        return np.full(np.shape(x), value)[()]

    def sinh(self, x: Any) -> Any:
        """Hyperbolic sine."""
        return 0.5 * (self.exp(x) - self.exp(-x))

    def cosh(self, x: Any) -> Any:
        """Hyperbolic cosine."""
        return 0.5 * (self.exp(x) + self.exp(-x))

    def arcsin(self, x: Any) -> Any:
        """Inverse sine."""
        return self.arctan2(x, self.sqrt((1.0 - x) * (1.0 + x)))

    def arccos(self, x: Any) -> Any:
        """Inverse cosine."""
        return self.arctan2(self.sqrt((1.0 - x) * (1.0 + x)), x)

    def _elementwise(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def apply(*args: Any) -> Any:
            arrays = [np.asarray(arg, object) for arg in args]
            nodes = [np.frompyfunc(self._graph.lift, 1, 1)(array) for array in arrays]
            return np.frompyfunc(operation, len(args), 1)(*nodes)

        return apply

    def _moving(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except NotSupported:
                raise
            except Exception as error:
                raise NotSupported(f"this use of xp.{function.__name__} ({error})") from error

        return apply


def entries(value: Any, graph: Graph) -> list[Node]:
    """All entries of a number, a node or an array of them, in row-major order."""
    return [graph.lift(entry) for entry in np.asarray(value, object).ravel()]
