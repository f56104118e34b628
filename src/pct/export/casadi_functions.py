"""`casadi`: a model with its parameters baked in as casadi Functions, saved: rates, step, and both Jacobians.

They are made of SX symbols from the graph of the equations, so acados and do-mpc take them as they are. Each
is compared with JAX on random inputs after it was read back.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pct.export.c.rates import bake
from pct.export.check import Inputs, Outputs, compare, random_inputs
from pct.export.parameters import write_files
from pct.export.source import Source
from pct.export.source_text import describe, values_of
from pct.export.targets import Exported
from pct.export.texts import json_text
from pct.files import temporary_folder
from pct.rollout.integration import TABLEAUS, explicit_step
from pct.rollout.native.graph import Node, behind

FUNCTIONS = ("rates", "step", "rates_jacobian", "step_jacobian")


def export(source: Source, path: str | Path | None = None, *, refit: bool = False) -> Exported:
    """Write the Functions into a folder, one file each, with a JSON that says what they are.

    Args:
        source: the model and its values.
        path: the folder; ``<model>_casadi`` here when left out.
        refit: unused: casadi can say every model.

    Raises:
        UsageError: the equations use something that no code can be generated for.
        DataError: the files cannot be written.
        PctError: a Function differs from JAX; nothing is written.
    """
    import casadi

    functions = make_functions(source)
    content = {}
    with temporary_folder() as folder:
        for function in functions:
            at = folder / f"{function.name()}.casadi"
            function.save(str(at))
            content[at.name] = at.read_bytes()
        read = [casadi.Function.load(str(folder / name)) for name in content]
        differences = check(source, read)
    largest = max(differences, key=differences.__getitem__)
    checked = (
        f"read back and equal to JAX on random inputs, at most {differences[largest]:.1e} apart "
        f"({largest}), by "
        f"casadi {importlib.metadata.version('casadi')}"
    )
    content["model.json"] = json_text(
        {
            "about": [*describe(source, "casadi"), checked],
            "functions": {function.name(): str(function) for function in functions},
            "states": source.spec.state_names,
            "controls": source.spec.control_names,
            "parameters": values_of(source),
        }
    )
    files = write_files(path, f"{source.spec.name}_casadi", content)
    return Exported(files[0].parent, tuple(files), checked)


def make_functions(source: Source) -> list[Any]:
    """``rates(x, u)``, ``step(x, u, dt)``, ``rates_jacobian(x, u)`` and ``step_jacobian(x, u, dt)``.

    The first two give a column, the others the derivatives by x and by u.

    Raises:
        UsageError: the equations use something that no code can be generated for.
    """
    import casadi as ca

    equations, spec = bake(source), source.spec
    x, u, dt = ca.SX.sym("x", len(spec.states)), ca.SX.sym("u", len(spec.controls)), ca.SX.sym("dt")
    rates = ca.Function("rates", [x, u], [_symbols(equations.rates, x, u)], ["x", "u"], ["dxdt"])
    after = x
    for _ in range(source.substeps):
        after = explicit_step(
            TABLEAUS[source.integrator_name], lambda z: rates(z, u), after, dt / source.substeps
        )
    step = ca.Function("step", [x, u, dt], [after], ["x", "u", "dt"], ["x_next"])
    dxdt = rates(x, u)
    return [
        rates,
        step,
        ca.Function(
            "rates_jacobian",
            [x, u],
            [ca.jacobian(dxdt, x), ca.jacobian(dxdt, u)],
            ["x", "u"],
            ["dfdx", "dfdu"],
        ),
        ca.Function(
            "step_jacobian",
            [x, u, dt],
            [ca.jacobian(after, x), ca.jacobian(after, u)],
            ["x", "u", "dt"],
            ["A", "B"],
        ),
    ]


def check(source: Source, functions: list[Any], inputs: Inputs | None = None) -> dict[str, float]:
    """Largest relative difference of each from JAX; `pct.export.check.compare` tells how and raises."""
    inputs = random_inputs(source) if inputs is None else inputs
    rates, step, by_rates, by_step = functions
    rows = list(zip(inputs.x, inputs.u, inputs.dt, strict=True))
    by = [[np.array(part.full()) for part in by_rates(x, u)] for x, u, _ in rows]
    by_after = [[np.array(part.full()) for part in by_step(x, u, dt)] for x, u, dt in rows]
    columns = (
        [rates(x, u).full().ravel() for x, u, _ in rows],
        [step(x, u, dt).full().ravel() for x, u, dt in rows],
        [row[0] for row in by],
        [row[1] for row in by],
        [row[0] for row in by_after],
        [row[1] for row in by_after],
    )
    return compare(source, inputs, Outputs(*(np.stack(column) for column in columns)))


def _symbols(outputs: list[Node], x: Any, u: Any) -> Any:
    """Nodes as symbols of casadi, one column."""
    import casadi as ca

    values: dict[int, Any] = {}
    for node in behind(outputs):
        if node.op == "input":
            kind, place = node.key
            values[node.index] = (x if kind == "x" else u)[place]
        elif node.op == "constant":
            values[node.index] = ca.SX(node.key) if math.isfinite(node.key) else ca.SX(float(node.key))
        else:
            values[node.index] = _operations()[node.op](*(values[arg.index] for arg in node.args))
    return ca.vertcat(*(values[node.index] for node in outputs))


def _operations() -> dict[str, Callable[..., Any]]:
    import casadi as ca

    return {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "neg": lambda a: -a,
        "reciprocal": lambda a: 1.0 / a, "max": ca.fmax, "min": ca.fmin, "abs": ca.fabs, "sign": ca.sign,
        "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "eq": lambda a, b: a == b,
        "and": ca.logic_and, "or": ca.logic_or, "not": ca.logic_not, "where": ca.if_else,
        "atan": ca.atan, "atan2": ca.atan2, "floor": ca.floor,
        **{name: getattr(ca, name) for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "tanh")},
    }  # fmt: skip
