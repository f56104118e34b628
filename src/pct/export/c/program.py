"""C99 of a model with its parameters baked in: rates, a step, and the derivatives of both.

The rates and their derivatives are straight-line code from the graph of the equations (`pct.rollout.native`).
Parameters are constants in it, so what depends on them alone is computed here, and what they switch off is
left out. A step and its derivatives are loops over these two functions.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import NamedTuple

from pct.export.c.functions import (
    Program,
    comment,
    declarations,
    derivative_function,
    jacobian_function,
    step_functions,
)
from pct.export.c.rates import bake
from pct.export.c.trial import computed, find_compiler, run_compiled
from pct.export.check import Inputs, compare, random_inputs
from pct.export.source import Source
from pct.export.targets import Exported
from pct.files import write_output
from pct.optimization.settings import SUBSTEPS
from pct.within import check_number


class Checked(NamedTuple):
    """Result of the comparison with JAX.

    Attributes:
        differences: largest relative difference from JAX by function.
        compiler: the compiler whose code was compared; None where there is none: then the equations
            were compared as Python computes them, and the text of the program was not.
    """

    differences: dict[str, float]
    compiler: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class CFile:
    """A C file that was written.

    Attributes:
        path: the file.
        text: its content.
        source: the model and its values.
        checked: how it compares with JAX.
    """

    path: Path
    text: str
    source: Source
    checked: Checked


def export_c(
    source: Source,
    path: str | Path | None = None,
    *,
    integrator: str | None = None,
    substeps: int | None = None,
) -> CFile:
    """Write a model as one C99 file, once it agrees with JAX on random inputs.

    Args:
        source: the model and its values.
        path: the file; ``pct_<model>.c`` in the working directory when left out.
        integrator, substeps: of the function that makes a step; those of the source when left out.

    Raises:
        UsageError: ``substeps`` is out of range, or the equations use something that no code can be
            generated for.
        DataError: the file cannot be written.
        PctError: the code differs from JAX; nothing is written.
    """
    if substeps is not None:
        check_number("substeps", substeps, SUBSTEPS)
    source = dataclasses.replace(
        source,
        integrator_name=integrator or source.integrator_name,
        substeps=substeps or source.substeps,
    )
    program = make_program(source)
    checked = check(source, program)
    path = Path(path or f"{prefix_of(source.spec.name)}.c")
    write_output(path, program.text.encode())
    return CFile(path, program.text, source, checked)


def export(source: Source, path: str | Path | None = None, *, refit: bool = False) -> Exported:
    """`export_c` as every target has it; C can say every model, so nothing is refitted."""
    file = export_c(source, path)
    name, largest = max(file.checked.differences.items(), key=lambda item: item[1])
    by = file.checked.compiler or "Python, never compiled: no C compiler was found"
    checked = f"equal to JAX on random inputs, at most {largest:.1e} apart ({name}), by {by}"
    return Exported(file.path, (file.path,), checked)


def make_program(source: Source) -> Program:
    """Write the C of a model.

    Raises:
        UsageError: its equations use something that no code can be generated for.
    """
    prefix = prefix_of(source.spec.name)
    equations = bake(source)
    text = "\n".join(
        [
            comment(source, prefix),
            "#include <math.h>\n",
            declarations(source, prefix),
            derivative_function(source, prefix, equations),
            jacobian_function(source, prefix, equations),
            step_functions(source, prefix),
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
        return Checked(compare(source, inputs, computed(source, program.equations, inputs)), None)
    return Checked(compare(source, inputs, run_compiled(command, source, program, inputs)), command[0])


def prefix_of(model: str) -> str:
    """What the names in a model's C begin with.

    Examples:
        >>> prefix_of("singletrack-drift")
        'pct_singletrack_drift'
    """
    return f"pct_{re.sub('[^a-z0-9]+', '_', model.lower())}"
