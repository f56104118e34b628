"""C++ of a model: straight-line functions of one step of its integrator and of the step's reverse.

All stages of a step are one expression, so that what they share is computed once and what does not wait for
one another runs side by side. What depends on parameters alone is computed once a window, what depends on
controls once a time step. The way back adds up what it owes to the slower values and pulls that through
their own equations once a time step and once a window. Between the forward and the reverse pass of a step the
results of slow operations are kept; everything else is computed again.

Nothing but the equations reaches the code: bounds, held values, time step and data are arguments of a call.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from pct.integration import Tableau
from pct.native.graph import Graph, Level, Node, behind
from pct.native.reverse import active_nodes, pull_back
from pct.native.schedule import in_order
from pct.native.trace import Equations, take_step

# Operations whose results are kept for the reverse pass; computing any other again is cheaper.
KEPT = frozenset({"reciprocal", "sqrt", "exp", "log", "sin", "cos", "tan", "atan", "atan2", "tanh"})
INFIX = {"add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "eq": "==", "and": "&", "or": "|"}

# What is computed, each with the place that it is written to: ``{}`` stands for the value.
Sinks = Sequence[tuple[str, Node]]


@dataclasses.dataclass(frozen=True)
class Options:
    """What the code of a model depends on beside its equations.

    Attributes:
        tableau: the integrator.
        shown: states, from the first one, that a call gives back or compares.
        learned: entries of the parameters that a call gives by window and may want the gradient of.
        pose: positions of x, y and heading.
    """

    tableau: Tableau
    shown: int
    learned: tuple[int, ...]
    pose: tuple[int, int, int]


def generate(equations: Equations, options: Options) -> str:
    """The model's part of the source, to stand between the vector functions and the driver."""
    graph, rates = equations.graph, equations.rates
    wanted = {*equations.x, *equations.u, *(graph.input("p", i, Level.WINDOW) for i in options.learned)}
    active = active_nodes(rates, wanted.__contains__)
    seeds: dict[Node, Node] = {}
    for i, rate in enumerate(rates):
        if rate.index in active:
            seed = graph.input("kbar", i, Level.ADJOINT)
            seeds[rate] = graph.add(seeds[rate], seed) if rate in seeds else seed
    xbar, cbar, wbar = _reverse(graph, seeds, active, Level.SUBSTEP)
    ubar, _, step_wbar = _reverse(graph, _inputs(graph, "cbar", cbar), active, Level.STEP)
    owed = dict.fromkeys((*wbar, *step_wbar))
    pbar, _, _ = _reverse(graph, _inputs(graph, "wbar", owed), active, Level.WINDOW)
    place = {node: i for i, node in enumerate(owed)}

    # What the reverse of a stage needs of its forward pass.
    reverse_sinks = (*xbar.values(), *cbar.values(), *wbar.values())

    def is_kept(node: Node) -> bool:
        return node.level == Level.SUBSTEP and (node.op in KEPT or node.op == "input")

    kept = [node for node in behind(reverse_sinks, is_kept) if is_kept(node)]
    after, points = take_step(equations, options.tableau)
    kept_of_step = [
        node for point in points for node in graph.replaced(kept, dict(zip(equations.x, point, strict=True)))
    ]

    # Slower values that a faster function reads.
    slots: dict[Level, dict[Node, int]] = {Level.WINDOW: {}, Level.STEP: {}}

    def body(level: Level, sinks: Sinks, given: Mapping[Node, str] | None = None) -> str:
        def load(node: Node) -> str | None:
            if given and node in given:
                return given[node]
            if node.op == "input" and node.level >= level:
                return f"{node.key[0]}[{node.key[1]}]"
            if node.level == Level.NEVER or node.level >= level or node.is_mask:
                return None
            known = slots[node.level]
            return f"{'w' if node.level == Level.WINDOW else 'c'}[{known.setdefault(node, len(known))}]"

        return _statements(sinks, load)

    next_state = [(f"y[{i}] = {{}}", node) for i, node in enumerate(after)]
    forward = body(Level.SUBSTEP, next_state)
    forward_kept = body(
        Level.SUBSTEP, [*((f"kept[{i}] = {{}}", node) for i, node in enumerate(kept_of_step)), *next_state]
    )
    reverse = body(
        Level.SUBSTEP,
        [
            *((f"xbar[{node.key[1]}] = {{}}", value) for node, value in xbar.items()),
            *((f"cbar[{i}] += {{}}", value) for i, value in enumerate(cbar.values())),
            *((f"wbar[{place[node]}] += {{}}", value) for node, value in wbar.items()),
        ],
        {node: f"kept[{i}]" for i, node in enumerate(kept)},
    )
    step_values = dict(slots[Level.STEP])
    step = body(Level.STEP, [(f"c[{i}] = {{}}", node) for node, i in step_values.items()])
    step_reverse = body(
        Level.STEP,
        [
            *((f"ubar[{node.key[1]}] = {{}}", value) for node, value in ubar.items()),
            *((f"wbar[{place[node]}] += {{}}", value) for node, value in step_wbar.items()),
        ],
        {node: f"c[{i}]" for node, i in step_values.items()},
    )
    window_values = dict(slots[Level.WINDOW])
    window = body(Level.WINDOW, [(f"w[{i}] = {{}}", node) for node, i in window_values.items()])
    window_reverse = body(
        Level.WINDOW,
        [(f"pbar[{options.learned.index(node.key[1])}] = {{}}", value) for node, value in pbar.items()],
        {node: f"w[{i}]" for node, i in window_values.items()},
    )
    constants = {
        "STATES": len(equations.x),
        "SHOWN": options.shown,
        "CONTROLS": len(equations.u),
        "PARAMS": len(equations.names),
        "LEARNED": len(options.learned),
        "WINDOW_VALUES": len(window_values),
        "STEP_VALUES": len(step_values),
        "KEPT_VALUES": len(kept),
        "OWED_BY_STEP": len(cbar),
        "OWED_BY_WINDOW": len(owed),
        "STAGES": len(options.tableau.weights),
    }
    tables = {
        "LEARNED_ENTRY": options.learned,
        "POSE": options.pose,
        # States whose adjoint a stage changes.
        "PULLED": sorted(node.key[1] for node in xbar),
    }
    functions = {
        "window_values(const V* p, V* w)": window,
        "step_values(const V* w, const V* u, V* c)": step,
        "advance(const V* w, const V* c, const V* x, V* y)": forward,
        "advance_kept(const V* w, const V* c, const V* x, V* y, V* kept)": forward_kept,
        "stage_reverse(const V* w, const V* c, const V* kept, const V* kbar, V* xbar, V* cbar, V* wbar)": (
            reverse
        ),
        "step_reverse(const V* w, const V* u, const V* c, const V* cbar, V* wbar, V* ubar)": step_reverse,
        "window_reverse(const V* p, const V* w, const V* wbar, V* pbar)": window_reverse,
    }
    return "\n".join(
        [
            *(f"constexpr int {name} = {value};" for name, value in constants.items()),
            *(_table(name, values) for name, values in tables.items()),
            _weights(options.tableau),
            "",
            *(
                f"FUNCTION void {head.replace('V* ', 'V* __restrict ')} {{\n{text}}}\n"
                for head, text in functions.items()
            ),
        ]
    )


def _reverse(
    graph: Graph, seeds: Mapping[Node, Node], active: set[int], level: Level
) -> tuple[dict[Node, Node], dict[Node, Node], dict[Node, Node]]:
    """Adjoints of the inputs of a level, and of the values of a time step and of a window that are slower."""
    ends = pull_back(graph, seeds, active, stop=lambda node: node.level < level or node.op == "input")

    def of(kind: Level) -> dict[Node, Node]:
        return {node: value for node, value in ends.items() if node.level == kind}

    slower = [of(kind) if kind < level else {} for kind in (Level.STEP, Level.WINDOW)]
    return of(level), slower[0], slower[1]


def _inputs(graph: Graph, kind: str, nodes: Iterable[Node]) -> dict[Node, Node]:
    return {node: graph.input(kind, i, Level.ADJOINT) for i, node in enumerate(nodes)}


def _table(name: str, values: Sequence[int]) -> str:
    entries = ", ".join(map(str, values or [0]))  # no array of C++ is empty
    return f"constexpr int {name}_SIZE = {len(values)};\nconstexpr int {name}[] = {{{entries}}};"


def _weights(tableau: Tableau) -> str:
    count = len(tableau.weights)
    rows = [[*row, *[0.0] * (count - len(row))] for row in ((), *tableau.stages)]
    entries = ", ".join(f"{{{', '.join(map(_literal, row))}}}" for row in rows)
    return (
        f"constexpr float STAGE_WEIGHTS[{count}][{count}] = {{{entries}}};\n"
        f"constexpr float WEIGHTS[] = {{{', '.join(map(_literal, tableau.weights))}}};"
    )


def _statements(sinks: Sinks, load: Callable[[Node], str | None]) -> str:
    """Statements that compute the sinks, each value once."""
    loaded: dict[Node, str] = {}

    def arguments(node: Node) -> tuple[Node, ...]:
        """What a node is computed from, here."""
        if node not in loaded and (text := load(node)) is not None:
            loaded[node] = text
        return () if node in loaded else node.args

    forms: dict[Node, list[str]] = {}
    for form, node in sinks:
        forms.setdefault(node, []).append(form)
    lines: list[str] = []
    names: dict[Node, str] = {}
    for node in in_order(forms, arguments):
        if node.op == "constant":
            names[node] = f"splat({_literal(node.key)})"
        else:
            names[node] = f"t{node.index}"
            kind = "M" if node.is_mask else "V"
            lines.append(f"const {kind} {names[node]} = {loaded.get(node) or _expression(node, names)};")
        lines += [f"{form.format(names[node])};" for form in forms.get(node, ())]
    return "".join(f"  {line}\n" for line in lines)


def _expression(node: Node, names: dict[Node, str]) -> str:
    args = [names[arg] for arg in node.args]
    if node.op in INFIX:
        return f"{args[0]} {INFIX[node.op]} {args[1]}"
    if node.op == "neg":
        return f"-{args[0]}"
    if node.op == "not":
        return f"~{args[0]}"
    if node.op == "reciprocal":
        return f"1.0f / {args[0]}"
    if node.op in ("max", "min"):
        # A NaN of a state stays one. Of a vector instruction's two arguments it returns the second.
        first, second = sorted(node.args, key=lambda arg: arg.level)
        pair = f"{names[first]}, {names[second]}"
        return f"v{node.op}_of_nan({pair})" if first.level >= Level.STEP else f"v{node.op}({pair})"
    return f"v{node.op}({', '.join(args)})"


def _literal(value: float) -> str:
    number = float(np.float32(value))
    if math.isfinite(number):
        return f"{number.hex()}f"
    return '__builtin_nanf("")' if math.isnan(number) else f"{'-' if number < 0 else ''}__builtin_inff()"
