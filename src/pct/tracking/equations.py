"""C of a model for the filter: its rates, and their derivatives by states and by the parameters that
count."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from pct.dynamics.core import ModelSpec
from pct.measurement.chain import effects_of
from pct.rollout.native.codegen import Functions, places
from pct.rollout.native.graph import Level, Node
from pct.rollout.native.jacobian import jacobian
from pct.rollout.native.trace import Equations


class Layout(NamedTuple):
    """What is filtered and what the filter estimates.

    Attributes:
        filtered: positions of the filtered states among all, those that are read first, hidden ones last.
        read: number of those that are read.
        varying, held: names of the parameters, scalars.
        logarithmic: whether each of them counts by its logarithm, varying ones first.
        slots: hypotheses.
        stages: of the integrator.
    """

    filtered: tuple[int, ...]
    read: int
    varying: tuple[str, ...]
    held: tuple[str, ...]
    logarithmic: tuple[bool, ...]
    slots: int
    stages: int


def parts_of(name: str) -> list[str]:
    """The parameters that a name stands for: ``D_f+D_r/B_f/B_r`` is a common factor on the first two, and its
    inverse on the others."""
    return re.split(r"[+/]", name)


def powers_of(name: str) -> list[int]:
    """Powers of the common factor on each of them, 1 or -1; 0 for a parameter that is none."""
    signs = re.findall(r"[+/]", name)
    return [1, *(-1 if sign == "/" else 1 for sign in signs)] if signs else [0]


def generate(spec: ModelSpec, equations: Equations, layout: Layout) -> str:
    """Sizes, tables and functions of a model, to stand before ``tracker.h``."""
    graph, names = equations.graph, list(equations.names)
    parts = [parts_of(name) for name in (*layout.varying, *layout.held)]
    entries = [names.index((name, 0)) for own in parts for name in own]
    owners = [place for place, own in enumerate(parts) for _ in own]
    states = [equations.x[i] for i in layout.filtered]
    rates = [equations.rates[i] for i in layout.filtered]
    parameters = [graph.input("p", i, Level.WINDOW) for i in entries]
    slopes = jacobian(graph, rates, (*states, *parameters))
    varying = [place for place, node in slopes.items() if not _is_number(node)]
    write = Functions(double=True)
    write.function(
        "rates_by_all(const V* w, const V* c, const V* x, V* k, V* a)",
        Level.SUBSTEP,
        [*places("k", rates), *places("a", [slopes[place] for place in varying])],
    )
    step_values = list(write.read[Level.STEP])
    write.function("step_values(const V* w, const V* u, V* c)", Level.STEP, places("c", step_values))
    window_values = list(write.read[Level.WINDOW])
    write.function("window_values(const V* p, V* w)", Level.WINDOW, places("w", window_values))
    held = spec.lane_rates.held
    sizes = {
        "STATES": len(equations.x),
        "SHOWN": len(spec.states),
        "CONTROLS": len(spec.controls),
        "PARAMS": len(names),
        "F": len(states),
        "READ": layout.read,
        "VARY": len(layout.varying),
        "HELD": len(layout.held),
        "PARTS": len(entries),
        "N": len(states) + len(parts),
        "MOVED": len(states) + len(layout.varying),
        "SLOTS": layout.slots,
        "STAGES": layout.stages,
        "JUMPS": len(held),
        "V_OR_1": max(1, len(layout.varying)),
        "H_OR_1": max(1, len(layout.held)),
        "C_OR_1": max(1, len(spec.controls)),
        "W_OR_1": max(1, len(window_values)),
        "STEP_OR_1": max(1, len(step_values)),
        "SLOPES_OR_1": max(1, len(varying)),
    }
    tables = {
        "FILTERED": layout.filtered,
        "READ_STATE": layout.filtered[: layout.read],
        "READ_ANGLE": [int(spec.angle_mask[i]) for i in layout.filtered[: layout.read]],
        "ENTRY": entries,
        "OWNER": owners,
        "POWER": [power for name in (*layout.varying, *layout.held) for power in powers_of(name)],
        "LOGARITHMIC": [int(flag) for flag in layout.logarithmic],
        "JUMP_STATE": [state for state, _ in held],
        "JUMP_CONTROL": [control for _, control in held],
        "SHARED_CHANNEL": _origins(spec, layout),
    }
    return "\n".join(
        [
            *(f"enum {{ {name} = {value} }};" for name, value in sizes.items()),
            *(
                f"static const int {name}[] = {{{', '.join(map(str, rows or [0]))}}};"
                for name, rows in tables.items()
            ),
            "",
            *(
                text.replace("__builtin_inf()", "INFINITY").replace('__builtin_nan("")', "NAN")
                for text in write.functions
            ),
            _push(slopes, varying, owners, len(states), sizes["N"]),
        ]
    )


def _origins(spec: ModelSpec, layout: Layout) -> list[int]:
    """Which channel a hidden state begins with: its place among states and controls; -1 for read ones."""
    names = (*spec.state_names, *spec.control_names)
    hidden = [state for effect in effects_of(spec) for state in effect.hidden()]
    own = {len(spec.states) + i: names.index(state.channel) for i, state in enumerate(hidden)}
    return [own.get(i, -1) for i in layout.filtered]


def _is_number(node: Node) -> bool:
    return node.op == "constant" and math.isfinite(node.key)


def _push(
    slopes: dict[tuple[int, int], Node],
    varying: Sequence[tuple[int, int]],
    owners: Sequence[int],
    states: int,
    size: int,
) -> str:
    """The function that adds the change of the rates, dk, along all columns of d."""
    place = {entry: i for i, entry in enumerate(varying)}
    lines = []
    for (row, column), node in sorted(slopes.items()):
        slope = f"a[{place[row, column]}]" if (row, column) in place else float(node.key).hex()
        if column < states:
            lines.append(f"for (j = 0; j < N; j++) dk[{row * size} + j] += {slope} * d[{column * size} + j];")
        else:
            own = states + owners[column - states]
            lines.append(f"dk[{row * size + own}] += {slope} * slope[{column - states}];")
    body = "".join(f"    {line}\n" for line in lines)
    return (
        "static void push(const double *a, const double *slope, const double *__restrict d,\n"
        "                 double *__restrict dk) {\n"
        f"    int j;\n    (void)a; (void)slope; (void)d;\n{body}}}\n"
    )
