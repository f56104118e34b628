"""The tracker as one C99 file, the same code that Python runs, checked against it row by row."""

from __future__ import annotations

import ctypes
import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pct.errors import PctError
from pct.files import temporary_folder, write_output
from pct.measurement.base import Layer
from pct.measurement.chain import effects_of
from pct.rollout.integration import TABLEAUS, integrate
from pct.rollout.native.compiler import NoCompiler, run_compiler
from pct.rollout.native.trace import trace
from pct.tracking.drives import Rows, make_filter
from pct.tracking.equations import generate
from pct.tracking.native import Fields, fields, read_part
from pct.tracking.problem import Levels, Problem

FLAGS = ("-std=c99", "-O1", "-fPIC", "-shared")
# Fields of an estimate that C gives, in order, for each varying parameter.
ESTIMATE = ("median", "low", "high", "mean", "deviation", "recent", "told")
SCALARS = ("longest", "jumps", "huber", "spacing", "grace", "recent", "longest_gap")
# Most that C and Python differ, in standard deviations.
TOLERANCE = 1e-6
INTERFACE = """
/* The functions of this file. */
typedef struct {{
    Tracker tracker;
    double last[C_OR_1];
}} Memory;

static const Settings SETTINGS = {{
{settings}
}};
static const int RAMPED[] = {{{ramped}}};

size_t {prefix}_size(void) {{ return sizeof(Memory); }}

void {prefix}_begin(void *memory) {{
    Memory *const self = (Memory *)memory;
    memset(self, 0, sizeof *self);
    self->tracker.set = SETTINGS;
}}

void {prefix}_update(void *memory, double t, const double *state, const double *control, double *estimate) {{
    Memory *const self = (Memory *)memory;
    const int first = !self->tracker.begun;
    double over[C_OR_1];
    Estimate out;
    int i;
    for (i = 0; i < CONTROLS; i++) {{
        const double now = isnan(control[i]) ? self->last[i] : control[i];
        over[i] = first ? now : RAMPED[i] ? 0.5 * (self->last[i] + now) : self->last[i];
        self->last[i] = now;
    }}
    update(&self->tracker, t, state, over, &out);
    look_ahead(&self->tracker);
    for (i = 0; i < VARY; i++) {{
        estimate[i] = LOGARITHMIC[i] ? exp(out.middle[i]) : out.middle[i];
        estimate[VARY + i] = LOGARITHMIC[i] ? exp(out.low[i]) : out.low[i];
        estimate[2 * VARY + i] = LOGARITHMIC[i] ? exp(out.high[i]) : out.high[i];
        estimate[3 * VARY + i] = out.mean[i];
        estimate[4 * VARY + i] = out.deviation[i];
        estimate[5 * VARY + i] = out.recent[i];
        estimate[6 * VARY + i] = out.told[i];
    }}
}}
"""


class TrackerFile(NamedTuple):
    """A C file that was written.

    Attributes:
        path: the file.
        text: its content.
        difference: largest difference from Python in standard deviations; None where nothing was compiled.
    """

    path: Path
    text: str
    difference: float | None


def export_tracker(
    problem: Problem, levels: Levels, path: Path, rows: Rows, compiler: Sequence[str] | None
) -> TrackerFile:
    """Write the tracker as one C99 file, once it agrees with Python on a drive.

    Args:
        problem, levels: what is tracked.
        path: the file.
        rows: a drive to compare on, with the controls over the step that ends at each row.
        compiler: command of a C compiler; None compares nothing.

    Raises:
        PctError: C and Python differ, or the compiler fails; nothing is written.
        DataError: the file cannot be written.
        UsageError: the equations do not allow it.
    """
    prefix = f"pct_track_{re.sub('[^a-z0-9]+', '_', problem.spec.name.lower())}"
    text = make_text(problem, levels, prefix)
    difference = None if compiler is None else compare(problem, levels, text, prefix, rows, compiler)
    if difference is not None and not difference <= TOLERANCE:
        raise PctError(
            f"the tracker in C differs from Python by {difference:.1e} standard deviations: nothing was "
            "written; please report this"
        )
    write_output(path, text.encode())
    return TrackerFile(path, text, difference)


def make_text(problem: Problem, levels: Levels, prefix: str) -> str:
    """The whole file."""
    spec, stages = problem.spec, len(TABLEAUS[problem.integrator].weights)
    layout, equations = problem.layout(stages), trace(spec)
    numbers = fields(problem, levels, tuple(equations.names), layout)
    ramped = [int(name in spec.interpolated) for name in spec.control_names] or [0]
    functions = INTERFACE.format(
        prefix=prefix, settings=_settings(numbers), ramped=", ".join(map(str, ramped))
    )
    body = "\n".join(
        [read_part("scalar.h"), generate(spec, equations, layout), read_part("tracker.h"), functions]
    )
    return f"{_comment(problem, prefix)}\n{body}".replace("__restrict", "restrict")


def _settings(numbers: Fields) -> str:
    lines = []
    for name, values in numbers._asdict().items():
        cells = ", ".join(_number(value) for value in values)
        lines.append(f"    {cells if name in SCALARS else f'{{{cells}}}'},  /* {name} */")
    return "\n".join(lines)


def _number(value: float) -> str:
    value = float(value)
    return repr(value) if np.isfinite(value) else "INFINITY" if value > 0 else "-INFINITY"


def _comment(problem: Problem, prefix: str) -> str:
    spec, count = problem.spec, len(problem.vary)
    delays = [
        f"delay_{name} is left out: give {name} as it acts"
        for effect in effects_of(spec)
        if effect.layer is Layer.CLOCK
        for name in effect.channels
    ]
    lines = [
        f"Tracker of {', '.join(problem.vary)} of '{spec.name}', made by PCT "
        f"{importlib.metadata.version('pct-vehicle')}.",
        "",
        f"state: {', '.join(f'{c.name} [{c.unit}]' for c in spec.states)}; NaN where there is no reading.",
        f"control, from this row on: {', '.join(f'{c.name} [{c.unit}]' for c in spec.controls)}.",
        f"estimate, {len(ESTIMATE) * count} numbers: {', '.join(ESTIMATE)}, {count} each.",
        "low and high are the ends of the 95 % band; recent is the probability of a change within the last",
        "seconds; told goes from 0, where the drive tells nothing, to 1. mean and deviation are of the",
        "logarithm where a parameter counts by it.",
        *delays,
        "",
        "Use: compile with `cc -std=c99 -O2 -c`, link with -lm, and declare:",
        f"  size_t {prefix}_size(void): bytes of the memory that the caller provides.",
        f"  void {prefix}_begin(void *memory)",
        f"  void {prefix}_update(void *memory, double t, const double *state, const double *control, "
        "double *estimate)",
        "t in s grows from row to row. Nothing is allocated; time and memory of a row are bounded.",
    ]
    safe = [line.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?") for line in lines]
    return "\n".join(["/*", *(f" * {line}".rstrip() for line in safe), " */"])


def trial_drive(problem: Problem, rows: int = 200, dt: float = 0.05) -> Rows:
    """A drive of the model itself to compare on, with a little noise."""
    spec, rng = problem.spec, np.random.default_rng(0)
    t = dt * np.arange(rows)
    phase = rng.uniform(0, 2 * np.pi, len(spec.controls))
    sizes = np.array([0.05 * channel.typical for channel in spec.controls])
    controls = sizes * np.sin(2.0 * t[:, None] + phase)
    state = np.zeros(len(spec.states) + len(spec.hidden))
    for name in ("v", "vx"):
        if name in spec.state_names:
            state[spec.state_indices[name]] = 0.25 * spec.channel(name).typical
    parts, states = max(1, round(dt / problem.longest)), [state]
    for u in controls[1:]:
        whole = integrate(
            TABLEAUS[problem.integrator],
            lambda x_and_u, p: spec.dynamics_fn(x_and_u, p, np),
            np.concatenate([states[-1], u]),
            problem.params,
            dt,
            substeps=parts,
        )
        states.append(whole[: len(state)])
    noise = np.array([channel.noise or 0.1 * channel.scale for channel in spec.states])
    shown = np.array(states)[:, : len(spec.states)]
    return Rows(t, shown + noise * rng.standard_normal(shown.shape), controls)


def compare(
    problem: Problem, levels: Levels, text: str, prefix: str, rows: Rows, compiler: Sequence[str]
) -> float:
    """Largest difference of C and Python over a drive, in standard deviations.

    Raises:
        PctError: the compiler fails.
    """
    try:
        with temporary_folder() as folder:
            unit, library = folder / "tracker.c", folder / "tracker.so"
            unit.write_text(text, encoding="utf-8")
            run_compiler([*compiler, *FLAGS, "-o", str(library), str(unit), "-lm"], folder)
            functions = ctypes.CDLL(str(library))
    except (OSError, NoCompiler) as error:
        raise PctError(
            f"the check with the C compiler '{compiler[0]}' fails ({error}): nothing was written; name "
            "another one in CC, or CC=none to do without"
        ) from None
    size, begin, update = (getattr(functions, f"{prefix}_{name}") for name in ("size", "begin", "update"))
    size.restype = ctypes.c_size_t
    memory, count = np.zeros(size() // 8 + 1), len(problem.vary)
    place = ctypes.c_void_p(memory.ctypes.data)
    begin(place)
    native, worst = make_filter(problem, levels), 0.0
    out = np.zeros(len(ESTIMATE) * count)
    # C takes the control from each row on, and makes of it that of the step.
    held = np.concatenate([rows.controls[1:], rows.controls[-1:]])
    ramped = [name in problem.spec.interpolated for name in problem.spec.control_names]
    over = rows.controls[0]
    for row, t in enumerate(rows.t):
        y, u = np.ascontiguousarray(rows.states[row]), np.ascontiguousarray(held[row])
        update(place, ctypes.c_double(t), *(ctypes.c_void_p(array.ctypes.data) for array in (y, u, out)))
        last = held[row - 1] if row else u
        over = np.where(ramped, (last + u) / 2, last)
        wanted = native.update(float(t), y, over)[: len(out)].reshape(len(ESTIMATE), count)
        got, unit = out.reshape(len(ESTIMATE), count), wanted[4]
        apart = np.concatenate([(got[3:5] - wanted[3:5]) / unit, got[5:] - wanted[5:]])
        # A NaN stays one.
        worst = float(np.maximum(worst, np.abs(apart).max()))
    return worst
