"""C++ of a model: straight-line functions of its equations and of their reverse, and their sizes.

What depends on parameters alone is computed once a window, what depends on controls once a step, the rest
at every stage of the integrator. The way back adds up what it owes to the slower values and pulls that
through their own equations once a step and once a window. Between the forward and the reverse pass of a
stage the results of slow operations are kept; everything else is computed again.

Nothing but the equations reaches the code: bounds, held values, time step and data are arguments of a call.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from pct.integration import Tableau
from pct.native.graph import Level, Node, behind
from pct.native.reverse import active_nodes, pull_back
from pct.native.trace import Equations

# Operations whose results are kept for the reverse pass; computing any other again is cheaper.
KEPT = frozenset({"reciprocal", "sqrt", "exp", "log", "sin", "cos", "tan", "atan", "atan2", "tanh"})
INFIX = {"add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "eq": "==", "and": "&", "or": "|"}

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
    learned = {("p", entry) for entry in options.learned}

    def is_wanted(node: Node) -> bool:
        return node.op == "input" and (node.key[0] in ("x", "u") or node.key in learned)

    active = active_nodes(rates, is_wanted)
    seeds: dict[Node, Node] = {}
    for i, rate in enumerate(rates):
        if rate.index in active:
            seed = graph.input("kbar", i, Level.STAGE)
            seeds[rate] = seed if rate not in seeds else graph.add(seeds[rate], seed)

    def is_slower_than(level: Level) -> Callable[[Node], bool]:
        return lambda node: node.level < level or node.op == "input"

    stage_ends = pull_back(graph, seeds, active, stop=is_slower_than(Level.STAGE))
    xbar = {node.key[1]: value for node, value in stage_ends.items() if node.level == Level.STAGE}
    cbar = {node: value for node, value in stage_ends.items() if node.level == Level.STEP}
    wbar = {node: value for node, value in stage_ends.items() if node.level == Level.WINDOW}

    step_seeds = {node: graph.input("cbar", i, Level.STEP) for i, node in enumerate(cbar)}
    step_ends = pull_back(graph, step_seeds, active, stop=is_slower_than(Level.STEP))
    ubar = {node.key[1]: value for node, value in step_ends.items() if node.level == Level.STEP}
    step_wbar = {node: value for node, value in step_ends.items() if node.level == Level.WINDOW}

    owed = {node: i for i, node in enumerate(dict.fromkeys((*wbar, *step_wbar)))}
    window_seeds = {node: graph.input("wbar", i, Level.WINDOW) for node, i in owed.items()}
    window_ends = pull_back(graph, window_seeds, active, stop=is_slower_than(Level.WINDOW))
    pbar = {node.key[1]: value for node, value in window_ends.items()}

    # What a stage's reverse needs of its forward pass.
    reverse_sinks = [*xbar.values(), *cbar.values(), *wbar.values()]
    from_seeds = active_nodes(reverse_sinks, lambda node: node.op == "input" and node.key[0] == "kbar")

    def is_kept(node: Node) -> bool:
        return (
            node.level == Level.STAGE
            and node.index not in from_seeds
            and (node.op in KEPT or (node.op == "input" and node.key[0] == "x"))
        )

    kept = [node for node in behind(reverse_sinks, is_kept) if is_kept(node)]

    # Slower values that a faster function reads.
    slots: dict[Level, dict[Node, int]] = {Level.WINDOW: {}, Level.STEP: {}}

    def loader(level: Level, given: dict[Node, str]) -> Callable[[Node], str | None]:
        def load(node: Node) -> str | None:
            if node in given:
                return given[node]
            if node.op == "input" and node.level == level:
                return f"{node.key[0]}[{node.key[1]}]"
            if node.level == Level.NEVER or node.level >= level or node.is_mask:
                return None
            known = slots[node.level]
            return f"{'w' if node.level == Level.WINDOW else 'c'}[{known.setdefault(node, len(known))}]"

        return load

    stage = loader(Level.STAGE, {})
    rate_sinks = [(f"k[{i}] = {{}}", rate) for i, rate in enumerate(rates)]
    forward = _body(rate_sinks, stage)
    forward_kept = _body([*((f"kept[{i}] = {{}}", node) for i, node in enumerate(kept)), *rate_sinks], stage)
    read = loader(Level.STAGE, {node: f"kept[{i}]" for i, node in enumerate(kept)})
    reverse = _body(
        [
            *((f"xbar[{i}] = {{}}", value) for i, value in xbar.items()),
            *((f"cbar[{i}] += {{}}", value) for i, value in enumerate(cbar.values())),
            *((f"wbar[{owed[node]}] += {{}}", value) for node, value in wbar.items()),
        ],
        read,
    )
    step_values = dict(slots[Level.STEP])
    step = _body([(f"c[{i}] = {{}}", node) for node, i in step_values.items()], loader(Level.STEP, {}))
    again = {node: f"c[{i}]" for node, i in step_values.items()}
    step_reverse = _body(
        [
            *((f"ubar[{i}] = {{}}", value) for i, value in ubar.items()),
            *((f"wbar[{owed[node]}] += {{}}", value) for node, value in step_wbar.items()),
        ],
        loader(Level.STEP, again),
    )
    window_values = dict(slots[Level.WINDOW])
    window = _body([(f"w[{i}] = {{}}", node) for node, i in window_values.items()], loader(Level.WINDOW, {}))
    window_reverse = _body(
        [
            (f"pbar[{position}] = {{}}", pbar[entry])
            for position, entry in enumerate(options.learned)
            if entry in pbar
        ],
        loader(Level.WINDOW, {node: f"w[{i}]" for node, i in window_values.items()}),
    )
    needed = sorted({node.key[1] for node in behind(rates) if node.op == "input" and node.key[0] == "x"})
    constants = {
        "STATES": equations.states,
        "SHOWN": options.shown,
        "CONTROLS": equations.controls,
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
        # States that rates depend on, and those whose adjoint a stage changes.
        "NEEDED": needed,
        "PULLED": sorted(xbar),
        "POSE": options.pose,
    }
    functions = {
        "window_values(const V* p, V* w)": window,
        "step_values(const V* w, const V* u, V* c)": step,
        "stage_rates(const V* w, const V* c, const V* x, V* k)": forward,
        "stage_rates_kept(const V* w, const V* c, const V* x, V* k, V* kept)": forward_kept,
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
            *(f"FUNCTION void {head} {{\n{body}}}\n" for head, body in functions.items()),
        ]
    )


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


def _body(sinks: Sinks, load: Callable[[Node], str | None]) -> str:
    """Statements that compute the sinks, each value once and as late as it can be."""
    lines: list[str] = []
    names: dict[Node, str] = {}

    def name(root: Node) -> str:
        stack = [root]
        while stack:
            node = stack[-1]
            if node in names:
                stack.pop()
                continue
            if node.op == "constant":
                names[node] = f"splat({_literal(node.key)})"
                continue
            loaded = load(node)
            if loaded is None and (missing := [arg for arg in node.args if arg not in names]):
                stack += reversed(missing)
                continue
            names[node] = f"t{node.index}"
            kind = "M" if node.is_mask else "V"
            lines.append(f"  const {kind} {names[node]} = {loaded or _expression(node, names)};")
        return names[root]

    for form, node in sorted(sinks, key=lambda sink: sink[1].index):
        value = name(node)
        lines.append(f"  {form.format(value)};")
    return "".join(f"{line}\n" for line in lines)


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
