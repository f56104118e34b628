"""The equations of a model, typeset: its own function, called with symbols instead of numbers."""

from __future__ import annotations

import itertools
from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import sympy as sp
from latex2mathml.converter import convert

from pct.dynamics import Channel, ModelSpec

# Operations from which common parts get names of their own.
LONG = 25
# What `xp` is in the equations, for symbols.
SYMBOLIC = SimpleNamespace(
    **{name: getattr(sp, name) for name in ("sin", "cos", "tan", "tanh", "sqrt", "exp", "sign")},
    arctan=sp.atan,
    arctan2=sp.atan2,
    log=sp.log,
    abs=sp.Abs,
    maximum=sp.Max,
    minimum=sp.Min,
    hypot=lambda a, b: sp.sqrt(a**2 + b**2),
    clip=lambda x, low, high: sp.Min(sp.Max(x, low), high),
    where=lambda condition, yes, no: sp.Piecewise((yes, condition), (no, True)),
    zeros_like=lambda x: 0 * x,
)


def typeset(spec: ModelSpec) -> list[str]:
    """The time derivative of each state, then the common parts that have names, as MathML.

    Args:
        spec: the model.

    Returns:
        One element a line; none where the equations take arrays, as those of a network do.
    """
    if any(row.shape for row in spec.parameters):
        return []
    values = {row.name: sp.Symbol(row.symbol, real=True) for row in spec.parameters}
    rates = spec.derivative(
        _symbols(spec.states), _symbols(spec.controls), SimpleNamespace(**values), SYMBOLIC
    )
    expressions, parts = [sp.sympify(rate) for rate in rates], []
    if sum(expression.count_ops() for expression in expressions) > LONG * len(expressions):
        parts, expressions = sp.cse(expressions, symbols=(sp.Symbol(f"e_{n}") for n in itertools.count(1)))
    lines = [
        (rf"\frac{{d}}{{dt}}{row.symbol}", rate) for row, rate in zip(spec.states, expressions, strict=True)
    ]
    lines += [(sp.latex(name), part) for name, part in parts]
    return [convert(f"{left} = {sp.latex(_whole(right))}", display="block") for left, right in lines]


def _whole(expression: Any) -> Any:
    """With 10 for 10.0."""
    whole = {value: sp.Integer(value) for value in expression.atoms(sp.Float) if float(value).is_integer()}
    return expression.xreplace(whole)


def _symbols(rows: tuple[Channel, ...]) -> Any:
    kind = namedtuple("kind", [row.name for row in rows])
    return kind(*(sp.Symbol(row.symbol, real=True) for row in rows))
