"""Scalar expressions as a graph in which equal ones are one node.

A node knows how often its value changes: never, once a window (parameters), once a time step (controls) or
with every step of the integrator (states). Nodes are built so that what changes rarely is computed rarely.
"""

from __future__ import annotations

import contextlib
import enum
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

# Size beyond which an angle's tangent is that of a right one; a number that nobody bounds anything else by.
STEEP = 2.0**30


class NotSupported(Exception):
    """The equations use something that no code can be generated for; the message names it."""


class Level(enum.IntEnum):
    """How often a value changes."""

    NEVER = 0
    WINDOW = 1
    STEP = 2
    SUBSTEP = 3
    ADJOINT = 4


class Node:
    """A scalar; arithmetic and comparisons with nodes and numbers give nodes.

    Attributes:
        graph: where it belongs.
        index: place in the graph, behind its arguments.
        op: name of the operation, ``constant`` or ``input``.
        args: nodes it is computed from.
        key: the number of a constant, kind and place of an input.
        level: how often the value changes.
        depth: operations one after another that it takes.
    """

    __slots__ = ("args", "depth", "graph", "index", "key", "level", "op")

    def __init__(
        self, graph: Graph, index: int, op: str, args: tuple[Node, ...], key: Any, level: Level
    ) -> None:
        self.graph, self.index, self.op, self.args, self.key, self.level = graph, index, op, args, key, level
        self.depth: int = 1 + max((arg.depth for arg in args), default=-1)

    @property
    def is_mask(self) -> bool:
        """Whether it is true or false and not a number."""
        return self.op in MASKS

    def __add__(self, other: Any) -> Any:
        return self._with(other, self.graph.add)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, self.graph.add)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, self.graph.sub)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.sub(b, a))

    def __mul__(self, other: Any) -> Any:
        return self._with(other, self.graph.mul)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, self.graph.mul)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, self.graph.div)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.div(b, a))

    def __pow__(self, other: Any) -> Any:
        return self._with(other, self.graph.power)

    def __rpow__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.power(b, a))

    def __neg__(self) -> Node:
        return self.graph.neg(self)

    def __pos__(self) -> Node:
        return self

    def __abs__(self) -> Node:
        return self.graph.node("abs", self)

    def __lt__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.node("lt", a, b))

    def __le__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.node("le", a, b))

    def __gt__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.node("lt", b, a))

    def __ge__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.node("le", b, a))

    def __eq__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.node("eq", a, b))

    def __ne__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.node("not", self.graph.node("eq", a, b)))

    def __and__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.node("and", a, b))

    def __or__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self.graph.node("or", a, b))

    def __invert__(self) -> Node:
        return self.graph.node("not", self)

    def __hash__(self) -> int:
        return self.index

    def __bool__(self) -> bool:
        raise NotSupported("a choice in Python (if, while, and, or) by a value that is not known yet")

    def __float__(self) -> float:
        raise NotSupported("the conversion of an array into a Python number")

    def _with(self, other: Any, operation: Callable[[Node, Node], Node]) -> Any:
        # An array of nodes does the operation entry by entry.
        if isinstance(other, np.ndarray) and other.ndim:
            return NotImplemented
        return operation(self, self.graph.lift(other))


class Graph:
    """Makes nodes, each of them once."""

    def __init__(self) -> None:
        self._known: dict[Any, Node] = {}
        self._count = 0

    def constant(self, value: float) -> Node:
        """A number."""
        # Zeros of both signs are equal as keys of a dictionary.
        return self._make("constant", (), float(value), math.copysign(1.0, value))

    def input(self, kind: str, place: int, level: Level) -> Node:
        """A value that is given: ``kind`` names the array, ``place`` the entry."""
        return self._make("input", (), (kind, place), level=level)

    def lift(self, value: Any) -> Node:
        """A node as it is, a number as a constant."""
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, Node):
            return value
        if isinstance(value, bool | int | float | np.integer | np.floating | np.bool_):
            return self.constant(float(value))
        raise NotSupported(f"a value of type {type(value).__name__} in the equations")

    def node(self, op: str, *args: Node) -> Node:
        """An operation of `FOLD`, folded where all arguments are numbers."""
        if all(arg.op == "constant" for arg in args) and op not in MASKS:
            with contextlib.suppress(ArithmeticError, ValueError):  # left to the compiled code
                return self.constant(FOLD[op](*(arg.key for arg in args)))
        if op in ("cos", "sin") and args[0].op == "atan":
            return self._of_arctangent(op, args[0].args[0])
        if op in ("add", "mul", "eq", "and", "or"):
            args = tuple(sorted(args, key=lambda arg: arg.index))
        return self._make(op, args, None)

    def arctangent_slope(self, x: Node) -> Node:
        """Derivative of the arctangent of x, 1 / (1 + x^2): the cosine's square, where there is a cosine."""
        shared = self.reciprocal(self._secant_squared(x))
        one = self.constant(1.0)
        return shared if shared.op == "mul" else self.reciprocal(self.add(one, self.mul(x, x)))

    def _of_arctangent(self, op: str, x: Node) -> Node:
        """Cosine or sine of the arctangent of x, without either."""
        cosine = self.reciprocal(self.node("sqrt", self._secant_squared(x)))
        return cosine if op == "cos" else self.mul(x, cosine)

    def _secant_squared(self, x: Node) -> Node:
        """One over the squared cosine of the arctangent of x, finite where x is not."""
        x = self.node("min", self.constant(STEEP), self.node("max", self.constant(-STEEP), x))
        return self.add(self.constant(1.0), self.mul(x, x))

    def add(self, a: Node, b: Node) -> Node:
        """a + b"""
        for one, other in ((a, b), (b, a)):
            if _is(one, 0.0):
                return other
            if one.op == "neg":
                return self.sub(other, one.args[0])
        return self.node("add", a, b)

    def sub(self, a: Node, b: Node) -> Node:
        """a - b"""
        if _is(b, 0.0):
            return a
        if _is(a, 0.0):
            return self.neg(b)
        if b.op == "neg":
            return self.add(a, b.args[0])
        return self.node("sub", a, b)

    def neg(self, a: Node) -> Node:
        """-a"""
        if a.op == "neg":
            return a.args[0]
        if a.op == "sub":
            return self.sub(a.args[1], a.args[0])
        return self.node("neg", a)

    def mul(self, a: Node, b: Node) -> Node:
        """a b, with factors that change rarely multiplied first."""
        for one, other in ((a, b), (b, a)):
            if _is(one, 1.0):
                return other
            if _is(one, -1.0):
                return self.neg(other)
            if one.op == "neg":
                return self.neg(self.mul(one.args[0], other))
        if a.level < b.level:
            a, b = b, a
        # Adjoints change as often as what they are multiplied with, at most.
        rate = min(a.level, Level.SUBSTEP)
        if a.op == "mul":
            slow, fast = sorted(a.args, key=lambda arg: arg.level)
            if b.level < rate and slow.level < rate:
                return self.mul(fast, self.mul(slow, b))
        k, (a, b) = _without_numbers((a, b), rate)
        if k != 1.0:
            return self.mul(self.constant(k), self.mul(a, b))
        return self.node("mul", a, b)

    def div(self, a: Node, b: Node) -> Node:
        """a / b as a (1 / b), so that each divisor is divided by once."""
        return self.mul(a, self.reciprocal(b))

    def reciprocal(self, a: Node) -> Node:
        """1 / a"""
        if a.op == "constant" and a.key == 0.0:
            return self.constant(math.copysign(math.inf, a.key))
        inverse_root = self._find("reciprocal", self._find("sqrt", a))
        return self.node("reciprocal", a) if inverse_root is None else self.mul(inverse_root, inverse_root)

    def power(self, a: Node, b: Node) -> Node:
        """a to the power of b."""
        if b.op == "constant" and b.key == 0.5:
            return self.node("sqrt", a)
        if b.op == "constant" and float(b.key).is_integer() and abs(b.key) <= 64:
            exponent = abs(int(b.key))
            value, base = self.constant(1.0), a
            while exponent:
                value = self.mul(value, base) if exponent & 1 else value
                base, exponent = self.mul(base, base), exponent >> 1
            return value if b.key >= 0 else self.reciprocal(value)
        return self.node("exp", self.mul(b, self.node("log", a)))

    def where(self, mask: Node, a: Node, b: Node) -> Node:
        """a where the mask is true, else b."""
        if mask.op == "constant":
            return a if mask.key else b
        if a is b:
            return a
        return self.node("where", mask, a, b)

    def replaced(self, outputs: Iterable[Node], given: Mapping[Node, Node]) -> list[Node]:
        """The outputs with other nodes in the places of some."""
        simplified = {
            name: getattr(self, name) for name in ("add", "sub", "neg", "mul", "reciprocal", "where")
        }
        made = dict(given)
        outputs = list(outputs)
        for node in behind(outputs, given.__contains__):
            if node not in made:
                args = [made[arg] for arg in node.args]
                same = all(new is old for new, old in zip(args, node.args, strict=True))
                made[node] = node if same else simplified.get(node.op, partial(self.node, node.op))(*args)
        return [made[node] for node in outputs]

    def _find(self, op: str, arg: Node | None) -> Node | None:
        """The node of an operation on one other, where there is one."""
        return None if arg is None else self._known.get((op, (arg.index,), None))

    def _make(self, op: str, args: tuple[Node, ...], *key: Any, level: Level = Level.NEVER) -> Node:
        full = (op, tuple(arg.index for arg in args), *key)
        if full not in self._known:
            level = max((arg.level for arg in args), default=level)
            self._known[full] = Node(self, self._count, op, args, key[0], level)
            self._count += 1
        return self._known[full]


def behind(outputs: Iterable[Node], stop: Callable[[Node], bool] = lambda node: False) -> Iterator[Node]:
    """All nodes that the outputs need, arguments first; nothing behind those where it stops."""
    seen: set[int] = set()
    stack = list(outputs)
    nodes = []
    while stack:
        node = stack.pop()
        if node.index not in seen:
            seen.add(node.index)
            nodes.append(node)
            if not stop(node):
                stack.extend(node.args)
    return iter(sorted(nodes, key=lambda node: node.index))


def _without_numbers(factors: Iterable[Node], rate: Level) -> tuple[float, list[Node]]:
    """A number before the product of factors that have none; those that change more rarely keep theirs."""
    number, rest = 1.0, []
    for factor in factors:
        if factor.op == "mul" and factor.level >= rate:
            slow, fast = sorted(factor.args, key=lambda arg: arg.level)
            if slow.op == "constant":
                number, factor = number * slow.key, fast
        rest.append(factor)
    return number, rest


def _is(node: Node, value: float) -> bool:
    return node.op == "constant" and node.key == value


def _sign(x: float) -> float:
    return math.nan if math.isnan(x) else float(np.sign(x))


MASKS = frozenset({"lt", "le", "eq", "and", "or", "not"})
# Each operation on numbers.
FOLD: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "reciprocal": lambda a: 1.0 / a,
    "abs": abs,
    "sign": _sign,
    "max": np.maximum,
    "min": np.minimum,
    "floor": math.floor,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "atan": math.atan,
    "atan2": math.atan2,
    "tanh": math.tanh,
    "where": lambda mask, a, b: a if mask else b,
}
