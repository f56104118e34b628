"""Statements and expressions of C from a graph, with as few parentheses and names as reading takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pct.export.source import Source
from pct.rollout.native.graph import Node

# An expression that is used once stands where it is used, up to this length.
INLINE = 64


# How tightly an expression holds together, from a choice to a name.
CHOICE, LOGIC, COMPARISON, SUM, PRODUCT, SIGN, NAME = range(7)


INFIX = {
    "add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "lt": ("<", COMPARISON),
    "le": ("<=", COMPARISON), "eq": ("==", COMPARISON), "and": ("&&", LOGIC), "or": ("||", LOGIC),
}  # fmt: skip
# What each side of an operator must at least be to stand without parentheses.
SIDES = {
    SUM: (SUM, PRODUCT), PRODUCT: (PRODUCT, SIGN), COMPARISON: (SUM, SUM), LOGIC: (COMPARISON, COMPARISON)
}  # fmt: skip
CALLS = {"abs": "fabs", **{name: name for name in (
    "floor", "sqrt", "exp", "log", "sin", "cos", "tan", "atan", "atan2", "tanh")}}  # fmt: skip
# Names that a state cannot have in C.
C_WORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile
    while isnan i x u dxdt dfdx dfdu
"""


class _Text(NamedTuple):
    text: str
    holds: int

    def within(self, least: int) -> str:
        """The text as part of an expression, in parentheses where it needs them."""
        return self.text if self.holds >= least else f"({self.text})"


def statements(source: Source, sinks: Sequence[tuple[str, Node]]) -> str:
    """Statements that compute the sinks, in their order, each value once.

    Inputs are read before anything is written.
    """
    nodes = list(_order(node for _, node in sinks))
    uses: dict[int, int] = {}
    named: set[int] = set()
    for node in nodes:
        for arg in node.args:
            uses[arg.index] = uses.get(arg.index, 0) + 1
        if node.op in ("max", "min", "sign"):
            # They stand twice in the text.
            named.update(arg.index for arg in node.args)
    for _, node in sinks:
        uses[node.index] = uses.get(node.index, 0) + 1

    names = input_names(source)
    inputs = sorted(node.key for node in nodes if node.op == "input")
    lines = [
        f"const double {names[key]} = {key[0]}[{key[1]}];"
        for key in sorted(inputs, key=lambda k: (k[0] != "x", k[1]))
    ]
    lines += [f"(void){array};" for array in ("x", "u") if array not in {kind for kind, _ in inputs}]
    texts: dict[int, _Text] = {}
    written: set[int] = set()
    count = 0
    for form, sink in sinks:
        for node in _order([sink]):
            if node.index in written:
                continue
            written.add(node.index)
            if node.op == "input":
                texts[node.index] = _Text(names[node.key], NAME)
                continue
            made = _expression(node, texts, uses)
            once = uses[node.index] == 1 and node.index not in named and len(made.text) <= INLINE
            if node.op != "constant" and not once and (node is not sink or uses[node.index] > 1):
                count += 1
                kind = "int" if node.is_mask else "double"
                lines.append(f"const {kind} t{count} = {made.text};")
                made = _Text(f"t{count}", NAME)
            texts[node.index] = made
        lines.append(form.format(texts[sink.index].text))
    return "".join(f"    {line}\n" for line in lines)


def _order(outputs: Iterable[Node]) -> Iterable[Node]:
    """All nodes behind the outputs, what the first one needs first, arguments before what is made of them."""
    seen: set[int] = set()
    for output in outputs:
        stack = [(output, False)]
        while stack:
            node, is_ready = stack.pop()
            if is_ready:
                yield node
            elif node.index not in seen:
                seen.add(node.index)
                stack.append((node, True))
                stack += [(arg, False) for arg in reversed(node.args)]


def _expression(node: Node, texts: dict[int, _Text], uses: dict[int, int]) -> _Text:
    if node.op == "constant":
        return _Text(number(node.key), SIGN if number(node.key).startswith("-") else NAME)
    args = [texts[arg.index] for arg in node.args]
    if node.op == "mul":
        for divisor, other in ((1, 0), (0, 1)):
            inverse = node.args[divisor]
            if inverse.op == "reciprocal" and args[divisor].holds != NAME:
                below = texts[inverse.args[0].index].within(SIGN)
                return _Text(f"{args[other].within(PRODUCT)} / {below}", PRODUCT)
    if node.op in INFIX:
        sign, holds = INFIX[node.op]
        left, right = SIDES[holds]
        if node.op == "eq" and node.args[0].op == "constant":
            args.reverse()
        return _Text(f"{args[0].within(left)} {sign} {args[1].within(right)}", holds)
    if node.op == "neg":
        return _Text(f"-{args[0].within(NAME)}", SIGN)
    if node.op == "not":
        return _Text(f"!{args[0].within(NAME)}", SIGN)
    if node.op == "reciprocal":
        return _Text(f"1.0 / {args[0].within(SIGN)}", PRODUCT)
    if node.op == "where":
        mask, a, b = args
        return _Text(f"{mask.within(LOGIC)} ? {a.within(SUM)} : {b.within(SUM)}", CHOICE)
    if node.op == "sign":
        # A NaN stays one, here and below.
        x = args[0].text
        return _Text(f"{x} > 0.0 ? 1.0 : ({x} < 0.0 ? -1.0 : {x})", CHOICE)
    if node.op in ("max", "min"):
        return _Text(_limited(node, args), CHOICE)
    return _Text(f"{CALLS[node.op]}({', '.join(arg.text for arg in args)})", NAME)


def _limited(node: Node, args: list[_Text]) -> str:
    """The larger or smaller of two."""
    beyond = "<" if node.op == "max" else ">"
    for bound, value in ((0, 1), (1, 0)):
        if node.args[bound].op == "constant":
            x, limit = args[value].text, args[bound].text
            return f"{x} {beyond} {limit} ? {limit} : {x}"
    a, b = (arg.text for arg in args)
    return f"isnan({a}) || {b} {beyond} {a} ? {a} : {b}"


def number(value: float) -> str:
    """A number that C reads back to the last bit."""
    value = float(value)
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(value)


def input_names(source: Source) -> dict[tuple[str, int], str]:
    """A name in C for each state and control, its own where C has it."""
    names: dict[tuple[str, int], str] = {}
    taken = {*C_WORDS.split(), *CALLS.values()}
    for kind, channels in (("x", source.spec.states), ("u", source.spec.controls)):
        for i, channel in enumerate(channels):
            name = re.sub("[^A-Za-z0-9_]", "_", channel.name)
            while name in taken or re.fullmatch(r"t\d+|[0-9_].*", name):
                name = f"{kind}_{name.strip('_')}" if name[0] in "0123456789_" else f"{name}_"
            taken.add(name)
            names[kind, i] = name
    return names
