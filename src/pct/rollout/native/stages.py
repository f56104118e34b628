"""Code of a stage of a step: the rates of a model, and their derivatives by states, controls and parameters.

What depends on parameters alone is computed once a call and what depends on controls too once a step, as in
`pct.rollout.native.codegen`. Derivatives that are zero everywhere are not there at all: by states a function
applies those that are left to a direction, by controls and by parameters tables say where they stand, so that
a call chooses the controls and parameters that count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pct.rollout.native.codegen import Functions, places, table
from pct.rollout.native.graph import Level, Node
from pct.rollout.native.jacobian import jacobian
from pct.rollout.native.trace import Equations


def generate_stages(equations: Equations, shown: int, *, double: bool) -> str:
    """The model's part of the source, to stand between the vector functions and ``sensitivities.h``.

    Args:
        equations: of the model.
        shown: states that a log has, from the first one.
        double: whether vectors are of double precision.
    """
    graph, states, controls = equations.graph, len(equations.x), len(equations.u)
    entries = tuple(graph.input("p", i, Level.WINDOW) for i in range(len(equations.names)))
    slopes = jacobian(graph, equations.rates, (*equations.x, *equations.u, *entries))
    by_state = {place: node for place, node in slopes.items() if place[1] < states}
    # Side by side for each input, which is what a direction changes.
    others = sorted((place for place in slopes if place[1] >= states), key=lambda place: place[::-1])
    varying = [place for place, node in by_state.items() if not _is_number(node)]
    kept = [*(by_state[place] for place in varying), *(slopes[place] for place in others)]

    write = Functions(double=double)
    rates = places("k", equations.rates)
    kept_by_state, all_kept = places("a", kept[: len(varying)]), places("a", kept)
    arguments = "const V* w, const V* c, const V* x, V* k"
    write.function(f"rates({arguments})", Level.SUBSTEP, rates)
    write.function(f"rates_by_state({arguments}, V* a)", Level.SUBSTEP, [*rates, *kept_by_state])
    write.function(f"rates_by_all({arguments}, V* a)", Level.SUBSTEP, [*rates, *all_kept])
    step_values = list(write.read[Level.STEP])
    write.function("step_values(const V* w, const V* u, V* c)", Level.STEP, places("c", step_values))
    window_values = list(write.read[Level.WINDOW])
    write.function("window_values(const V* p, V* w)", Level.WINDOW, places("w", window_values))
    constants = {
        "STATES": states,
        "SHOWN": shown,
        "CONTROLS": controls,
        "PARAMS": len(entries),
        "WINDOW_VALUES": len(window_values),
        "STEP_VALUES": len(step_values),
        "SLOPES": len(kept),
    }
    inputs = range(states, states + controls + len(entries) + 1)
    tables = {
        "SLOPE_FIRST": [len(varying) + sum(column < i for _, column in others) for i in inputs],
        "SLOPE_ROW": [*(row for row, _ in varying), *(row for row, _ in others)],
    }
    return "\n".join(
        [
            *(f"constexpr int {name} = {value};" for name, value in constants.items()),
            *(table(name, values) for name, values in tables.items()),
            "",
            *write.functions,
            _apply(by_state, varying),
        ]
    )


def _is_number(node: Node) -> bool:
    return node.op == "constant" and math.isfinite(node.key)


def _apply(by_state: Mapping[tuple[int, int], Node], varying: list[tuple[int, int]]) -> str:
    """The function that adds the derivatives by states along a direction to the change of the rates."""
    lines = []
    for place, node in sorted(by_state.items()):
        row, column = place
        if place in varying:
            slope = f"a[{varying.index(place)}] * "
        else:
            slope = "" if node.key == 1.0 else f"S({node.key.hex()}) * "
        lines.append(f"  k[{row}] += {slope}d[{column}];")
    body = "\n".join(lines)
    arguments = "const V* __restrict a, const V* __restrict d, V* __restrict k"
    return f"INLINE void add_by_states({arguments}) {{\n{body}\n}}"
