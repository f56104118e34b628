"""C99 of a model with its parameters baked in: rates, a step, and the derivatives of both.

The rates and their derivatives are straight-line code from `pct.native`'s graph of the equations: parameters
are constants in it, so what depends on them alone is computed here, and what they switch off is left out. A
step and its derivatives are loops over these two functions.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.core import Channel
from pct.errors import PctError, UsageError
from pct.export.check import Inputs, Outputs, compare, random_inputs
from pct.export.source import Source
from pct.integration import TABLEAUS, explicit_step
from pct.native.graph import FOLD, MASKS, Graph, Node, NotSupported, behind
from pct.native.reverse import active_nodes, pull_back
from pct.native.trace import trace

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O1", "-fPIC", "-shared")
LONGEST = 300.0
"""Seconds after which a compiler is given up."""
WIDTH = 110
# An expression that is used once stands where it is used, up to this length.
INLINE = 64


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


class Checked(NamedTuple):
    """What the check at export found.

    Attributes:
        differences: largest relative difference from JAX by function.
        compiler: the compiler whose code was compared; None where there is none: then the equations
            were compared as Python computes them, and the text of the program was not.
    """

    differences: dict[str, float]
    compiler: str | None


def make_program(source: Source) -> Program:
    """Write the C of a model.

    Raises:
        UsageError: its equations use something that no code can be generated for.
    """
    prefix = prefix_of(source.spec.name)
    equations = bake(source)
    text = "\n".join(
        [
            _comment(source, prefix),
            "#include <math.h>\n",
            _declarations(source, prefix),
            _derivative(source, prefix, equations),
            _jacobian(source, prefix, equations),
            _steps(source, prefix),
        ]
    )
    return Program(prefix, text, equations)


def check(source: Source, program: Program, inputs: Inputs | None = None) -> Checked:
    """Compare a program with JAX on random inputs, or on given ones.

    Raises:
        PctError: they differ by more than `pct.export.check.TOLERANCE`, or the compiler fails.
    """
    inputs = random_inputs(source) if inputs is None else inputs
    command = find_compiler()
    if command is None:
        return Checked(compare(source, inputs, _computed(source, program.equations, inputs)), None)
    return Checked(compare(source, inputs, run_compiled(command, source, program, inputs)), command[0])


def prefix_of(model: str) -> str:
    """What the names in a model's C begin with.

    Examples:
        >>> prefix_of("singletrack-drift")
        'pct_singletrack_drift'
    """
    return f"pct_{re.sub('[^a-z0-9]+', '_', model.lower())}"


def find_compiler() -> list[str] | None:
    """The command of the C compiler: that of ``CC``, else the first of `COMPILERS`; None without one."""
    named = shlex.split(os.environ.get("CC", ""))
    for command in [named] if named else [[name] for name in COMPILERS]:
        if shutil.which(command[0]):
            return command
    return None


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
            if not _is_zero(slope):
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
        if _is_zero(a) or _is_zero(b):
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


def _is_zero(node: Node) -> bool:
    return node.op == "constant" and node.key == 0.0


# ---- Text -------------------------------------------------------------------------------------------------


def _comment(source: Source, prefix: str) -> str:
    spec, count = source.spec, source.substeps
    name = {"rk4": "RK4", "heun": "Heun", "euler": "Euler"}.get(
        source.integrator_name, source.integrator_name
    )
    step = f"one step of {name}" if count == 1 else f"{count} equal steps of {name}"
    found = f"; the values were found with dt = {source.dt:g} s" if source.dt is not None else ""
    left_out = ["", "Left out, since it stands between the vehicle and its log:"] if source.left_out else []
    lines = [
        f"Vehicle model '{spec.name}', made by `pct export c` of PCT {importlib.metadata.version('pct')}.",
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
        f"dt is made of {step}{found}. Nothing is kept between calls: threads may share the functions.",
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


def _heads(source: Source, prefix: str) -> dict[str, str]:
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


def _declarations(source: Source, prefix: str) -> str:
    S, C = _sizes(source)
    return "\n".join(
        [
            f"enum {{ {prefix.upper()}_STATES = {S}, {prefix.upper()}_CONTROLS = {C} }};\n",
            *(f"{head};" for head in _heads(source, prefix).values()),
            _changes_head(source, prefix) + ";",
            "",
        ]
    )


def _derivative(source: Source, prefix: str, equations: Rates) -> str:
    sinks = [
        (f"dxdt[{i}] = {{}};  /* {name} */", rate)
        for i, (name, rate) in enumerate(zip(source.spec.state_names, equations.rates, strict=True))
    ]
    return f"{_heads(source, prefix)['derivative']}\n{{\n{_statements(source, sinks)}}}\n"


def _jacobian(source: Source, prefix: str, equations: Rates) -> str:
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
        f"{_heads(source, prefix)['jacobian']}\n{{\n"
        f"    for (int i = 0; i < {S * S}; i++) dfdx[i] = 0.0;\n"
        f"    for (int i = 0; i < {S * C}; i++) dfdu[i] = 0.0;\n"
        f"{_statements(source, sinks)}}}\n"
    )


def _steps(source: Source, prefix: str) -> str:
    """A step and its derivatives, as calls of the two functions above."""
    S, C = _sizes(source)
    N = S + C
    heads = _heads(source, prefix)
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
        f"    const double h = dt / {_number(float(count))};\n" if count > 1 else "    const double h = dt;\n"
    )
    return f"""\
{heads["step"]}
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
{heads["step_jacobian"]}
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
        f"{'' if weight == 1 else f'{_number(weight)} * '}h * {rate.format(k)}"
        for k, weight in enumerate(weights, 1)
        if weight
    ]
    return " + ".join([start, *terms])


def _repeated(lines: Sequence[str], count: int) -> str:
    indent = " " * (8 if count > 1 else 4)
    text = "".join(f"{indent}{line}\n" for line in lines)
    return f"    for (int n = 0; n < {count}; n++) {{\n{text}    }}\n" if count > 1 else text


# ---- Expressions -----------------------------------------------------------------------------------------

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


def _statements(source: Source, sinks: Sequence[tuple[str, Node]]) -> str:
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

    names = _input_names(source)
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
        return _Text(_number(node.key), SIGN if _number(node.key).startswith("-") else NAME)
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


def _number(value: float) -> str:
    """A number that C reads back to the last bit."""
    value = float(value)
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(value)


def _input_names(source: Source) -> dict[tuple[str, int], str]:
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


# ---- Check -------------------------------------------------------------------------------------------------


def run_compiled(command: list[str], source: Source, program: Program, inputs: Inputs) -> Outputs:
    """What a program gives, compiled in a folder that only this user can read and that is removed again.

    Raises:
        PctError: the compiler fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        unit, library = Path(folder) / "model.c", Path(folder) / "model.so"
        unit.write_text(program.text, encoding="utf-8")
        full = [*command, *FLAGS, "-o", str(library), str(unit), "-lm"]
        try:
            done = subprocess.run(full, capture_output=True, text=True, timeout=LONGEST)
            said = done.stderr if done.returncode else ""
            functions = None if said or done.returncode else ctypes.CDLL(str(library))
        except (OSError, subprocess.TimeoutExpired) as error:
            said, functions = f"error: {error}", None
    if functions is None:
        first = next((line for line in said.splitlines() if "error" in line), said[:200])
        raise PctError(
            f"the check with the C compiler '{command[0]}' fails ({first.strip()}): nothing was "
            "written; name another one in CC, or CC=none to do without"
        )
    samples, states = inputs.x.shape
    controls = inputs.u.shape[1]
    shapes = {"S": (states,), "SS": (states, states), "SC": (states, controls)}
    out = Outputs(
        *(np.full((samples, *shapes[shape]), np.nan) for shape in ("S", "S", "SS", "SC", "SS", "SC"))
    )
    call = {name: getattr(functions, f"{program.prefix}_{name}") for name in _heads(source, program.prefix)}
    for n in range(samples):
        x, u, dt = _pointer(inputs.x[n]), _pointer(inputs.u[n]), ctypes.c_double(inputs.dt[n])
        call["derivative"](x, u, _pointer(out.derivative[n]))
        call["jacobian"](x, u, _pointer(out.dfdx[n]), _pointer(out.dfdu[n]))
        call["step"](x, u, dt, _pointer(out.step[n]))
        call["step_jacobian"](x, u, dt, _pointer(out.A[n]), _pointer(out.B[n]))
    return out


def _pointer(row: np.ndarray) -> Any:
    assert row.flags.c_contiguous
    assert row.dtype == np.float64
    return row.ctypes.data_as(ctypes.POINTER(ctypes.c_double))


def _computed(source: Source, equations: Rates, inputs: Inputs) -> Outputs:
    """What the equations give, without a compiler."""
    samples, states = inputs.x.shape
    controls = inputs.u.shape[1]
    places = [*equations.by_x, *((i, states + j) for i, j in equations.by_u)]
    slopes = [*equations.by_x.values(), *equations.by_u.values()]

    def rates_and_slopes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = _evaluate([*equations.rates, *slopes], x, inputs.u)
        by = np.zeros((samples, states, states + controls))
        for (row, column), value in zip(places, values[states:], strict=True):
            by[:, row, column] = value
        return np.stack(values[:states], axis=-1), by

    def along(point: np.ndarray) -> np.ndarray:
        """Rates of a state and of its derivatives by the first state and the control, behind it."""
        rates, by = rates_and_slopes(point[:, :, 0])
        change = by[:, :, :states] @ point[:, :, 1:]
        change[:, :, states:] += by[:, :, states:]
        return np.concatenate([rates[:, :, None], change], axis=-1)

    unit = np.broadcast_to(np.eye(states, states + controls), (samples, states, states + controls))
    after = np.concatenate([inputs.x[:, :, None], unit], axis=-1)
    h = inputs.dt[:, None, None] / source.substeps
    with np.errstate(all="ignore"):
        rates, by = rates_and_slopes(inputs.x)
        for _ in range(source.substeps):
            after = explicit_step(TABLEAUS[source.integrator_name], along, after, h)
    return Outputs(
        rates,
        after[:, :, 0],
        by[:, :, :states],
        by[:, :, states:],
        after[:, :, 1 : states + 1],
        after[:, :, states + 1 :],
    )


def _evaluate(outputs: Sequence[Node], x: np.ndarray, u: np.ndarray) -> list[np.ndarray]:
    """Values of nodes at states (N, S) and controls (N, C), (N,) each."""
    values: dict[int, Any] = {}
    for node in behind(outputs):
        if node.op == "input":
            kind, place = node.key
            values[node.index] = (x if kind == "x" else u)[:, place]
        elif node.op == "constant":
            values[node.index] = node.key
        else:
            values[node.index] = OPERATIONS[node.op](*(values[arg.index] for arg in node.args))
    return [np.broadcast_to(values[node.index], x.shape[:1]) for node in outputs]
