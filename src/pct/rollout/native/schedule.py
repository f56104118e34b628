"""The order of a straight line of operations.

A list scheduler after [1]: while registers are free the operation whose results are waited for longest comes
first, so that a processor always has some that wait for nothing; else the one that frees most registers.

References:
    [1] J. R. Goodman and W.-C. Hsu, "Code Scheduling and Register Allocation in Large Basic Blocks",
        International Conference on Supercomputing (1988).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pct.rollout.native.graph import Node, behind

# Cycles until a result can be used, and vector instructions that it takes: roughly those of x86 cores.
USUAL = (4.0, 1.0)
COSTS = {
    **dict.fromkeys(("neg", "abs", "not", "and", "or", "where", "max", "min", "lt", "le", "eq"), (1.0, 1.0)),
    "reciprocal": (12.0, 4.0), "sqrt": (20.0, 8.0), "sin": (45.0, 14.0), "cos": (45.0, 14.0),
    "tan": (60.0, 20.0), "atan": (60.0, 18.0), "atan2": (65.0, 24.0), "tanh": (60.0, 22.0),
    "exp": (50.0, 22.0), "log": (55.0, 30.0),
}  # fmt: skip
# Vector instructions that start in a cycle.
WIDTH = 2.0
# Values alive at once before freeing some comes first. More than there are registers: a processor renames
# them, and what does not fit comes back from the nearest memory in few cycles.
REGISTERS = 24


def in_order(sinks: Iterable[Node], arguments: Callable[[Node], tuple[Node, ...]]) -> list[Node]:
    """All nodes that the sinks need, arguments first.

    Args:
        sinks: what is wanted.
        arguments: what a node is computed from; nothing for one that is given.
    """
    nodes = list(behind(sinks, lambda node: not arguments(node)))
    args = {node: dict.fromkeys(arguments(node)) for node in nodes}
    users: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in nodes:
        for arg in args[node]:
            users[arg].append(node)
    # Cycles from the start of a node to the end of the last that waits for it.
    height: dict[Node, float] = {}
    for node in reversed(nodes):
        height[node] = _cost(node)[0] + max((height[user] for user in users[node]), default=0.0)

    given = {node for node in nodes if not args[node]}
    waits_for = {node: sum(arg not in given for arg in args[node]) for node in nodes if node not in given}
    uses_left = {node: len(users[node]) for node in nodes}
    ready = dict.fromkeys(waits_for, 0.0)
    able = {node for node, count in waits_for.items() if not count}
    order: dict[Node, None] = {}
    now, alive = 0.0, 0

    def freed(node: Node) -> int:
        """Registers that are free after a node less those before it."""
        return sum(arg not in given and uses_left[arg] == 1 for arg in args[node]) - bool(users[node])

    while able:
        if alive < REGISTERS:
            now = max(now, min(ready[node] for node in able))
            node = max(
                (node for node in able if ready[node] <= now),
                key=lambda node: (height[node], freed(node), -node.index),
            )
        else:
            node = max(able, key=lambda node: (freed(node), -ready[node], height[node], -node.index))
        able.remove(node)
        alive -= freed(node)
        # What is given is read where it is first needed.
        order.update(dict.fromkeys((*(arg for arg in args[node] if arg in given), node)))
        latency, instructions = _cost(node)
        now += instructions / WIDTH
        for arg in args[node]:
            uses_left[arg] -= 1
        for user in users[node]:
            waits_for[user] -= 1
            ready[user] = max(ready[user], now + latency)
            if not waits_for[user]:
                able.add(user)
    return [*order, *(node for node in nodes if node not in order)]


def _cost(node: Node) -> tuple[float, float]:
    return COSTS.get(node.op, USUAL)
