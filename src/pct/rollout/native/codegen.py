"""C++ of a model: straight-line functions of one step of its integrator and of the step's reverse.

All stages of a step are one expression, so that what they share is computed once and what does not wait for
one another runs side by side. What depends on parameters alone is computed once a window, what depends on
controls once a time step. The way back adds up what it owes to the slower values and pulls that through
their own equations once a time step and once a window. Between the forward and the reverse pass of a step the
results of slow operations are kept, and what else the reverse reads and takes several operations to compute.

Nothing but the equations reaches the code: bounds, held values, time step and data are arguments of a call.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pct.rollout.integration import Tableau
from pct.rollout.native.graph import Level, Node, behind
from pct.rollout.native.reverse import active_nodes, pull_back
from pct.rollout.native.schedule import in_order
from pct.rollout.native.trace import Equations, take_step

# Operations whose results are always kept for the reverse pass.
SLOW = frozenset({"reciprocal", "sqrt", "exp", "log", "sin", "cos", "tan", "atan", "atan2", "tanh"})
# Operations from which on it costs less to keep a result, and to read it back from the second nearest memory,
# than to compute it again.
WORTH_KEEPING = 4
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
        held: states that jump at the end of a step, and their rate controls, by position.
    """

    tableau: Tableau
    shown: int
    learned: tuple[int, ...]
    pose: tuple[int, int, int]
    held: tuple[tuple[int, int], ...] = ()


def generate(equations: Equations, options: Options) -> str:
    """The model's part of the source, to stand between the vector functions and the driver."""
    adjoints = _reverse(equations, options.learned)
    # What the reverse of a stage needs of its forward pass.
    stored = _stored(equations, adjoints)
    after, points = take_step(equations, options.tableau)
    stored_of_step = [
        node
        for point in points
        for node in equations.graph.replaced(stored, dict(zip(equations.x, point, strict=True)))
    ]

    through = _through_step(equations, adjoints, options.tableau, points)

    # Faster functions first: they tell which values of slower ones they read.
    write = Functions()
    write.function("advance(const V* w, const V* c, const V* x, V* y)", Level.SUBSTEP, places("y", after))
    write.function(
        "advance_kept(const V* w, const V* c, const V* x, V* y, V* kept)",
        Level.SUBSTEP,
        [*places("kept", stored_of_step), *places("y", after)],
    )
    place = {node: i for i, node in enumerate(adjoints.owed)}
    write.function(
        "advance_reverse(const V* w, const V* c, const V* kept, V* xbar, V* cbar, V* wbar)",
        Level.SUBSTEP,
        [
            *places("xbar", through.x),
            *((f"cbar[{i}] += {{}}", value) for i, value in enumerate(through.step)),
            *(
                (f"wbar[{place[node]}] += {{}}", value)
                for node, value in zip(adjoints.window, through.window, strict=True)
            ),
        ],
        stored_of_step,
        "kept",
    )
    step_values = list(write.read[Level.STEP])
    write.function("step_values(const V* w, const V* u, V* c)", Level.STEP, places("c", step_values))
    write.function(
        "step_reverse(const V* w, const V* u, const V* c, const V* cbar, V* wbar, V* ubar)",
        Level.STEP,
        [
            *((f"ubar[{node.key[1]}] = {{}}", value) for node, value in adjoints.u.items()),
            *((f"wbar[{place[node]}] += {{}}", value) for node, value in adjoints.window_of_step.items()),
        ],
        step_values,
        "c",
    )
    window_values = list(write.read[Level.WINDOW])
    write.function("window_values(const V* p, V* w)", Level.WINDOW, places("w", window_values))
    position = {entry: i for i, entry in enumerate(options.learned)}
    write.function(
        "window_reverse(const V* p, const V* w, const V* wbar, V* pbar)",
        Level.WINDOW,
        [(f"pbar[{position[node.key[1]]}] = {{}}", value) for node, value in adjoints.p.items()],
        window_values,
        "w",
    )
    constants = {
        "STATES": len(equations.x),
        "SHOWN": options.shown,
        "CONTROLS": len(equations.u),
        "PARAMS": len(equations.names),
        "LEARNED": len(options.learned),
        "HELD": len(options.held),
        "WINDOW_VALUES": len(window_values),
        "STEP_VALUES": len(step_values),
        "KEPT_VALUES": len(stored_of_step),
        "OWED_BY_STEP": len(adjoints.step),
        "OWED_BY_WINDOW": len(adjoints.owed),
    }
    tables = {
        "LEARNED_ENTRY": options.learned,
        "POSE": options.pose,
        "HELD_STATE": [state for state, _ in options.held],
        "HELD_RATE": [control for _, control in options.held],
    }
    return "\n".join(
        [
            *(f"constexpr int {name} = {value};" for name, value in constants.items()),
            *(table(name, values) for name, values in tables.items()),
            "",
            *write.functions,
        ]
    )


class _Adjoints(NamedTuple):
    """Adjoints by the node whose they are; those of slower values are pulled on where these are computed.

    Attributes:
        x, step, window: of states, and of values of a time step and of a window, by the rates of a stage.
        u, window_of_step: of controls, and of values of a window, by the values of a time step.
        p: of parameters, by the values of a window.
    """

    x: dict[Node, Node]
    step: dict[Node, Node]
    window: dict[Node, Node]
    u: dict[Node, Node]
    window_of_step: dict[Node, Node]
    p: dict[Node, Node]

    @property
    def owed(self) -> tuple[Node, ...]:
        """The values of a window."""
        return (*dict.fromkeys((*self.window, *self.window_of_step)),)

    def of_stage(self) -> tuple[Node, ...]:
        """What the reverse of a stage computes."""
        return (*self.x.values(), *self.step.values(), *self.window.values())


def _reverse(equations: Equations, learned: Sequence[int]) -> _Adjoints:
    graph, rates = equations.graph, equations.rates
    wanted = {*equations.x, *equations.u, *(graph.input("p", i, Level.WINDOW) for i in learned)}
    active = active_nodes(rates, wanted.__contains__)

    def pulled(seeds: Mapping[Node, Node], level: Level) -> list[dict[Node, Node]]:
        """By inputs of a level, and by the values of a time step and of a window that are slower."""
        ends = pull_back(graph, seeds, active, stop=lambda node: node.level < level or node.op == "input")
        levels = (level, *(slower for slower in (Level.STEP, Level.WINDOW) if slower < level))
        return [{node: value for node, value in ends.items() if node.level == one} for one in levels]

    def seeds(kind: str, nodes: Iterable[Node]) -> dict[Node, Node]:
        adjoints: dict[Node, Node] = {}
        for i, node in enumerate(nodes):
            if node.index in active:
                seed = graph.input(kind, i, Level.ADJOINT)
                adjoints[node] = graph.add(adjoints[node], seed) if node in adjoints else seed
        return adjoints

    x, step, window = pulled(seeds("kbar", rates), Level.SUBSTEP)
    u, window_of_step = pulled(seeds("cbar", step), Level.STEP)
    (p,) = pulled(seeds("wbar", dict.fromkeys((*window, *window_of_step))), Level.WINDOW)
    return _Adjoints(x, step, window, u, window_of_step, p)


class _Step(NamedTuple):
    """Adjoints of the state before a step, and what its stages add to those of slower values together."""

    x: list[Node]
    step: list[Node]
    window: list[Node]


def _through_step(
    equations: Equations, adjoints: _Adjoints, tableau: Tableau, points: Sequence[Sequence[Node]]
) -> _Step:
    """The reverse of all stages of a step, the last first."""
    graph = equations.graph
    after = [graph.input("xbar", i, Level.ADJOINT) for i in range(len(equations.x))]
    length = graph.input("p", len(equations.names), Level.WINDOW)
    before = list(after)
    pulled: dict[int, dict[int, Node]] = {}
    step: list[Node] = [graph.constant(0.0)] * len(adjoints.step)
    window: list[Node] = [graph.constant(0.0)] * len(adjoints.window)

    def share(weight: float, adjoint: Node) -> Node:
        return graph.mul(graph.mul(graph.constant(weight), length), adjoint)

    for stage in reversed(range(len(points))):
        inputs = dict(zip(equations.x, points[stage], strict=True))
        for i in range(len(after)):
            rate = share(tableau.weights[stage], after[i])
            for later in range(stage + 1, len(points)):
                weight = tableau.stages[later - 1][stage]
                if weight and i in pulled[later]:
                    rate = graph.add(rate, share(weight, pulled[later][i]))
            inputs[graph.input("kbar", i, Level.ADJOINT)] = rate
        values = iter(graph.replaced(adjoints.of_stage(), inputs))
        pulled[stage] = {node.key[1]: next(values) for node in adjoints.x}
        for i, adjoint in pulled[stage].items():
            before[i] = graph.add(before[i], adjoint)
        step = [graph.add(value, next(values)) for value in step]
        window = [graph.add(value, next(values)) for value in window]
    return _Step(before, step, window)


def _stored(equations: Equations, adjoints: _Adjoints) -> list[Node]:
    """What the forward pass of a stage keeps for its reverse."""

    def is_slow(node: Node) -> bool:
        return node.level == Level.SUBSTEP and (node.op in SLOW or node.op == "input")

    nodes = list(behind(adjoints.of_stage(), lambda node: node.level < Level.SUBSTEP or is_slow(node)))
    forward = {node.index for node in behind(equations.rates)}
    read = {arg.index for node in nodes if node.level == Level.ADJOINT or node.is_mask for arg in node.args}
    operations: dict[int, int] = {}  # that it takes from what is kept
    stored: set[int] = set()
    for node in nodes:
        if node.level == Level.SUBSTEP:
            count = 1 + sum(operations.get(arg.index, 0) for arg in node.args)
            worth = (
                count >= WORTH_KEEPING and node.index in forward and node.index in read and not node.is_mask
            )
            if worth or is_slow(node):
                stored.add(node.index)
                count = 0
            operations[node.index] = count
    still_read = behind(adjoints.of_stage(), lambda node: node.level < Level.SUBSTEP or node.index in stored)
    return [node for node in still_read if node.index in stored]


class Functions:
    """The functions of a model, and the slower values that they read, ``c`` of a step and ``w`` of a window.

    Attributes:
        functions: texts.
        read: values by their level, with their place.
    """

    def __init__(self, *, double: bool = False) -> None:
        self.functions: list[str] = []
        self.read: dict[Level, dict[Node, int]] = {Level.WINDOW: {}, Level.STEP: {}}
        self._double = double

    def function(
        self, head: str, level: Level, sinks: Sinks, given: Sequence[Node] = (), array: str = ""
    ) -> None:
        """Write a function that runs as often as values of a level change.

        Args:
            head: its name and arguments.
            level: of what it computes.
            sinks: what it computes.
            given: values that it finds in an array.
            array: name of that array.
        """
        texts = {node: f"{array}[{i}]" for i, node in enumerate(given)}

        def load(node: Node) -> str | None:
            if node in texts:
                return texts[node]
            if node.op == "input" and node.level >= level:
                return f"{node.key[0]}[{node.key[1]}]"
            if node.level == Level.NEVER or node.level >= level or node.is_mask:
                return None
            known = self.read[node.level]
            return f"{'w' if node.level == Level.WINDOW else 'c'}[{known.setdefault(node, len(known))}]"

        arguments = head.replace("V* ", "V* __restrict ")
        body = _statements(sinks, load, _double if self._double else _single)
        self.functions.append(f"FUNCTION void {arguments} {{\n{body}}}\n")


def places(array: str, nodes: Iterable[Node]) -> list[tuple[str, Node]]:
    """Each node at its place in an array of C++, for `Functions.function`."""
    return [(f"{array}[{i}] = {{}}", node) for i, node in enumerate(nodes)]


def table(name: str, values: Sequence[int]) -> str:
    """An array of constants of C++, and its size."""
    entries = ", ".join(map(str, values or [0]))  # no array of C++ is empty
    return f"constexpr int {name}_SIZE = {len(values)};\nconstexpr int {name}[] = {{{entries}}};"


def _statements(sinks: Sinks, load: Callable[[Node], str | None], literal: Callable[[float], str]) -> str:
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
            names[node] = f"splat({literal(node.key)})"
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
        return f"vnot({args[0]})"
    if node.op == "reciprocal":
        return f"1.0f / {args[0]}"
    if node.op in ("max", "min"):
        # A NaN of a state stays one. Of a vector instruction's two arguments it returns the second.
        first, second = sorted(node.args, key=lambda arg: arg.level)
        pair = f"{names[first]}, {names[second]}"
        return f"v{node.op}_of_nan({pair})" if first.level >= Level.STEP else f"v{node.op}({pair})"
    return f"v{node.op}({', '.join(args)})"


def _single(value: float) -> str:
    return _double(float(np.float32(value)), "f")


def _double(value: float, suffix: str = "") -> str:
    if math.isfinite(value):
        return f"{value.hex()}{suffix}"
    if math.isnan(value):
        return f'__builtin_nan{suffix}("")'
    return f"{'-' if value < 0 else ''}__builtin_inf{suffix}()"
