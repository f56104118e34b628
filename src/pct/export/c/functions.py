"""The functions of a C file: rates, Jacobian, step, and what stands above them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import pct
from pct.dynamics.core import Channel
from pct.export.c.expressions import number, statements
from pct.export.c.rates import Rates
from pct.export.source import Source
from pct.rollout.integration import TABLEAUS

WIDTH = 110


class Program(NamedTuple):
    """C of a model.

    Attributes:
        prefix: begins the name of everything in it.
        text: the file.
        equations: what it was made from.
    """

    prefix: str
    text: str
    equations: Rates


def comment(source: Source, prefix: str) -> str:
    """The header comment: functions, channels and parameters."""
    spec, count = source.spec, source.substeps
    name = {"rk4": "RK4", "heun": "Heun", "euler": "Euler"}.get(
        source.integrator_name, source.integrator_name
    )
    step = f"one step of {name}" if count == 1 else f"{count} equal steps of {name}"
    identified = f"; the values were identified with dt = {source.dt:g} s" if source.dt is not None else ""
    left_out = ["", "Not exported, the measurement model:"] if source.left_out else []
    lines = [
        f"Vehicle model '{spec.name}', made by `pct export c` of PCT {pct.__version__}.",
        f"Values: {source.title}.",
        "",
        "SI units and radians; axes of ISO 8855: x forward, y left, z up.",
        *_channel_lines("States", "x", spec.states),
        *_channel_lines("Controls", "u", spec.controls),
        *_parameter_lines(source),
        *left_out,
        *(f"  {line}" for line in source.left_out),
        "",
        "Use: compile with `cc -std=c99 -O2 -c`, link with -lm, and declare what is declared below.",
        f"  {prefix}_derivative(x, u, dxdt): rates of the states.",
        f"  {prefix}_step(x, u, dt, x_next): states after dt seconds with u held; x_next may be x.",
        f"  {prefix}_jacobian(x, u, dfdx, dfdu): of the rates, by rows: dfdx[i * {len(spec.states)} + j] is "
        "rate i by state j.",
        f"  {prefix}_step_jacobian(x, u, dt, A, B): of the step, likewise: x_next changes by A dx + B du.",
        f"  {prefix}_rate_changes: a part of it.",
        f"dt is made of {step}{identified}. The functions keep no state: threads may share them.",
    ]
    wrapped = [part for line in lines for part in _wrapped(line)]
    return "\n".join(["/*", *(f" * {line}".rstrip() for line in wrapped), " */"])


def _wrapped(line: str) -> list[str]:
    # A comment must not end or begin in the middle, nor hold what C reads as one character.
    line = " ".join(line.splitlines()).replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, WIDTH - 3, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _channel_lines(title: str, array: str, channels: Sequence[Channel]) -> list[str]:
    width = max((len(channel.name) for channel in channels), default=0)
    return [
        f"{title}:",
        *(f"  {array}[{i}]  {channel.name:<{width}}  {channel.unit}" for i, channel in enumerate(channels)),
    ]


def _parameter_lines(source: Source) -> list[str]:
    rows = source.spec.parameters
    values = {row.name: np.asarray(source.values[row.name], float) for row in rows}
    shown = {
        name: f"{'x'.join(map(str, value.shape))} numbers" if value.ndim else repr(float(value))
        for name, value in values.items()
    }
    # Said once where all come from one place.
    mixed = len(set(source.origins.values())) > 1
    table = [
        (row.name, shown[row.name], row.unit, *([source.origins[row.name]] if mixed else []), row.doc)
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["Parameters, baked in:"]
    for row, cells in zip(rows, table, strict=True):
        lines.append("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)))
        if values[row.name].ndim:
            lines.append(f"    {' '.join(repr(float(entry)) for entry in values[row.name].ravel())}")
    return lines


def heads(source: Source, prefix: str) -> dict[str, str]:
    """The functions' names and arguments."""
    S, C = _sizes(source)
    given = f"const double x[{S}], const double u[{C}]"
    more = {
        "derivative": f"double dxdt[{S}]",
        "jacobian": f"double dfdx[{S * S}], double dfdu[{S * C}]",
        "step": f"double dt, double x_next[{S}]",
        "step_jacobian": f"double dt, double A[{S * S}], double B[{S * C}]",
    }
    return {name: f"void {prefix}_{name}({given}, {results})" for name, results in more.items()}


def _changes_head(source: Source, prefix: str) -> str:
    S, C = _sizes(source)
    given = f"const double z[{S}], const double u[{C}], const double dz[{S * (S + C)}]"
    return f"void {prefix}_rate_changes({given}, double dk[{S * (S + C)}])"


def _sizes(source: Source) -> tuple[int, int]:
    return len(source.spec.states), len(source.spec.controls)


def declarations(source: Source, prefix: str) -> str:
    """Sizes and heads of the functions."""
    S, C = _sizes(source)
    return "\n".join(
        [
            f"enum {{ {prefix.upper()}_STATES = {S}, {prefix.upper()}_CONTROLS = {C} }};\n",
            *(f"{head};" for head in heads(source, prefix).values()),
            _changes_head(source, prefix) + ";",
            "",
        ]
    )


def derivative_function(source: Source, prefix: str, equations: Rates) -> str:
    """The function of the rates."""
    sinks = [
        (f"dxdt[{i}] = {{}};  /* {name} */", rate)
        for i, (name, rate) in enumerate(zip(source.spec.state_names, equations.rates, strict=True))
    ]
    return f"{heads(source, prefix)['derivative']}\n{{\n{statements(source, sinks)}}}\n"


def jacobian_function(source: Source, prefix: str, equations: Rates) -> str:
    """The function of their derivatives by states and controls."""
    S, C = _sizes(source)
    spec = source.spec
    kinds = (
        ("dfdx", equations.by_x, spec.state_names),
        ("dfdu", equations.by_u, spec.control_names),
    )
    entries = [
        (
            row,
            f"{array}[{row * len(names) + column}] = {{}};  /* {spec.state_names[row]} by {names[column]} */",
            node,
        )
        for array, slopes, names in kinds
        for (row, column), node in slopes.items()
    ]
    sinks = [(form, node) for _, form, node in sorted(entries, key=lambda entry: entry[:2])]
    return (
        f"{heads(source, prefix)['jacobian']}\n{{\n"
        f"    for (int i = 0; i < {S * S}; i++) dfdx[i] = 0.0;\n"
        f"    for (int i = 0; i < {S * C}; i++) dfdu[i] = 0.0;\n"
        f"{statements(source, sinks)}}}\n"
    )


def step_functions(source: Source, prefix: str) -> str:
    """A step and its derivatives, as calls of the two functions above."""
    S, C = _sizes(source)
    N = S + C
    head = heads(source, prefix)
    tableau = TABLEAUS[source.integrator_name]
    stages = range(1, len(tableau.weights) + 1)
    states = f"for (int i = 0; i < {S}; i++)"
    step, carried = [], []
    for k, row in zip(stages, ((), *tableau.stages), strict=True):
        point, along = ("z", "dz") if k > 1 else ("y", "dy")
        if k > 1:
            step.append(f"{states} z[i] = {_moved('y[i]', row, 'k{}[i]')};")
            carried += [
                step[-1],
                f"for (int i = 0; i < {S * N}; i++) dz[i] = {_moved('dy[i]', row, 'dk{}[i]')};",
            ]
        step.append(f"{prefix}_derivative({point}, u, k{k});")
        carried += [step[-1], f"{prefix}_rate_changes({point}, u, {along}, dk{k});"]
    step.append(f"{states} y[i] = {_moved('y[i]', tableau.weights, 'k{}[i]')};")
    weighted = _moved("dy[i]", tableau.weights, "dk{}[i]")
    carried += [step[-1], f"for (int i = 0; i < {S * N}; i++) dy[i] = {weighted};"]
    rates = ", ".join(f"k{k}[{S}]" for k in stages)
    changes = ", ".join(f"dk{k}[{S * N}]" for k in stages)
    z, dz = (f"z[{S}], ", f"dz[{S * N}], ") if len(stages) > 1 else ("", "")
    count = source.substeps
    begin = (
        f"    const double h = dt / {number(float(count))};\n" if count > 1 else "    const double h = dt;\n"
    )
    return f"""\
{head["step"]}
{{
{begin}    double y[{S}], {z}{rates};
    {states} y[i] = x[i];
{_repeated(step, count)}    {states} x_next[i] = y[i];
}}

/* How the rates at z change with x and u where z changes with them by dz: df/dz dz + df/du, rows of {N}. */
{_changes_head(source, prefix)}
{{
    double dfdx[{S * S}], dfdu[{S * C}];
    {prefix}_jacobian(z, u, dfdx, dfdu);
    for (int i = 0; i < {S}; i++) {{
        for (int j = 0; j < {S}; j++) dk[i * {N} + j] = 0.0;
        for (int j = 0; j < {C}; j++) dk[i * {N} + {S} + j] = dfdu[i * {C} + j];
        for (int m = 0; m < {S}; m++) {{
            const double slope = dfdx[i * {S} + m];
            if (slope != 0.0)
                for (int j = 0; j < {N}; j++) dk[i * {N} + j] += slope * dz[m * {N} + j];
        }}
    }}
}}

/* The step again, with the derivatives of y by x and u in the rows of dy. */
{head["step_jacobian"]}
{{
{begin}    double y[{S}], {z}{rates};
    double dy[{S * N}], {dz}{changes};
    {states} y[i] = x[i];
    for (int i = 0; i < {S * N}; i++) dy[i] = i / {N} == i % {N} ? 1.0 : 0.0;
{_repeated(carried, count)}    {states} {{
        for (int j = 0; j < {S}; j++) A[i * {S} + j] = dy[i * {N} + j];
        for (int j = 0; j < {C}; j++) B[i * {C} + j] = dy[i * {N} + {S} + j];
    }}
}}
"""


def _moved(start: str, weights: Sequence[float], rate: str) -> str:
    terms = [
        f"{'' if weight == 1 else f'{number(weight)} * '}h * {rate.format(k)}"
        for k, weight in enumerate(weights, 1)
        if weight
    ]
    return " + ".join([start, *terms])


def _repeated(lines: Sequence[str], count: int) -> str:
    indent = " " * (8 if count > 1 else 4)
    text = "".join(f"{indent}{line}\n" for line in lines)
    return f"    for (int n = 0; n < {count}; n++) {{\n{text}    }}\n" if count > 1 else text
