"""What a C file gives on inputs: compiled, or its equations computed where there is no compiler."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.errors import PctError, UsageError
from pct.export.c.functions import Program, heads
from pct.export.c.rates import OPERATIONS, Rates
from pct.export.check import Inputs, Outputs
from pct.export.source import Source
from pct.files import temporary_folder
from pct.rollout.integration import TABLEAUS, explicit_step
from pct.rollout.native.compiler import NoCompiler, run_compiler
from pct.rollout.native.graph import Node, behind

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O1", "-fPIC", "-shared")


def find_compiler(variable: str = "CC", usual: Sequence[str] = COMPILERS) -> list[str] | None:
    """The command of a compiler: that of an environment variable, else the first usual one; None without one.

    Raises:
        UsageError: the variable cannot be read.
    """
    value = os.environ.get(variable, "")
    try:
        named = shlex.split(value)
    except ValueError as error:
        raise UsageError(f"{variable}={value}: {error}: give a command, with its flags") from None
    for command in [named] if named else [[name] for name in usual]:
        if shutil.which(command[0]):
            return command
    return None


def run_compiled(
    command: list[str],
    source: Source,
    program: Program,
    inputs: Inputs,
    flags: Sequence[str] = FLAGS,
    unit_name: str = "model.c",
) -> Outputs:
    """What a program gives, compiled in a folder that only this user can read and that is removed again.

    Args:
        command: of the compiler.
        source: the model.
        program: its text has functions of C names.
        inputs: to call them with.
        flags: of the compiler.
        unit_name: of the file, whose ending tells the language.

    Raises:
        PctError: the compiler fails.
    """
    try:
        with temporary_folder() as folder:
            unit, library = folder / unit_name, folder / "model.so"
            unit.write_text(program.text, encoding="utf-8")
            run_compiler([*command, *flags, "-o", str(library), str(unit), "-lm"], folder)
            functions = ctypes.CDLL(str(library))
    except (OSError, NoCompiler) as error:
        raise PctError(
            f"the check with the {'C' if unit_name.endswith('.c') else 'C++'} compiler '{command[0]}' "
            f"fails ({error}): nothing was written; name "
            "another one in CC, or CC=none to do without"
        ) from None
    samples, states = inputs.x.shape
    controls = inputs.u.shape[1]
    shapes = {"S": (states,), "SS": (states, states), "SC": (states, controls)}
    out = Outputs(
        *(np.full((samples, *shapes[shape]), np.nan) for shape in ("S", "S", "SS", "SC", "SS", "SC"))
    )
    call = {name: getattr(functions, f"{program.prefix}_{name}") for name in heads(source, program.prefix)}
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


def computed(source: Source, equations: Rates, inputs: Inputs) -> Outputs:
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
