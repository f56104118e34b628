"""`cpp`: a model with its parameters baked in as a C++ header, without dependencies.

The functions are those of `pct.export.c` in a namespace of their own, inline, with arrays of fixed size in
front of them. It is compiled and compared with JAX through the same functions.
"""

from __future__ import annotations

import re
from pathlib import Path

from pct.errors import UsageError
from pct.export.c.functions import Program, heads
from pct.export.c.program import make_program
from pct.export.c.trial import FLAGS, computed, find_compiler, run_compiled
from pct.export.check import compare, random_inputs
from pct.export.parameters import write_files
from pct.export.source import Source
from pct.export.targets import Exported

COMPILERS = ("c++", "g++", "clang++")
STANDARD = "-std=c++14"
# Words of C++ beside those of C that a state may be called.
CPP_WORDS = """
    alignas alignof and and_eq asm bitand bitor bool catch char16_t char32_t class compl concept const_cast
    constexpr decltype delete dynamic_cast explicit export false friend mutable namespace new noexcept not
    not_eq nullptr operator or or_eq private protected public reinterpret_cast requires static_assert
    static_cast template this thread_local throw true try typeid typename using virtual wchar_t xor xor_eq
"""


def export(source: Source, path: str | Path | None = None, *, refit: bool = False) -> Exported:
    """Write the header, once it agrees with JAX on random inputs.

    Args:
        source: the model and its values.
        path: the file; ``pct_<model>.hpp`` here when left out.
        refit: unused: code can say every model.

    Raises:
        UsageError: the equations use something that no code can be generated for, or a state is named as a
            word of C++.
        DataError: the file cannot be written.
        PctError: the code differs from JAX; nothing is written.
    """
    program = make_program(source)
    header = make_header(source, program)
    inputs = random_inputs(source)
    command = find_compiler("CXX", COMPILERS)
    if command is None:
        differences = compare(source, inputs, computed(source, program.equations, inputs))
        by = "computed in Python, never compiled: no C++ compiler was found (CXX, or c++, g++, clang++)"
    else:
        trial = Program(program.prefix, header + _callable_from_c(source, program.prefix), program.equations)
        flags = (STANDARD, *FLAGS[1:])
        differences = compare(
            source, inputs, run_compiled(command, source, trial, inputs, flags, "model.cpp")
        )
        by = f"compiled by {command[0]}"
    largest = max(differences, key=differences.__getitem__)
    files = write_files(path, f"{program.prefix}.hpp", {"model.hpp": header.encode()})
    checked = f"equal to JAX on random inputs, at most {differences[largest]:.1e} apart ({largest}), {by}"
    return Exported(files[0], tuple(files), checked)


def make_header(source: Source, program: Program) -> str:
    """The C functions as inline ones of a namespace, and the same with arrays of fixed size.

    Raises:
        UsageError: a state or control is named as a word of C++.
    """
    channels = (*source.spec.state_names, *source.spec.control_names)
    if taken := sorted({*CPP_WORDS.split()} & {*channels}):
        raise UsageError(f"model {source.spec.name}: expected no channel called {taken[0]}, a word of C++")
    comment, _, code = program.text.partition("*/\n")
    declared, _, defined = code.partition("enum {")
    assert "#include <math.h>" in declared
    comment = re.sub("`pct export c`", "`pct export cpp`", comment)
    comment = re.sub(
        r"Use: .*?\n",
        f"Use: include this header; everything is in the namespace {program.prefix}.\n",
        comment,
    )
    prefix = program.prefix
    comment = re.sub(rf"\b{prefix}_(\w+)", r"\1", comment)
    # Names lose the prefix that stands for a namespace in C.
    body = re.sub(rf"\b{prefix}_(\w+)", r"\1", "enum {" + defined)
    body = re.sub(rf"\b{prefix.upper()}_(STATES|CONTROLS)\b", r"\1", body)
    body = re.sub(r"^(static )?void ", "inline void ", body, flags=re.MULTILINE)
    return (
        f"{comment}*/\n#pragma once\n\n#include <array>\n#include <cmath>\n\nnamespace {prefix} {{\n\n"
        f"using std::isnan;\n\n{body}\n{ARRAYS}\n}}  // namespace {prefix}\n"
    )


ARRAYS = """\
using State = std::array<double, STATES>;
using Control = std::array<double, CONTROLS>;
/* By rows: entry i * columns + j. */
using StateMatrix = std::array<double, STATES * STATES>;
using ControlMatrix = std::array<double, STATES * CONTROLS>;

inline State derivative(const State &x, const Control &u)
{
    State dxdt;
    derivative(x.data(), u.data(), dxdt.data());
    return dxdt;
}

inline void jacobian(const State &x, const Control &u, StateMatrix &dfdx, ControlMatrix &dfdu)
{
    jacobian(x.data(), u.data(), dfdx.data(), dfdu.data());
}

inline State step(const State &x, const Control &u, double dt)
{
    State x_next;
    step(x.data(), u.data(), dt, x_next.data());
    return x_next;
}

inline void step_jacobian(const State &x, const Control &u, double dt, StateMatrix &A, ControlMatrix &B)
{
    step_jacobian(x.data(), u.data(), dt, A.data(), B.data());
}
"""


def _callable_from_c(source: Source, prefix: str) -> str:
    """Functions of the C names that copy into the arrays and call what users call."""
    lines = ['extern "C" {\n']
    for name, head in heads(source, prefix).items():
        given = "x_, u_, dt" if name.startswith("step") else "x_, u_"
        start = (
            f"{head}\n{{\n    using namespace {prefix};\n    State x_; Control u_;\n"
            "    for (int i = 0; i < STATES; i++) x_[i] = x[i];\n"
            "    for (int i = 0; i < CONTROLS; i++) u_[i] = u[i];\n"
        )
        if "jacobian" in name:
            a, b = ("A", "B") if name == "step_jacobian" else ("dfdx", "dfdu")
            rest = (
                f"    StateMatrix a_; ControlMatrix b_;\n    {prefix}::{name}({given}, a_, b_);\n"
                f"    for (int i = 0; i < STATES * STATES; i++) {a}[i] = a_[i];\n"
                f"    for (int i = 0; i < STATES * CONTROLS; i++) {b}[i] = b_[i];\n"
            )
        else:
            out = "x_next" if name == "step" else "dxdt"
            rest = (
                f"    State y_ = {prefix}::{name}({given});\n"
                f"    for (int i = 0; i < STATES; i++) {out}[i] = y_[i];\n"
            )
        lines.append(f"{start}{rest}}}\n")
    return "\n" + "".join(lines) + "}\n"
